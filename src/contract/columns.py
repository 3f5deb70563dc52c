"""A property becomes a column: one of DuckDB's own types, however it is spelled, and rules that each row must pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from src.contract import custom
from src.contract.custom import is_number
from src.contract.errors import Part, listed, shown, with_article
from src.contract.model import INTEGERS, TIMESTAMP, Column, Rule, shown_type

_RESERVED = ("rowid", "file_row_number")  # the engine's own names for where a row lies


def columns(table: Part) -> tuple[Column, ...]:
    """Return the columns of a schema object, in the order of the contract."""
    names: list[str] = []
    found: list[Column] = []
    for part in table.parts("properties"):
        name = part.node["name"]
        if name.lower() in names:
            part.error(f"duplicate column {name}", "name", "keep one of them, or give it another name")
        else:
            part.file.check_name("column", name, part.key_path("name"), _RESERVED)
        names.append(name.lower())
        found.append(_column(part))
    return tuple(found)


def check_same_name(part: Part) -> None:
    """Add an error where `physicalName` differs from the name: one thing has one name."""
    name = part.node["name"]
    physical = part.node.get("physicalName", name)
    if physical != name:
        part.error(f"physicalName {physical}; the name is {name}", "physicalName", "remove it: one thing has one name")


def _column(part: Part) -> Column:
    node = part.node
    shape = _shape(part)
    kind = shape.type if shape else None
    check_same_name(part)
    custom_values = custom.values(part, custom.GOLD_COLUMN if part.file.layer == "gold" else custom.SILVER_COLUMN)
    if node.get("semanticType", "column") == "measure":
        part.error("semanticType measure", "semanticType", "a table has columns; leave it out")
    if not node.get("transformLogic", "-").strip():
        part.error("empty transformLogic", "transformLogic", "write an SQL expression, or leave it out")
    required = node.get("required", False) or node.get("primaryKey", False)
    optional = custom_values.get("optional", False)
    if optional and required:
        fix = "remove one of them: until a file brings the column, every row would be rejected"
        part.error(f"column {node['name']} is optional and required", "customProperties[optional]", fix)
    return Column(
        name=node["name"],
        type=kind or "VARCHAR",  # of no consequence: an error stops the load
        expression=node["transformLogic"].strip() if "transformLogic" in node else None,
        required=required,
        optional=optional,
        unique=node.get("unique", False),
        rules=_rules(part) if kind else (),
        form=shape.form if shape else None,
        parts=shape.parts if shape else (),
        description=part.text("description"),
        classification=node.get("classification"),
        feature=custom_values.get("feature", False),
        mask=_mask(custom_values, shape, part),
        drift=_drift(custom_values),
        non_finite=_non_finite(custom_values, kind, part),
    )


_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_COLUMNS = ("primaryKey", "partitioned", "unique", "transformLogic", "quality", "relationships")


def _inner(part: Part, required: Sequence[str] = ()) -> Column:
    """Return a property of an object, or what the items of a list are."""
    node, shape = part.node, _shape(part, inner=True)
    name = node.get("name", "")
    if name and not _FIELD.fullmatch(name):
        fix = "write letters, digits and _, as the key is in the files; or let the column be `physicalType: json`"
        part.error(f"property name {name}", "name", fix)
    if name:
        check_same_name(part)
    for key in _OF_COLUMNS:
        if node.get(key):
            part.error(f"{key} of a part of a column", key, "say it of a column; transformLogic can make one of a part")
    custom.values(part, {})
    return Column(
        name=name,
        type=shape.type if shape else "VARCHAR",
        required=node.get("required", False) or name in required,
        rules=_rules(part) if shape else (),
        description=part.text("description"),
        classification=node.get("classification"),
        form=shape.form if shape else None,
        parts=shape.parts if shape else (),
    )


def _non_finite(custom_values: Mapping[str, Any], kind: str | None, part: Part) -> bool:
    if "nonFinite" in custom_values and kind not in ("FLOAT", "DOUBLE", None):
        part.error(
            f"nonFinite of a {kind}", "customProperties[nonFinite]", "remove it: only float and double have such"
        )
    return "nonFinite" in custom_values


def _mask(custom_values: Mapping[str, Any], shape: _Shape | None, part: Part) -> str | None:
    """Return the mask that a column asks for, None where it asks for none; only text has others than null."""
    if "mask" not in custom_values:
        return None
    mask = custom_values["mask"] or "null"  # of YAML either may stand for the other
    is_text = shape is None or (shape.type == "VARCHAR" and shape.form is None)
    at = "customProperties[mask]"
    if mask != "null" and not is_text:
        kind = shown_type(shape.type) if shape and shape.form is None else shape.form if shape else ""
        part.error(f"mask {mask} of a {kind}", at, "write null, or leave it out: only text has a hash or a part")
    if not part.node.get("classification"):
        part.error("a mask without a classification", at, "write `classification: pii` too: it is what asks for a mask")
    return str(mask)


def _drift(custom_values: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the bounds of a column's drift (PSI); the credit industry's (Siddiqi 2006) where none are written."""
    if "drift" not in custom_values:
        return None
    low, high = (0.1, 0.25) if custom_values["drift"] == "psi" else custom_values["drift"]
    return float(low), float(high)


