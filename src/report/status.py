"""Status: one screen that says whether the lake is fine and what to do. It only reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from src import catalog, console, contract, lake
from src.alerts import Incident
from src.errors import BoathouseError
from src.facts import findings
from src.monitors import Findings
from src.monitors.freshness import Freshness
from src.problems import Problem
from src.project import Project
from src.run import backup_records, releases, runs
from src.run.releases import Standing

_WIDTH = 100
_LAST_RUNS = 5
_MOST = 6  # problems written out
_NAMED = 3  # by name, where there are many


@dataclass(frozen=True, kw_only=True)
class StatusProblem(Problem):
    """A problem, and the incident that was opened for it; None where there is no incident yet."""

    state: str | None  # of the incident, for example: acked by ann
    since: datetime | None  # UTC


@dataclass(frozen=True)
class RunStatus:
    """One run; time in UTC."""

    run_id: str
    started_at: datetime
    status: str  # success | partial | failed
    records_read: int
    records_written: int
    quarantined: int
    seconds: float
    command: str
    error: str  # its first line


@dataclass(frozen=True)
class TableStatus:
    """One feed or table at its newest version; time in UTC."""

    table: str
    state: str  # built | not built | unreadable
    rows: int | None = None
    files: int | None = None
    bytes: int | None = None
    freshness: str | None = None  # the grade; None where the contract promises nothing
    rows_until: date | None = None  # the last business day that has rows
    written_at: datetime | None = None
    draft: bool = False  # built from a contract that may change under one version


@dataclass(frozen=True)
class BackupStatus:
    """The newest backup that is known to be whole; time in UTC."""

    backup: str
    remote: str
    verified_at: datetime


@dataclass(frozen=True)
class Status:
    """The status of a lake at one moment (UTC)."""

    read_at: datetime
    verdict: str
    problems: tuple[StatusProblem, ...]  # the most urgent first
    recovered: tuple[str, ...]  # incidents that are open and no longer seen
    has_run: bool
    runs: tuple[RunStatus, ...]  # the newest first
    runs_error: str | None  # why the records of the runs cannot be read
    tables: tuple[TableStatus, ...]  # in the order of the run, the ops tables last
    behind: tuple[Standing, ...]  # the tables of which readers see an earlier run's data
    backup: BackupStatus | None
    backup_error: str | None  # why the records of the backups cannot be read
    next_step: str


def read_status(project: Project, now: datetime) -> Status:
    """Return the verdict, problems, last runs, tables and last verified backup of the lake at a moment (UTC)."""
    found = findings.read_findings(project, now)
    incidents = {incident.incident: incident for incident in findings.read_incidents(project)}
    last_runs, runs_error = _read_runs(project)
    backup, backup_error = _read_backup(project)
    return Status(
        read_at=now,
        verdict=findings.verdict(found.problems),
        problems=tuple(_with_incident(problem, incidents.get(problem.incident), now) for problem in found.problems),
        recovered=tuple(sorted(set(incidents) - {problem.incident for problem in found.problems})),
        has_run=findings.has_run(project),
        runs=last_runs,
        runs_error=runs_error,
        tables=tuple(_read_tables(project, found)),
        behind=_read_behind(project),
        backup=backup,
        backup_error=backup_error,
        next_step=_next_step(found, now),
    )


def print_status(status: Status) -> None:
    """Print a status on one screen."""
    stamp = f"{status.read_at:%Y-%m-%d %H:%M} UTC"
    print(_beside(status.verdict, stamp))
    _print_problems(status)
    print()
    if status.has_run:
        _print_runs(status)
    else:
        print("No run yet. Type `make pipeline`.")
    print()
    _print_tables(status.tables)
    print()
    for standing in status.behind:
        print(_wrapped("behind: ", f"readers see {releases.describe(standing)}"))
    if drafts := [table.table for table in status.tables if table.draft]:
        print(_wrapped("drafts: ", f"{', '.join(drafts)} may change under one version"))
    print(_wrapped("backup: ", _backup_text(status)))
    print(_wrapped("next:   ", status.next_step))


def size(count: int) -> str:
    """Return a number of bytes for the eye: 812 B, 4.1 kB, 3.2 MB, in thousands."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def ago(now: datetime, then: datetime) -> str:
    """Return how long ago a moment was, in hours up to two days."""
    hours = max(0.0, (now - then).total_seconds() / 3600)
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


