"""A record is one row: its values or the reason why it has none, its number in the file, and its text.

What every format has in common: which names columns may have, and how records reach the engine.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import LONGEST_LINE, NO_TEXT, quoted, shown
from src.contract import Feed
from src.engine import DuckEngine, identifier
from src.errors import DataError

# What Boathouse adds to a file's own columns, all of which are VARCHAR.
SYSTEM_COLUMNS = {
    "_file": "VARCHAR",
    "_row": "BIGINT",
    "_ingested_at": "TIMESTAMP WITH TIME ZONE",
    "_batch": "VARCHAR",
    "_reject": "VARCHAR",
    "_raw": "VARCHAR",
}
UNNAMED = "_unnamed"  # the column of values whose name is empty: a data frame's index in CSV, the key "" in JSON
UNPROVEN = "\x01 not proven"  # stands for the reason: of this row something may be lost; its file is read again
_ROWS_PER_BATCH = 4_096  # small enough that Python's garbage collector does not go over the rows again and again
_VALUES_PER_BATCH = 500_000  # many columns make shorter batches
_TEXT_PER_BATCH = 16 << 20  # characters: long values make shorter batches, so memory stays bounded

# One record: its values in column order, or the reason why it has none; and its text.
Record = tuple[list[Any] | str, str]


@dataclass(frozen=True)
class Records:
    """The columns of a file, and its records, which can be read from the beginning again."""

    columns: tuple[str, ...]
    read: Callable[[], Iterator[Record]]
    notes: tuple[str, ...] = ()  # as those of Rows
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """One file as SQL, or several that one reader takes in turn."""

    columns: tuple[str, ...]  # as in the header, in file order
    # SELECT of these columns as VARCHAR, _row BIGINT, _reject VARCHAR, _raw VARCHAR; of several also _file BIGINT:
    # the place, from 1, of the row's file among them
    sql: str
    streams: tuple[str, ...] = ()  # names to `unstream` after use; such SQL can be run only once
    files: tuple[str, ...] = ()  # as the engine's reader finds them, where it can take several
    kind: Kind | None = None  # of those files; None for a file that is read alone
    notes: tuple[str, ...] = ()  # what a person should know of the file
    left_out: Mapping[str, str] = field(default_factory=dict)  # which lines are no rows, and their text, shortened


class Kind(Protocol):
    """The files that one reader takes in turn: equal where these have all in common that it must know of them."""

    @property
    def uses_all_threads(self) -> bool:
        """Return whether one reader takes several of the files at once."""
        ...

    def rows(self, files: Sequence[str]) -> Rows:
        """Return files of this kind as one SELECT, which costs as much to plan as that of one of them."""
        ...


def checked(columns: Sequence[str], path: Path, feed: Feed | None = None) -> tuple[str, ...]:
    """Return the column names if a table can have them: none blank, no duplicate in any case, no system column.

    `feed`: one whose contract can say how names are made (`names`).
    """
    fix = "correct the header; nothing of the file was taken"

    def option(value: str) -> str:
        return f"write `names: {{{value}}}` in {contract_of(feed)}, or {fix}" if feed else fix

    header = f"the header is [{', '.join(map(quoted, columns))}]"
    seen: set[str] = set()
    for number, name in enumerate(columns, 1):
        if NO_TEXT.search(name):
            raise DataError(f"the name of column {number} is no text: {name!a}", where=path, fix=fix)
        if not name.strip():
            raise DataError(f"column {number} has no name; {header}", where=path, fix=option("unnamed: index"))
        if name.lower() in SYSTEM_COLUMNS:
            raise DataError(f"system column {name} in the file; {header}", where=path, fix=fix)
        if name.lower() in seen:
            raise DataError(f"column {name} twice; {header}", where=path, fix=option("repeated: number"))
        seen.add(name.lower())
    return tuple(columns)


def streamed(engine: DuckEngine, records: Records) -> Rows:
    """Return records as an Arrow stream that the engine can read once, when it asks for rows."""
    import pyarrow as pa

    project = [("_row", pa.int64()), ("_reject", pa.string()), ("_raw", pa.string())]
    schema = pa.schema([(name, pa.string()) for name in records.columns] + project)
    stream = f"landed_{uuid.uuid4().hex}"
    engine.stream(stream, pa.RecordBatchReader.from_batches(schema, _batches(records.read, schema)))
    sql = f"SELECT {', '.join(map(identifier, schema.names))} FROM {identifier(stream)}"
    return Rows(records.columns, sql, (stream,), notes=records.notes, left_out=records.left_out)


def _batches(records: Callable[[], Iterator[Record]], schema: Any) -> Iterator[Any]:
    first = 1
    for group in _groups(records(), max(1, min(_ROWS_PER_BATCH, _VALUES_PER_BATCH // len(schema)))):
        yield _batch(group, first, schema)
        first += len(group)


def _groups(records: Iterator[Record], most: int) -> Iterator[list[Record]]:
    group: list[Record] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record[1])
        if len(group) == most or size >= _TEXT_PER_BATCH:
            if any(len(raw) >= LONGEST_LINE for _, raw in group):
                raise DataError(f"a line of more than {LONGEST_LINE >> 20} million characters")
            yield group
            group, size = [], 0
    if group:
        yield group


def _batch(group: list[Record], first: int, schema: Any) -> Any:
    import pyarrow as pa

    nothing = [None] * (len(schema) - 3)
    columns: list[Any] = list(zip(*(nothing if type(values) is str else values for values, _ in group), strict=True))
    columns.append(range(first, first + len(group)))
    columns.append([values if type(values) is str else None for values, _ in group])
    columns.append([shown(raw) if type(values) is str else None for values, raw in group])
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
