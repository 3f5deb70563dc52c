"""Workbooks (.xlsx, .xlsm; .xls, .xlsb, .ods), read by a process of their own: `src/bronze/workbooks` says how.

A file at which that process fails, whatever it does, is refused, and the next file has a new one. Rows are kept aside
until the whole file is known to be good, in memory if they are few.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import IO, Any

from src.bronze.readers.records import Record, Records, Rows, checked, streamed
from src.bronze.readers.refusals import contract_of
from src.bronze.workbooks import child
from src.bronze.workbooks.table import Layout
from src.contract import Feed
from src.engine import DuckEngine
from src.errors import DataError

_IN_MEMORY = 1 << 20  # bytes of rows of one workbook
_ROOT = Path(child.__file__).parents[3]
_SERVE = "import sys; sys.path.insert(0, sys.argv[1]); from src.bronze.workbooks import child; "
_SERVE += "child.serve(sys.stdin, sys.stdout, int(sys.argv[2]))"


def xlsx_by_child(engine: DuckEngine, feed: Feed, path: Path) -> Rows:
    """Return a workbook's sheet as a child process reads it, whose memory and time are bounded."""
    with open(path, "rb"):
        pass  # no permission is told as such
    lines = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - read when the engine asks
    answer = _reader.read(path, feed.sheet, lines, _layout(feed))
    if "refused" in answer:
        lines.close()
        raise DataError(answer["refused"], where=path, fix=answer["fix"].replace("the contract", contract_of(feed)))

    def records() -> Iterator[Record]:
        lines.seek(0)
        for line in lines:
            yield from json.loads(line)

    weakref.finalize(records, lines.close)
    columns = checked(answer["columns"], path, feed)
    return streamed(engine, Records(columns, records, tuple(answer["notes"]), answer["left_out"]))


def _layout(feed: Feed) -> Layout:
    header = feed.header_lines or feed.header
    return Layout(header, feed.columns, feed.skip_footer, feed.names.unnamed, feed.names.repeated)  # type: ignore[arg-type]  # lines are a tuple


def sheets_of(feed: Feed, path: Path) -> dict[str, tuple[str, ...]]:
    """Return the columns of each visible sheet of a workbook, as they stand in its header.

    Raises:
        DataError: it is no workbook, or damaged, or a sheet has no header where the feed says.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as lines:
        answer = _reader.read(path, None, lines, _layout(feed), only_list=True)
    if "refused" in answer:
        raise DataError(answer["refused"], where=path, fix=answer["fix"])
    return {name: tuple(columns) for name, columns in answer["sheets"].items()}


class _Reader:
    """The other end of the child, which is started when a workbook comes and serves until this process ends."""

    def __init__(self, memory: int = child.MEMORY) -> None:
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        atexit.register(self.close)

    def read(
        self, path: Path, sheet: str | None, lines: IO[bytes], layout: Layout, *, only_list: bool = False
    ) -> dict[str, Any]:
        """Return the child's last word about a file; before it, its records are written to `lines`.

        `only_list`: the word is about its sheets, and there are no records.
        """
        question = {"path": os.fsencode(path).hex(), "sheet": sheet, "layout": asdict(layout), "list": only_list}
        with self._lock:
            used = self._process is not None
            answer, code = self._asked(question, lines)
            if answer is None and used and code != -signal.SIGXCPU:  # what it read before may have worn it out
                lines.seek(0)
                lines.truncate()
                answer, code = self._asked(question, lines)
            return answer or self._refusal(code)

    def close(self) -> int:
        """End the child; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with process:
            process.kill()
        return process.returncode

    def _asked(self, question: dict[str, Any], lines: IO[bytes]) -> tuple[dict[str, Any] | None, int]:
        """Return the last word, or None and the exit code of a child that ended instead."""
        process = self._process = self._process or self._started()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                if line.startswith(b"{") and line.endswith(b"\n"):
                    return json.loads(line), 0
                lines.write(line)
        except BrokenPipeError:
            pass
        except BaseException:
            self.close()  # what it still has to say belongs to no later question
            raise
        process.wait()
        return None, self.close()

    def _started(self) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own, which ends when its input does and not by this process's Ctrl-C."""
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        command = [sys.executable, "-I", "-c", _SERVE, str(_ROOT), str(self._memory)]
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True)

    def _refusal(self, code: int) -> dict[str, Any]:
        if code in (child.NO_MEMORY, -signal.SIGABRT):  # a library that gets no memory aborts
            what = f"too large or damaged: reading it takes more than {self._memory >> 20} MB of memory"
        elif code == -signal.SIGXCPU:
            what = f"too large or damaged: reading it takes more than {child.SECONDS} seconds"
        else:
            what = f"damaged workbook: its reader ended with {code}"
        return {"refused": what, "fix": "save it with fewer cells, or as .csv, and land that; nothing of it was taken"}


_reader = _Reader()
