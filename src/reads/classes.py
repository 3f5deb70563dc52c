"""The classes of columns, as contracts say them: which of the columns that somebody reads are classified, and how."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from src.contract import Column, Contracts, Table

OPEN = ("", "public", "internal")  # classes that are none here: these columns are everybody's
_VALUES = ("_values", "_reasons")  # of quarantine: the rejected row, and what was wrong with it


def classify(contracts: Contracts, columns: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the class of each of these columns, given by table, that has one; by `table.column`."""
    known = dict(_classes(contracts))
    read = (f"{table}.{name}" for table, names in columns.items() for name in names)
    return {name: known[name.lower()] for name in read if name.lower() in known}


def _classes(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """Yield the class of each classified column, in lower case, and of the columns beside it and of its files."""
    for table in (*contracts.silver.values(), *contracts.gold.values()):
        for column in table.columns:
            if (found := class_of(column)) is not None:
                for name in _names(table, column):
                    yield name.lower(), found


def class_of(column: Column) -> str | None:
    """Return the class of a column, or that of a part of it; None where everybody may read it."""
    own = (column.classification or "").lower()
    if own not in OPEN:
        return own
    return next((found for part in column.parts if (found := class_of(part)) is not None), None)


def _names(table: Table, column: Column) -> Iterator[str]:
    yield f"{table.id}.{column.name}"
    if table.layer != "silver":
        return
    below = f"{table.domain}.{table.name}"
    yield from (f"quarantine.{below}.{name}" for name in _VALUES)
    yield from (f"{layer}.{below}.{column.name}" for layer in ("deletions", "statements"))
    made_of = re.findall(r"\w+", column.expression) if column.expression else [column.name]  # its columns, at the least
    yield from (f"{feed.id}.{name}" for feed in table.feeds for name in made_of)
