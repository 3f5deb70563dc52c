"""The only module that knows Delta: versions, exactly-once commits, what changed between versions.

A table carries its own progress: every commit records, as Delta `txn` actions, how far each input
was consumed, in the same atomic log entry as the data. There is no other state.

Commits are made from Parquet files that the engine has already written (`DataFile`): one log entry
adds and removes files. A crash before the entry leaves files nobody refers to, which readers never
see and vacuum removes; a crash after it leaves a finished commit.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from src.errors import BoathouseError, DataError, EnvironmentFault, TransientError, from_os_error

if TYPE_CHECKING:
    from deltalake import DeltaTable

LAYERS = ("bronze", "silver", "gold")
BUILT_FROM = "contract"  # txn app id: the fingerprint of the contract a table's rows were built with

SMALL, SMALL_FILES = 32 * 2**20, 5  # compaction pays where a partition holds this many files below so many bytes
_TARGET = 128 * 2**20  # bytes of a file that compaction writes
LOG_ENTRIES = 10  # since the last checkpoint, before vacuum writes another
_LEFTOVER_HOURS = 24  # no write takes longer
_ORDERED = "z-order"  # txn app id: the version up to which the table is in order

_PROPERTIES = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 60 days",
    "delta.deletedFileRetentionDuration": "interval 168 hours",
    # Other engines skip files by partition and by the files' own footers. Where the log has minimum and maximum for
    # some columns, deltalake's to_pyarrow_dataset finds no row by any other column, and there is always one that can
    # have none: long text, NaN, a column that was added later.
    "delta.dataSkippingNumIndexedCols": "0",
}
_DELTA_TYPES = {
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "TINYINT": "byte",
    "SMALLINT": "short",
    "INTEGER": "integer",
    "BIGINT": "long",
    "FLOAT": "float",
    "DOUBLE": "double",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}
_HARMLESS_TO_READ = {"v2Checkpoint", "vacuumProtocolCheck"}  # they say nothing about where a table's rows are
_HARMLESS_TO_WRITE = {"appendOnly", "invariants"}  # what writer version 2 knows too
_SQL_TYPES = {delta: sql for sql, delta in _DELTA_TYPES.items()}


class HistoryGone(Exception):
    """The commits or files between two versions are no longer there; the consumer starts from nothing."""


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table: path relative to the table, bytes, rows, partition values as text."""

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """The files that came and went between two versions, as far as rows changed (compaction does not).

    The log does not say how many rows a removed file had: they count 0 here.

    `rebuilt`: the table was built anew under another contract in between, so a row's provenance says
    nothing about whether it is the same row.
    """

    added: tuple[DataFile, ...]
    removed: tuple[DataFile, ...]
    rebuilt: bool = False


@dataclass(frozen=True)
class Leftover:
    """A file that no reader needs any more: path on disk relative to the table, bytes."""

    path: str
    size: int


