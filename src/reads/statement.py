"""What a SELECT reads: the stored tables below it and their columns, through views, from the parsed statement."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.engine import DuckEngine, pattern, quoted
from src.errors import BoathouseError
from src.reads.record import Reading

if TYPE_CHECKING:
    from src.proof.columns import Origin, Reference

_NAME = re.compile(r"\w+(\.\w+)*")


@dataclass(frozen=True)
class Readable:
    """The tables that a statement may read: the columns of those that are stored, the SELECTs of the views."""

    tables: Mapping[str, Collection[str]]
    views: Mapping[str, str]
    bytes: int  # of the tables' files, in the versions that are read


def begin(reading: Reading, engine: DuckEngine, sql: str) -> None:
    """Say of a statement what is known before anything is looked up: its pattern, and the tables that it names."""
    reading.pattern, reading.hidden = pattern(sql), quoted(sql)
    try:
        named = engine.table_references(sql)
    except BoathouseError:
        return  # it does not parse, which whoever runs it tells
    for table in named:
        if _NAME.fullmatch(table):  # anything else stands in quotes
            reading.of_table(table, ())


def complete(reading: Reading, engine: DuckEngine, sql: str, readable: Readable) -> None:
    """Say of a statement which columns of which stored tables it reads."""
    reading.columns = {table: tuple(sorted(names)) for table, names in columns_of(engine, sql, readable).items()}
    reading.pattern = pattern(sql, {name for names in readable.tables.values() for name in names})
    reading.bytes = readable.bytes


def columns_of(engine: DuckEngine, sql: str, readable: Readable) -> dict[str, set[str]]:
    """Return the columns that a SELECT reads, by table; `*` reads all, and a count of rows reads none."""
    found: dict[str, set[str]] = {table: set() for table in readable.tables}
    origins: dict[str, Mapping[str, Origin]] = {}
    for view, select in readable.views.items():  # each after those that it reads
        origins[view] = _origins(engine, select, readable, origins)
    for table, column in _stored(_references(_origins(engine, sql, readable, origins)), origins):
        if table in readable.tables:
            names = readable.tables[table]
            found[table] |= set(names) if column is None else {column} & set(names)
    return found


def _origins(
    engine: DuckEngine, sql: str, readable: Readable, views: Mapping[str, Mapping[str, Origin]]
) -> Mapping[str, Origin]:
    """Return the origins of a SELECT's columns; of any column of all tables where it cannot be walked."""
    from src.proof.columns import Origin, column_origins  # where somebody reads, and not in a run: importing takes time

    known = {**readable.tables, **{view: [name for name in found if name != "*"] for view, found in views.items()}}
    try:
        return column_origins(engine, sql, known, ordering=True)
    except BoathouseError:
        return {"*": Origin(frozenset((table, None) for table in known))}


def _references(origins: Mapping[str, Origin]) -> set[Reference]:
    return {reference for origin in origins.values() for reference in origin.all}


def _stored(references: Iterable[Reference], views: Mapping[str, Mapping[str, Origin]]) -> set[Reference]:
    """Return the columns of stored tables that these references lead to."""
    found: set[Reference] = set()
    for table, column in references:
        if table not in views:
            found.add((table, column))
            continue
        below = views[table]
        named = [below[column.lower()]] if column is not None and column.lower() in below else list(below.values())
        for origin in named:
            found |= _stored(origin.all, views)
    return found
