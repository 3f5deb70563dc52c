"""What happens next: the run that is due, and the jobs of the schedule where one is installed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from src.errors import BoathouseError
from src.maintenance import jobs, schedule
from src.monitors import Findings
from src.project import Project


@dataclass(frozen=True)
class Upcoming:
    """Something that is to happen at a moment (UTC)."""

    at: datetime
    what: str  # a run is due | hourly job | daily job | weekly job
    steps: tuple[str, ...]  # the commands


def read_upcoming(project: Project, found: Findings, now: datetime) -> tuple[Upcoming, ...]:
    """Return what comes next after a moment (UTC), the first first; a run that is overdue is left to the problems."""
    root = project.settings.root
    coming = [
        Upcoming(time.next_after(now), f"{name} job", tuple(step.command for step in jobs.steps(root, name)))
        for name, time in _scheduled(project).items()
    ]
    for row in found.expected:
        if row.what == "pipeline run" and row.value is not None and row.value <= row.bound:
            due = now + timedelta(hours=row.bound - row.value)
            coming.append(Upcoming(due.replace(microsecond=0), "a run is due", ("run",)))
    return tuple(sorted(coming, key=lambda one: (one.at, one.what)))


def _scheduled(project: Project) -> dict[str, jobs.StartTime]:
    """Return when each job starts that is installed; none where no scheduler can be asked: a look never fails by it."""
    try:
        return schedule.installed(project.settings.root, schedule.schedulers(os.environ))
    except (BoathouseError, OSError):
        return {}
