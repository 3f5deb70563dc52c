"""How a text file is written: its encoding, what parts and quotes its values, and the line of its header.

All of it is read from the file itself: the encoding from every byte, the rest from its first lines.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from src.bronze.readers.csv_dialect import DELIMITERS, Dialect
from src.bronze.readers.files import blocks
from src.bronze.readers.text import MARKS, lines_of
from src.contract import Feed
from src.contract.model import Names

_LINES = 1_000  # from which the delimiter is known
_HEADER_WITHIN = 50  # records above which it is looked for
_FOOTER_WITHIN = 6  # lines at the end
_TOTAL = re.compile(r"(grand |sub)?totals?|sum(me|men)?|gesamt(summe)?|total g[eé]n[eé]ral|somme|totale|totaal", re.I)
_UNNAMED = "unnamed"  # what columns without a name are called
ASCII = "ascii"  # goes with every encoding
_VALUE = re.compile(r"[+-]?[0-9][0-9.,' \u00a0]*%?|[0-9]{1,4}([-/.:][0-9A-Za-z]{1,4}){1,2}([ T,].*)?|true|false", re.I)
_YEAR = re.compile(r"(19|20)[0-9]{2}")


_OWN_NAMES = Names()


@dataclass(frozen=True)
class Written:
    """The form of one CSV file; a delimiter of None: it has one column, which any will do for."""

    encoding: str
    delimiter: str | None
    quote: str
    escape: str
    header: bool | int  # False: none; a number: of the line it stands in, where others stand above it
    columns: tuple[str, ...]  # names for a file without a header
    names: Names = _OWN_NAMES
    footer: int = 0  # lines at the end that are totals


def encoding_of(path: Path) -> str:
    """Return the encoding of a text file: by its mark, else utf-8 where all of it is that, else one byte a letter."""
    start = next(blocks(path), b"")[:64]
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    if len(start) >= 4:
        for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
            if not zeros.strip(b"\0"):
                return name
    for name in ("ascii", "utf-8", "cp1252"):
        if _decodes(path, name):
            return name
    return "utf-8" if _mostly_utf_8(path) else "latin-1"


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for block in blocks(path):
            decoder.decode(block)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def _mostly_utf_8(path: Path) -> bool:
    """Return whether more of a file's letters beyond ASCII are utf-8 than are not."""
    sound = broken = 0
    for block in blocks(path):
        text = block.decode("utf-8", "replace")
        broken += text.count("\ufffd")
        sound += sum(1 for letter in text if letter > "\x7f") if not text.isascii() else 0
    return sound > 2 * broken


def written(feed: Feed, path: Path) -> Written:
    """Return how a CSV file is written."""
    encoding = encoding_of(path)
    with lines_of(replace(feed, encoding="utf-8" if encoding == ASCII else encoding), path) as lines:
        first = list(islice(lines, _LINES))
        last = list(deque(chain(first[1:], lines), _FOOTER_WITHIN))
    best = _best_split(first)
    header, columns, names = _header(best)
    mark = best.mark if best.width > 1 else None
    written = Written(encoding, mark, best.quote, best.escape, header, columns, names)
    return replace(written, footer=_footer(best, last) if header else 0)


def _best_split(lines: Sequence[str]) -> _Split:
    """Return the lines split as they are best: by the usual quote where that leaves none over."""
    tried: list[_Split] = []
    for quote, escape in (('"', '"'), ('"', "\\"), ("", ""), ("'", "'")):
        tried += [_Split(mark, quote, escape, lines) for mark in DELIMITERS]
        best = max(tried, key=lambda split: split.score)  # of equal ones the first
        if best.score[0] > 1:
            return best
    return best if best.width > 1 else tried[0]


class _Split:
    """The first lines of a file, split in one way."""

    def __init__(self, mark: str, quote: str, escape: str, lines: Sequence[str]) -> None:
        self.mark, self.quote, self.escape = mark, quote, escape
        split = Dialect(mark, quote, escape or quote).records(iter(lines), blank_lines=True)
        self.records = [(values, raw) for values, raw in split]
        self.rows = [values for values, raw in self.records if isinstance(values, list) and raw.strip()]
        widths = Counter(len(values) for values in self.rows)
        # the header may be the only line that is split, and title rows are as wide as they are
        self.width = max(widths, key=lambda width: (widths[width] * (width > 1), width), default=0)
        self.body = [values for values in self.rows if len(values) == self.width]

    @property
    def score(self) -> tuple[float, ...]:
        """Return how well the lines are split: how many are alike, how many values read as such, how wide they are."""
        whole = sum(1 for _, raw in self.records if raw.strip())
        if self.width < 2 or not whole:
            return (0.0,)
        alike = len(self.body) / whole
        cells = [cell for values in self.body[:200] for cell in values]
        marked = sum(any(mark in cell for mark in DELIMITERS if mark != ",") for cell in cells)
        quoted = sum(cell[:1] in ('"', "'") or '""' in cell for cell in cells)
        usual = {'"': 0.02, "": 0.01}.get(self.quote, 0) + (0.005 if self.escape == self.quote else 0)
        return (round(alike, 2) - (marked + quoted) / max(1, len(cells)) + usual, self.width)


