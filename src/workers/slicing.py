"""A slice of a silver table computed again by workers: the table is computed whole, as by a load, and staged.

Of that each worker writes the rows of the slice that it is given, and of files that hold the slice the rows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from src import lake
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.silver import slices
from src.silver.incoming import Source
from src.workers.merging import staged_whole
from src.workers.stages import Stages
from src.workers.tasks import Staged, as_logged


@dataclass(frozen=True)
class SharedSlice:
    """The rows of a whole table as workers staged them, until the staging folder is swept."""

    engine: DuckEngine
    table: Table
    staged: Staged
    stages: Stages

    @property
    def relation(self) -> str:
        """Return a relation of the rows."""
        return self.staged.relation(self.engine)

    def write(self, part: slices.Slice) -> list[lake.DataFile]:
        """Write the rows of a slice, and those beside it in the files that hold it, into the table's folder."""
        root = part.silver.root
        new = [replace(self.staged, files=some) for some in self.stages.shares(self.staged.files)]
        stay = [part.silver.only(some) for some in self.stages.shares(part.replaced)]
        inside, outside = f"coalesce(({part.where}), false)", f"NOT coalesce(({part.where}), false)"
        writes = [Writing(self.table, root, rows, inside) for rows in new]
        writes += [Writing(self.table, root, rows, outside) for rows in stay]
        found = self.stages.deal(self.table.id, write_rows, writes, partial(lake.discard, root))
        return [file for files in found for file in files]


def whole(engine: DuckEngine, table: Table, sources: Sequence[Source], stages: Stages) -> SharedSlice | None:
    """Return a table computed from these sources by workers; None, where these are few, and nothing was done."""
    staged = staged_whole(engine, table, sources, stages)
    return SharedSlice(engine, table, staged, stages) if staged else None


@dataclass(frozen=True)
class Writing:
    """Rows, staged or stored, of which those that meet a condition are to be written."""

    table: Table
    root: Path
    rows: Staged | lake.Snapshot
    condition: str


def write_rows(engine: DuckEngine, task: Writing) -> list[lake.DataFile]:
    """Write rows that meet a condition into the table's folder; no commit refers to the files yet."""
    relation = task.rows.relation(engine) if isinstance(task.rows, Staged) else engine.scan(task.rows)
    names = ", ".join(map(identifier, task.rows.columns))  # with what another program added
    rows = f"SELECT {names} FROM {relation} WHERE {task.condition}"
    with engine.for_columns(len(task.table.columns)):
        return as_logged(task.table, engine.write(rows, task.root, task.table.partition_by, task.rows.rows))
