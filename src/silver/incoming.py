"""Bronze rows become incoming rows: typed, checked, one for each key; the others are set aside with their reasons.

Everything happens in temporary tables of the engine: `incoming`, `rejected`, and `deleted` for the
rows that say their key is gone. Nothing is committed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from src import lake
from src.checks import rules
from src.checks.outcome import Outcome
from src.contract import PROVENANCE, Feed, Table
from src.engine import MANY_COLUMNS, DuckEngine, identifier, literal
from src.errors import BoathouseError, ContractError, DataError
from src.silver import groups, history, statements, winners
from src.silver.batch import Batch
from src.silver.project import (
    CODES,
    REASONS,
    VALUES,
    absent,
    doubted,
    helper_prefix,
    names_of,
    projection,
    reduced,
    source_column,
    trimmed,
    trimmed_columns,
)
from src.silver.reasons import Reason

_ADDED = {*PROVENANCE, "_batch", "_reject", "_raw"}  # what bronze adds to a file's columns

Source = tuple[Feed, lake.Snapshot, Sequence[lake.DataFile]]  # a feed, its bronze table, the files to read


def compute(
    engine: DuckEngine, table: Table, sources: Sequence[Source], earlier: statements.Earlier | None = None
) -> Outcome:
    """Return type, check and deduplicate bronze rows.

    Leaves the rows that pass, one per key and deletions among them, in the temporary table
    `incoming` and the others in `rejected`; returns how many were read and quarantined, and lost to another row.
    `earlier`: of a table with `replaces`, what was said before these rows.

    Raises:
        ContractError: the contract does not fit the feed.
    """
    with engine.for_columns(len(table.columns)):
        return _computed(engine, table, sources, earlier)


def _computed(
    engine: DuckEngine, table: Table, sources: Sequence[Source], earlier: statements.Earlier | None
) -> Outcome:
    """Do what `compute` says, with the engine set for the table's number of columns."""
    all_pass = _load_few(engine, table, sources)
    read, has_unsplit = (all_pass, False) if all_pass is not None else load(engine, table, sources)
    notes = tuple[str, ...]()
    if table.replaces is not None:  # while `incoming` has all rows, those that will be rejected too
        notes = statements.find(engine, table, sources, earlier)
        statements.contend(engine, table, earlier)
    outcome = keep_winners(engine, table, read, has_unsplit=has_unsplit, all_pass=all_pass is not None)
    return replace(outcome, notes=notes)


def keep_winners(engine: DuckEngine, table: Table, read: int, *, has_unsplit: bool, all_pass: bool = False) -> Outcome:
    """Leave the rows of `incoming` that pass, one per key, and those with reasons in `rejected`.

    Of a table with `replaces` the statements that live are in `live`. `all_pass`: no row has a reason so far. Returns
    the `read` rows, and how many were quarantined, or lost, and to what.
    """
    if table.on_conflict == "quarantine":
        winners.reject_conflicts(engine, table, REASONS, VALUES)
    judged = None if all_pass and table.on_conflict != "quarantine" else Batch.INCOMING
    quarantined = reject(engine, judged, has_unsplit=has_unsplit)
    sound, stale = f"{REASONS} IS NULL", 0
    if table.replaces is not None:
        stale = statements.list_stale(engine, table)
        sound += f" AND rowid NOT IN (SELECT _id FROM {Batch.STALE})" if stale else ""
    lost, are_listed = winners.find_losers(engine, table, sound, read)
    _take_out(engine, read, rejected=quarantined, lost=are_listed, stale=stale)
    return replace(lost, read=read, quarantined=quarantined, superseded=lost.superseded + stale)


def finish(engine: DuckEngine, table: Table) -> Outcome:
    """Lay out `incoming`, computed over all of bronze, as the table will hold it.

    Returns how many deletions were set aside, and how many rows say what the version before them said.
    """
    deleted = winners.set_deletions_aside(engine, table)
    if table.replaces is not None:
        return history.lay_out_statements(engine, table, None)
    history.lay_out(engine, table, table.row_columns, None, None)
    return Outcome(deleted=deleted)


