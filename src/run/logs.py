"""Logs: one file a day, kept 14 days (src/run/rotation.py), and never a secret in them; every time in UTC.

Every line says of which run and command it is. The file has the traceback of a bug; the console has its one line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from src import console
from src.logger import logger, when_loaded
from src.run import rotation
from src.settings import struck

if TYPE_CHECKING:
    from loguru import Logger, Message, Record

Form = Literal["text", "json"]
_NONE = "-"  # stands for the run id of a line before a run has one
_fields = {"run_id": _NONE, "command": _NONE}  # of every line of this process, which does one command


def start(
    folder: Path, *, level: str, secrets: Sequence[str], console_level: str, command: str = _NONE, form: Form = "text"
) -> None:
    """Send log messages to `folder`/app.log and to stderr; secrets are struck out of both.

    Raises:
        MachineError: the file cannot be written.
    """

    def strike(record: Record) -> None:
        record["message"] = console.plain_lines(struck(record["message"], secrets))
        record["extra"].update(_fields)

    def set_up(logger: Logger) -> None:
        logger.remove()
        logger.configure(patcher=strike)
        stderr, (shown, kept) = sys.stderr, (logger.level(name).no for name in (console_level, level))

        def write(message: Message) -> None:
            record = message.record
            if record["level"].no >= shown:
                print(_console_line(record), file=stderr)
            if record["level"].no >= kept:
                log.write(line(record, secrets), record["time"])

        # One sink for both places: adding one takes as long as a step. Its format is empty as it writes the lines
        # itself, so that no brace of a message is taken for a field; diagnose, the default, would show the values of
        # variables in tracebacks, and secrets among them.
        logger.add(write, level=min(shown, kept), format=lambda record: "", diagnose=False)

    _fields.update(run_id=_NONE, command=command)
    log = rotation.Log(folder / rotation.APP)
    line = _json_line if form == "json" else _text_line
    when_loaded(set_up)


def begin_run(run_id: str) -> None:
    """Put the id of a run into every line from now on, also those that follow its end: a bug, an alert not sent."""
    _fields["run_id"] = run_id


def _console_line(record: Record) -> str:
    return f"{record['time'].astimezone(UTC):%H:%M:%S}Z {record['level'].name: <7} {record['message']}"


def _text_line(record: Record, secrets: Sequence[str]) -> str:
    extra = record["extra"]
    fields = (_time(record, " "), f"{record['level'].name: <8}", extra["run_id"], extra["command"])
    return " | ".join((*fields, record["message"])) + "\n" + _traceback(record, secrets)


def _json_line(record: Record, secrets: Sequence[str]) -> str:
    """Return the message as one JSON object in one line; secrets are struck out before, for JSON escapes letters."""
    extra = record["extra"]
    entry = {
        "time": _time(record, "T"),
        "level": record["level"].name,
        "run_id": None if extra["run_id"] == _NONE else extra["run_id"],
        "command": extra["command"],
        "message": record["message"],
    }
    if trace := _traceback(record, secrets):
        entry["exception"] = trace
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _time(record: Record, separator: str) -> str:
    moment = record["time"].astimezone(UTC)
    return f"{moment:%Y-%m-%d}{separator}{moment:%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _traceback(record: Record, secrets: Sequence[str]) -> str:
    """Return the traceback, secrets struck out of it; nothing where there is none."""
    import traceback

    failure = record["exception"]
    if failure is None:
        return ""
    lines = traceback.format_exception(failure.type, failure.value, failure.traceback)
    return console.plain_lines(struck("".join(lines), secrets))


def warn(notices: Iterable[str]) -> None:
    """Write each notice to the log and the console as a warning."""
    for notice in notices:
        logger.warning("{}", notice)


def take_in(library: str) -> None:
    """Write what a library tells Python's own logging, from warnings on, to the log and the console."""
    import logging

    class Taking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(exception=record.exc_info).log(record.levelname, "{}: {}", library, record.getMessage())

    theirs = logging.getLogger(library)
    theirs.handlers, theirs.propagate = [Taking()], False
    theirs.setLevel(logging.WARNING)


def bug(error: BaseException) -> None:
    """Leave the traceback of what nobody foresaw in the log."""
    logger.opt(exception=error).critical("a bug: {}: {}", type(error).__name__, error)
