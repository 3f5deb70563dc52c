"""The freshness of each table on each of the last days, as it was measured last on that day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from src import catalog
from src.errors import BoathouseError
from src.monitors import freshness
from src.monitors.freshness import Freshness
from src.monitors.reading import sql_moment
from src.project import Project

DAYS = 14  # today among them


def read_grades(project: Project, measured: Iterable[Freshness], now: datetime) -> dict[str, Mapping[date, str]]:
    """Return by table the last grade of each of the last DAYS days up to a moment (UTC); today's are `measured`.

    A day without a grade is left out; all but today's are where they cannot be read, which is among the problems then.
    """
    found: dict[str, dict[date, str]] = {}
    for name, day, grade in _stored(project, now):
        found.setdefault(name, {})[day] = grade
    for row in measured:
        found.setdefault(row.table, {})[now.date()] = row.grade
    return dict(found)


def _stored(project: Project, now: datetime) -> list[tuple[str, date, str]]:
    since = now.date() - timedelta(days=DAYS - 1)
    try:
        if not catalog.publish(project.engine, {freshness.TABLE: project.path(freshness.TABLE)}):
            return []
        return project.engine.rows(
            'SELECT "table", measured_at::DATE AS day, max_by(grade, measured_at) FROM ops.freshness '
            f"WHERE measured_at >= {sql_moment(since)} AND measured_at <= {sql_moment(now)} GROUP BY ALL ORDER BY ALL"
        )
    except BoathouseError:
        return []
