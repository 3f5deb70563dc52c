"""A release is the set of table versions that belong together; readers see one, rollback restores one.

The law: a table is released when it and everything it was built from, transitively upstream, are right; the tables
of one mart go together, but for those that a model scores, which go by themselves; what stays behind never holds its
sources back; a soft source that is not right is read in the version that readers see, holds nothing back, and the table
says since when it is old.

- A version is right where the step that made it succeeded. A step that failed leaves the version before, which is
  right still; what reads that table is blocked in the same run.
- What a table's foreign keys name is upstream of it too: its audits looked there.
- A version that was right but held back is remembered, and released by whichever run makes right what held it, also
  by one that does not touch it.
- Each table says of which run its released data are, its `as_of`: behind a failure they stay those of an earlier run.

Versions and standings are in the commit that adds the release, so they cannot disagree. Where only the standings
changed, that commit adds no rows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import catalog, contract, lake, records
from src.engine import DuckEngine
from src.errors import UsageError
from src.project import Unbuilt

if TYPE_CHECKING:  # who only reads a release does not wait for what a run is
    from src.run import runs
    from src.run.revision import Revision

TABLE = "ops.releases"
_KEY = "release"  # in the commit that adds a release: its versions, so that the newest is one small read
_AS_OF = "asOf"  # beside it: by table the run whose data it has
_BEHIND = "behind"  # beside it: the standings of the tables that stay behind
_DRAFTS = "drafts"  # beside it: the tables whose released version is a draft's


@dataclass(frozen=True)
class Entry:
    """One table of a release. `run_id` names the release."""

    run_id: str
    released_at: datetime
    table: str
    version: int
    number: int | None = None  # counts up with each release, whatever the clock said; earlier ones have none
    as_of: str | None = None  # the run whose data the table has
    git_commit: str | None = None  # of the release: what the project's contracts and models stood at
    git_dirty: bool | None = None  # whether some of them were changed and not committed
    draft: bool | None = None  # whether the table's contract was a draft, which may change under one version
    old_sources: str | None = None  # JSON: the sources that it has as they last were good, each an OldSource


class Cause(StrEnum):
    """The reasons why a table stays behind."""

    FAILED = "failed"  # its own step
    BLOCKED = "blocked"  # its step was not done, as something upstream failed
    UPSTREAM = "upstream"  # it is right, and built from a version that is not released
    MART = "mart"  # it is right, and another table of its mart stays behind
    PENDING = "pending"  # no run has finished with its newest version: one is going on, died, or was rolled back


@dataclass(frozen=True)
class OldSource:
    """A soft source that a table, or what it was built from, has as it last was good, and what it waits for."""

    source: str
    version: int | None  # None: it never was good, and counts as empty
    as_of: str | None  # the run whose data it has
    since: str  # the day (UTC) of the first run that built with it for want of a later one
    cause: Cause
    held_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """One table as readers see it, and what they do not see yet."""

    table: str
    version: int | None  # the released one; None: readers see nothing of it
    newest: int | None  # None: not built
    as_of: str | None  # the run whose data the released version has
    cause: Cause | None = None  # None: it does not stay behind
    held_by: tuple[str, ...] = ()  # the tables at which the trouble begins; the table itself where its own step failed
    built: str | None = None  # the run that built the newest version, where that is right and held back
    old: tuple[OldSource, ...] = ()  # what the released version has as it last was good
    built_old: tuple[OldSource, ...] = ()  # the same of the newest version, where that is right and held back

    @property
    def behind(self) -> bool:
        """Return whether readers see less than a run tried to give them."""
        return self.cause is not None or bool(self.old)


@dataclass(frozen=True)
class Release:
    """The version of each table that readers see, the run of its data, and the tables that stay behind."""

    versions: Mapping[str, int] = field(default_factory=dict)
    as_of: Mapping[str, str] = field(default_factory=dict)
    behind: Mapping[str, Standing] = field(default_factory=dict)  # also those with old sources
    revision: Revision | None = None  # what the project's contracts and models stood at
    drafts: frozenset[str] = frozenset()  # the tables of which readers see a draft


def newest(data: Path) -> dict[str, int]:
    """Return the table versions of the newest release; empty where there is none.

    Raises:
        MachineError: its record is damaged.
    """
    return dict(newest_release(data).versions)


def standings(data: Path) -> tuple[Standing, ...]:
    """Return how each table of the lake stands: first those of the newest release, then those never released.

    While a run is going on, or after one that died, the versions it has built already are `pending`.

    Raises:
        MachineError: the record of the release, or a table, is damaged.
    """
    release, current = newest_release(data), _current(data)
    names = dict.fromkeys((*release.versions, *current, *release.behind))
    return tuple(_stands(release, name, current.get(name)) for name in names)


def _stands(release: Release, name: str, newest: int | None) -> Standing:
    version, as_of, left = release.versions.get(name), release.as_of.get(name), release.behind.get(name)
    pending = Cause.PENDING if newest != version else None
    if left and (pending or left.old or left.cause in (Cause.FAILED, Cause.BLOCKED)):
        return replace(left, version=version, newest=newest, as_of=as_of, cause=left.cause or pending)
    return Standing(name, version, newest, as_of, pending)


def behind(data: Path) -> dict[str, Standing]:
    """Return the tables that the last run left behind or with old sources, as it recorded them: one small read.

    Raises:
        MachineError: the record of the release is damaged.
    """
    return dict(newest_release(data).behind)


def describe(standing: Standing) -> str:
    """Return in one line as of which run readers see a table, and why not later."""
    seen = f"as of {standing.as_of or 'an earlier run'}" if standing.version is not None else "not released yet"
    seen += f", {describe_old(standing.old)}" if standing.old else ""
    if standing.old and standing.cause is None:
        return f"{standing.table} {seen}"
    newer = f"what {standing.built} built is " if standing.built else ""
    return f"{standing.table} {seen}: {newer}{_why(standing.cause, standing.held_by)}"


def describe_old(sources: Iterable[OldSource]) -> str:
    """Return in one line which sources a table has as they last were good, since when, and why."""
    lines = []
    for old in sources:
        seen = f"as of {old.as_of or 'an earlier run'}" if old.version is not None else "empty"
        lines.append(f"with {old.source} {seen}, since {old.since} ({_why(old.cause, old.held_by)})")
    return ", ".join(lines)


def _why(cause: Cause | None, held_by: Collection[str]) -> str:
    names = ", ".join(held_by)
    return {
        None: "nothing newer is built",
        Cause.FAILED: "its own step failed",
        Cause.BLOCKED: f"blocked by {names}" if names else "blocked until its next run",
        Cause.UPSTREAM: f"held back by {names}",
        Cause.MART: f"held back by {names} of the same mart",
        Cause.PENDING: "no run has finished with its newest version yet",
    }[cause]


@lake.one_moment()
def decide(
    engine: DuckEngine,
    data: Path,
    run: runs.Run,
    upstream: Mapping[str, Collection[str]],
    soft: Mapping[str, Collection[str]],
) -> Release:
    """Return the release that readers get after a run, by the law; changes nothing.

    `upstream`: of every declared table what it is built from, and what its foreign keys name; `soft`: of some tables
    which of these are soft sources.

    Raises:
        MachineError: the record of the release, or a table, is damaged.
    """
    before = _before(engine, data)
    release = _decided(before, data, run, upstream, soft)
    return replace(release, drafts=drafts_of(data, release.versions, before.drafts))


def old_sources(
    engine: DuckEngine,
    data: Path,
    run: runs.Run,
    upstream: Mapping[str, Collection[str]],
    soft: Mapping[str, Collection[str]],
    table_id: str,
) -> tuple[OldSource, ...]:
    """Return the soft sources of a table that are not right as far as a run has come, by the law.

    Raises:
        MachineError: the record of the release, or a table, is damaged.
    """
    before = _before(engine, data)
    so_far = _decided(before, data, run, upstream, soft).behind
    known = {(o.source, o.version): o.since for s in before.behind.values() for o in (*s.old, *s.built_old)}
    today = run.started.date().isoformat()
    return tuple(
        OldSource(
            source=name,
            version=stays.version,
            as_of=stays.as_of,
            since=known.get((name, stays.version), today),
            cause=stays.cause,
            held_by=stays.held_by,
        )
        for name in soft[table_id]
        if (stays := so_far.get(name)) and stays.cause
    )


def _before(engine: DuckEngine, data: Path) -> Release:
    before = newest_release(data)
    if before.versions and not before.as_of:  # a lake of before releases said so
        return replace(before, as_of=runs_of(engine, data, before.versions))
    return before


def _decided(
    before: Release,
    data: Path,
    run: runs.Run,
    upstream: Mapping[str, Collection[str]],
    soft: Mapping[str, Collection[str]],
) -> Release:
    newest = {name: lake.open_table(lake.table_path(data, name)) for name in soft}

    def read(name: str, source: str) -> int | None:
        table = newest[name]
        return table.progress(source) if table else None

    return judge(before, _current(data), run, upstream, loosened(upstream, soft, before.versions, read))


def loosened(
    upstream: Mapping[str, Collection[str]],
    soft: Mapping[str, Collection[str]],
    released: Mapping[str, int],
    read: Callable[[str, str], int | None],
) -> dict[str, Collection[str]]:
    """Return what each table's newest version needs released: not the soft sources that it has as readers see them.

    `read`: up to which version a table's newest version consumed a source.
    """

    def needs(name: str, source: str) -> bool:
        return source not in soft.get(name, ()) or read(name, source) != released.get(source, Unbuilt.NEVER)

    return {name: [source for source in sources if needs(name, source)] for name, sources in upstream.items()}


def drafts_of(data: Path, versions: Mapping[str, int], before: Collection[str] = ()) -> frozenset[str]:
    """Return which of these tables are drafts; of a version that is not the newest one, as the release `before` said.

    What lies beside a silver table is as that is.
    """
    found = set()
    opened = cache(lambda name: lake.open_table(lake.table_path(data, name)))
    for name, version in versions.items():
        newest, owner = opened(name), opened(owner_of(name))
        is_newest = newest is not None and newest.version == version and owner is not None
        if contract.is_draft(owner.properties) if owner and is_newest else name in before:
            found.add(name)
    return frozenset(found)


def judge(
    before: Release,
    current: Mapping[str, int],
    run: runs.Run,
    upstream: Mapping[str, Collection[str]],
    needs: Mapping[str, Collection[str]] | None = None,
) -> Release:
    """Return the release that follows another after a run, where `current` are the versions that it left on disk.

    `needs`: what of `upstream` the newest versions need released, as `loosened` tells it; None: all of it.
    """
    released = {name: _rewritten(run, name, version) for name, version in before.versions.items()}
    moved = {name for name in upstream if current.get(name) != released.get(name)}
    done = {step.table_id for step in run.steps if step.status == "success"}
    # right, held back by an earlier run, and as that run left them
    right = {
        name: stayed.built
        for name, stayed in before.behind.items()
        if stayed.cause in (Cause.UPSTREAM, Cause.MART)
        and stayed.newest is not None
        and _rewritten(run, name, stayed.newest) == current.get(name)
    } | dict.fromkeys(done, run.run_id)
    wrong = {name: Cause.PENDING for name in moved if name not in right}
    wrong |= {
        name: stayed.cause
        for name, stayed in before.behind.items()
        if stayed.cause in (Cause.FAILED, Cause.BLOCKED) and name in upstream and name not in done
    }
    wrong |= {name: Cause.BLOCKED for name in run.blocked if name in upstream}  # a pull is no table
    wrong |= {name: Cause.FAILED for name in run.failures if name in upstream}
    held = stay_behind(needs or upstream, moved, wrong)
    versions = _versions(released, current, upstream, moved, held)
    as_of = {name: found for name in versions if (found := before.as_of.get(name))}
    for name, version in versions.items():
        owner = owner_of(name)
        if owner not in held and (owner in done or version != released.get(name)):
            as_of[name] = right.get(owner) or run.run_id
    old = _old(before, run, upstream, done, right)
    behind = {}
    for name in sorted(held.keys() | old.keys()):
        cause = held[name][0] if name in held else None
        is_right = cause in (Cause.UPSTREAM, Cause.MART)
        standing = Standing(
            table=name,
            version=versions.get(name),
            newest=current.get(name),
            as_of=as_of.get(name),
            cause=cause,
            held_by=_origins(name, held) if cause else (),
            built=right[name] if is_right else None,
            old=_seen_old(before, name) if cause else old[name],
            built_old=old.get(name, ()) if is_right else (),
        )
        if standing.behind:
            behind[name] = standing
    return Release(versions, as_of, behind, run.revision)


def _old(
    before: Release,
    run: runs.Run,
    upstream: Mapping[str, Collection[str]],
    done: Collection[str],
    right: Collection[str],
) -> dict[str, tuple[OldSource, ...]]:
    """Return by table the old sources of its newest right version: its own, and those of what it was built from."""
    found: dict[str, tuple[OldSource, ...]] = {}
    for name, sources in upstream.items():  # what a table reads comes before it
        if name in done:
            own = run.old_sources.get(name, ())
            last_good = {old.source for old in own}
            through = (_seen_old(before, one) if one in last_good else found.get(one, ()) for one in sources)
            every = {old.source: old for old in sorted((*itertools.chain(*through), *own), key=_age, reverse=True)}
            found[name] = tuple(every[source] for source in sorted(every))
        elif name in right:
            found[name] = before.behind[name].built_old
        else:
            found[name] = _seen_old(before, name)
    return {name: old for name, old in found.items() if old}


def _age(old: OldSource) -> str:
    return old.as_of or ""  # run ids sort by their start; the oldest is told


def _seen_old(before: Release, name: str) -> tuple[OldSource, ...]:
    return before.behind[name].old if name in before.behind else ()


def stay_behind(
    upstream: Mapping[str, Collection[str]], moved: Collection[str], wrong: Mapping[str, Cause]
) -> dict[str, tuple[Cause, tuple[str, ...]]]:
    """Return the tables that stay behind, each with its cause and the tables next to it that hold it.

    `moved`: the tables whose newest version is not the released one; `wrong`: those that no run left right. A table
    that did not move has nothing to hold back, and holds nothing that was built from it: readers see that version.
    """
    held = {
        name: (cause, tuple(o for o in upstream.get(name, ()) if o in wrong) if cause is Cause.BLOCKED else ())
        for name, cause in wrong.items()
    }
    # what a model scores goes by itself: a model that cannot score keeps no figures of its mart from readers
    scored = {
        name for name, sources in upstream.items() if any(one.startswith(f"{catalog.MODELS}.") for one in sources)
    }
    marts = {name: "" if name in scored else _mart(name) for name in upstream}
    before = -1
    while len(held) != before:  # until nothing more stays behind: foreign keys and marts go in circles
        before = len(held)
        for name in sorted(set(moved) - held.keys()):
            if above := tuple(other for other in upstream[name] if other in held and other in moved):
                held[name] = Cause.UPSTREAM, above
            elif beside := tuple(other for other in sorted(held) if marts.get(other) == marts[name] != ""):
                held[name] = Cause.MART, beside
    return held


def record(engine: DuckEngine, data: Path, run: runs.Run, release: Release) -> bool:
    """Make what was decided the newest release, unless no version moved; returns whether one did.

    Where only standings changed, they are recorded in a commit without rows: that is no new release. One is made where
    a table's sources became old or right again: its rows say so.
    """
    before = newest_release(data)
    names = release.behind.keys() | before.behind.keys()
    if release.versions != before.versions or any(_seen_old(release, n) != _seen_old(before, n) for n in names):
        add(engine, data, run, release)
        return True
    if release.behind != before.behind:
        records.append(engine, data, TABLE, Entry, [], info=_info(release))
    return False


def add(engine: DuckEngine, data: Path, run: runs.Run, release: Release) -> None:
    """Make these versions the newest release, under the run's id."""
    moment, number, found = run.clock(), following(data), release.revision
    commit, dirty = (found.commit, found.dirty) if found else (None, None)
    entries = [
        Entry(
            run_id=run.run_id,
            released_at=moment,
            table=name,
            version=version,
            number=number,
            as_of=release.as_of.get(name),
            git_commit=commit,
            git_dirty=dirty,
            draft=name in release.drafts,
            old_sources=json.dumps([asdict(old) for old in _seen_old(release, name)]),
        )
        for name, version in sorted(release.versions.items())
    ]
    records.append(engine, data, TABLE, Entry, entries, info=_info(release))


