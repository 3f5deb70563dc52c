"""Restore brings a backup back as a lake that the next run goes on with, or leaves no trace of having tried.

All of it is fetched beside the lake, every file compared with its hash, every table opened; one rename then
makes it the lake. Killed before, it goes on next time from what was fetched; a lake that has tables is refused. Records
alone (`ops`) are none: whoever looked at the health of an empty lake left some. They go on in the restored tables.

In an object store nothing is renamed: an object `.restoring` says, before the first of the lake is written, that it is
not whole, and goes with the last. Until then nobody else can hold the lake, and the next restore begins again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from src import catalog, lake, store
from src.engine import DuckEngine, identifier
from src.errors import DataError, UsageError, from_os_error
from src.maintenance import archive, manifests, moved, store_copies
from src.maintenance.manifests import Manifest
from src.maintenance.store_copies import StoreCopies
from src.project import new_run_id
from src.remote import Remote
from src.run import backup_records, lock, pinned_release


def plan(remote: Remote, target: Path, name: str | None) -> Manifest:
    """Return the backup that would be restored to `target`, by its name or the newest; change nothing.

    Raises:
        UsageError: there is no such backup, or the target holds a lake.
        DataError: its manifest is damaged.
    """
    _refuse_lake(target)
    return archive.chosen(remote, name)


def execute(
    engine: DuckEngine, remote: Remote, manifest: Manifest, target: Path, clock: Callable[[], datetime]
) -> dict[str, lake.Snapshot]:
    """Make the backup the lake at `target`; returns its tables. `clock` gives the time in UTC.

    Raises:
        DataError: a file at the remote is not what was backed up; nothing was changed.
        LockedError: another process works on the lake there.
        AuthError, TransientError, MachineError: as the remote and the disk say.
    """
    started = clock()
    run_id = new_run_id(started)
    if store.is_remote(target):
        with lock.lock_lake(target, command="make restore", run_id=run_id, now=started, restoring=True):
            _refuse_lake(target)
            return _uploaded(engine, remote, manifest, target, run_id, started, clock)
    fetched = target.with_name(f"{target.name}.restoring")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _finish(target)
        with lock.lock_lake(target, command="make restore", run_id=run_id, now=started):
            _refuse_lake(target)
            whole = fetch(remote, manifest, fetched)
            size = sum(manifest.objects.values())
            backup_records.append(
                engine, whole, manifest.described(run_id, "restore", started, clock(), remote.path, size)
            )
            _merge_records(engine, target, whole)
            shutil.rmtree(fetched / archive.FILES)  # linked into the tables by now
            os.sync()  # a power loss must not find the names in place and the files not
            _into_place(whole, target)
        fetched.rmdir()
        return {name: _opened(lake.table_path(target, name), table.version) for name, table in manifest.tables.items()}
    except OSError as error:
        raise from_os_error(error) from error


def _uploaded(
    engine: DuckEngine,
    remote: Remote,
    manifest: Manifest,
    target: Path,
    run_id: str,
    started: datetime,
    clock: Callable[[], datetime],
) -> dict[str, lake.Snapshot]:
    """Make the backup the lake in an object store, as `execute` does: data files first, then the logs.

    Where the store copies the data files itself, only the logs come to this machine, and the records, of which this is
    one more.
    """
    mark, folder = target / lock.RESTORING, store.beside(target) / "restoring"
    copies = store_copies.between(target, remote)
    try:
        whole = fetch(remote, manifest, folder, data=copies is None)
        _begin(target, mark, manifest)
        if copies and not _brought(copies, manifest, target, mark):
            whole = fetch(remote, manifest, folder)
        size = sum(manifest.objects.values())
        row = manifest.described(run_id, "restore", started, clock(), remote.path, size)
        backup_records.append(engine, whole, row)
        files = [(name, path) for name, root in catalog.tables(whole).items() for path, _ in store.files_below(root)]
        for name, path in sorted(files, key=lambda one: (lake.is_log_file(one[1]), *one)):
            store.take(lake.table_path(whole, name) / path, lake.table_path(target, name) / path)
        mark.unlink()
        shutil.rmtree(folder)
    except OSError as error:
        raise from_os_error(error) from error
    return {name: _opened(lake.table_path(target, name), table.version) for name, table in manifest.tables.items()}


def _begin(target: Path, mark: Path, manifest: Manifest) -> None:
    """Say at a place of an object store that what is there is not whole, and remove what a killed restore left."""
    mark.write_bytes(manifest.id.encode())
    for layer in catalog.LAYERS:
        store.clear(target / layer)


def _brought(copies: StoreCopies, manifest: Manifest, target: Path, mark: Path) -> bool:
    """Let the store copy the data files of a backup into the lake; returns whether it did.

    Raises:
        DataError: one is missing or damaged at the remote; nothing is left at the target.
    """
    data = [
        (file, lake.table_path(target, name) / path)
        for name, path, file in _files_of(manifest)
        if not _is_read_here(name, path)
    ]
    try:
        return copies.bring(data, archive.FILES)
    except DataError:
        _begin(target, mark, manifest)
        mark.unlink()
        raise


def fetch(remote: Remote, manifest: Manifest, folder: Path, *, data: bool = True) -> Path:
    """Fetch a backup and prove it: every file by its hash, every table opened; returns the folder that is the lake.

    Without `data` only what a restore reads itself.

    Raises:
        DataError: a file is missing or damaged at the remote, or a table is not what the manifest says.
    """
    files, whole = folder / archive.FILES, folder / "lake"
    shutil.rmtree(whole, ignore_errors=True)
    files.mkdir(parents=True, exist_ok=True)
    wanted = [(name, path, file) for name, path, file in _files_of(manifest) if data or _is_read_here(name, path)]
    objects = {file.name: file.size for _, _, file in wanted}
    remote.get(objects, archive.FILES, files)
    _prove(manifest, objects, files, remote)
    for name, path, file in wanted:
        pinned_release.link(files / file.name, lake.table_path(whole, name) / path)
    for name, table in manifest.tables.items():
        opened = _opened(lake.table_path(whole, name), None)
        if (opened.version, opened.rows) != (table.version, table.rows):
            found = f"{name} opens at version {opened.version} with {opened.rows} rows"
            what = f"{found}, the manifest says {table.version} and {table.rows}"
            raise DataError(what, where=f"backup {manifest.id}", fix="name another backup")
    return whole


def _merge_records(engine: DuckEngine, target: Path, whole: Path) -> None:
    """Add the records that lie at the target to the restored ones, in which the newer count on from the older."""
    for name, root in catalog.tables(target).items():
        source, restored = lake.open_table(root), lake.open_table(lake.table_path(whole, name))
        if source is None or not source.files:
            continue
        restored = restored or lake.create(lake.table_path(whole, name), source.columns)
        later = {column: kind for column, kind in source.columns.items() if column not in restored.columns}
        restored = lake.add_columns(restored, later) if later else restored
        kept = {column: identifier(column) for column in source.columns}
        if "number" in source.columns:
            catalog.publish(engine, {name: restored.root})
            kept["number"] = f"number + (SELECT coalesce(max(number), 0) FROM {name})"
        kinds = restored.columns.items()
        columns = [f"{kept.get(column, f'NULL::{kind}')} AS {identifier(column)}" for column, kind in kinds]
        scan = engine.scan(source, evolved=True)
        written = engine.write(f"SELECT {', '.join(columns)} FROM {scan}", restored.root)
        lake.commit(restored, add=written)


def _prove(manifest: Manifest, objects: Mapping[str, int], files: Path, remote: Remote) -> None:
    """Compare every file with the hash that is its name; what is damaged is not kept for another try."""
    damaged = []
    for name, size in objects.items():
        path = files / name
        if path.is_file() and path.stat().st_size == size and lake.digest(path) == path.name:
            continue
        path.unlink(missing_ok=True)
        damaged.append(name)
    if damaged:
        holds = {file.name: f"{table_id}: {path}" for table_id, path, file in _files_of(manifest)}
        what = f"{len(damaged)} files are missing or damaged, such as {damaged[0]} ({holds[damaged[0]]})"
        fix = (
            "`make backup` copies afresh what a drill found damaged, as long as the lake has it; or name another backup"
        )
        raise DataError(what, where=f"{remote.path}, backup {manifest.id}", fix=fix)


def _files_of(manifest: Manifest) -> list[tuple[str, str, manifests.BackupFile]]:
    return [(name, path, file) for name, table in manifest.tables.items() for path, file in table.files.items()]


def _is_read_here(name: str, path: str) -> bool:
    """Return whether a restore reads a file of a table: one of a log, or of the records."""
    return lake.is_log_file(path) or name.startswith(f"{catalog.RECORDS}.")


def _into_place(whole: Path, target: Path) -> None:
    """Make the fetched lake the lake: there is none, and then there is all of it."""
    aside = _aside(target)
    os.rename(target, aside)  # it holds no table, and the lock that is held stays with it
    os.rename(whole, target)
    _carry_over(aside, target)


def _finish(target: Path) -> None:
    """Finish a restore that was killed between its renames."""
    aside = _aside(target)
    if aside.exists() and not target.exists():
        os.rename(aside, target)
    elif aside.exists():
        _carry_over(aside, target)


def _carry_over(aside: Path, target: Path) -> None:
    """Move the landing zone, and whatever else lay beside the tables, into the restored lake."""
    for entry in sorted(aside.iterdir()):
        if not (target / entry.name).exists():
            os.rename(entry, target / entry.name)
    shutil.rmtree(aside)  # what is left are empty folders of layers, and records that were merged: see _refuse_lake


def _aside(target: Path) -> Path:
    return target.with_name(f"{target.name}.before-restore")


def _refuse_lake(target: Path) -> None:
    """Refuse a folder that holds a lake: a restore never replaces anything.

    Raises:
        UsageError: the folder holds tables other than records, or files where tables go.
    """
    fix = "restore to another folder (TO=folder), or move this one away"
    if store.is_remote(target):
        if (target / lock.RESTORING).exists():
            return  # all of it is from a restore that was killed
        for layer in catalog.LAYERS:  # records too: they could not be merged so that a kill does no harm
            if store.is_folder(target / layer):
                raise UsageError(f"there are objects in {layer} already", where=target, fix="name an empty prefix")
        return
    there = catalog.holding(target)
    if there:
        raise UsageError(f"there are tables already: {', '.join(there)}", where=target, fix=fix)
    layers = [layer for layer in catalog.LAYERS if layer != catalog.RECORDS]
    files = [path for layer in layers for path in (target / layer).rglob("*") if not path.is_dir()]
    if files:
        raise UsageError(f"{len(files)} files lie where tables go, such as {files[0]}", where=target, fix=fix)
    if os.path.ismount(target):
        fix = "restore to a folder inside of it (TO=folder), and set DATA_DIR to that"
        raise UsageError("the folder is a mount point, which no rename can replace", where=target, fix=fix)


def _opened(root: Path, version: int | None) -> lake.Snapshot:
    table = lake.open_table(root, version)
    if table is None:
        raise DataError("no table where the backup has one", where=root, fix="name another backup")
    return table


if __name__ == "__main__":
    moved.to("restore")
