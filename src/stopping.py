"""Ctrl-C, or the TERM of a service manager, stops a command: what runs is left, nothing further is begun.

The signal becomes a KeyboardInterrupt, which no step takes for its own failure. A library may turn it into an error
of its own on the way (DuckDB: "Query interrupted"), or lose it; so that it was asked for is also kept here.

Python heeds a signal only when the main thread is back from what it called, and an engine whose other threads do the
work may wait for hours. A thread of our own learns of the signal from a pipe, and interrupts the engine.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

WATCHER = "stop"  # the name of the thread that learns of signals; it never imports anything
_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "TERM"}
_asked: list[signal.Signals] = []
_rung = threading.Event()  # once a stop is asked for: what ends the pauses of threads that no signal reaches
_interrupts: list[Callable[[], None]] = []  # of what is at work outside of Python


@contextmanager
def heeded() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt within a with-block.

    Only the main thread may set what a signal does: in another one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked.clear()
    _rung.clear()
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    arrived, bell = os.pipe()
    os.set_blocking(bell, False)
    bell_before = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(arrived,), daemon=True, name=WATCHER)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(bell_before)
        os.close(bell)  # which ends the watcher
        watcher.join()
        os.close(arrived)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupting(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt`, from another thread, if a stop is asked for within a with-block."""
    _interrupts.append(interrupt)
    try:
        yield
    finally:
        _interrupts.remove(interrupt)


def _watch(arrived: int) -> None:
    while numbers := os.read(arrived, 64):
        if set(numbers) & set(_SIGNALS):
            _rung.set()
            for interrupt in tuple(_interrupts):
                interrupt()


def exit_code() -> int | None:
    """Return 128 and the signal's number, as shells count, if a stop was asked for; else None."""
    return 128 + _asked[0] if _asked else None


def check() -> None:
    """Raise KeyboardInterrupt if a stop was asked for."""
    if _asked:
        raise KeyboardInterrupt


def pause(seconds: float) -> None:
    """Wait, in whatever thread, unless a stop is asked for.

    Raises:
        KeyboardInterrupt: it was.
    """
    if _rung.wait(seconds):
        raise KeyboardInterrupt


def message() -> str:
    """Return the one line that says by what a command was stopped."""
    return f"stopped by {_SIGNALS[_asked[0]]}: nothing half-written is visible, the next run finishes the work"


def at_once() -> None:
    """Let a signal end the process with its one line, while programs are loading and nothing has begun.

    Nor is garbage looked for until a command begins: loading makes many objects and none of it.
    """
    gc.disable()
    for number in _SIGNALS:
        signal.signal(number, _exit)


def leave(code: int) -> NoReturn:
    """End the process with this exit code, once what was to be done at its end is done and what was printed is out.

    Python itself would first take every module and object apart: an eighth of the time of a run with nothing new. It
    does where a thread still works, which it waits for, and where a profiler waits for the end.
    """
    alone = all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate())
    if not alone or sys.getprofile():
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    _asked.append(signal.Signals(number))
    raise KeyboardInterrupt


def _exit(number: int, frame: FrameType | None) -> None:
    os.write(2, f"stopped by {_SIGNALS[signal.Signals(number)]}: nothing was begun\n".encode())
    os._exit(128 + number)
