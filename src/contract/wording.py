"""What a contract asks, in the words that documents, terminal and page show; names and code stand in backticks."""

from __future__ import annotations

from src.contract.model import Column, Expectation, Rule, Sla
from src.contract.model import shown_type as shown_type

_RULES = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "uniqueItems": "no item twice",
    "pattern": "matches {}",
    "enum": "one of {}",
}
_OPERATORS = {
    "mustBe": "is {}",
    "mustNotBe": "is not {}",
    "mustBeGreaterThan": "is greater than {}",
    "mustBeGreaterOrEqualTo": "is at least {}",
    "mustBeLessThan": "is less than {}",
    "mustBeLessOrEqualTo": "is at most {}",
    "mustBeBetween": "is between {}",
    "mustNotBeBetween": "is not between {}",
}
_MEASURES = {
    "nullValues": "rows without a value in {columns}",
    "missingValues": "rows whose {columns} is missing or one of {values}",
    "invalidValues": "rows whose {columns} is not {values}",
    "duplicateValues": "rows that repeat the value of {columns}",
    "rowCount": "rows",
}
_SPANS = {"min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_LEVELS = {"latency": "at most {} old", "frequency": "renewed every {}", "retention": "kept for {}"}


def shown_rules(column: Column) -> list[str]:
    """Return what is asked of the values of a column, and of its parts, each with its path."""
    return [*map(_rule, column.rules), *_part_rules(column), *(["unique"] if column.unique else [])]


def _rule(rule: Rule) -> str:
    return _RULES[rule.kind].format(in_code(str(rule.value)) if rule.kind == "pattern" else shown_value(rule.value))


def _part_rules(column: Column, path: str = "") -> list[str]:
    found: list[str] = []
    for part in column.parts:
        at = f"{path}.{part.name}" if part.name else f"{path}[]"
        asked = [*map(_rule, part.rules), *(["required"] if part.required else [])]
        found += [f"{in_code(at.removeprefix('.'))} {rule}" for rule in asked] + _part_rules(part, at)
    return found


def shown_bound(operator: str, bound: object) -> str:
    """Return what an expectation's number must be: is at least 3, is between 1 and 5."""
    among = " and ".join(map(shown_value, bound)) if isinstance(bound, tuple) else shown_value(bound)
    return _OPERATORS[operator].format(among)


def shown_measure(expectation: Expectation, table: str) -> str:
    """Return what an expectation measures. `table`: the id of the table that it is of."""
    if expectation.query is not None:
        return in_code(expectation.query.replace("${object}", table))
    arguments = dict(expectation.arguments)
    columns = arguments.get("properties", (expectation.column,))
    names = ", ".join(f"`{name}`" for name in columns) if isinstance(columns, tuple) else ""
    allowed = [f"one of {shown_value(arguments['validValues'])}"] if "validValues" in arguments else []
    allowed += [f"like {in_code(str(arguments['pattern']))}"] if "pattern" in arguments else []
    values = " and ".join(allowed) or shown_value(arguments.get("missingValues", ""))
    share = "percentage" if expectation.unit == "percent" else "number"
    return f"the {share} of {_MEASURES[expectation.metric or ''].format(columns=names, values=values)}"


def shown_promise(sla: Sla) -> str:
    """Return a promise: at most 26 hours old, renewed every day."""
    unit = _SPANS.get(sla.unit or "", sla.unit or "")
    span = f"{sla.value} {unit}{'' if sla.value == 1 else 's'}"
    if sla.property == "frequency" and sla.value == 1:
        span = unit
    text = _LEVELS.get(sla.property, f"{sla.property} {sla.value} {unit}").format(span)
    return " ".join(text.split()) + (f", measured by `{sla.column}`" if sla.column else "")


def shown_value(value: object) -> str:
    """Return a bound or a list of values of a contract."""
    if isinstance(value, tuple):
        return ", ".join(map(shown_value, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def in_code(text: str) -> str:
    """Return a text as code, on one line."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{' '.join(text.split())}{fence}"
