"""Warnings may be there, but must not grow: how each table's audits and rejected rows went, week by week.

A warning grows clearly when its share in the last seven days is at least twice that of the four weeks before and at
least one percentage point more (rejected rows, from 100 rows read on in both spans) or ten points more (failed
audits, from five audits on in both spans). Of a retired table it is no problem: an audit fails by age alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from src.monitors import freshness
from src.monitors.reading import Reading, sql_moment
from src.problems import Problem
from src.run import runs

TABLE = "ops.quality_trend"
_SPAN, _BEFORE = 7, 28  # days


@dataclass(frozen=True)
class QualityTrend:
    """One table's quality in one week (Monday to Sunday) as far as it has gone; rates from 0 to 1, None of nothing."""

    measured_at: datetime
    table: str
    week: date  # its Monday
    audits: int
    passed: int
    pass_rate: float | None
    rows_read: int
    quarantined: int
    quarantined_rate: float | None
    freshness_checks: int
    freshness_kept: int
    sla_rate: float | None


class _Share(NamedTuple):
    part: int = 0
    whole: int = 0

    @property
    def rate(self) -> float | None:
        return self.part / self.whole if self.whole else None


_Days = dict[str, dict[date, _Share]]  # by table and day


def measure(reading: Reading) -> tuple[tuple[QualityTrend, ...], tuple[Problem, ...]]:
    """Measure this week and the last for every table with audits, rows or grades; a problem for what clearly grew."""
    failed, rejected, kept = _failed(reading), _rejected(reading), _kept(reading)
    monday = reading.today - timedelta(days=reading.today.weekday())
    rows = [
        _week(reading.now, table, week, failed, rejected, kept)
        for week in (monday - timedelta(days=7), monday)
        for table in sorted(_tables_in(week, failed, rejected, kept))
    ]
    return tuple(rows), tuple(_grown(reading, failed, rejected))


def _failed(reading: Reading) -> _Days:
    """Return the failed audits among all, by table and day."""
    if not reading.publish(runs.AUDITS):
        return {}
    return _days(
        reading,
        'SELECT "table", run_time::DATE, count(*) FILTER (NOT passed), count(*) FROM ops.quality_results '
        f"WHERE run_time >= {sql_moment(_first(reading))} GROUP BY 1, 2",
    )


def _rejected(reading: Reading) -> _Days:
    """Return the rejected rows among those read, by table and day."""
    if not reading.publish(runs.TABLE):
        return {}
    return _days(
        reading,
        "SELECT table_id, start_time::DATE, sum(quarantined)::BIGINT, "
        "sum(records_read)::BIGINT FROM ops.pipeline_runs WHERE layer = 'silver' AND status = 'success' "
        f"AND start_time >= {sql_moment(_first(reading))} GROUP BY 1, 2",
    )


def _kept(reading: Reading) -> _Days:
    """Return the freshness grades that kept the promise among all, by table and day."""
    if not reading.publish(freshness.TABLE):
        return {}
    good = ", ".join(f"'{name}'" for name in freshness.KEPT)
    return _days(
        reading,
        f'SELECT "table", measured_at::DATE, count(*) FILTER (grade IN ({good})), count(*) FROM ops.freshness '
        f"WHERE measured_at >= {sql_moment(_first(reading))} GROUP BY 1, 2",
    )


def _first(reading: Reading) -> date:
    """Return the first of the days that are summed."""
    return reading.today - timedelta(days=_SPAN + _BEFORE - 1)


def _days(reading: Reading, sql: str) -> _Days:
    found: _Days = {}
    for table, day, part, whole in reading.project.engine.rows(sql):
        found.setdefault(table, {})[day] = _Share(part, whole)
    return found


def _tables_in(week: date, *measures: _Days) -> set[str]:
    return {table for days in measures for table, found in days.items() if any(_within(day, week, 7) for day in found)}


def _within(day: date, first: date, days: int) -> bool:
    return first <= day < first + timedelta(days=days)


def _sum(days: _Days, table: str, first: date, length: int) -> _Share:
    found = [share for day, share in days.get(table, {}).items() if _within(day, first, length)]
    return _Share(sum(share.part for share in found), sum(share.whole for share in found))


def _week(now: datetime, table: str, week: date, failed: _Days, rejected: _Days, kept: _Days) -> QualityTrend:
    audits, rows, grades = (_sum(days, table, week, 7) for days in (failed, rejected, kept))
    passed = _Share(audits.whole - audits.part, audits.whole)
    return QualityTrend(
        measured_at=now,
        table=table,
        week=week,
        audits=audits.whole,
        passed=passed.part,
        pass_rate=passed.rate,
        rows_read=rows.whole,
        quarantined=rows.part,
        quarantined_rate=rows.rate,
        freshness_checks=grades.whole,
        freshness_kept=grades.part,
        sla_rate=grades.rate,
    )


def _grown(reading: Reading, failed: _Days, rejected: _Days) -> Iterator[Problem]:
    first = reading.today - timedelta(days=_SPAN - 1)
    retired = {table.id for table in reading.declared if table.is_retired}
    for table in sorted({*failed, *rejected} - retired):
        found = []
        for days, measure, least, points in ((failed, "failed audits", 5, 0.1), (rejected, "rejected rows", 100, 0.01)):
            now = _sum(days, table, first, _SPAN)
            before = _sum(days, table, first - timedelta(days=_BEFORE), _BEFORE)
            if grows(now, before, least, points):
                found.append(f"{measure} {(before.rate or 0.0):.1%} -> {(now.rate or 0.0):.1%}")
        if found:
            yield _problem(reading.today, table, found)


def grows(now: tuple[int, int], before: tuple[int, int], least: int, points: float) -> bool:
    """Return whether a share clearly grew; False where either side has fewer than `least`."""
    if min(now[1], before[1]) < least:
        return False
    new, old = now[0] / now[1], before[0] / before[1]
    return new >= 2 * old and round(new - old, 9) >= points


def _problem(today: date, table: str, found: Iterable[str]) -> Problem:
    what = f"in the last {_SPAN} days, against the {_BEFORE} before: {', '.join(found)}"
    fix = f"see the rows (main.py quarantine show --table {table}) and ops.quality_results; fix the source or the rule"
    return Problem("quality", table, "P3", today, what, fix)
