"""A feed's newest files have the columns, and in them the kinds of values, that its files had before.

Bronze keeps every value as text, so all of it can be seen there, and before any row is lost:

    new       a column that came within a week and that no contract reads
    missing   the newest files have no value in it, and by chance that would happen less than once in a thousand:
              (1 - share of rows that had one before) ^ rows of the newest files
    retyped   99 of 100 values before were integers (numbers, dates, ...), and of the last week's they are not
    new value a value of the last week that the column's `enum` does not list, found in quarantine

"Before" are the rows older than a week, up to ten weeks; of a feed younger than that, all but its newest files.
Kinds are found from about 10,000 rows of each side that has more. What retired tables alone read is not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src import lake
from src.bronze.readers import SYSTEM_COLUMNS
from src.contract import Column, Feed, Table
from src.engine import identifier, literal
from src.masking.masks import SHOWN
from src.monitors.questions import NUMBER, ROWS, Question
from src.monitors.reading import DAYS, Reading, day_start, sql_moment
from src.problems import Problem

TABLE = "ops.feed_schema"
_WEEK = timedelta(days=7)
_SAMPLE = 10_000  # rows of a side, about
_MOST = 10  # new values of a column
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
    """The rows of a feed's newest files, of its last week, and of the time before; by when they were taken in."""

    bronze: lake.Snapshot
    began: datetime  # the newest files from here on
    week: datetime  # the last week after this
    floor: datetime  # the time before after this
    rows: int  # of the newest files

    @property
    def columns(self) -> list[str]:
        """Return the columns that come from the source."""
        return [name for name in self.bronze.columns if name not in SYSTEM_COLUMNS]

    @property
    def reads(self) -> list[str]:
        """Return SQL that is each of these columns in a question."""
        return [f'"~{at}"' for at in range(len(self.columns))]

    def question(self, sql: str, own: Mapping[str, int] | None = None) -> Question:
        """Return a question of the rows of both sides."""
        reads = {f"~{at}": name for at, name in enumerate(self.columns)}
        reads |= {"~at": "_ingested_at", "~reject": "_reject", "~file": "_file", "~row": "_row"}
        moments = {"~began": self.began, "~week": self.week, "~floor": self.floor}
        # the day is the same for feeds that are asked together, and rules files out by their footers
        where = f'"~reject" IS NULL AND "~at" > {sql_moment(self.floor.date())} AND "~at" > "~floor"'
        return Question(self.bronze, sql, reads, where, {**moments, **(own or {})}, evolved=True)


_NEWEST, _IN_WEEK, _BEFORE = '"~at" >= "~began"', '"~at" > "~week"', '"~at" <= "~week"'


def measure(reading: Reading) -> tuple[tuple[FeedSchema, ...], tuple[Problem, ...]]:
    """Measure what changed in every feed; one problem for each feed in which anything changed."""
    rows: list[FeedSchema] = []
    readers: dict[str, list[Table]] = {}
    for table in reading.project.contracts.silver.values():
        for feed in table.feeds:
            readers.setdefault(feed.id, []).append(table)
    tables = [table for table in reading.project.contracts.silver.values() if not table.is_retired]
    read = {feed.id for table in tables for feed in table.feeds}
    feeds = {feed.id: feed for feed in reading.project.contracts.feeds.values() if feed.id in read}
    sides = _sides_of_all(reading, feeds)
    for name, both in sides.items():
        rows += reading.attempt(name, _feed, reading, feeds[name], readers[name], both) or ()
    quarantined = {table.id: reading.attempt(table.id, _quarantined, reading, table) for table in tables}
    reading.answer_together(one for found in quarantined.values() for one in (found or {}).values())
    for table in tables:
        if listed := quarantined[table.id]:
            rows += reading.attempt(table.id, _values, reading, table, listed) or ()
    problems = (_problem(reading.today, name, rows) for name in dict.fromkeys(row.feed for row in rows))
    return tuple(rows), tuple(problems)


