"""Backup copies one release to the remote: first what is not there yet, then a manifest that names all of it.

A file goes by the hash of its content, so nothing is copied twice and nothing is ever overwritten. Until its
manifest is there a backup does not exist: killed at any moment it leaves files that nobody names, which the
next one uses or removes, and the backups before it as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from src import lake, store
from src.engine import DuckEngine
from src.errors import BoathouseError, DataError
from src.maintenance import archive, manifests, moved, rot, store_copies
from src.maintenance.manifests import BackupFile, BackupTable, Manifest
from src.maintenance.store_copies import StoreCopies
from src.project import new_run_id
from src.remote import Remote
from src.run import backup_records, backup_sizes, lock, pinned_release
from src.run.backup_records import Backup
from src.run.backup_sizes import BackupSizes
from src.run.pinned_release import Taken
from src.settings import Settings


@dataclass(frozen=True)
class BackupPlan:
    """A planned backup: its manifest, and the files to copy, by their name at the remote.

    They are on this machine, or at the remote already, where the store copied them to.
    """

    manifest: Manifest
    fresh: dict[str, Path]
    before: Manifest | None  # the newest backup, where it is good
    afresh: bool  # the newest backup is damaged: everything is copied again
    there: archive.Listing
    notes: tuple[str, ...] = ()
    pruned_backups: int = 0
    pruned_files: int = 0  # that no backup names any more

    @property
    def idle(self) -> bool:
        """Return whether the newest backup holds all of it already."""
        return self.before is not None and not self.fresh


def run(
    engine: DuckEngine,
    settings: Settings,
    remote: Remote,
    clock: Callable[[], datetime],
    *,
    dry_run: bool = False,
    announce: Callable[[BackupPlan], None] = lambda planned: None,
) -> BackupPlan:
    """Back up the newest release of the lake; return what was planned, and what was pruned.

    `clock` gives the time in UTC; `announce` hears the plan before anything is copied.

    Raises:
        UsageError: there is no release yet.
        LockedError: another backup or drill is going.
        AuthError, TransientError, MachineError: the remote refuses, does not answer, or has no room.
        DataError: what was copied is not what was read, or the lake is not what the newest backup has of it.
    """
    data, started = settings.data_dir, clock()
    pinned_release.pinned(engine, data)  # nothing is written where there is nothing to back up
    new = new_run_id(started)
    with lock.lock_lake(data / backup_records.FOLDER, command="make backup", run_id=new, now=started):
        try:
            _refuse_rot(engine, data, remote)
            copies = None if dry_run else store_copies.between(data, remote)
            incoming = copies.incoming() if copies else nullcontext()
            with pinned_release.taken(engine, data) as taken, incoming:
                planned = plan(engine, data, remote, taken, new, copies)
                announce(planned)
                if dry_run:
                    return planned
                there = execute(planned, remote, taken, copies)
        except BoathouseError as error:
            if not dry_run:
                failed = Backup(new, new, "backup", started, clock(), remote.path, message=error.what)
                backup_records.record(engine, data, failed)
            raise
        backup_records.record(engine, data, _described(planned, remote, new, started, clock()))
        return prune(remote, settings, planned, there)


def plan(
    engine: DuckEngine, data: Path, remote: Remote, taken: Taken, name: str, copies: StoreCopies | None = None
) -> BackupPlan:
    """Return what a backup would copy; change nothing but what comes in by `copies`, which no backup names yet."""
    listed = archive.listing(remote)
    old, damaged = _newest(engine, data, remote, listed.names)
    notes = [f"everything is copied afresh: {damaged}"] if damaged else []
    notes += [f"{text}, and so in no backup" for text in pinned_release.unreleased(data, taken.tables)]
    # what no good backup names was never verified, whoever left it there
    there = {file for file, size in old.objects.items() if listed.files.get(file) == size} if old else set()
    version = str(engine.one("SELECT version()")[0])
    tables = {}
    paths: dict[str, Path] = {}
    for table_id, table in taken.tables.items():
        known = old.tables.get(table_id) if old else None
        stored, objects = taken.stored[table_id], taken.objects.get(table_id, {})
        files, new = _files(table, known, there, stored.root, objects, copies)
        same = known and old and old.engine == version and known.files == files
        unread = bool(objects and copies and not copies.refusal)
        tables[table_id] = known if known and same else _table(engine, table_id, stored, files, unread=unread)
        paths |= {file.name: table.root / path for path, file in files.items()} | new
    if copies and copies.refusal:
        notes.append(f"the store does not copy within itself, so all goes through this machine: {copies.refusal}")
    number = 1 + max((backup_records.order(name)[0] for name in listed.names), default=0)
    manifest = Manifest(f"{number:06d}-{name}", taken.release, version, tables)
    if old and there == set(old.objects) and _without_own(old) == _without_own(manifest):
        return BackupPlan(manifest, {}, old, bool(damaged), listed, tuple(notes))
    fresh = {file: paths[file] for file in manifest.objects if file not in there}
    return BackupPlan(manifest, fresh, old, bool(damaged), listed, tuple(notes))


def execute(planned: BackupPlan, remote: Remote, taken: Taken, copies: StoreCopies | None = None) -> archive.Listing:
    """Copy what is new, verify it by hash and that all of it is there, and only then add the manifest.

    Returns what is at the remote then.
    """
    if planned.idle:
        return planned.there
    folder = taken.folder / archive.FILES
    incoming = {name: path for name, path in planned.fresh.items() if store.is_remote(path)}
    here = {name: path for name, path in planned.fresh.items() if name not in incoming}
    if copies:
        copies.name(incoming, archive.FILES)
    for name, path in here.items():
        pinned_release.link(path, folder / name)
    remote.put(here, folder, archive.FILES, afresh=planned.afresh)
    remote.check(here, folder, archive.FILES)
    there = archive.listing(remote)
    lost = [name for name, size in planned.manifest.objects.items() if there.files.get(name) != size]
    if lost:
        what = f"{len(lost)} files are not at the remote after the copy, such as {lost[0]}"
        raise DataError(what, where=remote.path, fix="let one lake alone use this place, then run `make backup` again")
    _publish(planned.manifest, remote, taken.folder)
    return archive.Listing(there.files, [*there.names, planned.manifest.id])


def kept(names: Iterable[str], daily: int, weekly: int, monthly: int) -> set[str]:
    """Return the backups that stay: the last of each of the newest so many days, weeks and months (UTC) that have one.

    The newest is always among them. The rule is that of restic's `forget --keep-daily --keep-weekly --keep-monthly`.
    """
    newest_first = sorted(names, key=backup_records.order, reverse=True)
    stay = set(newest_first[:1])
    for count, period in ((daily, "%Y-%m-%d"), (weekly, "%G-W%V"), (monthly, "%Y-%m")):
        last_of: dict[str, str] = {}
        for name in newest_first:
            last_of.setdefault(f"{archive.made(name):{period}}", name)
        stay.update(list(last_of.values())[:count])
    return stay


def prune(remote: Remote, settings: Settings, planned: BackupPlan, there: archive.Listing) -> BackupPlan:
    """Remove the backups that need not stay, and the files that none of the others names; returns how many.

    A backup loses its manifest first: killed in between, it leaves files without a name and no name without files.
    """
    stay = kept(there.names, settings.backup_keep_daily, settings.backup_keep_weekly, settings.backup_keep_monthly)
    gone = [name for name in there.names if name not in stay]
    remote.delete([f"{name}.json" for name in gone], archive.MANIFESTS)
    known = [planned.before] if planned.before else []
    known += [] if planned.idle else [planned.manifest]
    try:
        others = archive.read(remote, stay - {manifest.id for manifest in known})
    except DataError as error:  # what a damaged manifest names is not known, so nothing is surely unnamed
        return replace(planned, notes=(*planned.notes, f"no files were pruned: {error.what}, {error.where}"))
    staying = [*others.values(), *(manifest for manifest in known if manifest.id in stay)]
    unnamed = _remove_unnamed(remote, settings.data_dir, there, staying)
    return replace(planned, pruned_backups=len(gone), pruned_files=unnamed)


def remove(settings: Settings, remote: Remote, names: Collection[str], clock: Callable[[], datetime]) -> int:
    """Remove these backups, and the files that none of the others names; returns how many files.

    In the order of `prune`: killed in between, the next prune removes the files. `clock` gives the time in UTC.

    Raises:
        DataError: a manifest that stays is damaged; nothing was removed.
        LockedError: another backup or drill is going.
    """
    data, started = settings.data_dir, clock()
    run_id = new_run_id(started)
    with lock.lock_lake(data / backup_records.FOLDER, command="make forget", run_id=run_id, now=started):
        there = archive.listing(remote)
        stay = [name for name in there.names if name not in names]
        assert stay, "a backup that stays"
        staying = list(archive.read(remote, stay).values())
        remote.delete([f"{name}.json" for name in names], archive.MANIFESTS)
        return _remove_unnamed(remote, data, there, staying)


def _remove_unnamed(remote: Remote, data: Path, there: archive.Listing, staying: Sequence[Manifest]) -> int:
    """Remove the files that no backup names; returns how many."""
    unnamed = set(there.files).difference(*(manifest.objects for manifest in staying))
    remote.delete(unnamed, archive.FILES)
    if unnamed:
        remote.tidy(archive.FILES)
    backup_sizes.keep(data, sizes_of(staying))
    return len(unnamed)


def sizes_of(staying: Iterable[Manifest]) -> BackupSizes:
    """Return the bytes of each table at the remote; a file that several name counts once, for the newest backup."""
    newest_first = sorted(staying, key=lambda manifest: backup_records.order(manifest.id), reverse=True)
    sizes: dict[str, int] = {}
    counted: set[str] = set()
    for manifest in newest_first:
        for name, table in manifest.tables.items():
            fresh = {file.name: file.size for file in table.files.values() if file.name not in counted}
            sizes[name] = sizes.get(name, 0) + sum(fresh.values())
            counted |= fresh.keys()
    return BackupSizes(newest_first[0].id if newest_first else "", sizes)


def _refuse_rot(engine: DuckEngine, data: Path, remote: Remote) -> None:
    """Refuse a lake with damaged files, so that a good copy is never replaced by a damaged one.

    Raises:
        DataError: a file that the newest backup has is not the same in the lake any more.
    """
    before = archive.newest(remote)
    damage = list(rot.find(engine, data, remote, before)) if before else []
    if before and damage:
        what = f"{len(damage)} files of the lake are not what backup {before.id} has: {rot.listed(damage)}"
        raise DataError(what, where=data, fix="`make repair` brings them back; the backups are as they were")


def _newest(engine: DuckEngine, data: Path, remote: Remote, names: list[str]) -> tuple[Manifest | None, str]:
    """Return the newest backup where it is good, or what is known of its damage."""
    if not names:
        return None, ""
    if not backup_records.trusted(engine, data, names[-1]):
        return None, f"a drill found backup {names[-1]} damaged"
    try:
        return archive.read(remote, names[-1:])[names[-1]], ""
    except DataError as error:
        return None, f"{error.what}, {error.where}"


def _files(
    table: lake.Snapshot,
    old: BackupTable | None,
    there: set[str],
    stored: Path,
    objects: Mapping[str, int],
    copies: StoreCopies | None,
) -> tuple[dict[str, BackupFile], dict[str, Path]]:
    """Return a table's files with their hashes; those of data files that are at the remote are not computed again.

    `objects` are data files with their bytes that lie in an object store, below `stored`: new ones are copied here,
    or by `copies` to the remote; where there, is returned too, by the names of the files.

    Raises:
        DataError: one that goes there now has not the bytes that were committed.
    """
    root, found = table.root, {}
    recorded = lake.hashes(table)
    here = {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}

    def same_at_remote(name: str, size: int) -> BackupFile | None:
        known = old.files.get(name) if old and not lake.is_log_file(name) else None
        return known if known and known.size == size and known.name in there else None

    new = {name: size for name, size in objects.items() if not same_at_remote(name, size)}
    came = copies.take(stored, new) if copies else {}
    read = [name for name in new if name not in came]
    for name in read:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    store.fetch([stored / name for name in read], [root / name for name in read])
    for name, size in sorted({**here, **objects}.items()):
        found[name] = same_at_remote(name, size) or BackupFile(
            size, came[name].sha256 if name in came else lake.digest(root / name)
        )
        if recorded.get(name, found[name].sha256) != found[name].sha256:
            fix = "`make check` names the damage, docs/runbook.md says what to do; the backups are as they were"
            raise DataError(f"{name} has not the bytes that were committed", where=root, fix=fix)
    return found, {found[name].name: one.path for name, one in came.items()}


def _table(
    engine: DuckEngine, name: str, table: lake.Snapshot, files: dict[str, BackupFile], *, unread: bool
) -> BackupTable:
    if unread:  # nor is it for this: each file is proven by its hash, and the log says how many rows there are
        return BackupTable(table.version, table.rows, "", files)
    return BackupTable(table.version, *pinned_release.content(engine, name, table), files)


def _publish(manifest: Manifest, remote: Remote, folder: Path) -> None:
    """Add the manifest, and read back that it is what was written."""
    name = f"{manifest.id}.json"
    (folder / name).write_text(manifests.write(manifest), encoding="utf-8")
    remote.put([name], folder, archive.MANIFESTS)
    remote.check([name], folder, archive.MANIFESTS)


def _without_own(manifest: Manifest) -> dict[str, BackupTable]:
    """Return its tables but that of the backups' own records, which alone is no reason for another backup."""
    return {name: table for name, table in manifest.tables.items() if name != backup_records.TABLE}


def _described(planned: BackupPlan, remote: Remote, run_id: str, started: datetime, ended: datetime) -> Backup:
    manifest = planned.before if planned.idle and planned.before else planned.manifest
    copied = 0 if planned.idle else sum(manifest.objects[name] for name in planned.fresh)
    return manifest.described(run_id, "backup", started, ended, remote.path, copied)


if __name__ == "__main__":
    moved.to("backup")
