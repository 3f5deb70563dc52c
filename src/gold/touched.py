"""Which partitions a change of the sources touches: those of the changed rows, before and after.

A change in a source that is not cut touches every partition. A file that was only rewritten, with the same rows,
touches none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from src import lake
from src.engine import identifier
from src.gold.computation import Computation
from src.gold.cut import Cut

_PROVENANCE = ("_file", "_row", "_ingested_at")  # rows that share it are the same row, until their table is rebuilt
EVERYTHING = -1


@dataclass(frozen=True)
class Touched:
    """The partitions that changes in a table's sources touch; `again`: rows that count as changed."""

    cut: Cut
    gold: lake.Snapshot
    again: Mapping[str, str]

    def find(self) -> int:
        """Collect the touched partitions into the temporary table `touched`; returns how many, or EVERYTHING.

        Raises:
            HistoryGone: the log no longer tells what changed.
        """
        found: list[str] = []
        for name, source in self.cut.sources.items():
            since = self.gold.progress(name)
            if since is None:
                return EVERYTHING
            if name in self.again:
                if name not in self.cut.by:
                    return EVERYTHING
                found.append(f"SELECT DISTINCT {self.cut.keys(name)} FROM {self.again[name]}")
            moved = lake.changes(source, since)
            if moved.rebuilt:
                return EVERYTHING  # its old files may have other columns
            if not moved.added and not moved.removed:
                continue
            if name in self.cut.by:
                found.append(self._partitions(name, moved))
            elif self._differs(source, moved):
                return EVERYTHING
        if not found:
            return 0
        return self.cut.engine.table(Computation.TOUCHED, f"FROM ({' UNION '.join(found)}) WHERE {self.cut.in_one}")

    def widen(self, lookback: int) -> tuple[Computation, Computation]:
        """Return the tables of the partitions to compute, and of those that their rows depend on.

        With a lookback of N a partition's rows depend on the N partitions before it, so the N that
        follow a touched one are computed again, and the N before each of these are read: `outputs` and `reads`.
        """
        engine, names = self.cut.engine, self.cut.names
        if not lookback:
            return Computation.TOUCHED, Computation.TOUCHED
        number_present(self.cut)
        engine.table(Computation.OUTPUTS, neighbours(Computation.TOUCHED, names, 1, lookback))
        engine.table(Computation.READS, neighbours(Computation.OUTPUTS, names, -lookback, 0))
        return Computation.OUTPUTS, Computation.READS

    def _partitions(self, name: str, moved: lake.Changes) -> str:
        source = self.cut.sources[name]
        files = [*moved.added, *moved.removed]
        if self.cut.follows_from_folders(name) and set(_PROVENANCE) <= set(source.columns):
            # silver writes a file again only for a row in it that changed: no row has to be read to know its partition
            return f"SELECT DISTINCT {self.cut.keys(name)} FROM {self.cut.folders(source, files)}"
        if not moved.removed:
            return f"SELECT DISTINCT {self.cut.keys(name)} FROM {self.cut.engine.scan(source, moved.added)}"
        return self._difference(source, moved, self.cut.keys(name), self.cut.names)

    def _differs(self, source: lake.Snapshot, moved: lake.Changes) -> bool:
        return bool(self.cut.engine.rows(self._difference(source, moved, "1 AS one", "one")))

    def _difference(self, source: lake.Snapshot, moved: lake.Changes, keys: str, names: str) -> str:
        """Return a SELECT of the `keys`, called `names`, whose rows differ between added and removed files.

        Rows are the same if there are as many of them and the sum of their hashes (64 bits) is: kept apart they
        would take the memory of everything that moved.
        """
        # a row of a history changes in place, and keeps its provenance
        traced = set(_PROVENANCE) <= set(source.columns) and "_valid_to" not in source.columns
        identity = ", ".join(map(identifier, _PROVENANCE if traced else source.columns))
        scans = [(sign, self.cut.engine.scan(source, files)) for sign, files in ((1, moved.added), (-1, moved.removed))]
        sides = " UNION ALL ".join(
            f"SELECT {keys}, hash({identity})::HUGEINT AS _hash, {sign} AS _sign FROM {scan}" for sign, scan in scans
        )
        return f"SELECT {names} FROM ({sides}) GROUP BY ALL HAVING sum(_sign) <> 0 OR sum(_sign * _hash) <> 0"


def number_present(cut: Cut) -> None:
    """Number the partitions that the cut sources have, in order, in the temporary table `present`."""
    name = cut.names
    numbered = f"SELECT {name}, row_number() OVER (ORDER BY {name}) AS _place FROM ({cut.present()})"
    cut.engine.table(Computation.PRESENT, numbered)


def neighbours(partitions: str, name: str, first: int, last: int) -> str:
    """Return a SELECT of some partitions and those `first` to `last` after them among the `present` ones."""
    before = f"SELECT count(*) FROM {Computation.PRESENT} p WHERE p.{name} <= o.{name}"
    at = f"(SELECT o.{name}, ({before}) AS _place FROM {partitions} o)"
    near = f"p._place BETWEEN a._place + {first} AND a._place + {last}"
    return f"SELECT {name} FROM {partitions} UNION SELECT p.{name} FROM {Computation.PRESENT} p JOIN {at} a ON {near}"
