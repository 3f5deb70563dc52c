"""Optimize rewrites the rows of a table where that pays, and changes none: nothing is computed again because of it.

It pays to compact a partition that holds five or more files below 32 MiB, to bring one into z-order, where the
contract names columns for it (`zOrderBy`), when files came to it since the last time, and to write a checkpoint of a
log that has ten or more entries since the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src import catalog, lake, workers
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import DataError
from src.maintenance import moved
from src.project import Project
from src.run import maintenance_records
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run

if TYPE_CHECKING:
    from src.workers.stages import Stages

_ROW_GROUP = 122_880  # rows of a group in the engine's files
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


def execute(
    engine: DuckEngine, steps: Sequence[Optimization], run: Run, stages: Stages | None = None
) -> Iterator[maintenance_records.Size]:
    """Do the steps, and tell the run which versions have the same rows; gives each one's sizes.

    `stages`: what deals much to rewrite out to workers, if anything.
    """
    for step in steps:
        table = compact(engine, step, stages)
        if step.order:
            table = lake.z_order(table, step.columns, step.order)
        lake.checkpoint(table)
        if table.version != step.snapshot.version:
            run.rewritten[step.table] = (step.snapshot.version, table.version)
            before = step.snapshot
            yield maintenance_records.Size(step.table, len(before.files), before.size, len(table.files), table.size)


def compact(engine: DuckEngine, step: Optimization, stages: Stages | None = None) -> lake.Snapshot:
    """Write the small files of partitions as few large ones, in one commit in which no reader of changes sees a row.

    Raises:
        DataError: the new files have not as many rows; nothing was committed.
    """
    table, many_texts = step.snapshot, step.table.startswith("bronze.")
    groups = lake.joinable(table, step.compact)
    if not groups:
        return table
    tasks = [Joining(table.only(group), catalog.gains_columns(step.table), many_texts) for group in groups]
    if stages and stages.deals(sum(task.files.size for task in tasks)):
        found = stages.deal(step.table, join, tasks, partial(lake.discard, table.root))
    else:
        found = [join(engine, task) for task in tasks]
    new, old = ([file for some in files for file in some] for files in (found, groups))
    return lake.commit(table, add=new, remove=old, same_rows=True)


@dataclass(frozen=True)
class Joining:
    """Files of one partition to be written as one; `evolved` and `many_texts` are those of the engine."""

    files: lake.Snapshot
    evolved: bool
    many_texts: bool


def join(engine: DuckEngine, task: Joining) -> list[lake.DataFile]:
    """Write the rows of files, in their order, as one file beside them; no commit refers to it yet.

    Raises:
        DataError: not every row was written; no file is left.
    """
    table, first = task.files, task.files.files[0]
    folder = Path(first.path).parent
    names = ", ".join(identifier(name) for name in table.columns if name not in table.partition_by)
    scan = engine.scan(table, evolved=task.evolved)
    with engine.for_columns(len(table.columns)), engine.in_order():
        rows = engine.one(f"SELECT count(*) FROM {scan}")[0]
        many_texts = task.many_texts and rows > _ROW_GROUP
        target = table.root.joinpath(*folder.parts)  # in an object store root/. would be another folder
        new = engine.write(f"SELECT {names} FROM {scan}", target, many_texts=many_texts)
    indexed = (table.indexed,) if table.indexed else ()
    new = [
        replace(file.with_bounds_of(indexed), path=str(folder / file.path), partition=first.partition) for file in new
    ]
    if sum(file.rows for file in new) != rows:
        lake.discard(table.root, new)
        raise DataError(f"{rows} rows were read and {sum(file.rows for file in new)} written", where=table.root)
    return new


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
    with recorded_run(project, RunKind.OPTIMIZE, "make optimize") as run, workers.dealing(project) as stages:
        steps = plan(project.settings.data_dir, _declared(project))
        sizes = tuple(execute(project.engine, steps, run, stages))
        maintenance_records.record(project, run, "optimize", sizes)
    return replace(_report(steps), rewritten=sizes, checkpoints=sum(step.checkpoint for step in steps))


def _report(steps: Sequence[Optimization]) -> OptimizeResult:
    return OptimizeResult(tuple(PlannedOptimization(step.table, len(step.snapshot.files), step.why) for step in steps))


def _declared(project: Project) -> dict[str, Table]:
    return {**project.contracts.silver, **{table.id: table for table in project.marts}}


if __name__ == "__main__":
    moved.to("optimize")
