"""Parquet by the engine: values as it casts them to text; bytes as hex, nested values as JSON, NULL as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.bronze.readers.files import pattern
from src.bronze.readers.records import Rows, checked, numbered
from src.bronze.readers.refusals import unreadable
from src.engine import DuckEngine, identifier, literal
from src.errors import DataError


def parquet_by_engine(engine: DuckEngine, path: Path) -> Rows:
    with open(path, "rb"):
        pass  # no permission is told as such
    file = literal(pattern(path))
    source = f"read_parquet({file}, hive_partitioning = false)"
    try:
        kinds = engine.columns(f"SELECT * FROM {source}")
        parts = engine.rows(f"SELECT name, num_children FROM parquet_schema({file})")
    except DataError as error:
        raise unreadable(path, "not a Parquet file that can be read", error.what) from error
    values = ", ".join(f"{_as_text(identifier(name), kind)} AS {identifier(name)}" for name, kind in kinds.items())
    return numbered(checked(_outer(parts), path), values, source)


def _outer(parts: Sequence[tuple[str, int | None]]) -> list[str]:
    """Names of the columns among all parts of a Parquet schema, which come depth first after the root.

    The engine's own names do not do: it renames the second of two equal ones.
    """
    names, inside = [], 0
    for name, children in parts[1:]:
        if inside == 0:
            names.append(name)
        inside += (children or 0) - (inside > 0)
    return names


def _as_text(column: str, kind: str) -> str:
    if kind == "BLOB":
        return f"lower(hex({column}))"
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT"))
    return f"to_json({column})::VARCHAR" if nested else f"{column}::VARCHAR"
