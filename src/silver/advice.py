"""What a person is told to write into a contract, so that it can be pasted."""

from __future__ import annotations

from src.contract import Column
from src.engine import DuckEngine, identifier
from src.errors import ContractError


def name_in_sql(engine: DuckEngine, name: str) -> str:
    """Return a column's name as SQL needs it: in double quotes where it is no plain word, or a word of SQL's own."""
    try:
        plain = engine.column_references(f"coalesce({name}, {name}::text)") == {name.lower()}
    except ContractError:
        plain = False
    return name if plain else identifier(name)


def logic(column: Column, expression: str) -> str:
    """Return the advice to compute a column by an expression, which is quoted as YAML needs it."""
    quoted = "'" + expression.replace("'", "''") + "'" if '"' in expression else f'"{expression}"'
    return f"write `transformLogic: {quoted}` at {column.name}"
