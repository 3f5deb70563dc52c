"""One table: what its contract says of it, and what its runs, audits and files tell. Each function reads one part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from src import catalog, records
from src.contract import Column, Feed, Table, wording
from src.engine import literal
from src.ml.versions import Version
from src.monitors import storage
from src.project import Project, learns_from, referenced
from src.project import upstream as upstream_of
from src.run import history, runs

DAYS = 14  # of rows and audits that are told
STEPS = 14  # steps that are told
ARRIVALS = 10  # files that are told


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """One column as its contract declares it; of a feed, as its table has it."""

    name: str
    type: str
    key: bool = False
    required: bool = False
    meaning: str = ""
    expression: str | None = None  # by which silver computes it
    rules: tuple[str, ...] = ()  # in words
    classification: str | None = None
    added: bool = False  # by the product, to say where a row came from


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The declaration of one feed or table."""

    id: str
    contract: Path | None
    description: str = ""
    version: str | None = None
    status: str | None = None
    owner: str = ""
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    sequence_by: tuple[str, ...] = ()
    promises: tuple[str, ...] = ()  # in words
    feeds: tuple[Feed, ...] = ()  # of a feed itself, of a silver table those it reads
    model: str | None = None  # the SQL of a gold table, or of a silver one that has some
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    columns: tuple[ColumnFacts, ...] = ()


@dataclass(frozen=True)
class Step:
    """One run's step through a table, and what it changed; the moment in UTC, in rows and seconds."""

    run_id: str
    started_at: datetime
    status: str  # success | failed | blocked
    command: str  # of the run
    started_by: str  # who started the run; "" of one of before that was recorded
    version: int | None  # that it left; None: it wrote nothing
    wrote: bool  # whether this step made that version
    read: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    quarantined: int
    files: int
    seconds: float
    error: str  # its first line


@dataclass(frozen=True)
class Audit:
    """The last result of an audit on one day."""

    passed: bool
    value: float | None
    samples: str | None  # JSON


@dataclass(frozen=True)
class AuditDays:
    """One audit of a table: what is asked, and its last result of each day that it was looked at (UTC)."""

    rule: str
    column: str | None
    asked: str
    unit: str
    severity: str
    description: str
    days: Mapping[date, Audit]

    @property
    def last(self) -> Audit:
        """Return the newest result."""
        return self.days[max(self.days)]


@dataclass(frozen=True)
class Arrived:
    """One landed file as bronze has it; the moment in UTC."""

    file: str
    rows: int
    rejected: int  # lines that could not be read
    at: datetime


@dataclass(frozen=True)
class Arrivals:
    """The files that landed for a feed."""

    files: int  # that runs have taken so far
    last: tuple[Arrived, ...]  # the newest first


def read_declaration(project: Project, table_id: str) -> Declaration:
    """Return what is declared of a feed, a table or a model.

    Raises:
        UsageError: there is none of that name.
        MachineError: it is damaged.
    """
    declared = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    feed, table = project.contracts.feeds.get(table_id), declared.get(table_id)
    downstream = tuple(downstream_of(project, table_id))
    if feed:
        return Declaration(
            id=table_id,
            contract=feed.declared_in,
            feeds=(feed,),
            downstream=downstream,
            columns=_columns_of_feed(project, feed),
        )
    if model := project.contracts.models.get(table_id):
        return Declaration(
            id=table_id,
            contract=model.path,
            description=model.description,
            version=model.version,
            status="",
            owner=model.owner,
            key=("version",),
            model=model.path.read_text(encoding="utf-8"),
            upstream=tuple(learns_from(project)[table_id]),
            downstream=downstream,
            columns=_columns_of_records(Version),
        )
    if table is None:
        raise catalog.unknown_table([table_id], [*project.contracts.feeds, *declared, *project.contracts.models])
    return Declaration(
        id=table_id,
        contract=table.path,
        description=table.description,
        version=table.version,
        status=table.status,
        owner=table.owner,
        key=table.key,
        partition_by=table.partition_by,
        sequence_by=table.sequence_by,
        promises=tuple(map(wording.shown_promise, table.slas)),
        feeds=table.feeds,
        model=table.sql or (table.python.read_text(encoding="utf-8") if table.python else None),
        upstream=tuple(dict.fromkeys(upstream_of(table))),
        downstream=downstream,
        columns=columns_of(table),
    )


def downstream_of(project: Project, table_id: str) -> list[str]:
    """Return the tables that read a feed or table, or refer to it."""
    declared = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    found = [name for name, table in declared.items() if table_id in {*upstream_of(table), *referenced(table)}]
    return [*found, *(name for name, above in learns_from(project).items() if table_id in above)]


def columns_of(table: Table) -> tuple[ColumnFacts, ...]:
    """Return the columns of a silver or gold table, those that the product adds last."""
    own = {column.name: column for column in table.columns}
    return tuple(_column(table, name, kind, own.get(name)) for name, kind in table.stored_columns.items())


def _column(table: Table, name: str, kind: str, column: Column | None) -> ColumnFacts:
    if column is None:
        return ColumnFacts(name=name, type=wording.shown_type(kind), added=True)
    return ColumnFacts(
        name=name,
        type=column.shown_type,
        key=name in table.key,
        required=column.required,
        meaning=column.description,
        expression=column.expression,
        rules=tuple(wording.shown_rules(column)),
        classification=column.classification,
    )


def _columns_of_records(kind: type) -> tuple[ColumnFacts, ...]:
    return tuple(ColumnFacts(name=n, type=wording.shown_type(k)) for n, k in records.columns_of(kind).items())


