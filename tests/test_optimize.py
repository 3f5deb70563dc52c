"""Optimize rewrites files where that pays; no row changes and nothing is computed again because of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from conftest import ORDERS, Lake

from src import lake as delta
from src.engine import DuckEngine
from src.errors import ContractError, LockedError
from src.maintenance import optimize
from src.project import open_project
from src.run import lock, releases, runs

HEADER = "order_id,day,amount,updated\n"
ROWS = "SELECT *, _file, _row FROM silver.shop.orders ORDER BY ALL"


def do(lake: Lake, *, dry_run: bool = False) -> int:
    return lake.command("optimize", *(["--dry-run"] if dry_run else []))


def opened_table(lake: Lake, table: str) -> delta.Snapshot:
    snapshot = delta.open_table(delta.table_path(lake.data, table))
    assert snapshot is not None
    return snapshot


def files(lake: Lake, table: str) -> int:
    return len(opened_table(lake, table).files)


def version(lake: Lake, table: str) -> int:
    return opened_table(lake, table).version


def land(lake: Lake, first: int, last: int) -> None:
    """One run for each number, each with a new order on the same day."""
    for number in range(first, last + 1):
        lake.land(f"shop/orders/{number}.csv", f"{HEADER}{number},2024-01-01,{100 - number},1\n")
        lake.good()


def test_five_small_files_of_a_partition_become_one_and_four_stay(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop()
    land(lake, 1, 4)
    assert do(lake) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 changed"
    assert files(lake, "bronze.shop.orders") == 4
    land(lake, 5, 5)
    rows = lake.rows(ROWS)
    assert do(lake) == 0
    assert (files(lake, "bronze.shop.orders"), files(lake, "silver.shop.orders")) == (1, 1)
    assert lake.rows(ROWS) == rows
    assert lake.rows(
        'SELECT "table", files_before, files_after FROM ops.maintenance WHERE "table" LIKE \'silver%\''
    ) == [("silver.shop.orders", 5, 1)]
    capsys.readouterr()
    assert do(lake) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 changed"


def test_rows_of_small_files_keep_their_order_when_they_are_joined(tmp_path: Path) -> None:
    engine = DuckEngine(memory_limit="1GB", threads=8, spill=tmp_path / "spill")
    table = delta.create(tmp_path / "numbers", {"n": "BIGINT", "day": "DATE"}, ("day",), delta.index("n", "BIGINT"))
    for nth in range(12):
        sql = f"SELECT range + {nth * 1000} AS n, DATE '2024-01-01' AS day FROM range(1000)"
        table = delta.commit(table, add=engine.write(sql, table.root, ("day",)))
    [one] = delta.crowded(table)
    numbers = f"SELECT n FROM {engine.scan(table)}"
    step = optimize.Optimization("silver.of.numbers", table, (one,), (), (), False)
    joined = optimize.compact(engine, step)
    [file] = joined.files
    assert (file.rows, file.partition, file.bounds) == (12_000, {"day": "2024-01-01"}, {"n": ("0", "11999")})
    in_order = engine.values(f"SELECT n FROM {engine.scan(joined, located=True)} ORDER BY _nth")
    with engine.in_order():
        assert in_order == engine.values(numbers)
    assert delta.changes(joined, table.version) == delta.Changes((), ())
    engine.close()


def test_nothing_is_computed_again_after_it_and_the_release_goes_with_it(lake: Lake) -> None:
    lake.shop()
    land(lake, 1, 6)
    gold = {path: hashlib.sha256(path.read_bytes()).digest() for path in lake.data.glob("gold/**/*.parquet")}
    assert do(lake) == 0
    now = {
        name: files
        for name in releases.newest(lake.data)
        if (files := delta.open_table(delta.table_path(lake.data, name)))
    }
    assert releases.newest(lake.data) == {name: table.version for name, table in now.items()}
    run = lake.good()
    assert [(step.records_read, step.records_written, step.partitions) for step in run.steps] == [(0, 0, 0)] * 3
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in lake.data.glob("gold/**/*.parquet")} == gold
    land(lake, 7, 7)
    assert lake.rows("SELECT count(*), sum(amount) FROM silver.shop.orders") == [(7, 700 - 28)]


def test_rows_that_silver_has_not_seen_are_still_seen_after_bronze_is_compacted(lake: Lake) -> None:
    lake.shop()
    land(lake, 1, 5)
    lake.write("silver/shop/orders.sql", "SELECT order_id, nonsense FROM bronze.shop.orders")
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.land("shop/orders/6.csv", f"{HEADER}6,2024-01-02,1,1\n")
    assert "silver.shop.orders" in lake.run().failures
    (lake.root / "src/silver/shop/orders.sql").unlink()
    lake.edit("silver/shop/orders.yaml", "version: 1.1.0", "version: 1.0.0")
    assert do(lake) == 0
    assert files(lake, "bronze.shop.orders") == 1
    assert lake.step(lake.good(), "silver.shop.orders").inserted == 1


def test_a_dry_run_says_what_it_would_and_changes_nothing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    land(lake, 1, 5)
    before = {path: path.stat().st_mtime_ns for path in lake.data.rglob("*")}
    assert do(lake, dry_run=True) == 0
    assert {path: path.stat().st_mtime_ns for path in lake.data.rglob("*")} == before
    said = [line.split("  ") for line in capsys.readouterr().out.splitlines() if line.startswith("silver.shop")]
    assert said[0][-1] == "1 partitions of small files"


def test_a_table_whose_contract_asks_is_brought_into_z_order_and_only_where_rows_came(lake: Lake) -> None:
    lake.shop()
    asked = "      - {property: sequenceBy, value: [updated]}\n"
    assert asked in ORDERS
    lake.edit("silver/shop/orders.yaml", asked, asked + "      - {property: zOrderBy, value: [updated]}\n")
    lake.land("shop/orders/0.csv", HEADER + "".join(f"{n},2024-02-01,1,{n * 7 % 50}\n" for n in range(100, 150)))
    land(lake, 1, 2)
    root = delta.table_path(lake.data, "silver.shop.orders")
    rows = lake.rows(ROWS)
    assert do(lake) == 0
    assert lake.rows(ROWS) == rows
    table = delta.open_table(root)
    assert table is not None and len(table.files) == 2
    other = {file.path for file in table.files if file.partition["day"] == "2024-02-01"}
    seen = [at for (at,) in lake.rows("SELECT updated FROM silver.shop.orders WHERE order_id >= 100")]
    assert seen == sorted(seen)
    land(lake, 3, 3)
    assert do(lake) == 0
    later = delta.open_table(root)
    assert later is not None
    assert {file.path for file in later.files if file.partition["day"] == "2024-02-01"} == other
    assert len(later.files) == 2
    run = lake.good()
    assert [(step.records_written, step.partitions) for step in run.steps] == [(0, 0)] * 3


def test_a_contract_that_asks_for_the_order_of_what_is_no_column_is_refused(lake: Lake) -> None:
    lake.shop()
    asked = "      - {property: sequenceBy, value: [updated]}\n"
    lake.edit("silver/shop/orders.yaml", asked, asked + "      - {property: zOrderBy, value: [colour]}\n")
    with pytest.raises(ContractError, match="colour"):
        lake.run()
    lake.edit("silver/shop/orders.yaml", "[colour]", "[day]")
    with pytest.raises(ContractError, match="zOrderBy names the partition column day"):
        lake.run()
    lake.edit("silver/shop/orders.yaml", "[day]", "[amount]")
    with pytest.raises(ContractError, match="zOrderBy of amount, a decimal"):
        lake.run()


def test_optimize_waits_for_nobody_who_holds_the_lake(lake: Lake) -> None:
    lake.shop()
    land(lake, 1, 5)
    with lock.lock_lake(lake.data, command="make pipeline", run_id="r", now=runs.now()), pytest.raises(LockedError):
        do(lake)
    assert files(lake, "silver.shop.orders") == 5


def test_a_killed_z_order_is_done_again(lake: Lake) -> None:
    lake.shop()
    asked = "      - {property: sequenceBy, value: [updated]}\n"
    lake.edit("silver/shop/orders.yaml", asked, asked + "      - {property: zOrderBy, value: [updated]}\n")
    land(lake, 1, 2)
    with open_project(lake.settings) as project:
        table = project.table("silver.shop.orders")
        assert table is not None
        table._table.optimize.z_order(["updated"])  # as far as a kill before the last commit leaves it
        assert [step.order for step in optimize.plan(lake.data, project.contracts.silver) if step.order] == [
            (("2024-01-01",),)
        ]
    assert do(lake) == 0
    assert lake.good().failures == {}


@pytest.mark.long
def test_a_long_log_gets_a_checkpoint_and_a_short_one_does_not(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    land(lake, 1, 4)
    log = delta.table_path(lake.data, "silver.shop.orders") / "_delta_log"
    assert do(lake) == 0
    assert list(log.glob("*.checkpoint.parquet")) == []
    land(lake, 5, 11)
    capsys.readouterr()
    assert do(lake) == 0
    assert len(list(log.glob("*.checkpoint.parquet"))) == 1
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(11,)]
    assert do(lake) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 changed"
