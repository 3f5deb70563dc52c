"""Row rules of a contract as SQL: a test that is true for a bad row, its complaint in words, and its code.

The code says which rule of which column it is, `enum:status` say: it is what programs and waivers go by.

A value is compared with the bound as it is written, though the column's type may not have it: of an integer,
`maximum: 99.5` allows 99 and not 100.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import NamedTuple

from src.contract import TIMESTAMP, Column, Rule
from src.engine import identifier, literal
from src.errors import ContractError

_COMPARISONS = {
    "minimum": ("<", "is less than the minimum"),
    "maximum": (">", "is more than the maximum"),
    "exclusiveMinimum": ("<=", "is not above"),
    "exclusiveMaximum": (">=", "is not below"),
}


class RowRule(NamedTuple):
    """One thing asked of a row: SQL that is true for a row that breaks it, SQL of the reason, and the reason's code."""

    test: str
    reason: str
    code: str


CODED = "STRUCT(code VARCHAR, reason VARCHAR)[]"  # the type of a row's reasons while it is judged


def coded(code: str, reason: str) -> str:
    """Return SQL of one of a row's reasons: its code, and SQL of its text."""
    return f"{{'code': {literal(code)}, 'reason': {reason}}}"


def broken(column: Column) -> list[RowRule]:
    """Return what the rules of a column ask of a row."""
    name = identifier(column.name)
    found = [
        RowRule(test, reason, f"{kind}:{column.name}")
        for kind, test, reason in _each_rule(column, name, literal(column.name))
    ]
    if any(map(_is_judged, column.parts)):
        reasons = _of_parts(column, name, literal(column.name), 0)
        found.append(RowRule(f"coalesce(len({reasons}) > 0, false)", f"{reasons}[1]", f"part:{column.name}"))
    return found


def _each_rule(column: Column, value: str, subject: str) -> list[tuple[str, str, str]]:
    """Return the kind, the test and the reason of each rule of a value; its name in a reason is SQL text."""
    found = []
    for rule in column.rules:
        test, complaint = _rule(column, value, rule)
        reason = f"{subject} || ': ' || left({value}::VARCHAR, 80) || {literal(' ' + complaint)}"
        found.append((rule.kind, f"coalesce({test}, false)", reason))
    return found


# -- the parts of a list or an object


def _is_judged(part: Column) -> bool:
    """Return whether anything is asked of a part, or of a part of it."""
    return bool(part.rules) or part.required or any(map(_is_judged, part.parts))


def _of_parts(column: Column, value: str, path: str, depth: int) -> str:
    """Return SQL of the reasons, a list of texts, why the parts of a value break rules; `path` is SQL text."""
    if column.type.endswith("[]"):
        item, at = identifier(f"item {depth}"), identifier(f"at {depth}")
        judged = _of_part(column.parts[0], item, f"{path} || '[' || {at} || ']'", depth + 1)
        return f"flatten(list_transform({value}, lambda {item}, {at}: {judged}))"
    judged = ", ".join(
        _of_part(part, f"{value}.{identifier(part.name)}", f"{path} || {literal(f'.{part.name}')}", depth)
        for part in column.parts
        if _is_judged(part)
    )
    return f"CASE WHEN {value} IS NOT NULL THEN list_concat({judged}) END"


def _of_part(part: Column, value: str, path: str, depth: int) -> str:
    reasons = [f"CASE WHEN {test} THEN [{reason}] END" for _, test, reason in _each_rule(part, value, path)]
    if part.required:
        reasons.append(f"CASE WHEN {value} IS NULL THEN [{path} || ': required, but there is nothing'] END")
    if any(map(_is_judged, part.parts)):
        reasons.append(_of_parts(part, value, path, depth))
    return f"list_concat([]::VARCHAR[], {', '.join(reasons)})"


# -- what only gold has to be asked


def misformed(column: Column) -> list[RowRule]:
    """Return the rule that text which is a time of day, or JSON, is that, as silver writes it; empty for other text."""
    name = identifier(column.name)
    tests = {"time": f"TRY_CAST({name} AS TIME)::VARCHAR IS DISTINCT FROM {name}", "json": f"NOT json_valid({name})"}
    if column.form is None:
        return []
    complaint = {"time": " is no time as HH:MM:SS", "json": " is no JSON"}[column.form]
    reason = f"{literal(column.name + ': ')} || left({name}, 80) || {literal(complaint)}"
    return [RowRule(f"{name} IS NOT NULL AND {tests[column.form]}", reason, f"type:{column.name}")]


def not_finite(column: Column) -> list[RowRule]:
    """Return the rule against infinity and NaN, as `broken` does; empty where they are allowed or impossible."""
    if column.type not in ("FLOAT", "DOUBLE") or column.non_finite:
        return []
    name = identifier(column.name)
    complaint = " is no number: allow it with `nonFinite: allowed`, or divide by nullif(..., 0)"
    reason = f"{literal(column.name + ': ')} || {name}::VARCHAR || {literal(complaint)}"
    return [RowRule(f"NOT isfinite({name})", reason, f"finite:{column.name}")]


_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"  # stands for no value
_FOLDER_BYTES = 255  # of a name, on the usual file systems


