"""Parquet: every page unpacked and looked through, also entries of a dictionary that no row has.

No library shows pages. Of a column of text the bytes of its plain pages tell all; what is written as differences, and
numbers, is decoded by Arrow and compared. Pages that number the entries of a dictionary hold nothing else. Footer,
indexes of pages, and whatever lies between the columns are looked through as bytes; Bloom filters are not asked.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

from src.bronze.readers.parquet_pages import Page, pages
from src.forget.scanning.columns import in_action, is_log, moment, values_in
from src.forget.scanning.pieces import Hit, Piece, of_bytes, sure
from src.forget.scanning.spelled import Forms, Value

_PLAIN, _PLAIN_DICTIONARY, _RLE, _DELTA_LENGTH, _DICTIONARY = 0, 2, 3, 6, 8  # encodings by their numbers
_TEXT = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
_CODECS = {
    "SNAPPY": "snappy",
    "GZIP": "gzip",
    "ZSTD": "zstd",
    "LZ4": "lz4_raw",
    "LZ4_RAW": "lz4_raw",
    "BROTLI": "brotli",
}
_ROWS = 65_536  # that are decoded at once
_SMALLEST = {"INT32": "<i", "INT64": "<q", "FLOAT": "<f", "DOUBLE": "<d"}


def parquet_pieces(forms: Forms, data: Any) -> Iterator[Piece]:
    """Yield all of a Parquet file, an Arrow buffer, in pieces.

    Raises:
        ValueError, OSError, IndexError, ...: it is damaged.
    """
    return _File(forms, data).pieces()


class _File:
    """One file as it is looked through: the columns that are to be decoded come to light on the way."""

    def __init__(self, forms: Forms, data: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._forms, self._data, self._view = forms, data, memoryview(data).cast("B")
        self._file = pq.ParquetFile(pa.BufferReader(data))
        self._meta = self._file.metadata
        self._is_log = is_log(self._file.schema_arrow.names)
        self._kinds = [self._meta.schema.column(at) for at in range(self._meta.num_columns)]
        self._decoded: set[str] = set()  # paths of columns

    def pieces(self) -> Iterator[Piece]:
        extents: list[tuple[int, int]] = []
        for group in range(self._meta.num_row_groups):
            for at, kind in enumerate(self._kinds):
                chunk = self._meta.row_group(group).column(at)
                starts = [chunk.data_page_offset]
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    starts.append(chunk.dictionary_page_offset)
                extents.append((min(starts), chunk.total_compressed_size))
                yield from self._chunk(kind, chunk, *extents[-1])
                yield from self._statistics(kind.path, chunk.statistics)
        yield from self._between(extents)
        for text in (self._meta.metadata or {}).values():
            try:
                yield of_bytes(self._forms, base64.b64decode(text, validate=True), "footer, in base64")
            except (binascii.Error, ValueError):
                continue  # no base64: it was looked through with the footer
        yield Piece(b"", self._rows, must=True)

    def _chunk(self, kind: Any, chunk: Any, start: int, size: int) -> Iterator[Piece]:
        forms, name, physical = self._forms, kind.path, chunk.physical_type
        counts = any(value.counts_in(name) for value in forms.numbers) or any(map(moment, forms.texts))
        if counts and (physical not in _TEXT or _is_other_than_text(kind)):
            self._decoded.add(name)
        if physical not in _TEXT:
            numbers = [value for value in forms.numbers if value.counts_in(name)] if physical in _SMALLEST else []
            for page in pages(self._view, start, size) if numbers and chunk.has_dictionary_page else ():
                if page.is_dictionary:
                    yield from self._numbers(self._unpacked(chunk, page), name, physical, kind, numbers)
            return
        for page in pages(self._view, start, size):
            if page.is_dictionary:
                entries = self._unpacked(chunk, page)
                yield Piece(entries, partial(self._entries, entries, name, kind))
            elif page.encoding in (_PLAIN, _DELTA_LENGTH):
                yield Piece(self._unpacked(chunk, page), partial(self._suspect, name))
            elif page.encoding not in (_PLAIN_DICTIONARY, _RLE, _DICTIONARY):
                self._decoded.add(name)

    def _unpacked(self, chunk: Any, page: Page) -> Any:
        import pyarrow as pa

        body = self._data.slice(page.start, page.size)
        if chunk.compression == "UNCOMPRESSED" or not page.is_packed or page.size == page.levels:
            return body
        codec = pa.Codec(_CODECS[chunk.compression])
        if not page.levels:
            return codec.decompress(body, page.unpacked)
        values = codec.decompress(body.slice(page.levels), page.unpacked - page.levels)
        return body.slice(0, page.levels).to_pybytes() + values.to_pybytes()

    def _entries(self, entries: Any, name: str, kind: Any) -> Iterator[Hit]:
        """Yield what the entries of a dictionary hold, each by itself."""
        data = memoryview(entries).cast("B")
        if kind.physical_type == "FIXED_LEN_BYTE_ARRAY":
            yield from ((f"dictionary page of {name}", value) for value in self._forms.values_in(data))
            return
        at, texts = 0, []
        while at + 4 <= len(data):
            size = int.from_bytes(data[at : at + 4], "little")
            texts.append(bytes(data[at + 4 : at + 4 + size]))
            at += 4 + size
        for nth in self._forms.likely(texts):
            yield from self._judged(f"dictionary page of {name}", texts[nth], name)

    def _judged(self, how: str, text: bytes, name: str) -> Iterator[Hit]:
        if self._is_log:
            yield from in_action(self._forms, text.decode("utf-8", "replace"), how, name.rpartition(".")[2])
        else:
            yield from ((how, value) for value in self._forms.values_in(text, name))

    def _numbers(self, entries: Any, name: str, physical: str, kind: Any, numbers: list[Value]) -> Iterator[Piece]:
        scale = 10 ** max(0, kind.scale) if kind.logical_type.type == "DECIMAL" else 1
        form = _SMALLEST[physical]
        width = struct.calcsize(form)
        whole = memoryview(entries).cast("B")
        whole = whole[: len(whole) // width * width]
        there = {found for (found,) in struct.iter_unpack(form, whole)}
        for value in numbers:
            if value.number is not None and value.number * scale in there and not self._is_log:
                yield sure(f"dictionary page of {name}", value)

    def _suspect(self, name: str) -> Iterator[Hit]:
        self._decoded.add(name)
        yield from ()

    def _statistics(self, name: str, bounds: Any) -> Iterator[Piece]:
        if bounds is None or not bounds.has_min_max or self._is_log:
            return
        how = f"statistics of {name}"
        for bound in (bounds.min, bounds.max):
            text = bound.decode("utf-8", "replace") if isinstance(bound, bytes) else bound
            if isinstance(text, str):
                data = text.encode("utf-8", "replace")
                yield Piece(data, partial(self._judged, how, data, name))
                found = list(self._forms.cut(text))
            else:
                found = [value for value in self._forms.numbers if value.number == text and value.counts_in(name)]
                found += [value for value in self._forms.texts if text == moment(value)]
            yield from (sure(how, value) for value in found)

    def _between(self, extents: list[tuple[int, int]]) -> Iterator[Piece]:
        """Yield what is in no column: footer, indexes, Bloom filters, and bytes that nothing refers to."""
        end = 4
        for start, size in [*sorted(extents), (len(self._data), 0)]:
            if start > end:
                part = self._view[end:start]
                yield Piece(part, partial(self._loose, part))
            end = max(end, start + size)

    def _loose(self, part: memoryview) -> Iterator[Hit]:
        # of numbers the footer tells in its own form, which `_statistics` reads; digits in it are offsets and schemas
        yield from (("footer or page index", value) for value in self._forms.values_in(part) if value.number is None)

    def _rows(self) -> Iterator[Hit]:
        """Decode the columns in which something may be, and compare them value by value."""
        if self._is_log:
            if not self._decoded and not self._forms.numbers:
                return
            for batch in self._file.iter_batches(_ROWS // 16):
                for row in batch.to_pylist():
                    yield from in_action(self._forms, row, "entry of the log")
            return
        for path in sorted(self._decoded):
            found: set[Value] = set()
            for batch in self._file.iter_batches(_ROWS, columns=[path]):
                for column, name in zip(batch.columns, batch.schema.names, strict=True):
                    found.update(values_in(self._forms, column, name))
            yield from ((f"rows of {path}", value) for value in self._forms.values if value in found)


def _is_other_than_text(kind: Any) -> bool:
    return kind.logical_type.type in ("DECIMAL", "FLOAT16", "INTERVAL")
