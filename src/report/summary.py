"""The figures of the daily report, as data: from the ops tables and from a fresh look of the monitors.

Spans are the 30 days up to now, days are those of UTC. An ops table that is not there yet leaves its part out; one
that cannot be read is said so among the problems, and everything else is read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from src import alerts, causes
from src.engine import literal
from src.facts import (
    BackupFacts,
    DomainFacts,
    Facts,
    KnownCause,
    TableFacts,
    findings,
    known_causes,
    read_facts,
    wording,
)
from src.monitors import Findings, freshness, series, storage, volume, weekday
from src.monitors.distribution import Distribution
from src.monitors.feeds import FeedSchema
from src.monitors.freshness import Freshness
from src.monitors.latency import Latency
from src.monitors.reading import Reading, sql_moment
from src.monitors.storage import TableStats
from src.monitors.volume import Volume
from src.problems import CLASSES, Problem
from src.project import Project
from src.report.operations import Operations, read_operations
from src.run import backup_records, history, maintenance_records, releases, runs
from src.run.releases import Standing

DAYS = 30
LACKS = "lacks yesterday"  # the verdict on a critical series
_WEEK = timedelta(days=6)  # the last 7 days, today among them
T = TypeVar("T")


@dataclass(frozen=True)
class IncidentEvent:
    """Something that happened to an incident; time in UTC."""

    moment: datetime
    event: str
    urgency: str
    incident: str
    message: str
    by: str


@dataclass(frozen=True)
class RunFigures:
    """One run; time in UTC."""

    run_id: str
    started_at: datetime
    status: str  # success | partial | failed
    command: str
    seconds: float
    error: str  # its first line


@dataclass(frozen=True)
class RecordFigures:
    """The rows of all runs that were started on one day."""

    day: date
    read: int
    written: int
    quarantined: int


@dataclass(frozen=True, kw_only=True)
class FreshnessFigures(Freshness):
    """The freshness of one table, and the number of days on which it kept its promise."""

    days_kept: int
    days_graded: int
    ages: tuple[float | None, ...]  # in hours, one for each day graded


@dataclass(frozen=True)
class VolumeFigures:
    """The rows of one business day of one table, as they were counted last."""

    table: str
    day: date
    rows: int
    median: float | None  # of its weekday
    verdict: str


@dataclass(frozen=True, kw_only=True)
class SeriesFigures:
    """One series of a watched table: its newest complete day beside its weekday, and its figure on each day."""

    table: str
    series: str
    labels: Mapping[str, str]  # the columns that make it a series, as one reads them: the source is the first
    source: str  # '' where the contract names none
    critical: bool
    known: bool  # to the dictionary
    unit: str
    day: date | None  # the newest that was judged
    value: float | None
    median: float | None  # of its weekday
    verdict: str  # those of the monitor | lacks yesterday | not judged yet
    by_day: tuple[float | None, ...]  # up to its newest complete day

    @property
    def odd(self) -> bool:
        """Return whether a person should look at it."""
        return self.verdict in (*weekday.ODD, LACKS)


@dataclass(frozen=True)
class ShareFigures:
    """A part of a whole of one table on one day."""

    table: str
    day: date
    part: int
    whole: int


@dataclass(frozen=True)
class FailedAudit:
    """An audit that failed in the last 7 days; time in UTC."""

    table: str
    rule: str
    column: str | None
    severity: str
    value: float | None  # found last
    unit: str
    operator: str  # of what was expected, for example: mustBe
    bound: str
    last_at: datetime
    times: int


@dataclass(frozen=True, kw_only=True)
class LatencyFigures(Latency):
    """The latency of one step, and its last runs; in seconds."""

    last_runs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class StorageFigures(TableStats):
    """The storage of one table, and its growth."""

    bytes_by_day: tuple[int, ...]


@dataclass(frozen=True)
class MaintenanceFigures:
    """The effect of one maintenance command; time in UTC."""

    moment: datetime
    command: str
    tables: int
    files_removed: int
    bytes_freed: int


@dataclass(frozen=True)
class BackupFigures:
    """One backup, drill or restore; time in UTC."""

    started_at: datetime
    kind: str
    backup: str
    verified: bool
    files: int
    bytes: int
    bytes_copied: int
    seconds: float
    message: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a lake up to one moment (UTC)."""

    read_at: datetime
    first_day: date
    verdict: str
    healthy: bool
    problems: tuple[Problem, ...]  # the most urgent first
    causes: tuple[KnownCause, ...]  # the problems, folded under what they follow from
    domains: tuple[DomainFacts, ...]
    tables: tuple[TableFacts, ...]  # feeds and tables, in the order of a run
    incident_events: tuple[IncidentEvent, ...]  # of the last 7 days, the newest first
    runs: tuple[RunFigures, ...]  # the newest first
    records: tuple[RecordFigures, ...]
    freshness: tuple[FreshnessFigures, ...]
    volume: tuple[VolumeFigures, ...]
    judged_days: tuple[Volume, ...]  # the last 7 complete ones
    series: tuple[SeriesFigures, ...]  # as one reads them: by table, source and metric
    feed_schema: tuple[FeedSchema, ...]
    distribution: tuple[Distribution, ...]
    audits_passed_percent: float | None  # of the last 7 days
    audits_passed: tuple[ShareFigures, ...]
    audits_failed: tuple[FailedAudit, ...]
    rows_rejected: tuple[ShareFigures, ...]
    latency: tuple[LatencyFigures, ...]
    storage: tuple[StorageFigures, ...]
    behind: tuple[Standing, ...]  # the tables of which readers see an earlier run's data
    drafts: tuple[str, ...]  # the tables of which readers see a draft
    maintenance: tuple[MaintenanceFigures, ...]  # the newest 10
    backups: tuple[BackupFigures, ...]  # the newest 10
    last_backup: BackupFacts | None  # the newest that is known to be whole
    operations: Operations  # what is slow, who reads what, what it costs, its models

    @property
    def days(self) -> list[date]:
        """Return every day from the first to today."""
        return [self.first_day + timedelta(days=ahead) for ahead in range(DAYS)]


