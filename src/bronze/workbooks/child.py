"""The process that reads workbooks, one after the other, with bounded memory and time; one JSON text a line.

It is asked `{"path": ..., "sheet": ..., "layout": ...}` (no sheet: the first visible one; "*": all visible ones) and
answers with the records, many a line, then one object: the `columns`, `notes` and what was `left_out`, or what the file
is `refused` for and the `fix`.
What it answered before a refusal is to be forgotten. Asked with `"list": true` it answers with the columns of all
visible `sheets`, by name, and no records.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from src.bronze.workbooks import binary_cells, xml_cells
from src.bronze.workbooks.cells import Sheet, Unreadable
from src.bronze.workbooks.table import Layout, Record, SheetTable

MEMORY = 2 << 30  # bytes of address space, of which the libraries for .xls, .xlsb and .ods take half
SECONDS = 300  # of processor time for one workbook
NO_MEMORY = 3  # exit code
ALL_SHEETS = "*"
SHEET_COLUMN = "_sheet"  # of all sheets: which one a row is from
_RECORDS_PER_LINE = 500
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how .xls begins, and whatever is encrypted
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def serve(asked: TextIO, answers: TextIO, memory: int) -> None:
    """Answer questions until the input ends.

    A question is a line of JSON, a path and a sheet; `memory` bounds this process in bytes.
    """
    _limit("RLIMIT_AS", memory)
    for line in asked:
        _limit("RLIMIT_CPU", int(sum(os.times()[:2])) + SECONDS)
        question = json.loads(line)
        try:
            path, layout = Path(os.fsdecode(bytes.fromhex(question["path"]))), question["layout"]
            header = layout["header"]
            layout = Layout(**{**layout, "header": tuple(header) if isinstance(header, list) else header})
            for answer in _answers(path, question["sheet"], layout, only_list=question["list"]):
                answers.write(json.dumps(answer) + "\n")
        except MemoryError:
            os._exit(NO_MEMORY)  # it may be others that were read before: whoever asked knows whether to try again
        answers.flush()


def _limit(name: str, most: int) -> None:
    """Lower a limit of this process, where the system knows it."""
    try:
        import resource

        kind = getattr(resource, name)
        highest = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if highest == resource.RLIM_INFINITY else min(most, highest), highest))
    except (ImportError, AttributeError, OSError, ValueError):
        pass


def _answers(path: Path, wanted: str | None, layout: Layout, *, only_list: bool) -> Iterator[Any]:
    try:
        sheets = _sheets(path)
        if only_list:
            yield {"sheets": {sheet.name: _columns(sheet, layout) for sheet in sheets if sheet.visible}}
            return
        taken = _taken(sheets, wanted)
        tables = [SheetTable(sheet, layout) for sheet in taken]
        columns, records = _united(tables) if wanted == ALL_SHEETS else (tables[0].columns, tables[0].records())
        yield from _in_groups(records)
        notes = _notes(sheets, taken) if wanted in (None, ALL_SHEETS) else []
        notes += [_of_sheet(table, note) for table in tables for note in table.notes]
        left_out = {_of_sheet(table, what): text for table in tables for what, text in table.left_out().items()}
        yield {"columns": columns, "notes": notes, "left_out": left_out}
    except Unreadable as error:
        yield {"refused": error.what, "fix": error.fix}
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever a damaged file does to a library, its panics included
        found = Unreadable(f"damaged workbook: {error or type(error).__name__}")
        yield {"refused": found.what, "fix": found.fix}


def _sheets(path: Path) -> list[Sheet]:
    """Return the worksheets of a file, which is what its first bytes say, whatever its name."""
    with open(path, "rb") as file:
        start = file.read(8)
        if start == _OLE and _ENCRYPTED in file.read():
            raise binary_cells.password_protected()
    if start[:4] == b"PK\x03\x04":
        book = zipfile.ZipFile(path)
        if not {"xl/workbook.bin", "mimetype"} & {name.lower() for name in book.namelist()}:
            return xml_cells.sheets_of(book)
    elif start != _OLE:
        found = f"it begins with {start.decode('latin-1')!a}" if start else "an empty file"
        raise Unreadable(f"not a workbook: {found}", "save it as an Excel workbook (.xlsx) and land it again")
    return binary_cells.sheets_of(path)


def _columns(sheet: Sheet, layout: Layout) -> list[str]:
    """Return the columns of a sheet; none where its header is not where the layout says."""
    try:
        return SheetTable(sheet, layout).columns
    except Unreadable:
        return []


def _taken(sheets: Sequence[Sheet], wanted: str | None) -> list[Sheet]:
    visible = [sheet for sheet in sheets if sheet.visible]
    if wanted == ALL_SHEETS:
        taken = visible
    elif wanted is None:
        taken = visible[:1]
    else:
        taken = [sheet for sheet in sheets if sheet.name == wanted]
    if not taken:
        what = "no visible sheet" if wanted in (None, ALL_SHEETS) else f'no sheet "{wanted}"'
        found = ", ".join(map(_shown, sheets)) or "none"
        raise Unreadable(
            f"{what}; the file has {found}", "name one of them in the contract's `sheet`, or correct the file"
        )
    return taken


def _notes(sheets: Sequence[Sheet], taken: Sequence[Sheet]) -> list[str]:
    left = [_shown(sheet) for sheet in sheets if sheet not in taken]
    return [f"sheets not read ({', '.join(left)})"] if left else []


def _of_sheet(table: SheetTable, note: str) -> str:
    return f"sheet {json.dumps(table.sheet, ensure_ascii=False)}: {note}"


def _shown(sheet: Sheet) -> str:
    return json.dumps(sheet.name, ensure_ascii=False) + ("" if sheet.visible else " (hidden)")


def _united(tables: Sequence[SheetTable]) -> tuple[list[str], Iterator[Record]]:
    """Return the columns of all sheets in order of first appearance, and their records: NULL for a missing column."""
    columns: dict[str, str] = {}
    for table in tables:
        low = [name.lower() for name in table.columns]
        if doubled := [name for name in low if low.count(name) > 1]:
            raise Unreadable(f'column {doubled[0]} twice in sheet "{table.sheet}"', "correct the header")
        for name in table.columns:
            columns.setdefault(name.lower(), name)

    def records() -> Iterator[Record]:
        for table in tables:
            own = {name.lower(): position for position, name in enumerate(table.columns)}
            positions = [own.get(low) for low in columns]
            for values, raw in table.records():
                if isinstance(values, str):
                    yield f"sheet {table.sheet}, {values}", raw
                else:
                    yield (
                        [*(None if position is None else values[position] for position in positions), table.sheet],
                        raw,
                    )

    return [*columns.values(), SHEET_COLUMN] if columns else [], records()


def _in_groups(records: Iterator[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in records:
        group.append(record)
        if len(group) == _RECORDS_PER_LINE:
            yield group
            group = []
    if group:
        yield group
