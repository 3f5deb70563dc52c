"""Somebody leaves the tables of a lake, in an order in which a kill at any moment leaves work and never a wrong answer.

1. One commit to `ops.forgotten` says that it begins, and by keyed hashes whom it is about. From then on new lines of
   theirs are held back, and whoever finds a beginning without an end can go on: the hashes tell which lines are left.
2. Records that quote their values are marked, while these are known.
3. Each feed is rewritten without their lines in one commit, which says so. A silver table that has not seen that commit
   is computed whole by whichever run comes next, with all that lies beside it; then what reads it.
4. A release is recorded: nobody is shown an older version any more.
5. Older versions go: files, and the entries of logs, which quote values too. Then the end is recorded.

A run that finds a beginning without an end does 3 to 5 before its own work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from src import catalog, lake
from src.author import author
from src.bronze import ingest
from src.checks.outcome import Outcome
from src.engine import identifier, literal
from src.errors import DataError
from src.forget import bronze as taking
from src.forget import certificates, finding, identifying, key, landed, lines, outside, planning, proving, quoted
from src.forget.backups import Held
from src.forget.certificates import Certificate, Entry, Status
from src.forget.finding import KEYS
from src.forget.identifying import Text
from src.forget.landed import Landed
from src.forget.outside import Outside
from src.forget.planning import ForgetPlan, Location, Past
from src.forget.scanning import Scan
from src.forget.unfinished import is_unfinished
from src.project import Project, Selection, downstream
from src.run import releases
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

if TYPE_CHECKING:
    from typing import Protocol

    from src.contract import Feed, Table
    from src.run.runs import Run

    class Carrying(Protocol):
        """The blocking sequence of main.py."""

        def __call__(
            self, project: Project, run: Run, chosen: Selection, full_refresh: Collection[str] = ()
        ) -> None: ...


Finder = Callable[["Feed", lake.Snapshot, str], int]  # fills a temporary table with lines of a feed


@dataclass(frozen=True)
class Found:
    """A file that still holds a value, or could not be read, and how."""

    path: str
    how: str


@dataclass(frozen=True)
class Forgotten:
    """The end of forgettings: their certificates, whether it is proven, older versions that went, what was found.

    `outside`: what became of reports, logs and the like; `backups`: those that hold them.
    """

    certificates: tuple[str, ...]
    status: str  # done | unproven
    detail: str
    purged: tuple[Location, ...]
    found: tuple[Found, ...] = ()
    outside: tuple[Outside, ...] = ()
    backups: tuple[Held, ...] = ()


def use_key(project: Project, *, make: bool) -> tuple[str, bool]:
    """Let the project's engine hash with its key; returns the key and whether it was made just now.

    Where there is none, one is written into `.env`; `make` False: one that nobody keeps is used, to look only.
    """
    known = key.read_key(project.settings)
    used = known or (key.make_key(project.settings) if make else key.passing_key())
    key.use(project.engine, used)
    return used, make and known is None


def begin(project: Project, run: Run, planned: ForgetPlan, reason: str, used_key: str) -> Entry:
    """Record whom a forgetting is about, and where they were, in one commit; then mark their values in the records.

    Returns the beginning, which carries no value.
    """
    data, moment, check = project.settings.data_dir, run.clock(), key.check_value(used_key)
    engine, certificate = project.engine, run.run_id
    every = engine.rows(f"SELECT \"table\", columns, hash FROM {KEYS} WHERE hash <> '' ORDER BY ALL")
    condition = lines.as_text(planned.columns)
    asked = [digest for table, columns, digest in every if (table, columns) == (planned.table, condition)]
    head = Entry(
        certificate,
        moment,
        Status.BEGUN,
        run.run_id,
        forgotten_by=author() or None,
        reason=reason,
        table=planned.table,
        columns=condition,
        hash=asked[0] if len(asked) == 1 else key.keyed_hash(used_key, " ".join(asked)),
        key_check=check,
    )
    keys = [
        Entry(certificate, moment, Status.KEY, run.run_id, table=table, columns=columns, hash=digest, key_check=check)
        for table, columns, digest in every
    ]
    certificates.begin(engine, data, [head, *keys, *_as_entries(run, certificate, planned.locations)])
    quoted.rewrite(project, [text.text for text in planned.texts])
    return head


def begin_past(project: Project, run: Run, past: Past) -> Entry:
    """Record that rows past their date go, and where they were, in one commit; returns the beginning."""
    certificate = f"{run.run_id}.{past.table}"
    head = Entry(
        certificate,
        run.clock(),
        Status.RETENTION,
        run.run_id,
        forgotten_by=author() or None,
        reason=f"kept for {past.kept}",
        table=past.table,
        columns=lines.as_text([past.column]),
        detail=past.before,
    )
    entries = [head, *_as_entries(run, certificate, past.locations)]
    certificates.begin(project.engine, project.settings.data_dir, entries)
    return head


def rewrite(
    project: Project, run: Run, begun: Sequence[Entry], sequence: Carrying, used_key: str | None
) -> tuple[Landed, ...]:
    """Take the lines of forgettings that have begun out of bronze, and compute what reads it; steps of a run.

    Returns the landed files that keep their records, each with why.

    Each feed that had lines is a step also where an earlier run took them out: it had no release any more.

    Raises:
        MachineError: the key is not that of the hashes.
    """
    declared = project.contracts.feeds
    feeds = [declared[name] for name in _named_by(project, begun, "bronze") if name in declared]
    finders = [
        _past_lines(project, one) if one.status == Status.RETENTION else _hashed_lines(project, one, used_key)
        for one in begun
    ]
    left: list[Landed] = []
    for feed in feeds:
        run.step(feed.id, partial(_take_out, project, run, feed, finders, left))
    silver = tuple(table for table in project.contracts.silver.values() if any(feed in feeds for feed in table.feeds))
    sequence(project, run, Selection((), silver, downstream(project, {table.id for table in silver})))
    return tuple(left)


def purge(project: Project, begun: Sequence[Entry]) -> list[Location]:
    """Remove all older versions of the tables that held somebody; returns what went.

    Raises:
        DataError: readers still see an older version of one of them.
    """
    data = project.settings.data_dir
    released, roots = releases.newest(data), catalog.tables(data)
    feeds = _named_by(project, begun, "bronze")
    names = planning.tables_of(project, feeds)
    tables = {name: found for name in names if (found := lake.open_table(roots[name]))}
    if older := [name for name, table in tables.items() if released.get(name, table.version) != table.version]:
        fix = "make what holds them right and run `make pipeline`: it finishes this too"
        raise DataError(f"not forgotten yet: readers see an older version of {', '.join(older)}", fix=fix)
    records = {name: found for name in _named_by(project, begun, "ops") if (found := lake.open_table(roots[name]))}
    locations = []
    for name, table in {**tables, **records}.items():
        since = table.progress(lake.FORGOTTEN) if name in feeds else None
        files, entries = lake.purge(table, since, alone=name not in records)
        lake.forget(roots[name])
        locations.append(Location(f"older versions of {name}", 0, files, f"{entries} log entries"))
    return locations


def finish(project: Project, sequence: Carrying, begun: Sequence[Entry]) -> Run:
    """Compute the tables of forgettings that have begun, as far as that is left; returns the run. `end` comes next.

    Raises:
        LockedError: another command works on the lake.
        MachineError: the key is not that of the hashes.
    """
    with recorded_run(project, RunKind.FORGET, "forget: what a run left") as run:
        rewrite(project, run, begun, sequence, key.read_key(project.settings))
    return run


def end(project: Project, begun: Sequence[Entry], texts: Sequence[Text] | None = None) -> Forgotten:
    """Purge the tables, search for the values, and record the end; once a run released the tables and no step failed.

    `texts`: the values that say who it is; None where this process does not know them, so that nothing is searched.

    Raises:
        DataError: readers still see an older version of one of the tables.
        UsageError: a branch was made meanwhile.
    """
    with recorded_run(project, RunKind.FORGET, "forget: older versions") as run:
        proving.refuse_branches(project)
        purged = purge(project, begun)
        lake.keep(project.settings.data_dir)
        beside = outside.forget(project, proving.values_of(texts)) if texts else []
        scan = proving.prove(project, texts) if texts else None
        of_dates = all(one.status == Status.RETENTION for one in begun)
        status = Status.DONE if of_dates or (scan and scan.is_clean) else Status.UNPROVEN
        gone = [*purged, *(Location(one.what, 0, one.files, one.done) for one in beside if not one.is_left)]
        over = [entry for one in begun for entry in _as_entries(run, one.certificate, gone)]
        detail = described(scan) if scan else "" if of_dates else _not_searched(texts)
        over += [Entry(one.certificate, run.clock(), status, run.run_id, detail=detail) for one in begun]
        certificates.end(project.engine, project.settings.data_dir, over, len(begun))
    ids, found = tuple(one.certificate for one in begun), shown(project, scan)
    return Forgotten(ids, str(status), detail, tuple(purged), found, tuple(beside))


def _not_searched(texts: Sequence[Text] | None) -> str:
    if texts is None:
        return "not searched: a run that did not know the values finished it"
    return f"not searched: no value of {identifying.SHORTEST} characters or more is theirs alone"


def described(scan: Scan) -> str:
    """Return the result of a search in a line that holds no value, and no name of a file."""
    unread = sum(finding.value is None for finding in scan.findings)
    found = len(scan.findings) - unread
    return f"{found} findings, {unread} not read, in {scan.files:,} files of {scan.bytes:,} bytes"


def shown(project: Project, scan: Scan | None) -> tuple[Found, ...]:
    """Return what a search found, for the screen: names of files may hold a value."""
    findings = scan.findings if scan else ()
    return tuple(Found(project.relative(str(finding.path)), finding.how) for finding in findings)


def search_again(project: Project, table: Table, where: str) -> Forgotten:
    """Search for the constants of a condition that no line meets, as whoever took the lines out may have died.

    Where certificates of a condition on one column say the same value and are not proven, what lies beside the tables
    loses it first, and they are proven where nothing is found.
    """
    data, texts = project.settings.data_dir, constants_of(project, table, where)
    if not texts:
        return Forgotten((), str(Status.UNPROVEN), _not_searched(texts), ())
    unproven = _unproven(project, table, where)
    if not unproven:
        scan = proving.prove(project, texts)
        status = Status.DONE if scan.is_clean else Status.UNPROVEN
        return Forgotten((), str(status), described(scan), (), shown(project, scan))
    with recorded_run(project, RunKind.FORGET, "forget: searched again") as run:
        beside = outside.forget(project, proving.values_of(texts))
        scan = proving.prove(project, texts)
        ids = tuple(one.certificate for one in unproven) if scan.is_clean else ()
        done = [Entry(one, run.clock(), Status.DONE, run.run_id, detail=described(scan)) for one in ids]
        if done:
            certificates.append(project.engine, data, done)
    status = Status.DONE if scan.is_clean else Status.UNPROVEN
    return Forgotten(ids, str(status), described(scan), (), shown(project, scan), tuple(beside))


def _unproven(project: Project, table: Table, where: str) -> list[Certificate]:
    """Return the certificates that are not proven, of a condition on one column that says the same value."""
    constants = identifying.in_condition(project, where)
    columns = finding.condition_columns(project.engine, table, where)
    if not len(constants) == len(columns) == 1:
        return []
    value = f"TRY_CAST({literal(constants[0])} AS {table.row_columns[columns[0]]})"
    [(digest,)] = project.engine.rows(f"SELECT {lines.hashed(table.id, columns, [value])}")
    every = certificates.read_certificates(project.engine, project.settings.data_dir)
    return [one for one in every if one.hash == digest and one.status == Status.UNPROVEN]


def give_up_keys(project: Project, run: Run) -> int:
    """Record that keys other than the project's are lost; returns how many hashes hold nothing back any more."""
    engine, data = project.engine, project.settings.data_dir
    known = key.read_key(project.settings)
    _, checks, keys = certificates.remembered(engine, data, _known_tables(project))
    lost = sorted(checks - ({key.check_value(known)} if known else set()))
    if not lost:
        return 0
    before = int(engine.one(f"SELECT count(*) FROM {keys}")[0])
    entries = [Entry(run.run_id, run.clock(), Status.KEY_LOST, run.run_id, key_check=one) for one in lost]
    certificates.append(engine, data, entries)
    _, _, kept = certificates.remembered(engine, data, _known_tables(project))
    return before - int(engine.one(f"SELECT count(*) FROM {kept}")[0])


