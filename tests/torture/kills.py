"""Kills: a child process does one action on a lake and is killed on the way; a plain run must then finish the work.

The child counts the points it passes (before and after everything that writes) by wrapping these
functions in itself; the product has no hooks. `child` does one action in a fresh process, `serve` forks
one child for each line it reads, which is what a thousand kills need.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Protocol

import duckdb
from loguru import logger

import main
from src import contract, lake
from src.branches import list_branches, lock_branches, making
from src.commands.run import pipeline
from src.errors import BoathouseError
from src.maintenance import backup
from src.project import open_project
from src.run import releases, runs
from src.run.runs import Run
from src.settings import branches_folder, load
from torture import ROOT, figures, histories, oracle
from torture.histories import Difference, Shop, Sum, Tools
from torture.oracle import Content, Rules
from torture.shelf import Shelf

BESIDE = ("branch", "promote", "drop")  # actions on branches
ACTIONS = ("run", "bump", "backfill", "rollback", "make optimize", "make vacuum", *BESIDE)


@dataclass(frozen=True)
class Failure:
    """Which call fails, with which errno, and whether all later ones do."""

    at: int  # 1 is the first; 0: none
    error: int
    onwards: int  # 0 or 1


@dataclass(frozen=True)
class Job:
    """One action on the lake at `root`, killed at the n-th point (`at`; 0: never) or `after` so many seconds."""

    root: str
    source: str
    action: tuple[Any, ...]
    at: int = 0
    after: float = 0
    failure: Failure | None = None
    environ: Mapping[str, str] = field(default_factory=dict)  # settings beside those of every history


@dataclass(frozen=True)
class Ended:
    """How a child ended: whether by SIGKILL, its exit code, the points it passed, the seconds it took."""

    killed: bool
    code: int
    points: int
    seconds: float


# -- in the child


def perform(job: Job) -> None:
    """Do the action as main.py does it."""
    settings = replace(load(Path(job.root), {**histories.ENVIRON, **job.environ}), root=Path(job.source).parent)
    kind, *words = job.action
    if kind == "forget":
        histories.forget(settings, *words)
        return
    with open_project(settings) as project:
        if kind == "backfill":
            _insist(histories.refill(project, *words))
        elif kind == "rollback":
            histories.roll_back(project, *words)
        elif kind == "make optimize":
            histories.make_optimize(project)
        elif kind == "make vacuum":
            histories.make_vacuum(project, *words)
        elif kind == "branch":
            making.create(project.engine, settings.data_dir, histories.BRANCH, runs.now(), "")
        elif kind == "promote":
            histories.promote(project)
        elif kind == "drop":
            making.drop(settings.data_dir, histories.BRANCH, runs.now())
        elif kind == "make backup":
            backup.run(project.engine, project.settings, Shelf(str(Path(job.root) / "backups")), runs.now)
        else:
            _insist(pipeline(project, main.carry))


def _insist(run: Run) -> None:
    """Raise what a failed step of a run raised, a bug before a failure of ours."""
    for error in sorted(run.failures.values(), key=lambda error: isinstance(error, BoathouseError)):
        raise error


def child(job: Job) -> int:
    """Do one job in this process, unless it kills itself on the way; returns the points passed."""
    logger.remove()
    passed, counted = 0, count(1)

    def point() -> None:
        nonlocal passed
        nth = next(counted)  # no two threads get the same
        passed = max(passed, nth)
        if nth == job.at:
            os.kill(os.getpid(), signal.SIGKILL)

    with histories.points(point):
        perform(job)
    return passed


def serve(act: Callable[[Job], int]) -> None:
    """Fork a child for each job on stdin, which does it by `act`; say on stdout how it ended."""
    warmed: set[str] = set()
    for line in sys.stdin:
        job = _job(json.loads(line))
        if job.source not in warmed:
            contract.load(Path(job.source))  # what it caches, every child has
            warmed.add(job.source)
        print(json.dumps(asdict(_forked(job, act))), flush=True)


def _forked(job: Job, act: Callable[[Job], int]) -> Ended:
    started = time.monotonic()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        sys.stdout = sys.stderr  # what an action prints is no answer
        try:
            os.write(writing, str(act(job)).encode())
            code = 0
        except BaseException as error:  # nothing may run on into the parent's loop
            print(f"{job}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.close(writing)
    if job.after:
        time.sleep(job.after)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    passed = os.read(reading, 64)
    os.close(reading)
    return Ended(
        os.WIFSIGNALED(status), os.waitstatus_to_exitcode(status), int(passed or 0), time.monotonic() - started
    )


def _job(read: dict[str, Any]) -> Job:
    failure = read.get("failure")
    return Job(**{**read, "action": tuple(read["action"]), "failure": failure and Failure(**failure)})


# -- on the other side


class Killer:
    """The serving process, asked for one child after the other."""

    def __init__(self, module: str = "tests.torture.kills", environ: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", module, "serve"]
        self._serving = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | (environ or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, job: Job) -> Ended:
        assert self._serving.stdin and self._serving.stdout
        print(json.dumps(asdict(job)), file=self._serving.stdin, flush=True)
        ended = Ended(**json.loads(self._serving.stdout.readline()))
        if ended.code not in (0, -signal.SIGKILL):
            raise Difference(f"the child ended with {ended.code}: {job}")
        return ended

    def close(self) -> None:
        assert self._serving.stdin and self._serving.stdout
        self._serving.stdin.close()
        self._serving.wait()
        self._serving.stdout.close()


@contextmanager
def killer() -> Iterator[Killer]:
    """A killer for the length of a with-block."""
    running = Killer()
    try:
        yield running
    finally:
        running.close()


@dataclass(frozen=True)
class Scene:
    """A shop with work to do, the action that will be killed, and what may be seen after that."""

    seed: int
    shop: Shop
    action: tuple[Any, ...]
    seen: tuple[tuple[Rules, Content], ...]  # what readers may find in the newest release

    def job(self, root: Path, at: int = 0, after: float = 0) -> Job:
        return Job(str(root), str(self.shop.tools.source(self.shop.rules)), self.action, at, after)


def scene(tools: Tools, root: Path, seed: int, action: str) -> Scene:
    """A random shop, one action before the end of its history."""
    random = Random(seed)
    past = [histories.operation(random) for _ in range(random.randint(1, 5))]
    if action == "rollback":  # or there is nothing to go back to
        past = [done for done in past if "vacuum" not in done[0] and done[0] != "restore"]
    fresh = action == "run" and seed % 3 == 0
    past = [] if fresh else [("run",), *past, ("run",)]
    figure = Random(seed).choice(list(figures.KINDS))
    told = histories.History(random.choice(oracle.FAMILIES), tuple(past), figure)
    shop = histories.live(tools, root, told, end=False)
    seen = [(rules, content) for _, rules, content in shop.released]
    if action in ("promote", "drop"):  # of another release than main's, which readers see whole or not at all
        shop.rules = replace(shop.rules, minimum=random.choice((1, 4, 6)), version=shop.rules.version + 1)
        histories.run_beside(shop)
        seen.append((shop.rules, shop.expected()))
    shop.land("a.csv", histories.text(random))
    shop.land("z.csv", histories.text(random) + "7,2024-01-02,1,1\n")
    if action == "bump":
        shop.rules = replace(shop.rules, minimum=random.choice((1, 4, 6)), version=shop.rules.version + 1)
    shop.keep()
    words: dict[str, tuple[Any, ...]] = {
        "backfill": ("backfill", *random.choice(histories.SLICES)),
        "rollback": ("rollback", shop.released[0][0] if shop.released else ""),
        "make optimize": ("make optimize",),
        "make vacuum": ("make vacuum", 0),
        **{name: (name,) for name in BESIDE},
    }
    return Scene(seed, shop, words.get(action, ("run",)), (*seen, (shop.rules, shop.expected())))


class Kills(Protocol):
    """Who does jobs, and kills on the way."""

    def do(self, job: Job) -> Ended:
        """Do a job; returns how it ended."""


def play(killing: Kills, staged: Scene, scratch: Path, *, points: int | None, instants: int) -> Sum:
    """Kill a scene's action at its points (a sample of so many; None: each) and at random instants.

    Raises:
        Difference: a lake was not, after a plain run, what the undisturbed one is; it names seed and point.
    """
    random = Random(staged.seed)
    shutil.copytree(staged.shop.root, scratch)
    calm = killing.do(staged.job(scratch))
    twin = finished(staged, scratch)
    every = range(1, calm.points + 1)
    chosen = every if points is None or points >= calm.points else sorted(random.sample(every, points))
    jobs = [(at, 0.0) for at in chosen] + [(0, random.uniform(0.001, calm.seconds)) for _ in range(instants)]
    tally = Sum(scenes=1)
    for at, after in jobs:
        shutil.rmtree(scratch)
        shutil.copytree(staged.shop.root, scratch)
        try:
            _trial(killing, staged, scratch, at, after, random, twin, tally)
        except Exception as error:
            where = f"seed {staged.seed}, {staged.action} under {staged.shop.rules}, point {at} after {after:.4f} s"
            raise Difference(f"{where}: {type(error).__name__}: {error}") from error
    shutil.rmtree(scratch)
    return tally


def _trial(
    killing: Kills, staged: Scene, root: Path, at: int, after: float, random: Random, twin: oracle.Rows, tally: Sum
) -> None:
    ended = killing.do(staged.job(root, at, after))
    tally.kills += ended.killed
    apart = ended.code > 0  # not the driver died but who computed for it: some steps failed, and the run went on
    see(staged, root, apart=apart)
    _see_branches(staged, root)
    if staged.action == ("promote",) and random.random() < 0.5:  # in half of all cases the run alone finishes it
        killing.do(staged.job(root))
        see(staged, root, apart=apart)
    if random.random() < 0.15:  # and the run that would have finished it, too
        again = replace(staged.job(root, random.randint(1, 60)), action=("run",))
        tally.kills += killing.do(again).killed
        see(staged, root, apart=apart)
    card = root / "data/.holder.json"
    holder = json.loads(card.read_text(encoding="utf-8"))["run_id"] if card.exists() else None
    found = finished(staged, root)
    if found != twin:
        raise Difference(f"{found - twin} are there and {twin - found} are not, unlike in the undisturbed lake")
    if holder:
        if holder not in oracle.interrupted(staged.shop.tools.connection, root / "data"):
            raise Difference(f"run {holder} was killed, and nothing says so")
        tally.interrupted += 1
    tally.recoveries += 1


def finished(staged: Scene, root: Path) -> oracle.Rows:
    """Run once more, compare with the oracle, check; returns the quarantine with its reasons and values."""
    shop = replace(staged.shop, root=root, released=[])
    histories.run(shop)
    shop.check()
    return oracle.rejected(shop.tools.connection, shop.data)


def _see_branches(staged: Scene, root: Path) -> None:
    """What is listed as a branch just after a kill is a whole one; whoever makes or drops one sweeps what is not."""
    data = root / "data"
    for branch in list_branches(data):
        for name, version in branch.card.versions.items():
            lake.check_restorable(lake.table_path(branch.folder, name), version)
    if staged.action == ("promote",):  # it can be done again, however far it came
        return
    with lock_branches(data):
        there = {path.name for path in branches_folder(data).glob("*")}
        left = there - {branch.name for branch in list_branches(data)}
    if left:
        raise Difference(f"{left} are left of a branch")


def see(staged: Scene, root: Path, *, apart: bool = False) -> None:
    """What readers find just after a kill is one of the releases there were, or the new one, whole.

    `apart`: each table is, as after a run in which one of them failed.
    """
    versions = releases.newest(root / "data")
    unseen = {"silver", "rejects", "gold", "figure"}
    if not versions:
        return
    for rules, content in staged.seen:
        try:
            found = oracle.stored(staged.shop.tools.connection, root / "data", rules, versions)
        except duckdb.BinderException:
            continue  # another release: it has not these columns
        same = {name for name in unseen if getattr(found, name) == getattr(content, name)}
        unseen = unseen - same if apart or same == unseen else unseen
        if not unseen:
            return
    raise Difference(f"readers see what never was: {versions}")


def kill_many(seed: int, points: int | None, instants: int) -> Sum:
    """Kill one scene's action again and again."""
    with histories.scratch() as (home, tools), killer() as killing:
        try:
            staged = scene(tools, home / "lake", seed, ACTIONS[seed % len(ACTIONS)])
            done = play(killing, staged, home / "scratch", points=points, instants=instants)
        except Exception as error:
            return Sum(scenes=1, differences=[f"scene {seed}: {type(error).__name__}: {error}"])
    return done


def main_line(typed: list[str]) -> int:
    """`child JOB` or `serve`."""
    if typed == ["serve"]:
        serve(child)
    else:
        print(child(_job(json.loads(typed[1]))))
    return 0


if __name__ == "__main__":
    sys.exit(main_line(sys.argv[1:]))
