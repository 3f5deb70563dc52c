"""The commands that the page starts: each a process of its own, as if it were typed, for the person at the page.

Such a run outlives the page: it has a session of its own, and what it prints goes to `page.log` beside the other logs.
Nothing but these commands can be started from here, whatever a form says.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from src.author import VARIABLE
from src.errors import LockedError, UsageError, from_os_error
from src.maintenance import command_line
from src.page.rendering import ago
from src.run import lock, rotation, runs
from src.settings import Settings, struck

COMMANDS = (("run",), ("backfill",), ("confirm",), ("quarantine", "replay"))
_PATIENCE = 60.0  # seconds for a command to begin
_BETWEEN = 0.03  # seconds between two looks at it
_END = 4_000  # bytes of the log
_BEGINS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ .*from the page: ")
_turn = threading.Lock()  # one start at a time: of two presses the second sees the run of the first


@dataclass(frozen=True)
class Started:
    """A command that was started: the id of its run, once it holds the lake; exit code and output, once it is over."""

    run_id: str | None
    exit_code: int | None
    output: str


def start(settings: Settings, argv: Sequence[str], who: str, *, to_the_end: bool = False) -> Started:
    """Start a command of COMMANDS with its arguments; return when it holds the lake or is over.

    `to_the_end`: return when it is over, as a short one soon is.

    Raises:
        LockedError: another run is going; nothing was started.
        UsageError: it is none of COMMANDS.
        MachineError: the log or the process cannot be opened.
    """
    if not any(tuple(argv[: len(command)]) == command for command in COMMANDS):
        raise UsageError(f"no {' '.join(argv[:2])} from the page", fix="type it in the terminal")
    with _turn:
        if going := holder(settings):
            raise LockedError(describe(going))
        return _watched(settings, argv, recorded_as(who), to_the_end)


def recorded_as(who: str) -> str:
    """Return what the record of a run says of who started it."""
    return f"{who}, from the page" if who else "from the page"


def holder(settings: Settings) -> lock.Holder | None:
    """Return whose run holds the lake now; None where none does."""
    found = lock.holder(settings.data_dir)
    return None if found is None or found.is_dead else found


def describe(going: lock.Holder) -> str:
    """Return in one line which run is going, whose, and since when."""
    since = datetime.fromisoformat(going.since)
    whose = f" by {going.by}" if going.by else ""
    return f"a run is going: {going.command}, started{whose} at {since:%H:%M:%S} UTC ({ago(since, runs.now())})"


def last_words(settings: Settings) -> str:
    """Return what the last command that a page started has printed, its end alone where that is long."""
    try:
        with (settings.log_dir / rotation.PAGE).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _END))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    begins = [number for number, line in enumerate(lines) if _BEGINS.match(line)]
    return struck("\n".join(lines[begins[-1] if begins else 0 :]), settings.secrets())


def _watched(settings: Settings, argv: Sequence[str], by: str, to_the_end: bool) -> Started:
    log = settings.log_dir / rotation.PAGE
    moment = runs.now()
    rotation.Log(log).write(f"{moment:%Y-%m-%d %H:%M:%S}Z {by}: {' '.join(argv)}\n", moment)
    before = log.stat().st_size
    process = _process([*command_line.child(settings.root), *argv], log, by)
    until = time.monotonic() + _PATIENCE
    while (code := process.poll()) is None and time.monotonic() < until:
        found = lock.holder(settings.data_dir)
        if found and found.pid == process.pid and not to_the_end:
            return Started(found.run_id, None, "")
        time.sleep(_BETWEEN)
    with log.open("rb") as printed:
        printed.seek(before)
        return Started(None, code, printed.read().decode("utf-8", "replace"))


def _process(argv: list[str], log: os.PathLike[str], by: str) -> subprocess.Popen[bytes]:
    try:
        with open(log, "ab") as out:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C that ends the page does not reach it
                env={**os.environ, VARIABLE: by},
            )
    except OSError as error:
        raise from_os_error(error, argv[0]) from error
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay as a zombie once it is over
    return process
