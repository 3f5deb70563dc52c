"""A file without one column of those that its tables read is another file, or its header is not where it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from src.bronze.readers.csv_dialect import DELIMITERS, dialect
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import lines_of, quoted
from src.contract import Feed
from src.errors import DataError, nearest

_LOOKED_AT = 100  # lines, for a header below title rows


def refuse_foreign(names: Sequence[str], feed: Feed, path: Path) -> None:
    """Refuse a file that has columns, but none that a table reads.

    Raises:
        DataError: naming what was found, and what is read.
    """
    if names and not _fit(names, feed):
        near = [f"{quoted(other)} for {name}" for name in feed.reads if (other := nearest(name, names))]
        hint = f" (is it {', '.join(near)}?)" if near else ""
        fix = f"correct the file, or the names in {contract_of(feed)}; nothing of the file was taken"
        raise DataError(f"{_none_of(feed)}; the file has {_listed(names)}{hint}", where=path, fix=fix)


def refuse_title_rows(first: Sequence[str], feed: Feed, path: Path) -> None:
    """Refuse a CSV file whose header is another line than the contract says, or is split at another mark.

    Raises:
        DataError: naming the header's line, and the one that looks like the header.
    """
    if _fit(first, feed):
        return
    marks = [feed.delimiter, *(mark for mark in DELIMITERS if mark != feed.delimiter)]
    for mark in marks:
        if found := _header_at(feed, path, mark):
            line, names = found
            if line == 1 and len(first) == 1:
                return  # which is told more simply
            split = "" if mark == feed.delimiter else f", split at {quoted(mark)},"
            lines = [f"delimiter: {quoted(mark)}"] if split else []
            lines += [f"header: {line}"] if line > 1 else []
            auto = ", or `header: auto`," if line > 1 else ""
            what = f"{_none_of(feed)} in the header, which is {_listed(first)}"
            fix = f"write {' and '.join(f'`{text}`' for text in lines)}{auto} in {contract_of(feed)}"
            what = f"{what}; line {line}{split} looks like the header: {_listed(names)}"
            raise DataError(what, where=path, fix=f"{fix}; nothing of the file was taken")


def _fit(names: Sequence[str], feed: Feed) -> bool:
    """Return whether a file can be the feed's, as far as that is known."""
    return not feed.reads or not feed.header or _known(names, feed) > 0


def _none_of(feed: Feed) -> str:
    return f"none of the columns that are read ({', '.join(feed.reads[:5])}{', ...' if len(feed.reads) > 5 else ''})"


def _known(names: Sequence[str], feed: Feed) -> int:
    return len({name.strip().lower() for name in names} & set(feed.reads))


def _header_at(feed: Feed, path: Path, mark: str) -> tuple[int, list[str]] | None:
    """Return the number and values of the line, among the first, that has most of the names, split at a mark."""
    best, line = None, 1
    with lines_of(feed, path) as lines:
        for values, raw in islice(replace(dialect(feed), delimiter=mark).records(lines, blank_lines=True), _LOOKED_AT):
            if isinstance(values, list) and (known := _known(values, feed)) > (best[0] if best else 0):
                best = known, line, [value.strip() for value in values]
            line += max(1, raw.count("\n") or raw.count("\r"))
    return best[1:] if best else None


def _listed(names: Sequence[str], most: int = 8) -> str:
    return f"[{', '.join(map(quoted, names[:most]))}{', ...' if len(names) > most else ''}]"
