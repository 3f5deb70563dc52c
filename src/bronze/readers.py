"""Readers: one landed file becomes rows of text, exactly as they arrived, and nothing of it is lost.

Every record of the file is one row with its number `_row` (from 1; a header is no record). A record that does not
fit the file's columns is a row too: its columns NULL, the reason in `_reject`, its text in `_raw`. A file that
cannot be read to its end, or whose header cannot be trusted, is refused whole.

`read` leaves UTF-8 CSV and Parquet to the engine, whose CSV reader puts the lines it cannot split aside, unnumbered
(`take_rejects`). A file that has such lines is read again by `read_carefully`, which numbers and keeps them. Both
give the same rows of a file without such lines, because both hold of CSV that

- a value is quoted if it begins with the quote, or with one blank and the quote; that blank, and blanks behind the
  closing quote, are no part of it. Anywhere else in an unquoted value a quote is a character like any other;
- a blank line is no record, except in a file of one column, where it is an empty value;
- empty values beyond the last column are dropped (exporters end lines with a delimiter);
- an empty value is '', never NULL: NULL says that the record has no such value (JSON, Parquet).
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import stat
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from src.contract import Feed
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError, DataError, from_os_error

_ROWS_PER_BATCH = 4_096  # small enough that Python's garbage collector does not go over the rows again and again
_TEXT_PER_BATCH = 16 << 20  # characters: long values make shorter batches, so memory stays bounded
_BLOCK = 1 << 20  # bytes
_NEAR = 4096  # bytes looked at around a quote
_LONGEST_LINE = 64 << 20  # characters; a file with a longer one is refused
_LONGEST_SEARCH = 16 << 20  # characters in which the end of a quoted value is looked for, beyond its first line
_HOUSE_COLUMNS = ("_file", "_row", "_reject", "_raw", "_ingested_at", "_batch")
_PACKED = {".gz": "gzip", ".zst": "zstd"}
_UTF_8 = ("utf-8", "utf-8-sig")
_DELIMITERS = (",", ";", "\t", "|")

# One record: its values in column order, or the reason why it has none; and its text.
Record = tuple[list[Any] | str, str]
Records = tuple[tuple[str, ...], Callable[[], Iterator[Record]]]  # column names, and the records from the beginning
_Object = dict[str, Any] | str  # an object's values as text, or why it has none


@dataclass(frozen=True)
class Rows:
    """One file as SQL."""

    columns: tuple[str, ...]  # as in the header, in file order
    sql: str  # SELECT of these columns as VARCHAR, _row BIGINT, _reject VARCHAR, _raw VARCHAR
    streams: tuple[str, ...] = ()  # names to `unstream` after use; such SQL can be run only once


def read(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """The fast way, wherever it gives what `read_carefully` gives or says that it cannot."""
    if feed.format != "csv" or not _is_common(feed):
        return read_carefully(engine, feed, path)
    with _refusing(path):
        return _csv_by_engine(feed, path) or read_carefully(engine, feed, path)


def read_carefully(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """The exact way: every record is numbered, and rejects are rows. Raises DataError where a file is refused."""
    with _refusing(path):
        if feed.format == "parquet":
            return _parquet(engine, path)
        columns, records = _READERS[feed.format](feed, path)
        return _streamed(engine, columns, records)


# -- what every format has in common


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Whatever a file does while it is opened or unpacked, as an error that names the file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a directory" if path.is_dir() else "a device or pipe"
            raise DataError(f"{kind}, not a file", where=path, fix="move it out of the landing zone")
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _unreadable(path, f"damaged gzip file: {_lower(error)}") from error
    except UnicodeError as error:
        raise _unreadable(path, f"not text in the contract's encoding: {_lower(error)}") from error
    except OSError as error:
        if error.errno is None:  # Arrow's: the bytes are wrong, not the disk
            raise _unreadable(path, f"damaged zstd file: {_lower(error)}") from error
        raise from_os_error(error, path) from error


def _unreadable(path: Path, what: str) -> DataError:
    return DataError(what, where=path, fix="land the file again, whole; nothing of it was taken")


def _lower(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _open(path: Path) -> BinaryIO:
    """The file's bytes, unpacked if its name says that they are packed."""
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix.lower() == ".zst":
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(open(path, "rb")), "zstd")))
    return open(path, "rb")


