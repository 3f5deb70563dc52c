"""JSON text becomes objects, each with its text: values as text, numbers as they are written, nested ones as JSON.

An object of which something would be lost, or no object at all, is the reason why it has no values. An empty key is
a name like any other; no table can have a column of that name, so it is `_unnamed`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from src.bronze.readers.files import BLOCK
from src.bronze.readers.records import UNNAMED
from src.bronze.readers.text import NO_TEXT, quoted
from src.errors import DataError

Object = dict[str, Any] | str  # an object's values as text, or why it has none
_T = TypeVar("_T")
_DEEPEST = 1_000  # levels of nested values
_KEYS_SHOWN = 10  # in a message


class _Number(str):
    """A number as it is written: 1.10, 1e400."""


@dataclass(frozen=True)
class _DuplicateKey:
    """An object in which a key occurs twice, so that one of its values would be lost."""

    key: str

    def __str__(self) -> str:
        return f"key {quoted(self.key)} twice in one object"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _DuplicateKey:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    keys = [key for key, _ in pairs]
    return _DuplicateKey(next(key for key in keys if keys.count(key) > 1))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
)
_KEYS = json.JSONDecoder(parse_int=float)  # an int may have too many digits
_ENCODED = json.JSONEncoder(ensure_ascii=False).encode
_BLANKS = re.compile(r"[ \t\r\n]*")
_PLAIN = frozenset({str, _Number, type(None)})


def objects_in_lines(lines: Iterator[str]) -> Iterator[tuple[Object, str]]:
    """Yield the object of each line that is not blank, or why it is none, with the line."""
    for line in lines:
        if _BLANKS.fullmatch(line):
            continue
        try:
            yield _deeply(lambda line=line: _flat(_DECODER.decode(line), line)), line  # type: ignore[misc]
        except (ValueError, RecursionError) as error:
            yield f"not JSON: {_why(error)}", line


def keys_in(line: str) -> Set[str]:
    """Return the keys of a line's object, at a third of the cost; none where the line is not JSON.

    Those of an object that is refused are among them.
    """
    try:
        value = _deeply(lambda: _KEYS.decode(line))
    except (ValueError, RecursionError):
        return frozenset()
    return value.keys() if isinstance(value, dict) else frozenset()


def objects_in_array(lines: Iterator[str], path: Path, steps: Sequence[str] = ()) -> Iterator[tuple[Object, str]]:
    """Yield each object of a JSON array with its text.

    `steps`: the keys that lead to the array; an array on the way is one of objects that each have the next key.

    Raises:
        DataError: the text is not JSON, or has no such key; nothing of the file is taken.
    """
    count = 0
    try:
        for value, raw in _JsonText(lines).items(steps):
            yield _deeply(lambda value=value, raw=raw: _flat(value, raw)), raw  # type: ignore[misc]
            count += 1
    except _NoKey as error:
        fix = "correct recordPath in the contract, or the file; nothing of it was taken"
        raise DataError(str(error), where=path, fix=fix) from error
    except (ValueError, RecursionError) as error:
        fix = "correct the file; if each line is an object of its own, the format is ndjson. Nothing of it was taken"
        raise DataError(f"malformed JSON after {count} objects: {_why(error)}", where=path, fix=fix) from error


def _deeply(read: Callable[[], _T]) -> _T:
    """Return what `read` gives; where Python's own limit is too low for what is nested, with one that is high enough.

    Raises:
        RecursionError: it is nested more than _DEEPEST levels deep.
    """
    try:
        return read()
    except RecursionError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + 4 * _DEEPEST)  # a level takes up to three calls
        try:
            return read()
        finally:
            sys.setrecursionlimit(limit)


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
    return f"nested more than {_DEEPEST:,} levels deep" if isinstance(error, RecursionError) else str(error)


class _NoKey(Exception):
    """An object has no such key as the contract's path names; the text lists those that it has."""


