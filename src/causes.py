"""Causes: the findings of the monitors, folded under what they follow from.

One fault makes many findings: a table that fails blocks those downstream, holds back others from readers, and all of
them go stale. What follows from what is told by the lineage and by the release, and nothing is guessed:

- A head stands for itself: a step that failed, a pull that was refused, a feed that went quiet, a table that cannot
  be read, a pipeline that did not run, and everything that is no matter of missing data.
- A lack (blocked, stale, late, without rows) follows from the heads upstream of its table, and from those that hold
  the table back from readers. Where there is none, it follows from the lacks upstream of it that nothing explains.
- That no run succeeded follows from the steps that failed, as long as the pipeline is run at all.

A finding may follow from several causes: mending one of them is then not enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from src.problems import CLASSES, Problem

# Findings that something is not there: they follow from whatever kept it from coming.
LACKS = ("freshness", "late", "critical", "missing", "volume")
_STEPS = ("table", "source", "pull", "quiet")
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


def grouped(
    problems: Sequence[Problem], upstream: Mapping[str, Collection[str]], held_by: Mapping[str, Collection[str]]
) -> tuple[Cause, ...]:
    """Return the causes of problems, the most urgent first; every problem is in one of them at least.

    `upstream`: what each feed and table is built from; `held_by`: of each table that readers see as of an earlier run,
    where the trouble began.
    """
    above = _Above(upstream, held_by)
    heads = {problem.incident: problem for problem in problems if _is_head(problem)}
    roots: dict[str, set[str]] = {}  # by incident the heads it follows from
    for problem in _upstream_first(problems, above):
        if problem.incident in heads:
            continue
        over = above.everything(problem.subject) | {problem.subject}
        found = {name for name, head in heads.items() if _reaches(head, over)}
        if found:
            roots[problem.incident] = found
        else:
            heads[problem.incident] = problem
    causes = [
        Cause(head, tuple(problem for problem in problems if name in roots.get(problem.incident, ())))
        for name, head in heads.items()
    ]
    return tuple(sorted(causes, key=lambda cause: (CLASSES.index(cause.urgency), -len(cause.follows))))


def _is_head(problem: Problem) -> bool:
    return problem.blocked_by is None and problem.kind not in LACKS


def _reaches(head: Problem, over: Collection[str]) -> bool:
    return head.incident == _PIPELINE or ((head.kind in (*_STEPS, *LACKS)) and head.subject in over)


class _Above:
    """The feeds and tables above each: upstream of it, and what holds it back with all above that."""

    def __init__(self, upstream: Mapping[str, Collection[str]], held_by: Mapping[str, Collection[str]]) -> None:
        self._next = {
            name: {*upstream.get(name, ()), *held_by.get(name, ())} for name in upstream.keys() | held_by.keys()
        }

    def everything(self, name: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(self._next.get(name, ()))
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting += self._next.get(at, ())
        return seen


def _upstream_first(problems: Iterable[Problem], above: _Above) -> Iterator[Problem]:
    yield from sorted(problems, key=lambda problem: len(above.everything(problem.subject)))
