"""A value in every form in which a file may hold it, and what tells it from another value that only looks like it.

Forms: eight encodings, any case, composed letters or not, and what JSON (also within JSON), HTML, CSV, SQL and URLs
make of its characters. A number is found with zeros before it and as 12.0, never within a longer number, nor within
what is a hash or a UUID.

First one automaton looks for all forms of all values at once, which costs the same for one value as for ten. It finds
too much rather than too little; what it finds is looked at again, value by value.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html.entities import codepoint2name
from itertools import accumulate
from typing import Any
from urllib.parse import quote

_ENCODINGS = ("utf-8", "latin-1", "cp1252", "cp850", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_BACKSLASHES = ("\\", "\\\\", "\\\\\\\\")  # of an escape in JSON, in JSON in JSON, and once more
_WIDEST = 64  # bytes that one character takes in its longest form
_NUMBER = re.compile(r"-?[0-9]+")
_HASH = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32,}")
_HASH_REACH = 80  # bytes around a number in which the hash that it is part of is looked for
_CUT = (32, 64)  # characters after which logs and footers cut the least and greatest text of a column


@dataclass(frozen=True)
class Value:
    """A value that is looked for, as a person writes it. Of digits alone it is a number as well: 0012 is 12.

    `columns`, in lower case: a number that is the whole value of a column counts in these alone; none: in every column.
    """

    text: str
    columns: frozenset[str] = frozenset()

    @property
    def number(self) -> int | None:
        """Return the number that it is; None where it is none."""
        return int(self.text) if _NUMBER.fullmatch(self.text) else None

    def counts_in(self, column: str) -> bool:
        """Return whether a number counts that is the whole value of a column: one of nested names such as a.b."""
        return not self.columns or not self.columns.isdisjoint(column.lower().split("."))


class Forms:
    """All forms of some values."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.values = tuple(dict.fromkeys(value for value in values if value.text.strip()))
        self.numbers = tuple(value for value in self.values if value.number is not None)
        self.texts = tuple(value for value in self.values if value.number is None)
        longest = max((len(value.text) for value in self.values), default=0)
        self.reach = longest * _WIDEST + _HASH_REACH  # bytes that pieces of one text overlap by
        self._exact = {value: re.compile(_exactly(value)) for value in self.values}

    @cached_property
    def _anywhere(self) -> bytes:
        return b"|".join(_loosely(value) for value in self.values)

    def likely(self, pieces: Sequence[Any]) -> list[int]:
        """Return which of some pieces of bytes may hold a value: never too few of them."""
        if not pieces or not self.values:
            return []
        import pyarrow as pa
        import pyarrow.compute as pc

        offsets = list(accumulate((len(piece) for piece in pieces), initial=0))
        joined = pa.py_buffer(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        starts = pa.array(offsets, pa.int64()).buffers()[1]
        array = pa.Array.from_buffers(pa.large_binary(), len(pieces), [None, starts, joined])
        return [at for at, found in enumerate(pc.match_substring_regex(array, self._anywhere).to_pylist()) if found]

    def likely_rows(self, column: Any) -> Any:
        """Return the values of an Arrow column of text or bytes that may hold one of ours, each once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        as_bytes = column.cast(pa.large_binary())
        return pc.unique(as_bytes.filter(pc.match_substring_regex(as_bytes, self._anywhere))).drop_null()

    def values_in(self, data: Any, column: str = "") -> Iterator[Value]:
        """Yield the values that bytes surely hold; `column`: they are the whole value of this one."""
        padded = b"\n" + bytes(data) + b"\n"
        for value, pattern in self._exact.items():
            if value.number is None:
                if pattern.search(padded):
                    yield value
            elif any(not _in_hash(padded, found) for found in pattern.finditer(padded)):
                whole = padded.strip() if column else b""
                if not (whole and pattern.fullmatch(whole)) or value.counts_in(column):
                    yield value

    def spans(self, value: Value, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where a value lies in bytes, but in hashes: begin and end."""
        padded = b"\n" + data + b"\n"
        for found in self._exact[value].finditer(padded):
            if not _in_hash(padded, found):
                yield found.start() - 1, found.end() - 1

    def cut(self, text: str) -> Iterator[Value]:
        """Yield the values of which a text is the beginning, as the least or greatest of a column that was cut."""
        if len(text) in _CUT or len(text) - 1 in _CUT:
            begin = text[:-1].casefold()  # of the greatest one the last character was raised
            yield from (value for value in self.texts if value.text.casefold().startswith(begin))

    def likely_name(self, name: bytes) -> list[Value]:
        """Return the values that the name of a file holds."""
        return list(self.values_in(name)) if self.likely([name]) else []


def _in_hash(data: bytes, found: re.Match[bytes]) -> bool:
    start = max(0, found.start() - _HASH_REACH)
    around = _HASH.finditer(data, start, found.end() + _HASH_REACH)
    return any(one.start() < found.end() and found.start() < one.end() for one in around)


def _loosely(value: Value) -> bytes:
    """Return a pattern of RE2 that is in whatever holds a value."""
    if value.number is not None:
        digits = str(abs(value.number))
        return b"|".join(dict.fromkeys(_escaped(digits, encoding) for encoding in _ENCODINGS))
    return b"|".join(_spelled(value.text[: _CUT[0] - 1]))  # more of it may have been cut


def _exactly(value: Value) -> bytes:
    """Return a pattern of Python that is in what holds a value and in nothing else."""
    if value.number is None:
        return b"|".join(_spelled(value.text))
    digits, sign = str(abs(value.number)), rb"-" if value.number < 0 else b""
    forms = [rb"%b(?:(?<![0-9.])|(?<=[^0-9]\.))0*%b(?:\.0+)?(?![0-9])(?!\.[0-9])" % (sign, digits.encode())]
    for encoding in _ENCODINGS[4:]:
        one = "0".encode(encoding)
        digit = re.escape(one).replace(b"0", b"[0-9]")
        zero = re.escape(one)
        core = _escaped(digits, encoding)
        minus = _escaped("-", encoding) if sign else b""
        forms.append(rb"%b(?<!%b)(?:%b)*%b(?!%b)" % (minus, digit, zero, core, digit))
    return b"|".join(forms)


def _spelled(text: str) -> Iterator[bytes]:
    """Yield a text's patterns, one for each encoding and way to compose its letters."""
    normal = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    found: dict[bytes, None] = {}
    for one in dict.fromkeys([text, *normal]):
        for encoding in _ENCODINGS:
            if all(_bytes(character, encoding) is not None for character in one):
                found[b"".join(_any_form(character, encoding) for character in one)] = None
    yield from found
    try:
        yield re.sub(rb"(?s).", lambda byte: rb"\x%02x" % byte[0][0], uuid.UUID(text).bytes)
        yield re.escape(uuid.UUID(text).hex.encode())
    except ValueError:
        pass  # no UUID


def _any_form(character: str, encoding: str) -> bytes:
    forms = (_escaped(form, encoding) for form in _forms(character))
    return rb"(?:%b)" % b"|".join(dict.fromkeys(filter(None, forms)))


def _forms(character: str) -> Iterable[str]:
    """Return what a character may be written as, the longer forms first."""
    same = [character, character.lower(), character.upper(), character.title()]
    if character.isascii() and character.isalnum():
        return dict.fromkeys(same)
    escaped: list[str] = []
    for one in dict.fromkeys(same):
        units = one.encode("utf-16-be").hex()
        for slash in _BACKSLASHES:
            for digits in (units, units.upper()):
                escaped.append("".join(f"{slash}u{digits[at : at + 4]}" for at in range(0, len(digits), 4)))
        for point in map(ord, one if len(one) == 1 else ""):
            named = codepoint2name.get(point)
            escaped += [f"&#{point};", f"&#x{point:x};", f"&#x{point:X};", *([f"&{named};"] if named else [])]
            escaped += [f"&amp;#{point};", *([f"&amp;{named};"] if named else [])]
        percent = quote(one, safe="") if quote(one, safe="") != one else f"%{ord(one[0]):02X}"
        escaped += [percent, percent.lower(), percent.replace("%", "%25"), percent.lower().replace("%", "%25")]
    return dict.fromkeys([*escaped, *_SPECIAL.get(character, ()), *same])


_SPECIAL = {
    '"': ('\\\\\\"', '\\\\"', '\\"', '""'),
    "'": ("''", "\\\\'", "\\'", "&apos;"),
    "\\": ("\\\\\\\\", "\\\\"),
    "/": ("\\/",),
    "\n": ("\\\\n", "\\n"),
    "\t": ("\\\\t", "\\t"),
    " ": ("+",),
}


def _bytes(text: str, encoding: str) -> bytes | None:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return None


def _escaped(text: str, encoding: str) -> bytes:
    """Return a text as a pattern that RE2 and Python read alike; none where the encoding has not its characters."""
    data = _bytes(text, encoding)
    return b"" if data is None else b"".join(_byte(one) for one in data)


def _byte(one: int) -> bytes:
    return bytes([one]) if chr(one).isascii() and chr(one).isalnum() else rb"\x%02x" % one
