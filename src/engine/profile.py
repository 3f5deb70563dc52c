"""What each statement of the engine took: wall and processor time, so that one that keeps a single core busy is seen.

The processor time is that of the whole process, all threads of the engine among them: it says something of a statement
only where no other runs beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Statement:
    """One statement that ran, and of which step of a run it was; empty outside of one."""

    step: str
    sql: str
    wall_seconds: float
    cpu_seconds: float

    @property
    def cores(self) -> float:
        """Return how many cores were busy, on average."""
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 0.0


@dataclass
class Profile:
    """The statements of a command so far, in the order in which they ended."""

    statements: list[Statement] = field(default_factory=list)
    step: str = ""  # that runs, as its run knows it

    @contextmanager
    def timed(self, sql: str) -> Iterator[None]:
        """Add a statement that runs within the with-block; one that fails too."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            took = time.perf_counter() - wall, time.process_time() - cpu
            self.statements.append(Statement(self.step, sql, *took))

    def longest(self, most: int) -> list[Statement]:
        """Return at most so many statements, the longest first."""
        return sorted(self.statements, key=lambda one: -one.wall_seconds)[:most]
