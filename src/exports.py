"""The rows of a SELECT become one file, in bounded memory: it is there whole, or not at all.

They are written beside the file under another name, which they give up last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from src import console, store
from src.engine import DuckEngine, identifier, literal
from src.errors import DataError, UsageError, from_os_error

_SHEET_ROWS = 1_048_576  # of a sheet of .xlsx, the header's among them
_SHEET_TEXT = 32_767  # characters of a cell
_SHEET_DIGITS = 15  # of a number: a cell is a double
_COPIED = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd",
    ".csv": "FORMAT csv, HEADER",  # no value is nothing, an empty text is ""
}


@dataclass(frozen=True)
class Exported:
    """A file that was written: how many rows are in it, and its size in bytes."""

    path: Path
    rows: int
    bytes: int


def target_of(text: str, data: Path, layers: tuple[str, ...], *, force: bool) -> Path:
    """Return the path of a file to write.

    Raises:
        UsageError: its extension is of no known format, it is there already, it lies in a table's place or a bucket.
    """
    if store.is_remote(text):
        raise UsageError("a file is written to this machine alone", where=text, fix="name one here, then copy it")
    path = Path(text).expanduser().absolute()
    known = (*_COPIED, *_WRITTEN)
    if path.suffix.lower() not in known:
        raise UsageError(f"no format of {path.name}", where=path, fix=f"let its name end in {', '.join(known)}")
    if not store.is_remote(data) and any(path.resolve().is_relative_to((data / layer).resolve()) for layer in layers):
        raise UsageError("a place of the lake's own tables", where=path, fix="name a file elsewhere")
    if not path.parent.is_dir():
        raise UsageError("no such folder", where=path.parent, fix="make it, or name another")
    if path.is_dir():
        raise UsageError("a folder, not a file", where=path, fix="name a file in it")
    if path.exists() and not force:
        raise UsageError("a file of that name is there", where=path, fix="name another, or write over it with --force")
    return path


def part_of(path: Path) -> Path:
    """Return where a file is written until it is whole."""
    return path.with_name(f".{path.name}.part")


def write(engine: DuckEngine, sql: str, path: Path) -> Exported:
    """Write a SELECT's rows as the file's extension says.

    Raises:
        DataError: they do not fit the format.
        MachineError: the file cannot be written.
    """
    part, form = part_of(path), path.suffix.lower()
    try:
        if form in _COPIED:
            source = _nested_as_json(engine, sql) if form == ".csv" else engine.inline(sql)
            rows = int(engine.one(f"COPY ({source}) TO {literal(str(part))} ({_COPIED[form]})")[0])
        else:
            rows = _WRITTEN[form](engine, sql, part)
        os.replace(part, path)
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)
    return Exported(path, rows, path.stat().st_size)


def _nested_as_json(engine: DuckEngine, sql: str) -> str:
    """Return the SELECT with its lists and objects as JSON text."""
    kinds = engine.columns(sql)
    nested = [name for name, kind in kinds.items() if kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))]
    made = ", ".join(f"to_json({identifier(name)}) AS {identifier(name)}" for name in nested)
    return f"SELECT *{f' REPLACE ({made})' if nested else ''} FROM ({engine.inline(sql)})"


def _rows(engine: DuckEngine, sql: str) -> Iterator[tuple[Any, ...]]:
    for batch in engine.arrow(engine.inline(sql), 10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_json(engine: DuckEngine, sql: str, path: Path) -> int:
    """Write one list of objects, one a line; numbers are as those of `--json`."""
    names, count = list(engine.columns(sql)), 0
    with open(path, "w", encoding="utf-8") as out:
        for row in _rows(engine, sql):
            value = console.jsonable(dict(zip(names, row, strict=True)))
            out.write(("[\n" if not count else ",\n") + json.dumps(value, ensure_ascii=False, allow_nan=False))
            count += 1
        out.write("\n]\n" if count else "[]\n")
    return count


def _write_xlsx(engine: DuckEngine, sql: str, path: Path) -> int:
    """Write one sheet under a bold header, row by row; what a cell of Excel cannot hold exactly is text."""
    import xlsxwriter

    names, count = list(engine.columns(sql)), 0
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet, bold = book.add_worksheet(), book.add_format({"bold": True})
        days = book.add_format({"num_format": "yyyy-mm-dd"})
        moments = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.write_row(0, 0, names, bold)
        sheet.freeze_panes(1, 0)
        for row in _rows(engine, sql):
            count += 1
            if count >= _SHEET_ROWS:
                fix = "write .csv or .parquet, or fewer rows (LIMIT)"
                raise DataError(f"more than {_SHEET_ROWS - 1:,} rows, which a sheet cannot hold", where=path, fix=fix)
            for at, value in enumerate(row):
                cell = _cell(value)
                if isinstance(cell, datetime):
                    sheet.write_datetime(count, at, cell, moments)
                elif isinstance(cell, date):
                    sheet.write_datetime(count, at, cell, days)
                elif isinstance(cell, str):
                    sheet.write_string(count, at, cell)
                elif cell is not None:
                    sheet.write(count, at, cell)
    return count


def _cell(value: Any) -> Any:
    """Return a value as a cell can hold it: a moment in UTC without its zone, a number of few digits, or text."""
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None)
        return value if value.year >= 1900 else value.isoformat(" ")
    if isinstance(value, date):
        return value if value.year >= 1900 else value.isoformat()
    if isinstance(value, str) and len(value) > _SHEET_TEXT:
        fix = "write .csv or .parquet, or a part of the text: left(...)"
        raise DataError(f"a text of {len(value):,} characters; a cell holds {_SHEET_TEXT:,}", fix=fix)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | Decimal | float):
        digits = len(Decimal(str(value)).as_tuple().digits) if not isinstance(value, float) else 0
        finite = not isinstance(value, float) or abs(value) < float("inf")  # NaN is less than nothing
        return value if digits <= _SHEET_DIGITS and finite else str(value)
    return json.dumps(console.jsonable(value), ensure_ascii=False)


_WRITTEN: dict[str, Callable[[DuckEngine, str, Path], int]] = {".json": _write_json, ".xlsx": _write_xlsx}
