"""The rejected rows of all tables by what was asked of them, with one row each; those of one table page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from src import lake
from src.catalog import SelectOf
from src.engine import DuckEngine, literal
from src.maintenance import quarantine
from src.maintenance.quarantine import Waiver

LONGEST = 600  # characters of a row's text that are read; a cell may have millions
_REASON = 300  # and of a reason, which quotes a value
_CODE = "coalesce(_codes[1], regexp_replace(_reasons[1], '[0-9]', '#', 'g'))"  # no code: of before they were recorded


@dataclass(frozen=True)
class RawRow:
    """A rejected row: where it came from, why, and its text, which has `length` characters and may be cut."""

    file: str
    row: int
    reason: str
    text: str
    length: int


@dataclass(frozen=True)
class Group:
    """The rejected rows of a table with the same first reason, and the newest of them; moments in UTC."""

    table: str
    code: str  # what was asked and of which column, for example type:amount
    open: int
    waived: int  # of a waiver in force
    first: datetime
    last: datetime
    sample: RawRow


@dataclass(frozen=True)
class Rejected:
    """A page of the rejected rows of a table, the newest first, of all that there are."""

    rows: tuple[RawRow, ...]
    total: int


def read_groups(engine: DuckEngine, data: Path, today: date, select: SelectOf) -> list[Group]:
    """Return the rejected rows of every table by reason: tables with the most of them first."""
    found: list[Group] = []
    for table, name in quarantine.tables(data).items():
        stored = lake.open_table(lake.table_path(data, name))
        if stored and stored.rows:  # most are empty in a lake of many tables: no statement is spent on them
            found += _groups(engine, data, table, name, today, select)
    of_table: dict[str, int] = {}
    for group in found:
        of_table[group.table] = of_table.get(group.table, 0) + group.open
    return sorted(found, key=lambda group: (-of_table[group.table], group.table, -group.open, group.code))


def read_page(
    engine: DuckEngine, data: Path, table: str, code: str, select: SelectOf, *, size: int, page: int
) -> Rejected:
    """Return one page of the rejected rows of a table, of all reasons or of one; pages count from 1.

    Raises:
        UsageError: the table has no quarantine.
    """
    name = quarantine.publish(engine, data, table, select)
    where = f"WHERE {_CODE} = {literal(code)}" if code else ""
    total = int(engine.one(f"SELECT count(*) FROM {name} {where}")[0])
    rows = engine.rows(
        f"SELECT _file, _row, left(array_to_string(_reasons, '; '), {_REASON}), left(_values, {LONGEST}), "
        f"length(_values) FROM {name} {where} ORDER BY _ingested_at DESC, _file, _row "
        f"LIMIT {size} OFFSET {size * (page - 1)}"
    )
    return Rejected(tuple(RawRow(*row) for row in rows), total)


def read_waivers(engine: DuckEngine, data: Path, table: str, today: date) -> list[Waiver]:
    """Return the waivers in force of a table, the one that holds longest first."""
    stored = lake.open_table(lake.table_path(data, quarantine.WAIVERS))
    if stored is None:
        return []
    rows = engine.rows(
        f'SELECT "table", matching, reason, until, waived_at, waived_by FROM {engine.scan(stored)} '
        f"WHERE \"table\" = {literal(table)} AND until >= DATE '{today}' ORDER BY until DESC, matching"
    )
    return [Waiver(*row) for row in rows]


def _groups(engine: DuckEngine, data: Path, table: str, name: str, today: date, select: SelectOf) -> Iterator[Group]:
    quarantine.publish_named(engine, data, name, select)
    waived = quarantine.waived(engine, data, table, today)
    sample = (
        f"arg_max({{'file': _file, 'row': _row, 'reason': left(array_to_string(_reasons, '; '), {_REASON}), "
        f"'text': left(_values, {LONGEST}), 'length': length(_values)}}, _ingested_at)"
    )
    rows = engine.rows(
        f"SELECT code, open, waived, first, last, one.file, one.row, one.reason, one.text, one.length FROM ("
        f"SELECT {_CODE} AS code, count(*) FILTER (WHERE NOT {waived}) AS open, "
        f"count(*) FILTER (WHERE {waived}) AS waived, min(_ingested_at) AS first, max(_ingested_at) AS last, "
        f"{sample} AS one FROM {name} GROUP BY 1)"
    )
    for code, unwaived, covered, first, last, *one in rows:
        yield Group(table, code or "", unwaived, covered, first, last, RawRow(*one))
