"""Checksums of Parquet pages, where a file has them: the engine does not look at them.

Pages are read as they lie in the file, not unpacked, so this costs less than the hash by which a file is known.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from src.bronze.readers.files import BLOCK

_SIZE, _CHECKSUM = 3, 4  # fields of a page header: bytes of the page, CRC-32 of them
_LONGEST_HEADER = 16 << 20  # it may hold the least and the greatest value of the page
_AT_ONCE = 4096  # bytes of a header read at first


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


def _crc(file: BinaryIO, at: int, size: int) -> int:
    file.seek(at)
    crc = 0
    while size > 0 and (block := file.read(min(size, BLOCK))):
        crc = zlib.crc32(block, crc)
        size -= len(block)
    return crc


def _header(file: BinaryIO, at: int) -> tuple[dict[int, int], int]:
    """Return the numbers in the page header at an offset, by field, and its size in bytes: 0 if there is none."""
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


def _struct(data: bytes, at: int) -> tuple[dict[int, int], int]:
    """Return the whole numbers of a struct in Thrift's compact form, and where it ends."""
    found: dict[int, int] = {}
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
            _, at = _struct(data, at)
        elif kind not in (1, 2):  # the truth is in the kind
            raise ValueError(f"kind {kind}")
    return found, at + 1


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7
