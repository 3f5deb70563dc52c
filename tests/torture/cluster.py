"""Random histories and kills on an Apache Spark cluster of this machine: whoever of it dies, the next run finishes.

A kill is SIGKILL of one process at a random moment of a load: the driver or the Java machine beside it, a worker of
the cluster, its executor, or the Python below that which does the tasks. A worker that died begins again afterwards, as
a node does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace

import pytest

from benchmarks.cluster import Spark, children, cluster
from src import workers
from src.workers.spark import Cluster
from torture import ROOT, histories, kills
from torture.histories import Difference, Sum
from torture.kills import Ended, Job

KINDS = ("driver", "executor", "task", "worker", "python", "java")
ACTIONS = ("run", "bump")
_A_SCENE = 5  # kills
_LONGEST = 600.0  # seconds of one run, kills and new tries among them


@dataclass
class ClusterKiller:
    """Does jobs on a cluster, each in a process of its own; who is killed goes through the kinds in turn."""

    spark: Spark
    died: list[str] = field(default_factory=list)  # of which kind those were who were killed

    def do(self, job: Job) -> Ended:
        """Do a job; where it has an `after`, somebody dies so many seconds after its first task began.

        Raises:
            Difference: it failed, and nobody was killed.
        """
        job = replace(job, environ={**self.spark.settings, "TASK_MEMORY": "300MB"})
        words = json.dumps(asdict(replace(job, after=0)))
        command = [sys.executable, "-m", "tests.torture.kills", "child", words]
        with subprocess.Popen(
            command, cwd=ROOT, env=self.spark.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as driver:
            began = self._waited(driver, lambda: bool(self._of_kind("task", driver)), time.monotonic())
            killed = False
            if job.after and began:
                self._waited(driver, lambda: time.monotonic() >= began + job.after, began)
                killed = self._kill(driver, KINDS[len(self.died) % len(KINDS)])
            said = driver.communicate(timeout=_LONGEST)[0]
        seconds = time.monotonic() - began if began else 0.0
        dead = killed or driver.returncode == -signal.SIGKILL
        self.spark.revive()
        if driver.returncode and not dead:
            raise Difference(f"the run ended with {driver.returncode}: {job}\n{said[-2000:]}")
        points = 0 if driver.returncode else int(said.split()[-1])
        return Ended(dead, driver.returncode, points, seconds)

    def _kill(self, driver: subprocess.Popen[str], kind: str) -> bool:
        """Kill one process of a kind, as soon as there is one; returns whether the job still went on then."""
        found: list[int] = []

        def there() -> bool:
            found[:] = self._of_kind(kind, driver)
            return bool(found)

        if not self._waited(driver, there, time.monotonic()):
            return False
        os.kill(random.choice(found), signal.SIGKILL)
        self.died.append(kind)
        return True

    def _waited(self, driver: subprocess.Popen[str], ready: Callable[[], bool], since: float) -> float:
        """Wait until something is so; returns when, or 0 where the driver ended before."""
        while driver.poll() is None:
            if ready():
                return time.monotonic()
            if time.monotonic() > since + _LONGEST:
                driver.kill()
                raise Difference(f"a run went on for more than {_LONGEST:.0f} s")
            time.sleep(0.01)
        return 0.0

    def _of_kind(self, kind: str, driver: subprocess.Popen[str]) -> list[int]:
        below = children()

        def under(parents: Sequence[int]) -> list[int]:
            return [child for parent in parents for child in below.get(parent, [])]

        workers = [process.pid for process in self.spark.workers.values()]
        executors = under(workers)
        return {
            "driver": [driver.pid],
            "java": under([driver.pid]),
            "worker": workers,
            "executor": executors,
            "python": under(executors),
            "task": under(under(executors)),
        }[kind]

    def close(self) -> None:
        """Nothing is open: the cluster is not ours."""


class _Open:
    """The workers of a cluster, whose session goes on from run to run: to begin one takes longer than a small run."""

    def __init__(self, running: Cluster) -> None:
        self._running = running
        self.run = running.run

    @property
    def width(self) -> int:
        return self._running.width

    def close(self) -> None:
        """The session goes on."""


@contextmanager
def driving(spark: Spark, *, one_session: bool) -> Iterator[None]:
    """Let the cluster do every load of this process within a with-block; in one session, or each run in its own."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in spark.environ.items():
            patched.setenv(name, value)
        for name, value in {**spark.settings, "TASK_MEMORY": "300MB"}.items():
            patched.setitem(histories.ENVIRON, name, value)
        if one_session:
            running = Cluster(spark.master, spark.folder / "driver.log")
            patched.setattr(workers, "_runner", lambda settings: _Open(running))
        try:
            yield
        finally:
            if one_session:
                running.close()


@contextmanager
def checked_here() -> Iterator[None]:
    """Let this process do each check itself within a with-block: a session takes longer to begin than a check to do."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workers, "dealing", lambda project, **_: nullcontext())
        yield


def live_on(spark: Spark, first: int, count: int) -> Sum:
    """Live the histories of these seeds, one after the other."""
    with driving(spark, one_session=True):
        return histories.live_many(first, count)


def kill_on(killing: ClusterKiller, seed: int, count: int) -> Sum:
    """Kill one scene's load so many times."""
    with histories.scratch() as (home, tools):
        try:
            staged = kills.scene(tools, home / "lake", seed, ACTIONS[seed % len(ACTIONS)])
            with driving(killing.spark, one_session=False), checked_here():
                return kills.play(killing, staged, home / "scratch", points=0, instants=count)
        except Exception as error:
            return Sum(scenes=1, differences=[f"scene {seed}: {type(error).__name__}: {error}"])


def many(first: int, kill_count: int, history_count: int) -> Sum:
    """First so many kills, then so many histories; said as they come."""
    total, started, seed = Sum(), time.monotonic(), first
    with cluster() as spark:
        killing = ClusterKiller(spark)
        died = killing.died
        while len(died) < kill_count and not total.differences:
            done = kill_on(killing, seed, min(_A_SCENE, kill_count - len(died)))
            total.add(done)
            seed += 1
            _tell(total, done, started)
            print(", ".join(f"{died.count(kind)} x {kind}" for kind in KINDS), flush=True)
        for at in range(first, first + history_count):
            done = live_on(spark, at, 1)
            total.add(done)
            _tell(total, done, started)
    return total


def _tell(total: Sum, done: Sum, started: float) -> None:
    print(*done.differences, sep="\n", end="\n" if done.differences else "")
    print(total.line(time.monotonic() - started), flush=True)