# -- the header


def _header(split: _Split) -> tuple[bool | int, tuple[str, ...], Names]:
    """Return where the header stands, names for the columns where there is none, and for those that have none in it."""
    if not split.body:
        return True, (), Names()
    line, nth = 1, 0
    for values, raw in islice(split.records, _HEADER_WITHIN):
        if isinstance(values, list) and len(values) == split.width and raw.strip():
            below = split.body[nth + 1 :]
            if _is_header(values, below):
                above = any(raw.strip() for _, raw in split.records[: split.records.index((values, raw))])
                return (line if above else True), (), _names(values)
            nth += 1
        line += max(1, raw.count("\n") or raw.count("\r"))
    return False, tuple(f"column_{number}" for number in range(1, split.width + 1)), Names()


def _names(header: Sequence[str]) -> Names:
    """Return how columns are called to which the header gives no name, or one that another has."""
    low = [name.strip().lower() for name in header]
    named = [name for name in low if name]
    inner = low[1:-1] if not low[-1] else low[1:]  # a data frame's index, and a delimiter at the end, need no name
    return Names("" if all(inner) else _UNNAMED, len(set(named)) < len(named))


def _footer(split: _Split, last: Sequence[str]) -> int:
    """Return how many lines at the end are totals: a shorter record that says so, and what stands below it."""
    records = [
        values
        for values, raw in Dialect(split.mark, split.quote, split.escape or split.quote).records(
            iter(last), blank_lines=True
        )
        if isinstance(values, list) and any(value.strip() for value in values)
    ]
    for at, values in enumerate(records):
        filled = [value.strip() for value in values if value.strip()]
        if len(filled) < split.width and any(_TOTAL.fullmatch(value.rstrip(": ")) for value in filled[:2]):
            return len(records) - at
    return 0


def _is_header(values: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a record names what stands below it: words above values, or nothing but words."""
    names = [value.strip() for value in values]
    filled = [name for name in names if name]
    if not filled or (len(names) > 1 and len(filled) < max(2, 0.6 * len(names))):
        return False
    if not below:
        return not any(map(_VALUE.fullmatch, filled))
    years = [int(name) for name in filled if _YEAR.fullmatch(name)]
    if (
        len(years) > 1
        and sorted(set(years)) == years
        and all(not _VALUE.fullmatch(n) or _YEAR.fullmatch(n) for n in filled)
    ):
        return True
    same, other = 0, 0
    for at, name in enumerate(names):
        column = [row[at].strip() for row in below[:200] if row[at].strip()]
        if column and name and sum(map(_is_value, column)) > 0.8 * len(column):
            same, other = (same + 1, other) if _VALUE.fullmatch(name) else (same, other + 1)
    return not same and (other > 0 or len({*map(str.lower, filled)}) == len(filled))


def _is_value(text: str) -> bool:
    return bool(_VALUE.fullmatch(text))


# -- several files of one table


def agreed(found: Iterable[tuple[Path, Written]]) -> tuple[Written, dict[Path, str]]:
    """Return how most of the files are written, and of each that is written otherwise in what."""
    every = dict(found)
    columns = Counter(item.delimiter for item in every.values() if item.delimiter)
    encodings = Counter(item.encoding for item in every.values() if item.encoding != ASCII)
    rest = Counter((item.quote, item.escape, item.header, item.columns) for item in every.values())
    (quote, escape, header, columns_named), _ = rest.most_common(1)[0]
    unnamed = max(item.names.unnamed for item in every.values())
    names = Names(unnamed, any(item.names.repeated for item in every.values())) if header else Names()
    footers = {item.footer for item in every.values()}
    footer = footers.pop() if len(footers) == 1 else 0
    delimiter = columns.most_common(1)[0][0] if columns else None
    encoding = encodings.most_common(1)[0][0] if encodings else ASCII
    best = Written(encoding, delimiter, quote, escape, header, columns_named, names, footer)
    return best, {path: what for path, item in every.items() if (what := "; ".join(_differs(item, best)))}


def _differs(item: Written, best: Written) -> Iterator[str]:
    if item.encoding not in (ASCII, best.encoding):
        yield f"encoding {item.encoding}, not {best.encoding}"
    if item.delimiter not in (None, best.delimiter):
        yield f"delimiter {item.delimiter!r}, not {best.delimiter!r}"
    if (item.quote, item.escape) != (best.quote, best.escape):
        yield f"quote {item.quote!r}, not {best.quote!r}"
    if item.header != best.header:
        yield f"header {_shown(item.header)}, not {_shown(best.header)}"


def _shown(header: bool | int) -> str:
    return f"in line {header}" if not isinstance(header, bool) else "in the first line" if header else "none"