def read_rows(engine: DuckEngine, sources: Sequence[Source]) -> str:
    """Return a relation of the bronze rows of these sources: where each came from."""
    scans = (engine.scan(bronze, files, evolved=True) for _, bronze, files in sources)
    return "(" + " UNION ALL ".join(f"SELECT {', '.join(PROVENANCE)} FROM {scan}" for scan in scans) + ")"


def words_of_engine(engine: DuckEngine, table: Table, sources: Sequence[Source], reason: Reason) -> str | None:
    """Return what the engine says of an expression that gives nothing for a row; None where it has nothing to say."""
    expression = next((column.expression for column in table.columns if column.name == reason.column), None)
    if not expression:
        return None
    for feed, bronze, files in sources:
        columns = columns_of(engine, table, bronze)
        scan = engine.scan(bronze, files, columns, evolved=True)
        row = f"(SELECT * FROM {scan} WHERE _file = {literal(reason.file)} AND _row = {reason.row})"
        try:
            part = reduced(engine, table, [reason.column]) if groups.is_wide(table) else table
            engine.rows(typed_rows(engine, part, feed, columns, row, reason.column))
        except BoathouseError as error:
            return f"{error.what}, in `{expression}`"
    return None


def rehearse(engine: DuckEngine, table: Table, feeds: Mapping[str, lake.Snapshot | None]) -> None:
    """Fit the contract's expressions to the columns that bronze has; reads no row and changes nothing.

    Raises:
        ContractError: one does not fit.
    """
    compute(engine, table, [(feed, bronze, ()) for feed in table.feeds if (bronze := feeds[feed.id])])


# -- the steps


def reject(engine: DuckEngine, judged: str | None, *, has_unsplit: bool) -> int:
    """Fill `rejected` with the judged rows that have reasons and the rows of `unsplit`, if there is one.

    Returns how many they are. `judged` is None where all rows pass.
    """
    if judged is None:
        return engine.table(Batch.REJECTED, _no_rejects())
    bad = f"SELECT {', '.join(_REJECTED)} FROM {judged} WHERE {REASONS} IS NOT NULL"
    split = f"SELECT * REPLACE (list_transform({REASONS}, lambda r: r.reason) AS {REASONS}), "
    split += f"list_transform({REASONS}, lambda r: r.code) AS {CODES}"
    bad += f" UNION ALL FROM {Batch.UNSPLIT}" if has_unsplit else ""
    return engine.table(Batch.REJECTED, f"{split} FROM ({bad})")


def find_unsplit(engine: DuckEngine, sources: Sequence[Source]) -> int:
    """Fill `unsplit` with the lines no reader could split; returns how many they are."""
    kinds = {REASONS: rules.CODED, VALUES: "VARCHAR", **PROVENANCE, "_batch": "VARCHAR"}
    unsplit = [f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in kinds.items())} WHERE false"]
    for feed, bronze, files in sources:
        what = "cannot read the row: " if feed.format in ("xlsx", "xml", "avro", "orc") else "cannot split the line: "
        reasons = f"[{rules.coded('line', f'{literal(what)} || _reject')}] AS {REASONS}, _raw AS {VALUES}"
        relation = engine.scan(bronze, files, evolved=True)
        unsplit.append(f"SELECT {reasons}, {', '.join(_REJECTED[2:])} FROM {relation} WHERE _reject IS NOT NULL")
    return engine.table(Batch.UNSPLIT, " UNION ALL ".join(unsplit))


def has_columns(bronze: lake.Snapshot) -> bool:
    """Return whether a file of a feed had columns; one of rejects alone has none."""
    return any(name not in _ADDED for name in bronze.columns)


def stored(table: Table, relation: str) -> str:
    """Return a SELECT of the columns that a table stores."""
    return f"SELECT {', '.join(map(identifier, table.stored_columns))} FROM {relation}"


_FEW_ROWS = 5_000  # of them a statement's text takes longer to plan than their values to judge