@dataclass(frozen=True)
class _Past:
    """The ops tables up to a moment, and what the monitors find at it."""

    reading: Reading
    facts: Facts

    @property
    def now(self) -> datetime:
        return self.reading.now

    @property
    def found(self) -> Findings:
        return self.facts.findings

    @property
    def first_day(self) -> date:
        return self.now.date() - timedelta(days=DAYS - 1)

    @property
    def week(self) -> date:
        """Return the first of the last 7 days."""
        return self.now.date() - _WEEK

    def rows(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over one ops table; none where it is not there, or cannot be read."""
        if not self.reading.publish(table):
            return []
        return self.reading.attempt(table, self.reading.project.engine.rows, sql) or []

    def read(self, kind: Callable[..., T], table: str, sql: str) -> tuple[T, ...]:
        """Return the rows of a SELECT over one ops table as dataclasses of a kind."""
        return tuple(kind(*row) for row in self.rows(table, sql))

    def within(self, column: str, first: date | None = None) -> str:
        """Return an SQL condition: a moment of these days."""
        return f"{column} >= {sql_moment(first or self.first_day)} AND {column} <= {sql_moment(self.now)}"


def read_summary(project: Project, now: datetime, *, ask_index: bool = False) -> Summary:
    """Return the figures of the lake up to a moment (UTC); changes nothing of it.

    `ask_index`: ask the package index for advisories of the pins, in bounded time.
    """
    past = _Past(Reading(project, now), read_facts(project, now))
    found = past.found
    data = project.settings.data_dir
    release = past.reading.attempt(releases.TABLE, releases.newest_release, data) or releases.Release()
    percent = next((row.value for row in found.expected if row.what == "audits passed"), None)
    figures: dict[str, Any] = {
        "incident_events": _incident_events(past),
        "runs": _runs(past),
        "records": _records(past),
        "freshness": _freshness(past),
        "volume": _volume(past),
        "series": _series(past),
        "audits_passed": _audits_passed(past),
        "audits_failed": _audits_failed(past),
        "rows_rejected": _rows_rejected(past),
        "latency": _latency(past),
        "storage": _storage(past),
        "maintenance": _maintenance(past),
        "backups": _backups(past),
        "last_backup": _last_backup(past),
        "behind": tuple(release.behind.values()),
        "drafts": tuple(sorted(release.drafts)),
    }
    problems = _problems(past)  # last: by now every table was tried
    grouped = causes.grouped(problems, past.facts.families)
    return Summary(
        read_at=now,
        first_day=past.first_day,
        verdict=wording.verdict(grouped),
        healthy=all(map(wording.is_housekeeping, grouped)),
        problems=problems,
        causes=known_causes(grouped, past.facts.incidents, past.facts.tables, now),
        domains=past.facts.domains,
        tables=tuple(past.facts.tables.values()),
        judged_days=found.volume,
        feed_schema=found.feed_schema,
        distribution=found.distribution,
        audits_passed_percent=percent,
        operations=read_operations(project, now, found, ask_index=ask_index),
        **figures,
    )


# -- problems and incidents


def _problems(past: _Past) -> tuple[Problem, ...]:
    """Return what the look found, and the tables that could not be read here; these say it more precisely."""
    seen = {problem.incident for problem in past.found.problems}
    more = [problem for problem in past.reading.damage.values() if problem.incident not in seen]
    found = [problem for problem in past.found.problems if not (more and problem.subject == findings.BLIND)]
    return tuple(sorted((*more, *found), key=lambda problem: CLASSES.index(problem.urgency)))


def _incident_events(past: _Past) -> tuple[IncidentEvent, ...]:
    return past.read(
        IncidentEvent,
        alerts.TABLE,
        "SELECT moment, event, urgency, incident, split_part(message, chr(10), 1), "
        f"coalesce(\"by\", '') FROM ops.alerts WHERE {past.within('moment', past.week)} "
        "AND event NOT IN ('sent', 'undelivered') ORDER BY moment DESC, incident, event LIMIT 40",
    )


# -- runs and records


def _runs(past: _Past) -> tuple[RunFigures, ...]:
    return past.read(
        RunFigures,
        runs.TABLE,
        "SELECT run_id, start_time, status, coalesce(command, ''), "
        "latency, coalesce(split_part(error_message, chr(10), 1), '') FROM ops.pipeline_runs "
        f"WHERE layer = 'run' AND {past.within('start_time')} ORDER BY start_time DESC, run_id DESC",
    )


def _records(past: _Past) -> tuple[RecordFigures, ...]:
    return past.read(
        RecordFigures,
        runs.TABLE,
        "SELECT start_time::DATE, sum(records_read)::BIGINT, sum(records_written)::BIGINT, "
        f"sum(quarantined)::BIGINT FROM ops.pipeline_runs WHERE layer = 'run' AND {past.within('start_time')} "
        "GROUP BY 1 ORDER BY 1",
    )


# -- freshness, volume, quality


def _freshness(past: _Past) -> tuple[FreshnessFigures, ...]:
    """Return the freshness of each table, with the last grade of each day."""
    kept = ", ".join(map(literal, freshness.KEPT))
    history = {
        name: grades
        for name, *grades in past.rows(
            freshness.TABLE,
            f'SELECT "table", count(*) FILTER (grade IN ({kept})), count(*), list(age_hours ORDER BY measured_at) '
            f"FROM (SELECT * FROM ops.freshness WHERE {past.within('measured_at')} QUALIFY row_number() OVER "
            '(PARTITION BY "table", measured_at::DATE ORDER BY measured_at DESC) = 1) GROUP BY 1',
        )
    }
    figures = []
    for row in past.found.freshness:
        kept_days, graded_days, ages = history.get(row.table, (0, 0, ()))
        figures.append(FreshnessFigures(**vars(row), days_kept=kept_days, days_graded=graded_days, ages=tuple(ages)))
    return tuple(figures)


def _volume(past: _Past) -> tuple[VolumeFigures, ...]:
    """Return the rows of each business day of each table: what was counted last, now where it was counted now."""
    stored = past.read(
        VolumeFigures,
        volume.TABLE,
        'SELECT "table", day, "rows", median, verdict FROM ops.volume '
        f"WHERE day >= DATE '{past.first_day}' AND measured_at <= {sql_moment(past.now)} "
        'QUALIFY row_number() OVER (PARTITION BY "table", day ORDER BY measured_at DESC) = 1',
    )
    fresh = (VolumeFigures(row.table, row.day, row.rows, row.median, row.verdict) for row in past.found.volume)
    newest = {(row.table, row.day): row for row in (*stored, *fresh)}
    return tuple(newest[key] for key in sorted(newest))


def _series(past: _Past) -> tuple[SeriesFigures, ...]:
    reading = past.reading
    figures = []
    for table in reading.declared:
        seen = reading.attempt(table.id, series.look, reading, table) if table.watch else None
        if seen:
            found = [_of_series(past, seen, line) for line in seen.lines]
            figures += sorted(found, key=lambda row: tuple(row.labels.values()))
    return tuple(figures)


def _of_series(past: _Past, seen: series.Look, line: series.Line) -> SeriesFigures:
    newest, days = line.newest, [past.first_day + timedelta(days=ahead) for ahead in range(DAYS - 1)]
    verdict = newest.verdict if newest else "not judged yet"
    if line.entry.critical and series.lacks_yesterday(past.reading, seen, line):
        verdict = LACKS
    columns = dict(zip(seen.watch.by, line.key, strict=True))
    return SeriesFigures(
        table=seen.table.id,
        series=line.name,
        labels={name: columns[name] for name in seen.order},
        source=line.source,
        critical=line.entry.critical,
        known=line.known,
        unit=line.entry.unit,
        day=newest.day if newest else None,
        value=newest.value if newest else None,
        median=newest.median if newest else None,
        verdict=verdict,
        by_day=tuple(line.values.get(day) if newest is None or day <= newest.day else None for day in days),
    )


def _audits_passed(past: _Past) -> tuple[ShareFigures, ...]:
    return past.read(
        ShareFigures,
        runs.AUDITS,
        'SELECT "table", run_time::DATE, count(*) FILTER (passed), count(*) FROM ops.quality_results '
        f"WHERE {past.within('run_time')} GROUP BY 1, 2 ORDER BY 1, 2",
    )


def _rows_rejected(past: _Past) -> tuple[ShareFigures, ...]:
    return past.read(
        ShareFigures,
        runs.TABLE,
        "SELECT table_id, start_time::DATE, sum(quarantined)::BIGINT, sum(records_read)::BIGINT "
        f"FROM ops.pipeline_runs WHERE layer = 'silver' AND status = 'success' AND {past.within('start_time')} "
        "GROUP BY 1, 2 ORDER BY 1, 2",
    )


def _audits_failed(past: _Past) -> tuple[FailedAudit, ...]:
    return past.read(
        FailedAudit,
        runs.AUDITS,
        'SELECT "table", rule, "column", severity, arg_max_null(value, run_time), unit, operator, bound, '
        "max(run_time), count(*) "
        f"FROM ops.quality_results WHERE NOT passed AND {past.within('run_time', past.week)} "
        'GROUP BY "table", rule, "column", severity, unit, operator, bound '
        "ORDER BY max(run_time) DESC, 1, 2, 3 LIMIT 30",
    )


# -- latency, storage, maintenance, backups


def _latency(past: _Past) -> tuple[LatencyFigures, ...]:
    lasted = dict(
        past.rows(
            runs.TABLE,
            "SELECT table_id, list(latency ORDER BY start_time, run_id) FROM (SELECT * FROM ops.pipeline_runs "
            "WHERE status = 'success' AND records_read > 0 AND "
            f"(layer <> 'run' OR {history.PIPELINE}) AND {past.within('start_time')} QUALIFY "
            "row_number() OVER (PARTITION BY table_id ORDER BY start_time DESC, run_id DESC) <= 31) GROUP BY table_id",
        )
    )
    return tuple(LatencyFigures(**vars(row), last_runs=tuple(lasted.get(row.step, ()))) for row in past.found.latency)


def _storage(past: _Past) -> tuple[StorageFigures, ...]:
    grown: dict[str, Sequence[int]] = dict(
        past.rows(
            storage.TABLE,
            f'SELECT "table", list(bytes_on_disk ORDER BY measured_at) FROM (SELECT * FROM ops.table_stats WHERE '
            f'{past.within("measured_at")} QUALIFY row_number() OVER (PARTITION BY "table", measured_at::DATE '
            "ORDER BY measured_at DESC) = 1) GROUP BY 1",
        )
    )
    return tuple(
        StorageFigures(**vars(row), bytes_by_day=(*grown.get(row.table, ()), row.bytes_on_disk or 0))
        for row in past.found.table_stats
    )


def _maintenance(past: _Past) -> tuple[MaintenanceFigures, ...]:
    return past.read(
        MaintenanceFigures,
        maintenance_records.TABLE,
        "SELECT max(moment), command, count(*), sum(files_before - files_after)::BIGINT, "
        "greatest(sum(bytes_before - bytes_after), 0)::BIGINT FROM ops.maintenance "
        f"WHERE {past.within('moment')} GROUP BY run_id, command ORDER BY 1 DESC, 2 LIMIT 10",
    )


def _backups(past: _Past) -> tuple[BackupFigures, ...]:
    return past.read(
        BackupFigures,
        backup_records.TABLE,
        "SELECT started_at, kind, backup, verified, "
        "files, bytes, bytes_copied, epoch(ended_at - started_at), coalesce(message, '') FROM ops.backups "
        f"WHERE started_at <= {sql_moment(past.now)} ORDER BY started_at DESC, run_id DESC LIMIT 10",
    )


def _last_backup(past: _Past) -> BackupFacts | None:
    project = past.reading.project
    last = past.reading.attempt(
        backup_records.TABLE, backup_records.last_verified, project.engine, project.settings.data_dir
    )
    return BackupFacts(last.backup, last.remote, last.ended_at) if last else None
