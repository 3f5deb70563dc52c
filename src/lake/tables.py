"""Tables and their versions: opened, created, committed to, restored; what changed rows between two versions.

A table carries its own progress: every commit records, as Delta `txn` actions, how far each input
was consumed, in the same atomic log entry as the data. There is no other state.

Commits are made from Parquet files that the engine has already written (`DataFile`): one log entry
adds and removes files. A crash before the entry leaves files nobody refers to, which readers never
see and vacuum removes; a crash after it leaves a finished commit.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import replace as replaced
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from src import store
from src.errors import BoathouseError, MachineError
from src.lake import formats, log
from src.lake.errors import NO_SUCH_VERSION, HistoryGone, damaged, translated
from src.lake.log import DataFile, entry, logged_file

if TYPE_CHECKING:
    from deltalake import DeltaTable

LAYERS = ("bronze", "silver", "gold")
BUILT_FROM = "contract"  # txn app id: the fingerprint of the contract a table's rows were built with
APPEND_ONLY = {"delta.appendOnly": "true"}  # properties of a table whose rows are only ever added
_HASHES = "sha256"  # in a commit: of each file that it adds
_NO_PROGRESS: Mapping[str, int] = {}
_NO_INFO: Mapping[str, str] = {}
_NO_HASHES: Mapping[str, str] = {}
_PROPERTIES = {
    "delta.checkpointInterval": "10",  # a table of 362 files opens in 3 ms, with 13 entries since a checkpoint in 6
    "delta.logRetentionDuration": "interval 60 days",
    "delta.deletedFileRetentionDuration": "interval 168 hours",
    # Engines skip files by partition, by the files' own footers, and by the one column that is indexed. Where the log
    # tells the least and greatest value of some columns only, deltalake's to_pyarrow_dataset finds no row by any
    # other that it should tell, and there is always one for which it cannot: long text, NaN, a column added later.
    "delta.dataSkippingNumIndexedCols": "0",
}
_INDEXED = "delta.dataSkippingStatsColumns"
_INDEXABLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}  # whose values every engine reads from the log as they are
_PLAIN_PATH = re.compile("[A-Za-z0-9_=./-]+")
_MAYBE_NULL = {None, "", "NULL", "__HIVE_DEFAULT_PARTITION__"}  # values of partitions
_PLAIN_NAME = re.compile("[A-Za-z_][A-Za-z_0-9]*")
# The newest version of each table that was opened, so that a run reads a log once and not at every step: it is known
# to be the newest as long as the log's newest entry is the same file.
_newest: dict[Path, tuple[log.Mark, Snapshot]] = {}
# The marks that were looked at, while everything is to be seen at one moment.
_looked: ContextVar[dict[Path, log.Mark | None] | None] = ContextVar("_looked", default=None)
_unchanged: dict[Path, log.Mark | None] = {}  # the marks of tables that nobody else changes now
_listed: dict[Path, dict[str, Path]] = {}  # their folders, by lake
_turns: dict[Path, threading.RLock] = {}  # of whoever loads a table
# What earlier processes knew of tables, each looked at when the table is first opened: src/lake/known.py.
_earlier: dict[Path, Callable[[], Snapshot | None]] = {}
_FEW_NAMES = 32  # of progress that are all kept of a table: one of many files has recorded each of these
SAME_TEXT = {"VARCHAR", "DATE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}  # as the engine writes it, and the library
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


@dataclass(frozen=True)
class Changes:
    """The files that came and went between two versions, as far as rows changed (compaction does not).

    The log does not say how many rows a removed file had: they count 0 here.

    `rebuilt`: the table was rebuilt under another contract in between, so a row's provenance says
    nothing about whether it is the same row.
    """

    added: tuple[DataFile, ...]
    removed: tuple[DataFile, ...]
    rebuilt: bool = False


class Snapshot:
    """One version of one table; a commit made through it fails if another writer came in between."""

    def __init__(self, root: Path, table: DeltaTable) -> None:
        self.root = root
        self.read_at = log.file_time()  # when its log was read, or that of the version which commits made it of
        self.own: Mapping[str, log.FileMark] = {}  # entries that commits of this process added since
        self.version = int(table.version())
        self._loaded: DeltaTable | None = table
        self._progress: dict[str, int | None] = {}

    @classmethod
    def of_facts(cls, root: Path, facts: Mapping[str, Any]) -> Snapshot:
        """Return a snapshot as its `facts` say, without opening the table: that is done once more is wanted of it."""
        formats.refuse_newer(root, facts["properties"])
        snapshot = cls.__new__(cls)
        snapshot.root, snapshot.version, snapshot._loaded = root, facts["version"], None
        snapshot.read_at, snapshot.own = log.file_time(), {}
        snapshot._progress, snapshot._no_others = dict(facts["progress"]), facts.get("no_others", False)
        snapshot.__dict__ |= {
            "columns": facts["columns"],
            "partition_by": tuple(facts["partition_by"]),
            "identity": facts["identity"],
            "properties": facts["properties"],
            "_listed": facts["files"],  # JSON text: a table has many, and few are asked for theirs
        }
        return snapshot

    def facts(self) -> dict[str, Any]:
        """Return what is known of this version, as JSON has it; its files where they were asked for."""
        listed = _as_text(self.files) if self._listed is None and "files" in self.__dict__ else self._listed
        known = self._facts_with(listed, self._progress)
        return {**known, "no_others": self._no_others, "commits": log.known_commits(self.root)}

    def only(self, files: Sequence[DataFile]) -> Snapshot:
        """Return this version as if it had these of its files alone; its log is not opened for what is asked of it."""
        return Snapshot.of_facts(self.root, self._facts_with(_as_text(files), {}))

    def __reduce__(self) -> tuple[object, ...]:
        """Return how another process has this version: as `only` does, with all files."""
        return Snapshot.of_facts, (self.root, self._facts_with(_as_text(self.files), {}))

    def _facts_with(self, files: str | None, progress: Mapping[str, int | None]) -> dict[str, Any]:
        return {
            "version": self.version,
            "columns": self.columns,
            "partition_by": self.partition_by,
            "identity": self.identity,
            "properties": self.properties,
            "progress": progress,
            "files": files,
        }

    @property
    def known(self) -> int:
        """Return how much of it is known that was asked for one by one."""
        has_files = "files" in self.__dict__ or self._listed is not None
        return has_files + len(self._progress) + log.count_commits(self.root)

    def followed(
        self, table: DeltaTable, add: Sequence[DataFile], remove: Sequence[DataFile], progress: Mapping[str, int]
    ) -> Snapshot:
        """Return the next version, which a commit made of this one: what is known of it need not be read.

        `table` is what `moving` gave; it is brought to that version once more is wanted of it.
        """
        after = Snapshot.__new__(Snapshot)
        after.root, after.version = self.root, self.version + 1
        after._continue(self)
        after._loaded, after._behind = None, table
        after._no_others = self._no_others and len({*self._progress, *progress}) <= _FEW_NAMES
        after._progress = {name: progress.get(name, at) for name, at in self._progress.items()}
        if after._no_others:
            after._progress |= progress
        kept = ("columns", "partition_by", "identity", "properties")
        after.__dict__ |= {name: value for name, value in vars(self).items() if name in kept}
        keys = {self.columns[name] for name in self.partition_by}
        if (
            ("files" in vars(self) or self._listed is not None)
            and keys <= SAME_TEXT
            and all(_is_plain(file) for file in add)
        ):
            gone = {file.path for file in remove}
            new = (file.with_bounds_of((self.indexed,) if self.indexed else ()) for file in add)
            vars(after)["files"] = (*new, *(file for file in self.files if file.path not in gone))
        return after

    def _continue(self, before: Snapshot) -> None:
        """Take note that this version was made of another one by commits of this process."""
        new = range(before.version + 1, self.version + 1)
        self.read_at, self.own = before.read_at, {**before.own, **log.entry_marks(self.root, new)}

    _no_others: bool = False  # whether nothing was recorded but what `_progress` has
    _listed: str | None = None  # the files, as facts have them
    _behind: DeltaTable | None = None  # the library's table, at the version before

    @property
    def _table(self) -> DeltaTable:
        """Return the library's table at this version; loaded again where the one it came with has moved on."""
        with _turns.setdefault(self.root, threading.RLock()):  # several steps at once may read one table
            if self._loaded is None and self._behind is not None:
                table, self._behind = self._behind, None
                with translated(self.root):
                    table.update_incremental()
                self._loaded = table if int(table.version()) == self.version else None
            if self._loaded is None:
                self._loaded = _load(self.root, self.version)
            return self._loaded

    def moving(self) -> DeltaTable:
        """Return the library's table to change it: it moves on to the next version, this snapshot keeps its own.

        Raises:
            LockedError: this process held the lake, and does no more.
        """
        log.check_held()
        table, self._loaded = self._table, None
        return table

    @cached_property
    def columns(self) -> dict[str, str]:
        """Return column names and DuckDB types, in order."""
        return {field.name: _sql_type(field.type) for field in self._table.schema().fields}

    @cached_property
    def partition_by(self) -> tuple[str, ...]:
        """Return the names of the partition columns."""
        return tuple(self._table.metadata().partition_columns)

    @property
    def logs(self) -> tuple[Snapshot, ...]:
        """Return the tables in whose logs its progress stands: itself."""
        return (self,)

    @property
    def append_only(self) -> bool:
        """Return whether rows are only ever added."""
        return APPEND_ONLY.items() <= self.properties.items()

    def partition_of(self, file: DataFile) -> tuple[str | None, ...]:
        """Return the partition of a file as its values' text, in the order of `partition_by`."""
        return tuple(file.partition[name] for name in self.partition_by)

    @cached_property
    def indexed(self) -> str | None:
        """Return the column whose least and greatest value the log has for each file written since it is set."""
        name = self.properties.get(_INDEXED)
        return name if name and self.columns.get(name) in _INDEXABLE else None

    @cached_property
    def identity(self) -> int:
        """Return a number of 63 bits that is this table's and no other's, a re-created one's included."""
        return uuid.UUID(str(self._table.metadata().id)).int >> 65

    @cached_property
    def properties(self) -> dict[str, str]:
        """Return the table's properties."""
        return dict(self._table.metadata().configuration)

    @property
    def format(self) -> int:
        """Return the number of the format that the table is written in."""
        return formats.format_of(self.root, self.properties)

    @cached_property
    def files(self) -> tuple[DataFile, ...]:
        """Return the files that hold this version's rows.

        Raises:
            MachineError: they say so in a way Boathouse does not read.
        """
        if self._listed is not None:
            return tuple(_listed_file(*facts) for facts in json.loads(self._listed))
        self._refuse_foreign_features()
        with translated(self.root):
            actions = self._table.get_add_actions(flatten=True)
        paths, sizes, rows = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
        partitions = {name: actions[f"partition.{name}"].to_pylist() for name in self.partition_by}
        bounds = self._bounds(actions)
        return tuple(
            DataFile(
                path=unquote(path),
                size=sizes[at],
                rows=rows[at] or 0,
                partition={name: _partition_text(values[at]) for name, values in partitions.items()},
                bounds=bounds[at] if bounds else {},
            )
            for at, path in enumerate(paths)
        )

    def _bounds(self, actions: Any) -> list[dict[str, tuple[str, str]]]:
        """Return the indexed column's least and greatest value of each file, as far as the log has them."""
        ends = [f"{end}.{self.indexed}" for end in ("min", "max")]
        if not self.indexed or not set(ends) <= set(actions.schema.names):
            return []
        pairs = zip(*(actions[end].to_pylist() for end in ends), strict=True)
        return [{} if None in pair else {self.indexed: (str(pair[0]), str(pair[1]))} for pair in pairs]

    @property
    def rows(self) -> int:
        """Return the number of rows of this version."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Return the bytes of the files that hold this version's rows."""
        return sum(file.size for file in self.files)

    def progress(self, source: str) -> int | None:
        """Return up to which version the table has consumed a source, as its own commits say; None for never."""
        if self._no_others:
            return self._progress.setdefault(source, None)
        if source not in self._progress:  # the library looks for it among all that there is, each time
            with translated(self.root):
                version = self._table.transaction_version(source)
            self._progress[source] = None if version is None else int(version)
        return self._progress[source]

    @property
    def all_progress(self) -> Mapping[str, int | None] | None:
        """Return all progress there is, and None for some inputs of which there is none; None: it is not known."""
        return self._progress if self._no_others else None

    @property
    def built_from(self) -> int | None:
        """Return the fingerprint of the logic that the rows were built with; None where no contract says it."""
        return self.progress(BUILT_FROM)

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
            raise MachineError(
                f"the table uses {', '.join(sorted(foreign))}, which Boathouse does not {verb}",
                where=self.root,
                fix="another engine switched this on; restore the table, or rewrite it without the feature",
            )


