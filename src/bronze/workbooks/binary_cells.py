"""The cells of .xls, .xlsb and .ods, by calamine, and by fastexcel, made of the same, what else there is to know.

calamine lays a sheet out whole. It does not tell a cell's number format: a day count is a date if it is whole, a time
of day below 1, and its times are to the millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from src.bronze.workbooks import cell_text
from src.bronze.workbooks.cells import Cell, Row, Sheet, Unreadable

_ERRORS = {
    "Null": "#NULL!",
    "Div0": "#DIV/0!",
    "Value": "#VALUE!",
    "Ref": "#REF!",
    "Name": "#NAME?",
    "Num": "#NUM!",
    "NA": "#N/A",
    "GettingData": "#GETTING_DATA",
}
_ISO_DURATION = re.compile(r"(-?)P(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d{1,6})\d*)?S)?")


def sheets_of(path: Path) -> list[Sheet]:
    """Return the worksheets of a workbook that is not .xlsx (.xlsb, .xls, .ods).

    Raises:
        Unreadable: it is damaged, or needs a password.
    """
    import python_calamine as calamine

    try:
        book = calamine.load_workbook(path)
    except calamine.PasswordError as error:
        raise password_protected() from error
    except calamine.CalamineError as error:
        raise Unreadable(f"damaged workbook: {error}") from error
    return [
        Sheet(
            entry.name,
            entry.visible == calamine.SheetVisibleEnum.Visible,
            lambda name=entry.name: _rows(book, path, name),  # type: ignore[misc]
        )
        for entry in book.sheets_metadata
        if entry.typ == calamine.SheetTypeEnum.WorkSheet
    ]


def password_protected() -> Unreadable:
    """Return the refusal of a workbook that needs a password."""
    return Unreadable("password-protected workbook", "save it without a password and land it again")


def _rows(book: Any, path: Path, name: str) -> Iterator[Row]:
    sheet = book.get_sheet_by_name(name)
    if sheet.start is None:
        return
    top, left = sheet.start
    special = _special_cells(path, name)
    for down, values in enumerate(sheet.to_python()):
        cells = [
            (left + across + 1, text)
            for across, value in enumerate(values)
            if (text := special.get((down, across)) or _text(value))
        ]
        if cells:
            yield top + down + 1, cells


def _special_cells(path: Path, name: str) -> dict[tuple[int, int], str]:
    """Return the texts of errors and of .ods' durations, by row and column from the first that is used."""
    import fastexcel

    sheet = fastexcel.read_excel(path).load_sheet(name, header_row=None, dtypes="string")
    found = {}
    for cell in getattr(sheet.to_arrow_with_errors()[1], "errors", ()):  # what it has no text for
        if word := re.search(r"'Error\((\w+)\)'", cell.detail):
            found[cell.position] = _ERRORS.get(word[1], "#" + word[1])
        elif length := re.search(r"'DurationIso\(\"(.*)\"\)'", cell.detail):
            found[cell.position] = _duration(length[1])
        else:
            raise Unreadable(f"damaged workbook: {cell.detail}")
    return found


def _duration(text: str) -> str:
    """Return an ISO duration (PT255H10M10S) as a duration is written elsewhere."""
    found = _ISO_DURATION.fullmatch(text)
    if found is None:
        return text
    sign, *parts, fraction = found.groups()
    days, hours, minutes, seconds = (int(part or 0) for part in parts)
    micros = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000 + int((fraction or "").ljust(6, "0"))
    return cell_text.duration(-micros if sign else micros)


def _text(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return cell_text.shortest(value)
    if isinstance(value, datetime):
        day, clock = value.date(), value.time()
        return f"{day.isoformat()} {cell_text.time_of_day(clock, seconds=True)}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return cell_text.time_of_day(value, seconds=False)
    if isinstance(value, timedelta):
        return cell_text.duration(value // timedelta(microseconds=1))
    return str(value)
