"""A backfill computes a slice again, from bronze up through gold; what lies outside it does not change."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pytest
from conftest import Lake

from src import lake as delta
from src.errors import UsageError
from src.maintenance import backfill
from src.project import open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

HEADER = "order_id,day,amount,updated\n"


def bytes_of(lake: Lake, table: str) -> dict[str, str]:
    """sha256 of every live data file of a table."""
    root = delta.table_path(lake.data, table)
    snapshot = delta.open_table(root)
    assert snapshot is not None
    return {file.path: hashlib.sha256((root / file.path).read_bytes()).hexdigest() for file in snapshot.files}


def refill(
    lake: Lake, table: str, start: str | None = None, end: str | None = None, where: str | None = None
) -> dict[str, list[str]]:
    """Plan and do a backfill; returns the plan."""
    first, last = (date.fromisoformat(day) if day else None for day in (start, end))
    with open_project(lake.settings) as project, recorded_run(project, RunKind.BACKFILL, "backfill") as run:
        planned = backfill.plan(project, table, first, last, where)
        backfill.execute(project, planned, run)
    assert run.failures == {}
    return {name: list(partitions) for name, partitions in planned.partitions.items()}


def month(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{n},2024-01-{n:02},10,1\n" for n in range(1, 11)))
    lake.good()


def damage(lake: Lake, day: str) -> None:
    """Take a day's rows out of silver, as a careless hand with another engine would."""
    silver = delta.open_table(lake.data / "silver/shop/orders")
    assert silver is not None
    delta.commit(silver, remove=[file for file in silver.files if file.partition["day"] == day])


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {Path(path).parent.name for path, digest in (before.items() ^ after.items()) if digest}


def test_a_slice_of_days_is_computed_again_and_files_outside_keep_their_bytes(lake: Lake) -> None:
    month(lake)
    damage(lake, "2024-01-04")
    lake.good()
    assert len(lake.rows("SELECT * FROM gold.shop.daily")) == 9
    silver, gold = bytes_of(lake, "silver.shop.orders"), bytes_of(lake, "gold.shop.daily")
    planned = refill(lake, "silver.shop.orders", "2024-01-04", "2024-01-05")
    assert planned == {
        "silver.shop.orders": ["day=2024-01-04", "day=2024-01-05"],
        "gold.shop.daily": ["day=2024-01-04", "day=2024-01-05"],
    }
    assert changed(silver, bytes_of(lake, "silver.shop.orders")) == {"day=2024-01-04", "day=2024-01-05"}
    assert changed(gold, bytes_of(lake, "gold.shop.daily")) == {"day=2024-01-04", "day=2024-01-05"}
    assert len(lake.rows("SELECT * FROM gold.shop.daily")) == 10


def test_a_slice_by_condition_leaves_other_rows_of_the_same_file_as_they_are(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,20,1\n3,2024-01-02,30,1\n")
    lake.good()
    before = lake.rows("SELECT * FROM silver.shop.orders ORDER BY order_id")
    files = bytes_of(lake, "silver.shop.orders")
    planned = refill(lake, "silver.shop.orders", where="order_id = 1")
    assert planned["silver.shop.orders"] == ["day=2024-01-01"]
    assert lake.rows("SELECT * FROM silver.shop.orders ORDER BY order_id") == before
    assert changed(files, bytes_of(lake, "silver.shop.orders")) == {"day=2024-01-01"}


def test_a_slice_of_a_mart_is_computed_again_from_silver(lake: Lake) -> None:
    month(lake)
    gold = delta.open_table(lake.data / "gold/shop/daily")
    assert gold is not None
    delta.commit(gold, remove=[file for file in gold.files if file.partition["day"] == "2024-01-03"])
    before = bytes_of(lake, "gold.shop.daily")
    assert refill(lake, "gold.shop.daily", "2024-01-03", "2024-01-03") == {"gold.shop.daily": ["day=2024-01-03"]}
    assert changed(before, bytes_of(lake, "gold.shop.daily")) == {"day=2024-01-03"}
    assert len(lake.rows("SELECT * FROM gold.shop.daily")) == 10


def test_nothing_new_is_left_out_by_a_backfill_that_comes_before_the_run(lake: Lake) -> None:
    month(lake)
    lake.land("shop/orders/2.csv", HEADER + "50,2024-01-20,1,1\n")
    refill(lake, "silver.shop.orders", "2024-01-01", "2024-01-02")
    lake.good()
    assert len(lake.rows("SELECT * FROM gold.shop.daily")) == 11


def test_a_backfill_that_names_no_slice_or_no_table_is_refused(lake: Lake) -> None:
    month(lake)
    with pytest.raises(UsageError, match="no slice"):
        refill(lake, "silver.shop.orders")
    with pytest.raises(UsageError, match=r"no table silver\.shop\.nothing") as refused:
        refill(lake, "silver.shop.nothing", where="true")
    assert "silver.shop.orders" in str(refused.value)
