"""The sample company and the real shop, by whoever computes and wherever they lie: every table is the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake
from object_store import BucketLake
from spark_cluster import cluster
from test_real import FILES, NOT_HERE, PUBLISHED
from test_real import figures as published
from test_workers import WORKERS

from benchmarks.cells import figures
from benchmarks.cluster import Spark
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

Left = tuple[dict[str, Any], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def spark() -> Iterator[Spark]:
    with cluster() as running:
        yield running


def company(lake: Lake, **environ: str) -> Left:
    """What two days of the company leave of each table in a new lake, and what the steps counted."""
    for layer in _LAYERS:
        shutil.copytree(layer, lake.root / "src" / layer.name, dirs_exist_ok=True, ignore=_code)
    for day in DAYS:
        made = lake.root / "made"
        feeds.land(made, days=1, last=day, seed=7)
        for path in sorted(made.rglob("*")):
            if path.is_file():
                lake.land(path.relative_to(made).as_posix(), path.read_bytes())
        shutil.rmtree(made)
        _run(lake, environ, "--run-date", str(day))
    found, counts = _left(lake)
    for table in SEEDED:
        found[table] = {name: found[table][name] for name in ("version", "rows")}
    return found, counts


def real_shop(lake: Lake, **environ: str) -> Left:
    """What the real files leave in a new lake, two runs of many files each and one of files that it has."""
    for layer in ("silver", "gold"):
        shutil.copytree(ROOT / "src" / layer / "sales", lake.root / "src" / layer / "sales")
    names = sorted(path.name for path in FILES.glob("*.csv"))
    for part in (names[::2], names[1::2], names[:20]):
        for name in part:
            is_again = part == names[:20]
            lake.land(f"sales/order_lines/{'again-' if is_again else ''}{name}", (FILES / name).read_bytes())
        _run(lake, environ)
    assert published(lake) == PUBLISHED
    return _left(lake)


def _run(lake: Lake, environ: dict[str, str], *more: str) -> None:
    command: Sequence[str] = [sys.executable, "main.py", "run", "--project", str(lake.root), *more]
    settings = {**lake.environ, "SETTLE_SECONDS": "0", "MEMORY_LIMIT": "1GB", **environ}
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr + ended.stdout[-3000:]


def _left(lake: Lake) -> Left:
    assert lake.findings() == []
    return figures(lake.data), lake.rows(COUNTS)


def _code(folder: str, names: list[str]) -> list[str]:
    """The product's own modules, which stand beside the contracts of the company."""
    return [name for name in names if Path(folder) in _LAYERS and "." in name]


@pytest.mark.long
def test_workers_and_a_cluster_leave_of_the_company_what_one_process_leaves(
    spark: Spark, bucket_lake: BucketLake, tmp_path: Path
) -> None:
    here = company(Lake(tmp_path / "here"))
    assert len(here[0]) > 60
    assert company(Lake(tmp_path / "workers"), **WORKERS) == here
    in_a_bucket = company(bucket_lake, **spark.environ, **spark.settings, **bucket_lake.environ)
    assert in_a_bucket == here


@pytest.mark.long
@pytest.mark.skipif(not FILES.is_dir(), reason=NOT_HERE)
def test_workers_and_a_cluster_leave_of_the_real_shop_what_one_process_leaves(spark: Spark, tmp_path: Path) -> None:
    here = real_shop(Lake(tmp_path / "here"))
    assert real_shop(Lake(tmp_path / "workers"), **WORKERS) == here
    assert real_shop(Lake(tmp_path / "spark"), **spark.environ, **spark.settings) == here
