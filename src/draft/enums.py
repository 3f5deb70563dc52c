"""Enumerations: a text column whose few values were all seen so often that a new one would be news.

The share of rows that would bring a value never seen is about the share of values seen once (Good and Turing): so none
may be rare. Names of things are none, as there will be more of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from src.draft.figures import Figures
from src.draft.names import is_id
from src.engine import DuckEngine, identifier

MOST = 12  # values
ROWS = 100  # at least
EACH = 5  # how often the rarest value was seen
PER_VALUE = 20  # rows for each value
LONGEST = 40  # characters
_GROWS = re.compile(
    r"(^|_)(name|city|town|place|country|region|state|site|vendor|brand|address|user|label|title|url|path|file|sheet|version|email|description|text|comment|note|product|item|model)($|_)"
)


def may_be(name: str, figures: Figures) -> bool:
    """Return whether a text column may be an enumeration, before its values are counted."""
    few = 2 <= figures.distinct <= MOST and figures.rows >= max(ROWS, PER_VALUE * figures.distinct)
    return few and figures.longest <= LONGEST and not is_id(name) and not _GROWS.search(name)


def find(engine: DuckEngine, rows: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of those columns that are enumerations, sorted."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        column = identifier(name)
        counted = engine.rows(f"SELECT {column}, count(*) FROM {rows} WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1")
        often = len(counted) <= MOST and all(value and count >= EACH for value, count in counted)
        if often and not all(any(letter.isdigit() for letter in value) for value, _ in counted):
            found[name] = tuple(value for value, _ in counted)
    return found
