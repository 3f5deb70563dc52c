"""Which keys are gone: those that were known, and are not in the list of now.

Known are the keys of the last list and of the files that landed since, so that a key that came and went between two
lists is found too. A tombstone carries the cursor that was known last of its key. Where that ties with the row, the
deletion wins; a key that comes back has a later one, and wins over the tombstone.

Keys are sorted a part at a time, and compared as they pass: memory does not grow with the table.
"""

from __future__ import annotations

import gzip
import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from src import store
from src.errors import DataError
from src.landing.connector import Answer

_AT_ONCE = 200_000  # keys that are sorted in memory: about 30 MB
_TAB = b"\t"
# numbers stay the digits that they are: bronze keeps every value as text
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Names:
    """The columns of a key and its cursor, and the one that says in each row whether its key is gone."""

    key: tuple[str, ...]
    cursor: str
    is_number: bool  # the cursor
    flag: str

    @property
    def heading(self) -> bytes:
        """Return the first line of a list of keys: one of other columns is none."""
        return json.dumps([*self.key, self.cursor]).encode() + b"\n"


def compare(
    names: Names, now: Iterable[bytes], before: Path | None, since: Sequence[Path], answer: Answer
) -> tuple[int, int]:
    """Write a tombstone to `answer` for each key that is gone, and let it remember the keys of now.

    `now`: rows of now, as JSON. `before`: the last list. `since`: files of rows that landed since.
    Returns how many keys are gone, and how many were known.
    """
    gone = known = 0
    answer.remember(names.heading)
    with (
        _in_order(_entries(names, now)) as listed,
        _in_order(entry for path in since for entry in _entries(names, _lines(path))) as landed,
    ):
        present = _Present(listed, answer)
        for key, entries in groupby(heapq.merge(_list(names, before), landed), key=_key):
            last = max((_word(names, entry) for entry in entries), key=lambda word: (word.at, word.is_gone))
            if last.is_gone:
                continue
            known += 1
            if not present.has(key):
                gone += 1
                answer.write(_tombstone(names, key, last.cursor))
        present.finish()
    return gone, known


class _Present:
    """The keys of now, in order, which go by once; each is remembered as it does."""

    def __init__(self, entries: Iterator[bytes], answer: Answer) -> None:
        self._entries, self._answer = entries, answer
        self._kept: list[bytes] = []
        self._current = next(entries, None)

    def has(self, key: bytes) -> bool:
        """Return whether a key is there; keys are asked for in their order."""
        while self._current is not None and _key(self._current) < key:
            self._step()
        return self._current is not None and _key(self._current) == key

    def finish(self) -> None:
        """Let the rest go by."""
        while self._current is not None:
            self._step()
        self._answer.remember(b"".join(self._kept))

    def _step(self) -> None:
        assert self._current is not None
        self._kept.append(self._current)
        if len(self._kept) == 1000:
            self._answer.remember(b"".join(self._kept))
            self._kept.clear()
        self._current = next(self._entries, None)


# -- entries: one line each, <key as a JSON list> <tab> <cursor as JSON> <tab> <1 where the key is gone, else 0>


def _entries(names: Names, rows: Iterable[bytes]) -> Iterator[bytes]:
    for row in rows:
        values = _DECODER.decode(row.decode())
        if all(name in values for name in (*names.key, names.cursor)):
            key = [values[name] for name in names.key]
            is_gone = b"1" if values.get(names.flag) is True else b"0"
            yield _TAB.join((_json(key), _json(values[names.cursor]), is_gone)) + b"\n"


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


def _key(entry: bytes) -> bytes:
    return entry.partition(_TAB)[0]  # JSON writes a tab in a text as \t


class _Word(NamedTuple):
    """A row's word on its key: the cursor as it came, the same as it is compared, and whether the key is gone."""

    cursor: Any
    at: Any
    is_gone: bool


def _word(names: Names, entry: bytes) -> _Word:
    _, cursor, is_gone = entry.rstrip(b"\n").split(_TAB)
    value = _DECODER.decode(cursor.decode())
    return _Word(value, int(value) if names.is_number else value, is_gone == b"1")


def _tombstone(names: Names, key: bytes, cursor: Any) -> bytes:
    row = dict(zip(names.key, _DECODER.decode(key.decode()), strict=True))
    return _json(row | {names.cursor: cursor, names.flag: True}) + b"\n"


def _list(names: Names, path: Path | None) -> Iterator[bytes]:
    """Yield the entries of a list of keys, which are in order; none of a list of other columns."""
    lines = _lines(path) if path else iter(())
    if next(lines, None) == names.heading:
        yield from lines


def _lines(path: Path) -> Iterator[bytes]:
    with store.open_binary(path) as packed, gzip.open(packed, "rb") as file:
        try:
            yield from file
        except (OSError, EOFError, zlib.error) as error:
            fix = "remove it, and all rows are asked for again"
            raise DataError(f"cannot be read to its end: {error}", where=path, fix=fix) from error


@contextmanager
def _in_order(entries: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """Sort entries; those that are too many wait in files without a name, which are gone at the end."""
    waiting = iter(entries)
    with ExitStack() as stack:
        parts: list[Iterable[bytes]] = []
        while part := sorted(islice(waiting, _AT_ONCE)):
            if len(part) == _AT_ONCE:
                file = stack.enter_context(TemporaryFile())
                file.writelines(part)
                file.seek(0)
                parts.append(file)
            else:
                parts.append(part)
        yield heapq.merge(*parts)
