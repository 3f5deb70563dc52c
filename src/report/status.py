"""One screen that answers two questions: is it fine, and what should I do. It only reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from src import alerts, catalog, console, lake
from src.alerts import Incident
from src.errors import BoathouseError
from src.monitors import Findings
from src.monitors.freshness import Freshness
from src.problems import Problem
from src.project import Project
from src.report import health
from src.run import backup_records, runs

_WIDTH = 100
_LAST_RUNS = 5
_MOST = 6  # problems written out
_NAMED = 3  # by name, where there are many


def show(project: Project, now: datetime) -> None:
    """Print the verdict, the problems, the last runs, every table, the last good backup and what to do next."""
    found = health.look(project, now)
    stamp = f"{now:%Y-%m-%d %H:%M} UTC"
    print(f"{health.verdict(found.problems):{_WIDTH - len(stamp)}}{stamp}")
    _problems(found.problems, _incidents(project), now)
    print()
    if health.ran(project):
        _runs(project)
    else:
        print("No run yet. Type `make pipeline`.")
    print()
    _tables(project, found)
    print()
    print(_wrapped("backup: ", _backup(project, now)))
    print(_wrapped("next:   ", _next(found, now)))


def size(count: int) -> str:
    """Bytes for the eye: 812 B, 4.1 kB, 3.2 MB, in thousands."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _incidents(project: Project) -> dict[str, Incident]:
    try:
        return {found.incident: found for found in alerts.open_incidents(project.engine, project.settings.data_dir)}
    except BoathouseError:
        return {}  # a damaged ops.alerts is among the problems


def _problems(problems: Sequence[Problem], known: dict[str, Incident], now: datetime) -> None:
    """The problems there are, each with what became of its incident, and the incidents that are over but not told."""
    urgent = [problem for problem in problems if not health.small(problem)]
    for problem in urgent[:_MOST]:
        incident = known.get(problem.incident)
        state = f" ({incident.state(now)} since {incident.since:%m-%d %H:%M})" if incident else ""
        print(_wrapped(f"{problem.urgency}  ", f"{problem.incident}{state}: {problem.what}"))
        print(_wrapped("    -> ", problem.fix))
    if len(urgent) > _MOST:
        print(f"    and {len(urgent) - _MOST} more: `make health`")
    for kind in sorted({problem.kind for problem in problems if health.small(problem)}):
        _small(kind, [problem for problem in problems if health.small(problem) and problem.kind == kind])
    over = sorted(set(known) - {problem.incident for problem in problems})
    if over:
        print(_wrapped("    ", f"no longer seen, and closed by the next `make health`: {_named(over)}"))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _small(kind: str, problems: Sequence[Problem]) -> None:
    """Housekeeping of one kind, together."""
    named = _named([problem.subject for problem in problems])
    print(_wrapped(f"{problems[0].urgency}  ", f"{kind} {named}: {problems[0].what} -> {problems[0].fix}"))


def _wrapped(lead: str, text: str) -> str:
    """A text after its label, broken to the width of the screen below where it begins."""
    indent = " " * len(lead)
    return textwrap.fill(" ".join(text.split()), _WIDTH, initial_indent=lead, subsequent_indent=indent)


def _runs(project: Project) -> None:
    try:
        catalog.publish(project.engine, {runs.TABLE: project.path(runs.TABLE)})
        rows = project.engine.rows(
            "SELECT strftime(start_time, '%Y-%m-%d %H:%M'), status, records_read, records_written, quarantined, "
            "round(latency, 1), coalesce(command, ''), coalesce(split_part(error_message, chr(10), 1), '') "
            "FROM ops.pipeline_runs "
            f"WHERE layer = 'run' ORDER BY start_time DESC, run_id DESC LIMIT {_LAST_RUNS}"
        )
    except BoathouseError as error:
        print(f"The records of the runs cannot be read: {error.what}")
        return
    console.table(
        ("run started (UTC)", "status", "read", "written", "quarantined", "seconds", "command"),
        [(*row[:6], _cut(row[6], 24)) for row in rows],
    )
    if rows and rows[0][7]:
        print(_wrapped("last error: ", rows[0][7]))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _tables(project: Project, found: Findings) -> None:
    """Feeds, silver, gold and what lies beside them, a line each; all ops tables in one."""
    there = catalog.tables(project.settings.data_dir)
    declared = [*project.contracts.feeds, *project.contracts.silver, *(table.id for table in project.marts)]
    names = [*declared, *(name for name in there if name not in declared and not name.startswith("ops."))]
    grades = {row.table: row for row in found.freshness}
    rows = [_table(project, name, grades.get(name)) for name in names]
    ops = [name for name in there if name.startswith("ops.")]
    rows += [_together(project, ops)] if ops else []
    console.table(("table", "rows", "files", "size", "fresh", "rows until", "last write (UTC)"), rows)


def _table(project: Project, name: str, grade: Freshness | None) -> tuple[object, ...]:
    try:
        snapshot = project.table(name)
    except BoathouseError:
        return (name, None, None, "", "", "", "cannot be read")
    if snapshot is None:
        return (name, None, None, "", "", "", "not built yet")
    until = f"{_last_day(grade.business_until)}" if grade and grade.business_until else ""
    graded = grade.grade if grade else ""
    return (name, snapshot.rows, len(snapshot.files), size(snapshot.size), graded, until, _written([snapshot]))


def _last_day(until: datetime) -> str:
    """The day that rows reach to; the end of a day is that day, not the next."""
    return f"{until - timedelta(microseconds=1):%Y-%m-%d}"


def _written(snapshots: Iterable[lake.Snapshot]) -> str:
    stamps = [lake.commit_info(one.root, one.version).get("timestamp") for one in snapshots]
    newest = max((stamp for stamp in stamps if stamp), default=None)
    return f"{datetime.fromtimestamp(newest / 1000, UTC):%Y-%m-%d %H:%M}" if newest else ""


def _together(project: Project, names: Sequence[str]) -> tuple[object, ...]:
    """The ops tables in one line; one that cannot be read is among the problems."""
    found = []
    for name in names:
        try:
            found += [snapshot] if (snapshot := project.table(name)) else []
        except BoathouseError:
            continue
    rows, files = sum(one.rows for one in found), sum(len(one.files) for one in found)
    total = size(sum(one.size for one in found))
    return (f"ops ({health.counted(len(names), 'table')})", rows, files, total, "", "", _written(found))


def _backup(project: Project, now: datetime) -> str:
    try:
        last = backup_records.last_verified(project.engine, project.settings.data_dir)
    except BoathouseError as error:
        return f"not known: {error.what}"
    if last is None:
        return "none is verified yet; `make backup` makes one"
    return f"{last.backup} at {last.remote}, found whole {last.ended_at:%Y-%m-%d %H:%M} UTC ({ago(now, last.ended_at)})"


def ago(now: datetime, then: datetime) -> str:
    """How long ago, in hours up to two days."""
    hours = max(0.0, (now - then).total_seconds() / 3600)
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def _next(found: Findings, now: datetime) -> str:
    """The fix of the most urgent problem; where there is none, when the next run is due."""
    if found.problems:
        return found.problems[0].fix
    for row in found.expected:
        if row.what == "pipeline run" and row.value is not None:
            return f"nothing to do; a run is due by {now + timedelta(hours=row.bound - row.value):%Y-%m-%d %H:%M} UTC"
    return "nothing to do"
