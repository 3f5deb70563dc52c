"""What logs said when they were read last: a table whose log is the same, file by file, is not opened again.

A file of a log is the same where its size, times and inode are; no writer changes one in place, and who does moves
the time of its change (ctime), which nobody can set. What is kept is never needed: without it, or where it cannot be
read or written, logs are read.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from src import store
from src.errors import BoathouseError
from src.lake import log, tables
from src.lake.tables import Snapshot

KNOWN = ".known"  # beside the lake's tables
_FILE = "tables.json"
_PROGRESS = "progress-"
_READ = ("silver/", "gold/")  # what people read most
_FORM = 2  # of what is kept
_OTHERS_WRITE = 0o022  # of a file's mode


class _Kept(NamedTuple):
    """A line that lies on disk: the snapshot it is of, how much of that was known, and its log's state."""

    snapshot: Snapshot
    known: int
    state: str


_kept: dict[Path, _Kept] = {}
# By lake the file that this process has read or written, and its lines: of each table its log's state and its facts.
_file: dict[Path, log.FileMark] = {}
_lines: dict[Path, dict[str, tuple[str, str]]] = {}
_later: dict[Path, Mapping[str, Any]] = {}  # what is to be kept too, by its file


def known_folder(data: Path) -> Path:
    """Return the folder of what is known of a lake: in it, or for a bucket on this machine."""
    return store.beside(data) / KNOWN


def recall(data: Path) -> None:
    """Take what is kept of the lake's tables for open, each once it is asked for, as far as its log is the same."""
    file = known_folder(data) / _FILE
    found = _mark(file)
    if found is None or _file.get(data) == found:
        return  # this process has read or written it
    kept, _file[data] = read_known(file), found
    lines = kept.get("tables") if kept.get("form") == _FORM else None
    _lines[data] = lines if isinstance(lines, dict) else {}
    tables.tell({data / name: partial(_recalled, data / name, line) for name, line in _lines[data].items()})


def _recalled(root: Path, line: tuple[str, str]) -> Snapshot | None:
    """Return what is kept of a table; None where its log is another, or the line is not what it should be."""
    try:
        state, text = line
        snapshot = Snapshot.of_facts(root, facts := json.loads(text))  # before its log is looked at
        if log.state(root) != state:
            return None
        log.know_commits(root, facts["commits"])
    except (OSError, BoathouseError, ValueError, TypeError, KeyError, AttributeError):
        return None  # whoever opens it is told
    _kept[root] = _Kept(snapshot, snapshot.known, state)
    return snapshot


def keep_later(file: Path, kept: Mapping[str, Any]) -> None:
    """Keep something in a file beside the lake's tables with the next `keep`: who only looks changes nothing."""
    _later[file] = kept


def known_progress(root: Path, checkpoint: Path) -> dict[str, int] | None:
    """Return the progress that a checkpoint of a table's log recorded, by input; None where that is not kept."""
    file, mark = _progress_file(root), _mark(checkpoint)
    kept = read_known(file, own=True) if file and mark else {}
    progress = kept.get("progress")
    return progress if kept.get("of") == list(mark or ()) and isinstance(progress, dict) else None


def keep_progress(root: Path, checkpoint: Path, read: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Return the progress that `read` finds in a checkpoint, which is kept with the next `keep`."""
    file, mark = _progress_file(root), _mark(checkpoint)  # before it is read: another one then is not taken for it
    progress = read()
    if file and mark:
        keep_later(file, {"of": mark, "progress": progress})
    return progress


def _progress_file(root: Path) -> Path | None:
    """Return where the progress of a table is kept; None for one of no lake that was asked for."""
    data = next((data for data in _file if store.is_below(root, data)), None)
    name = f"{_PROGRESS}{'.'.join(root.relative_to(data).parts)}.json" if data else ""
    return known_folder(data) / name if data else None


def keep(data: Path) -> None:
    """Keep what is known of the lake's tables, if it is more than what is kept, and what was to be kept later."""
    for file in [file for file in _later if file.is_relative_to(store.beside(data))]:
        write_known(file, _later.pop(file), own=True)
    found = {root: known for root, known in tables.known().items() if store.is_below(root, data)}
    if all(_is_kept(root, snapshot) for root, (_, snapshot) in found.items()):
        return
    lines = {name: line for name, line in _lines.get(data, {}).items() if tables.is_table(data / name)}
    for root, (mark, snapshot) in found.items():
        name, before = root.relative_to(data).as_posix(), _kept.get(root)
        if before and _is_kept(root, snapshot) and name in lines:
            continue
        # of one that is kept the state from when its log was read: what was changed since must not count as known
        state = before.state if before and before.snapshot is snapshot else _state(root, snapshot)
        if name.startswith(_READ):
            with suppress(BoathouseError):  # whoever reads it is told
                snapshot.files  # noqa: B018  # so that a query need not load the library
        if state and log.mark(root) == mark:  # after the state
            lines[name] = state, json.dumps(snapshot.facts())
            _kept[root] = _Kept(snapshot, snapshot.known, state)
        else:
            lines.pop(name, None)
    file = known_folder(data) / _FILE
    write_known(file, {"form": _FORM, "tables": lines})
    if written := _mark(file):
        _file[data], _lines[data] = written, lines


def _is_kept(root: Path, snapshot: Snapshot) -> bool:
    """Return whether what is kept of a table is all that is known of it, or more."""
    kept = _kept.get(root)
    return kept is not None and kept.snapshot is snapshot and snapshot.known <= kept.known


def _state(root: Path, snapshot: Snapshot) -> str:
    """Return the state of a log as it was read; '' where it is gone, or was changed since."""
    try:
        return log.state(root, snapshot.read_at, snapshot.own)
    except OSError:
        return ""


def _mark(file: Path) -> log.FileMark | None:
    try:
        return log.mark_of(file)
    except OSError:
        return None


def read_known(file: Path, *, own: bool = False) -> dict[str, Any]:
    """Return what a file beside the lake's tables keeps; nothing where it is not there or not whole.

    `own`: nor where anybody but this user can have written it.
    """
    try:
        with open(file, "rb") as handle:
            facts = os.fstat(handle.fileno())
            if own and (facts.st_uid != os.geteuid() or facts.st_mode & _OTHERS_WRITE):
                return {}
            found = json.loads(handle.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_known(file: Path, kept: Mapping[str, Any], *, own: bool = False) -> None:
    """Keep something in a file beside the lake's tables, whole or not at all; nothing where that is refused.

    `own`: nobody but this user may write it, whatever the umask lets the group do: `read_known` takes no other.
    """
    new, mode = file.with_name(f"{file.name}.{uuid.uuid4().hex}"), 0o644 if own else 0o666
    try:
        file.parent.mkdir(exist_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as handle:
            handle.write(json.dumps(kept))
        os.replace(new, file)
    except OSError:
        with suppress(OSError):
            new.unlink()
