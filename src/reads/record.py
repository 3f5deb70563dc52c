"""One read as it is recorded: who read which columns of which tables, how much came of it, and how long it took."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from src.contract import Contracts

TABLE = "ops.access"
FOLDER = ".access"  # of the spool, below the data folder


@dataclass(frozen=True)
class Read:
    """One read; `moment` in UTC. Every reader of a column has it by the tables that the lake stores, views resolved."""

    moment: datetime
    user: str  # of the system; "ann, from the page" of the page
    kind: str  # query | export | page | report | restore | notebook | preview | quarantine | describe | explain | diff
    tables: str  # a JSON list
    columns: str  # a JSON object: the columns that were read, by table; of a count of rows none
    classified: str  # a JSON object: the class of each of these columns that has one, by table.column
    masked: bool  # whether a classified column was masked for this user
    rows: int | None  # that were given; None where it failed
    bytes: int | None  # of the tables' files, in the versions that were read
    seconds: float
    pattern: str  # the statement without its literals; "" where there is none
    failed: bool
    error: str  # "" where it did not fail


@dataclass
class Reading:
    """A read that is going on: whoever reads says here what it reads, and what came of it."""

    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by table
    classified: dict[str, str] = field(default_factory=dict)  # by table.column
    masked: bool = False
    rows: int | None = None
    bytes: int | None = None
    pattern: str = ""
    contracts: Contracts | None = None  # of the project, where whoever reads has them
    error_class: str | None = None  # recorded in place of an error whose text may tell values
    hidden: tuple[str, ...] = ()  # what the statement holds in quotes: no part of an error that is recorded

    def as_json(self) -> dict[str, Any]:
        """Return what is known of it as JSON holds it: for the process that records it."""
        known = ("columns", "masked", "bytes", "pattern", "hidden", "error_class")
        return {name: getattr(self, name) for name in known}

    def take(self, found: Mapping[str, Any]) -> None:
        """Take over what `as_json` gave in another process."""
        self.columns = {str(table): tuple(names) for table, names in found["columns"].items()}
        self.masked, self.bytes, self.pattern = found["masked"], found["bytes"], found["pattern"]
        self.hidden, self.error_class = tuple(found["hidden"]), found["error_class"]

    def of_table(self, table: str, columns: Collection[str], rows: int | None = None) -> None:
        """Say that these columns of a table are read."""
        self.columns[table] = tuple(dict.fromkeys((*self.columns.get(table, ()), *columns)))
        self.rows = self.rows if rows is None else (self.rows or 0) + rows
