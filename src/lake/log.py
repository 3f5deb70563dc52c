"""The Delta log as it lies on disk: what its entries say, and that they have reached the disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from src import store
from src.errors import MachineError
from src.lake.errors import HistoryGone, damaged


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table: path relative to the table, bytes, rows, partition values as text.

    `bounds` are the least and the greatest value of columns, as text, as far as they are known; `sha256`: the hash of
    its bytes, where whoever wrote it found it out.
    """

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None] = field(default_factory=dict)
    bounds: Mapping[str, tuple[str, str]] = field(default_factory=dict, compare=False)
    sha256: str = field(default="", compare=False)

    def with_bounds_of(self, columns: Collection[str]) -> DataFile:
        """Return the file with the bounds of these of its columns alone: those of all take 10 KB a file of 40."""
        return replace(self, bounds={name: ends for name, ends in self.bounds.items() if name in columns})


def without(files: Iterable[DataFile], others: Iterable[DataFile]) -> list[DataFile]:
    """Return the files of a table that are not among others of it."""
    paths = {file.path for file in others}
    return [file for file in files if file.path not in paths]


# The actions of which each line of a log is one, and the fields of an action that hold values of rows.
ACTIONS = ("commitInfo", "protocol", "metaData", "add", "remove", "cdc", "txn", "domainMetadata", "sidecar")
VALUES = frozenset({"minValues", "maxValues", "partitionValues", "partitionValues_parsed"})
_LOG = "_delta_log"
_ENTRY, _CHECKPOINT = re.compile(rf"{_LOG}/(\d{{20}})\.json"), re.compile(rf"{_LOG}/(\d{{20}})\.checkpoint\.")
_NEEDED = {"add": {"path"}, "remove": {"path"}, "txn": {"appId", "version"}}
_DECODER, _SPACE = json.JSONDecoder(), " \t\r\n"
_SYNCED_AT_ONCE, _FEW_TO_SYNC = 16, 32  # 5,000 new files one by one 1.9 s, by 4 threads 0.9, by 16 0.2
_COARSE = 5  # CLOCK_REALTIME_COARSE, by the number that Linux knows it by
_SKEW = 900 * 10**9  # nanoseconds by which a clock may differ from the store's: it refuses requests of any other
Mark = tuple[int, str, int, int, int]
FileMark = tuple[int, int, int, int]


@dataclass(frozen=True)
class Commit:
    """The facts of one log entry: when it was written (milliseconds since 1970), the bytes that it added."""

    timestamp: int | None  # None: it does not say
    written: int
    sets_columns: bool  # or other properties of the table
    hash: int  # 63 bits of what it says


_OBJECT: FileMark = (0, 0, 0, 0)
_NO_MARKS: Mapping[str, FileMark] = {}
# What was read of entries: an entry is the same as long as its file has the same size, times and inode.
_commits: dict[Path, dict[int, tuple[FileMark, Commit]]] = {}


_SHARED = "ops"  # the folder of records, of which some are written without the lake's lock
_held: list[tuple[Callable[[], None], Path | None]] = []  # what tells whether a lock is still held, and of which lake


@contextmanager
def while_held(check: Callable[[], None], lake: Path | None = None) -> Iterator[None]:
    """Ask `check` before each change of a table within a with-block; it raises once a lock is held no more.

    `lake`: the one whose tables nobody else changes meanwhile.
    """
    held = check, lake
    _held.append(held)
    try:
        yield
    finally:
        _held.remove(held)


def check_held() -> None:
    """Raise what those of `while_held` raise."""
    for check, _ in tuple(_held):
        check()


def is_changed_here_alone(root: Path) -> bool:
    """Return whether nobody but this process changes a table of an object store, as it holds the lake's lock."""
    lakes = [lake for _, lake in _held if lake]
    return any(store.is_below(root, lake) and not store.is_below(root, lake / _SHARED) for lake in lakes)


