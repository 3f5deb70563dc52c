"""What changes no row: what may be removed, what is rewritten, what a table costs and what a copy of it needs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from src import store
from src.lake.errors import HistoryGone, translated
from src.lake.log import DataFile, checkpoints, commit_of, is_log_file, lifetimes, make_durable, sync
from src.lake.tables import Snapshot, changes, commit, published

SMALL, SMALL_FILES = 32 * 2**20, 5  # compaction pays where a partition holds this many files below so many bytes
_TARGET = 128 * 2**20  # bytes of a file that compaction writes
_TAIL = 8  # bytes that end a Parquet file: the length of its footer, and "PAR1"
LOG_ENTRIES = 10  # since the last checkpoint, before maintenance writes another
_LEFTOVER_HOURS = 24  # no write takes longer
_WRITING = 3600  # seconds between a file and its commit, at most, for those who write without the lake's lock
_ORDERED = "z-order"  # txn app id: the version up to which the table is in order
_IN_LOG = re.compile(r"(\d{20})\.(json|checkpoint\.[\w.-]+)$")


@dataclass(frozen=True)
class Leftover:
    """A file that no reader needs any more: path on disk relative to the table, bytes."""

    path: str
    size: int


def expired(snapshot: Snapshot, hours: int, keep: Collection[int], now: float) -> tuple[Leftover, ...]:
    """Return the files of a table that no reader needs any more, as they lie on disk; changes nothing.

    Those that left the table more than `hours` ago and are in no version of `keep`, those older than that which no
    commit ever named, and what interrupted writes of the Delta library left behind. `now` in seconds since 1970.

    Raises:
        DataError, MachineError: a version of `keep` is not there, or the log is damaged.
    """
    root = snapshot.root
    with translated(root):
        named = snapshot._table.vacuum(
            hours, dry_run=True, enforce_retention_duration=False, full=True, keep_versions=list(keep) or None
        )
    if store.is_remote(root):
        return _expired_objects(root, named, now)
    paths = {_on_disk(root, name) for name in named}
    young = {path for path in paths if _mtime(root / path) > now - _WRITING}
    # alerts and backups are recorded without the lake's lock: theirs may be between file and commit
    paths -= young - set(lifetimes(root)) if young else set()
    # the library writes beside the place and moves: what a kill leaves there it never removes itself
    cut = now - max(_WRITING, min(hours, _LEFTOVER_HOURS) * 3600)
    paths |= {str(path.relative_to(root)) for path in root.rglob("*#*") if path.is_file() and _mtime(path) <= cut}
    return tuple(Leftover(path, (root / path).stat().st_size) for path in sorted(paths) if (root / path).exists())


def _expired_objects(root: Path, named: Iterable[str], now: float) -> tuple[Leftover, ...]:
    """Return those of the objects that the library names as expired; it leaves none half-written behind."""
    there = dict(store.files_below(root))
    paths = {name if name in there else unquote(name) for name in named}
    young = {path for path in paths & there.keys() if there[path].modified > (now - _WRITING) * 1e9}
    paths -= young - set(lifetimes(root)) if young else set()
    return tuple(Leftover(path, there[path].size) for path in sorted(paths & there.keys()))


def remove(root: Path, files: Iterable[Leftover]) -> None:
    """Remove files that no reader needs any more, and the folders that became empty.

    No commit says so, and none is needed: the log names a file of an older version whether it is there or not.
    """
    with translated(root):
        if store.is_remote(root):
            store.remove(root, [file.path for file in files])
            return
        folders: set[Path] = set()
        for file in files:
            (root / file.path).unlink(missing_ok=True)
            folders.update(parent for parent in (root / file.path).parents if parent != root and root in parent.parents)
        for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
            if not any(folder.iterdir()):
                folder.rmdir()


def behind(snapshot: Snapshot) -> bool:
    """Return whether opening the table reads so many log entries that a checkpoint pays: LOG_ENTRIES or more."""
    return snapshot.version - max(checkpoints(snapshot.root), default=0) >= LOG_ENTRIES


def checkpoint(snapshot: Snapshot) -> None:
    """Write a checkpoint of the log where it pays; it is on disk when this returns."""
    if behind(snapshot):
        with translated(snapshot.root):
            snapshot._table.create_checkpoint()
            make_durable(snapshot.root, range(snapshot.version, snapshot.version + 1))


def shorten_log(snapshot: Snapshot) -> int:
    """Remove log entries that are past their retention and before a checkpoint; returns how many went."""
    log = snapshot.root / "_delta_log"
    checkpoint(snapshot)
    before = len(store.names_in(log))
    with translated(snapshot.root):
        snapshot._table.cleanup_metadata()
    return before - len(store.names_in(log))


def purge(snapshot: Snapshot, since: int | None = None, *, alone: bool = True) -> tuple[int, int]:
    """Remove all that is left of the versions of a table before this one, its newest; returns files and log entries.

    Of the log stay a checkpoint of this version and the entries from the version `since` on (None: its own): older
    entries, and other checkpoints, quote the least and greatest values of files that are gone. `alone`: nobody else
    writes to the table, so that every file goes that this version does not name; else those that a commit took out.
    Killed in the middle it may be done again.
    """
    root, log = snapshot.root, snapshot.root / "_delta_log"
    with translated(root):
        snapshot._table.create_checkpoint()
    make_durable(root, range(snapshot.version, snapshot.version + 1))
    kept = {file.path for file in snapshot.files}
    named = None if alone else lifetimes(root).keys()
    every = (path for path, _ in store.files_below(root) if not is_log_file(path) and path not in kept)
    paths = [path for path in every if named is None or path in named]
    remove(root, [Leftover(path, 0) for path in paths])
    oldest = snapshot.version if since is None else min(since, snapshot.version)
    old = [name for name in store.names_in(log) if _is_old(name, snapshot.version, oldest)]
    store.remove(log, old)
    if not store.is_remote(root):
        sync(log)
    return len(paths), len(old)


def _is_old(name: str, version: int, oldest: int) -> bool:
    """Return whether a file of a log is not needed to open a version, of which there is a checkpoint."""
    found = _IN_LOG.match(name)
    if found is None:
        return name.startswith((".", "_commit_")) or name.endswith(".crc")  # what a killed writer left
    return int(found[1]) != version if ".checkpoint." in name else int(found[1]) < oldest


def crowded(snapshot: Snapshot) -> dict[tuple[str | None, ...], tuple[DataFile, ...]]:
    """Return the partitions that hold SMALL_FILES or more files below SMALL bytes, with these files."""
    small: dict[tuple[str | None, ...], list[DataFile]] = {}
    for file in snapshot.files:
        if file.size < SMALL:
            small.setdefault(snapshot.partition_of(file), []).append(file)
    return {partition: tuple(files) for partition, files in small.items() if len(files) >= SMALL_FILES}


def joinable(snapshot: Snapshot, partitions: Collection[Sequence[str | None]]) -> list[tuple[DataFile, ...]]:
    """Return the small files of these partitions in groups, each of one partition, of which one file can be made."""
    groups: list[list[DataFile]] = []
    for partition, files in crowded(snapshot).items():
        if partition not in partitions:
            continue
        size = 0
        groups.append([])
        for file in files:
            if groups[-1] and size + file.size > _TARGET:
                groups.append([])
                size = 0
            groups[-1].append(file)
            size += file.size
    return [tuple(group) for group in groups if len(group) > 1]


def unordered(snapshot: Snapshot) -> tuple[tuple[str | None, ...], ...]:
    """Return the partitions that hold files which came since the last z-order."""
    since = snapshot.progress(_ORDERED)
    try:
        came = {file.path for file in changes(snapshot, since).added} if since is not None else None
    except HistoryGone:
        came = None
    files = (file for file in snapshot.files if came is None or file.path in came)
    return tuple(dict.fromkeys(snapshot.partition_of(file) for file in files))


def z_order(snapshot: Snapshot, columns: Sequence[str], partitions: Sequence[Sequence[str | None]]) -> Snapshot:
    """Write the rows of these partitions so that rows near each other in these columns lie together.

    A last commit records how far the table is in order, so that `unordered` names only what came since; a crash
    before it costs the work done and nothing else.
    """
    with translated(snapshot.root):
        table = snapshot.moving()
        for partition in partitions:
            table.optimize.z_order(columns, _only(snapshot, partition), target_size=_TARGET)
        # by itself: with 1.6.6 an optimize takes commit properties and leaves the txn out
        return commit(published(snapshot, table), progress={_ORDERED: snapshot.version})


def footer_size(root: Path, file: DataFile) -> int:
    """Return the bytes of a Parquet file's footer: what is in it, not its rows.

    Raises:
        MachineError: the file cannot be read.
    """
    with translated(root), store.open_binary(root / file.path) as handle:
        handle.seek(-_TAIL, os.SEEK_END)
        return int.from_bytes(handle.read(4), "little") + _TAIL


def bytes_on_disk(root: Path) -> int:
    """Return the bytes of every file below a table's folder: older versions and the log too."""
    if store.is_remote(root):
        return sum(found.size for _, found in store.files_below(root))
    total, folders = 0, [str(root)]
    while folders:  # not pathlib: a lake of 600 tables has 50,000 files, and this takes a tenth of the time
        with os.scandir(folders.pop()) as found:
            for path in found:
                if path.is_dir(follow_symlinks=False):
                    folders.append(path.path)
                elif path.is_file():
                    total += path.stat().st_size
    return total


