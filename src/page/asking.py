"""Questions in SQL: each is answered by a process of its own (src/page/sandbox.py), within bounded time and memory.

A file that is to be taken away is written into a folder that is gone before the first byte is sent: the file lives on
without a name until it is sent, or until whoever asked for it hangs up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from src import store
from src.engine import pattern, quoted
from src.engine.room import room_beside
from src.errors import UsageError
from src.maintenance.command_line import PRODUCT
from src.masking.masks import Masks
from src.reads import Reading

ROWS = 1_000  # on the screen
SECONDS = 10.0  # of a question
TAKING = 300.0  # seconds of a file to take away
FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MEMORY = 512 << 20  # bytes of the engine
_SPILL = "4GB"
_AT_ONCE = 2
_CHUNK = 256 << 10  # bytes
_places = threading.Semaphore(_AT_ONCE)
_turn = threading.Lock()


class QuestionError(UsageError):
    """A question that got no answer; `line` is the line in it, from 1, where that is known."""

    def __init__(self, what: str, fix: str = "", line: int | None = None) -> None:
        super().__init__(what, where=f"line {line}" if line else None, fix=fix or None)
        self.line = line


@dataclass(frozen=True)
class Cell:
    """A value as text; None where there is none. `left_out`: characters that are not in it."""

    text: str | None
    left_out: int = 0


@dataclass(frozen=True)
class Answer:
    """The first rows of an answer. `kinds`: the columns with their DuckDB types."""

    kinds: Mapping[str, str]
    rows: tuple[tuple[Cell, ...], ...]
    more: bool
    seconds: float
    reads: tuple[str, ...] = ()  # the tables that it is made of
    masked: str | None = None  # which of the columns that it is made of are masked, in a line


@dataclass(eq=False)  # each is its own
class Job:
    """A question that is being asked; whoever lost interest in it stops it from another thread."""

    stopped: bool = False
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def stop(self) -> None:
        """End the process that answers it, now or as soon as it is there."""
        self.stopped = True
        if self.process:
            self.process.kill()


_going: set[Job] = set()  # being asked, or waiting for a place


@dataclass(frozen=True)
class Taken:
    """A file without a name, and its `size` in bytes."""

    file: IO[bytes]
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yield what is in it; then it is gone."""
        with self.file:
            while chunk := self.file.read(_CHUNK):
                yield chunk


def ask(
    data: Path,
    sql: str,
    versions: Mapping[str, int],
    masks: Masks,
    job: Job | None = None,
    *,
    reading: Reading | None = None,
    seconds: float = SECONDS,
) -> Answer:
    """Return the first rows of a SELECT over the tables of a lake in these versions, under the masks of who asks.

    `reading` is given what the statement reads, as far as that is known.

    Raises:
        QuestionError: it is not one SELECT over the lake's tables, it fails, or takes too long or too much memory.
    """
    began, reading = time.monotonic(), reading or Reading()
    with _room(data) as room:
        found = _answered(_request(data, sql, versions, masks, room, None), job or Job(), seconds, reading)
    rows = tuple(tuple(_cell(text, length) for text, length in row) for row in found["rows"])
    seconds, reading.rows = time.monotonic() - began, len(rows)
    reads, masked = tuple(found["reads"]), found["masked"]
    return Answer(dict(found["columns"]), rows, bool(found["more"]), seconds, reads, masked)


def take(
    data: Path,
    sql: str,
    versions: Mapping[str, int],
    masks: Masks,
    form: str,
    job: Job | None = None,
    reading: Reading | None = None,
) -> Taken:
    """Return the rows of a SELECT as a file of one of FORMATS; `reading` as `ask` has it.

    Raises:
        QuestionError: as `ask`; or they do not fit the format.
    """
    with _room(data) as room:
        output, reading = room / f"rows.{form}", reading or Reading()
        found = _answered(_request(data, sql, versions, masks, room, output), job or Job(), TAKING, reading)
        reading.rows = found["rows"]
        return Taken(output.open("rb"), output.stat().st_size)