# -- types

_FAMILIES = {
    "string": ("VARCHAR",),
    "integer": INTEGERS,
    "number": ("FLOAT", "DOUBLE", "DECIMAL"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": (TIMESTAMP,),
    "time": ("TIME", "VARCHAR"),
}
_NESTED = {"array": ("array", "list"), "object": ("object", "struct", "record")}  # physical types of what is nested
_JSON = ("json", "jsonb")
_WIDEST = {"integer": "BIGINT", "number": "DOUBLE"}  # where a family has several, and no physicalType chooses
_SPELLINGS = {
    "VARCHAR": ("varchar", "character varying", "char", "bpchar", "text", "string"),
    "BOOLEAN": ("boolean", "bool", "logical"),
    "TINYINT": ("tinyint", "int1", "byte"),
    "SMALLINT": ("smallint", "int2", "short"),
    "INTEGER": ("integer", "int", "int4", "signed"),
    "BIGINT": ("bigint", "int8", "long"),
    "FLOAT": ("float", "float4", "real"),
    "DOUBLE": ("double", "double precision", "float8"),
    "DECIMAL": ("decimal", "numeric"),
    "DATE": ("date",),
    "TIME": ("time", "time without time zone"),
    TIMESTAMP: ("timestamp", "timestamptz", "timestamp_tz", "timestamp with time zone", "datetime"),
}
_TYPES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}
_SUPPORTED = listed(_SPELLINGS).replace("DECIMAL", "DECIMAL(p,s)")
_SPELLED = re.compile(r"([a-z][a-z0-9_]*(?: [a-z]+)*) ?(?:\( ?(\d+) ?(?:, ?(\d+) ?)?\))?")


class _Shape(NamedTuple):
    type: str
    form: str | None = None
    parts: tuple[Column, ...] = ()


def _shape(part: Part, *, inner: bool = False) -> _Shape | None:
    """Return a property's type, form and parts; None, with an error added, where it has none.

    `inner`: it is a part of another.
    """
    logical = part.node.get("logicalType")
    if logical in _NESTED:
        return _nested(part, logical, inner=inner)
    kind = _type(part)
    if kind and logical == "time":
        return _Shape("VARCHAR", "time")
    return _Shape(kind) if kind else None


def _nested(part: Part, logical: str, *, inner: bool) -> _Shape | None:
    """Return the shape of a list or an object: of its parts, or of its JSON as text."""
    node, inside = part.node, "items" if logical == "array" else "properties"
    physical = " ".join(node.get("physicalType", "").lower().split())
    if physical and physical not in (*_NESTED[logical], *_JSON, *_SPELLINGS["VARCHAR"]):
        fix = f"leave it out and declare `{inside}`, or write json: then the column is its text"
        part.error(f"logicalType {logical} with physicalType {node['physicalType']}", "physicalType", fix)
        return None
    if physical and physical not in _NESTED[logical]:
        if inner:
            fix = f"declare `{inside}`, or write json at the column: then all of it is text"
            part.error(f"a part of a column as {physical}", "physicalType", fix)
        return None if inner else _Shape("VARCHAR", "json")
    if not node.get(inside):
        fix = f"declare `{inside}`" + ("" if inner else ", or write `physicalType: json`: then the column is its text")
        part.error(f"{with_article(logical)} without {inside}", inside, fix)
        return None
    if logical == "array":
        item = _inner(Part(part.file, node["items"], part.key_path("items")))
        return _Shape(f"{item.type}[]", None, (item,))
    required = node.get("logicalTypeOptions", {}).get("required", ())
    parts = tuple(_inner(each, required) for each in part.parts("properties"))
    names = [each.name.lower() for each in parts]
    for name in {name for name in names if names.count(name) > 1}:
        part.error(f"duplicate property {name}", "properties", "keep one of them: capitals do not tell names apart")
    part.file.check_columns(required, [each.name for each in parts], part.key_path("logicalTypeOptions.required"))
    fields = ", ".join(f'"{each.name}" {each.type}' for each in parts)
    return _Shape(f"STRUCT({fields})", None, parts)


