"""A replay before it is done: which rejected rows of a table would pass its contract as it is now; kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass

from src import contract, lake
from src.contract import Table
from src.errors import UsageError
from src.project import Project, downstream
from src.silver import incoming
from src.silver.batch import Batch

MOST = 1_000_000  # rows of bronze that are tried; more take longer than anybody looks at a screen


@dataclass(frozen=True)
class Replay:
    """A replay of a table that is not done yet.

    `passing`: of its rejected rows; None: not counted, as bronze has more rows than `MOST`. `rejected`: the rows in
    quarantine after it, with those that pass no more; None as above.
    """

    table: str
    quarantined: int
    is_current: bool  # the rows were refused under the contract as it is: nothing would change
    version: str  # of the contract
    passing: int | None
    rejected: int | None
    downstream: tuple[str, ...]  # the tables that are computed again after it


def read_replay(project: Project, table: Table) -> Replay:
    """Compute what a replay of a silver table would do; changes nothing.

    Raises:
        UsageError: the table has no quarantine.
        ContractError: the contract does not fit what is in bronze.
    """
    name = f"quarantine.{table.domain}.{table.name}"
    beside = project.table(name)
    if beside is None:
        raise UsageError(f"{table.id} has no quarantine", fix="`quarantine list` names the tables that have one")
    is_current = changes_nothing(project, table)
    passing, rejected = (0, beside.rows) if is_current else _tried(project, table, beside)
    below = tuple(mart.id for mart in downstream(project, {table.id}))
    return Replay(table.id, beside.rows, is_current, table.version, passing, rejected, below)


def changes_nothing(project: Project, table: Table) -> bool:
    """Return whether the rows of a table were taken and refused under its contract as it is now."""
    stored = project.table(table.id)
    return stored is not None and contract.is_current(table, stored)


def _tried(project: Project, table: Table, beside: lake.Snapshot) -> tuple[int | None, int | None]:
    engine = project.engine
    bronze = [(feed, found) for feed in table.feeds if (found := project.table(feed.id))]
    if sum(found.rows for _, found in bronze) > MOST:
        return None, None
    incoming.compute(engine, table, [(feed, found, found.files) for feed, found in bronze])
    before = f"(SELECT DISTINCT _file, _row FROM {engine.scan(beside)})"
    passing = f"SELECT count(*) FROM {before} ANTI JOIN {Batch.REJECTED} USING (_file, _row)"
    return int(engine.one(passing)[0]), int(engine.one(f"SELECT count(*) FROM {Batch.REJECTED}")[0])