@contextmanager
def _lines(feed: Feed, path: Path) -> Iterator[Iterator[str]]:
    """The file's lines with their ends (LF, CRLF or CR), without a byte order mark."""
    encoding = _encoding(feed)
    codecs.register_error("boathouse", _keep_bytes)
    errors = "surrogateescape" if encoding in _UTF_8 else "boathouse"  # the same, without a call for each byte
    with _open(path) as raw, io.TextIOWrapper(raw, encoding, errors=errors, newline="") as text:
        first = text.readline(_LONGEST_LINE)
        yield chain([first.removeprefix("\ufeff")], iter(partial(text.readline, _LONGEST_LINE), ""))


def _encoding(feed: Feed) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), feed.encoding)  # knows codecs that are of no use for text
        return codecs.lookup(feed.encoding).name
    except LookupError as error:
        fix = f"name an encoding that Python knows in {feed.declared_in or 'the contract'}"
        raise ContractError(f'unknown encoding "{feed.encoding}"', where=feed.id, fix=fix) from error


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no text become the half surrogates U+DC00 to U+DCFF, which no valid text holds."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SHOWN = {0: "\\x00", **{0xDC00 + byte: f"\\x{byte:02x}" for byte in range(256)}}


def _fault_in_text(raw: str, encoding: str) -> str | None:
    """Why a record cannot be kept as text: bytes the encoding does not know, or NUL."""
    if raw.isascii() and "\0" not in raw:
        return None
    found = _NO_TEXT.search(raw)
    if found is None:
        return None
    if found[0] == "\0":
        return f"NUL byte at character {found.start() + 1}"
    return f"not valid {encoding} (byte 0x{ord(found[0]) & 0xFF:02x} at character {found.start() + 1})"


def _shown(raw: str) -> str:
    """A record's text as it can be kept: without its line end, what is no text written as \\xNN."""
    return raw.rstrip("\r\n").translate(_SHOWN)


def _checked(columns: Sequence[str], path: Path) -> tuple[str, ...]:
    """Column names, if a table can have them: none blank, none twice (Delta knows no case), none of the house's."""
    fix = "correct the header; nothing of the file was taken"
    header = f"the header is {json.dumps(list(columns), ensure_ascii=False)}"
    seen: set[str] = set()
    for number, name in enumerate(columns, 1):
        if not name.strip():
            raise DataError(f"column {number} has no name; {header}", where=path, fix=fix)
        if name.lower() in _HOUSE_COLUMNS:
            raise DataError(f"the house's own column {name} in the file; {header}", where=path, fix=fix)
        if name.lower() in seen:
            raise DataError(f"column {name} twice; {header}", where=path, fix=fix)
        seen.add(name.lower())
    return tuple(columns)


def _streamed(engine: DuckEngine, columns: tuple[str, ...], records: Callable[[], Iterator[Record]]) -> Rows:
    """Records as an Arrow stream the engine can read once; the file is opened when the engine asks for rows."""
    import pyarrow as pa

    house = [("_row", pa.int64()), ("_reject", pa.string()), ("_raw", pa.string())]
    schema = pa.schema([(name, pa.string()) for name in columns] + house)
    stream = f"landed_{uuid.uuid4().hex}"
    engine.stream(stream, pa.RecordBatchReader.from_batches(schema, _batches(records, schema)))
    return Rows(columns, f"SELECT {', '.join(map(identifier, schema.names))} FROM {identifier(stream)}", (stream,))


def _batches(records: Callable[[], Iterator[Record]], schema: Any) -> Iterator[Any]:
    first = 1
    for group in _groups(records()):
        yield _batch(group, first, schema)
        first += len(group)


