"""Files become a draft: read by bronze, judged value by value, and proven by silver before it is a draft at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from src import contract, lake
from src.bronze import ingest
from src.bronze.readers import SYSTEM_COLUMNS
from src.checks.outcome import Outcome
from src.contract import Feed, Table
from src.draft import fitting, null_words, reading
from src.draft.choosing import choose, partitions
from src.draft.fields import Field, Rows, add_examples, common, find_fields
from src.draft.figures import Figures, counted, in_words, read_figures
from src.draft.judging import Verdict, judge
from src.draft.landed import LandedTable, readable
from src.draft.shapes import PLAIN
from src.draft.written import DraftColumn, DraftContract
from src.engine import DuckEngine
from src.errors import DataError
from src.settings import Settings
from src.silver import incoming
from src.silver.batch import Batch

_REJECTS_SHOWN = 3


@dataclass(frozen=True)
class FoundColumn:
    """One column of a draft, and what was found of it in all rows."""

    name: str
    source: str
    type: str
    filled: float  # share of the rows that have a value
    distinct: int  # of more than 100,000 rows estimated where there are more than 1,000
    low: str | None
    high: str | None
    examples: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Draft:
    """A drafted contract: its text, what was found, and what a person should know of it."""

    table: str  # its id
    path: Path  # where the contract belongs
    text: str
    files: int
    rows: int
    rejected: int  # lines that no reader can split
    duplicates: int  # rows equal to another in every column
    columns: tuple[FoundColumn, ...]
    key: tuple[str, ...]
    sequence_by: str | None
    partition_by: tuple[str, ...]
    notes: tuple[str, ...]
    misfits: tuple[fitting.Misfit, ...]


def draft(settings: Settings, engine: DuckEngine, source: LandedTable, now: datetime) -> Iterator[Draft]:
    """Yield the draft of each table of a source: one, or one of each sheet of a workbook whose sheets differ.

    Raises:
        DataError: none of the files can be read; it says why the first one cannot.
    """
    with engine.room() as room:
        for read in reading.readings(source, readable(source, room)):
            with _bronze(engine, source, read, now) as (bronze, found):
                yield _drafted(settings, engine, read, bronze, found, source.properties)


@contextmanager
def _bronze(
    engine: DuckEngine, source: LandedTable, read: reading.Reading, now: datetime
) -> Iterator[tuple[lake.Snapshot, list[str]]]:
    """Take the files into a bronze table of its own for the length of a with-block; with what readers say of them."""
    with engine.room() as room:
        root = room / "bronze"
        only = frozenset(path.resolve() for path in source.files)
        outcome = ingest.run(engine, source.landing, root, read.feed, batch="draft", now=now, settle=0, only=only)
        bronze = lake.open_table(root)
        if bronze is None or not [name for name in bronze.columns if name not in SYSTEM_COLUMNS]:
            if outcome.refusals:
                raise outcome.refusals[0]
            fix = "land one that has rows, or at least a header"
            raise DataError("no column, as the files are empty or no line can be split", where=source.files[0], fix=fix)
        notes = [f"refused: {error.what} ({Path(error.where or '').name})" for error in outcome.refusals]
        yield bronze, notes


# -- one table


def _drafted(
    settings: Settings,
    engine: DuckEngine,
    read: reading.Reading,
    bronze: lake.Snapshot,
    refused: Sequence[str],
    properties: Mapping[str, str],
) -> Draft:
    rows, scan = Rows(engine, bronze), engine.scan(bronze, evolved=True)
    feed, fields, verdicts = _judged(rows, read.feed)
    columns = [
        DraftColumn(one.name, verdict.logical, verdict.physical, verdict.expression(one))
        for one, verdict in zip(fields, verdicts, strict=True)
    ]
    made = DraftContract(feed, read.table, columns, head=_head(read))
    table, outcome = _proven(engine, made, bronze)
    kept = outcome.read - outcome.quarantined - outcome.duplicates
    figures = read_figures(engine, table, Batch.INCOMING, kept)
    own = {one.source: one.name for one in fields}
    given = {name: own.get(value, value) for name, value in properties.items()}
    choose(engine, made, table, Batch.INCOMING, figures, kept, given)
    for column, verdict in zip(columns, verdicts, strict=True):
        column.comments += in_words(verdict, figures[column.name])
    examples = common(rows, fields)
    return Draft(
        table=_loaded(made).id,
        path=settings.source / "silver" / feed.domain / f"{read.table}.yaml",
        text=made.text(),
        files=read.files,
        rows=outcome.read,
        rejected=outcome.quarantined,
        duplicates=outcome.duplicates,
        columns=tuple(
            _found(column, one, verdict, figures[column.name], examples[one.name])
            for column, one, verdict in zip(columns, fields, verdicts, strict=True)
        ),
        key=made.key,
        sequence_by=made.sequence_by,
        partition_by=tuple(partitions(made)),
        notes=(*read.notes, *refused, *_rejects(engine, scan, outcome.quarantined)),
        misfits=(*read.misfits, *fitting.misfits(engine, scan, fields, verdicts)),
    )


def _judged(rows: Rows, feed: Feed) -> tuple[Feed, list[Field], list[Verdict]]:
    """Return the feed with how its values are written, its fields, and the verdict on each."""
    fields = find_fields(rows)
    add_examples(rows, fields)
    signs, verdicts = judge(rows, fields, feed.delimiter if feed.format == "csv" else None)
    if signs != PLAIN:
        feed = replace(feed, decimal=signs.decimal, thousands=signs.thousands)
    feed, verdicts = null_words.of_the_feed(rows, feed, fields, verdicts)
    return feed, fields, verdicts


def _head(read: reading.Reading) -> list[str]:
    return [
        f"Drafted by `main.py draft` from {counted(read.files, 'file')} of {read.feed.path}. Every row passes.",
        "Read it, change what you know better, then write `status: active`.",
    ]


def _found(column: DraftColumn, one: Field, verdict: Verdict, figures: Figures, examples: Sequence[str]) -> FoundColumn:
    return FoundColumn(
        name=column.name,
        source=one.source,
        type=column.physical or column.logical,
        filled=round(figures.filled / figures.rows, 4) if figures.rows else 0.0,
        distinct=figures.distinct,
        low=figures.low,
        high=figures.high,
        examples=tuple(examples),
        note=verdict.note,
    )


def _proven(engine: DuckEngine, made: DraftContract, bronze: lake.Snapshot) -> tuple[Table, Outcome]:
    """Return the table that silver makes of the contract, with every row in it, and the outcome.

    Its rows lie in the engine's table of incoming rows. A column of which silver rejects a value becomes text.

    Raises:
        DataError: silver rejects a value of a text column; this is a defect.
    """
    while True:
        table = _loaded(made)
        outcome = incoming.compute(engine, table, [(table.feeds[0], bronze, bronze.files)])
        codes = engine.values(f"SELECT DISTINCT unnest(_codes) FROM {Batch.REJECTED}") if outcome.quarantined else []
        bad = [column for column in made.columns if f"type:{column.name}" in codes]
        if not bad:
            return table, outcome
        for column in bad:
            if column.logical == "string":
                fix = "this is a defect of Boathouse: report it with the file"
                raise DataError(f"silver cannot read {column.name} as text", where=table.id, fix=fix)
            column.logical, column.physical = "string", None
            column.comments.append("text: silver cannot read every value as what it looks like")


def _loaded(made: DraftContract) -> Table:
    """Return the table of a drafted contract, as every command loads it.

    Raises:
        ContractErrors: it is no contract; this is a defect.
    """
    with tempfile.TemporaryDirectory(prefix="boathouse-draft-") as folder:
        path = Path(folder) / "silver" / made.feed.domain / f"{made.table}.yaml"
        path.parent.mkdir(parents=True)
        (Path(folder) / "gold").mkdir()
        path.write_text(made.text(), encoding="utf-8")
        return next(iter(contract.load(Path(folder)).silver.values()))


def _rejects(engine: DuckEngine, scan: str, count: int) -> list[str]:
    """Return a note of the lines that could not be split, with the first of them."""
    if not count:
        return []
    first = f"SELECT _file, _row, _reject FROM {scan} WHERE _reject IS NOT NULL ORDER BY ALL LIMIT {_REJECTS_SHOWN}"
    shown = "; ".join(f"{file} row {row}: {reason}" for file, row, reason in engine.rows(first))
    return [f"{counted(count, 'line')} cannot be split, and go to quarantine whatever the contract says: {shown}"]
