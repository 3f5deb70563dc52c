"""Health: every monitor looks, problems become incidents, and the figures are kept.

Made for cron: what needs a person (P1 to P3) goes to stderr and the exit code is 1; that all is well, and what is
mere housekeeping (P4), goes to stdout. So `make health > /dev/null` prints nothing while the lake is healthy, and
cron sends a mail exactly when there is something to do.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime

from src import alerts, monitors
from src.alerts import Incident, Message
from src.facts import KnownCause, findings, read_facts, read_families, read_standings
from src.facts.wording import is_housekeeping, one_line, pluralized
from src.monitors import Findings
from src.problems import Problem
from src.project import Project
from src.run import lock

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
    causes: tuple[KnownCause, ...]  # the problems, folded under what they follow from
    channel_errors: tuple[str, ...]
    incidents: tuple[Incident, ...]  # open before this look
    tables: int
    feeds: int
    last_run: LastRun | None


def read_health(project: Project, now: datetime) -> Health:
    """Return the health of the lake at a moment (UTC); changes nothing."""
    facts = read_facts(project, now)
    errors = tuple(alerts.url_errors(alerts.channels(project.settings)))
    contracts = project.contracts
    last = facts.runs[0] if facts.runs else None
    return Health(
        **vars(facts.findings),
        measured_at=now,
        healthy=facts.healthy and not errors,
        verdict=facts.verdict,
        causes=facts.causes,
        channel_errors=errors,
        incidents=facts.incidents,
        tables=len(contracts.silver) + len(contracts.gold),
        feeds=len(contracts.feeds),
        last_run=LastRun(last.started_at, last.status) if last else None,
    )


def print_health(health: Health, *, verbose: bool = False) -> None:
    """Print a line for each cause, then the verdict; what needs a person goes to stderr.

    `verbose`: below each cause a line for every finding that follows from it.
    """
    for known in health.causes:
        head, out = known.cause.head, sys.stdout if is_housekeeping(known) else sys.stderr
        folded = f"; and {known.followers}" if known.followers and not verbose else ""
        print(f"{known.urgency} {_line(head)}{folded}", file=out)
        for problem in known.cause.follows if verbose else ():
            print(f"   {problem.urgency} {_line(problem)}", file=out)
    for error in health.channel_errors:
        print(f"{error} -> correct it in .env: no alert is sent through it", file=sys.stderr)
    if not all(map(is_housekeeping, health.causes)):
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
    waiting = {problem.incident for problem in problems if findings.is_blocked(problem)}
    looked_at = {incident.incident for incident in health.incidents} - waiting
    if any(map(findings.is_unreadable, problems)):
        looked_at = set()
    open_problems = [problem for problem in problems if not findings.is_blocked(problem)]
    urls = alerts.channels(settings)
    now = health.measured_at
    families = read_families(project, read_standings(project), now, health)
    return alerts.update(project.engine, settings.data_dir, urls, open_problems, now, looked_at, families)


def record_figures(project: Project, health: Health) -> None:
    """Append the figures to the ops tables; nothing where nothing ever ran: an unmounted folder is left as it is.

    Not under the lake's lock, so that a run that hangs does not stop them. The lock of the alerts is enough: figures
    are only ever added, to whatever maintenance made of the table meanwhile, and vacuum leaves files that are fresh.

    Raises:
        LockedError: the figures were held by another process for a minute.
        BoathouseError: the figures cannot be recorded.
    """
    if not findings.has_run(project):
        return
    with lock.waited(project.settings.data_dir, "alerts", _PATIENCE):
        monitors.record(project.engine, project.settings.data_dir, health)


def _line(problem: Problem) -> str:
    return f"{problem.incident}: {one_line(problem.what)} -> {one_line(problem.fix)}"