def following(data: Path) -> int:
    """Return the number that the next release gets: the table's next version, for that never goes back."""
    table = lake.open_table(lake.table_path(data, TABLE))
    return table.version + 1 if table else 1


def published(engine: DuckEngine, data: Path) -> lake.Snapshot | None:
    """Make `releases` readable, with a `nth` that grows with each release; returns the table, None where it is not.

    Those of before there were numbers come first, in the order of their times.
    """
    table = lake.open_table(lake.table_path(data, TABLE))
    if table:
        scan = engine.scan(table, evolved=True)
        number = "number" if "number" in table.columns else "NULL"
        order = f"coalesce({number}, 0), released_at"
        engine.view("releases", f"SELECT *, dense_rank() OVER (ORDER BY {order}) AS nth FROM {scan}")
    return table


def named(engine: DuckEngine, data: Path, run_id: str) -> dict[str, int]:
    """Return the table versions as they were when a run ended: its release, or the newest one before it.

    Raises:
        UsageError: no run of that name, or no release that old.
    """
    nth = _nth(engine, data, run_id)
    return dict(engine.rows(f'SELECT "table", version FROM releases WHERE nth = {nth}'))


def revision_of(engine: DuckEngine, data: Path, run_id: str) -> Revision | None:
    """Return what the project's contracts and models stood at in the release of a run; None where nothing says so.

    Raises:
        UsageError: no run of that name, or no release that old.
    """
    nth, table = _nth(engine, data, run_id), published(engine, data)
    if table is None or "git_commit" not in table.columns:
        return None
    from src.run.revision import Revision

    commit, dirty = engine.one(f"SELECT any_value(git_commit), any_value(git_dirty) FROM releases WHERE nth = {nth}")
    return Revision(commit, bool(dirty)) if commit else None


