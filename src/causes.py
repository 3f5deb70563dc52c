"""Causes: the findings of the monitors, folded under what they follow from.

One fault makes many findings: a table that fails blocks those downstream, holds back others from readers, and all of
them go stale. What follows from what is told by the lineage and by the release, and nothing is guessed:

- A blocked table follows from the failed steps that it waits for, directly or through other blocked ones.
- A lack (nothing arrived, stale, late, without rows or scores) follows from what stands upstream of its table or at
  it: a step or pull that failed, damage, a quiet feed; and from where it began that the table is held back from
  readers. Where there is none of these, it follows from the first lack upstream of it.
- Figures that moved (unusual, another distribution, drifted features) follow from rows that lack or moved upstream of
  them, never from a step that failed: what is wrong in rows that readers see is not told by that.
- That a model was less right than it must be follows from what moved upstream of its scores, and not the other way.
- That more audits fail than before follows from the failed step of the very table.
- That no run succeeded follows from the steps that failed, as long as runs are started; where none is, every lack
  follows from it.
- Everything else is a cause of its own.

A finding may follow from several causes: mending one of them is then not enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from src.problems import CLASSES, Problem

_QUIET = "quiet"
_LACKS = (_QUIET, "freshness", "late", "critical", "missing", "volume", "unscored")  # something is not there
_MOVED = ("unusual", "distribution", "drift")
_PERFORMANCE = "performance"  # of a model of machine learning
_ROWS = ("volume", "missing", *_MOVED)  # what figures downstream move with
_QUALITY = "quality"
_STEPS = ("table", "source", "pull")
_PIPELINE = "run pipeline"


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong, and the findings that follow from it, the most urgent first."""

    head: Problem
    follows: tuple[Problem, ...] = ()

    @property
    def urgency(self) -> str:
        """Return how urgent the most urgent of its findings is."""
        return min((self.head.urgency, *(one.urgency for one in self.follows)), key=CLASSES.index)

    @property
    def findings(self) -> tuple[Problem, ...]:
        """Return the head and all that follows from it."""
        return (self.head, *self.follows)


@dataclass(frozen=True)
class Families:
    """The relations between feeds and tables. Names are theirs, and those of what brings a feed its files."""

    upstream: Mapping[str, Collection[str]]  # what each is built from, best in the order of a run
    held_by: Mapping[str, Collection[str]] = field(default_factory=dict)  # where it began that a table is held back
    sources: Mapping[str, str] = field(default_factory=dict)  # the source that brings a feed
    runs_start: bool = True  # a run was started lately, however it ended


def grouped(problems: Iterable[Problem], families: Families) -> tuple[Cause, ...]:
    """Return the causes of problems, the most urgent first; every problem is in one of them at least.

    Of two problems of one incident the most urgent counts.
    """
    ranked = sorted(problems, key=lambda problem: (CLASSES.index(problem.urgency), problem.incident))
    by_incident = {problem.incident: problem for problem in reversed(ranked)}
    known = list(by_incident.values())[::-1]
    roots = _roots(known, families)
    follows: dict[str, list[Problem]] = {}
    for problem in known:
        for root in roots.get(problem.incident, ()):
            follows.setdefault(root, []).append(problem)
    heads = (problem for problem in known if problem.incident not in roots)
    causes = (Cause(head, tuple(follows.get(head.incident, ()))) for head in heads)
    return tuple(sorted(causes, key=_first_to_do))


def _first_to_do(cause: Cause) -> tuple[object, ...]:
    """Return what sorts causes: the most urgent, of these what failed, of these what most follows from."""
    failed = cause.head.kind in _STEPS
    return CLASSES.index(cause.urgency), not failed, -len(cause.follows), cause.head.incident


def table_of(problem: Problem) -> str:
    """Return the feed or table that a problem is about; where it is about something else, that."""
    return problem.subject.partition(" ")[0]  # a series is named by its table and source


