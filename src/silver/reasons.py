"""Why the rows of a load were rejected: each kind of reason with its number of rows and one of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from src.engine import DuckEngine, literal
from src.silver.batch import Batch


@dataclass(frozen=True)
class Reason:
    """One kind of reason: its code, how many rows have it, and one of them."""

    code: str
    text: str
    rows: int
    file: str
    row: int
    values: str

    @property
    def rule(self) -> str:
        """Return what was asked of the row: type, required, enum, ..., or line."""
        return self.code.partition(":")[0]

    @property
    def column(self) -> str:
        """Return the column it is about; a reason of a whole line names none."""
        return self.code.partition(":")[2]


def commonest(engine: DuckEngine, most: int | None) -> list[Reason]:
    """Return the kinds of reasons of the rows in `rejected`, the commonest first: at most so many, or all."""
    reasons = "unnest(_codes) AS code, unnest(_reasons) AS reason, _file, _row, _values"
    first = "min_by({'reason': reason, 'file': _file, 'row': _row, 'shown': _values}, {'file': _file, 'row': _row})"
    kinds = f"SELECT code, count(*) AS rows, {first} AS one FROM (SELECT {reasons} FROM {Batch.REJECTED}) GROUP BY code"
    rows = engine.rows(
        f"SELECT code, one.reason, rows, one.file, one.row, one.shown FROM ({kinds}) "
        f"ORDER BY rows DESC, one.reason{f' LIMIT {most}' if most else ''}"
    )
    return [Reason(code, text, rows, file, row, values or "") for code, text, rows, file, row, values in rows]


def count(engine: DuckEngine, codes: Collection[str]) -> int:
    """Return how many rejected rows have at least one of these reasons."""
    found = engine.one(f"SELECT count(*) FROM {Batch.REJECTED} WHERE list_has_any(_codes, {literal(list(codes))})")
    return int(found[0])