class Snapshot:
    """One version of one table; a commit made through it fails if another writer came in between."""

    def __init__(self, root: Path, table: DeltaTable) -> None:
        self.root = root
        self._table = table
        self.version = int(table.version())

    @cached_property
    def columns(self) -> dict[str, str]:
        """Column names and DuckDB types, in order."""
        return {field.name: _sql_type(field.type) for field in self._table.schema().fields}

    @cached_property
    def partition_by(self) -> tuple[str, ...]:
        return tuple(self._table.metadata().partition_columns)

    @cached_property
    def identity(self) -> int:
        """A number of 63 bits that is this table's and no other's, a re-created one's included."""
        return uuid.UUID(str(self._table.metadata().id)).int >> 65

    @cached_property
    def properties(self) -> dict[str, str]:
        return dict(self._table.metadata().configuration)

    @cached_property
    def files(self) -> tuple[DataFile, ...]:
        """The files that hold this version's rows.

        Raises:
            EnvironmentFault: they say so in a way Boathouse does not read.
        """
        self._refuse_foreign_features()
        with _translated(self.root):
            actions = self._table.get_add_actions(flatten=True)
        paths, sizes, rows = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
        partitions = {name: actions[f"partition.{name}"].to_pylist() for name in self.partition_by}
        return tuple(
            DataFile(
                path=unquote(path),
                size=sizes[at],
                rows=rows[at] or 0,
                partition={name: _partition_text(values[at]) for name, values in partitions.items()},
            )
            for at, path in enumerate(paths)
        )

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of the files that hold this version's rows."""
        return sum(file.size for file in self.files)

    def progress(self, source: str) -> int | None:
        """How far this table has consumed a source, as its own commits recorded it; None for never."""
        version = self._table.transaction_version(source)
        return None if version is None else int(version)

    def _refuse_foreign_features(self, *, to_write: bool = False) -> None:
        """Refuse a table whose Parquet files alone no longer say what its rows are: another engine did that."""
        protocol = self._table.protocol()
        foreign = set(protocol.reader_features or ()) - _HARMLESS_TO_READ
        if protocol.min_reader_version == 2:  # that version has no list: it stands for this one feature
            foreign = {"columnMapping"}
        if to_write and protocol.min_writer_version > 2:
            older = {f"writer version {protocol.min_writer_version}"} if protocol.writer_features is None else set()
            foreign |= older | set(protocol.writer_features or ()) - _HARMLESS_TO_READ - _HARMLESS_TO_WRITE
        if foreign:
            verb = "write" if to_write else "read"
            raise EnvironmentFault(
                f"the table uses {', '.join(sorted(foreign))}, which Boathouse does not {verb}",
                where=self.root,
                fix="another engine switched this on; restore the table, or rewrite it without the feature",
            )


def place(data: Path, table_id: str) -> Path:
    """Where a table lies: silver.sales.order_lines is the folder silver/sales/order_lines below data."""
    return data.joinpath(*table_id.split("."))


def open_table(root: Path, version: int | None = None) -> Snapshot | None:
    """The newest (or the given) version of the table at root; None where there is no table.

    Raises:
        HistoryGone: the given version is not there, or no longer.
        EnvironmentFault: the log is damaged.
    """
    if not (root / "_delta_log").is_dir():
        return None
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    with _translated(root):
        try:
            return Snapshot(root, DeltaTable(str(root), version=version))
        except DeltaError as error:
            if version is not None and any(sign in str(error) for sign in _NO_SUCH_VERSION):
                raise HistoryGone(f"version {version} of {root} is not there") from error
            raise


def create(
    root: Path,
    columns: Mapping[str, str],
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    *,
    replace: bool = False,
) -> Snapshot:
    """Create an empty table, or replace one whose partitioning changes.

    Properties outside Delta's own list are kept as they are (`delta.userMetadata` among them).
    """
    from deltalake import DeltaTable

    from_version = -1
    if replace and (existing := open_table(root)):
        from_version = existing.version
    with _translated(root):
        fresh = [folder for folder in (root, *root.parents) if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            str(root),
            schema=_schema(columns),
            mode="overwrite" if replace else "ignore",
            partition_by=list(partition_by),
            configuration=_PROPERTIES | dict(properties or {}),
            raise_if_key_not_exists=False,
            commit_properties=_commit_properties({BUILT_FROM: 0} if replace else {}, {}),
        )
        snapshot = Snapshot(root, table)
        _make_durable(root, range(from_version + 1, snapshot.version + 1))
        for folder in fresh:
            _sync(folder.parent)
    return snapshot


def commit(
    snapshot: Snapshot,
    *,
    add: Sequence[DataFile] = (),
    remove: Sequence[DataFile] = (),
    progress: Mapping[str, int] | None = None,
    info: Mapping[str, str] | None = None,
    overwrite: Mapping[str, str] | None = None,
) -> Snapshot:
    """Publish files and progress in one atomic log entry, on disk when this returns.

    Give no files to record progress alone. `overwrite` (columns and types) replaces the whole
    content and the schema. Every commit should name its progress: two writers that consumed the
    same source then collide instead of writing twice.

    Raises:
        TransientError: another commit came in between; nothing was published.
        DataError: the table is append-only and the commit removes rows; nothing was published.
        EnvironmentFault: no room, no permission, or features Boathouse does not write; nothing was published.
    """
    snapshot._refuse_foreign_features(to_write=True)
    with _translated(snapshot.root):
        # data first: a log entry must never refer to a file that a power loss can still take away
        _sync_files(snapshot.root, [file.path for file in add])
        snapshot._table.create_write_transaction(
            [_add_action(file) for file in add] + [_remove_action(file) for file in remove],
            mode="append" if overwrite is None else "overwrite",
            schema=_schema(overwrite or snapshot.columns),
            partition_by=list(snapshot.partition_by),
            commit_properties=_commit_properties(progress or {}, info or {}),
        )
        return _published(snapshot)


