"""What every kind of workbook has: sheets of rows of cells, each a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class NoValue:
    """A cell whose formula stands there without the value it had."""

    formula: str


Cell = str | NoValue
Row = tuple[int, list[tuple[int, Cell]]]  # its number; cells with their column, both from 1, left to right


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook. `rows` reads it from its beginning; rows without a value are not among them."""

    name: str
    visible: bool
    rows: Callable[[], Iterator[Row]]


class Unreadable(Exception):
    """The refusal of a workbook: why it is not taken, and how to fix it."""

    def __init__(self, what: str, fix: str = "land the file again, whole; nothing of it was taken") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
