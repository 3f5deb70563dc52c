"""Calls that fail: the n-th write, sync, rename or removal of an action says EIO or ENOSPC, once or from then on.

Whatever the action makes of it, it may not end as a bug, readers may not see what never was, and a plain run must then
finish the work. `calls.c` stands between the process and the C library, so that calls of DuckDB and of the Delta
library fail as those of Python do.
"""

from __future__ import annotations

import ctypes
import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from loguru import logger

from src.errors import BoathouseError, translated
from torture import histories, kills, rot
from torture.histories import Difference, Sum
from torture.kills import Failure, Job, Killer, Scene

ACTIONS = (*kills.ACTIONS, "make backup")
ERRORS = (errno.EIO, errno.ENOSPC)
COMPILER = shutil.which("cc")


def attempt(job: Job) -> int:
    """Do one job in this process, in which a call fails; returns the calls there were.

    Raises:
        Exception: what is no failure of ours, and so a bug.
    """
    logger.remove()
    fails = ctypes.CDLL(None)
    failure = job.failure or Failure(0, 0, False)
    fails.calls_fail(job.root.encode(), ctypes.c_long(failure.at), failure.error, failure.onwards)
    try:
        kills.perform(job)
    except Exception as error:
        if not isinstance(translated(error), BoathouseError):
            raise
    finally:
        passed = fails.calls_passed()
        fails.calls_fail(b"", ctypes.c_long(0), 0, 0)
    return int(passed)


@contextmanager
def failing(home: Path) -> Iterator[Killer]:
    """A process that serves jobs whose calls can fail, for the length of a with-block."""
    library = home / "calls.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    serving = Killer("tests.torture.calls", {"LD_PRELOAD": str(library)})
    try:
        yield serving
    finally:
        serving.close()


def play(serving: Killer, staged: Scene, scratch: Path, *, tries: int | None) -> Sum:
    """Let a scene's action meet a call that fails: a sample of so many, or (None) each of them both ways.

    Raises:
        Difference: naming the seed and the call.
    """
    random = Random(staged.seed)
    shutil.copytree(staged.shop.root, scratch)
    calm = serving.do(staged.job(scratch))
    twin = kills.finished(staged, scratch)
    every = [Failure(at, error, onwards) for at in range(1, calm.points + 1) for error in ERRORS for onwards in (0, 1)]
    tally = Sum(scenes=1)
    for failure in every if tries is None or tries >= len(every) else random.sample(every, tries):
        shutil.rmtree(scratch)
        shutil.copytree(staged.shop.root, scratch)
        try:
            serving.do(replace(staged.job(scratch), failure=failure))
            kills.see(staged, scratch, apart=True)
            found = kills.finished(staged, scratch)
            if staged.action == ("make backup",):
                rot.back_up(replace(staged.shop, root=scratch, released=[]))  # which verifies it
            if found != twin:
                raise Difference(f"{found - twin} are there and {twin - found} are not, unlike in the undisturbed lake")
        except Exception as error:
            where = f"seed {staged.seed}, {staged.action} under {staged.shop.rules}, {failure}"
            raise Difference(f"{where}: {type(error).__name__}: {error}") from error
        tally.failed_calls += 1
    shutil.rmtree(scratch)
    return tally


def fail_many(seed: int, tries: int | None) -> Sum:
    """Let calls of one scene's action fail, again and again."""
    with histories.scratch() as (home, tools), failing(home) as serving:
        try:
            staged = stage(tools, home / "lake", seed)
            done = play(serving, staged, home / "scratch", tries=tries)
        except Exception as error:
            return Sum(scenes=1, differences=[f"calls of scene {seed}: {type(error).__name__}: {error}"])
    return done


def stage(tools: histories.Tools, root: Path, seed: int) -> Scene:
    """The scene of a seed; a backup is made of a lake that has one already."""
    action = ACTIONS[seed % len(ACTIONS)]
    if action != "make backup":
        return kills.scene(tools, root, seed, action)
    staged = kills.scene(tools, root, seed, "run")
    histories.run(staged.shop)
    rot.back_up(staged.shop)
    staged.shop.land("y.csv", "order_id,day,amount,updated\n9,2024-01-03,1,1\n")
    histories.run(staged.shop)
    return replace(staged, action=("make backup",), seen=((staged.shop.rules, staged.shop.expected()),))


if __name__ == "__main__":
    kills.serve(attempt)
    sys.exit(0)
