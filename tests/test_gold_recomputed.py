"""Check computes a gold table whole, keeps no row of what is right, and names what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from conftest import Lake

from src import lake as delta
from src.errors import DataError
from src.gold import recomputed, written
from src.gold.model import Model
from src.project import open_project

HEADER = "order_id,day,amount,updated\n"
ROWS = HEADER + "".join(f"{nth},2024-01-0{1 + nth % 3},{nth}.5,1\n" for nth in range(1, 10))
GOLD = "gold.shop.daily"


def differences(lake: Lake, key: Sequence[str] = ()) -> list[str]:
    with open_project(lake.settings) as project:
        table = project.declared(GOLD)
        stored, orders = (delta.open_table(project.path(name)) for name in (GOLD, "silver.shop.orders"))
        assert stored and orders
        sources = {"silver.shop.orders": orders}
        return list(recomputed.differences(project.engine, replace(table, key=tuple(key)), stored, sources))


def spoil(lake: Lake, rows: str) -> None:
    """Replace what the table holds by a SELECT over it."""
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"
    with open_project(lake.settings) as project:
        root = project.path(GOLD)
        stored = delta.open_table(root)
        assert stored
        select = rows.replace("stored", project.engine.scan(stored))
        files = project.engine.write(select, root, stored.partition_by)
        delta.commit(stored, add=files, remove=stored.files)


@pytest.fixture
def shop(lake: Lake) -> Lake:
    lake.shop()
    lake.land("shop/orders/1.csv", ROWS)
    lake.good()
    return lake


def test_a_table_that_is_right_is_compared_without_keeping_a_row(shop: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "whole", lambda *_: pytest.fail("kept"))
    assert differences(shop) == []


def test_a_row_too_many_another_value_and_a_missing_partition_are_named(shop: Lake) -> None:
    spoil(shop, "SELECT * REPLACE (orders + (day = '2024-01-02')::INT AS orders) FROM stored WHERE day < '2024-01-03'")
    too_many, missing = differences(shop)
    assert too_many.startswith("1 rows should not be there, such as {'day': 2024-01-02, 'orders': 4, ")
    assert missing.startswith("2 rows missing, such as {'day': 2024-01-0")


def test_sums_of_floats_are_right_in_any_order_of_their_rows(lake: Lake) -> None:
    lake.shop()
    lake.edit("gold/shop/contract.yaml", 'physicalType: "decimal(18,2)"', "physicalType: double")
    model = "SELECT day, count(*) AS orders, sum(amount::DOUBLE / 7) AS amount FROM silver.shop.orders GROUP BY day"
    lake.write("gold/shop/daily.sql", model)
    lake.land("shop/orders/1.csv", ROWS)
    lake.good()
    spoil(lake, "SELECT * REPLACE (amount * (1 + 1e-12) AS amount) FROM stored")
    assert differences(lake) == []
    spoil(lake, "SELECT * REPLACE (amount * (1 + 1e-6) AS amount) FROM stored")
    assert [found.partition(",")[0] for found in differences(lake)] == ["3 rows should not be there", "3 rows missing"]


@pytest.mark.parametrize("key", [["orders"], ["day", "orders"]])
def test_a_key_that_model_and_table_both_break_is_named(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, key: list[str]
) -> None:
    monkeypatch.setattr(written, "_ROWS_AT_ONCE", 1)
    lake.shop()
    lake.write("gold/shop/daily.sql", "SELECT day, 1::BIGINT AS orders, amount FROM silver.shop.orders")
    lake.land("shop/orders/1.csv", ROWS)
    lake.good()
    with pytest.raises(DataError, match="key occurs more than once"):
        differences(lake, key)
