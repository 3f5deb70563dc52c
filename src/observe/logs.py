"""Logs: one file a day, kept 14 days, and never a secret in them.

The file has the traceback of a bug; the console has its one line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import from_os_error

if TYPE_CHECKING:
    from loguru import Record

FILE_NAME = "app.log"
_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {message}"
_CONSOLE = "{time:HH:mm:ss} {level: <7} {message}"


def start(folder: Path, *, level: str, secrets: Sequence[str], console_level: str) -> None:
    """Send log messages to `folder`/app.log and to stderr; secrets are struck out of both.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    from loguru import logger

    def strike(record: Record) -> None:
        record["message"] = struck(record["message"], secrets)

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        logger.add(
            folder / FILE_NAME,
            level=level,
            format=line,
            rotation="00:00",
            retention="14 days",
            encoding="utf-8",
            diagnose=False,
        )
    except OSError as error:
        raise from_os_error(error, folder) from error


def _traceback(record: Record, secrets: Sequence[str]) -> str:
    """The traceback, secrets struck out of it."""
    import traceback

    failure = record["exception"]
    if failure is None:
        return ""
    return struck("".join(traceback.format_exception(failure.type, failure.value, failure.traceback)), secrets)


def struck(text: str, secrets: Sequence[str]) -> str:
    """The text without any of the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def bug(error: BaseException) -> None:
    """Leave the traceback of what nobody foresaw in the log."""
    from loguru import logger

    logger.opt(exception=error).critical("a bug: {}: {}", type(error).__name__, error)
