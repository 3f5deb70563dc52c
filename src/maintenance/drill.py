"""A drill restores a backup where nobody sees it, and compares it with what its manifest says of it.

Every file with its hash, every table opened, and the content of every table, in rows and as a hash over all of them.
How that ended is recorded. What the lake holds now is no measure of a backup: only then, and apart from it, the files
of the lake are compared with those that were backed up, and damage there is the lake's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src import lake
from src.engine import DuckEngine
from src.errors import DataError
from src.maintenance import archive, moved, restore, rot
from src.maintenance.manifests import Manifest
from src.project import new_run_id
from src.remote import Remote
from src.run import backup_records, lock, pinned_release
from src.run.backup_records import Backup


@dataclass(frozen=True)
class Drilled:
    """The result of a drill: the rows of each restored table, and the lake's files that differ from the backup."""

    manifest: Manifest
    rows: dict[str, int]
    damage: list[rot.Damage]


def run(engine: DuckEngine, data: Path, remote: Remote, name: str | None, clock: Callable[[], datetime]) -> Drilled:
    """Restore a backup (None: the newest) elsewhere and compare it with its manifest, and the lake with it.

    Raises:
        DataError: it is not what it should be; recorded as such.
        UsageError: there is no such backup.
        LockedError: another backup or drill is going.
        AuthError, TransientError, MachineError: as the remote and the disk say.
    """
    started = clock()
    run_id = new_run_id(started)
    with lock.lock_lake(data / backup_records.FOLDER, command="make drill", run_id=run_id, now=started):
        manifest = _chosen(engine, data, remote, name, run_id, clock)
        size = sum(manifest.objects.values())

        def record(message: str = "") -> None:
            row = manifest.described(run_id, "drill", started, clock(), remote.path, size, message)
            backup_records.record(engine, data, row)

        try:
            with tempfile.TemporaryDirectory(prefix="boathouse-drill-") as folder:
                whole = restore.fetch(remote, manifest, Path(folder))
                rows = {table: _proved(engine, whole, manifest, table) for table in manifest.tables}
        except DataError as error:
            record(error.what)
            raise
        record()
        newest = manifest.id == archive.listed(remote)[-1]  # an older one says nothing of the lake's log
        return Drilled(manifest, rows, list(rot.find(engine, data, remote, manifest)) if newest else [])


def _chosen(
    engine: DuckEngine, data: Path, remote: Remote, name: str | None, run_id: str, clock: Callable[[], datetime]
) -> Manifest:
    """Return the backup to drill; that its manifest is damaged is recorded too."""
    started = clock()
    try:
        return archive.chosen(remote, name)
    except DataError as error:
        damaged = name or archive.listed(remote)[-1]
        backup_records.record(
            engine, data, Backup(run_id, damaged, "drill", started, clock(), remote.path, message=error.what)
        )
        raise


def _proved(engine: DuckEngine, whole: Path, manifest: Manifest, name: str) -> int:
    """Compare one restored table with what the manifest says of it; returns its rows."""
    recorded = manifest.tables[name]
    restored = lake.open_table(lake.table_path(whole, name))
    if restored is None:
        raise DataError(f"{name} is not there", where=f"backup {manifest.id}")
    rows, content = pinned_release.content(engine, name, restored)
    # another release of the engine may hash otherwise; and of what the store copied no row was read
    hashed_alike = recorded.content and manifest.engine == str(engine.one("SELECT version()")[0])
    if rows != recorded.rows or (hashed_alike and content != recorded.content):
        found = f"{name}: {rows} rows with hash {content} restored"
        what = f"{found}, the manifest says {recorded.rows} rows with hash {recorded.content}"
        fix = "run `make backup`, which then copies all of it afresh"
        raise DataError(what, where=f"backup {manifest.id}", fix=fix)
    return rows


if __name__ == "__main__":
    moved.to("drill")
