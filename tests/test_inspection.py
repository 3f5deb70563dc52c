"""Inspection: rows in each layer, duplicate keys, differences from the contract, and days without rows."""

from __future__ import annotations

from datetime import date

import pytest
from conftest import Lake

from src import lake as delta
from src.monitors import inspection
from src.monitors.inspection import TableInspection
from src.project import open_project

HEADER = "order_id,day,amount,updated\n"


def inspected(lake: Lake) -> dict[str, TableInspection]:
    with open_project(lake.settings) as project:
        tables = (*project.contracts.silver.values(), *project.marts)
        return {found.table: found for found in inspection.read_inspection(project, tables).tables}


def shown(lake: Lake, capsys: pytest.CaptureFixture[str]) -> str:
    with open_project(lake.settings) as project:
        capsys.readouterr()
        tables = (*project.contracts.silver.values(), *project.marts)
        inspection.print_inspection(inspection.read_inspection(project, tables))
    return capsys.readouterr().out


def test_rows_add_up_over_the_layers(lake: Lake) -> None:
    lake.shop()
    lake.land(
        "shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n1,2024-01-01,11,2\n1,2024-01-01,11,2\nx,2024-01-01,5,1\n"
    )
    lake.good()
    found = inspected(lake)
    silver = found["silver.shop.orders"]
    assert (silver.bronze, silver.rows, silver.quarantined, silver.merged, silver.duplicate_keys) == (4, 1, 1, 2, 0)
    assert (found["gold.shop.daily"].rows, found["gold.shop.daily"].merged) == (1, None)


def test_days_without_rows_are_named(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    days = ("2024-01-01", "2024-01-02", "2024-01-04", "2024-01-08")
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{n},{day},10,1\n" for n, day in enumerate(days)))
    lake.good()
    silver = inspected(lake)["silver.shop.orders"]
    assert (silver.first, silver.last, silver.days) == (date(2024, 1, 1), date(2024, 1, 8), 4)
    assert silver.holes == ((date(2024, 1, 3), date(2024, 1, 3)), (date(2024, 1, 5), date(2024, 1, 7)))
    said = shown(lake, capsys)
    assert "2024-01-03, 2024-01-05 to 2024-01-07" in said
    assert "2 tables have the columns that their contracts say" in said


def test_a_first_of_a_month_stands_for_the_month_where_every_day_is_one(lake: Lake) -> None:
    lake.shop()
    days = ("2024-01-01", "2024-02-01", "2024-03-01", "2024-05-01")
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{n},{day},10,1\n" for n, day in enumerate(days)))
    lake.good()
    assert inspected(lake)["silver.shop.orders"].holes == ((date(2024, 3, 2), date(2024, 4, 30)),)


def test_a_key_that_is_there_twice_and_a_column_that_is_not_declared_are_told(lake: Lake) -> None:
    lake.shop()
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    silver = delta.open_table(lake.data / "silver/shop/orders")
    assert silver is not None
    [file] = silver.files
    copied = delta.DataFile(file.path.replace("part-", "part-again-"), file.size, file.rows, file.partition)
    (silver.root / copied.path).write_bytes((silver.root / file.path).read_bytes())
    delta.add_columns(delta.commit(silver, add=[copied]), {"colour": "VARCHAR"})
    lake.edit("silver/shop/orders.yaml", "physicalType: integer}", "physicalType: bigint}")
    found = inspected(lake)["silver.shop.orders"]
    assert found.duplicate_keys == 1
    assert found.structure == (
        "column updated is INTEGER, the contract says BIGINT",
        "column colour is not in the contract",
    )


def test_a_table_that_is_not_built_is_named(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    assert "not built yet: silver.shop.orders, gold.shop.daily" in shown(lake, capsys)
