"""What was expected is laid beside what came out: rows that are missing, rows that are too many, values that differ.

The order of rows says nothing, as a table has none. Rows of one key are laid beside each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

Values = tuple[str | None, ...]
Same = Callable[[str, str | None, str | None], bool]  # column, expected, found

_TOLERANCE = 1e-9  # of the larger of two floats


@dataclass(frozen=True)
class Expected:
    """A row that is expected: its values as the engine writes them, and where it is written."""

    values: Values
    where: str


@dataclass(frozen=True)
class Pair:
    """A row that is expected and the row that came out for it: one of both is None where there is none."""

    expected: Values | None
    found: Values | None
    where: str = ""  # of the expected row
    differing: tuple[str, ...] = ()  # columns, where there are both


@dataclass(frozen=True)
class Difference:
    """The rows of a table, or of its quarantine, that differ from those expected."""

    table: str  # the table's id
    columns: tuple[str, ...]
    expected: int
    found: int
    pairs: tuple[Pair, ...]
    key: tuple[str, ...] = ()  # by which rows were laid beside each other


def between(
    table: str,
    columns: Sequence[str],
    key: Collection[str],
    expected: Sequence[Expected],
    found: Sequence[Values],
    same: Same,
) -> Difference | None:
    """Return how the rows found differ from those expected; None where they do not.

    `key`: the columns by which rows that differ are laid beside each other; none of them, no row is.
    """
    left = list(found)
    missing: list[Expected] = []
    for row in expected:
        if (at := _index(columns, columns, row.values, left, same)) is None:
            missing.append(row)
        else:
            del left[at]
    pairs = []
    for row in missing:
        at = _index(columns, key, row.values, left, same) if key else None
        if at is None:
            pairs.append(Pair(row.values, None, row.where))
            continue
        other = left.pop(at)
        differing = (n for n, a, b in zip(columns, row.values, other, strict=True) if not same(n, a, b))
        pairs.append(Pair(row.values, other, row.where, tuple(differing)))
    pairs += [Pair(None, row) for row in left]
    return Difference(table, tuple(columns), len(expected), len(found), tuple(pairs), tuple(key)) if pairs else None


def _index(
    columns: Sequence[str], compared: Collection[str], row: Values, others: Sequence[Values], same: Same
) -> int | None:
    """Return the index of the first row that is the same in the compared columns; None where there is none."""
    for at, other in enumerate(others):
        if all(same(n, a, b) for n, a, b in zip(columns, row, other, strict=True) if n in compared):
            return at
    return None


def by_type(kinds: Mapping[str, str]) -> Same:
    """Return how two values of a column are compared: as texts of one type, floats but for the last digits."""

    def same(column: str, expected: str | None, found: str | None) -> bool:
        if expected is None or found is None or kinds[column] not in ("FLOAT", "DOUBLE"):
            return expected == found
        one, other = float(expected), float(found)
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=_TOLERANCE)

    return same
