"""Repair brings single files of the lake back from the newest backup, by their hashes, and says what it cannot.

Each is fetched, proven and moved into its place in one step, the logs before the data files that they name: killed at
any moment it leaves files that are right or as they were, and does the rest next time. What the backup does not have,
because it is younger or damaged there too, is named, with what else can be done.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src import catalog, lake, store
from src.errors import BoathouseError, UsageError, from_os_error
from src.maintenance import archive, check, rot
from src.maintenance.manifests import Manifest
from src.maintenance.reading import Reading
from src.maintenance.rot import Damage
from src.project import Project, new_run_id
from src.remote import Remote
from src.run import backup_records, lock

_TURNS = 3  # a log that was brought back may name data files that are gone too
_ELSE = {
    "bronze": "move the lake away and `make restore` the backup, as docs/runbook.md says",
    "models": "put its folder aside and train the model again",
    "ops": "put its folder aside: records are lost, and no row of another table",
}
_AGAIN = "put it aside with what lies beside it and all that reads it, then `make pipeline`"


@dataclass(frozen=True)
class RepairPlan:
    """A planned repair, and in words what cannot be repaired.

    `back`: files of the backup; `links`: what they lead to is put in their place; `hints` of a log that name nothing.
    """

    back: list[Damage]
    links: list[Path]
    hints: list[Path]
    lost: list[tuple[str, str]]  # table, what

    @property
    def idle(self) -> bool:
        """Return whether there is nothing to repair."""
        return not (self.back or self.links or self.hints)


def plan(project: Project, remote: Remote, manifest: Manifest) -> RepairPlan:
    """Return what can be repaired, and what cannot; change nothing."""
    data = project.settings.data_dir
    damage = list(rot.find(project.engine, data, remote, manifest))
    there = archive.listing(remote).files
    back = [one for one in damage if there.get(one.file.name) == one.file.size]
    gone = [one for one in damage if there.get(one.file.name) != one.file.size]
    lost = [(one.table, f"{one.path} {one.found}, and is damaged in the backup too") for one in gone]
    linked = {name: _links(root) for name, root in catalog.tables(data).items()}
    damaged = {one.table for one in damage} | {name for name, paths in linked.items() if paths}
    found = check.files(Reading(project.engine), data)
    lost += [(one.table, one.found) for _, _, findings in found for one in findings if one.table not in damaged]
    better = {one.root / one.path for one in back}
    links = [path for paths in linked.values() for path in paths if path not in better]
    hints = [hint for root in catalog.tables(data).values() if (hint := lake.misleading_hint(root))]
    return RepairPlan(back, links, hints, lost)


def _links(root: Path) -> list[Path]:
    """Return the files of a table that are links to a file: readers do not mind, backups do."""
    if store.is_remote(root):
        return []
    return [path for path in sorted(root.rglob("*")) if path.is_symlink() and path.is_file()]


def execute(
    project: Project, remote: Remote, manifest: Manifest, planned: RepairPlan, clock: Callable[[], datetime]
) -> RepairPlan:
    """Repair, and look again until there is nothing left to repair; returns what could not be.

    Raises:
        LockedError: another command works on the lake.
        AuthError, TransientError, MachineError: as the remote and the disk say.
    """
    data, started = project.settings.data_dir, clock()
    run_id = new_run_id(started)
    fetched = store.beside(data) / backup_records.FOLDER / "repair"
    with lock.lock_lake(data, command="make repair", run_id=run_id, now=started):
        copied, failed, copied_back = 0, [], list[Damage]()
        for _ in range(_TURNS):
            for hint in planned.hints:
                hint.unlink(missing_ok=True)
            for link in planned.links:
                with_copy = link.with_name(f".{link.name}.new")
                shutil.copyfile(link, with_copy)
                _replace(with_copy, link)
            for damage in planned.back:
                try:
                    _bring(remote, damage, fetched)
                    copied += damage.file.size
                    copied_back.append(damage)
                except BoathouseError as error:
                    failed.append((damage.table, f"{damage.path} {damage.found}: {error.what}"))
            planned = plan(project, remote, manifest)
            if planned.idle or failed:
                break
        failed += [(damage.table, what) for damage in copied_back if (what := _taken_again(damage, manifest))]
        shutil.rmtree(fetched, ignore_errors=True)
    row = manifest.described(run_id, "repair", started, clock(), remote.path, copied, "; ".join(w for _, w in failed))
    with lock.lock_lake(data / backup_records.FOLDER, command="make repair", run_id=run_id, now=started):
        backup_records.record(project.engine, data, row)
    return RepairPlan([], [], [], [*failed, *planned.lost])


def _taken_again(damage: Damage, manifest: Manifest) -> str:
    """Return that bronze took files of a damaged log entry again since the backup; '' where it did not."""
    version = lake.entry_version(damage.path)
    if version is None or not damage.table.startswith("bronze."):
        return ""
    newest = lake.open_table(damage.root)
    later = range(manifest.tables[damage.table].version + 1, newest.version + 1 if newest else 0)
    files = {name for name in lake.recorded(damage.root, version) if name.startswith("file:")}
    again = sum(len(files & lake.recorded(damage.root, at)) for at in later)
    return (
        f"{again} files of version {version} were taken again while it was damaged, rows are doubled" if again else ""
    )


def _replace(fresh: Path, path: Path) -> None:
    lake.sync(fresh)
    store.take(fresh, path)  # of a link it replaces the link, not what that leads to
    lake.sync(path.parent)


def _bring(remote: Remote, damage: Damage, folder: Path) -> None:
    """Put one file of the backup into its place, whole and on disk, or leave what is there."""
    path = damage.root / damage.path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetched = archive.fetched(remote, damage.file, folder)
        if not store.is_remote(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        _replace(fetched, path)
        lake.forget(damage.root)
    except OSError as error:
        raise from_os_error(error, path) from error


@dataclass(frozen=True)
class RepairedFile:
    """One file that is not as it should be, and what was found of it; table empty: not known."""

    table: str
    path: str
    found: str
    bytes: int


@dataclass(frozen=True)
class Lost:
    """Something that cannot be repaired from the backup, and what else can be done."""

    table: str
    found: str
    fix: str


@dataclass(frozen=True)
class RepairResult:
    """The result of a repair, or of its dry run: the backup, the files, and what cannot be repaired."""

    backup: str
    repaired: bool
    files: tuple[RepairedFile, ...]
    lost: tuple[Lost, ...]


def repair(project: Project, remote: Remote, clock: Callable[[], datetime], *, dry_run: bool) -> RepairResult:
    """Repair the lake from the newest backup unless it is a dry run.

    Raises:
        UsageError: there is no lake, or no backup whose manifest can be read.
        LockedError: another command works on the lake.
        AuthError, TransientError, MachineError: as the remote and the disk say.
    """
    if not catalog.holding(project.settings.data_dir):
        fix = "`make restore` brings the whole lake back from a backup"
        raise UsageError("there is no lake to repair", where=project.settings.data_dir, fix=fix)
    manifest = archive.newest(remote)
    if manifest is None:
        raise UsageError("there is no backup to repair from", where=remote.path, fix="see docs/runbook.md")
    planned = plan(project, remote, manifest)
    files = [RepairedFile(one.table, one.path, one.found, one.file.size) for one in planned.back]
    others = [(path, "is a symbolic link: replaced by the file itself") for path in planned.links]
    others += [(path, "names a checkpoint that is not there: removed") for path in planned.hints]
    files += [RepairedFile("", str(path), found, 0) for path, found in others]
    does = not (dry_run or planned.idle)
    lost = execute(project, remote, manifest, planned, clock).lost if does else planned.lost
    named = (Lost(table, what, _ELSE.get(table.partition(".")[0], _AGAIN)) for table, what in lost)
    return RepairResult(manifest.id, does, tuple(files), tuple(named))
