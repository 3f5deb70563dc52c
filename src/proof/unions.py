"""UNION, EXCEPT and INTERSECT: every arm must hold its partition in the same columns of the result."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from src.proof.expressions import (
    NULL,
    Cast,
    Dependency,
    Expression,
    SourceColumn,
    Tag,
    calendar,
    origins,
    parts_of,
    rebuilt,
)
from src.proof.reasoning import UNKNOWN, Reasoning
from src.proof.refusals import Refused
from src.proof.relations import Relation

_CHOICES = 20


@dataclass(frozen=True)
class Arm:
    """One query of a set operation, and the value that it gives for each column of the result."""

    relation: Relation
    values: list[Expression]


@dataclass(frozen=True)
class Union:
    """A set operation; `columns` are the result's own, of an occurrence that stands for the operation."""

    reasoning: Reasoning
    columns: list[SourceColumn]
    arms: list[Arm]

    def relation(self, word: str, node: object) -> Relation:
        """Return the relation that the operation gives.

        Raises:
            Refused: no function of the columns tells the partition in every arm.
        """
        own = {column.occurrence for column in self.columns}
        ids = own.union(*(arm.relation.ids for arm in self.arms))
        result = Relation([(None, column.name, column) for column in self.columns], ids=ids)
        result.back = max(arm.relation.back for arm in self.arms)
        depending = [arm for arm in self.arms if arm.relation.depends]
        if not depending:
            return result
        # what is the tag of all that every arm depends on, as one and the same function of the columns
        tags = frozenset.intersection(
            *(self.lifted(dependency, arm) for arm in depending for dependency in arm.relation.depends)
        )
        if not tags:
            source = self.reasoning.source_of(depending[0].relation.depends[0])
            fix = "let every arm give the column by which its source is cut, in the same place and of the same type"
            raise Refused(f"the arms of {word} do not hold the partition in the same columns", node, source, fix)
        result.depends = [tags]
        return result

    def lifted(self, dependency: Dependency, arm: Arm) -> Dependency:
        """Return the tags of a dependency of an arm as functions of the result's columns."""
        found: set[Tag] = set()
        for tag in dependency:
            sides = [
                {
                    lifted
                    for name in self.reasoning.names_of(part, arm.relation.known)
                    if origins(name) <= arm.relation.ids
                    for lifted in self._lifted(name, arm)
                }
                for part in tag
            ]
            found |= set(itertools.islice(itertools.product(*sides), _CHOICES))
        return frozenset(found)

    def _lifted(self, expression: Expression, arm: Arm) -> set[Expression]:
        columns = list(zip(self.columns, arm.values, strict=True))
        names = self.reasoning.names_of(expression, arm.relation.known)
        found: set[Expression] = {c for c, value in columns if value in names and c.type != UNKNOWN}
        if not found and (unit := calendar(expression)):
            day = Cast("DATE", unit[2])
            dates = [c for c, value in columns if value == day and c.type == "DATE"]
            found = {rebuilt(expression, (parts_of(expression)[0], date)) for date in dates}
        if not found and not origins(expression):
            return {expression}
        if not found and parts_of(expression):
            sides = [self._lifted(part, arm) if origins(part) else {part} for part in parts_of(expression)]
            combinations = itertools.islice(itertools.product(*sides), _CHOICES)
            found = {self.reasoning.canonical(rebuilt(expression, combination)) for combination in combinations}
        return found


def aligned(relations: Sequence[Relation], *, by_name: bool) -> tuple[list[str], list[Arm]]:
    """Return the names of a set operation's columns, and its arms with a value for each."""
    names = [name for _, name, _ in relations[0].outputs]
    if not by_name:
        return names, [Arm(relation, relation.values()) for relation in relations]
    known = {name.lower() for name in names}
    for relation in relations[1:]:
        for _, name, _ in relation.outputs:
            if name.lower() not in known:
                names.append(name)
                known.add(name.lower())
    return names, [Arm(relation, [_named(relation, name) for name in names]) for relation in relations]


def _named(relation: Relation, name: str) -> Expression:
    return next((value for _, other, value in relation.outputs if other.lower() == name.lower()), NULL)


def column_types(reasoning: Reasoning, arms: Sequence[Arm]) -> list[str]:
    """Return the type of each column; UNKNOWN where the arms differ: an implicit cast is not an identity."""
    found = []
    for values in zip(*(arm.values for arm in arms), strict=False):
        kinds = {reasoning.type_of(value) for value in values}
        found.append(kinds.pop() if len(kinds) == 1 else UNKNOWN)
    return found
