"""Some rows of a table as readers see it, cheap whatever its size: from one file, each cell cut where it is long."""

from __future__ import annotations

from dataclasses import dataclass

from src import catalog, lake
from src.engine import identifier
from src.masking.masks import Masks, note
from src.project import Project

ROWS = 12
LONGEST = 300  # characters of a cell


@dataclass(frozen=True)
class Cell:
    """One value as text, or its beginning; None for NULL. `length`: its characters where it was cut."""

    text: str | None
    length: int | None = None


@dataclass(frozen=True)
class Sample:
    """Rows of one version of a table, with the names and types of their columns."""

    version: int
    released: bool  # whether readers see this version
    columns: dict[str, str]
    rows: tuple[tuple[Cell, ...], ...]
    masked: str | None = None  # which of the columns are masked, in a line


def read_sample(project: Project, table_id: str, released: int | None, masks: Masks, most: int = ROWS) -> Sample | None:
    """Return the first rows of the newest partition of the released version, or of the newest where none is released.

    None where nothing is built.

    Raises:
        BoathouseError: the table cannot be read.
    """
    try:
        snapshot = lake.open_table(project.path(table_id), released)
    except lake.HistoryGone:
        snapshot, released = project.table(table_id), None
    if snapshot is None:
        return None
    by_partition = sorted(snapshot.files, key=lambda file: (*_partition(snapshot, file), file.path))
    files = [file for file in by_partition if file.rows][-1:]
    kinds = snapshot.columns
    rows: list[tuple[object, ...]] = []
    if files:
        scan = project.engine.scan(snapshot, files, evolved=catalog.gains_columns(table_id), located=True)
        scan = f"(SELECT {masks.select_in(project.engine)(table_id, kinds)} FROM {scan})"
        cells = ", ".join(_cut(name, kind) for name, kind in kinds.items())
        rows = project.engine.rows(f"SELECT {cells} FROM {scan} WHERE _nth < {most} ORDER BY _nth")
    return Sample(
        version=snapshot.version,
        released=released is not None,
        columns=dict(kinds),
        rows=tuple(tuple(map(_cell, row[::2], row[1::2])) for row in rows),
        masked=note(masks, {table_id: tuple(kinds)}),
    )


def _partition(snapshot: lake.Snapshot, file: lake.DataFile) -> tuple[str, ...]:
    return tuple(value or "" for value in snapshot.partition_of(file))


def _cut(name: str, kind: str) -> str:
    """Return SQL of a cell's beginning and its characters; cut by the engine, so that no long cell leaves it."""
    text = f"{identifier(name)}::VARCHAR"
    nested = any(sign in kind for sign in ("[", "STRUCT", "MAP"))
    text = f"to_json({identifier(name)})::VARCHAR" if nested else text
    return f"left({text}, {LONGEST}), length({text})"


def _cell(text: object, length: object) -> Cell:
    if text is None:
        return Cell(None)
    return Cell(str(text), int(str(length)) if int(str(length)) > LONGEST else None)
