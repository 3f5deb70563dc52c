"""One run: what it did step by step, what its audits found, what readers got of it; also while it goes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from src import catalog
from src.engine import identifier, literal
from src.project import Project
from src.run import history, lock, progress, releases, runs
from src.run.runs import Record


@dataclass(frozen=True)
class AuditOfRun:
    """An audit of a run that did not pass: its table, how urgent it is, what it asks for, what it found."""

    table: str
    severity: str
    description: str
    value: float | None
    unit: str
    bound: str
    samples: str | None


@dataclass(frozen=True)
class OneRun:
    """One run; `own` None: it is not over, or was stopped before it could say anything.

    Moments in UTC. `released`: the tables of which readers got what it built; None: it made no release.
    """

    run_id: str
    own: Record | None
    steps: tuple[Record, ...]
    audits: tuple[AuditOfRun, ...]
    released: int | None
    going: lock.Holder | None = None  # it holds the lake now, or died while it did
    planned: int | None = None  # steps of one that goes
    at: str | None = None  # the step it is at, since a moment
    since: datetime | None = None

    @property
    def died(self) -> bool:
        """Return whether its process is gone without a word; the next run records it as interrupted."""
        return self.own is None and self.going is not None and self.going.is_dead


def read_run(project: Project, run_id: str) -> OneRun | None:
    """Return a run, from its records or from what it tells while it goes; None where nothing is known of it.

    Raises:
        BoathouseError: the records cannot be read.
    """
    data = project.settings.data_dir
    holder = lock.holder(data)  # before the records: what ends in between is told as over
    records = _records(project, run_id)
    own = next((record for record in records if record.layer == "run"), None)
    if own is None and holder and holder.run_id == run_id:
        seen = progress.read(data, run_id) or progress.Progress()
        return OneRun(run_id, None, seen.steps, (), None, holder, seen.planned, seen.at, seen.since)
    if not records:
        return None
    steps = tuple(record for record in records if record.layer != "run")
    return OneRun(run_id, own, steps, _audits(project, run_id), _released(project, run_id))


def _records(project: Project, run_id: str) -> list[Record]:
    if not history.publish(project.engine, project.settings.data_dir):
        return []
    columns = ", ".join(identifier(column.name) for column in fields(Record))
    rows = project.engine.rows(
        f"SELECT {columns} FROM ops.pipeline_runs WHERE run_id = {literal(run_id)} ORDER BY start_time, table_id"
    )
    return [Record(*row) for row in rows]


def _audits(project: Project, run_id: str) -> tuple[AuditOfRun, ...]:
    rows = _ops(
        project,
        runs.AUDITS,
        'SELECT "table", severity, description, value, unit, bound, samples FROM ops.quality_results '
        f"WHERE run_id = {literal(run_id)} AND NOT passed ORDER BY severity, run_time",
    )
    return tuple(AuditOfRun(*row) for row in rows)


def _released(project: Project, run_id: str) -> int | None:
    """Return of how many tables readers got what a run built; None where it made no release."""
    table = project.table(releases.TABLE)
    fresh = f"count(*) FILTER (as_of = {literal(run_id)})" if table and "as_of" in table.columns else "NULL"
    query = f"SELECT {fresh}, count(*) FROM ops.releases WHERE run_id = {literal(run_id)}"
    found = _ops(project, releases.TABLE, query)
    return int(found[0][0]) if found and found[0][1] and found[0][0] is not None else None


def _ops(project: Project, table: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query over one ops table; none where there is no such table yet."""
    there = catalog.publish(project.engine, {table: project.path(table)})
    return project.engine.rows(query) if there else []
