"""Logs: one file a day, kept 14 days (src/run/rotation.py), and never a secret in them; every time in UTC.

The file has the traceback of a bug; the console has its one line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src import console
from src.run import rotation

if TYPE_CHECKING:
    from loguru import Record

_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z | {level: <8} | {message}"
_CONSOLE = "{time:HH:mm:ss!UTC}Z {level: <7} {message}"


def start(folder: Path, *, level: str, secrets: Sequence[str], console_level: str) -> None:
    """Send log messages to `folder`/app.log and to stderr; secrets are struck out of both.

    Raises:
        MachineError: the file cannot be written.
    """
    from loguru import logger

    def strike(record: Record) -> None:
        record["message"] = console.plain_lines(struck(record["message"], secrets))

    def line(record: Record) -> str:
        if not record["exception"]:
            return _FORMAT + "\n"
        record["extra"]["trace"] = _traceback(record, secrets)
        return _FORMAT + "\n{extra[trace]}"

    def short(record: Record) -> str:
        return _CONSOLE + "\n"

    logger.remove()
    logger.configure(patcher=strike)
    # diagnose, the default, would show the values of variables in tracebacks, and secrets among them
    logger.add(sys.stderr, level=console_level, format=short, diagnose=False)
    log = rotation.Log(folder / rotation.APP)
    logger.add(lambda said: log.write(said, said.record["time"]), level=level, format=line, diagnose=False)


def _traceback(record: Record, secrets: Sequence[str]) -> str:
    """The traceback, secrets struck out of it."""
    import traceback

    failure = record["exception"]
    if failure is None:
        return ""
    lines = traceback.format_exception(failure.type, failure.value, failure.traceback)
    return console.plain_lines(struck("".join(lines), secrets))


def struck(text: str, secrets: Sequence[str]) -> str:
    """The text without any of the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def bug(error: BaseException) -> None:
    """Leave the traceback of what nobody foresaw in the log."""
    from loguru import logger

    logger.opt(exception=error).critical("a bug: {}: {}", type(error).__name__, error)
