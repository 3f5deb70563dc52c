"""Health: every monitor looks, problems become incidents, and the figures are kept.

Made for cron: what needs a person (P1 to P3) goes to stderr and the exit code is 1; that all is well, and what is
mere housekeeping (P4), goes to stdout. So `make health > /dev/null` prints nothing while the lake is healthy, and
cron sends a mail exactly when there is something to do.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime

from src import alerts, catalog, monitors
from src.alerts import Incident, Message
from src.errors import BoathouseError
from src.facts.findings import (
    has_run,
    is_blocked,
    is_housekeeping,
    is_unreadable,
    pluralized,
    read_findings,
    read_incidents,
    verdict,
)
from src.monitors import Findings
from src.project import Project
from src.run import lock, runs

_PATIENCE = 60.0  # seconds to wait for an update of the alerts, or for another health check


@dataclass(frozen=True)
class LastRun:
    """The newest run of any command that holds the lake; time in UTC."""

    started_at: datetime
    status: str


@dataclass(frozen=True, kw_only=True)
class Health(Findings):
    """The problems and figures of a lake at one moment (UTC), and what else decides whether it is healthy."""

    measured_at: datetime
    healthy: bool  # no problem of P1 to P3, and every alert channel can be used
    verdict: str
    channel_errors: tuple[str, ...]
    incidents: tuple[Incident, ...]  # open before this look
    tables: int
    feeds: int
    last_run: LastRun | None


def read_health(project: Project, now: datetime) -> Health:
    """Return the health of the lake at a moment (UTC); changes nothing."""
    incidents = read_incidents(project)  # first: a run that ends during the look knows better of its own steps
    found = read_findings(project, now)
    errors = tuple(alerts.url_errors(alerts.channels(project.settings)))
    contracts = project.contracts
    healthy = not errors and all(map(is_housekeeping, found.problems))
    return Health(
        **vars(found),
        measured_at=now,
        healthy=healthy,
        verdict=verdict(found.problems),
        channel_errors=errors,
        incidents=incidents,
        tables=len(contracts.silver) + len(contracts.gold),
        feeds=len(contracts.feeds),
        last_run=_last_run(project),
    )


def print_health(health: Health) -> None:
    """Print a line for each problem, then the verdict; what needs a person goes to stderr."""
    for problem in health.problems:
        line = f"{problem.urgency} {problem.incident}: {_one_line(problem.what)} -> {_one_line(problem.fix)}"
        print(line, file=sys.stdout if is_housekeeping(problem) else sys.stderr)
    for error in health.channel_errors:
        print(f"{error} -> correct it in .env: no alert is sent through it", file=sys.stderr)
    if not all(map(is_housekeeping, health.problems)):
        print(health.verdict, file=sys.stderr)
    elif health.healthy:
        last = health.last_run
        ended = f"last run {last.started_at:%Y-%m-%d %H:%M} UTC: {last.status}" if last else "no run yet"
        print(f"healthy: {pluralized(health.tables, 'table')}, {pluralized(health.feeds, 'feed')}, {ended}")


def send_alerts(project: Project, health: Health) -> list[Message]:
    """Open, send and close the incidents of these problems; returns the messages that were delivered.

    An incident of a table that waits for another one is neither opened nor closed: the problem of the other one
    names it. None is closed while a table cannot be read: what was not seen may still be so. And only those that
    were open before the look are closed.

    Raises:
        LockedError: the alerts were held by another process for a minute.
        BoathouseError: incidents cannot be recorded; what is due was sent all the same.
    """
    settings, problems = project.settings, health.problems
    waiting = {problem.incident for problem in problems if is_blocked(problem)}
    looked_at = {incident.incident for incident in health.incidents} - waiting
    if any(map(is_unreadable, problems)):
        looked_at = set()
    open_problems = [problem for problem in problems if not is_blocked(problem)]
    urls = alerts.channels(settings)
    return alerts.update(project.engine, settings.data_dir, urls, open_problems, health.measured_at, looked_at)


def record_figures(project: Project, health: Health) -> None:
    """Append the figures to the ops tables; nothing where nothing ever ran: an unmounted folder is left as it is.

    Not under the lake's lock, so that a run that hangs does not stop them. The lock of the alerts is enough: figures
    are only ever added, to whatever maintenance made of the table meanwhile, and vacuum leaves files that are fresh.

    Raises:
        LockedError: the figures were held by another process for a minute.
        BoathouseError: the figures cannot be recorded.
    """
    if not has_run(project):
        return
    with lock.waited(project.settings.data_dir, "alerts", _PATIENCE):
        monitors.record(project.engine, project.settings.data_dir, health)


def _last_run(project: Project) -> LastRun | None:
    """Return the last run; None where the records cannot be read, which is among the problems then."""
    if not has_run(project):
        return None
    try:
        catalog.publish(project.engine, {runs.TABLE: project.path(runs.TABLE)})
        rows = project.engine.rows(
            "SELECT start_time, status FROM ops.pipeline_runs "
            "WHERE layer = 'run' ORDER BY start_time DESC, run_id DESC LIMIT 1"
        )
    except BoathouseError:
        return None
    return LastRun(*rows[0]) if rows else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
