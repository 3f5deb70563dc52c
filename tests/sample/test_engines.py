"""The sample company, all of its domains, by whoever computes: every table is the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake
from test_workers import WORKERS

from benchmarks.cells import figures
from src.demo import feeds

_LAYERS = (ROOT / "src/silver", ROOT / "src/gold", ROOT / "src/ml")
DAYS = (date(2026, 3, 2), date(2026, 3, 3))
# the names of their files, which are in their rows and their progress, say when a run pulled them
SEEDED = [
    "statements.kpi.apps",
    *(f"{at}.kpi.{of}" for at in ("bronze", "silver") for of in ("apps", "kpi_dictionary")),
]
COUNTS = """
    SELECT layer, domain, "table", status, records_read, records_written, inserted, updated, unchanged, duplicates,
        quarantined, deleted, partitions, version, superseded, conflicts, removed
    FROM ops.pipeline_runs WHERE layer <> 'run' ORDER BY ALL
"""


def lived(lake: Lake, **environ: str) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """What two days of the company leave of each table in a new lake, and what the steps counted."""
    for layer in _LAYERS:
        shutil.copytree(layer, lake.root / "src" / layer.name, dirs_exist_ok=True, ignore=_code)
    for day in DAYS:
        feeds.land(lake.data / "landing", days=1, last=day, seed=7)
        command = [sys.executable, "main.py", "run", "--project", str(lake.root), "--run-date", str(day)]
        settings = {**lake.environ, "SETTLE_SECONDS": "0", "MEMORY_LIMIT": "1GB", **environ}
        ended = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr + ended.stdout[-3000:]
    assert lake.findings() == []
    found = figures(lake.data)
    for table in SEEDED:
        found[table] = {name: found[table][name] for name in ("version", "rows")}
    return found, lake.rows(COUNTS)


def _code(folder: str, names: list[str]) -> list[str]:
    """The product's own modules, which stand beside the contracts of the company."""
    return [name for name in names if Path(folder) in _LAYERS and "." in name]


@pytest.mark.long
def test_workers_leave_of_the_company_what_one_process_leaves(tmp_path: Path) -> None:
    here, there = lived(Lake(tmp_path / "here")), lived(Lake(tmp_path / "there"), **WORKERS)
    assert len(here[0]) > 60
    assert there == here
