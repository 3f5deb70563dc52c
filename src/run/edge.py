"""The edge of every command: settings are read, the log starts, and a failure becomes one message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from src import console, stopping
from src.errors import BUG_EXIT_CODE, BoathouseError, translated
from src.run import logs
from src.settings import Settings, load


def ended(root: Path, act: Callable[[Settings], int], *, beats: bool = False) -> int:
    """Run one command of the project in `root`; returns its exit code, those of src/errors.py.

    `beats`: it is a run of the pipeline, whose failure is the heartbeat and whose steps the console shows.
    """
    with stopping.heeded(), console.unfailing():
        return _ended(root, act, beats)


def _ended(root: Path, act: Callable[[Settings], int], beats: bool) -> int:
    secrets: tuple[str, ...] = ()
    complain = console.failed if beats else console.complain
    try:
        settings = load(root, os.environ)
        secrets = settings.secrets()
        level = "WARNING" if sys.stdout.isatty() or not beats else settings.log_level
        logs.start(settings.log_dir, level=settings.log_level, secrets=secrets, console_level=level)
        return act(settings)
    except (Exception, KeyboardInterrupt) as error:
        if code := stopping.exit_code():  # whatever a library made of it on the way
            complain(stopping.message())
            return code
        ours = translated(error) if isinstance(error, Exception) else error
        if isinstance(ours, BoathouseError):
            complain(logs.struck(str(ours), secrets))
            return ours.exit_code
        logs.bug(error)  # has a traceback in the log and one line on the console
        console.failed(logs.struck(console.error_text(error), secrets))
        return BUG_EXIT_CODE
