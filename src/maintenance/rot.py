"""Rot is what time, disks and hands do to files that never change; the hashes that a backup keeps tell it.

A data file is written once, and so is an entry of a log. One that is not what the newest backup says of it is damaged:
never a newer state, and never a reason to call the backup damaged. The one exception is a log entry that was lost and
whose version was then rewritten, as a restore of an older backup does it too: that is another history, not rot.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from src import catalog, lake, store
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.maintenance import archive
from src.maintenance.manifests import BackupFile, BackupTable, Manifest
from src.maintenance.reading import Reading
from src.remote import Remote
from src.run import backup_records, releases

_FEW = 8  # bytes that differ: rot changes some, another commit has other names and times
GONE, LINK = "is gone", "is a symbolic link"


@dataclass(frozen=True)
class Damage:
    """One file of the lake that is not what the backup says of it, and what the backup has in its place."""

    table: str
    root: Path
    path: str  # relative to the table
    found: str
    file: BackupFile

    def __str__(self) -> str:
        return f"{self.table}: {self.path} {self.found}"


def find(
    engine: DuckEngine,
    data: Path,
    remote: Remote,
    manifest: Manifest,
    say: Callable[[str], None] = lambda name: None,
    reading: Reading | None = None,
) -> Iterator[Damage]:
    """Compare the lake with a backup by hash, file by file; `say` is told of each table. Changes nothing.

    `reading`: who reads the files, where that is not the engine of this process.
    """
    if not catalog.holding(data):
        return  # no lake: that is not repaired file by file
    try:
        released = releases.newest(data)
    except BoathouseError:  # what is damaged there is among what is found
        released = {}
    reading = reading or Reading(engine)
    comparison = _Comparison(reading, remote, manifest, _descends(engine, data, manifest), released)
    for name, table in manifest.tables.items():
        say(name)
        yield from comparison.damage_of(name, lake.table_path(data, name), table)


def _descends(engine: DuckEngine, data: Path, manifest: Manifest) -> bool:
    """Return whether the lake went on from this backup; one that was restored from an older backup did not."""
    try:
        known = backup_records.made(engine, data)
        return manifest.id in known if known else manifest.release in releases.all_of(engine, data)
    except BoathouseError:
        return False


def listed(damage: Collection[Damage], most: int = 3) -> str:
    """Return some damaged files in one line."""
    shown = [str(one) for one in damage][:most]
    return "; ".join([*shown, *(["..."] if len(damage) > most else [])])


class _BackedUp(NamedTuple):
    """A data file of the lake, its path in the table, and what the backup has of it."""

    here: Path
    path: str
    file: BackupFile

    @property
    def size(self) -> int:
        """Return its bytes."""
        return self.file.size


class _Comparison:
    """Compares the tables of one lake with one backup."""

    def __init__(
        self, reading: Reading, remote: Remote, manifest: Manifest, descends: bool, released: Mapping[str, int]
    ) -> None:
        self._reading, self._remote, self._descends, self._released = reading, remote, descends, released
        self._hashes = {file.sha256 for table in manifest.tables.values() for file in table.files.values()}

    def damage_of(self, name: str, root: Path, table: BackupTable) -> Iterator[Damage]:
        """Yield the damage of one table; one that is gone and that no reader expects was taken away by somebody."""
        if not lake.is_table(root):
            if name in self._released or not catalog.is_released(name):
                yield from (
                    Damage(name, root, path, f"{GONE} with its table", file) for path, file in table.files.items()
                )
            return
        log = [Damage(name, root, *one) for one in self._log(root, table)]
        yield from log
        needed = None if log else self._vouched(name, root)
        data = [_BackedUp(root / path, path, file) for path, file in table.files.items() if not lake.is_log_file(path)]
        differences = _by_size(root, data) if store.is_remote(root) else self._reading.differs(name, data, _difference)
        for (_, path, file), found in zip(data, differences, strict=True):
            if found and (found != GONE or needed is None or path in needed):
                yield Damage(name, root, path, found, file)

    def _vouched(self, name: str, root: Path) -> set[str] | None:
        """Return the data files that readers of a table need; None where it cannot be opened."""
        try:
            versions = {None, self._released.get(name)}
            tables = [table for version in versions if (table := lake.open_table(root, version))]
            return {file.path for table in tables for file in table.files}
        except BoathouseError:
            return None

    # -- the log

    def _log(self, root: Path, table: BackupTable) -> Iterator[tuple[str, str, BackupFile]]:
        """Yield the log files that are not what they were, without those of another history."""
        entries, checkpoints = lake.entry_versions(root), lake.checkpoints(root)
        last = max(entries, default=-1)
        # no entry before a checkpoint is needed, and only the oldest are ever cleaned up
        since = min(max(checkpoints, default=0), min(entries, default=last))
        for path in sorted(filter(lake.is_log_file, table.files)):
            file, entry, checkpoint = table.files[path], lake.entry_version(path), lake.checkpoint_version(path)
            found = _differs(root / path, file)
            version = checkpoint if entry is None else entry
            if found == GONE and version is not None:
                needed = entry >= since if entry is not None else not checkpoints and 0 not in entries
                if needed and (version < last or self._descends):
                    yield path, found, file
            elif found and found != LINK and entry is not None and self._is_rewritten(root / path, file):
                return
            elif found:
                yield path, found, file

    def _is_rewritten(self, path: Path, file: BackupFile) -> bool:
        """Return whether a log entry belongs to another history than the backup's."""
        here = store.read(path) if store.is_remote(path) else path.read_bytes()
        stamp = lake.written_at(here)
        if stamp is None or lake.digest(path) in self._hashes:  # no entry, or one of another place
            return False
        before = self._original(file)
        if before is None:
            return True
        few = len(here) == len(before) and sum(a != b for a, b in zip(here, before, strict=True)) <= _FEW
        return not few and stamp != lake.written_at(before)

    def _original(self, file: BackupFile) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="boathouse-") as folder:
            try:
                return archive.fetched(self._remote, file, Path(folder)).read_bytes()
            except BoathouseError:
                return None


def _difference(engine: DuckEngine, files: Sequence[_BackedUp]) -> list[str]:
    return [_differs(one.here, one.file) for one in files]


def _by_size(root: Path, files: Sequence[_BackedUp]) -> list[str]:
    """Return how data files in an object store differ from the backup's: by size alone, as bytes do not rot there.

    The store keeps checksums of its own, and to read all of a lake for each backup would cost more than the backup.
    """
    there = dict(store.files_below(root))
    sizes = [there[one.path].size if one.path in there else None for one in files]
    return [
        GONE if size is None else _of_another_size(size, one.file) if size != one.size else ""
        for one, size in zip(files, sizes, strict=True)
    ]


def _of_another_size(size: int, file: BackupFile) -> str:
    return f"has {size} bytes, the backup {file.size}"


def _differs(path: Path, file: BackupFile) -> str:
    """Return how a file differs from what the backup has; '' where it does not."""
    try:
        if not store.is_remote(path) and path.is_symlink():
            return LINK
        size = store.facts(path).size
        if size != file.size:
            return _of_another_size(size, file)
        return "" if lake.digest(path) == file.sha256 else "has not the bytes that were backed up"
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return f"cannot be read: {error.strerror}"