def _groups(records: Iterator[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record[1])
        if len(group) == _ROWS_PER_BATCH or size >= _TEXT_PER_BATCH:
            if any(len(raw) >= _LONGEST_LINE for _, raw in group):
                raise DataError(f"a line of more than {_LONGEST_LINE >> 20} million characters")
            yield group
            group, size = [], 0
    if group:
        yield group


def _batch(group: list[Record], first: int, schema: Any) -> Any:
    import pyarrow as pa

    nothing = [None] * (len(schema) - 3)
    columns: list[Any] = list(zip(*(nothing if type(values) is str else values for values, _ in group), strict=True))
    columns.append(range(first, first + len(group)))
    columns.append([values if type(values) is str else None for values, _ in group])
    columns.append([_shown(raw) if type(values) is str else None for values, raw in group])
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


# -- CSV by the engine


def _is_common(feed: Feed) -> bool:
    """Whether the engine is known to read this dialect as `_Dialect` does (all short files were tried)."""
    marks = feed.delimiter in _DELIMITERS and feed.quote in ('"', "'", "") and feed.escape == feed.quote
    return marks and _encoding(feed) in _UTF_8


def _csv_by_engine(feed: Feed, path: Path) -> Rows | None:
    """None for a file in which the engine would take something otherwise, without a word."""
    with _lines(feed, path) as lines:
        first = next(lines)
        columns, header = _header(feed, path, chain([first], lines))
    if not columns or (feed.header and header != first) or _is_odd(feed, path, len(columns)):
        return None
    names = ", ".join(identifier(name) for name in columns)
    select = f"SELECT {names}, row_number() OVER () AS _row, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw"
    return Rows(columns, f"{select} FROM read_csv({literal(_glob(path))}, {_options(feed, path, columns)})")


def _is_odd(feed: Feed, path: Path, width: int) -> bool:
    """Whether the file may have what DuckDB 2.0 takes otherwise without a word: NUL, which it keeps; `"a" "b"`, of
    which it makes one value; a quote never closed, whose record it drops; and in a file of one column CR, because
    mixed line ends give it empty rows. Only a few bytes around quotes are looked at, the rest is searched.

    Reading the file through also proves packed ones whole: DuckDB takes half a .zst, and a .gz with a wrong checksum.
    """
    quote = feed.quote.encode()
    gap = re.compile(quote + b" +(?=" + quote + b")")
    before, last, start = b"", b"", True
    with _open(path) as file:
        while block := file.read(_BLOCK):
            block = before + block
            if b"\0" in block or (width == 1 and b"\r" in block):
                return True
            if quote and quote in block:
                hits = (block[max(0, hit.start() - _NEAR) : hit.start() + 1] for hit in gap.finditer(block))
                if any(_may_close(text, feed) for text in hits):
                    return True
                last, start = block, start and not last and not before
            before = block[max(0, len(block.rstrip(b" ")) - 1) :]
    return bool(last) and _may_stay_open(last, feed, start)


def _may_close(text: bytes, feed: Feed) -> bool:
    """Whether the quote that ends the text may close a value; not if it is the last of pairs after other text."""
    value = text.rstrip(feed.quote.encode())
    return (len(text) - len(value)) % 2 == 1 or value[-1:] in (b"", b" ", b"\n", b"\r", feed.delimiter.encode())


def _may_stay_open(block: bytes, feed: Feed, start: bool) -> bool:
    """Whether the last quotes of a file may leave a value open; `block` is the last that has any."""
    end = block.find(b"\n", block.rindex(feed.quote.encode()))
    text = block[: end + 1] if end >= 0 else block
    place = _end_of_a_value(text, feed)
    if place is None and not start:
        return True
    rest = io.StringIO(text[place or 0 :].decode("utf-8-sig", "replace"), newline="")
    return any(isinstance(values, str) for values, _ in _dialect(feed).records(rest, blank_lines=True))


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


def _glob(path: Path) -> str:
    """The path as the engine's pattern for this file alone."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", str(path))


def _options(feed: Feed, path: Path, columns: tuple[str, ...]) -> str:
    kinds = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    options = {
        "auto_detect": "false",
        "header": literal(feed.header),
        "columns": f"{{{kinds}}}",
        "force_not_null": literal(columns),
        "delim": literal(feed.delimiter),
        "quote": literal(feed.quote),
        "escape": literal(feed.escape),
        "compression": literal(_PACKED.get(path.suffix.lower(), "none")),
        "store_rejects": "true",
        "parallel": "false",  # in parallel DuckDB guesses where a block's first line begins, and may be wrong
        "hive_partitioning": "false",
    }
    return ", ".join(f"{name} = {value}" for name, value in options.items())


# -- CSV, exactly


def _csv(feed: Feed, path: Path) -> Records:
    _prove_whole(path)
    with _lines(feed, path) as lines:
        columns, _ = _header(feed, path, lines)

    def records() -> Iterator[Record]:
        with _lines(feed, path) as lines:
            if feed.header:
                _header(feed, path, lines)
            split = _dialect(feed).records(lines, blank_lines=len(columns) == 1)
            yield from _fitting(split, len(columns), feed.encoding)

    return columns, records


def _prove_whole(path: Path) -> None:
    """A packed file shows its damage only on the way; it is refused before its first rows are given away."""
    if path.suffix.lower() in _PACKED:
        with _open(path) as file:
            while file.read(_BLOCK):
                pass


def _header(feed: Feed, path: Path, lines: Iterator[str]) -> tuple[tuple[str, ...], str]:
    """Takes the header off the lines: the column names (none: nothing but blank lines) and its text."""
    if not feed.header:
        return _checked(feed.columns, path), ""
    values, raw = next(_dialect(feed).records(lines, blank_lines=False), ([], ""))
    where = feed.declared_in or "the contract"
    fault = _fault_in_text(raw, feed.encoding) or (values if isinstance(values, str) else None)
    if fault:
        fix = f"correct the file, or the encoding ({feed.encoding}) or delimiter ({feed.delimiter}) in {where}"
        raise DataError(f"the header cannot be read: {fault}", where=path, fix=fix)
    columns = [name.strip() for name in values]
    other = [mark for mark in _DELIMITERS if len(columns) == 1 and mark in columns[0]]
    if other and not (feed.quote and feed.quote in raw):
        fix = f"set delimiter {json.dumps(other[0])} in {where}, or correct the file"
        found = f"the header has 1 column {json.dumps(columns[0], ensure_ascii=False)}"
        raise DataError(f"{found}, the delimiter is {json.dumps(feed.delimiter)}", where=path, fix=fix)
    return _checked(columns, path), raw


def _fitting(records: Iterator[Record], width: int, encoding: str) -> Iterator[Record]:
    """The records, those that do not fit the columns with the reason instead of values."""
    for values, raw in records:
        if type(values) is list and len(values) != width:
            if len(values) > width and not any(values[width:]):
                values = values[:width]
            else:
                values = f"expected {width} values, found {len(values)}"
        yield _fault_in_text(raw, encoding) or values, raw


def _dialect(feed: Feed) -> _Dialect:
    return _Dialect(feed.delimiter, feed.quote, feed.escape)


@dataclass(frozen=True)
class _Dialect:
    """How a CSV file marks its values; splits lines into records and recovers from lines that cannot be split."""

    delimiter: str
    quote: str  # '' for none
    escape: str  # before a quote within a quoted value: the quote itself, or another character

    @cached_property
    def _inside(self) -> str:
        """Pattern of what a quoted value holds. Possessive: it never gives back, so time stays linear."""
        quote, escape = re.escape(self.quote), re.escape(self.escape)
        if self.escape in ("", self.quote):
            return f"(?:[^{quote}]++|{quote}{quote})*+"
        return f"(?:[^{quote}{escape}]++|{escape}.)*+"

    @property
    def _before(self) -> str:
        """Pattern of the blank that may come before a quoted value: one, as DuckDB has it."""
        return "" if self.delimiter == " " else " ?"

    @property
    def _after(self) -> str:
        return "" if self.delimiter == " " else " *+"

    @cached_property
    def _value(self) -> re.Pattern[str]:
        """One value up to the delimiter or the end: what is between quotes, or all of it."""
        quote, delimiter = re.escape(self.quote), re.escape(self.delimiter)
        quoted = f"{self._before}{quote}({self._inside}){quote}{self._after}"
        plain = f"(?!{self._before}{quote})([^{delimiter}]*+|.*?)"
        return re.compile(rf"(?:{quoted}|{plain})({delimiter}|\Z)", re.DOTALL)

    @cached_property
    def _open(self) -> re.Pattern[str]:
        """A quoted value that the text ends in."""
        unfinished = "" if self.escape in ("", self.quote) else re.escape(self.escape) + "?"
        return re.compile(rf"{self._before}{re.escape(self.quote)}{self._inside}{unfinished}\Z", re.DOTALL)

    @cached_property
    def _closing(self) -> re.Pattern[str]:
        """The rest of a quoted value, in a later line."""
        return re.compile(self._inside + re.escape(self.quote), re.DOTALL)

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile(f"{re.escape(self.escape)}(.)", re.DOTALL)

    def records(self, lines: Iterator[str], *, blank_lines: bool) -> Iterator[Record]:
        """`blank_lines`: they are records of one empty value."""
        ahead: deque[str] = deque()
        while line := ahead.popleft() if ahead else next(lines, ""):
            if self.quote and self.quote in line:
                yield self._quoted(line, ahead, lines)
            elif (text := line.rstrip("\r\n")) or blank_lines:
                yield text.split(self.delimiter), line

    def _quoted(self, line: str, ahead: deque[str], lines: Iterator[str]) -> Record:
        """The record that begins with this line. If a quote in it is misplaced, this line alone is given up."""
        record, text, values, at = [line], line.rstrip("\r\n"), [], 0
        while True:
            if value := self._value.match(text, at):
                values.append(value[2] if value[1] is None else self._unescaped(value[1]))
                if not value[3]:
                    return values, "".join(record)
                at = value.end()
                continue
            reason = "a quoted value is followed by other text"
            if self._open.match("".join(record), at):
                more, closed = self._until_closed(ahead, lines)
                record += more
                if closed:
                    text = "".join(record).rstrip("\r\n")
                    continue
                reason = "a quote is never closed"
            ahead.extendleft(reversed(record[1:]))
            return reason, line

    def _until_closed(self, ahead: deque[str], lines: Iterator[str]) -> tuple[list[str], bool]:
        """The lines up to the one that closes a quoted value, and whether there is one."""
        taken: list[str] = []
        size = 0
        while size < _LONGEST_SEARCH and (line := ahead.popleft() if ahead else next(lines, "")):
            taken.append(line)
            size += len(line)
            if self.quote in line and self._closing.match(line):
                return taken, True
        return taken, False

    def _unescaped(self, value: str) -> str:
        if self.escape in ("", self.quote):
            return value.replace(self.quote * 2, self.quote)
        return self._escaped.sub(r"\1", value)


# -- NDJSON and JSON


class _Number(str):
    """A number as it is written: 1.10, 1e400."""


@dataclass(frozen=True)
class _Twice:
    """An object in which a key occurs twice, so that one of its values would be lost."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    keys = [key for key, _ in pairs]
    return _Twice(next(key for key in keys if keys.count(key) > 1))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
)
_ENCODED = json.JSONEncoder(ensure_ascii=False).encode
_BLANKS = re.compile(r"[ \t\r\n]*")
_PLAIN = frozenset({str, _Number, type(None)})