def stop_all() -> None:
    """End every question that is being asked or waits for a place; whoever waits is told that it was stopped."""
    for job in tuple(_going):
        job.stop()


def refuse_bucket(data: Path) -> None:
    """Refuse a lake in an object store: a process that is given no credential reads nothing of it.

    Raises:
        QuestionError: it is in one.
    """
    if store.is_remote(data):
        what = (
            "SQL of the page reads a lake in a folder only: the process that answers it has no credential of the store"
        )
        raise QuestionError(what, 'ask in the terminal: main.py query "SELECT ..."; with --output FILE to take it away')


@contextmanager
def _room(data: Path) -> Iterator[Path]:
    """Make a folder for one question; the folder above it comes and goes, so only one is made or removed at a time."""
    refuse_bucket(data)
    with ExitStack() as stack:
        with _turn:
            room = stack.enter_context(room_beside(data / ".spill"))
        try:
            yield room
        finally:
            with _turn:
                stack.close()


def _request(
    data: Path, sql: str, versions: Mapping[str, int], masks: Masks, room: Path, output: Path | None
) -> dict[str, Any]:
    return {
        "sql": sql,
        "data": str(data.absolute()),
        "versions": dict(versions),
        "masks": masks.as_json(),
        "room": str(room.absolute()),
        "output": str(output.absolute()) if output else None,
        "memory": _MEMORY,
        "spill": _SPILL,
        "most": ROWS,
    }


def _answered(request: Mapping[str, Any], job: Job, seconds: float, reading: Reading) -> dict[str, Any]:
    reading.pattern, reading.hidden = pattern(request["sql"]), quoted(request["sql"])  # however the process ends
    with _noted(job), _place(seconds), _process() as process:
        job.process = process
        if job.stopped:
            process.kill()
        try:
            text, _ = process.communicate(json.dumps(request) + "\n", timeout=seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            _answer_in(process.communicate()[0], reading)
            fix = "ask for less: fewer days (WHERE), or fewer columns"
            raise QuestionError(f"stopped after {seconds:g} s, the most that a query may take", fix) from error
    answer = _answer_in(text, reading)
    if answer is None:
        what = "stopped" if job.stopped else "ended by the system: it took more memory than a query may"
        raise QuestionError(what, "" if job.stopped else "ask for less: fewer or shorter values")
    if refused := answer.get("error"):
        raise QuestionError(refused["what"], refused["fix"], refused["line"])
    return answer


def _answer_in(text: str, reading: Reading) -> dict[str, Any] | None:
    """Return the answer among the lines of a process, None where it ended before; the others say what it reads."""
    answer: dict[str, Any] | None = None
    for line in text.splitlines(keepends=True):
        found: dict[str, Any] = json.loads(line) if line.endswith("\n") else {}
        if "reading" in found:
            reading.take(found["reading"])
        elif found:
            answer = found
    return answer


@contextmanager
def _noted(job: Job) -> Iterator[None]:
    _going.add(job)
    try:
        yield
    finally:
        _going.discard(job)


@contextmanager
def _place(seconds: float) -> Iterator[None]:
    """Wait for one of the few places to ask at."""
    if not _places.acquire(timeout=seconds):
        raise QuestionError(f"{_AT_ONCE} queries are running", "wait for one of them, then run it again")
    try:
        yield
    finally:
        _places.release()


@contextmanager
def _process() -> Iterator[subprocess.Popen[str]]:
    """Start a process for one question, and end it, whatever becomes of the question."""
    process = _started()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


def _started() -> subprocess.Popen[str]:
    """Start a process that knows nothing of the settings: no credential is in its environment."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "src.page.sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=PRODUCT,
        env=kept | {"PYTHONDONTWRITEBYTECODE": "1", "MALLOC_ARENA_MAX": "2"},
        text=True,
        encoding="utf-8",
        start_new_session=True,  # a Ctrl-C at the terminal is for the page
    )


def _cell(text: str | None, length: int | None) -> Cell:
    return Cell(text, max(0, (length or 0) - len(text)) if text is not None else 0)