def _sides_of_all(reading: Reading, feeds: Iterable[str]) -> dict[str, _Sides]:
    """Return the rows to compare of each feed that has any before its newest files; all that is asked is asked then."""
    built = {name: table for name in feeds if (table := reading.attempt(name, _built, reading, name))}
    reading.answer_together(_runs(reading, table) for table in built.values())
    found = {name: reading.attempt(name, _sides, reading, table) for name, table in built.items()}
    sides = {name: both for name, both in found.items() if both}
    for question in (_filled, _kinds):
        reading.answer_together([reading.attempt(name, question, reading, both) for name, both in sides.items()])
    return sides


def _built(reading: Reading, name: str) -> lake.Snapshot | None:
    """Return a feed's table, if it has rows."""
    table = reading.table(name)
    return table if table and table.files else None


def _feed(reading: Reading, feed: Feed, readers: Sequence[Table], sides: _Sides) -> list[FeedSchema]:
    known = sides.columns
    read = {name for table in readers for name in _read(reading, table, known)}
    changed = [(name, "new", "no contract reads it") for name in _came(sides.bronze, known) if name not in read]
    values, _ = _values_of(reading, sides)
    before, week = _kinds_of(reading, sides)
    for at, name in enumerate(known):
        now, share = values[at]
        if not now and (1 - share) ** sides.rows < _BY_CHANCE:
            detail = f"no value in the {sides.rows} newest rows; {share:.0%} of those before had one"
            changed.append((name, "missing", detail))
        elif detail := _retyped(before[at], week[at]):
            changed.append((name, "retyped", detail))
    return [FeedSchema(reading.now, feed.id, *change, change[0] in read) for change in changed]


def _runs(reading: Reading, bronze: lake.Snapshot) -> Question:
    """Return what is asked of the runs that added rows to a feed's table in ten weeks: when they did, and how many."""
    return Question(
        bronze,
        f'SELECT {NUMBER}, min("~at"), max("~at"), count(*) FROM {ROWS} GROUP BY {NUMBER}, "~batch" ORDER BY 2',
        {"~at": "_ingested_at", "~batch": "_batch", "~reject": "_reject"},
        where=f'"~reject" IS NULL AND "~at" >= {sql_moment(reading.since)}',
    )


def _sides(reading: Reading, bronze: lake.Snapshot) -> _Sides | None:
    """Return the rows to compare; None where there is nothing before the newest files."""
    runs: list[tuple[datetime, datetime, int]] = reading.answer(_runs(reading, bronze))
    if len(runs) < 2 or bronze.columns.keys() <= SYSTEM_COLUMNS.keys():
        return None
    *earlier, (began, newest, rows) = runs
    week = newest - _WEEK
    if not any(first <= week for first, _, _ in earlier):
        week = earlier[-1][1]
    return _Sides(bronze, began, week, newest - timedelta(days=DAYS), rows)


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
        names = lake.set_columns(bronze.root, older)
        if names is None and older > version and lake.commit_of(bronze.root, older):
            continue  # it has those of the version before
        try:
            then = lake.open_table(bronze.root, older) if names is None else None
        except lake.HistoryGone:
            continue
        had = {name for name in names or (then.columns if then else ()) if name not in SYSTEM_COLUMNS}
        if had:
            return [name for name in known if name not in had]
    return []


def _filled(reading: Reading, sides: _Sides) -> Question:
    """Return what is asked of how many rows have a value, of the newest files and of those before, in each column."""
    has = [f"nullif(trim({name}), '') IS NOT NULL" for name in sides.reads]
    newest, before = (", ".join(f"count(*) FILTER ({side} AND {test})" for test in has) for side in (_NEWEST, _BEFORE))
    counts = ", ".join(f"count(*) FILTER ({side})" for side in (_BEFORE, _IN_WEEK))
    return sides.question(f"SELECT {NUMBER}, [{newest}], [{before}], {counts} FROM {ROWS} GROUP BY {NUMBER}")


def _values_of(reading: Reading, sides: _Sides) -> tuple[list[tuple[int, float]], tuple[int, int]]:
    """Return for each column the values of the newest files and the share of rows before that had one.

    With it the rows before, and those of the last week.
    """
    [(newest, filled, before, week)] = reading.answer(_filled(reading, sides))
    shares = [count / before if before else 0.0 for count in filled]
    return list(zip(newest, shares, strict=True)), (before, week)


