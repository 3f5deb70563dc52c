"""How a gold table is computed: whole, unless its SQL proves, or its contract claims, that partitions stand alone.

A partition stands alone if it depends on the same partition of the sources that are cut, and on nothing else of
them. Without proof or claim every change computes the table whole: correct is the default.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from src import contract, lake
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.proof import Proof, Refusal

_CHECKED, _REFUTED = "claim:checked", "claim:refuted"  # txn app ids: of which claim a table's state says so
# What a claim is about, and nothing that a later version records beside it: no upgrade makes a claim new.
_FACTS = ("key", "partition_by", "sequence_by", "delete_when", "history", "sql", "python", "feeds")
_COLUMN_FACTS = ("name", "type", "expression", "required", "unique", "rules")


@dataclass(frozen=True)
class Way:
    """By which expressions of its columns each source is cut, one per partition column; no source: computed whole.

    A source that is not named is read whole, and a change in it changes every partition.
    """

    cuts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claim: str = ""  # the contract's words that the cuts rest on; empty: they are proven
    why_whole: str = ""  # and what to do about it; empty where the contract itself asks for it
    fix: str = ""

    @property
    def by_partitions(self) -> bool:
        """Return whether the table is computed by partitions."""
        return bool(self.cuts)

    @property
    def is_proven(self) -> bool:
        """Return whether it is proven that the table may be computed by partitions."""
        return self.by_partitions and not self.claim


def choose_way(
    engine: DuckEngine, table: Table, proof: Proof, columns: Mapping[str, Mapping[str, str]], gold: lake.Snapshot | None
) -> Way:
    """Return how a table is computed, given its sources' columns and what its stored version says of its claim."""
    if table.refresh == "full" or not table.partition_by or table.scored_by:
        return Way()
    if proof.refusal is None:
        return Way(proof.cuts)
    if table.refresh == "partitions":
        return _claimed(engine, table, columns, gold)
    return Way(why_whole=located(table, proof.refusal), fix=proof.refusal.fix)


def located(table: Table, refusal: Refusal) -> str:
    """Return why a table is computed whole, and where in its model that stands."""
    line = f":{refusal.line}" if refusal.line is not None else ""
    return f"{refusal.what} ({table.model.name}{line})"


def _claimed(
    engine: DuckEngine, table: Table, columns: Mapping[str, Mapping[str, str]], gold: lake.Snapshot | None
) -> Way:
    """Return the author's word: every source that has the columns of the partition's expression is cut by it."""
    declared = "refresh: partitions" + (f", lookback: {table.lookback}" if table.lookback else "")
    if is_refuted(table, gold):
        fix = "correct the model, or write `refresh: full`; a changed contract is believed again, and checked"
        return Way(why_whole=f"the claim `{declared}` did not hold when it was checked", fix=fix)
    own = {column.name: column for column in table.columns}
    parts = [own[name] for name in table.partition_by]
    needed = {
        name
        for column in parts
        for name in (engine.column_references(column.expression) if column.expression else [column.name.lower()])
    }
    by = tuple(f"({column.expression or identifier(column.name)})::{column.type}" for column in parts)
    cuts = {source: by for source, known in columns.items() if needed <= {name.lower() for name in known}}
    if not cuts:
        fix = "write `transformLogic` at the partition column, over the columns of a source"
        return Way(why_whole=f"no source has {', '.join(sorted(needed))}, of which the partition is made", fix=fix)
    if table.lookback and len(parts) > 1:
        what = f"lookback counts along one partition column, and there are {', '.join(table.partition_by)}"
        return Way(why_whole=what, fix="remove lookback, or partition by one column")
    if table.lookback and len(cuts) > 1:
        fix = "remove lookback, or write `transformLogic` over columns that one source alone has"
        what = f"lookback counts the partitions of one source, and {', '.join(cuts)} have such"
        return Way(why_whole=what, fix=fix)
    return Way(cuts, declared)


# -- what a table's state says of its claim


def is_checked(table: Table, gold: lake.Snapshot) -> bool:
    """Return whether the claim was checked when it was new."""
    return gold.progress(_CHECKED) == _claim(table)


def is_refuted(table: Table, gold: lake.Snapshot | None) -> bool:
    """Return whether the stored version says that this claim does not hold."""
    return gold is not None and gold.progress(_REFUTED) == _claim(table)


def checked(table: Table) -> dict[str, int]:
    """Return the progress that records that the claim was checked."""
    return {_CHECKED: _claim(table)}


def refuted(table: Table) -> dict[str, int]:
    """Return the progress that records that the claim does not hold."""
    return {_REFUTED: _claim(table)}


def _claim(table: Table) -> int:
    """Return a number of 63 bits that is the same as long as the claim, and what it is about, are."""
    logic = contract.logic(table)
    columns = [{fact: column[fact] for fact in _COLUMN_FACTS} for column in logic["columns"]]
    facts = {fact: logic[fact] for fact in _FACTS} | {"columns": columns, "run_date": None}
    facts |= {"refresh": table.refresh, "lookback": table.lookback}
    text = json.dumps(facts, sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