def _nth(engine: DuckEngine, data: Path, run_id: str) -> int:
    """Return which of the releases was the newest when a run ended; `releases` is readable then."""
    there = catalog.tables(data)
    if catalog.RUNS not in there or published(engine, data) is None:
        raise UsageError("there is no release yet", fix="run `make pipeline` first")
    catalog.publish(engine, {catalog.RUNS: there[catalog.RUNS]})
    before = "releases" if "releases" in engine.columns("FROM ops.pipeline_runs") else "NULL"
    ended = engine.rows(
        f"SELECT end_time::VARCHAR, {before} FROM ops.pipeline_runs WHERE layer = 'run' AND run_id = '{_word(run_id)}'"
    )
    if not ended:
        known = engine.values("SELECT run_id FROM releases GROUP BY run_id ORDER BY max(nth) DESC LIMIT 5")
        raise UsageError(f"no run {run_id}", fix=f"the newest releases are {', '.join(known)}")
    moment, count = ended[0]
    earlier = f"released_at <= TIMESTAMPTZ '{moment}'" if count is None else f"coalesce(number, 0) <= {count}"
    nth = engine.one(
        f"SELECT coalesce((SELECT max(nth) FROM releases WHERE run_id = '{_word(run_id)}'), "
        f"(SELECT max(nth) FROM releases WHERE {earlier}))"
    )[0]
    if nth is None:
        raise UsageError(f"no release as old as run {run_id}", fix="name a later run")
    return int(nth)


