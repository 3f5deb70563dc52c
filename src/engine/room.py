"""A room: a folder beside what the engine spills, for files that a command needs only while it runs."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from src import store

_ROOM = "room-"
_LEFT_BEHIND = 24 * 3600  # seconds after which the room of a command that was killed is taken away by the next one


@contextmanager
def room_beside(spill: Path) -> Iterator[Path]:
    """Make a folder for the length of a with-block, in the folder to which the engine spills."""
    if store.is_remote(spill):
        with _room_of_objects(spill) as room:
            yield room
        return
    made = not spill.exists()
    spill.mkdir(parents=True, exist_ok=True)
    for left in spill.glob(f"{_ROOM}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND:
                shutil.rmtree(left)
    try:
        with tempfile.TemporaryDirectory(prefix=_ROOM, dir=spill) as folder:
            yield Path(folder)
    finally:
        with suppress(OSError):  # the engine may have something in it
            if made:
                spill.rmdir()


@contextmanager
def _room_of_objects(beside: Path) -> Iterator[Path]:
    """Let a folder of an object store, which needs no making, be a room for the length of a with-block."""
    newest: dict[str, int] = {}  # nanoseconds, by the name of a room
    for path, facts in store.files_below(beside):
        name = path.partition("/")[0]
        newest[name] = max(newest.get(name, 0), facts.modified)
    for name, moment in newest.items():
        if time.time() - moment / 1e9 > _LEFT_BEHIND:
            store.clear(beside / name)
    room = beside / f"{_ROOM}{uuid.uuid4().hex}"
    try:
        yield room
    finally:
        store.clear(room)
