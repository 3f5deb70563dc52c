"""What each part of a run took: the driver, and each of the workers, which on a cluster are no children of it.

Every process below the command, and below each worker of a cluster, is looked at four times a second, and counts with
what the last look found.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks import measure
from benchmarks.cluster import Spark, children
from benchmarks.measure import Command, Figures

DRIVER = "driver"
_BETWEEN_LOOKS = 0.25  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")
_STAGE = re.compile(r"(\w+), (\d+) tasks: ([\d.]+) s, ([\d.]+) s of processors")


class Taken(NamedTuple):
    """What one process took until it was last looked at."""

    cpu_seconds: float = 0.0
    read: float = 0.0  # bytes, of files and of sockets
    written: float = 0.0
    stored: float = 0.0  # of these, bytes handed to the storage
    peak: float = 0.0  # bytes of memory

    def minus(self, other: Taken) -> Taken:
        """What came since another look at the same process."""
        return Taken(
            self.cpu_seconds - other.cpu_seconds,
            self.read - other.read,
            self.written - other.written,
            self.stored - other.stored,
            self.peak,
        )


@dataclass
class Watch:
    """Runs commands; `parts` are those of the last one."""

    spark: Spark | None = None
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    _found: dict[int, tuple[str, Taken]] = field(default_factory=dict)  # by process
    _before: dict[int, Taken] = field(default_factory=dict)  # what the workers of the cluster had taken already
    _ours: set[int] = field(default_factory=set)  # other children of this process

    def run(self, command: Command) -> Figures:
        """Run a command; the figures are those of all parts together."""
        self._found = {}
        self._ours = set(children().get(os.getpid(), []))
        self._before = {pid: _taken(pid) for pid in self._daemons().values()}
        ended = threading.Event()
        looking = threading.Thread(target=self._look_until, args=(ended,))
        looking.start()
        try:
            figures = measure.run(command)
        finally:
            ended.set()
            looking.join()
        self._look()
        names = sorted({name for name, _ in self._found.values()})
        self.parts = {name: self._together(name) for name in names}
        workers = [self.parts[name] for name in names if name != DRIVER]
        if not self.spark:
            return figures  # all of it are children, and their figures are exact
        peak = max(taken.peak for _, taken in self._found.values()) / 2**20
        stored = sum(taken.stored for name, taken in self._found.values() if name != DRIVER) / 2**20
        cpu = max(figures.cpu_seconds, self.parts[DRIVER]["cpu_seconds"])
        return Figures(
            figures.seconds,
            cpu + sum(part["cpu_seconds"] for part in workers),
            max(figures.peak_mib, peak),
            figures.written_mib + stored,
        )

    def _daemons(self) -> dict[str, int]:
        workers = self.spark.workers if self.spark else {}
        return {f"worker {number}": process.pid for number, process in workers.items()}

    def _together(self, name: str) -> dict[str, float]:
        took = [taken for part, taken in self._found.values() if part == name]
        return {
            "cpu_seconds": round(sum(one.cpu_seconds for one in took), 2),
            "read_mib": round(sum(one.read for one in took) / 2**20, 1),
            "written_mib": round(sum(one.written for one in took) / 2**20, 1),
            "peak_mib": round(max(one.peak for one in took) / 2**20, 1),
        }

    def _look_until(self, ended: threading.Event) -> None:
        while not ended.wait(_BETWEEN_LOOKS):
            self._look()

    def _look(self) -> None:
        below = children()
        for name, pid in self._daemons().items():
            self._look_at(pid, name, below)
        for pid in below.get(os.getpid(), []):
            if pid not in self._ours:
                self._look_at(pid, DRIVER, below)

    def _look_at(self, pid: int, part: str, below: dict[int, list[int]]) -> None:
        try:
            taken = _taken(pid)
        except OSError:
            return  # it has ended meanwhile
        part = self._found[pid][0] if pid in self._found else part
        if part == DRIVER and _is_worker(pid):  # which it is not yet where it was first looked at before its exec
            numbered = {name for name, _ in self._found.values()} - {DRIVER}
            part = f"worker {len(numbered) + 1}"
        self._found[pid] = part, taken.minus(self._before.get(pid, Taken()))
        for child in below.get(pid, []):
            self._look_at(child, part, below)


def _taken(pid: int) -> Taken:
    """What a process took by now.

    Raises:
        OSError: it has ended.
    """
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    io = dict(line.split(": ") for line in (folder / "io").read_text(encoding="ascii").splitlines())
    status = (folder / "status").read_text(encoding="utf-8", errors="replace")
    peak = re.search(r"VmHWM:\s*(\d+) kB", status)
    return Taken(
        (int(fields[11]) + int(fields[12])) / _TICKS,
        int(io["rchar"]),
        int(io["wchar"]),
        int(io["write_bytes"]),
        int(peak[1]) * 1024 if peak else 0,
    )


def _is_worker(pid: int) -> bool:
    """Whether a process is one of a pool: begun anew by Python, and no tracker of resources."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def stages(log: Path) -> dict[str, dict[str, float]]:
    """What each stage took that a run dealt out, as the run's log has it at level DEBUG; of all tables together."""
    found: dict[str, dict[str, float]] = {}
    for name, tasks, seconds, cpu in _STAGE.findall(log.read_text(encoding="utf-8")):
        one = found.setdefault(name, {"tasks": 0, "seconds": 0.0, "cpu_seconds": 0.0})
        one["tasks"] += int(tasks)
        one["seconds"] = round(one["seconds"] + float(seconds), 2)
        one["cpu_seconds"] = round(one["cpu_seconds"] + float(cpu), 2)
    return found


def weighed(folders: dict[str, Path]) -> dict[str, dict[str, int]]:
    """The bytes and the number of the files below folders, but for a table's log."""
    found = {}
    for name, folder in folders.items():
        sizes = [p.stat().st_size for p in folder.rglob("*") if p.is_file() and "_delta_log" not in p.parts]
        found[name] = {"bytes": sum(sizes), "files": len(sizes)}
    return found
