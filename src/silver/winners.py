"""One row per key: by sequence, ties by content and never by arrival; without a sequence the later arrival wins.

A row that says its key is gone wins a tie, as a change and a deletion of one moment leave nothing.

Works on the temporary table `incoming`, the typed rows of a batch. Only keys that occur twice are
looked at closely, so that wide rows never enter a window.
"""

from __future__ import annotations

from collections.abc import Mapping

from src.contract import Table
from src.engine import DuckEngine, identifier

_ARRIVAL = ("_ingested_at", "_file", "_row")
_ROWS_AT_ONCE = 4_000_000


def key(table: Table) -> tuple[str, ...]:
    """The columns that make a row itself; all of them where the contract names no key.

    With history each version is a row, so that the sequence belongs to it.
    """
    if table.history == "scd2":
        return (*table.key, *table.sequence_by)
    return table.key or tuple(column.name for column in table.columns)


def twice(engine: DuckEngine, table: Table, rows: str) -> int:
    """How many keys more than one row of a relation has."""
    keys = ", ".join(map(identifier, key(table)))
    return int(engine.one(f"SELECT count(*) FROM (SELECT 1 FROM {rows} GROUP BY {keys} HAVING count(*) > 1)")[0])


def find_losers(engine: DuckEngine, table: Table, sound: str) -> int:
    """List the rows of `incoming` that lose against another of their key in the temporary table `losers` (_id).

    Only rows for which `sound`, an SQL condition, is true contend. Returns how many lost.
    """
    names = ", ".join(map(identifier, key(table)))
    engine.table("twice", "SELECT 0::UBIGINT AS _hash WHERE false")
    rows = engine.one("SELECT count(*) FROM incoming")[0]
    for part in _parts(table, rows):
        counted = f"SELECT hash({names}) FROM incoming WHERE {sound} AND {part} GROUP BY 1 HAVING count(*) > 1"
        engine.execute(f"INSERT INTO twice {counted}")
    near = f"SELECT rowid AS _id, * FROM incoming WHERE {sound} AND hash({names}) IN (SELECT _hash FROM twice)"
    contenders = engine.table("contenders", near, large=rows > _ROWS_AT_ONCE)
    place = f"row_number() OVER (PARTITION BY {names} ORDER BY {order(table, _EARLIEST)})"
    engine.table("losers", "SELECT _id FROM contenders WHERE false")
    for part in _parts(table, contenders):
        ranked = f"SELECT _id, {place} AS _place FROM contenders WHERE {part}"
        engine.execute(f"INSERT INTO losers SELECT _id FROM ({ranked}) WHERE _place > 1")
    engine.execute("DROP TABLE contenders")  # wide rows, which what follows has no room for
    return int(engine.one("SELECT count(*) FROM losers")[0])


def contest(engine: DuckEngine, table: Table, columns: Mapping[str, str], stored: str) -> tuple[int, int]:
    """Let new rows and stored rows of the same key contend.

    `stored` is a relation of the table's rows with _at and _nth, and of its recorded deletions
    without. New rows that lose leave `incoming`; stored rows that lose are listed in the temporary
    table `superseded` (_at, _nth).
    Returns (stored rows that lost, new rows that lost).
    """
    match = _same_key(table)
    found = engine.table("stored", f"SELECT s.* FROM {stored} s SEMI JOIN incoming i ON {match}")
    if not found:
        engine.table("superseded", "SELECT _at, _nth FROM stored")
        return 0, 0
    names = ", ".join(map(identifier, columns))
    both = (
        f"SELECT {names}, 0 AS _side, rowid AS _id FROM stored UNION ALL "
        f"SELECT {names}, 1, i.rowid FROM incoming i SEMI JOIN stored s ON {match}"
    )
    keys = ", ".join(map(identifier, key(table)))
    place = f"row_number() OVER (PARTITION BY {keys} ORDER BY {order(table, '_side')})"
    engine.table("contest", "SELECT 0 AS _side, rowid AS _id FROM stored WHERE false")
    for part in _parts(table, 2 * found):
        ranked = f"SELECT _side, _id, {place} AS _place FROM (SELECT * FROM ({both}) WHERE {part})"
        engine.execute(f"INSERT INTO contest SELECT _side, _id FROM ({ranked}) WHERE _place > 1")
    engine.execute("DELETE FROM incoming WHERE rowid IN (SELECT _id FROM contest WHERE _side = 1)")
    lost = "SELECT _id FROM contest WHERE _side = 0"
    superseded = engine.table("superseded", f"SELECT _at, _nth FROM stored WHERE _at IS NOT NULL AND rowid IN ({lost})")
    return superseded, int(engine.one("SELECT count(*) FROM contest WHERE _side = 1")[0])


def _parts(table: Table, rows: int) -> list[str]:
    """Conditions that cut rows by their key, so that what is sorted or counted at once stays within memory.

    The engine spills tables and joins to disk, but not all of a large grouping or window.
    """
    count = 1 + rows // _ROWS_AT_ONCE
    if count == 1:
        return ["true"]
    names = ", ".join(map(identifier, key(table)))
    return [f"hash({names}) % {count} = {part}" for part in range(count)]


def set_deletions_aside(engine: DuckEngine, table: Table) -> int:
    """Move the rows that say their key is gone from `incoming` to `deleted`; returns how many."""
    if not table.delete_when:
        return 0
    deleted = engine.table("deleted", f"SELECT * FROM incoming WHERE {table.delete_when}")
    engine.execute(f"DELETE FROM incoming WHERE {table.delete_when}")
    return deleted


def removed_by_deletions(engine: DuckEngine, table: Table) -> int:
    """How many stored rows the rows in `deleted` take away, after a contest."""
    there = "SELECT * FROM stored WHERE _at IS NOT NULL"
    return int(engine.one(f"SELECT count(*) FROM deleted i SEMI JOIN ({there}) s ON {_same_key(table)}")[0])


def _same_key(table: Table) -> str:
    return " AND ".join(f"s.{identifier(name)} IS NOT DISTINCT FROM i.{identifier(name)}" for name in key(table))


_EARLIEST = ", ".join(_ARRIVAL)


def order(table: Table, among_equals: str) -> str:
    """ORDER BY that puts a key's winner first; `among_equals` decides where the content is the same.

    In a batch the earliest of equal rows stands, against the table the stored one, so that nothing
    is rewritten for a difference that no reader can see.
    """
    if not table.key:
        return among_equals
    if not table.sequence_by:
        return ", ".join(f"{name} DESC" for name in _ARRIVAL)
    rest = [column.name for column in table.columns if column.name not in {*table.key, *table.sequence_by}]
    ranks = [f"{identifier(name)} DESC NULLS LAST" for name in table.sequence_by]
    ranks += [f"{_says_gone(table)} DESC"] if table.delete_when else []
    ranks += [f"{identifier(name)} DESC NULLS LAST" for name in rest]
    return ", ".join([*ranks, among_equals])


def _says_gone(table: Table) -> str:
    """SQL that is true for a row that says its key is gone."""
    return f"coalesce(({table.delete_when}), false)"