def mark(root: Path) -> Mark | None:
    """Return the number of log entries and the newest one's file: name, size, time, inode. None for no log."""
    if store.is_remote(root):
        found = {name: file for name, file in _remote_files(root).items() if name.endswith((".json", ".parquet"))}
        newest = max(found, default="")
        return (len(found), newest, found[newest].size, *found[newest][2:]) if found else None
    try:
        folder = os.path.join(root, _LOG)
        names = [name for name in os.listdir(folder) if name.endswith((".json", ".parquet"))]
        if not names:
            return None  # killed while it was created, the library leaves an empty folder
        newest = max(names)
        facts = os.stat(os.path.join(folder, newest))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return len(names), newest, facts.st_size, facts.st_mtime_ns, facts.st_ino


def _remote_files(root: Path) -> dict[str, store.Facts]:
    """Return the files of the log of a table in an object store."""
    return store.files_in(f"{root}/{_LOG}")


def file_mark(facts: os.stat_result) -> FileMark:
    """Return what is another once a file is written to, replaced or touched: size, times of change, inode."""
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def mark_of(path: str | Path) -> FileMark:
    """Return the mark of a file, as `file_mark` makes it of its facts.

    Raises:
        OSError: there is none.
    """
    return store.facts(path) if store.is_remote(path) else file_mark(os.stat(path))


def entry_marks(root: Path, versions: range) -> dict[str, FileMark]:
    """Return the marks of those log entries that are there, by the names of their files."""
    found: dict[str, FileMark] = {}
    if store.is_remote(root):
        there = _remote_files(root) if versions else {}
        return {name: there[name] for version in versions if (name := f"{version:020d}.json") in there}
    for name in (f"{version:020d}.json" for version in versions):
        with suppress(FileNotFoundError):
            found[name] = file_mark(os.stat(os.path.join(root, _LOG, name)))
    return found


def file_time() -> int:
    """Return the moment that a file changed now would have at least, in nanoseconds since 1970.

    Linux gives files the time of its last tick, some milliseconds ago (CLOCK_REALTIME_COARSE, clock_gettime(2)).
    """
    return time.clock_gettime_ns(_COARSE) if sys.platform == "linux" else time.time_ns()


def state(root: Path, unchanged_since: int | None = None, but: Mapping[str, FileMark] = _NO_MARKS) -> str:
    """Return a text that is another once any file of the log is written to, replaced, added or removed.

    It is '' where one may have been after the moment `unchanged_since`, which `file_time` gave, `but` those that are as
    these marks say.
    """
    if store.is_remote(root):
        marks = sorted((name, *facts) for name, facts in _remote_files(root).items())
        unchanged_since = None if unchanged_since is None else unchanged_since - _SKEW
    else:
        with os.scandir(os.path.join(root, _LOG)) as found:
            marks = sorted((one.name, *file_mark(one.stat())) for one in found)
    if unchanged_since is not None:
        late = (one for one in marks if one[3] >= unchanged_since)  # by the time of its last change
        if any(but.get(name) != tuple(mark) for name, *mark in late):
            return ""
    return hashlib.sha256(repr(marks).encode()).hexdigest()


def commit_of(root: Path, version: int) -> Commit | None:
    """Return the facts of a log entry, read once as long as it is the same file; None where the entry is gone.

    Raises:
        MachineError: the entry is damaged.
    """
    try:
        mark = _entry_mark(root, version)
        known = _commits.setdefault(root, {})
        if version not in known or known[version][0] != mark:
            known[version] = mark, _read_commit(root, version)
    except (FileNotFoundError, NotADirectoryError, HistoryGone):
        return None
    return known[version][1]


def _entry_mark(root: Path, version: int) -> FileMark:
    """Return the mark of a log entry; one in an object store is not asked for, as it is written where there is none.

    Raises:
        OSError: there is none.
    """
    return _OBJECT if store.is_remote(root) else file_mark(os.stat(f"{root}/{_LOG}/{version:020d}.json"))


