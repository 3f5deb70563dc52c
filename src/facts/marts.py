"""A mart as its readers see it: what it means, the course of its measures, its newest rows, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from src import lake
from src.contract import Mart, Table
from src.engine import identifier
from src.errors import UsageError, from_os_error
from src.facts.measures import Course, read_course
from src.masking.masks import Masks, note
from src.project import Project
from src.run import releases
from src.run.releases import Standing

_README = "README.md"
_NEWEST = 20  # rows that are shown
_LONGEST = 200  # characters of a cell; the rest is left out


@dataclass(frozen=True)
class Rows:
    """Rows of a table as text; None where there is no value. `numeric`: which columns are numbers."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True)
class MartFacts:
    """A mart, and one table of it in the version that readers see."""

    mart: Mart
    table: Table
    version: int | None  # None: readers see nothing of the table yet
    course: Course | None  # None: no measure, or no row
    newest: Rows | None
    behind: Mapping[str, tuple[str, ...]]  # as of when readers see some of the mart's tables, and why not later
    readme: str
    masked: str | None = None  # which of its columns are masked, in a line


def main_table(mart: Mart) -> Table:
    """Return the table that a mart is looked at for: the first with a measure, else the first."""
    return next((table for table in mart.tables if table.measure), mart.tables[0])


def read_mart(
    project: Project, name: str, table: str | None, now: datetime, period: int | None, masks: Masks
) -> MartFacts:
    """Return a mart and one of its tables (the main one where none is named) at a moment (UTC), under masks.

    Raises:
        UsageError: there is no such mart or table.
        BoathouseError: the table cannot be read.
    """
    mart = find_mart(project, name)
    shown = find_table(mart, table) if table else main_table(mart)
    release = releases.newest_release(project.settings.data_dir)
    version = release.versions.get(shown.id)
    snapshot = None if version is None else lake.open_table(project.path(shown.id), version)
    own = [release.behind[one.id] for one in mart.tables if one.id in release.behind]
    return MartFacts(
        mart=mart,
        table=shown,
        version=version,
        course=read_course(project.engine, shown, snapshot, now.date(), period, masks) if snapshot else None,
        newest=_newest(project, shown, snapshot, now.date(), masks) if snapshot else None,
        behind=_by_reason(own),
        readme=_readme(mart),
        masked=note(masks, {shown.id: tuple(snapshot.columns)}) if snapshot else None,
    )


def _by_reason(standings: Sequence[Standing]) -> dict[str, tuple[str, ...]]:
    """Return by reason the tables that stay behind for it."""
    found: dict[str, tuple[str, ...]] = {}
    for standing in standings:
        reason = releases.describe(standing).removeprefix(f"{standing.table} ")
        found[reason] = (*found.get(reason, ()), standing.table)
    return found


def find_mart(project: Project, name: str) -> Mart:
    """Return a mart.

    Raises:
        UsageError: there is none of that name.
    """
    marts = project.contracts.marts
    if name not in marts:
        raise UsageError(f"no mart {name}", fix=f"the marts are {', '.join(sorted(marts))}")
    return marts[name]


def find_table(mart: Mart, name: str) -> Table:
    """Return a table of a mart.

    Raises:
        UsageError: there is none of that name.
    """
    known = {table.name: table for table in mart.tables}
    if name not in known:
        raise UsageError(f"no table {name} in the mart {mart.name}", fix=f"its tables are {', '.join(known)}")
    return known[name]


def _newest(project: Project, table: Table, snapshot: lake.Snapshot, today: date, masks: Masks) -> Rows:
    """Return the newest rows of a table, those dated to come last; without a date those of the greatest measure."""
    first = table.measured_by or (table.measure.column if table.measure else None)
    order = [f"{identifier(first)} DESC NULLS LAST"] if first else []
    order = [f"{identifier(table.measured_by)} < DATE '{today}' + 1 DESC", *order] if table.measured_by else order
    columns = [column for column in table.columns if column.name in snapshot.columns]
    order += [identifier(name) for name in table.key or [one.name for one in columns] if name != first]
    texts = ", ".join(f"left({identifier(one.name)}::VARCHAR, {_LONGEST + 1})" for one in columns)
    by = f"ORDER BY {', '.join(order)}" if order else ""
    scan = masks.relation(project.engine, table.id, snapshot.columns, project.engine.scan(snapshot))
    newest = f"SELECT * FROM {scan} {by} LIMIT {_NEWEST}"
    found = project.engine.rows(f"SELECT {texts} FROM ({newest}) {by}")
    return Rows(
        columns=tuple(column.name for column in columns),
        numeric=tuple(column.is_numeric for column in columns),
        rows=tuple(map(_cut, found)),
    )


def _cut(row: Sequence[Any]) -> tuple[str | None, ...]:
    return tuple(f"{cell[:_LONGEST]}…" if cell and len(cell) > _LONGEST else cell for cell in row)


def _readme(mart: Mart) -> str:
    """Return the text of a mart's README; '' where `make docs` has written none yet."""
    path = mart.path.with_name(_README)
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except OSError as error:
        raise from_os_error(error, path) from error