def _kinds(reading: Reading, sides: _Sides) -> Question:
    """Return what is asked of each column before and in the last week: its values, and those of each kind."""
    _, counts = _values_of(reading, sides)
    every = [max(1, math.ceil(count / _SAMPLE)) for count in counts]
    texts = ", ".join(f"nullif(trim({name}), '')" for name in sides.reads)
    fits = ", ".join(f"count(*) FILTER (regexp_full_match(text, {literal(kind)}))" for kind in _KINDS.values())
    number = 'hash("~file", "~row")'
    return sides.question(
        f"SELECT {NUMBER}, week, nth, count(text), [{fits}] FROM (SELECT {NUMBER}, {_IN_WEEK} AS week, "
        f"unnest(range({len(sides.reads)})) AS nth, unnest([{texts}]) AS text FROM {ROWS} "
        f'WHERE {number} % (CASE WHEN {_IN_WEEK} THEN "~of_week" ELSE "~of_before" END) = 0) GROUP BY ALL',
        {"~of_before": every[0], "~of_week": every[1]},
    )


def _kinds_of(reading: Reading, sides: _Sides) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return for each column, before and in the last week, the number of values, and of those of each kind."""
    found = {(bool(week), at): (total, *fits) for week, at, total, fits in reading.answer(_kinds(reading, sides))}
    none = (0,) * (1 + len(_KINDS))
    before, week = ([found.get((side, at), none) for at in range(len(sides.columns))] for side in (False, True))
    return before, week


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


def _quarantined(reading: Reading, table: Table) -> dict[str, Question]:
    """Return what is asked of a table's quarantine, by each column that lists its values."""
    listed = [(column, rule.value) for column in table.columns for rule in column.rules if rule.kind == "enum"]
    quarantine = reading.table(f"quarantine.{table.domain}.{table.name}") if listed else None
    if quarantine is None or not quarantine.files:
        return {}
    return {column.name: _unlisted(reading, quarantine, column, values) for column, values in listed}


def _values(reading: Reading, table: Table, asked: Mapping[str, Question]) -> list[FeedSchema]:
    """Return the values of the last week's quarantine that an enum does not list."""
    feed = table.feeds[0].id if len(table.feeds) == 1 else table.id
    columns = {column.name: column for column in table.columns}
    found = (
        (name, f"{_shown(reading, table, columns[name], value)} ({count} rows)")
        for name, question in asked.items()
        for value, count in reading.answer(question)
    )
    return [FeedSchema(reading.now, feed, name, "new value", detail, True) for name, detail in found]


def _shown(reading: Reading, table: Table, column: Column, value: str) -> str:
    masks = reading.masks.of_table(table.id)
    return SHOWN if masks and column.name.lower() not in masks.quoted else value


def _unlisted(reading: Reading, quarantine: lake.Snapshot, column: Column, values: object) -> Question:
    """Return what is asked of a quarantine: the values, and their rows, in reasons of a column that lists its values.

    They are like `column: value is none of a, b` (src/checks/rules.py).
    """
    start = f"{column.name}: "
    end = f" is none of {', '.join(map(str, values))}" if isinstance(values, tuple) else ""
    value = 'reason[len("~start") + 1:-len("~end") - 1]'
    reasons = f'SELECT {NUMBER}, "~start", "~end", unnest("~reasons") AS reason FROM {ROWS}'
    fits = 'starts_with(reason, "~start") AND ends_with(reason, "~end")'
    counted = f"SELECT {NUMBER}, {value} AS value, count(*) AS rows FROM ({reasons}) WHERE {fits} GROUP BY 1, 2"
    newest = f"QUALIFY row_number() OVER (PARTITION BY {NUMBER} ORDER BY rows DESC, value) <= {_MOST}"
    return Question(
        quarantine,
        f"SELECT {NUMBER}, value, rows FROM ({counted}) {newest} ORDER BY rows DESC, value",
        {"~at": "_ingested_at", "~reasons": "_reasons"},
        f'"~at" > {sql_moment(day_start(reading.today) - _WEEK)}',
        {"~start": start, "~end": end},
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
