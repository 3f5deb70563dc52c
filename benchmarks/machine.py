"""What was measured, and on what."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from benchmarks.contenders import ROOT

LIBRARIES = ("deltalake", "duckdb", "polars", "pyarrow")


def described() -> dict[str, Any]:
    """The machine, the libraries and the commit, as they are now."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "commit": told(["git", "log", "-1", "--format=%h", "--", "main.py", "src"]).strip(),  # the product's last
        "changed": bool(told(["git", "status", "--porcelain", "--", "main.py", "src"]).strip()),
        "date": datetime.now(UTC).date().isoformat(),
    }


def told(command: Sequence[str]) -> str:
    """What a command of this project prints."""
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.split(": ")[1].strip() for line in lines if line.startswith("model name")), "unknown")
