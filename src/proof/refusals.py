"""What the proof gives: by what each source is cut, or why the table has to be computed whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WHOLE = "`refresh: full` where it has to be so; or claim `refresh: partitions`, which every run checks"


@dataclass(frozen=True)
class Refusal:
    """The reason why a table cannot be computed by partitions, and where in the model it stands."""

    what: str
    line: int | None  # of the model, counted from 1
    source: str | None  # id of the source whose other partitions are read
    fix: str


@dataclass(frozen=True)
class Proof:
    """By what each source is cut, if each partition of a table depends on the same partition of these alone.

    `cuts`: source id to one SQL expression over its columns per partition column of the table, of that column's
    type; a row for which one of them is NULL belongs to no partition. A source that is not named is read whole,
    and a change in it changes every partition.
    """

    cuts: Mapping[str, tuple[str, ...]]
    refusal: Refusal | None = None  # None: proven


class Refused(Exception):
    """A rule does not hold: what was found, where in the parsed model, of which source, and what to do."""

    def __init__(self, what: str, node: object = None, source: str | None = None, fix: str = WHOLE) -> None:
        super().__init__(what)
        self.what, self.node, self.source, self.fix = what, node, source, fix

    def as_refusal(self, sql: str) -> Refusal:
        """Return the refusal with the model's line."""
        return Refusal(self.what, _line(sql, self.node), self.source, self.fix)


class Budget:
    """The steps a proof may take; beyond them the table is computed whole.

    Steps and not seconds, so that a busy machine decides as an idle one does; 100,000 take about two seconds.
    """

    def __init__(self, steps: int) -> None:
        self._left = steps

    def take(self, steps: int = 1) -> None:
        """Spend steps.

        Raises:
            OverBudget: none are left.
        """
        self._left -= steps
        if self._left < 0:
            fix = f"cut the model into two tables; or {WHOLE}"
            raise OverBudget("the model is too large to be proven in the time given to it", fix=fix)


class OverBudget(Refused):
    """The budget is used up, whatever else would be tried."""


def nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a parsed statement."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from nodes(part)


def _line(sql: str, node: object) -> int | None:
    """Return the line on which a part of the model begins, or has its keyword; the parser counts bytes."""
    own = [offset for offset in map(_offset, nodes(node)) if offset]
    if isinstance(node, dict) and _offset(node):
        own = own[:1]
    return sql.encode()[: min(own)].count(b"\n") + 1 if own else None


def _offset(node: dict[str, Any]) -> int | None:
    unset = 1 << 60
    offset = int(node.get("query_location", unset))
    return offset if 0 < offset < unset else None
