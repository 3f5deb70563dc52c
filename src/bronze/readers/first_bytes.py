"""The first bytes of a file say what it is, whatever its name: another format, or text in another encoding.

A byte order mark is believed where the contract names no encoding. Whatever is of another format than the contract says
is refused by its name, as no reader could say so: "not valid utf-8" is all that it finds in a workbook.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from src.bronze.readers.files import opened
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import MARKS, encoding_of
from src.contract import Feed
from src.errors import DataError

_LOOKED_AT = 512  # bytes
_TEXT = ("csv", "ndjson", "json", "fixed")


@dataclass(frozen=True)
class _Kind:
    """The kind of a file in words, and what makes it one that can be taken."""

    what: str
    format: str = ""  # of contracts
    ending: str = ""  # that its name should have
    fix: str = "land its data as a file of that format"


_WORKBOOK = _Kind("an Excel workbook (.xlsx)", "xlsx")
_PAGE = _Kind("an HTML page", fix="land the file itself: a page often stands for a login or an error")
_KINDS: tuple[tuple[re.Pattern[bytes], _Kind], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (
            rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            replace(_WORKBOOK, what="an old Office file, such as a workbook (.xls)"),
        ),
        (rb"PAR1.*[\x00-\x08]", _Kind("a Parquet file", "parquet")),
        (rb"ORC.*[\x00-\x08]", _Kind("an ORC file", "orc")),
        (rb"Obj\x01", _Kind("an Avro file", "avro")),
        (rb"\x1f\x8b", _Kind("packed by gzip", ending=".gz")),
        (rb"\x28\xb5\x2f\xfd", _Kind("packed by zstd", ending=".zst")),
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", _Kind("packed by bzip2", ending=".bz2")),
        (rb"\xfd7zXZ\x00", _Kind("packed by xz", ending=".xz")),
        (rb"7z\xbc\xaf\x27\x1c", _Kind("a 7z archive", fix="land what is in it, or as .zip")),
        (rb"Rar!\x1a\x07", _Kind("a rar archive", fix="land what is in it, or as .zip")),
        (rb"SQLite format 3\x00", _Kind("an SQLite database", fix="land what is to be read of it as CSV or Parquet")),
        (rb"%PDF-", _Kind("a PDF", fix="land the data it was made of")),
        (rb"(?i)(\xef\xbb\xbf)?\s*(<!doctype html|<html[\s>])", _PAGE),
        (rb"(\xef\xbb\xbf)?\s*<\?xml\s", _Kind("XML", "xml")),
    )
)
_JSON = _Kind("JSON", "json")
_BEGINS_JSON = re.compile(rb'(\xef\xbb\xbf)?\s*(\{\s*"[^"\n]*"\s*:|\[\s*[\[{])')


def as_its_bytes_say(feed: Feed, path: Path) -> tuple[Feed, tuple[str, ...]]:
    """Return the feed with the encoding that a file's byte order mark says, where the contract says none, and a note.

    Raises:
        DataError: the file is of another format or encoding than the contract says.
    """
    with opened(path) as file:
        start = file.read(_LOOKED_AT)
    _refuse_another_format(feed, path, start)
    if feed.format not in _TEXT:
        return feed, ()
    declared = encoding_of(feed)
    for mark, name in MARKS:
        if start.startswith(mark):
            if declared.startswith(name):
                return feed, ()
            if not feed.encoding_stated:
                return replace(feed, encoding=name), (f"read as {name}, which its byte order mark says",)
            what = f"the file begins with the byte order mark of {name}, the contract says {feed.encoding}"
            raise DataError(what, where=path, fix=f"set encoding: {name} in {contract_of(feed)}, or correct the file")
    _refuse_unmarked(feed, path, start, declared)
    return feed, ()


def _refuse_unmarked(feed: Feed, path: Path, start: bytes, declared: str) -> None:
    """Refuse UTF-16 without a byte order mark under an encoding whose text has no NUL."""
    if len(start) >= 4 and not declared.startswith(("utf-16", "utf-32")):
        for name, zeros in (("utf-16-le", start[1:64:2]), ("utf-16-be", start[:64:2])):
            if not zeros.strip(b"\0"):
                what = f"every second byte is NUL, as in {name}; the contract says {feed.encoding}"
                fix = f"set encoding: {name} in {contract_of(feed)}, or correct the file"
                raise DataError(what, where=path, fix=fix)


def _refuse_another_format(feed: Feed, path: Path, start: bytes) -> None:
    kind = _kind_of(feed, path, start)
    if kind is None or kind.format == feed.format:
        return
    fix = kind.fix
    if kind == _JSON:
        fix = f"write `format: json`, or `format: ndjson` for one object a line, in {contract_of(feed)}"
    elif kind.format:
        fix = f"write `format: {kind.format}` in {contract_of(feed)}, or land another file"
    elif kind.ending:
        fix = f"end its name in {kind.ending}"
    what = f"the file is {kind.what}, the contract says {feed.format}"
    raise DataError(what, where=path, fix=f"{fix}; nothing of it was taken")


def _kind_of(feed: Feed, path: Path, start: bytes) -> _Kind | None:
    if start.startswith(b"PK\x03\x04"):
        return None if feed.format == "xlsx" else _zipped(path, start)
    if feed.format == "csv" and _BEGINS_JSON.match(start):
        return _JSON
    return next((kind for pattern, kind in _KINDS if pattern.match(start)), None)


def _zipped(path: Path, start: bytes) -> _Kind:
    """Return what a zip file is: office programs write theirs as such."""
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            names = {name.lower() for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = {"xl/workbook.xml"} if b"xl/" in start else set()
    if names & {"xl/workbook.xml", "xl/workbook.bin"}:
        return _WORKBOOK
    if "mimetype" in names:
        return replace(_WORKBOOK, what="an OpenDocument file, such as a spreadsheet (.ods)")
    if "word/document.xml" in names:
        return _Kind("a Word document")
    return _Kind("a zip archive", ending=".zip")
