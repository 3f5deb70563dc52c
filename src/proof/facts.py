"""What the contracts tell of the tables that a model reads.

A generated column is a function of other columns of its table: in silver by its transformLogic, in gold where the
model makes the partition out of columns that it gives too. A table whose logic changed is rebuilt before it is
read, so its stored rows have what its contract says.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from src.contract import Table
from src.engine import DuckEngine
from src.proof.expressions import Expression, NoSql, SourceColumn, column_name, to_sql
from src.proof.refusals import Budget, Refused
from src.proof.relations import Relation
from src.proof.sources import Source
from src.proof.unions import Arm, Union
from src.proof.walk import Walk


def sources_of(engine: DuckEngine, table: Table, tables: Mapping[str, Table], budget: Budget) -> dict[str, Source]:
    """Return what the proof knows of each table that a gold table reads, by its id."""
    return {name: _source(engine, tables[name], tables, budget) for name in table.sources}


def _source(engine: DuckEngine, table: Table, tables: Mapping[str, Table], budget: Budget) -> Source:
    if table.layer == "gold":
        # its key is checked by each run, which is not yet a fact of what is stored
        return Source(table.id, table.stored_columns, generated=_made_by_model(engine, table, tables, budget))
    key = table.key if table.history == "scd1" else ()  # of which every version is a row
    return Source(table.id, table.stored_columns, key, _generated(engine, table))


def _generated(engine: DuckEngine, table: Table) -> dict[str, str]:
    """Return the silver columns whose transformLogic reads other columns of the table alone, and no column of the file.

    Where the table's column names itself, the file has one of that name too: another expression could mean either.
    """
    reads = {
        column.name.lower(): engine.column_references(column.expression) if column.expression else set[str]()
        for column in table.columns
    }
    own = {name for name, read in reads.items() if name not in read}
    return {
        column.name: str(column.expression)
        for column in table.columns
        if (read := reads[column.name.lower()]) and read <= own - {column.name.lower()}
    }


def _made_by_model(engine: DuckEngine, table: Table, tables: Mapping[str, Table], budget: Budget) -> dict[str, str]:
    """Return the partition columns that a gold model makes out of its other columns, as SQL over these."""
    if not table.sql or not table.partition_by:
        return {}
    kinds = {column.name: column.type for column in table.columns}
    partition = [(name, kinds[name]) for name in table.partition_by]
    try:
        walk = Walk(engine, sources_of(engine, table, tables, budget), partition, {}, 0, budget)
        result = walk.model(table.sql)
        target = walk.target(result)
    except Refused:
        return {}
    found = {}
    for (name, _), value in zip(partition, target, strict=True):
        sql = _over_other_columns(walk, result, name, value, kinds)
        if sql:
            found[name] = sql
    return found


def _over_other_columns(
    walk: Walk, result: Relation, name: str, value: Expression, kinds: Mapping[str, str]
) -> str | None:
    """Return a column of a model's result as SQL over the others; None where it is none."""
    others = [
        (other, given)
        for _, other, given in result.outputs
        if other.lower() != name.lower() and walk.reasoning.type_of(given) == kinds.get(other)
    ]
    columns = [SourceColumn(0, other, kinds[other]) for other, _ in others]
    union = Union(walk.reasoning, columns, [Arm(result, [given for _, given in others])])
    lifted = union.lifted(frozenset({(value,)}), union.arms[0])
    for (made,) in sorted(itertools.islice(lifted, 20), key=repr):
        try:
            return to_sql(made, walk.engine.functions.known, column_name)
        except NoSql:
            continue
    return None
