"""A branch is made of the newest release by hard links, and is there whole or not at all; it goes in one rename.

Of each table it gets the log up to the released version and the files of that version, under second names; nothing is
copied, and a vacuum of either lake takes that lake's name alone. The landing zone has no second names: a link would
change the times of landed files, by which both lakes know them, and both would read all of it again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from src import lake
from src.branches.branch import Branch, dropping, find_branch, lock_branches, making, write_card
from src.engine import DuckEngine
from src.errors import UsageError, from_os_error
from src.project import new_run_id
from src.run import lock, pinned_release
from src.settings import branch_folder


@dataclass(frozen=True)
class Made:
    """A branch that was made: the run whose release it is of, its tables, and what is not as in main."""

    name: str
    folder: Path
    release: str
    tables: int
    rows: int
    bytes: int  # of the files that it shares
    notes: tuple[str, ...]


def create(engine: DuckEngine, data: Path, name: str, moment: datetime, by: str) -> Made:
    """Make a branch of the newest release of the lake at `data`. A run may go on meanwhile.

    Raises:
        UsageError: a branch of that name is there, or there is no release yet.
        MachineError: files of the release are gone or damaged, or the file system has no hard links.
        LockedError: somebody else makes branches for a minute.
    """
    with lock_branches(data):
        target, unfinished = branch_folder(data, name), making(data, name)
        if target.exists():
            fix = f"name it otherwise, or `main.py branch drop {name}` first"
            raise UsageError(f"there is a branch {name}", where=target, fix=fix)
        try:
            release, tables = _linked(engine, data, unfinished)
            landing = unfinished / "landing"
            landing.mkdir()
            (landing / ".keep").touch()  # it may be empty: src/landing_zone.py
            write_card(unfinished, release, moment, by, {name: table.version for name, table in tables.items()})
            unfinished.rename(target)
        except OSError as error:
            raise from_os_error(error) from error
    shared = [table for name, table in tables.items() if not name.startswith("ops.")]
    rows, size = sum(table.rows for table in shared), sum(table.size for table in shared)
    notes = tuple(f"{text}, and so not on the branch" for text in pinned_release.unreleased(data, tables))
    return Made(name, target, release, len(shared), rows, size, notes)


def drop(data: Path, name: str, moment: datetime) -> Branch:
    """Remove a branch; the files that it shared with main stay in main.

    Raises:
        UsageError: there is none of that name.
        LockedError: a run is going on the branch.
        MachineError: a file cannot be removed; the branch is gone all the same.
    """
    with lock_branches(data):
        branch, gone = find_branch(data, name), dropping(data, name)
        try:
            with lock.lock_lake(branch.folder, command=f"branch drop {name}", run_id=new_run_id(moment), now=moment):
                branch.folder.rename(gone)  # from here on there is no such branch, and what is left is swept
            shutil.rmtree(gone)
        except OSError as error:
            raise from_os_error(error, gone) from error
    return branch


def _linked(engine: DuckEngine, data: Path, folder: Path) -> tuple[str, Mapping[str, lake.Snapshot]]:
    """Link the newest release into a folder; return its run, and the tables there."""

    def link() -> tuple[str, Mapping[str, lake.Snapshot]]:
        shutil.rmtree(folder, ignore_errors=True)
        release, versions = pinned_release.pinned(engine, data)
        sources = pinned_release.opened(data, versions)
        paths = {name: lake.table_path(folder, name) for name in sources}
        return release, {name: pinned_release.linked(name, sources, paths[name], lake.hard_link) for name in sources}

    return pinned_release.while_whole(data, link)