def _load_few(engine: DuckEngine, table: Table, sources: Sequence[Source]) -> int | None:
    """Fill `incoming` with few rows that all pass, and return how many; None where there are more, or a doubt.

    Most small loads have no row that fails: so that is all they are asked first.
    """
    landed = _landed(sources)
    alike = not groups.is_wide(table) and table.sql is None and table.replaces is None
    if not (landed and landed <= _FEW_ROWS and alike and all(has_columns(bronze) for _, bronze, _ in sources)):
        return None
    typed = []
    with suppress(ContractError, DataError):  # which is said of the statement that judges
        for feed, bronze, files in sources:
            columns = columns_of(engine, table, bronze)
            names = names_read(engine, table, columns)
            rows = trimmed(engine.scan(bronze, files, columns, evolved=True), names, feed.null_values, brief=True)
            typed.append(doubted(engine, table, rows, helper_prefix(names), feed, kinds_read(columns, names)))
        read = engine.table(Batch.INCOMING, " UNION ALL ".join(typed))
        if read == landed and not engine.one(f"SELECT count({REASONS}) FROM {Batch.INCOMING}")[0]:
            return read
    return None


def load(engine: DuckEngine, table: Table, sources: Sequence[Source]) -> tuple[int, bool]:
    """Fill `incoming` with typed rows and `unsplit` with the lines no reader could split; returns the rows.

    Returns also whether there is an `unsplit`: of most tables it is not made where it would have no row.

    Raises:
        DataError: not every row of bronze was seen.
    """
    typed = []
    large = not engine.has_room_for(sum(file.size for _, _, files in sources for file in files))
    wide: list[tuple[Feed, list[str], groups.Scan]] = []
    for feed, bronze, files in sources:
        if not has_columns(bronze):
            continue
        columns = columns_of(engine, table, bronze)
        if groups.is_wide(table):
            names = names_read(engine, table, columns)
            scan: groups.Scan = partial(_scan, engine, bronze, files, columns)
            typed.append(groups.typed(engine, table, feed, names, scan, large))
            wide.append((feed, names, scan))
        else:
            relation = engine.scan(bronze, files, columns, evolved=True)
            typed.append(typed_rows(engine, table, feed, columns, relation))
    read = engine.table(Batch.INCOMING, " UNION ALL ".join(typed or [no_rows(table)]), large=large)
    for feed, names, scan in wide:
        groups.drop(engine, table, feed)
        groups.show_values(engine, names, scan)
    # where every row of bronze is a typed one already, no line is left that could not be split
    none = table.sql is None and read == _landed(sources)
    if none and table.replaces is None:
        return read, False
    read += find_unsplit(engine, () if none else sources)
    if table.sql is None:  # which may make other rows of a row
        conserve(table, sources, read)
    return read, True


def typed_rows(
    engine: DuckEngine, table: Table, feed: Feed, columns: Mapping[str, str], relation: str, untried: str = ""
) -> str:
    """Return a SELECT of the typed rows of a relation of bronze rows, whose columns are given."""
    names = names_read(engine, table, columns)
    rows, prefix = trimmed(relation, names, feed.null_values), helper_prefix(names)
    if table.sql is not None:
        rows, prefix = _shaped(engine, table, feed, rows, source_column(prefix))
        return projection(engine, table, rows, prefix, feed, untried)
    return projection(engine, table, rows, prefix, feed, untried, kinds=kinds_read(columns, names))


def columns_of(engine: DuckEngine, table: Table, bronze: lake.Snapshot) -> dict[str, str]:
    """Return the columns of bronze, and those that may be absent: of a file without them they are NULL."""
    columns = bronze.columns
    if not any(column.optional for column in table.columns):
        return columns
    return columns | dict.fromkeys(absent(engine, table, columns), "VARCHAR")


def names_read(engine: DuckEngine, table: Table, columns: Iterable[str]) -> list[str]:
    """Return the file's columns that are read."""
    names = [name for name in columns if name not in _ADDED]
    if len(names) > MANY_COLUMNS and table.sql is None:
        return names_of(engine, table, names)  # the others are in bronze: here each would take memory at every step
    return names


def kinds_read(columns: Mapping[str, str], names: Sequence[str]) -> dict[str, str] | None:
    """Return the types of these of bronze's columns as they are read; None where they are to be asked for."""
    return trimmed_columns(names) if all(columns[name] == "VARCHAR" for name in names) else None


def _scan(
    engine: DuckEngine,
    bronze: lake.Snapshot,
    files: Sequence[lake.DataFile],
    kinds: Mapping[str, str],
    names: Sequence[str],
) -> str:
    """Return a relation of bronze rows with these of the file's columns."""
    wanted = {*names, *_ADDED}
    columns = {name: kind for name, kind in kinds.items() if name in wanted}
    return engine.scan(bronze, files, columns, evolved=True)


