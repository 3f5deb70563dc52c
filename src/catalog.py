"""Any table of any layer, read-only, by its name layer.domain.table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from src import console, lake, reads, store
from src.engine import DuckEngine
from src.errors import BoathouseError, ContractError, DataError, UsageError, nearest
from src.reads import Readable, Reading
from src.views import VIEWS

RUNS = "ops.pipeline_runs"  # every lake has it, and an upgrade begins with it
RECORDS = "ops"  # of what was done; without any other table they are no lake
MODELS = "models"  # trained models, a row for each version
LAYERS = ("bronze", "silver", "gold", "quarantine", "deletions", "statements", MODELS, RECORDS)

# Returns the SELECT list by which a person reads a table, given its name and its columns with their types.
SelectOf = Callable[[str, Mapping[str, str]], str]


def as_it_is(table: str, columns: Mapping[str, str]) -> str:
    """Return the SELECT list of whoever reads a table as it is: the pipeline, and what only counts."""
    return "*"


def tables(data: Path) -> dict[str, Path]:
    """Return the folder of every table on disk, by table id; a table's own folders are not looked into."""
    return lake.listed(data, lambda: dict(one for layer in LAYERS for one in _below(layer, data / layer)))


def _below(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the tables at and below a folder; one that is a table is not listed: it may hold many files."""
    if lake.is_table(folder):
        yield name, folder
        return
    try:
        inside = store.folders_in(folder)
    except OSError:
        return  # as `os.walk` has it: what cannot be listed holds no table
    for each in inside:
        yield from _below(f"{name}.{each}", folder / each)


def holding(data: Path) -> list[str]:
    """Return the ids of the tables that make a folder a lake: all but the records under ops."""
    return [name for name in tables(data) if not name.startswith(f"{RECORDS}.")]


def is_released(name: str) -> bool:
    """Return whether readers see a table as a release has it; records and trained models are read at their newest."""
    return not name.startswith((f"{RECORDS}.", f"{MODELS}."))


def views(there: Collection[str]) -> dict[str, str]:
    """Return the SELECT of every view whose tables are there, by its name; a table of that name is no view."""
    found: dict[str, str] = {}
    for view in VIEWS:
        sql = view.select({*there, *found})
        if sql is not None and view.name not in there:
            found[view.name] = sql
    return found


def described(name: str) -> str:
    """Return what a row of a view is, in a sentence; "" of what is none."""
    return next((view.description for view in VIEWS if view.name == name), "")


def readable(data: Path) -> list[str]:
    """Return every name that a person can read: the tables, then the views over them."""
    known = _known(data)
    return [*known, *views(known)]


def _known(data: Path) -> dict[str, Path]:
    """Return the folder of every table that can be read; what was read is there before it is stored."""
    known = tables(data)
    return known | {reads.TABLE: lake.table_path(data, reads.TABLE)} if reads.are_spooled(data) else known


def refuse_newer(data: Path) -> None:
    """Refuse a lake that a later release wrote or upgraded, before anything else is made of it.

    Raises:
        NewerFormat: naming the release that reads it.
    """
    lake.recall(data)  # here, as whoever opens a table of the lake has asked this
    try:
        lake.open_table(lake.table_path(data, RUNS))
    except lake.NewerFormat:
        raise
    except BoathouseError:
        return  # damage is for those who read the table: `make check` tells it and `make repair` takes it away


def gains_columns(name: str) -> bool:
    """Return whether a table gains columns as time goes on, which its older files do not have."""
    return name.startswith(("bronze.", "quarantine.", f"{MODELS}.", f"{RECORDS}."))


def publish(
    engine: DuckEngine,
    roots: Mapping[str, Path],
    versions: Mapping[str, int] | None = None,
    select: SelectOf = as_it_is,
) -> dict[str, lake.Snapshot]:
    """Make these tables readable by name, at the versions given, else at their newest; returns those that are there."""
    there = {}
    for name, root in roots.items():
        snapshot = lake.open_table(root, (versions or {}).get(name))
        if snapshot:
            scan = engine.scan(snapshot, evolved=gains_columns(name))
            engine.publish(name, f"SELECT {select(name, snapshot.columns)} FROM {scan}")
            there[name] = snapshot
    return there


def publish_named(
    engine: DuckEngine,
    data: Path,
    names: Iterable[str],
    versions: Mapping[str, int] | None = None,
    select: SelectOf = as_it_is,
) -> Readable:
    """Make the tables and views of these names readable, each view with all that it reads; see `publish`.

    Raises:
        UsageError: one is not there.
    """
    known = _known(data)
    selects = views(known)
    wanted = set(names)
    if unknown := sorted(wanted - known.keys() - selects.keys()):
        raise unknown_table(unknown, [*known, *selects])
    wanted |= _below_views(engine, wanted, selects)
    roots = {name: known[name] for name in sorted(wanted & known.keys())}
    found = publish(engine, {name: root for name, root in roots.items() if name != reads.TABLE}, versions, select)
    columns = {name: tuple(snapshot.columns) for name, snapshot in found.items()}
    if reads.TABLE in roots:
        reads.publish(engine, data)
        columns[reads.TABLE] = tuple(reads.COLUMNS)
    for name, sql in (selects := {name: sql for name, sql in selects.items() if name in wanted}).items():
        engine.publish(name, sql)  # each after those that it reads
    return Readable(columns, selects, sum(snapshot.size for snapshot in found.values()))


def _below_views(engine: DuckEngine, names: Iterable[str], selects: Mapping[str, str]) -> set[str]:
    """Return every table and view that the views among these names read, directly or through another."""
    found: set[str] = set()
    for name in names:
        if name in selects:
            read = engine.table_references(selects[name])
            found |= read | _below_views(engine, read, selects)
    return found


def show(
    engine: DuckEngine,
    data: Path,
    sql: str,
    form: str,
    versions: Mapping[str, int],
    out: TextIO | None = None,
    most: int | None = None,
    reading: Reading | None = None,
    select: SelectOf = as_it_is,
) -> int:
    """Run a SELECT and print it as table, csv or json: all its rows, or at most so many; return how many were left out.

    Tables are read at `versions`, those of one release, so that a run going on is not seen half-way. The statement
    sees nothing else: no other file, no network, no setting.

    Raises:
        UsageError: it names a table or column that is not there.
        ContractError: it is not one SELECT.
        MachineError: the result cannot be written.
    """
    reading = reading or Reading()
    prepare(engine, data, sql, versions, reading=reading, select=select)
    with telling(sql):
        headers, left = list(engine.columns(sql)), 0
        if most is None:
            rows = engine.rows(sql)
        else:
            whole = f"({engine.inline(sql)})"
            rows = engine.rows(f"SELECT * FROM {whole} LIMIT {most + 1}")
            if len(rows) > most:
                rows, left = rows[:most], int(engine.one(f"SELECT count(*) FROM {whole}")[0]) - most
    reading.rows = len(rows)
    console.write_data(partial(_print, headers, rows, form), out)
    return left


def prepare(
    engine: DuckEngine,
    data: Path,
    sql: str,
    versions: Mapping[str, int],
    output: Path | None = None,
    reading: Reading | None = None,
    *,
    select: SelectOf = as_it_is,
) -> None:
    """Make the tables that a SELECT names readable, and nothing else; `output` is a file that may be written.

    `reading` is given what the statement reads, as far as that is known. `select`: how the person who asks reads a
    table; where that is not as it is, no other way leads to its files.

    Raises:
        UsageError: it names a table that is not there.
        ContractError: it is not one SELECT.
    """
    if not sql.strip():
        fix = f'make query SQL="SELECT * FROM layer.domain.table"; {_there(readable(data))}'
        raise UsageError("no SQL", fix=fix)
    reading = reading or Reading()
    reads.begin(reading, engine, sql)
    if select is not as_it_is:
        refuse_outside(engine, sql)
    readable_now = publish_named(engine, data, engine.table_references(sql), versions, select)
    reads.complete(reading, engine, sql, readable_now)
    engine.confine(output)


def refuse_outside(engine: DuckEngine, sql: str) -> None:
    """Refuse a SELECT that looks at files, settings or other statements in place of tables.

    Raises:
        UsageError: naming the calls.
    """
    if sql.strip() and (calls := engine.looks_outside(sql)):
        fix = "name a table as layer.domain.table: a query reads the tables of the lake and nothing else"
        raise UsageError(f"{', '.join(calls)} in a query", fix=fix)


@contextmanager
def telling(sql: str) -> Iterator[None]:
    """Raise what a person's SELECT does wrong within a with-block as an error that shows it."""
    try:
        yield
    except ContractError as error:
        raise UsageError(error.what, where=sql, fix=error.fix) from error
    except DataError as error:
        fix = "where a file of the lake is damaged, `make check` names it and `make repair` brings it back"
        raise DataError(error.what, where=sql, fix=error.fix or fix) from error


_LISTED = 20  # tables that a message lists


def unknown_table(names: Sequence[str], known: Iterable[str]) -> UsageError:
    """Return the error of tables that are not there, with those that are meant and those that are."""
    known = list(known)
    forms = {form: one for one in known for form in (one.rpartition(".")[2], one.partition(".")[2], one)}
    meant = [forms[near] for name in names if (near := nearest(name, forms))]
    hint = f"did you mean {', '.join(dict.fromkeys(meant))}? " if meant else ""
    return UsageError(f"no table {', '.join(names)}", fix=f"{hint}name one as layer.domain.table; {_there(known)}")


def _there(known: Collection[str]) -> str:
    if not known:
        return "there are none yet; run `make pipeline`"
    more = f" and {len(known) - _LISTED} more, see `make tables`" if len(known) > _LISTED else ""
    return f"there are {', '.join(list(known)[:_LISTED])}{more}"


def _print(headers: list[str], rows: list[tuple[object, ...]], form: str, out: TextIO) -> None:
    if form != "table":
        console.in_utf8(out)
    if form != "json":
        rows = [tuple(map(console.nested_as_json, row)) for row in rows]
    if form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(headers)
        writer.writerows(rows)
    elif form == "json":
        console.print_json([dict(zip(headers, row, strict=True)) for row in rows], out)
    else:
        console.table(headers, rows, grouped=False, null="NULL", out=out)
