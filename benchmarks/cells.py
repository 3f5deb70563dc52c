"""All that a lake of ours holds, in figures that are the same for the same cells, versions and progress.

Usage: python -m benchmarks.cells DATA_DIR; prints the figures of each table of the lake as JSON
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.contenders import ROOT
from benchmarks.scenarios import Unequal

OF_A_RUN = ("_ingested_at", "_batch")  # columns that say when a row came, and with which run


def of_lake(data: Path) -> dict[str, dict[str, int | str]]:
    """The figures of each table; looked at in a process of its own, so that this one stays small.

    Raises:
        Unequal: the lake cannot be read.
    """
    command = [sys.executable, "-m", "benchmarks.cells", str(data)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode:
        raise Unequal(f"the lake at {data} cannot be read:\n{told.stderr[-2000:]}")
    found: dict[str, dict[str, int | str]] = json.loads(told.stdout)
    return found


def figures(data: Path) -> dict[str, dict[str, int | str]]:
    """Of each table but the records of runs: its version, rows, all cells, and the progress of its commits."""
    from src import catalog, lake
    from src.engine import DuckEngine, identifier

    found: dict[str, dict[str, int | str]] = {}
    with tempfile.TemporaryDirectory() as spill:
        engine = DuckEngine(memory_limit="2GB", threads=os.cpu_count() or 1, spill=Path(spill))
        for name, root in catalog.tables(data).items():
            table = lake.open_table(root)
            if table is None or name.startswith(f"{catalog.RECORDS}."):
                continue
            columns = ", ".join(identifier(column) for column in table.columns if column not in OF_A_RUN)
            rows, cells = engine.one(f"SELECT count(*), sum(hash({columns}))::VARCHAR FROM {engine.scan(table)}")
            progress = [sorted(lake.recorded(root, version)) for version in range(table.version + 1)]
            told = hashlib.sha256(json.dumps(progress).encode()).hexdigest()
            found[name] = {"version": table.version, "rows": rows, "cells": cells, "progress": told}
        engine.close()
    return found


if __name__ == "__main__":
    print(json.dumps(figures(Path(sys.argv[1]))))