def add_columns(snapshot: Snapshot, columns: Mapping[str, str]) -> Snapshot:
    """Add columns; rows written before read NULL there."""
    with _translated(snapshot.root):
        snapshot._table.alter.add_columns(_schema(columns).fields)
        return _published(snapshot)


def set_properties(snapshot: Snapshot, properties: Mapping[str, str]) -> Snapshot:
    """Set table properties where they differ; a key Delta does not know is kept too."""
    wanted = {key: value for key, value in properties.items() if snapshot.properties.get(key) != value}
    if not wanted:
        return snapshot
    with _translated(snapshot.root):
        snapshot._table.alter.set_table_properties(wanted, raise_if_not_exists=False)
        return _published(snapshot)


def check_restorable(root: Path, version: int) -> Snapshot:
    """The old version of a table, once it is sure that all of its files are still there.

    Raises:
        EnvironmentFault: vacuum or log clean-up removed it.
    """
    fix = "name a later release, or restore a backup"
    try:
        old = open_table(root, version)
    except (BoathouseError, HistoryGone):
        old = None
    if old is None:
        raise EnvironmentFault(f"version {version} is no longer in the log", where=root, fix=fix)
    lost = sum(not (root / file.path).exists() for file in old.files)
    if lost:
        raise EnvironmentFault(f"vacuum removed {lost} files of version {version}", where=root, fix=fix)
    return old


def restore(snapshot: Snapshot, version: int, sources: Sequence[str]) -> Snapshot:
    """Make an older version's rows, schema, properties and progress the newest; `sources` name the progress.

    Raises:
        EnvironmentFault: vacuum removed files of that version; nothing was changed.
    """
    old = check_restorable(snapshot.root, version)
    # progress that the old version did not have is set to -1, which every reader takes for "from the start"
    back = {name: -1 if (at := old.progress(name)) is None else at for name in (*sources, BUILT_FROM)}
    known = {
        name: at for name, at in back.items() if at != snapshot.progress(name) and snapshot.progress(name) is not None
    }
    with _translated(snapshot.root):
        snapshot._table.restore(version, commit_properties=_commit_properties(known, {}))
        return _published(snapshot)


def changes(snapshot: Snapshot, since: int) -> Changes:
    """What changed rows in versions since+1 .. snapshot.version, net of files that came and went again.

    Raises:
        HistoryGone: log clean-up or vacuum took a part of it, or the table was made anew since.
        EnvironmentFault: the log is damaged.
    """
    if since > snapshot.version:
        raise HistoryGone(f"{snapshot.root} has no version {since} any more")
    added: dict[str, DataFile] = {}
    removed: dict[str, DataFile] = {}
    rebuilt = False
    for version in range(since + 1, snapshot.version + 1):
        for action in _log_entry(snapshot.root, version):
            rebuilt = rebuilt or action.get("txn", {}).get("appId") == BUILT_FROM
            if (add := action.get("add")) and add["dataChange"]:
                added[add["path"]] = _logged_file(add)
            gone = action.get("remove")
            if gone and gone["dataChange"] and added.pop(gone["path"], None) is None:
                removed[gone["path"]] = _logged_file(gone)
    for file in (*added.values(), *removed.values()):
        if not (snapshot.root / file.path).exists():
            raise HistoryGone(f"{snapshot.root / file.path} was vacuumed")
    return Changes(tuple(added.values()), tuple(removed.values()), rebuilt)


def commit_info(root: Path, version: int) -> dict[str, Any]:
    """What a commit recorded about itself (run id, drift, ...); empty where the log entry is gone."""
    try:
        return next((action["commitInfo"] for action in _log_entry(root, version) if "commitInfo" in action), {})
    except HistoryGone:
        return {}


def discard(root: Path, files: Sequence[DataFile]) -> None:
    """Remove written files that no commit will refer to."""
    for file in files:
        (root / file.path).unlink(missing_ok=True)