def _json(feed: Feed, path: Path) -> Records:
    """Columns are all keys of the file in order of first appearance, so it is read twice, the second time as the
    engine asks. Keys that differ only by case are one column under its first spelling (Delta knows no case).
    """

    def objects() -> Iterator[tuple[_Object, str]]:
        with _lines(feed, path) as lines:
            found = _objects_in_lines(lines) if feed.format == "ndjson" else _objects_in_array(lines, path)
            for values, raw in found:
                yield _fault_in_text(raw, feed.encoding) or values, raw

    columns = _columns(objects())
    names = _checked(tuple(dict.fromkeys(columns.values())), path)
    return names, lambda: _by_column(objects(), columns, names)


def _objects_in_lines(lines: Iterator[str]) -> Iterator[tuple[_Object, str]]:
    for line in lines:
        if _BLANKS.fullmatch(line):
            continue
        try:
            yield _flat(_DECODER.decode(line), line), line
        except (ValueError, RecursionError) as error:
            yield f"not JSON: {_why(error)}", line


def _objects_in_array(lines: Iterator[str], path: Path) -> Iterator[tuple[_Object, str]]:
    count = 0
    try:
        for value, raw in _JsonText(lines).items():
            yield _flat(value, raw), raw
            count += 1
    except (ValueError, RecursionError) as error:
        fix = "correct the file; if each line is an object of its own, the format is ndjson. Nothing of it was taken"
        raise DataError(f"malformed JSON after {count} objects: {_why(error)}", where=path, fix=fix) from error


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