# -- read


def _with_incident(problem: Problem, incident: Incident | None, now: datetime) -> StatusProblem:
    state, since = (incident.state(now), incident.since) if incident else (None, None)
    return StatusProblem(**vars(problem), state=state, since=since)


def _read_runs(project: Project) -> tuple[tuple[RunStatus, ...], str | None]:
    """Return the last runs, or why their records cannot be read."""
    if not findings.has_run(project):
        return (), None
    try:
        catalog.publish(project.engine, {runs.TABLE: project.path(runs.TABLE)})
        rows = project.engine.rows(
            "SELECT run_id, start_time, status, records_read, records_written, quarantined, "
            "latency, coalesce(command, ''), coalesce(split_part(error_message, chr(10), 1), '') "
            "FROM ops.pipeline_runs "
            f"WHERE layer = 'run' ORDER BY start_time DESC, run_id DESC LIMIT {_LAST_RUNS}"
        )
    except BoathouseError as error:
        return (), error.what
    return tuple(RunStatus(*row) for row in rows), None


def _read_tables(project: Project, found: Findings) -> Iterable[TableStatus]:
    """Yield feeds, silver, gold and what lies beside them, then the ops tables."""
    stored = catalog.tables(project.settings.data_dir)
    declared = [*project.contracts.feeds, *project.contracts.silver, *(table.id for table in project.marts)]
    others = sorted((name for name in stored if name not in declared), key=lambda name: name.startswith("ops."))
    grades = {row.table: row for row in found.freshness}
    for name in (*declared, *others):
        yield _read_table(project, name, grades.get(name))


def _read_table(project: Project, name: str, grade: Freshness | None) -> TableStatus:
    try:
        snapshot = project.table(name)
    except BoathouseError:
        return TableStatus(name, "unreadable")
    if snapshot is None:
        return TableStatus(name, "not built")
    stamp = lake.commit_info(snapshot.root, snapshot.version).get("timestamp")
    return TableStatus(
        table=name,
        state="built",
        rows=snapshot.rows,
        files=len(snapshot.files),
        bytes=snapshot.size,
        freshness=grade.grade if grade else None,
        rows_until=_last_day(grade.business_until) if grade and grade.business_until else None,
        written_at=datetime.fromtimestamp(stamp / 1000, UTC) if stamp else None,
        draft=contract.is_draft(snapshot.properties),
    )


def _last_day(until: datetime) -> date:
    """Return the day that rows reach to; the end of a day is that day, not the next."""
    return (until - timedelta(microseconds=1)).date()


def _read_backup(project: Project) -> tuple[BackupStatus | None, str | None]:
    """Return the last verified backup, or why the records cannot be read."""
    try:
        last = backup_records.last_verified(project.engine, project.settings.data_dir)
    except BoathouseError as error:
        return None, error.what
    return (BackupStatus(last.backup, last.remote, last.ended_at) if last else None), None


def _next_step(found: Findings, now: datetime) -> str:
    """Return the fix of the most urgent problem; where there is none, when the next run is due."""
    if found.problems:
        return found.problems[0].fix
    for row in found.expected:
        if row.what == "pipeline run" and row.value is not None:
            return f"nothing to do; a run is due by {now + timedelta(hours=row.bound - row.value):%Y-%m-%d %H:%M} UTC"
    return "nothing to do"


# -- print


