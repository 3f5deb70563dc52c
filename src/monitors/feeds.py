"""A feed's newest files have the columns, and in them the kinds of values, that its files had before.

Bronze keeps every value as text, so all of it can be seen there, and before any row is lost:

    new       a column that came within a week and that no contract reads
    missing   the newest files have no value in it, and by chance that would happen less than once in a thousand:
              (1 - share of rows that had one before) ^ rows of the newest files
    retyped   99 of 100 values before were integers (numbers, dates, ...), and of the last week's they are not
    new value a value of the last week that the column's `enum` does not list, found in quarantine

"Before" are the rows older than a week, up to ten weeks; of a feed younger than that, all but its newest files.
Kinds are found from at most 10,000 rows of each side. What retired tables alone read is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src import lake
from src.bronze.readers import SYSTEM_COLUMNS
from src.contract import Column, Feed, Table
from src.engine import identifier, literal
from src.masking.masks import SHOWN
from src.monitors.reading import DAYS, Reading, day_start, sql_moment
from src.problems import Problem

TABLE = "ops.feed_schema"
_WEEK = timedelta(days=7)
_SAMPLE = 10_000
_ALMOST_ALL, _BY_CHANCE = 0.99, 0.001
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_KINDS = {  # the narrowest first
    "integer": r"[+-]?[0-9]+",
    "number": _NUMBER,
    "boolean": r"(?i)true|false",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*",
}


@dataclass(frozen=True)
class FeedSchema:
    """One way in which a feed's newest files differ from those before."""

    measured_at: datetime
    feed: str  # of a new value in a table with several feeds: the table
    column: str
    change: str  # new | missing | retyped | new value
    detail: str
    read: bool  # whether a contract reads the column


@dataclass(frozen=True)
class _Sides:
    """The SQL conditions for a feed's newest files, its last week, and the time before."""

    newest: str
    week: str
    before: str
    rows: int  # of the newest files


def measure(reading: Reading) -> tuple[tuple[FeedSchema, ...], tuple[Problem, ...]]:
    """Measure what changed in every feed; one problem for each feed in which anything changed."""
    rows: list[FeedSchema] = []
    readers: dict[str, list[Table]] = {}
    for table in reading.project.contracts.silver.values():
        for feed in table.feeds:
            readers.setdefault(feed.id, []).append(table)
    tables = [table for table in reading.project.contracts.silver.values() if not table.is_retired]
    read = {feed.id for table in tables for feed in table.feeds}
    for feed in reading.project.contracts.feeds.values():
        if feed.id in read:
            rows += reading.attempt(feed.id, _feed, reading, feed, readers[feed.id]) or ()
    for table in tables:
        rows += reading.attempt(table.id, _values, reading, table) or ()
    problems = (_problem(reading.today, name, rows) for name in dict.fromkeys(row.feed for row in rows))
    return tuple(rows), tuple(problems)


def _feed(reading: Reading, feed: Feed, readers: Sequence[Table]) -> list[FeedSchema]:
    bronze = reading.table(feed.id)
    sides = _sides(reading, bronze) if bronze else None
    if not bronze or not sides:
        return []
    known = [name for name in bronze.columns if name not in SYSTEM_COLUMNS]
    read = {name for table in readers for name in _read(reading, table, known)}
    changed = [(name, "new", "no contract reads it") for name in _came(bronze, known) if name not in read]
    filled = _filled(reading, bronze, known, sides)
    kinds = _kinds(reading, bronze, known, sides)
    for name in known:
        now, before = filled[name]
        if not now and (1 - before) ** sides.rows < _BY_CHANCE:
            detail = f"no value in the {sides.rows} newest rows; {before:.0%} of those before had one"
            changed.append((name, "missing", detail))
        elif detail := _retyped(*kinds[name]):
            changed.append((name, "retyped", detail))
    return [FeedSchema(reading.now, feed.id, *change, change[0] in read) for change in changed]


def _sides(reading: Reading, bronze: lake.Snapshot) -> _Sides | None:
    """Return the rows to compare; None where there is nothing before the newest files."""
    runs: list[tuple[datetime, datetime, int]] = reading.ask(
        f"SELECT min(_ingested_at), max(_ingested_at), count(*) FROM {reading.scan(bronze, evolved=True)} "
        f"WHERE _reject IS NULL AND _ingested_at >= {sql_moment(reading.since)} GROUP BY _batch ORDER BY 1",
        bronze,
    )
    if len(runs) < 2:
        return None
    *earlier, (began, newest, rows) = runs
    week = newest - _WEEK
    if not any(first <= week for first, _, _ in earlier):
        week = earlier[-1][1]
    return _Sides(
        f"_ingested_at >= {sql_moment(began)}",
        f"_ingested_at > {sql_moment(week)}",
        f"_ingested_at <= {sql_moment(week)} AND _ingested_at > {sql_moment(newest - timedelta(days=DAYS))}",
        rows,
    )


def _read(reading: Reading, table: Table, known: Sequence[str]) -> list[str]:
    """Return the raw columns that a table's contract names, in an expression or in its SQL."""
    references = reading.project.engine.column_references
    named = {name for column in table.columns for name in references(column.expression or identifier(column.name))}
    identifiers = set(re.findall(r"\w+", table.sql.lower())) if table.sql else set()
    return [name for name in known if name.lower() in named | identifiers]