def _read_commit(root: Path, version: int) -> Commit:
    timestamp, written, sets_columns = None, 0, False
    distinct: list[list[Any]] = []
    for action in entry(root, version):  # one at a time: a load of 100,000 files has as many
        if "commitInfo" in action:
            stamp = action["commitInfo"].get("timestamp", 0)
            timestamp = stamp if timestamp is None else min(timestamp, stamp)
        if "add" in action:
            written += action["add"].get("size") or 0
        sets_columns = sets_columns or "metaData" in action
        distinct += map(_distinct, action, action.values())
    return Commit(timestamp, written, sets_columns, _hash_of(distinct))


def _distinct(kind: str, facts: Mapping[str, Any]) -> list[Any]:
    """Return what no other entry has in common with an action: the file's path, what was consumed, the moment."""
    return [kind, *map(facts.get, ("path", "appId", "version", "id", "timestamp"))]


def _hash_of(distinct: Sequence[Sequence[Any]]) -> int:
    """Return 63 bits of a hash."""
    return int.from_bytes(hashlib.sha256(json.dumps(distinct).encode()).digest()[:8], "big") >> 1


def known_commits(root: Path) -> list[tuple[int, FileMark, int | None, int, bool, int]]:
    """Return what is known of a log's entries, to be kept; `know_commits` takes it."""
    found = _commits.get(root, {})
    return [(version, mark, *vars(commit).values()) for version, (mark, commit) in found.items()]


def count_commits(root: Path) -> int:
    """Return of how many of a log's entries something is known."""
    return len(_commits.get(root, ()))


def know_commits(root: Path, kept: Sequence[Any]) -> None:
    """Take what was kept of a log's entries; each counts only as long as its file is the same."""
    known = _commits.setdefault(root, {})
    for version, mark, *facts in kept:
        known.setdefault(version, (tuple(mark), Commit(*facts)))


def newest_version(mark: Mark) -> int | None:
    """Return the version of the newest entry, by its name; None where that is no version's."""
    number = mark[1][:20]
    return int(number) if number.isdigit() else None


def entry(root: Path, version: int) -> Iterator[dict[str, Any]]:
    """Yield the actions of one log entry, each as its JSON object.

    Raises:
        HistoryGone: the entry is not there.
        MachineError: it is not JSON, or an action lacks a field.
    """
    path = root / _LOG / f"{version:020d}.json"
    for line in _lines(root, path, version):
        if line.strip():
            text = line.strip(_SPACE)
            try:
                action, end = _DECODER.raw_decode(text)  # without `json.loads`, which looks for spaces around it too
                if end != len(text):
                    raise ValueError(f"Extra data after character {end}")
            except ValueError as error:
                raise damaged(path, f"not JSON: {error}") from error
            _refuse_maimed(path, action)
            yield action


def _lines(root: Path, path: Path, version: int) -> Iterator[str]:
    """Yield the lines of a log entry, which may be of many megabytes."""
    try:
        if store.is_remote(path):
            yield from store.read(path).decode().split("\n")
            return
        with open(path, encoding="utf-8", newline="\n") as file:
            yield from file
    except FileNotFoundError:
        raise HistoryGone(f"damaged table: no log entry {version}", where=root) from None
    except UnicodeDecodeError as error:
        raise damaged(path, "not text in UTF-8") from error


def _refuse_maimed(path: Path, action: object) -> None:
    """Refuse an action without the fields that are read of it: a bit may flip in a name and leave JSON."""
    if not isinstance(action, dict):
        raise damaged(path, "an action that is none")
    for kind, facts in action.items():
        if not isinstance(facts, dict):
            raise damaged(path, "an action that is none")
        if kind in _NEEDED and not _NEEDED[kind] <= facts.keys():
            missing = sorted(_NEEDED[kind] - facts.keys())
            raise damaged(path, f"{kind} without {', '.join(missing)}; it has {', '.join(facts)}")