# -- upkeep: what changes no row


def expired(snapshot: Snapshot, hours: int, keep: Collection[int], now: float) -> tuple[Leftover, ...]:
    """The files of a table that no reader needs any more, as they lie on disk; changes nothing.

    Those that left the table more than `hours` ago and are in no version of `keep`, those older than that which no
    commit ever named, and what interrupted writes of the Delta library left behind. `now` in seconds since 1970.

    Raises:
        HistoryGone: a version of `keep` is not there.
        EnvironmentFault: the log is damaged.
    """
    root = snapshot.root
    kept = {file.path for version in keep if (old := open_table(root, version)) for file in old.files}
    with _translated(root):
        # both modes of the library's vacuum leave out what the other finds only when it is told of no version to keep
        named = snapshot._table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
    paths = [path for name in named if (path := _on_disk(root, name)) not in kept]
    # the library writes beside the place and moves: what a kill leaves there it never removes itself
    cut = now - min(hours, _LEFTOVER_HOURS) * 3600
    paths += [str(path.relative_to(root)) for path in root.rglob("*#*") if path.is_file() and _mtime(path) <= cut]
    return tuple(Leftover(path, (root / path).stat().st_size) for path in sorted(set(paths)) if (root / path).exists())


def remove(root: Path, files: Iterable[Leftover]) -> None:
    """Remove files that no reader needs any more, and the folders that became empty.

    No commit says so, and none is needed: the log names a file of an older version whether it is there or not.
    """
    with _translated(root):
        folders: set[Path] = set()
        for file in files:
            (root / file.path).unlink(missing_ok=True)
            folders.update(parent for parent in (root / file.path).parents if parent != root and root in parent.parents)
        for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
            if not any(folder.iterdir()):
                folder.rmdir()


def shorten_log(snapshot: Snapshot) -> int:
    """Remove log entries that are past their retention and before a checkpoint; returns how many went.

    A checkpoint is written where the newest is LOG_ENTRIES or more versions old: opening the table reads no more.
    """
    log = snapshot.root / "_delta_log"
    checkpoints = [int(path.name[:20]) for path in log.glob("*.checkpoint*.parquet") if path.name[:20].isdigit()]
    with _translated(snapshot.root):
        if snapshot.version - max(checkpoints, default=0) >= LOG_ENTRIES:
            snapshot._table.create_checkpoint()
            _make_durable(snapshot.root, range(snapshot.version, snapshot.version + 1))
        before = len(list(log.iterdir()))
        snapshot._table.cleanup_metadata()
    return before - len(list(log.iterdir()))


def crowded(snapshot: Snapshot) -> dict[tuple[str | None, ...], tuple[DataFile, ...]]:
    """The partitions that hold SMALL_FILES or more files below SMALL bytes, with these files."""
    small: dict[tuple[str | None, ...], list[DataFile]] = {}
    for file in snapshot.files:
        if file.size < SMALL:
            small.setdefault(tuple(file.partition.get(name) for name in snapshot.partition_by), []).append(file)
    return {partition: tuple(files) for partition, files in small.items() if len(files) >= SMALL_FILES}


def compact(snapshot: Snapshot, partition: Sequence[str | None]) -> Snapshot:
    """Write the small files of one partition as few large ones; no row changes, and no reader of changes sees one."""
    with _translated(snapshot.root):
        snapshot._table.optimize.compact(_only(snapshot, partition), target_size=_TARGET)
        return _published(snapshot)


def unordered(snapshot: Snapshot) -> tuple[tuple[str | None, ...], ...]:
    """The partitions that hold files which came since the last z-order."""
    since = snapshot.progress(_ORDERED)
    try:
        came = {file.path for file in changes(snapshot, since).added} if since is not None else None
    except HistoryGone:
        came = None
    files = (file for file in snapshot.files if came is None or file.path in came)
    return tuple(dict.fromkeys(tuple(file.partition.get(name) for name in snapshot.partition_by) for file in files))