def all_of(engine: DuckEngine, data: Path) -> dict[str, dict[str, int]]:
    """Table versions of every release by its run id, the newest first."""
    found: dict[str, dict[str, int]] = {}
    if published(engine, data):
        for run_id, name, version in engine.rows('SELECT run_id, "table", version FROM releases ORDER BY nth DESC'):
            found.setdefault(run_id, {})[name] = version
    return found


def runs_of(engine: DuckEngine, data: Path, versions: Mapping[str, int]) -> dict[str, str]:
    """Return for each of these versions the run whose data it has, as far as releases tell.

    Releases of before they said so tell the first one that had this version.
    """
    if (table := published(engine, data)) is None:
        return {}
    as_of = "as_of" if "as_of" in table.columns else "NULL"
    rows = engine.rows(
        f'SELECT "table", version, coalesce(arg_max({as_of}, nth), arg_min(run_id, nth)) FROM releases GROUP BY ALL'
    )
    return {name: run_id for name, version, run_id in rows if versions.get(name) == version}


def with_old_sources(engine: DuckEngine, data: Path, versions: Mapping[str, int]) -> dict[str, tuple[OldSource, ...]]:
    """Return which of these tables have old sources in these versions, as the newest release with them says."""
    if (table := published(engine, data)) is None or "old_sources" not in table.columns:
        return {}
    rows = engine.rows('SELECT "table", version, last(old_sources ORDER BY nth) FROM releases GROUP BY ALL')
    found = {name: json.loads(old) for name, version, old in rows if old and versions.get(name) == version}
    return {name: tuple(map(_old_source, old)) for name, old in found.items() if old}


