"""The new rows of a gold table, written into its folder and not committed: they are checked as they lie there.

Readers see nothing of them, nor does the next run if this process dies. What does not pass is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from src import lake
from src.contract import Table
from src.engine import DuckEngine

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
        names = self.table.partition_by
        folders = sorted(self.files, key=lambda file: [str(file.partition[name]) for name in names])
        some: list[lake.DataFile] = []
        for _, group in groupby(folders, key=lambda file: [file.partition[name] for name in names]):
            files = list(group)
            if some and sum(file.rows for file in some + files) > _ROWS_AT_ONCE:
                yield self._scan(some)
                some = []
            some += files
        if some:
            yield self._scan(some)

    def _scan(self, files: Iterable[lake.DataFile]) -> str:
        columns = {column.name: column.type for column in self.table.columns}
        return self.engine.scan_files(self.root, files, columns, self.table.partition_by)


@contextmanager
def written(engine: DuckEngine, table: Table, root: Path, selects: Iterable[str]) -> Iterator[Written]:
    """Write the rows of SELECTs, each before the next is asked for; an error in the with-block takes them away.

    Raises:
        BoathouseError: they cannot be computed or written; no file is left.
    """
    lake.make_folder(root)
    new = Written(engine, table, root)
    try:
        for select in selects:
            new.files.extend(engine.write(select, root, table.partition_by))
        yield new
    except BaseException:
        lake.discard(root, new.files)
        with suppress(OSError):  # it is a table already
            root.rmdir()
        raise
