"""Logs: one file a day, kept 14 days (src/run/rotation.py), and never a secret in them; every time in UTC.

Every line says of which run and command it is. The file has the traceback of a bug; the console has its one line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from src import console
from src.errors import BoathouseError
from src.logger import NAME, logger
from src.run import rotation
from src.settings import struck

Form = Literal["text", "json"]
_NONE = "-"  # stands for the run id of a line before a run has one
_fields = {"run_id": _NONE, "command": _NONE}  # of every line of this process, which does one command


class _Sink(logging.Handler):
    """One of the places that messages go to, from a level on; `write` takes one, without secrets, and its record."""

    def __init__(self, level: str, secrets: Sequence[str], write: Callable[[str, logging.LogRecord], object]) -> None:
        super().__init__(level)
        self._secrets, self._write = secrets, write

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message; that it cannot be written is said on the console and stops nothing."""
        library = record.name.partition(".")[0]
        message = record.getMessage() if record.name == NAME else f"{library}: {record.getMessage()}"
        try:
            self._write(console.plain_lines(struck(message, self._secrets)), record)
        except (BoathouseError, OSError) as error:
            console.complain(struck(f"the log cannot be written: {error}", self._secrets))


def start(
    folder: Path, *, level: str, secrets: Sequence[str], console_level: str, command: str = _NONE, form: Form = "text"
) -> None:
    """Send log messages to `folder`/app.log and to stderr; secrets are struck out of both.

    Raises:
        MachineError: the file cannot be written.
    """

    def show(message: str, record: logging.LogRecord) -> None:
        print(f"{_moment(record):%H:%M:%S}Z {record.levelname: <7} {message}", file=sys.stderr)

    def keep(message: str, record: logging.LogRecord) -> None:
        log.write(line(message, record, secrets), _moment(record))

    _fields.update(run_id=_NONE, command=command)
    log = rotation.Log(folder / rotation.APP)
    line = _json_line if form == "json" else _text_line
    stop()
    logger.handlers[:] = [_Sink(console_level, secrets, show), _Sink(level, secrets, keep)]
    logger.setLevel(level)


def stop() -> None:
    """Send log messages nowhere any more."""
    logger.handlers.clear()


def begin_run(run_id: str) -> None:
    """Put the id of a run into every line from now on, also those that follow its end: a bug, an alert not sent."""
    _fields["run_id"] = run_id


def _text_line(message: str, record: logging.LogRecord, secrets: Sequence[str]) -> str:
    fields = (_time(record, " "), f"{record.levelname: <8}", _fields["run_id"], _fields["command"])
    return " | ".join((*fields, message)) + "\n" + _traceback(record, secrets)


def _json_line(message: str, record: logging.LogRecord, secrets: Sequence[str]) -> str:
    """Return the message as one JSON object in one line; secrets are struck out before, for JSON escapes letters."""
    entry = {
        "time": _time(record, "T"),
        "level": record.levelname,
        "run_id": None if _fields["run_id"] == _NONE else _fields["run_id"],
        "command": _fields["command"],
        "message": message,
    }
    if trace := _traceback(record, secrets):
        entry["exception"] = trace
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _time(record: logging.LogRecord, separator: str) -> str:
    moment = _moment(record)
    return f"{moment:%Y-%m-%d}{separator}{moment:%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _traceback(record: logging.LogRecord, secrets: Sequence[str]) -> str:
    """Return the traceback, secrets struck out of it; nothing where there is none."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    import traceback

    return console.plain_lines(struck("".join(traceback.format_exception(*record.exc_info)), secrets))


def warn(notices: Iterable[str]) -> None:
    """Write each notice to the log and the console as a warning."""
    for notice in notices:
        logger.warning("%s", notice)


def take_in(library: str) -> None:
    """Write what a library tells Python's own logging, from warnings on, to the log and the console."""
    theirs = logging.getLogger(library)
    theirs.handlers, theirs.propagate = [*logger.handlers], False
    theirs.setLevel(logging.WARNING)


def bug(error: BaseException) -> None:
    """Leave the traceback of what nobody foresaw in the log."""
    logger.critical("a bug: %s: %s", type(error).__name__, error, exc_info=error)
