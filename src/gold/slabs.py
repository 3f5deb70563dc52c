"""A table that is known to stand partition by partition is computed in slabs, each of a million source rows or so.

Every slab is computed from its own rows alone, and streamed into its files: memory does not grow with the table, and
nothing is kept to be read again. Rows in no partition that a source has follow, computed from all rows: those that a
calendar brings, and those without a partition, which no table may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

from src import lake
from src.contract import Table
from src.gold.computation import Computation
from src.gold.cut import Cut
from src.gold.model import Model
from src.gold.touched import neighbours, number_present
from src.gold.written import Part

_ROWS = 1_000_000  # of the sources in a slab: 2 million take half as much memory again, and are no faster
_READ_AGAIN = 1  # at most, by all slabs: bytes of the sources that are not cut, for each byte of those that are
_PARTITIONS = 1_000  # in a slab: beyond 2,000 the engine cuts a partition into several files

_Values = tuple[str, ...]


class Slabbing(Protocol):
    """Those who compute slabs in place of this process: src/workers/slabs.py."""

    @property
    def width(self) -> int:
        """Return how many are computed at once."""

    def deals(self, size: int) -> bool:
        """Return whether slabs over so many bytes of files are computed by others."""

    def write(self, model: Model, cut: Cut, slabs: Sequence[Slab], root: Path) -> list[lake.DataFile]:
        """Write the rows of slabs into the table's folder."""

    def count(self, table: Table, root: Path, files: Sequence[lake.DataFile], conditions: Sequence[str]) -> list[int]:
        """Return how many rows files of the table have, and how many meet each condition."""


@dataclass(frozen=True)
class Slab:
    """Partitions to compute, and those that their rows depend on, each by its values as text."""

    outputs: tuple[_Values, ...]
    reads: tuple[_Values, ...]


@dataclass(frozen=True)
class Slabs:
    """The slabs of one table over these versions of its sources; `others` compute them where there is much to read."""

    model: Model
    cut: Cut
    others: Slabbing | None = None

    def whole(self) -> Iterator[Part] | None:
        """Return parts that have every row, each written before the next is asked for; None where one is as good."""
        if self._fits(self._followed):
            return None
        slabs = self._slabs(None)
        return self._of_all(slabs) if slabs else None

    def among(self, outputs: str, reads: str) -> Iterator[Part]:
        """Return parts of the partitions in a relation, as `whole` does, from those rows that are in `reads`."""
        select, read = self.model.own_rows(self.cut, reads, outputs)
        slabs = [] if self._fits(read) else self._slabs(outputs)
        return self._each(slabs) if slabs else iter([select])

    def _of_all(self, slabs: Sequence[Sequence[_Values]]) -> Iterator[Part]:
        yield from self._each(slabs)
        every = [partition for slab in slabs for partition in slab]
        self.cut.engine.table(Computation.SLAB, self.cut.listed(every))
        yield self.model.rows_beside(Computation.SLAB)

    def _each(self, slabs: Sequence[Sequence[_Values]]) -> Iterator[Part]:
        lookback = self.model.table.lookback
        if lookback:
            number_present(self.cut)
        if self._dealt and self.others:
            described = [Slab(tuple(slab), self._reads(slab)) for slab in slabs]
            yield partial(self.others.write, self.model, self.cut, described)
            return
        for slab in slabs:
            self.cut.engine.table(Computation.SLAB, self.cut.listed(slab))
            reads = Computation.SLAB
            if lookback:
                reads = Computation.SLAB_READS
                self.cut.engine.table(reads, neighbours(Computation.SLAB, self.cut.names, -lookback, 0))
            yield self.model.own_rows(self.cut, reads, Computation.SLAB)[0]

    def _reads(self, slab: Sequence[_Values]) -> tuple[_Values, ...]:
        """Return the partitions that the rows of a slab depend on."""
        lookback = self.model.table.lookback
        if not lookback:
            return tuple(slab)
        self.cut.engine.table(Computation.SLAB, self.cut.listed(slab))
        near = neighbours(Computation.SLAB, self.cut.names, -lookback, 0)
        return tuple(self.cut.engine.rows(f"SELECT {self._texts} FROM ({near}) ORDER BY ALL"))

    @property
    def _texts(self) -> str:
        return ", ".join(f"{column}::VARCHAR" for column in self.cut.columns)

    # -- what is in a slab

    @cached_property
    def _dealt(self) -> bool:
        """Return whether others compute the slabs."""
        return self.others is not None and self.others.deals(sum(file.size for file in self._followed))

    @cached_property
    def _rows_at_once(self) -> int:
        """Return how many source rows a slab has."""
        if not self._dealt or self.others is None:
            return _ROWS
        return min(_ROWS, sum(file.rows for file in self._followed) // self.others.width + 1)

    @property
    def _followed(self) -> list[lake.DataFile]:
        """Return the files of the sources whose rows' partition follows from their folders."""
        return [file for name in self._names for file in self.cut.sources[name].files]

    @property
    def _names(self) -> list[str]:
        cut = self.cut
        return [name for name in cut.by if cut.sources[name].files and cut.follows_from_folders(name)]

    def _fits(self, files: Sequence[lake.DataFile]) -> bool:
        """Return whether the rows of some files are few enough to be computed at once."""
        rows, size = sum(file.rows for file in files), sum(file.size for file in files)
        return rows <= self._rows_at_once and self.cut.engine.has_room_for(size)

    def _slabs(self, outputs: str | None) -> list[list[_Values]]:
        """Return the partitions of a relation, or all that the sources have, in slabs; none where that does not pay.

        It does not where what every slab reads again is more than what they read once between them.
        """
        weighed = self._weighed(outputs)
        slabs: list[list[_Values]] = []
        rows = size = 0
        for partition, its_rows, its_size in weighed:
            rows, size = rows + its_rows, size + its_size
            full = rows > self._rows_at_once or not self.cut.engine.has_room_for(size)
            if not slabs or full or len(slabs[-1]) == _PARTITIONS:
                slabs.append([])
                rows, size = its_rows, its_size
            slabs[-1].append(partition)
        once = sum(size for *_, size in weighed)
        again = sum(source.size for name, source in self.cut.sources.items() if name not in self._names)
        return slabs if len(slabs) > 1 and again * len(slabs) <= _READ_AGAIN * once else []

    def _weighed(self, outputs: str | None) -> list[tuple[_Values, int, int]]:
        """Return partitions in order, each with the rows and bytes of its files."""
        cut = self.cut
        keyed = []
        for name in self._names:
            source = cut.sources[name]
            weights = ", ".join(f"({at}, {file.rows}, {file.size})" for at, file in enumerate(source.files))
            with_weights = (
                f"{cut.folders(source, source.files)} JOIN (VALUES {weights}) w(_at, _rows, _size) USING (_at)"
            )
            keyed.append(f"SELECT {cut.keys(name)}, _rows, _size FROM {with_weights}")
        if outputs:
            keyed.append(f"SELECT {cut.names}, 0 AS _rows, 0 AS _size FROM temp.{outputs}")
        among = f"SEMI JOIN temp.{outputs} USING ({cut.names})" if outputs else f"WHERE {cut.in_one}"
        found = cut.engine.rows(
            f"SELECT {self._texts}, sum(_rows)::BIGINT, sum(_size)::BIGINT FROM ({' UNION ALL '.join(keyed)}) {among} "
            f"GROUP BY {cut.names} ORDER BY {cut.names}"
        )
        return [(tuple(partition), rows, size) for *partition, rows, size in found]
