"""Backfill computes a slice of a table again, from bronze up through gold; what lies outside does not change.

Plan, print, do: `plan` computes the slice and says which partitions will be written again, `execute`
writes exactly these. Raw data is never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

from src.contract import Table
from src.engine import identifier
from src.errors import UsageError
from src.gold import aggregate
from src.gold.cut import Cut
from src.project import Project, Unbuilt, blocking, downstream, readable, sources, waits_for
from src.run import gold_step
from src.run.runs import Run
from src.silver import clean, slices
from src.workers import Others


@dataclass(frozen=True)
class BackfillPlan:
    """A slice ready to be written, the gold tables below it, and the partitions that will be written again."""

    table: Table
    part: slices.Slice | None  # None: only gold is computed again
    again: Mapping[str, str]  # source id: relation of the rows whose gold partitions are computed again
    gold: tuple[Table, ...]
    partitions: Mapping[str, list[str]]  # by table


def plan(
    project: Project,
    table_id: str,
    start: date | None,
    end: date | None,
    where: str | None,
    others: Others | None = None,
) -> BackfillPlan:
    """Compute a slice of a silver table, or name that of a gold table; changes nothing.

    `others` compute large tables in place of this process.

    Raises:
        UsageError: no such table, an empty slice description, or a condition a gold table cannot have.
    """
    table = project.declared(table_id)
    if table.scored_by:
        fix = f"`main.py rebuild --table {table.id}` scores every row whose outcome is not known"
        raise UsageError(f"{table.id} has no slice to compute: its rows are scored one by one", fix=fix)
    if table.layer == "gold":
        return _gold_plan(project, table, start, end, where)
    places, condition = clean.Places.of_table(table, project.path), _condition(table, start, end, where)
    part = slices.cut(project.engine, table, places, condition, others.whole if others else None)
    again = {table.id: part.changed}
    gold = _ready_below(project, table)
    direct = [mart for mart in gold if table.id in mart.sources]
    partitions = {table.id: list(part.partitions)} | {mart.id: _partitions(project, mart, again) for mart in direct}
    return BackfillPlan(table, part, again, gold, partitions)


@dataclass(frozen=True)
class PlannedPartition:
    """One partition that will be written again."""

    table: str
    partition: str


def partitions(planned: BackfillPlan) -> list[PlannedPartition]:
    """Return the partitions that will be written again."""
    return [PlannedPartition(table, name) for table, names in planned.partitions.items() for name in names]


def execute(project: Project, planned: BackfillPlan, run: Run, others: Others | None = None) -> None:
    """Write what was planned, as steps of a run; `others` are those of `plan`."""
    engine, batch = project.engine, run.run_id
    if planned.part:
        places = clean.Places.of_table(planned.table, project.path)
        run.step(planned.table.id, partial(slices.backfill, engine, planned.table, places, planned.part, batch=batch))
    for mart in planned.gold:
        work = partial(
            gold_step.build, project, mart, run, again=planned.again, others=others.slabs if others else None
        )
        run.step(mart.id, work, needs=blocking(mart))


def _gold_plan(project: Project, table: Table, start: date | None, end: date | None, where: str | None) -> BackfillPlan:
    if where:
        raise UsageError(
            "--where with a gold table", fix="a partition of gold is computed whole: give --start and --end"
        )
    again = {}
    for name, source in sources(project, table).items():
        if isinstance(source, Unbuilt):
            continue
        scan = project.engine.scan(source)
        again[name] = f"(SELECT * FROM {scan} WHERE {_condition(project.declared(name), start, end, None)})"
    gold = (table, *_ready_below(project, table))
    return BackfillPlan(table, None, again, gold, {table.id: _partitions(project, table, again)})


def _ready_below(project: Project, table: Table) -> tuple[Table, ...]:
    """Return the gold tables that stand on a table, without those that still wait for another source."""
    return tuple(mart for mart in downstream(project, {table.id}) if not waits_for(mart, readable(project, mart)))


def _partitions(project: Project, mart: Table, again: Mapping[str, str]) -> list[str]:
    if mart.scored_by:
        return ["the rows whose features change"]
    found: set[str] = set()
    read = sources(project, mart)
    way = aggregate.way_of(project.engine, mart, project.table(mart.id), read, project.proof(mart))
    cut = Cut(project.engine, mart, read, way.cuts)
    for name, rows in again.items():
        found.update(aggregate.partitions_of(cut, name, rows))
    return sorted(found)


def _condition(table: Table, start: date | None, end: date | None, where: str | None) -> str:
    """Return the slice as an SQL condition over the table's columns; the end day is part of it."""
    parts = [f"({where})"] if where else []
    if start or end:
        if table.business_date is None:
            fix = "name it in the contract: customProperties businessDate; or use --where"
            raise UsageError(f"{table.id} has no business date", where=table.path, fix=fix)
        day = f"{identifier(table.business_date)}::DATE"
        parts += [f"{day} >= DATE '{start}'"] if start else []
        parts += [f"{day} <= DATE '{end}'"] if end else []
    if not parts:
        raise UsageError("no slice", fix='say which rows: --start, --end, --where "column = value"')
    return " AND ".join(parts)
