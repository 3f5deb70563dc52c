"""The header of a table: which line it is, the names it gives, and the lines around a table that are none of its rows.

Text files and workbooks have the same rules. Nothing here imports the rest of the project, as the process that reads
workbooks starts in a moment.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

LOOKED_AT = 100  # lines or rows among which `header: auto` finds the header
_LONGEST_TEXT = 200  # characters of left out lines that a note shows
_T = TypeVar("_T")


class NoHeader(Exception):
    """No line is surely the header; the text says why."""


class TooShort(Exception):
    """A table has fewer lines below its header than the contract says are no rows; the number says how many."""


def find_header(rows: Sequence[tuple[int, Sequence[str]]], row: str) -> int:
    """Return the number of the row that is the header: the first that has as many filled cells as any of the rows.

    `rows`: the first rows of a table, each with its number; at most LOOKED_AT of them. `row`: what a message calls one.

    Raises:
        NoHeader: the cells of that row are not all distinct names, or it is but one cell.
    """
    filled = {number: [cell.strip() for cell in cells if cell.strip()] for number, cells in rows}
    if not any(filled.values()):
        raise NoHeader("there is no text")
    number, names = max(filled.items(), key=lambda row: len(row[1]))  # the first of those that are as long
    if len(names) == 1:
        raise NoHeader(f"no {row} has more than one value")
    first = f"{row} {number} is the first with {len(names)} values, the most"
    if wrong := [name for name in names if not _is_name(name)]:
        raise NoHeader(f"{first}, but {_quoted(wrong[0])} is no name")
    if doubled := [name for at, name in enumerate(names) if name in names[:at]]:
        raise NoHeader(f"{first}, but {_quoted(doubled[0])} stands twice in it")
    return number


def _is_name(cell: str) -> bool:
    """Return whether a cell may be the name of a column: it has a letter, and is no number such as 1e5."""
    try:
        float(cell)
        return False
    except ValueError:
        return any(letter.isalpha() for letter in cell)


def joined(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of a header of several lines: the texts of each column, joined by a blank.

    A blank cell stands for the text to its left, as merged cells leave it, in every line but the last and in columns
    that have a text in the last line.
    """
    width = max(map(len, rows), default=0)
    cells = [[*(cell.strip() for cell in row), *[""] * (width - len(row))] for row in rows]
    for row in cells[:-1]:
        for at in range(1, width):
            if not row[at] and cells[-1][at]:
                row[at] = row[at - 1]
    return [" ".join(filter(None, column)) for column in zip(*cells, strict=True)]


def named(names: Sequence[str], unnamed: str, numbered: bool) -> list[str]:
    """Return the names of columns, those without one called `unnamed`, and a repeated one numbered from its second.

    A number that would make it the name of another column is passed over. Without a name for them, and without
    numbers, names stay as they are.
    """
    own = {name.lower() for name in names if name}
    given: set[str] = set()
    found: list[str] = []
    for name in names:
        new = name or unnamed
        if not name and unnamed:
            new = _free(unnamed, own | given)
        elif name and numbered and name.lower() in given:
            new = _free(name, own | given)
        given.add(new.lower())
        found.append(new)
    return found


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free.lower() in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def without_last(lines: Iterator[_T], count: int, is_blank: Callable[[_T], bool], left_out: list[_T]) -> Iterator[_T]:
    """Yield all lines but the last `count` that are not blank, and what stands between and behind these.

    When the lines have come to their end, `left_out` has those that were not given.

    Raises:
        TooShort: there are some, but fewer than `count`.
    """
    held: deque[_T] = deque()
    full = 0  # of the lines held, those that are not blank
    for line in lines:
        held.append(line)
        full += not is_blank(line)
        while held and (full > count or is_blank(held[0])):
            full -= not is_blank(held[0])
            yield held.popleft()
    if 0 < full < count:
        raise TooShort(full)
    left_out.extend(held)


def shortened(lines: Sequence[str]) -> str:
    """Return lines as a note shows them: in one line, and not too long."""
    text = " | ".join(line.strip() for line in lines if line.strip())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
