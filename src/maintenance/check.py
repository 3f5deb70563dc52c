"""Check proves the laws on the lake as it lies on disk; it changes nothing, and the tests end with it.

The laws: every table opens, every column of every file that readers need can be read, and no file differs
from what the newest backup has of it; bronze only ever grew; silver is what one pass over all of bronze
gives, one row per key, and quarantine what that pass rejects; gold is what its model gives over the
versions it says it read, and a feature uses nothing of later than its event; every step's rows add
up; every table says its version.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src import catalog, console, contract, lake, permissions, store
from src.checks.outcome import PARTS
from src.checks.sameness import unequal
from src.contract import PROVENANCE, Contracts, Table
from src.engine import DuckEngine, identifier
from src.errors import BoathouseError, MachineError
from src.gold import recomputed
from src.maintenance import archive, rot
from src.maintenance.manifests import Manifest
from src.maintenance.reading import Reading, SharedReading, Stored, evolved
from src.masking.concealing import concealed_text
from src.masking.reader import masks_of
from src.ml import point_in_time, scored_laws
from src.ml.scored import scored_table
from src.permissions import Loose
from src.project import Project, Unbuilt
from src.remote import Remote
from src.run import backup_records, releases, runs
from src.silver import statements, winners
from src.silver.batch import Batch
from src.silver.incoming import Source

if TYPE_CHECKING:
    from src.workers.stages import Stages


@dataclass(frozen=True)
class Finding:
    """One law that does not hold: on which table, and what was found there."""

    table: str
    law: str
    found: str


@dataclass(frozen=True)
class NewestBackup:
    """The newest backup: where it is, and its manifest."""

    remote: Remote
    manifest: Manifest


@dataclass(frozen=True)
class CheckResult:
    """The result of a check: how many tables, what does not hold, and the backup compared with; None: with none."""

    tables: int
    findings: tuple[Finding, ...]
    backup: str | None
    not_compared: str | None  # why, where the newest backup could not be reached
    loose: tuple[Loose, ...] = ()  # what everybody on this machine may read: a warning, no law
    seed: int | None = None  # of the moments at which what tables of features read was cut; None: there are none


def check_project(
    project: Project,
    open_remote: Callable[[], Remote],
    *,
    quick: bool,
    seed: int | None = None,
    stages: Stages | None = None,
) -> CheckResult:
    """Check every table of a project, with the newest backup at the remote unless `quick`; changes nothing.

    `seed`: draws the moments at which what tables of features read is cut; None: others each time. `stages`: what deals
    large tables out to workers, if anything.
    """
    seed = secrets.randbelow(2**32) if seed is None else seed
    data = project.settings.data_dir
    there = catalog.tables(data)
    count = len(there)
    computed = sum(table.id in there for table in (*project.contracts.silver.values(), *project.marts))
    copy, why = (None, None) if quick or not count else _copy(open_remote)
    with console.progress((count * 2 if copy else count) + computed) as bar:

        def say(name: str) -> None:
            if bar:
                bar.done()
                bar.start(name)

        lake_of = project.engine, data, project.contracts, project.marts
        findings = tuple(run(*lake_of, copy, quick=quick, say=say, seed=seed, stages=stages))
    masks = masks_of(project)
    findings = tuple(
        replace(one, found=concealed_text(one.found)) if masks.covers(one.table) else one for one in findings
    )
    cuts = any(table.event_time for table in project.marts)
    loose = permissions.loose(project.settings)
    return CheckResult(count, findings, copy.manifest.id if copy else None, why, loose, seed if cuts else None)


def _copy(open_remote: Callable[[], Remote]) -> tuple[NewestBackup | None, str | None]:
    """Return what there is to compare with, or why it cannot be reached, which holds nothing up."""
    try:
        remote = open_remote()
        manifest = archive.newest(remote)
    except BoathouseError as error:
        return None, error.what
    return (NewestBackup(remote, manifest) if manifest else None), None


def run(
    engine: DuckEngine,
    data: Path,
    contracts: Contracts,
    marts: Sequence[Table],
    copy: NewestBackup | None = None,
    *,
    quick: bool = False,
    say: Callable[[str], None] = lambda name: None,
    seed: int = 0,
    stages: Stages | None = None,
) -> Iterator[Finding]:
    """Yield every law that does not hold on the lake at `data`.

    `say` is told of each table before its files are read, and of one of silver or gold before it is computed again.
    `quick`: of the files the sizes only; `seed` draws the moments at which what tables of features read is cut;
    `stages`: what deals large tables out to workers, if anything.
    """
    reading = SharedReading(engine, stages) if stages else Reading(engine)
    rotten = set()
    for damage in rot.find(engine, data, copy.remote, copy.manifest, say, reading) if copy else ():
        rotten.add(damage.table)
        yield Finding(damage.table, "its files are those that were backed up", f"{damage.path} {damage.found}")
    whole = {}
    for name, root, found in files(reading, data, quick=quick, say=say):
        yield from found
        if not found and name not in rotten:
            whole[name] = root
    yield from _gone(data, contracts, marts)
    for feed in contracts.feeds:
        if feed in whole:
            yield from _each(feed, "rows are only ever added", partial(_bronze, reading, feed, whole[feed]))
    for table in contracts.silver.values():
        if _readable(table, [feed.id for feed in table.feeds], whole):
            say(table.id)
            yield from _each(table.id, "one row per key", partial(_keys, reading, table, whole))
            bounds = partial(_bounds, reading, table.id, whole[table.id])
            yield from _each(table.id, "the log tells which file can hold a key", bounds)
            yield from _each(table.id, "one pass gives the same", partial(_silver, reading, table, whole))
            yield from _each(table.id, "the table says its version", partial(_tags, table, whole))
    released = _released(data)
    for table in (*contracts.silver.values(), *marts):
        if table.id in whole:
            law = "readers see what it was built from"
            yield from _each(table.id, law, partial(_built_from, table, whole, released))
    for table in marts:
        if _readable(table, set(table.sources) - set(table.optional_sources), whole):
            say(table.id)
            yield from _each(table.id, "the model gives the same", partial(_gold, engine, table, contracts, whole))
            if table.event_time:
                cut = partial(_point_in_time, engine, table, contracts, whole, seed)
                yield from _each(table.id, point_in_time.LAW, cut)
            yield from _each(table.id, "the table says its version", partial(_tags, table, whole))
    if backup_records.TABLE in whole:
        yield from _each(backup_records.TABLE, "its records can be read", partial(_backups, engine, data))
    if runs.TABLE in whole:
        yield from _each(runs.TABLE, "the rows of every step add up", partial(_sums, engine, whole[runs.TABLE]))


def _backups(engine: DuckEngine, data: Path) -> Iterator[str]:
    backup_records.last_verified(engine, data)  # which says where they are the records of something else
    yield from ()


def _each(table: str, law: str, found: Callable[[], Iterable[str]]) -> Iterator[Finding]:
    try:
        for what in found():
            yield Finding(table, law, what)
    except BoathouseError as error:
        yield Finding(table, law, f"could not be checked: {' '.join(str(error).split())}")


def _readable(table: Table, needs: Iterable[str], whole: Mapping[str, Path]) -> bool:
    return table.id in whole and all(need in whole for need in needs)


# -- files


def files(
    reading: Reading, data: Path, *, quick: bool = False, say: Callable[[str], None] = lambda name: None
) -> Iterator[tuple[str, Path, list[Finding]]]:
    """Yield every table on disk, and what is wrong with its log and its files."""
    released = _released(data)
    for name, root in catalog.tables(data).items():
        say(name)
        read = partial(_damage, reading, name, root, released.get(name), quick=quick)
        yield name, root, list(_each(name, "the table opens and its files are whole", read))


def _released(data: Path) -> dict[str, int]:
    """Return the versions of the newest release; none where these cannot be read, which is told of their table."""
    try:
        return releases.newest(data)
    except BoathouseError:
        return {}


def _damage(reading: Reading, name: str, root: Path, released: int | None, *, quick: bool) -> Iterator[str]:
    """Yield what is wrong with the log, and with files of the newest and the released version."""
    for entry, found in lake.broken(root):
        yield f"{entry}: {found}"
    newest = _opened(root)
    versions = [newest] if released in (None, newest.version) else [newest, _opened(root, released)]
    known: set[str] = set()
    for snapshot in versions:
        files = [file for file in snapshot.files if file.path not in known]
        known.update(file.path for file in files)
        damage = list(_misshapen(root, files))
        yield from damage
        if not damage and not quick:
            yield from _unreadable(reading, evolved(name, snapshot.only(files)), lake.hashes(snapshot))


def _misshapen(root: Path, files: Iterable[lake.DataFile]) -> Iterator[str]:
    if store.is_remote(root):
        yield from _misshapen_objects(root, files)
        return
    for file in files:
        path = root / file.path
        if path.is_symlink():
            yield f"{file.path} is a symbolic link, of which no backup can be made: put the file itself in its place"
        elif not path.is_file():
            yield f"{file.path} is missing"
        elif path.stat().st_size != file.size:
            yield f"{file.path} has {path.stat().st_size} bytes, the log says {file.size}"
        elif not _is_parquet(path):
            yield f"{file.path} does not begin and end as Parquet does"


def _misshapen_objects(root: Path, files: Iterable[lake.DataFile]) -> Iterator[str]:
    """Yield what `_misshapen` does, of what the store lists: their rows tell whether they are Parquet."""
    there = dict(store.files_below(root))
    for file in files:
        found = there.get(file.path)
        if found is None:
            yield f"{file.path} is missing"
        elif found.size != file.size:
            yield f"{file.path} has {found.size} bytes, the log says {file.size}"


def _unreadable(reading: Reading, stored: Stored, recorded: Mapping[str, str]) -> Iterator[str]:
    """Yield the files that cannot be read, or have not the rows or the hash that the log says."""
    if not stored.files:
        return
    found = reading.read(stored, [file.path for file in stored.files if file.path in recorded])
    for path, why in [one.unreadable for one in found if one.unreadable][:1]:
        yield f"{path} cannot be read: {why}"
        return
    rows = {path: count for one in found for path, count in one.rows.items()}
    digests = {path: digest for one in found for path, digest in one.digests.items()}
    for file in stored.files:
        if digests.get(file.path) != recorded.get(file.path):
            yield f"{file.path} has not the bytes that were committed"
        if rows[file.path] != file.rows:
            yield f"{file.path} has {rows[file.path]} rows, the log says {file.rows}"


def _gone(data: Path, contracts: Contracts, marts: Sequence[Table]) -> Iterator[Finding]:
    """Yield the tables that are not there any more: of the newest release, and those beside a silver table."""
    there = catalog.tables(data)
    beside = {f"quarantine.{table.domain}.{table.name}" for table in contracts.silver.values() if table.id in there}
    stated = [table for table in contracts.silver.values() if table.replaces is not None]
    statements_of = {f"statements.{table.domain}.{table.name}" for table in stated}
    declared = {*contracts.feeds, *contracts.silver, *statements_of, *(table.id for table in marts)}
    for name in sorted({*beside, *(declared & set(_released(data)))} - set(there)):
        yield Finding(name, "the table is there", "it is gone")


def _is_parquet(path: Path) -> bool:
    with open(path, "rb") as handle:
        head = handle.read(4)
        handle.seek(-4, 2)
        return head == handle.read(4) == b"PAR1"


# -- bronze


def _bronze(reading: Reading, name: str, root: Path) -> Iterator[str]:
    bronze = _opened(root)
    if not bronze.append_only:
        yield "not append-only: the table's property is not set"
    not_text = [name for name, kind in bronze.columns.items() if not name.startswith("_") and kind != "VARCHAR"]
    if not_text:
        yield f"{', '.join(not_text)} not kept as text"
    stored = Stored(name, bronze, evolved=True)
    if duplicate_keys := reading.repeated(stored, tuple(PROVENANCE)):
        yield f"{duplicate_keys} rows of a file are there more than once"
    if lost := reading.lost(stored):
        yield f"{lost} rows of files, by their numbers, are not there"


# -- silver


def _keys(reading: Reading, table: Table, whole: Mapping[str, Path]) -> Iterator[str]:
    stored = Stored(table.id, _opened(whole[table.id]))
    if duplicate_keys := reading.repeated(stored, winners.key(table)):
        yield f"{duplicate_keys} keys with more than one row"


def _bounds(reading: Reading, name: str, root: Path) -> Iterator[str]:
    silver = _opened(root)
    if not silver.indexed:
        return
    bounds = {str(root / file.path): file.bounds.get(silver.indexed) for file in silver.files}
    for path, least, most in reading.bounds(Stored(name, silver)):
        logged = bounds[path]
        if logged and logged != (least, most):
            yield f"{path} has {silver.indexed} from {least} to {most}, the log says {' to '.join(logged)}"


def _silver(reading: Reading, table: Table, whole: Mapping[str, Path]) -> Iterator[str]:
    engine, silver = reading.engine, _opened(whole[table.id])
    table = _as_built(engine, table, silver)
    if not contract.is_current(table, silver):
        return  # the contract moved on since: the next run rebuilds the table
    reached = {feed.id: _reached(silver, feed.id) for feed in table.feeds}
    names = [name for name in table.stored_columns if name not in PROVENANCE]
    beside = [("quarantine", ["_reasons", "_values", *PROVENANCE], "", Batch.REJECTED)]
    if table.replaces is not None:
        beside.append(("statements", list(statements.columns(engine, table)), "DISTINCT", Batch.STATEMENTS))
    with ExitStack() as computed:
        rows = computed.enter_context(reading.one_pass(table, _sources(table, whole, reached)))
        yield from reading.unequal(names, Stored(table.id, silver), rows)
        for layer, names, once, batch in beside:
            name = f"{layer}.{table.domain}.{table.name}"
            if name not in whole:
                continue  # told already
            found = _opened(whole[name])
            # after a crash between their commits it is ahead of its table until the next run
            ahead = {feed: max(_reached(silver, feed), _reached(found, feed)) for feed in reached}
            if ahead != reached:
                computed.enter_context(reading.one_pass(table, _sources(table, whole, ahead)))
                reached = ahead
            kept = ", ".join(map(identifier, names))
            stored = f"(SELECT {once} {kept} FROM {engine.scan(found, evolved=True)})"
            for what in unequal(engine, names, stored, batch):
                yield f"{layer}: {what}"


def _reached(table: lake.Snapshot, feed: str) -> int:
    version = table.progress(feed)
    return -1 if version is None else version


def _sources(table: Table, whole: Mapping[str, Path], reached: Mapping[str, int]) -> list[Source]:
    """Return all of bronze up to these versions."""
    feeds = [feed for feed in table.feeds if reached[feed.id] >= 0]
    there = [(feed, _opened(whole[feed.id], reached[feed.id])) for feed in feeds]
    return [(feed, bronze, bronze.files) for feed, bronze in there]


# -- gold


def _gold(engine: DuckEngine, table: Table, contracts: Contracts, whole: Mapping[str, Path]) -> Iterator[str]:
    gold = _opened(whole[table.id])
    table = _as_built(engine, table, gold)
    sources = _all_consumed(table, gold, contracts, whole)
    if sources is None:
        return
    if table.scored_by:
        models = {table.scored_by: _opened(whole[table.scored_by])}
        yield from scored_laws.broken(engine, scored_table(contracts, table), gold, sources | models)
        return
    yield from recomputed.differences(engine, table, gold, sources)


def _point_in_time(
    engine: DuckEngine, table: Table, contracts: Contracts, whole: Mapping[str, Path], seed: int
) -> Iterator[str]:
    gold = _opened(whole[table.id])
    table = _as_built(engine, table, gold)
    sources = _all_consumed(table, gold, contracts, whole)
    if sources is not None:
        moments = point_in_time.draw_moments(engine, table, gold, seed)
        yield from point_in_time.broken(engine, table, gold, sources, moments)


def _all_consumed(
    table: Table, gold: lake.Snapshot, contracts: Contracts, whole: Mapping[str, Path]
) -> dict[str, lake.Snapshot] | None:
    """Return the sources in the versions that a gold table was computed from; None where its rows cannot be compared.

    They cannot where the contract moved on since, or vacuum took rows that a table which stays behind was built from:
    the next run computes it whole.
    """
    if not contract.is_current(table, gold):
        return None
    declared = {**contracts.silver, **contracts.gold}
    sources = {name: _consumed(gold, declared[name], whole) for name in table.declared_sources}
    there = {name: source for name, source in sources.items() if source}
    return there if there.keys() == sources.keys() else None


def _consumed(gold: lake.Snapshot, source: Table, whole: Mapping[str, Path]) -> lake.Snapshot | None:
    """Return a source in the version that a gold table says it read; None where vacuum removed that.

    One that it read as not built is empty.
    """
    version = gold.progress(source.id)
    if version == Unbuilt.NEVER:
        return Unbuilt(source)
    if source.id not in whole:
        raise lake.HistoryGone(f"{source.id} is gone")
    try:
        return _opened(whole[source.id]) if version is None else lake.check_restorable(whole[source.id], version)
    except MachineError:
        return None


# -- the release


def _built_from(table: Table, whole: Mapping[str, Path], released: Mapping[str, int]) -> Iterator[str]:
    """Yield what the released version of a table was built from that readers do not see."""
    if table.id not in released:
        return
    seen = _opened(whole[table.id], released[table.id])
    for name in (*(feed.id for feed in table.feeds), *table.sources):
        version = seen.progress(name)
        if (
            version is None
            or name not in whole
            or not catalog.is_released(name)
            or seen.progress(lake.identity_of(name)) != _opened(whole[name]).identity
        ):
            continue  # it was built without, or from a table that was replaced since
        if version > released.get(name, Unbuilt.NEVER):
            yield f"built from version {version} of {name}, of which readers see {released.get(name, 'nothing')}"


# -- what they share


def _tags(table: Table, whole: Mapping[str, Path]) -> Iterator[str]:
    stored = _opened(whole[table.id])
    tagged = contract.tagged(stored.properties)
    if tagged is None:
        yield "no version tag"
    elif not tagged.describes(stored):
        yield f"tagged {tagged.version}, but its rows were built by other logic: run `make pipeline`"


def _sums(engine: DuckEngine, root: Path) -> Iterator[str]:
    """Yield the steps whose rows do not add up; of their records no other column is read."""
    read = ("run_id", "layer", "domain", "table", "records_read", *PARTS)
    kinds = {name: kind for name, kind in runs.columns_of(runs.Record).items() if name in read}
    became = " + ".join(f"coalesce({name}, 0)" for name in PARTS)
    rows = engine.rows(
        """SELECT run_id, concat_ws('.', layer, domain, "table") FROM """
        f"{engine.scan(_opened(root), columns=kinds, evolved=True)} "
        f"WHERE layer <> 'run' AND records_read <> {became}"
    )
    for run_id, name in rows:
        yield f"run {run_id}, {name}"


def _as_built(engine: DuckEngine, table: Table, stored: lake.Snapshot) -> Table:
    """Return a table with the run date that its stored rows were computed with; run_date() is that day from then on."""
    table = contract.as_stored(table, stored.properties)
    if table.run_date:
        engine.set_run_date(table.run_date)
    return table


def _opened(root: Path, version: int | None = None) -> lake.Snapshot:
    snapshot = lake.open_table(root, version)
    if snapshot is None:
        raise lake.HistoryGone("no table", where=root)
    return snapshot
