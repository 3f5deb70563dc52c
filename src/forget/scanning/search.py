"""The search: every file below some folders, unpacked and decoded, for several values in one pass.

A file is read once under however many hard links, and links to folders are followed. A file that cannot be read is a
finding: only where there is none at all is it proven that the values are gone.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from src import store
from src.engine import DuckEngine
from src.engine.room import room_beside
from src.forget.scanning.contents import Contents
from src.forget.scanning.pieces import Piece
from src.forget.scanning.spelled import Forms, Value

_TOGETHER = 8 << 20  # bytes of pieces that are looked through at once
_PIECES = 4_096  # and how many
_FETCHED = 64  # objects of a store that are copied at once


@dataclass(frozen=True)
class Finding:
    """A file or folder that holds a value, and how it lies there. No value: the file could not be read."""

    path: Path
    how: str
    value: Value | None


@dataclass(frozen=True)
class Scan:
    """The result of a search: what was found, and how much was read in how long. Hard links count once."""

    findings: tuple[Finding, ...]
    files: int
    bytes: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Return whether it is proven that no value is there."""
        return not self.findings


def search(engine: DuckEngine, values: Sequence[Value], locations: Iterable[Path], room: Path) -> Scan:
    """Look for values below folders, or in files, of this machine or an object store; change nothing.

    `room` is a folder of this machine beside which what must be unpacked to be read lies meanwhile.

    Raises:
        MachineError: an object store does not answer.
    """
    started = time.perf_counter()
    forms = Forms(values)
    findings: list[Finding] = []
    local: list[tuple[Path, int]] = []
    seen: set[tuple[int, int]] = set()
    remote = size = 0
    with room_beside(room) as folder:
        contents = Contents(forms, engine, folder)
        for location in locations:
            if store.is_remote(location):
                found, count, read = _in_store(forms, contents, location, folder)
                findings += found
                remote, size = remote + count, size + read
            else:
                local += _files(forms, location, seen, findings)
        size += sum(count for _, count in local)
        threads = max(1, min(engine.threads, len(local)))
        largest_first = sorted(local, key=lambda one: -one[1])
        shares = [[path for path, _ in largest_first[nth::threads]] for nth in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            for found in pool.map(lambda paths: list(_in_files(forms, contents, paths)), shares):
                findings += found
    ordered = sorted(dict.fromkeys(findings), key=lambda one: (str(one.path), one.how, one.value is None))
    return Scan(tuple(ordered), remote + len(local), size, time.perf_counter() - started)


def _files(
    forms: Forms, location: Path, seen: set[tuple[int, int]], findings: list[Finding]
) -> Iterator[tuple[Path, int]]:
    """Yield each file below a folder once, with its bytes; a name that holds a value is a finding."""

    def unread(error: OSError) -> None:
        findings.append(Finding(Path(error.filename), "not read: the folder cannot be listed", None))

    if not location.is_dir():
        walked: Iterable[tuple[str, list[str], list[str]]] = [(str(location.parent), [], [location.name])]
    else:
        walked = os.walk(location, onerror=unread, followlinks=True)
    names: dict[bytes, list[Path]] = {}
    for home, folders, files in walked:
        for name in list(folders):
            names.setdefault(os.fsencode(name), []).append(Path(home, name))
            if not _is_new(os.stat(os.path.join(home, name)), seen):
                folders.remove(name)  # a link into what is walked anyway, or back up
        for name in files:
            path = Path(home, name)
            names.setdefault(os.fsencode(name), []).append(path)
            try:
                facts = os.stat(path)
            except FileNotFoundError:
                if path.is_symlink():
                    findings += [
                        Finding(path, "where its link leads", value)
                        for value in forms.likely_name(os.fsencode(os.readlink(path)))
                    ]
                continue  # or gone since it was listed
            except OSError:
                findings.append(Finding(path, "not read", None))
                continue
            if stat.S_ISREG(facts.st_mode) and _is_new(facts, seen):
                yield path, facts.st_size
    every = list(names)
    for at in forms.likely(every):
        for value in forms.values_in(every[at]):
            findings += [Finding(path, "its name", value) for path in names[every[at]]]


def _is_new(facts: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    one = (facts.st_dev, facts.st_ino)
    if one in seen:
        return False
    seen.add(one)
    return True


def _in_files(forms: Forms, contents: Contents, paths: Iterable[Path]) -> Iterator[Finding]:
    """Yield what files hold; the pieces of many small files are looked through together."""
    waiting: list[tuple[Path, Piece]] = []
    size = 0
    for path in paths:
        for piece in contents.pieces(path):
            waiting.append((path, piece))
            size += len(piece.data)
            if size >= _TOGETHER or len(waiting) >= _PIECES:
                yield from _judged(forms, waiting)
                waiting, size = [], 0
    yield from _judged(forms, waiting)


def _judged(forms: Forms, waiting: Sequence[tuple[Path, Piece]]) -> Iterator[Finding]:
    likely = set(forms.likely([piece.data for _, piece in waiting]))
    for at, (path, piece) in enumerate(waiting):
        if piece.must or at in likely:
            try:
                yield from (Finding(path, how, value) for how, value in piece.judge())
            except (OSError, ValueError, RuntimeError) as error:
                yield Finding(path, f"not read to its end: {type(error).__name__}", None)


def _in_store(forms: Forms, contents: Contents, location: Path, folder: Path) -> tuple[list[Finding], int, int]:
    """Return what the objects below a location of an object store hold, how many there are, and their bytes."""
    found: list[Finding] = []
    objects = list(store.files_below(location))
    for name, _ in objects:
        found += [Finding(location / name, "its name", value) for value in forms.likely_name(name.encode())]
    for start in range(0, len(objects), _FETCHED):
        some = [name for name, _ in objects[start : start + _FETCHED]]
        here = {folder / f"object-{nth}": name for nth, name in enumerate(some)}
        store.fetch([location / name for name in some], list(here))
        for finding in _in_files(forms, contents, here):
            found.append(Finding(location / here[finding.path], finding.how, finding.value))
        for path in here:
            path.unlink()
    return found, len(objects), sum(facts.size for _, facts in objects)