def _type(part: Part) -> str | None:
    """Return the canonical DuckDB type; None, with an error added, where there is none."""
    logical, physical = part.node.get("logicalType"), part.node.get("physicalType")
    if logical is None:
        if not part.node.get("name"):  # of a column the standard's errors say it
            part.error("missing key logicalType", fix="write `logicalType: ...`")
        return None
    if logical not in _FAMILIES:
        part.error(f"logicalType {logical}", "logicalType", f"supported: {listed([*_FAMILIES, *_NESTED])}")
        return None
    if physical is None:
        return _WIDEST.get(logical, _FAMILIES[logical][0])
    kind = _physical_type(physical)
    if kind is None:
        part.error(f"physicalType {physical}", "physicalType", f"supported: {_SUPPORTED}")
    elif kind.partition("(")[0] not in _FAMILIES[logical]:
        fix = f"{logical} goes with {listed(_FAMILIES[logical])}"
        part.error(f"logicalType {logical} with physicalType {physical}", "physicalType", fix)
    return kind


def _physical_type(text: str) -> str | None:
    spelled = _SPELLED.fullmatch(" ".join(text.lower().split()))
    kind = _TYPES.get(spelled[1]) if spelled else None
    if spelled is None or kind is None:
        return None
    if kind in (TIMESTAMP, "TIME") and spelled[2] == "6" and spelled[3] is None:
        return kind  # the digits of a second that it has
    if kind != "DECIMAL":
        return kind if spelled[2] is None else None  # a length would be ignored: it is a rule, maxLength
    precision, scale = int(spelled[2] or 0), int(spelled[3] or 0)
    return f"DECIMAL({precision},{scale})" if 1 <= precision <= 38 and scale <= precision else None


# -- row rules

_FORMATS = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "ipv4": r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.|$)){4}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
_FORMAT_FIXES = {
    "string": f"supported: {listed(_FORMATS)}; or write a pattern",
    "date": "write `transformLogic: strptime(<source column>, '%Y-%m-%d')`, with your format",
    "timestamp": "write `transformLogic: strptime(<source column>, '%Y-%m-%d %H:%M:%S')`, with your format",
    "time": "write `transformLogic: cast(strptime(<source column>, '%H.%M') as time)`, with your format",
}
_PAIRS = [(low, high) for low in ("minimum", "exclusiveMinimum") for high in ("maximum", "exclusiveMaximum")]
_PAIRS += [("minLength", "maxLength"), ("minItems", "maxItems")]
_BOUNDS = {kind for pair in _PAIRS for kind in pair} | {"multipleOf"}
_NOT_RE2 = re.compile(r"\(\?(?:<?[=!]|>|\(|P=)|[*+?}]\+")


def check_pattern(pattern: str, part: Part, key: str) -> None:
    """Add an error where a pattern is none that RE2 takes, which checks the rows.

    RE2 is like Python's re without look-around, back-references and possessives.
    """
    fix = "write a regular expression as RE2 knows it: no look-around, no back-references"
    try:
        re.compile(pattern)
    except re.error as error:
        part.error(f"pattern {pattern}: {error}", key, fix)
        return
    escapes = re.findall(r"\\.", pattern)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "x", re.sub(r"\\.", "x", pattern))
    beyond = [*_NOT_RE2.findall(plain), *(escape for escape in escapes if escape[1] in "123456789Z")]
    if beyond:
        part.error(f"pattern {pattern}: {beyond[0]}", key, fix)


