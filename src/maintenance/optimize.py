"""Optimize rewrites the rows of a table where that pays, and changes none: nothing is computed again because of it.

It pays to compact a partition that holds five or more files below 32 MiB, to bring one into z-order, where the
contract names columns for it (`zOrderBy`), when files came to it since the last time, and to write a checkpoint of a
log that has ten or more entries since the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from src import catalog, lake
from src.contract import Table
from src.maintenance import moved
from src.project import Project
from src.run import maintenance_records
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run

_Partition = tuple[str | None, ...]


@dataclass(frozen=True)
class Optimization:
    """One table: which of its partitions to compact, and which to bring into the order of these columns."""

    table: str
    snapshot: lake.Snapshot
    compact: tuple[_Partition, ...]
    columns: tuple[str, ...]
    order: tuple[_Partition, ...]
    checkpoint: bool

    @property
    def why(self) -> str:
        """Return in words what there is to do for the table."""
        small = f"{len(self.compact)} partitions of small files" if self.compact else ""
        order = f"{len(self.order)} partitions out of the order of {', '.join(self.columns)}" if self.order else ""
        return ", ".join(filter(None, (small, order, "a checkpoint" if self.checkpoint else ""))) or "nothing to do"


def plan(data: Path, declared: Mapping[str, Table]) -> list[Optimization]:
    """Return what would be rewritten in each table of every layer; change nothing.

    Raises:
        MachineError: a table is damaged.
    """
    tables = {name: lake.open_table(root) for name, root in catalog.tables(data).items()}
    return [_step(name, table, declared.get(name)) for name, table in tables.items() if table]


def execute(steps: Sequence[Optimization], run: Run) -> Iterator[maintenance_records.Size]:
    """Do the steps, and tell the run which versions have the same rows; gives each one's sizes."""
    for step in steps:
        table = step.snapshot
        for partition in step.compact:
            table = lake.compact(table, partition)
        if step.order:
            table = lake.z_order(table, step.columns, step.order)
        lake.checkpoint(table)
        if table.version != step.snapshot.version:
            run.rewritten[step.table] = (step.snapshot.version, table.version)
            before = step.snapshot
            yield maintenance_records.Size(step.table, len(before.files), before.size, len(table.files), table.size)


def _step(name: str, snapshot: lake.Snapshot, declared: Table | None) -> Optimization:
    columns = declared.z_order_by if declared else ()
    columns = columns if set(columns) <= set(snapshot.columns) else ()  # not built under this contract yet
    order = lake.unordered(snapshot) if columns else ()
    compact = tuple(partition for partition in lake.crowded(snapshot) if partition not in order)  # z-order compacts too
    return Optimization(name, snapshot, compact, columns, order, lake.behind(snapshot))


@dataclass(frozen=True)
class PlannedOptimization:
    """One table: its files, and what optimize would do to it, in words."""

    table: str
    files: int
    would_do: str


@dataclass(frozen=True)
class OptimizeResult:
    """The work of optimize on each table; once done, the tables that were rewritten and how many checkpoints."""

    planned: tuple[PlannedOptimization, ...]
    rewritten: tuple[maintenance_records.Size, ...] = ()
    checkpoints: int = 0


def read_report(project: Project) -> OptimizeResult:
    """Return what optimize would do; changes nothing."""
    return _report(plan(project.settings.data_dir, _declared(project)))


def rewrite(project: Project) -> OptimizeResult:
    """Optimize every table while no run is going.

    Raises:
        LockedError: another command works on the lake.
    """
    with recorded_run(project, RunKind.OPTIMIZE, "make optimize") as run:
        steps = plan(project.settings.data_dir, _declared(project))
        sizes = tuple(execute(steps, run))
        maintenance_records.record(project, run, "optimize", sizes)
    return replace(_report(steps), rewritten=sizes, checkpoints=sum(step.checkpoint for step in steps))


def _report(steps: Sequence[Optimization]) -> OptimizeResult:
    return OptimizeResult(tuple(PlannedOptimization(step.table, len(step.snapshot.files), step.why) for step in steps))


def _declared(project: Project) -> dict[str, Table]:
    return {**project.contracts.silver, **{table.id: table for table in project.marts}}


if __name__ == "__main__":
    moved.to("optimize")