def _print_problems(status: Status) -> None:
    """Print the problems, each with what became of its incident, and the incidents that are over but still open."""
    urgent = [problem for problem in status.problems if not findings.is_housekeeping(problem)]
    for problem in urgent[:_MOST]:
        state = f" ({problem.state} since {problem.since:%m-%d %H:%M})" if problem.since else ""
        print(_wrapped(f"{problem.urgency}  ", f"{problem.incident}{state}: {problem.what}"))
        print(_wrapped("    -> ", problem.fix))
    if len(urgent) > _MOST:
        print(f"    and {len(urgent) - _MOST} more: `make health`")
    housekeeping = [problem for problem in status.problems if findings.is_housekeeping(problem)]
    for kind in sorted({problem.kind for problem in housekeeping}):
        _print_housekeeping(kind, [problem for problem in housekeeping if problem.kind == kind])
    if status.recovered:
        print(_wrapped("    ", f"no longer seen, and closed by the next `make health`: {_named(status.recovered)}"))


def _print_housekeeping(kind: str, problems: Sequence[Problem]) -> None:
    """Print the housekeeping of one kind in one entry."""
    named = _named([problem.subject for problem in problems])
    print(_wrapped(f"{problems[0].urgency}  ", f"{kind} {named}: {problems[0].what} -> {problems[0].fix}"))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _width() -> int:
    return min(_WIDTH, console.width() or _WIDTH)


def _beside(text: str, stamp: str) -> str:
    """Return a text with a stamp at the right end of its line, or below it where there is no room."""
    room = _width() - len(stamp)
    return f"{text:{room}}{stamp}" if len(text) < room else f"{text}\n{stamp}"


def _wrapped(lead: str, text: str) -> str:
    """Return a text after its label, broken to the width of the screen below where it begins."""
    indent = " " * len(lead)
    return textwrap.fill(" ".join(text.split()), _width(), initial_indent=lead, subsequent_indent=indent)


def _print_runs(status: Status) -> None:
    if status.runs_error is not None:
        print(f"The records of the runs cannot be read: {status.runs_error}")
        return
    console.table(
        ("run started (UTC)", "status", "read", "written", "quarantined", "seconds", "command"),
        [
            (
                f"{run.started_at:%Y-%m-%d %H:%M}",
                run.status,
                run.records_read,
                run.records_written,
                run.quarantined,
                round(run.seconds, 1),
                _cut(run.command, 24),
            )
            for run in status.runs
        ],
    )
    if status.runs and status.runs[0].error:
        print(_wrapped("last error: ", status.runs[0].error))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _print_tables(tables: Sequence[TableStatus]) -> None:
    """Print a line for each table; all ops tables in one."""
    ops = [table for table in tables if table.table.startswith("ops.")]
    rows = [_table_row(table) for table in tables if table not in ops]
    rows += [_ops_row(ops)] if ops else []
    console.table(("table", "rows", "files", "size", "fresh", "rows until", "last write (UTC)"), rows)


def _table_row(table: TableStatus) -> tuple[object, ...]:
    if table.bytes is None:
        return (table.table, None, None, "", "", "", _UNBUILT[table.state])
    fresh, until = table.freshness or "", str(table.rows_until or "")
    return (table.table, table.rows, table.files, size(table.bytes), fresh, until, _moment(table.written_at))


_UNBUILT = {"unreadable": "cannot be read", "not built": "not built yet"}


def _ops_row(tables: Sequence[TableStatus]) -> tuple[object, ...]:
    """Return the ops tables as one row; one that cannot be read is among the problems."""
    rows, files = sum(table.rows or 0 for table in tables), sum(table.files or 0 for table in tables)
    total = size(sum(table.bytes or 0 for table in tables))
    written = max((table.written_at for table in tables if table.written_at), default=None)
    return (f"ops ({findings.pluralized(len(tables), 'table')})", rows, files, total, "", "", _moment(written))


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _read_behind(project: Project) -> tuple[Standing, ...]:
    """Return the tables that the last run left behind; none where the release cannot be read, which is a problem."""
    try:
        return tuple(releases.behind(project.settings.data_dir).values())
    except BoathouseError:
        return ()


def _backup_text(status: Status) -> str:
    backup = status.backup
    if status.backup_error is not None:
        return f"not known: {status.backup_error}"
    if backup is None:
        return "none is verified yet; `make backup` makes one"
    found = f"{backup.verified_at:%Y-%m-%d %H:%M} UTC ({ago(status.read_at, backup.verified_at)})"
    return f"{backup.backup} at {backup.remote}, found whole {found}"
