"""A piece: some bytes of a file as they are unpacked, and what is to be looked at again where they may hold a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from src.forget.scanning.fields import Header, header_of, values_in_lines
from src.forget.scanning.spelled import Forms, Value

BLOCK = 4 << 20  # bytes of a text that are looked through at once
_LONGEST_LINE = 1 << 20  # bytes of a line that is looked at whole

# How a value lies in a file, and the value; None: what could not be read, `how` says why.
Hit = tuple[str, Value | None]


@dataclass(frozen=True)
class Piece:
    """Some bytes. `judge` yields what they hold, where they are likely to hold a value, or where it must be asked."""

    data: Any
    judge: Callable[[], Iterator[Hit]]
    must: bool = False


def sure(how: str, value: Value | None = None) -> Piece:
    """Return a piece without bytes that yields one hit."""
    return Piece(b"", lambda: iter([(how, value)]), must=True)


def of_bytes(forms: Forms, data: bytes, how: str) -> Piece:
    """Return a text, or any other bytes, as a piece."""
    return Piece(data, lambda: ((how, value) for value in forms.values_in(data)))


def of_stream(forms: Forms, file: BinaryIO | Any, how: str, begin: bytes = b"") -> Iterator[Piece]:
    """Yield the rest of a stream in pieces; `begin` was read of it. One overlaps the next by the longest form."""
    held = begin + file.read(BLOCK)
    header = header_of(held[:_LONGEST_LINE]) if any(value.columns for value in forms.numbers) else None
    while held:
        block = file.read(BLOCK)
        yield Piece(held, partial(_judged, forms, held, how, header, not block))
        if not block:
            return
        start = max(0, len(held) - forms.reach)
        line = held.rfind(b"\n", 0, start) + 1 if header else start
        held = held[line if start - line < _LONGEST_LINE else start :] + block


def _judged(forms: Forms, data: bytes, how: str, header: Header | None, is_last: bool) -> Iterator[Hit]:
    found = values_in_lines(forms, data, header, is_last=is_last) if header else forms.values_in(data)
    yield from ((how, value) for value in found)
