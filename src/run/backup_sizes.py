"""What each table takes at the remote, of all the backups that are kept: a file that each backup writes whole.

Runs read it (`ops.cost`); a backup does not hold the lake, so it appends to no table that runs append to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from src import store
from src.errors import from_os_error

FOLDER = ".backup"  # below the lake: the lock of backups, their snapshot while they run, records that wait
_FILE = "stored.json"  # below the lake, in the folder of backups


@dataclass(frozen=True)
class BackupSizes:
    """Bytes at the remote by table, a file that several backups name once; `backup` is the newest of them."""

    backup: str = ""
    tables: Mapping[str, int] = field(default_factory=dict)


def keep(data: Path, sizes: BackupSizes) -> None:
    """Write what the remote holds now.

    Raises:
        MachineError: there is no writing in the lake.
    """
    path = data / FOLDER / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, json.dumps(asdict(sizes)).encode())
    except OSError as error:
        raise from_os_error(error, path) from error


def read(data: Path) -> BackupSizes:
    """Return what the remote held after the last backup; nothing where there was none, or nobody can tell."""
    try:
        return BackupSizes(**json.loads((data / FOLDER / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # a file that was cut off: the next backup writes it anew
        return BackupSizes()
