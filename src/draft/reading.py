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
    return Reading(replace(feed, format=kind), source.table, len(files), (), misfits)


def _kind_of_json(feed: Feed, path: Path) -> str:
    """Return json for one array, ndjson for an object a line."""
    with lines_of(feed, path) as lines:
        first = next((line for line in islice(lines, 1_000) if line.strip()), "")
    if first.lstrip().startswith("["):
        return "json"
    try:
        return "ndjson" if isinstance(json.loads(first), dict) else feed.format
    except ValueError:
        return feed.format


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