def _roots(problems: Sequence[Problem], families: Families) -> dict[str, tuple[str, ...]]:
    """Return by incident of what follows from heads the incidents of these; what is not in it is a head."""
    placing = _Placing(families)
    steps = [problem for problem in problems if problem.kind in _STEPS and problem.blocked_by is None]
    placing.steps(steps)
    for problem in problems:
        if problem.incident == _PIPELINE:
            placing.pipeline(problem, steps)
    placing.quality([problem for problem in problems if problem.kind == _QUALITY])
    placing.blocked([problem for problem in problems if problem.blocked_by is not None])
    placing.lacks([problem for problem in problems if problem.kind == _QUIET])
    placing.lacks([problem for problem in problems if problem.kind in _LACKS and problem.kind != _QUIET])
    placing.moved([problem for problem in problems if problem.kind in _MOVED])
    placing.moved([problem for problem in problems if problem.kind == _PERFORMANCE])
    return placing.roots()


class _Placing:
    """The heads that each problem follows from, as bits of a whole number.

    With bits, what stands above every table is found in one pass over the lineage, however many tables and heads.
    """

    def __init__(self, families: Families) -> None:
        self._families = families
        self._order = _upstream_first(families.upstream)
        self._heads: list[Problem] = []
        self._of: dict[str, int] = {}  # by incident; a head follows from itself
        self._at: dict[str, int] = {}  # by feed and table: the heads there that explain what lacks below
        self._any_lack = 0  # the heads that explain every lack
        self._sources = {name: 1 << at for at, name in enumerate(sorted({*families.sources.values()}))}
        brought = {feed: self._sources[source] for feed, source in families.sources.items()}
        self._brings = _reaching(self._order, families.upstream, brought)  # by table: the sources it is built from

    def roots(self) -> dict[str, tuple[str, ...]]:
        """Return by incident the heads that it follows from."""
        heads = {head.incident for head in self._heads}
        return {
            name: tuple(self._heads[number].incident for number in _ones(bits))
            for name, bits in self._of.items()
            if name not in heads
        }

    def steps(self, problems: Sequence[Problem]) -> None:
        """Place steps that failed, and damage: the step of a damaged table follows from the damage."""
        damage: dict[str, Problem] = {}
        for problem in problems:
            if problem.unreadable and problem.subject not in damage:
                damage[problem.subject] = problem
                self._at[problem.subject] = self._head(problem)
        for problem in problems:
            if problem.subject not in damage:
                self._at[problem.subject] = self._at.get(problem.subject, 0) | self._head(problem)
            elif problem is not damage[problem.subject]:
                self._of[problem.incident] = self._at[problem.subject]

    def pipeline(self, problem: Problem, steps: Sequence[Problem]) -> None:
        """Place that no run succeeded: it follows from the steps that failed, unless no run is started at all."""
        failed = 0
        for step in steps:
            if step.subject in self._families.upstream:  # a pull is no table: a run succeeds without its pulls
                failed |= self._of[step.incident]
        if failed and self._families.runs_start:
            self._of[problem.incident] = failed
        else:
            self._any_lack = self._head(problem)

    def quality(self, problems: Sequence[Problem]) -> None:
        """Place that more audits fail than before: it follows from the step of its table, where that failed."""
        for problem in problems:
            if bits := self._at.get(problem.subject):
                self._of[problem.incident] = bits

    def blocked(self, problems: Sequence[Problem]) -> None:
        """Place steps that were not done: they follow from those they wait for."""
        waits = {problem.subject: _names(problem.blocked_by) for problem in problems}
        for name, bits in self._in_order(problems, _upstream_first(waits), waits, self._at).items():
            if name in waits:
                self._at[name] = bits

    def lacks(self, problems: Sequence[Problem]) -> None:
        """Place what is not there: it follows from what stands above it or holds it back, else from other lacks."""
        above = _reaching(self._order, self._families.upstream, self._at)
        unexplained = []
        for problem in problems:
            name = table_of(problem)
            bits = above.get(name, self._at.get(name, 0)) | self._any_lack
            for origin in self._families.held_by.get(name, ()):
                bits |= self._at.get(origin, 0)
            if bits := self._of_its_source(problem, bits):
                self._of[problem.incident] = bits
            else:
                unexplained.append(problem)
        self._in_order(unexplained, self._order, self._families.upstream, {})
        for problem in unexplained:
            if problem.kind == _QUIET:
                self._at[problem.subject] = self._at.get(problem.subject, 0) | self._of[problem.incident]

    def moved(self, problems: Sequence[Problem]) -> None:
        """Place figures that moved: they follow from what rows upstream follow from."""
        rows: dict[str, int] = {}
        for incident, bits in self._of.items():
            kind, _, subject = incident.partition(" ")
            if kind in _ROWS:
                name = subject.partition(" ")[0]
                rows[name] = rows.get(name, 0) | bits
        self._in_order(problems, self._order, self._families.upstream, rows)

    def _in_order(
        self,
        problems: Iterable[Problem],
        order: Iterable[str],
        upstream: Mapping[str, Collection[str]],
        known: Mapping[str, int],
    ) -> dict[str, int]:
        """Place problems from upstream to downstream; one with nothing above it, or at its table, becomes a head.

        `known`: the heads that stand at names already. Return those that stand at each name or above it. Where names
        are upstream of each other in a circle, the first one in the order has the head.
        """
        waiting: dict[str, list[Problem]] = {}
        for problem in problems:
            waiting.setdefault(table_of(problem), []).append(problem)
        found = dict(known)
        for name in dict.fromkeys((*order, *waiting)):
            bits = found.get(name, 0)
            for other in upstream.get(name, ()):
                bits |= found.get(other, 0)
            for problem in waiting.get(name, ()):
                if explained := self._of_its_source(problem, bits):
                    self._of[problem.incident] = explained
                else:
                    bits |= self._head(problem)
            found[name] = bits
        return found

    def _head(self, problem: Problem) -> int:
        bit = 1 << len(self._heads)
        self._heads.append(problem)
        self._of[problem.incident] = bit
        return bit

    def _of_its_source(self, problem: Problem, bits: int) -> int:
        """Return these heads; for a series of a source without those that are about other sources alone."""
        source = _source_of(problem)
        if not source:
            return bits
        kept = 0
        for number in _ones(bits):
            head = self._heads[number]
            own, brought = _source_of(head), self._brings.get(table_of(head), 0)
            others = own not in ("", source) or (brought and not brought & self._sources.get(source, brought))
            kept |= 0 if others else 1 << number
        return kept