def no_folder(column: Column) -> RowRule:
    """Return the rule that a partition's value can name its folder `<column>=<value>`, as one of `broken`."""
    name, room = identifier(column.name), _FOLDER_BYTES - len(f"{column.name}=")
    too_long = f"CASE WHEN 3 * strlen({name}) <= {room} THEN false ELSE strlen(url_encode({name})) > {room} END"
    test = f"{name} IN ('', '{_NULL_FOLDER}') OR contains({name}, chr(0)) OR {too_long}"
    shown = f"CASE WHEN {name} = '' THEN 'empty text' ELSE left({name}, 80) END"
    reason = f"{literal(f'{column.name}: ')} || {shown} || ' cannot name a partition'"
    return RowRule(f"coalesce({test}, false)", reason, f"partition:{column.name}")


def _rule(column: Column, name: str, rule: Rule) -> tuple[str, str]:
    value = rule.value
    if rule.kind in _COMPARISONS:
        sign, complaint = _COMPARISONS[rule.kind]
        near, side = _nearest(value, column.type)
        return f"{name} {_SIGNS[side].get(sign, sign)} {near}", f"{complaint} {value}"
    if rule.kind == "multipleOf":
        return _is_no_multiple(name, column.type, Decimal(str(value))), f"is not a multiple of {value}"
    if rule.kind == "minLength":
        return f"length({name}) < {literal(value)}", f"is shorter than {value}"
    if rule.kind == "maxLength":
        return f"length({name}) > {literal(value)}", f"is longer than {value}"
    if rule.kind == "minItems":
        return f"len({name}) < {literal(value)}", f"has fewer than {value} items"
    if rule.kind == "maxItems":
        return f"len({name}) > {literal(value)}", f"has more than {value} items"
    if rule.kind == "uniqueItems":
        there = f"len(list_filter({name}, lambda item: item IS NOT NULL))"
        return f"{there} > len(list_distinct({name}))", "has an item twice"
    if rule.kind == "pattern":
        return f"NOT regexp_matches({name}, {literal(value)})", f"does not match {value}"
    if rule.kind == "enum" and isinstance(value, tuple):
        nearest = [_nearest(item, column.type) for item in value]
        allowed = ", ".join(near for near, side in nearest if side == 0)
        test = f"{name} NOT IN ({allowed})" if allowed else f"{name} IS NOT NULL"
        return test, f"is none of {', '.join(map(str, value))}"
    raise ContractError(f"column {column.name}: unknown rule {rule.kind}")


# -- a bound, and the value of a type that is nearest to it

_SIGNS = {  # how a value compares with the bound, by how it compares with the nearest, which is less, equal or more
    -1: {">=": ">", "<": "<="},
    0: {},
    1: {">": ">=", "<=": "<"},
}
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
_LARGEST = {"FLOAT": 3.4028234663852886e38, "DOUBLE": 1.7976931348623157e308}


def _nearest(bound: object, kind: str) -> tuple[str, int]:
    """Return SQL of a value of a type with no other between it and the bound, and whether it is less, equal or more."""
    if kind == "DATE":
        return f"DATE {literal(date.fromisoformat(str(bound)).isoformat())}", 0
    if kind == TIMESTAMP:
        moment = datetime.fromisoformat(str(bound))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return f"TIMESTAMPTZ {literal(moment.isoformat())}", 0
    if kind in ("VARCHAR", "BOOLEAN"):
        return f"{literal(bound)}::{kind}", 0
    written = Decimal(str(bound))
    near = _float(written, kind) if kind in _LARGEST else _on_grid(written, kind)
    return f"{literal(f'{near:f}')}::{kind}", (near > written) - (near < written)


def _on_grid(written: Decimal, kind: str) -> Decimal:
    """Return the greatest value of a whole or decimal type not above a number; the least one where there is none."""
    with localcontext(prec=400):
        if kind in _BITS:
            digits, least, most = 0, Decimal(-(2 ** (_BITS[kind] - 1))), Decimal(2 ** (_BITS[kind] - 1) - 1)
        else:
            precision, digits = _precision_and_scale(kind)
            most = Decimal(10**precision - 1).scaleb(-digits)
            least = -most
        within = min(max(written, least), most)
        return within.quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR)


def _precision_and_scale(decimal: str) -> tuple[int, int]:
    precision, scale = decimal[len("DECIMAL(") : -1].split(",")
    return int(precision), int(scale)


def _float(written: Decimal, kind: str) -> Decimal:
    """Return the nearest number of a floating type, as the shortest text that gives it says it."""
    number = max(min(float(written), _LARGEST[kind]), -_LARGEST[kind])
    if kind == "DOUBLE":
        return Decimal(repr(number))
    single = struct.unpack("f", struct.pack("f", number))[0]
    texts = (f"{single:.{digits}g}" for digits in range(1, 10))
    return Decimal(next(text for text in texts if struct.unpack("f", struct.pack("f", float(text)))[0] == single))


def _is_no_multiple(name: str, kind: str, unit: Decimal) -> str:
    """Return SQL that is true for a number that is no multiple of a unit, both as decimals as written."""
    scale = max(0, -int(unit.normalize().as_tuple().exponent))
    if kind in _BITS and scale == 0:
        return f"{name} % {literal(int(unit))} <> 0"
    if kind.startswith("DECIMAL"):
        scale = max(scale, _precision_and_scale(kind)[1])
    wide = f"DECIMAL(38,{scale})"
    exact = f"TRY_CAST({name}::VARCHAR AS {wide})"  # NULL, so no multiple, where the number is too large to tell
    kept = f"TRY_CAST({exact}::VARCHAR AS {kind}) = {name}"
    return f"{name} IS NOT NULL AND NOT coalesce({kept} AND {exact} % {literal(f'{unit:f}')}::{wide} = 0, false)"
