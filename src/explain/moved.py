"""Why a number of a mart is another in a later release: what happened to the rows behind it, file by file.

The model is run in steps from the earlier rows to the later ones. Each step takes out, corrects or adds the rows of one
file of one source, and its part is by how much the numbers then move. So the parts add up to the difference, whatever
the model computes; of what is not a sum, another order of the steps would give other parts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from src.contract import PROVENANCE, Table
from src.engine import DuckEngine, identifier, literal
from src.errors import UsageError
from src.explain.explaining import Explainer
from src.explain.tracing import Tracer

_MOST = 50  # steps; smaller ones go together in a last one
_NEVER = 1 << 30  # the step at which a row leaves that stays
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One part of a difference: what happened to how many rows of a source, of one file, and how each number moved.

    `what`: left, corrected, new; others, of several files; contract, where the earlier numbers were computed by another
    model, or over rows that are not the same behind it.
    """

    what: str
    source: str
    file: str | None
    rows: int
    moves: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class Movement:
    """A row of a mart's table in two releases, and the parts of the difference; `adds_up`: they make all of it."""

    table: str
    before: str  # the run of the earlier release
    after: str
    key: Mapping[str, Any]
    numbers_before: Numbers
    numbers_after: Numbers
    parts: tuple[Part, ...]
    adds_up: bool


@dataclass(frozen=True)
class Mover:
    """Lays the rows behind one row of a table beside each other, in two of its versions.

    `earlier`, `later`: its tracers; `rows`: a relation of the row in each, one of which may be empty; `keys`: by source
    the columns that tell a row; `hidden`: columns of the table that are not shown.
    """

    engine: DuckEngine
    earlier: Tracer
    later: Tracer
    rows: tuple[str, str]
    keys: Mapping[str, Sequence[str]]
    hidden: frozenset[str]

    def numbers(self, relation: str) -> dict[str, Any]:
        """Return the numbers of the row of a relation; none where it has no row."""
        return self.later.numbers(relation, self.hidden)

    def parts(self) -> tuple[tuple[Part, ...], bool]:
        """Return the parts of the difference, and whether they add up to it."""
        stored = [self.numbers(side) for side in self.rows]
        steps = self._steps()
        values = [self._after(count) for count in range(len(steps) + 1)]
        found = [Part("contract", self.later.table.id, None, 0, _moved(stored[0], values[0]))]
        found += [
            replace(step, moves=_moved(*ends)) for step, ends in zip(steps, itertools.pairwise(values), strict=True)
        ]
        return tuple(part for part in found if part.moves), not _moved(values[-1], stored[1])

    def _steps(self) -> list[Part]:
        """Return what happened, step by step, once the rows of all sources say at which they come or go."""
        found = [step for name in self.later.sources for step in self._compared(name)]
        small = sorted(found, key=lambda step: -step.rows)[_MOST:]
        kept = [step for step in found if step not in small]
        for name in self.later.sources:
            cases = "".join(
                f" WHEN what = {literal(step.what)} AND file IS NOT DISTINCT FROM {literal(step.file)} THEN {nth}"
                for nth, step in enumerate(kept, 1)
                if step.source == name
            )
            number = f"CASE WHEN what IS NULL THEN {_NEVER}{cases} ELSE {len(kept) + 1} END"
            pairs = self._named(name, "pairs")
            self.engine.table(self._named(name, "steps"), f"SELECT *, {number} AS nth FROM {pairs}")
        others = Part("others", self.later.table.id, None, sum(step.rows for step in small))
        return [*kept, others] if small else kept

    def _compared(self, name: str) -> list[Part]:
        """Pair the rows of a source that are behind the row in both versions; returns what happened, by file."""
        source = self.later.sources[name]
        for end, (tracer, side) in enumerate(zip((self.earlier, self.later), self.rows, strict=True)):
            self.engine.table(self._named(name, end), tracer.behind(side).picked(name))
        columns = [column for column in source.columns if column not in PROVENANCE]
        same = " AND ".join(f"a.{c} IS NOT DISTINCT FROM b.{c}" for c in map(identifier, self.keys[name] or columns))
        differs = " OR ".join(f"a.{c} IS DISTINCT FROM b.{c}" for c in map(identifier, columns))
        what = f"CASE WHEN b.id IS NULL THEN 'left' WHEN a.id IS NULL THEN 'new' WHEN {differs} THEN 'corrected' END"
        file = "coalesce(b._file, a._file)" if "_file" in source.columns else "NULL::VARCHAR"
        sides = [f"(SELECT *, rowid AS id FROM temp.{self._named(name, end)})" for end in (0, 1)]
        select = f"SELECT a.id AS old, b.id AS new, {what} AS what, {file} AS file FROM {sides[0]} a"
        pairs = self._named(name, "pairs")
        self.engine.table(pairs, f"{select} FULL JOIN {sides[1]} b ON {same}")
        counted = f"SELECT what, file, count(*) FROM {pairs} WHERE what IS NOT NULL GROUP BY ALL ORDER BY ALL"
        return [Part(what, name, file, count) for what, file, count in self.engine.rows(counted)]

    def _after(self, steps: int) -> dict[str, Any]:
        """Return the numbers that the model gives after so many steps."""

        def picked(name: str) -> str:
            names = ", ".join(map(identifier, self.later.sources[name].columns))
            paired = f"temp.{self._named(name, 'steps')}"
            old, new = (f"SELECT {names} FROM temp.{self._named(name, end)} WHERE rowid IN" for end in (0, 1))
            left = f"{old} (SELECT old FROM {paired} WHERE nth > {steps})"
            return f"{left} UNION ALL {new} (SELECT new FROM {paired} WHERE nth <= {steps})"

        row = self.rows[1] if self.engine.rows(f"SELECT 1 FROM {self.rows[1]} LIMIT 1") else self.rows[0]
        return self.numbers(self.later.given(picked, row, self.later.dimensions))

    def _named(self, source: str, what: object) -> str:
        return f"moved_{self.later.nth(source)}_{what}"


