"""NDJSON and JSON: every object is a record, and the columns are all keys of the file in order of first appearance.

Keys that differ only by case are one column under its first spelling (Delta knows no case).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from src.bronze.readers.json_objects import Object, keys_in, objects_in_array, objects_in_lines
from src.bronze.readers.records import Record, Records, checked
from src.bronze.readers.text import lines_of, no_text_reason
from src.contract import Feed
from src.errors import DataError


def json_records(feed: Feed, path: Path) -> Records:
    """Return the columns and the records of a JSON file.

    It is read here once, only for its keys, and again when the engine asks for the records.
    """

    def objects(lines: Iterator[str]) -> Iterator[tuple[Object, str]]:
        found = objects_in_lines(lines) if feed.format == "ndjson" else objects_in_array(lines, path, feed.record_path)
        for values, raw in found:
            yield no_text_reason(raw, feed) or values, raw

    def every() -> Iterator[tuple[Object, str]]:
        with lines_of(feed, path) as lines:
            yield from objects(lines)

    if feed.format == "json":
        return records_by_key(path, every)
    columns: dict[str, str] = {}
    with lines_of(feed, path) as lines:
        _add_columns(objects(line for line in lines if not keys_in(line) <= columns.keys()), columns)
    return _records(path, every, columns)


def records_by_key(path: Path, every: Callable[[], Iterator[tuple[Object, str]]]) -> Records:
    """Return objects as records: the columns are all their keys, in order of first appearance.

    `every`: reads all objects of the file from its beginning.
    """
    columns: dict[str, str] = {}
    _add_columns(every(), columns)
    return _records(path, every, columns)


def _records(path: Path, every: Callable[[], Iterator[tuple[Object, str]]], columns: dict[str, str]) -> Records:
    names = checked(tuple(dict.fromkeys(columns.values())), path)
    return Records(names, lambda: _by_column(every(), columns, names))


def _add_columns(objects: Iterator[tuple[Object, str]], columns: dict[str, str]) -> None:
    """Add every new key with its column to `columns`, in order of first appearance."""
    first: dict[str, str] = {}
    for values, _ in objects:
        if isinstance(values, dict) and not values.keys() <= columns.keys():
            for key in values:
                columns[key] = first.setdefault(key.lower(), key)


def _by_column(
    objects: Iterator[tuple[Object, str]], columns: dict[str, str], names: tuple[str, ...]
) -> Iterator[Record]:
    respelled = len(columns) > len(names)
    for values, raw in objects:
        if isinstance(values, str):
            yield values, raw
            continue
        if not values.keys() <= columns.keys():
            raise DataError("the file changed while it was read")
        if respelled:
            values = {columns[key]: text for key, text in values.items()}
        yield [values.get(name) for name in names], raw
