"""What determines a table's stored rows cannot change under one version, and the stored table says its version.

A change asks for a bump by what it does to a reader: a column removed or retyped, another key, partition or
history is major; a column added, or rows made differently, is minor; columns in another order are a patch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from src.contract.model import Column, Feed, Table
from src.errors import ContractError

SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")

_FACTS = {  # fact -> the least bump when it changes
    "key": "major",
    "partition_by": "major",
    "history": "major",
    "sequence_by": "minor",
    "delete_when": "minor",
    "sql": "minor",
    "python": "minor",
    "feeds": "minor",
}
_LONG_FACTS = ("sql", "python")
_VERSION_TAG, _LOGIC_TAG = "lakehouse.schemaVersion", "lakehouse.logic"
_BUMPS = ("none", "patch", "minor", "major")
_READING = ("format", "delimiter", "encoding", "quote", "escape", "header", "columns", "sheet")
_NOTATION = ("decimal", "thousands")  # of numbers; a feed with the usual one has the facts that it had without them


# -- what determines the rows


def logic(table: Table) -> dict[str, Any]:
    """Everything that determines a table's schema and stored rows, as JSON holds it."""
    facts = {
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "expression": _expression(table, column),
                "required": column.required,
                "unique": column.unique,
                "rules": [[rule.kind, rule.value] for rule in column.rules],
            }
            for column in table.columns
        ],
        "key": table.key,
        "partition_by": table.partition_by,
        "sequence_by": table.sequence_by,
        "delete_when": table.delete_when,
        "history": table.history,
        "sql": table.sql.strip() if table.sql else None,
        "python": table.python.read_text(encoding="utf-8").strip() if table.python else None,
        "feeds": {feed.name: _reading(feed) for feed in table.feeds},
    }
    if table.run_date:  # an option that is not used leaves the facts, and so the fingerprint, as they were without it
        facts["run_date"] = table.run_date.isoformat()
    if table.on_conflict in ("quarantine", "last"):  # `fail` makes no other rows
        facts["on_conflict"] = table.on_conflict
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


_WORD = re.compile(r"(?<![\w.:])\"?([a-z_][a-z0-9_]*)\"?(?![\w.]|\s*\()")
_TEXT_OR_TYPE = re.compile(r"\binterval\s+(?:'[^']*'|\w+)\s+\w+|'(?:[^']|'')*'|\bas\s+\w+", re.IGNORECASE)


def _expression(table: Table, column: Column) -> str | None:
    """A column's expression; where it reads the file's column though the table makes another of the same name of it,
    it says so: until 2026 such a name meant the table's column, and no row may change its meaning unseen."""
    if column.expression is None or table.layer != "silver":
        return column.expression
    made = {other.name for other in table.columns if other.name != column.name and other.hides_its_source(_words)}
    read = sorted(_words(column.expression) & made)
    return f"{column.expression} /* of the file: {', '.join(read)} */" if read else column.expression


def _words(expression: str) -> set[str]:
    """The words of an expression that may be columns; no engine is at hand to parse it."""
    return set(_WORD.findall(_TEXT_OR_TYPE.sub(" ", expression)))


def _reading(feed: Feed) -> dict[str, Any]:
    """How a feed's values are read."""
    notation = {name: getattr(feed, name) for name in _NOTATION if getattr(feed, name) != getattr(Feed, name)}
    return {name: getattr(feed, name) for name in _READING} | notation


def fingerprint(table: Table) -> int:
    """A number of 63 bits that is the same as long as `logic` is."""
    return _fingerprint(logic(table))


def _fingerprint(facts: Mapping[str, Any]) -> int:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


# -- the bump that a change asks for


