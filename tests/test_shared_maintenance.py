"""Maintenance by workers does what it does in one process."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake
from test_audit import with_quality
from torture import shared

from src import catalog, workers
from src import lake as tables
from src.engine import DuckEngine
from src.maintenance import check
from src.project import open_project

HEADER = "order_id,day,amount,updated\n"
FILES = (
    "1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-02,x,1\n",
    "1,2024-01-01,9,0\n4,2024-01-03,5,1\n",
    "1,2024-01-01,11,2\n2,2024-01-02,20,0\n5,2024-01-02,7,1\n",
    "4,2024-01-05,6,2\n6,2024-01-06,y,1\n",
)
BRONZE, SILVER, QUARANTINE = "bronze.shop.orders", "silver.shop.orders", "quarantine.shop.orders"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let whatever is dealt out be done by two workers of this process; gives which tasks they did."""
    names: list[str] = []

    class Workers:
        width = 2

        def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
            names.extend(task.function.__name__ for task in tasks)
            with shared.engines_that_open_at_once():
                return [pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(task))))) for task in tasks]

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("src.workers._runner", lambda settings: Workers())
    return names


def by_workers(shop: Lake) -> Lake:
    return replace(shop, environ=shop.environ | shared.SETTINGS)


@pytest.fixture
def shop(tmp_path: Path) -> Lake:
    made = Lake(tmp_path, {}).shop()
    for part, text in enumerate(FILES):
        made.land(f"shop/orders/{part}.csv", HEADER + text)
        made.good()
    return made


# -- check


def found_by_workers(shop: Lake) -> list[check.Finding]:
    with open_project(by_workers(shop).settings) as project, workers.dealing(project, beside_runs=True) as stages:
        assert stages
        return list(check.run(project.engine, shop.data, project.contracts, project.marts, stages=stages))


def change(shop: Lake, name: str, sql: str, gone: str = "false") -> None:
    """Commit other rows in place of the files that hold some, as no step would."""
    found = tables.open_table(tables.table_path(shop.data, name))
    assert found
    engine = DuckEngine(memory_limit="300MB", threads=1, spill=shop.root / "spill")
    holding = set(engine.values(f"SELECT _at FROM {engine.scan(found, evolved=True, located=True)} WHERE {gone}"))
    removed = [file for file in found.files if str(found.root / file.path) in holding]
    new = engine.write(sql.format(rows=engine.scan(found, evolved=True)), found.root, found.partition_by)
    engine.close()
    tables.commit(found, add=new, remove=removed)


def edit_log(shop: Lake, name: str, old: str, new: str) -> None:
    """Let the first entry of a log that says something say something else."""
    root = tables.table_path(shop.data, name)
    log = next(path for path in sorted((root / "_delta_log").glob("*.json")) if old in path.read_text())
    log.write_text(log.read_text().replace(old, new, 1))
    tables.forget(root)


