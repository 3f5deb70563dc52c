"""What earlier runs recorded, as SQL reads it: `ops.pipeline_runs` with every column that a record has today.

A row of before a column was recorded has none of it. What its texts still tell is derived here, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

from src import lake
from src.engine import DuckEngine
from src.run import runs
from src.run.kinds import RunKind, kind_of_command

PIPELINE = f"(layer = 'run' AND kind = '{RunKind.PIPELINE}')"  # SQL: a whole run of the pipeline, not a step of one
_TABLE_ID = "CASE layer WHEN 'run' THEN 'run' ELSE layer || '.' || domain || '.' || \"table\" END"  # Record.table_id
_WAITS = "waits for "  # began the message of a blocked step


def publish(engine: DuckEngine, data: Path) -> bool:
    """Make `ops.pipeline_runs` readable by its name, with a `table_id`; returns False where there is none yet."""
    table = lake.open_table(lake.table_path(data, runs.TABLE))
    if table is None:
        return False
    scan = engine.scan(table, columns=runs.columns_of(runs.Record), evolved=True)
    engine.publish(runs.TABLE, f"SELECT * REPLACE ({', '.join(_derived())}), {_TABLE_ID} AS table_id FROM {scan}")
    return True


def _derived() -> list[str]:
    waits = f"CASE WHEN status = 'blocked' THEN substr(error_message, {len(_WAITS) + 1}) END"
    return [
        f"coalesce(kind, {kind_of_command('command')}) AS kind",
        "coalesce(full_refresh, contains(command, 'MODE=all')) AS full_refresh",
        f"coalesce(blocked_by, {waits}) AS blocked_by",
        f"coalesce(error_where, {_line('where')}) AS error_where",
        f"coalesce(error_fix, {_line('fix')}) AS error_fix",
    ]


def _line(label: str) -> str:
    """Return SQL of the first line of an error's text that begins with a label, without it; NULL if there is none."""
    return rf"nullif(regexp_extract(error_message, '(?m)^\s*{label}:\s*(.*?)\s*$', 1), '')"
