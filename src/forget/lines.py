"""Which lines of bronze are of somebody, by the hashes of what the contracts make of them.

A line is judged as silver would read it: its contract's own expressions turn the texts into values, whatever way these
are spelled, also of lines that are rejected, superseded or deleted. The same question is asked of what lies in bronze
and of what is about to be added to it, so that both get the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from src import lake
from src.contract import PROVENANCE, Contracts, Feed, Table
from src.engine import DuckEngine, identifier, literal
from src.forget.key import hash_sql
from src.project import Project
from src.silver import incoming
from src.silver.project import reduced

PLACE = tuple(PROVENANCE)  # tells one line of bronze from all others
UNSPLIT = ("_reject", "_raw")  # the columns of bronze that a line has which no reader could split
_BETWEEN = r"[^\pL\pN_@.+-]+"  # what stands between two words of such a line
_WHOLE = r"^([0-9]+)\.0+$"  # a whole number as programs write one that may have a fraction
_LINES = "forgotten_lines"

Source = tuple[Feed, lake.Snapshot, Sequence[lake.DataFile]]


def tables_of(contracts: Contracts, feed_id: str) -> list[Table]:
    """Return the silver tables that read a feed."""
    return [table for table in contracts.silver.values() if feed_id in {feed.id for feed in table.feeds}]


def sources_of(project: Project, table: Table) -> list[Source]:
    """Return the feeds of a table that have landed, whole."""
    there = ((feed, project.table(feed.id)) for feed in table.feeds)
    return [(feed, bronze, bronze.files) for feed, bronze in there if bronze]


def hashed(table_id: str, columns: Sequence[str], values: Sequence[str] | None = None) -> str:
    """Return SQL of the keyed hash of what `as_one` makes of a row."""
    return hash_sql(as_one(table_id, columns, values))


def as_one(table_id: str, columns: Sequence[str], values: Sequence[str] | None = None) -> str:
    """Return SQL of a row's values in some columns as one text; NULL where it has none in any of them.

    `values`: SQL of them, where these are not the columns themselves.
    """
    values = values or [identifier(name) for name in columns]
    names = ", ".join(literal(text) for text in (table_id, *columns))
    texts = ", ".join(f"({value})::VARCHAR" for value in values)
    message = f"to_json([{names}, {texts}]::VARCHAR[])::VARCHAR"
    return f"CASE WHEN {' OR '.join(f'({value}) IS NOT NULL' for value in values)} THEN {message} END"


def as_text(columns: Sequence[str]) -> str:
    """Return columns as the records name them."""
    return json.dumps(list(columns))


def typed(engine: DuckEngine, table: Table, source: Source, names: Sequence[str]) -> str | None:
    """Return a SELECT of what a table's contract makes of the lines of a feed: these columns, and where it came from.

    None where the feed never had a line that could be split.
    """
    feed, bronze, files = source
    if not incoming.has_columns(bronze):
        return None
    part = reduced(engine, table, names)
    columns = incoming.columns_of(engine, part, bronze)
    scan = engine.scan(bronze, files, columns, evolved=True)
    rows = incoming.typed_rows(engine, part, feed, columns, scan)
    return f"SELECT {', '.join(map(identifier, (*names, *PLACE)))} FROM ({rows})"


def find(
    engine: DuckEngine,
    contracts: Contracts,
    source: Source,
    claims: Mapping[str, Sequence[Sequence[str]]],
    keys: str,
    into: str = _LINES,
    *,
    by_text: bool = False,
) -> int:
    """Fill the temporary table `into` with where each line came from that a hash is of; returns how many.

    `claims`: by table the columns of hashes; `keys`: a relation of `table`, `columns` and `hash`. `by_text`: it has the
    texts that were hashed too, which takes a fraction of the time.
    """
    one, known = (as_one, "text") if by_text else (hashed, "hash")
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in PROVENANCE.items())
    engine.table(into, f"SELECT {empty} WHERE false")
    made = f"temp.{identifier(into)}"
    for table in tables_of(contracts, source[0].id):
        every = claims.get(table.id, ())
        names = list(dict.fromkeys(name for columns in every for name in columns))
        rows = typed(engine, table, source, names) if names else None
        if rows is None:
            continue
        tests = " OR ".join(
            f'{one(table.id, columns)} IN (SELECT {known} FROM {keys} WHERE "table" = {literal(table.id)} '
            f"AND columns = {literal(as_text(columns))})"
            for columns in every
        )
        same = ", ".join(PLACE)
        engine.insert(into, f"SELECT DISTINCT {same} FROM ({rows}) r WHERE {tests} EXCEPT SELECT {same} FROM {made}")
    if source[0].id in claims:
        add_unsplit(engine, source, keys, into, by_text=by_text)
    return int(engine.one(f"SELECT count(*) FROM {made}")[0])


def add_unsplit(engine: DuckEngine, source: Source, keys: str, into: str, *, by_text: bool = False) -> int:
    """Add the lines that no reader could split, and that hold a value as a word, to those in `into`; returns how many.

    No contract can read such a line, so its text is all there is to judge it by.
    """
    feed, bronze, files = source
    one, known = (as_one, "text") if by_text else (hashed, "hash")
    same = ", ".join(PLACE)
    scan = engine.scan(bronze, files, {name: bronze.columns[name] for name in (*PLACE, *UNSPLIT)}, evolved=True)
    parts = f"unnest(regexp_split_to_array(lower(_raw), {literal(_BETWEEN)})) AS part"
    every = f"SELECT {same}, {parts} FROM {scan} WHERE _reject IS NOT NULL AND _raw IS NOT NULL"
    of_feed = f'"table" = {literal(feed.id)} AND columns = {literal(as_text(UNSPLIT))}'
    test = f"{one(feed.id, UNSPLIT, _as_parts('part'))} IN (SELECT {known} FROM {keys} WHERE {of_feed})"
    made = f"temp.{identifier(into)}"
    return engine.insert(into, f"SELECT DISTINCT {same} FROM ({every}) WHERE {test} EXCEPT SELECT {same} FROM {made}")


def unsplit_texts(feed_id: str, values: Sequence[str]) -> str:
    """Return a SELECT of the texts by which `add_unsplit` knows the values."""
    part = f"unnest({literal([value.lower() for value in values])}::VARCHAR[]) AS part"
    return f"SELECT DISTINCT {as_one(feed_id, UNSPLIT, _as_parts('part'))} AS text FROM (SELECT {part})"


def _as_parts(part: str) -> list[str]:
    """Return SQL of a word as it is compared: without signs around it, a whole number without a fraction of zeros."""
    return ["''", f"regexp_replace(trim({part}, '.+-'), {literal(_WHOLE)}, '\\1')"]


def find_past(
    engine: DuckEngine, table: Table, sources: Sequence[Source], column: str, before: str, feed_id: str, into: str
) -> int:
    """Fill the temporary table `into` with the place of each line of a feed that is past a date; returns how many.

    All lines of a key are past once the newest date that any of them has in `column` is `before` a moment, so that no
    superseded row comes back; lines without a key each by their own. `sources`: all feeds of the table.
    """
    names, key = list(dict.fromkeys([*table.key, column])), ", ".join(map(identifier, table.key))
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in PROVENANCE.items())
    engine.table(into, f"SELECT {empty} WHERE false")
    rows = [(source[0].id, typed(engine, table, source, names)) for source in sources]
    every = " UNION ALL ".join(f"SELECT *, {literal(name)} AS _feed FROM ({sql})" for name, sql in rows if sql)
    if not every:
        return 0
    own = identifier(column)
    of_key = f"max({own}) OVER (PARTITION BY {key})" if key else own
    has_key = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in table.key) or "true"
    newest = f"SELECT *, CASE WHEN {has_key} THEN {of_key} ELSE {own} END AS _newest FROM ({every})"
    past = f"_newest < {literal(before)}::{table.row_columns[column]}"
    return engine.insert(
        into, f"SELECT DISTINCT {', '.join(PLACE)} FROM ({newest}) WHERE _feed = {literal(feed_id)} AND {past}"
    )
