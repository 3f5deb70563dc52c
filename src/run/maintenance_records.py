"""What maintenance did to each table: files and bytes on disk before and after, one row for each table it touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from src.project import Project
from src.run import runs
from src.run.runs import Run

TABLE = "ops.maintenance"


@dataclass(frozen=True)
class Size:
    """Files of a table and their bytes, before and after."""

    table: str
    files_before: int
    bytes_before: int
    files_after: int
    bytes_after: int


@dataclass(frozen=True)
class Entry:
    """One table that one command changed; `moment` in UTC."""

    run_id: str
    moment: datetime
    command: str  # vacuum | optimize
    table: str
    files_before: int
    bytes_before: int
    files_after: int
    bytes_after: int


def record(project: Project, run: Run, command: str, sizes: Sequence[Size]) -> None:
    """Append the sizes of each table before and after a command; nothing where it changed none."""
    entries = [Entry(run.run_id, run.clock(), command, **vars(size)) for size in sizes]
    if entries:
        runs.append(project.engine, project.settings.data_dir, TABLE, Entry, entries)