def newest_release(data: Path) -> Release:
    """Return the newest release; an empty one where there is none.

    Raises:
        MachineError: its record is damaged.
    """
    root = lake.table_path(data, TABLE)
    table = lake.open_table(root)
    for version in range(table.version, 0, -1) if table else ():
        found = lake.commit_info(root, version)
        if found.get(_KEY):
            try:
                versions = {name: int(at) for name, at in json.loads(found[_KEY]).items()}
                as_of = {name: str(run_id) for name, run_id in json.loads(found.get(_AS_OF, "{}")).items()}
                behind = map(_standing, json.loads(found.get(_BEHIND, "[]")))
                drafts = frozenset(map(str, json.loads(found.get(_DRAFTS, "[]"))))
                return Release(versions, as_of, {standing.table: standing for standing in behind}, drafts=drafts)
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise lake.damaged(root, f"version {version} names no release: {error}") from error
    return Release()


def _info(release: Release) -> dict[str, str]:
    return {
        _KEY: json.dumps(dict(release.versions)),
        _AS_OF: json.dumps(dict(release.as_of)),
        _BEHIND: json.dumps([_stored(standing) for standing in release.behind.values()]),
        _DRAFTS: json.dumps(sorted(release.drafts)),
    }


def _stored(standing: Standing) -> dict[str, Any]:
    """Return a standing as it is recorded; an earlier Boathouse reads one without old sources."""
    return {name: value for name, value in asdict(standing).items() if value or name not in ("old", "built_old")}


