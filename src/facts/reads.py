"""Who read what: the records of reads of the last days, by user and table, with what failed and what nobody reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from src import catalog, reads
from src.engine import DuckEngine, literal
from src.views.access import TABLES, by_pattern
from src.views.access import UNREAD_DAYS as UNREAD_DAYS


@dataclass(frozen=True)
class TableReads:
    """The reads of one table by one user; `rows` and `seconds` of whole statements, which may read other tables too."""

    user: str
    table: str  # "" of statements that read none
    reads: int
    failed: int
    rows: int
    seconds: float
    last: datetime


@dataclass(frozen=True)
class FailedRead:
    """A read that came to nothing."""

    moment: datetime
    user: str
    kind: str
    tables: tuple[str, ...]
    pattern: str
    error: str


@dataclass(frozen=True)
class FirstRead:
    """The first time that a user read a classified column."""

    moment: datetime
    user: str
    table: str
    column: str
    classification: str
    masked: bool


@dataclass(frozen=True)
class UnreadTable:
    """A table that nobody read for UNREAD_DAYS days; `last` is None where it was never read."""

    table: str
    last: datetime | None


@dataclass(frozen=True)
class SlowPattern:
    """The statements of one pattern: how often they were asked and what they took."""

    pattern: str
    asked: int
    failed: int
    median_seconds: float
    p95_seconds: float
    max_seconds: float
    max_bytes: int | None
    max_rows: int | None
    last_asked: datetime
    last_user: str


@dataclass(frozen=True)
class Access:
    """Everything that is known of the reads since `begin`. `recorded_since`: the oldest record; None: there is none.

    `unread` tells something only if records go back UNREAD_DAYS days: `unread_is_certain`.
    """

    begin: datetime
    recorded_since: datetime | None = None
    unread_is_certain: bool = False
    by_table: tuple[TableReads, ...] = ()  # those with the most reads first
    failed: tuple[FailedRead, ...] = ()  # the newest first
    first: tuple[FirstRead, ...] = ()  # the newest first
    unread: tuple[UnreadTable, ...] = ()
    slow: tuple[SlowPattern, ...] = ()  # of the period, the slowest by p95 first


def read_access(
    engine: DuckEngine, data: Path, now: datetime, days: int = 30, user: str | None = None, table: str | None = None
) -> Access:
    """Return the reads of the last days, those of one user or of one table alone where they are named.

    The records are read as they are at `now` (UTC), also those that no run has stored yet.
    """
    begin = now - timedelta(days=days)
    names = [reads.TABLE, "ops.access_first", "ops.access_unread"]
    there = set(catalog.readable(data))
    if reads.TABLE not in there:
        return Access(begin)
    catalog.publish_named(engine, data, [name for name in names if name in there])
    engine.table("reads_of_period", _period(begin, now, user, table))
    since = engine.one(f"SELECT min(moment) FROM {reads.TABLE}")[0]
    return Access(
        begin=begin,
        recorded_since=since,
        unread_is_certain=since is not None and since <= now - timedelta(days=UNREAD_DAYS),
        by_table=_by_table(engine, table),
        failed=_failed(engine),
        first=_first(engine, begin, user, table),
        unread=_unread(engine, table) if "ops.access_unread" in there else (),
        slow=_slow(engine),
    )


def _period(begin: datetime, now: datetime, user: str | None, table: str | None) -> str:
    conditions = [f"moment BETWEEN {literal(begin)}::TIMESTAMPTZ AND {literal(now)}::TIMESTAMPTZ"]
    conditions += [f'"user" = {literal(user)}'] if user else []
    conditions += [f"list_contains(from_json(tables, '[\"VARCHAR\"]'), {literal(table)})"] if table else []
    return f"SELECT * FROM {reads.TABLE} WHERE {' AND '.join(conditions)}"


def _by_table(engine: DuckEngine, table: str | None) -> tuple[TableReads, ...]:
    one = f'WHERE "table" = {literal(table)}' if table else ""
    rows = engine.rows(
        'SELECT "user", "table", count(*) AS reads, count(*) FILTER (failed), coalesce(sum(rows), 0)::BIGINT, '
        f'sum(seconds), max(moment) FROM (SELECT *, {TABLES} AS "table" FROM reads_of_period) '
        f'{one} GROUP BY ALL ORDER BY reads DESC, "user", "table"'
    )
    return tuple(TableReads(*row) for row in rows)


def _failed(engine: DuckEngine) -> tuple[FailedRead, ...]:
    rows = engine.rows(
        'SELECT moment, "user", kind, tables, pattern, error FROM reads_of_period WHERE failed ORDER BY moment DESC'
    )
    return tuple(FailedRead(at, user, kind, _listed(tables), *rest) for at, user, kind, tables, *rest in rows)


def _listed(text: Any) -> tuple[str, ...]:
    return tuple(map(str, json.loads(text or "[]")))


def _first(engine: DuckEngine, begin: datetime, user: str | None, table: str | None) -> tuple[FirstRead, ...]:
    conditions = [f"moment >= {literal(begin)}::TIMESTAMPTZ"]
    conditions += [f'"user" = {literal(user)}'] if user else []
    conditions += [f'"table" = {literal(table)}'] if table else []
    rows = engine.rows(
        'SELECT moment, "user", "table", "column", classification, coalesce(masked, false) FROM ops.access_first '
        f'WHERE {" AND ".join(conditions)} ORDER BY moment DESC, "user", "table", "column"'
    )
    return tuple(FirstRead(*row) for row in rows)


def _unread(engine: DuckEngine, table: str | None) -> tuple[UnreadTable, ...]:
    one = f'WHERE "table" = {literal(table)}' if table else ""
    rows = engine.rows(
        f'SELECT "table", last_read FROM ops.access_unread {one} ORDER BY last_read NULLS FIRST, "table"'
    )
    return tuple(UnreadTable(*row) for row in rows)


def _slow(engine: DuckEngine) -> tuple[SlowPattern, ...]:
    """Return what the view of slow queries says, of the period alone."""
    rows = engine.rows(f"SELECT * FROM ({by_pattern('reads_of_period')}) ORDER BY p95_seconds DESC, pattern")
    return tuple(SlowPattern(*row) for row in rows)