def _as_text(files: Sequence[DataFile]) -> str:
    """Return files as `Snapshot.of_facts` takes them."""
    return json.dumps([(file.path, file.size, file.rows, file.partition, file.bounds) for file in files])


def identity_of(source: str) -> str:
    """Return the progress name of a source's identity: versions of another table under its id say nothing."""
    return f"identity:{source}"


def entry_of(source: str) -> str:
    """Return the progress name of the hash of the consumed version's log entry; -1 where that was gone."""
    return f"entry:{source}"


def consumed(sources: Mapping[str, Snapshot]) -> dict[str, int]:
    """Return the progress to record where these versions of sources are consumed: their numbers, and what they were."""
    entries = {name: log.entry_hash(source.root, source.version) for name, source in sources.items()}
    numbers = {name: source.version for name, source in sources.items()}
    return numbers | {entry_of(name): -1 if found is None else found for name, found in entries.items()}


def is_another(consumer: Snapshot, name: str, source: Snapshot) -> bool:
    """Return True if the version that a table consumed of a source is not what the source now has under that number.

    So it is where the newest entries of the source's log were lost: the next commits take their numbers. A table that
    did not record what it consumed, and an entry that log clean-up took, raise no alarm.
    """
    at, entry = consumer.progress(name), consumer.progress(entry_of(name))
    if at is None or at < 0:
        return False
    if at > source.version and ((newest := open_table(source.root)) is None or at > newest.version):
        return True
    found = log.entry_hash(source.root, at) if entry not in (None, -1) else None
    return found is not None and found != entry


