"""A relation's columns in figures, its first rows, and what would stop a run: what every preview shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from src.checks import audits
from src.checks.audits import AuditError, AuditResult
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import BoathouseError

_COUNTED_EXACTLY = 1_000_000  # rows, or distinct values of more rows; beyond they are estimated, to save their memory


@dataclass(frozen=True)
class ColumnFigures:
    """One column: its type, how many of the rows have a value, and which."""

    column: str
    type: str
    filled_percent: float | None  # None: there is no row
    distinct: int
    estimated: bool  # whether `distinct` is
    least: str | None
    greatest: str | None


@dataclass(frozen=True)
class Refusal:
    """An error that would stop a run: of which table or feed, what was found, where, and the fix."""

    subject: str
    what: str
    where: str | None
    fix: str | None


def refusal(subject: str, error: BoathouseError) -> Refusal:
    """Return an error as what would stop a run."""
    return Refusal(subject, error.what, error.where, error.fix)


def figures(engine: DuckEngine, relation: str, columns: Mapping[str, str]) -> tuple[ColumnFigures, ...]:
    """Return the figures of each of a relation's columns, computed one after the other so that they fit in memory."""
    rows = int(engine.one(f"SELECT count(*) FROM {relation}")[0])
    found = []
    for name, kind in columns.items():
        at = identifier(name)
        estimated = rows > _COUNTED_EXACTLY and _estimate(engine, relation, at) > _COUNTED_EXACTLY
        distinct = f"approx_count_distinct({at})" if estimated else f"count(DISTINCT {at})"
        filled, values, least, greatest = engine.one(
            f"SELECT count({at}), {distinct}, min({at})::VARCHAR, max({at})::VARCHAR FROM {relation}"
        )
        percent = 100 * filled / rows if rows else None
        found.append(ColumnFigures(name, kind, percent, min(values, filled), estimated, least, greatest))
    return tuple(found)


def _estimate(engine: DuckEngine, relation: str, column: str) -> int:
    return int(engine.one(f"SELECT approx_count_distinct({column}) FROM {relation}")[0])


def audited(
    engine: DuckEngine, table: Table, relation: str, others: Mapping[str, str]
) -> tuple[tuple[AuditResult, ...], BoathouseError | None]:
    """Return the audits of a table that a relation's rows break, and the error if it would stop a run."""
    try:
        found, error = audits.run(engine, table, relation, others), None
    except AuditError as raised:
        found, error = raised.audits, raised
    except BoathouseError as raised:
        return (), raised
    return tuple(audit for audit in found if not audit.passed), error
