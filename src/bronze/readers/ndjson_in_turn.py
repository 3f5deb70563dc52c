"""NDJSON that the engine reads and proves in one pass: files of one form, in turn, by one reader a thread.

The form of a file follows from its first lines: its columns, and how a line is proven. Where these lines have nested
values or not all the same keys, a line is proven as `ndjson_proof` compares it; else it fits a pattern as there, or:

- What stands between the values of the first line, put together with the values that the engine found in this one,
  gives this line again, which has no backslash. From its beginning on, each key is then the one of the first line (of
  equal keys the engine takes the first), and a text ends at the next quote: every value is where the first line's is.

A line that is not proven is marked. Nobody sees it: its file is thrown away and read by the way that takes any line.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from src.bronze.readers.csv_fast import numbered
from src.bronze.readers.files import packing, pattern
from src.bronze.readers.json_objects import clashing, objects_in_lines
from src.bronze.readers.ndjson_proof import (
    ANY_TEXT,
    KEPT_NUMBER,
    MOST_KEYS,
    NUMBER,
    QUOTED,
    TEXT_SQL,
    compared_sql,
    fitting_pattern,
)
from src.bronze.readers.records import UNNAMED, UNPROVEN, Rows, checked
from src.bronze.readers.text import is_utf_8
from src.contract import Feed
from src.engine import identifier, literal

WORTH_IT = 32 << 10  # bytes of a file: a shorter one is read before the engine has begun
_LOOKED_AT = 16 << 10  # bytes of a file
_SPLIT = "\x01"  # in no line of JSON; the engine puts a line aside that has it
_READER = (
    "auto_detect = false, header = false, columns = {c1: 'VARCHAR'}, quote = '', escape = '', "
    f"delim = {literal(_SPLIT)}, store_rejects = true, parallel = false, hive_partitioning = false"
)
_STRING = r'"(?:[^"\\]|\\.)*"'
_MEMBER = re.compile(rf"([ {{,]*{_STRING} *: *)({_STRING}|-?[0-9][0-9.eE+-]*|true|false|null)")
_END = re.compile(r" *\} *")
_NUMBER = re.compile(NUMBER)
_KEPT_NUMBER = re.compile(KEPT_NUMBER)
_NESTED_OR_NO_JSON = literal(r"[nN\[{]")  # one of them is in arrays, objects, NaN and -inf


def ndjson_in_turn(feed: Feed, path: Path) -> Rows | None:
    """Return the file as the engine reads and proves it; None where its first lines say that this will not do."""
    if not is_utf_8(feed) or packing(path) or path.stat().st_size < WORTH_IT:
        return None
    with open(path, "rb") as file:
        first = file.read(_LOOKED_AT).removeprefix(BOM_UTF8)
    try:
        kind = _form(first[: first.rfind(b"\n") + 1].decode().replace("\r\n", "\n"))
    except UnicodeDecodeError:
        return None
    if kind is None:
        return None
    checked(kind.columns, path)
    return kind.rows([pattern(path)])


@dataclass(frozen=True)
class _Kind:
    """NDJSON files that one reader takes in turn."""

    columns: tuple[str, ...]
    line: str  # SQL of `line` as its values are taken from it
    proven: str  # SQL: the values that the engine `found` are all that `line` says
    text: str  # SQL of what `proven` calls `text`
    uses_all_threads: bool = False

    def rows(self, files: Sequence[str]) -> Rows:
        """Return each row with its file's index and its number in that file."""
        beside = ", _file" if len(files) > 1 else ""
        pointers = literal(["/" + name.replace("~", "~0").replace("/", "~1") for name in self.columns])
        values = ", ".join(f"{_found(nth)} AS {identifier(name)}" for nth, name in enumerate(self.columns))
        reject = f"CASE WHEN {self.proven} THEN NULL ELSE {literal(UNPROVEN)} END AS _reject"
        lines = f"SELECT {self.line} AS line, _row{beside} FROM ({numbered(('line',), files, _READER, False)})"
        found = f"SELECT *, TRY(json_extract_string(line, {pointers})) AS found, {self.text} AS text FROM ({lines})"
        sql = f"SELECT {values}, _row, {reject}, NULL::VARCHAR AS _raw{beside} FROM ({found})"
        return Rows(self.columns, sql, files=tuple(files), kind=self)


