"""What has to happen did happen: runs, of every step, and backups. Silence is a finding too.

A successful `make pipeline` is due within the smallest `frequency` of the contracts that are not retired, and two
hours; after that it is P2, after twice that P1. Where no contract has one, none is due. A verified backup is due every
8 days, once the lake is 8 days old.
Where the last step of a feed or table failed or was blocked, that is P2 until a run succeeds. So is a landing zone
that is gone or empty where files came before, and a pull that failed; one that failed in passing is P3. A run in which
nothing but pulls failed is a successful one: what had landed was carried through the layers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from src import landing_zone
from src.engine import literal
from src.errors import TransientError
from src.monitors.reading import Reading, sql_moment
from src.problems import Problem
from src.run import backup_records, history, lock, runs

TABLE = "ops.expected"
_GRACE_HOURS = 2.0  # what is due every so often is given this much longer to be done in
_BACKUP_DAYS = 8.0
_AUDITS_PERCENT = 95.0
_LONG, _TIMES = 3600.0, 3.0  # seconds; times the median run
# SQL: the runs in which pulls failed and nothing else did
_ONLY_PULLS_FAILED = (
    "SELECT run_id FROM ops.pipeline_runs WHERE layer <> 'run' AND status <> 'success' "
    "GROUP BY run_id HAVING bool_and(layer = 'landing')"
)
_WAITS = "fix what it waits for; the next run builds it"
_UNKNOWN = "see logs/app.log; then run `make pipeline` again"


@dataclass(frozen=True)
class Expected:
    """One figure that has to keep within a bound; `value` None: it was never measured."""

    measured_at: datetime
    what: str  # pipeline run | audits passed | verified backup
    value: float | None
    bound: float
    unit: str  # hours or days since, percent of the last 7 days
    met: bool  # or not due yet


def measure(reading: Reading) -> tuple[tuple[Expected, ...], tuple[Problem, ...]]:
    """Measure what is expected of the lake as a whole; a problem for everything that is late or did not end well."""
    if not reading.publish(runs.TABLE):
        return (), tuple(_going(reading, None))
    first = reading.project.engine.one("SELECT min(start_time) FROM ops.pipeline_runs")[0]
    if first is None:
        return (), tuple(_going(reading, None))
    ran, late = _ran(reading, first)
    backed_up, unsafe = _backed_up(reading, first)
    bare = landing_zone.problem(reading.project, reading.yesterday)
    problems = [
        *late,
        *unsafe,
        *([bare] if bare else []),
        *_steps(reading),
        *_died(reading),
        *_going(reading, _usual_seconds(reading)),
    ]
    return (*ran, *_audits(reading), backed_up), tuple(problems)


def due_hours(reading: Reading) -> float | None:
    """Return within how many hours a run of the pipeline has to succeed again; None where no contract says so."""
    waited_for = (table for table in reading.declared if not table.is_retired)
    rates = [sla.hours() for table in waited_for for sla in table.slas if sla.property == "frequency"]
    return min(rates) + _GRACE_HOURS if rates else None


def _ran(reading: Reading, first: datetime) -> tuple[list[Expected], list[Problem]]:
    """Return the hours since the last successful run; where there is none, a problem counts from the first record."""
    due, ask = due_hours(reading), reading.project.engine.one
    if due is None:
        return [], []
    # a time to come was written while the clock was ahead, and says nothing
    before = f"end_time <= {sql_moment(reading.now)}"
    succeeded = f"{history.PIPELINE} AND (status = 'success' OR run_id IN ({_ONLY_PULLS_FAILED}))"
    last = ask(f"SELECT max(end_time) FROM ops.pipeline_runs WHERE {succeeded} AND {before}")[0]
    age = (reading.now - (last or first)).total_seconds() / 3600
    row = Expected(reading.now, "pipeline run", age if last else None, due, "hours", age <= due)
    if row.met:
        return [row], []
    since = f"since {last:%Y-%m-%d %H:%M} UTC, {age:.0f} h ago" if last else f"in the {age:.0f} h since the first"
    what = f"no successful run {since}; one is due every {due:g} h"
    fix = "look how the last runs ended, and whether the schedule still starts them; then `make pipeline`"
    return [row], [Problem("run", "pipeline", "P1" if age > 2 * due else "P2", reading.yesterday, what, fix)]


def _backed_up(reading: Reading, first: datetime) -> tuple[Expected, list[Problem]]:
    """Return the age of the newest verified backup, counted from when it was made: a drill makes it no younger."""
    made = reading.attempt(backup_records.TABLE, _made, reading)
    age = (reading.now - made).total_seconds() / 86400 if made else None
    young = reading.now - first < timedelta(days=_BACKUP_DAYS)
    met = young if age is None else -1 <= age <= _BACKUP_DAYS  # one dated in the future says nothing of its age
    row = Expected(reading.now, "verified backup", age, _BACKUP_DAYS, "days", met)
    what = "there is no verified backup"
    if age is not None:
        what = f"the last verified backup is {age:.0f} days old" if age > 0 else f"a verified backup of {made}, to come"
    failed = _failed(reading)
    texts = [*([] if met else [what]), *failed]
    fix = "`make backup` makes one and verifies it; see whether the schedule still does"
    return row, [Problem("backup", "lake", "P2", reading.today, "; ".join(texts), fix)] if texts else []


def _made(reading: Reading) -> datetime | None:
    engine, data = reading.project.engine, reading.project.settings.data_dir
    last = backup_records.last_verified(engine, data)
    if last is None:
        return None
    if not reading.publish(backup_records.TABLE):
        return last.ended_at
    of_backup = f"backup = {literal(last.backup)}"  # it was made before any drill of it
    made: datetime | None = engine.one(f"SELECT min(ended_at) FROM ops.backups WHERE {of_backup}")[0]
    return made or last.ended_at


def _failed(reading: Reading) -> list[str]:
    """Return the message of the last backup or drill if it failed."""
    last = backup_records.last_tried(reading.project.engine, reading.project.settings.data_dir)
    return [f"the last {last.kind} ({last.backup}) failed: {last.message}"] if last and not last.verified else []


def _audits(reading: Reading) -> list[Expected]:
    """Return the share of audits of the last seven days that passed; nothing where there was none."""
    if not reading.publish(runs.AUDITS):
        return []
    rate = reading.project.engine.one(
        "SELECT 100.0 * count(*) FILTER (passed) / nullif(count(*), 0) FROM ops.quality_results "
        f"WHERE run_time >= {sql_moment(reading.now - timedelta(days=7))} AND run_time <= {sql_moment(reading.now)}"
    )[0]
    if rate is None:
        return []
    return [Expected(reading.now, "audits passed", rate, _AUDITS_PERCENT, "percent", rate >= _AUDITS_PERCENT)]


def _steps(reading: Reading) -> Iterator[Problem]:
    """Yield a problem for each feed and table whose last step failed or was blocked, steps dated to come left out."""
    feeds = reading.project.contracts.feeds.values()
    pulls = {feed.pull_id for feed in feeds if feed.source}
    declared = {*(feed.id for feed in feeds), *(table.id for table in reading.declared), *pulls}
    facts = "status, run_date, error_message, error_where, error_fix, blocked_by, error_class"
    rows = reading.project.engine.rows(
        f"SELECT table_id, max_by(({facts}), start_time) "
        f"FROM ops.pipeline_runs WHERE layer <> 'run' AND start_time >= {sql_moment(reading.since)} "
        f"AND start_time <= {sql_moment(reading.now)} GROUP BY 1 ORDER BY 1"
    )
    for name, (status, day, message, where, fix, blocked_by, error_class) in rows:
        if name in pulls and status == "blocked":
            continue  # the pull that its source refused says why
        if name in declared and status in ("failed", "blocked"):
            kind = "pull" if name in pulls else "source" if name.startswith("bronze.") else "table"
            urgency = "P3" if kind == "pull" and error_class == TransientError.error_class else "P2"
            lines = [(message or status).splitlines()[0], *([f"where: {where}"] if where else [])]
            fix = fix or (_WAITS if blocked_by else _UNKNOWN)
            yield Problem(kind, name, urgency, day, f"{status}: {' '.join(lines)}", fix, blocked_by)


def _died(reading: Reading) -> Iterator[Problem]:
    """Yield a problem for each run of the last day that died and was taken over."""
    day_ago = reading.now - timedelta(days=1)
    for run_id, day, message in reading.project.engine.rows(
        "SELECT run_id, run_date, error_message FROM ops.pipeline_runs WHERE error_class = 'interrupted' "
        f"AND end_time >= {sql_moment(day_ago)} AND end_time <= {sql_moment(reading.now)} ORDER BY start_time"
    ):
        fix = "nothing is lost: a later run finished its work; see logs/app.log and the machine's log for why it died"
        yield Problem("run", run_id, "P4", day, message, fix)


def _going(reading: Reading, usual: float | None) -> Iterator[Problem]:
    """Yield a problem if the run that holds the lake is dead, or takes far longer than others."""
    holder = lock.holder(reading.project.settings.data_dir)
    if holder is None:
        return
    since = datetime.fromisoformat(holder.since)
    seconds = (reading.now - since).total_seconds()
    who = f"{holder.command} (process {holder.pid} on {holder.host}, since {holder.since})"
    if holder.host == os.uname().nodename and not _alive(holder.pid):
        what, fix = f"{who} ended without a word", "`make pipeline` takes over and finishes its work"
        yield Problem("run", holder.run_id, "P4", since.date(), what, fix)
    elif seconds > max(_LONG, _TIMES * (usual or 0.0)):
        what = f"{who} has been going for {seconds / 3600:.1f} h"
        fix = "see logs/app.log for what it does; if it hangs, end that process: the next run finishes its work"
        yield Problem("run", holder.run_id, "P4", since.date(), what, fix)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _usual_seconds(reading: Reading) -> float | None:
    """Return the median seconds of the last 30 runs of the pipeline."""
    found: float | None = reading.project.engine.one(
        "SELECT median(latency) FROM (SELECT latency FROM ops.pipeline_runs "
        f"WHERE {history.PIPELINE} AND status = 'success' ORDER BY start_time DESC LIMIT 30)"
    )[0]
    return found
