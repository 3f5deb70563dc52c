"""A row that says its key is gone removes it, and no late, older row brings it back."""

from __future__ import annotations

import itertools

import pytest
from conftest import Lake

HEADER = "order_id,day,amount,updated\n"
ROWS = {
    "new": "1,2024-01-01,10,1\n",
    "gone": "1,2024-01-01,0,3\n",
    "late": "1,2024-01-02,15,2\n",
    "other": "2,2024-01-01,7,1\n",
}
LEFT = "SELECT order_id, amount FROM silver.shop.orders ORDER BY order_id"


def deleting(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "silver/shop/orders.yaml",
        "customProperties:\n",
        "customProperties:\n      - {property: deleteWhen, value: amount = 0}\n",
    )


@pytest.mark.parametrize("order", list(itertools.permutations(["new", "gone", "late"])))
def test_a_deleted_key_stays_deleted_in_whatever_order_its_rows_arrive(lake: Lake, order: tuple[str, ...]) -> None:
    deleting(lake)
    lake.land("shop/orders/0.csv", HEADER + ROWS["other"])
    for name in order:
        lake.land(f"shop/orders/{name}.csv", HEADER + ROWS[name])
        lake.good()
    assert lake.rows(LEFT) == [(2, 7)]
    assert lake.rows("SELECT sum(orders)::BIGINT FROM gold.shop.daily") == [(1,)]


def test_a_key_comes_back_with_a_newer_row(lake: Lake) -> None:
    deleting(lake)
    lake.land("shop/orders/1.csv", HEADER + ROWS["new"])
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + ROWS["gone"])
    run = lake.good()
    assert lake.step(run, "silver.shop.orders").deleted == 1
    assert lake.rows(LEFT) == []
    lake.land("shop/orders/3.csv", HEADER + "1,2024-01-05,99,4\n")
    run = lake.good()
    assert lake.rows(LEFT) == [(1, 99)]
    step = lake.step(run, "silver.shop.orders")
    assert (step.records_read, step.inserted, step.updated) == (1, 1, 0)
    lake.land("shop/orders/4.csv", HEADER + "1,2024-01-05,50,2\n")
    lake.good()
    assert lake.rows(LEFT) == [(1, 99)]
