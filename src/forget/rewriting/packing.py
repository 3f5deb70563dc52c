"""A file is packed again as it was: by the same program's format, with the name and time that a gzip header has."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.bronze.readers.files import packing

_NAMED = 8  # flag of a gzip header that has a name
_HEADER = 10  # bytes before that name


@contextmanager
def packed_like(path: Path, out: Path) -> Iterator[Any]:
    """Open a file for bytes, packed as the file at `path` is by its name."""
    kind = packing(path)
    if kind == "gzip":
        name, moment = _gzip_header(path)
        with out.open("wb") as file, gzip.GzipFile(name, "wb", fileobj=file, mtime=moment) as packed:
            yield packed
    elif kind == "zstd":
        import pyarrow as pa

        with pa.CompressedOutputStream(str(out), "zstd") as packed:
            yield packed
    elif kind in _PACKING:
        with _PACKING[kind](out, "wb") as packed:
            yield packed
    else:
        with out.open("wb") as file:
            yield file


_PACKING: dict[str, Any] = {"bzip2": bz2.open, "xz": lzma.open}


def _gzip_header(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        header = file.read(1 << 10)
    name = header[_HEADER:].split(b"\0", 1)[0].decode("latin-1") if header[3] == _NAMED else ""
    return name, int.from_bytes(header[4:8], "little")
