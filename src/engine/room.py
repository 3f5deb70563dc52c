"""A room: a folder beside what the engine spills, for files that a command needs only while it runs."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOM = "room-"
_LEFT_BEHIND = 24 * 3600  # seconds after which the room of a command that was killed is taken away by the next one


@contextmanager
def room_beside(spill: Path) -> Iterator[Path]:
    """Make a folder for the length of a with-block, in the folder to which the engine spills."""
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
