"""Workers within this process, of which each task is sent as to another one, and done twice: as a cluster may do it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from torture import histories

SETTINGS = {"ENGINE": "workers", "WORKERS_FROM": "0MB", "TASK_MEMORY": "500MB"}


class Twice:
    """A runner that lets every task be done by a worker whose answer is lost, and then by another one."""

    width = 3

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
        answers = []
        for task in tasks:
            sent = pickle.dumps((function, task))
            for _ in range(2):
                work, described = pickle.loads(sent)
                answer = pickle.dumps(work(described))
            answers.append(pickle.loads(answer))
        return answers

    def close(self) -> None:
        """Nothing is open."""


def deal_out(patched: pytest.MonkeyPatch | None = None) -> None:
    """Let every load of every history be dealt out to workers, for good where nobody takes it back."""
    patched = patched or pytest.MonkeyPatch()
    patched.setattr("src.workers._runner", lambda settings: Twice())
    for name, value in SETTINGS.items():
        patched.setitem(histories.ENVIRON, name, value)


def settle(workers: Any, dealt_out: bool) -> None:
    """Keep a worker of the pool on one core; the loads of its histories are `dealt_out` or not."""
    histories.settle(workers)
    if dealt_out:
        deal_out()
