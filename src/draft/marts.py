"""A mart's contract drafted from its SQL: what the SELECTs return today over the tables that are built.

The SQL is the author's word; the contract says beside it what comes out: names, types, the key, what is always there.
What no row can tell (what the mart is for, who answers for it) is written as a question for a person.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from src import catalog
from src.contract.documents import entries
from src.draft.written import scalar
from src.engine import DuckEngine, identifier
from src.errors import ContractError, UsageError

CONTRACT = "contract.yaml"
_ROWS = "drafted_mart"  # the temporary table of a model's rows
_LOGICAL = {
    "VARCHAR": ("string", None),
    "BIGINT": ("integer", None),
    "INTEGER": ("integer", "integer"),
    "SMALLINT": ("integer", "smallint"),
    "TINYINT": ("integer", "tinyint"),
    "DOUBLE": ("number", None),
    "FLOAT": ("number", "float"),
    "BOOLEAN": ("boolean", None),
    "DATE": ("date", None),
    "TIMESTAMP WITH TIME ZONE": ("timestamp", None),
}
_CAST = {"HUGEINT": "bigint", "TIMESTAMP": "timestamptz", "TIME": "varchar", "UUID": "varchar", "UBIGINT": "bigint"}
_MOST_KEY_COLUMNS = 5


@dataclass(frozen=True)
class MartColumn:
    """One column that a model returns; the share of its rows that have a value, and how many distinct ones."""

    name: str
    type: str
    filled: float
    distinct: int


@dataclass(frozen=True)
class MartTable:
    """One model of a mart, and what it returned: how many rows, which columns, and the key found in them."""

    table: str  # its id
    reads: tuple[str, ...]
    rows: int
    columns: tuple[MartColumn, ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class MartDraft:
    """The drafted contract of a mart: where it belongs, its text, and what its models returned."""

    mart: str
    path: Path
    text: str
    tables: tuple[MartTable, ...]


def is_mart(source: Path, path: Path) -> bool:
    """Return whether a path is the folder of a mart, or SQL in one; `source` has the contracts and models."""
    folder = path if path.is_dir() else path.parent
    return folder.resolve().parent == (source / "gold").resolve()


def draft_mart(engine: DuckEngine, data: Path, path: Path) -> MartDraft:
    """Return the draft of the mart whose folder, or one model of which, is at `path`.

    Raises:
        UsageError: there is no SQL, or it reads tables that are not built.
        ContractError: the SQL does not fit the tables, or returns a type that no contract can name.
    """
    folder = path if path.is_dir() else path.parent
    models = [entry for entry in entries(folder) if entry.suffix == ".sql"]
    if not models:
        fix = f"write a SELECT over silver tables to {folder.name}/<table>.sql first"
        raise UsageError("no SQL to draft a contract from", where=folder, fix=fix)
    tables = tuple(_returned(engine, data, folder.name, model) for model in models)
    text = "\n".join(_lines(folder.name, tables)) + "\n"
    return MartDraft(folder.name, folder / CONTRACT, text, tables)


# -- what a model returns


def _returned(engine: DuckEngine, data: Path, mart: str, model: Path) -> MartTable:
    sql = engine.inline(model.read_text(encoding="utf-8"))
    reads = sorted(engine.table_references(sql))
    known = catalog.tables(data)
    unknown = [name for name in reads if name not in known]
    if unknown:
        built = ", ".join(name for name in known if name.startswith(("silver.", "gold."))) or "none"
        fix = f"build what it reads with `make pipeline`, or name another; built are {built}"
        raise UsageError(f"no table {', '.join(unknown)}", where=model, fix=fix)
    catalog.publish(engine, {name: known[name] for name in reads})
    try:
        kinds = engine.columns(sql)
    except ContractError as error:
        raise ContractError(error.what, where=model, fix=error.fix) from error
    _refuse_types(kinds, model)
    rows = engine.table(_ROWS, sql)
    counts = ", ".join(f"count({column}), count(DISTINCT {column})" for column in map(identifier, kinds))
    found = engine.one(f"SELECT {counts} FROM {_ROWS}")
    columns = tuple(
        MartColumn(name, kind, filled / rows if rows else 0.0, distinct)
        for (name, kind), filled, distinct in zip(kinds.items(), found[::2], found[1::2], strict=True)
    )
    return MartTable(f"gold.{mart}.{model.stem}", tuple(reads), rows, columns, _key(engine, columns, rows))


def _refuse_types(kinds: dict[str, str], model: Path) -> None:
    casts = [
        f"cast({name} as {_CAST.get(kind, 'varchar')})  (now {kind})"
        for name, kind in kinds.items()
        if kind not in _LOGICAL and not kind.startswith("DECIMAL")
    ]
    if casts:
        fix = f"end the SELECT with {'; '.join(casts)}"
        raise ContractError("columns of a type that no contract names", where=model, fix=fix)


def _key(engine: DuckEngine, columns: Sequence[MartColumn], rows: int) -> tuple[str, ...]:
    """Return the fewest of the first columns that tell all rows apart: what a mart is by stands before its figures."""
    leading: list[str] = []
    for column in columns[:_MOST_KEY_COLUMNS]:
        if column.filled < 1 or column.type in ("DOUBLE", "FLOAT") or column.type.startswith("DECIMAL"):
            break
        leading.append(column.name)
    for names in accumulate([name] for name in leading):
        listed = ", ".join(map(identifier, names))
        if rows and engine.one(f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM {_ROWS})")[0] == rows:
            return tuple(names)
    return ()


# -- the contract's text


def _lines(mart: str, tables: Sequence[MartTable]) -> Iterator[str]:
    models = ", ".join(f"{table.table.rpartition('.')[2]}.sql" for table in tables)
    title = mart.replace("_", " ").capitalize()
    yield f"# Drafted by `main.py draft` from {models}. Answer what is asked here, then write `status: active`."
    yield "apiVersion: v3.1.0"
    yield "kind: DataContract"
    yield f"id: gold.{mart}"
    yield f"name: {scalar(title)}"
    yield "version: 1.0.0"
    yield "status: draft"
    yield "description:"
    yield f"  purpose: {scalar(f'A draft of {title}.')}  # what is it for, in business words?"
    yield f"team: {{members: [{{username: {scalar(_user())}, role: owner}}]}}  # who answers for it?"
    yield "slaProperties: [{property: frequency, value: 1, unit: d}]  # how often is it renewed?"
    yield "schema:"
    for table in tables:
        name = table.table.rpartition(".")[2]
        yield f"  - name: {scalar(name)}  # {table.rows:,} rows, over {', '.join(table.reads)}"
        yield "    properties:"
        for column in table.columns:
            yield f"      - {{{', '.join(_property(column, table))}}}"
        days = [column for column in table.columns if column.name in table.key and column.type == "DATE"]
        if not table.key:
            yield "    # no key: no few of the first columns tell all rows apart"
        elif days:
            day = days[0].name
            yield f"    # no partition: `partitioned: true` at {day} helps once the whole takes long to compute"


def _property(column: MartColumn, table: MartTable) -> Iterator[str]:
    logical, physical = _LOGICAL.get(column.type, ("number", column.type.lower()))
    yield f"name: {column.name}"
    yield f"logicalType: {logical}"
    if physical:
        yield f"physicalType: {scalar(physical)}"
    if column.name in table.key:
        yield "primaryKey: true"
        if len(table.key) > 1:
            yield f"primaryKeyPosition: {table.key.index(column.name) + 1}"
    elif column.filled == 1:
        yield "required: true"


def _user() -> str:
    """Return who types this, as a member of a team is written."""
    try:
        return re.sub(r"[^\w.-]", "", getpass.getuser()) or "owner"
    except (OSError, KeyError):  # a user without a name
        return "owner"
