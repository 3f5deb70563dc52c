"""A claim that partitions stand alone is checked: by half of them when it is new, by two at every run.

What is checked is drawn from the run's id, so that a rerun draws the same. A claim that does not hold is on record in
the table itself, which is computed whole from then on, until its contract changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from src.checks.compare import differences
from src.errors import DataError
from src.gold.computation import Computation
from src.gold.cut import Cut
from src.gold.model import Model
from src.gold.touched import neighbours, number_present


@dataclass(frozen=True)
class Claim:
    """The claim of one table in one run; `declared` is how its contract writes it."""

    model: Model
    cut: Cut
    declared: str
    run_id: str

    def check_new(self, result: str) -> bool:
        """Compute half of the partitions of a relation of all rows from their own rows alone, and compare.

        Return whether that says anything: of one partition alone it does not.

        Raises:
            Refuted: they differ.
        """
        partitions = self._partitions(result)
        self._check(self._random.sample(partitions, len(partitions) // 2), result)
        return len(partitions) > 1

    def check_run(self, outputs: str, result: str, stored: str) -> None:
        """Compute one partition of `outputs` and one of those kept from their own rows alone, and compare.

        The first is compared with the `result` of this run, the second with what is stored.

        Raises:
            Refuted: they differ.
        """
        computed, kept = self._partitions(outputs), self._partitions(stored)
        random = self._random
        for partitions, rows in ((computed, result), (kept, stored)):
            if partitions:
                self._check([random.choice(partitions)], rows)

    @property
    def _random(self) -> Random:
        return Random(f"{self.run_id} {self.model.table.id}")

    def _partitions(self, relation: str) -> list[tuple[str, ...]]:
        texts = ", ".join(f"{column}::VARCHAR" for column in self.cut.columns)
        return self.cut.engine.rows(f"SELECT DISTINCT {texts} FROM {relation} WHERE {self.cut.in_one} ORDER BY ALL")

    def _check(self, drawn: Sequence[tuple[str, ...]], rows: str) -> None:
        engine, table = self.cut.engine, self.model.table
        if not drawn:
            return
        engine.table(Computation.DRAWN, self.cut.listed(drawn))
        if table.lookback:
            number_present(self.cut)
            engine.table(Computation.DRAWN_READS, neighbours(Computation.DRAWN, self.cut.names, -table.lookback, 0))
        else:
            engine.table(Computation.DRAWN_READS, f"FROM {Computation.DRAWN}")
        self.model.from_own_rows(self.cut, Computation.DRAWN_READS, Computation.DRAWN, Computation.ALONE)
        published = f"(SELECT * FROM {rows} SEMI JOIN {Computation.DRAWN} USING ({self.cut.names}))"
        for what in differences(engine, self.model.columns, Computation.ALONE, published):
            raise Refuted(self, drawn, what)


class Refuted(DataError):
    """A partition computed from its own rows alone is not what the whole gives."""

    def __init__(self, claim: Claim, drawn: Sequence[tuple[str, ...]], what: str) -> None:
        names = claim.model.table.partition_by
        shown = "/".join(f"{name}={value}" for name, value in zip(names, drawn[0], strict=True))
        shown = shown if len(drawn) == 1 else f"{len(drawn)} partitions, {shown} among them,"
        super().__init__(
            f"the claim `{claim.declared}` does not hold: {shown} computed from its own rows alone: {what}",
            where=claim.model.table.model,
            fix="correct the model, or write `refresh: full`; until the contract changes the table is computed whole",
        )
