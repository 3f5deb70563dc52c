"""Schema versions: a table says on itself under which contract its rows were built; here the two are compared.

`list` shows both and what differs, `verify` fails where a table's tags are not those of its contract, and
`retag` rewrites them where only the tags are wrong. Nothing here touches a row: that is for the next run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src import console, contract, lake
from src.contract import Table
from src.errors import ContractError
from src.maintenance import moved
from src.project import new_run_id, open_engine
from src.run import lock, runs
from src.run.kinds import RunKind
from src.settings import Settings

_RETAG, _RUN = "make schema-version VERB=retag", "make pipeline"


@dataclass(frozen=True)
class VersionState:
    """The version of one declared table: as stored, how it differs from the contract, and the fix."""

    table: Table
    stored: lake.Snapshot | None = None
    version: str | None = None  # as its tags say
    drift: str = ""  # empty: the tags are those of the contract
    fix: str = ""


def states(data: Path, tables: Iterable[Table]) -> list[VersionState]:
    """Return every declared table as it lies at `data`, in the order of the contracts."""
    return [_state(table, lake.open_table(lake.table_path(data, table.id))) for table in tables]


def retag(data: Path, tables: Iterable[Table]) -> list[str]:
    """Write the tags of the tables whose rows are those of their contract; returns the ids of those that changed."""
    wrong = [(state.table, state.stored) for state in states(data, tables) if state.fix == _RETAG]
    for table, stored in wrong:
        if stored:
            lake.set_properties(stored, contract.tags(table, stored))
    return [table.id for table, _ in wrong]


@dataclass(frozen=True)
class TableVersion:
    """One declared table, for a person: the version of its contract, that on the table, what differs and its fix."""

    table: str
    built: bool
    contract: str
    status: str  # of the contract: draft, active, ...
    stored: str | None
    drift: str
    fix: str


def read_versions(settings: Settings) -> list[TableVersion]:
    """Return every declared table of a project as it lies in the lake, in the order of the contracts."""
    found = states(settings.data_dir, _declared(settings))
    return [
        TableVersion(s.table.id, s.stored is not None, s.table.version, s.table.status, s.version, s.drift, s.fix)
        for s in found
    ]


def print_versions(found: Iterable[TableVersion]) -> None:
    """Print declared tables with what differs."""
    headers = ("table", "contract", "stored", "drift", "fix")
    rows = [(one.table, one.contract + _mark(one.status), one.stored, one.drift, one.fix) for one in found]
    console.table(headers, rows)


def _mark(status: str) -> str:
    return " (draft)" if status == "draft" else ""


def retag_alone(settings: Settings, now: datetime) -> list[str]:
    """Retag while no run is going; returns the ids of the tables that changed.

    A run found dead on the way is recorded, as the next run would have done.
    """
    data, run_id = settings.data_dir, new_run_id(now)
    with lock.lock_lake(data, command=_RETAG, run_id=run_id, now=now) as dead:
        if dead:
            run = runs.Run(run_id, runs.window(now.date(), None, None), lambda: now, _RETAG, RunKind.RETAG)
            run.interrupted(dead)
            with open_engine(settings) as engine:
                runs.write(engine, data, run)
        return retag(data, _declared(settings))


def _declared(settings: Settings) -> list[Table]:
    contracts = contract.load(settings.source)
    return [*contracts.silver.values(), *contracts.gold.values()]


def _state(table: Table, stored: lake.Snapshot | None) -> VersionState:
    if stored is None:
        return VersionState(table, drift="not built yet", fix=_RUN)
    table = contract.as_stored(table, stored.properties)
    tagged = contract.tagged(stored.properties)
    version = tagged.version if tagged else None
    return VersionState(table, stored, version, *_drift(table, stored, version))


def _drift(table: Table, stored: lake.Snapshot, version: str | None) -> tuple[str, str]:
    """Return how a table's tags differ from its contract, and the fix; both are '' where they do not."""
    try:
        if not contract.is_current(table, stored):
            return contract.why_rebuild(table, stored.properties), _RUN
        if contract.is_draft(stored.properties):
            contract.check_version(table, stored.properties)
        elif version and not table.is_draft:  # rows are right whatever the tags say; a version that goes down is not
            contract.check_bump(table, contract.logic(table), version)
    except ContractError as error:
        return error.what.removeprefix(f"{table.id}: "), error.fix or ""
    wrong = contract.wrong_tags(table, stored)
    return (f"not as the contract says: {', '.join(wrong)}", _RETAG) if wrong else ("", "")


if __name__ == "__main__":
    moved.to("schema-version")