NEWEST_EMPTY = "empties"  # progress of bronze: when the newest file without a row arrived, microseconds since 1970
_EMPTY = "empty:"


def empty_file(name: str, moment: int) -> str:
    """Return the progress name by which bronze remembers that a file without a row arrived, and when."""
    return f"{_EMPTY}{moment}:{name}"


def as_empty_file(progress: str) -> tuple[str, int] | None:
    """Return the file and moment of a progress name of `empty_file`; None for any other."""
    if not progress.startswith(_EMPTY):
        return None
    moment, _, name = progress.removeprefix(_EMPTY).partition(":")
    return name, int(moment)


def empties_of(source: str) -> str:
    """Return the progress name of the newest file without a row that a table consumed of a source."""
    return f"empties:{source}"


FORGOTTEN = "forgotten"  # progress of bronze: the version of its newest commit that took rows out of its files
_HELD_BACK = "held back"  # progress of bronze: when the newest file arrived of which rows were held back
_GONE = "gone:"


def forgotten_of(source: str) -> str:
    """Return the progress name of the newest commit that took rows out of a source, as a table has consumed it."""
    return f"{FORGOTTEN}:{source}"


def gone_rows(moment: int) -> str:
    """Return the progress name of how many rows were taken out of the landed file that arrived at a moment."""
    return f"{_GONE}{moment}"