def broken(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the entries of a log that are not there, say nothing or cannot be read, each with why.

    The library reads over an empty one, and over one of which there is a checkpoint. Only the oldest are cleaned up.
    """
    there = entry_versions(root)
    last = max((*there, *checkpoints(root)), default=-1)
    for version in range(min(there, default=last), last + 1):
        name = f"{version:020d}.json"
        try:
            if version not in there:
                yield name, "is missing"
            elif not store.is_remote(root) and (root / _LOG / name).is_symlink():
                yield name, "is a symbolic link"
            elif not list(entry(root, version)):  # all of it is read
                yield name, "is empty: its commit is lost"
        except MachineError as error:
            yield name, error.what


def entry_hash(root: Path, version: int) -> int | None:
    """Return 63 bits of the hash of what a log entry says; None where there is none, as log clean-up leaves it."""
    found = commit_of(root, version)
    return found.hash if found else None


def logged_file(action: Mapping[str, Any]) -> DataFile:
    """Return the data file that an `add` action names."""
    stats = json.loads(action.get("stats") or "{}")
    return DataFile(
        path=unquote(action["path"]),
        size=action.get("size") or 0,
        rows=stats.get("numRecords", 0),
        partition=action.get("partitionValues") or {},
    )


def commit_info(root: Path, version: int) -> dict[str, Any]:
    """Return what a commit recorded about itself (run id, drift, ...); empty where the log entry is gone."""
    try:
        return next((action["commitInfo"] for action in entry(root, version) if "commitInfo" in action), {})
    except HistoryGone:
        return {}


def set_columns(root: Path, version: int) -> list[str] | None:
    """Return the columns that a table has from one log entry on; None where it sets none, or is gone.

    Raises:
        MachineError: the entry is damaged.
    """
    try:
        schemas = [action["metaData"].get("schemaString") for action in entry(root, version) if "metaData" in action]
        return [column["name"] for column in json.loads(schemas[-1])["fields"]] if schemas else None
    except HistoryGone:
        return None
    except (ValueError, TypeError, LookupError) as error:
        raise damaged(root, f"version {version} has no schema: {error}") from error


def link_entry(source: Path, root: Path, version: int) -> None:
    """Give a log the entry of another one, where it has none of that number: one file under two names.

    Raises:
        FileExistsError: it has one.
        OSError: the other log has none, or the two cannot share a file.
    """
    (root / _LOG).mkdir(exist_ok=True)
    name = f"{version:020d}.json"
    os.link(source / _LOG / name, root / _LOG / name)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; of an object that this process just wrote it is known."""
    if store.is_remote(path) and (known := store.take_hash(path)):
        return known
    with store.open_binary(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def recorded(root: Path, version: int) -> set[str]:
    """Return the inputs of which a commit recorded progress; empty where the log entry is gone."""
    try:
        return {action["txn"]["appId"] for action in entry(root, version) if "txn" in action}
    except HistoryGone:
        return set()


def lifetimes(root: Path) -> dict[str, tuple[int, int | None]]:
    """Return for each file the version that added it and the one that removed it (None: still there).

    Files whose log entries were cleaned up are missing, or seem to begin with version 0.
    """
    found: dict[str, tuple[int, int | None]] = {}
    for version in sorted(entry_versions(root)):
        for action in entry(root, version):
            if add := action.get("add"):
                found[unquote(add["path"])] = (version, None)
            elif gone := action.get("remove"):
                name = unquote(gone["path"])
                found[name] = (found.get(name, (0, None))[0], version)
    return found


def is_table(root: Path) -> bool:
    """Return whether a folder is a table: it holds a log."""
    return store.is_folder(root / _LOG)


def is_log_file(path: str) -> bool:
    """Return whether a file of a table, by its path in the table, belongs to the log."""
    return path.startswith(f"{_LOG}/")


def entry_version(path: str) -> int | None:
    """Return the version of which a file of a table, by its path in the table, is the log entry; None for others."""
    return int(found[1]) if (found := _ENTRY.fullmatch(path)) else None


def checkpoint_version(path: str) -> int | None:
    """Return the version of which a file of a table, by its path in the table, is a checkpoint; None for others."""
    return int(found[1]) if (found := _CHECKPOINT.match(path)) else None


def entry_versions(root: Path) -> set[int]:
    """Return the versions of which the log has an entry."""
    return {int(name[:-5]) for name in _names(root) if name.endswith(".json") and name[:-5].isdigit()}


def _names(root: Path) -> list[str]:
    """Return the names of the files of a log; of no log none."""
    try:
        return store.names_in(root / _LOG)
    except (FileNotFoundError, NotADirectoryError):
        return []


def checkpoints(root: Path) -> list[int]:
    """Return the versions of which the log has a checkpoint."""
    names = (name for name in _names(root) if ".checkpoint" in name and name.endswith(".parquet"))
    return [int(name[:20]) for name in names if name[:20].isdigit()]


def misleading_hint(root: Path) -> Path | None:
    """Return a log's hint that names a checkpoint which is gone, and keeps the library from opening the table."""
    hint = root / _LOG / "_last_checkpoint"
    try:
        version = int(json.loads(hint.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or none that the library would follow
    return hint if version not in checkpoints(root) else None


def written_at(entry: bytes) -> object | None:
    """Return when a log entry was written, as it says itself; None where it is not whole."""
    try:
        actions = [json.loads(line) for line in entry.decode().split("\n") if line.strip()]
        stamps = [action["commitInfo"]["timestamp"] for action in actions if "commitInfo" in action]
    except (ValueError, KeyError, TypeError):
        return None
    return stamps[0] if stamps else None


def progress_sql(checkpoint: Path) -> str:
    """Return a SELECT, for the engine, of the progress that a checkpoint recorded: the input, and how far."""
    file = str(checkpoint).replace("'", "''")
    return f"SELECT txn.appId, txn.version FROM read_parquet('{file}') WHERE txn IS NOT NULL"


def progress_log(root: Path, version: int) -> tuple[Path | None, dict[str, int]]:
    """Return the last checkpoint (None for none), and the progress recorded since, by input.

    Raises:
        HistoryGone: the checkpoint is of a kind that only other engines write, or entries since then are gone.
    """
    last = max((at for at in checkpoints(root) if at <= version), default=-1)
    checkpoint = root / _LOG / f"{last:020d}.checkpoint.parquet"
    if last >= 0 and not checkpoint.exists():
        raise HistoryGone("a checkpoint in several parts", where=root)
    later: dict[str, int] = {}
    for at in range(last + 1, version + 1):
        for action in entry(root, at):
            if txn := action.get("txn"):
                later[txn["appId"]] = txn["version"]
    return (checkpoint if last >= 0 else None), later


def make_durable(root: Path, versions: range) -> None:
    """Force log entries to disk.

    delta-rs never calls fsync: without this a power loss could take a commit back after the next
    layer has consumed it.
    """
    if store.is_remote(root):
        return  # the library hears that an object is there once the store keeps it
    log = os.path.join(root, _LOG)
    for version in versions:
        for name in (f"{version:020d}.json", f"{version:020d}.checkpoint.parquet"):
            if os.path.exists(entry := os.path.join(log, name)):
                sync(entry)
    sync(log)
    if 0 in versions:  # the log itself is new
        sync(root)


def sync_files(root: Path, paths: Sequence[str]) -> None:
    """Force data files, and the folders that name them, to disk."""
    if store.is_remote(root):
        return
    folders: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    names = [os.path.join(root, path) for path in (*paths, *folders)]
    if len(names) < _FEW_TO_SYNC:
        for name in names:
            sync(name)
        return
    from concurrent.futures import ThreadPoolExecutor  # where many are: importing takes time

    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as threads:  # each waits for the disk, which writes many in one go
        deque(threads.map(sync, names), maxlen=0)


def sync(path: str | Path) -> None:
    """Force a file or folder to disk."""
    store.sync(path)
