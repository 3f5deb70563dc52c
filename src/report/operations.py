"""The figures of the report about the platform itself: what is slow, who reads what, what it costs, its models.

Each part that cannot be read says why, and the others are read all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from src.errors import BoathouseError
from src.facts.cost import CostFacts, read_cost
from src.facts.models import ModelFacts, read_models
from src.facts.reads import Access, read_access
from src.facts.runs import LAYERS
from src.facts.security import NOT_ASKED, Security, read_security
from src.facts.wording import one_line
from src.monitors import Findings
from src.monitors.reading import sql_moment
from src.project import Project
from src.run import history

DAYS = 30
_SLOWEST = 12
T = TypeVar("T")


@dataclass(frozen=True)
class LayerSeconds:
    """The seconds of all steps of one layer on one day (UTC)."""

    day: date
    layer: str
    seconds: float


@dataclass(frozen=True)
class SlowTable:
    """The seconds that steps of one table took in the last 7 days, and in a week of the (up to) four before."""

    table: str
    steps: int
    seconds: float
    longest: float
    week_before: float | None  # None: it had no step then


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The figures of a platform up to a moment (UTC); None: it could not be read, and `not_read` says why."""

    layers: tuple[LayerSeconds, ...]
    slow_tables: tuple[SlowTable, ...]  # those that took longest first
    access: Access | None
    cost: CostFacts | None
    models: tuple[ModelFacts, ...]
    security: Security | None
    not_read: dict[str, str] = field(default_factory=dict)


def read_operations(project: Project, now: datetime, found: Findings, *, ask_index: bool = False) -> Operations:
    """Return what is known of a platform up to a moment (UTC); `found`: what the monitors find at it.

    `ask_index`: ask the package index for advisories, in bounded time; else those that it told today count.
    """
    why: dict[str, str] = {}

    def attempt(part: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except BoathouseError as error:
            why[part] = project.relative(one_line(error.what))
            return None

    return Operations(
        layers=attempt("performance", lambda: _layers(project, now)) or (),
        slow_tables=attempt("performance", lambda: _slow_tables(project, now)) or (),
        access=attempt("access", lambda: read_access(project.engine, project.settings.data_dir, now, DAYS)),
        cost=attempt("cost", lambda: read_cost(project, now, keep=False)),  # a report changes nothing
        models=attempt("models", lambda: read_models(project, found)) or (),
        security=attempt("security", lambda: _security(project, now, ask_index)),
        not_read=why,
    )


def _security(project: Project, now: datetime, ask_index: bool) -> Security:
    found = read_security(project, now, os.environ if ask_index else NOT_ASKED)
    if ask_index or found.advisories.not_asked is None:
        return found
    return replace(found, advisories=replace(found.advisories, not_asked="the index was not asked today"))


def _layers(project: Project, now: datetime) -> tuple[LayerSeconds, ...]:
    layers = ", ".join(f"'{layer}'" for layer in LAYERS)
    first = now - timedelta(days=DAYS)
    rows = _steps(
        project,
        f"SELECT start_time::DATE, layer, sum(latency) FROM ops.pipeline_runs WHERE layer IN ({layers}) "
        f"AND start_time > {sql_moment(first)} AND start_time <= {sql_moment(now)} GROUP BY ALL ORDER BY 1, 2",
    )
    return tuple(LayerSeconds(*row) for row in rows)


def _slow_tables(project: Project, now: datetime) -> tuple[SlowTable, ...]:
    week, before = (sql_moment(now - timedelta(days=days)) for days in (7, 35))
    rows = _steps(
        project,
        f"SELECT table_id, count(*) FILTER (start_time > {week}), "
        f"sum(latency) FILTER (start_time > {week}) AS seconds, "
        f"max(latency) FILTER (start_time > {week}), sum(latency) FILTER (start_time <= {week}) * 7 "
        f"/ nullif(greatest(date_diff('day', min(start_time), {week}), 0), 0) "
        f"FROM ops.pipeline_runs WHERE layer <> 'run' AND start_time > {before} AND start_time <= {sql_moment(now)} "
        f"GROUP BY 1 HAVING seconds > 0 ORDER BY seconds DESC, 1 LIMIT {_SLOWEST}",
    )
    return tuple(SlowTable(*row) for row in rows)


def _steps(project: Project, sql: str) -> list[tuple[Any, ...]]:
    if not history.publish(project.engine, project.settings.data_dir):
        return []
    return project.engine.rows(sql)