def z_order(snapshot: Snapshot, columns: Sequence[str], partitions: Sequence[Sequence[str | None]]) -> Snapshot:
    """Write the rows of these partitions so that rows near each other in these columns lie together.

    A last commit records how far the table is in order, so that `unordered` names only what came since; a crash
    before it costs the work done and nothing else.
    """
    with _translated(snapshot.root):
        for partition in partitions:
            snapshot._table.optimize.z_order(columns, _only(snapshot, partition), target_size=_TARGET)
        # by itself: with 1.6.6 an optimize takes commit properties and leaves the txn out
        return commit(_published(snapshot), progress={_ORDERED: snapshot.version})


def lifetimes(root: Path) -> dict[str, tuple[int, int | None]]:
    """From which version on each file was part of the table, and from which no longer, as far as the log tells."""
    found: dict[str, tuple[int, int | None]] = {}
    for path in sorted((root / "_delta_log").glob("*.json")):
        version = int(path.stem) if path.stem.isdigit() else -1
        for action in _log_entry(root, version) if version >= 0 else ():
            if add := action.get("add"):
                found[unquote(add["path"])] = (version, None)
            elif gone := action.get("remove"):
                name = unquote(gone["path"])
                found[name] = (found.get(name, (0, None))[0], version)
    return found


def _only(snapshot: Snapshot, partition: Sequence[str | None]) -> list[tuple[str, str, str]] | None:
    """One partition in the Delta library's words, in which an empty text is NULL."""
    return [(name, "=", value or "") for name, value in zip(snapshot.partition_by, partition, strict=True)] or None


def _on_disk(root: Path, name: str) -> str:
    """A path as the library names it; it may be encoded as in the log, while files on disk never are."""
    return name if (root / name).exists() else unquote(name)


def _mtime(path: Path) -> float:
    return path.stat().st_mtime


# -- Delta's actions


def _add_action(file: DataFile) -> Any:
    from deltalake.transaction import AddAction

    return AddAction(
        path=file.path,
        size=file.size,
        partition_values=dict(file.partition),
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),  # no minimum and maximum: see _PROPERTIES
    )


def _remove_action(file: DataFile) -> Any:
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path, True, int(time.time() * 1000), file.size, dict(file.partition))


def _commit_properties(progress: Mapping[str, int], info: Mapping[str, str]) -> Any:
    from deltalake import CommitProperties, Transaction

    now = int(time.time() * 1000)
    return CommitProperties(
        app_transactions=[Transaction(source, version, now) for source, version in progress.items()],
        custom_metadata=dict(info) or None,
    )


def _schema(columns: Mapping[str, str]) -> Any:
    from deltalake import Field, Schema
    from deltalake.schema import ArrayType, PrimitiveType

    def delta(kind: str) -> Any:
        if kind.endswith("[]"):
            return ArrayType(delta(kind[:-2]), contains_null=True)
        if kind.startswith("DECIMAL"):
            return PrimitiveType(kind.lower())
        return PrimitiveType(_DELTA_TYPES[kind])

    return Schema([Field(name, delta(kind), nullable=True) for name, kind in columns.items()])


def _sql_type(kind: Any) -> str:
    if getattr(kind, "element_type", None) is not None:
        return _sql_type(kind.element_type) + "[]"
    name = str(kind.type)
    if name.startswith("decimal"):
        return name.upper().replace(" ", "")
    return _SQL_TYPES.get(name, name.upper())


def _partition_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# -- the log on disk


def _log_entry(root: Path, version: int) -> Iterator[dict[str, Any]]:
    path = root / "_delta_log" / f"{version:020d}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HistoryGone(f"{path} was cleaned up") from None
    except UnicodeDecodeError as error:
        raise _damaged(path, "not text in UTF-8") from error
    for line in text.split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise _damaged(path, f"not JSON: {error}") from error


def _logged_file(action: Mapping[str, Any]) -> DataFile:
    stats = json.loads(action.get("stats") or "{}")
    return DataFile(
        path=unquote(action["path"]),
        size=action.get("size") or 0,
        rows=stats.get("numRecords", 0),
        partition=action.get("partitionValues") or {},
    )


def _published(before: Snapshot) -> Snapshot:
    """The table after a commit made through `before`, once every log entry since then is on disk."""
    after = open_table(before.root)
    if after is None:
        raise EnvironmentFault("the table vanished while it was written", where=before.root)
    _make_durable(before.root, range(before.version + 1, after.version + 1))
    return after


