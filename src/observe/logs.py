"""Logs: one file a day, kept 14 days, and never a secret in them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loguru import Record

FILE_NAME = "app.log"
_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {message}"
_CONSOLE = "{time:HH:mm:ss} {level: <7} {message}"


def start(folder: Path, *, level: str, secrets: Sequence[str], console_level: str) -> None:
    """Send log messages to `folder`/app.log and to stderr; secrets are struck out of both."""
    from loguru import logger

    def strike(record: Record) -> None:
        for secret in secrets:
            record["message"] = record["message"].replace(secret, "***")

    def formatted(template: str) -> object:
        def line(record: Record) -> str:
            if not record["exception"]:
                return template + "\n"
            record["extra"]["trace"] = _traceback(record, secrets)
            return template + "\n{extra[trace]}"

        return line

    folder.mkdir(parents=True, exist_ok=True)
    logger.remove()
    logger.configure(patcher=strike)
    logger.add(sys.stderr, level=console_level, format=_CONSOLE, backtrace=False)
    logger.add(
        folder / FILE_NAME,
        level=level,
        format=formatted(_FORMAT),  # type: ignore[arg-type]
        rotation="00:00",
        retention="14 days",
        encoding="utf-8",
    )


def _traceback(record: Record, secrets: Sequence[str]) -> str:
    """The traceback without the values of variables, in which a secret could stand."""
    import traceback

    failure = record["exception"]
    if failure is None:
        return ""
    text = "".join(traceback.format_exception(failure.type, failure.value, failure.traceback))
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
