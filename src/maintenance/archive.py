"""What lies at the remote: every file once, under the hash of its content, and one manifest for each backup.

`files/ab/ab12...` and `manifests/<id>.json`; whatever else is there is not looked at.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src import lake
from src.errors import DataError, UsageError
from src.maintenance import manifests
from src.maintenance.manifests import BackupFile, Manifest
from src.remote import Remote
from src.run import backup_records

FILES, MANIFESTS = "files", "manifests"  # the two folders of the remote
# a number that counts up, so that the newest is the one made last whatever a clock said; earlier ones have none
_NAMED = re.compile(r"((?:\d{6,}-)?(\d{8}T\d{6})\d{3}-[0-9a-f]{6})\.json")


@dataclass(frozen=True)
class Listing:
    """The files at the remote with their bytes, and the names of the backups, oldest first."""

    files: dict[str, int]
    names: list[str]


def listing(remote: Remote) -> Listing:
    """Return the files and backups at the remote."""
    files, manifests = remote.listing(FILES, MANIFESTS)
    return Listing(files, _names(manifests))


def listed(remote: Remote) -> list[str]:
    """Return the backups at the remote, oldest first."""
    return _names(remote.listing(MANIFESTS)[0])


def _names(manifests: Iterable[str]) -> list[str]:
    """Return the backups that these manifests are of, oldest first."""
    return sorted((found[1] for name in manifests if (found := _NAMED.fullmatch(name))), key=backup_records.order)


def read(remote: Remote, names: Collection[str]) -> dict[str, Manifest]:
    """Return the manifests of these backups.

    Raises:
        DataError: one of them is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="boathouse-") as folder:
        remote.get([f"{name}.json" for name in names], MANIFESTS, Path(folder))
        found = {}
        for name in names:
            path = Path(folder) / f"{name}.json"
            text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            found[name] = manifests.read(text, f"{remote.path}, {MANIFESTS}/{name}.json")
    return found


def chosen(remote: Remote, name: str | None) -> Manifest:
    """Return the backup of that name, or the newest.

    Raises:
        UsageError: there is none.
        DataError: its manifest is damaged.
    """
    names = listed(remote)
    if not names:
        raise UsageError("there is no backup", where=remote.path, fix="run `make backup` first, or set BACKUP_REMOTE")
    if name is not None and name not in names:
        raise UsageError(f"no backup {name}", where=remote.path, fix=f"the newest are {', '.join(names[-5:])}")
    wanted = name or names[-1]
    return read(remote, [wanted])[wanted]


def newest(remote: Remote) -> Manifest | None:
    """Return the newest backup whose manifest can be read; None where there is none."""
    for name in reversed(listed(remote)):
        try:
            return read(remote, [name])[name]
        except DataError:
            continue
    return None


def fetched(remote: Remote, file: BackupFile, folder: Path) -> Path:
    """Fetch one file of a backup into a folder; returns it once its hash is right.

    Raises:
        DataError: it is missing or damaged at the remote.
    """
    remote.get([file.name], FILES, folder)
    path = folder / file.name
    if not path.is_file() or lake.digest(path) != file.sha256:
        path.unlink(missing_ok=True)
        raise DataError("missing or damaged in the backup too", where=f"{remote.path}, {FILES}/{file.name}")
    return path


def made(name: str) -> datetime:
    """Return when a backup was made, as its name says (UTC)."""
    found = _NAMED.fullmatch(f"{name}.json")
    assert found, name
    return datetime.strptime(found[2], "%Y%m%dT%H%M%S")
