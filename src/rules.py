"""Row rules of a contract as SQL: a test that is true for a bad row, and the complaint."""

from __future__ import annotations

from src.contract import Column, Rule
from src.engine import identifier, literal
from src.errors import ContractError

_COMPARISONS = {
    "minimum": ("<", "is less than the minimum"),
    "maximum": (">", "is more than the maximum"),
    "exclusiveMinimum": ("<=", "is not above"),
    "exclusiveMaximum": (">=", "is not below"),
}


def broken(column: Column) -> list[tuple[str, str]]:
    """For every rule of a column: SQL that is true for a row that breaks it, SQL text of the reason."""
    name = identifier(column.name)
    found = []
    for rule in column.rules:
        test, complaint = _rule(column, rule)
        reason = f"{literal(column.name + ': ')} || left({name}::VARCHAR, 80) || {literal(' ' + complaint)}"
        found.append((f"coalesce({test}, false)", reason))
    return found


def not_finite(column: Column) -> list[tuple[str, str]]:
    """The rule that a number is one: as `broken`, for a column whose type knows infinity and NaN; none if allowed."""
    if column.type not in ("FLOAT", "DOUBLE") or column.non_finite:
        return []
    name = identifier(column.name)
    complaint = " is no number: allow it with `nonFinite: allowed`, or divide by nullif(..., 0)"
    return [(f"NOT isfinite({name})", f"{literal(column.name + ': ')} || {name}::VARCHAR || {literal(complaint)}")]


def _rule(column: Column, rule: Rule) -> tuple[str, str]:
    name, value = identifier(column.name), rule.value
    if rule.kind in _COMPARISONS:
        sign, complaint = _COMPARISONS[rule.kind]
        return f"{name} {sign} {literal(value)}::{column.type}", f"{complaint} {value}"
    if rule.kind == "multipleOf":
        return f"{name} % {literal(value)} <> 0", f"is not a multiple of {value}"
    if rule.kind == "minLength":
        return f"length({name}) < {literal(value)}", f"is shorter than {value}"
    if rule.kind == "maxLength":
        return f"length({name}) > {literal(value)}", f"is longer than {value}"
    if rule.kind == "pattern":
        return f"NOT regexp_matches({name}, {literal(value)})", f"does not match {value}"
    if rule.kind == "enum" and isinstance(value, tuple):
        allowed = ", ".join(f"{literal(item)}::{column.type}" for item in value)
        return f"{name} NOT IN ({allowed})", f"is none of {', '.join(map(str, value))}"
    raise ContractError(f"column {column.name}: unknown rule {rule.kind}")