class _JsonText:
    """JSON text of which only as much is held as the longest item takes."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._text = ""
        self._at = 0

    def items(self) -> Iterator[tuple[Any, str]]:
        """The items of the one array in the text, or the one value, each with its text."""
        if self._next() == "[":
            self._take("[")
            while self._next() != "]":
                yield self._value()
                if self._next() != "]":
                    self._take(",")
                    if self._next() == "]":
                        raise ValueError("a comma before the closing ]")
            self._take("]")
        elif self._next():
            yield self._value()
        if self._next():
            raise ValueError(f"{json.dumps(self._next())} after the end")

    def _next(self) -> str:
        """The next character that is no blank; '' at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches anywhere
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def _take(self, mark: str) -> None:
        if self._next() != mark:
            raise ValueError(f"{json.dumps(self._next())} where {json.dumps(mark)} is expected")
        self._at += 1

    def _value(self) -> tuple[Any, str]:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._read_on():
                    continue
                raise
            if end < len(self._text) or not self._read_on():  # a number at the end of the text may go on
                raw, self._at = self._text[self._at : end], end
                return value, raw

    def _read_on(self) -> bool:
        """More text, at least as much as is held, so that a long item is not tried too often."""
        self._text, self._at = self._text[self._at :], 0
        wanted = max(_BLOCK, len(self._text))
        more = []
        while wanted > 0 and (line := next(self._lines, None)) is not None:
            more.append(line)
            wanted -= len(line)
        self._text += "".join(more)
        return bool(more)


