"""Rotation: a log holds one day and is kept 14 days, whoever writes it and however many write at once.

A day is a day of UTC, like every other time that the lake keeps: none has 23 hours, and every machine agrees.
Whoever writes the first line of a day first moves the logs of earlier days aside: `app.log` becomes
`app.2026-11-20.log`. Nobody holds a log open, each line is appended by itself, so it does not matter how many
processes write, how short they are, or which of them lives over midnight. loguru's own rotation goes by the time
a file was made, and by one process; it is not used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from pathlib import Path

from src.errors import from_os_error
from src.run import lock

APP = "app.log"  # what the commands log
SCHEDULED = "cron.log"  # what the scheduled jobs print
PAGE = "page.log"  # what the commands print that were started from the page
KEPT = timedelta(days=14)
_OURS = (APP, SCHEDULED, PAGE)
# A log of an earlier day, also one that somebody packed, or that loguru named when rotation was its own.
_DATED = re.compile(r"(?:app|cron|page)\.(\d{4}-\d\d-\d\d)(?:_\d\d-\d\d-\d\d_\d{6})?(?:\.\d+)?\.log(?:\.gz)?")
_DAY = re.compile(rb'(?:\{"time": ")?(\d{4}-\d\d-\d\d)(?!\d)')  # begins a line of text, or one of JSON
_LOOKED_AT = 100  # lines: a log that something else wrote to may open with some that say no day
_TURN = "rotation"


@dataclass(frozen=True)
class RotationPlan:
    """The changes of a rotation: the files that take another name, and those that go."""

    renamed: tuple[tuple[Path, Path], ...] = ()
    deleted: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.renamed or self.deleted)


class Log:
    """One log of ours, to which any number of processes append.

    Raises:
        MachineError: there is no writing it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._day: date | None = None  # the last one on which the folder was looked through
        with _refusals(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("ab").close()

    def write(self, text: str, when: datetime) -> None:
        """Append whole lines; the first of a day moves what is of earlier days aside.

        Raises:
            MachineError: there is no writing it.
        """
        day = when.astimezone(UTC).date()
        if day != self._day:
            rotate(self._path.parent, day)
            self._day = day
        # Unbuffered: one write, which no other process comes between. A log moved aside just here gets this one
        # line more, and a line of yesterday that comes late opens a file that is soon moved aside: none is lost.
        with _refusals(self._path), self._path.open("ab", buffering=0) as file:
            file.write(text.encode("utf-8", "backslashreplace"))


def rotate(folder: Path, today: date) -> RotationPlan:
    """Move the logs of earlier days aside and delete those older than 14 days; returns what was done.

    Only renames, so no line is ever copied or lost; nothing is locked where nothing is to be done.

    Raises:
        MachineError: there is no renaming or deleting in `folder`.
    """
    if not plan(folder, today):
        return RotationPlan()
    with turn(folder):
        planned = plan(folder, today)  # again: another process may just have done it
        execute(planned)
    return planned


def plan(folder: Path, today: date) -> RotationPlan:
    """Return what rotation would do on this day (of UTC), by the names in `folder` and the first day in each log.

    A file that is not ours by its name is left alone, and so is one of a day that has not come yet: either it was
    written while the clock was ahead or this clock is behind, as that of a machine just started may be, and there
    is no telling which. It is kept too long rather than too short.
    """
    with _refusals(folder):
        found = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
        begun = {path: _begun(path) for path in found if path.name in _OURS}
    taken = {path.name for path in found}
    renamed = [(path, _free(path, day, taken)) for path, day in begun.items() if day and day != today]
    deleted = [path for path in found if (day := _dated(path.name)) and day < today - KEPT]
    return RotationPlan(tuple(renamed), tuple(deleted))


def execute(planned: RotationPlan) -> None:
    """Do what was planned in this turn.

    Raises:
        MachineError: there is no renaming or deleting in the folder.
    """
    for path, name in planned.renamed:
        with _refusals(path):
            path.rename(name)
    for path in planned.deleted:
        with _refusals(path):
            path.unlink(missing_ok=True)


def is_log(path: Path, folder: Path) -> bool:
    """Return whether a file is a log of ours in this folder, of today or an earlier day."""
    return path.parent == folder and (path.name in _OURS or _DATED.fullmatch(path.name) is not None)


def turn(folder: Path) -> AbstractContextManager[None]:
    """Lock rotation within a with-block: other processes wait, and a lock ends with its process.

    Raises:
        LockedError: another process held its turn for ten seconds.
        MachineError: there is no writing in `folder`.
    """
    return lock.waited(folder, _TURN, 10)


def _begun(path: Path) -> date | None:
    """Return the day a log begins with, else that of its last write; None where it is empty or was just moved."""
    try:
        with path.open("rb") as file:
            days = (_day(found[1].decode()) for line in islice(file, _LOOKED_AT) if (found := _DAY.match(line)))
            first_day = next(filter(None, days), None)
            stat = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return first_day or (datetime.fromtimestamp(stat.st_mtime, UTC).date() if stat.st_size else None)


def _dated(name: str) -> date | None:
    """Return the day in the name of a log of an earlier day; None where it is no log of ours."""
    found = _DATED.fullmatch(name)
    return _day(found[1]) if found else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:  # such as 2026-02-30
        return None


def _free(path: Path, day: date, taken: set[str]) -> Path:
    """Return the log's name with this day, numbered where a file has that name already."""
    names = (f"{path.stem}.{day}{'' if number == 1 else f'.{number}'}.log" for number in count(1))
    return path.with_name(next(name for name in names if name not in taken))


@contextmanager
def _refusals(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error(error, where) from error
