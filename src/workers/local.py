"""Workers on this machine: a pool of processes."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from typing import TypeVar

from src.errors import TransientError

T = TypeVar("T")
A = TypeVar("A")
_TRIES = 4  # as often as Spark begins a task whose worker is lost
_WHEN_PARENT_DIES = 1  # PR_SET_PDEATHSIG of prctl(2); a process whose pool is gone waits for tasks for ever
_UNTIL_NEXT_LOOK = 0.5  # seconds: a wait without an end would not heed Ctrl-C


class Processes:
    """A pool of `width` processes, which begin once there are tasks for them."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[[T], A], tasks: Sequence[T]) -> list[A]:
        """Return the answers of a function to tasks, in their order; a task whose process dies is done again.

        Raises:
            TransientError: processes died again and again.
        """
        answers: dict[int, A] = {}
        for _ in range(_TRIES):
            if not self._attempt(function, tasks, answers):
                return [answers[at] for at in range(len(tasks))]
        left = len(tasks) - len(answers)
        fix = "if the machine is short of memory, set fewer WORKERS or a smaller TASK_MEMORY; the next run finishes"
        raise TransientError(f"{left} of {len(tasks)} tasks did not end in {_TRIES} tries: their process died", fix=fix)

    def _attempt(self, function: Callable[[T], A], tasks: Sequence[T], answers: dict[int, A]) -> bool:
        """Do the tasks without an answer; returns whether some are left because a process died."""
        begun: dict[int, Future[A]] = {}
        try:
            for at, task in enumerate(tasks):
                if at not in answers:
                    begun[at] = self._opened().submit(function, task)
            for at, future in begun.items():
                answers[at] = _awaited(future)
        except BrokenProcessPool:
            self.close()
            for at, future in begun.items():
                if future.done() and not future.cancelled() and not future.exception():
                    answers[at] = future.result()
            return True
        except BaseException:
            self.close()
            raise
        return False

    def _opened(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # anew, not as a copy of this process: the threads of the engine would not be in it, and their locks would
            self._pool = ProcessPoolExecutor(self.width, mp_context=get_context("spawn"), initializer=_begin)
        return self._pool

    def close(self) -> None:
        """End the processes, whatever they do: nothing of it is visible."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        for process in list((pool._processes or {}).values()):
            with suppress(OSError):
                process.kill()
        pool.shutdown(cancel_futures=True)


def _awaited(future: Future[A]) -> A:
    while True:
        with suppress(TimeoutError):
            return future.result(_UNTIL_NEXT_LOOK)


def _begin() -> None:
    """Let the driver alone heed Ctrl-C, which every process of a terminal gets: it ends the others, dead or alive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(_WHEN_PARENT_DIES, signal.SIGKILL)
