"""Tasks: what a worker does of one table's load, by the code that a run on one machine does it by.

A task is a function of an engine of its own and one plain description. It reads files that it is handed a list of,
and never a table's log; what it writes are new files, which nothing refers to until the driver's commit. So it may be
done twice, or by a worker that is lost: only the answer that reaches the driver counts.

Rows go from one stage to the next through files in a staging folder that all workers see, cut by a number: that of the
bucket their key's hash falls into, or of the home of their partition. What is decided of a key is decided of the rows
with its hash alone, so that a bucket gives what all rows would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from src import lake
from src.bronze import ingest
from src.bronze.appending import FileReader
from src.bronze.ingest import Landed
from src.checks import audits, rules
from src.checks.outcome import Outcome
from src.contract import PROVENANCE, Feed, Table
from src.engine import DuckEngine, identifier
from src.gold import cut as gold_cut
from src.gold import laws
from src.gold.computation import Computation
from src.gold.model import Model
from src.gold.written import written
from src.silver import contest, incoming, statements, winners
from src.silver.batch import Batch
from src.silver.project import CODES, REASONS, VALUES

Files = tuple[lake.DataFile, ...]
_NUMBER = "_to"  # the column by which staged rows are cut
LOCATED = {"_at": "VARCHAR", "_nth": "BIGINT"}
REJECTED = {REASONS: "VARCHAR[]", VALUES: "VARCHAR", **PROVENANCE, "_batch": "VARCHAR", CODES: "VARCHAR[]"}
CONFLICTS = {"_key": "VARCHAR"}


@dataclass(frozen=True)
class Staged:
    """Rows in files below a folder; those that are cut lie in one file or more for each number."""

    root: Path
    columns: Mapping[str, str]
    files: Files = ()
    partition_by: tuple[str, ...] = ()  # columns that the names of folders say

    def __add__(self, other: Staged) -> Staged:
        return Staged(self.root, self.columns, self.files + other.files)

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return sum(file.rows for file in self.files)

    def parts(self, count: int) -> list[Staged]:
        """Return the rows of each of so many numbers, in one pass over the files, which may be millions."""
        found: list[list[lake.DataFile]] = [[] for _ in range(count)]
        for file in self.files:
            found[int(str(file.partition[_NUMBER]))].append(file)
        return [Staged(self.root, self.columns, tuple(files)) for files in found]

    def relation(self, engine: DuckEngine, *, located: bool = False) -> str:
        """Return a relation of the rows; `located` is that of `DuckEngine.scan_files`."""
        return engine.scan_files(self.root, self.files, self.columns, self.partition_by, located=located)


def together(parts: Iterable[Staged], root: Path, columns: Mapping[str, str]) -> Staged:
    """Return the rows of several parts; these columns, where there is none."""
    return Staged(root, columns, tuple(file for part in parts for file in part.files))


@dataclass(frozen=True)
class Cut:
    """SQL whose hash says which of `count` numbers a row has; a row is cut alike wherever its types are the same."""

    by: tuple[str, ...]
    count: int

    @property
    def number(self) -> str:
        """Return SQL of a row's number."""
        return f"(hash({', '.join(self.by) or '1'}) % {self.count})::INTEGER"


class Numbering(Protocol):
    """A way to cut rows: SQL of the number that a row has among `count`."""

    @property
    def number(self) -> str:
        """Return SQL of a row's number."""

    @property
    def count(self) -> int:
        """Return how many numbers there are."""


def stage(engine: DuckEngine, sql: str, root: Path, columns: Mapping[str, str], cut: Numbering | None = None) -> Staged:
    """Write rows into the staging folder, cut if that is asked for."""
    names = ", ".join(map(identifier, columns))
    if cut is None:
        return Staged(root, columns, tuple(engine.write(f"SELECT {names} FROM ({sql})", root)))
    numbered = f"SELECT {names}, {cut.number} AS {_NUMBER} FROM ({sql})"
    return Staged(root, columns, tuple(engine.write(numbered, root, (_NUMBER,))))


def shared_key(table: Table) -> tuple[str, ...]:
    """Return the columns of which equal values bring rows together: of a history those of a key's versions."""
    return table.key or winners.key(table)


# -- bronze: hash, read


def hash_files(engine: DuckEngine, files: Sequence[Landed]) -> list[str | OSError]:
    """Return the hash of each landed file's bytes, or why they cannot be read."""
    return list(map(ingest.digest, files))


@dataclass(frozen=True)
class Reading:
    """Landed files to write as rows of a bronze table; see `appending.FileReader`."""

    root: Path
    feed: Feed
    batch: str
    moments: Mapping[str, int]
    spelling: Mapping[str, str]
    parts: tuple[Landed, ...]


@dataclass(frozen=True)
class FilesRead:
    """The rows of landed files: `taken` as `ingest` has it, and what was found out while they were opened."""

    taken: ingest.Taken
    spelling: Mapping[str, str]
    remarks: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, Mapping[str, str]]


