"""Which lines of NDJSON the engine reads as `json_objects` does, so that no value is lost.

The engine's JSON reader rewrites numbers (1.10 as 1.1), takes NaN and a comma too many, and drops the second of two
equal keys, all without a word. Two proofs hold against that; a line that has neither is odd.

- A plain line fits a pattern: the keys of the block's first line, each once, with no value but text, true, false and
  null, which the engine reads as anyone does. If it does not fit at once, its numbers are put between quotes, which
  makes them text as well: where that is no number, or lies within a text, a quote is left that does not fit.
- Any other line is compared with what the engine writes for it. Where both are the same but for blanks, every number
  is as it was and every mark in its place; what may be wrong even then is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from src.bronze.readers.json_objects import clashing
from src.engine import DuckEngine, literal

MOST_KEYS = 100  # in a pattern, whose size is limited
_ROWS_PER_BATCH = 4_096  # what a thread of the engine takes at once

_HEX = "[0-9a-fA-F]"
_UNIT = f"[1-9a-cefA-CEF]{_HEX}{{3}}|0[1-9a-fA-F]{_HEX}{{2}}|00[1-9a-fA-F]{_HEX}|000[1-9a-fA-F]|[dD][0-7]{_HEX}{{2}}"
_PAIR = rf"[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"
_TEXT = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*"'
ANY_TEXT = rf'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:{_UNIT}|{_PAIR})))*"'  # no NUL, no half of a surrogate pair
NUMBER = r'(": *)(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)'  # behind a key
QUOTED = r'\1"\2"'  # what stands for it
KEPT_NUMBER = r"0|-?[1-9][0-9]{0,17}|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,4}[1-9]"  # the engine writes it as it came

TEXT_SQL = "TRY(json(line))::VARCHAR"
# `line` as it came, `text` as the engine writes it, without blanks between its marks; NULL if it is no JSON.
_NESTED_OR_NO_NUMBER = literal(r'":(-?(?i:nan|inf)|[\[{])')
_NO_NUMBER = literal(r"(?i)[:,\[]-?(nan|inf(inity)?)[,\]}]")
_DEEPEST = 200  # containers in a line: somewhere beyond, Python gives up, and the engine does not
_CONTAINERS = "length(text) - length(replace(replace(text, '[', ''), '{', ''))"
_DUPLICATE_KEYS = "list_filter(json_keys(text, '$.**'), lambda keys: len(list_distinct(keys)) < len(keys))"
_PROVEN = rf"""
    (text = line OR replace(text, ' ', '') = replace(line, ' ', ''))
    AND starts_with(text, '{{')
    AND NOT contains(text, '\u00')  -- NUL, and what Python spells otherwise within nested values
    AND CASE WHEN NOT regexp_matches(text, {_NESTED_OR_NO_NUMBER}) THEN true
             WHEN regexp_matches(text, {_NO_NUMBER}) OR {_CONTAINERS} > {_DEEPEST} THEN false
             ELSE len({_DUPLICATE_KEYS}) = 0 END"""


@dataclass(frozen=True)
class ProvenLines:
    """The lines of a block that the engine reads exactly, and those it may not, by their numbers in it."""

    keys: dict[int, tuple[str, ...]]  # of proven lines, every list of keys where it is first
    odd: list[int]  # the lines that are not proven, in order
    quoted: Any  # Arrow's true for lines that are proven with their numbers between quotes; None for none


def prove_lines(engine: DuckEngine, lines: Any, keys: tuple[str, ...]) -> ProvenLines:
    """Return which lines of a block the engine reads as the exact reader does.

    `lines`: Arrow's text, NULL for what is none; `keys`: those of the first line, () for none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[int, tuple[str, ...]] = {}
    quoted, rest = None, pa.repeat(True, len(lines))
    if 0 < len(keys) <= MOST_KEYS:
        rest = pc.invert(_fitting(lines, keys, _TEXT))
        if pc.any(rest).as_py():
            fitting = _fitting(with_numbers_quoted(lines), keys, ANY_TEXT)
            quoted, rest = pc.and_(rest, fitting), pc.and_not(rest, fitting)
        if not pc.all(rest).as_py():
            found[pc.index(rest, False).as_py()] = keys
    odd: list[int] = []
    if pc.any(rest).as_py():
        for names, first, numbers in _compared(engine, pc.filter(lines, rest), pc.indices_nonzero(rest)):
            keys = tuple(json.loads(names)) if names is not None else ("",)
            if "" in keys or clashing(keys):
                odd += numbers
            else:
                found[first] = keys
    return ProvenLines(found, sorted(odd), quoted)


def with_numbers_quoted(lines: Any) -> Any:
    """Return the lines with each number behind a key between quotes, so that it is read as it is written."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(lines, NUMBER, QUOTED)


def in_batches(batch: Any) -> Iterator[Any]:
    """Yield an Arrow record batch in parts that several threads of the engine can take."""
    return (batch.slice(start, _ROWS_PER_BATCH) for start in range(0, len(batch), _ROWS_PER_BATCH))


def compared_sql(columns: Sequence[str]) -> str:
    """Return SQL that is true for a `line` whose `text` (TEXT_SQL) proves it, and whose keys are among these columns.

    Which of them may be equal but for their case, the caller knows.
    """
    once = "len(list_distinct(json_keys(text))) = len(json_keys(text))"
    known = f"list_has_all({literal(list(columns))}, json_keys(text))"
    return f"coalesce({_PROVEN} AND {once} AND {known}, false)"


def fitting_pattern(keys: Sequence[str], value: str) -> str:
    """Return the pattern of lines that are objects of these keys, in this order, with values of a pattern."""
    names = (re.escape(json.dumps(key, ensure_ascii=False)) for key in keys)
    return r"^ *\{ *" + " *, *".join(f"{name} *: *(?:{value})" for name in names) + r" *\} *$"


def _fitting(lines: Any, keys: tuple[str, ...], text: str) -> Any:
    """Return a mask of the lines that fit the pattern of plain values, of which `text` is that of a text."""
    import pyarrow.compute as pc

    pattern = fitting_pattern(keys, f"{text}|true|false|null")
    return pc.fill_null(pc.match_substring_regex(lines, pattern), False)


def _compared(engine: DuckEngine, lines: Any, numbers: Any) -> list[tuple[str | None, int, list[int]]]:
    """Return each list of keys as JSON (NULL: lines not proven) with its first line's number and all its lines'."""
    import pyarrow as pa

    batch = pa.record_batch([lines, numbers], ["line", "place"])
    engine.stream("landed_lines", pa.RecordBatchReader.from_batches(batch.schema, in_batches(batch)))
    try:
        return engine.rows(
            f"SELECT CASE WHEN {_PROVEN} THEN to_json(json_keys(text))::VARCHAR END AS keys, min(place), list(place) "
            "FROM (SELECT line, place, TRY(json(line))::VARCHAR AS text FROM landed_lines) GROUP BY keys"
        )
    finally:
        engine.unstream("landed_lines")