def _came(bronze: lake.Snapshot, known: Iterable[str]) -> list[str]:
    """Return the columns that the table did not have a week before its newest commit, if it had any then."""
    version, edge, same = bronze.version, None, True
    while version > 0:
        commit = lake.commit_of(bronze.root, version)
        stamp = commit.timestamp if commit else None
        edge = stamp if edge is None else edge
        if commit is None or stamp is None or edge is None or edge - stamp > _WEEK.total_seconds() * 1000:
            break
        same = same and not commit.sets_columns
        version -= 1
    if same:
        return []  # the columns are what they were: the usual case, and told without opening what the table was
    for older in range(version, bronze.version):  # the first version that has columns of the source
        try:
            then = lake.open_table(bronze.root, older)
        except lake.HistoryGone:
            continue
        had = {name for name in then.columns if name not in SYSTEM_COLUMNS} if then else set()
        if had:
            return [name for name in known if name not in had]
    return []


def _filled(
    reading: Reading, bronze: lake.Snapshot, known: Sequence[str], sides: _Sides
) -> Mapping[str, tuple[int, float]]:
    """Return for every column the values of the newest files, and the share of rows before that had one."""
    has = [f"nullif(trim({identifier(name)}), '') IS NOT NULL" for name in known]
    counts = ", ".join(f"count(*) FILTER ({sides.newest} AND {test})" for test in has)
    shares = ", ".join(f"coalesce(avg(({test})::INT) FILTER ({sides.before}), 0)" for test in has)
    where = f"_reject IS NULL AND ({sides.newest} OR {sides.before})"
    found = reading.ask(f"SELECT {counts}, {shares} FROM {reading.scan(bronze, evolved=True)} WHERE {where}", bronze)[0]
    return {name: (found[index], found[index + len(known)]) for index, name in enumerate(known)}


def _kinds(
    reading: Reading, bronze: lake.Snapshot, known: Sequence[str], sides: _Sides
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return for every column, before and in the last week, the number of values, and of those of each kind."""
    tests = []
    for name in known:
        text = f"nullif(trim({identifier(name)}), '')"
        tests += [f"count({text})"]
        tests += [f"count(*) FILTER (regexp_full_match({text}, {literal(kind)}))" for kind in _KINDS.values()]
    scan, each = reading.scan(bronze, evolved=True), len(_KINDS) + 1
    before, week = (
        reading.ask(
            f"SELECT {', '.join(tests)} FROM (SELECT * FROM {scan} WHERE _reject IS NULL AND {side} LIMIT {_SAMPLE})",
            bronze,
        )[0]
        for side in (sides.before, sides.week)
    )
    return {
        name: (before[index * each : (index + 1) * each], week[index * each : (index + 1) * each])
        for index, name in enumerate(known)
    }


def _retyped(before: tuple[int, ...], week: tuple[int, ...]) -> str:
    """Return how the kind of a column's values changed; empty where it did not, or where it was only text before."""
    was, now = (_kind(counts) for counts in (before, week))
    if was in ("text", "") or now == "":
        return ""
    fit = week[1 + list(_KINDS).index(was)] / week[0]
    return f"{was} -> {now}: {fit:.0%} of the values are {was}" if fit < _ALMOST_ALL else ""


def _kind(counts: tuple[int, ...]) -> str:
    total, *fits = counts
    if not total:
        return ""
    return next((name for name, fit in zip(_KINDS, fits, strict=True) if fit >= _ALMOST_ALL * total), "text")


def _values(reading: Reading, table: Table) -> list[FeedSchema]:
    """Return the values of the last week's quarantine that an enum does not list."""
    listed = [(column, rule.value) for column in table.columns for rule in column.rules if rule.kind == "enum"]
    quarantine = reading.table(f"quarantine.{table.domain}.{table.name}") if listed else None
    if not quarantine:
        return []
    feed = table.feeds[0].id if len(table.feeds) == 1 else table.id
    found = (
        (column, f"{_shown(reading, table, column, value)} ({count} rows)")
        for column, values in listed
        for value, count in _unlisted(reading, quarantine, column, values)
    )
    return [FeedSchema(reading.now, feed, column.name, "new value", detail, True) for column, detail in found]


def _shown(reading: Reading, table: Table, column: Column, value: str) -> str:
    masks = reading.masks.of_table(table.id)
    return SHOWN if masks and column.name.lower() not in masks.quoted else value


def _unlisted(reading: Reading, quarantine: lake.Snapshot, column: Column, values: object) -> list[tuple[str, int]]:
    """Return the values, and their rows, in reasons like `column: value is none of a, b` (src/checks/rules.py)."""
    start = f"{column.name}: "
    end = f" is none of {', '.join(map(str, values))}" if isinstance(values, tuple) else ""
    cut = f"reason[{len(start) + 1}:-{len(end) + 1}]"
    return reading.ask(
        f"SELECT {cut}, count(*) FROM (SELECT unnest(_reasons) AS reason FROM {reading.scan(quarantine, evolved=True)} "
        f"WHERE _ingested_at > {sql_moment(day_start(reading.today) - _WEEK)}) "
        f"WHERE starts_with(reason, {literal(start)}) AND ends_with(reason, {literal(end)}) "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
        quarantine,
    )


def _problem(today: date, name: str, rows: Iterable[FeedSchema]) -> Problem:
    changes: dict[str, list[str]] = {}
    for row in rows:
        if row.feed == name:
            text = f"{row.column} ({row.detail})" if row.change in ("retyped", "new value") else row.column
            changes.setdefault(row.change, []).append(text)
    what = "; ".join(f"{change}: {', '.join(found)}" for change, found in changes.items())
    fix = "ask the source whether it is meant; if it is, change the contract and bump its version"
    return Problem("schema", name, "P3", today, what, fix)
