"""The computing of a gold table where there is something to compute: whole, or some of its partitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from src import lake
from src.checks.outcome import Outcome
from src.gold import way
from src.gold.claims import Claim, Refuted
from src.gold.commit import Commit
from src.gold.cut import Cut
from src.gold.model import Model
from src.gold.slabs import Slabbing, Slabs
from src.gold.way import Way

# Bytes of the sources up to which a partition is computed by a filter over the whole model, right whatever it depends
# on; beyond, only from its own rows: where the engine cannot take the filter down to the files, it reads everything.
# Two days of a million rows (7 MB): 4 to 28 ms by filter, 6 to 28 from their own rows, by kind of model.
_SMALL = 8_000_000


@dataclass(frozen=True)
class Build:
    """One run's work on one table."""

    model: Model
    way: Way
    commit: Commit
    others: Slabbing | None = None

    @property
    def cut(self) -> Cut:
        """Return how the table's sources are cut."""
        return Cut(self.model.engine, self.model.table, self.model.sources, self.way.cuts)

    @property
    def claim(self) -> Claim:
        """Return what the contract claims of the table's partitions."""
        return Claim(self.model, self.cut, self.way.claim, self.commit.batch)

    def has_new_claim(self, gold: lake.Snapshot | None) -> bool:
        """Return whether the table rests on words of the contract that nobody has checked yet."""
        return bool(self.way.claim) and (gold is None or not way.is_checked(self.model.table, gold))

    def whole(self, gold: lake.Snapshot | None) -> Outcome:
        """Compute everything and replace everything."""
        table = self.model.table
        if not self.has_new_claim(gold):
            slabs = Slabs(self.model, self.cut, self.others).whole() if self.way.is_proven else None
            refuted = way.is_refuted(table, gold)  # before the commit, after which the log would be read again for it
            outcome = self.commit.whole(slabs or [self.model.rows()])
            return replace(outcome, notes=(f"computed whole: {self.way.why_whole}",)) if refuted else outcome

        def check(rows: str) -> Mapping[str, int]:
            return way.checked(table) if self.claim.check_new(rows) else {}

        return self._claimed(lambda: self.commit.whole([self.model.rows()], check))

    def partitions(self, gold: lake.Snapshot, outputs: str, reads: str) -> Outcome:
        """Compute the partitions in a relation, whose rows depend on those in another, and replace them."""
        if not self.way.claim:
            slabs = Slabs(self.model, self.cut, self.others).among
            rows = [self.model.rows_in(outputs)] if self._reads_whole() else slabs(outputs, reads)
            return self.commit.partitions(gold, outputs, rows)
        whole = self._reads_whole()
        select = self.model.rows_in(outputs) if whole else self.model.own_rows(self.cut, reads, outputs)[0]
        check = partial(self.claim.check_run, outputs)
        return self._claimed(lambda: self.commit.partitions(gold, outputs, [select], check))

    def _claimed(self, work: Callable[[], Outcome]) -> Outcome:
        """Do the work under a claim, and put on record that it does not hold where that shows."""
        try:
            return work()
        except Refuted:
            self.commit.note(way.refuted(self.model.table))
            raise

    def _reads_whole(self) -> bool:
        """Return whether partitions are filtered out of the whole model: that is cheap, or nothing is proven."""
        size = sum(file.size for source in self.model.sources.values() for file in source.files)
        return not self.model.table.python and (bool(self.way.claim) or size <= _SMALL)
