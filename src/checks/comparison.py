"""Two relations of the rows of one table beside each other: what came, what went, and which cells are others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


def differences(
    engine: DuckEngine, key: Sequence[str], before: Side, after: Side, examples: int = _EXAMPLES
) -> Differences:
    """Return how the rows of a table differ before and after something, with some examples of each kind."""
    both = {name: kind for name, kind in after.columns.items() if before.columns.get(name) == kind}
    keyed = bool(key) and set(key) <= both.keys()
    key = tuple(key) if keyed else ()
    added, removed = (_without(key, both, *pair) for pair in ((after, before), (before, after)))
    changed = _changed(key, both, before, after) if keyed else None
    rest = [name for name in both if name not in key]
    counts = ", ".join(f"count(*) FILTER (WHERE {identifier(f'd {name}')})" for name in rest)
    found = engine.one(f"SELECT count(*){f', {counts}' if counts else ''} FROM ({changed})") if changed else (0,)
    return Differences(
        added=_count(engine, added),
        removed=_count(engine, removed),
        changed=found[0],
        cells={name: count for name, count in zip(rest, found[1:], strict=False) if count},
        not_compared=tuple(name for name in {**before.columns, **after.columns} if name not in both),
        added_rows=first_rows(engine, f"({added})", both, examples, key),
        removed_rows=first_rows(engine, f"({removed})", both, examples, key),
        changes=tuple(_changes(engine, key, rest, changed, examples)) if changed and rest else (),
    )


def first_rows(
    engine: DuckEngine, relation: str, columns: Iterable[str], limit: int, order: Sequence[str] = ()
) -> tuple[dict[str, Any], ...]:
    """Return the first rows of a relation, by the columns of `order` or else by all that are shown."""
    names = list(columns)
    by = ", ".join(map(identifier, order)) or "ALL"
    rows = engine.rows(f"SELECT {', '.join(map(identifier, names))} FROM {relation} ORDER BY {by} LIMIT {limit}")
    return tuple(dict(zip(names, row, strict=True)) for row in rows)


def _count(engine: DuckEngine, select: str) -> int:
    return int(engine.one(f"SELECT count(*) FROM ({select})")[0])


def _without(key: Sequence[str], columns: Mapping[str, str], one: Side, other: Side) -> str:
    """Return a SELECT of the rows of one side that the other has not, by the key or else as they are."""
    names = ", ".join(map(identifier, columns))
    if not key:
        return compare.surplus(columns, f"SELECT {names} FROM {one.relation}", f"SELECT {names} FROM {other.relation}")
    keys = ", ".join(map(identifier, key))
    return f"SELECT {names} FROM {one.relation} ANTI JOIN (SELECT {keys} FROM {other.relation}) USING ({keys})"


def _changed(key: Sequence[str], columns: Mapping[str, str], before: Side, after: Side) -> str:
    """Return a SELECT of the rows of a key that both have and that differ: the key, and the values of each side."""
    keys = ", ".join(map(identifier, key))
    rest = {name: kind for name, kind in columns.items() if name not in key}
    same = " AND ".join(compare.is_same(identifier(name), kind) for name, kind in rest.items()) or "true"
    texts = [f"a.{identifier(n)}::VARCHAR AS {identifier(f'a {n}')}" for n in rest]
    texts += [f"b.{identifier(n)}::VARCHAR AS {identifier(f'b {n}')}" for n in rest]
    texts += [f"NOT ({compare.is_same(identifier(n), kind)}) AS {identifier(f'd {n}')}" for n, kind in rest.items()]
    shown = ", ".join([keys, *texts])
    return f"SELECT {shown} FROM {before.relation} a JOIN {after.relation} b USING ({keys}) WHERE NOT ({same})"


def _changes(
    engine: DuckEngine, key: Sequence[str], rest: Sequence[str], changed: str, examples: int
) -> Iterator[Change]:
    """Yield what differs in the first of the changed rows, column by column."""
    keys = ", ".join(map(identifier, key))
    listed = ", ".join(
        f"{{'column': {literal(n)}, 'before': {identifier(f'a {n}')}, 'after': {identifier(f'b {n}')}, "
        f"'differs': {identifier(f'd {n}')}}}"
        for n in rest
    )
    rows = engine.rows(f"SELECT {keys}, [{listed}] FROM ({changed}) ORDER BY {keys} LIMIT {examples}")
    for *values, parts in rows:
        found = dict(zip(key, values, strict=True))
        yield from (Change(found, part["column"], part["before"], part["after"]) for part in parts if part["differs"])
