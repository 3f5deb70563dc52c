"""What workers make of a load is what one process makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import Lake

from src import lake as tables

HEADER = "order_id,day,amount,updated\n"
WORKERS = {"ENGINE": "workers", "WORKERS": "2", "WORKERS_FROM": "0MB"}
LOADS = (
    ("1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-02,x,1\n", "1,2024-01-01,9,0\n4,2024-01-03,5,1\n"),
    ("1,2024-01-01,11,2\n2,2024-01-02,20,0\n5,2024-01-02,7,1\n", "4,2024-01-05,6,2\n6,2024-01-06,y,1\n"),
)
TABLES = ("bronze.shop.orders", "silver.shop.orders", "quarantine.shop.orders", "gold.shop.daily")
TIMED = {"run_id", "start_time", "end_time", "latency", "predicted_seconds", "peak_memory"}


def lived(root: Path, environ: dict[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What two loads leave: the rows and the version of each table, and the records of the steps."""
    shop = Lake(root, dict(environ)).shop()
    records = []
    for nth, load in enumerate(LOADS):
        for part, text in enumerate(load):
            shop.land(f"shop/orders/{nth}-{part}.csv", HEADER + text)
        records += [{k: v for k, v in vars(step).items() if k not in TIMED} for step in shop.good().steps]
    left = {}
    for name in TABLES:
        columns = "* EXCLUDE (_ingested_at, _batch)" if name.startswith(("bronze", "quarantine")) else "*"
        columns = "* EXCLUDE (_ingested_at)" if name.startswith("silver") else columns
        version = tables.open_table(shop.data / name.replace(".", "/"))
        left[name] = sorted(map(str, shop.rows(f"SELECT {columns} FROM {name}"))), version and version.version
    return left, records


def test_processes_give_the_rows_versions_and_counts_of_one(tmp_path: Path) -> None:
    here, there = lived(tmp_path / "here", {}), lived(tmp_path / "there", WORKERS)
    assert there == here
    assert here[0]["silver.shop.orders"][1] == 2
    assert not (tmp_path / "there/data/.staging").exists(), "what was staged is gone"
