"""Which masked columns a person's SELECT reads: told with its answer, whatever became of it."""

from __future__ import annotations

from collections.abc import Mapping

from src.engine import DuckEngine
from src.errors import BoathouseError
from src.masking.masks import Masks
from src.proof.columns import column_origins


def masked_reads(engine: DuckEngine, masks: Masks, sql: str) -> dict[str, tuple[str, ...]]:
    """Return the columns that a SELECT over published tables reads, of the tables that have masks, by table."""
    read = {name for name in engine.table_references(sql) if masks.covers(name)}
    if not read:
        return {}
    columns = {name: tuple(engine.columns(f"SELECT * FROM {name}")) for name in sorted(read)}
    named = _named(engine, sql, columns)
    return {
        table: tuple(name for name in names if named is None or {(table, name), (table, None)} & named)
        for table, names in columns.items()
    }


def _named(engine: DuckEngine, sql: str, columns: Mapping[str, tuple[str, ...]]) -> set[tuple[str, str | None]] | None:
    """Return the references of a SELECT to columns; None where they cannot be told."""
    try:
        origins = column_origins(engine, engine.inline(sql), columns)
    except BoathouseError:
        return None
    return {reference for origin in origins.values() for reference in origin.all}
