"""A release is the set of table versions that belong together; readers see one, rollback restores one.

A run's release takes the new versions of the tables whose whole family (what they read, and what
reads them) went through; the others stay at the versions of the release before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src import catalog, lake
from src.engine import DuckEngine
from src.errors import UsageError
from src.run import runs

TABLE = "ops.releases"
_KEY = "release"  # in the commit that adds a release: its versions, so that the newest is one small read


@dataclass(frozen=True)
class Entry:
    """One table of a release. `run_id` names the release."""

    run_id: str
    released_at: datetime
    table: str
    version: int
    number: int | None = None  # counts up with each release, whatever the clock said; earlier ones have none


def newest(data: Path) -> dict[str, int]:
    """Table versions of the newest release; empty where there is none.

    Raises:
        MachineError: its record is damaged.
    """
    table = lake.open_table(lake.table_path(data, TABLE))
    for version in range(table.version, 0, -1) if table else ():
        found = lake.commit_info(lake.table_path(data, TABLE), version).get(_KEY)
        if found:
            try:
                return {name: int(at) for name, at in json.loads(found).items()}
            except (ValueError, TypeError, AttributeError) as error:
                raise lake.damaged(
                    lake.table_path(data, TABLE), f"version {version} names no release: {error}"
                ) from error
    return {}


def record(engine: DuckEngine, data: Path, run: runs.Run, needs: Mapping[str, Iterable[str]]) -> bool:
    """Add the release of a run that is over, unless nothing moved; `needs`: what each table is built from.

    Returns whether there is a new one.
    """
    recorded = newest(data)
    before = {name: _advanced(run, name, version) for name, version in recorded.items()}
    current = {name: table.version for name, root in catalog.tables(data).items() if (table := lake.open_table(root))}
    still = {name for name, version in before.items() if current.get(name) == version}
    still |= {name for name in needs if name not in current and name not in before}  # nobody waits for what never was
    through = _through(run, needs, still)
    versions = before | {name: version for name, version in current.items() if _owner(name) in through}
    # one that is gone stays while a contract declares it: `make check` then says so
    versions = {name: version for name, version in versions.items() if name in current or _owner(name) in needs}
    # rows that were rejected are looked at whatever became of their table, which is released without them
    versions |= {name: version for name, version in current.items() if name.startswith("quarantine.")}
    if versions == recorded:
        return False
    add(engine, data, run, versions)
    return True


def _advanced(run: runs.Run, name: str, version: int) -> int:
    """The version of a table that has the rows of the released one, where this run only rewrote them."""
    since, now = run.rewritten.get(name, (version, version))
    return now if since == version else version


def add(engine: DuckEngine, data: Path, run: runs.Run, versions: Mapping[str, int]) -> None:
    """Make these versions the newest release, under the run's id."""
    moment = run.clock()
    number = following(data)
    entries = [Entry(run.run_id, moment, name, version, number) for name, version in sorted(versions.items())]
    runs.append(engine, data, TABLE, Entry, entries, info={_KEY: json.dumps(dict(versions))})


def following(data: Path) -> int:
    """The number that the next release gets: the table's next version, for that never goes back."""
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


def _owner(name: str) -> str:
    """The table whose steps write a table: what lies beside a silver table is written with it."""
    layer, _, rest = name.partition(".")
    return f"silver.{rest}" if layer in ("quarantine", "deletions") else name


def named(engine: DuckEngine, data: Path, run_id: str) -> dict[str, int]:
    """Table versions as they were when a run ended: its release, or the newest one before it.

    Raises:
        UsageError: no run of that name, or no release that old.
    """
    there = catalog.tables(data)
    if runs.TABLE not in there or published(engine, data) is None:
        raise UsageError("there is no release yet", fix="run `make pipeline` first")
    catalog.publish(engine, {runs.TABLE: there[runs.TABLE]})
    before = "releases" if "releases" in engine.columns("FROM ops.pipeline_runs") else "NULL"
    ended = engine.rows(
        f"SELECT end_time::VARCHAR, {before} FROM ops.pipeline_runs WHERE layer = 'run' AND run_id = '{_word(run_id)}'"
    )
    if not ended:
        known = engine.values("SELECT run_id FROM releases GROUP BY run_id ORDER BY max(nth) DESC LIMIT 5")
        raise UsageError(f"no run {run_id}", fix=f"the newest releases are {', '.join(known)}")
    moment, count = ended[0]
    earlier = f"released_at <= TIMESTAMPTZ '{moment}'" if count is None else f"coalesce(number, 0) <= {count}"
    rows = engine.rows(
        'SELECT "table", version FROM releases WHERE nth = coalesce('
        f"(SELECT max(nth) FROM releases WHERE run_id = '{_word(run_id)}'), "
        f"(SELECT max(nth) FROM releases WHERE {earlier}))"
    )
    if not rows:
        raise UsageError(f"no release as old as run {run_id}", fix="name a later run")
    return dict(rows)


def all_of(engine: DuckEngine, data: Path) -> dict[str, dict[str, int]]:
    """Table versions of every release by its run id, the newest first."""
    found: dict[str, dict[str, int]] = {}
    if published(engine, data):
        for run_id, name, version in engine.rows('SELECT run_id, "table", version FROM releases ORDER BY nth DESC'):
            found.setdefault(run_id, {})[name] = version
    return found


def _word(text: str) -> str:
    return text.replace("'", "''")


def _through(run: runs.Run, needs: Mapping[str, Iterable[str]], still: set[str]) -> set[str]:
    """The tables in whose family every member was done by this run or is where the last release left it."""
    family: dict[str, set[str]] = {}
    for table, others in needs.items():
        joined = {table}.union(*(family.get(name, {name}) for name in (table, *others)))
        for name in joined:
            family[name] = joined
    done = {f"{step.layer}.{step.domain}.{step.table}" for step in run.records if step.status == "success"}
    ill = {*run.failures, *run.blocked}
    return {name for name, members in family.items() if members <= (done | still) - ill}