def constants_of(project: Project, table: Table, where: str) -> list[Text]:
    """Return the constants of a condition that are long enough to be looked for."""
    names = finding.condition_columns(project.engine, table, where)
    columns = frozenset({*map(str.lower, names), *table.reads_of_files(names, project.engine.column_names)})
    constants = identifying.in_condition(project, where)
    return [Text(text, columns) for text in constants if len(text) >= identifying.SHORTEST]


def unfinished(project: Project) -> list[Entry]:
    """Return the forgettings that began and are not over."""
    data = project.settings.data_dir
    if not is_unfinished(data):
        return []
    return certificates.unfinished(certificates.read_all(project.engine, data))


def _hashed_lines(project: Project, begun: Entry, used_key: str | None) -> Finder:
    """Return what finds the lines of somebody by their hashes, which the engine can make from then on.

    Raises:
        MachineError: the key is not that of the hashes.
    """
    names, data = _known_tables(project), project.settings.data_dir
    claims, _, keys = certificates.remembered(project.engine, data, names, [begun.certificate])
    if claims and (used_key is None or key.check_value(used_key) != begun.key_check):
        raise key.wrong_key(project.settings, "a table", missing=used_key is None)
    if claims and used_key:
        key.use(project.engine, used_key)

    def find(feed: Feed, bronze: lake.Snapshot, into: str) -> int:
        return lines.find(project.engine, project.contracts, (feed, bronze, bronze.files), claims, keys, into)

    return find


