"""The new rows of a gold table, written into its folder and not committed: they are checked as they lie there.

Readers see nothing of them, nor does the next run if this process dies. What does not pass is taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from src import lake
from src.contract import Table
from src.engine import DuckEngine

# Rows to write: a SELECT, or what writes its rows into a folder by itself.
Part = str | Callable[[Path], list[lake.DataFile]]
_ROWS_AT_ONCE = 1_000_000  # whose keys are compared by one statement, where it can be done by partitions


@dataclass(frozen=True)
class Written:
    """The files of one table that were written by this run."""

    engine: DuckEngine
    table: Table
    root: Path
    files: list[lake.DataFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return how many rows they hold."""
        return sum(file.rows for file in self.files)

    @property
    def relation(self) -> str:
        """Return a relation of these rows."""
        return self._scan(self.files)

    @property
    def by_partitions(self) -> Iterator[str]:
        """Yield relations of some of the partitions each, which have all rows between them."""
        return map(self._scan, in_chunks(self.files, self.table.partition_by))

    def _scan(self, files: Iterable[lake.DataFile]) -> str:
        columns = {column.name: column.type for column in self.table.columns}
        return self.engine.scan_files(self.root, files, columns, self.table.partition_by)


def in_chunks(files: Iterable[lake.DataFile], partition_by: Sequence[str]) -> Iterator[list[lake.DataFile]]:
    """Yield the files of some partitions each, with about so many rows as are compared at once."""

    def partition(file: lake.DataFile) -> list[str]:
        return [str(file.partition[name]) for name in partition_by]

    chunk: list[lake.DataFile] = []
    rows = 0
    for _, group in groupby(sorted(files, key=partition), key=partition):
        of_one = list(group)
        its_rows = sum(file.rows for file in of_one)
        if chunk and rows + its_rows > _ROWS_AT_ONCE:
            yield chunk
            chunk, rows = [], 0
        chunk += of_one
        rows += its_rows
    if chunk:
        yield chunk


@contextmanager
def written(engine: DuckEngine, table: Table, root: Path, parts: Iterable[Part]) -> Iterator[Written]:
    """Write the rows of parts, each before the next is asked for; an error in the with-block takes them away.

    Raises:
        BoathouseError: they cannot be computed or written; no file is left.
    """
    lake.make_folder(root)
    new = Written(engine, table, root)
    try:
        for part in parts:
            new.files.extend(engine.write(part, root, table.partition_by) if isinstance(part, str) else part(root))
        yield new
    except BaseException:
        lake.discard(root, new.files)
        with suppress(OSError):  # it is a table already
            root.rmdir()
        raise
