"""The last backup that is known to be whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from src.errors import BoathouseError
from src.project import Project
from src.run import backup_records


@dataclass(frozen=True)
class BackupFacts:
    """The newest backup that is known to be whole; time in UTC."""

    backup: str
    remote: str
    verified_at: datetime


def read_backup(project: Project) -> tuple[BackupFacts | None, str | None]:
    """Return the last verified backup, or why the records cannot be read."""
    try:
        last = backup_records.last_verified(project.engine, project.settings.data_dir)
    except BoathouseError as error:
        return None, error.what
    return (BackupFacts(last.backup, last.remote, last.ended_at) if last else None), None
