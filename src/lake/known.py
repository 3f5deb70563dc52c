"""What logs said when they were read last: a table whose log is the same, file by file, is not opened again.

A file of a log is the same where its size, times and inode are; no writer changes one in place, and who does moves
the time of its change (ctime), which nobody can set. What is kept is never needed: without it, or where it cannot be
read or written, logs are read.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.errors import BoathouseError
from src.lake import log, tables
from src.lake.tables import Snapshot

KNOWN = ".known"  # beside the lake's tables
_FILE = "tables.json"
_FORM = 1  # of what is kept

# What lies on disk: by table the snapshot, how much of it was known, and its log's state; by lake the file they lie in.
_kept: dict[Path, tuple[Snapshot, int, str]] = {}
_file: dict[Path, log.FileMark] = {}


def recall(data: Path) -> None:
    """Take what is kept of the lake's tables for open, as far as their logs are the same."""
    file = data / KNOWN / _FILE
    found = _mark(file)
    if found is None or _file.get(data) == found:
        return  # this process has read or written it
    kept, _file[data] = read_known(file), found
    if kept.get("form") != _FORM:
        return
    for name, (state, facts) in kept["tables"].items():
        root = data / name
        mark = log.mark(root)
        if mark is None or log.state(root) != state:
            continue
        with suppress(BoathouseError):  # whoever opens it is told
            snapshot = tables.known_at(root, mark) or Snapshot.of_facts(root, facts)
            tables.know(root, mark, snapshot)
            log.know_commits(root, facts["commits"])
            _kept[root] = snapshot, len(facts["progress"]) + len(facts["commits"]), state


def keep(data: Path) -> None:
    """Keep what is known of the lake's tables, if it is more than what is kept."""
    found = {root: snapshot for root, snapshot in tables.known().items() if root.is_relative_to(data)}
    if all(_is_kept(root, snapshot) for root, snapshot in found.items() if snapshot.has_facts):
        return
    lines = {}
    for root, snapshot in found.items():
        before = _kept.get(root)
        # of one that is kept the state from when its log was read: what was changed since must not count as known
        state = before[2] if before and before[0] is snapshot else _state(root)
        mark = log.mark(root)  # after the state
        if mark and tables.known_at(root, mark) is snapshot and (facts := snapshot.facts()):
            lines[root.relative_to(data).as_posix()] = state, facts
            _kept[root] = snapshot, snapshot.known, state
    write_known(data / KNOWN / _FILE, {"form": _FORM, "tables": lines})
    if written := _mark(data / KNOWN / _FILE):
        _file[data] = written


def _is_kept(root: Path, snapshot: Snapshot) -> bool:
    """Return whether what is kept of a table is all that is known of it, or more."""
    kept = _kept.get(root)
    return kept is not None and kept[0] is snapshot and snapshot.known <= kept[1]


def _state(root: Path) -> str:
    try:
        return log.state(root)
    except OSError:
        return ""  # it is gone: no mark


def _mark(file: Path) -> log.FileMark | None:
    try:
        return log.file_mark(os.stat(file))
    except OSError:
        return None


def read_known(file: Path) -> dict[str, Any]:
    """Return what a file beside the lake's tables keeps; nothing where it is not there or not whole."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_known(file: Path, kept: Mapping[str, Any]) -> None:
    """Keep something in a file beside the lake's tables, whole or not at all; nothing where that is refused."""
    new = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    try:
        file.parent.mkdir(exist_ok=True)
        new.write_text(json.dumps(kept), encoding="utf-8")
        os.replace(new, file)
    except OSError:
        with suppress(OSError):
            new.unlink()
