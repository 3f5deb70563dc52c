"""The branches of a lake as they lie on disk: a folder each, and in it a card that says what it began as."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from src import store
from src.errors import MachineError, UsageError, nearest
from src.run import lock
from src.settings import branch_folder, branches_folder

_CARD = ".branch.json"
_PATIENCE = 60.0  # seconds to wait for whoever makes or drops a branch: a moment each


@dataclass(frozen=True)
class Card:
    """The beginning of a branch: the run of the release, when (UTC), by whom, and the version of each table."""

    release: str
    made_at: str
    made_by: str
    versions: Mapping[str, int]


@dataclass(frozen=True)
class Branch:
    """A branch by its name, and its folder, which is a lake."""

    name: str
    folder: Path

    @cached_property
    def card(self) -> Card:
        """Return what the branch began as.

        Raises:
            MachineError: its card is damaged.
        """
        path = self.folder / _CARD
        try:
            return Card(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            fix = f"`main.py branch drop {self.name}` removes the branch; main is as it was"
            raise MachineError(f"the card of branch {self.name} cannot be read", where=path, fix=fix) from error


def write_card(folder: Path, release: str, moment: datetime, by: str, versions: Mapping[str, int]) -> None:
    """Write into a folder what the branch in it begins as."""
    card = Card(release, moment.isoformat(timespec="seconds"), by, dict(versions))
    (folder / _CARD).write_text(json.dumps(asdict(card)), encoding="utf-8")


def list_branches(data: Path) -> list[Branch]:
    """Return the branches of the lake at `data`, by name; one that is not whole yet, or half dropped, is none.

    Files of such a one are on disk until `sweep`.
    """
    if store.is_remote(data):
        return []  # objects have no second names
    folder = branches_folder(data)
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [Branch(path.name, path) for path in found if not path.name.startswith(".")]


def refuse_bucket(data: Path) -> None:
    """Refuse a lake in an object store.

    Raises:
        UsageError: it is in one.
    """
    if store.is_remote(data):
        fix = "restore a backup into a folder (`restore --to`), and branch that: docs/branches.md"
        raise UsageError("an object store has no hard links, so no branch shares its files", where=data, fix=fix)


def find_branch(data: Path, name: str) -> Branch:
    """Return the branch of this name of the lake at `data`.

    Raises:
        UsageError: there is none, or the lake is in an object store.
    """
    refuse_bucket(data)
    known = {branch.name: branch for branch in list_branches(data)}
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}? " if near else ""
        there = f"the branches are {', '.join(known)}" if known else "there are none"
        raise UsageError(
            f"no branch {name}", where=branches_folder(data), fix=f"{hint}{there}; `branch create` makes one"
        )
    return known[name]


@contextmanager
def lock_branches(data: Path) -> Iterator[None]:
    """Let nobody make or drop a branch of the lake at `data` within a with-block; first remove what was left half done.

    Raises:
        LockedError: somebody else did so for a minute.
        MachineError: there is no writing in `data`.
    """
    with lock.waited(data, "branches", _PATIENCE):
        sweep(data)
        yield


def sweep(data: Path) -> None:
    """Remove the branches that are not whole: of a process that was killed as it made or dropped one."""
    folder = branches_folder(data)
    for path in folder.glob(".*") if folder.is_dir() else ():
        shutil.rmtree(path)


def making(data: Path, name: str) -> Path:
    """Return the folder in which a branch is made until it is whole."""
    return branch_folder(data, f".{name}.making")


def dropping(data: Path, name: str) -> Path:
    """Return the folder in which a branch lies while it is removed."""
    return branch_folder(data, f".{name}.dropping")
