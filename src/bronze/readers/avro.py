"""Avro, block by block: every value is the text that the engine would write for it; bytes are hex, nested values JSON.

No digit is lost: a float is the shortest text of its own size, a decimal has all digits of its scale. A time that
Python's types cannot hold is the refusal of its file; one of a kind that the library does not know is its number.
"""

from __future__ import annotations

import json
import lzma
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from src.bronze.readers.records import Record, Records, checked
from src.bronze.readers.refusals import unreadable
from src.contract import Feed
from src.errors import DataError

_BY_DAMAGE = (  # what the library raises over bytes that are wrong
    *(ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError, AssertionError, MemoryError),
    *(RecursionError, struct.error, zlib.error, lzma.LZMAError),
)


def avro_records(feed: Feed, path: Path) -> Records:
    """Return the columns of an Avro file's schema, and its records.

    Raises:
        DataError: it is no Avro file of records, or damaged anywhere; nothing of it is taken.
    """
    with open(path, "rb") as file:
        fields = _fields(path, file)
    columns = checked([field["name"] for field in fields], path)
    for _ in _records(path):  # proves the file whole before its first row is given away
        pass
    return Records(columns, lambda: _records(path))


def _fields(path: Path, file: Any) -> list[dict[str, Any]]:
    schema = _reader(path, file).writer_schema
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise DataError("its schema is no record", where=path, fix="land a file of records; nothing of it was taken")
    fields: list[dict[str, Any]] = schema["fields"]
    return fields


def _reader(path: Path, file: Any) -> Any:
    import fastavro

    return _refusing(path, lambda: fastavro.reader(file))


def _records(path: Path) -> Iterator[Record]:
    with open(path, "rb") as file:
        names = [field["name"] for field in _fields(path, file)]
        file.seek(0)
        floats = {field["name"] for field in _fields(path, file) if _is_float(field["type"])}
        file.seek(0)
        reader = _reader(path, file)
        while (record := _refusing(path, lambda: next(reader, None))) is not None:
            yield [_shortest(record[name]) if name in floats else _text(record[name]) for name in names], ""


def _is_float(kind: Any) -> bool:
    """Return whether a field is a number of single precision, or none."""
    return kind == "float" or (isinstance(kind, list) and {str(one) for one in kind} == {"float", "null"})


def _shortest(value: float | None) -> str | None:
    """Return the shortest text of a number of single precision, which Python knows as a double only."""
    if value is None or not math.isfinite(value):
        return _text(value)
    bits = struct.pack("f", value)
    texts = (repr(float(f"{value:.{digits}g}")) for digits in range(1, 10))
    return next(text for text in texts if struct.pack("f", float(text)) == bits)


def _refusing(path: Path, read: Callable[[], Any]) -> Any:
    """Return what the library reads; whatever it does over a damaged file is the refusal of that file."""
    try:
        return read()
    except OSError as error:
        if error.errno is not None:
            raise
        raise unreadable(path, "not an Avro file that can be read", error) from error
    except _BY_DAMAGE as error:
        raise unreadable(path, "not an Avro file that can be read", error or type(error).__name__) from error


def _text(value: Any) -> str | None:
    """Return a value as text; None where there is none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list | tuple):
        return json.dumps(_nested(value), ensure_ascii=False, separators=(",", ":"))
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(" ").replace("+00:00", "+00")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _nested(value: Any) -> Any:
    """Return a value as JSON has it: numbers and truth as such, whatever else as its text."""
    if isinstance(value, dict):
        return {str(name): _nested(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_nested(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | bool | int | float) else _plain(value)
