"""Who of this machine may read what a project keeps: its lake, its logs, backups in a folder, and its settings.

Commands make files under the setting UMASK. What was made before, or by others, is only told of: nothing is changed
behind anybody's back. A folder that nobody else can come to, as one above it is closed, is as good as closed itself.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from src import store
from src.settings import ENV_FILE, Settings

_OTHERS = stat.S_IRWXO


@dataclass(frozen=True)
class Loose:
    """A file or folder that more people may use than should: what it is, what they may, and the fix to type."""

    path: Path
    what: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what} {self.path} {self.found}: {self.fix}"


def apply(settings: Settings) -> None:
    """Let this process, and those that it starts, make files as the setting UMASK says."""
    os.umask(int(settings.umask, 8))


def loose(settings: Settings) -> tuple[Loose, ...]:
    """Return what everybody on this machine may read or change though UMASK says otherwise, and a loose `.env`."""
    return tuple(_found(settings))


def _found(settings: Settings) -> Iterator[Loose]:
    closed = int(settings.umask, 8) & _OTHERS
    folders = {"the lake": store.beside(settings.data_dir), "the logs": settings.log_dir}
    if ":" not in settings.backup_remote:
        folders["the backups"] = settings.root / Path(settings.backup_remote).expanduser()
    for what, path in folders.items():
        mode = _mode(path)
        if mode is not None and mode & closed and _is_reached(path):
            yield Loose(path, what, "can be read by everybody on this machine", f"chmod -R o= {shlex.quote(str(path))}")
    path = settings.root / ENV_FILE
    mode = _mode(path)
    if mode is not None and mode & (_OTHERS | stat.S_IWGRP):
        found = "can be read by everybody" if mode & _OTHERS else "can be changed by its group"
        yield Loose(path, "the settings", f"{found}, and may hold credentials", f"chmod 600 {shlex.quote(str(path))}")


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _is_reached(path: Path) -> bool:
    """Return whether everybody can come to a path through the folders above it."""
    return all((_mode(above) or 0) & stat.S_IXOTH for above in path.resolve().parents)
