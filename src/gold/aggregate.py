"""Gold: a partition is computed whole, never edited; and a table is, unless its partitions are known to stand alone.

A run finds the partitions that the sources' new versions touched, before and after, computes
exactly these from the sources and replaces them in one commit; one that became empty is emptied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from src import contract, lake
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine
from src.gold import laws, way
from src.gold.claims import Claim, Refuted
from src.gold.commit import Commit
from src.gold.computation import Computation
from src.gold.cut import Cut
from src.gold.model import Model
from src.gold.slabs import Slabbing, Slabs
from src.gold.touched import EVERYTHING, Touched
from src.gold.way import Way
from src.proof import Proof

# Bytes of the sources up to which a partition is computed by a filter over the whole model, right whatever it depends
# on; beyond, only from its own rows: where the engine cannot take the filter down to the files, it reads everything.
# Two days of a million rows (7 MB): 4 to 28 ms by filter, 6 to 28 from their own rows, by kind of model.
_SMALL = 8_000_000


@dataclass(frozen=True)
class Work:
    """The work of one gold table: nothing, some partitions or a rebuild, and why."""

    kind: str  # nothing | partitions | rebuild
    why: str
    until: Mapping[str, int]  # source id: version to have consumed afterwards
    lost: bool = False  # a source lost what the table consumed


def plan(table: Table, gold: lake.Snapshot | None, sources: Mapping[str, lake.Snapshot]) -> Work:
    """Decide what to do from the versions alone; changes nothing.

    Raises:
        ContractError: the contract changed and its version does not say so.
    """
    until = {name: snapshot.version for name, snapshot in sources.items()}
    if gold is None:
        return Work("rebuild", "first load", until)
    if not contract.is_current(table, gold):
        return Work("rebuild", contract.why_rebuild(table, gold.properties), until)
    contract.check_version(table, gold.properties)
    known = {name: gold.progress(lake.identity_of(name)) for name in sources}
    replaced = [name for name, found in sources.items() if known[name] not in (None, found.identity)]
    if replaced:  # their versions say nothing here
        return Work("rebuild", f"{', '.join(replaced)} was rebuilt", until)
    lost = [name for name, found in sources.items() if lake.is_another(gold, name, found)]
    if lost:
        why = f"the log of {', '.join(lost)} lost entries: what was consumed is not there any more"
        return Work("rebuild", why, until, lost=True)
    moved = {name: gold.progress(name) for name, version in until.items() if gold.progress(name) != version}
    if not moved:
        return Work("nothing", "up to date", until)
    why = "new versions: " + ", ".join(f"{name} {since} -> {until[name]}" for name, since in moved.items())
    return Work("partitions", why, until)


def run(
    engine: DuckEngine,
    table: Table,
    root: Path,
    sources: Mapping[str, lake.Snapshot],
    refers: Mapping[str, lake.Snapshot],
    proof: Callable[[], Proof],
    *,
    batch: str,
    again: Mapping[str, str] | None = None,
    full_refresh: bool = False,
    others: Slabbing | None = None,
) -> Outcome:
    """Bring one gold table up to these versions of its sources; `refers` are the tables its foreign keys name.

    `again`: relations of source rows, by source, whose partitions are computed even though no row changed;
    `full_refresh`: every partition is; `others` compute in place of this process, where there is much to read.

    Raises:
        ContractError: the model does not parse, or does not return what the contract says.
        DataError: the result breaks a key, a required column or an audit, or a claim of the contract does not hold;
            nothing was committed.
    """
    gold = lake.open_table(root)
    work = plan(table, gold, sources)
    if gold is not None and work.kind == "nothing" and not again and not full_refresh:
        return Outcome(version=lake.set_properties(gold, contract.tags(table, gold)).version)
    build = _Build(
        model=Model(engine, table, sources),
        way=way_of(engine, table, gold, sources, proof()),
        commit=Commit(engine, table, root, sources, refers, batch, others=others),
        others=others,
    )
    if gold is None or work.kind == "rebuild" or full_refresh:
        outcome = build.whole(gold)
        noted = work.lost or (table.is_draft and gold is not None and not contract.is_current(table, gold))
        return replace(outcome, notes=(*outcome.notes, work.why)) if noted else outcome
    # before the rows: a crash after a rebuild, or a version without a change of logic, may have left an older tag
    gold = lake.set_properties(gold, contract.tags(table, gold))
    touched = Touched(build.cut, gold, again or {})
    try:
        found = touched.find()
    except lake.HistoryGone:  # also where a soft source is read in an earlier version than last time
        return build.whole(gold)
    if not found:
        return build.commit.seen(gold)
    if found == EVERYTHING or not build.way.by_partitions or build.has_new_claim(gold):
        return build.whole(gold)
    return build.partitions(gold, *touched.widen(table.lookback))


def way_of(
    engine: DuckEngine, table: Table, gold: lake.Snapshot | None, sources: Mapping[str, lake.Snapshot], proof: Proof
) -> Way:
    """Return whether a table is computed whole or by partitions, and on whose word; changes nothing."""
    return way.choose_way(engine, table, proof, {name: source.columns for name, source in sources.items()}, gold)


def partitions_of(cut: Cut, source: str, rows: str) -> list[str]:
    """Return the partitions of a gold table in which rows of a source (a relation) count, as text; changes nothing."""
    if source not in cut.by:
        return ["the whole table"]
    keys = f"(SELECT {cut.keys(source)} FROM {rows})"
    return cut.engine.values(f"SELECT DISTINCT {cut.text} FROM {keys} WHERE {cut.in_one} ORDER BY 1")


def compute(engine: DuckEngine, table: Table, sources: Mapping[str, lake.Snapshot]) -> int:
    """Compute the whole table from these versions of its sources into the temporary table `result`; returns its rows.

    Raises:
        ContractError: the model does not parse, or does not return what the contract says.
        DataError: the result breaks a key or a required column.
    """
    rows = Model(engine, table, sources).whole(Computation.RESULT)
    laws.check(engine, table, f"(FROM {Computation.RESULT})")
    return rows


@dataclass(frozen=True)
class _Build:
    """One run's work on one table."""

    model: Model
    way: Way
    commit: Commit
    others: Slabbing | None = None

    @property
    def cut(self) -> Cut:
        return Cut(self.model.engine, self.model.table, self.model.sources, self.way.cuts)

    @property
    def claim(self) -> Claim:
        return Claim(self.model, self.cut, self.way.claim, self.commit.batch)

    def has_new_claim(self, gold: lake.Snapshot | None) -> bool:
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
