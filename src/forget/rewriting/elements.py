"""XML without some of its records: the bytes from the beginning of an element to its end, and the blanks before it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from xml.parsers import expat

from src.bronze.readers.files import opened
from src.contract import Feed
from src.errors import DataError
from src.forget.rewriting.packing import packed_like

LARGEST = 512 << 20  # bytes of a file, which is held whole
_BLANKS = b" \t\r\n"


def write_xml(feed: Feed, path: Path, rows: Collection[int], out: Path) -> None:
    """Write an XML file as `write_without` does."""
    with opened(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DataError(f"XML of more than {LARGEST:,} bytes", where=path, fix="land it in parts")
    spans = _Spans(feed.record_path)
    try:
        spans.read(data)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"malformed XML: {error}", where=path, fix="correct the file") from error
    with packed_like(path, out) as written:
        end = 0
        for number, (start, stop) in enumerate(spans.found, 1):
            if number in rows:
                written.write(data[end:start].rstrip(_BLANKS))
                end = stop
        written.write(data[end:])


class _Spans:
    """The bytes of a document's records: an element ends where the next thing of whatever kind begins."""

    def __init__(self, steps: Sequence[str]) -> None:
        self._steps, self._path = list(steps), list[str]()
        self._start: int | None = None
        self._is_over = False
        self.found: list[tuple[int, int]] = []

    def read(self, data: bytes) -> None:
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.DefaultHandler = parser.CharacterDataHandler = parser.CommentHandler = self._other
        parser.ProcessingInstructionHandler = self._other
        parser.Parse(data, True)
        self._close(len(data))

    def _begin(self, name: str, _: object) -> None:
        self._close(self._parser.CurrentByteIndex)
        self._path.append(name.rpartition(" ")[2])
        if self._path == self._steps:
            self._start = self._parser.CurrentByteIndex

    def _end(self, _: str) -> None:
        self._close(self._parser.CurrentByteIndex)
        self._is_over = self._path == self._steps
        self._path.pop()

    def _other(self, *_: object) -> None:
        self._close(self._parser.CurrentByteIndex)

    def _close(self, at: int) -> None:
        if self._is_over and self._start is not None:
            self.found.append((self._start, at))
            self._start, self._is_over = None, False