def read_files(engine: DuckEngine, task: Reading) -> FilesRead:
    """Write landed files as rows of the bronze table; no commit refers to them yet."""
    reader = FileReader.alone(engine, task.root, task.feed, task.batch, task.moments, dict(task.spelling))
    files, headers, refused = reader.read_all(task.parts)
    hashed = [replace(file, bounds={}, sha256=file.sha256 or lake.digest(task.root / file.path)) for file in files]
    return FilesRead((hashed, headers, refused), reader.spelling, reader.remarks, reader.left_out)


# -- silver: type, probe, contest, rewrite


@dataclass(frozen=True)
class Typing:
    """Bronze rows to type and check."""

    table: Table
    sources: tuple[tuple[Feed, lake.Snapshot], ...]  # each with the files of this task alone
    stage: Path
    cut: Cut


@dataclass(frozen=True)
class Typed:
    """Typed rows without reasons, cut by key; those with reasons; of a table with `replaces` what files speak of.

    `unsplit`: the files that have a line which no reader could split.
    """

    read: int
    rows: Staged
    rejected: Staged
    spoken: Staged
    unsplit: Staged


def type_rows(engine: DuckEngine, task: Typing) -> Typed:
    """Type and check bronze rows.

    Raises:
        ContractError: the contract does not fit the feed.
        DataError: not every row of bronze was seen.
    """
    table, root = task.table, task.stage
    with engine.for_columns(len(table.columns)):
        sources = [(feed, bronze, bronze.files) for feed, bronze in task.sources]
        read, has_unsplit = incoming.load(engine, table, sources)
        incoming.reject(engine, Batch.INCOMING, has_unsplit=has_unsplit)
        kinds = statements.columns(engine, table) if table.replaces is not None else {}
        files = statements.ARRIVAL
        spoken, unsplit = Staged(root, kinds), Staged(root, files)
        if kinds:
            names = ", ".join(map(identifier, kinds))
            spoken = stage(engine, f"SELECT DISTINCT {names} FROM {Batch.INCOMING}", root, kinds)
            unsplit = stage(engine, f"SELECT DISTINCT {', '.join(files)} FROM {Batch.UNSPLIT}", root, files)
        sound = f"FROM {Batch.INCOMING} WHERE {REASONS} IS NULL"
        rows = stage(engine, sound, root, typed_columns(table), task.cut)
        return Typed(read, rows, stage(engine, f"FROM {Batch.REJECTED}", root, REJECTED), spoken, unsplit)


def typed_columns(table: Table) -> dict[str, str]:
    """Return the columns of typed rows that pass, and their types."""
    return table.row_columns | {"_batch": "VARCHAR"}


@dataclass(frozen=True)
class Probing:
    """Stored rows to look for those that new rows contend with: of equal keys, or all where slices are replaced."""

    table: Table
    stored: lake.Snapshot  # with the files of this task alone
    columns: Mapping[str, str]
    located: bool
    typed: Staged  # new rows: all of them
    stage: Path
    cut: Cut


def probe(engine: DuckEngine, task: Probing) -> Staged:
    """Return the stored rows that new rows contend with, cut by key."""
    scan = engine.scan(task.stored, located=task.located)
    rows = f"SELECT * FROM {scan}"
    if task.table.replaces is None:
        hashed = f"hash({', '.join(task.cut.by)})"
        engine.table(Batch.SHARED_KEYS, f"SELECT DISTINCT {hashed} AS _hash FROM {task.typed.relation(engine)}")
        rows += f" WHERE {hashed} IN (SELECT _hash FROM {Batch.SHARED_KEYS})"
    return stage(engine, rows, task.stage, task.columns, task.cut)


@dataclass(frozen=True)
class Contending:
    """The rows of one bucket: new ones, stored ones and recorded deletions; `stored` None where all is new."""

    table: Table
    rows: Staged
    stored: Staged | None
    gone: Staged | None
    live: Staged | None  # of a table with `replaces`: the statements that live, and the slices that are touched
    touched: Staged | None
    stage: Path
    homes: Cut


@dataclass(frozen=True)
class Contended:
    """The outcome of one bucket: rows to write, cut by home, and what else is recorded of it.

    `batch`: of the new rows among each other, `against`: against stored ones; the keys in conflict of both.
    """

    batch: Outcome
    against: Outcome
    rows: Staged
    rejected: Staged
    deleted: Staged
    superseded: Staged
    conflicts: Staged
    tied: Staged


