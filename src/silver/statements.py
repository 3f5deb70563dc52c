"""A file is a statement: what it says of a slice is the whole truth about it, until a newer one says something else.

A statement speaks of the slices that its rows name, rejected rows too where these can be read: so no bad file leaves
old rows standing as if nothing had come. One without a row speaks of the slice that its name gives, if it gives one.
Statements are ordered by arrival or by the table's sequence, which is the same for all rows of a file; files of one
place in the sequence are parts of one statement, and of a part that came twice under its path the last arrival counts.
A late, older statement loses whole, also against one without rows: what was ever said is remembered beside the table.

Which statements live follows from what was said alone, not from when it was read: a statement that lost never lives
again. So it is enough to compare the slices that a batch speaks of with what was said of them before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src import lake
from src.checks.outcome import Outcome
from src.contract import Feed, Table
from src.engine import DuckEngine, identifier, literal
from src.silver import winners
from src.silver.batch import Batch
from src.silver.project import REASONS, helper_prefix, projection, reduced, source_column

# What tells a statement from another.
ARRIVAL: dict[str, str] = {"_file": "VARCHAR", "_ingested_at": "TIMESTAMP WITH TIME ZONE"}
_NAMED = 3  # files by name


class Entangled(Exception):
    """A batch changes a part of what is live of a slice: its other rows are to be found in bronze alone."""


@dataclass(frozen=True)
class Earlier:
    """The statements that a table consumed before a batch, a relation; and when the last file without rows came."""

    relation: str
    newest_empty: int  # microseconds since 1970; -1 for none


def columns(engine: DuckEngine, table: Table) -> dict[str, str]:
    """Return the columns by which statements are remembered: those of the slice and the sequence, file and arrival."""
    kinds = {column.name: column.type for column in table.columns}
    names = [*(table.replaces or ()), *table.sequence_columns(engine.column_references)]
    return {name: kinds[name] for name in names} | ARRIVAL


def by_slice(table: Table, one: str, other: str) -> str:
    """Return the SQL condition under which rows of two relations belong to the same slice."""
    same = (f"{one}.{identifier(name)} = {other}.{identifier(name)}" for name in table.replaces or ())
    return " AND ".join(same) or "true"


def find(
    engine: DuckEngine,
    table: Table,
    sources: Sequence[tuple[Feed, lake.Snapshot, Sequence[lake.DataFile]]],
    earlier: Earlier | None,
) -> tuple[str, ...]:
    """List what the files of a batch speak of in `statements`; return a note of empty files that say nothing.

    Reads `incoming` and `unsplit` while they have all rows of the batch.
    """
    names = ", ".join(map(identifier, columns(engine, table)))
    slices = [identifier(name) for name in table.replaces or ()]
    readable = " AND ".join(f"{name} IS NOT NULL" for name in slices) or "true"
    spoken = [f"SELECT DISTINCT {names} FROM {Batch.INCOMING} WHERE {readable}"]
    by_name = table.reads_of_files(table.replaces or (), engine.column_names) <= ARRIVAL.keys()
    silent: list[str] = []
    for feed, bronze, _ in sources:
        empty = _empty_files(engine, bronze, earlier.newest_empty if earlier else -1)
        if by_name:
            arrivals = [f"SELECT DISTINCT _file, _ingested_at FROM {Batch.UNSPLIT}"]
            arrivals += [
                f"SELECT {literal(name)} AS _file, make_timestamptz({moment}) AS _ingested_at" for name, moment in empty
            ]
            spoken.append(f"SELECT {names} FROM ({_by_name(engine, table, feed, arrivals)}) WHERE {readable}")
        else:
            silent += [name for name, _ in empty]
    engine.table(Batch.STATEMENTS, f"SELECT DISTINCT {names} FROM ({' UNION ALL '.join(spoken)})")
    return _note(table, silent)


def contend(engine: DuckEngine, table: Table, earlier: Earlier | None) -> None:
    """Fill `live` with the statements that live, and `touched` with the slices of which a new one speaks.

    `statements` are those of the batch.

    Raises:
        Entangled: what is live of a slice would come from this batch and from stored rows, which do not show it.
    """
    names = ", ".join(map(identifier, columns(engine, table)))
    spoken = f"SELECT {names}, true AS _new FROM {Batch.STATEMENTS}"
    if earlier:
        of_slices = f"SEMI JOIN {Batch.STATEMENTS} s ON {by_slice(table, 'k', 's')}"
        # those of the batch are there too, where a run died after it recorded them
        others = f"ANTI JOIN {Batch.STATEMENTS} b ON k._file = b._file AND k._ingested_at = b._ingested_at"
        spoken += f" UNION ALL SELECT DISTINCT {names}, false FROM {earlier.relation} k {of_slices} {others}"
    if table.history == "scd2":
        _list_every_moment(engine, table, spoken)
    else:
        _list_the_newest(engine, table, spoken)


def list_stale(engine: DuckEngine, table: Table) -> int:
    """List the rows of `incoming` whose statement is not in `live` in `stale` (_id); returns how many."""
    same = f"i._file = l._file AND i._ingested_at = l._ingested_at AND {by_slice(table, 'i', 'l')}"
    live = f"(SELECT * FROM {Batch.LIVE} WHERE _new) l"
    return engine.table(
        Batch.STALE,
        f"SELECT i.rowid AS _id FROM {Batch.INCOMING} i ANTI JOIN {live} ON {same} WHERE i.{REASONS} IS NULL",
    )


def replace_rows(engine: DuckEngine, table: Table, stored: str) -> Outcome:
    """Let the rows of `incoming` take the place of the stored rows of their slices; equal ones stay as they are.

    `stored` is a relation of the table's rows with _at and _nth. Stored rows that a live statement lacks or says
    otherwise are added to `superseded`; new rows that are stored already leave `incoming`.
    Returns how many rows were updated, removed and left unchanged.
    """
    key = winners.key(table)
    match = " AND ".join(f"s.{identifier(name)} IS NOT DISTINCT FROM i.{identifier(name)}" for name in key)
    rest = [identifier(column.name) for column in table.columns if column.name not in key]
    equal = " AND ".join(["i.rowid IS NOT NULL", *(f"s.{name} IS NOT DISTINCT FROM i.{name}" for name in rest)])
    there = f"SELECT s.* FROM {stored} s SEMI JOIN {_replaced()} t ON {by_slice(table, 's', 't')}"
    engine.table(
        Batch.STATED,
        f"SELECT s._at, s._nth, i.rowid AS _id, {equal} AS _equal "
        f"FROM ({there}) s LEFT JOIN {Batch.INCOMING} i ON {match}",
    )
    engine.execute(f"INSERT INTO {Batch.SUPERSEDED} SELECT _at, _nth FROM {Batch.STATED} WHERE NOT _equal")
    engine.execute(f"DELETE FROM {Batch.INCOMING} WHERE rowid IN (SELECT _id FROM {Batch.STATED} WHERE _equal)")
    counts = "count(*) FILTER (WHERE NOT _equal AND _id IS NOT NULL), count(*) FILTER (WHERE _id IS NULL)"
    updated, removed, unchanged = engine.one(f"SELECT {counts}, count(*) FILTER (WHERE _equal) FROM {Batch.STATED}")
    return Outcome(updated=updated, removed=removed, unchanged=unchanged)


def added_to(engine: DuckEngine, table: Table, stored: str) -> str:
    """Return those of the stored rows whose slices are not replaced: new rows of one moment come beside them."""
    if engine.one(f"SELECT bool_and(_replaced) FROM {Batch.TOUCHED}")[0]:
        return f"(SELECT * FROM {stored} WHERE false)"  # as nearly always: nothing of them is read
    return f"(SELECT s.* FROM {stored} s ANTI JOIN {_replaced()} t ON {by_slice(table, 's', 't')})"


def files_that_speak(engine: DuckEngine) -> str:
    """Return the first files of a batch whose statements live, as text."""
    files = engine.values(f"SELECT DISTINCT _file FROM {Batch.LIVE} WHERE _new ORDER BY 1 LIMIT {_NAMED + 1}")
    return ", ".join(files[:_NAMED]) + (", ..." if len(files) > _NAMED else "")


# -- what was said


def _empty_files(engine: DuckEngine, bronze: lake.Snapshot, after: int) -> list[tuple[str, int]]:
    """Return the files without a row that came after a moment, each with its own, in microseconds since 1970."""
    found: set[tuple[str, int]] = set()
    for log in bronze.logs:
        newest = log.progress(lake.NEWEST_EMPTY)
        if newest is None or newest <= after:
            continue
        checkpoint, later = lake.progress_log(log.root, log.version)
        older = engine.values(lake.progress_sql(checkpoint)) if checkpoint else []
        found |= {file for name in (*older, *later) if (file := lake.as_empty_file(name))}
    return sorted((name, moment) for name, moment in found if moment > after)


def _by_name(engine: DuckEngine, table: Table, feed: Feed, arrivals: Iterable[str]) -> str:
    """Return a SELECT of what the names of files say of slice and sequence, whose columns read nothing else."""
    kinds = columns(engine, table)
    names = [name for name in kinds if name not in ARRIVAL]
    files = " UNION ALL ".join(arrivals)
    if not names:
        return files
    part = reduced(engine, table, names)
    prefix = helper_prefix(ARRIVAL)
    source = f"{{'_file': _file}} AS {identifier(source_column(prefix))}"
    rows = f"SELECT _file, 0::BIGINT AS _row, _ingested_at, '' AS _batch, {source} FROM ({files})"
    return projection(engine, part, rows, prefix, feed)


def _note(table: Table, silent: Sequence[str]) -> tuple[str, ...]:
    if not silent:
        return ()
    named = ", ".join(silent[:_NAMED]) + (", ..." if len(silent) > _NAMED else "")
    slices = ", ".join(table.replaces or ())
    have = "has no row and says" if len(silent) == 1 else "have no row and say"
    return (f"{named} {have} nothing: {slices} of `replaces` stand in rows, not in the file's name",)


# -- which of it lives


def _list_the_newest(engine: DuckEngine, table: Table, spoken: str) -> None:
    """Fill `live` with the newest statements of each slice, and `touched` with the slices of those that are new.

    A slice is replaced where nothing that lived before lives still; else new rows come beside the stored ones.
    """
    slices = [identifier(name) for name in table.replaces or ()]
    order = ", ".join(f"{value} DESC NULLS LAST" for value in winners.sequence(table)) or "_ingested_at DESC"
    moment = [*winners.sequence(table), "_file"]

    def lives(*apart: str) -> str:
        among = ", ".join([*slices, *apart])
        newest = f"rank() OVER ({f'PARTITION BY {among} ' if among else ''}ORDER BY {order}) = 1"
        last = (
            f"row_number() OVER (PARTITION BY {', '.join([*slices, *apart, *moment])} ORDER BY _ingested_at DESC) = 1"
        )
        return f"{newest} AND {last}"

    judged = f"SELECT *, {lives()} AS _lives, NOT _new AND {lives('_new')} AS _lived FROM ({spoken})"
    engine.table(Batch.LIVE, f"SELECT * FROM ({judged}) WHERE _lives OR _lived")
    stays, leaves = "bool_or(_lived AND _lives)", "bool_or(_lived AND NOT _lives)"
    select = ", ".join([*slices, f"NOT {stays} AS _replaced", f"{stays} AND {leaves} AS _entangled"])
    engine.table(Batch.TOUCHED, f"SELECT {select} FROM {Batch.LIVE} GROUP BY ALL HAVING bool_or(_new AND _lives)")
    engine.execute(f"DELETE FROM {Batch.LIVE} WHERE NOT _lives")
    if engine.one(f"SELECT count(*) FROM {Batch.TOUCHED} WHERE _entangled")[0]:
        raise Entangled


def _list_every_moment(engine: DuckEngine, table: Table, spoken: str) -> None:
    """Fill `live` with the statements of every moment of each slice, and `touched` with the slices of new ones."""
    slices = [identifier(name) for name in table.replaces or ()]
    moment = identifier(table.sequence_by[0])
    placed = f"SELECT * FROM ({spoken}) WHERE {moment} IS NOT NULL"
    late = f"min({moment}) FILTER (WHERE _new) <= max({moment}) FILTER (WHERE NOT _new)"
    select = ", ".join([*slices, "true AS _replaced", f"coalesce({late}, false) AS _entangled"])
    engine.table(Batch.TOUCHED, f"SELECT {select} FROM ({placed}) GROUP BY ALL HAVING bool_or(_new)")
    last = f"row_number() OVER (PARTITION BY {', '.join([*slices, moment, '_file'])} ORDER BY _ingested_at DESC) = 1"
    engine.table(Batch.LIVE, f"{placed} QUALIFY {last}")
    if engine.one(f"SELECT count(*) FROM {Batch.TOUCHED} WHERE _entangled")[0]:
        raise Entangled


def _replaced() -> str:
    return f"(SELECT * FROM {Batch.TOUCHED} WHERE _replaced)"
