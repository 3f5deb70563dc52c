"""Workers within this process, of which each task is sent as to another one, and done twice: as a cluster may do it."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import _duckdb
import duckdb
import pytest

from torture import histories

SETTINGS = {"ENGINE": "workers", "WORKERS_FROM": "0MB", "TASK_MEMORY": "500MB"}


class Connection:
    """A connection to a database that stays open: it has nothing of the one before, and leaves nothing to the next.

    What a task makes are temporary tables, views and macros, which are a connection's own, and lake names, which are
    databases attached.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database, self._own = database, database.cursor()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def close(self) -> None:
        self._own.close()
        attached = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'"
        for (name,) in self._database.execute(attached).fetchall():
            self._database.execute(f'DETACH "{name}"')


_of_thread = threading.local()  # steps go side by side, and so may their tasks
_open = _duckdb.connect


@contextmanager
def engines_that_open_at_once() -> Iterator[None]:
    """Let each engine that this thread opens within a with-block be a connection of its own to one database.

    To open a database takes 20 ms, ten times as long as most tasks of a history.
    """
    _of_thread.at_once = True
    try:
        yield
    finally:
        _of_thread.at_once = False


def _connect(*args: Any, **options: Any) -> Any:
    if not getattr(_of_thread, "at_once", False):
        return _open(*args, **options)
    databases = vars(_of_thread).setdefault("databases", {})
    key = repr((args, options))
    if key not in databases:
        databases[key] = _open(*args, **options)
    return Connection(databases[key])


_duckdb.connect = _connect  # for good: outside of such a with-block it does what it did


class Twice:
    """A runner that lets every task be done by a worker whose answer is lost, and then by another one."""

    width = 3

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
        answers = []
        with engines_that_open_at_once():
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
