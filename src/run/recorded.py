"""Whoever writes holds the lake: one lock, and when the work is over, its records and its release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from src.project import Project, new_run_id, select, upstream
from src.run import forecast, lock, releases, runs
from src.run.kinds import RunKind
from src.run.runs import Run


@contextmanager
def recorded_run(
    project: Project,
    kind: RunKind,
    command: str,
    window: runs.Window | None = None,
    *,
    full_refresh: bool = False,
) -> Iterator[Run]:
    """One run that holds the lake; when its work is over its records and its release are written.

    Raises:
        LockedError: another process holds it.
        MachineError: there is no writing in the lake.
    """
    started = runs.now()
    run_id = new_run_id(started)
    data = project.settings.data_dir
    with lock.lock_lake(data, command=command, run_id=run_id, now=started) as dead:
        window = window or runs.window(started.date(), None, None)
        run = Run(run_id, window, runs.now, command, kind, full_refresh)
        run.expect = forecast.of_run(project, run)
        if dead:
            run.interrupted(dead)
        yield run
        run.finish()
        run.counted(releases.following(data) - 1)
        runs.write(project.engine, data, run)
        everything = select(project, None)
        read: dict[str, list[str]] = {feed.id: [] for feed in everything.feeds} | {
            table.id: upstream(table) for table in (*everything.silver, *everything.gold)
        }
        releases.record(project.engine, data, run, read)
