"""A property of another contract becomes a column of ours: its name, its type, what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from src.contract.adopt import types
from src.contract.adopt.changes import Changes, objects

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = ("rowid", "file_row_number")
_FORMATS = ("email", "ipv4", "uri", "uuid")
_ONLY_OF_COLUMNS = ("primaryKey", "partitioned", "unique", "transformLogic", "quality", "relationships")
_POSITIONS = ("primaryKeyPosition", "partitionKeyPosition")
_OPTIONS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("minItems", "maxItems", "uniqueItems"),
    "object": ("required",),
    **dict.fromkeys(("date", "timestamp", "time"), ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    **dict.fromkeys(
        ("integer", "number"), ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    ),
}


def called(node: Mapping[str, Any]) -> str:
    """Return the name that a property has."""
    return str(node.get("name") or node.get("physicalName") or "column")


def adopted_property(node: Mapping[str, Any], where: str, name: str, changes: Changes, *, ours: bool) -> dict[str, Any]:
    """Return a column of ours, of this name; `ours`: expressions are about landed files."""
    found, original = dict(node), called(node)
    found["name"] = name
    source = str(found.pop("physicalName", None) or original)
    if found["name"] != original:
        changes.add(where, f"named {found['name']}, as names are written here")
    _set_type(found, where, changes)
    logic = found.pop("transformLogic", None)
    if logic and ours:
        found["transformLogic"] = logic
    elif logic:
        found.setdefault("transformDescription", str(logic).strip())
        changes.add(where, "transformLogic is SQL of the database it came from: kept as transformDescription")
    if source.lower() != found["name"] and not found.get("transformLogic"):
        found["transformLogic"] = '"' + source.replace('"', '""') + '"'
        changes.add(where, f"reads the file's column {source}")
    _set_enum(found, where, changes)
    found["customProperties"] = with_vendor(found.get("customProperties"), where, changes)
    if found.pop("semanticType", "column") != "column":
        changes.add(where, "semanticType: a table has columns here; left out")
    return found


def with_vendor(items: Any, where: str, changes: Changes) -> list[dict[str, Any]]:
    """Return custom properties, each said to be another tool's, so that they are left in peace."""
    found = []
    for item in objects(items):
        if item.get("value") is None or not item.get("property"):
            changes.add(where, f"custom property {item.get('property')} says nothing: left out")
            continue
        found.append({**item, "vendor": item.get("vendor", "other")})
        if "vendor" not in item:
            changes.add(where, f"custom property {item['property']} is another tool's: kept with `vendor: other`")
    return found


def _set_type(node: dict[str, Any], where: str, changes: Changes, *, inner: bool = False) -> None:
    logical, physical = node.get("logicalType"), node.pop("physicalType", None)
    declared = f"logicalType {logical}" + (f", physicalType {physical}" if physical else "")
    kind = types.found(logical, physical)
    if kind is None and logical in ("array", "object") and (node.get("items") or node.get("properties")):
        kind = types.Type(logical, "json", kind="json")
    if kind is None and (logical or physical):
        changes.add(where, f"{declared}: no type that is known; read as text")
    kind = kind or types.Type("string")
    has_parts = kind.kind == "json" and _set_parts(node, where, changes)
    if has_parts:
        node["logicalType"] = "object" if "properties" in node else "array"
    else:
        for key in ("items", "properties", "map"):
            node.pop(key, None)
        node["logicalType"] = "string" if inner and kind.kind == "json" else kind.logical
        if kind.physical and not (inner and kind.kind == "json"):
            node["physicalType"] = kind.physical
        if kind.kind == "json":
            changes.add(where, f"{declared} without parts that can be typed: its JSON as text")
    same = str(physical).lower().replace(" ", "") in (kind.kind, str(kind.physical))
    same = same or (node["logicalType"] == "string" and kind.kind in ("string", "named"))  # text, whatever it is called
    if (node["logicalType"] != logical or not (same or physical is None)) and kind.kind != "json":
        typed = node.get("physicalType") or node["logicalType"]
        changes.add(where, f"{declared}: read as {typed}")
    _set_options(node, kind, where, changes)


def _set_parts(node: dict[str, Any], where: str, changes: Changes) -> bool:
    """Keep the parts of a list or an object; return whether all of them can be typed."""
    items = objects(node.get("items"))
    parts = items[:1] or objects(node.get("properties"))
    names = [str(part.get("name", "")) for part in parts]
    if not parts or (not items and not all(_FIELD.fullmatch(name) for name in names)):
        return False
    if not items and len({name.lower() for name in names}) < len(names):
        return False
    found = [dict(part) for part in parts]
    for part, name in zip(found, names, strict=True):
        at = f"{where}[]" if items else f"{where}.{name}"
        part.pop("physicalName", None)
        if dropped := [key for key in _ONLY_OF_COLUMNS if part.pop(key, None)]:
            changes.add(at, f"{', '.join(dropped)} of a part of a column: left out")
        for key in (*_POSITIONS, "semanticType"):
            part.pop(key, None)
        _set_type(part, at, changes, inner=True)
        _set_enum(part, at, changes)
        if custom_properties := with_vendor(part.pop("customProperties", None), at, changes):
            part["customProperties"] = custom_properties
    node.pop("items", None)
    node.pop("properties", None)
    if items:
        found[0].pop("name", None)
        node["items"] = found[0]
    else:
        node["properties"] = found
    return True


def _set_options(node: dict[str, Any], kind: types.Type, where: str, changes: Changes) -> None:
    options = node.pop("logicalTypeOptions", None)
    options = dict(options) if isinstance(options, dict) else {}
    known = _OPTIONS.get(node["logicalType"], ()) if node.get("physicalType") != "json" else ()
    for name in list(options):
        if name not in known or (name == "format" and options[name] not in _FORMATS):
            changes.add(where, f"{name} {options.pop(name)} is no rule for {node['logicalType']} here: left out")
    if kind.length and node["logicalType"] == "string" and "maxLength" not in options:
        options["maxLength"] = kind.length
        changes.add(where, f"its length is a rule here: maxLength {kind.length}")
    if options:
        node["logicalTypeOptions"] = options


def _set_enum(node: dict[str, Any], where: str, changes: Changes) -> None:
    values = node.get("enum")
    if isinstance(values, list) and any(not isinstance(value, dict) for value in values):
        node["enum"] = [value if isinstance(value, dict) else {"value": value} for value in values]
        changes.add(where, "enum: each value written as `value: ...`")
