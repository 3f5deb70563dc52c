"""The page of a project: from the shell to the first answer, each screen once it is warm, the memory that it takes.

The server is a process of its own, started as `make page` starts it; a screen is asked for in turn with all others, so
that each is measured among the same work. Shown are the median and the longest of the rounds after the first.

Usage: python -m benchmarks.page PROJECT [--rounds 10]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

from benchmarks import machine
from src.settings import load

ROOT = Path(__file__).resolve().parent.parent
SCREENS = ("/", "/marts", "/lineage", "/feeds", "/quarantine", "/sql", "/plan", "/runs")
_TABLES = 3  # of each layer, beside the screens that every lake has
_PATIENCE = 120.0  # seconds for an answer


class Page:
    """A page that was started, as a browser with its key asks it."""

    def __init__(self, project: Path) -> None:
        command = [sys.executable, str(ROOT / "main.py"), "--project", str(project), "page", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        found = re.search(r"(http://[^/]+)/\?key=(\S+)", self.process.stdout.readline())
        assert found, "the page says its address first"
        self.url, key = found.groups()
        with urlopen(f"{self.url}/?key={key}", timeout=_PATIENCE) as answer:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def seconds(self, path: str) -> float:
        """Return how long a screen takes, to its last byte."""
        began = time.perf_counter()
        with urlopen(Request(self.url + path, headers={"Cookie": self.cookie}), timeout=_PATIENCE) as answer:
            answer.read()
        return time.perf_counter() - began

    def megabytes(self) -> float:
        """Return the most memory that the process had so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1000

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()


def main(project: Path, rounds: int) -> None:
    """Print what the page of a project takes."""
    found = machine.described()
    print(f"{found['cores']} cores, {found['processor']}, commit {found['commit']}")
    began = time.perf_counter()
    page = Page(project)
    try:
        first = page.seconds("/")
        print(f"from the shell to Home {time.perf_counter() - began:.2f} s (of these its own answer {first:.2f} s)")
        paths = [*SCREENS, *_tables(project)]
        taken = {path: [page.seconds(path) for _ in range(1)] for path in paths}
        for _ in range(rounds):
            for path in paths:
                taken[path].append(page.seconds(path))
        print(f"{'screen':50} {'first s':>8} {'median s':>9} {'longest s':>10}")
        for path, (cold, *warm) in taken.items():
            print(f"{path:50} {cold:8.3f} {median(warm):9.3f} {max(warm):10.3f}")
        print(f"at most {page.megabytes():.0f} MB of memory")
    finally:
        page.stop()


def _tables(project: Path) -> Iterator[str]:
    """Yield the addresses of some tables of each layer, and of the marts of those in gold."""
    data = load(project, {}).data_dir
    for layer in ("bronze", "silver", "gold"):
        for log in sorted(data.glob(f"{layer}/*/*/_delta_log"))[:_TABLES]:
            domain, table = log.parent.parts[-2:]
            yield f"/table/{layer}.{domain}.{table}"
            if layer == "gold":
                yield f"/mart/{domain}/{table}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    main(args.project.absolute(), args.rounds)
