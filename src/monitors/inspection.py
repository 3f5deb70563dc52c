"""Inspection of tables: rows in each layer, duplicate keys, differences from the contract, days without rows.

It reads the newest versions and changes nothing. A hole is a day between the first and the last business date on which
there is no row; whether the business rests on that day is for the reader to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from src import console
from src.contract import Table
from src.engine import identifier
from src.lake import Snapshot
from src.project import Project
from src.run import releases
from src.run.releases import Standing
from src.silver import winners

_HOLES = 3  # spans of days without rows that are shown, the newest


@dataclass(frozen=True)
class TableInspection:
    """The findings in one table at its newest version."""

    table: str
    bronze: int | None  # rows of its feeds; None for gold
    merged: int | None  # rows of bronze neither here nor in quarantine: duplicates, older versions, deletions
    quarantined: int | None  # None for gold
    rows: int
    duplicate_keys: int | None  # keys with more than one row; None for gold, whose tables need no key
    structure: tuple[str, ...]  # what differs from the contract
    first: date | None
    last: date | None
    days: int  # with rows
    holes: tuple[tuple[date, date], ...]  # spans without rows, both ends included


@dataclass(frozen=True)
class Inspection:
    """The tables that are built, and the names of those that are not."""

    tables: tuple[TableInspection, ...]
    not_built: tuple[str, ...]
    behind: tuple[Standing, ...]  # the tables of which readers see an earlier run's data


def read_inspection(project: Project, tables: Sequence[Table]) -> Inspection:
    """Inspect the newest version of each of these tables; changes nothing.

    Raises:
        EnvironmentFault: a table is damaged.
    """
    snapshots = {table.id: project.table(table.id) for table in tables}
    found = (_inspect(project, table, snapshot) for table in tables if (snapshot := snapshots[table.id]))
    not_built = tuple(name for name, snapshot in snapshots.items() if snapshot is None)
    behind = releases.behind(project.settings.data_dir)
    return Inspection(tuple(found), not_built, tuple(behind[name] for name in snapshots if name in behind))


def print_inspection(inspection: Inspection) -> None:
    """Print an inspection as three tables: rows, days, differences from the contracts."""
    found = inspection.tables
    headers = ("table", "bronze", "merged away", "quarantined", "rows", "duplicate keys")
    console.table(headers, [(i.table, i.bronze, i.merged, i.quarantined, i.rows, i.duplicate_keys) for i in found])
    print()
    console.table(
        ("table", "first day", "last day", "days", "holes", "the newest holes"),
        [(i.table, i.first, i.last, i.days, len(i.holes), _spans(i.holes)) for i in found if i.first],
    )
    print()
    differences = [(table.table, text) for table in found for text in table.structure]
    if differences:
        console.table(("table", "not as the contract says"), differences)
    else:
        print(f"{len(found)} tables have the columns that their contracts say")
    if inspection.not_built:
        print(f"not built yet: {', '.join(inspection.not_built)}")
    for standing in inspection.behind:
        print(f"readers see {releases.describe(standing)}")


def _inspect(project: Project, table: Table, found: Snapshot) -> TableInspection:
    bronze = merged = quarantined = duplicate_keys = None
    if table.layer == "silver":
        quarantine = project.table(f"quarantine.{table.domain}.{table.name}")
        bronze = sum(feed.rows for feed in project.built([feed.id for feed in table.feeds]).values())
        quarantined = quarantine.rows if quarantine else 0
        merged = bronze - found.rows - quarantined
        duplicate_keys = winners.duplicate_keys(project.engine, table, _scan(project, found), found.rows)
    days = _days(project, table, found)
    return TableInspection(
        table=table.id,
        bronze=bronze,
        merged=merged,
        quarantined=quarantined,
        rows=found.rows,
        duplicate_keys=duplicate_keys,
        structure=tuple(_structure(table, found)),
        first=min(days, default=None),
        last=max(days, default=None),
        days=len(days),
        holes=tuple(_holes(days)),
    )


def _structure(table: Table, found: Snapshot) -> Iterator[str]:
    """Yield a line for each column that is missing, not declared, or of another type than the contract says."""
    declared = table.stored_columns
    for name, kind in declared.items():
        if name not in found.columns:
            yield f"no column {name}"
        elif found.columns[name] != kind:
            yield f"column {name} is {found.columns[name]}, the contract says {kind}"
    yield from (f"column {name} is not in the contract" for name in found.columns if name not in declared)


def _days(project: Project, table: Table, found: Snapshot) -> list[date]:
    """Return the business days that have rows, in order; none where the table has no business date."""
    if table.business_date not in found.columns:
        return []
    day = f"{identifier(table.business_date)}::DATE"
    return project.engine.values(
        f"SELECT DISTINCT {day} FROM {_scan(project, found)} WHERE {day} IS NOT NULL ORDER BY 1"
    )


def _holes(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield the spans of days without rows between the first and the last, both ends included.

    Where every day is the first of a month, it stands for the month.
    """
    usual = timedelta(days=31 if all(day.day == 1 for day in days) else 1)
    for before, after in pairwise(days):
        if after - before > usual:
            yield before + timedelta(days=1), after - timedelta(days=1)


def _spans(holes: Sequence[tuple[date, date]]) -> str:
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in holes[-_HOLES:]]
    return ", ".join(shown)


def _scan(project: Project, found: Snapshot) -> str:
    return project.engine.scan(found, evolved=True)
