"""Whoever writes holds the lake: one lock, and when the work is over, its records and its release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

from src import __version__, lake, reads
from src.author import author
from src.errors import BoathouseError
from src.logger import logger
from src.project import Project, lineage, new_run_id
from src.run import costs, forecast, lock, logs, progress, releases, revision, runs, soft_sources
from src.run.kinds import RunKind
from src.run.runs import Run

if TYPE_CHECKING:
    from src.masking.masks import Masks


@contextmanager
def recorded_run(
    project: Project,
    kind: RunKind,
    command: str,
    window: runs.Window | None = None,
    *,
    full_refresh: bool = False,
) -> Iterator[Run]:
    """Hold the lake for one run; when its work is over, write its records and its release.

    Raises:
        LockedError: another process holds it.
        MachineError: there is no writing in the lake.
    """
    started = runs.now()
    run_id = new_run_id(started)
    data, by = project.settings.data_dir, author()
    with lock.lock_lake(data, command=command, run_id=run_id, now=started, by=by) as dead:
        lake.recall(data)
        logs.begin_run(run_id)
        window = window or runs.window(started.date(), None, None)
        run = Run(run_id, window, runs.now, command, kind, full_refresh, relative=project.relative)
        logger.info("run {}: {}, Boathouse {}", run_id, command, __version__)
        run.started_by = by
        run.profile = project.engine.profile
        run.masks = cache(partial(_masks, project))
        run.revision = revision.read_revision(project.settings.root)
        run.expect = forecast.of_run(project, run)
        if dead:
            run.interrupted(dead)
        with progress.shown(data, run):
            yield run
            try:
                _record(project, run)
            finally:  # last, as recording takes something too
                costs.record(project, run)
                lake.keep(data)


def _masks(project: Project) -> Masks:
    from src.masking.reader import masks_of_records  # where something is quoted: importing takes time

    return masks_of_records(project)


def _record(project: Project, run: Run) -> None:
    """Write the records of a run whose work is over, and its release."""
    data = project.settings.data_dir
    run.finish()
    run.counted(releases.following(data) - 1)
    try:
        release = releases.decide(project.engine, data, run, lineage(project), soft_sources.declared(project))
        _tell(run, release)
    finally:  # what it did is recorded whatever becomes of the release
        runs.write(project.engine, data, run)
    releases.record(project.engine, data, run, release)
    _fold(project)


def _fold(project: Project) -> None:
    """Store what people read since the last run; no run fails for want of it, and the next one does it."""
    try:
        reads.fold(project.engine, project.settings.data_dir)
    except (BoathouseError, OSError) as error:
        logger.warning("what was read is not stored yet: {}", error)


def _tell(run: Run, release: releases.Release) -> None:
    """Say which tables stay behind or have old sources, in the log and in the run's own record, if it did steps."""
    lines = [releases.describe(standing) for standing in release.behind.values()] if run.steps else []
    for line in lines:
        logger.warning("readers see {}", line)
    run.note(lines)