def _flat(value: object, raw: str) -> _Object:
    """An object's values as text, or why they cannot be had."""
    if isinstance(value, _Twice):
        return f"key {_ENCODED(value.key)} twice in one object"
    if not isinstance(value, dict):
        return f"not a JSON object but {_kind(value)}"
    if clash := _clash(tuple(value)):
        return clash
    if not _PLAIN.issuperset(map(type, value.values())):
        try:
            value = {key: item if type(item) in _PLAIN else _json_text(item) for key, item in value.items()}
        except ValueError as error:
            return str(error)
    if "\\u" in raw and _NO_TEXT.search("".join(chain(value, filter(None, value.values())))):
        return "a string holds NUL or half a surrogate pair"
    return value


def _kind(value: object) -> str:
    if isinstance(value, _Number):
        return "a number"
    return {str: "a string", list: "an array", bool: "true or false"}.get(type(value), "null")


@lru_cache(maxsize=10_000)
def _clash(keys: tuple[str, ...]) -> str | None:
    """Delta knows no case: two such keys would be one column."""
    lowered = [key.lower() for key in keys]
    twice = [key for key, low in zip(keys, lowered, strict=True) if lowered.count(low) > 1]
    return f"keys {', '.join(map(_ENCODED, twice))} differ only by case" if twice else None


