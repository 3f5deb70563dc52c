"""The lines of a text file that are no records: its header, what is above it, and what is left out at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from src.bronze import headers
from src.bronze.readers.csv_dialect import DELIMITERS, Dialect, dialect
from src.bronze.readers.expected import refuse_title_rows
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import lines_of, no_text_reason, quoted, read_otherwise, shown
from src.contract import Feed
from src.errors import DataError


@dataclass(frozen=True)
class Header:
    """A CSV header's names, not yet checked (none: only blank lines), its text, and the lines above it."""

    names: list[str]
    text: str = ""
    above: list[str] = field(default_factory=list)


def with_header_found(feed: Feed, path: Path) -> tuple[Feed, tuple[str, ...]]:
    """Return a feed of `header: auto` with the line in which this file's header is, and a note of it; others as given.

    Raises:
        DataError: no line is surely the header.
    """
    if feed.header != "auto":
        return feed, ()
    rows: list[tuple[int, list[str]]] = []
    line = 1
    with lines_of(feed, path) as lines:
        for values, raw in islice(dialect(feed).records(lines, blank_lines=True), headers.LOOKED_AT):
            if isinstance(values, list):
                rows.append((line, values))
            line += _line_ends(raw)
    if not any(value.strip() for _, values in rows for value in values):
        return replace(feed, header=True), ()  # an empty file
    try:
        line = headers.find_header(rows, "line")
    except headers.NoHeader as error:
        fix = f"write its line in {contract_of(feed)}, such as `header: 4`; nothing of the file was taken"
        raise DataError(f"the header is not found: {error}", where=path, fix=fix) from error
    return replace(feed, header=line), (f"the header is line {line}",)


def take_header(feed: Feed, path: Path, lines: Iterator[str]) -> Header:
    """Take the header off the lines of a CSV file, and what is above it.

    Raises:
        DataError: it cannot be read, or is not where the contract says.
    """
    if not feed.header:
        return Header(list(feed.columns))
    first, last = feed.header_lines or (0, 0)
    above = list(islice(lines, first - 1)) if first else []
    records = dialect(feed).records(lines, blank_lines=bool(first))
    rows, text = [], ""
    while True:
        values, raw = next(records, ([], ""))
        if reason := no_text_reason(raw, feed) or (values if isinstance(values, str) else None):
            _refuse_no_header(reason, raw, feed, path)
        rows.append([value.strip() for value in values])
        text += raw
        if not raw or len(above) + _line_ends(text) >= last:
            break
    if first and not any(map(any, rows)):
        if not any(line.strip() for line in [*above, *lines]):
            return Header([])
        what = f"line {first} is blank, and the contract says that it is the header"
        raise DataError(what, where=path, fix=f"write the header's line in {contract_of(feed)}, or `header: auto`")
    names = headers.joined(rows)
    refuse_title_rows(names, feed, path)
    if len(names) == 1:
        _refuse_another_delimiter(text, feed, path)
    return Header(names, text, above)


def _line_ends(raw: str) -> int:
    return max(1, raw.count("\n") or raw.count("\r"))


def _refuse_no_header(reason: str, raw: str, feed: Feed, path: Path) -> None:
    if not no_text_reason(raw, feed):
        refuse_title_rows([raw.strip()], feed, path)
        _refuse_another_delimiter(raw, feed, path)
    if found := read_otherwise(raw, feed):
        name, text = found
        what = f"the header is not {feed.encoding}; read as {name} it is {quoted(text[:100])}"
        fix = f"if that is right, write `encoding: {name}` in {contract_of(feed)}; nothing of the file was taken"
        raise DataError(what, where=path, fix=fix)
    fix = f"correct the file, or the encoding ({feed.encoding}) or delimiter ({feed.delimiter})"
    raise DataError(f"the header cannot be read: {reason}", where=path, fix=f"{fix} in {contract_of(feed)}")


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


def without_footer(feed: Feed, path: Path, lines: Iterator[str], left_out: list[str] | None = None) -> Iterator[str]:
    """Yield the lines below the header but those at the end that the contract's `skipFooter` says are no rows.

    Raises:
        DataError: there are lines, but not so many.
    """
    if not feed.skip_footer:
        yield from lines
        return
    kept = [] if left_out is None else left_out
    try:
        yield from headers.without_last(lines, feed.skip_footer, partial(_is_blank, feed), kept)
    except headers.TooShort as error:
        raise too_short(error, feed, path) from error


def too_short(error: object, feed: Feed, path: Path) -> DataError:
    """Return the refusal of a file that has fewer lines below its header than are left out at its end."""
    what = f"{error} lines below the header, skipFooter is {feed.skip_footer}"
    fix = f"correct the file, or skipFooter in {contract_of(feed)}; nothing of the file was taken"
    return DataError(what, where=path, fix=fix)


def _is_blank(feed: Feed, line: str) -> bool:
    """Return whether a line has nothing but blanks and delimiters, as spreadsheets write empty rows."""
    return not line.replace(feed.delimiter, "").strip()


def left_out(feed: Feed, lines_by_reason: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what a note says of the lines around a table, each with their text; none of blank lines."""
    found = {
        reason: [shown(line) for line in lines if not _is_blank(feed, line)]
        for reason, lines in lines_by_reason.items()
    }
    return {
        f"{len(lines)} lines {reason} left out": headers.shortened(lines) for reason, lines in found.items() if lines
    }