def _known_tables(project: Project) -> list[str]:
    """Return what hashes may be of: silver tables, and feeds for lines that could not be split."""
    return [*project.contracts.silver, *project.contracts.feeds]


def _past_lines(project: Project, begun: Entry) -> Finder:
    """Return what finds the lines that were past their date when that began."""
    table = project.contracts.silver[begun.table or ""]
    [column] = json.loads(begun.columns or "[]")

    def find(feed: Feed, bronze: lake.Snapshot, into: str) -> int:
        sources = lines.sources_of(project, table)
        return lines.find_past(project.engine, table, sources, column, begun.detail or "", feed.id, into)

    return find


def _take_out(project: Project, run: Run, feed: Feed, finders: Sequence[Finder], left: list[Landed]) -> Outcome:
    """Rewrite a feed, and its landed files first, without the lines that are found, if it has any.

    The landed files come first, as bronze tells which of their records go; `left` gains those that keep them.
    """
    gone = 0
    for find in finders:
        bronze = project.table(feed.id)
        if bronze is None:
            return Outcome()
        relation = f"temp.{identifier(name := f'lines in {feed.id}')}"
        if not (count := find(feed, bronze, name)):
            continue
        known = partial(_know_landed, project, feed)
        done = landed.rewrite(project, feed, _records(project, bronze, relation), known)
        left += [one for one in done if one.why]
        taking.take_out(project.engine, lake.open_table(bronze.root) or bronze, relation, run.run_id)
        gone += count
    after = project.table(feed.id)
    return Outcome(removed=gone, version=after.version if after else None)


