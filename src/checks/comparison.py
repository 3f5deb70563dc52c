"""Two relations of the rows of one table beside each other: what came, what went, and which cells are others.

With a key one pass over both sides keeps what differs, and all that is asked is asked of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.checks import compare
from src.engine import DuckEngine, identifier, literal

_EXAMPLES = 5  # of each kind of difference


@dataclass(frozen=True)
class Side:
    """A relation and the types of its columns, by name."""

    columns: Mapping[str, str]
    relation: str


@dataclass(frozen=True)
class Change:
    """One column of one row that is another: the row's key, and the values as text."""

    key: dict[str, Any]
    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Differences:
    """The rows that differ, by the key; without one a changed row is one removed, one added.

    Columns that one side alone has, or has with another type, are not compared. `cells`: by column in how many of the
    changed rows it is another.
    """

    added: int
    removed: int
    changed: int
    cells: Mapping[str, int]
    not_compared: tuple[str, ...]
    added_rows: tuple[dict[str, Any], ...]
    removed_rows: tuple[dict[str, Any], ...]
    changes: tuple[Change, ...]


# Tables of the engine that hold what was found last; nobody else fills or reads them.
_DIFFERING, _ADDED, _REMOVED = "differing", "differing added", "differing removed"
_ALONE = {"before": "alone before", "after": "alone after"}  # rows of a part whose key is not on the other side of it


def differences(
    engine: DuckEngine, key: Sequence[str], before: Side, after: Side, examples: int = _EXAMPLES
) -> Differences:
    """Return how the rows of a table differ before and after something, with some examples of each kind."""
    return differences_by_parts(
        engine, key, before.columns, after.columns, [(before.relation, after.relation)], examples
    )


def differences_by_parts(
    engine: DuckEngine,
    key: Sequence[str],
    before: Mapping[str, str],
    after: Mapping[str, str],
    parts: Iterable[tuple[str, str]],
    examples: int = _EXAMPLES,
    *,
    keys_move: bool = False,
) -> Differences:
    """Return what `differences` does of two sides that come in parts, so that memory is that of one part.

    `before`, `after`: the columns of the sides; `parts`: pairs of relations, one of each side. Rows that are the same
    are in the same part of both. `keys_move`: those of one key need not be: a row whose key its part has on one side
    alone is put aside, and all such are compared with each other at the end.
    """
    both = {name: kind for name, kind in after.items() if before.get(name) == kind}
    key = tuple(key) if key and set(key) <= both.keys() else ()
    rest = [name for name in both if name not in key]
    total = Differences(
        added=0,
        removed=0,
        changed=0,
        cells={},
        not_compared=tuple(name for name in {**before, **after} if name not in both),
        added_rows=(),
        removed_rows=(),
        changes=(),
    )
    compared = _Compared(engine, key, both, rest, examples)
    if key and keys_move:
        for part in parts:
            compared.differing(*part)
            compared.put_aside()
            total = compared.with_changed(total)
        parts = compared.aside()
    for part in parts:
        if key:
            compared.differing(*part)
            total = compared.with_alone(compared.with_changed(total))
        else:
            total = compared.with_surplus(total, *part)
    return total


