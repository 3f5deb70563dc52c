"""What the rows of a gold table must be before they are committed: rules, required columns, one row for each key."""

from __future__ import annotations

from src.checks import rules
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import DataError
from src.gold.computation import Computation


def check(engine: DuckEngine, table: Table) -> None:
    """Refuse the rows of the temporary table `result` if they break the contract.

    Raises:
        DataError: naming what they break, and how many do.
    """
    _check_rules(engine, table)
    _check_required(engine, table)
    if not table.key:
        return
    key = ", ".join(map(identifier, table.key))
    found = engine.rows(f"SELECT {key}, count(*) FROM {Computation.RESULT} GROUP BY ALL HAVING count(*) > 1 LIMIT 3")
    if found:
        raise _duplicate_keys(table, [f"{', '.join(map(str, row[:-1]))} ({row[-1]} rows)" for row in found])


def check_key_beside(engine: DuckEngine, table: Table, kept: str) -> None:
    """Refuse a key of the `result` that a row of the kept partitions has too.

    A key that holds the partition's columns cannot be in another partition: then nothing is read.

    Raises:
        DataError: naming the key and the other partition.
    """
    if not table.key or set(table.partition_by) <= set(table.key):
        return
    key = ", ".join(map(identifier, table.key))
    places = " || ', ' || ".join(f"{identifier(name)}::VARCHAR" for name in table.partition_by)
    stored = f"SELECT {key}, {places} FROM {kept} SEMI JOIN {Computation.RESULT} USING ({key}) ORDER BY ALL LIMIT 3"
    if found := engine.rows(stored):
        shown = [f"{', '.join(map(str, row[:-1]))} (also in the partition {row[-1]})" for row in found]
        raise _duplicate_keys(table, shown)


def _duplicate_keys(table: Table, shown: list[str]) -> DataError:
    fix = f"the key is {', '.join(table.key)}: group by it, or change the contract"
    return DataError(f"key occurs more than once: {'; '.join(shown)}", where=table.model, fix=fix)


def _check_rules(engine: DuckEngine, table: Table) -> None:
    finite = (rule for column in table.columns for rule in (*rules.not_finite(column), *rules.misformed(column)))
    for test, reason, _ in (*finite, *(rule for column in table.columns for rule in rules.broken(column))):
        bad = engine.rows(f"SELECT {reason}, count(*) OVER () FROM {Computation.RESULT} WHERE {test} LIMIT 1")
        if bad:
            fix = "correct the model, or the rule in the contract"
            raise DataError(f"{bad[0][1]} rows break a rule: {bad[0][0]}", where=table.model, fix=fix)


def _check_required(engine: DuckEngine, table: Table) -> None:
    required = {column.name for column in table.columns if column.required} | {*table.key, *table.partition_by}
    for name in [column.name for column in table.columns if column.name in required]:
        empty = engine.one(f"SELECT count(*) FROM {Computation.RESULT} WHERE {identifier(name)} IS NULL")[0]
        if empty:
            fix = "correct the model, or make the column optional in the contract"
            raise DataError(f"{empty} rows without {name}", where=table.model, fix=fix)
