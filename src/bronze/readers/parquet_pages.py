"""What the engine does not tell of Parquet files: their pages with their checksums, and which have the same schema.

Pages are read as they lie in the file, not unpacked, so this costs less than the hash by which a file is known.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from src.bronze.readers.files import BLOCK

_KIND, _UNPACKED, _SIZE, _CHECKSUM = 1, 2, 3, 4  # fields of a page header: bytes of the page, CRC-32 of them
_OF_KIND = (5, 7, 8)  # and the one that tells of a data page, a dictionary page, a data page of the second version
_VERSION, _SCHEMA = 0x15, 0x19  # how a footer's first field, a number, begins, and its second, a list
_LONGEST_HEADER = 16 << 20  # it may hold the least and the greatest value of the page
_AT_ONCE = 4096  # bytes of a header read at first


@dataclass(frozen=True)
class Page:
    """One page as it lies in a file: where its bytes begin, how many they are, and how many unpacked.

    `encoding` is its number in the format. The first `levels` bytes are never packed.
    """

    is_dictionary: bool
    encoding: int
    values: int
    start: int
    size: int
    unpacked: int
    levels: int
    is_packed: bool


def pages(data: memoryview, start: int, size: int) -> Iterator[Page]:
    """Yield the pages of a column chunk, which has so many bytes from `start`.

    Raises:
        ValueError, IndexError: these bytes are no pages.
    """
    at, end = start, start + size
    while at < end:
        fields, body = _struct(data, at)
        own = next((fields[field] for field in _OF_KIND if field in fields), None)
        if own is None:
            raise ValueError(f"a page of kind {fields.get(_KIND)}")
        second = _OF_KIND[2] in fields
        levels = own.get(5, 0) + own.get(6, 0) if second else 0
        packed = own.get(7, True) if second else True
        is_dictionary = _OF_KIND[1] in fields
        encoding = own[4] if second else own[2]
        yield Page(is_dictionary, encoding, own[1], body, fields[_SIZE], fields[_UNPACKED], levels, packed)
        at = body + fields[_SIZE]


def has_checksums(path: Path) -> bool:
    """Return whether the file's first page has one: a program writes them for all pages or for none."""
    with open(path, "rb") as file:
        return _CHECKSUM in _header(file, 4)[0]


def damaged_page(path: Path, chunks: Iterable[tuple[int, int]]) -> int | None:
    """Return the offset of the first page that is not what was written; None where all are.

    `chunks`: the offset and size in bytes of each column's pages.
    """
    with open(path, "rb") as file:
        for at, size in chunks:
            end = at + size
            while at < end:
                fields, header = _header(file, at)
                if _SIZE not in fields or header == 0:
                    break  # no page: the engine will say what is wrong
                if _CHECKSUM in fields and _crc(file, at + header, fields[_SIZE]) != fields[_CHECKSUM] & 0xFFFFFFFF:
                    return at
                at += header + fields[_SIZE]
    return None


def schema_bytes(path: Path) -> bytes | None:
    """Return the bytes of a file's footer that are its schema; None where these alone do not say how it is read.

    That is so for what is no whole Parquet file, and for one with a word on geometry, which stands beside the schema.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 8))
        end = file.read(8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != b"PAR1" or not 0 < length <= size - 12:
            return None
        file.seek(size - 8 - length)
        footer = file.read(length)
    try:
        at = _varint(footer, 1)[1]
        if footer[0] != _VERSION or footer[at] != _SCHEMA or b"geo" in footer.lower():
            return None
        return footer[at : _list(footer, at + 1)]
    except (IndexError, ValueError):
        return None


def _crc(file: BinaryIO, at: int, size: int) -> int:
    file.seek(at)
    crc = 0
    while size > 0 and (block := file.read(min(size, BLOCK))):
        crc = zlib.crc32(block, crc)
        size -= len(block)
    return crc


def _header(file: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    """Return what the page header at an offset says, by field, and its size in bytes: 0 if there is none."""
    size = _AT_ONCE
    while size <= _LONGEST_HEADER:
        file.seek(at)
        try:
            return _struct(file.read(size), 0)
        except IndexError:
            size *= 16
        except ValueError:
            break
    return {}, 0


def _struct(data: bytes | memoryview, at: int) -> tuple[dict[int, Any], int]:
    """Return the whole numbers, truths and structs in one of Thrift's compact form, by field, and where it ends."""
    found: dict[int, Any] = {}
    field = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            field += step
        else:
            field, at = _number(data, at)
        if kind in (4, 5, 6):
            found[field], at = _number(data, at)
        elif kind == 8:  # text
            length, at = _varint(data, at)
            at += length
        elif kind == 12:
            found[field], at = _struct(data, at)
        elif kind == 3:
            at += 1
        elif kind in (1, 2):
            found[field] = kind == 1
        else:
            raise ValueError(f"kind {kind}")
    return found, at + 1


def _list(data: bytes, at: int) -> int:
    """Return where a list of structs ends.

    Raises:
        ValueError: it is a list of something else.
    """
    kind, count = data[at] & 15, data[at] >> 4
    at += 1
    if kind != 12:
        raise ValueError(f"kind {kind}")
    if count == 15:
        count, at = _varint(data, at)
    for _ in range(count):
        _, at = _struct(data, at)
    return at


def _number(data: bytes | memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7
