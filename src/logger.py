"""The logger of all parts, loguru's; it is loaded with the first message, as importing it takes time.

What is to be set up by then is handed over before: see src/run/logs.py.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from src import stopping

if TYPE_CHECKING:
    from loguru import Logger
    from loguru import logger as logger

_OWN_SINK = "LOGURU_AUTOINIT"  # whether importing loguru adds a sink, which takes as long as a step
_turn = threading.RLock()
_waiting: list[Callable[[Logger], None]] = []
_loaded: list[Logger] = []


def when_loaded(set_up: Callable[[Logger], None]) -> None:
    """Set the logger up: now if somebody has loaded it, else before the first message."""
    with _turn:
        _waiting.append(set_up)
    if "loguru" in sys.modules:
        load()


def load() -> Logger:
    """Return loguru's logger, set up; whoever runs code of a project's own calls it, which may log by loguru itself."""
    with _turn:
        own = _imported()
        while _waiting:
            _waiting.pop(0)(own)
        _loaded[:] = [own]
    return own


def _imported() -> Logger:
    """Import loguru, without its own sink, and without asyncio where nobody has that yet.

    loguru asks it for one function, which is called where a sink is a coroutine; asyncio is most of what the import
    takes. Where other threads run that import anything, one of them may be importing it too, and gets it whole.
    """
    others = [thread for thread in threading.enumerate() if thread.name != stopping.WATCHER]
    is_whole = bool({"loguru", "asyncio"} & sys.modules.keys()) or len(others) > 1
    os.environ[_OWN_SINK] = "no"
    if not is_whole:
        sys.modules["asyncio"] = _StandIn("asyncio")
    try:
        from loguru import logger
    finally:
        del os.environ[_OWN_SINK]
        if not is_whole:
            del sys.modules["asyncio"]
    return logger


class _StandIn(ModuleType):
    """asyncio, as far as loguru asks for it when it is imported."""

    @staticmethod
    def get_running_loop() -> Any:
        """Return the running loop."""
        import asyncio

        return asyncio.get_running_loop()


class _Late:
    """The logger, whose every method loads it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(load() if _waiting or not _loaded else _loaded[0], name)


if not TYPE_CHECKING:
    logger = _Late()