def bytes_written(snapshot: Snapshot, since: float) -> int:
    """Return the bytes of all files added since a moment (seconds since 1970), as far back as the log goes."""
    written = 0
    for version in range(snapshot.version, -1, -1):
        found = commit_of(snapshot.root, version)
        if found is None or (found.timestamp is not None and found.timestamp < since * 1000):
            break
        written += found.written
    return written


def log_files(snapshot: Snapshot) -> list[str]:
    """Return the files of the log from which this version can be opened without the rest, relative to the table.

    The last checkpoint at or before it and every commit since the oldest that is still there without a gap.
    `_last_checkpoint` is not among them: it may name a checkpoint of a later version, and nobody needs it.
    """
    names = sorted(store.names_in(snapshot.root / "_delta_log"))
    numbered = {name: int(found[1]) for name in names if (found := _IN_LOG.match(name))}
    commits = {version for name, version in numbered.items() if name.endswith(f"{version:020d}.json")}
    oldest = snapshot.version
    while oldest - 1 in commits:
        oldest -= 1
    checkpoints = {version for name, version in numbered.items() if ".checkpoint." in name}
    last = max((version for version in checkpoints if version <= snapshot.version), default=None)
    kept = [
        name
        for name, version in numbered.items()
        if (version == last if ".checkpoint." in name else oldest <= version <= snapshot.version)
    ]
    sidecars = snapshot.root / "_delta_log" / "_sidecars"
    parts = [name for name in store.names_in(sidecars) if name.endswith(".parquet")] if sidecars.is_dir() else []
    return [f"_delta_log/{name}" for name in kept] + [f"_delta_log/_sidecars/{name}" for name in parts]


def _only(snapshot: Snapshot, partition: Sequence[str | None]) -> list[tuple[str, str, str]] | None:
    """Return one partition in the Delta library's words, in which an empty text is NULL."""
    return [(name, "=", value or "") for name, value in zip(snapshot.partition_by, partition, strict=True)] or None


def _on_disk(root: Path, name: str) -> str:
    """Return a path as the library names it; it may be encoded as in the log, while files on disk never are."""
    return name if (root / name).exists() else unquote(name)


def _mtime(path: Path) -> float:
    """Return when a file was written, in seconds since 1970; 0 for one that is gone."""
    return path.stat().st_mtime if path.exists() else 0.0
