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


def show(settings: Settings, verb: str, now: datetime) -> int:
    """Do one of list, verify and retag for the contracts of the project; returns the exit code."""
    contracts = contract.load(settings.source)
    tables = [*contracts.silver.values(), *contracts.gold.values()]
    if verb == "retag":
        changed = _retag_alone(settings, tables, now)
        print("\n".join(f"{table_id}: tags written" for table_id in changed) or "0 changed")
        return 0
    found = states(settings.data_dir, tables)
    if verb == "list":
        _print(found)
        return 0
    built = [state for state in found if state.stored]
    wrong = [state for state in built if state.drift]
    if wrong:
        _print(wrong)
        return 1
    print(f"{len(built)} tables verified: each says the version its rows were built under")
    return 0


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
        if version:  # the rows are right whatever the tags say; a version that goes down is not
            contract.check_bump(table, contract.logic(table), version)
    except ContractError as error:
        return error.what.removeprefix(f"{table.id}: "), error.fix or ""
    wrong = contract.wrong_tags(table, stored)
    return (f"not as the contract says: {', '.join(wrong)}", _RETAG) if wrong else ("", "")


def _print(found: Iterable[VersionState]) -> None:
    headers = ("table", "contract", "stored", "drift", "fix")
    console.table(headers, [(s.table.id, s.table.version, s.version, s.drift, s.fix) for s in found])


def _retag_alone(settings: Settings, tables: Iterable[Table], now: datetime) -> list[str]:
    """Write tags while no run is going; record a run that was found dead, as the next run would."""
    data, run_id = settings.data_dir, new_run_id(now)
    with lock.lock_lake(data, command=_RETAG, run_id=run_id, now=now) as dead:
        if dead:
            run = runs.Run(run_id, runs.window(now.date(), None, None), lambda: now, _RETAG, RunKind.RETAG)
            run.interrupted(dead)
            with open_engine(settings) as engine:
                runs.write(engine, data, run)
        return retag(data, tables)


if __name__ == "__main__":
    moved.to("schema-version")
