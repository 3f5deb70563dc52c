"""How the files of a source are read: the options of its feed, found in the files themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from src.bronze.readers.text import lines_of
from src.bronze.readers.xlsx import sheets_of
from src.contract import Feed
from src.contract.model import Names
from src.draft import dialect
from src.draft.fitting import Misfit
from src.draft.landed import LandedTable
from src.draft.names import snake_case
from src.errors import DataError

# What APIs and exports call the list that holds their records.
_RECORDS = {
    *("data", "items", "results", "records", "rows", "features", "value", "values", "entries", "hits", "elements"),
    *("content", "objects", "list", "result", "resources"),
}
_ENVELOPE_BYTES = 64 << 20  # of a file that is looked into whole
_ENVELOPE_DEPTH = 4  # keys


@dataclass(frozen=True)
class Reading:
    """One table of a source: its feed, and what a person should know of the files."""

    feed: Feed
    table: str
    files: int
    notes: tuple[str, ...] = ()
    misfits: tuple[Misfit, ...] = ()


def readings(source: LandedTable, files: Mapping[Path, str]) -> Iterator[Reading]:
    """Yield how the files of a source are read: once, or for each sheet of workbooks whose sheets differ.

    `files` are those that can be opened, with their names.
    """
    feed = Feed(source.domain, source.table, source.path, source.format, source=source.brought_by)
    if source.format == "csv":
        yield _csv(source, feed, files)
    elif source.format == "xlsx":
        yield from _workbook(source, feed, files)
    elif source.format in ("json", "ndjson"):
        yield _json(source, feed, files)
    else:
        yield Reading(feed, source.table, len(files))


def _csv(source: LandedTable, feed: Feed, files: Mapping[Path, str]) -> Reading:
    best, others = dialect.agreed((path, dialect.written(feed, path)) for path in files)
    notes: list[str] = []
    if best.encoding in ("cp1252", "latin-1"):
        notes.append(f"encoding {best.encoding}, as the bytes are not utf-8: see whether its letters are right")
    if type(best.header) is int:
        notes.append(f"the header is in line {best.header}; what stands above it is left out")
    if best.footer:
        notes.append(f"totals at the end, lines left out: {best.footer}")
    if best.names != Names():
        notes.append("columns without a name, or with one that comes twice, are named by `names` of the server")
    if best.header is False:
        notes.append("no header: the columns are numbered; name them in `columns` of the server")
    feed = replace(
        feed,
        encoding="utf-8" if best.encoding == dialect.ASCII else best.encoding,
        delimiter=best.delimiter or feed.delimiter,
        quote=best.quote,
        escape=best.escape,
        header=best.header,
        columns=best.columns,
        names=best.names,
        skip_footer=best.footer,
    )
    misfits = tuple(Misfit(files[path], "", what) for path, what in others.items())
    return Reading(feed, source.table, len(files), tuple(notes), misfits)


def _json(source: LandedTable, feed: Feed, files: Mapping[Path, str]) -> Reading:
    encodings = {dialect.encoding_of(path) for path in files} - {dialect.ASCII}
    encoding = encodings.pop() if len(encodings) == 1 else feed.encoding
    feed = replace(feed, encoding=encoding)
    kinds = {path: _kind_of_json(feed, path) for path in files}
    kind = max(kinds.values(), key=list(kinds.values()).count)
    misfits = tuple(Misfit(files[path], "", f"{other}, not {kind}") for path, other in kinds.items() if other != kind)
    feed, notes = replace(feed, format=kind), list[str]()
    if kind == "json":
        steps, notes = _records([path for path, found in kinds.items() if found == kind], encoding)
        feed = replace(feed, record_path=steps)
    return Reading(feed, source.table, len(files), tuple(notes), misfits)


def _records(paths: Sequence[Path], encoding: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the keys that lead to the records of files that are an object each, with a note; () for the objects.

    A list of objects is the records if its name says so; else it may as well belong to the one record of the file.
    """
    lists = [_lists_of_objects(path, encoding) for path in paths]
    common = [steps for steps in lists[0] if all(steps in others for others in lists[1:])]
    if len(common) != 1:
        return (), []
    name = ".".join(common[0])
    if common[0][-1].lower() not in _RECORDS:
        return (), [f"{name} is a list of objects: if these are the records, write `recordPath: {name}` at the server"]
    return common[0], [f"the records are in {name} (`recordPath`); what stands beside them is left out"]


def _lists_of_objects(path: Path, encoding: str) -> list[tuple[str, ...]]:
    """Return the keys that lead to each list of objects in a file that is one object of a size to be read at once."""
    if path.stat().st_size > _ENVELOPE_BYTES:
        return []
    try:
        with lines_of(Feed("", "", "", "json", encoding=encoding), path) as lines:
            document = json.loads("".join(lines))
    except (ValueError, RecursionError):
        return []  # its reader says what is wrong
    found: list[tuple[str, ...]] = []
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    while waiting:
        steps, value = waiting.pop()
        if isinstance(value, dict) and len(steps) < _ENVELOPE_DEPTH:
            waiting += [((*steps, key), inner) for key, inner in value.items()]
        elif isinstance(value, list) and value and steps and all(isinstance(item, dict) for item in value):
            found.append(steps)
    return found


def _kind_of_json(feed: Feed, path: Path) -> str:
    """Return json for one array, ndjson for an object a line."""
    with lines_of(feed, path) as lines:
        filled = list(islice((line for line in islice(lines, 1_000) if line.strip()), 2))
    first = filled[0] if filled else ""
    if first.lstrip().startswith("["):
        return "json"
    try:
        is_object = isinstance(json.loads(first), dict)
    except ValueError:
        return "json" if first.lstrip().startswith("{") else feed.format
    # an object alone in its file may be an envelope, as its ending says
    return "ndjson" if is_object and (len(filled) > 1 or feed.format == "ndjson") else feed.format


def _workbook(source: LandedTable, feed: Feed, files: Mapping[Path, str]) -> Iterator[Reading]:
    """Yield a reading of all sheets together where they have the same columns, else of each by its name."""
    sheets = _sheets([*files], feed)
    if not sheets:
        raise DataError("no sheet with a header", where=source.files[0], fix="fill it, or save it as .csv")
    if len({tuple(map(str.lower, columns)) for columns, _ in sheets.values()}) > 1:
        note = f"{len(sheets)} sheets of different columns are a table each: {_listed([*sheets])}"
        for name, (_, titled) in sheets.items():
            table = f"{source.table}_{snake_case(name) or 'sheet'}"
            own = replace(feed, name=table, sheet=name, header="auto" if titled else True)
            yield Reading(own, table, len(files), (note, *_titles(titled)))
        return
    titled = any(titled for _, titled in sheets.values())
    feed = replace(feed, header="auto" if titled else True, sheet="*" if len(sheets) > 1 else None)
    notes = [f"{len(sheets)} sheets of the same columns are one table: {_listed([*sheets])}"] * (len(sheets) > 1)
    yield Reading(feed, source.table, len(files), (*notes, *_titles(titled)))


def _titles(titled: bool) -> list[str]:
    return ["title rows above the header are left out; it is found (`header: auto`)"] if titled else []


def _sheets(files: Sequence[Path], feed: Feed) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Return of each sheet with a header its columns, and whether there are title rows above."""
    sheets: dict[str, tuple[tuple[str, ...], bool]] = {}
    for path in files:
        found = sheets_of(replace(feed, header="auto"), path)
        for name, first in sheets_of(feed, path).items():
            columns = found[name] if len(found[name]) > len(first) else first
            if columns:
                sheets.setdefault(name, (columns, columns != first))
    return sheets


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