def _found(nth: int) -> str:
    return f"found[{nth + 1}]"


def _form(text: str) -> _Kind | None:
    """Return how files that begin with these lines are read; None where the engine would lose something of them."""
    line, plain = "line", f"{ANY_TEXT}|true|false|null"
    if all(_KEPT_NUMBER.fullmatch(number) for _, number in _NUMBER.findall(text)):
        plain += f"|{KEPT_NUMBER}"
    else:
        line, text = f"regexp_replace(line, {literal(NUMBER)}, {literal(QUOTED)}, 'g')", _NUMBER.sub(QUOTED, text)
    lines = text.split("\n")[:-1]
    columns: dict[str, None] = {}
    shapes: dict[_Shape | None, None] = {}  # the first line's is the first
    for values, raw in objects_in_lines(iter(lines[:1] if _are_alike(lines, text) else lines)):
        if isinstance(values, str) or UNNAMED in values:
            return None
        shapes[_shape(raw) if tuple(columns) in ((), tuple(values)) else None] = None
        columns |= dict.fromkeys(values)
    names = tuple(columns)
    if not 0 < len(names) <= MOST_KEYS or clashing(names):
        return None
    flat = [shape for shape in shapes if shape]
    if len(flat) == len(shapes):
        return _Kind(names, line, _proven_by_the_first(flat, fitting_pattern(names, plain)), "NULL")
    return _Kind(names, line, compared_sql(names), TEXT_SQL) if line == "line" else None


class _Shape(NamedTuple):
    """The form of a line without nested values: all of it but the values."""

    between: tuple[str, ...]  # before each value, and behind the last one
    kinds: tuple[str, ...]  # of each value: what it begins with if it is text or null, else ''


def _shape(line: str) -> _Shape | None:
    """Return the shape of a line, which is an object; None if it has a nested value."""
    between, kinds, end = [], [], 0
    while match := _MEMBER.match(line, end):
        between.append(match[1])
        kinds.append(match[2][0] if match[2][0] in '"n' else "")
        end = match.end()
    return _Shape((*between, line[end:]), tuple(kinds)) if _END.fullmatch(line, end) else None


def _are_alike(lines: Sequence[str], text: str) -> bool:
    """Return True if all lines are surely of the first one's shape, to spare reading each of them."""
    shape = _shape(lines[0]) if lines else None
    if shape is None or "n" in shape.kinds:
        return False
    begins = (before + kind for before, kind in zip(shape.between, shape.kinds, strict=False))
    return all(text.count(begin) == len(lines) for begin in begins)


def _proven_by_the_first(shapes: Sequence[_Shape], fitting: str) -> str:
    """Return SQL that is true for a line that the first one's shape gives again with its own values, or that fits."""
    parts: list[str] = []  # SQL of what stands in the line, one behind the other
    between, bare = "", []
    for nth, before in enumerate(shapes[0].between[:-1]):
        kinds, value = {shape.kinds[nth] for shape in shapes}, _found(nth)
        between += before
        if '"' not in kinds:
            parts += [literal(between), f"coalesce({value}, 'null')"]
            bare.append(value)
            between = ""
        elif "n" in kinds:
            parts += [literal(between), f"CASE WHEN {value} IS NULL THEN 'null' ELSE concat('\"', {value}, '\"') END"]
            between = ""
        else:
            parts += [literal(between + '"'), value]
            between = '"'
    parts.append(literal(between + shapes[0].between[-1]))
    of_json = f"NOT regexp_matches(concat({', '.join(bare)}), {_NESTED_OR_NO_JSON})" if bare else "true"
    return (
        f"CASE WHEN contains(line, '\\') OR concat({', '.join(parts)}) <> line "
        f"THEN coalesce(regexp_matches(line, {literal(fitting)}), false) ELSE {of_json} END"
    )