def _rules(part: Part) -> tuple[Rule, ...]:
    """Return the row rules of a property; the standard's schema has checked which options go with its type."""
    logical = part.node["logicalType"]
    rules: list[Rule] = []
    for kind, value in part.node.get("logicalTypeOptions", {}).items():
        at = f"logicalTypeOptions.{kind}"
        if logical == "boolean":
            part.error(f"unknown key {kind}", at, "a boolean has no options")
        elif logical in _NESTED and not part.node.get("items") and not part.node.get("properties"):
            part.error(f"{kind} of JSON text", at, "remove it, or declare the parts: only these are counted")
        elif logical == "object":
            if kind != "required":
                part.error(f"{kind} of an object", at, "remove it: nothing checks it")
        elif kind == "format" and (logical != "string" or value not in _FORMATS):
            part.error(f"format {value}", at, _FORMAT_FIXES.get(logical, "say it with physicalType"))
        elif kind == "format":
            rules.append(Rule("pattern", _FORMATS[value]))
        elif kind == "defaultTimezone" and value not in ("UTC", "Etc/UTC"):
            part.error(f"defaultTimezone {value}", at, "write UTC: convert in transformLogic")
        elif kind not in ("timezone", "defaultTimezone") and (kind, value) != ("uniqueItems", False):
            if kind == "pattern":
                check_pattern(value, part, at)
            rules.append(Rule(kind, _canonical(value, logical)))
    _check_bounds(rules, part)
    if "enum" in part.node and logical in _NESTED:
        part.error(f"enum of {with_article(logical)}", "enum", "say it of a part")
    elif "enum" in part.node:
        rules.append(_enum_rule(part))
    return tuple(rules)


def _check_bounds(rules: Sequence[Rule], part: Part) -> None:
    """Add an error for each bound that is no value of the column's type, and for bounds that no value can meet."""
    logical, options = part.node["logicalType"], "logicalTypeOptions"
    bounds = {rule.kind: _comparable(rule.value, logical) for rule in rules if rule.kind in _BOUNDS}
    for kind, value in bounds.items():
        if value is None:
            part.error(f"{kind} is not {with_article(logical)}", f"{options}.{kind}", f"write {_example(logical)}")
    for low, high in _PAIRS:
        lower, upper = bounds.get(low), bounds.get(high)
        if lower is None or upper is None:
            continue
        if lower > upper or (lower == upper and "exclusive" in low + high):
            part.error(f"no value can pass {low} and {high}", f"{options}.{low}", "let the lower bound be the lower")


def _enum_rule(part: Part) -> Rule:
    logical = part.node["logicalType"]
    for item in part.parts("enum"):
        value = item.node["value"]
        fits = {
            "string": isinstance(value, str),
            "boolean": isinstance(value, bool),
            "integer": is_number(value) and value == int(value),
        }
        if not (fits[logical] if logical in fits else _comparable(value, logical) is not None):
            item.error(f"value {shown(value)} of {with_article(logical)} column", "value", f"write {_example(logical)}")
    return Rule("enum", tuple(_canonical(item["value"], logical) for item in part.node["enum"]))


def _canonical(value: Any, logical: str) -> Any:
    """Return a value as the column holds it: a time of day with its seconds; any other as it is written."""
    return str(found) if logical == "time" and (found := _time(value)) else value


def _time(value: Any) -> str | None:
    """Return a time of day as text that is ordered as times are; None where it is none, or finer than a microsecond."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{0,6})0*)?)?", str(value))
    if found is None:
        return None
    fraction = (found[4] or "").rstrip("0")
    return f"{int(found[1]):02}:{int(found[2]):02}:{int(found[3] or 0):02}" + (f".{fraction}" if fraction else "")


def _comparable(value: Any, logical: str) -> Any:
    """Return a value in the type it is compared in; None where it is not of the logical type."""
    from datetime import UTC, date, datetime

    if logical == "time":
        return _time(value)
    if logical in ("date", "timestamp"):
        try:
            if logical == "date":
                return date.fromisoformat(value)
            time = datetime.fromisoformat(value)
            if re.search(r"[.,]\d{6}0*[1-9]", value):
                return None  # finer than any value of the column; it would be cut to a microsecond
        except (TypeError, ValueError):
            return None
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return value if is_number(value) else None


def _example(logical: str) -> str:
    """Return what to write for a value of a type, as the fix of an error."""
    return with_article(logical) + {
        "string": ", in quotes",
        "date": ", for example 2011-12-31",
        "timestamp": ", for example 2011-12-31T23:59:59",
        "time": ', in quotes, for example "23:59:59"',
    }.get(logical, "")
