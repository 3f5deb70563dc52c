"""Whether two computations of the same rows gave the same; sums of floats may differ by the order of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from src.checks.sameness import exactly, unequal
from src.engine import DuckEngine, identifier

_FLOATS = ("FLOAT", "DOUBLE")
_TOLERANCE = 1e-9  # of the larger of two floats: sums of a billion rows differ by less, a row more or less by more


def differences(engine: DuckEngine, columns: Mapping[str, str], stored: str, computed: str) -> Iterator[str]:
    """Yield the rows that one relation has too many or lacks against another, with an example; none if equal."""
    floats = [name for name, kind in columns.items() if kind in _FLOATS]
    return unequal(engine, list(columns), stored, computed, partial(surplus, columns), floats)


def surplus(columns: Mapping[str, str], one: str, other: str) -> str:
    """Return a SELECT of the rows that one SELECT of these columns has too many against another."""
    floats = [name for name, kind in columns.items() if kind in _FLOATS]
    return _unmatched(columns, floats, one, other) if floats else exactly(one, other)


def is_same(name: str, kind: str) -> str:
    """Return SQL that is true where a column, an identifier, of the rows a and b is the same; floats if close."""
    return _close(name) if kind in _FLOATS else f"(a.{name} IS NOT DISTINCT FROM b.{name})"


def _unmatched(columns: Mapping[str, str], floats: list[str], one: str, other: str) -> str:
    """Return a SELECT of rows that no row of the other matches; floats match if close, rows in their order."""
    exact = [identifier(name) for name in columns if name not in floats]
    order = ", ".join(map(identifier, floats))
    within = f"PARTITION BY {', '.join(exact)} " if exact else ""
    numbered = f"SELECT *, row_number() OVER ({within}ORDER BY {order}) AS _nth FROM ({{}})"
    same = [f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in ("_nth", *exact)]
    same += [_close(identifier(name)) for name in floats]
    kept = ", ".join(f"a.{identifier(name)}" for name in columns)
    sides = f"({numbered.format(one)}) a ANTI JOIN ({numbered.format(other)}) b"
    return f"SELECT {kept} FROM {sides} ON {' AND '.join(same)}"


def _close(name: str) -> str:
    a, b = f"a.{name}::DOUBLE", f"b.{name}::DOUBLE"
    near = f"abs({a} - {b}) <= {_TOLERANCE} * greatest(abs({a}), abs({b}))"
    return f"({a} IS NOT DISTINCT FROM {b} OR coalesce(isfinite({a}) AND isfinite({b}) AND {near}, false))"
