"""NDJSON by the engine where it is proven to read a line exactly; the other lines are left to `json_objects`.

A file is read twice, as the exact way does: once for its keys and the proof of each line, and again when the engine
asks for rows. It takes the values of proven lines itself; for an odd line it is handed what the exact reader says of
it: its values, as JSON that holds text alone, or the reason why it has none.
"""

from __future__ import annotations

import json
import uuid
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.bronze.readers.files import blocks
from src.bronze.readers.json_objects import Object, clashing, objects_in_lines
from src.bronze.readers.ndjson_in_turn import WORTH_IT
from src.bronze.readers.ndjson_proof import ProvenLines, in_batches, prove_lines, with_numbers_quoted
from src.bronze.readers.records import Rows, checked
from src.bronze.readers.text import is_utf_8, no_text_reason, shown
from src.contract import Feed
from src.engine import DuckEngine, identifier, literal
from src.errors import DataError

_BLOCK = 4 << 20  # bytes of lines proven at once
_LONGEST = 16 << 20  # bytes of a line
_KEPT = 1 << 20  # bytes of a file that is kept in memory between its two readings
_MOST_COLUMNS = 500  # for each of them the engine goes through the keys of a line


def ndjson_by_engine(engine: DuckEngine, feed: Feed, path: Path) -> Rows | None:
    """Return the file as the engine reads it; None where the exact way is better.

    That is so for a short file, and for one of which more than half of the lines are odd.
    """
    import pyarrow as pa

    if not is_utf_8(feed) or path.stat().st_size < WORTH_IT:
        return None
    seen = _Seen()
    for block in _blocks(path):
        if block is None or not seen.take(engine, feed, block):
            return None
    columns = tuple(seen.columns)
    if not 0 < len(columns) <= _MOST_COLUMNS or clashing(columns):
        return None
    checked(columns, path)
    stream = f"landed_{uuid.uuid4().hex}"
    kinds = {"line": pa.large_string(), "_row": pa.int64(), "_reject": pa.string(), "_raw": pa.string()}
    again = iter([seen.whole]) if seen.whole else _blocks(path)
    engine.stream(stream, pa.RecordBatchReader.from_batches(pa.schema(kinds), _batches(feed, again, seen)))
    return Rows(columns, _values(columns, stream), (stream,))


def _values(columns: Sequence[str], stream: str) -> str:
    pointers = literal(["/" + name.replace("~", "~0").replace("/", "~1") for name in columns])
    values = ", ".join(f"found[{number}] AS {identifier(name)}" for number, name in enumerate(columns, 1))
    found = f"SELECT json_extract_string(line, {pointers}) AS found, _row, _reject, _raw FROM {identifier(stream)}"
    return f"SELECT {values}, _row, _reject, _raw FROM ({found})"


# -- the lines


@dataclass(frozen=True)
class _Block:
    """Lines of a file that are not blank, without their ends."""

    first: int  # number of the first record
    lines: Any  # Arrow's bytes
    end: str
    open: bool  # the last line has no end

    def text(self) -> Any:
        """Return the lines as Arrow's text, NULL for those that are not UTF-8."""
        import pyarrow as pa

        try:
            return self.lines.cast(pa.large_string())
        except pa.ArrowInvalid:
            decoded = (line.decode("utf-8", "replace") for line in self.lines.to_pylist())
            return pa.array([None if "\ufffd" in line else line for line in decoded], pa.large_string())

    def exactly(self, number: int, feed: Feed) -> tuple[Object, str]:
        """Return a line's object as the exact reader takes it, or why it does not, and the line."""
        end = "" if self.open and number == len(self.lines) - 1 else self.end
        line = self.lines[number].as_py().decode("utf-8", "surrogateescape") + end
        ((values, raw),) = objects_in_lines(iter([line]))
        return no_text_reason(raw, feed) or values, raw


