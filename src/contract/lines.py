"""Where something stands in a contract's file: asked only once there is an error to tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def place_of(path: Path, table: str, key: str, column: str = "") -> str:
    """Return the file and line of a key of a table, or of one of its columns: a field of it or a custom property.

    The file alone where it is not found.
    """
    import yaml

    try:
        tree = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return str(path)
    part = _named(_value(tree, "schema"), "name", table)
    if column:
        part = _named(_value(part, "properties"), "name", column)
    found = _value(part, key) or _value(_named(_value(part, "customProperties"), "property", key), "value") or part
    return f"{path}:{found.start_mark.line + 1}" if found else str(path)


def _value(node: Any, key: str) -> Any:
    """Return the node of a key; None where there is none."""
    pairs: Sequence[Any] = node.value if getattr(node, "id", "") == "mapping" else ()
    return next((value for name, value in pairs if name.value == key), None)


def _named(node: Any, key: str, name: str) -> Any:
    """Return the mapping of a list whose key has this value; None where there is none."""
    items: Sequence[Any] = node.value if getattr(node, "id", "") == "sequence" else ()
    return next((item for item in items if getattr(_value(item, key), "value", None) == name), None)
