"""What check reads of tables' files: by the engine of this process, or by workers, of which each reads some.

Every answer is a sum over files, or over rows that equal hashes bring together: so it is the same whoever reads, and
however the files are dealt out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from src import catalog, lake
from src.checks.sameness import Sums, added, repeated, sums, unequal
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import BoathouseError
from src.silver import passes
from src.silver.incoming import Source

if TYPE_CHECKING:
    from pathlib import Path

    from src.workers.stages import Sized, Stages
    from src.workers.tasks import Cut, Staged

T = TypeVar("T")
A = TypeVar("A")
F = TypeVar("F", bound="Sized")
Difference = Callable[[DuckEngine, Sequence[F]], list[str]]  # how each file differs from what it should be
_ARRIVED = {"_file": "VARCHAR", "_ingested_at": "TIMESTAMP WITH TIME ZONE", "rows": "BIGINT", "last": "BIGINT"}


@dataclass(frozen=True)
class Stored:
    """Rows of a table as they lie in files: all of a version, or some; `evolved` is that of `DuckEngine.scan`."""

    name: str
    table: lake.Snapshot
    evolved: bool = False

    @property
    def files(self) -> tuple[lake.DataFile, ...]:
        """Return the files."""
        return self.table.files

    def only(self, files: Sequence[lake.DataFile]) -> Stored:
        """Return the rows of some of the files."""
        return replace(self, table=self.table.only(files))

    def relation(self, engine: DuckEngine) -> str:
        """Return a relation of the rows."""
        return engine.scan(self.table, evolved=self.evolved)


@dataclass(frozen=True)
class FilesRead:
    """The rows that were found in each file, by its path, and the SHA-256 of those to hash.

    `unreadable`: the first file that cannot be read, and why; then nothing is known of the others.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, str] | None = None


@dataclass(frozen=True)
class Reading:
    """The engine of this process reads everything by itself."""

    engine: DuckEngine

    def read(self, stored: Stored, hashed: Collection[str]) -> list[FilesRead]:
        """Read every column of every file, and hash some, by their paths; some files at a time, in their order."""
        return [_read(self.engine, _ToRead(stored, tuple(hashed)))]

    def repeated(self, stored: Stored, columns: Sequence[str]) -> int:
        """Return how many values of these columns more than one row has."""
        return repeated(self.engine, stored.relation(self.engine), columns, stored.table.rows)

    def lost(self, stored: Stored) -> int:
        """Return how many rows of landed files, by their numbers, are not there."""
        return _lost(self.engine, f"({_arrived(stored.relation(self.engine))})", stored)

    def bounds(self, stored: Stored) -> list[tuple[str, str | None, str | None]]:
        """Return each file's path with the least and the greatest value of the indexed column."""
        return _bounds(self.engine, stored)

    def differs(self, name: str, files: Sequence[F], difference: Difference[F]) -> list[str]:
        """Return what `difference` says of each file of a table."""
        return difference(self.engine, files)

    @contextmanager
    def one_pass(self, table: Table, sources: Sequence[Source]) -> Iterator[Computed]:
        """Compute a table from these sources within a with-block; fills `rejected` and `statements`."""
        yield Computed(passes.compute(self.engine, table, sources).relation)

    def unequal(self, columns: Sequence[str], stored: Stored, computed: Computed) -> Iterator[str]:
        """Yield how many rows a table has too many and lacks, with an example; nothing if it is what was computed."""
        return unequal(self.engine, columns, stored.relation(self.engine), computed.relation)


@dataclass(frozen=True)
class Computed:
    """The rows of a table as they should be; `staged`: where workers left them."""

    relation: str
    staged: Staged | None = None


