"""Readers: one landed file becomes rows of text, exactly as they arrived, and nothing of it is lost.

Every record of the file is one row with its number `_row` (from 1; a header is no record). A record that does not
fit the file's columns is a row too: its columns NULL, the reason in `_reject`, its text in `_raw`. A file that
cannot be read to its end, or whose header cannot be trusted, is refused whole.

`read` leaves UTF-8 CSV and Parquet to the engine, whose CSV reader puts the lines it cannot split aside, unnumbered
(`take_rejects`). A file that has such lines is read again by `read_carefully`, which numbers and keeps them. Both
give the same rows of a file without such lines. Of NDJSON the engine reads the lines for which it is proven that it
loses nothing; the others are read exactly and stand in their places, so that both ways give the same rows of any file.

An empty value is '', never NULL: NULL says that the record has no such value (JSON, Parquet).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from src.bronze.readers.avro import avro_records
from src.bronze.readers.csv_careful import csv_records
from src.bronze.readers.csv_fast import csv_by_engine, is_common
from src.bronze.readers.expected import refuse_foreign
from src.bronze.readers.first_bytes import as_its_bytes_say
from src.bronze.readers.fixed_width import fixed_records
from src.bronze.readers.json_columns import json_records
from src.bronze.readers.ndjson_fast import ndjson_by_engine
from src.bronze.readers.orc import orc_by_arrow
from src.bronze.readers.parquet import parquet_by_engine, parquet_of_known_schema
from src.bronze.readers.records import SYSTEM_COLUMNS as SYSTEM_COLUMNS
from src.bronze.readers.records import Records, streamed
from src.bronze.readers.records import Rows as Rows
from src.bronze.readers.refusals import refusing
from src.bronze.readers.text import refuse_wrong_encoding
from src.bronze.readers.xlsx import xlsx_by_child
from src.bronze.readers.xml_elements import xml_records
from src.contract import Feed
from src.engine import DuckEngine
from src.errors import BoathouseError, DataError

_RECORDS: dict[str, Callable[[Feed, Path], Records]] = {
    "csv": csv_records,
    "ndjson": json_records,
    "json": json_records,
    "fixed": fixed_records,
    "xml": xml_records,
    "avro": avro_records,
}


def read(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """Return a file's rows by the fast way where it gives what `read_carefully` gives, or says that it cannot.

    Raises:
        DataError: the file is refused; it names the file, and `read_carefully` would refuse it too.
    """
    with refusing(path):
        feed, notes = as_its_bytes_say(feed, path)
        return _of_the_feed(engine, feed, path, _fast(engine, feed, path) or _exact(engine, feed, path), notes)


def needs_no_engine(feed: Feed) -> bool:
    """Return whether `look` is of use for a feed's files."""
    return feed.format == "csv" and is_common(feed)


def look(feed: Feed, path: Path) -> Rows | None:
    """Return what `read` would where that needs no engine, so that it can be done while the engine does other work.

    None also for a file that is refused: `read` says why.
    """
    try:
        with refusing(path):
            feed, notes = as_its_bytes_say(feed, path)
            rows = csv_by_engine(feed, path) if needs_no_engine(feed) else None
            if rows is None:
                return None
            refuse_foreign(rows.columns, feed, path)
            return replace(rows, notes=notes + rows.notes)
    except BoathouseError:
        return None


def read_carefully(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """Return a file's rows by the exact way: every record is numbered, and rejects are rows.

    Raises:
        DataError: the file is refused; it names the file.
    """
    with refusing(path):
        feed, notes = as_its_bytes_say(feed, path)
        return _of_the_feed(engine, feed, path, _exact(engine, feed, path), notes)


def in_turn(files: Sequence[Rows]) -> Rows:
    """Return files of one kind as one SELECT."""
    assert files[0].kind
    return files[0].kind.rows([name for rows in files for name in rows.files])


def _fast(engine: DuckEngine, feed: Feed, path: Path) -> Rows | None:
    if needs_no_engine(feed):
        return csv_by_engine(feed, path)
    if feed.format == "parquet":
        return parquet_of_known_schema(engine, path)
    return ndjson_by_engine(engine, feed, path) if feed.format == "ndjson" else None


def _exact(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    if feed.format == "parquet":
        return parquet_by_engine(engine, path)
    if feed.format == "orc":
        return orc_by_arrow(engine, path)
    if feed.format == "xlsx":
        return xlsx_by_child(engine, feed, path)
    if feed.format in ("csv", "ndjson", "fixed"):
        refuse_wrong_encoding(feed, path)
    return streamed(engine, _RECORDS[feed.format](feed, path))


def _of_the_feed(engine: DuckEngine, feed: Feed, path: Path, rows: Rows, notes: tuple[str, ...]) -> Rows:
    try:
        refuse_foreign(rows.columns, feed, path)
    except DataError:
        for stream in rows.streams:
            engine.unstream(stream)
        raise
    return replace(rows, notes=notes + rows.notes) if notes else rows