def _json_text(value: object) -> str:
    """A nested value as compact JSON, key order and numbers as they are."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{_ENCODED(key)}:{_json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json_text, value)) + "]"
    if isinstance(value, _Twice):
        raise ValueError(f"key {_ENCODED(value.key)} twice in one object")
    return _ENCODED(value)


def _columns(objects: Iterator[tuple[_Object, str]]) -> dict[str, str]:
    """Every key with its column, in order of first appearance."""
    columns: dict[str, str] = {}
    first: dict[str, str] = {}
    for values, _ in objects:
        if isinstance(values, dict) and not values.keys() <= columns.keys():
            for key in values:
                columns[key] = first.setdefault(key.lower(), key)
    return columns


def _by_column(
    objects: Iterator[tuple[_Object, str]], columns: dict[str, str], names: tuple[str, ...]
) -> Iterator[Record]:
    respelled = len(columns) > len(names)
    for values, raw in objects:
        if isinstance(values, str):
            yield values, raw
            continue
        if not values.keys() <= columns.keys():
            raise DataError("the file changed while it was read")
        if respelled:
            values = {columns[key]: text for key, text in values.items()}
        yield [values.get(name) for name in names], raw


# -- Excel


def _xlsx(feed: Feed, path: Path) -> Records:
    """The first row that is not blank is the header; blank rows are no records, empty cells are ''.

    calamine's text: 1 and not 1.0, 2024-01-31 00:00:00, true; a formula's value, and nothing for an error.
    """
    rows = _sheet(feed, path)
    columns = _checked([(name or "").strip() for name in next(rows, ())], path)

    def records() -> Iterator[Record]:
        rows = _sheet(feed, path)
        next(rows, None)
        return (([cell or "" for cell in row], "") for row in rows)

    return columns, records


def _sheet(feed: Feed, path: Path) -> Iterator[tuple[str | None, ...]]:
    with open(path, "rb") as file:
        content = file.read()
    import fastexcel
    import polars as pl

    try:
        sheets = fastexcel.read_excel(content).sheet_names
        sheet = feed.sheet if feed.sheet is not None else sheets[0]
        if sheet not in sheets:
            fix = f"set the sheet in {feed.declared_in or 'the contract'}, or correct the file"
            raise DataError(f'no sheet "{sheet}"; the file has {", ".join(map(_ENCODED, sheets))}', where=path, fix=fix)
        frame = pl.read_excel(
            content, sheet_name=sheet, engine="calamine", has_header=False, infer_schema_length=0, raise_if_empty=False
        )
    except fastexcel.FastExcelError as error:
        raise _unreadable(path, f"not an Excel file that can be read: {_lower(error)}") from error
    return frame.iter_rows()


# -- Parquet by the engine


def _parquet(engine: DuckEngine, path: Path) -> Rows:
    """Values as the engine casts them to text; bytes as hex, nested values as JSON, NULL as it is."""
    with open(path, "rb"):
        pass  # no permission is told as such
    source = f"read_parquet({literal(_glob(path))}, hive_partitioning = false)"
    try:
        kinds = engine.columns(f"SELECT * FROM {source}")
        parts = engine.rows(f"SELECT name, num_children FROM parquet_schema({literal(_glob(path))})")
    except DataError as error:
        raise _unreadable(path, f"not a Parquet file that can be read: {error.what}") from error
    columns = _checked(_outer(parts), path)
    values = ", ".join(f"{_as_text(identifier(name), kind)} AS {identifier(name)}" for name, kind in kinds.items())
    select = f"SELECT {values}, row_number() OVER () AS _row, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw"
    return Rows(columns, f"{select} FROM {source}")


def _outer(parts: Sequence[tuple[str, int | None]]) -> list[str]:
    """Names of the columns among all parts of a Parquet schema, which come depth first after the root.

    The engine's own names do not do: it renames the second of two equal ones.
    """
    names, inside = [], 0
    for name, children in parts[1:]:
        if inside == 0:
            names.append(name)
        inside += (children or 0) - (inside > 0)
    return names


def _as_text(column: str, kind: str) -> str:
    if kind == "BLOB":
        return f"lower(hex({column}))"
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT"))
    return f"to_json({column})::VARCHAR" if nested else f"{column}::VARCHAR"


_READERS: dict[str, Callable[[Feed, Path], Records]] = {
    "csv": _csv,
    "ndjson": _json,
    "json": _json,
    "xlsx": _xlsx,
}
