"""The values of Arrow columns, and of the entries of a Delta log, compared with those that are looked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from src import lake
from src.forget.scanning.pieces import Hit
from src.forget.scanning.spelled import Forms, Value


def values_in(forms: Forms, column: Any, name: str) -> Iterator[Value]:
    """Yield the values that an Arrow column holds, nested ones among them; `name` is the column's."""
    for leaf, own in _leaves(column, name):
        yield from _in_leaf(forms, leaf, own)


def _leaves(column: Any, name: str) -> Iterator[tuple[Any, str]]:
    """Yield the columns of plain values in an Arrow array."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _leaves(column.storage, name)
    elif pa.types.is_dictionary(kind):
        yield from _leaves(column.dictionary_decode(), name)
    elif pa.types.is_map(kind):
        yield from _leaves(column.keys, name)
        yield from _leaves(column.items, name)
    elif pa.types.is_struct(kind):
        for field, part in zip(kind, column.flatten(), strict=True):
            yield from _leaves(part, f"{name}.{field.name}")
    elif pa.types.is_union(kind):
        for at in range(kind.num_fields):
            yield from _leaves(column.field(at), name)
    elif pa.types.is_nested(kind):
        yield from _leaves(column.flatten(), name)
    else:
        yield column, name


def _in_leaf(forms: Forms, column: Any, name: str) -> Iterator[Value]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or _is_long_or_view(kind) or _is_fixed(kind):
        for text in forms.likely_rows(column):
            yield from forms.values_in(text.as_py(), name)
    elif _is_number(kind):
        yield from (value for value in forms.numbers if value.counts_in(name) and _equals(column, value.number))
    elif pa.types.is_temporal(kind):
        yield from (value for value in forms.texts if (when := moment(value)) and _equals(column, when))


def _is_long_or_view(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_one(kind) for is_one in (pa.types.is_large_string, pa.types.is_large_binary)) or str(kind) in (
        "string_view",
        "binary_view",
    )


def _is_fixed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_binary(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_one(kind) for is_one in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


def _equals(column: Any, value: Any) -> bool:
    """Return whether one value of a column is this one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        wanted = pa.scalar(Decimal(value) if pa.types.is_decimal(column.type) else value, column.type)
        if pa.types.is_floating(column.type):
            wanted = pa.scalar(float(value), column.type)
        return bool(pc.any(pc.equal(column, wanted)).as_py())
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return False  # a value that the column's type cannot hold


def moment(value: Value) -> date | datetime | None:
    """Return the day or moment that a value is; None where it is none."""
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(value.text)
        except ValueError:
            continue
    return None


def is_log(names: Iterable[str]) -> bool:
    """Return whether columns, or the keys of a line of JSON, are those of a Delta log."""
    found = set(names)
    return bool(found) and found <= set(lake.ACTIONS)


def in_action(forms: Forms, node: Any, how: str, key: str = "", *, bounds: bool = False) -> Iterator[Hit]:
    """Yield what one entry of a Delta log holds; of its numbers, bounds and partition values alone are of rows."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from ((how, value) for value in forms.values_in(str(name).encode("utf-8", "replace")))
            yield from in_action(forms, inner, how, str(name), bounds=bounds or name in lake.VALUES)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from in_action(forms, inner, how, key, bounds=bounds)
    elif isinstance(node, str):
        if key == "stats" and (inner := _json(node)) is not None:
            yield from in_action(forms, inner, f"{how}, statistics")
            return
        yield from ((how, value) for value in forms.values_in(node.encode("utf-8", "replace"), key if bounds else ""))
        yield from ((how, value) for value in (forms.cut(node) if bounds else ()))
    elif bounds and not isinstance(node, bool) and isinstance(node, int | float | Decimal):
        yield from ((how, value) for value in forms.numbers if node == value.number and value.counts_in(key))
    elif bounds and isinstance(node, date):
        yield from ((how, value) for value in forms.texts if moment(value) == node)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