def held_back(gone: Mapping[int, int]) -> dict[str, int]:
    """Return the progress that says how many rows of landed files never entered, by when these arrived."""
    return {gone_rows(moment): rows for moment, rows in gone.items()} | ({_HELD_BACK: max(gone)} if gone else {})


def rows_taken_out(bronze: Snapshot, read: Callable[[str], Sequence[tuple[str, int]]]) -> dict[int, int]:
    """Return how many rows of landed files were forgotten, by when these arrived, in microseconds since 1970.

    `read` gives the rows of a SELECT.
    """
    if bronze.progress(FORGOTTEN) is None and bronze.progress(_HELD_BACK) is None:
        return {}
    checkpoint, later = log.progress_log(bronze.root, bronze.version)
    every = dict(read(log.progress_sql(checkpoint)) if checkpoint else ()) | later
    return {int(name.removeprefix(_GONE)): rows for name, rows in every.items() if name.startswith(_GONE)}


def has_lost_rows(consumer: Snapshot, name: str, source: Snapshot) -> bool:
    """Return True if rows were taken out of a source that a table consumed before: it is to be computed whole."""
    newest = source.progress(FORGOTTEN)
    return newest is not None and consumer.progress(forgotten_of(name)) != newest


def waiting_of(source: str) -> str:
    """Return the progress name of the version up to which a source's rows wait in quarantine; -1 for none."""
    return f"waiting:{source}"


def waits(quarantine: Snapshot, source: str) -> bool:
    """Return whether rows of a source wait in a quarantine for a load that passes."""
    return quarantine.progress(waiting_of(source)) not in (None, -1)


def index(column: str, kind: str) -> dict[str, str]:
    """Return the property by which a table's log tells the least and greatest value of a column in each file.

    It tells those of no column where the values of this one are not in a log as they are.
    """
    return {_INDEXED: column if kind in _INDEXABLE and _PLAIN_NAME.fullmatch(column) else ""}


@lru_cache(maxsize=10_000)  # asked five times a step; and the same path is found faster in what is known of tables
def table_path(data: Path, table_id: str) -> Path:
    """Return where a table lies: silver.sales.order_lines is the folder silver/sales/order_lines below data."""
    return data.joinpath(*table_id.split("."))


def is_table(root: Path) -> bool:
    """Return whether a folder is a table; of one that was opened it is known."""
    return (store.is_remote(root) and root in _newest) or log.is_table(root)


