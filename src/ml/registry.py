"""The versions of a model in its table `models.<domain>.<name>`: read, added, and given another status.

At most one version is active. Whatever changes is one commit: a process that dies leaves the statuses of before or
those of after, never two active versions and never none between two. Whoever changes them holds the lake; a writer
that came in between all the same is refused, as every commit names the count of changes it follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from src import lake, records
from src.engine import DuckEngine, identifier, literal
from src.errors import UsageError
from src.ml.versions import Status, Version

_CHANGES = "changes"  # progress of the table: how often versions were added or changed
_ARTEFACT = "artefact"


@dataclass(frozen=True)
class Change:
    """A status that a version gets, and why."""

    version: int
    status: Status
    why: str
    replaced: int | None = None  # of one that becomes active: the version that was so before it


def open_versions(data: Path, model_id: str) -> lake.Snapshot | None:
    """Return the newest state of a model's table; None where no version was trained yet."""
    return lake.open_table(lake.table_path(data, model_id))


def versions(engine: DuckEngine, table: lake.Snapshot | None) -> tuple[Version, ...]:
    """Return all versions, the oldest first; their artefacts are left empty, `artefact` reads one."""
    return _read(engine, table)


def active(engine: DuckEngine, table: lake.Snapshot | None) -> Version | None:
    """Return the version that scores, with its artefact; None where none does."""
    found = _read(engine, table, f"status = {literal(str(Status.ACTIVE))}", artefacts=True)
    return found[0] if found else None


def active_facts(engine: DuckEngine, table: lake.Snapshot | None) -> Version | None:
    """Return the version that scores, its artefact left empty; None where none does."""
    found = _read(engine, table, f"status = {literal(str(Status.ACTIVE))}")
    return found[0] if found else None


def read_version(engine: DuckEngine, table: lake.Snapshot | None, number: int) -> Version:
    """Return one version, with its artefact.

    Raises:
        UsageError: there is none of that number.
    """
    found = _read(engine, table, f"version = {number:d}", artefacts=True)
    if not found:
        known = ", ".join(f"{each.version}" for each in versions(engine, table))
        raise UsageError(f"no version {number}", fix=f"the versions are {known}" if known else "train the model first")
    return found[0]


def read_inactive(engine: DuckEngine, table: lake.Snapshot | None, number: int) -> Version:
    """Return one version that may become active, with its artefact.

    Raises:
        UsageError: there is none of that number, or it is active.
    """
    found = read_version(engine, table, number)
    if found.status == Status.ACTIVE:
        raise UsageError(f"version {number} is active already", fix="name another one: --promote VERSION")
    return found


def add(engine: DuckEngine, data: Path, model_id: str, version: Version) -> lake.Snapshot:
    """Append a version in one commit; where it is active, the one that was so retires in the same commit.

    Raises:
        TransientError: another process changed the table in between; nothing was changed.
    """
    table = records.open_for(data, model_id, Version)
    retired = []
    if version.status == Status.ACTIVE and (before := _active_number(engine, table)) is not None:
        version = replace(version, replaced=before)
        retired.append(Change(before, Status.RETIRED, f"version {version.version} took its place"))
    written = engine.write(records.select(Version, [version]), table.root)
    return _commit(engine, table, _values(retired, version.status_at, version.status_by), written)


def add_again(
    engine: DuckEngine, data: Path, model_id: str, version: Version, changes: Sequence[Change] = ()
) -> lake.Snapshot:
    """Note that a version was trained again, and give versions another status, in one commit.

    Of the version its number counts, and when it was trained and by whom: its figures stay those of the first time.

    Raises:
        TransientError: another process changed the table in between; nothing was changed.
    """
    table = records.open_for(data, model_id, Version)
    values = _values(changes, version.trained_at, version.trained_by)
    values.setdefault(version.version, {})
    values[version.version] |= {"trained_at": version.trained_at.isoformat(), "trained_by": version.trained_by}
    return _commit(engine, table, values)


def promote(
    engine: DuckEngine, data: Path, model_id: str, number: int, why: str, moment: datetime, by: str
) -> lake.Snapshot:
    """Make a version the active one, and retire the one that was, in one commit; `moment` in UTC.

    Raises:
        UsageError: there is no such version, or it is active.
        TransientError: another process changed the table in between; nothing was changed.
    """
    return _activated(engine, data, model_id, number, why, moment, by)


def retire(engine: DuckEngine, data: Path, model_id: str, why: str, moment: datetime, by: str) -> int:
    """Retire the active version, so that none scores; returns its number.

    Raises:
        UsageError: none is active.
        TransientError: another process changed the table in between; nothing was changed.
    """
    table = records.open_for(data, model_id, Version)
    number = active_number(engine, table)
    set_status(engine, table, [Change(number, Status.RETIRED, why)], moment, by)
    return number


def roll_back(engine: DuckEngine, data: Path, model_id: str, why: str, moment: datetime, by: str) -> int:
    """Make the version active again that was so before the active one; returns its number.

    Raises:
        UsageError: none is active, or none was before it.
        TransientError: another process changed the table in between; nothing was changed.
    """
    table = records.open_for(data, model_id, Version)
    before = version_before(engine, table)
    _activated(engine, data, model_id, before, why, moment, by, keeps_replaced=True)
    return before


def set_status(
    engine: DuckEngine, table: lake.Snapshot, changes: Sequence[Change], moment: datetime, by: str
) -> lake.Snapshot:
    """Give versions another status in one commit; `moment` in UTC.

    Raises:
        UsageError: two versions would be active.
        TransientError: another process changed the table in between; nothing was changed.
    """
    return _commit(engine, table, _values(changes, moment, by))


