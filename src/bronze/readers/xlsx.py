"""Excel: the first row that is not blank is the header; blank rows are no records, empty cells are ''.

calamine's text: 1 and not 1.0, 2024-01-31 00:00:00, true; a formula's value, and nothing for an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from src.bronze.readers.records import Record, Records, checked
from src.bronze.readers.refusals import contract_of, unreadable
from src.bronze.readers.text import quoted
from src.contract import Feed
from src.errors import DataError


def xlsx_records(feed: Feed, path: Path) -> Records:
    columns = checked([(name or "").strip() for name in next(_sheet(feed, path), ())], path)

    def records() -> Iterator[Record]:
        rows = _sheet(feed, path)
        next(rows, None)
        return (([cell or "" for cell in row], "") for row in rows)

    return columns, records


def _sheet(feed: Feed, path: Path) -> Iterator[tuple[str | None, ...]]:
    content = path.read_bytes()
    import fastexcel
    import polars as pl

    try:
        sheets = fastexcel.read_excel(content).sheet_names
        sheet = feed.sheet if feed.sheet is not None else sheets[0]
        if sheet not in sheets:
            fix = f"set the sheet in {contract_of(feed)}, or correct the file"
            raise DataError(f'no sheet "{sheet}"; the file has {", ".join(map(quoted, sheets))}', where=path, fix=fix)
        frame = pl.read_excel(
            content, sheet_name=sheet, engine="calamine", has_header=False, infer_schema_length=0, raise_if_empty=False
        )
    except fastexcel.FastExcelError as error:
        raise unreadable(path, "not an Excel file that can be read", error) from error
    return frame.iter_rows()