def _know_landed(project: Project, feed: Feed, name: str, sha256: str) -> None:
    """Record in bronze the bytes that will take the place of a landed file: no run takes them for an arrival."""
    bronze = project.table(feed.id)
    if bronze:
        lake.commit(bronze, progress=ingest.known_bytes(name, sha256))


def _records(project: Project, bronze: lake.Snapshot, relation: str) -> dict[str, list[int]]:
    """Return the numbers of lines by landed file, of those that the newest file under a name brought."""
    scan = project.engine.scan(bronze, columns={name: bronze.columns[name] for name in lines.PLACE}, evolved=True)
    newest = f"SELECT _file, max(_ingested_at) AS _ingested_at FROM {scan} GROUP BY 1"
    found = f"SELECT _file, list(_row ORDER BY _row) FROM {relation} SEMI JOIN ({newest}) n USING (_file, _ingested_at)"
    return dict(project.engine.rows(f"{found} GROUP BY 1 ORDER BY 1"))


def _as_entries(run: Run, certificate: str, locations: Sequence[Location]) -> list[Entry]:
    """Return locations as rows of a certificate."""
    return [
        Entry(
            certificate,
            run.clock(),
            Status.LOCATION,
            run.run_id,
            location=location.location,
            rows=location.rows,
            files=location.files,
            detail=location.what or None,
        )
        for location in locations
    ]


def _named_by(project: Project, begun: Sequence[Entry], layer: str) -> list[str]:
    """Return the tables of a layer in which forgettings found somebody."""
    ids = {one.certificate for one in begun}
    entries = certificates.read_all(project.engine, project.settings.data_dir)
    found = (
        one.location for one in entries if one.certificate in ids and one.status == Status.LOCATION and one.location
    )
    return sorted({location for location in found if location.startswith(f"{layer}.")})
