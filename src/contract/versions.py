"""What determines a table's stored rows cannot change under one version, and the stored table says its version.

A change asks for a bump by what it does to a reader: a column removed or retyped, another key, partition or
history is major; a column added, or rows made differently, is minor; columns in another order are a patch.

A draft asks for none. What it becomes once it is active is measured by what the table last was as an active one, so
that an active version never means two things; of a table that was a draft from the first nothing is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any, Protocol

from src.contract.facts import changes, fingerprint, fingerprint_of, logic, with_unknown
from src.contract.model import Table
from src.errors import ContractError

SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")

_VERSION_TAG, _LOGIC_TAG = "lakehouse.schemaVersion", "lakehouse.logic"
_ADOPTED_TAG = "lakehouse.adopted"  # the recorded logic says more than the rows' fingerprint was made of
_DRAFT_TAG = "lakehouse.draft"  # of a draft: the last version that was none, with its logic; `{}` where none was
_BUMPS = ("none", "patch", "minor", "major")


# -- the bump that a change asks for


def required_bump(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the least bump (none, patch, minor, major) from one logic to another, and the changes that ask for it."""
    asking = [(bump, text) for bump, text in changes(old, new) if bump != "none"]
    return max((bump for bump, _ in asking), key=_BUMPS.index, default="none"), [text for _, text in asking]


def check_bump(table: Table, old_logic: Mapping[str, Any], old_version: str) -> None:
    """Refuse a table whose logic changed by more than its version did.

    Raises:
        ContractError: naming the changes and the version to write.
    """
    bump, asking = required_bump(old_logic, logic(table))
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
    what = f"{table.id}: a {bump} change under version {table.version}: {'; '.join(asking)}"
    raise ContractError(what, where=where, fix=f"write `version: {version}`, or take the change back")


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


# -- what the stored table says


class Stored(Protocol):
    """A stored table: its properties, and the fingerprint of the logic that its rows were built with."""

    @property
    def properties(self) -> Mapping[str, str]:
        """Return the table's properties."""
        ...

    @property
    def built_from(self) -> int | None:
        """Return the fingerprint of the logic that its rows were built with."""
        ...


@dataclass(frozen=True)
class Tagged:
    """The tags of a stored table: its version, and the logic it stands for with its fingerprint.

    `adopted`: the fingerprint of the rows, where the logic has facts that the version which built them did not record.
    """

    version: str
    fingerprint: int
    logic: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    adopted: int | None = None
    is_draft: bool = False
    last_active: Tagged | None = None  # of a draft: what the table was before

    @property
    def promised(self) -> Tagged | None:
        """Return what the table was as an active one when it last was; None where it never was."""
        return self.last_active if self.is_draft else self

    def describes(self, stored: Stored) -> bool:
        """Return whether the recorded logic is the one that the stored rows were built with.

        It is not where a run died between the commit of the rows and that of the tags.
        """
        return stored.built_from is not None and stored.built_from in (self.fingerprint, self.adopted)


def is_current(table: Table, stored: Stored) -> bool:
    """Return whether the rows of a stored table were built with the logic of its contract.

    They were if nothing differs of what both this version and the one that built them recorded of it. A fact that
    one of the two did not know is no change: no upgrade of the product rebuilds a table, or refuses it.
    """
    return stored.built_from == fingerprint(table) or _same_recorded(table, stored) is not None


def current_fingerprints(table: Table, stored: Stored) -> set[int]:
    """Return the fingerprints that stand for the logic of a contract: its own, and that of current stored rows."""
    found = {fingerprint(table)}
    if stored.built_from is not None and _same_recorded(table, stored):
        found.add(stored.built_from)
    return found


def _same_recorded(table: Table, stored: Stored) -> Tagged | None:
    """Return the record of a stored table, if it describes the rows and nothing of it differs from the contract."""
    recorded = tagged(stored.properties)
    if recorded is None or not recorded.describes(stored) or changes(recorded.logic, logic(table)):
        return None
    return recorded


