"""CSV by the engine: fast, where it takes a file as `csv_careful` does or puts the lines it cannot split aside."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from src.bronze.readers.csv_careful import columns_of, every_record_ends_empty
from src.bronze.readers.csv_dialect import DELIMITERS, dialect
from src.bronze.readers.files import BLOCK, BY_ENGINE, blocks, packing, pattern
from src.bronze.readers.lines import take_header
from src.bronze.readers.records import Rows
from src.bronze.readers.text import is_utf_8, lines_of
from src.contract import Feed
from src.engine import MANY_COLUMNS, identifier, literal

_LOOKED_AT = 256 << 10  # bytes of a file that is larger than a block: these stay near the processor


def is_common(feed: Feed) -> bool:
    """Return whether the engine is known to read this dialect as `csv_dialect` does (all short files were tried)."""
    marks = feed.delimiter in DELIMITERS and feed.quote in ('"', "'", "") and feed.escape == feed.quote
    return marks and is_utf_8(feed) and isinstance(feed.header, bool) and not feed.skip_footer


def csv_by_engine(feed: Feed, path: Path) -> Rows | None:
    """Return the file as the engine reads it; None where it would take something otherwise without a word."""
    if packing(path) not in BY_ENGINE:
        return None
    with lines_of(feed, path) as lines:
        first = next(lines)
        header = take_header(feed, path, chain([first], lines))
        names = header.names
        split = dialect(feed).records(lines, blank_lines=len(names) == 1)
        record = next((values for values, _ in split if isinstance(values, list)), None)
    ended = every_record_ends_empty(names, iter([record] if record else []))  # as the first one; the engine tells
    columns = columns_of(feed, names, ended, path)
    # the engine's reader and the windows over it hold many columns several times
    if (
        not 0 < len(columns) <= MANY_COLUMNS
        or (feed.header and header.text != first)
        or _is_odd(feed, path, len(columns))
    ):
        return None
    return _Kind(columns, _options(feed, path, len(columns) + ended), ended).rows([pattern(path)])


@dataclass(frozen=True)
class _Kind:
    """CSV files that one reader takes in turn."""

    columns: tuple[str, ...]
    options: str  # of the reader
    ended: bool  # each line ends with a delimiter, behind which there is one more value, which is empty
    uses_all_threads: bool = False

    def rows(self, files: Sequence[str]) -> Rows:
        """Return each row with its file's index and its number in that file."""
        sql = numbered(self.columns, files, self.options, self.ended)
        return Rows(self.columns, sql, files=tuple(files), kind=self)


def numbered(columns: tuple[str, ...], files: Sequence[str], options: str, ended: bool) -> str:
    """Return SQL of each row with its file's index and its number, which is counted from the row that began the file.

    Windows without an order let rows stream by in one thread, in the order in which the reader, which is not parallel
    either, takes them: the files as they are listed, each from its beginning to its end. Inside, columns have names
    of ours, so that none of the file's can hide `file_index`, the engine's own column.
    """
    names = _names(len(columns) + ended)
    begins = "CASE WHEN lag(file_index) OVER () IS DISTINCT FROM file_index THEN row_number() OVER () END"
    placed = f"SELECT *, file_index::BIGINT + 1 AS _file, row_number() OVER () AS _row, {begins} AS _first"
    values = ", ".join(f"{name} AS {identifier(column)}" for name, column in zip(names, columns, strict=False))
    row = "_row - last_value(_first IGNORE NULLS) OVER (ROWS UNBOUNDED PRECEDING) + 1 AS _row"
    # a row that has a value where every line should end stops the engine: the careful reader tells what is wrong
    reject = f"CASE WHEN {names[-1]} <> '' THEN error('a value behind the last column') END" if ended else "NULL"
    project = f"{row}, {reject}::VARCHAR AS _reject, NULL::VARCHAR AS _raw" + (", _file" if len(files) > 1 else "")
    return f"SELECT {values}, {project} FROM ({placed} FROM read_csv({literal(list(files))}, {options}))"


def _names(width: int) -> list[str]:
    return [f"c{number}" for number in range(1, width + 1)]


def _options(feed: Feed, path: Path, width: int) -> str:
    kinds = ", ".join(f"{name}: 'VARCHAR'" for name in _names(width))
    options = {
        "auto_detect": "false",
        "header": literal(feed.header),
        "columns": f"{{{kinds}}}",
        "force_not_null": literal(_names(width)),
        # the engine drops surplus values that are NULL; one column alone needs NULL for its blank lines
        "nullstr": "''" if width == 1 else "chr(0)",
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
    """Return whether the file may have what DuckDB 2.0 takes otherwise without a word.

    That is NUL, which it keeps; a misplaced quote; and in a file of one column a delimiter, or CR, because mixed line
    ends give it empty rows.

    Reading the file through also proves packed ones whole: DuckDB takes half a .zst, and a .gz with a wrong checksum.
    """
    quotes = _Quotes(feed) if feed.quote else None
    marks = (b"\0", b"\r", feed.delimiter.encode()) if width == 1 else (b"\0",)
    at_once = _LOOKED_AT if path.stat().st_size > BLOCK else BLOCK
    for nth, block in enumerate(blocks(path, at_once)):
        block = block if nth else block.removeprefix(BOM_UTF8)
        if any(mark in block for mark in marks) or (quotes and not quotes.in_place(block)):
            return True
    return quotes is not None and not quotes.at_end()


class _Quotes:
    """The proof that every quote of a file opens a value, closes one, or is one of two within a quoted value.

    The text between two quotes lies by turns outside of quoted values and inside. What lies outside must be nothing
    (then the two quotes are a pair within one value), or begin behind a value's end and end before a value's begin.
    """

    def __init__(self, feed: Feed) -> None:
        mark = re.escape(feed.delimiter.encode())
        self._quote = feed.quote.encode()
        self._begun = re.compile(rb" *[%b\r\n]" % mark)
        # NUL, of which the file has none, stands for a quote; it comes first, because it is sought at once
        no_end = rb"(?<=[^ %b\r\n\0]\0)|(?<=[^%b\r\n] \0)" % (mark, mark)
        no_begin = rb" *[^ %b\r\n\0]| +\0" % mark
        self._misplaced = re.compile(rb"\0(?:%b|%b)" % (no_end, no_begin))
        self._inside = False
        self._held = b"\n"  # the text since the last quote, as far as it matters

    def in_place(self, block: bytes) -> bool:
        """Return whether the quotes are in their places, as far as the file was seen."""
        parts = block.split(self._quote)
        if not self._inside:
            parts[0] = self._held + parts[0]
        outside = parts[1 if self._inside else 0 :: 2]
        self._inside ^= len(parts) % 2 == 0
        if not self._inside:
            rest = outside.pop()  # its end is still to come
            if rest.strip(b" "):
                if not self._begun.match(rest):
                    return False
                rest = b"\n" + rest[-2:]
            self._held = rest
        return not self._misplaced.search(b"\0".join([b"", *outside, b""]))

    def at_end(self) -> bool:
        """Return whether the file may end here."""
        return not self._inside and bool(self._begun.match(self._held + b"\n"))
