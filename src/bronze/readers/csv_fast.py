"""CSV by the engine: fast, where it takes a file as `csv_careful` does or puts the lines it cannot split aside."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from src.bronze.readers.csv_careful import header
from src.bronze.readers.csv_dialect import DELIMITERS, dialect
from src.bronze.readers.files import blocks, packing, pattern
from src.bronze.readers.records import Rows
from src.bronze.readers.text import is_utf_8, lines_of
from src.contract import Feed
from src.engine import identifier, literal

_NEAR = 4096  # bytes looked at around a quote


def is_common(feed: Feed) -> bool:
    """Whether the engine is known to read this dialect as `csv_dialect` does (all short files were tried)."""
    marks = feed.delimiter in DELIMITERS and feed.quote in ('"', "'", "") and feed.escape == feed.quote
    return marks and is_utf_8(feed)


def csv_by_engine(feed: Feed, path: Path) -> Rows | None:
    """None for a file in which the engine would take something otherwise, without a word."""
    with lines_of(feed, path) as lines:
        first = next(lines)
        columns, text = header(feed, path, chain([first], lines))
    if not columns or (feed.header and text != first) or _is_odd(feed, path, len(columns)):
        return None
    return _numbered(columns, (pattern(path),), _options(feed, path, len(columns)))


def in_turn(files: Sequence[Rows]) -> Rows:
    """Files of one kind as one SELECT, whose reader costs as much to plan as the reader of one of them."""
    first = files[0]
    return _numbered(first.columns, tuple(name for rows in files for name in rows.files), first.options)


def _numbered(columns: tuple[str, ...], files: tuple[str, ...], options: str) -> Rows:
    """Each row with its file's place and its number in it: what it is further than the last row that began a file.

    Windows without an order let rows stream by in one thread, in the order in which the reader, which is not parallel
    either, takes them: the files as they are listed, each from its beginning to its end. Inside, columns have names
    of ours, so that none of the file's can hide `file_index`, the engine's own column.
    """
    names = _names(len(columns))
    begins = "CASE WHEN lag(file_index) OVER () IS DISTINCT FROM file_index THEN row_number() OVER () END"
    placed = f"SELECT *, file_index::BIGINT + 1 AS _file, row_number() OVER () AS _row, {begins} AS _first"
    values = ", ".join(f"{name} AS {identifier(column)}" for name, column in zip(names, columns, strict=True))
    row = "_row - last_value(_first IGNORE NULLS) OVER (ROWS UNBOUNDED PRECEDING) + 1 AS _row"
    house = f"{row}, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw" + (", _file" if len(files) > 1 else "")
    sql = f"SELECT {values}, {house} FROM ({placed} FROM read_csv({literal(files)}, {options}))"
    return Rows(columns, sql, files=files, options=options)


def _names(width: int) -> list[str]:
    return [f"c{place}" for place in range(1, width + 1)]


def _options(feed: Feed, path: Path, width: int) -> str:
    kinds = ", ".join(f"{name}: 'VARCHAR'" for name in _names(width))
    options = {
        "auto_detect": "false",
        "header": literal(feed.header),
        "columns": f"{{{kinds}}}",
        "force_not_null": literal(_names(width)),
        "delim": literal(feed.delimiter),
        "quote": literal(feed.quote),
        "escape": literal(feed.escape),
        "compression": literal(packing(path) or "none"),
        "store_rejects": "true",
        "parallel": "false",  # in parallel DuckDB guesses where a block's first line begins, and may be wrong
        "hive_partitioning": "false",
    }
    return ", ".join(f"{name} = {value}" for name, value in options.items())


def _is_odd(feed: Feed, path: Path, width: int) -> bool:
    """Whether the file may have what DuckDB 2.0 takes otherwise without a word: NUL, which it keeps; `"a" "b"`, of
    which it makes one value; a quote never closed, whose record it drops; and in a file of one column CR, because
    mixed line ends give it empty rows. Only a few bytes around quotes are looked at, the rest is searched.

    Reading the file through also proves packed ones whole: DuckDB takes half a .zst, and a .gz with a wrong checksum.
    """
    quote = feed.quote.encode()
    gap = re.compile(quote + b" +(?=" + quote + b")")
    before, earlier, start = b"", b"", True
    last: tuple[bytes, ...] = ()
    for nth, block in enumerate(blocks(path)):
        block = before + block
        if b"\0" in block or (width == 1 and b"\r" in block):
            return True
        if quote and quote in block:
            hits = (block[max(0, hit.start() - _NEAR) : hit.start() + 1] for hit in gap.finditer(block))
            if any(_may_close(text, feed) for text in hits):
                return True
            last, start = (earlier, block), nth < 2  # the last block alone may be too short to tell anything
        before = block[max(0, len(block.rstrip(b" ")) - 1) :]
        earlier = block[: len(block) - len(before)]
    return bool(last) and _may_stay_open(b"".join(last), feed, start)


def _may_close(text: bytes, feed: Feed) -> bool:
    """Whether the quote that ends the text may close a value; not if it is the last of pairs after other text."""
    value = text.rstrip(feed.quote.encode())
    return (len(text) - len(value)) % 2 == 1 or value[-1:] in (b"", b" ", b"\n", b"\r", feed.delimiter.encode())


def _may_stay_open(block: bytes, feed: Feed, start: bool) -> bool:
    """Whether the last quotes of a file may leave a value open; `block`: the last that has any, and the one before."""
    end = block.find(b"\n", block.rindex(feed.quote.encode()))
    text = block[: end + 1] if end >= 0 else block
    place = _end_of_a_value(text, feed)
    if place is None and not start:
        return True
    rest = io.StringIO(text[place or 0 :].decode("utf-8-sig", "replace"), newline="")
    return any(isinstance(values, str) for values, _ in dialect(feed).records(rest, blank_lines=True))


def _end_of_a_value(text: bytes, feed: Feed) -> int | None:
    """The last place behind which a value begins for sure, so that the rest can be split as if the file began there.

    It is behind an odd number of quotes between other text and a delimiter or line end: whether that text is quoted
    or not, the value ends with them.
    """
    quote, delimiter = feed.quote.encode(), feed.delimiter.encode()
    end = len(text)
    while (at := text.rfind(quote, 0, end)) >= 0:
        near = text[max(0, at - _NEAR) : at + 1]
        value = near.rstrip(quote)
        quotes = len(near) - len(value)
        before, behind = value.rstrip(b" ")[-1:], text[at + 1 : at + 2]
        over = behind in (b"", b"\r", b"\n", delimiter)
        if over and quotes % 2 == 1 and before not in (b"", b"\r", b"\n", delimiter, quote):
            return at + 2
        end = at + 1 - quotes
    return None
