"""What a file is, by its first bytes, and all of it in pieces: packed ones are unpacked, whatever lies in another too.

A name says nothing: the objects of a backup are named by their hashes. What cannot be read is a hit without a value.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from src import lake
from src.bronze.readers.files import most_unpacked
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError
from src.forget.scanning.columns import in_action, values_in
from src.forget.scanning.parquet import parquet_pieces
from src.forget.scanning.pieces import BLOCK, Hit, Piece, of_bytes, of_stream, sure
from src.forget.scanning.spelled import Forms

_LOOKED_AT = 512  # bytes
_DEEPEST = 4  # packed in one another
_LOG = re.compile(rb'\s*\{"(%b)":' % "|".join(lake.ACTIONS).encode())
_SPILLED = re.compile(r"duckdb_temp_(block|storage)")
_TAGS = re.compile(rb"<[^<>]*>")
_UNREAD = (  # of which the bytes tell nothing
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"%PDF-", "a PDF"),
)
# what the libraries raise over bytes that are not what their beginning says
_DAMAGE = (
    *(
        OSError,
        EOFError,
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        RuntimeError,
        NotImplementedError,
        AssertionError,
    ),
    *(MemoryError, OverflowError, RecursionError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, BoathouseError),
)
_engine_turn = Lock()  # of the engine, which is asked by one thread at a time


class Contents:
    """Files in pieces. `engine` reads DuckDB's own; `room` is for what must lie on disk to be read."""

    def __init__(self, forms: Forms, engine: DuckEngine, room: Path) -> None:
        self._forms, self._engine, self._room = forms, engine, room

    def pieces(self, path: Path, how: str = "", depth: int = 0) -> Iterator[Piece]:
        """Yield all of a file of this machine; `how` it lies in another, from which it was unpacked."""
        try:
            with open(path, "rb") as file:
                begin = file.read(_LOOKED_AT)
                file.seek(0)
                yield from self._of_kind(path, file, begin, how, depth)
        except _DAMAGE as error:
            yield sure(f"{how}not read to its end: {_why(error)}")

    def _of_kind(self, path: Path, file: BinaryIO, begin: bytes, how: str, depth: int) -> Iterator[Piece]:
        if not how and _SPILLED.match(path.name):
            yield sure("not read: what a process spilled")
            return
        for mark, what in _UNREAD:
            if begin.startswith(mark):
                yield sure(f"{how}not read: {what}")
        if begin.startswith(b"PAR1"):
            yield from self._parquet(path, how)
            return
        if begin.startswith(b"PARE"):
            yield sure(f"{how}not read: an encrypted Parquet file")
        if _LOG.match(begin):
            yield from self._log(file, how)
            return
        yield from of_stream(self._forms, file, f"{how}text")
        unpacked = _UNPACKED.get(next((mark for mark in _UNPACKED if begin.startswith(mark)), b""))
        if unpacked:
            what, opened = unpacked
            with opened(path) as packed:
                yield from self._unpacked(packed, path, f"{how}{what}: ", depth)
        elif begin.startswith(b"PK\x03\x04"):
            yield from self._zip(path, how, depth)
        elif begin.startswith(b"Obj\x01"):
            yield from self._avro(path, how)
        elif begin.startswith(b"ORC"):
            yield from self._orc(path, how)
        elif begin[8:12] == b"DUCK":
            yield from self._duckdb(path, how)

    def _parquet(self, path: Path, how: str) -> Iterator[Piece]:
        import pyarrow as pa

        with pa.memory_map(str(path)) as mapped:
            for piece in parquet_pieces(self._forms, mapped.read_buffer()):
                yield _within(how, piece)

    def _log(self, file: BinaryIO, how: str) -> Iterator[Piece]:
        for line in file:
            yield Piece(line, partial(self._entry, line, f"{how}entry of the log"))

    def _entry(self, line: bytes, how: str) -> Iterator[Hit]:
        try:
            yield from in_action(self._forms, json.loads(line), how)
        except ValueError:  # a torn one
            yield from ((how, value) for value in self._forms.values_in(line))

    def _unpacked(self, packed: BinaryIO | Any, path: Path, how: str, depth: int) -> Iterator[Piece]:
        """Yield a stream of unpacked bytes; what is packed again, or must be sought in, is put on disk first."""
        begin = packed.read(_LOOKED_AT)
        if not _is_kind(begin):
            yield from of_stream(self._forms, packed, f"{how}text", begin)
            return
        if depth >= _DEEPEST:
            yield sure(f"{how}not read: packed {_DEEPEST} times")
            return
        with tempfile.NamedTemporaryFile(dir=self._room) as inner:
            inner.write(begin)
            most = most_unpacked(path)
            while block := packed.read(BLOCK):
                inner.write(block)
                if inner.tell() > most:
                    yield sure(f"{how}not read: unpacks to more than {most:,} bytes")
                    return
            inner.flush()
            yield from self.pieces(Path(inner.name), how, depth + 1)

    def _zip(self, path: Path, how: str, depth: int) -> Iterator[Piece]:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                inner = f"{how}a file in the archive: "
                yield of_bytes(self._forms, entry.filename.encode("utf-8", "replace"), f"{inner}its name")
                try:
                    with archive.open(entry) as packed:
                        yield from self._unpacked(packed, path, inner, depth)
                    if entry.filename.endswith(".xml"):
                        with archive.open(entry) as packed:
                            yield from self._without_tags(packed, inner)
                except _DAMAGE as error:
                    yield sure(f"{inner}not read to its end: {_why(error)}")

    def _without_tags(self, packed: Any, how: str) -> Iterator[Piece]:
        """Yield the text of XML without its tags, between which an office program may cut a value."""
        held = b""
        while block := packed.read(BLOCK):
            text = _TAGS.sub(b"", held + block)
            yield of_bytes(self._forms, text, f"{how}text")
            held = text[-self._forms.reach :]

    def _avro(self, path: Path, how: str) -> Iterator[Piece]:
        import fastavro

        with open(path, "rb") as file:
            for record in fastavro.reader(file):
                text = json.dumps(record, default=str, ensure_ascii=False).encode("utf-8", "replace")
                yield of_bytes(self._forms, text, f"{how}rows")

    def _orc(self, path: Path, how: str) -> Iterator[Piece]:
        from pyarrow import orc

        with open(path, "rb") as file:
            source = orc.ORCFile(file)
            for stripe in range(source.nstripes):
                yield from self._columns(source.read_stripe(stripe), how)

    def _duckdb(self, path: Path, how: str) -> Iterator[Piece]:
        name = identifier("searched")
        with _engine_turn:
            self._engine.execute(f"ATTACH {literal(str(path))} AS {name} (READ_ONLY)")
            try:
                made = "SELECT sql FROM duckdb_tables() WHERE database_name = 'searched' UNION ALL SELECT sql FROM "
                made += "duckdb_views() WHERE database_name = 'searched' AND NOT internal"
                for sql in self._engine.values(made):
                    yield of_bytes(self._forms, str(sql).encode(), f"{how}definition of a table")
                tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'searched'"
                for schema, table in self._engine.rows(tables):
                    rows = f"SELECT * FROM {name}.{identifier(schema)}.{identifier(table)}"
                    for batch in self._engine.arrow(rows):
                        yield from self._columns(batch, f"{how}{table}: ")
            finally:
                self._engine.execute(f"DETACH {name}")

    def _columns(self, batch: Any, how: str) -> Iterator[Piece]:
        for column, name in zip(batch.columns, batch.schema.names, strict=True):
            for part in getattr(column, "chunks", [column]):
                for value in dict.fromkeys(values_in(self._forms, part, name)):
                    yield sure(f"{how}rows of {name}", value)


def _zstd(path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(open(path, "rb")), "zstd")


_UNPACKED: dict[bytes, tuple[str, Callable[[Path], Any]]] = {
    b"\x1f\x8b": ("unpacked", gzip.open),
    b"BZh": ("unpacked", bz2.open),
    b"\xfd7zXZ\x00": ("unpacked", lzma.open),
    b"\x28\xb5\x2f\xfd": ("unpacked", _zstd),
}


def _is_kind(begin: bytes) -> bool:
    """Return whether bytes begin what is more than text."""
    marks = (*_UNPACKED, b"PAR1", b"PARE", b"PK\x03\x04", b"Obj\x01", b"ORC", *(mark for mark, _ in _UNREAD))
    return begin.startswith(marks) or begin[8:12] == b"DUCK" or bool(_LOG.match(begin))


def _within(how: str, piece: Piece) -> Piece:
    if not how:
        return piece
    return Piece(piece.data, lambda: ((how + inner, value) for inner, value in piece.judge()), piece.must)


def _why(error: Exception) -> str:
    """Return what kind of error it was: its text may hold what is looked for."""
    return type(error).__name__
