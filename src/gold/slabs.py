"""A table that is known to stand partition by partition is computed in slabs, each of a million source rows or so.

Every slab is computed from its own rows alone, and streamed into its files: memory does not grow with the table, and
nothing is kept to be read again. Rows in no partition that a source has follow, computed from all rows: those that a
calendar brings, and those without a partition, which no table may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from src import lake
from src.gold.computation import Computation
from src.gold.cut import Cut
from src.gold.model import Model
from src.gold.touched import neighbours, number_present

_ROWS = 1_000_000  # of the sources in a slab: 2 million take half as much memory again, and are no faster
_READ_AGAIN = 1  # at most, by all slabs: bytes of the sources that are not cut, for each byte of those that are
_PARTITIONS = 1_000  # in a slab: beyond 2,000 the engine cuts a partition into several files

_Values = tuple[str, ...]


@dataclass(frozen=True)
class Slabs:
    """The slabs of one table over these versions of its sources."""

    model: Model
    cut: Cut

    def whole(self) -> Iterator[str] | None:
        """Return SELECTs of every row, each to be run before the next is asked for; None where one is as good."""
        if self._fits(self._followed):
            return None
        slabs = self._slabs(None)
        return self._of_all(slabs) if slabs else None

    def among(self, outputs: str, reads: str) -> Iterator[str]:
        """Return SELECTs of the partitions in a relation, as `whole` does, from those rows that are in `reads`."""
        select, read = self.model.own_rows(self.cut, reads, outputs)
        slabs = [] if self._fits(read) else self._slabs(outputs)
        return self._each(slabs) if slabs else iter([select])

    def _of_all(self, slabs: Sequence[Sequence[_Values]]) -> Iterator[str]:
        yield from self._each(slabs)
        every = [partition for slab in slabs for partition in slab]
        self.cut.engine.table(Computation.SLAB, self.cut.listed(every))
        yield self.model.rows_beside(Computation.SLAB)

    def _each(self, slabs: Sequence[Sequence[_Values]]) -> Iterator[str]:
        lookback = self.model.table.lookback
        if lookback:
            number_present(self.cut)
        for slab in slabs:
            self.cut.engine.table(Computation.SLAB, self.cut.listed(slab))
            reads = Computation.SLAB
            if lookback:
                reads = Computation.SLAB_READS
                self.cut.engine.table(reads, neighbours(Computation.SLAB, self.cut.names, -lookback, 0))
            yield self.model.own_rows(self.cut, reads, Computation.SLAB)[0]

    # -- what is in a slab

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
        return rows <= _ROWS and self.cut.engine.has_room_for(size)

    def _slabs(self, outputs: str | None) -> list[list[_Values]]:
        """Return the partitions of a relation, or all that the sources have, in slabs; none where that does not pay.

        It does not where what every slab reads again is more than what they read once between them.
        """
        weighed = self._weighed(outputs)
        slabs: list[list[_Values]] = []
        rows = size = 0
        for partition, its_rows, its_size in weighed:
            rows, size = rows + its_rows, size + its_size
            full = rows > _ROWS or not self.cut.engine.has_room_for(size)
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
        texts = ", ".join(f"{column}::VARCHAR" for column in cut.columns)
        found = cut.engine.rows(
            f"SELECT {texts}, sum(_rows)::BIGINT, sum(_size)::BIGINT FROM ({' UNION ALL '.join(keyed)}) {among} "
            f"GROUP BY {cut.names} ORDER BY {cut.names}"
        )
        return [(tuple(partition), rows, size) for *partition, rows, size in found]