def contend(engine: DuckEngine, task: Contending) -> Contended:
    """Let the rows of one bucket contend, as `incoming` and `contest` do with all rows."""
    table, root = task.table, task.stage
    with engine.for_columns(len(table.columns)):
        none = f"NULL::{rules.CODED} AS {REASONS}, NULL::VARCHAR AS {VALUES}"
        read = engine.table(Batch.INCOMING, f"SELECT *, {none} FROM {task.rows.relation(engine)}")
        for name, found in ((Batch.LIVE, task.live), (Batch.TOUCHED, task.touched)):
            if found:
                engine.table(name, f"FROM {found.relation(engine)}")
        batch = incoming.keep_winners(engine, table, read, has_unsplit=False)
        rejected = Staged(root, REJECTED)
        if batch.quarantined:
            rejected = stage(engine, f"FROM {Batch.REJECTED}", root, REJECTED)
        conflicts = in_conflict(engine, batch, root)
        superseded, tied = Staged(root, LOCATED), Staged(root, CONFLICTS)
        if task.stored is None:
            done = incoming.finish(engine, table)
        else:
            gone = task.gone.relation(engine) if task.gone else None
            done, lost = contest.against_stored(engine, table, task.stored.relation(engine), gone)
            tied = in_conflict(engine, done, root)
            if lost:
                superseded = stage(engine, f"SELECT _at, _nth FROM {Batch.SUPERSEDED}", root, LOCATED)
        deleted = Staged(root, table.row_columns)
        if table.delete_when:
            deleted = stage(engine, f"FROM {Batch.DELETED}", root, table.row_columns)
        rows = stage(engine, incoming.stored(table, Batch.INCOMING), root, table.stored_columns, task.homes)
        return Contended(batch, done, rows, rejected, deleted, superseded, conflicts, tied)


def in_conflict(engine: DuckEngine, outcome: Outcome, root: Path) -> Staged:
    """Return the keys in conflict that an outcome counts."""
    if not outcome.conflict_notes:
        return Staged(root, CONFLICTS)
    return stage(engine, f"FROM {Batch.IN_CONFLICT}", root, CONFLICTS)


@dataclass(frozen=True)
class Rewriting:
    """The rows of one home: new ones, and those of stored files that stay beside the superseded ones."""

    table: Table
    root: Path
    rows: Staged
    stored: lake.Snapshot | None  # with the files that are replaced
    superseded: Staged


def rewrite(engine: DuckEngine, task: Rewriting) -> list[lake.DataFile]:
    """Write the rows of one home into the table's folder; no commit refers to the files yet."""
    count, stored = task.rows.rows, task.stored
    names = ", ".join(map(identifier, task.table.stored_columns))
    rows = f"SELECT {names} FROM {task.rows.relation(engine)}"
    if stored and stored.files:
        scan = engine.scan(stored, located=True)
        survivors = f"{scan} t ANTI JOIN {task.superseded.relation(engine)} USING (_at, _nth)"
        # with what another program added to them
        rows += f" UNION ALL BY NAME SELECT {', '.join(map(identifier, stored.columns))} FROM {survivors}"
        count += stored.rows
    with engine.for_columns(len(task.table.columns)):
        return as_logged(task.table, engine.write(rows, task.root, task.table.partition_by, count))


def as_logged(table: Table, files: Sequence[lake.DataFile]) -> list[lake.DataFile]:
    """Return files with the bounds that a log has of a table's files, as the driver gets those of all tasks."""
    return [file.with_bounds_of(table.key[:1]) for file in files]


@dataclass(frozen=True)
class Counting:
    """Rows of a table, but for some by where they lie, of which those are to be counted that meet conditions."""

    table: Table
    rows: Staged
    but: Staged | None
    conditions: tuple[str, ...]


def count_rows(engine: DuckEngine, task: Counting) -> list[int]:
    """Return how many rows there are, and how many meet each condition."""
    with engine.for_columns(len(task.table.columns)):
        relation = task.rows.relation(engine, located=task.but is not None)
        if task.but:
            relation += f" t ANTI JOIN {task.but.relation(engine)} USING (_at, _nth)"
        return list(engine.one(f"SELECT {', '.join(audits.counts_of(task.conditions))} FROM {relation}"))


def located(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of stored rows with where each lies."""
    return {**columns, **LOCATED}


def size(files: Iterable[lake.DataFile]) -> int:
    """Return the bytes of files."""
    return sum(file.size for file in files)


# -- gold: some partitions of a mart


@dataclass(frozen=True)
class Aggregating:
    """Partitions of a mart to compute, as text, and those that their rows depend on; `by` cuts its sources."""

    table: Table
    root: Path
    sources: Mapping[str, lake.Snapshot]  # with the files that hold rows of `reads`
    by: Mapping[str, tuple[str, ...]]
    outputs: tuple[tuple[str, ...], ...]
    reads: tuple[tuple[str, ...], ...]


def aggregate(engine: DuckEngine, task: Aggregating) -> list[lake.DataFile]:
    """Compute partitions of a mart and write them into its folder; no commit refers to the files yet.

    Raises:
        DataError: the rows break a key or a rule; no file is left.
    """
    model, cut = Model(engine, task.table, task.sources), gold_cut.Cut(engine, task.table, task.sources, task.by)
    engine.table(Computation.SLAB, cut.listed(task.outputs))
    engine.table(Computation.SLAB_READS, cut.listed(task.reads))
    rows, _ = model.own_rows(cut, Computation.SLAB_READS, Computation.SLAB)
    with written(engine, task.table, task.root, [rows]) as new:
        if laws.is_key_within_partition(task.table):
            laws.check(engine, task.table, new.relation, list(new.by_partitions))
    return as_logged(task.table, new.files)
