"""Vacuum removes the files that no reader needs any more: 168 hours after they left their table, never sooner.

What readers see stays whole: the newest version of every table and the newest release, however old these are.
A shorter retention is a purge: it is asked for by name and confirmed, because rollback and time travel end there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src import catalog, console, lake
from src.errors import UsageError
from src.maintenance import moved
from src.project import Project, open_project
from src.run import backup_records, maintenance_records, releases, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.settings import Settings

RETENTION = 168  # hours (OPS-03)
_CONFIRMED = "purge"


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
    on_disk = [path for path in root.rglob("*") if path.is_file() and "_delta_log" not in path.parts]
    gone = lake.expired(table, hours, () if released in (None, table.version) else (released,), now)
    # a release is found in the log of ops.releases, so that stays whole: one entry for each run
    shorten = name != releases.TABLE and released in (None, table.version)
    size = sum(path.stat().st_size for path in on_disk)
    return TableVacuum(name, root, table.version, len(on_disk), size, gone, shorten)


def _versions_gone(step: TableVacuum) -> set[int]:
    """Return the versions of a table that are whole now and not after the step."""
    lives = lake.lifetimes(step.root)
    going = {file.path for file in step.gone}
    before, after = set(range(step.version + 1)), set(range(step.version + 1))
    for path, (since, until) in lives.items():
        held_in = range(since, step.version + 1 if until is None else until)
        if path in going:
            after.difference_update(held_in)
        elif not (step.root / path).exists():
            before.difference_update(held_in)
    return before - after


# -- the command


def show(settings: Settings, args: argparse.Namespace) -> int:
    """Plan, print and, unless it is a dry run, do; returns the exit code."""
    hours = args.retention_hours
    if hours < RETENTION and not args.purge:
        fix = f"give --purge (make: PURGE=1) to go below {RETENTION} hours: rollback and time travel end there"
        raise UsageError(f"a retention of {hours} hours", fix=fix)
    with open_project(settings) as project:
        steps = plan(settings.data_dir, hours, runs.now().timestamp())
        _print(project, steps)
        if args.dry_run:
            print("dry run: nothing was removed")
            return 0
        if hours < RETENTION and not args.yes:
            _confirm()
        with recorded_run(project, RunKind.VACUUM, f"vacuum, {hours} hours kept") as run:
            done = list(
                execute(plan(settings.data_dir, hours, runs.now().timestamp()))
            )  # again: a run may have ended since
            maintenance_records.record(project, run, "vacuum", [_size(step) for step, _ in done if step.gone])
    files, freed = sum(len(step.gone) for step, _ in done), sum(step.freed for step, _ in done)
    entries = sum(count for _, count in done)
    print(f"removed {files:,} files, {freed:,} bytes, {entries:,} log entries" if files or entries else "0 changed")
    return 0


def _print(project: Project, steps: Sequence[TableVacuum]) -> None:
    headers = ("table", "files", "bytes", "files after", "bytes after")
    after = [(step.files - len(step.gone), step.size - step.freed) for step in steps]
    console.table(
        headers, [(step.table, step.files, step.size, *left) for step, left in zip(steps, after, strict=True)]
    )
    gone = lost(project, steps)
    if gone:
        print(f"rollback will no longer reach {len(gone)} releases, from {gone[-1]} to {gone[0]}")
    else:
        print("rollback reaches every release that it reached before")
    backup = backup_records.last_verified(project.engine, project.settings.data_dir)
    known = f"of release {backup.release}, at {backup.ended_at:%Y-%m-%d %H:%M} UTC" if backup else "none: `make backup`"
    print(f"the last verified backup: {known}")


def _confirm() -> None:
    """Ask a person at a terminal; nobody else can say yes here."""
    if not sys.stdin.isatty():
        raise UsageError("a purge that nobody confirmed", fix="give --yes as well, or type it at a terminal")
    print(f"Type {_CONFIRMED} to remove these files for good: ", end="", flush=True)
    if sys.stdin.readline().strip() != _CONFIRMED:
        raise UsageError("a purge that was not confirmed", fix=f"type {_CONFIRMED}; nothing was removed")


def _size(step: TableVacuum) -> maintenance_records.Size:
    return maintenance_records.Size(
        step.table, step.files, step.size, step.files - len(step.gone), step.size - step.freed
    )


if __name__ == "__main__":
    moved.to("vacuum")