@dataclass(frozen=True)
class SharedReading(Reading):
    """Workers read the files of large tables; those of small ones are read by the engine of this process."""

    stages: Stages

    def read(self, stored: Stored, hashed: Collection[str]) -> list[FilesRead]:
        """Do what `Reading.read` does."""
        if not self._deals(stored):
            return super().read(stored, hashed)
        wanted = set(hashed)
        shares = [
            _ToRead(some, tuple(file.path for file in some.files if file.path in wanted))
            for some in self._shares(stored)
        ]
        return self._dealt(stored.name, _read, shares)

    def repeated(self, stored: Stored, columns: Sequence[str]) -> int:
        """Do what `Reading.repeated` does: rows with equal values have equal hashes, and so lie in one bucket."""
        if not self._deals(stored):
            return super().repeated(stored, columns)
        from src.workers import narrow
        from src.workers.tasks import Cut, together

        with self._folder() as folder:
            cut = Cut(("_hash",), self.stages.buckets(stored.table.size))
            shares = [_ToHash(some, tuple(columns), folder, cut) for some in self._shares(stored)]
            hashes = together(self._dealt(stored.name, _hash, shares), folder, narrow.HASHES)
            full = [part for part in hashes.parts(cut.count) if part.files]
            shared = together(self._dealt(stored.name, narrow.find_shared, full), folder, narrow.HASHES)
            if not shared.rows:
                return 0
            names = ", ".join(map(identifier, columns))
            among = f"hash({names}) IN (SELECT _hash FROM {shared.relation(self.engine)})"
            again = f"SELECT 1 FROM {stored.relation(self.engine)} WHERE {among} GROUP BY {names} HAVING count(*) > 1"
            return int(self.engine.one(f"SELECT count(*) FROM ({again})")[0])

    def lost(self, stored: Stored) -> int:
        """Do what `Reading.lost` does; rows of one landed file may lie in files of several workers."""
        if not self._deals(stored):
            return super().lost(stored)
        from src.workers.tasks import together

        with self._folder() as folder:
            shares = [_ToCount(some, folder) for some in self._shares(stored)]
            arrived = together(self._dealt(stored.name, _count_arrived, shares), folder, _ARRIVED)
            names = "_file, _ingested_at, sum(rows)::BIGINT AS rows, max(last) AS last"
            every = f"(SELECT {names} FROM {arrived.relation(self.engine)} GROUP BY ALL)"
            return _lost(self.engine, every, stored)

    def bounds(self, stored: Stored) -> list[tuple[str, str | None, str | None]]:
        """Do what `Reading.bounds` does."""
        if not self._deals(stored):
            return super().bounds(stored)
        return [one for some in self._dealt(stored.name, _bounds, list(self._shares(stored))) for one in some]

    def differs(self, name: str, files: Sequence[F], difference: Difference[F]) -> list[str]:
        """Do what `Reading.differs` does."""
        if not self.stages.deals(sum(file.size for file in files)):
            return super().differs(name, files, difference)
        return [one for some in self._dealt(name, difference, self.stages.shares(files)) for one in some]

    @contextmanager
    def one_pass(self, table: Table, sources: Sequence[Source]) -> Iterator[Computed]:
        """Do what `Reading.one_pass` does, by the stages of a load."""
        from src.workers.merging import one_pass

        with one_pass(self.engine, table, sources, self._now) as staged:
            if staged is not None:
                yield Computed(staged.relation(self.engine), staged)
                return
        with super().one_pass(table, sources) as computed:
            yield computed

    def unequal(self, columns: Sequence[str], stored: Stored, computed: Computed) -> Iterator[str]:
        """Do what `Reading.unequal` does: sums of hashes add up."""
        if computed.staged is None:
            return super().unequal(columns, stored, computed)
        one = self._sums(columns, stored.name, [_ToSum(some, tuple(columns)) for some in self._shares(stored)])
        shares = [replace(computed.staged, files=some) for some in self.stages.shares(computed.staged.files)]
        other = self._sums(columns, stored.name, [_ToSum(some, tuple(columns)) for some in shares])
        return unequal(self.engine, columns, stored.relation(self.engine), computed.relation, summed=(one, other))

    def _sums(self, columns: Sequence[str], name: str, shares: Sequence[_ToSum]) -> Sums:
        return added(self._dealt(name, _sum, shares))

    def _deals(self, stored: Stored) -> bool:
        return self.stages.deals(stored.table.size)

    @property
    def _now(self) -> Stages:
        """Return the stages whose run_date() is that of this process's engine: the rows of a table have their own."""
        return replace(self.stages, run_date=self.engine.run_date)

    def _dealt(self, name: str, function: Callable[[DuckEngine, T], A], shares: Sequence[T]) -> list[A]:
        return self._now.deal(name, function, shares)

    def _shares(self, stored: Stored) -> Iterator[Stored]:
        return map(stored.only, self.stages.shares(stored.files))

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = self.stages.new_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


