"""A table of very many columns is typed some of them at a time, as the engine's plan takes half a megabyte for each.

Every group of columns becomes a table of the engine. These have the same rows in the same order, which is checked, and
are then laid side by side. Ordinary tables are typed by one statement.

Measured with MEMORY_LIMIT=600MB: 5,000 columns of 1,000 rows, loaded and then corrected, took 720 MB of process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from src.contract import PROVENANCE, Feed, Table
from src.engine import MANY_COLUMNS, DuckEngine, identifier
from src.errors import DataError
from src.silver.batch import Batch
from src.silver.project import REASONS, VALUES, helper_prefix, names_of, projection, reduced, shown_values, trimmed

_COLUMNS_AT_ONCE = 200  # 90 MB
_ROW = ("_file", "_row", "_ingested_at")  # what tells a row of bronze

Scan = Callable[[Sequence[str]], str]  # a relation of bronze rows with these of the file's columns


def is_wide(table: Table) -> bool:
    """Return whether a table has so many columns; one whose rows its own SQL makes is typed by one statement."""
    return len(table.columns) > MANY_COLUMNS and table.sql is None


def typed(engine: DuckEngine, table: Table, feed: Feed, names: Sequence[str], scan: Scan, large: bool) -> str:
    """Return a SELECT of a feed's typed rows without source values, as `projection` gives them; fills its tables.

    `names` are the file's columns, `large` is that of `engine.table`. Only for an engine with one thread: more would
    write the rows in any order.

    Raises:
        ContractError: an expression names a column that is not there, or does not parse.
        DataError: the groups do not have the same rows.
    """
    nth = identifier(f"{helper_prefix(column.name for column in table.columns)}nth")
    tables: list[str] = []
    for start in range(0, len(table.columns), _COLUMNS_AT_ONCE):
        group = table.columns[start : start + _COLUMNS_AT_ONCE]
        part = reduced(engine, table, [column.name for column in group])
        if group[-1] is table.columns[-1]:
            part = _with_sequence(engine, table, part)
        used = names_of(engine, part, names)
        prefix = helper_prefix(used)
        rows = projection(engine, part, trimmed(scan(used), used, feed.null_values), prefix, feed, columns=group)
        kept = ", ".join(identifier(column.name) for column in group)
        kept += f", {', '.join([*PROVENANCE, '_batch'])}" if not tables else ""
        kept += f", hash({', '.join(_ROW)}) AS {nth}, {REASONS}"
        tables.append(Batch.group(len(tables), feed))
        engine.table(tables[-1], f"SELECT {kept} FROM ({rows})", large=large)
    beside = " POSITIONAL JOIN ".join(f"{identifier(name)} g{at}" for at, name in enumerate(tables))
    moved = " OR ".join(f"g0.{nth} IS DISTINCT FROM g{at}.{nth}" for at in range(1, len(tables)))
    if engine.one(f"SELECT count(*) FROM {beside} WHERE {moved}")[0]:
        fix = "nothing was committed; this is a defect of Boathouse: report it with the log"
        raise DataError("groups of columns have their rows in another order", where=table.id, fix=fix)
    reasons = ", ".join(f"g{at}.{REASONS}" for at in range(len(tables)))
    all_reasons = f"CASE WHEN coalesce({reasons}) IS NOT NULL THEN flatten([{reasons}]) END AS {REASONS}"
    columns = ", ".join([*(identifier(column.name) for column in table.columns), *PROVENANCE, "_batch"])
    return f"SELECT {columns}, {all_reasons}, NULL::VARCHAR AS {VALUES} FROM {beside}"


def _with_sequence(engine: DuckEngine, table: Table, part: Table) -> Table:
    """Return a part of a table with what is computed for its sequence, and the columns that this reads."""
    computed = table.sequence_expressions
    read = {name.lower() for text in computed for name in engine.column_names(text)}
    names = {column.name for column in table.columns} & read | {column.name for column in part.columns}
    return replace(reduced(engine, table, names), sequence_by=computed)


def drop(engine: DuckEngine, table: Table, feed: Feed) -> None:
    """Drop the tables that `typed` filled."""
    for at in range(len(range(0, len(table.columns), _COLUMNS_AT_ONCE))):
        engine.execute(f"DROP TABLE {identifier(Batch.group(at, feed))}")


def show_values(engine: DuckEngine, names: Sequence[str], scan: Scan) -> None:
    """Give the rows of a feed in `incoming` that have reasons their source values as JSON text."""
    bad = f"(SELECT DISTINCT {', '.join(_ROW)} FROM {Batch.INCOMING} WHERE {REASONS} IS NOT NULL)"
    if not engine.one(f"SELECT count(*) FROM {bad}")[0]:
        return
    engine.table(
        Batch.SHOWN, f"SELECT {', '.join(_ROW)}, 0 AS part, {VALUES} AS text FROM {Batch.INCOMING} WHERE false"
    )
    for start in range(0, len(names), _COLUMNS_AT_ONCE):
        some = names[start : start + _COLUMNS_AT_ONCE]
        rows = trimmed(f"{scan(some)} SEMI JOIN {bad} b USING ({', '.join(_ROW)})", some)
        text = shown_values(helper_prefix(some))
        engine.execute(f"INSERT INTO {Batch.SHOWN} SELECT {', '.join(_ROW)}, {start}, {text} FROM ({rows})")
    inner = "string_agg(text[2:-2], ',' ORDER BY part) FILTER (WHERE text <> '{}')"
    joined = f"SELECT {', '.join(_ROW)}, concat('{{', {inner}, '}}') AS text FROM {Batch.SHOWN} GROUP BY ALL"
    same = " AND ".join(f"{Batch.INCOMING}.{name} = s.{name}" for name in _ROW)
    engine.execute(f"UPDATE {Batch.INCOMING} SET {VALUES} = s.text FROM ({joined}) s WHERE {same}")
    engine.execute(f"DROP TABLE {Batch.SHOWN}")