def _moved(before: Numbers, after: Numbers) -> dict[str, Any]:
    """Return by how much numbers moved, those that did; one that is not there counts as nothing."""
    return {
        name: (after.get(name) or 0) - (before.get(name) or 0)
        for name in {**before, **after}
        if not _same(before.get(name), after.get(name))
    }


def _same(one: Any, other: Any) -> bool:
    """Return whether two numbers are the same; sums of floats differ by the order of their rows."""
    floats = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other, rel_tol=1e-9) if floats else bool(one == other)


def explain_movement(
    ends: tuple[Explainer, Explainer], runs: tuple[str, str], table: Table, where: str, asked: str
) -> Movement:
    """Return why the numbers of one row of a mart's table are others in a later release; `ends`: of each one.

    Raises:
        UsageError: the condition names no row of either, or several; a table of silver; columns that were others.
        ContractError: the contract has moved on since the later release.
    """
    engine = ends[1].project.engine
    if table.layer != "gold":
        raise UsageError(f"{table.id} has no model", fix=f"name a table of a mart; or main.py diff --table {table.id}")
    stored = ends[0].opened(table), ends[1].opened(table)
    ends[1].as_it_was_built(table, stored[1])
    if lost := [column.name for column in table.columns if stored[0].columns.get(column.name) != column.type]:
        fix = "name releases in which its columns are the same"
        raise UsageError(f"{table.id} had no column {', '.join(lost)} of that type in run {runs[0]}", fix=fix)
    rows = tuple(ends[nth].rows(table, stored[nth], where, asked, f"moved_row_{nth}") for nth in (0, 1))
    counts = [int(engine.one(f"SELECT count(*) FROM {side}")[0]) for side in rows]
    if max(counts) != 1:
        raise UsageError(f"{max(counts)} rows of {table.id} have {asked}", fix="write a condition that one row meets")
    earlier, later = (ends[nth].tracer(table, stored[nth], f"moved_{nth}") for nth in (0, 1))
    keys = {name: ends[1].project.declared(name).key for name in table.declared_sources}
    hidden = frozenset(ends[1].masks.hidden(table.id, table.stored_columns))
    mover = Mover(engine, earlier, later, (rows[0], rows[1]), keys, hidden)
    parts, adds_up = mover.parts()
    shown = ends[1].values(table, rows[1] if counts[1] else rows[0])[0]
    key = {name: shown[name] for name in later.dimensions}
    return Movement(table.id, *runs, key, mover.numbers(rows[0]), mover.numbers(rows[1]), parts, adds_up)