# -- what is read of some files


@dataclass(frozen=True)
class _ToRead:
    stored: Stored
    hashed: tuple[str, ...]


def _read(engine: DuckEngine, task: _ToRead) -> FilesRead:
    """Read every column of every file; not every error of the engine says which file it was."""
    table, files = task.stored.table, task.stored.files
    found: dict[str, int] = {}
    try:
        found = _counted(engine, task.stored)
    except BoathouseError:
        for file in files:
            try:
                found |= _counted(engine, task.stored.only([file]))
            except BoathouseError as error:
                return FilesRead(unreadable=(file.path, error.what))
    rows = {file.path: found.get(str(table.root / file.path), 0) for file in files}
    return FilesRead(rows, {path: lake.digest(table.root / path) for path in task.hashed})


def _counted(engine: DuckEngine, stored: Stored) -> dict[str, int]:
    """Return the rows of each file, by where it lies."""
    table, kinds = stored.table, stored.table.columns
    taken = {"_at", "file_row_number"} & {column.lower() for column in kinds}  # a source's: no place to locate by
    if taken and len(stored.files) > 1:
        return {path: count for file in stored.files for path, count in _counted(engine, stored.only([file])).items()}
    columns = ", ".join(map(identifier, kinds))
    if taken:
        read = f"SELECT count(*), bit_xor(hash({columns})) FROM {stored.relation(engine)}"
        return {str(table.root / file.path): int(engine.one(read)[0]) for file in stored.files}
    scan = engine.scan(table, evolved=stored.evolved, located=True)
    rows = engine.rows(f"SELECT _at, count(*), bit_xor(hash({columns})) FROM {scan} GROUP BY _at")
    return {path: count for path, count, _ in rows}


@dataclass(frozen=True)
class _ToHash:
    stored: Stored
    columns: tuple[str, ...]
    folder: Path
    cut: Cut


def _hash(engine: DuckEngine, task: _ToHash) -> Staged:
    from src.workers import narrow
    from src.workers.tasks import stage

    hashed = f"SELECT hash({', '.join(map(identifier, task.columns))}) AS _hash FROM {task.stored.relation(engine)}"
    return stage(engine, hashed, task.folder, narrow.HASHES, task.cut)


@dataclass(frozen=True)
class _ToCount:
    stored: Stored
    folder: Path


def _count_arrived(engine: DuckEngine, task: _ToCount) -> Staged:
    from src.workers.tasks import stage

    return stage(engine, _arrived(task.stored.relation(engine)), task.folder, _ARRIVED)


def _arrived(relation: str) -> str:
    """Return a SELECT of the landed files whose rows a relation has: how many of each, and the last one's number."""
    return f"SELECT _file, _ingested_at, count(*) AS rows, max(_row) AS last FROM {relation} GROUP BY ALL"


def _lost(engine: DuckEngine, arrived: str, stored: Stored) -> int:
    gone = ", ".join(f"({moment}, {rows})" for moment, rows in lake.rows_taken_out(stored.table, engine.rows).items())
    known = f"(VALUES {gone}) g(moment, gone)" if gone else "(SELECT 0 AS moment, 0 AS gone WHERE false)"
    missing = f"SELECT last - rows - coalesce(gone, 0) AS lost FROM {arrived} a LEFT JOIN {known} "
    missing += "ON epoch_us(a._ingested_at) = moment"
    return int(engine.one(f"SELECT coalesce(sum(lost), 0)::BIGINT FROM ({missing}) WHERE lost > 0")[0])


def _bounds(engine: DuckEngine, stored: Stored) -> list[tuple[str, str | None, str | None]]:
    scan, key = engine.scan(stored.table, located=True), identifier(str(stored.table.indexed))
    return engine.rows(f"SELECT _at, min({key})::VARCHAR, max({key})::VARCHAR FROM {scan} GROUP BY 1")


@dataclass(frozen=True)
class _ToSum:
    rows: Stored | Staged
    columns: tuple[str, ...]


def _sum(engine: DuckEngine, task: _ToSum) -> Sums:
    return sums(engine, task.columns, task.rows.relation(engine))


def evolved(name: str, table: lake.Snapshot) -> Stored:
    """Return a table's rows; some files may lack newer columns where the table gains any."""
    return Stored(name, table, evolved=catalog.gains_columns(name))
