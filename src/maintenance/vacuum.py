"""Vacuum removes the files that no reader needs any more: 168 hours after they left their table, never sooner.

What readers see stays whole: the newest version of every table and the newest release, however old these are.
A shorter retention is a purge: it is asked for by name and confirmed, because rollback and time travel end there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from src import catalog, lake, store
from src.errors import UsageError
from src.maintenance import moved
from src.project import Project
from src.run import backup_records, maintenance_records, releases
from src.run.backup_records import Backup
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

RETENTION = 168  # hours (OPS-03)


@dataclass(frozen=True)
class TableVacuum:
    """One table: the version to look at, its files on disk and their bytes, and those that may go."""

    table: str
    root: Path
    version: int
    files: int
    size: int
    gone: tuple[lake.Leftover, ...]
    shorten: bool  # its log too: readers of the newest release do not need what lies before

    @property
    def freed(self) -> int:
        """Return the bytes that are freed."""
        return sum(file.size for file in self.gone)


def plan(data: Path, hours: int, now: float) -> list[TableVacuum]:
    """Return the files that may go from each table of every layer; change nothing. `now` in seconds since 1970.

    Raises:
        MachineError: a table is damaged.
    """
    released = releases.newest(data)
    return [_step(name, root, released.get(name), hours, now) for name, root in catalog.tables(data).items()]


def lost(project: Project, steps: Sequence[TableVacuum]) -> list[str]:
    """Return the run ids of the releases that rollback reaches now and not after these steps, the newest first."""
    going = {step.table: _versions_gone(step) for step in steps if step.gone}
    every = releases.all_of(project.engine, project.settings.data_dir)
    return [run_id for run_id, at in every.items() if any(at.get(name) in versions for name, versions in going.items())]


def execute(steps: Sequence[TableVacuum]) -> Iterator[tuple[TableVacuum, int]]:
    """Remove what the steps name; gives each with the number of log entries that went with it."""
    for step in steps:
        lake.remove(step.root, step.gone)
        table = lake.open_table(step.root) if step.shorten else None
        yield step, lake.shorten_log(table) if table else 0


def _step(name: str, root: Path, released: int | None, hours: int, now: float) -> TableVacuum:
    table = lake.open_table(root)
    if table is None:
        raise UsageError(f"{name} is no table", where=root)
    on_disk = {path: facts for path, facts in store.files_below(root) if not lake.is_log_file(path)}
    gone = lake.expired(table, hours, () if released in (None, table.version) else (released,), now)
    # a release is found in the log of ops.releases, so that stays whole: one entry for each run
    shorten = name != releases.TABLE and released in (None, table.version)
    size = sum(facts.size for facts in on_disk.values())
    return TableVacuum(name, root, table.version, len(on_disk), size, gone, shorten)


def _versions_gone(step: TableVacuum) -> set[int]:
    """Return the versions of a table that are whole now and not after the step."""
    lives = lake.lifetimes(step.root)
    going = {file.path for file in step.gone}
    missing = set(store.missing(step.root, lives.keys() - going))
    before, after = set(range(step.version + 1)), set(range(step.version + 1))
    for path, (since, until) in lives.items():
        held_in = range(since, step.version + 1 if until is None else until)
        if path in going:
            after.difference_update(held_in)
        elif path in missing:
            before.difference_update(held_in)
    return before - after


@dataclass(frozen=True)
class VacuumResult:
    """The files that vacuum removes, and what that leaves: sizes, the reach of rollback, the last good backup."""

    retention_hours: int
    tables: tuple[maintenance_records.Size, ...]
    lost_releases: tuple[str, ...]  # which rollback reaches now and not after it, the newest first
    last_backup: Backup | None  # the newest that was verified
    removed: bool = False
    files: int = 0
    bytes: int = 0
    log_entries: int = 0


def read_report(project: Project, hours: int, now: datetime) -> VacuumResult:
    """Return what vacuum would remove; changes nothing.

    Raises:
        MachineError: a table is damaged.
    """
    data = project.settings.data_dir
    steps = plan(data, hours, now.timestamp())
    last = backup_records.last_verified(project.engine, data)
    files, freed = sum(len(step.gone) for step in steps), sum(step.freed for step in steps)
    return VacuumResult(hours, tuple(map(_size, steps)), tuple(lost(project, steps)), last, files=files, bytes=freed)


def remove(project: Project, report: VacuumResult, clock: Callable[[], datetime]) -> VacuumResult:
    """Remove what may go now, while no run is going; returns the report of what was removed.

    Raises:
        LockedError: another command works on the lake.
    """
    hours = report.retention_hours
    with recorded_run(project, RunKind.VACUUM, f"vacuum, {hours} hours kept") as run:
        steps = plan(project.settings.data_dir, hours, clock().timestamp())  # again: a run may have ended since
        done = list(execute(steps))
        maintenance_records.record(project, run, "vacuum", [_size(step) for step, _ in done if step.gone])
    return replace(
        report,
        tables=tuple(_size(step) for step, _ in done),
        removed=True,
        files=sum(len(step.gone) for step, _ in done),
        bytes=sum(step.freed for step, _ in done),
        log_entries=sum(entries for _, entries in done),
    )


def _size(step: TableVacuum) -> maintenance_records.Size:
    return maintenance_records.Size(
        step.table, step.files, step.size, step.files - len(step.gone), step.size - step.freed
    )


if __name__ == "__main__":
    moved.to("vacuum")
