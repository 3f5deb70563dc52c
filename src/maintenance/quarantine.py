"""The life of a rejected row: listed, shown, waived for a while with a reason, or passed after a fix.

A row leaves quarantine in one way only: the table's contract or SQL is fixed, its version bumped, and
the table rebuilt from bronze, so that the row is in exactly one of the two places at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from src import catalog, console, lake
from src.catalog import SelectOf, as_it_is
from src.engine import DuckEngine, literal
from src.errors import UsageError
from src.run import runs
from src.silver.merge import QUARANTINE_COLUMNS

WAIVERS = "ops.waivers"
SHOWN = ("_values", "_reasons", "_codes")  # the columns of a rejected row that people see


@dataclass(frozen=True)
class Waiver:
    """Rejected rows of a table whose reasons contain a text, or have it as their code, are known until a day ends."""

    table: str
    matching: str
    reason: str
    until: date
    waived_at: datetime
    waived_by: str


def name_of(table: str) -> str:
    """Return the id of the quarantine of a silver table."""
    return table.replace("silver.", "quarantine.", 1)


def tables(data: Path) -> dict[str, str]:
    """Return tables that have a quarantine: silver id -> quarantine id."""
    return {
        name.replace("quarantine.", "silver.", 1): name
        for name in catalog.tables(data)
        if name.startswith("quarantine.")
    }


@dataclass(frozen=True)
class Reason:
    """The rejected rows of a table that share their first reason, its digits as #; times in UTC."""

    table: str
    reason: str
    open: int
    waived: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row: where it came from, why, its values, and the version of the contract that refused it."""

    file: str
    row: int
    reasons: tuple[str, ...]
    codes: tuple[str, ...]  # one for each reason; none of a row of before they were recorded
    values: str
    contract: str


def read_reasons(engine: DuckEngine, data: Path, today: date, select: SelectOf) -> list[Reason]:
    """Return the rejected rows counted by table and reason, those that a waiver in force covers apart."""
    found = []
    for table, name in tables(data).items():
        covered = waived(engine, data, table, today)
        publish_named(engine, data, name, select)
        rows = engine.rows(
            f"SELECT reason, count(*) FILTER (WHERE NOT {covered}), count(*) FILTER (WHERE {covered}), "
            f"min(_ingested_at), max(_ingested_at) "
            f"FROM (SELECT *, regexp_replace(_reasons[1], '[0-9]', '#', 'g') AS reason FROM {name}) "
            "GROUP BY reason ORDER BY count(*) DESC, reason"
        )
        found += [Reason(table, *row) for row in rows]
    return found


def print_reasons(reasons: Sequence[Reason]) -> None:
    """Print the rejected rows per table and reason."""
    if not reasons:
        print("No row is in quarantine.")
        return
    headers = ("table", "first reason (digits as #)", "open", "waived", "first", "last")
    console.table(headers, [tuple(vars(reason).values()) for reason in reasons])


def read_rows(
    engine: DuckEngine, data: Path, table: str, limit: int, select: SelectOf, longest: int | None = None
) -> list[RejectedRow]:
    """Return the newest rejected rows of a table. `longest`: of values with more characters only so many.

    `select`: how the person who asks reads them.

    Raises:
        UsageError: the table has no quarantine.
    """
    name = publish(engine, data, table, select)
    values = "_values"
    if longest is not None:
        cut = f"left(_values, {longest}) || ' ... (' || length(_values) || ' characters)'"
        values = f"CASE WHEN length(_values) > {longest} THEN {cut} ELSE _values END"
    rows = engine.rows(
        f"SELECT _file, _row, _reasons, coalesce(_codes, []), {values}, _contract FROM {name} "
        f"ORDER BY _ingested_at DESC, _file, _row LIMIT {limit}"
    )
    return [RejectedRow(file, row, tuple(reasons), tuple(codes), *rest) for file, row, reasons, codes, *rest in rows]


def print_rows(rows: Sequence[RejectedRow]) -> None:
    """Print rejected rows with their reasons and values."""
    cells = [(r.file, r.row, "; ".join(r.reasons), ", ".join(r.codes), r.values, r.contract) for r in rows]
    console.table(("file", "row", "reasons", "codes", "values", "contract"), cells)


def waive(engine: DuckEngine, data: Path, waiver: Waiver) -> int:
    """Record a waiver; returns how many rows it covers now.

    Raises:
        UsageError: it has no reason, is over already, or covers no row.
    """
    name = _known(data, waiver.table)
    if not waiver.reason.strip():
        raise UsageError("a waiver without a reason", fix='say why: --reason "..."')
    if waiver.until < waiver.waived_at.date():
        raise UsageError(f"a waiver until {waiver.until}, which is over", fix="give a day to come: --until YYYY-MM-DD")
    publish_named(engine, data, name)
    covered = int(engine.one(f"SELECT count(*) FROM {name} WHERE {_covers(waiver.matching)}")[0])
    if not covered:
        fix = f"see the reasons: main.py quarantine show --table {waiver.table}"
        raise UsageError(f"no rejected row of {waiver.table} has a reason with {waiver.matching!r}", fix=fix)
    runs.append(engine, data, WAIVERS, Waiver, [waiver])
    return covered


def publish(engine: DuckEngine, data: Path, table: str, select: SelectOf) -> str:
    """Make the quarantine of a table readable in SQL; return its name there.

    Raises:
        UsageError: the table has none.
    """
    name = _known(data, table)
    publish_named(engine, data, name, select)
    return name


def count(engine: DuckEngine, data: Path, table: str) -> int:
    """Return how many rows of a table are in quarantine."""
    name = _known(data, table)
    snapshot = lake.open_table(lake.table_path(data, name))
    return snapshot.rows if snapshot else 0


def _known(data: Path, table: str) -> str:
    known = tables(data)
    if table not in known:
        raise UsageError(
            f"{table} has no quarantine", fix=f"the tables that have one are {', '.join(known) or 'none yet'}"
        )
    return known[table]


def publish_named(engine: DuckEngine, data: Path, name: str, select: SelectOf = as_it_is) -> None:
    """Make a quarantine readable by its name, with every column that one has today: older rows have no codes."""
    if table := lake.open_table(lake.table_path(data, name)):
        columns = {**table.columns, **QUARANTINE_COLUMNS}
        scan = engine.scan(table, columns=columns, evolved=True)
        engine.publish(name, f"SELECT {select(name, columns)} FROM {scan}")


def waived(engine: DuckEngine, data: Path, table: str, today: date) -> str:
    """Return SQL that is true for a rejected row that a waiver in force covers."""
    if lake.open_table(lake.table_path(data, WAIVERS)) is None:
        return "false"
    catalog.publish(engine, {WAIVERS: lake.table_path(data, WAIVERS)})
    found = engine.values(
        f"SELECT DISTINCT matching FROM ops.waivers WHERE \"table\" = {literal(table)} AND until >= DATE '{today}'"
    )
    return "(" + (" OR ".join(map(_covers, found)) or "false") + ")"


def _covers(matching: str) -> str:
    coded = f"coalesce(list_contains(_codes, {literal(matching)}), false)"
    return f"({coded} OR contains(array_to_string(_reasons, '; '), {literal(matching)}))"
