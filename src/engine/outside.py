"""The calls with which a SELECT looks at the engine or the machine in place of its tables.

The engine has hundreds of functions, and each release brings more. Of those that make rows only what is known to make
them from their arguments passes; of the others those that tell of settings, paths or other statements do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_MAKE_ROWS = frozenset({"unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree"})
_TELL = frozenset(
    {
        *("current_setting", "getenv", "getvariable", "current_query", "write_log", "nextval", "currval", "setval"),
        *("pg_get_viewdef", "pg_get_expr", "pg_get_constraintdef", "sleep_ms", "pg_sleep"),
    }
)
_VIEWS = ("duckdb_", "pg_", "pragma_", "sqlite_")  # of the engine, readable without brackets


def find(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the calls among the nodes of a parsed SELECT that look outside of its tables, sorted."""
    return sorted(set(_found(nodes)))


def _found(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for node in nodes:
        if node.get("type") == "TABLE_FUNCTION":
            name = _name(node["function"])
            if name not in _MAKE_ROWS:
                yield f"{name}()"
        elif node.get("type") == "BASE_TABLE":
            name = str(node["qualified_name"]["path"][-1]).lower()
            yield from [name] if name.startswith(_VIEWS) else []  # also where a CTE elsewhere has the same name
        elif node.get("type") == "SHOW_REF":
            yield "SHOW, DESCRIBE or SUMMARIZE"
        elif node.get("class") == "FUNCTION" and _name(node) in _TELL:
            yield f"{_name(node)}()"


def _name(function: Mapping[str, Any]) -> str:
    return str(function.get("function_name", "")).lower()
