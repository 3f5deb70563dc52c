"""Backups that hold a person: which, until when, and how they are made anew without losing the last one on the way.

A backup is never changed. A new one of the lake as it is now is made, drilled and searched; only then the older ones
that hold a value lose their manifests, and then the objects that no manifest names go. Killed anywhere, the same call
goes on: at each moment the newest backup is whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from src.engine import DuckEngine
from src.errors import DataError
from src.forget.scanning import Forms, Value, search
from src.maintenance import archive, backup, drill
from src.maintenance.manifests import Manifest
from src.remote import Remote
from src.settings import Settings

_FETCHED = 500  # objects that are copied from a remote at once
_LONGEST_KEPT = 20 * 366  # days that are looked ahead


@dataclass(frozen=True)
class Held:
    """A backup that holds a value: when it was made (UTC), its tables and objects that do, and the day it goes.

    That day is by the retention of backups, if one is made each day; None: not within 20 years.
    """

    backup: str
    made: datetime
    tables: tuple[str, ...]
    objects: int
    until: date | None


@dataclass(frozen=True)
class Renewed:
    """The backup that holds nothing of the person, and what went, also by retention: backups, and objects."""

    backup: str
    removed: tuple[str, ...]
    objects: int


def holding(engine: DuckEngine, settings: Settings, remote: Remote, values: Sequence[Value], room: Path) -> list[Held]:
    """Return the backups that hold a value, oldest first; all objects are read, from a remote store over the network.

    Raises:
        DataError: a manifest is damaged, or an object cannot be read.
        AuthError, TransientError, MachineError: the remote refuses, or does not answer.
    """
    there = archive.listing(remote)
    manifests = archive.read(remote, there.names) if there.names else {}
    objects = _theirs(engine, remote, manifests, values, room)
    forms, found = Forms(values), []
    for name, manifest in manifests.items():
        tables = {table: {file.name for file in of.files.values()} & objects for table, of in manifest.tables.items()}
        own = set().union(*tables.values()) if tables else set()
        # values of partitions are in the names of files
        paths = "\n".join(path for of in manifest.tables.values() for path in of.files)
        if own or forms.likely_name(paths.encode()):
            held = tuple(table for table, some in tables.items() if some)
            found.append(Held(name, archive.made(name), held, len(own), goes_on(there.names, name, settings)))
    return found


def renew(
    engine: DuckEngine,
    settings: Settings,
    remote: Remote,
    values: Sequence[Value],
    clock: Callable[[], datetime],
    room: Path,
) -> Renewed:
    """Make a backup of the lake as it is, prove it, and remove those that hold a value with what only they name.

    `clock` gives the time in UTC.

    Raises:
        DataError: the new backup holds a value, or is not what it should be; nothing was removed.
        UsageError, LockedError, AuthError, TransientError, MachineError: as a backup does.
    """
    before = archive.listing(remote)
    backup.run(engine, settings, remote, clock)
    newest = archive.listed(remote)[-1]
    drill.run(engine, settings.data_dir, remote, newest, clock)
    held = [one.backup for one in holding(engine, settings, remote, values, room)]
    if newest in held:
        fix = "forget the person in the lake first; `main.py forget` says what is left"
        raise DataError("the newest backup holds a value", where=f"{remote.path}, backup {newest}", fix=fix)
    backup.remove(settings, remote, held, clock)
    now = archive.listing(remote)
    removed = tuple(name for name in before.names if name not in now.names)
    return Renewed(newest, removed, len(before.files.keys() - now.files.keys()))


def goes_on(names: Collection[str], name: str, settings: Settings) -> date | None:
    """Return the day on which a backup goes, if one is made each day from the newest on; None: not within 20 years."""
    newest = max(map(archive.made, names))
    kept = (settings.backup_keep_daily, settings.backup_keep_weekly, settings.backup_keep_monthly)
    all_names = list(names)
    for nth in range(1, _LONGEST_KEPT):
        day = newest + timedelta(days=nth)
        all_names.append(f"{999_000_000 + nth}-{day:%Y%m%dT%H%M%S}000-000000")
        stay = backup.kept(all_names, *kept)
        if name not in stay:
            return day.date()
        all_names = [one for one in all_names if one in stay]
    return None


def _theirs(
    engine: DuckEngine, remote: Remote, manifests: Mapping[str, Manifest], values: Sequence[Value], room: Path
) -> set[str]:
    """Return the objects that hold a value."""
    names = sorted(set().union(*(manifest.objects for manifest in manifests.values())))
    found: set[str] = set()
    for start in range(0, len(names), _FETCHED):
        some = names[start : start + _FETCHED]
        with tempfile.TemporaryDirectory(prefix="boathouse-") as copied:
            home = remote.here(archive.FILES)
            if home is None:
                home = Path(copied)
                remote.get(some, archive.FILES, home)
            for one in search(engine, values, [home / name for name in some], room).findings:
                name = one.path.relative_to(home).as_posix()
                if one.value is None:
                    where = f"{remote.path}, {archive.FILES}/{name}"
                    raise DataError(f"an object of a backup, {one.how}", where=where, fix="run `make drill`")
                found.add(name)
    return found
