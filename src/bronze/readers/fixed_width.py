"""Files of fixed width: a column is what a line has from one character to another, without the blanks that fill it up.

A column that a line does not reach is NULL, as programs cut off blanks at the end of a line. Text that stands in no
column is never dropped: its line is a reject. Blank lines are no records.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from src.bronze.readers.files import prove_whole
from src.bronze.readers.lines import left_out, without_footer
from src.bronze.readers.records import Record, Records, checked
from src.bronze.readers.text import lines_of, no_text_reason
from src.contract import Feed


def fixed_records(feed: Feed, path: Path) -> Records:
    """Return the columns of a feed of fixed width, and the records of a file."""
    prove_whole(path)
    columns = checked([name for name, _, _ in feed.fixed_width], path)
    spans = [slice(first - 1, last) for _, first, last in feed.fixed_width]
    gaps = _gaps(spans)
    last_of_header = feed.header_lines[1] if feed.header_lines else int(bool(feed.header))

    def body(below: list[str] | None = None) -> Iterator[str]:
        with lines_of(feed, path) as lines:
            yield from without_footer(feed, path, islice(lines, last_of_header, None), below)

    def records() -> Iterator[Record]:
        for line in body():
            text = line.rstrip("\r\n")
            if text.strip():
                yield no_text_reason(line, feed) or _outside(text, gaps) or _values(text, spans), line

    if not last_of_header and not feed.skip_footer:
        return Records(columns, records)
    below: list[str] = []
    with lines_of(feed, path) as lines:
        above = list(islice(lines, last_of_header))
    if feed.skip_footer:
        for _ in body(below):
            pass
    return Records(columns, records, left_out=left_out(feed, {"as a header": above, "at the end": below}))


def _gaps(spans: list[slice]) -> list[slice]:
    """Return what is in no column, the rest of the line behind the last one included."""
    gaps, end = [], 0
    for span in sorted(spans, key=lambda one: one.start):
        if span.start > end:
            gaps.append(slice(end, span.start))
        end = max(end, span.stop)
    return [*gaps, slice(end, None)]


def _outside(text: str, gaps: list[slice]) -> str | None:
    for gap in gaps:
        if (rest := text[gap]) and rest.strip():
            at = (gap.start or 0) + len(rest) - len(rest.lstrip()) + 1
            return f"character {at} stands in no column of fixedWidth"
    return None


def _values(text: str, spans: list[slice]) -> list[str | None]:
    width = len(text)
    return [text[span].strip(" ") if span.start < width else None for span in spans]
