"""Inspect says of each table what a person asks first: rows in each layer, rows that are there twice, structure, holes.

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
from src.silver import winners

_HOLES = 3  # spans of days without rows that are told, the newest


@dataclass(frozen=True)
class Inspected:
    """One table. `twice`: keys with more than one row; `structure`: what differs from the contract."""

    table: str
    bronze: int | None  # rows of its feeds; None for gold
    quarantined: int | None
    rows: int
    twice: int | None  # None for gold, whose tables need no key
    structure: tuple[str, ...]
    first: date | None
    last: date | None
    days: int  # with rows
    holes: tuple[tuple[date, date], ...]

    @property
    def merged(self) -> int | None:
        """Rows of bronze that are neither in the table nor in quarantine: duplicates, older versions, deletions."""
        if self.bronze is None or self.quarantined is None:
            return None
        return self.bronze - self.rows - self.quarantined


def run(project: Project, tables: Sequence[Table]) -> Iterator[Inspected]:
    """Look at those of these tables that are built.

    Raises:
        MachineError: a table is damaged.
    """
    for table in tables:
        if found := project.table(table.id):
            yield _inspected(project, table, found)


def show(project: Project, tables: Sequence[Table]) -> None:
    """Print what there is to say of these tables."""
    found = list(run(project, tables))
    headers = ("table", "bronze", "merged away", "quarantined", "rows", "keys twice")
    console.table(headers, [(i.table, i.bronze, i.merged, i.quarantined, i.rows, i.twice) for i in found])
    print()
    dated = [inspected for inspected in found if inspected.first]
    console.table(
        ("table", "first day", "last day", "days", "holes", "the newest holes"),
        [(i.table, i.first, i.last, i.days, len(i.holes), _spans(i.holes)) for i in dated],
    )
    print()
    wrong = [(inspected.table, what) for inspected in found for what in inspected.structure]
    if wrong:
        console.table(("table", "not as the contract says"), wrong)
    else:
        print(f"{len(found)} tables have the columns that their contracts say")
    if missing := [table.id for table in tables if project.table(table.id) is None]:
        print(f"not built yet: {', '.join(missing)}")


def _inspected(project: Project, table: Table, found: Snapshot) -> Inspected:
    days = _days(project, table, found)
    silver = table.layer == "silver"
    feeds = project.built([feed.id for feed in table.feeds])
    quarantine = project.table(f"quarantine.{table.domain}.{table.name}") if silver else None
    return Inspected(
        table=table.id,
        bronze=sum(bronze.rows for bronze in feeds.values()) if silver else None,
        quarantined=(quarantine.rows if quarantine else 0) if silver else None,
        rows=found.rows,
        twice=winners.twice(project.engine, table, _scan(project, found)) if silver else None,
        structure=tuple(_structure(table, found)),
        first=min(days, default=None),
        last=max(days, default=None),
        days=len(days),
        holes=tuple(_holes(days)),
    )


def _structure(table: Table, found: Snapshot) -> Iterator[str]:
    """The columns that are not there, not declared, or of another type."""
    declared = table.stored_columns
    for name, kind in declared.items():
        if name not in found.columns:
            yield f"no column {name}"
        elif found.columns[name] != kind:
            yield f"column {name} is {found.columns[name]}, the contract says {kind}"
    yield from (f"column {name} is not in the contract" for name in found.columns if name not in declared)


def _days(project: Project, table: Table, found: Snapshot) -> list[date]:
    """The business days that have rows, in order; none where the table has no business date."""
    if table.business_date not in found.columns:
        return []
    day = f"{identifier(table.business_date)}::DATE"
    return project.engine.values(
        f"SELECT DISTINCT {day} FROM {_scan(project, found)} WHERE {day} IS NOT NULL ORDER BY 1"
    )


def _holes(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """The spans of days without rows between the first and the last, both ends included.

    Where every day is the first of a month, it stands for the month.
    """
    usual = timedelta(days=31 if all(day.day == 1 for day in days) else 1)
    for before, after in pairwise(days):
        if after - before > usual:
            yield before + timedelta(days=1), after - timedelta(days=1)


def _spans(holes: Sequence[tuple[date, date]]) -> str:
    told = [str(first) if first == last else f"{first} to {last}" for first, last in holes[-_HOLES:]]
    return ", ".join(told)


def _scan(project: Project, found: Snapshot) -> str:
    return project.engine.scan(found, evolved=True)
