"""The text of rows becomes values of a table's types, read as exactly as the rows of a feed are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from src.contract import TIMESTAMP
from src.contract.errors import shown
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError
from src.model_tests.declared import Row
from src.silver import exact

_TYPED = "typed rows"  # the engine's table that `table` fills


def table(engine: DuckEngine, kinds: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Fill a temporary table with rows of these columns and types; returns its name, in quotes.

    A column that a row leaves out is NULL. The table lasts until the next call.

    Raises:
        ContractError: a value is none of its column's type, or would lose a digit.
    """
    named = [name for name in kinds if any(name in row.values for row in rows)]
    values = ", ".join(
        f"({', '.join([str(at), *(literal(row.values.get(n)) for n in named)])})" for at, row in enumerate(rows)
    )
    texts = ", ".join(["nth", *(_text(at) for at in range(len(named)))])
    written = f"(VALUES {values}) AS written({texts})" if rows else "(SELECT 0 AS nth WHERE false)"
    casts = ", ".join(f"{_cast(at, kinds[name])} AS {_value(at)}" for at, name in enumerate(named))
    typed = f"(SELECT *{', ' if casts else ''}{casts} FROM {written})"
    tests = [_is_bad(at, kinds[name]) for at, name in enumerate(named)]
    found = f"SELECT nth, list_position([{', '.join(tests)}], true) AS wrong FROM {typed}" if tests else ""
    for nth, at in engine.rows(f"{found} WHERE wrong > 0 ORDER BY nth LIMIT 1") if found else ():
        name, row = named[at - 1], rows[nth]
        kind = "timestamp" if kinds[name] == TIMESTAMP else kinds[name].lower()
        what = f"{name}: {shown(row.values[name])} is no {kind}"
        raise ContractError(what, where=row.where, fix="write a value that the column holds without loss")
    columns = [
        f"{_value(named.index(name)) if name in named else f'NULL::{kind}'} AS {identifier(name)}"
        for name, kind in kinds.items()
    ]
    engine.table(_TYPED, f"SELECT {', '.join(columns)} FROM {typed} ORDER BY nth")
    return identifier(_TYPED)


def texts(engine: DuckEngine, columns: Sequence[str], relation: str) -> list[tuple[str | None, ...]]:
    """Return the rows of a relation, each value as the engine writes it."""
    names = ", ".join(f"{identifier(name)}::VARCHAR" for name in columns)
    return engine.rows(f"SELECT {names} FROM {relation}")


def _is_bad(at: int, kind: str) -> str:
    kept = exact.is_kept(_string(at), _value(at), "VARCHAR", kind)
    return f"({_text(at)} IS NOT NULL AND NOT coalesce({kept}, false))"


def _text(at: int) -> str:
    return f"text{at}"


def _string(at: int) -> str:
    """Return the text, of its type also where every row has null."""
    return f"{_text(at)}::VARCHAR"


def _value(at: int) -> str:
    return f"value{at}"


def _cast(at: int, kind: str) -> str:
    return _string(at) if kind == "VARCHAR" else exact.cast(_string(at), "VARCHAR", kind)
