"""A list or an object is read from JSON text part by part: each is what the contract says, or a reason with its path.

The engine reads a number in JSON as a double, and 12345678901234567.89 would come out as another. So numbers are put in
quotes first, and each is then read as any other text is: exactly.

A value goes through three columns, one made of the other: `raw`, `texts` and `typed`. The engine binds a function in a
function again for each that is around it, so that there is one for each list, and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from src.contract import Column
from src.engine import identifier, literal
from src.silver import exact
from src.silver.blanks import valued

_STRING = r'"(?:[^"\\]|\\.)*"'
_NUMBER = r"-?[0-9][-+.0-9eE]*"


def raw(text: str, column: Column) -> str:
    """Return SQL of JSON text as a value of the column's shape, all that it holds as text.

    A key that the contract does not name is left in bronze, as a column is. What has another shape is NULL: `reason`
    finds it.
    """
    marked = f"regexp_replace({text}, '({_STRING})|({_NUMBER})', '\\1' || chr(1) || '\\2' || chr(1), 'g')"
    quoted = f"""replace(replace({marked}, chr(1) || chr(1), ''), chr(1), '"')"""  # no valid JSON has that character
    return f"json_transform(CASE WHEN {exact.is_json(text)} THEN {quoted} END, {literal(_shape(column))})"


def texts(found: str, column: Column, null_values: Sequence[str]) -> str:
    """Return SQL of the texts that `raw` found, without outer blanks, NULL for nothing."""
    return _mapped(column, found, lambda _, text: valued(text, null_values))


def typed(found: str, column: Column) -> str:
    """Return SQL of the texts that `texts` found, each as {t: text, v: what the engine reads it as}."""

    def both(part: Column, text: str) -> str:
        value = text if part.read_as == "VARCHAR" else exact.cast(text, "VARCHAR", part.read_as)
        return f"{{'t': {text}, 'v': {value}}}"

    return _mapped(column, found, both)


def value(found: str, column: Column) -> str:
    """Return SQL of the column's value, of what `typed` found."""
    return _mapped(column, found, lambda part, both: exact.stored(f"{both}.v", part.read_as))


def reason(text: str, found: str, column: Column) -> str:
    """Return SQL of why JSON text is not all of the value that `typed` found; NULL where it is."""
    subject = literal(column.name)
    unread = f"{subject} || ': cannot read ' || left({text}, 200) || ' as JSON'"
    all_reasons = [*_misshapen(column, text, "$", column.name), _lost(column, found, subject) or "NULL"]
    reasons = f"left({_joined(all_reasons)}, 500)"
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN NOT {exact.is_json(text)} THEN {unread} ELSE {reasons} END"


def _shape(column: Column) -> str:
    """Return the shape of a column as the engine's `json_transform` takes it."""
    if _is_list(column):
        return f"[{_shape(column.parts[0])}]"
    if column.parts:
        return "{" + ", ".join(f'"{part.name}": {_shape(part)}' for part in column.parts) + "}"
    return '"VARCHAR"'


def _mapped(column: Column, value: str, single: Callable[[Column, str], str], depth: int = 0) -> str:
    """Return SQL of a value of the same shape, with what `single` makes of each single value."""
    if _is_list(column):
        item = identifier(f"item {depth}")
        return f"list_transform({value}, lambda {item}: {_mapped(column.parts[0], item, single, depth + 1)})"
    if column.parts:
        fields = ", ".join(
            f"{identifier(part.name)} := {_mapped(part, f'{value}.{identifier(part.name)}', single, depth)}"
            for part in column.parts
        )
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({fields}) END"
    return single(column, value)


def _misshapen(column: Column, text: str, at: str, path: str) -> list[str]:
    """Return SQL of the reasons why JSON has not the shape of a column: one for each part, NULL where it has.

    `at` is the part's path as the engine takes it, `path` as a person does.
    """
    kinds = f"json_type({text}, {literal(at)})"
    kinds = kinds if "[*]" in at else f"[{kinds}]"
    if not column.parts:
        is_other, wanted = f"list_has_any({kinds}, ['ARRAY', 'OBJECT'])", column.shown_type
    else:
        kind, wanted = ("ARRAY", "a list") if _is_list(column) else ("OBJECT", "an object")
        is_other = f"NOT list_has_all(['{kind}', 'NULL'], {kinds})"
    found = [f"CASE WHEN {is_other} THEN {literal(f'{path}: is not {wanted}')} END"]
    if _is_list(column):
        return found + _misshapen(column.parts[0], text, f"{at}[*]", f"{path}[]")
    if column.parts:
        keys = f"json_keys({text}, {literal(at)})"
        keys = keys if "[*]" in at else f"[{keys}]"
        has_twice = f"len(list_filter({keys}, lambda names: len(names) > len(list_distinct(names)))) > 0"
        found.append(f"CASE WHEN {has_twice} THEN {literal(f'{path}: a key stands twice')} END")
    for part in column.parts:
        found += _misshapen(part, text, f'{at}."{part.name}"', f"{path}.{part.name}")
    return found


def _lost(column: Column, found: str, path: str, depth: int = 0) -> str | None:
    """Return SQL of the reasons why texts are not what they should be, NULL for none; None where any text will do.

    `found` is SQL of what `typed` found, `path` SQL of its path as text.
    """
    if _is_list(column):
        item, nth = identifier(f"item {depth}"), identifier(f"nth {depth}")
        inner = _lost(column.parts[0], item, f"{path} || '[' || {nth} || ']'", depth + 1)
        each = f"list_transform({found}, lambda {item}, {nth}: {inner})"
        return f"list_aggregate({each}, 'string_agg', '; ')" if inner else None
    if column.parts:
        inners = [
            inner
            for part in column.parts
            if (inner := _lost(part, f"{found}.{identifier(part.name)}", f"{path} || '.{part.name}'", depth))
        ]
        return _joined(inners) if inners else None
    if column.read_as == "VARCHAR":
        return None
    text, read = f"{found}.t", f"{found}.v"
    kept = exact.is_kept(text, read, "VARCHAR", column.read_as)
    reasons = exact.complaint(path, text, text, read, "VARCHAR", column)
    return f"CASE WHEN {text} IS NOT NULL AND NOT coalesce({kept}, false) THEN {reasons} END"


def _joined(reasons: Sequence[str]) -> str:
    """Return SQL of reasons as one text, NULL for none; no macro such as `nullif`, which takes its argument twice."""
    return f"list_aggregate([{', '.join(reasons)}]::VARCHAR[], 'string_agg', '; ')"


def _is_list(column: Column) -> bool:
    return column.type.endswith("[]")
