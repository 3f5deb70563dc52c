"""First load of the real shop's 305 files against a DuckDB script, and a rerun with nothing new.

Usage: make bench, or python -m benchmarks [ROUNDS]. Needs the real files (REAL_DATA). Each contender
runs in a fresh process and in turn, so that a busy machine slows them alike: read the ratio.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data")) / "online_retail"


def timed(command: list[str], environ: Mapping[str, str]) -> tuple[float, float]:
    """Wall seconds and peak MiB of one process."""
    start = time.perf_counter()
    process = os.posix_spawn(
        command[0],
        command,
        dict(os.environ) | dict(environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, at, os.devnull, os.O_WRONLY, 0) for at in (1, 2)],
    )
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def round_of(folder: Path) -> dict[str, tuple[float, float]]:
    """One round of every contender, each from nothing."""
    lake = folder / "lake"
    shutil.copytree(FILES, lake / "landing/sales/order_lines")
    environ = {"DATA_DIR": str(lake), "LOG_DIR": str(folder / "logs"), "SAMPLE_FEED": "false", "SETTLE_SECONDS": "0"}
    pipeline = [sys.executable, str(ROOT / "main.py")]
    script = [sys.executable, "-m", "benchmarks.duckdb_script", str(FILES), str(folder)]
    return {
        "DuckDB script": timed(script, {}),
        "pipeline, first load": timed(pipeline, environ),
        "pipeline, nothing new": timed(pipeline, environ),
    }


def main(rounds: int) -> None:
    if not FILES.is_dir():
        raise SystemExit(f"the real files are not at {FILES}; set REAL_DATA to the folder that holds online_retail/")
    os.chdir(ROOT)
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, figures in round_of(Path(folder)).items():
                found.setdefault(name, []).append(figures)
    print(f"{rounds} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]}; medians")
    print(f"{'contender':24}{'seconds':>9}{'ratio':>7}{'peak MiB':>10}")
    floor = [seconds for seconds, _ in found["DuckDB script"]]
    for name, figures in found.items():
        seconds = [second for second, _ in figures]
        ratio = statistics.median(one / other for one, other in zip(seconds, floor, strict=True))
        print(f"{name:24}{statistics.median(seconds):9.2f}{ratio:7.2f}{max(peak for _, peak in figures):10.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
