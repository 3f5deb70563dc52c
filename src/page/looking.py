"""What the page knows of the lake: one look, kept until the lake has moved, and projects to read tables with.

Requests are answered side by side, and none waits for another: but where the lake has moved, one of them makes the new
look and the others wait for that. A mark is taken before the look that it stands for, so that what moves meanwhile is
seen by the next request. Contracts are read once for all requests; each reads tables with an engine of its own, opened
for it alone, so that no name, view or setting of another request is ever in it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from src import catalog, lake, store
from src.facts import Facts, read_facts
from src.masking.masks import Masks
from src.masking.reader import masks_of_page
from src.project import Project, open_again, open_project
from src.run import lock, runs
from src.settings import Settings

_KEPT = timedelta(seconds=60)  # at most: ages grow although the lake lies still
_MOST = 32  # things kept beside the look
_Mark = tuple[object, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Seen(Generic[T]):
    """Something that was read of the lake, and at which moment (UTC)."""

    found: T
    read_at: datetime


@dataclass(frozen=True)
class _Kept(Generic[T]):
    mark: _Mark
    seen: Seen[T]

    def holds(self, mark: _Mark, now: datetime) -> bool:
        """Return whether it is still right; a clock that was set back makes everything too old."""
        return self.mark == mark and timedelta(0) <= now - self.seen.read_at < _KEPT


@dataclass
class _Contracts:
    mark: _Mark
    run_date: date
    project: Project  # whose engine is closed
    masks: Masks | None = None


class Look:
    """The newest look at a lake, and the projects that requests read tables with."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._looking, self._reading, self._keeping = threading.Lock(), threading.Lock(), threading.Lock()
        self._look: _Kept[Facts] | None = None
        self._beside: dict[tuple[object, ...], _Kept[Any]] = {}
        self._contracts: _Contracts | None = None

    def facts(self) -> Facts:
        """Return what is so: the last look, or a new one where the lake has moved since or a minute is over.

        Raises:
            BoathouseError: contracts or a lake that cannot be read.
        """
        found = self._right()
        if found is None:
            with self._looking:
                found = self._right() or self._new()  # another request may have made it meanwhile
        return found.seen.found

    def seen(self, name: tuple[object, ...], read: Callable[[Project], T], *, again: bool = False) -> Seen[T]:
        """Return what `read` says of the lake, kept by its name as the look is, and until a file lands or goes.

        `again`: whatever is kept. Of a file that is written over in its place nothing is known for a minute.
        """
        mark, now = (*self._mark(), _folders(self.settings.data_dir / "landing")), runs.now()
        kept: _Kept[T] | None = self._beside.get(name)
        if kept is None or again or not kept.holds(mark, now):
            with self.project() as project:
                kept = _Kept(mark, Seen(read(project), now))
            with self._keeping:
                self._beside.pop(name, None)
                self._beside[name] = kept
                while len(self._beside) > _MOST:
                    del self._beside[next(iter(self._beside))]
        return kept.seen

    @contextmanager
    def project(self) -> Iterator[Project]:
        """Lend a project with an engine that nobody else uses, before, within or after the with-block.

        Raises:
            ContractErrors: contracts or models that are not what they should be.
        """
        read = self._read()
        with open_again(read.project, read.run_date) as project:
            yield project

    def masks(self) -> Masks:
        """Return what whoever looks at the page reads in place of classified values; made when contracts are read.

        Of files that bring new columns later these are masked until then.
        """
        read = self._read()
        if read.masks is None:
            with self.project() as project:
                read.masks = masks_of_page(project)
        return read.masks

    def close(self) -> None:
        """Forget what is kept; the next request reads it again."""
        self._look, self._contracts = None, None
        self._beside.clear()

    def _right(self) -> _Kept[Facts] | None:
        look = self._look
        return look if look and look.holds(self._mark(), runs.now()) else None

    def _new(self) -> _Kept[Facts]:
        mark, now = self._mark(), runs.now()
        with self.project() as project:
            made = self._look = _Kept(mark, Seen(read_facts(project, now, on_disk=False), now))
        return made

    def _read(self) -> _Contracts:
        """Return the contracts as they are now, read again only where a file of them has moved, or the day."""
        with self._reading:
            run_date = runs.now().date() - timedelta(days=1)
            mark = (run_date, _source_mark(self.settings.source))
            if self._contracts is None or self._contracts.mark != mark:
                with open_project(self.settings, run_date) as project:
                    self._contracts = _Contracts(mark, run_date, project)
            return self._contracts

    def _mark(self) -> _Mark:
        """Return what is another value whenever a run, a release or an answer to an incident was recorded.

        So it is when a contract changes, when a command takes the lake or leaves it, and on the next day.
        """
        data = self.settings.data_dir
        known = catalog.tables(data).items()
        records = tuple((name, lake.mark(root)) for name, root in known if not catalog.is_released(name))
        return records, _source_mark(self.settings.source), lock.holder(data), runs.now().date()


def _folders(root: Path) -> _Mark:
    """Return what is another value whenever a file below a folder was added, removed or renamed."""
    if store.is_remote(root):  # which has no folders whose times would tell
        return tuple(store.files_below(root))
    found = []
    for folder, _, _ in os.walk(root):
        with suppress(FileNotFoundError):  # it was removed meanwhile, which its own folder's time tells
            found.append((folder, os.stat(folder).st_mtime_ns))
    return tuple(found)


def _source_mark(source: Path) -> _Mark:
    """Return what is another value whenever a file below a folder was written, added or removed."""
    found = []
    for folder, inside, names in os.walk(source):
        inside[:] = sorted(name for name in inside if name != "__pycache__")
        for name in sorted(names):
            with suppress(FileNotFoundError):  # removed meanwhile
                stat = os.stat(os.path.join(folder, name))
                found.append((folder, name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
