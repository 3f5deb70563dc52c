"""What the rows of a gold table must be before they are committed: rules, required columns, one row for each key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from src.checks import rules
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import DataError

_TESTS_AT_ONCE = 100  # in one statement


def check(engine: DuckEngine, table: Table, relation: str, parts: Sequence[str] = ()) -> None:
    """Refuse the rows of a relation if they break the contract.

    `parts`: relations that have its rows between them, no two of them one key: keys are compared within each.

    Raises:
        DataError: naming what they break, and how many do.
    """
    tests = list(_tests(table))
    for at in range(0, len(tests), _TESTS_AT_ONCE):
        _check_rows(engine, table, relation, tests[at : at + _TESTS_AT_ONCE])
    key = ", ".join(map(identifier, table.key))
    for part in (parts or [relation]) if key else []:
        found = engine.rows(f"SELECT {key}, count(*) FROM {part} GROUP BY ALL HAVING count(*) > 1 LIMIT 3")
        if found:
            raise _duplicate_keys(table, [f"{', '.join(map(str, row[:-1]))} ({row[-1]} rows)" for row in found])


def is_key_within_partition(table: Table) -> bool:
    """Return whether two rows of one key are in one partition, as the key has the partition's columns."""
    return set(table.partition_by) <= set(table.key)


def check_key_beside(engine: DuckEngine, table: Table, relation: str, kept: str) -> None:
    """Refuse a key of a relation of new rows that a row of the kept partitions has too.

    Raises:
        DataError: naming the key and the other partition.
    """
    if not table.key or is_key_within_partition(table):
        return
    key = ", ".join(map(identifier, table.key))
    places = " || ', ' || ".join(f"{identifier(name)}::VARCHAR" for name in table.partition_by)
    stored = f"SELECT {key}, {places} FROM {kept} SEMI JOIN {relation} USING ({key}) ORDER BY ALL LIMIT 3"
    if found := engine.rows(stored):
        shown = [f"{', '.join(map(str, row[:-1]))} (also in the partition {row[-1]})" for row in found]
        raise _duplicate_keys(table, shown)


def _duplicate_keys(table: Table, shown: list[str]) -> DataError:
    fix = f"the key is {', '.join(table.key)}: group by it, or change the contract"
    return DataError(f"key occurs more than once: {'; '.join(shown)}", where=table.model, fix=fix)


def _tests(table: Table) -> Iterator[tuple[str, str, str]]:
    """Yield SQL that is true for a bad row, SQL of the reason, and the column that is required where that is all."""
    finite = (rule for column in table.columns for rule in (*rules.not_finite(column), *rules.misformed(column)))
    for test, reason, _ in (*finite, *(rule for column in table.columns for rule in rules.broken(column))):
        yield test, reason, ""
    required = {column.name for column in table.columns if column.required} | {*table.key, *table.partition_by}
    for column in table.columns:
        if column.name in required:
            yield f"{identifier(column.name)} IS NULL", "", column.name


def _check_rows(engine: DuckEngine, table: Table, relation: str, tests: Sequence[tuple[str, str, str]]) -> None:
    counted = ", ".join(f"count(*) FILTER (WHERE {test})" for test, *_ in tests)
    for (test, reason, name), bad in zip(tests, engine.one(f"SELECT {counted} FROM {relation}"), strict=True):
        if bad and name:
            fix = "correct the model, or make the column optional in the contract"
            raise DataError(f"{bad} rows without {name}", where=table.model, fix=fix)
        if bad:
            shown = engine.one(f"SELECT {reason} FROM {relation} WHERE {test} LIMIT 1")[0]
            fix = "correct the model, or the rule in the contract"
            raise DataError(f"{bad} rows break a rule: {shown}", where=table.model, fix=fix)
