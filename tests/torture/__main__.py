"""`python -m tests.torture`: kills and random histories at length, on every core; exits 1 on any difference.

python -m tests.torture --kills 1000 --histories 10000
python -m tests.torture --seed 4711     the history of one seed again, made as small as it still fails
python -m tests.torture --scene 12      the kills of one scene again
python -m tests.torture --rot 200       200 scenes of rot; --first 7 --rot 1 plays the one of seed 7 again
python -m tests.torture --workers       every load is dealt out to workers, each task twice
python -m tests.torture --spark 30      30 histories on an Apache Spark cluster of this machine, which is begun for it
python -m tests.torture --spark-kills 20    20 kills of its processes and of drivers
python -m tests.torture --calls 14      14 scenes in which calls fail, 60 of each; --tries 0 lets each call fail
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from random import Random
from typing import Any

from torture import cluster, histories, shared
from torture.calls import fail_many
from torture.histories import Sum, live_many
from torture.kills import kill_many
from torture.rot import rot_many

_PER_TASK = 200  # histories that share an engine
_EXHAUSTIVE = 6  # scenes whose every point is killed; each action once
_POINTS, _INSTANTS = 20, 10  # kills of the other scenes: at points drawn at random, at random instants
_ROT_PER_TASK = 20  # scenes of rot that share their shops
_TELL = 30  # seconds between two lines of progress


def _many(words: argparse.Namespace) -> Sum:
    """First the kills, then the histories."""
    total, started, told = Sum(), time.monotonic(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    started_workers = context.Value("i", 0)
    with ProcessPoolExecutor(
        words.jobs, context, shared.settle, (started_workers, words.workers), max_tasks_per_child=20
    ) as pool:
        for enough, next_task in (
            (lambda: total.kills >= words.kills, _scenes(pool, words.first)),
            (lambda: False, _chunks(pool, words.first, words.histories)),
        ):
            going: set[Future[Sum]] = set()
            while True:
                while len(going) < words.jobs and not enough() and (task := next_task()):
                    going.add(task)
                if not going:
                    break
                done, going = wait(going, return_when=FIRST_COMPLETED)
                for future in done:
                    found = future.result()
                    total.add(found)
                    print(*found.differences, sep="\n", end="\n" if found.differences else "", flush=True)
                if time.monotonic() - told > _TELL:
                    told = time.monotonic()
                    print(total.line(told - started), flush=True)
    print(total.line(time.monotonic() - started), flush=True)
    return total


def _rotten(words: argparse.Namespace) -> Sum:
    """Scenes of rot, each worker with shops of its own."""
    starts = range(words.first, words.first + words.rot, _ROT_PER_TASK)
    return _all(words, ((rot_many, at, min(_ROT_PER_TASK, words.first + words.rot - at)) for at in starts))


def _failing(words: argparse.Namespace) -> Sum:
    """Scenes in which calls fail."""
    seeds = range(words.first, words.first + words.calls)
    return _all(words, ((fail_many, seed, words.tries or None) for seed in seeds))


def _all(words: argparse.Namespace, tasks: Iterable[tuple[Callable[..., Sum], Any, Any]]) -> Sum:
    """What these tasks found together; said as each of them ends."""
    total, started = Sum(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    started_workers = context.Value("i", 0)
    with ProcessPoolExecutor(words.jobs, context, shared.settle, (started_workers, words.workers)) as pool:
        for task in as_completed([pool.submit(task[0], *task[1:]) for task in tasks]):
            total.add(task.result())
            print(*task.result().differences, sep="\n", flush=True)
            print(total.line(time.monotonic() - started), flush=True)
    return total


def _scenes(pool: ProcessPoolExecutor, first: int) -> Callable[[], Future[Sum] | None]:
    seeds = iter(range(first, sys.maxsize))

    def following() -> Future[Sum]:
        seed = next(seeds)
        return pool.submit(kill_many, seed, None if seed - first < _EXHAUSTIVE else _POINTS, _INSTANTS)

    return following


def _chunks(pool: ProcessPoolExecutor, first: int, count: int) -> Callable[[], Future[Sum] | None]:
    starts = iter(range(first, first + count, _PER_TASK))

    def following() -> Future[Sum] | None:
        start = next(starts, None)
        return None if start is None else pool.submit(live_many, start, min(_PER_TASK, first + count - start))

    return following


def main(typed: list[str]) -> int:
    """Returns 0 where nothing differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="kills and histories at length")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="live the history of one seed again")
    parser.add_argument("--rot", type=int, help="play so many scenes of rot, and nothing else")
    parser.add_argument("--calls", type=int, help="play so many scenes in which calls fail, and nothing else")
    parser.add_argument("--tries", type=int, default=60, help="calls that fail in each of these; 0: every one")
    parser.add_argument("--scene", type=int, help="kill one scene again, at each of its points")
    parser.add_argument("--workers", action="store_true", help="let every load be dealt out to workers")
    parser.add_argument("--spark", type=int, default=0, help="live so many histories on a cluster, and nothing else")
    parser.add_argument("--spark-kills", type=int, default=0, help="kill so many of a cluster, and nothing else")
    words = parser.parse_args(typed)
    if words.workers:
        shared.deal_out()
    if words.seed is not None:
        print(histories.history(Random(words.seed)))
        total = live_many(words.seed, 1)
        print(*total.differences, total.line(0), sep="\n")
    elif words.scene is not None:
        total = kill_many(words.scene, None, _INSTANTS)
        print(*total.differences, total.line(0), sep="\n")
    elif words.rot is not None:
        total = _rotten(words)
    elif words.calls is not None:
        total = _failing(words)
    elif words.spark or words.spark_kills:
        total = cluster.many(words.first, words.spark_kills, words.spark)
    else:
        total = _many(words)
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
