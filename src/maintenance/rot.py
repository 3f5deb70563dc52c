"""Rot is what time, disks and hands do to files that never change; the hashes that a backup keeps tell it.

A data file is written once, and so is an entry of a log. One that is not what the newest backup says of it is damaged:
never a newer state, and never a reason to call the backup damaged. The one exception is a log entry that was lost and
whose version was then rewritten, as a restore of an older backup does it too: that is another history, not rot.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from src import catalog, lake
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.maintenance import archive
from src.maintenance.manifests import BackupFile, BackupTable, Manifest
from src.maintenance.remote import Remote
from src.run import backup_records, releases

_LOG = "_delta_log/"
_NUMBERED = re.compile(r"(\d{20})\.(json|checkpoint\.)")
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
    engine: DuckEngine, data: Path, remote: Remote, manifest: Manifest, say: Callable[[str], None] = lambda name: None
) -> Iterator[Damage]:
    """Compare the lake with a backup by hash, file by file; `say` is told of each table. Changes nothing."""
    if not catalog.holding(data):
        return  # no lake: that is not repaired file by file
    try:
        released = releases.newest(data)
    except BoathouseError:  # what is damaged there is among what is found
        released = {}
    comparison = _Comparison(remote, manifest, _descends(engine, data, manifest), released)
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


class _Comparison:
    """Compares the tables of one lake with one backup."""

    def __init__(self, remote: Remote, manifest: Manifest, descends: bool, released: Mapping[str, int]) -> None:
        self._remote, self._descends, self._released = remote, descends, released
        self._hashes = {file.sha256 for table in manifest.tables.values() for file in table.files.values()}

    def damage_of(self, name: str, root: Path, table: BackupTable) -> Iterator[Damage]:
        """Yield the damage of one table; one that is gone and that no reader expects was taken away by somebody."""
        if not (root / _LOG).is_dir():
            if name in self._released or name.startswith("ops."):
                yield from (
                    Damage(name, root, path, f"{GONE} with its table", file) for path, file in table.files.items()
                )
            return
        log = [Damage(name, root, *one) for one in self._log(root, table)]
        yield from log
        needed = None if log else self._vouched(name, root)
        for path, file in table.files.items():
            found = "" if path.startswith(_LOG) else _differs(root / path, file)
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
        there = _numbers(path.name for path in (root / _LOG).iterdir())
        last = max(there["json"], default=-1)
        # no entry before a checkpoint is needed, and only the oldest are ever cleaned up
        since = min(max(there["checkpoint."], default=0), min(there["json"], default=last))
        for path in sorted(path for path in table.files if path.startswith(_LOG)):
            file, named = table.files[path], _NUMBERED.match(path.removeprefix(_LOG))
            found = _differs(root / path, file)
            version = int(named[1]) if named else -1
            if found == GONE and named:
                needed = version >= since if named[2] == "json" else not there["checkpoint."] and 0 not in there["json"]
                if needed and (version < last or self._descends):
                    yield path, found, file
            elif found and found != LINK and named and named[2] == "json" and self._is_rewritten(root / path, file):
                return
            elif found:
                yield path, found, file

    def _is_rewritten(self, path: Path, file: BackupFile) -> bool:
        """Return whether a log entry belongs to another history than the backup's."""
        here = path.read_bytes()
        stamp = _stamp(here)
        if stamp is None or lake.digest(path) in self._hashes:  # no entry, or one of another place
            return False
        before = self._original(file)
        if before is None:
            return True
        few = len(here) == len(before) and sum(a != b for a, b in zip(here, before, strict=True)) <= _FEW
        return not few and stamp != _stamp(before)

    def _original(self, file: BackupFile) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="boathouse-") as folder:
            try:
                return archive.fetched(self._remote, file, Path(folder)).read_bytes()
            except BoathouseError:
                return None


def _differs(path: Path, file: BackupFile) -> str:
    """Return how a file differs from what the backup has; '' where it does not."""
    try:
        if path.is_symlink():
            return LINK
        size = path.stat().st_size
        if size != file.size:
            return f"has {size} bytes, the backup {file.size}"
        return "" if lake.digest(path) == file.sha256 else "has not the bytes that were backed up"
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _numbers(names: Iterator[str] | Collection[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {"json": set(), "checkpoint.": set()}
    for name in names:
        if named := _NUMBERED.match(name):
            found[named[2]].add(int(named[1]))
    return found


def _stamp(entry: bytes) -> object | None:
    """Return when a log entry was written, as it says itself; None where it is not whole."""
    try:
        actions = [json.loads(line) for line in entry.decode().split("\n") if line.strip()]
        stamps = [action["commitInfo"]["timestamp"] for action in actions if "commitInfo" in action]
    except (ValueError, KeyError, TypeError):
        return None
    return stamps[0] if stamps else None
