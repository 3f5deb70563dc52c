"""Rows are cut out of a JSON text as they stand in it: no number is read and written again, so none loses a digit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from src.errors import ContractError

_BLANK = " \t\r\n"
_DECODER = json.JSONDecoder()
_ONE_LINE = str.maketrans("\r\n", "  ")  # a line end in JSON stands between its parts, never inside a text
_SHOWN = 12  # keys by name


def text_of(body: bytes) -> str:
    """Return the text of a JSON body, in whichever encoding of Unicode it came.

    Raises:
        ContractError: it is none.
    """
    try:
        return body.decode(json.detect_encoding(body), "strict").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise ContractError(f"the answer is no text in UTF-8, at byte {error.start}", fix="write `raw: true`") from None


def rows(text: str, path: Sequence[str]) -> Iterator[str]:
    """Yield the rows at a path of a JSON text, each in one line: the members of a list, or what else stands there.

    Null is no row.

    Raises:
        ContractError: the text is no JSON, or has nothing at the path.
    """
    start = _start(text, path)
    if text[start] != "[":
        row = text[start : _end(text, start)]
        if row[:1] not in "{n":
            raise ContractError(f"{_named(path)} is {row[:40]}, no list and no object", fix="correct `rows`")
        if row != "null":
            yield row.translate(_ONE_LINE)
        return
    position = _skip(text, start + 1)
    while text[position : position + 1] != "]":
        end = _end(text, position)
        yield text[position:end].translate(_ONE_LINE)
        position = _skip(text, end)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "]":
            raise _broken(text, position)


def value(text: str, path: Sequence[str]) -> Any:
    """Return the value at a path of a JSON text; None where there is none.

    Raises:
        ContractError: the text is no JSON.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"the answer is no JSON: {error}", fix="write `raw: true` for other text") from None
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def _start(text: str, path: Sequence[str]) -> int:
    """Return where the value at a path starts; it reads no further than it must."""
    position = _skip(text, 0)
    for depth, key in enumerate(path):
        position = _member(text, position, key, path[:depth])
    if position >= len(text):
        raise _broken(text, position)
    return position


def _member(text: str, position: int, wanted: str, above: Sequence[str]) -> int:
    """Return where the value of a key starts in the object at a position."""
    if position >= len(text):
        raise _broken(text, position)
    if text[position] != "{":
        what = f"no {wanted} in {_named(above)}, which is {text[position : position + 40]!r}"
        raise ContractError(what, fix="correct `rows`, the path to the rows in the answer")
    seen = []
    position = _skip(text, position + 1)
    while text[position : position + 1] != "}":
        key, end = _read(text, position)
        position = _skip(text, end)
        if text[position : position + 1] != ":":
            raise _broken(text, position)
        position = _skip(text, position + 1)
        if key == wanted:
            return position
        seen.append(str(key))
        position = _skip(text, _end(text, position))
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "}":
            raise _broken(text, position)
    there = ", ".join(seen[:_SHOWN]) + (", ..." if len(seen) > _SHOWN else "")
    what = f"no {wanted} in {_named(above)}; it has {there or 'nothing'}"
    raise ContractError(what, fix="correct `rows`, the path to the rows in the answer")


def _read(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):
        raise _broken(text, position) from None


def _end(text: str, position: int) -> int:
    return _read(text, position)[1]


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in _BLANK and position < len(text):
        position += 1
    return position


def _broken(text: str, position: int) -> ContractError:
    found = text[position : position + 40] or "its end"
    fix = "see what the url answers; other text than JSON is landed as it is by `raw: true`"
    return ContractError(f"the answer is no JSON at character {position + 1}: {found!r}", fix=fix)


def _named(path: Sequence[str]) -> str:
    return ".".join(path) or "the answer"
