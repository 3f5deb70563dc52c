"""The cells of .xlsx and .xlsm, read from their XML as it streams by: nothing is laid out, however far a cell stands.

No library tells all that is needed: a formula whose value was never stored, an error's word, a number's own digits.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from src.bronze.workbooks import cell_text
from src.bronze.workbooks.cells import Cell, NoValue, Row, Sheet, Unreadable

_MOST_UNPACKED = 4 << 30  # bytes of one part
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")  # how these files write characters that XML cannot hold
_WORKSHEET = "/worksheet"  # the end of a relationship's type; charts and dialogs have others


def sheets_of(book: zipfile.ZipFile) -> list[Sheet]:
    """The worksheets, in the order of their tabs."""
    parts = _Parts(book)
    workbook = next((part for part, kind in parts.related("").values() if kind.endswith("/officeDocument")), "")
    root = parts.tree(workbook)
    related = parts.related(workbook)
    settings = root.find("{*}workbookPr")
    from_1904 = settings is not None and settings.get("date1904", "0") in ("1", "true", "on")
    shared = {kind.rpartition("/")[2]: part for part, kind in related.values()}
    cells = _Cells(parts, shared.get("sharedStrings"), shared.get("styles"), from_1904)
    found = []
    for entry in root.iterfind("{*}sheets/{*}sheet"):
        link = next((value for name, value in entry.items() if name.endswith("}id")), "")
        part, kind = related.get(link, ("", ""))
        if kind.endswith(_WORKSHEET):
            visible = entry.get("state", "visible") == "visible"
            found.append(Sheet(entry.get("name", ""), visible, lambda part=part: cells.rows(part)))  # type: ignore[misc]
    return found


class _Parts:
    """The files inside the file."""

    def __init__(self, book: zipfile.ZipFile) -> None:
        self._book = book
        self._names = {name.lower().lstrip("/"): name for name in book.namelist()}

    def open(self, part: str) -> Any:
        name = self._names.get(part.lower())
        if name is None:
            raise Unreadable(f"damaged workbook: its part {part or 'workbook.xml'} is missing")
        if self._book.getinfo(name).file_size > _MOST_UNPACKED:
            raise Unreadable(f"too large: {part} has more than {_MOST_UNPACKED >> 30} GB unpacked")
        return self._book.open(name)

    def tree(self, part: str) -> Any:
        with self.open(part) as file:
            return ElementTree.parse(file).getroot()

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: by id, the other part and the relationship's type."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels.lower() not in self._names:
            return {}
        return {
            link.get("Id", ""): (
                posixpath.normpath(posixpath.join("/", folder, link.get("Target", ""))).lstrip("/"),
                link.get("Type", ""),
            )
            for link in self.tree(rels)
            if link.get("TargetMode") != "External"
        }


class _Cells:
    """Cells as text, by what the whole workbook says of them: its shared texts, its number formats, its calendar."""

    def __init__(self, parts: _Parts, strings: str | None, styles: str | None, from_1904: bool) -> None:
        self._parts = parts
        self._strings = list(_shared_strings(parts, strings)) if strings else []
        self._kinds = _kinds(parts.tree(styles)) if styles else []
        self._from_1904 = from_1904

    def rows(self, part: str) -> Iterator[Row]:
        """Every row that has a value, with its number; of a row, the cells that have one, from left to right."""
        last = 0
        with self._parts.open(part) as file:
            for _, element in ElementTree.iterparse(file):
                if element.tag.endswith("sheetData"):
                    break
                if element.tag.rpartition("}")[2] != "row":
                    continue
                place = int(element.get("r", last + 1))
                if place <= last:
                    raise Unreadable(f"damaged workbook: row {place} comes after row {last}")
                last = place
                if cells := list(self._row(element, place)):
                    yield place, cells
                element.clear()
            while file.read(1 << 20):
                pass  # to its end, where the checksum is

    def _row(self, row: Any, place: int) -> Iterator[tuple[int, Cell]]:
        last = 0
        for cell in row:
            reference = cell.get("r")
            column = column_number(reference) if reference else last + 1
            if column <= last:
                raise Unreadable(f"damaged workbook: cell {reference} comes after column {last}")
            last = column
            try:
                value = self._value(cell)
            except (ValueError, IndexError) as error:
                raise Unreadable(f"damaged workbook: cell {reference or place} holds {error}") from error
            if value is not None:
                yield column, value

    def _value(self, cell: Any) -> Cell | None:
        """The cell's text; None for one that holds nothing."""
        value: str | None = None
        formula = None
        for child in cell:
            name = child.tag.rpartition("}")[2]
            if name == "v":
                value = child.text
            elif name == "f":
                formula = child
            elif name == "is":
                value = _plain(child)
        kind = cell.get("t", "n")
        if not value:
            if formula is None:
                return None
            stored = kind == "str" and any(child.tag.endswith("v") for child in cell)
            return "" if stored else NoValue(formula.text or "")
        if kind == "n":
            return self._number(value.strip(), cell.get("s"))
        if kind == "s":
            return self._strings[int(value)]
        if kind == "b":
            return {"1": "true", "0": "false"}.get(value.strip(), value)
        if kind == "d":
            return value.strip().replace("T", " ", 1)
        return _unescaped(value) if kind in ("str", "inlineStr") else value

    def _number(self, text: str, style: str | None) -> str:
        kind = self._kinds[int(style)] if style and self._kinds else cell_text.NUMBER
        if kind == cell_text.NUMBER:
            return cell_text.number(text)
        return cell_text.moment(text, kind, from_1904=self._from_1904)


def column_number(reference: str) -> int:
    """The column of a cell's reference, from 1: B7 is in 2."""
    column = 0
    for letter in reference.rstrip("0123456789").upper():
        column = column * 26 + ord(letter) - 64
    if not 1 <= column <= 16_384:
        raise Unreadable(f"damaged workbook: no cell is called {reference[:20]!r}")
    return column


def _shared_strings(parts: _Parts, part: str) -> Iterator[str]:
    with parts.open(part) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag.rpartition("}")[2] == "si":
                yield _plain(element)
                element.clear()


def _plain(element: Any) -> str:
    """A text without its looks: its runs one after the other, without the reading aids beside them."""
    texts = []
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name == "t":
            texts.append(child.text or "")
        elif name == "r":
            texts += [part.text or "" for part in child if part.tag.rpartition("}")[2] == "t"]
    return _unescaped("".join(texts))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _kinds(styles: Any) -> list[str]:
    """What the number format of each cell style shows, by the style's number."""
    codes = {
        int(entry.get("numFmtId", "0")): cell_text.kind_of(entry.get("formatCode", ""))
        for entry in styles.iterfind("{*}numFmts/{*}numFmt")
    }
    numbers = (int(style.get("numFmtId", "0")) for style in styles.iterfind("{*}cellXfs/{*}xf"))
    return [codes[number] if number in codes else cell_text.kind_of_built_in(number) for number in numbers]
