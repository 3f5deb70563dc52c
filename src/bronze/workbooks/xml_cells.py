"""The cells of .xlsx and .xlsm, read from their XML as it streams by: nothing is laid out, however far a cell stands.

No library tells all that is needed: a formula whose value was never stored, an error's word, a number's own digits.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from xml.etree import ElementTree

from src.bronze.workbooks import cell_text
from src.bronze.workbooks.cells import Cell, NoValue, Row, Sheet, Unreadable

_MOST_UNPACKED = 4 << 30  # bytes of one part
_BLOCK = 1 << 20  # bytes read at once
_LONGEST_ROW = 64 << 20
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")  # how these files write characters that XML cannot hold
_WORKSHEET = "/worksheet"  # the end of a relationship's type; charts and dialogs have others


def sheets_of(book: zipfile.ZipFile) -> list[Sheet]:
    """Return the worksheets, in the order of their tabs."""
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
        """Return the parts that a part refers to: by id, the part's name and the relationship's type."""
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
        """Yield every row that has a value, with its number; of a row, the cells that have one, from left to right."""
        last = 0
        with self._parts.open(part) as file:
            for row, cells in _plain_rows(file):
                if row <= last:
                    break  # as after all else that is not plain
                last = row
                if found := list(self._row(cells, row)):
                    yield row, found
            else:
                return
        with self._parts.open(part) as file:
            yield from self._any_rows(file, last)

    def _any_rows(self, file: Any, given: int) -> Iterator[Row]:
        """Yield the rows of any XML, beyond those that were given."""
        last = 0
        for _, element in ElementTree.iterparse(file):
            if element.tag.endswith("sheetData"):
                break
            if element.tag.rpartition("}")[2] != "row":
                continue
            row = int(element.get("r", last + 1))
            if row <= last:
                raise Unreadable(f"damaged workbook: row {row} comes after row {last}")
            last = row
            if row > given and (cells := list(self._row(map(_parsed, element), row))):
                yield row, cells
            element.clear()
        _to_its_end(file)

    def _row(self, cells: Iterable[_Parsed], row: int) -> Iterator[tuple[int, Cell]]:
        last = 0
        for reference, style, kind, value, formula in cells:
            letters = reference.rstrip("0123456789") if reference else ""
            column = column_number(letters) if letters else last + 1
            if column <= last:
                raise Unreadable(f"damaged workbook: cell {letters}{row} comes after column {last}")
            last = column
            try:
                if value:
                    yield column, self._text(kind, style, value)
                elif formula is not None:  # one that gives the empty text says that this is a text
                    yield column, "" if value == "" and kind == "str" else NoValue(formula)
            except (ValueError, IndexError) as error:
                raise Unreadable(f"damaged workbook: cell {letters}{row} holds {error}") from error

    def _text(self, kind: str, style: str | None, value: str) -> str:
        if kind == "n":
            return self._number(value.strip(), style)
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


# One cell: its reference, style, type, value (None: it has none; of a formula, "" is one) and formula.
_Parsed = tuple[str | None, str | None, str, str | None, str | None]


def _parsed(cell: Any) -> _Parsed:
    value: str | None = None
    formula: str | None = None
    for child in cell:
        name = child.tag.rpartition("}")[2]
        if name == "v":
            value = child.text or ""
        elif name == "f":
            formula = child.text or ""
        elif name == "is":
            value = _plain(child)
    return cell.get("r"), cell.get("s"), cell.get("t", "n"), value, formula


# How nearly all programs write rows. What is not so, to the letter, is left to the parser.
_CELL = r'<c r="([A-Z]{1,3})\d+"(?: s="(\d+)")?(?: t="([nsbe]|str)")?(?:/>|></c>|>'
_CELL += r"(?:<f(?: [^<>/]*)?(?:/>|>[^<]*</f>))?<v>([^<&]+)</v></c>)"
_CELLS = re.compile(_CELL)
_ROW = re.compile(r'<row r="(\d+)"[^<>/]*>(.*?)</row>', re.DOTALL)
_PLAIN = re.compile(r'(?:\s*+<row r="\d+"[^<>/]*+(?:/>|>(?:' + _CELL + r")*+</row>))*+")


def _plain_rows(file: Any) -> Iterator[tuple[int, Iterator[_Parsed]]]:
    """Yield the rows up to the first that is not plain, after which there is a last one of number 0."""
    head, found, text = file.read(_BLOCK).partition(b"<sheetData>")
    if not found or b"<!" in head or re.search(rb"encoding=(?!.utf-8.)", head, re.IGNORECASE):
        yield 0, iter(())
        return
    while True:
        begun, end, text = text.rpartition(b"</row>")
        rows = (begun + end).decode()
        if _PLAIN.fullmatch(rows) is None:
            yield 0, iter(())
            return
        for row in _ROW.finditer(rows):
            cells = _CELLS.findall(row[2])
            yield int(row[1]), ((name, style, kind or "n", value, None) for name, style, kind, value in cells)
        if text.lstrip().startswith(b"</sheetData>"):
            _to_its_end(file)
            return
        more = file.read(_BLOCK)
        if not more or len(text) > _LONGEST_ROW:
            yield 0, iter(())
            return
        text += more


def _to_its_end(file: Any) -> None:
    """Read on to where the checksum is."""
    while file.read(_BLOCK):
        pass


@cache
def column_number(letters: str) -> int:
    """Return the column of a cell, from 1: B is 2."""
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - 64
    if not 1 <= column <= 16_384:
        raise Unreadable(f"damaged workbook: no column is called {letters[:20]!r}")
    return column


def _shared_strings(parts: _Parts, part: str) -> Iterator[str]:
    with parts.open(part) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag.rpartition("}")[2] == "si":
                yield _plain(element)
                element.clear()


def _plain(element: Any) -> str:
    """Return a text without its looks: its runs one after the other, without the reading aids beside them."""
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
    """Return the kind of value that each cell style shows, by the style's number."""
    codes = {
        int(entry.get("numFmtId", "0")): cell_text.kind_of(entry.get("formatCode", ""))
        for entry in styles.iterfind("{*}numFmts/{*}numFmt")
    }
    numbers = (int(style.get("numFmtId", "0")) for style in styles.iterfind("{*}cellXfs/{*}xf"))
    return [codes[number] if number in codes else cell_text.kind_of_built_in(number) for number in numbers]
