"""What the weekly review of security looks at, as plain data.

It is who of this machine may read what, how old credentials are, what is known of the pinned packages, and which
rejected rows of classified tables are still open. Who read what is told by src/reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from src import catalog, permissions
from src.facts.advisories import Advisories, read_advisories
from src.maintenance import quarantine
from src.masking.reader import masks_of_records
from src.permissions import Loose
from src.project import Project
from src.settings import SINCE

OLDEST = 180  # days that a credential may have
NOT_ASKED = {"PIP_NO_INDEX": "1"}  # an environment in which the index is not asked: what it answered today counts


@dataclass(frozen=True)
class Secret:
    """A credential of the settings, by its name: since when it is what it is, and for how many days; None: unknown."""

    name: str
    since: date | None
    days: int | None

    @property
    def is_old(self) -> bool:
        """Return whether it is older than a credential may be."""
        return self.days is not None and self.days > OLDEST


@dataclass(frozen=True)
class OpenQuarantine:
    """The rejected rows of a table with masked columns that no waiver covers: how many, and since when (UTC)."""

    table: str
    rows: int
    oldest: datetime


@dataclass(frozen=True)
class Security:
    """The state of a lake's security.

    A finding is each of `loose` and `advisories.found`, each old secret, and each open quarantine.
    """

    loose: tuple[Loose, ...]
    secrets: tuple[Secret, ...]
    advisories: Advisories
    quarantine: tuple[OpenQuarantine, ...]

    @property
    def findings(self) -> int:
        """Return how many things there are to look after; a secret of unknown age is none."""
        old = sum(one.is_old for one in self.secrets)
        return len(self.loose) + len(self.advisories.found) + old + len(self.quarantine)


def read_security(project: Project, now: datetime, environ: Mapping[str, str] = os.environ) -> Security:
    """Return what the review of security looks at, at a moment (UTC).

    The package index is asked once a day, in bounded time. `environ` may hold pip's own configuration.

    Raises:
        BoathouseError: the lake cannot be read.
    """
    return Security(
        loose=permissions.loose(project.settings),
        secrets=_secrets(project, now.date()),
        advisories=read_advisories(project.settings.data_dir, now.date(), environ),
        quarantine=_open_quarantine(project, now.date()),
    )


def _secrets(project: Project, today: date) -> tuple[Secret, ...]:
    """Return the credentials of sources by name; those without a date last."""
    settings = project.settings
    since = settings.since()
    names = (name for name, value in settings.credentials.items() if value.strip() and not name.endswith(SINCE))
    found = [Secret(n, since.get(n), (today - since[n]).days if n in since else None) for n in names]
    return tuple(sorted(found, key=lambda one: (one.days is None, -(one.days or 0), one.name)))


def _open_quarantine(project: Project, today: date) -> tuple[OpenQuarantine, ...]:
    """Return the open rejected rows of tables with masked columns, the most first."""
    engine, data = project.engine, project.settings.data_dir
    masks = masks_of_records(project)
    found = []
    for table, name in quarantine.tables(data).items():
        if masks.covers(table) and name in catalog.tables(data):
            quarantine.publish_named(engine, data, name)
            waived = quarantine.waived(engine, data, table, today)
            rows, oldest = engine.one(f"SELECT count(*), min(_ingested_at) FROM {name} WHERE NOT {waived}")
            found += [OpenQuarantine(table, int(rows), oldest)] if rows else []
    return tuple(sorted(found, key=lambda one: (-one.rows, one.table)))