def _standing(stored: dict[str, Any]) -> Standing:
    old = {name: tuple(map(_old_source, stored.get(name, ()))) for name in ("old", "built_old")}
    cause = Cause(stored["cause"]) if stored["cause"] else None
    return Standing(**{**stored, "cause": cause, "held_by": tuple(stored["held_by"]), **old})


def _old_source(stored: dict[str, Any]) -> OldSource:
    return OldSource(**{**stored, "cause": Cause(stored["cause"]), "held_by": tuple(stored["held_by"])})


def _current(data: Path) -> dict[str, int]:
    """Return the newest version of every table on disk that a release may name."""
    names = filter(catalog.is_released, catalog.tables(data))
    opened = {name: lake.open_table(lake.table_path(data, name)) for name in names}
    return {name: table.version for name, table in opened.items() if table}


def _versions(
    released: Mapping[str, int],
    current: Mapping[str, int],
    upstream: Collection[str],
    moved: Collection[str],
    held: Collection[str],
) -> dict[str, int]:
    """Return the versions of a release: the newest of what goes, the released ones of what stays behind."""
    goes = {name for name in moved if name not in held}
    for name in current:  # what lies beside a silver table goes with it
        if owner_of(name) != name and owner_of(name) in upstream and owner_of(name) not in held:
            goes.add(name)
        if name.startswith("quarantine."):  # rejected rows are looked at whatever became of the table without them
            goes.add(name)
    versions = {**released, **{name: current[name] for name in goes if name in current}}
    # one that is gone stays while a contract declares it: `make check` then says so
    return {name: version for name, version in versions.items() if name in current or owner_of(name) in upstream}


def _rewritten(run: runs.Run, name: str, version: int) -> int:
    """Return this version of a table, or the newer one if this run only compacted it (same rows, other files)."""
    since, now = run.rewritten.get(name, (version, version))
    return now if since == version else version


def _origins(name: str, held: Mapping[str, tuple[Cause, tuple[str, ...]]]) -> tuple[str, ...]:
    """Return the tables at which it begins that a table stays behind: those that nothing else holds."""
    seen: set[str] = set()
    found: set[str] = set()
    waiting = [name]
    while waiting:
        at = waiting.pop()
        if at not in seen:
            seen.add(at)
            waiting += held[at][1]
            found |= set() if held[at][1] or held[at][0] is Cause.BLOCKED else {at}
    return tuple(sorted(found))


def owner_of(name: str) -> str:
    """Return the table whose steps write a table: what lies beside a silver table is written with it."""
    layer, _, rest = name.partition(".")
    return f"silver.{rest}" if layer in ("quarantine", "deletions", "statements") else name


def _mart(name: str) -> str:
    """Return the mart of a gold table; nothing for any other."""
    return name.rpartition(".")[0] if name.startswith("gold.") else ""


def _word(text: str) -> str:
    return text.replace("'", "''")
