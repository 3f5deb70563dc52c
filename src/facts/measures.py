"""The main measure of a gold table as readers see it: its course over time, or the greatest values of its dimension.

A measure adds up as its contract says, also where days become weeks: a rate is averaged by its weight, of a level the
last day counts. Rows dated to come are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from src.contract import Measure, Table
from src.engine import DuckEngine, identifier, literal
from src.lake import Snapshot
from src.masking.masks import Masks

SERIES = 6  # that are told apart; the others are one
OTHERS = "others"
_BARS = 20  # without a date
_POINTS = 130  # of a series; more days become weeks, more weeks months
_DAYS = {"day": 1, "week": 7, "month": 31}
_USUAL = {"day": 90, "week": 365, "month": 0}  # days that are drawn unless another period is asked for; 0: all
_AGGREGATES = {"sum": "sum(value)", "avg": "avg(value)", "min": "min(value)", "max": "max(value)"}


@dataclass(frozen=True)
class Series:
    """One line of a chart; None where there is no row."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Course:
    """A measure over time, or without a date (`step` is '' then) by the values of its dimension."""

    measure: Measure
    step: str  # day | week | month
    labels: tuple[str, ...]  # the first day of each step; without a date the names
    series: tuple[Series, ...]
    period: int = 0  # days that are drawn; 0: all
    newest: float | None = None  # of the last step
    total: float | None = None  # of all that is drawn
    before: float | None = None  # of as many days before
    names: int = 0  # values of the dimension that there are
    going_on: bool = False  # whether the last step is not over yet, so that its figure is one so far

    @property
    def by_step(self) -> tuple[float | None, ...]:
        """Return by label the values of all series together, where these add up."""
        columns = zip(*(series.values for series in self.series), strict=True)
        return tuple(None if all(v is None for v in column) else sum(v or 0.0 for v in column) for column in columns)


def read_course(
    engine: DuckEngine, table: Table, snapshot: Snapshot, today: date, period: int | None, masks: Masks
) -> Course | None:
    """Return the course of a table's measure in one of its versions; None where it has none, or no row.

    `period`: days back from the newest; 0: all; None: what is usual for its steps.

    Raises:
        BoathouseError: the table cannot be read.
    """
    if table.measure is None:
        return None
    rows = _rows(engine, table, table.measure, snapshot, masks)
    if table.measured_by is None:
        return _by_name(engine, table.measure, rows)
    seen = f"SELECT * FROM ({rows}) WHERE day <= DATE '{today}'"
    oldest, newest, months, weeks = engine.one(
        "SELECT min(day), max(day), bool_and(day(day) = 1), bool_and(dayofweek(day) = 1) "
        f"FROM (SELECT DISTINCT day FROM ({seen}))"
    )
    if newest is None:
        return None
    step = "month" if months else "week" if weeks else "day"
    period = _USUAL[step] if period is None else period
    start = max(oldest, newest - timedelta(days=period - 1)) if period else oldest
    step = _coarser(step, (newest - start).days + 1)
    span = _Span(step, start, newest, period)
    return replace(_over_time(engine, table.measure, seen, span), going_on=span.end_of_last_step > today)


@dataclass(frozen=True)
class _Span:
    step: str
    start: date
    end: date
    period: int

    @property
    def is_drawn(self) -> str:
        return f"day >= DATE '{self.start}'"

    @property
    def end_of_last_step(self) -> date:
        """Return the first day after the last step."""
        return _first_day(_first_day(self.end, self.step) + timedelta(days=_DAYS[self.step]), self.step)

    def steps(self) -> Iterator[date]:
        """Yield the first day of every step, also of those without rows."""
        at = _first_day(self.start, self.step)
        while at <= self.end:
            yield at
            at = _first_day(at + timedelta(days=_DAYS[self.step]), self.step)


def _first_day(day: date, step: str) -> date:
    if step == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if step == "week" else day


def _coarser(step: str, days: int) -> str:
    for one in ("day", "week"):
        if step == one and days > _POINTS * _DAYS[one]:
            step = "week" if one == "day" else "month"
    return step


