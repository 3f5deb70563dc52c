"""XML: every element that the contract's path leads to is a record, read as the file streams by.

Its columns are its attributes (`@id`), the elements in it by their names, and its own text (`#text`). An element that
has only text is that text, exactly; one with attributes or elements in it is JSON, and several of one name are a JSON
array. Namespaces do not count, `xsi:nil` is NULL. Comments and the blanks between elements are not kept.

A file that declares entities is refused: a few lines of them unpack to gigabytes, or name files of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from src.bronze.readers.files import blocks
from src.bronze.readers.json_columns import records_by_key
from src.bronze.readers.json_objects import Object, clashing
from src.bronze.readers.records import Records
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import LONGEST_LINE
from src.contract import Feed
from src.errors import DataError

_DEEPEST = 200  # elements in each other, in one record
_AT_ONCE = 64 << 10  # bytes that are parsed before their records are given
_LONG = 4_096  # characters of a record whose text counts in what is held at once
_NAMES_SHOWN = 10  # in a message
_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"


def xml_records(feed: Feed, path: Path) -> Records:
    """Return the columns and the records of an XML file.

    Raises:
        DataError: it is not XML, or has no element where the contract says; nothing of the file is taken.
    """
    return records_by_key(path, lambda: _records(feed, path))


@dataclass
class _Element:
    """An element as far as it was read."""

    attributes: dict[str, str]
    is_nil: bool
    children: dict[str, list[_Element]] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)

    def columns(self) -> dict[str, Any]:
        """Return what the element holds, by name: each a text, JSON or None."""
        found: dict[str, Any] = {f"@{name}": value for name, value in self.attributes.items()}
        for name, elements in self.children.items():
            found[name] = elements[0].value() if len(elements) == 1 else [one.value() for one in elements]
        text = "".join(self.text)
        if text.strip():
            found["#text"] = text
        return found

    def value(self) -> Any:
        """Return the text of an element that has nothing else, else what it holds."""
        if self.is_nil:
            return None
        return self.columns() if self.attributes or self.children else "".join(self.text)


class _Refused(Exception):
    """A file that cannot be taken, from within the parser."""


class _Reading:
    """The state of one reading of a file: where the parser is, and the records that ended."""

    def __init__(self, steps: Sequence[str]) -> None:
        self._steps = list(steps)
        self._path: list[str] = []
        self._open: list[_Element] = []  # the record and the elements in it that have begun
        self._size = 0  # characters of the record
        self._ended: list[tuple[Object, str]] = []
        self.count = 0
        # by how many steps lead there: the names of the elements in it
        self.found: list[dict[str, int]] = [{} for _ in steps]

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if self._open:
            if len(self._open) >= _DEEPEST:
                raise _Refused(f"elements in each other more than {_DEEPEST} deep")
            element = _element(attributes)
            self._open[-1].children.setdefault(local, []).append(element)
            self._open.append(element)
            self._grow(len(local) + sum(map(len, attributes.values())))
            return
        depth = len(self._path)
        if depth < len(self._steps) and self._path == self._steps[:depth]:
            self.found[depth][local] = self.found[depth].get(local, 0) + 1
        self._path.append(local)
        if self._path == self._steps:
            self._open, self._size = [_element(attributes)], 0

    def end(self, _: str) -> None:
        if len(self._open) == 1:
            self._ended.append(_record(self._open[0].columns(), self._size))
            self.count += 1
        if self._open:
            self._open.pop()
        if not self._open:
            self._path.pop()

    def text(self, text: str) -> None:
        if self._open:
            self._open[-1].text.append(text)
            self._grow(len(text))

    def take(self) -> list[tuple[Object, str]]:
        ended, self._ended = self._ended, []
        return ended

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > LONGEST_LINE:
            raise _Refused(f"a record of more than {LONGEST_LINE >> 20} million characters")


def _element(attributes: dict[str, str]) -> _Element:
    is_nil = attributes.pop(_NIL, "") in ("true", "1")
    found: dict[str, str] = {}
    for name, value in attributes.items():
        local = name.rpartition(" ")[2]
        found[name if local in found else local] = value
    return _Element(found, is_nil)


def _record(columns: dict[str, Any], size: int) -> tuple[Object, str]:
    """Return a record's values as text, or why it has none; its text where it is a reject, or long."""
    clash = clashing(tuple(columns))
    raw = _json(columns) if clash or size > _LONG else ""
    texts = {name: value if isinstance(value, str | None) else _json(value) for name, value in columns.items()}
    return clash or texts, raw


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _records(feed: Feed, path: Path) -> Iterator[tuple[Object, str]]:
    reading = _Reading(feed.record_path)
    parser = _parser(reading)
    begun = False
    try:
        for block in blocks(path, _AT_ONCE):
            begun = True
            parser.Parse(block, False)
            yield from reading.take()
        if not begun:
            return  # an empty file
        parser.Parse(b"", True)
        yield from reading.take()
    except _Refused as error:
        raise DataError(str(error), where=path, fix="correct the file; nothing of it was taken") from error
    except (expat.ExpatError, ValueError, LookupError) as error:
        what = f"malformed XML after {reading.count} records: {error}"
        raise DataError(what, where=path, fix="correct the file; nothing of it was taken") from error
    if not reading.count:
        _refuse_no_records(feed, path, reading.found)


def _parser(reading: _Reading) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reading.begin
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text

    def refuse(name: str, *_: object) -> None:
        raise _Refused(f"the entity {name} is declared, or meant, which no file of data needs")

    parser.EntityDeclHandler = refuse
    parser.SkippedEntityHandler = refuse
    return parser


def _refuse_no_records(feed: Feed, path: Path, found: list[dict[str, int]]) -> None:
    """Refuse a file without records, but for one whose element that they would be in is empty."""
    steps = feed.record_path
    depth = next((at for at, step in enumerate(steps) if step not in found[at]), len(steps))
    if not found[depth]:
        return
    there = ", ".join(list(found[depth])[:_NAMES_SHOWN]) + (", ..." if len(found[depth]) > _NAMES_SHOWN else "")
    what = f"no element {steps[depth]} {'in ' + '/'.join(steps[:depth]) if depth else 'at the top'}; there is {there}"
    fix = f"correct recordPath in {contract_of(feed)}, or the file; nothing of it was taken"
    raise DataError(what, where=path, fix=fix)
