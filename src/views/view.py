"""One view: a name below `ops.` that is a SELECT over other tables, and is there where these are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

Select = Callable[[Collection[str]], str | None]


@dataclass(frozen=True)
class View:
    """A name that is read like a table; `select` returns its SQL over the tables that are there, or None for no view.

    The SQL names tables, and views before it in the registry, as a person does: `layer.domain.table`.
    """

    name: str
    description: str  # one sentence: what a row is
    select: Select


def over(*tables: str, sql: str) -> Select:
    """Return the `select` of a view that is there where all of these tables are."""
    return lambda there: sql if all(table in there for table in tables) else None
