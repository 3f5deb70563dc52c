"""Manifests of backups: which files, by the hash of their bytes, make which table at which version.

A manifest says of itself what it must hash to, so that a damaged one is never taken for a backup.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from src.errors import DataError
from src.run.backup_records import Backup


@dataclass(frozen=True)
class BackupFile:
    """One file of a table: bytes, and the hash by which the remote knows it."""

    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Return its name at the remote: the content alone, so that what is there already is never copied again."""
        return f"{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class BackupTable:
    """One table of a backup: its version, rows, a hash of all rows in any order, and its files by path.

    `content`: '' where no byte of the rows was read for the backup, as the store copied them.
    """

    version: int
    rows: int
    content: str
    files: Mapping[str, BackupFile]


@dataclass(frozen=True)
class Manifest:
    """The manifest of a backup. `engine` made the content hashes; another release may hash otherwise."""

    id: str
    release: str
    engine: str
    tables: Mapping[str, BackupTable]

    @property
    def objects(self) -> dict[str, int]:
        """Return the files it needs at the remote, and their bytes."""
        return {file.name: file.size for table in self.tables.values() for file in table.files.values()}

    def described(
        self, run_id: str, kind: str, started: datetime, ended: datetime, remote: str, copied: int, message: str = ""
    ) -> Backup:
        """Return the record of what was done with it; it is verified where there is no message."""
        return Backup(
            run_id=run_id,
            backup=self.id,
            kind=kind,
            started_at=started,
            ended_at=ended,
            remote=remote,
            release=self.release,
            tables=len(self.tables),
            files=len(self.objects),
            bytes=sum(self.objects.values()),
            bytes_copied=copied,
            verified=not message,
            message=message or None,
            versions=json.dumps({name: table.version for name, table in self.tables.items()}),
        )


def write(manifest: Manifest) -> str:
    """Return a manifest as text, which says of itself what it must hash to."""
    body = json.dumps(asdict(manifest), sort_keys=True)
    return json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "manifest": json.loads(body)}, indent=1)


def read(text: str, where: object) -> Manifest:
    """Return a manifest from its text.

    Raises:
        DataError: it is damaged.
    """
    try:
        outer = json.loads(text)
        body = outer["manifest"]
        if hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() == outer["sha256"]:
            return Manifest(**{**body, "tables": {name: _table(node) for name, node in body["tables"].items()}})
    except (ValueError, KeyError, TypeError):
        pass  # told below, as is a hash that differs
    raise DataError("a damaged manifest", where=where, fix="name another backup: BACKUP=ID")


def _table(node: dict[str, Any]) -> BackupTable:
    return BackupTable(**{**node, "files": {path: BackupFile(**file) for path, file in node["files"].items()}})
