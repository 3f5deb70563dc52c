"""A table of features says when its events were, and when what it reads of each table was known.

The law of the point in time: a feature of an event uses nothing that was not known at its time. `knownAt` says, by
each table that the model reads, from when on a row is known (`rows`), and where some of its columns came to be known
later, from when on each of these is; before, it was NULL. `always` is of what has no time, such as a list of countries.
What is known at the very time of the event counts as known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from src.contract.errors import Part, hint, listed
from src.contract.ml import LAYER, SCORE_COLUMNS
from src.contract.model import MOMENTS, Table
from src.errors import ContractError

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
    unused = {
        "refresh": table.refresh != "incremental",
        "lookback": table.lookback,
        "optionalSources": table.optional_sources,  # soft ones are among them
    }
    for name in (name for name, is_set in unused.items() if is_set):
        fix = "remove it: rows are scored one by one, and need the features, the label's table and the model"
        part.error(f"{name} of a table that is scored", f"customProperties[{name}]", fix)


def check_scored(table: Table, features: Table) -> Iterator[ContractError]:
    """Yield an error for each thing in which a table of scores does not fit the table whose rows are scored."""
    at = f"{table.path}, {table.name}"
    if set(table.key) != set(features.key):
        fix = f"mark the key of {features.id} `primaryKey: true`: {listed(features.key)}"
        yield ContractError(f"the key is {listed(table.key)}", where=at, fix=fix)
    kinds = {column.name: column.type for column in features.columns}
    for column in table.columns:
        if column.name not in SCORE_COLUMNS and kinds.get(column.name) != column.type:
            has = f"has {column.name} {kinds[column.name].lower()}" if column.name in kinds else "has no such column"
            fix = f"beside {listed(SCORE_COLUMNS)} there are columns of the features table, of the same types"
            what = f"column {column.name} {column.type.lower()}, {features.id} {has}"
            yield ContractError(what, where=at, fix=fix)
    for name in table.partition_by:
        if name in SCORE_COLUMNS or name in features.features:
            fix = "partition by a column of the features table that is no feature, such as the month of the event"
            yield ContractError(f"partition column {name}, which changes when a row is scored", where=at, fix=fix)
