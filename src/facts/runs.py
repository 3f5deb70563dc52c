"""The last runs, and the last step of each feed and table, as ops.pipeline_runs has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from src.engine import identifier, literal
from src.project import Project
from src.run import history
from src.run.runs import Record

LAST = 14  # runs that are told
LAYERS = ("landing", "bronze", "silver", "gold")


@dataclass(frozen=True)
class RunFacts:
    """One run of any command; moments in UTC, durations in seconds."""

    run_id: str
    started_at: datetime
    ended_at: datetime
    status: str  # success | partial | failed
    command: str
    seconds: float
    records_read: int
    records_written: int
    quarantined: int
    error: str  # its first line
    started_by: str  # "" of one of before that was recorded
    kind: str  # one of RunKind; "" where that is not known
    seconds_by_layer: Mapping[str, float]  # of LAYERS; the others count nothing
    failed: int  # steps
    blocked: int  # steps


def read_runs(
    project: Project, most: int = LAST, *, status: str | None = None, kind: str | None = None
) -> tuple[RunFacts, ...]:
    """Return the last runs, the newest first; those of one status or one kind alone where these are given.

    Raises:
        BoathouseError: the records cannot be read.
    """
    if not history.publish(project.engine, project.settings.data_dir):
        return ()
    wanted = {"status": status, "kind": kind}
    where = "".join(f" AND {name} = {literal(value)}" for name, value in wanted.items() if value)
    rows = project.engine.rows(
        "WITH last AS MATERIALIZED (SELECT run_id, start_time, end_time, status, coalesce(command, '') AS command, "
        "latency, records_read, records_written, quarantined, "
        "coalesce(split_part(error_message, chr(10), 1), '') AS error, coalesce(started_by, '') AS started_by, "
        "coalesce(kind, '') AS kind FROM ops.pipeline_runs "
        f"WHERE layer = 'run'{where} ORDER BY start_time DESC, run_id DESC LIMIT {most}), "
        "steps AS (SELECT run_id, layer, sum(latency) AS seconds, count(*) FILTER (status = 'failed') AS failed, "
        "count(*) FILTER (status = 'blocked') AS blocked FROM ops.pipeline_runs "
        "WHERE layer <> 'run' AND run_id IN (FROM last SELECT run_id) GROUP BY ALL) "
        "SELECT last.*, coalesce(list(layer) FILTER (layer IS NOT NULL), []), "
        "coalesce(list(seconds) FILTER (layer IS NOT NULL), []), coalesce(sum(failed), 0)::BIGINT, "
        "coalesce(sum(blocked), 0)::BIGINT FROM last LEFT JOIN steps USING (run_id) "
        "GROUP BY ALL ORDER BY start_time DESC, run_id DESC"
    )
    return tuple(map(_run, rows))


def _run(row: tuple[Any, ...]) -> RunFacts:
    *facts, layers, seconds, failed, blocked = row
    return RunFacts(*[*facts, dict(zip(layers, seconds, strict=True)), failed, blocked])


def read_last_steps(project: Project) -> dict[str, Record]:
    """Return by feed and table the record of the last run that went through it.

    Raises:
        BoathouseError: the records cannot be read.
    """
    if not history.publish(project.engine, project.settings.data_dir):
        return {}
    columns = ", ".join(f"step.{identifier(column.name)}" for column in fields(Record))
    # which steps they are is told by five columns: of 600,000 records all columns take ten times as long
    rows = project.engine.rows(
        'WITH last AS MATERIALIZED (SELECT layer, domain, "table", max((start_time, run_id)) AS at '
        "FROM ops.pipeline_runs WHERE layer <> 'run' GROUP BY ALL) "
        f"SELECT {columns} FROM ops.pipeline_runs step JOIN last ON step.start_time = last.at[1] "
        "AND step.run_id = last.at[2] AND step.layer = last.layer AND step.domain = last.domain "
        'AND step."table" = last."table"'
    )
    steps = (Record(*row) for row in rows)
    return {step.table_id: step for step in steps}
