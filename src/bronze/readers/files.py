"""The bytes of a landed file: unpacked on the way, and known to be whole before anything of them is taken."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

BLOCK = 1 << 20  # bytes read at once
PACKED = {".gz": "gzip", ".zst": "zstd"}  # endings of packed files, and the packing as the engine calls it


def packing(path: Path) -> str | None:
    return PACKED.get(path.suffix.lower())


def opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked if its name says that they are packed."""
    if packing(path) == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if packing(path) == "zstd":
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(open(path, "rb")), "zstd")))
    return open(path, "rb")


def blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    with opened(path) as file:
        while block := file.read(size):
            yield block


def prove_whole(path: Path) -> None:
    """A packed file shows its damage only on the way; it is refused before its first rows are given away."""
    if packing(path):
        for _ in blocks(path):
            pass


def pattern(path: Path) -> str:
    """The path as the engine's pattern for this file alone."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", str(path))