def required_bump(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The least bump (none, patch, minor, major) from one logic to another, and the changes that ask for it."""
    changes = list(_column_changes(old["columns"], new["columns"]))
    for fact, bump in _FACTS.items():
        if fact not in old or fact not in new or old[fact] == new[fact]:
            continue  # a fact that an older Boathouse did not record is no change
        shown = "changed" if fact in _LONG_FACTS else f"{json.dumps(old[fact])} -> {json.dumps(new[fact])}"
        changes.append((bump, f"{fact} {shown}"))
    before, after = old.get("on_conflict"), new.get("on_conflict")  # not there: as ever
    if before != after:
        changes.append(("minor", f"on_conflict {before or 'default'} -> {after or 'default'}"))
    return max((bump for bump, _ in changes), key=_BUMPS.index, default="none"), [text for _, text in changes]


def _column_changes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    before, after = ({column["name"]: column for column in columns} for columns in (old, new))
    for name in before:
        if name not in after:
            yield "major", f"column {name} removed"
    for name, column in after.items():
        if name not in before:
            yield "minor", f"column {name} added"
            continue
        for fact, value in column.items():
            if fact in before[name] and before[name][fact] != value:
                bump = "major" if fact == "type" else "minor"
                yield bump, f"column {name}: {fact} {json.dumps(before[name][fact])} -> {json.dumps(value)}"
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield "patch", "columns in another order"


def check_bump(table: Table, old_logic: Mapping[str, Any], old_version: str) -> None:
    """Refuse a table whose logic changed by more than its version did.

    Raises:
        ContractError: naming the changes and the version to write.
    """
    bump, changes = required_bump(old_logic, logic(table))
    now, before = _numbers(table.version), _numbers(old_version)
    major, minor, patch = before
    least = {
        "none": before,
        "patch": (major, minor, patch + 1),
        "minor": (major, minor + 1, 0),
        "major": (major + 1, 0, 0),
    }[bump]
    if now >= least:
        return
    where, version = f"{table.path}, version", ".".join(map(str, least))
    if now < before:
        what = f"{table.id}: version {table.version} is lower than {old_version}, which is stored"
        raise ContractError(what, where=where, fix=f"write `version: {version}`")
    what = f"{table.id}: a {bump} change under version {table.version}: {'; '.join(changes)}"
    raise ContractError(what, where=where, fix=f"write `version: {version}`, or take the change back")


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


# -- what the stored table says


def tags(table: Table) -> dict[str, str]:
    """The table properties that keep the version, and the logic it stands for, on the table itself."""
    return {
        "delta.userMetadata": json.dumps({"version": table.version}),
        _VERSION_TAG: table.version,
        _LOGIC_TAG: json.dumps(logic(table), sort_keys=True),
    }


@dataclass(frozen=True)
class Tagged:
    """What a stored table says of itself: the version, and the logic it stands for with its fingerprint."""

    version: str
    fingerprint: int
    logic: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


def tagged(properties: Mapping[str, str]) -> Tagged | None:
    """The tags found on a stored table; None where there are none, or none that can be read."""
    version = properties.get(_VERSION_TAG, "")
    try:
        facts = json.loads(properties.get(_LOGIC_TAG, ""))
    except ValueError:
        return None
    if not SEMVER.fullmatch(version) or not isinstance(facts, dict) or "columns" not in facts:
        return None
    return Tagged(version, _fingerprint(facts), facts)


def as_stored(table: Table, properties: Mapping[str, str]) -> Table:
    """Return a table with the run date that its stored rows were computed with, where its SQL asks for run_date()."""
    stored = tagged(properties)
    day = stored.logic.get("run_date") if stored else None
    return replace(table, run_date=date.fromisoformat(day)) if day and table.reads_run_date else table


def has_foreign_columns(columns: Iterable[str], properties: Mapping[str, str]) -> bool:
    """Return whether a stored table has columns that its contract did not give it; those named _... are ours."""
    stored = tagged(properties)
    own = {column["name"] for column in stored.logic["columns"]} if stored else set(columns)
    return any(name not in own and not name.startswith("_") for name in columns)


def check_version(table: Table, properties: Mapping[str, str]) -> None:
    """Refuse a version lower than the stored one, though the logic is the same.

    Raises:
        ContractError: naming the version to write.
    """
    stored = tagged(properties)
    if stored:
        check_bump(table, stored.logic, stored.version)


def why_rebuild(table: Table, properties: Mapping[str, str]) -> str:
    """Why a table whose rows were built by another logic is rebuilt, given its stored properties.

    Raises:
        ContractError: the version does not say that the logic changed.
    """
    stored = tagged(properties)
    if stored is None:
        return "the stored table does not say how it was built"
    check_bump(table, stored.logic, stored.version)
    _, changes = required_bump(stored.logic, logic(table))
    before, now = stored.logic.get("run_date"), table.run_date and table.run_date.isoformat()
    if before != now and not changes:
        return f"run date {before} -> {now}"
    return f"contract {stored.version} -> {table.version}: {'; '.join(changes) or 'the last rebuild did not finish'}"