def open_table(root: Path, version: int | None = None) -> Snapshot | None:
    """Return the newest (or the given) version of the table at root; None where there is no table.

    Raises:
        HistoryGone: the given version is not there, or no longer.
        MachineError: the log is damaged.
    """
    mark = _mark(root)
    if mark is None:
        return None
    known = _newest.get(root)
    if not known or known[0] != mark:
        _refuse_misread_folder(root)
        if (kept := _earlier.pop(root, None)) and (snapshot := kept()):
            known = _newest[root] = mark, snapshot  # an entry that came in after the mark shows as another mark
    if known and known[0] == mark and version in (None, known[1].version):
        return known[1]
    began = log.file_time()
    found = Snapshot(root, _load(root, version))
    found.read_at = began
    if version in (None, log.newest_version(mark)):
        _newest[root] = mark, found
    return found


def known() -> dict[Path, tuple[log.Mark, Snapshot]]:
    """Return the newest version of each table that was opened, as far as that is known, with its log's mark."""
    return dict(_newest)


@contextmanager
def one_moment() -> Iterator[None]:
    """Ask each log once what its newest entry is, for what only looks: all of a with-block sees the same versions."""
    looked = _looked.set(_looked.get() or {})
    try:
        yield
    finally:
        _looked.reset(looked)


def _mark(root: Path) -> log.Mark | None:
    seen = _looked.get()
    if seen is None and store.is_remote(root) and log.is_changed_here_alone(root):
        seen = _unchanged
    if seen is None:
        return log.mark(root)
    if root not in seen:
        seen[root] = log.mark(root)
    return seen[root]


def _keep_newest(root: Path, mark: log.Mark, snapshot: Snapshot) -> None:
    """Take note of the newest version of a table, which a commit of this process made."""
    _newest[root] = mark, snapshot
    _unchanged.pop(root, None)


def forget_marks() -> None:
    """Look at each log again: from now on, or until now, other processes may change tables."""
    _unchanged.clear()
    _listed.clear()


def listed(data: Path, read: Callable[[], dict[str, Path]]) -> dict[str, Path]:
    """Return the tables of a lake as `read` lists them, once for as long as nobody but this process makes one.

    So it is of a lake in an object store, where each folder is a request.
    """
    if not (store.is_remote(data) and log.is_changed_here_alone(data / LAYERS[0])):
        return read()
    if data not in _listed:
        _listed[data] = read()
    return dict(_listed[data])


def tell(kept: Mapping[Path, Callable[[], Snapshot | None]]) -> None:
    """Take in what earlier processes knew of tables: a function each, which is called when the table is first opened.

    It returns the newest version as long as the log is the same, else None.
    """
    _earlier.update(kept)


def forget(root: Path) -> None:
    """Read a table's log from disk at its next opening: somebody changed an entry of it, which no writer ever does."""
    _newest.pop(root, None)
    _unchanged.pop(root, None)
    _earlier.pop(root, None)


def _load(root: Path, version: int | None = None) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    with translated(root):
        try:
            table = DeltaTable(str(root), version=version)
        except DeltaError as error:
            if version is not None and any(sign in str(error) for sign in NO_SUCH_VERSION):
                raise HistoryGone(f"damaged table: no version {version}", where=root) from error
            raise
        formats.refuse_newer(root, table.metadata().configuration)
        return table


def _refuse_misread_folder(root: Path) -> None:
    """Refuse a folder that the Delta library (1.6.6) writes to by its name, and looks for by another: %41 as A."""
    if store.is_remote(root):
        return  # the setting takes no such name
    path = str(root.absolute())
    taken_for = unquote(path).replace("\\", "/")
    if taken_for != path:
        fix = "rename the folder, or move the lake (DATA_DIR)"
        raise MachineError(f"the Delta library takes {path} for {taken_for}", where=root, fix=fix)


