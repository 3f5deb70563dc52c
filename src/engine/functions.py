"""DuckDB's functions by name, as a proof over its SQL needs to know them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from src.engine.unrepeatable import RUN_DATE

LISTED = "SELECT function_name, function_type, macro_definition FROM duckdb_functions()"


@dataclass(frozen=True)
class Functions:
    """Names of functions, in lower case; a macro is what it calls."""

    known: frozenset[str]  # that give a value for a row, a group or a window
    aggregates: frozenset[str]

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[str, str, str | None]]) -> Functions:
        """Return the functions of the rows of LISTED."""
        known = {name for name, kind, _ in rows if kind in ("scalar", "aggregate", "window", "macro")}
        aggregates = {name for name, kind, _ in rows if kind == "aggregate"}
        macros = [(name, set(re.findall(r"\w+(?=\()", text or ""))) for name, kind, text in rows if kind == "macro"]
        for _ in range(3):  # a macro may call one that calls another
            aggregates |= {name for name, called in macros if called & aggregates}
        return cls(frozenset(known | {RUN_DATE}), frozenset(aggregates))
