"""Bronze rows become incoming rows: typed, checked, one for each key; the others are set aside with their reasons.

Everything happens in temporary tables of the engine: `incoming`, `rejected`, and `deleted` for the
rows that say their key is gone. Nothing is committed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from src import lake
from src.contract import Feed, Table
from src.engine import DuckEngine, identifier
from src.errors import ContractError
from src.outcome import Outcome
from src.silver import history, winners
from src.silver.project import PROVENANCE, REASONS, VALUES, projection, trimmed

_HOUSE = {*PROVENANCE, "_batch", "_reject", "_raw", "_source"}

Source = tuple[Feed, lake.Snapshot, Sequence[lake.DataFile]]  # a feed, its bronze table, the files to read


def compute(engine: DuckEngine, table: Table, sources: Sequence[Source]) -> Outcome:
    """Type, check and deduplicate bronze rows.

    Leaves the rows that pass, one per key and deletions among them, in the temporary table
    `incoming` and the others in `rejected`; returns how many were read, quarantined and duplicates.

    Raises:
        ContractError: the contract does not fit the feed.
    """
    read = _load(engine, table, sources)
    bad = f"SELECT {', '.join(_REJECTED)} FROM incoming WHERE {REASONS} IS NOT NULL"
    quarantined = engine.table("rejected", f"{bad} UNION ALL FROM unsplit")
    duplicates = winners.find_losers(engine, table, f"{REASONS} IS NULL")
    _keep_winners(engine, read)
    return Outcome(read=read, quarantined=quarantined, duplicates=duplicates)


def finish(engine: DuckEngine, table: Table) -> int:
    """After `compute` over all of bronze: what the table holds stays in `incoming`; returns the deletions."""
    deleted = winners.set_deletions_aside(engine, table)
    history.lay_out(engine, table, row_columns(table), None, None)
    return deleted


def columns(table: Table) -> dict[str, str]:
    """The stored columns of a silver table: the contract's, where a row came from, and with history its validity."""
    return row_columns(table) | history.validity(table)


def row_columns(table: Table) -> dict[str, str]:
    """The columns of a row in itself: those of the contract, and where it came from."""
    return {column.name: column.type for column in table.columns} | PROVENANCE


def rehearse(engine: DuckEngine, table: Table, feeds: Mapping[str, lake.Snapshot | None]) -> None:
    """Fit the contract's expressions to the columns that bronze has; reads no row and changes nothing.

    Raises:
        ContractError: one does not fit.
    """
    compute(engine, table, [(feed, bronze, ()) for feed in table.feeds if (bronze := feeds[feed.id])])


# -- the steps


def _load(engine: DuckEngine, table: Table, sources: Sequence[Source]) -> int:
    """Fill `incoming` with typed rows and `unsplit` with the lines no reader could split; returns the rows."""
    # a feed whose files were all empty has shown no column yet
    sources = [source for source in sources if any(name not in _HOUSE for name in source[1].columns)]
    if not sources:
        house = {"_batch": "VARCHAR", REASONS: "VARCHAR[]", VALUES: "VARCHAR"}
        none = (f"NULL::{kind} AS {identifier(name)}" for name, kind in (row_columns(table) | house).items())
        engine.table("incoming", f"SELECT {', '.join(none)} WHERE false")
        engine.table("unsplit", f"SELECT {', '.join(_REJECTED)} FROM incoming")
        return 0
    typed, unsplit = [], []
    large = not engine.has_room_for(sum(file.size for _, _, files in sources for file in files))
    for feed, bronze, files in sources:
        relation = engine.scan(bronze.root, files, bronze.columns, evolved=True)
        names = [name for name in bronze.columns if name not in _HOUSE]
        rows = trimmed(relation, names)
        typed.append(projection(engine, table, rows if table.sql is None else _shaped(engine, table, feed, rows)))
        reason = "['cannot split the line: ' || _reject] AS _reasons, _raw AS _values"
        unsplit.append(f"SELECT {reason}, {', '.join(_REJECTED[2:])} FROM {relation} WHERE _reject IS NOT NULL")
    read = engine.table("incoming", " UNION ALL ".join(typed), large=large)
    return read + engine.table("unsplit", " UNION ALL ".join(unsplit))


_ROWS_TO_DELETE_FROM = 16_000_000  # beyond, the engine's notes of what is deleted, 8 bytes a row, crowd memory
_REJECTED = (REASONS, VALUES, *PROVENANCE, "_batch")


def _keep_winners(engine: DuckEngine, rows: int) -> None:
    """Take the rows that did not pass, and those that lost, out of `incoming`."""
    gone = f"{REASONS} IS NOT NULL OR rowid IN (SELECT _id FROM losers)"
    if rows <= _ROWS_TO_DELETE_FROM:
        engine.execute(f"DELETE FROM incoming WHERE {gone}")
        return
    engine.table("kept", f"FROM incoming WHERE NOT ({gone})", large=True)
    engine.execute("DROP TABLE incoming; ALTER TABLE kept RENAME TO incoming")


def _shaped(engine: DuckEngine, table: Table, feed: Feed, rows: str) -> str:
    """The rows that the sibling SQL makes of a feed's rows.

    They are computed here and now, because the feed's name stands for these rows only until the
    next table reads its own.
    """
    engine.publish(feed.id, rows)
    made = f"made of {feed.id}"
    engine.table(made, _checked_sql(engine, table, feed))
    values = [name for name in engine.columns(f"FROM {identifier(made)}") if name not in _HOUSE]
    record = ", ".join(f"{identifier(name)}: {identifier(name)}" for name in values)
    kept = ", ".join([*map(identifier, values), *PROVENANCE, "_batch"])
    return f"SELECT {kept}, {{{record}}} AS _source FROM {identifier(made)}"


def _checked_sql(engine: DuckEngine, table: Table, feed: Feed) -> str:
    """The sibling SQL, checked: it reads this feed row by row and keeps where each row came from."""
    sql = engine.inline(str(table.sql))
    where = table.path.with_suffix(".sql")
    read = engine.table_references(sql)
    if read != {feed.id} or len(table.feeds) > 1:
        found = ", ".join(sorted(read)) or "nothing"
        raise ContractError(
            f"reads {found}", where=where, fix=f"read the table's one feed, {feed.id}, and nothing else"
        )
    across = engine.looks_across_rows(sql)
    if across:
        fix = "leave it to a gold model: here only the new rows are seen, so the answer would depend on when files came"
        raise ContractError(f"looks across rows: {', '.join(across)}", where=where, fix=fix)
    missing = [name for name in (*PROVENANCE, "_batch") if name not in engine.columns(sql)]
    if missing:
        fix = f"SELECT {', '.join((*PROVENANCE, '_batch'))} too: rows must say where they came from"
        raise ContractError(f"drops {', '.join(missing)}", where=where, fix=fix)
    return sql