def make_folder(root: Path) -> None:
    """Make the folder of a table where it is not there yet, on disk when this returns: files may be written to it.

    Raises:
        MachineError: no room, no permission, or a name that the Delta library takes for another.
    """
    if store.is_remote(root):
        return  # objects need none
    _refuse_misread_folder(root)
    with translated(root):
        fresh = [folder for folder in (root, *root.parents) if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        for folder in fresh:
            log.sync(folder.parent)


def create(
    root: Path,
    columns: Mapping[str, str],
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    *,
    replace: bool = False,
    progress: Mapping[str, int] = _NO_PROGRESS,
    info: Mapping[str, str] = _NO_INFO,
) -> Snapshot:
    """Create an empty table, or replace one whose partitioning changes; `progress` and `info` are those of `commit`.

    Properties outside Delta's own list are kept as they are (`delta.userMetadata` among them).
    """
    from deltalake import DeltaTable

    log.check_held()
    make_folder(root)
    is_new = log.mark(root) is None
    recorded = {**progress, **({BUILT_FROM: 0} if replace else {})}
    from_version = -1
    if replace and (existing := open_table(root)):
        from_version = existing.version
    with translated(root):
        table = DeltaTable.create(
            str(root),
            schema=_schema(columns),
            mode="overwrite" if replace else "ignore",
            partition_by=list(partition_by),
            configuration=_PROPERTIES | formats.stamp() | dict(properties or {}),
            raise_if_key_not_exists=False,
            commit_properties=_commit_properties(recorded, info),
        )
        snapshot = Snapshot(root, table)
        snapshot.own = log.entry_marks(root, range(from_version + 1, snapshot.version + 1))
        log.make_durable(root, range(from_version + 1, snapshot.version + 1))
        mark = log.mark(root)
        if is_new and snapshot.version == 0 and mark and log.newest_version(mark) == 0:  # nobody came in between
            snapshot._progress, snapshot._no_others = dict(recorded), True
            vars(snapshot)["files"] = ()
            _newest[root] = mark, snapshot
    _unchanged.pop(root, None)
    _listed.clear()
    return snapshot


def commit(
    snapshot: Snapshot,
    *,
    add: Sequence[DataFile] = (),
    remove: Sequence[DataFile] = (),
    progress: Mapping[str, int] | None = None,
    info: Mapping[str, str] | None = None,
    overwrite: Mapping[str, str] | None = None,
    same_rows: bool = False,
    hashes: Mapping[str, str] = _NO_HASHES,
) -> Snapshot:
    """Publish files and progress in one atomic log entry, on disk when this returns.

    Give no files to record progress alone. `overwrite` (columns and types) replaces the whole
    content and the schema. `same_rows`: the files added have the rows of those removed, so that no reader
    of changes sees one. Every commit should name its progress: two writers that consumed the
    same source then collide instead of writing twice.

    Of a table to which rows are only ever added it says the hash of each file: nothing else can make these rows again,
    so nothing else could tell that one rotted. `hashes`: those of files that stay, to be said again.

    Raises:
        TransientError: another commit came in between; nothing was published.
        DataError: the table is append-only and the commit removes rows; nothing was published.
        MachineError: no room, no permission, or features Boathouse does not write; nothing was published.
    """
    snapshot._refuse_foreign_features(to_write=True)
    if overwrite is not None and list(overwrite.items()) == list(snapshot.columns.items()) and not snapshot.files:
        overwrite = None  # there is nothing to replace
    with translated(snapshot.root):
        # data first: a log entry must never refer to a file that a power loss can still take away
        log.sync_files(snapshot.root, [file.path for file in add])
        if snapshot.append_only:
            new = {file.path: file.sha256 or log.digest(snapshot.root / file.path) for file in add}
            info = {**(info or {}), _HASHES: json.dumps({**hashes, **new})}
        changed = not same_rows
        actions = [_add_action(file, snapshot, changed) for file in add]
        actions += [_remove_action(file, changed) for file in remove]
        schema, partition_by = _schema(overwrite or snapshot.columns), list(snapshot.partition_by)
        table = snapshot.moving()
        table.create_write_transaction(
            actions,
            mode="append" if overwrite is None else "overwrite",
            schema=schema,
            partition_by=partition_by,
            commit_properties=_commit_properties(progress or {}, info or {}),
        )
        mark = log.mark(snapshot.root)
        if overwrite is not None or mark is None or log.newest_version(mark) != snapshot.version + 1:
            return published(snapshot, table)
        # the only entry since this version is our own
        after = snapshot.followed(table, add, remove, progress or {})
        log.make_durable(snapshot.root, range(after.version, after.version + 1))
        _keep_newest(snapshot.root, mark, after)
        return after


def settle(root: Path, files: Sequence[DataFile]) -> list[DataFile]:
    """Force files to disk and hash them, ahead of the commit that adds them; returns them with their hashes.

    Raises:
        MachineError: no room, or a disk that fails.
    """
    with translated(root):
        log.sync_files(root, [file.path for file in files])
        return [replaced(file, sha256=log.digest(root / file.path)) for file in files]


def add_columns(snapshot: Snapshot, columns: Mapping[str, str]) -> Snapshot:
    """Add columns; rows written before read NULL there."""
    with translated(snapshot.root):
        table = snapshot.moving()
        table.alter.add_columns(_schema(columns).fields)
        return published(snapshot, table)


def set_properties(
    snapshot: Snapshot, properties: Mapping[str, str], progress: Mapping[str, int] | None = None
) -> Snapshot:
    """Set table properties where they differ, and record progress in the same commit; changes no row.

    A key Delta does not know is kept too. Where no property differs there is no commit.
    """
    wanted = {key: value for key, value in properties.items() if snapshot.properties.get(key) != value}
    if not wanted:
        return snapshot
    with translated(snapshot.root):
        table = snapshot.moving()
        recorded = _commit_properties(progress or {}, {})
        table.alter.set_table_properties(wanted, raise_if_not_exists=False, commit_properties=recorded)
        return published(snapshot, table)


def check_restorable(root: Path, version: int) -> Snapshot:
    """Return the old version of a table, once it is sure that all of its files are still there.

    Raises:
        MachineError: vacuum or log clean-up removed it.
    """
    fix = "name a later release, or restore a backup"
    try:
        old = open_table(root, version)
    except BoathouseError:
        old = None
    if old is None:
        raise MachineError(f"version {version} is no longer in the log", where=root, fix=fix)
    lost = len(store.missing(root, [file.path for file in old.files]))
    if lost:
        raise MachineError(f"vacuum removed {lost} files of version {version}", where=root, fix=fix)
    return old


def restore(snapshot: Snapshot, version: int, sources: Sequence[str]) -> Snapshot:
    """Make an older version's rows, schema, properties and progress the newest; `sources` name the progress.

    Raises:
        MachineError: vacuum removed files of that version; nothing was changed.
    """
    old = check_restorable(snapshot.root, version)
    recorded = [*sources, *map(entry_of, sources)]
    # progress that the old version did not have is set to -1, which every reader takes for "from the start"
    back = {name: -1 if (at := old.progress(name)) is None else at for name in (*recorded, BUILT_FROM)}
    known = {
        name: at for name, at in back.items() if at != snapshot.progress(name) and snapshot.progress(name) is not None
    }
    with translated(snapshot.root):
        table = snapshot.moving()
        table.restore(version, commit_properties=_commit_properties(known, {}))
        return published(snapshot, table)


def changes(snapshot: Snapshot, since: int) -> Changes:
    """Return the files that came and went in versions since+1 .. snapshot.version, net of those that did both.

    Raises:
        HistoryGone: log clean-up or vacuum took a part of it, or the table was rebuilt since.
        MachineError: the log is damaged.
    """
    if since > snapshot.version:
        raise HistoryGone(f"damaged table: no version {since}", where=snapshot.root)
    added: dict[str, DataFile] = {}
    removed: dict[str, DataFile] = {}
    rebuilt = False
    for version in range(since + 1, snapshot.version + 1):
        for action in entry(snapshot.root, version):
            rebuilt = rebuilt or action.get("txn", {}).get("appId") == BUILT_FROM
            if (add := action.get("add")) and add["dataChange"]:
                added[add["path"]] = logged_file(add)
            gone = action.get("remove")
            if gone and gone["dataChange"] and added.pop(gone["path"], None) is None:
                removed[gone["path"]] = logged_file(gone)
    paths = [file.path for file in (*added.values(), *removed.values())]
    if store.is_remote(snapshot.root):  # a request each: those that the version still has are not gone
        paths = list({*paths} - {file.path for file in snapshot.files})
    for path in store.missing(snapshot.root, paths):
        raise HistoryGone(f"{path} is gone", where=snapshot.root)
    return Changes(tuple(added.values()), tuple(removed.values()), rebuilt)


def has_same_rows(snapshot: Snapshot, since: int) -> bool:
    """Return whether no row changed after a version, and the table was not rebuilt; False where nothing tells."""
    try:
        found = changes(snapshot, since)
    except HistoryGone:
        return False
    return not (found.added or found.removed or found.rebuilt)


def hashes(snapshot: Snapshot) -> dict[str, str]:
    """Return the SHA-256 of each file of which a commit that is still in the log says it: see `commit`.

    Raises:
        MachineError: the log is damaged.
    """
    found: dict[str, str] = {}
    for version in range(snapshot.version + 1) if snapshot.append_only else ():
        recorded = log.commit_info(snapshot.root, version).get(_HASHES)
        try:
            found |= json.loads(recorded) if recorded else {}
        except (ValueError, TypeError) as error:
            raise damaged(snapshot.root, f"version {version} has no hashes: {error}") from error
    return found


def discard(root: Path, files: Sequence[DataFile]) -> None:
    """Remove written files that no commit will refer to, and the folders below the table's that are empty then."""
    store.remove(root, [file.path for file in files])
    if store.is_remote(root):
        return
    folders = {folder for file in files for folder in Path(file.path).parents if folder.name}
    for folder in sorted(folders, reverse=True):  # one in another before that
        if (root / folder).is_dir() and not any((root / folder).iterdir()):
            (root / folder).rmdir()


def published(before: Snapshot, table: DeltaTable) -> Snapshot:
    """Return the table after a commit made through `before`, once every log entry since then is on disk.

    `table` is what `before.moving()` gave: it reads the entries since then only, not the whole log again.
    """
    mark = log.mark(before.root)  # first: an entry that comes in between shows as another mark
    table.update_incremental()
    after = Snapshot(before.root, table)
    after._continue(before)
    log.make_durable(before.root, range(before.version + 1, after.version + 1))
    if mark:
        _keep_newest(before.root, mark, after)
    return after


def _is_plain(file: DataFile) -> bool:
    """Return whether the log says of a file that was just written exactly what its writer did: nothing is escaped."""
    values = file.partition.values()
    return _PLAIN_PATH.fullmatch(file.path) is not None and all(value not in _MAYBE_NULL for value in values)


def _add_action(file: DataFile, table: Snapshot, changed: bool) -> Any:
    from deltalake.transaction import AddAction

    facts: dict[str, Any] = {"numRecords": file.rows}
    if table.indexed and (ends := file.bounds.get(table.indexed)):
        least, greatest = map(int, ends)
        facts |= {"minValues": {table.indexed: least}, "maxValues": {table.indexed: greatest}}
        facts |= {"nullCount": {table.indexed: 0}}
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values=dict(file.partition),
        modification_time=int(time.time() * 1000),
        data_change=changed,
        stats=json.dumps(facts),  # of no other column: see _PROPERTIES
    )


