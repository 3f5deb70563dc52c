"""Promotion is a fast-forward: main's logs get the entries that the branch added to them, then there is one release.

The log of a table on a branch is main's log and more. So nothing is computed and nothing is committed anew: versions,
identities and progress stay what they were, and every reader's record of how far it has read stays true. Data files
first, then the entries, what is read before what reads it, the release last: until then readers see the old rows.
Killed anywhere, a second promotion goes on from there, and a run with the branch's contracts finishes the work too.

It is refused where main has other commits on a table that the branch changed, or newer rows in one that it read: what
the branch computed is then no successor of what main has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from src import catalog, contract, lake
from src.author import author
from src.branches.beside import Beside, compare
from src.branches.branch import Branch
from src.errors import DataError
from src.project import Project, learns_from, lineage, new_run_id
from src.run import lock, releases, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.releases import Release, Standing
from src.run.runs import Run

_ORDER = ("quarantine", "deletions", "statements", "silver", catalog.MODELS, "gold")  # as a run commits them


@dataclass(frozen=True)
class TablePromotion:
    """One table: its newest version in main (-1: none), and that of the branch, of one log with it."""

    table: str
    now: int
    to: int


@dataclass(frozen=True)
class Promotion:
    """The tables that came to main from a branch, or would, in order; `run`: the one that it is, if it was done."""

    branch: str
    tables: tuple[TablePromotion, ...]
    run: str | None = None
    files: int = 0  # that were linked


def promote(project: Project, branch: Branch, *, dry_run: bool = False) -> Promotion:
    """Bring what a branch changed to main, and make it the newest release; of a branch that main has, do nothing.

    Raises:
        DataError: it would be no fast-forward; nothing was changed.
        LockedError: a run is going in main or on the branch.
        TransientError: somebody committed to a table meanwhile; readers see the old rows.
        MachineError: files of the branch are gone, or main and the branch share no file system any more.
    """
    steps = plan(project, branch)
    if dry_run or not steps:
        return Promotion(branch.name, tuple(steps))
    moment, command = runs.now(), f"branch promote {branch.name}"
    theirs = lock.lock_lake(branch.folder, command=command, run_id=new_run_id(moment), now=moment, by=author())
    with theirs, recorded_run(project, RunKind.PROMOTE, command) as run:
        steps = plan(project, branch)  # again: until now both could move
        files = execute(project, branch, steps, run)
    return Promotion(branch.name, tuple(steps), run.run_id, files)


def plan(project: Project, branch: Branch) -> list[TablePromotion]:
    """Return the tables that a promotion would bring forward, in order; change nothing. Empty: main has all of it.

    Raises:
        DataError: it would be no fast-forward, or the branch is not finished; all reasons at once.
        MachineError: a table, or the card of the branch, is damaged.
    """
    beside, released = compare(project.settings.data_dir, branch), releases.newest(project.settings.data_dir)
    reasons = list(beside.conflicts())
    steps = [
        TablePromotion(name, now, to)
        for name, to in beside.changed.items()
        if (now := beside.version_in_main(name)) < to
        or (now == to and catalog.is_released(name) and released.get(name, -1) < to)
    ]
    if steps:
        reasons += [*_outdated(project, beside), *_unfinished(project, beside), *_foreign(project, beside)]
    if reasons:
        what = f"branch {branch.name} cannot be promoted\n" + "\n".join(f"  - {reason}" for reason in reasons)
        fix = f"make a new branch, run on it, and promote that; `branch drop {branch.name}` removes this one"
        raise DataError(what, where=branch.folder, fix=fix)
    marts = {table.id: at for at, table in enumerate(project.marts)}  # each after those that it reads
    return sorted(
        steps, key=lambda one: (_ORDER.index(one.table.partition(".")[0]), marts.get(one.table, 0), one.table)
    )


def execute(project: Project, branch: Branch, steps: Collection[TablePromotion], run: Run) -> int:
    """Bring the tables of a plan forward, and make them the newest release; return how many data files were linked.

    Raises:
        TransientError: somebody committed to one of them meanwhile; readers see the old rows.
        MachineError: files of the branch are gone, or there are no hard links.
    """
    files = 0
    for step in steps:
        table = lake.check_restorable(lake.table_path(branch.folder, step.table), step.to)
        files += lake.fast_forward(table, project.path(step.table), step.now)
    if steps:
        releases.add(project.engine, project.settings.data_dir, run, _release(project, branch, steps, run))
    return files


def _release(project: Project, branch: Branch, steps: Collection[TablePromotion], run: Run) -> Release:
    """Return main's newest release with the tables of a promotion in it, as of this run."""
    data = project.settings.data_dir
    before, theirs = releases.newest_release(data), releases.newest_release(branch.folder)
    moved = {step.table: step.to for step in steps if catalog.is_released(step.table)}
    versions = {**before.versions, **moved}
    as_of = releases.runs_of(project.engine, data, before.versions) | dict.fromkeys(moved, run.run_id)
    behind = {name: standing for name, standing in before.behind.items() if name not in moved}
    for name, version in moved.items():
        if name in theirs.behind and (old := theirs.behind[name].old):
            behind[name] = Standing(name, version, version, run.run_id, old=old)
    return Release(versions, as_of, behind, run.revision, releases.drafts_of(data, versions, before.drafts))


def _outdated(project: Project, beside: Beside) -> Iterator[str]:
    """Yield a reason for each table that the branch read, without changing it, and of which main has other rows now."""
    read = {**learns_from(project), **lineage(project)}
    for name in beside.changed:
        for source in read.get(releases.owner_of(name), ()):
            if source not in beside.changed and (moved := beside.moved(source)):
                yield f"{name} was computed from {source}: {moved}"


def _unfinished(project: Project, beside: Beside) -> Iterator[str]:
    """Yield a reason for each table that the branch left behind, or has in no release."""
    here, there = releases.newest_release(project.settings.data_dir), releases.newest_release(beside.branch.folder)
    command = f"`BRANCH={beside.branch.name} make pipeline` first"
    for name, standing in there.behind.items():
        if standing.cause and name not in here.behind:
            yield f"on the branch {releases.describe(standing)}; {command}"
    for name, version in beside.changed.items():
        if catalog.is_released(name) and name not in there.behind and there.versions.get(name) != version:
            yield f"{name}: version {version} is in no release of the branch; {command}"


def _foreign(project: Project, beside: Beside) -> Iterator[str]:
    """Yield a reason for each table that is not of this project's contracts: its next run would build it again."""
    declared = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    for name in beside.changed:
        owner = releases.owner_of(name)
        if owner.startswith(f"{catalog.MODELS}."):
            continue  # a run trains none
        table, built = declared.get(owner), beside.theirs.get(owner)
        if table is None:
            yield f"{name}: no contract here declares {owner}; bring those of the branch into this project first"
        elif owner == name and built and not contract.is_current(table, built):
            yield f"{name}: built by other contracts than those here; bring the branch's first"