def tags(table: Table, stored: Stored | None = None) -> dict[str, str]:
    """Return the table properties that keep the version, and the logic it stands for, on the table itself.

    `stored`: its rows stay as they are. Then what another version recorded of them stays too, and facts that it
    did not know are added, so that a later change of these is seen.
    """
    facts = logic(table)
    recorded = _same_recorded(table, stored) if stored else None
    if recorded:
        facts = with_unknown(facts, recorded.logic)
    found = {
        "delta.userMetadata": json.dumps({"version": table.version}),
        _VERSION_TAG: table.version,
        _LOGIC_TAG: json.dumps(facts, sort_keys=True),
    }
    if recorded and stored and stored.built_from != (now := fingerprint_of(facts)):
        found[_ADOPTED_TAG] = json.dumps({"logic": str(now), "rows": str(stored.built_from)})
    return found | draft_tags(table, stored)


def draft_tags(table: Table, stored: Stored | None) -> dict[str, str]:
    """Return the table property that marks a draft, or takes the mark away; empty where there is nothing to say.

    It keeps what the stored table promised when it last was active, whatever a draft makes of it meanwhile.
    """
    marked = stored.properties.get(_DRAFT_TAG, "") if stored else ""
    if not table.is_draft:
        return {_DRAFT_TAG: ""} if marked else {}
    known = tagged(stored.properties) if stored and not marked else None
    return {_DRAFT_TAG: marked or json.dumps({"version": known.version, "logic": known.logic} if known else {})}


def is_draft(properties: Mapping[str, str]) -> bool:
    """Return whether a stored table was built from a draft, given its properties."""
    return bool(properties.get(_DRAFT_TAG))


def wrong_tags(table: Table, stored: Stored) -> list[str]:
    """Return the tags of a current table that say something else than its contract; to know less is not wrong."""
    wrong = [name for name, value in tags(table, stored).items() if stored.properties.get(name) != value]
    left_out = (_LOGIC_TAG, _ADOPTED_TAG) if _same_recorded(table, stored) else ()
    return [name for name in wrong if name not in left_out]


def tagged(properties: Mapping[str, str]) -> Tagged | None:
    """Return the tags found on a stored table; None where there are none, or none that can be read."""
    return _tagged(*(properties.get(name, "") for name in (_VERSION_TAG, _LOGIC_TAG, _ADOPTED_TAG, _DRAFT_TAG)))


@lru_cache(maxsize=2_000)  # a step asks five times, and each is some kilobytes of JSON
def _tagged(version: str, recorded: str, adopted: str, draft: str) -> Tagged | None:
    try:
        facts = json.loads(recorded)
    except ValueError:
        return None
    if not SEMVER.fullmatch(version) or not isinstance(facts, dict) or "columns" not in facts:
        return None
    logic_of = fingerprint_of(facts)
    return Tagged(version, logic_of, facts, _adopted(adopted, logic_of), bool(draft), _last_active(draft))


def _last_active(text: str) -> Tagged | None:
    """Return what a draft's table was when it last was active; None where it never was."""
    try:
        record = json.loads(text)
        return Tagged(str(record["version"]), fingerprint_of(record["logic"]), dict(record["logic"]))
    except (ValueError, TypeError, KeyError):
        return None


def _adopted(text: str, logic_of: int) -> int | None:
    """Return the fingerprint of rows that a record was extended for; None where it is about another record."""
    try:
        record = json.loads(text)
        return int(record["rows"]) if int(record["logic"]) == logic_of else None
    except (ValueError, TypeError, KeyError):
        return None


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
    """Refuse a version lower than the stored one, though the logic is the same, and one too low for its changes.

    Raises:
        ContractError: naming the version to write.
    """
    stored = tagged(properties)
    if stored and stored.promised and not table.is_draft:
        check_bump(table, stored.promised.logic, stored.promised.version)


def why_rebuild(table: Table, properties: Mapping[str, str]) -> str:
    """Return why a table whose rows were built by another logic is rebuilt, given its stored properties.

    Raises:
        ContractError: the version does not say that the logic changed.
    """
    stored = tagged(properties)
    if stored is None:
        return "the stored table does not say how it was built"
    check_version(table, properties)
    bump, asking = required_bump(stored.logic, logic(table))
    inputs = [text for _, text in changes(stored.logic, logic(table)) if text not in asking]
    if inputs and bump == "none":
        return "; ".join(inputs)
    changed = "; ".join(asking) or "the last rebuild did not finish"
    if table.is_draft:
        return f"draft {table.version}: {changed}"
    return f"contract {stored.version} -> {table.version}: {changed}"
