"""A table is as fresh as the newest business day in it; when it was last written does not count.

What is graded is the age: the hours since the newest moment of the business date, or since the end of its newest
date (UTC), in the newest release. Rows dated to come are passed over, and the hours of days of rest (weekdays without
a row in four weeks that otherwise go alike) are taken off. The limit is the `latency` of the contract: what promises
none, or is retired, is not graded.

    EXCELLENT  age <= half the limit
    GOOD       age <= limit
    ACCEPTABLE age <= one and a half times the limit
    POOR       more, or there is no row

How far a table reaches, and that it reaches no further than what it was built from, is the rule of
src/monitors/reach.py. A table that was never built is not graded, nor is one without a row while no dated table that it
is built from is there: what never arrived cannot be late, and a step that fails is a problem of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src import lake
from src.contract import Table
from src.monitors.reach import Reach, Reaches
from src.monitors.reading import Reading, day_start
from src.problems import Problem
from src.run import runs

TABLE = "ops.freshness"
_GRADES = ((0.5, "EXCELLENT"), (1.0, "GOOD"), (1.5, "ACCEPTABLE"))  # up to this part of the limit
_IN_DAYS = 96  # hours, from which an age is written in days
KEPT = ("EXCELLENT", "GOOD")  # the promise was kept


@dataclass(frozen=True)
class Freshness:
    """The freshness of one table; moments in UTC, ages in hours."""

    measured_at: datetime
    table: str
    business_until: datetime | None  # how far its rows reach
    decided_by: str  # the business date, that of a table it is built from, or the last run
    written_at: datetime | None
    age_hours: float | None  # since business_until
    rest_hours: float  # of these, hours of days of rest
    write_age_hours: float | None
    limit_hours: float
    grade: str
    critical: bool


def measure(reading: Reading) -> tuple[tuple[Freshness, ...], tuple[Problem, ...]]:
    """Measure the freshness of every table that promises a latency; a problem for each that breaks its promise."""
    if not reading.publish(runs.TABLE):
        return (), ()  # nothing ran yet
    rows: list[Freshness] = []
    problems: list[Problem] = []
    reading.ask_days()
    reaches = Reaches(reading)
    for table in reading.declared:
        limit = table.latency_hours
        measured = reading.attempt(table.id, _measure, reaches, table, limit)
        if limit is not None and measured:
            rows.append(measured[0])
            problems += measured[1]
    return tuple(rows), tuple(problems)


def _measure(reaches: Reaches, table: Table, limit: float | None) -> tuple[Freshness, list[Problem]] | None:
    reading = reaches.reading
    snapshot = reading.table(table.id)
    if limit is None or snapshot is None:
        return None
    reach = reaches.find(table, snapshot)
    if reach.until is None and not _has_come(reading, table):
        return None
    rests = reach.business.rests() if reach.business else frozenset()
    rest = rest_hours(reach.until, reading.now, rests)
    age = _hours(reach.until, reading.now)
    written = _written(snapshot)
    row = Freshness(
        measured_at=reading.now,
        table=table.id,
        business_until=reach.until,
        decided_by=reach.by,
        written_at=written,
        age_hours=age,
        rest_hours=rest,
        write_age_hours=_hours(written, reading.now),
        limit_hours=limit,
        grade=grade(None if age is None else age - rest, limit),
        critical=table.critical,
    )
    return row, list(_problems(reading, row, reach, rests))


def grade(age: float | None, limit: float) -> str:
    """Return the grade of an age under a limit, both in hours."""
    if age is None:
        return "POOR"
    return next((name for part, name in _GRADES if age <= part * limit), "POOR")


def _has_come(reading: Reading, table: Table) -> bool:
    """Return whether one of the dated silver tables that a table is built from is there, or none of them has a date."""
    dated = list(_dated(reading, table))
    return not dated or any(reading.table(name) for name in dated)


def _dated(reading: Reading, table: Table) -> Iterator[str]:
    for name in table.declared_sources:
        below = reading.project.declared(name)
        if below.business_date and not below.sources:
            yield name
        yield from _dated(reading, below)


def _written(snapshot: lake.Snapshot) -> datetime | None:
    commit = lake.commit_of(snapshot.root, snapshot.version)
    stamp = commit.timestamp if commit else None
    return day_start(date(1970, 1, 1)) + timedelta(milliseconds=stamp) if stamp else None


def _hours(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds() / 3600)


def rest_hours(since: datetime | None, now: datetime, rests: frozenset[int]) -> float:
    """Return how many hours between two moments lie in days of rest."""
    if since is None or not rests:
        return 0.0
    days = (since.date() + timedelta(days=ahead) for ahead in range((now.date() - since.date()).days + 1))
    spans = (
        (max(since, day_start(day)), min(now, day_start(day + timedelta(days=1)))) for day in days if _in(day, rests)
    )
    return sum(max(0.0, (end - start).total_seconds() / 3600) for start, end in spans)


def _in(day: date, weekdays: frozenset[int]) -> bool:
    return day.weekday() in weekdays


def _problems(reading: Reading, row: Freshness, reach: Reach, rests: frozenset[int]) -> list[Problem]:
    lacks = row.critical and row.grade not in KEPT and _lacks_yesterday(reading, reach, rests)
    if row.grade != "POOR" and not lacks:
        return []
    if reach.until is None or row.age_hours is None:
        what = f"{row.grade}: there is no row; promised within {row.limit_hours:g} h"
    else:
        what = f"{row.grade}: reaches to {reach.until:%Y-%m-%d %H:%M} UTC by {row.decided_by}"
        ago = f"{row.age_hours:.0f} h" if row.age_hours < _IN_DAYS else f"{row.age_hours / 24:.0f} days"
        what += f", {ago} ago; promised within {row.limit_hours:g} h"
    what += "; critical, and yesterday is not in it" if lacks else ""
    fix = "`make plan` says what landed since: fix what failed or did not arrive; then `make pipeline`"
    return [Problem("freshness", row.table, "P1" if lacks else "P2", reading.yesterday, what, fix)]


def _lacks_yesterday(reading: Reading, reach: Reach, rests: frozenset[int]) -> bool:
    """Return whether a table lacks the last day before today, days of rest passed over."""
    day = reading.yesterday if reach.dated else reading.today
    while _in(day, rests):
        day -= timedelta(days=1)
    return reach.until is None or reach.until <= day_start(day)
