"""What a contract promises of a table beyond each row: audits, foreign keys, service levels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from src.contract import custom
from src.contract.columns import check_pattern
from src.contract.custom import is_number
from src.contract.errors import Part, hint, listed, shown
from src.contract.model import OPERATORS, SEVERITIES, UNITS, Expectation, Relationship, Sla

# -- audits

_METRICS: Mapping[str, Mapping[str, tuple[str, ...] | None]] = {  # the arguments it takes; None: it is not for such
    "nullValues": {"column": (), "table": None},
    "missingValues": {"column": ("missingValues",), "table": None},
    "invalidValues": {"column": ("validValues", "pattern"), "table": None},
    "duplicateValues": {"column": (), "table": ("properties",)},
    "rowCount": {"column": None, "table": ()},
}
_PLACEHOLDER = re.compile(r"\$?\{([A-Za-z_]\w*)\}")


def expectations(table: Part) -> tuple[Expectation, ...]:
    """Return the audits of a schema object: its own, then those of its columns."""
    properties = table.parts("properties")
    names = [part.node["name"] for part in properties]
    found = [_expectation(item, None, names) for item in table.parts("quality")]
    for part, name in zip(properties, names, strict=True):
        found += [_expectation(item, name, names) for item in part.parts("quality")]
    return tuple(expectation for expectation in found if expectation)


def _expectation(item: Part, column: str | None, names: Sequence[str]) -> Expectation | None:
    """Return one audit; None for documentation, and, with an error added, where there is nothing to run."""
    node = item.node
    kind = node.get("type", "library")
    if kind == "text":
        return None
    if kind == "custom":
        item.error("type custom", "type", "write `type: sql` with a query, or a metric")
        return None
    operator = next(name for name in OPERATORS if name in node)
    expectation = Expectation(
        kind=kind,
        operator=operator,
        bound=_frozen(node[operator]),
        column=column,
        metric=node.get("metric") if kind == "library" else None,
        query=_query(item, column) if kind == "sql" else None,
        unit=node.get("unit", "rows"),
        severity=node.get("severity", "error"),
        dimension=node.get("dimension"),
        arguments=tuple((name, _frozen(value)) for name, value in node.get("arguments", {}).items()),
        id=node.get("id"),
        description=item.text("description") or node.get("name", ""),
    )
    _check_expectation(expectation, item)
    if kind == "library":
        _check_metric(expectation, names, item)
    return expectation


def _check_expectation(expectation: Expectation, item: Part) -> None:
    bound, operator = expectation.bound, expectation.operator
    if expectation.severity not in SEVERITIES:
        item.error(f"severity {expectation.severity}", "severity", "write error (stops the write) or warning")
    if expectation.unit not in ("rows", "percent"):
        item.error(f"unit {expectation.unit}", "unit", "write rows or percent")
    if "Between" in operator and isinstance(bound, tuple):
        if bound[0] >= bound[1]:
            item.error(f"{operator} {list(bound)}", operator, "write the smaller number first")
    elif not is_number(bound) and not (isinstance(bound, bool) and expectation.kind == "sql"):
        item.error(f"{operator} {shown(bound)}", operator, "write a number")


def _check_metric(expectation: Expectation, names: Sequence[str], item: Part) -> None:
    metric, level = expectation.metric or "", "column" if expectation.column else "table"
    known = _METRICS[metric][level]
    if known is None:
        item.error(f"metric {metric} of a {level}", "metric", "write it at the table, or at a column")
        return
    if known and not {name for name, _ in expectation.arguments} & set(known):
        item.error(f"{metric} without arguments", "arguments", f"write {' or '.join(known)}")
    if metric == "rowCount" and expectation.unit == "percent":
        item.error("rowCount in percent", "unit", "write rows")
    for name, value in expectation.arguments:
        at = f"arguments.{name}"
        if name not in known:
            item.error(f"unknown argument {name}", at, f"{metric} takes {listed(known) or 'none'}")
        elif name == "pattern" and isinstance(value, str):
            check_pattern(value, item, at)
        elif name == "pattern" or not _is_scalars(value):
            item.error(f"{name} {shown(value)}", at, f"write {'text' if name == 'pattern' else 'a list of values'}")
        elif name == "properties" and isinstance(value, tuple):
            item.file.check_columns(value, names, item.key_path(at))


def _query(item: Part, column: str | None) -> str:
    """Return the query with the column's name put in; `${object}` is left for the one who runs it."""
    text = item.node["query"]
    names = {"object": "${object}", "table": "${object}"}
    if column:
        names |= {"property": f'"{column}"', "column": f'"{column}"'}
    for placeholder in _PLACEHOLDER.findall(text):
        if placeholder not in names:
            known = listed(f"${{{name}}}" for name in names)
            item.error(f"unknown placeholder {placeholder}", "query", f"known: {known}")
    if not text.strip():
        item.error("empty query", "query", "write a SELECT of one value")
    return _PLACEHOLDER.sub(lambda found: names.get(found[1], found[0]), text).strip()


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _is_scalars(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and not any(isinstance(item, dict | tuple) for item in value)


# -- foreign keys

_End = tuple[str, tuple[str, ...]]  # table id and columns


def relationships(table: Part) -> tuple[Relationship, ...]:
    """Return the foreign keys of a schema object and of its columns.

    The tables and columns they name are added to the file's references, and checked once all tables are known.
    """
    home = f"{table.file.layer}.{table.file.domain}.{table.node['name']}"
    found = [_relationship(item, _end(item, "from"), home) for item in table.parts("relationships")]
    for part in table.parts("properties"):
        start = (home, (part.node["name"],))
        found += [_relationship(item, start, home) for item in part.parts("relationships")]
    return tuple(relationship for relationship in found if relationship)


def _relationship(item: Part, start: _End | None, home: str) -> Relationship | None:
    end = _end(item, "to")
    severity = custom.values(item, custom.RELATIONSHIP).get("severity", "error")
    if start is None or end is None:
        return None
    if start[0] != home:
        item.error(f"from names {start[0]}", "from", f"write columns of {home.rpartition('.')[2]}")
        return None
    if len(start[1]) != len(end[1]):
        what = f"{len(start[1])} columns refer to {len(end[1])}"
        item.error(what, fix="let `from` and `to` have as many columns")
        return None
    item.file.references += [(item.key_path("from"), *start), (item.key_path("to"), *end)]
    return Relationship(start[1], end[0], end[1], severity)


def _end(item: Part, side: str) -> _End | None:
    """Return one side of a relationship; None, with an error added, where it cannot be read."""
    node, file = item.node[side], item.file
    ends: list[tuple[str, str]] = []
    for text in [node] if isinstance(node, str) else node:
        steps = text.split(".")
        if len(steps) not in (2, 4) or "/" in text:
            item.error(f"reference {text}", side, "write table.column, or silver.domain.table.column")
            return None
        table = ".".join(steps[:-1]) if len(steps) == 4 else f"{file.layer}.{file.domain}.{steps[0]}"
        ends.append((table, steps[-1]))
    tables = list(dict.fromkeys(table for table, _ in ends))
    if len(tables) != 1:
        item.error(f"columns of several tables: {listed(tables)}", side, "refer to the columns of one table")
        return None
    return tables[0], tuple(column for _, column in ends)


# -- service levels

_SPANS = {long: long for long in ("latency", "frequency", "retention")}
_SPANS |= {"ly": "latency", "fy": "frequency", "re": "retention"}


def service_levels(document: Part) -> list[tuple[Sla, ...]]:
    """Return the service levels of each table: those that name it or its columns, and those that name nothing."""
    tables = document.parts("schema")
    elements: dict[str, tuple[int, str | None]] = {}
    for index, table in enumerate(tables):
        name = table.node["name"]
        elements[name] = (index, None)
        for part in table.parts("properties"):
            elements[f"{name}.{part.node['name']}"] = (index, part.node["name"])
    found: list[list[Sla]] = [[] for _ in tables]
    for item in document.parts("slaProperties"):
        kind, value, unit = _span(item)
        for element in item.node["element"].split(",") if "element" in item.node else [None]:
            element = element.strip() if element else None
            if element and element not in elements:
                item.error(f"element {element}", "element", hint(element, elements))
                continue
            at, column = elements[element] if element else (None, None)
            sla = Sla(kind, value, unit, element, column, item.node.get("driver"), item.text("description"))
            for slas in found if at is None else [found[at]]:
                slas.append(sla)
    return [tuple(slas) for slas in found]


def _span(item: Part) -> tuple[str, object, str | None]:
    """Return a service level's name, value and unit; those of a span of time are checked and made canonical."""
    value, unit = item.node["value"], item.node.get("unit")
    name = _SPANS.get(item.node["property"].lower())
    if name is None:
        return item.node["property"], value, unit
    if not is_number(value) or value <= 0:
        item.error(f"{name} {shown(value)}", "value", "write a number greater than 0")
    known = [short for short, other in UNITS.items() if str(unit).lower() in (short, *other.spellings)]
    if not known:
        item.error(f"unit {shown(unit)}", "unit", f"known: {listed(UNITS)}")
    return name, value, known[0] if known else None
