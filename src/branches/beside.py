"""A branch beside main: which tables it changed, what main did to them since, and whether the two are still one log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from src import catalog, lake
from src.branches.branch import Branch, list_branches
from src.errors import BoathouseError


@dataclass(frozen=True)
class Beside:
    """A branch and main, each with its tables at their newest versions, but for records."""

    branch: Branch
    theirs: Mapping[str, lake.Snapshot]
    ours: Mapping[str, lake.Snapshot]

    @cached_property
    def changed(self) -> dict[str, int]:
        """Return the tables that the branch committed to, with their newest versions there."""
        found = {name: table.version for name, table in self.theirs.items()}
        return {name: version for name, version in found.items() if version != self.base(name)}

    def base(self, name: str) -> int:
        """Return the version of a table that the branch began with; -1: none."""
        return self.branch.card.versions.get(name, -1)

    def version_in_main(self, name: str) -> int:
        """Return the newest version of a table in main; -1: none."""
        return self.ours[name].version if name in self.ours else -1

    def conflicts(self) -> Iterator[str]:
        """Yield a reason for each changed table of which main's log is neither a beginning of the branch's nor more."""
        for name in self.changed:
            if name.startswith("bronze."):
                yield f"{name}: the branch took files, which are not in main's landing zone; land them there"
            elif reason := self._conflict(name):
                yield f"{name}: {reason}"

    def _conflict(self, name: str) -> str | None:
        base, to, now = self.base(name), self.changed[name], self.version_in_main(name)
        root = self.theirs[name].root
        if not {*range(base + 1, to + 1)} <= lake.entry_versions(root):
            return "the branch's log was shortened, and has no longer what came after its beginning"
        if now < base:
            return f"main has {f'version {now}' if now >= 0 else 'no such table'}, the branch began at version {base}"
        if base >= 0 and self._is_another(name):
            return f"main has another table of that name than the one whose version {base} the branch began with"
        if lake.differs(root, self._root_in_main(name), range(base + 1, min(now, to) + 1)) is not None:
            return f"main moved too: it is at version {now}, the branch began at version {base}"
        return None

    def moved(self, name: str) -> str | None:
        """Return how main has other rows of a table now than the branch began with; None where it has the same."""
        base, ours = self.base(name), self.ours.get(name)
        if ours is None:
            return None if base < 0 else "main has it no more"
        if base < 0:
            return "main had none when the branch was made"
        if ours.version < base or self._is_another(name):
            return "main has another table of that name now"
        if ours.version == base or lake.has_same_rows(ours, base):
            return None
        return f"main is at version {ours.version}, the branch began at version {base}"

    def moved_in_main(self) -> Iterator[str]:
        """Yield the tables of which main has other rows than the branch began with, by no promotion of it."""
        for name in {**self.ours, **self.branch.card.versions}:
            if name in self.changed:
                moved = self._conflict(name)
            else:
                shared = self.base(name) >= 0 and not name.startswith(f"{catalog.RECORDS}.")
                moved = self.moved(name) if shared else None
            if moved:
                yield name

    def is_promoted(self) -> bool:
        """Return whether main has all that the branch changed, as a promotion leaves it."""
        return bool(self.changed) and all(
            self.version_in_main(name) >= to and self._conflict(name) is None for name, to in self.changed.items()
        )

    def _root_in_main(self, name: str) -> Path:
        return self.ours[name].root if name in self.ours else Path()

    def _is_another(self, name: str) -> bool:
        """Return whether main's table is not the one that the branch began with, of which both have the version."""
        base, ours = self.base(name), self.ours[name]
        if lake.differs(self.theirs[name].root, ours.root, [base]) is not None:
            return True
        began = lake.open_table(self.theirs[name].root, base)
        return began is not None and ours.version == base and began.identity != ours.identity


@dataclass(frozen=True)
class BranchState:
    """A branch as `branch list` shows it: the release that it began as, when (ISO, UTC), by whom, and what came of it.

    `moved`: the tables of which main has other rows now, by no promotion of this branch; `promoted`: main has all that
    the branch changed. `error`: why nothing can be said of it.
    """

    name: str
    release: str | None = None
    made_at: str | None = None
    made_by: str | None = None
    changed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    promoted: bool = False
    error: str | None = None


def compare(data: Path, branch: Branch) -> Beside:
    """Return a branch beside the lake at `data`, which is main.

    Raises:
        MachineError: a table is damaged.
    """
    return Beside(branch, _opened(branch.folder), _opened(data))


def read_states(data: Path) -> list[BranchState]:
    """Return how each branch of the lake at `data` stands; changes nothing."""
    return [_state(data, branch) for branch in list_branches(data)]


def _state(data: Path, branch: Branch) -> BranchState:
    try:
        card, beside = branch.card, compare(data, branch)
        return BranchState(
            name=branch.name,
            release=card.release,
            made_at=card.made_at,
            made_by=card.made_by,
            changed=tuple(sorted(beside.changed)),
            moved=tuple(sorted(beside.moved_in_main())),
            promoted=beside.is_promoted(),
        )
    except BoathouseError as error:
        return BranchState(branch.name, error=error.what)


def _opened(data: Path) -> dict[str, lake.Snapshot]:
    """Return the tables of a lake at their newest versions, but for records."""
    roots = {name: root for name, root in catalog.tables(data).items() if not name.startswith(f"{catalog.RECORDS}.")}
    return {name: table for name, root in roots.items() if (table := lake.open_table(root))}
