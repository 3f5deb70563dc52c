"""Readers: one landed file becomes rows of text, exactly as they arrived, and nothing of it is lost.

Every record of the file is one row with its number `_row` (from 1; a header is no record). A record that does not
fit the file's columns is a row too: its columns NULL, the reason in `_reject`, its text in `_raw`. A file that
cannot be read to its end, or whose header cannot be trusted, is refused whole.

`read` leaves UTF-8 CSV and Parquet to the engine, whose CSV reader puts the lines it cannot split aside, unnumbered
(`take_rejects`). A file that has such lines is read again by `read_carefully`, which numbers and keeps them. Both
give the same rows of a file without such lines. Of NDJSON the engine reads the lines for which it is proven that it
loses nothing. `read` has that proven by the engine itself, in the pass that reads them, and marks a line that is not
(UNPROVEN). A file with such lines is read again by `read_proven`: lines that cannot be proven are read exactly and are
put in their places, so that it gives the same rows of any file as `read_carefully`.

What reads a format is imported where a file of it has landed, as importing takes time.

An empty value is '', never NULL: NULL says that the record has no such value (JSON, Parquet).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from src.bronze.readers.csv_fast import csv_by_engine, is_common
from src.bronze.readers.expected import refuse_foreign
from src.bronze.readers.first_bytes import as_its_bytes_say
from src.bronze.readers.records import SYSTEM_COLUMNS as SYSTEM_COLUMNS
from src.bronze.readers.records import UNPROVEN as UNPROVEN
from src.bronze.readers.records import Records, streamed
from src.bronze.readers.records import Rows as Rows
from src.bronze.readers.refusals import refusing
from src.contract import Feed
from src.engine import DuckEngine
from src.errors import BoathouseError, DataError


def read(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """Return a file's rows by the fast way where it gives what `read_carefully` gives, or says that it cannot.

    Raises:
        DataError: the file is refused; it names the file, and `read_carefully` would refuse it too.
    """
    with refusing(path):
        feed, notes = as_its_bytes_say(feed, path)
        return _of_the_feed(engine, feed, path, _fast(engine, feed, path) or _exact(engine, feed, path), notes)


def read_proven(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """Return the rows of an NDJSON file, whatever its lines are; else as `read`."""
    with refusing(path):
        feed, notes = as_its_bytes_say(feed, path)
        rows = _proven(engine, feed, path) or _exact(engine, feed, path)
        return _of_the_feed(engine, feed, path, rows, notes)


def ways(feed: Feed) -> Sequence[Callable[[DuckEngine, Feed, Path], Rows]]:
    """Return the ways to read a feed's files, each for those that the one before it does not take to their end."""
    return (read, read_proven, read_carefully) if feed.format == "ndjson" else (read, read_carefully)


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
        from src.bronze.readers.parquet import parquet_of_known_schema

        return parquet_of_known_schema(engine, path)
    if feed.format == "ndjson":
        from src.bronze.readers.ndjson_in_turn import ndjson_in_turn

        return ndjson_in_turn(feed, path) or _proven(engine, feed, path)
    return None


def _proven(engine: DuckEngine, feed: Feed, path: Path) -> Rows | None:
    from src.bronze.readers.ndjson_fast import ndjson_by_engine

    return ndjson_by_engine(engine, feed, path)


def _exact(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    if feed.format == "parquet":
        from src.bronze.readers.parquet import parquet_by_engine

        return parquet_by_engine(engine, path)
    if feed.format == "orc":
        from src.bronze.readers.orc import orc_by_arrow

        return orc_by_arrow(engine, path)
    if feed.format == "xlsx":
        from src.bronze.readers.xlsx import xlsx_by_child

        return xlsx_by_child(engine, feed, path)
    if feed.format in ("csv", "ndjson", "fixed"):
        from src.bronze.readers.text import refuse_wrong_encoding

        refuse_wrong_encoding(feed, path)
    return streamed(engine, _records(feed, path))


def _records(feed: Feed, path: Path) -> Records:
    """Return the records of a file that is read by this program itself, one by one."""
    match feed.format:
        case "csv":
            from src.bronze.readers.csv_careful import csv_records as records
        case "fixed":
            from src.bronze.readers.fixed_width import fixed_records as records
        case "xml":
            from src.bronze.readers.xml_elements import xml_records as records
        case "avro":
            from src.bronze.readers.avro import avro_records as records
        case _:
            from src.bronze.readers.json_columns import json_records as records
    return records(feed, path)


def _of_the_feed(engine: DuckEngine, feed: Feed, path: Path, rows: Rows, notes: tuple[str, ...]) -> Rows:
    try:
        refuse_foreign(rows.columns, feed, path)
    except DataError:
        for stream in rows.streams:
            engine.unstream(stream)
        raise
    return replace(rows, notes=notes + rows.notes) if notes else rows
