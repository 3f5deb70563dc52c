"""The steps of the three layers: what each needs, and which go by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from src.checks.outcome import Outcome
from src.contract import Feed, Seed, Table
from src.project import Project, blocking, upstream
from src.run.side_by_side import Step

Work = Callable[[Project], Outcome]


def bronze(feed: Feed, seeds: Iterable[Seed], work: Work) -> Step:
    """Return the step of a feed, which needs the seeds that it takes."""
    own = tuple(seed.id for seed in seeds if seed.is_taken_by(feed))
    # one process reads all workbooks, and only the thread of the run ends it when a stop is asked for
    return Step(feed.id, work, needs=own, source=feed.path, alone=feed.format == "xlsx")


def silver(table: Table, work: Work) -> Step:
    """Return the step of a silver table, which needs its feeds and what its foreign keys name."""
    return Step(table.id, work, needs=tuple(upstream(table)))


def gold(table: Table, work: Work) -> Step:
    """Return the step of a gold table, which needs its sources but the soft ones, and what its foreign keys name."""
    # a model in Python is anybody's code; a soft source is read as right or not by all that the run has counted
    alone = bool(table.python or table.scored_by or table.soft_sources)
    return Step(table.id, work, needs=tuple(blocking(table)), alone=alone)
