"""Is the lake well? Every monitor looks, what is not as it should be is told, and the figures are kept.

Made for cron: what needs a person (P1 to P3) goes to stderr and the exit code is 1; that all is well, and what is
mere housekeeping (P4), goes to stdout. So `make health > /dev/null` says nothing at all while the lake is well, and
cron sends a mail exactly when there is something to do.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from src import alerts, catalog, monitors
from src.errors import BoathouseError
from src.monitors import Findings
from src.problems import CLASSES, Problem
from src.project import Project
from src.run import lock, runs

BLIND = "ops"  # what a problem is about where the monitors cannot look, and which table it is is not known
_SMALL = CLASSES[-1]  # housekeeping: printed, and no reason for an exit code
_PATIENCE = 60.0  # seconds to wait for an update of the alerts, or for another health check


def show(project: Project, now: datetime, *, tell: bool = True) -> int:
    """Look, print a line for each problem, tell whom it concerns (where `tell`), keep the figures.

    Returns the exit code: 1 where there is a problem of P1 to P3, or a channel of alerts that is none.

    Raises:
        LockedError: the alerts or the figures were held by another process for a minute.
        BoathouseError: incidents or figures cannot be recorded; what is due was sent all the same.
    """
    known = _open(project)
    found = look(project, now)
    urls = alerts.channels(project.settings)
    url_errors = alerts.url_errors(urls)
    _print(project, found.problems, url_errors)
    if tell:
        told = [problem for problem in found.problems if not waits(problem)]
        sent = alerts.update(
            project.engine, project.settings.data_dir, urls, told, now, _looked_at(known, found.problems)
        )
        if sent:
            print(f"told of {counted(len(sent), 'incident')}")
    _keep(project, found)
    return int(bool(url_errors) or not all(map(small, found.problems)))


def look(project: Project, now: datetime) -> Findings:
    """What the monitors find. That they cannot look, or that nothing ever ran, is a problem too; changes nothing."""
    try:
        found = monitors.evaluate(project, now)
    except BoathouseError as error:
        what = f"cannot be read, so not every monitor could look: {str(error).splitlines()[0]}"
        fix = "`make check` names the damage; restore from the last verified backup"
        return Findings(problems=(Problem("table", BLIND, "P1", now.date(), what, fix),))
    if ran(project) or lock.holder(project.settings.data_dir):
        return found
    what = "nothing has run yet"
    fix = "`make pipeline`; where there was a lake before, see whether DATA_DIR is the right folder and is mounted"
    never = Problem("run", "pipeline", "P2", now.date(), what, fix)
    return replace(found, problems=(never, *found.problems))


def ran(project: Project) -> bool:
    """Whether there is a record of any run."""
    return runs.TABLE in catalog.tables(project.settings.data_dir)


def verdict(problems: Sequence[Problem]) -> str:
    """The state of the lake in a few words: fine, or how many problems there are and how urgent the worst is."""
    urgent = [problem for problem in problems if not small(problem)]
    few = len(problems) - len(urgent)
    more = f"; {few} of {_SMALL} can wait" if few else ""
    if not urgent:
        return "fine" + more
    worst = min(problem.urgency for problem in urgent)
    return f"{counted(len(urgent), 'problem')}, the worst {worst}{more}"


def counted(number: int, what: str) -> str:
    """A number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def small(problem: Problem) -> bool:
    """Whether it is mere housekeeping."""
    return problem.urgency == _SMALL


def waits(problem: Problem) -> bool:
    """Whether it is about a table that only waits for another one, whose own problem names it."""
    return problem.kind == "table" and problem.what.startswith("blocked: ")


def unread(problem: Problem) -> bool:
    """Whether it is about a table that cannot be read."""
    return problem.kind == "table" and problem.what.startswith("cannot be read")


def _open(project: Project) -> set[str]:
    """The incidents that are open. None where they cannot be read: the update will say so, once all is sent."""
    try:
        return {incident.incident for incident in alerts.open_incidents(project.engine, project.settings.data_dir)}
    except BoathouseError:
        return set()


def _looked_at(known: Collection[str], problems: Sequence[Problem]) -> set[str]:
    """The open incidents of which this look can say that they are over.

    Not those of a table that waits: nobody tried it. None while a table cannot be read: what was not seen may still
    be so. And only those that were open before the look: a run that ended since knows better of its own.
    """
    if any(map(unread, problems)):
        return set()
    return set(known) - {problem.incident for problem in problems if waits(problem)}


def _print(project: Project, problems: Sequence[Problem], url_errors: Sequence[str]) -> None:
    for problem in problems:
        line = f"{problem.urgency} {problem.incident}: {_one_line(problem.what)} -> {_one_line(problem.fix)}"
        print(line, file=sys.stdout if small(problem) else sys.stderr)
    for error in url_errors:
        print(f"{error} -> correct it in .env: nobody is told through it", file=sys.stderr)
    if not all(map(small, problems)):
        print(verdict(problems), file=sys.stderr)
    elif not url_errors:
        contracts = project.contracts
        tables, feeds = len(contracts.silver) + len(contracts.gold), len(contracts.feeds)
        print(f"healthy: {counted(tables, 'table')}, {counted(feeds, 'feed')}, {last_run(project)}")


def last_run(project: Project) -> str:
    """When the last run was and how it ended, in a few words."""
    catalog.publish(project.engine, {runs.TABLE: project.path(runs.TABLE)})
    rows = project.engine.rows(
        "SELECT strftime(start_time, '%Y-%m-%d %H:%M'), status FROM ops.pipeline_runs "
        "WHERE layer = 'run' ORDER BY start_time DESC, run_id DESC LIMIT 1"
    )
    return "".join(f"last run {moment} UTC: {status}" for moment, status in rows) or "no run yet"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _keep(project: Project, found: Findings) -> None:
    """Record the figures; nothing where nothing ever ran: an empty or unmounted folder is left as it is.

    Not under the lake's lock, so that a run that hangs does not stop them. The lock of the alerts is enough: figures
    are only ever added, to whatever upkeep made of the table meanwhile, and vacuum leaves files that are fresh.
    """
    if not ran(project):
        return
    with lock.waited(project.settings.data_dir, "alerts", _PATIENCE):
        monitors.record(project.engine, project.settings.data_dir, found)