def _reaching(order: Iterable[str], upstream: Mapping[str, Collection[str]], at: Mapping[str, int]) -> dict[str, int]:
    """Return the bits that stand at each name or upstream of it."""
    found = dict(at)
    grows = True
    while grows:  # once more where names are upstream of each other in a circle
        grows = False
        for name in order:
            bits = found.get(name, 0)
            for other in upstream.get(name, ()):
                bits |= found.get(other, 0)
            grows |= bits != found.get(name, 0)
            found[name] = bits
    return found


def _upstream_first(upstream: Mapping[str, Collection[str]]) -> list[str]:
    """Return all names, each after what is upstream of it; where these go in a circle, as they come."""
    order: dict[str, None] = {}
    seen: set[str] = set()
    for first in upstream:
        waiting = [] if first in seen else [(first, iter(upstream[first]))]
        seen.add(first)
        while waiting:
            name, others = waiting[-1]
            other = next((one for one in others if one not in seen), None)
            if other is None:
                order[name] = None
                waiting.pop()
            else:
                seen.add(other)
                waiting.append((other, iter(upstream.get(other, ()))))
    return list(order)


def _source_of(problem: Problem) -> str:
    """Return the source that a problem of a series is about, else nothing."""
    return problem.subject.partition(" ")[2]


def _ones(bits: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _names(listed: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (listed or "").split(",") if name.strip())