def test_check_by_workers_finds_what_one_process_finds(
    shop: Lake, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_log(shop, SILVER, r"minValues\": {\"order_id\": 2", r"minValues\": {\"order_id\": 1")
    change(shop, BRONZE, "SELECT * FROM {rows} WHERE order_id = '2' AND _file = 'shop/orders/0.csv'")
    change(shop, BRONZE, "SELECT * REPLACE (7 AS _row, 'x' AS _file) FROM {rows} WHERE order_id = '5'")
    change(shop, SILVER, "SELECT * REPLACE (8 AS amount) FROM {rows} WHERE order_id = 1")
    change(shop, SILVER, "SELECT * FROM {rows} WHERE false", gone="order_id = 5")
    change(shop, QUARANTINE, "SELECT * FROM {rows} WHERE false", gone="_file = 'shop/orders/3.csv'")
    found = shop.findings()
    assert found_by_workers(shop) == found, "computed in passes"
    assert {"_read", "_hash", "find_shared", "_count_arrived", "_bounds", "_sum", "judge", "write_passing"} <= set(done)
    monkeypatch.setattr("src.silver.passes.can_be", lambda table, sources: False)
    assert found_by_workers(shop) == found, "computed side by side"
    assert {"type_rows", "contend"} <= set(done)
    assert not list(shop.data.glob(".staging*")), "what was staged is gone"
    assert [(one.table, one.law, re.sub(r", such as.*|.*parquet has ", "", one.found)) for one in found] == [
        (BRONZE, "rows are only ever added", "1 rows of a file are there more than once"),
        (BRONZE, "rows are only ever added", "6 rows of files, by their numbers, are not there"),
        (SILVER, "one row per key", "1 keys with more than one row"),
        (SILVER, "the log tells which file can hold a key", "order_id from 2 to 2, the log says 1 to 2"),
        (SILVER, "one pass gives the same", "1 rows should not be there"),
        (SILVER, "one pass gives the same", "1 rows missing"),
        (SILVER, "one pass gives the same", "quarantine: 1 rows missing"),
    ]


def test_check_by_workers_names_the_files_that_one_process_names(shop: Lake, done: list[str]) -> None:
    bronze = tables.open_table(tables.table_path(shop.data, BRONZE))
    assert bronze
    edit_log(shop, BRONZE, r"{\"numRecords\": 2", r"{\"numRecords\": 3")
    edit_log(shop, BRONZE, tables.hashes(bronze)[bronze.files[0].path], "0" * 64)
    found = found_by_workers(shop)
    assert found == shop.findings()
    assert [one.found.partition(".parquet ")[2] for one in found] == [
        "has not the bytes that were committed",
        "has 2 rows, the log says 3",
    ]
    for file in bronze.files:
        (bronze.root / file.path).write_bytes(b"PAR1" + bytes(file.size - 8) + b"PAR1")
    found = found_by_workers(shop)
    assert found == shop.findings()
    assert [one.table for one in found] == [BRONZE]


# -- backfill


def test_a_backfill_by_workers_writes_its_slice_and_the_marts_of_it_anew(
    shop: Lake, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.gold.build._SMALL", -1)

    def amounts(name: str) -> list[tuple[Any, ...]]:
        return shop.rows(f"SELECT * FROM {name} ORDER BY ALL")

    orders, daily = "(SELECT order_id, day::VARCHAR, amount::INTEGER FROM silver.shop.orders)", "gold.shop.daily"
    right = [(1, "2024-01-01", 11), (2, "2024-01-02", 20), (4, "2024-01-05", 6), (5, "2024-01-02", 7)]
    before = amounts(daily)
    change(
        shop, SILVER, "SELECT * REPLACE (order_id + 5 AS amount) FROM {rows} WHERE order_id < 3", gone="order_id < 3"
    )
    shop.good()
    assert amounts(orders) != right
    here = ("--table", SILVER, "--start", "2024-01-01", "--end", "2024-01-05")
    assert by_workers(shop).command("backfill", *here) == 0
    assert (amounts(orders), amounts(daily)) == (right, before)
    assert {"judge", "write_rows", "aggregate"} <= set(done)
    recorded = "FROM ops.pipeline_runs WHERE layer = 'silver' ORDER BY start_time DESC LIMIT 1"
    [step] = shop.rows(f"SELECT records_read, updated, partitions {recorded}")
    assert step == (4, 4, 3)
    assert shop.findings() == []
    assert not (shop.data / ".staging").exists(), "what was staged is gone"


# -- optimize


def test_optimize_by_workers_joins_the_files_that_one_process_joins(
    tmp_path: Path, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    here = Lake(tmp_path / "here", {}).shop()
    for number in range(5):
        here.land(f"shop/orders/{number}.csv", f"{HEADER}{number},2024-01-01,{9 - number},1\n")
        here.good()
    shutil.copytree(here.root, tmp_path / "there")
    left = []
    for shop in (here, by_workers(replace(here, root=tmp_path / "there"))):
        assert shop.command("optimize") == 0
        printed = capsys.readouterr().out
        versions = {name: tables.open_table(root) for name, root in catalog.tables(shop.data).items() if "shop" in name}
        files = {name: [replace(f, path="") for f in found.files] for name, found in versions.items() if found}
        left.append((printed, files, {name: found.version for name, found in versions.items() if found}))
        assert shop.rows("SELECT order_id, amount::INTEGER FROM silver.shop.orders ORDER BY 1")[3:] == [(3, 6), (4, 5)]
        assert shop.findings() == []
    assert left[1] == left[0]
    assert [len(left[1][1][name]) for name in (BRONZE, SILVER)] == [1, 1]
    assert "join" in done
    log = tables.table_path(tmp_path / "there/data", SILVER) / f"_delta_log/{left[1][2][SILVER]:020d}.json"
    assert '"dataChange":true' not in log.read_text()


# -- audits

AUDITED = (
    "{type: library, metric: rowCount, mustBeGreaterThan: 1}",
    "{type: library, metric: duplicateValues, arguments: {properties: [day]}, mustBeLessThan: 9}",
    '{type: sql, id: debt, query: "SELECT sum(amount) FROM ${object}", mustBeGreaterThan: 1}',
)
VALID = "quality: [{type: library, metric: invalidValues, arguments: {validValues: ['20.00']}, mustBeLessThan: 3}]"


def test_audits_of_a_load_by_workers_measure_what_those_of_one_process_measure(
    tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.checks.audits._FEW_ROWS", -1)
    measured = []
    for name in ("here", "there"):
        shop = Lake(tmp_path / name, {}).shop()
        with_quality(shop, *AUDITED)
        shop.edit("silver/shop/orders.yaml", '"decimal(18,2)", required: true', f'"decimal(18,2)", {VALID}')
        shop = by_workers(shop) if name == "there" else shop
        for part, text in enumerate(FILES):
            shop.land(f"shop/orders/{part}.csv", HEADER + text)
            assert ("silver.shop.orders" in shop.run().failures) == (part >= 2)
        measured.append(shop.rows("SELECT * EXCLUDE (run_id, run_time, samples) FROM ops.quality_results ORDER BY ALL"))
    assert measured[1] == measured[0]
    values = [
        row[0]
        for row in shop.rows("SELECT value FROM ops.quality_results WHERE rule = 'invalidValues' ORDER BY run_time")
    ]
    assert values == [1, 2, 3, 3]
    assert "count_rows" in done


def test_audits_of_a_mart_by_workers_measure_what_those_of_one_process_measure(
    tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.checks.audits._FEW_ROWS", -1)
    measured = []
    for name in ("here", "there"):
        shop = Lake(tmp_path / name, {}).shop()
        shop.edit(
            "gold/shop/contract.yaml", 'physicalType: "decimal(18,2)"}', f'physicalType: "decimal(18,2)", {VALID}}}'
        )
        shop = by_workers(shop) if name == "there" else shop
        for part, text in enumerate(FILES):
            shop.land(f"shop/orders/{part}.csv", HEADER + text)
            assert ("gold.shop.daily" in shop.run().failures) == (part >= 2)
        measured.append(shop.rows("SELECT * EXCLUDE (run_id, run_time, samples) FROM ops.quality_results ORDER BY ALL"))
    assert measured[1] == measured[0]
    assert [row[0] for row in shop.rows("SELECT value FROM ops.quality_results ORDER BY run_time")] == [1, 2, 3, 3]
    assert done.count("count_rows") >= 4
