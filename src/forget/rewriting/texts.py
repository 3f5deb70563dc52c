"""Text without some of its records: it is split where bronze splits it, and every other byte is written as read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from src.bronze.readers.csv_careful import split
from src.bronze.readers.files import opened
from src.bronze.readers.first_bytes import as_its_bytes_say
from src.bronze.readers.json_objects import objects_in_array
from src.bronze.readers.lines import take_header, with_header_found, without_footer
from src.bronze.readers.text import MARKS, encoding_of, lines_of
from src.contract import Feed
from src.errors import DataError
from src.forget.rewriting.packing import packed_like

LARGEST_ARRAY = 256 << 20  # characters of a JSON array, which is held whole
_LONGEST_MARK = 4  # bytes
_COMMA, _LAST_COMMA = re.compile(r"\s*,\s*"), re.compile(r",\s*\Z")

Part = tuple[int, str]  # the number of a record, 0 for what is none, and its text


def write_text(feed: Feed, path: Path, rows: Collection[int], out: Path) -> None:
    """Write a text file as `write_without` does."""
    feed, _ = as_its_bytes_say(feed, path)
    mark, encoding = _mark_of(feed, path)
    wanted = frozenset(rows)
    with opened(path) as original, packed_like(path, out) as written:
        written.write(original.read(len(mark)))
        pieces = _array(feed, path, wanted) if feed.format == "json" else _kept(_parts(feed, path), wanted)
        for text, is_kept in pieces:
            try:
                data = text.encode(encoding, "surrogateescape")
            except UnicodeEncodeError:
                data = None
            if data is None or original.read(len(data)) != data:
                raise DataError(f"not all of it is {feed.encoding}", where=path, fix="take the rows out by hand")
            if is_kept:
                written.write(data)
        if original.read(1):
            raise DataError("it has bytes behind its last line", where=path, fix="take the rows out by hand")


def _mark_of(feed: Feed, path: Path) -> tuple[bytes, str]:
    """Return the byte order mark of a file, and the encoding of what follows as Python writes it without one."""
    encoding = encoding_of(feed)
    with opened(path) as file:
        begin = file.read(_LONGEST_MARK)
    mark = next((mark for mark, name in MARKS if begin.startswith(mark) and encoding.startswith(name)), b"")
    if encoding in ("utf-16", "utf-32"):
        encoding += "-be" if (mark and mark[-1] == 0xFF) or mark == b"\xfe\xff" else "-le"
    return mark, encoding.removesuffix("-sig")


def _kept(parts: Iterator[Part], rows: Collection[int]) -> Iterator[tuple[str, bool]]:
    """Yield all text, and whether it stays."""
    for number, text in parts:
        yield text, number == 0 or number not in rows


def _parts(feed: Feed, path: Path) -> Iterator[Part]:
    if feed.format == "csv":
        return _csv(feed, path)
    return _fixed(feed, path) if feed.format == "fixed" else _ndjson(feed, path)


def _csv(feed: Feed, path: Path) -> Iterator[Part]:
    feed, _ = with_header_found(feed, path)
    read: deque[str] = deque()  # lines that are in no part yet
    with lines_of(feed, path) as lines:
        noted = _noted(lines, read)
        header = take_header(feed, path, noted)
        yield from ((0, read.popleft()) for _ in range(len(read)))
        for number, (_, raw) in enumerate(split(feed, without_footer(feed, path, noted), header.names), 1):
            while not raw.startswith(read[0]):  # a blank line, which is no record
                yield 0, read.popleft()
            text = ""
            while text != raw:
                text += read.popleft()
            yield number, text
        yield from ((0, line) for line in read)


def _noted(lines: Iterator[str], read: deque[str]) -> Iterator[str]:
    for line in lines:
        read.append(line)
        yield line


def _fixed(feed: Feed, path: Path) -> Iterator[Part]:
    last_of_header = feed.header_lines[1] if feed.header_lines else int(bool(feed.header))
    read: deque[str] = deque()
    number = 0
    with lines_of(feed, path) as lines:
        yield from ((0, line) for line in islice(lines, last_of_header))
        for line in without_footer(feed, path, _noted(lines, read)):
            read.popleft()
            number += bool(line.rstrip("\r\n").strip())
            yield (number if line.rstrip("\r\n").strip() else 0), line
        yield from ((0, line) for line in read)


def _ndjson(feed: Feed, path: Path) -> Iterator[Part]:
    number = 0
    with lines_of(feed, path) as lines:
        for line in lines:
            is_blank = not line.strip(" \t\r\n")
            number += not is_blank
            yield (0 if is_blank else number), line


def _array(feed: Feed, path: Path, rows: Collection[int]) -> Iterator[tuple[str, bool]]:
    """Yield the text of a JSON file, and whether it stays: a comma goes with the object before it, or behind it.

    Whatever else the file holds is text between objects. Where the text of an object stands before it too, as another
    value, that one would go: whoever calls reads the rows of what was written.
    """
    with lines_of(feed, path) as lines:
        text = "".join(lines)
    if len(text) > LARGEST_ARRAY:
        raise DataError(f"a JSON array of more than {LARGEST_ARRAY:,} characters", where=path, fix="land it in parts")
    kept: list[tuple[str, bool]] = []
    end, gone = 0, False
    for number, (_, raw) in enumerate(objects_in_array(iter([text]), path, feed.record_path), 1):
        start = text.index(raw, end)
        _add_between(kept, text[end:start], gone)
        gone = number in rows
        kept.append((raw, not gone))
        end = start + len(raw)
    _add_between(kept, text[end:], gone)
    return iter(kept)


def _add_between(kept: list[tuple[str, bool]], text: str, gone: bool) -> None:
    """Add the text behind an object; of one that is gone the comma goes too, and the blanks behind it."""
    if not gone:
        kept.append((text, True))
        return
    if comma := _COMMA.match(text):
        kept += [(comma[0], False), (text[comma.end() :], True)]
        return
    # the last of its array: the comma before it, which stands before all that went just now
    at = next((at for at in reversed(range(len(kept))) if kept[at][1] and kept[at][0]), None)
    if at is not None and (comma := _LAST_COMMA.search(kept[at][0])):
        kept[at : at + 1] = [(kept[at][0][: comma.start()], True), (comma[0], False)]
    kept.append((text, True))
