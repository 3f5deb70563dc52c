"""A sheet as a table: the first row in which something can be seen is its header, every such row below it a record.

The columns reach from the header's first name to its last. What stands beside them has no name, so its row is a
reject; only what nobody can see, blanks, is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from src.bronze.workbooks.cells import Cell, NoValue, Sheet, Unreadable

Values = list[str | None]
Record = tuple[Values | str, str]  # values in column order, or the reason why there are none; then the row's text

_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # what no value may hold: NUL, and half surrogates


class SheetTable:
    """One sheet's columns and, once, its records."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet.name
        rows = sheet.rows()
        row, header = next((found for found in rows if any(_is_seen(cell) for _, cell in found[1])), (0, []))
        for column, cell in header:
            if isinstance(cell, NoValue):
                fix = "open the workbook in a spreadsheet program, save it and land it again"
                raise Unreadable(f"the header {reference(column, row)} is a formula without a stored value", fix)
        names = {column: str(cell).strip() for column, cell in header if _is_seen(cell)}
        self._first, self._last = min(names, default=1), max(names, default=0)
        self.columns = [names.get(column, "") for column in range(self._first, self._last + 1)]
        if first := next(rows, None):
            self._refuse_nameless(row, *first)
        self._rows = chain([first] if first else [], rows)

    def records(self) -> Iterator[Record]:
        """Yield the sheet's records: the values of a row, or why it has none and the row as text."""
        for row, cells in self._rows:
            if reason := self._refusal(row, cells):
                yield reason, "\t".join(f"={cell.formula}" if isinstance(cell, NoValue) else cell for _, cell in cells)
                continue
            values: Values = [""] * len(self.columns)
            for column, cell in cells:
                if self._first <= column <= self._last:
                    values[column - self._first] = str(cell)
            if any(values):
                yield values, ""

    def _refuse_nameless(self, header: int, row: int, cells: Sequence[tuple[int, Cell]]) -> None:
        """Refuse a sheet whose first row has a value in a column without a name: its header is no header."""
        if stray := self._beside(cells):
            names = ", ".join(json.dumps(name, ensure_ascii=False) for name in self.columns)
            what = f"{reference(stray, row)} has a value, but no name above it in row {header}; the header is [{names}]"
            raise Unreadable(what, "correct the header; nothing of the file was taken")

    def _refusal(self, row: int, cells: Sequence[tuple[int, Cell]]) -> str | None:
        for column, cell in cells:
            if isinstance(cell, NoValue):
                formula = f"={cell.formula}" if cell.formula else "a formula"
                return f"{reference(column, row)}: {formula} has no stored value"
            if not cell.isprintable() and (found := _NO_TEXT.search(cell)):
                return f"{reference(column, row)}: the character {found[0]!a} is no text"
        stray = self._beside(cells)
        return f"{reference(stray, row)} has a value, but its column has no name" if stray else None

    def _beside(self, cells: Sequence[tuple[int, Cell]]) -> int:
        """Return the first column beside the header's in which something can be seen; 0 for none."""
        return next((column for column, cell in cells if not self._first <= column <= self._last and _is_seen(cell)), 0)


def _is_seen(cell: Cell) -> bool:
    return isinstance(cell, NoValue) or bool(cell.strip())


def reference(column: int, row: int) -> str:
    """Return a cell's reference as a spreadsheet shows it: B7."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"
