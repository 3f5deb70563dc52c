"""A file whose first bytes say that it is of another format than the contract's is refused by that name.

Read as text it would be one column of rubbish, or not valid in the contract's encoding: nobody finds the cause.
"""

from __future__ import annotations

from pathlib import Path

from src.bronze.readers.files import opened
from src.bronze.readers.refusals import contract_of
from src.contract import Feed
from src.errors import DataError

_SEEN = 4096  # bytes at the beginning of a file
_TEXT = ("csv", "ndjson", "json", "fixed")  # formats of which no file begins with one of these
_SIGNATURES = (  # first bytes, what has them, and what to do
    (b"PAR1", "a Parquet file", "write `format: parquet`"),
    (b"Obj\x01", "an Avro file", "write `format: avro`"),
    (b"ORC", "an ORC file", "write `format: orc`"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", "write `format: xlsx`"),
    (b"\x1f\x8b", "packed by gzip", "end its name in .gz"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "end its name in .zst"),
    (b"BZh", "packed by bzip2", "end its name in .bz2"),
    (b"\xfd7zXZ\x00", "packed by xz", "end its name in .xz"),
    (b"%PDF-", "a PDF", "land the data it was made of"),
    (b"SQLite format 3\x00", "an SQLite database", "land what is to be read of it as CSV or Parquet"),
)
_MARKUP = (
    (b"<!doctype html", "an HTML page", "land the file itself: a page often stands for a login or an error"),
    (b"<html", "an HTML page", "land the file itself: a page often stands for a login or an error"),
    (b"<?xml", "XML", "write `format: xml`"),
)


def refuse_another_format(feed: Feed, path: Path) -> None:
    """Refuse a text file whose first bytes are those of another format.

    Raises:
        DataError: naming the format, and what to do.
    """
    if feed.format not in _TEXT:
        return  # their readers say what a file is not
    with opened(path) as file:
        start = file.read(_SEEN)
    if found := _format_of(start, feed):
        kind, fix = found
        raise DataError(
            f"the file is {kind}, the contract says {feed.format}",
            where=path,
            fix=f"{fix} in {contract_of(feed)}, or land another file; nothing of it was taken"
            if fix.startswith("write")
            else f"{fix}; nothing of it was taken",
        )


def _format_of(start: bytes, feed: Feed) -> tuple[str, str] | None:
    if start.startswith(b"PK\x03\x04"):
        if b"[Content_Types].xml" in start or b"xl/" in start:
            return "an Excel workbook (.xlsx)", "write `format: xlsx`"
        return "a zip archive", "end its name in .zip"
    for mark, kind, fix in _SIGNATURES:
        if start.startswith(mark):
            return kind, fix
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, kind, fix in _MARKUP:
        if text.startswith(mark):
            return kind, fix
    if feed.format == "csv" and _begins_json(text):
        return "JSON", "write `format: json`, or `format: ndjson` for one object a line,"
    return None


def _begins_json(text: bytes) -> bool:
    """Return whether a text begins an object with a key, or a list of lists or objects, as no header does."""
    inside = text[1:].lstrip()
    return (text[:1] == b"{" and inside[:1] == b'"' and b'":' in inside.replace(b'" :', b'":')) or (
        text[:1] == b"[" and inside[:1] in (b"{", b"[")
    )
