"""A file without one column of those that its tables read is another file, or its header is not where it should be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from src.bronze.readers.csv_dialect import dialect
from src.bronze.readers.refusals import contract_of
from src.bronze.readers.text import lines_of, quoted
from src.contract import Feed
from src.errors import DataError

_LINES_LOOKED_AT = 100  # for a header below title rows


def refuse_foreign(names: Sequence[str], feed: Feed, path: Path) -> None:
    """Refuse a file that has columns, but none that a table reads.

    Raises:
        DataError: naming what was found, and what is read.
    """
    if names and not _fit(names, feed):
        fix = f"correct the file, or the names in {contract_of(feed)}; nothing of the file was taken"
        raise DataError(f"{_none_of(feed)}; the file has {_listed(names)}", where=path, fix=fix)


def refuse_title_rows(first: Sequence[str], feed: Feed, path: Path) -> None:
    """Refuse a CSV file whose header stands below its first line.

    Raises:
        DataError: naming the first line, and the one that looks like the header.
    """
    if not _fit(first, feed) and (found := _header_below(feed, path)):
        line, names = found
        what = f"{_none_of(feed)} in the header, which is {_listed(first)}"
        fix = f"write `header: {line}` in {contract_of(feed)}; nothing of the file was taken"
        raise DataError(f"{what}; line {line} looks like the header: {_listed(names)}", where=path, fix=fix)


def _fit(names: Sequence[str], feed: Feed) -> bool:
    """Return whether a file can be the feed's, as far as that is known."""
    return not feed.reads or not feed.header or _known(names, feed) > 0


def _none_of(feed: Feed) -> str:
    return f"none of the columns that are read ({', '.join(feed.reads[:5])}{', ...' if len(feed.reads) > 5 else ''})"


def _known(names: Sequence[str], feed: Feed) -> int:
    return len({name.strip().lower() for name in names} & set(feed.reads))


def _header_below(feed: Feed, path: Path) -> tuple[int, list[str]] | None:
    """Return the number and values of the line, among the first, that has most of the names."""
    best, line = None, 1
    with lines_of(feed, path) as lines:
        for values, raw in islice(dialect(feed).records(lines, blank_lines=True), _LINES_LOOKED_AT):
            if isinstance(values, list) and (known := _known(values, feed)) > (best[0] if best else 0):
                best = known, line, [value.strip() for value in values]
            line += max(1, raw.count("\n") or raw.count("\r"))
    return best[1:] if best else None


def _listed(names: Sequence[str], most: int = 8) -> str:
    return f"[{', '.join(map(quoted, names[:most]))}{', ...' if len(names) > most else ''}]"
