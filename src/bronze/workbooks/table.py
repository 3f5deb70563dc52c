"""A sheet as a table: the first row in which something can be seen is its header, every such row below it a record.

The columns reach from the header's first name to its last. What stands beside them has no name, so its row is a
reject; only what nobody can see, blanks, is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from src.bronze import headers
from src.bronze.workbooks.cells import Cell, NoValue, Row, Sheet, Unreadable

Values = list[str | None]
Record = tuple[Values | str, str]  # values in column order, or the reason why there are none; then the row's text

_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # what no value may hold: NUL, and half surrogates


@dataclass(frozen=True)
class Layout:
    """The place of a table in a sheet, and the names of its columns, as the contract says them."""

    header: bool | str | tuple[int, int] = True  # auto; the first and last row of the header; False: it has none
    columns: tuple[str, ...] = ()  # their names where there is no header: the first is column A
    skip_footer: int = 0  # last rows that are no records
    unnamed: str = ""  # as `headers.named` takes them
    numbered: bool = False


class SheetTable:
    """One sheet's columns and, once, its records."""

    def __init__(self, sheet: Sheet, layout: Layout) -> None:
        self.sheet = sheet.name
        self.notes: list[str] = []
        self._above: list[Row] = []
        self._below: list[Row] = []
        self._layout = layout
        self._all_rows = sheet.rows
        rows = sheet.rows()
        header, row, following = self._header(rows)
        body = headers.without_last(chain(following, rows), layout.skip_footer, _is_blank, self._below)
        given = enumerate(headers.joined([_dense(cells) for _, cells in header]), 1)
        names = {column: name for column, name in given if name} or dict(enumerate(layout.columns, 1))
        first = self._next(body)
        reach = list(names)
        if layout.unnamed and names and first:
            reach += [column for column, cell in first[1] if _is_seen(cell)]
        self._first, self._last = min(reach, default=1), max(reach, default=0)
        found = [names.get(column, "") for column in range(self._first, self._last + 1)]
        self.columns = headers.named(found, layout.unnamed, layout.numbered)
        if first:
            self._refuse_nameless(row, *first)
        self._rows = chain([first] if first else [], body)

    def _header(self, rows: Iterator[Row]) -> tuple[list[Row], int, list[Row]]:
        """Take the header off a sheet's rows; return its rows, the number of the last, and a row that is below it."""
        lines = self._layout.header
        if lines is False:
            return [], 0, []
        if lines == "auto" and (number := self._found()):
            self.notes.append(f"the header is row {number}")
            lines = (number, number)
        first, last = lines if isinstance(lines, tuple) else (0, 0)
        header: list[Row] = []
        following: list[Row] = []
        for row in rows:
            if row[0] < first:
                self._above.append(row)
            elif last and row[0] > last:
                following.append(row)
                break
            elif not _is_blank(row):
                self._refuse_unstored(row)
                header.append(row)
                last = last or row[0]
                if row[0] == last:
                    break
        if first and not header and (others := [*self._above, *following]):
            found = ", ".join(str(number) for number, _ in others[-5:])
            what = f"row {first} is empty, and the contract says that it is the header; there are rows {found}"
            raise Unreadable(what, "write the header's row in the contract, or `header: auto`")
        return header, last, following

    def _found(self) -> int:
        """Return the row that `header: auto` takes; 0 in an empty sheet."""
        rows = [(number, _dense(cells)) for number, cells in islice(self._all_rows(), headers.LOOKED_AT)]
        if not any(map(any, (cells for _, cells in rows))):
            return 0
        try:
            return headers.find_header(rows, "row")
        except headers.NoHeader as error:
            what = f"the header is not found: {error}"
            fix = "write its row in the contract, such as `header: 4`; nothing of the file was taken"
            raise Unreadable(what, fix) from error

    def _refuse_unstored(self, header: Row) -> None:
        for column, cell in header[1]:
            if isinstance(cell, NoValue):
                fix = "open the workbook in a spreadsheet program, save it and land it again"
                raise Unreadable(f"the header {reference(column, header[0])} is a formula without a stored value", fix)

    def left_out(self) -> dict[str, str]:
        """Return which rows are no records, with their text; those at the end once all records were given."""
        found = {"above the header": self._above, "at the end": self._below}
        texts = {where: [_text(row) for row in rows if not _is_blank(row)] for where, rows in found.items()}
        return {f"{len(rows)} rows {where} left out": headers.shortened(rows) for where, rows in texts.items() if rows}

    def _next(self, body: Iterator[Row]) -> Row | None:
        try:
            return next(body, None)
        except headers.TooShort as error:
            raise self._too_short(error) from error

    def _too_short(self, error: headers.TooShort) -> Unreadable:
        what = f"{error} rows below the header, skipFooter is {self._layout.skip_footer}"
        return Unreadable(what, "correct the file, or skipFooter in the contract; nothing of the file was taken")

    def records(self) -> Iterator[Record]:
        """Yield the sheet's records: the values of a row, or why it has none and the row as text."""
        for row, cells in self._rows:
            if reason := self._refusal(row, cells):
                yield reason, _text((row, cells))
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
            raise Unreadable(what, f"{self._another_header(header)}correct the header; nothing of the file was taken")

    def _another_header(self, header: int) -> str:
        """Return what to write where another row looks like the header, or the column may go without a name."""
        try:
            if (found := self._found()) != header:
                return f"write `header: {found}` in the contract, or "
        except Unreadable:
            pass
        return "write `names: {unnamed: index}` in the contract, or "

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


def _is_blank(row: Row) -> bool:
    return not any(_is_seen(cell) for _, cell in row[1])


def _dense(cells: Sequence[tuple[int, Cell]]) -> list[str]:
    """Return the cells of a row as texts from column A to the last that has one."""
    texts = dict(cells)
    last = max((column for column, cell in cells if _is_seen(cell)), default=0)
    return [_cell_text(texts.get(column, "")).strip() for column in range(1, last + 1)]


def _cell_text(cell: Cell) -> str:
    return f"={cell.formula}" if isinstance(cell, NoValue) else cell


def _text(row: Row) -> str:
    return "\t".join(_cell_text(cell) for _, cell in row[1])


def _is_seen(cell: Cell) -> bool:
    return isinstance(cell, NoValue) or bool(cell.strip())


def reference(column: int, row: int) -> str:
    """Return a cell's reference as a spreadsheet shows it: B7."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"
