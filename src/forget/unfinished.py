"""Where it is remembered that somebody was forgotten, as every run looks at it: whether there is anything to finish."""

from __future__ import annotations

from pathlib import Path

from src import lake

TABLE = "ops.forgotten"
BEGUN, OVER = "begun", "over"  # progress: how many forgettings began, and how many of them are over


def is_unfinished(data: Path) -> bool:
    """Return whether a forgetting began and is not over; one small look."""
    table = open_entries(data)
    return table is not None and (table.progress(BEGUN) or 0) > (table.progress(OVER) or 0)


def open_entries(data: Path) -> lake.Snapshot | None:
    """Return the table; None where nobody was ever forgotten."""
    return lake.open_table(lake.table_path(data, TABLE))
