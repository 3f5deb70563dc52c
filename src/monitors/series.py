"""Each series of a long table (`watch` in its contract) goes on as it went: a figure a day, by source and metric.

A series is the rows with the same values of `by`, and its figure on a day the sum of theirs; nothing, NULL and what is
no number are no figure. Five things are looked for, each one incident per source (without one, per table):

    late      a source is older than the table promises (POOR by src/monitors/freshness.py, for its rows alone)
    critical  a series that the dictionary calls critical lacks yesterday, once the promise is over: P1. Passed over are
              weekdays that it lacked twice, or always, in the four weeks up to its newest day
    missing   a series has 0 or no figure on a day on which its source has others, the median of its weekday is above
              0, and in nine weeks it went without on one such day at most and was never below 0. No figure: once the
              promise is over
    unusual   its figure is high or low by src/monitors/weekday.py, on the newest day judged or on two of the last
              seven: of thousands of figures a few are odd by chance
    unknown   what the dictionary would have to say of it is not there, and it had a figure in the last seven days

A promise is the `latency` of the contract; without one critical and missing wait for 26 hours, and nothing is late. Of
a table whose contract promises neither `latency` nor `frequency` nobody waits for figures: nothing is late, critical or
missing. Of a retired one nothing is a problem.

Judged are the last seven complete days, as far as the source has them and a run went through the table after them: a
day that the source does not have is late, not empty. Of a source that restates its days (one that a feed pulls with
a `lookback` of more than a day) the newest is not complete.

Only the last ten weeks are read. A series, and a source, of which they have nothing is none any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

from src import catalog, lake
from src.contract import Table, Watch
from src.engine import DuckEngine, identifier
from src.monitors import freshness, sources, volume, weekday
from src.monitors.reading import Business, Reading, day_start
from src.problems import Problem
from src.run import runs

TABLE = "ops.series"
_PROMISE = 26.0  # hours, where the contract promises no latency: a day, and two hours to do it in
_DAY = timedelta(days=1)
_FOUR_WEEKS = 28  # days
_NAMED = 3

Key = tuple[str, ...]  # the values of `by`, in their order


@dataclass(frozen=True)
class Series:
    """One series on one day that was judged, beside the same weekday in the weeks before."""

    measured_at: datetime
    table: str
    series: str  # the values of `by`, a slash between them
    source: str  # '' where the contract names none
    day: date
    value: float | None  # None: no figure
    median: float | None
    mad: float | None  # the median absolute deviation from the median
    z: float | None
    verdict: str  # normal | high | low | none | too little history | confirmed incident


@dataclass(frozen=True)
class Entry:
    """One entry of the dictionary: it is about the series with the same values in the columns that both have."""

    critical: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Line:
    """One series as it is: its figures by day, and what was judged of them."""

    key: Key
    name: str
    source: str
    values: Mapping[date, float]
    known: bool  # to the dictionary, or there is none
    entry: Entry
    judged: tuple[Series, ...]  # the oldest day first

    @cached_property
    def last(self) -> date:
        """Return the newest day with a figure."""
        return max(self.values, default=date.min)

    @property
    def newest(self) -> Series | None:
        """Return the newest day that was judged; None where none was."""
        return self.judged[-1] if self.judged else None

    @cached_property
    def rests(self) -> frozenset[int]:
        """Return the weekdays (Monday is 0) lacked twice, or always, in the four weeks up to the newest day."""
        if not self.values:
            return frozenset()
        first = max(min(self.values), self.last - timedelta(days=_FOUR_WEEKS - 1))
        days = [first + timedelta(days=ahead) for ahead in range((self.last - first).days + 1)]
        seen, lacked = [0] * 7, [0] * 7
        for day in days:
            seen[day.weekday()] += 1
            lacked[day.weekday()] += day not in self.values
        return frozenset(day for day in range(7) if lacked[day] > 1 or seen[day] == lacked[day] > 0)


@dataclass(frozen=True)
class Look:
    """Everything that a look at one long table sees."""

    table: Table
    watch: Watch
    lines: tuple[Line, ...]
    sources: Mapping[str, Mapping[date, int]]  # by source: the figures on each day that has any
    limit_hours: float | None  # that the contract promises
    order: tuple[str, ...]  # the members of `by` as one reads them: the source, what the dictionary has, the others


def measure(reading: Reading) -> tuple[tuple[Series, ...], tuple[Problem, ...]]:
    """Measure every series: its newest judged day, and the odd ones of the six before; five kinds of problems."""
    rows: list[Series] = []
    problems: list[Problem] = []
    for table in reading.declared:
        seen = reading.attempt(table.id, look, reading, table) if table.watch else None
        if seen:
            rows += [
                row for line in seen.lines for row in line.judged if row is line.newest or row.verdict in weekday.ODD
            ]
            problems += _problems(reading, seen)
    return tuple(rows), tuple(problems)


def look(reading: Reading, table: Table) -> Look | None:
    """Return what the series of a table are and do; None where it is not built, or not yet by this contract."""
    watch, snapshot = table.watch, reading.table(table.id)
    if watch is None or snapshot is None:
        return None
    if not {str(table.business_date), watch.value, *watch.by} <= set(snapshot.columns):
        return None
    figures = _figures(reading, table, watch, snapshot)
    by_source: dict[str, dict[date, int]] = {}
    for key, values in figures.items():
        days = by_source.setdefault(_source(watch, key), {})
        for day in values:
            days[day] = days.get(day, 0) + 1
    dictionary = _dictionary(reading, watch)
    judge = _Judge(reading, table, by_source, table.latency_hours)
    lines = [
        Line(
            key=key,
            name=spelled(key),
            source=_source(watch, key),
            values=values,
            known=dictionary is None or _entry_of(dictionary, watch, key) is not None,
            entry=(dictionary and _entry_of(dictionary, watch, key)) or Entry(),
            judged=tuple(judge.days(key, _source(watch, key), values)),
        )
        for key, values in sorted(figures.items())
    ]
    return Look(table, watch, tuple(lines), by_source, judge.limit_hours, _order(reading, watch))


def _order(reading: Reading, watch: Watch) -> tuple[str, ...]:
    described = reading.project.declared(watch.dictionary).columns if watch.dictionary else ()
    names = {column.name for column in described}
    return tuple(sorted(watch.by, key=lambda name: (name != watch.source, name not in names)))


def record(engine: DuckEngine, data: Path, rows: Sequence[Series]) -> None:
    """Append what is new: days that were not recorded, or otherwise; a check every hour adds nothing to a quiet day."""
    root = lake.table_path(data, TABLE)
    known: dict[tuple[str, str, date], tuple[float | None, str]] = {}
    if rows and lake.open_table(root):
        catalog.publish(engine, {TABLE: root})
        first = min(row.day for row in rows)
        known = {
            (table, name, day): (value, verdict)
            for table, name, day, value, verdict in engine.rows(
                f"SELECT \"table\", series, day, value, verdict FROM {TABLE} WHERE day >= DATE '{first}' "
                'QUALIFY row_number() OVER (PARTITION BY "table", series, day ORDER BY measured_at DESC) = 1'
            )
        }
    fresh = [row for row in rows if not _same(known.get((row.table, row.series, row.day)), row)]
    runs.append(engine, data, TABLE, Series, fresh)


def _same(known: tuple[float | None, str] | None, row: Series) -> bool:
    if known is None or known[1] != row.verdict:
        return False
    before, now = known[0], row.value
    return before == now if before is None or now is None else math.isclose(before, now)


# -- what is read


def _figures(reading: Reading, table: Table, watch: Watch, snapshot: lake.Snapshot) -> dict[Key, dict[date, float]]:
    """Return the figures of each series in the last ten weeks, by day."""
    day = str(table.business_date)
    files = None
    if day in snapshot.partition_by:
        files = [file for file in snapshot.files if str(file.partition[day]) >= reading.since.isoformat()]
    scan = reading.project.engine.scan(snapshot, files)
    masked = reading.masks.replaced(table.id, snapshot.columns)  # a series is called by the mask of such a value
    reading.masks.select_in(reading.project.engine)
    names = [f"coalesce(({masked.get(name, identifier(name))})::VARCHAR, '')" for name in watch.by]
    value = identifier(watch.value)
    bounds = [reading.bound(snapshot, day, ">=", reading.since), reading.bound(snapshot, day, "<=", reading.today)]
    current = ["_is_current"] if "_is_current" in snapshot.columns else []
    rows = reading.ask(
        f"SELECT {', '.join(names)}, {identifier(day)}, "
        f"(sum({value}) FILTER (WHERE isfinite({value}::DOUBLE)))::DOUBLE FROM {scan} "
        f"WHERE {' AND '.join([*bounds, *current])} GROUP BY ALL",
        snapshot,
    )
    found: dict[Key, dict[date, float]] = {}
    for *key, at, figure in rows:
        values = found.setdefault(tuple(key), {})
        if figure is not None:
            values[at] = figure
    return found


_Dictionary = tuple[tuple[int, ...], Mapping[Key, Entry]]  # the members of `by` that it has, and its entries by these


def _dictionary(reading: Reading, watch: Watch) -> _Dictionary | None:
    """Return what the dictionary says; None where there is none, or it is not built or cannot be read."""
    if watch.dictionary is None:
        return None
    return reading.attempt(watch.dictionary, _read_dictionary, reading, watch, watch.dictionary)


def _read_dictionary(reading: Reading, watch: Watch, name: str) -> _Dictionary | None:
    snapshot = reading.table(name)
    if snapshot is None:
        return None
    kinds = snapshot.columns
    places = tuple(at for at, column in enumerate(watch.by) if column in kinds)
    if not places:
        return None  # not yet by its contract
    critical = "coalesce(critical, false)" if kinds.get("critical") == "BOOLEAN" else "false"
    unit = "coalesce(unit::VARCHAR, '')" if "unit" in kinds else "''"
    names = [f"coalesce({identifier(watch.by[at])}::VARCHAR, '')" for at in places]
    current = "WHERE _is_current" if "_is_current" in kinds else ""
    rows = reading.ask(
        f"SELECT {', '.join([*names, f'bool_or({critical})', f'max({unit})'])} "
        f"FROM {reading.scan(snapshot)} {current} GROUP BY {', '.join(names)}",
        snapshot,
    )
    return places, {tuple(key): Entry(critical, unit) for *key, critical, unit in rows}


def _entry_of(dictionary: _Dictionary, watch: Watch, key: Key) -> Entry | None:
    places, entries = dictionary
    return entries.get(tuple(key[at] for at in places))


def _source(watch: Watch, key: Key) -> str:
    return key[watch.by.index(watch.source)] if watch.source else ""


def spelled(key: Key) -> str:
    """Return the one spelling of a series; a slash that is in a value is told from one between two."""
    return "/".join(value.replace("\\", "\\\\").replace("/", "\\/") for value in key)


# -- what is judged


@dataclass
class _Judge:
    """Everything that the days of all series of a table are judged by."""

    reading: Reading
    table: Table
    by_source: Mapping[str, Mapping[date, int]]
    limit_hours: float | None
    incidents: frozenset[date] = field(init=False)
    complete: Mapping[str, frozenset[date]] = field(init=False)  # the days of each source that count

    def __post_init__(self) -> None:
        known = volume.incident_days(self.reading)
        self.incidents = frozenset(day for name, day in known if name == self.table.id)
        restating = _restating(self.reading, self.table)
        self.complete = {
            name: frozenset(days) - ({max(days)} if days and (name in restating or "" in restating) else set())
            for name, days in self.by_source.items()
        }

    def days(self, key: Key, source: str, values: Mapping[date, float]) -> Iterator[Series]:
        """Yield each of the last seven days of a series that can be judged, the oldest first."""
        looked = self.reading.looked.get(self.table.id)
        if not values or looked is None:
            return
        first = min(values)
        days = {day for day in self.complete[source] if day >= first}
        judged = [self.reading.today - timedelta(days=back) for back in range(weekday.DAYS, 0, -1)]
        usual = weekday.usual(values, days, self.incidents, judged[0])
        for day in judged:
            if day not in days or day_start(day + _DAY) > looked or (day not in values and not self._is_over(day)):
                continue
            found = weekday.judge(day, values, days, self.incidents, usual)
            facts = (values.get(day), found.median, found.mad, found.z, found.verdict)
            yield Series(self.reading.now, self.table.id, spelled(key), source, day, *facts)

    def _is_over(self, day: date) -> bool:
        """Return whether a day has to be there by now."""
        age = (self.reading.now - day_start(day + _DAY)).total_seconds() / 3600
        return age > (self.limit_hours or _PROMISE)


def _restating(reading: Reading, table: Table) -> set[str]:
    """Return the sources whose newest day is not complete; '' among them: all of them are."""
    restating = [one for one in sources.used(reading.project) if one.options["lookback"] > 1]
    if table.watch and table.watch.source:
        return {one.source.name for one in restating}
    reached = {table.id}
    for other in reversed([*reading.declared]):
        reached |= {*other.sources, *(feed.id for feed in other.feeds)} if other.id in reached else set()
    return {"" for one in restating if one.feed.id in reached}


# -- what is a problem


def _problems(reading: Reading, seen: Look) -> Iterator[Problem]:
    if seen.table.is_retired:
        return
    for source in sorted(seen.sources):
        lines = [line for line in seen.lines if line.source == source]
        waited_for = (_late, _critical, _missing) if seen.table.promises_news else ()
        found = (*waited_for, _unusual, _unknown)
        yield from (problem for rule in found if (problem := rule(reading, seen, source, lines)))


def _subject(seen: Look, source: str) -> str:
    return f"{seen.table.id} {source}".rstrip()


def _late(reading: Reading, seen: Look, source: str, lines: Sequence[Line]) -> Problem | None:
    days = seen.sources[source]
    if seen.limit_hours is None or seen.watch.source is None or not days:
        return None  # without a source the freshness of the table says it
    until = day_start(max(days) + _DAY)
    rest = freshness.rest_hours(until, reading.now, Business(until, days).rests())
    age = max(0.0, (reading.now - until).total_seconds() / 3600)
    if freshness.grade(age - rest, seen.limit_hours) != "POOR":
        return None
    what = f"{source} reaches to {max(days)}, {age:.0f} h ago; promised within {seen.limit_hours:g} h"
    fix = "`make sources` says whether it answers, `make plan` what landed since; then `make pipeline`"
    return Problem("late", _subject(seen, source), "P2", reading.yesterday, what, fix)


def _critical(reading: Reading, seen: Look, source: str, lines: Sequence[Line]) -> Problem | None:
    lacking = [line for line in lines if line.entry.critical and lacks_yesterday(reading, seen, line)]
    if not lacking:
        return None
    oldest = min(lacking, key=lambda line: (line.last, line.name))
    what = f"{oldest.name} is critical and reaches to {oldest.last}"
    what += _more(len(lacking) - 1, "critical series lacks yesterday", "critical series lack yesterday")
    fix = f"see whether {source or 'its source'} answers (`make sources`) and has the day; then `make pipeline`"
    return Problem("critical", _subject(seen, source), "P1", reading.yesterday, what, fix)


def lacks_yesterday(reading: Reading, seen: Look, line: Line) -> bool:
    """Return whether a series lacks the last day before today that it usually has, and has to have by now."""
    day = reading.yesterday
    if not seen.table.promises_news or not line.values or len(line.rests) == 7:
        return False
    while day.weekday() in line.rests:
        day -= _DAY
    until = day_start(line.last + _DAY)
    age = (reading.now - until).total_seconds() / 3600 - freshness.rest_hours(until, reading.now, line.rests)
    return line.last < day and age > (seen.limit_hours or _PROMISE)


def _missing(reading: Reading, seen: Look, source: str, lines: Sequence[Line]) -> Problem | None:
    others = [line for line in lines if not (line.entry.critical and lacks_yesterday(reading, seen, line))]
    gone = [row for line in others for row in line.judged if row.verdict == weekday.NONE]
    if not gone:
        return None
    worst = max(gone, key=lambda row: (row.day, row.median or 0.0, row.series))
    has = "has nothing" if worst.value is None else "is 0"
    what = f"{worst.series} {has} on {_compared(worst)}"
    what += _more(_others(gone, worst), "series lacks a day", "series lack a day")
    fix = f"ask {source or 'the source'} for what is missing, or whether it was renamed or ended; {_CONFIRM}"
    return Problem("missing", _subject(seen, source), "P2", worst.day, what, fix)


def _unusual(reading: Reading, seen: Look, source: str, lines: Sequence[Line]) -> Problem | None:
    odd: list[Series] = []
    for line in lines:
        found = [row for row in line.judged if row.verdict in (weekday.HIGH, weekday.LOW)]
        odd += found if len(found) > 1 or (found and found[0] is line.newest) else []
    if not odd:
        return None
    worst = max(odd, key=lambda row: (row.day, abs(row.z or 0.0), row.series))
    what = f"{worst.series} is {worst.verdict}, {_number(worst.value)} on {_compared(worst)}"
    what += _more(_others(odd, worst), "series is high or low", "series are high or low")
    fix = f"look at it in the report (`make report`) and ask {source or 'the source'} what happened; {_CONFIRM}"
    return Problem("unusual", _subject(seen, source), "P3", worst.day, what, fix)


def _unknown(reading: Reading, seen: Look, source: str, lines: Sequence[Line]) -> Problem | None:
    since = reading.today - timedelta(days=weekday.DAYS)
    found = [line for line in lines if not line.known and line.last >= since]
    if not found:
        return None
    names = ", ".join(line.name for line in found[:_NAMED])
    what = f"not in {seen.watch.dictionary}: {names}{_more(len(found) - _NAMED, 'series', 'series')}"
    fix = f"describe it in {seen.watch.dictionary}, or leave its rows out"
    return Problem("unknown", _subject(seen, source), "P3", max(line.last for line in found), what, fix)


_CONFIRM = "a day that is as it should be, confirm as an incident"


def _compared(row: Series) -> str:
    return f"{row.day:%A} {row.day}; the median of its weekday is {_number(row.median)}"


def _others(rows: Sequence[Series], worst: Series) -> int:
    return len({row.series for row in rows} - {worst.series})


def _more(count: int, one: str, several: str) -> str:
    return f"; {count} more {one if count == 1 else several}" if count > 0 else ""


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.4g}"
