"""A spool: lines that any process adds at any time, without a lock on the lake, and that are taken exactly once.

Whoever adds a line holds the file's own lock for the length of one write, so that a long line is whole too. A line
stands between two line ends: one that a killed process left half written spoils no other.

Whoever takes seals a file first: its last line says that nothing is added any more. The file is removed once what was
in it is stored under the file's name; killed in between, the next one finds it sealed, and knows by the name whether
it is stored. A power loss may take the newest lines: they are not forced to the disk.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from src import store

_ENDING = ".jsonl"
_SEAL = b'\n{"sealed": true}\n'
_FOLDER_MODE, _FILE_MODE = 0o770, 0o660  # less what the umask takes


def add(folder: Path, record: Mapping[str, Any]) -> None:
    """Add one record as a line.

    Raises:
        OSError: the folder cannot be written; nothing was added.
    """
    line = b"\n" + json.dumps(record).encode("ascii") + b"\n"
    if store.is_remote(folder):  # to an object nothing is added: each line is one, sealed as it is made
        (folder / f"{uuid.uuid4()}{_ENDING}").write_bytes(line + _SEAL)
        return
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    for path in _files(folder):
        # one that is gone is not made again: what is under its name is stored already
        with suppress(FileNotFoundError, PermissionError):
            if _add_to(path, 0, line):
                return
    while not _add_to(folder / f"{uuid.uuid4()}{_ENDING}", os.O_CREAT | os.O_EXCL, line):
        pass  # sealed before the line was there


def lines(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the records of every file by its name; lines that are not whole, and files of others, are left out."""
    found = {}
    for path in _files(folder):
        with suppress(FileNotFoundError, PermissionError):  # taken since, or not ours to read
            found[path.stem] = list(_records(path.read_bytes()))
    return found


def is_empty(folder: Path) -> bool:
    """Return whether there is no file."""
    return not _files(folder)


def seal(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Seal every file, and return the records of those that are: nothing is added to them any more."""
    found = lines(folder) if store.is_remote(folder) else {}
    for path in () if store.is_remote(folder) else _files(folder):
        with suppress(FileNotFoundError, PermissionError), _held(path) as file:
            if file is None:
                continue  # a line is being added: the next one takes it
            if not _is_sealed(file):
                _append(file, _SEAL)
            found[path.stem] = list(_records(path.read_bytes()))
    return found


def remove(folder: Path, name: str) -> None:
    """Remove a sealed file whose records are stored."""
    (folder / f"{name}{_ENDING}").unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in store.names_in(folder) if name.endswith(_ENDING))
    except OSError:
        return []  # there is none, or none that we may see


def _add_to(path: Path, flags: int, line: bytes) -> bool:
    with _held(path, flags) as file:
        if file is None or _is_sealed(file):
            return False
        _append(file, line)
        return True


@contextmanager
def _held(path: Path, flags: int = 0) -> Iterator[int | None]:
    """Open a file and hold its lock; None where another process does."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | flags, _FILE_MODE)
    try:
        yield file if _lock(file) else None
    finally:
        os.close(file)  # which gives the lock back


def _lock(file: int) -> bool:
    try:
        import fcntl
    except ImportError:  # a system without it: one write is all there is
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_sealed(file: int) -> bool:
    size = os.fstat(file).st_size
    os.lseek(file, max(0, size - len(_SEAL)), os.SEEK_SET)
    return os.read(file, len(_SEAL)) == _SEAL


def _append(file: int, line: bytes) -> None:
    """Add a line as a whole, or nothing of it where there is no room."""
    size = os.fstat(file).st_size
    if os.write(file, line) != len(line):
        os.ftruncate(file, size)
        raise OSError("no room for a line")


def _records(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        with suppress(ValueError):
            record = json.loads(line) if line else None
            if isinstance(record, dict) and record != {"sealed": True}:
                yield record
