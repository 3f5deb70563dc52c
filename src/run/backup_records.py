"""What was backed up, drilled and restored, and how that ended: `ops.backups`.

A good backup never fails because its record could not be written: the record is first kept in a file of its own,
and goes into the table by this command or, where that fails, by the next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from src import catalog, lake, store
from src.engine import DuckEngine
from src.errors import BoathouseError, from_os_error
from src.logger import logger
from src.run import releases, runs
from src.run.backup_sizes import FOLDER as FOLDER

TABLE = "ops.backups"


@dataclass(frozen=True)
class Backup:
    """One backup, drill or restore. Times in UTC; `verified`: every file was found to be what it should be."""

    run_id: str
    backup: str  # names the backup; several drills may be of one
    kind: str  # backup | drill | restore | repair
    started_at: datetime
    ended_at: datetime
    remote: str
    release: str = ""  # the run whose release it holds
    tables: int = 0
    files: int = 0
    bytes: int = 0
    bytes_copied: int = 0
    verified: bool = False
    message: str | None = None  # why it is not verified
    versions: str = "{}"  # JSON: the version of every table in it
    number: int | None = None  # counts up with each record, whatever the clock said; earlier ones have none
    git_commit: str | None = None  # of the release: what the project's contracts and models stood at
    git_dirty: bool | None = None  # and whether some of them were changed and not committed

    @property
    def table_versions(self) -> dict[str, int]:
        """Return the version of every table in the backup."""
        return {name: int(version) for name, version in json.loads(self.versions).items()}


def order(name: str) -> tuple[int, str]:
    """Return the sort key of a backup: the number that begins its name.

    Names of before there were numbers begin with a time; these backups come first, in the order of their times.
    """
    number = name.partition("-")[0]
    return (int(number), name) if number.isdigit() else (0, name)


def last_verified(engine: DuckEngine, data: Path) -> Backup | None:
    """Return the newest backup whose last check found it whole; None where there is none.

    A backup that a later drill found damaged is not among them. `ended_at` says when it was last found whole.
    """
    found = [row for row in _last_words(engine, data).values() if row.verified]
    return max(found, key=lambda row: order(row.backup), default=None)


def last_tried(engine: DuckEngine, data: Path) -> Backup | None:
    """Return the newest record of a backup or a drill, however it ended; None where there is none."""
    rows = [row for row in (*_stored(engine, data), *_waiting(data).values()) if row.kind in ("backup", "drill")]
    return max(rows, key=_recorded, default=None)


def made(engine: DuckEngine, data: Path) -> set[str]:
    """Return the backups that this lake was copied to or came from."""
    rows = (*_stored(engine, data), *_waiting(data).values())
    return {row.backup for row in rows if row.kind in ("backup", "restore") and row.verified}


def trusted(engine: DuckEngine, data: Path, backup: str) -> bool:
    """Return False if the last check of this backup found it damaged."""
    last = _last_words(engine, data).get(backup)
    return last is None or last.verified


def record(engine: DuckEngine, data: Path, row: Backup) -> bool:
    """Record a backup; return False if its row could not be appended yet and waits for the next command.

    Whoever calls holds the lock of backups, and nobody else writes this table: it need not hold the lake, and so
    no run that starts at this moment is refused.

    Raises:
        MachineError: there is no writing in the lake.
    """
    known = list(_waiting(data).values())
    try:
        known += _stored(engine, data)
    except BoathouseError as error:
        logger.warning("the records of backups cannot be read: {}", error)
    _keep(data, replace(_with_revision(engine, data, row), number=_next(known)))
    try:
        append(engine, data)
    except BoathouseError as error:
        logger.warning("the record of {} {} waits for the next command: {}", row.kind, row.backup, error)
        return False
    return True


def append(engine: DuckEngine, data: Path, row: Backup | None = None) -> None:
    """Append the waiting records, and one more, to the table."""
    waiting = _waiting(data)
    stored = _stored(engine, data)
    known = {known.run_id for known in stored}
    # a kill after the commit and before the files go: the record is there already and is not written twice
    rows = [found for found in waiting.values() if found.run_id not in known]
    rows += [replace(_with_revision(engine, data, row), number=_next([*stored, *rows]))] if row else []
    runs.append(engine, data, TABLE, Backup, rows)
    for path in waiting:
        path.unlink(missing_ok=True)


def _last_words(engine: DuckEngine, data: Path) -> dict[str, Backup]:
    """Return the last record of every backup, repairs left out."""
    rows = [row for row in (*_stored(engine, data), *_waiting(data).values()) if row.kind != "repair"]
    return {row.backup: row for row in sorted(rows, key=_recorded)}


def _with_revision(engine: DuckEngine, data: Path, row: Backup) -> Backup:
    """Return a record with the commit of its release; as it is where nothing says so, which fails no backup."""
    try:
        revision = releases.revision_of(engine, data, row.release) if row.release else None
    except BoathouseError as error:
        logger.warning("the commit of release {} cannot be read: {}", row.release, error.what)
        revision = None
    return replace(row, git_commit=revision.commit, git_dirty=revision.dirty) if revision else row


def _recorded(row: Backup) -> tuple[int, datetime]:
    return row.number or 0, row.ended_at


def _next(known: Sequence[Backup]) -> int:
    return 1 + max((row.number or 0 for row in known), default=0)


def _stored(engine: DuckEngine, data: Path) -> list[Backup]:
    root = lake.table_path(data, TABLE)
    table = lake.open_table(root)
    if table is None:
        return []
    catalog.publish(engine, {TABLE: root})
    names = [name for name in Backup.__dataclass_fields__ if name in table.columns]  # an older lake lacks the newest
    chosen = ", ".join(f"{name}::VARCHAR" if name.endswith("_at") else name for name in names)
    rows = [dict(zip(names, values, strict=True)) for values in engine.rows(f"SELECT {chosen} FROM {TABLE}")]
    try:
        return [_typed(row) for row in rows]
    except (ValueError, KeyError, TypeError) as error:  # the rows, or the columns, of something else
        raise lake.damaged(root, f"no records of backups: {error}") from error


def _waiting(data: Path) -> dict[Path, Backup]:
    """Return the records that are not in the table yet, by their files."""
    paths = sorted((data / FOLDER / "records").glob("*.json"))
    return {path: _typed(json.loads(path.read_text(encoding="utf-8"))) for path in paths}


def _typed(row: dict[str, object]) -> Backup:
    moments = {name: datetime.fromisoformat(str(row[name])) for name in ("started_at", "ended_at")}
    return Backup(**{**row, **moments})  # type: ignore[arg-type]


def _keep(data: Path, row: Backup) -> None:
    path = data / FOLDER / "records" / f"{row.run_id}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, json.dumps(asdict(row), default=datetime.isoformat).encode())
    except OSError as error:
        raise from_os_error(error, path) from error
