"""A table of features says when its events were, and when what it reads of each table was known.

The law of the point in time: a feature of an event uses nothing that was not known at its time. `knownAt` says, by
each table that the model reads, from when on a row is known (`rows`), and where some of its columns came to be known
later, from when on each of these is; before, it was NULL. `always` is of what has no time, such as a list of countries.
What is known at the very time of the event counts as known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.contract.errors import Part, hint, listed
from src.contract.ml import LAYER, SCORE_COLUMNS
from src.contract.model import MOMENTS, Table

ROWS = "rows"  # the key of what says from when on a row is known
_OF_FEATURES = ("VARCHAR", "BOOLEAN")  # and numbers


def known_at(written: Mapping[str, Any] | None) -> dict[str, dict[str, str]] | None:
    """Return when what is read of each table was known; an empty mapping for what always was."""
    if written is None:
        return None
    return {name: {} if parts == "always" else dict(parts) for name, parts in written.items()}


def scored_by(written: str | None) -> str | None:
    """Return the id of the model that a table is scored by, of its name <domain>.<name>."""
    return f"{LAYER}.{written}" if written else None


def check_features(table: Table, part: Part) -> None:
    """Add an error for each thing with which a table of features, or one of scores, cannot be one."""
    kinds = {column.name: column.type for column in table.columns}
    at = "customProperties[eventTime]"
    if table.event_time is not None and kinds.get(table.event_time) not in MOMENTS:
        moments = [name for name, kind in kinds.items() if kind in MOMENTS]
        found = f"eventTime {table.event_time} is {kinds[table.event_time]}" if table.event_time in kinds else ""
        part.error(found or f"no column {table.event_time}", at, hint(table.event_time, moments))
    if table.event_time is not None and not table.key:
        part.error("eventTime without a key", at, "mark the key of the entity `primaryKey: true`")
    if table.event_time is None and table.known_at is not None:
        part.error("knownAt without eventTime", "customProperties[knownAt]", "name the column of the event's time")
    for column, declared in zip(table.columns, part.parts("properties"), strict=True):
        if column.feature and table.event_time is None:
            fix = "give the table the custom property `eventTime`"
            declared.error(f"feature {column.name} of a table without eventTime", "customProperties[feature]", fix)
        if column.feature and not column.is_numeric and column.type not in _OF_FEATURES:
            fix = "make a number, a text or a truth of it"
            declared.error(f"feature {column.name} is {column.type}", "customProperties[feature]", fix)
    if table.scored_by is not None:
        _check_scores(table, kinds, part)


def _check_scores(table: Table, kinds: Mapping[str, str], part: Part) -> None:
    at = "customProperties[scoredBy]"
    wrong = [f"{name} {kind.lower()}" for name, kind in SCORE_COLUMNS.items() if kinds.get(name) != kind]
    if wrong:
        part.error(f"no column {listed(wrong)}", at, f"declare {listed(SCORE_COLUMNS)}, with these types")
    if not table.key:
        part.error("scoredBy without a key", at, "mark the key of the features table `primaryKey: true`")