def _make_durable(root: Path, versions: range) -> None:
    """Force log entries to disk.

    delta-rs never calls fsync: without this a power loss could take a commit back after the next
    layer has consumed it.
    """
    log = root / "_delta_log"
    for version in versions:
        for entry in (log / f"{version:020d}.json", log / f"{version:020d}.checkpoint.parquet"):
            if entry.exists():
                _sync(entry)
    _sync(log)
    _sync(root)


def _sync_files(root: Path, paths: Sequence[str]) -> None:
    """Force data files, and the folders that name them, to disk."""
    folders: set[Path] = set()
    for path in paths:
        _sync(root / path)
        folders.update(parent for parent in (root / path).parents if parent.is_relative_to(root))
    for folder in folders:
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- Delta's errors as ours

_NO_ROOM = ("os error 28", "os error 27", "os error 122", "No space left", "File too large", "Resources exhausted")
_NO_ACCESS = ("os error 13", "os error 1)", "os error 30", "Permission denied", "Read-only file system")
_NOT_ALLOWED = ("append-only", "Table features must be specified")  # no retry will help
_NO_SUCH_VERSION = ("No files in log segment", "not the same as the specified end version")
_DAMAGED = ("Json error", "Invalid Checkpoint", "found gap", "No table metadata or protocol", "Parquet")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def _translated(root: Path) -> Iterator[None]:
    """Every failure of the Delta library as one of ours, told by type first and by text where it must be."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except (BoathouseError, HistoryGone):
        raise
    except OSError as error:
        if error.errno is not None:
            raise from_os_error(error, root) from error
        raise _by_text(error, root) from error
    except CommitFailedError as error:
        found = _by_text(error, root)
        if isinstance(found, EnvironmentFault) or any(sign in str(error) for sign in _NOT_ALLOWED):
            raise found from error
        fix = "another writer committed first; run again"
        raise TransientError(_first_line(error), where=root, fix=fix) from error
    except DeltaError as error:
        raise _by_text(error, root) from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise _by_text(error, root) from error  # how delta-rs raises what is wrong with a schema


def _by_text(error: Exception, root: Path) -> BoathouseError:
    text = _COLOURS.sub("", str(error))
    if any(sign in text for sign in _NO_ROOM):
        fix = "free some space, then run again: nothing half-written is visible"
        return EnvironmentFault("no space left on device", where=root, fix=fix)
    if any(sign in text for sign in _NO_ACCESS):
        fix = "give the user that runs the pipeline access to it"
        return EnvironmentFault("permission denied", where=root, fix=fix)
    if any(sign in text for sign in _DAMAGED):
        return _damaged(root, _first_line(error))
    return DataError(_first_line(error), where=root)


def _damaged(where: Path, found: str) -> EnvironmentFault:
    return EnvironmentFault(f"damaged table: {found}", where=where, fix="`make check` names the damage")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


# -- what the log tells of cost


def bytes_written(snapshot: Snapshot, since: float) -> int:
    """Bytes of all files that commits added since a moment (seconds since 1970), as far back as the log goes."""
    written = 0
    for version in range(snapshot.version, -1, -1):
        try:
            actions = list(_log_entry(snapshot.root, version))
        except HistoryGone:
            break
        if any(action["commitInfo"].get("timestamp", 0) < since * 1000 for action in actions if "commitInfo" in action):
            break
        written += sum(action["add"].get("size") or 0 for action in actions if "add" in action)
    return written


# -- what a copy of a table needs


def log_files(snapshot: Snapshot) -> list[str]:
    """The files of the log from which this version can be opened without the rest, relative to the table.

    The last checkpoint at or before it and every commit since the oldest that is still there without a gap.
    `_last_checkpoint` is not among them: it may name a checkpoint of a later version, and nobody needs it.
    """
    names = sorted(path.name for path in (snapshot.root / "_delta_log").iterdir())
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
    sidecars = (snapshot.root / "_delta_log" / "_sidecars").glob("*.parquet")
    return [f"_delta_log/{name}" for name in kept] + [f"_delta_log/_sidecars/{path.name}" for path in sidecars]


_IN_LOG = re.compile(r"(\d{20})\.(json|checkpoint\.[\w.-]+)$")
