"""What determines a table's stored rows, fact by fact, and whether two records of it differ.

A table records these facts beside its rows, so that another version of Boathouse, which knows more or fewer of
them, can tell whether the rows are still right. Two kinds keep "was the default" and "was not known" apart:

- A fact with a default is recorded where its value is another one. Without it the rows are as with the default,
  whichever version made them: where it is missing it had the default. Every new option is such a fact.
- A fact without a default is always recorded. Where it is missing, the version that wrote did not know it, and
  nothing can be said of it: that is no change. What was never recorded, though contracts could say it, is such a fact.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from src.contract.model import Column, Feed, Names, Table

_ALWAYS = object()  # no default: the fact is always recorded
_OWN = {"name", "columns", "feeds"}  # what holds the facts, and is none


@dataclass(frozen=True)
class Fact:
    """One fact: how it is found, the least bump when it changes, and its default where it has one.

    `long`: a change does not show the values.
    """

    bump: str
    value: Callable[[Any], Any]
    default: Any = _ALWAYS
    long: bool = False

    def shown(self, value: Any) -> str:
        """Return a value as a change names it."""
        return "default" if value == self.default else json.dumps(value)


def _of_feed(name: str, default: Any = _ALWAYS) -> Fact:
    def value(feed: Feed) -> Any:
        return getattr(feed, name)

    return Fact("minor", value, default)


TABLE_FACTS: dict[str, Fact] = {
    "key": Fact("major", lambda table: table.key),
    "partition_by": Fact("major", lambda table: table.partition_by),
    "history": Fact("major", lambda table: table.history),
    "sequence_by": Fact("minor", lambda table: table.sequence_by),
    "delete_when": Fact("minor", lambda table: table.delete_when),
    "sql": Fact("minor", lambda table: table.sql.strip() if table.sql else None, long=True),
    "python": Fact("minor", lambda table: _python(table), long=True),
    # `fail` makes no other rows
    "on_conflict": Fact("minor", lambda table: table.on_conflict if table.on_conflict != "fail" else None, None),
    "replaces": Fact("minor", lambda table: table.replaces, None),
    "scored_by": Fact("minor", lambda table: table.scored_by, None),
    # an input like any other, no part of the contract
    "run_date": Fact("none", lambda table: table.run_date.isoformat() if table.run_date else None, None),
}
COLUMN_FACTS: dict[str, Fact] = {
    "type": Fact("major", lambda at: at[1].type),
    "expression": Fact("minor", lambda at: _expression(*at)),
    "required": Fact("minor", lambda at: at[1].required),
    "unique": Fact("minor", lambda at: at[1].unique),
    "optional": Fact("minor", lambda at: at[1].optional, False),
    "form": Fact("major", lambda at: at[1].form, None),
    "parts": Fact("minor", lambda at: _parts(at[1]), []),
    "rules": Fact("minor", lambda at: [[rule.kind, rule.value] for rule in at[1].rules]),
}
FEED_FACTS: dict[str, Fact] = {
    **{
        name: _of_feed(name)
        for name in ("format", "delimiter", "encoding", "quote", "escape", "header", "columns", "sheet")
    },
    "decimal": _of_feed("decimal", "."),
    "thousands": _of_feed("thousands", ""),
    "null_values": _of_feed("null_values", ()),
    "skip_footer": _of_feed("skip_footer", 0),
    "record_path": _of_feed("record_path", ()),
    "fixed_width": _of_feed("fixed_width", ()),
    "names": Fact("minor", lambda feed: asdict(feed.names) if feed.names != Names() else None, None),
}


_LOGIC, _FINGERPRINT = "_logic", "_fingerprint"  # of a table that was asked for it


def logic(table: Table) -> dict[str, Any]:
    """Return everything that determines a table's schema and stored rows, as JSON holds it; not to be changed."""
    known: dict[str, Any] | None = vars(table).get(_LOGIC)  # a step asks a dozen times
    if known is not None:
        return known
    facts = {
        "columns": [{"name": column.name, **_found(COLUMN_FACTS, (table, column))} for column in table.columns],
        "feeds": {feed.name: _found(FEED_FACTS, feed) for feed in table.feeds},
        **_found(TABLE_FACTS, table),
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    if not table.python:  # whose text may be another the next time
        vars(table)[_LOGIC] = plain
    return plain


def fingerprint(table: Table) -> int:
    """Return a number of 63 bits that is the same as long as `logic` is."""
    known: int | None = vars(table).get(_FINGERPRINT)
    if known is not None:
        return known
    found = fingerprint_of(logic(table))
    if _LOGIC in vars(table):
        vars(table)[_FINGERPRINT] = found
    return found


def fingerprint_of(facts: Mapping[str, Any]) -> int:
    """Return the fingerprint of a recorded logic."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what differs between two logics, each with the least bump that it asks for.

    A fact that the version which wrote one of them did not know is no change.
    """
    if old == new:
        return []
    return [
        *_column_changes(old["columns"], new["columns"]),
        *_fact_changes(TABLE_FACTS, old, new, ""),
        *_feed_changes(old.get("feeds", {}), new.get("feeds", {})),
    ]


def with_unknown(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return a logic with the facts of an older record of the same logic that this version does not know."""
    columns = {column["name"]: column for column in old["columns"]}
    feeds = old.get("feeds", {})
    return {
        **_unknown(TABLE_FACTS, old),
        **new,
        "columns": [{**_unknown(COLUMN_FACTS, columns.get(one["name"], {})), **one} for one in new["columns"]],
        "feeds": {name: {**_unknown(FEED_FACTS, feeds.get(name, {})), **facts} for name, facts in new["feeds"].items()},
    }


def _found(facts: Mapping[str, Fact], subject: object) -> dict[str, Any]:
    values = {name: fact.value(subject) for name, fact in facts.items()}
    return {name: value for name, value in values.items() if value != facts[name].default}


def _unknown(facts: Mapping[str, Fact], recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recorded.items() if name not in facts and name not in _OWN}


def _fact_changes(
    facts: Mapping[str, Fact], old: Mapping[str, Any], new: Mapping[str, Any], whose: str
) -> Iterator[tuple[str, str]]:
    for name, fact in facts.items():
        before, after = old.get(name, fact.default), new.get(name, fact.default)
        if before is not _ALWAYS and after is not _ALWAYS and before != after:
            yield (
                fact.bump,
                f"{whose}{name} {'changed' if fact.long else f'{fact.shown(before)} -> {fact.shown(after)}'}",
            )


def _column_changes(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    before, after = ({column["name"]: column for column in columns} for columns in (old, new))
    yield from _member_changes("column", COLUMN_FACTS, before, after, removed="major")
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield "patch", "columns in another order"


def _feed_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _member_changes("feed", FEED_FACTS, old, new, removed="minor")


def _member_changes(
    what: str, facts: Mapping[str, Fact], old: Mapping[str, Any], new: Mapping[str, Any], *, removed: str
) -> Iterator[tuple[str, str]]:
    """Yield which columns or feeds were removed or added, and what changed in those that stayed."""
    yield from ((removed, f"{what} {name} removed") for name in old if name not in new)
    for name, found in new.items():
        if name not in old:
            yield "minor", f"{what} {name} added"
        else:
            yield from _fact_changes(facts, old[name], found, f"{what} {name}: ")


def _parts(column: Column) -> list[Any]:
    """Return what is asked of the parts of a list or an object beside their types."""
    return [
        [part.name, part.required, part.form, [[rule.kind, rule.value] for rule in part.rules], _parts(part)]
        for part in column.parts
    ]


def _python(table: Table) -> str | None:
    return table.python.read_text(encoding="utf-8").strip() if table.python else None


_WORD = re.compile(r"(?<![\w.:])\"?([a-z_][a-z0-9_]*)\"?(?![\w.]|\s*\()")
_TEXT_OR_TYPE = re.compile(r"\binterval\s+(?:'[^']*'|\w+)\s+\w+|'(?:[^']|'')*'|\bas\s+\w+", re.IGNORECASE)


def _expression(table: Table, column: Column) -> str | None:
    """Return a column's expression, with a comment where it reads a file's column of a name the table makes too.

    Until 2026 such a name meant the table's column, and no row may change its meaning unseen.
    """
    if column.expression is None or table.layer != "silver":
        return column.expression
    made = {other.name for other in table.columns if other.name != column.name and other.hides_its_source(_names_in)}
    read = sorted(_names_in(column.expression) & made)
    return f"{column.expression} /* of the file: {', '.join(read)} */" if read else column.expression


def _names_in(expression: str) -> set[str]:
    """Return the words of an expression that may be columns; no engine is at hand to parse it."""
    return set(_WORD.findall(_TEXT_OR_TYPE.sub(" ", expression)))