@dataclass
class _Compared:
    """The columns of a comparison, and the part that was compared last, whose differences are a table of the engine."""

    engine: DuckEngine
    key: Sequence[str]
    columns: Mapping[str, str]
    rest: Sequence[str]  # of the columns, those beside the key
    examples: int
    changed_shown: int = 0
    has_aside: bool = False

    def differing(self, before: str, after: str) -> None:
        """Keep the keys that are on one side alone, or with other values: in one pass over both sides."""
        names = ", ".join([*(f"{identifier(n)} AS {_name('k', n)}" for n in self.key), *self._values()])
        sides = [f"(SELECT {names}, true AS here FROM {relation})" for relation in (before, after)]
        on = " AND ".join(f"a.{_name('k', n)} = b.{_name('k', n)}" for n in self.key)
        same = {n: compare.is_same(_name("v", n), self.columns[n]) for n in self.rest}
        shown = [f"coalesce(a.{_name('k', n)}, b.{_name('k', n)}) AS {_name('k', n)}" for n in self.key]
        shown += [f"{side}.{_name('v', n)} AS {_name(side, n)}" for side in "ab" for n in self.rest]
        shown += [f"NOT {same[n]} AS {_name('d', n)}" for n in self.rest]
        alike = " AND ".join(same.values()) or "true"
        self.engine.table(
            _DIFFERING,
            f"SELECT a.here AS before, b.here AS after, {', '.join(shown)} FROM {sides[0]} a FULL JOIN {sides[1]} b "
            f"ON {on} WHERE a.here IS NULL OR b.here IS NULL OR NOT ({alike})",
        )

    def _values(self) -> list[str]:
        return [f"{identifier(n)} AS {_name('v', n)}" for n in self.rest]

    def with_changed(self, total: Differences) -> Differences:
        """Return the differences so far with the rows of the part that both sides have and that differ."""
        where = "WHERE before AND after"
        counts = "".join(f", count(*) FILTER (WHERE {_name('d', n)})" for n in self.rest)
        changed, *counted = self.engine.one(f"SELECT count(*){counts} FROM {identifier(_DIFFERING)} {where}")
        cells = {n: total.cells.get(n, 0) + count for n, count in zip(self.rest, counted, strict=True)}
        wanted = max(0, self.examples - self.changed_shown) if self.rest else 0
        self.changed_shown += min(wanted, changed)
        return replace(
            total,
            changed=total.changed + changed,
            cells={n: count for n, count in cells.items() if count},
            changes=(*total.changes, *(self._changes(where, wanted) if wanted and changed else ())),
        )

    def _changes(self, where: str, limit: int) -> Iterator[Change]:
        """Yield what differs in the first of the changed rows, column by column."""
        keys = ", ".join(_name("k", n) for n in self.key)
        listed = ", ".join(
            f"{{'column': {literal(n)}, 'before': {_name('a', n)}::VARCHAR, 'after': {_name('b', n)}::VARCHAR, "
            f"'differs': {_name('d', n)}}}"
            for n in self.rest
        )
        first = f"FROM {identifier(_DIFFERING)} {where} ORDER BY {keys} LIMIT {limit}"
        for *values, parts in self.engine.rows(f"SELECT {keys}, [{listed}] {first}"):
            found = dict(zip(self.key, values, strict=True))
            yield from (
                Change(found, part["column"], part["before"], part["after"]) for part in parts if part["differs"]
            )

    def with_alone(self, total: Differences) -> Differences:
        """Return the differences so far with the rows of the part that one side alone has."""
        return self._with_rows(total, f"({self._alone('after')})", f"({self._alone('before')})")

    def _alone(self, side: str) -> str:
        """Return a SELECT of the rows that one side alone has, as that has them."""
        other, of_side = ("before", "b") if side == "after" else ("after", "a")
        names = [f"{_name('k', n)} AS {identifier(n)}" for n in self.key]
        names += [f"{_name(of_side, n)} AS {identifier(n)}" for n in self.rest]
        return f"SELECT {', '.join(names)} FROM {identifier(_DIFFERING)} WHERE {side} AND {other} IS NULL"

    def put_aside(self) -> None:
        """Keep the rows that one side of the part alone has, with those of the parts before."""
        for side, name in _ALONE.items():
            (self.engine.insert if self.has_aside else self.engine.table)(name, self._alone(side))
        self.has_aside = True

    def aside(self) -> list[tuple[str, str]]:
        """Return what was put aside, as one part more."""
        return [(identifier(_ALONE["before"]), identifier(_ALONE["after"]))] if self.has_aside else []

    def with_surplus(self, total: Differences, before: str, after: str) -> Differences:
        """Return the differences so far with the rows of a part that one side has too many of, without a key."""
        names = ", ".join(map(identifier, self.columns))
        one, other = (f"SELECT {names} FROM {relation}" for relation in (before, after))
        self.engine.table(_ADDED, compare.surplus(self.columns, other, one))
        self.engine.table(_REMOVED, compare.surplus(self.columns, one, other))
        return self._with_rows(total, identifier(_ADDED), identifier(_REMOVED))

    def _with_rows(self, total: Differences, added: str, removed: str) -> Differences:
        counts = [int(self.engine.one(f"SELECT count(*) FROM {rows}")[0]) for rows in (added, removed)]
        shown = []
        for count, rows, before in zip(counts, (added, removed), (total.added_rows, total.removed_rows), strict=True):
            wanted = self.examples - len(before)
            new = first_rows(self.engine, rows, self.columns, wanted, self.key) if count and wanted > 0 else ()
            shown.append((*before, *new))
        return replace(
            total,
            added=total.added + counts[0],
            removed=total.removed + counts[1],
            added_rows=shown[0],
            removed_rows=shown[1],
        )


def _name(kind: str, column: str) -> str:
    """Return the name that a column of a side has in a comparison: none of a table's own is like it."""
    return identifier(f"{kind} {column}")


def first_rows(
    engine: DuckEngine, relation: str, columns: Iterable[str], limit: int, order: Sequence[str] = ()
) -> tuple[dict[str, Any], ...]:
    """Return the first rows of a relation, by the columns of `order` or else by all that are shown."""
    names = list(columns)
    by = ", ".join(map(identifier, order)) or "ALL"
    rows = engine.rows(f"SELECT {', '.join(map(identifier, names))} FROM {relation} ORDER BY {by} LIMIT {limit}")
    return tuple(dict(zip(names, row, strict=True)) for row in rows)