class _JsonText:
    """JSON text of which only as much is held as the longest item takes."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._text = ""
        self._at = 0

    def items(self, steps: Sequence[str] = ()) -> Iterator[tuple[Any, str]]:
        """Yield the items of the array that the steps lead to, or the one value there, each with its text."""
        if self._next():
            yield from self._below(steps, ())
        if self._next():
            raise ValueError(f"{quoted(self._next())} after the end")

    def _below(self, steps: Sequence[str], above: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
        if self._next() == "[":
            for _ in self._members("]"):
                if steps:
                    yield from self._below(steps, above)
                else:
                    yield self._value()
        elif not steps:
            value, raw = self._value()
            if value is not None or not above:  # in an envelope null says that there are none
                yield value, raw
        elif self._next() == "{":
            yield from self._of_key(steps, above)
        else:
            value, _ = self._value()
            raise _NoKey(f"no object but {_kind(value)} {_place(above)}, where {quoted(steps[0])} is expected")

    def _of_key(self, steps: Sequence[str], above: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
        keys: list[str] = []
        for _ in self._members("}"):
            key, _ = self._value()
            if type(key) is not str:
                raise ValueError("a key that is no string")
            self._take(":")
            if key != steps[0]:
                self._value()
            elif key in keys:
                raise ValueError(f"key {quoted(key)} twice in one object")
            else:
                yield from self._below(steps[1:], (*above, key))
            keys.append(key)
        if steps[0] not in keys:
            listed = ", ".join(map(quoted, keys[:_KEYS_SHOWN])) + (", ..." if len(keys) > _KEYS_SHOWN else "")
            raise _NoKey(f"no key {quoted(steps[0])} {_place(above)}; there are {listed or 'none'}")

    def _members(self, end: str) -> Iterator[None]:
        """Yield before each member of an array or object, which the caller takes."""
        self._at += 1
        while self._next() != end:
            yield
            if self._next() != end:
                self._take(",")
                if self._next() == end:
                    raise ValueError(f"a comma before the closing {end}")
        self._take(end)

    def _next(self) -> str:
        """Return the next character that is no blank; '' at the end."""
        while True:
            self._at = _BLANKS.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches anywhere
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def _take(self, mark: str) -> None:
        if self._next() != mark:
            raise ValueError(f"{quoted(self._next())} where {quoted(mark)} is expected")
        self._at += 1

    def _value(self) -> tuple[Any, str]:
        self._next()
        while True:
            try:
                value, end = _deeply(lambda: _DECODER.raw_decode(self._text, self._at))
            except json.JSONDecodeError:
                if self._read_on():
                    continue
                raise
            if end < len(self._text) or not self._read_on():  # a number at the end of the text may go on
                raw, self._at = self._text[self._at : end], end
                return value, raw

    def _read_on(self) -> bool:
        """Read on, at least as much text as is held, so that a long item is not tried too often.

        Returns whether there was more.
        """
        self._text, self._at = self._text[self._at :], 0
        wanted = max(BLOCK, len(self._text))
        more = []
        while wanted > 0 and (line := next(self._lines, None)) is not None:
            more.append(line)
            wanted -= len(line)
        self._text += "".join(more)
        return bool(more)


def _place(above: Sequence[str]) -> str:
    return f"in {'.'.join(above)}" if above else "at the top"


def _flat(value: object, raw: str) -> Object:
    """Return an object's values as text, or why they cannot be had."""
    if isinstance(value, _DuplicateKey):
        return str(value)
    if not isinstance(value, dict):
        return f"not a JSON object but {_kind(value)}"
    if "" in value:
        if UNNAMED in value:
            return f'keys "" and {quoted(UNNAMED)} are one column'
        value = {key or UNNAMED: item for key, item in value.items()}
    if clash := clashing(tuple(value)):
        return clash
    if not _PLAIN.issuperset(map(type, value.values())):
        try:
            value = {key: item if type(item) in _PLAIN else _json_text(item, 1) for key, item in value.items()}
        except ValueError as error:
            return str(error)
    if "\\u" in raw and NO_TEXT.search("".join(chain(value, filter(None, value.values())))):
        return "a string holds NUL or half a surrogate pair"
    return value


def _kind(value: object) -> str:
    if isinstance(value, _Number):
        return "a number"
    return {str: "a string", list: "an array", bool: "true or false"}.get(type(value), "null")


@lru_cache(maxsize=10_000)
def clashing(keys: tuple[str, ...]) -> str | None:
    """Return why an object's keys cannot be columns: two differ only by case, which Delta does not know."""
    lowered = [key.lower() for key in keys]
    clashes = [key for key, low in zip(keys, lowered, strict=True) if lowered.count(low) > 1]
    return f"keys {', '.join(map(quoted, clashes))} differ only by case" if clashes else None


def _json_text(value: object, level: int) -> str:
    """Return a nested value as compact JSON, key order and numbers as they are."""
    if isinstance(value, _Number):
        return value
    if level > _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return "{" + ",".join([f"{_ENCODED(key)}:{_json_text(item, level + 1)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_json_text(item, level + 1) for item in value]) + "]"
    if isinstance(value, _DuplicateKey):
        raise ValueError(value)
    return _ENCODED(value)
