"""Gold: a partition is computed whole, never edited; and a table is, unless its partitions are known to stand alone.

A run finds the partitions that the sources' new versions touched, before and after, computes
exactly these from the sources and replaces them in one commit; one that became empty is emptied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from src import contract, lake
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine

# What computes is imported where there is something to compute: a run with nothing new only looks.
if TYPE_CHECKING:
    from src.gold.cut import Cut
    from src.gold.slabs import Slabbing
    from src.gold.way import Way
    from src.proof import Proof


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
    from src.gold.build import Build
    from src.gold.commit import Commit
    from src.gold.model import Model
    from src.gold.touched import EVERYTHING, Touched

    build = Build(
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
    from src.gold import way

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
    from src.gold import laws
    from src.gold.computation import Computation
    from src.gold.model import Model

    rows = Model(engine, table, sources).whole(Computation.RESULT)
    laws.check(engine, table, f"(FROM {Computation.RESULT})")
    return rows
