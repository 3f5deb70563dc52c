"""CSV, exactly: every record is kept in its place, those that do not fit the columns with the reason.

Exporters end lines with a delimiter. An empty value at the end of a line is theirs if every record of the file has it:
then it is dropped, from the header too. Where only some records have it, it is a value that moved, and these lines
are rejects.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from src.bronze.readers.csv_dialect import DELIMITERS, Dialect, dialect
from src.bronze.readers.expected import refuse_title_rows
from src.bronze.readers.files import prove_whole
from src.bronze.readers.records import UNNAMED, Record, Records, checked
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import lines_of, no_text_reason, quoted
from src.contract import Feed
from src.errors import DataError


def csv_records(feed: Feed, path: Path) -> Records:
    """Return the columns and the records of a CSV file, each record numbered and split exactly."""
    prove_whole(path)
    with lines_of(feed, path) as lines:
        names, _ = header(feed, path, lines)
        values = (values for values, _ in _split(feed, lines, names) if isinstance(values, list))
        ended = every_record_ends_empty(names, values)
    columns = columns_of(names, ended, path)

    def records() -> Iterator[Record]:
        with lines_of(feed, path) as lines:
            header(feed, path, lines)
            yield from _fitting(_split(feed, lines, names), len(columns), ended, feed)

    return columns, records


def header(feed: Feed, path: Path, lines: Iterator[str]) -> tuple[list[str], str]:
    """Take the header off the lines; return its names, not yet checked (none: only blank lines), and its text."""
    if not feed.header:
        return list(feed.columns), ""
    values, raw = next(dialect(feed).records(lines, blank_lines=False), ([], ""))
    reason = no_text_reason(raw, feed)
    if not reason:
        refuse_title_rows([raw.strip()] if isinstance(values, str) else values, feed, path)
    if not reason and (isinstance(values, str) or len(values) == 1):
        _refuse_another_delimiter(raw, feed, path)
    if reason or isinstance(values, str):
        fix = f"correct the file, or the encoding ({feed.encoding}) or delimiter ({feed.delimiter})"
        raise DataError(
            f"the header cannot be read: {reason or values}", where=path, fix=f"{fix} in {contract_of(feed)}"
        )
    return [name.strip() for name in values], raw


def _refuse_another_delimiter(raw: str, feed: Feed, path: Path) -> None:
    """Refuse a file whose header another delimiter splits.

    Split at the wrong mark it would be one column, in which nobody finds the values again.
    """
    for mark in DELIMITERS:
        values, _ = next(Dialect(mark, feed.quote, feed.escape).records(iter([raw]), blank_lines=False), ([], ""))
        if mark != feed.delimiter and isinstance(values, list) and len(values) > 1:
            what = f"the header has 1 column {quoted(raw.strip())}, the delimiter is {quoted(feed.delimiter)}"
            fix = f"set delimiter {quoted(mark)} in {contract_of(feed)}, or correct the file"
            raise DataError(what, where=path, fix=fix)


def every_record_ends_empty(names: list[str], records: Iterator[list[str]]) -> bool:
    """Return True if each record has one value more than the header has names, an empty one; stops at the first that
    has not. In a file without records the header alone decides."""
    width = len(names) - _ends_blank(names)
    first = next(records, None)
    if first is None:
        return _ends_blank(names)
    return all(len(values) == width + 1 and not values[-1] for values in chain([first], records))


def _ends_blank(names: list[str]) -> bool:
    return len(names) > 1 and not names[-1]


def columns_of(names: list[str], ended: bool, path: Path) -> tuple[str, ...]:
    """Return the column names of a header, without the empty one that every line ends with."""
    if ended and _ends_blank(names):
        names = names[:-1]
    if len(names) > 1 and not names[0] and all(names[1:]):
        names = [UNNAMED, *names[1:]]  # the index of a data frame
    return checked(names, path)


def _split(feed: Feed, lines: Iterator[str], names: list[str]) -> Iterator[Record]:
    return dialect(feed).records(lines, blank_lines=len(names) - _ends_blank(names) == 1)


def _fitting(records: Iterator[Record], width: int, ended: bool, feed: Feed) -> Iterator[Record]:
    """Yield the records, those that do not fit the columns with the reason instead of values."""
    for values, raw in records:
        if type(values) is list:
            if len(values) != width + ended:
                values = _misfit(values, width + ended)
            elif ended:
                values = values[:-1] if not values[-1] else "the file changed while it was read"
        yield no_text_reason(raw, feed) or values, raw


def _misfit(values: list[str], width: int) -> str:
    surplus = ", the last one empty" if len(values) > width and not values[-1] else ""
    return f"expected {width} values, found {len(values)}{surplus}"