def _rows(engine: DuckEngine, table: Table, measure: Measure, snapshot: Snapshot, masks: Masks) -> str:
    """Return SQL for the rows of a table with the columns day, name, value and weight."""
    day = f"{identifier(table.measured_by)}::DATE" if table.measured_by else "NULL::DATE"
    name = f"coalesce({identifier(measure.by)}::VARCHAR, '(none)')" if measure.by else literal(measure.column)
    weight = f"{identifier(measure.weight)}::DOUBLE" if measure.weight else "1.0"
    value = f"{identifier(measure.column)}::DOUBLE"
    scan = masks.relation(engine, table.id, snapshot.columns, engine.scan(snapshot))
    return f"SELECT {day} AS day, {name} AS name, {value} AS value, {weight} AS weight FROM {scan}"


def _aggregated(measure: Measure, rows: str, by: Sequence[str]) -> str:
    """Return SQL that gives of rows the columns `by` and their value together."""
    keys = "".join(f"{key}, " for key in by)
    if measure.aggregate == "last":
        days = f"SELECT {keys}day, sum(value) AS value FROM ({rows}) GROUP BY ALL"
        return f"SELECT {keys}arg_max(value, day) AS value FROM ({days}) GROUP BY ALL"
    made = _AGGREGATES[measure.aggregate]
    if measure.weight:
        made = "sum(value * weight) / nullif(sum(weight) FILTER (value IS NOT NULL), 0)"
    return f"SELECT {keys}{made} AS value FROM ({rows}) GROUP BY ALL"


def _over_time(engine: DuckEngine, measure: Measure, rows: str, span: _Span) -> Course:
    drawn = f"SELECT * FROM ({rows}) WHERE {span.is_drawn}"
    weight = "weight" if measure.aggregate == "avg" else "abs(value)"
    ranked = engine.values(f"SELECT name FROM ({drawn}) GROUP BY 1 ORDER BY sum({weight}) DESC NULLS LAST, 1")
    kept = ranked[:SERIES]
    order = f"row_number() OVER (ORDER BY sum({weight}) DESC NULLS LAST, name)"
    named = f"SELECT name, {order} AS rank FROM ({drawn}) GROUP BY 1"
    stepped = (
        f"SELECT d.*, date_trunc('{span.step}', day)::DATE AS step, if(rank <= {len(kept)}, rank, 0) AS series "
        f"FROM ({drawn}) AS d JOIN ({named}) AS n ON n.name = d.name"
    )
    found = {(step, at): value for step, at, value in engine.rows(_aggregated(measure, stepped, ("step", "series")))}
    steps = list(span.steps())
    names = [*kept, *([OTHERS] if len(kept) < len(ranked) else [])]
    series = [
        Series(name, tuple(found.get((step, at + 1 if at < len(kept) else 0)) for step in steps))
        for at, name in enumerate(names)
    ]
    newest = engine.rows(_aggregated(measure, f"SELECT * FROM ({stepped}) WHERE step = DATE '{steps[-1]}'", ()))
    return Course(
        measure=measure,
        step=span.step,
        labels=tuple(step.isoformat() for step in steps),
        series=tuple(series),
        period=span.period,
        newest=newest[0][0] if newest else None,
        total=_one(engine, measure, drawn),
        before=_before(engine, measure, rows, span),
        names=len(ranked),
    )


def _before(engine: DuckEngine, measure: Measure, rows: str, span: _Span) -> float | None:
    """Return the measure of as many days before those that are drawn; None where the table does not go back so far."""
    start = span.start - timedelta(days=span.period)
    if not span.period or engine.one(f"SELECT count(*) FROM ({rows}) WHERE day <= DATE '{start}'")[0] == 0:
        return None
    return _one(engine, measure, f"SELECT * FROM ({rows}) WHERE day >= DATE '{start}' AND day < DATE '{span.start}'")


def _one(engine: DuckEngine, measure: Measure, rows: str) -> float | None:
    found = engine.rows(_aggregated(measure, rows, ()))
    return found[0][0] if found else None


def _by_name(engine: DuckEngine, measure: Measure, rows: str) -> Course | None:
    by_name = _aggregated(measure, rows, ("name",))
    found: Mapping[str, float] = dict(
        engine.rows(f"SELECT * FROM ({by_name}) WHERE value IS NOT NULL ORDER BY 2 DESC, 1")
    )
    if not found:
        return None
    names = tuple(found)[:_BARS]
    values = tuple(found[name] for name in names)
    return Course(
        measure=measure,
        step="",
        labels=names,
        series=(Series(measure.column, values),),
        total=_one(engine, measure, rows),
        names=len(found),
    )
