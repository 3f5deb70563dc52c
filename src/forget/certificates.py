"""What is remembered of a forgetting: whom by a keyed hash, where and how many rows, when, by whom and why.

No value is ever among it. One commit says that a forgetting began and whom it is about, so that whoever comes after a
kill can finish it without knowing the person: the hashes find what is left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from src import lake, records
from src.engine import DuckEngine, identifier, literal
from src.forget.unfinished import BEGUN, OVER, TABLE, open_entries


class Status(StrEnum):
    """The kinds of rows of `ops.forgotten`."""

    BEGUN = "begun"
    KEY = "key"  # one person, or one of their keys, by its hash
    LOCATION = "location"  # rows and files that left one location
    DONE = "done"
    UNPROVEN = "unproven"  # all was done, and a value is somewhere still, or a file could not be read
    KEY_LOST = "key lost"  # of another key nothing is held back any more
    RETENTION = "retention"  # begun, of rows that are past their date: nobody is remembered


@dataclass(frozen=True)
class Entry:
    """One row of `ops.forgotten`; `certificate` is the id of the run that began it, `moment` in UTC."""

    certificate: str
    moment: datetime
    status: str
    run_id: str
    forgotten_by: str | None = None
    reason: str | None = None
    table: str | None = None  # of a beginning the table that was named; of a key that which it is of
    columns: str | None = None  # JSON list: of which columns the hash is
    hash: str | None = None  # HMAC-SHA256 with FORGET_KEY of table, columns and values
    key_check: str | None = None  # tells which FORGET_KEY that was
    location: str | None = None
    rows: int | None = None
    files: int | None = None
    detail: str | None = None


def begin(engine: DuckEngine, data: Path, entries: Sequence[Entry]) -> None:
    """Record that a forgetting begins, and all that finishing it takes, in one commit."""
    _append(engine, data, entries, BEGUN, 1)


def end(engine: DuckEngine, data: Path, entries: Sequence[Entry], count: int) -> None:
    """Record that so many forgettings are over, in one commit."""
    _append(engine, data, entries, OVER, count)


def append(engine: DuckEngine, data: Path, entries: Sequence[Entry]) -> None:
    """Add rows that begin and end nothing."""
    _append(engine, data, entries, OVER, 0)


def _append(engine: DuckEngine, data: Path, entries: Sequence[Entry], counter: str, more: int) -> None:
    table = records.open_for(data, TABLE, Entry)
    files = records.write(engine, table, Entry, entries)
    lake.commit(table, add=files, progress={counter: (table.progress(counter) or 0) + more})


def read_all(engine: DuckEngine, data: Path) -> list[Entry]:
    """Return every row but those of keys, in the order of their moments."""
    table = open_entries(data)
    if table is None:
        return []
    names = list(records.columns_of(Entry))
    listed = ", ".join(map(identifier, names))
    order = f"ORDER BY moment, {', '.join(f'status = {literal(str(one))}' for one in (Status.DONE, Status.UNPROVEN))}"
    scan = engine.scan(table, evolved=True)
    rows = engine.rows(f"SELECT {listed} FROM {scan} WHERE status <> {literal(str(Status.KEY))} {order}")
    return [Entry(**dict(zip(names, row, strict=True))) for row in rows]


@dataclass(frozen=True)
class Emptied:
    """One location of a certificate: the rows of somebody that it had, and the files with them."""

    location: str
    rows: int
    files: int
    what: str


@dataclass(frozen=True)
class Certificate:
    """One forgetting: when it began (UTC), by whom and why, how it stands, whom it is about by a hash, and where."""

    certificate: str
    moment: datetime
    status: str
    forgotten_by: str | None
    reason: str
    table: str
    columns: tuple[str, ...]
    hash: str
    keys: int  # hashes that hold back lines
    locations: tuple[Emptied, ...]


def read_certificates(engine: DuckEngine, data: Path) -> tuple[Certificate, ...]:
    """Return every certificate, the oldest first."""
    table = open_entries(data)
    if table is None:
        return ()
    entries, scan = read_all(engine, data), engine.scan(table, evolved=True)
    counted = f"SELECT certificate, count(*) FROM {scan} WHERE status = {literal(str(Status.KEY))} GROUP BY 1"
    keys = dict(engine.rows(counted))
    return tuple(
        Certificate(
            certificate=one.certificate,
            moment=one.moment,
            status=_status([other for other in entries if other.certificate == one.certificate]),
            forgotten_by=one.forgotten_by,
            reason=one.reason or "",
            table=one.table or "",
            columns=tuple(json.loads(one.columns or "[]")),
            hash=one.hash or "",
            keys=keys.get(one.certificate, 0),
            locations=tuple(
                Emptied(other.location or "", other.rows or 0, other.files or 0, other.detail or "")
                for other in entries
                if other.certificate == one.certificate and other.status == Status.LOCATION
            ),
        )
        for one in entries
        if one.status in (Status.BEGUN, Status.RETENTION)
    )


def _status(entries: Sequence[Entry]) -> str:
    over = [one.status for one in entries if one.status in (Status.DONE, Status.UNPROVEN)]
    return over[-1] if over else str(Status.BEGUN)


def unfinished(entries: Sequence[Entry]) -> list[Entry]:
    """Return the beginnings whose end is not recorded, the oldest first."""
    over = {one.certificate for one in entries if one.status in (Status.DONE, Status.UNPROVEN)}
    return [one for one in entries if one.status in (Status.BEGUN, Status.RETENTION) and one.certificate not in over]


def remembered(
    engine: DuckEngine, data: Path, tables: Sequence[str], certificates: Sequence[str] | None = None
) -> tuple[Mapping[str, list[tuple[str, ...]]], set[str], str]:
    """Return what is remembered of tables: by table the columns of hashes, the key's check values, and a relation.

    The relation has `table`, `columns` and `hash`. `certificates`: of these alone.
    """
    table = open_entries(data)
    if table is None or not tables:
        return {}, set(), ""
    scan = engine.scan(table, evolved=True)
    lost = f"SELECT key_check FROM {scan} WHERE status = {literal(str(Status.KEY_LOST))}"
    where = f'status = {literal(str(Status.KEY))} AND "table" IN ({", ".join(map(literal, tables))})'
    where += f" AND key_check NOT IN ({lost})"
    if certificates is not None:
        where += f" AND list_contains({literal(list(certificates))}::VARCHAR[], certificate)"
    relation = f'(SELECT DISTINCT "table", columns, hash FROM {scan} WHERE {where})'
    found: dict[str, list[tuple[str, ...]]] = {}
    for name, columns in engine.rows(f'SELECT DISTINCT "table", columns FROM {relation} ORDER BY ALL'):
        found.setdefault(name, []).append(tuple(json.loads(columns)))
    checks = set(engine.values(f"SELECT DISTINCT key_check FROM {scan} WHERE {where}"))
    return found, checks, relation
