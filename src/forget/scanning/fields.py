"""The fields of lines: in a file with a header, or of JSON, a number tells by its column whose it is.

As the whole value of another column it is none of the person's: an order of the same number. Where a line does not fit
the header, or is of no form that is known, it counts.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from src.bronze.readers.csv_dialect import DELIMITERS
from src.forget.scanning.spelled import Forms, Value

_NAME = re.compile(r"[^\W\d][^\n]{0,99}")


@dataclass(frozen=True)
class Header:
    """The names of a file's columns and what stands between them; none of a file of JSON."""

    names: tuple[str, ...] = ()
    delimiter: str = ""


def header_of(begin: bytes) -> Header | None:
    """Return the header of a text from its first bytes; None where its first line is none."""
    line = begin.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].rstrip(b"\r")
    if line.startswith(b"{"):
        return Header()
    try:
        text = line.decode("utf-8")
        lines = ((next(csv.reader([text], delimiter=mark)), mark) for mark in DELIMITERS if mark in text)
        fields, mark = max(lines, key=lambda line: len(line[0]))
    except (ValueError, csv.Error):
        return None
    names = [name.strip() for name in fields]
    if not all(map(_NAME.fullmatch, names)) or len({name.lower() for name in names}) < len(names):
        return None
    return Header(tuple(names), mark)


def values_in_lines(forms: Forms, data: bytes, header: Header, *, is_last: bool) -> Iterator[Value]:
    """Yield the values that whole lines hold; what stands behind the last line end is a line where it `is_last`."""
    end = len(data) if is_last else data.rfind(b"\n") + 1
    for value in forms.values_in(data):
        lines = _lines_with(forms, value, data[:end])
        if not value.columns or value.number is None or any(_counts(forms, value, line, header) for line in lines):
            yield value


def _lines_with(forms: Forms, value: Value, data: bytes) -> Iterator[bytes]:
    for start, stop in forms.spans(value, data):
        yield data[data.rfind(b"\n", 0, start) + 1 : (data.find(b"\n", stop) + 1 or len(data) + 1) - 1]


def _counts(forms: Forms, value: Value, line: bytes, header: Header) -> bool:
    """Return whether one of a line's fields holds a value that counts there."""
    found = _fields(line, header)
    return found is None or any(value in forms.values_in(text.encode(), name) for name, text in found)


def _fields(line: bytes, header: Header) -> list[tuple[str, str]] | None:
    """Return the fields of a line with the names of their columns; None where it does not fit."""
    try:
        text = line.decode("utf-8").rstrip("\r")
        if not header.names:
            return list(_members(json.loads(text), ""))
        [fields] = csv.reader([text], delimiter=header.delimiter, strict=True)
    except (ValueError, csv.Error):
        return None
    return list(zip(header.names, fields, strict=True)) if len(fields) == len(header.names) else None


def _members(node: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield each plain value of JSON with its key."""
    if isinstance(node, dict):
        for key, inner in node.items():
            yield "", key
            yield from _members(inner, key)
    elif isinstance(node, list):
        for inner in node:
            yield from _members(inner, name)
    else:
        yield name, node if isinstance(node, str) else json.dumps(node)
