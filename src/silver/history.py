"""SCD2: every version of a key is kept, valid from its own moment until the next, whatever order they came in.

A version is a key at one value of the sequence. The rows of a key change each other's validity, so
all stored versions of a key that got a new one are laid out again beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.silver import statements, winners
from src.silver.batch import Batch


def lay_out(
    engine: DuckEngine, table: Table, columns: Mapping[str, str], stored: str | None, deletions: str | None
) -> int:
    """Give the versions in `incoming` their validity, together with the stored versions of their keys.

    `columns` are those without validity; `stored` is a relation of the table with _at and _nth,
    `deletions` one of its recorded deletions. Stored versions that move in are added to
    `superseded`; returns how many. A deletion ends the version before it and has none of its own.
    """
    if table.history != "scd2":
        return 0
    key = ", ".join(map(identifier, table.key))
    names = ", ".join(map(identifier, columns))
    gone = f"SELECT {names} FROM {Batch.DELETED if table.delete_when else f'{Batch.INCOMING} WHERE false'}"
    affected = f"(SELECT DISTINCT {key} FROM (SELECT {key} FROM {Batch.INCOMING} UNION ALL SELECT {key} FROM ({gone})))"
    moved = 0
    if stored:
        there = f"SELECT * FROM {stored} s SEMI JOIN {affected} a USING ({key})"
        moved = engine.table(
            Batch.NEIGHBOURS, f"SELECT * FROM ({there}) n ANTI JOIN {Batch.SUPERSEDED} USING (_at, _nth)"
        )
        engine.execute(f"INSERT INTO {Batch.SUPERSEDED} SELECT _at, _nth FROM {Batch.NEIGHBOURS}")
    if deletions:
        gone += f" UNION ALL SELECT {names} FROM {deletions} d SEMI JOIN {affected} a USING ({key})"
    versions = f"SELECT {names}, false AS _gone FROM {Batch.INCOMING} UNION ALL SELECT {names}, true FROM ({gone})"
    if stored:
        versions += f" UNION ALL SELECT {names}, false FROM {Batch.NEIGHBOURS}"
    moment = identifier(table.sequence_by[0])
    one = f"QUALIFY row_number() OVER (PARTITION BY {key}, {moment} ORDER BY {winners.order(table, '_gone')}) = 1"
    following = f"lead({moment}) OVER (PARTITION BY {key} ORDER BY {moment})"
    laid = f"SELECT *, {moment} AS _valid_from, {following} AS _valid_to FROM (SELECT * FROM ({versions}) {one})"
    engine.table(
        Batch.INCOMING, f"SELECT * EXCLUDE (_gone), _valid_to IS NULL AS _is_current FROM ({laid}) WHERE NOT _gone"
    )
    return moved


def lay_out_statements(engine: DuckEngine, table: Table, stored: str | None) -> Outcome:
    """Make versions of the rows in `incoming`: a key has a new one where a statement of its slice says something else.

    A version holds from the moment of the first statement that says it until that of the next one of the slice that
    says something else, or nothing. `stored` is a relation of the table with _at and _nth: of the slices in `touched`
    its current rows are what the last statement before said, and those that end are added to `superseded`. Returns how
    many rows of `incoming` say what was said before, and how many keys ended without a version after.
    """
    if table.history != "scd2":
        return Outcome()
    moment, slices = identifier(table.sequence_by[0]), [identifier(name) for name in table.replaces or ()]
    key, names = [identifier(name) for name in table.key], ", ".join(map(identifier, table.row_columns))
    rows = int(engine.one(f"SELECT count(*) FROM {Batch.INCOMING}")[0])
    by = f"PARTITION BY {', '.join(slices)}" if slices else ""
    spoken = f"SELECT DISTINCT {', '.join([*slices, moment])} FROM {Batch.LIVE} WHERE _new"
    engine.table(Batch.MOMENTS, f"SELECT *, row_number() OVER ({by} ORDER BY {moment}) AS _place FROM ({spoken})")
    there = f"SELECT s.* FROM {stored} s SEMI JOIN {Batch.TOUCHED} t ON {statements.by_slice(table, 's', 't')}"
    none = f"SELECT *, NULL::VARCHAR AS _at, NULL::BIGINT AS _nth FROM {Batch.INCOMING} WHERE false"
    before = engine.table(Batch.NEIGHBOURS, f"{there} WHERE s._is_current" if stored else none)
    content = [identifier(c.name) for c in table.columns if c.name not in {*table.key, *table.sequence_by}]
    meaning = f"hash({', '.join(content)})" if content else "0::UBIGINT"
    keys = ", ".join(key)
    same = f"i.{moment} = m.{moment} AND {statements.by_slice(table, 'i', 'm')}"
    engine.table(
        Batch.PLACED,
        f"SELECT {keys}, {meaning} AS _content, 0 AS _place, false AS _new, rowid AS _id FROM {Batch.NEIGHBOURS} "
        f"UNION ALL SELECT {', '.join(f'i.{name}' for name in key)}, {meaning}, m._place, true, i.rowid "
        f"FROM {Batch.INCOMING} i JOIN {Batch.MOMENTS} m ON {same}",
    )
    alone = f"OVER (PARTITION BY {keys} ORDER BY _place)"
    begins = f"lag(_place) {alone} IS DISTINCT FROM _place - 1 OR lag(_content) {alone} <> _content"
    first = "arg_min(_new, _place) AS _new, arg_min(_id, _place) AS _id, max(_place) AS _last"
    engine.table(
        Batch.VERSIONS,
        f"SELECT {keys}, 0::HUGEINT AS _version, {first} FROM {Batch.PLACED} WHERE false GROUP BY ALL",
    )
    for part in winners.parts(table.key, rows + before):
        marked = f"SELECT *, {begins} AS _begins FROM {Batch.PLACED} WHERE {part}"
        counted = f"SELECT *, sum(_begins::INTEGER) {alone} AS _version FROM ({marked})"
        engine.execute(f"INSERT INTO {Batch.VERSIONS} SELECT {keys}, _version, {first} FROM ({counted}) GROUP BY ALL")
    ended = f"v._last + 1 = m._place AND {statements.by_slice(table, 'v', 'm')}"
    versions = f"(SELECT v.*, m.{moment} AS _until FROM {Batch.VERSIONS} v LEFT JOIN {Batch.MOMENTS} m ON {ended})"
    lost = f"SELECT 1 FROM {versions} GROUP BY {keys} HAVING bool_or(NOT _new) AND NOT bool_or(_until IS NULL)"
    removed = int(engine.one(f"SELECT count(*) FROM ({lost})")[0])
    closed = f"{Batch.NEIGHBOURS} n JOIN {versions} v ON n.rowid = v._id WHERE NOT v._new AND v._until IS NOT NULL"
    if stored:
        engine.execute(f"INSERT INTO {Batch.SUPERSEDED} SELECT n._at, n._nth FROM {closed}")
    laid = (
        f"SELECT {names}, {moment} AS _valid_from, _until AS _valid_to, _until IS NULL AS _is_current "
        f"FROM (SELECT i.*, v._until FROM {Batch.INCOMING} i JOIN {versions} v ON i.rowid = v._id WHERE v._new)"
    )
    if stored:
        laid += f" UNION ALL SELECT {names}, _valid_from, _until, false FROM (SELECT n.*, v._until FROM {closed})"
    began = int(engine.one(f"SELECT count(*) FROM {Batch.VERSIONS} WHERE _new")[0])
    engine.table(Batch.INCOMING, laid)
    return Outcome(unchanged=rows - began, removed=removed)
