"""A mart's partitions computed by workers: each computes some from their own rows, and writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from src import lake
from src.contract import Table
from src.gold.computation import Computation
from src.gold.cut import Cut
from src.gold.model import Model
from src.gold.slabs import Slab
from src.workers import tasks
from src.workers.counting import counted
from src.workers.stages import Stages


@dataclass(frozen=True)
class SharedSlabs:
    """The workers as those who compute marts; one over a few small files is the driver's own."""

    stages: Stages

    @property
    def width(self) -> int:
        """Return how many slabs are computed at once."""
        return self.stages.runner.width

    def deals(self, size: int) -> bool:
        """Return whether the partitions of a mart over so many bytes of files are computed by workers."""
        return self.stages.deals(size)

    def write(self, model: Model, cut: Cut, slabs: Sequence[Slab], root: Path) -> list[lake.DataFile]:
        """Write the rows of slabs into the table's folder; returns the files, to which no commit refers yet."""
        shares = [
            tasks.Aggregating(model.table, root, self._sources(cut, slab), dict(cut.by), slab.outputs, slab.reads)
            for slab in slabs
        ]
        found = self.stages.deal(model.table.id, tasks.aggregate, shares, partial(lake.discard, root))
        return [file for files in found for file in files]

    def count(self, table: Table, root: Path, files: Sequence[lake.DataFile], conditions: Sequence[str]) -> list[int]:
        """Return how many rows files of the table have, and how many meet each condition."""
        columns = {column.name: column.type for column in table.columns}
        rows = tasks.Staged(root, columns, tuple(files), table.partition_by)
        return counted(self.stages, table, [(rows, None)], conditions)

    def _sources(self, cut: Cut, slab: Slab) -> dict[str, lake.Snapshot]:
        """Return the sources with the files that can hold a row of what a slab reads."""
        cut.engine.table(Computation.SLAB_READS, cut.listed(slab.reads))
        within = f"temp.{Computation.SLAB_READS}"
        return {name: source.only(cut.files_within(name, within)) for name, source in cut.sources.items()}
