"""Prove from a gold model's SQL that each partition depends on the same partition of the sources that are cut.

For every set of partitions, the model over sources cut to these gives their rows as the model over everything does.
So a run may compute touched partitions alone. What is not proven is computed whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from src.contract import Column, Table
from src.engine import DuckEngine, identifier
from src.proof.cutting import Cut, cast_cuts, choices
from src.proof.facts import sources_of
from src.proof.refusals import WHOLE, Budget, OverBudget, Proof, Refusal, Refused
from src.proof.sources import Source
from src.proof.walk import Walk, parse

STEPS = 100_000
UNKNOWN_SHAPE = "the parsed model has a shape that the proof does not know"
# The tree is the engine's, and grows with it: what the walk does not find where it looks is one more thing unknown.
_UNKNOWN_SHAPE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)


def prove(engine: DuckEngine, table: Table, tables: Mapping[str, Table], *, steps: int = STEPS) -> Proof:
    """Prove a gold table, or return why it cannot be; `tables` are all silver and gold tables by id."""
    if not table.partition_by:
        fix = "mark a column `partitioned: true`"
        return Proof({}, Refusal("the table has no partition column", None, None, fix))
    if table.scored_by:
        return Proof({}, Refusal("its rows are scored one by one", None, None, "nothing is to be done"))
    if table.sql is None:
        fix = "write the model as SQL; or claim `refresh: partitions`, which every run checks"
        return Proof({}, Refusal("a Python model cannot be proven", None, None, fix))
    budget = Budget(steps)
    try:
        cuts = _proven(engine, table, sources_of(engine, table, tables, budget), budget)
    except Refused as refused:
        return Proof({}, refused.as_refusal(table.sql))
    except _UNKNOWN_SHAPE as error:
        return Proof({}, Refusal(f"{UNKNOWN_SHAPE} ({type(error).__name__})", None, None, WHOLE))
    return Proof(cuts)


def _proven(engine: DuckEngine, table: Table, sources: Mapping[str, Source], budget: Budget) -> dict[str, Cut]:
    """Return the cuts of the fewest whole sources with which a table is proven.

    Raises:
        Refused: with the reason that the first of them gives.
    """
    columns = _partition(table)
    partition = [(column.name, column.type) for column in columns]
    given = tuple(column.expression or identifier(column.name) for column in columns)
    needed = {name for expression in given for name in engine.column_references(expression)}

    def walk(cuts: Mapping[str, Cut]) -> Walk:
        return Walk(engine, sources, partition, cuts, table.lookback, budget)

    whole = walk({})
    first: Refused | None = None
    for cuts in choices(whole, whole.model(str(table.sql)), given, needed):
        cut = walk(cuts)
        try:
            cut.check_local(cut.model(str(table.sql)), parse(engine, str(table.sql)))
        except OverBudget:
            raise
        except Refused as refused:
            first = first or refused
            continue
        return cast_cuts(cut, cuts, [kind for _, kind in partition])
    names = ", ".join(table.partition_by)
    fix = f"let the model make {names} of the columns of one source; or {WHOLE}"
    raise first or Refused(f"no source has what {names} is made of", fix=fix)


def _partition(table: Table) -> Sequence[Column]:
    own = {column.name: column for column in table.columns}
    return [own[name] for name in table.partition_by]