def _activated(
    engine: DuckEngine,
    data: Path,
    model_id: str,
    number: int,
    why: str,
    moment: datetime,
    by: str,
    keeps_replaced: bool = False,
) -> lake.Snapshot:
    table = records.open_for(data, model_id, Version)
    before, wanted = _active_number(engine, table), read_inactive(engine, table, number)
    replaced = wanted.replaced if keeps_replaced else before
    changes = [Change(number, Status.ACTIVE, why, replaced)]
    if before is not None:
        changes.append(Change(before, Status.RETIRED, f"version {number} took its place: {why}"))
    return set_status(engine, table, changes, moment, by)


def active_number(engine: DuckEngine, table: lake.Snapshot | None) -> int:
    """Return the number of the active version.

    Raises:
        UsageError: none is active.
    """
    number = _active_number(engine, table)
    if number is None:
        raise UsageError("no version is active", fix="name one: --promote VERSION")
    return number


def version_before(engine: DuckEngine, table: lake.Snapshot | None) -> int:
    """Return the number of the version that was active before the active one.

    Raises:
        UsageError: none is active, or none was before it.
    """
    number = active_number(engine, table)
    before = read_version(engine, table, number).replaced
    if before is None:
        raise UsageError(f"no version was active before version {number}", fix="name one: --promote VERSION")
    return before


def _active_number(engine: DuckEngine, table: lake.Snapshot | None) -> int | None:
    return next((one.version for one in versions(engine, table) if one.status == Status.ACTIVE), None)


def _read(
    engine: DuckEngine, table: lake.Snapshot | None, condition: str = "true", *, artefacts: bool = False
) -> tuple[Version, ...]:
    if table is None:
        return ()
    columns = {name: kind for name, kind in records.columns_of(Version).items() if artefacts or name != _ARTEFACT}
    names = ", ".join(identifier(name) for name in columns)
    scan = engine.scan(table, columns=columns, evolved=True)
    rows = engine.rows(f"SELECT {names} FROM {scan} WHERE {condition} ORDER BY version")
    empty = {field.name: "" for field in fields(Version)}
    return tuple(Version(**{**empty, **dict(zip(columns, row, strict=True))}) for row in rows)


def _values(changes: Sequence[Change], moment: datetime, by: str) -> dict[int, dict[str, object]]:
    """Return by version the columns that a change of its status changes, with their values."""
    found: dict[int, dict[str, object]] = {}
    for one in changes:
        columns: dict[str, object] = {"status": str(one.status), "why": one.why}
        columns |= {"status_at": moment.isoformat(), "status_by": by}
        found[one.version] = columns | ({"replaced": one.replaced} if one.status == Status.ACTIVE else {})
    return found


def _commit(
    engine: DuckEngine,
    table: lake.Snapshot,
    values: Mapping[int, Mapping[str, object]],
    added: Sequence[lake.DataFile] = (),
) -> lake.Snapshot:
    """Publish new files, and in place of each file that holds a changed version one with its new values."""
    holding = _files_with(engine, table, values)
    written = [*added]
    if holding:
        scan = engine.scan(table, holding, records.columns_of(Version), evolved=True)
        written += engine.write(f"SELECT * REPLACE ({_replaced(values)}) FROM {scan}", table.root)
    _refuse_two_active(engine, table, holding, written)
    following = (table.progress(_CHANGES) or 0) + 1
    return lake.commit(table, add=written, remove=holding, progress={_CHANGES: following})


def _files_with(engine: DuckEngine, table: lake.Snapshot, numbers: Mapping[int, object]) -> list[lake.DataFile]:
    """Return the files of a table that hold versions of these numbers."""
    if not numbers:
        return []
    scan = engine.scan(table, columns={"version": "BIGINT"}, located=True)
    wanted = ", ".join(f"{number:d}" for number in numbers)
    found = set(engine.values(f"SELECT DISTINCT _at FROM {scan} WHERE version IN ({wanted})"))
    return [file for file in table.files if str(table.root / file.path) in found]


def _replaced(values: Mapping[int, Mapping[str, object]]) -> str:
    """Return SQL of the columns that change, each by the number of its version."""
    kinds = records.columns_of(Version)
    cases: dict[str, list[str]] = {}
    for number, columns in values.items():
        for name, value in columns.items():
            cases.setdefault(name, []).append(f"WHEN {number:d} THEN {literal(value)}::{kinds[name]}")
    return ", ".join(f"CASE version {' '.join(found)} ELSE {name} END AS {name}" for name, found in cases.items())


def _refuse_two_active(
    engine: DuckEngine, table: lake.Snapshot, removed: Sequence[lake.DataFile], added: Sequence[lake.DataFile]
) -> None:
    """Refuse a commit after which two versions would be active, or two have one number."""
    files = [file for file in table.files if file not in removed] + list(added)
    columns = {"version": "BIGINT", "status": "VARCHAR"}
    rows = engine.rows(f"SELECT version, status FROM {engine.scan(table, files, columns, evolved=True)}")
    numbers = [number for number, _ in rows]
    found = sorted(number for number, status in rows if status == Status.ACTIVE)
    if len(found) > 1 or len(set(numbers)) < len(numbers):
        lake.discard(table.root, added)
        what = (
            f"versions {', '.join(map(str, found))} would be active" if len(found) > 1 else "a version is there twice"
        )
        raise UsageError(what, where=table.root, fix="at most one version scores: retire the other first")
