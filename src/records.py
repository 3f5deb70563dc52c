"""Records are dataclasses: one table holds the instances of one kind, its columns are their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path

from src import lake
from src.engine import DuckEngine, identifier, literal
from src.errors import from_os_error

_TYPES = {
    "bool": "BOOLEAN",
    "bool | None": "BOOLEAN",
    "str": "VARCHAR",
    "str | None": "VARCHAR",
    "date": "DATE",
    "date | None": "DATE",
    "datetime": "TIMESTAMP WITH TIME ZONE",
    "datetime | None": "TIMESTAMP WITH TIME ZONE",
    "float": "DOUBLE",
    "float | None": "DOUBLE",
    "Decimal": "DECIMAL(18,6)",
    "int": "BIGINT",
    "int | None": "BIGINT",
}


def columns_of(kind: type) -> dict[str, str]:
    """Return the columns of the table that holds dataclass instances of one kind, with their types."""
    return {field.name: _TYPES[str(field.type)] for field in fields(kind)}


def open_for(data: Path, table_id: str, kind: type) -> lake.Snapshot:
    """Return the table that holds dataclass instances of one kind, with every column; made where it is not there."""
    columns, table = columns_of(kind), _open(data, table_id, kind)
    later = {name: kind for name, kind in columns.items() if name not in table.columns}
    return lake.add_columns(table, later) if later else table  # the lake is older than this field


def select(kind: type, rows: Sequence[object]) -> str:
    """Return a SELECT of dataclass instances of one kind, one row or more, as their table holds them."""
    columns = columns_of(kind)
    # as one JSON text: the engine takes four times as long to parse as many literals
    texts = json.dumps([[_text(getattr(row, name)) for name in columns] for row in rows])
    values = ", ".join(f"v[{nth}]::{kind} AS {identifier(name)}" for nth, (name, kind) in enumerate(columns.items(), 1))
    return f"""SELECT {values} FROM (SELECT unnest(from_json({literal(texts)}, '[["VARCHAR"]]')) AS v)"""


def write(engine: DuckEngine, table: lake.Snapshot, kind: type, rows: Sequence[object]) -> list[lake.DataFile]:
    """Write dataclass instances of one kind, one or more, as a file of their table, which no commit names yet.

    Raises:
        MachineError: the disk is full, ...
    """
    columns = columns_of(kind)
    values = [[getattr(row, name) for name in columns] for row in rows]
    try:
        with engine.room() as room:  # all that is asked of the engine, which need not be loaded for it
            return lake.write_rows(table.root, columns, values, room)
    except OSError as error:  # there is no room
        raise from_os_error(error, table.root) from error


def append(
    engine: DuckEngine,
    data: Path,
    table_id: str,
    kind: type,
    rows: Sequence[object],
    info: Mapping[str, str] | None = None,
) -> None:
    """Append dataclass instances of one kind to a table in one commit."""
    if rows:
        table = open_for(data, table_id, kind)
        lake.commit(table, add=write(engine, table, kind, rows), info=info)
        return
    table = _open(data, table_id, kind)
    if info:
        lake.commit(table, info=info)


def _open(data: Path, table_id: str, kind: type) -> lake.Snapshot:
    root = lake.table_path(data, table_id)
    return lake.open_table(root) or lake.create(root, columns_of(kind))


def _text(value: object) -> str | None:
    """Return a value as text that the engine casts to it."""
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
