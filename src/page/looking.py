"""What the page knows of the lake: one look, kept until the lake has moved, and projects to read tables with.

Requests are answered side by side. Each that reads tables borrows a project with an engine of its own; a look is made
by one request while the others wait for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from src import catalog, lake
from src.facts import Facts, read_facts
from src.project import Project, open_project
from src.run import lock, runs
from src.settings import Settings

_KEPT = timedelta(seconds=60)  # at most: ages grow although the lake lies still
_MOST = 32  # things kept beside the look
_Mark = tuple[object, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class _Kept:
    mark: _Mark
    facts: Facts


@dataclass(frozen=True)
class Seen(Generic[T]):
    """Something that was read of the lake, and at which moment (UTC)."""

    found: T
    read_at: datetime


class Look:
    """The newest look at a lake, and the projects that requests read tables with."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._turn = threading.Lock()
        self._kept: _Kept | None = None
        self._beside: dict[tuple[object, ...], tuple[_Mark, Seen[Any]]] = {}
        self._free: SimpleQueue[tuple[_Mark, Project, ExitStack]] = SimpleQueue()

    def facts(self) -> Facts:
        """Return what is so: the last look, or a new one where the lake has moved since or a minute is over.

        Raises:
            BoathouseError: contracts or settings that cannot be read.
        """
        with self._turn:
            mark, now = self._lake_mark(), runs.now()
            kept = self._kept
            if kept is None or kept.mark != mark or not timedelta(0) <= now - kept.facts.read_at < _KEPT:
                with self.project() as project:
                    kept = self._kept = _Kept(mark, read_facts(project, now, on_disk=False))
            return kept.facts

    def seen(
        self, name: tuple[object, ...], read: Callable[[Project], T], *, again: bool = False, computes: bool = False
    ) -> Seen[T]:
        """Return what `read` says of the lake, kept by its name as the look is, and until a file lands or goes.

        `again`: whatever is kept. `computes`: it fills tables of its engine, which is one of its own and goes then.
        Of a file that is written over in its place nothing is known for a minute.
        """
        mark, now = (self._lake_mark(), _folders(self.settings.data_dir / "landing")), runs.now()
        mark_then, kept = self._beside.get(name, (None, None))
        if kept and mark_then == mark and not again and timedelta(0) <= now - kept.read_at < _KEPT:
            return kept
        with open_project(self.settings) if computes else self.project() as project:
            kept = Seen(read(project), now)
        self._beside.pop(name, None)
        self._beside[name] = mark, kept
        while len(self._beside) > _MOST:
            self._beside.pop(next(iter(self._beside)), None)
        return kept

    @contextmanager
    def project(self) -> Iterator[Project]:
        """Lend a project with an engine that nobody else uses within the with-block.

        Raises:
            ContractErrors: contracts or models that are not what they should be.
        """
        mark = _source_mark(self.settings.source)
        opened = self._lent(mark)
        try:
            yield opened[1]
        except BaseException:
            opened[2].close()  # nobody knows what a statement that failed has left in its engine
            raise
        self._free.put(opened)

    def close(self) -> None:
        """Close every engine that is not lent."""
        while True:
            try:
                self._free.get_nowait()[2].close()
            except Empty:
                return

    def _lent(self, mark: _Mark) -> tuple[_Mark, Project, ExitStack]:
        while True:
            try:
                found = self._free.get_nowait()
            except Empty:
                stack = ExitStack()
                return mark, stack.enter_context(open_project(self.settings)), stack
            if found[0] == mark:
                return found
            found[2].close()  # of contracts as they were

    def _lake_mark(self) -> _Mark:
        """Return what is another value whenever a run, a release or an answer to an incident was recorded.

        So it is when contracts change, or a command takes the lake or leaves it.
        """
        data = self.settings.data_dir
        ops = catalog.tables(data).items()
        newest = tuple((name, lake.mark(root)) for name, root in ops if name.startswith("ops."))
        return newest, _source_mark(self.settings.source), lock.holder(data), _day(runs.now())


def _day(now: datetime) -> str:
    return now.date().isoformat()


def _folders(root: Path) -> _Mark:
    """Return what is another value whenever a file below a folder was added, removed or renamed."""
    found = []
    for folder, _, _ in os.walk(root):
        with suppress(FileNotFoundError):  # it was removed meanwhile, which its own folder's time tells
            found.append((folder, os.stat(folder).st_mtime_ns))
    return tuple(found)


def _source_mark(source: Path) -> _Mark:
    """Return what is another value whenever a file below a folder was written, added or removed."""
    found = []
    for folder, inside, names in os.walk(source):
        inside.sort()
        for name in sorted(names):
            if name.endswith((".yaml", ".yml", ".sql", ".py", ".md", ".csv")):
                stat = os.stat(os.path.join(folder, name))
                found.append((folder, name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
