"""A relation of the model, and the partitions of the cut sources that its rows depend on.

The invariant that every rule keeps: for every set of partitions, the rows whose tags all lie in it are the same
whether the cut sources are whole or hold these partitions alone. Other rows may differ, and are cut off at the end.
A relation without a dependency does not depend on the cut at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from src.proof.expressions import Dependency, Expression, Tag

Pair = tuple[Expression, Expression]
Output = tuple[str | None, str, Expression]  # alias of the table, name of the column, value

SEVERAL = "it has several rows per partition"


@dataclass(frozen=True)
class Known:
    """Facts of every row of a relation: expressions that are equal, and expressions that are not NULL."""

    equal: tuple[Pair, ...] = ()
    filled: frozenset[Expression] = frozenset()
    memo: dict[tuple[Expression, int], frozenset[Expression]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def neighbours(self) -> dict[Expression, set[Expression]]:
        """Return for each expression those that an equality names beside it."""
        found: dict[Expression, set[Expression]] = {}
        for one, two in self.equal:
            found.setdefault(one, set()).add(two)
            found.setdefault(two, set()).add(one)
        return found

    def __add__(self, other: Known) -> Known:
        if not other.equal and not other.filled:
            return self
        return Known(self.equal + other.equal, self.filled | other.filled)


@dataclass(eq=False)
class Relation:
    outputs: list[Output]
    depends: list[Dependency] = field(default_factory=list)
    known: Known = field(default_factory=Known)
    ids: set[int] = field(default_factory=set)  # of the occurrences, joins and opaque values made inside
    merged: dict[str, Expression] = field(default_factory=dict)  # name of a column that USING merged: its value
    paths: dict[str, list[str]] = field(default_factory=dict)  # alias of a table: its full name
    hidden: set[tuple[str | None, str]] = field(default_factory=set)  # outputs that * leaves out: USING merged them
    # for a lookback
    anchors: frozenset[Tag] = frozenset()  # each row stems from a row of a cut source that has this tag
    gaps: str | None = "it does not read one source alone"  # why a partition can be without a row; None: it cannot
    uneven: str | None = SEVERAL  # why a partition can have several rows; None: it has one where it has any
    back: int = 0  # how many partitions before its own a row reads
    windows_back: int = 0  # and how many after the windows of the SELECT that is walked over

    def values(self) -> list[Expression]:
        """Return the value of each output column."""
        return [value for _, _, value in self.outputs]

    def depend(self, dependencies: Iterable[Dependency]) -> None:
        """Add dependencies, and keep those that do not follow from another.

        What suffices for {a} suffices for {a, b}. They are never united: tags that an outer or an anti join
        equates differ on the rows that match nothing.
        """
        kept: list[Dependency] = []
        for dependency in sorted([*self.depends, *dependencies], key=len):
            if not any(other <= dependency for other in kept):
                kept.append(dependency)
        self.depends = kept

    def loses(self, why: str) -> None:
        """Note that partitions can be left out from here on."""
        self.gaps = self.gaps or why


def aliased(relation: Relation, alias: str, names: list[str], path: list[str] | None = None) -> Relation:
    """Return a relation under an alias, its first columns renamed."""
    outputs: list[Output] = [
        (alias, names[at] if at < len(names) else name, value) for at, (_, name, value) in enumerate(relation.outputs)
    ]
    return replace(relation, outputs=outputs, merged={}, paths={alias: path or [alias]}, hidden=set())
