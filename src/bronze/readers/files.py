"""The bytes of a landed file: unpacked on the way, and known to be whole before anything of them is taken.

What a packed file unpacks to is bounded, so that a few kilobytes cannot fill the disk.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from src.contract.patterns import PACKED
from src.errors import DataError

BLOCK = 1 << 20  # bytes read at once
BY_ENGINE = ("gzip", "zstd", None)  # packings that the engine unpacks itself

MOST_UNPACKED = 200  # times its own size; tables pack to a fifth or a tenth, tables of one value to a hundredth
ALWAYS_UNPACKED = 1 << 30  # bytes that any packed file may unpack to


def packing(path: Path) -> str | None:
    """Return how a file is packed, by its name; None where it is not."""
    return PACKED.get(path.suffix.lower())


def most_unpacked(path: Path) -> int:
    """Return how many bytes a packed file may unpack to."""
    return max(ALWAYS_UNPACKED, MOST_UNPACKED * path.stat().st_size)


def opened(path: Path) -> BinaryIO:
    """Return the file's bytes, unpacked if its name says that they are packed."""
    kind = packing(path)
    if kind in _UNPACKING:
        return _bounded(_UNPACKING[kind](path, "rb"), path)
    if kind == "zstd":
        import pyarrow as pa

        return _bounded(pa.CompressedInputStream(pa.PythonFile(open(path, "rb")), "zstd"), path)
    return open(path, "rb")


_UNPACKING: dict[str | None, Callable[[Path, str], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}


def _bounded(unpacked: Any, path: Path) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Bounded(unpacked, path), BLOCK))


class _Bounded(io.RawIOBase):
    """An unpacked file that ends with an error where it gets too long."""

    def __init__(self, unpacked: Any, path: Path) -> None:
        self._unpacked, self._path = unpacked, path
        self._most = most_unpacked(path)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._unpacked.readinto(buffer)
        self._read += count
        if self._read > self._most:
            what = f"unpacks to more than {self._most:,} bytes; the file has {self._path.stat().st_size:,}"
            fix = "if this is right, land it unpacked or in parts; nothing of it was taken"
            raise DataError(what, where=self._path, fix=fix)
        return count

    def close(self) -> None:
        self._unpacked.close()
        super().close()


def blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the file's bytes, unpacked, in blocks of `size`."""
    with opened(path) as file:
        while block := file.read(size):
            yield block


def prove_whole(path: Path) -> None:
    """Read a packed file to its end, so that a damaged one is refused before its first rows are given away."""
    if packing(path):
        for _ in blocks(path):
            pass


def pattern(path: Path) -> str:
    """Return the path as the engine's pattern for this file alone."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", str(path))