def _blocks(path: Path) -> Iterator[_Block | None]:
    """Yield the file's lines; None where they are too long or their ends are mixed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = 1
    for data in _whole_lines(path):
        ends = {data.count(b"\r"), data.count(b"\r\n"), data.count(b"\n")} if b"\r" in data else {0}
        if len(ends) > 1 or len(data) > _LONGEST or data.startswith(BOM_UTF8):
            yield None
        data, end = (data.replace(b"\r\n", b"\n"), "\r\n") if ends != {0} else (data, "\n")
        lines = pc.split_pattern(pa.array([data], pa.large_binary()), b"\n").values
        if not pc.all(pc.starts_with(lines, b"{")).as_py():
            lines = lines.filter(pc.invert(pc.match_substring_regex(lines, r"^[ \t]*$")))
        if len(lines):
            yield _Block(first, lines, end, bool(data[data.rfind(b"\n") + 1 :].strip(b" \t")))
        first += len(lines)


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the file in pieces that end where a line does, without a byte order mark."""
    rest, mark = b"", BOM_UTF8
    for part in blocks(path, _BLOCK):
        rest += part
        end = rest.rfind(b"\n") + 1
        if end or len(rest) > _LONGEST:
            yield rest[: end or None].removeprefix(mark)
            rest, mark = rest[end:] if end else b"", b""
    if rest:
        yield rest.removeprefix(mark)


# -- the first reading


@dataclass
class _Seen:
    """The findings of the first reading of a file: its columns and, of each block, the proven lines."""

    columns: dict[str, None] = field(default_factory=dict)  # the keys in order of first appearance
    proofs: list[ProvenLines] = field(default_factory=list)  # of each block
    whole: _Block | None = None  # the file, if it is small
    _lines: int = 0
    _odd: int = 0

    def take(self, engine: DuckEngine, feed: Feed, block: _Block) -> bool:
        """Prove a block's lines; return False once more than half of the file's lines are odd."""
        first = block.exactly(0, feed)[0]
        proven = prove_lines(engine, block.text(), tuple(first) if isinstance(first, dict) else ())
        self.whole = block if not self.proofs and block.lines.nbytes <= _KEPT else None
        self.proofs.append(proven)
        self._lines += len(block.lines)
        self._odd += len(proven.odd)
        if self._odd * 2 > self._lines:
            return False
        exact = ((number, block.exactly(number, feed)[0]) for number in proven.odd)
        keys = proven.keys | {number: tuple(values) for number, values in exact if isinstance(values, dict)}
        for _, names in sorted(keys.items()):
            self.columns |= dict.fromkeys(names)
        return True


# -- the second


def _batches(feed: Feed, blocks: Iterator[_Block | None], seen: _Seen) -> Iterator[Any]:
    """Yield batches of `line`, `_row`, `_reject` and `_raw`, as the engine asks for them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for block, proven in zip(blocks, seen.proofs, strict=True):
        if block is None:
            raise DataError("the file changed while it was read")
        lines = block.text()
        if proven.quoted is not None:
            lines = pc.if_else(proven.quoted, with_numbers_quoted(lines), lines)
        others = [pa.nulls(len(lines), pa.string()), pa.nulls(len(lines), pa.string())]
        columns = _with_odd([lines, *others], feed, block, proven.odd, seen) if proven.odd else [lines, *others]
        numbers = pa.arange(block.first, block.first + len(lines))
        batch = pa.record_batch([columns[0], numbers, *columns[1:]], ["line", "_row", "_reject", "_raw"])
        yield from in_batches(batch)


def _with_odd(columns: list[Any], feed: Feed, block: _Block, odd: Sequence[int], seen: _Seen) -> list[Any]:
    """Return the columns `line`, `_reject` and `_raw` with the exact reader's values for odd lines."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pc.is_in(pa.arange(0, len(columns[0])), pa.array(odd, pa.int64()))
    exact = zip(*(_cells(*block.exactly(number, feed), seen) for number in odd), strict=True)
    news = zip(columns, exact, strict=True)
    return [pc.replace_with_mask(column, mask, pa.array(new, column.type)) for column, new in news]


def _cells(values: Object, raw: str, seen: _Seen) -> tuple[str | None, str | None, str | None]:
    if isinstance(values, str):
        return None, values, shown(raw)
    if not values.keys() <= seen.columns.keys():
        raise DataError("the file changed while it was read")
    return json.dumps(values, ensure_ascii=False), None, None
