"""What was read goes from the spool into `ops.access`, each read exactly once, and is seen there before it does.

The commit that adds the rows of a spool's files names these files, and a file is removed after it. Killed before the
commit, the rows are added by the next one; killed after it, the next one finds the names and removes the files.

Whoever asks reads the spool first and the table then: what is folded in between stands in the table, with its file's
name, and is not counted again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from src import lake, records, spool
from src.engine import DuckEngine
from src.reads.record import FOLDER, TABLE, Read

COLUMNS = records.columns_of(Read)
_TOO_LARGE = 1 << 63
_SPOOL = "spool:"  # before a file's name, in the table's progress


def fold(engine: DuckEngine, data: Path) -> int:
    """Add what was read to the table, and return how many reads; whoever calls it holds the lake.

    Raises:
        TransientError, MachineError: as the lake says; nothing is lost.
    """
    sealed = spool.seal(data / FOLDER)
    if not sealed:
        return 0
    table = records.open_for(data, TABLE, Read)
    new = _unknown(table, sealed)
    rows = [read for lines in new.values() for read in _reads(lines)]
    if new:
        written = records.write(engine, table, Read, rows) if rows else []
        lake.commit(table, add=written, progress={f"{_SPOOL}{name}": 1 for name in new})
    for name in sealed:
        spool.remove(data / FOLDER, name)
    return len(rows)


def are_spooled(data: Path) -> bool:
    """Return whether there is a spool, so that the table can be read before anything was folded."""
    return not spool.is_empty(data / FOLDER)


def publish(engine: DuckEngine, data: Path) -> lake.Snapshot | None:
    """Make the table readable by its name, with what is not folded yet; returns what is stored of it."""
    waiting = spool.lines(data / FOLDER)  # first: see above
    table = lake.open_table(lake.table_path(data, TABLE))
    rows = [read for lines in (_unknown(table, waiting) if table else waiting).values() for read in _reads(lines)]
    sql = records.select(Read, rows)
    if table:
        sql = f"SELECT * FROM {engine.scan(table, evolved=True)} UNION ALL BY NAME {sql}"
    engine.publish(TABLE, sql)
    return table


def _unknown(table: lake.Snapshot, files: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {name: lines for name, lines in files.items() if table.progress(f"{_SPOOL}{name}") is None}


def _reads(lines: Iterable[Mapping[str, Any]]) -> Iterator[Read]:
    """Yield the reads that lines are records of; a value of another type than its column's is None."""
    for line in lines:
        values = {name: _typed(kind, line.get(name)) for name, kind in COLUMNS.items()}
        if values["moment"] is not None:
            yield Read(**values)


def _typed(kind: str, value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        match kind:
            case _ if value is None:
                return None
            case "TIMESTAMP WITH TIME ZONE":
                moment = datetime.fromisoformat(text)
                return moment if moment.tzinfo else None
            case "BOOLEAN":
                return {"true": True, "false": False}.get(text)
            case "BIGINT":
                return number if abs(number := int(text)) < _TOO_LARGE else None
            case "DOUBLE":
                return float(text)
    except ValueError:
        return None
    return text
