"""One command in a fresh process: what it took, down to its last descendant.

The harness itself stays small and loads no library: a child's peak memory counts from before its exec, when
it still is the harness.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Command:
    """What to run, where, and the environment it is given besides the harness's own."""

    argv: Sequence[str]
    cwd: Path
    environ: Mapping[str, str] = field(default_factory=dict)


class Figures(NamedTuple):
    """What one run took."""

    seconds: float  # wall clock, from the start of the process to its end
    cpu_seconds: float  # user and system, of the process and its descendants
    peak_mib: float  # resident memory of the largest process among them
    written_mib: float  # handed to the storage by all of them, as /proc/<pid>/io counts it


class Failed(Exception):
    """A command did not end well. The message has its last words; `how` is fit to be kept, no path is in it."""

    def __init__(self, command: Command, code: int, told: str) -> None:
        self.how = f"ended with {code}" if code >= 0 else f"was ended by signal {-code}"
        super().__init__(f"{' '.join(command.argv)} {self.how}:\n{told}")


def run(command: Command, *, timeout: float = 7200) -> Figures:
    """Run a command and wait for it.

    Raises:
        Failed: its exit code is not 0, or it took longer than `timeout` seconds.
    """
    os.sync()  # what the round before left to be written does not slow this one
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(os.environ)
            | {"BOATHOUSE_KEEP_PEAK": "1"}
            | dict(command.environ),  # what wait4 tells is the whole
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _wait(child.pid, start + timeout)
        seconds = time.perf_counter() - start
        output.seek(0)
        told = output.read().decode("utf-8", "replace")[-2000:].strip()
    written = _written(child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Failed(command, child.returncode, told)
    return Figures(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, written / 2**20)


def _wait(pid: int, until: float) -> None:
    """Wait for the end of a process without reaping it, so that its figures can still be read."""
    alarm = threading.Timer(until - time.perf_counter(), lambda: os.killpg(pid, signal.SIGKILL))
    alarm.daemon = True
    alarm.start()
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except BaseException:  # interrupted: in a session of its own, the child has not heard of it
        os.killpg(pid, signal.SIGKILL)
        raise
    finally:
        alarm.cancel()


def _written(pid: int) -> int:
    """Bytes that an ended process and the children it waited for handed to the storage."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])
