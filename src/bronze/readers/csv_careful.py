"""CSV, exactly: every record is kept in its place, those that do not fit the columns with the reason.

Empty values beyond the last column are dropped (exporters end lines with a delimiter).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from src.bronze.readers.csv_dialect import DELIMITERS, dialect
from src.bronze.readers.files import prove_whole
from src.bronze.readers.records import Record, Records, checked
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import fault_in, lines_of, quoted
from src.contract import Feed
from src.errors import DataError


def csv_records(feed: Feed, path: Path) -> Records:
    prove_whole(path)
    with lines_of(feed, path) as lines:
        columns, _ = header(feed, path, lines)

    def records() -> Iterator[Record]:
        with lines_of(feed, path) as lines:
            if feed.header:
                header(feed, path, lines)
            split = dialect(feed).records(lines, blank_lines=len(columns) == 1)
            yield from _fitting(split, len(columns), feed)

    return columns, records


def header(feed: Feed, path: Path, lines: Iterator[str]) -> tuple[tuple[str, ...], str]:
    """Takes the header off the lines: the column names (none: nothing but blank lines) and its text."""
    if not feed.header:
        return checked(feed.columns, path), ""
    values, raw = next(dialect(feed).records(lines, blank_lines=False), ([], ""))
    fault = fault_in(raw, feed) or (values if isinstance(values, str) else None)
    if fault:
        fix = f"correct the file, or the encoding ({feed.encoding}) or delimiter ({feed.delimiter})"
        raise DataError(f"the header cannot be read: {fault}", where=path, fix=f"{fix} in {contract_of(feed)}")
    columns = [name.strip() for name in values]
    if len(columns) == 1 and not (feed.quote and feed.quote in raw):
        _refuse_another_delimiter(columns[0], feed, path)
    return checked(columns, path), raw


def _refuse_another_delimiter(column: str, feed: Feed, path: Path) -> None:
    """A file split at the wrong mark would be one column, in which nobody finds the values again."""
    if other := next((mark for mark in DELIMITERS if mark in column), None):
        what = f"the header has 1 column {quoted(column)}, the delimiter is {quoted(feed.delimiter)}"
        fix = f"set delimiter {quoted(other)} in {contract_of(feed)}, or correct the file"
        raise DataError(what, where=path, fix=fix)


def _fitting(records: Iterator[Record], width: int, feed: Feed) -> Iterator[Record]:
    """The records, those that do not fit the columns with the reason instead of values."""
    for values, raw in records:
        if type(values) is list and len(values) != width:
            if len(values) > width and not any(values[width:]):
                values = values[:width]
            else:
                values = f"expected {width} values, found {len(values)}"
        yield fault_in(raw, feed) or values, raw
