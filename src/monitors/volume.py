"""A business day has about as many rows as the same weekday had in the weeks before.

A day is judged by the rule of src/monitors/weekday.py, by which a feed that is always the same does not alarm over a
single row. That no row is there is nothing special where that happened twice or more in the nine weeks before. A table
begins with the first day that has a quarter of the rows of a usual one: its first file brings stragglers of days past.

Counted are the rows of silver by business day, so late rows count for the day they belong to. A day is judged once a
run went through the table after the day was over and its promise too, the contract's `latency`: until then rows of it
may still come, and a day that is half here is no day with half the rows. Feeds that no dated table reads are counted by
the day their runs answered for.

Figures are kept of every table. A problem is only what somebody waits for: the table, or one that reads the feed, has a
`latency` or `frequency` in its contract and is not retired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median

from src.contract import Table
from src.engine import DuckEngine
from src.errors import UsageError
from src.monitors import weekday
from src.monitors.reading import Business, Reading, day_start, sql_moment
from src.problems import Problem
from src.run import runs

TABLE, INCIDENTS = "ops.volume", "ops.incident_days"
_FOUR_WEEKS = 28  # days


@dataclass(frozen=True)
class Volume:
    """The rows of one business day of one table, beside those of its weekday in the weeks before."""

    measured_at: datetime
    table: str
    day: date
    rows: int
    baseline_days: int
    median: float | None
    mad: float | None  # the median absolute deviation from the median
    z: float | None
    verdict: str  # normal | high | low | none | too little history | confirmed incident


@dataclass(frozen=True)
class IncidentDay:
    """A day of a table that was confirmed as out of the ordinary: it stays out of every baseline."""

    table: str
    day: date
    reason: str
    confirmed_at: datetime


@dataclass(frozen=True)
class _Counts:
    rows: Mapping[date, int]
    days: frozenset[date]  # those that count, also where they have no row


def measure(reading: Reading) -> tuple[tuple[Volume, ...], tuple[Problem, ...]]:
    """Measure the last seven complete days of every dated silver table and of every other feed."""
    if not reading.publish(runs.TABLE):
        return (), ()
    incidents = incident_days(reading)
    counted = {**_by_business_day(reading), **_by_run_date(reading)}
    rows: list[Volume] = []
    for table, counts in counted.items():
        known = {day for name, day in incidents if name == table}
        judged = [reading.today - timedelta(days=back) for back in range(weekday.DAYS, 0, -1)]
        usual = weekday.usual(counts.rows, counts.days, known, judged[0])
        for day in judged:
            if day in counts.days:
                rows.append(judge(table, day, counts.rows, counts.days, known, reading.now, usual))
    awaited = _awaited(reading)
    found = (_problem([row for row in rows if row.table == table]) for table in counted if table in awaited)
    return tuple(rows), tuple(problem for problem in found if problem)


def confirm(engine: DuckEngine, data: Path, incident: IncidentDay) -> None:
    """Record that a day was out of the ordinary for a known reason.

    Raises:
        UsageError: it has no reason, or is not over.
    """
    if not incident.reason.strip():
        raise UsageError("an incident without a reason", fix="say what happened on that day")
    if incident.day >= incident.confirmed_at.date():
        raise UsageError(f"{incident.day} is not over", fix="give a day before today: YYYY-MM-DD")
    runs.append(engine, data, INCIDENTS, IncidentDay, [incident])


def judge(
    table: str,
    day: date,
    rows: Mapping[date, int],
    days: frozenset[date],
    incidents: set[date],
    now: datetime,
    usual: weekday.Usual = weekday.UNKNOWN,
) -> Volume:
    """Return the verdict on one day. `days`: those with a run to judge them by; `rows` has no zeros."""
    found = weekday.judge(day, rows, days, incidents, usual)
    facts = (found.baseline_days, found.median, found.mad, found.z, found.verdict)
    return Volume(now, table, day, rows.get(day, 0), *facts)


def incident_days(reading: Reading) -> set[tuple[str, date]]:
    """Return the days that were confirmed as incidents, each with its table."""
    if not reading.publish(INCIDENTS):
        return set()
    return set(reading.project.engine.rows('SELECT "table", day FROM ops.incident_days'))


def _by_business_day(reading: Reading) -> dict[str, _Counts]:
    """Return the rows of silver by business day; every day counts from the first to the last that a run looked at."""
    found: dict[str, _Counts] = {}
    for table in reading.project.contracts.silver.values():
        looked = reading.looked.get(table.id)
        if not table.business_date or not looked:
            continue
        business = reading.attempt(table.id, _business, reading, table)
        if not business or not business.rows:
            continue
        first, seen = first_day(business.rows), min(looked, reading.now) - timedelta(hours=table.latency_hours or 0.0)
        past = (first + timedelta(days=ahead) for ahead in range((reading.today - first).days))
        found[table.id] = _Counts(
            business.rows, frozenset(day for day in past if day_start(day + timedelta(days=1)) <= seen)
        )
    return found


def first_day(rows: Mapping[date, int]) -> date:
    """Return the first day with a quarter of the rows of a usual one: stragglers of days before the first file are few.

    A usual day is the median of those that had rows in the four weeks up to the newest.
    """
    last = max(rows)
    least = median(count for day, count in rows.items() if (last - day).days < _FOUR_WEEKS) / 4
    return min(day for day, count in rows.items() if count >= least)


def _awaited(reading: Reading) -> set[str]:
    """Return the silver tables that promise news, and the feeds that these read."""
    waiting = [table for table in reading.project.contracts.silver.values() if table.promises_news]
    return {table.id for table in waiting} | {feed.id for table in waiting for feed in table.feeds}


def _business(reading: Reading, table: Table) -> Business | None:
    snapshot = reading.table(table.id)
    return reading.business(table, snapshot) if snapshot else None


def _by_run_date(reading: Reading) -> dict[str, _Counts]:
    """Return the rows of the feeds that no dated table reads, by the day that their runs answered for."""
    dated = {
        feed.id for table in reading.project.contracts.silver.values() if table.business_date for feed in table.feeds
    }
    rows = reading.project.engine.rows(
        "SELECT table_id, run_date, sum(records_read)::BIGINT FROM ops.pipeline_runs "
        f"WHERE layer = 'bronze' AND status = 'success' AND start_time >= {sql_moment(reading.since)} GROUP BY ALL"
    )
    by_feed: dict[str, dict[date, int]] = {}
    for name, day, count in rows:
        by_feed.setdefault(name, {})[day] = count
    found = {}
    for feed in reading.project.contracts.feeds:
        feed_rows = by_feed.get(feed, {})
        landed = [day for day, count in feed_rows.items() if count]
        if feed not in dated and landed:
            found[feed] = _Counts(feed_rows, frozenset(day for day in feed_rows if day >= min(landed)))
    return found


def _problem(rows: list[Volume]) -> Problem | None:
    """Return one problem for all odd days of one table; it names the newest of the gravest."""
    gone = [row for row in rows if row.verdict == weekday.NONE]
    odd = [row for row in rows if row.verdict in (weekday.HIGH, weekday.LOW)]
    if not gone and not odd:
        return None
    worst = (gone or odd)[-1]
    what = f"{worst.rows:,} rows on {worst.day:%A} {worst.day}; the median of its weekday is {worst.median:,.0f}"
    what += f"; so are {len(gone + odd) - 1} more of the last 7 days" if len(gone + odd) > 1 else ""
    fix = "ask the source for what is missing or wrong; a day that is as it should be, confirm as an incident"
    return Problem("volume", worst.table, "P2" if gone else "P3", worst.day, what, fix)