def _columns_of_feed(project: Project, feed: Feed) -> tuple[ColumnFacts, ...]:
    snapshot = project.table(feed.id)
    kinds = snapshot.columns if snapshot else {}
    return tuple(
        ColumnFacts(name=name, type=wording.shown_type(kind), added=name.startswith("_"))
        for name, kind in kinds.items()
    )


def read_steps(project: Project, table_id: str, most: int = STEPS) -> tuple[Step, ...]:
    """Return the last steps of runs through a table, the newest first.

    Raises:
        BoathouseError: the records cannot be read.
    """
    if not history.publish(project.engine, project.settings.data_dir):
        return ()
    rows = project.engine.rows(
        "WITH steps AS MATERIALIZED (SELECT run_id, start_time, status, version, records_read, inserted, updated, "
        "deleted + coalesce(removed, 0) AS deleted, unchanged, quarantined, files, latency, "
        "coalesce(split_part(error_message, chr(10), 1), '') AS error, "
        "lag(version IGNORE NULLS) OVER (ORDER BY start_time, run_id) AS before FROM ops.pipeline_runs "
        f"WHERE layer <> 'run' AND table_id = {literal(table_id)} ORDER BY start_time DESC, run_id DESC LIMIT {most}), "
        "commands AS (SELECT run_id, any_value(command) AS command, any_value(started_by) AS started_by "
        "FROM ops.pipeline_runs "
        "WHERE layer = 'run' AND run_id IN (SELECT run_id FROM steps) GROUP BY run_id) "
        "SELECT run_id, start_time, status, coalesce(command, ''), coalesce(started_by, ''), version, "
        "version IS NOT NULL AND version IS DISTINCT FROM before, records_read, inserted, updated, deleted, unchanged, "
        "quarantined, files, latency, error FROM steps LEFT JOIN commands USING (run_id) "
        "ORDER BY start_time DESC, run_id DESC"
    )
    return tuple(Step(*row) for row in rows)


def read_rows_by_day(project: Project, table_id: str, today: date, days: int = DAYS) -> dict[date, int]:
    """Return the rows of a table as the monitors last measured them on each of the last days (UTC), the oldest first.

    Raises:
        BoathouseError: the figures cannot be read.
    """
    if not _published(project, storage.TABLE):
        return {}
    return dict(
        project.engine.rows(
            'SELECT measured_at::DATE, arg_max("rows", measured_at) FROM ops.table_stats '
            f'WHERE "table" = {literal(table_id)} AND {_since("measured_at", today, days)} GROUP BY 1 ORDER BY 1'
        )
    )


def read_audits(project: Project, table_id: str, today: date, days: int = DAYS) -> tuple[AuditDays, ...]:
    """Return the audits of a table on each of the last days (UTC), those that failed last first.

    Raises:
        BoathouseError: the results cannot be read.
    """
    if not _published(project, runs.AUDITS):
        return ()
    rows = project.engine.rows(
        'SELECT rule, "column", operator, bound, unit, severity, description, run_time::DATE AS day, passed, value, '
        f'samples FROM ops.quality_results WHERE "table" = {literal(table_id)} AND {_since("run_time", today, days)} '
        'QUALIFY row_number() OVER (PARTITION BY rule, "column", operator, bound, day '
        "ORDER BY run_time DESC, run_id DESC) = 1 "
        "ORDER BY day DESC"
    )
    found: dict[tuple[str, ...], AuditDays] = {}
    results: dict[tuple[str, ...], dict[date, Audit]] = {}
    for rule, column, operator, bound, unit, severity, description, day, passed, value, samples in rows:
        name = (rule, column or "", operator, bound)
        by_day = results.setdefault(name, {})
        by_day[day] = Audit(passed, value, samples)
        asked = wording.shown_bound(operator, bound)
        found.setdefault(name, AuditDays(rule, column, asked, unit, severity, description, by_day))
    return tuple(sorted(found.values(), key=lambda audit: (audit.last.passed, audit.rule, audit.column or "")))


def read_arrivals(
    project: Project, table_id: str, today: date, days: int = DAYS, most: int = ARRIVALS
) -> Arrivals | None:
    """Return what has landed for a feed, and the last files of some days (UTC); None of what is no feed.

    Raises:
        BoathouseError: the table or the records cannot be read.
    """
    if table_id not in project.contracts.feeds:
        return None
    snapshot = project.table(table_id)
    if snapshot is None or not history.publish(project.engine, project.settings.data_dir):
        return Arrivals(0, ())
    counted = project.engine.one(
        "SELECT coalesce(sum(files), 0)::BIGINT FROM ops.pipeline_runs "
        f"WHERE status = 'success' AND table_id = {literal(table_id)}"
    )
    rows = project.engine.rows(
        "SELECT _file, count(*) FILTER (_reject IS NULL), count(_reject), min(_ingested_at) AS taken "
        f"FROM {project.engine.scan(snapshot, evolved=True)} WHERE {_since('_ingested_at', today, days)} "
        f"GROUP BY _file ORDER BY taken DESC, _file DESC LIMIT {most}"
    )
    return Arrivals(int(counted[0]), tuple(Arrived(*row) for row in rows))


def _since(column: str, today: date, days: int) -> str:
    return f"{column} >= TIMESTAMPTZ '{today - timedelta(days=days - 1)} 00:00:00+00'"


def _published(project: Project, table_id: str) -> bool:
    return bool(catalog.publish(project.engine, {table_id: project.path(table_id)}))