def _remove_action(file: DataFile, changed: bool) -> Any:
    from deltalake.transaction import RemoveAction

    return RemoveAction(file.path, changed, int(time.time() * 1000), file.size, dict(file.partition))


def _commit_properties(progress: Mapping[str, int], info: Mapping[str, str]) -> Any:
    from deltalake import CommitProperties, Transaction

    now = int(time.time() * 1000)
    return CommitProperties(
        app_transactions=[Transaction(source, version, now) for source, version in progress.items()],
        custom_metadata=dict(info) or None,
    )


def _schema(columns: Mapping[str, str]) -> Any:
    from deltalake import Field, Schema
    from deltalake.schema import ArrayType, PrimitiveType, StructType

    def delta(kind: str) -> Any:
        if kind.endswith("[]"):
            return ArrayType(delta(kind[:-2]), contains_null=True)
        if kind.startswith("STRUCT("):
            return StructType([Field(name, delta(inner), nullable=True) for name, inner in _fields(kind)])
        if kind.startswith("DECIMAL"):
            return PrimitiveType(kind.lower())
        return PrimitiveType(_DELTA_TYPES[kind])

    return Schema([Field(name, delta(kind), nullable=True) for name, kind in columns.items()])


def _fields(struct: str) -> list[tuple[str, str]]:
    """Return the names and types of a STRUCT("a" BIGINT, "b" VARCHAR[])."""
    inner = struct[len("STRUCT(") : -1]
    ends, depth = [-1], 0
    for at, sign in enumerate(inner):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            ends.append(at)
    parts = [inner[start + 1 : end].strip() for start, end in zip(ends, [*ends[1:], len(inner)], strict=True)]
    return [(name.strip('"'), kind) for name, _, kind in (part.partition(" ") for part in parts)]


def _sql_type(kind: Any) -> str:
    if getattr(kind, "element_type", None) is not None:
        return _sql_type(kind.element_type) + "[]"
    if getattr(kind, "fields", None) is not None:
        fields = (f'"{field.name}" {_sql_type(field.type)}' for field in kind.fields)
        return f"STRUCT({', '.join(fields)})"
    name = str(kind.type)
    if name.startswith("decimal"):
        return name.upper().replace(" ", "")
    return _SQL_TYPES.get(name, name.upper())


def _listed_file(
    path: str, size: int, rows: int, partition: Mapping[str, str | None], bounds: Mapping[str, Sequence[str]]
) -> DataFile:
    """Return a data file of a snapshot's facts, in which JSON has made lists of pairs."""
    return DataFile(path, size, rows, partition, {name: (least, most) for name, (least, most) in bounds.items()})


def _partition_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
