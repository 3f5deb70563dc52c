"""Rewriting: a landed file without some of its records, and otherwise as it was.

Text keeps every byte that is not of these records: what is written is compared, byte by byte, with what was read. Of
Parquet, Avro and ORC values, types, and what the footer says of its own are kept; pages are packed anew. A workbook is
left: no library writes what it does not know of one.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from src.contract import Feed
from src.errors import DataError


def write_without(feed: Feed, path: Path, rows: Collection[int], out: Path) -> None:
    """Write a feed's file without the records of these numbers, from 1, to another path; packed as it was.

    Raises:
        DataError: this cannot be done without changing anything else; it says why.
    """
    if feed.format in ("csv", "fixed", "ndjson", "json"):
        from src.forget.rewriting.texts import write_text as write
    elif feed.format == "xml":
        from src.forget.rewriting.elements import write_xml as write
    elif feed.format in ("parquet", "avro", "orc"):
        from src.forget.rewriting.columnar import write_columns as write
    else:
        what = f"no library writes .{feed.format} without changing more than a row"
        raise DataError(what, where=path, fix="take the rows out by hand, or remove the file")
    write(feed, path, rows, out)
