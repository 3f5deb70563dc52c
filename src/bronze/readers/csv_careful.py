"""CSV, exactly: every record is kept in its place, those that do not fit the columns with the reason.

Exporters end lines with a delimiter. An empty value at the end of a line is theirs if every record of the file has it:
then it is dropped, from the header too. Where only some records have it, it is a value that moved, and these lines
are rejects.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from src.bronze import headers
from src.bronze.readers.csv_dialect import dialect
from src.bronze.readers.files import prove_whole
from src.bronze.readers.lines import left_out, take_header, with_header_found, without_footer
from src.bronze.readers.records import UNNAMED, Record, Records, checked
from src.bronze.readers.text import lines_of, no_text_reason
from src.contract import Feed


def csv_records(feed: Feed, path: Path) -> Records:
    """Return the columns and the records of a CSV file, each record numbered and split exactly."""
    prove_whole(path)
    feed, notes = with_header_found(feed, path)
    below: list[str] = []
    with lines_of(feed, path) as lines:
        header = take_header(feed, path, lines)
        rest = without_footer(feed, path, lines, below)
        values = (values for values, _ in split(feed, rest, header.names) if isinstance(values, list))
        ended = every_record_ends_empty(header.names, values)
        if feed.skip_footer:
            deque(rest, 0)  # what is left out is known at the end
    columns = columns_of(feed, header.names, ended, path)

    def records() -> Iterator[Record]:
        with lines_of(feed, path) as lines:
            take_header(feed, path, lines)
            yield from _fitting(split(feed, without_footer(feed, path, lines), header.names), len(columns), ended, feed)

    return Records(columns, records, notes, left_out(feed, {"above the header": header.above, "at the end": below}))


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


def columns_of(feed: Feed, names: list[str], ended: bool, path: Path) -> tuple[str, ...]:
    """Return the column names of a header, without the empty one that every line ends with."""
    if ended and _ends_blank(names):
        names = names[:-1]
    names = headers.named(names, feed.names.unnamed, feed.names.repeated)
    if len(names) > 1 and not names[0] and all(names[1:]):
        names = [UNNAMED, *names[1:]]  # the index of a data frame
    return checked(names, path, feed)


def split(feed: Feed, lines: Iterator[str], names: list[str]) -> Iterator[Record]:
    """Yield the records of the lines below a header of these names."""
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
