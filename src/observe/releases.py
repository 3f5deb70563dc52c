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

from src import lake
from src.engine import DuckEngine
from src.errors import UsageError
from src.observe import query, runs

TABLE = "ops.releases"
_KEY = "release"  # in the commit that adds a release: its versions, so that the newest is one small read


@dataclass(frozen=True)
class Entry:
    """One table of a release. `run_id` names the release."""

    run_id: str
    released_at: datetime
    table: str
    version: int


def newest(data: Path) -> dict[str, int]:
    """Table versions of the newest release; empty where there is none."""
    table = lake.open_table(lake.place(data, TABLE))
    for version in range(table.version, 0, -1) if table else ():
        found = lake.commit_info(lake.place(data, TABLE), version).get(_KEY)
        if found:
            return {name: int(at) for name, at in json.loads(found).items()}
    return {}


def record(engine: DuckEngine, data: Path, run: runs.Run, needs: Mapping[str, Iterable[str]]) -> bool:
    """Add the release of a run that is over, unless nothing moved; `needs`: what each table is built from.

    Returns whether there is a new one.
    """
    recorded = newest(data)
    before = {name: _advanced(run, name, version) for name, version in recorded.items()}
    current = {name: table.version for name, root in query.tables(data).items() if (table := lake.open_table(root))}
    still = {name for name, version in before.items() if current.get(name) == version}
    still |= {name for name in needs if name not in current and name not in before}  # nobody waits for what never was
    through = _through(run, needs, still)
    versions = before | {name: version for name, version in current.items() if _owner(name) in through}
    if versions == recorded:
        return False
    add(engine, data, run, versions)
    return True


def _advanced(run: runs.Run, name: str, version: int) -> int:
    """The version of a table that has the rows of the released one, where this run only wrote them anew."""
    since, now = run.rewritten.get(name, (version, version))
    return now if since == version else version


def add(engine: DuckEngine, data: Path, run: runs.Run, versions: Mapping[str, int]) -> None:
    """Make these versions the newest release, under the run's id."""
    moment = run.clock()
    entries = [Entry(run.run_id, moment, name, version) for name, version in sorted(versions.items())]
    runs.append(engine, data, TABLE, Entry, entries, info={_KEY: json.dumps(dict(versions))})


def _owner(name: str) -> str:
    """The table whose steps write a table: what lies beside a silver table is written with it."""
    layer, _, rest = name.partition(".")
    return f"silver.{rest}" if layer in ("quarantine", "deletions") else name


def named(engine: DuckEngine, data: Path, run_id: str) -> dict[str, int]:
    """Table versions as they were when a run ended: its release, or the newest one before it.

    Raises:
        UsageError: no run of that name, or no release that old.
    """
    there = query.tables(data)
    if TABLE not in there or runs.TABLE not in there:
        raise UsageError("there is no release yet", fix="run `make pipeline` first")
    query.publish(engine, {name: there[name] for name in (TABLE, runs.TABLE)})
    ended = engine.values(
        f"SELECT end_time::VARCHAR FROM ops.pipeline_runs WHERE layer = 'run' AND run_id = '{_word(run_id)}'"
    )
    if not ended:
        known = engine.values("SELECT DISTINCT run_id FROM ops.releases ORDER BY run_id DESC LIMIT 5")
        raise UsageError(f"no run {run_id}", fix=f"the newest releases are {', '.join(known)}")
    rows = engine.rows(
        'SELECT "table", version FROM ops.releases WHERE released_at = (SELECT max(released_at) FROM ops.releases '
        f"WHERE run_id = '{_word(run_id)}' OR released_at <= TIMESTAMPTZ '{ended[0]}')"
    )
    if not rows:
        raise UsageError(f"no release as old as run {run_id}", fix="name a later run")
    return dict(rows)


def all_of(engine: DuckEngine, data: Path) -> dict[str, dict[str, int]]:
    """Table versions of every release by its run id, the newest first."""
    root = lake.place(data, TABLE)
    if lake.open_table(root) is None:
        return {}
    query.publish(engine, {TABLE: root})
    found: dict[str, dict[str, int]] = {}
    for run_id, name, version in engine.rows(
        'SELECT run_id, "table", version FROM ops.releases ORDER BY released_at DESC, run_id DESC'
    ):
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
