"""What the monitors find, also where they cannot look."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from src import alerts, lake, monitors
from src.alerts import Incident
from src.errors import BoathouseError
from src.monitors import Findings
from src.problems import Problem
from src.project import Project
from src.run import lock, runs

BLIND = "ops"  # the subject of a problem where the monitors cannot look and the table is not known


def read_findings(project: Project, now: datetime, *, on_disk: bool = True) -> Findings:
    """Return what the monitors find; that they cannot look, or that nothing ever ran, is a problem too.

    `on_disk`: they also measure what each folder takes.
    """
    try:
        found = monitors.evaluate(project, now, on_disk=on_disk)
    except BoathouseError as error:
        what = f"cannot be read, so not every monitor could look: {project.relative(str(error).splitlines()[0])}"
        fix = "`make check` names the damage; restore from the last verified backup"
        blind = Problem("table", BLIND, "P1", now.date(), what, fix, unreadable=True)
        return Findings(problems=(blind,))
    if has_run(project) or lock.holder(project.settings.data_dir):
        return found
    what = "nothing has run yet"
    fix = "`make pipeline`; where there was a lake before, see whether DATA_DIR is the right folder and is mounted"
    never = Problem("run", "pipeline", "P2", now.date(), what, fix)
    return replace(found, problems=(never, *found.problems))


def read_incidents(project: Project) -> tuple[Incident, ...]:
    """Return the incidents that are open; none where they cannot be read, which is among the problems then."""
    try:
        return alerts.open_incidents(project.engine, project.settings.data_dir)
    except BoathouseError:
        return ()


def has_run(project: Project) -> bool:
    """Return whether there is a record of any run."""
    return lake.is_table(project.path(runs.TABLE))


def is_blocked(problem: Problem) -> bool:
    """Return whether a problem is that a table waits for another one, whose own problem names it."""
    return problem.blocked_by is not None


def is_unreadable(problem: Problem) -> bool:
    """Return whether a problem is that a table cannot be read."""
    return problem.unreadable
