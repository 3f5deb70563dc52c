"""What the rows of a join depend on, for each kind of join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from src.proof.expressions import Call, Dependency, Expression, NullExtended, Tag, null_extended
from src.proof.reasoning import Reasoning
from src.proof.refusals import Refused
from src.proof.relations import Known, Output, Pair, Relation


@dataclass(frozen=True)
class Join:
    """Two relations and what the join's condition equates between them."""

    reasoning: Reasoning
    left: Relation
    right: Relation
    known: Known  # of both sides, and of the condition: holds for rows that match
    using: tuple[str, ...]  # names of the merged columns
    pairs: tuple[Pair, ...]  # their values, left and right
    new_ids: tuple[int, int]
    node: object

    def inner(self) -> Relation:
        """Return the relation of an inner join."""
        left, right = self.left, self.right
        joined = Relation(
            left.outputs + right.outputs,
            known=self.known,
            ids=left.ids | right.ids,
            merged={**left.merged, **right.merged, **self._merged_left()},
            paths={**left.paths, **right.paths},
            anchors=left.anchors | right.anchors,
        )
        joined.depend([*left.depends, *right.depends])
        return self._finished(joined)

    def left_outer(self) -> Relation:
        """Return the relation of a left outer join."""
        return self._finished(self._outer(self.left, self.right, self._merged_left()))

    def right_outer(self) -> Relation:
        """Return the relation of a right outer join."""
        merged = {name: right for name, (_, right) in zip(self.using, self.pairs, strict=True)}
        joined = self._outer(self.right, self.left, merged)
        preserved = len(self.right.outputs)
        joined.outputs = joined.outputs[preserved:] + joined.outputs[:preserved]
        return self._finished(joined)

    def full_outer(self) -> Relation:
        """Keep the rows of both sides that match nothing, the columns of the other side NULL."""
        left_id, right_id = self.new_ids
        left, right = self.left, self.right
        merged: dict[str, Expression] = {}
        for name, (one, two) in zip(self.using, self.pairs, strict=True):
            merged[name] = Call("coalesce", (NullExtended(left_id, one), NullExtended(right_id, two)))
        outputs: list[Output] = [(alias, name, NullExtended(left_id, value)) for alias, name, value in left.outputs]
        outputs += [(alias, name, NullExtended(right_id, value)) for alias, name, value in right.outputs]
        joined = Relation(
            outputs,
            ids=left.ids | right.ids | {left_id, right_id},
            merged=merged,
            paths={**left.paths, **right.paths},
        )
        for dependency in left.depends:
            joined.depend([self._of_one_side(dependency, left_id, right_id, right)])
        for dependency in right.depends:
            joined.depend([self._of_one_side(dependency, right_id, left_id, left)])
        return self._finished(joined)

    def _of_one_side(self, dependency: Dependency, own_id: int, other_id: int, other: Relation) -> Dependency:
        """Return the tags of a dependency of one side of a FULL JOIN, with those of both that the condition equates."""
        tags = {null_extended(own_id, tag) for tag in dependency}
        across = self.reasoning.rewritten(dependency, self.known, lambda origin: origin in other.ids)
        for there in (null_extended(other_id, tag) for tag in across):
            tags |= {there, *(both for tag in dependency for both in _coalesced(null_extended(own_id, tag), there))}
        return frozenset(tags)

    def semi(self, what: str) -> Relation:
        """Keep rows of the left side by whether the right side has a match; it must lie in their own partition."""
        left = self.left
        left.depend(self.matched(what))
        left.loses(self._gaps())
        return left

    def matched(self, what: str) -> list[Dependency]:
        """Return what the left side depends on as its rows look for rows of the right side.

        Raises:
            Refused: the condition does not equate the partition of the rows looked for.
        """
        found = []
        for dependency in self.right.depends:
            tags = self.reasoning.rewritten(dependency, self.known, lambda origin: origin not in self.right.ids)
            if not tags:
                source = self.reasoning.source_of(dependency)
                fix = "equate their partition with that of the left side in ON"
                raise Refused(f"{what} other partitions of {source or 'a source'}", self.node, source, fix)
            found.append(tags)
        return found

    def as_of(self, kind: str) -> Relation:
        """Give each row of the left side its nearest row of the right, which must lie in its own partition."""
        depends = [*self.left.depends, *self.matched("the as-of join takes rows of")]
        joined = self.inner() if kind == "INNER" else self.left_outer()
        joined.depends, joined.anchors = [], self.left.anchors
        joined.depend(depends)
        return joined

    def _outer(self, kept: Relation, other: Relation, merged: dict[str, Expression]) -> Relation:
        """Keep all rows of one side; the columns of the other are NULL where nothing matches.

        Only the condition equates the two: a fact about the other side holds for rows that match alone.
        """
        join = self.new_ids[0]
        joined = Relation(
            kept.outputs + [(alias, name, NullExtended(join, value)) for alias, name, value in other.outputs],
            depends=list(kept.depends),
            known=kept.known
            + Known(tuple((NullExtended(join, one), NullExtended(join, two)) for one, two in other.known.equal)),
            ids=kept.ids | other.ids | {join},
            merged={
                **{name: NullExtended(join, value) for name, value in other.merged.items()},
                **kept.merged,
                **merged,
            },
            paths={**kept.paths, **other.paths},
            anchors=kept.anchors,
        )
        for dependency in other.depends:
            equated = self.reasoning.rewritten(dependency, self.known, lambda origin: origin not in other.ids)
            joined.depend([frozenset(null_extended(join, tag) for tag in dependency) | equated])
        return joined

    def _merged_left(self) -> dict[str, Expression]:
        return {name: left for name, (left, _) in zip(self.using, self.pairs, strict=True)}

    def _finished(self, joined: Relation) -> Relation:
        merged = {(alias, name) for alias, name, _ in self.right.outputs if name.lower() in self.using}
        joined.hidden = self.left.hidden | self.right.hidden | merged
        joined.gaps = self._gaps()
        joined.back = max(self.left.back, self.right.back)
        return joined

    def _gaps(self) -> str:
        sides = sorted((self.right, self.left), key=lambda side: bool(side.depends))  # a whole one first
        name = next(".".join(path) for path in sides[0].paths.values()) if sides[0].paths else "another relation"
        return f"the join with {name} can leave partitions out"


def _coalesced(one: Tag, two: Tag) -> Sequence[Tag]:
    return [
        tuple(Call("coalesce", pair) for pair in zip(one, two, strict=True)),
        tuple(Call("coalesce", pair) for pair in zip(two, one, strict=True)),
    ]
