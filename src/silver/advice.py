"""What a person is told to write into a contract, so that it can be pasted."""

from __future__ import annotations

import re

from src.contract import Column
from src.engine import identifier


def name_in_sql(name: str) -> str:
    """Return a column's name as SQL needs it: in double quotes where it is no plain word."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else identifier(name)


def logic(column: Column, expression: str) -> str:
    """Return the advice to compute a column by an expression, which is quoted as YAML needs it."""
    quoted = "'" + expression.replace("'", "''") + "'" if '"' in expression else f'"{expression}"'
    return f"write `transformLogic: {quoted}` at {column.name}"