def no_rows(table: Table) -> str:
    """Return a SELECT of typed rows, as judged, without a row."""
    kinds = table.row_columns | {"_batch": "VARCHAR", REASONS: rules.CODED, VALUES: "VARCHAR"}
    return f"SELECT {', '.join(f'NULL::{kind} AS {identifier(name)}' for name, kind in kinds.items())} WHERE false"


def conserve(table: Table, sources: Sequence[Source], read: int) -> None:
    """Refuse to go on where fewer or more rows were read than the log of bronze says there are.

    Raises:
        DataError: naming both counts.
    """
    landed = _landed(sources)
    if landed is not None and read != landed:
        fix = "nothing was committed; this is a defect of Boathouse: report it with the log"
        raise DataError(f"bronze has {landed} rows, but {read} were read", where=table.id, fix=fix)


def _landed(sources: Sequence[Source]) -> int | None:
    """Return how many rows the log of bronze says there are; None where it does not: another engine need not."""
    files = [file for _, _, files in sources for file in files]
    return sum(file.rows for file in files) if all(file.rows for file in files) else None


_ROWS_TO_DELETE_FROM = 16_000_000  # beyond, the engine's notes of what is deleted, 8 bytes a row, crowd memory
_REJECTED = (REASONS, VALUES, *PROVENANCE, "_batch")


def _no_rejects() -> str:
    kinds = {REASONS: "VARCHAR[]", VALUES: "VARCHAR", **PROVENANCE, "_batch": "VARCHAR", CODES: "VARCHAR[]"}
    return f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in kinds.items())} WHERE false"


def _take_out(engine: DuckEngine, rows: int, *, rejected: int, lost: bool, stale: int) -> None:
    """Take the rows that did not pass, and those that lost, alone or with their statement, out of `incoming`."""
    leaving = [f"{REASONS} IS NOT NULL"] if rejected else []
    leaving += [f"rowid IN (SELECT _id FROM {Batch.LOSERS})"] if lost else []
    leaving += [f"rowid IN (SELECT _id FROM {Batch.STALE})"] if stale else []
    if not leaving:
        return
    gone = " OR ".join(leaving)
    if rows <= _ROWS_TO_DELETE_FROM:
        engine.execute(f"DELETE FROM {Batch.INCOMING} WHERE {gone}")
        return
    engine.table(Batch.KEPT, f"FROM {Batch.INCOMING} WHERE NOT ({gone})", large=True)
    engine.execute(f"DROP TABLE {Batch.INCOMING}; ALTER TABLE {Batch.KEPT} RENAME TO {Batch.INCOMING}")


def _shaped(engine: DuckEngine, table: Table, feed: Feed, rows: str, as_they_were: str) -> tuple[str, str]:
    """Return the rows that the sibling SQL makes of a feed's rows, and the prefix of the helper columns beside them.

    `as_they_were` is the column of the feed's rows that holds their source values: here they are those that the SQL
    made.

    They are computed here and now, because the feed's name stands for these rows only until the
    next table reads its own.
    """
    engine.publish(feed.id, rows)
    made = Batch.made_of(feed)
    engine.table(made, _checked_sql(engine, table, feed))
    values = [name for name in engine.columns(f"FROM {identifier(made)}") if name not in {*_ADDED, as_they_were}]
    prefix = helper_prefix(values)
    record = ", ".join(f"{identifier(name)}: {identifier(name)}" for name in values)
    kept = ", ".join([*map(identifier, values), *PROVENANCE, "_batch"])
    source = identifier(source_column(prefix))
    return f"SELECT {kept}, {{{record}}} AS {source} FROM {identifier(made)}", prefix


def _checked_sql(engine: DuckEngine, table: Table, feed: Feed) -> str:
    """Return the sibling SQL, checked: it reads this feed row by row and keeps where each row came from."""
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
    missing = [name for name in (*PROVENANCE, "_batch") if name not in engine.columns_in(sql, where)]
    if missing:
        fix = f"SELECT {', '.join((*PROVENANCE, '_batch'))} too: rows must say where they came from"
        raise ContractError(f"drops {', '.join(missing)}", where=where, fix=fix)
    return sql
