"""What a contract promises of its table: required columns, enumerations, the key, its sequence, the partition.

All of it holds in the rows that were read; each choice has its reason beside it as a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from src.contract import Table
from src.draft import enums
from src.draft.figures import Figures, counted
from src.draft.keys import ENOUGH, find_key
from src.draft.names import is_id, says_newer
from src.draft.written import DraftContract
from src.engine import DuckEngine

_PARTITION_ROWS = 50_000  # of one partition: below, a table is faster whole
_PARTITIONS = 1_000
_SEQUENCES = ("timestamp", "date", "integer")  # logical types of a sequence, the better before the others


def choose(
    engine: DuckEngine,
    made: DraftContract,
    table: Table,
    relation: str,
    figures: Mapping[str, Figures],
    rows: int,
    properties: Mapping[str, str],
) -> None:
    """Add to a drafted contract what its so many rows, in a relation of typed ones that all differ, let it promise.

    `properties`: what goes with its source, by the names of the table's columns.
    """
    for column in made.columns:
        column.required = figures[column.name].filled == rows > 0
    _choose_enums(engine, made, relation, figures)
    kinds = {column.name: column.type for column in table.columns}
    always = [(column.name, kinds[column.name]) for column in made.columns if column.required]
    made.set_key(find_key(engine, relation, rows, always))
    if made.key and properties:
        _take(made, properties)
    elif made.key:
        _choose_sequence(made)
    else:
        made.tail += _why_no_key(made, figures, rows)
    _choose_partition(made, figures, rows)


def _take(made: DraftContract, properties: Mapping[str, str]) -> None:
    """Take over what goes with the source; a row that takes its key away has no other columns."""
    made.sequence_by = properties.get("sequenceBy")
    made.delete_when = properties.get("deleteWhen")
    made.replaces = properties.get("replaces")
    made.on_conflict = properties.get("onConflict")
    if made.delete_when:
        for column in made.columns:
            column.required = column.name in (*made.key, made.sequence_by)


def _choose_enums(engine: DuckEngine, made: DraftContract, relation: str, figures: Mapping[str, Figures]) -> None:
    texts = [column.name for column in made.columns if column.logical == "string"]
    likely = [name for name in texts if enums.may_be(name, figures[name])]
    found = enums.find(engine, relation, likely)
    for column in made.columns:
        column.enum = found.get(column.name, ())


def _why_no_key(made: DraftContract, figures: Mapping[str, Figures], rows: int) -> Iterator[str]:
    """Yield why there is none, and the columns that are named like a key and have a value on several rows."""
    for column in made.columns:
        distinct = figures[column.name].distinct
        if column.required and is_id(column.name) and rows / 2 <= distinct < rows:
            yield (
                f"{column.name} has {distinct:,} values on {rows:,} different rows. "
                "If of each the last row should win, write `primaryKey: true` at it."
            )
    yield f"no key: {_why(made, figures, rows)}. Rows that are equal in every column count once."


def _why(made: DraftContract, figures: Mapping[str, Figures], rows: int) -> str:
    if rows >= ENOUGH:
        return "no small set of columns tells all rows apart"
    likely = (column for column in made.columns if column.required and column.logical in ("string", "integer"))
    first = next((column.name for column in likely if figures[column.name].distinct == rows), None)
    would = f"; {first} would do (`primaryKey: true`)" if first else ""
    return f"{counted(rows, 'row')} are too few to believe in one that is not named so{would}"


def _choose_sequence(made: DraftContract) -> None:
    """Choose the column that says which row of a key is newer: named so, always there, a moment or a number."""
    likely = [column for column in made.columns if column.required and not column.key and says_newer(column.name)]
    likely = [column for column in likely if column.logical in _SEQUENCES]
    if likely:
        made.sequence_by = min(likely, key=lambda column: _SEQUENCES.index(column.logical)).name
    else:
        made.tail.append(
            "no sequenceBy: no column is named as one that says which row of a key is newer; the last to arrive wins."
        )


def _choose_partition(made: DraftContract, figures: Mapping[str, Figures], rows: int) -> None:
    """Choose the day by which the table is cut, where there are so many rows that it helps."""
    days = [column for column in made.columns if column.logical == "date" and column.required]
    counts = {column.name: figures[column.name].distinct for column in days if figures[column.name].distinct > 1}
    for column in days:
        count = counts.get(column.name, 0)
        if 0 < count <= _PARTITIONS and rows / count >= _PARTITION_ROWS:
            column.partitioned = True
            column.comments.append(f"{rows // count:,} rows a day: a day that arrives touches its own files only")
            return
    for name, count in list(counts.items())[:1]:
        made.tail.append(
            f"no partition: `partitioned: true` at {name} helps from {_PARTITION_ROWS:,} rows a day on; "
            f"here are {rows // count:,}."
        )


def partitions(made: DraftContract) -> Sequence[str]:
    """Return the columns by which the table is cut."""
    return [column.name for column in made.columns if column.partitioned]
