"""The key: the smallest set of columns that tells every row from every other, if there is one worth believing.

A wrong key costs rows: two that share it would be one. So a single column must be named like a key or come first, a
set is made of columns that name things and of days, and a measured value is never part of one. What any two rows of a
sample refute is not asked of all rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from src.contract.model import MOMENTS, TIMESTAMP
from src.draft.names import is_id, says_newer
from src.engine import DuckEngine, identifier

_SAMPLE = 20_000  # rows
_COLUMNS = 8  # of which sets are made
_LARGEST = 3  # columns in a key
ENOUGH = 20  # rows from which a column that is not named like a key may be one
_ASKED = 40  # sets that all rows are asked about
_PLACE = re.compile(r"(^|_)(line|position|pos|index|item|seq|year|month|week|day|hour|row|level|step)($|_)")
_WHOLE = ("BIGINT", "VARCHAR")
_PARTS = ("BIGINT", "VARCHAR", "DATE", TIMESTAMP)


def find_key(engine: DuckEngine, rows: str, count: int, columns: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the key of a relation of `count` distinct rows; () for none.

    `columns` are those that always have a value, with their types, in the order of the file.
    """
    if count < 2 or not columns:
        return ()
    every, some = max(1, count // _SAMPLE), rows
    if every > 1:
        names = ", ".join(identifier(name) for name, _ in columns)
        some = "sample_of_draft"
        engine.table(some, f"SELECT {names} FROM {rows} WHERE hash({names}) % {every} = 0")
    asked = 0
    for key in _candidates(engine, some, count, columns):
        if not _is_unique(engine, some, key):
            continue
        if every == 1 or _is_unique(engine, rows, key):
            return key
        asked += 1
        if asked == _ASKED:
            break
    return ()


def _candidates(
    engine: DuckEngine, some: str, count: int, columns: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, ...]]:
    """Yield sets of columns, the likelier first: named like keys before others, small before large."""
    kinds = dict(columns)
    names = [name for name, kind in columns if kind in _PARTS]
    single = [name for name in names if kinds[name] in _WHOLE]
    yield from ((name,) for name in single if is_id(name) and name.endswith("id"))
    yield from ((name,) for name in single if is_id(name))
    if single and count >= ENOUGH and names[0] == columns[0][0] == single[0]:
        yield (single[0],)
    if count < ENOUGH:
        return
    parts = [name for name in names if _may_be_part(engine, some, name, kinds[name])]
    parts.sort(key=lambda name: (not is_id(name), kinds[name] == TIMESTAMP, names.index(name)))
    parts = sorted(parts[:_COLUMNS], key=names.index)
    for size in range(2, _LARGEST + 1):
        sets = [
            chosen
            for chosen in combinations(parts, size)
            if any(is_id(name) or kinds[name] in MOMENTS for name in chosen)
        ]
        yield from sorted(sets, key=lambda chosen: -sum(map(is_id, chosen)))


def _may_be_part(engine: DuckEngine, some: str, name: str, kind: str) -> bool:
    """Return whether a column may be one of several that make a key: it names things, or days, and has two values."""
    if says_newer(name):
        return False  # which row of a key is newer is no part of the key
    column = identifier(name)
    least, most, longest = engine.one(
        f"SELECT min({column}), max({column}), max(strlen({column}::VARCHAR)) FROM {some}"
    )
    if least == most:
        return False
    if kind == "BIGINT":
        return is_id(name) or bool(_PLACE.search(name))
    return kind != "VARCHAR" or longest <= 60


def _is_unique(engine: DuckEngine, rows: str, names: Sequence[str]) -> bool:
    columns = ", ".join(map(identifier, names))
    more = f"SELECT 1 FROM {rows} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
    return not engine.rows(more)
