"""A row that says its key is gone removes it, and no late, older row brings it back."""

from __future__ import annotations

import itertools

import pytest
from conftest import Lake, short

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


@pytest.mark.parametrize("order", short(itertools.permutations(["new", "gone", "late"]), 3))
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


MEMBERS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.members
version: 1.0.0
status: active
domain: shop
servers: [{server: members, type: local, path: "members/*.csv", format: csv}]
schema:
  - name: members
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: name, logicalType: string}
      - {name: changed, logicalType: date, required: true}
      - {name: op, logicalType: string, required: true}
    customProperties:
      - {property: sequenceBy, value: changed}
      - {property: deleteWhen, value: op = 'D'}
"""
# the letters of a change log sort D before I and U, and a deletion often has no other value
TIED = ("1,Ulla,2031-05-01,U\n", "1,,2031-05-01,D\n", "1,Vera,2031-05-01,I\n")


@pytest.mark.parametrize("order", short(itertools.permutations(TIED), 3))  # the deletion in each place
@pytest.mark.parametrize("files", [1, 3])
def test_a_deletion_wins_a_tie_in_a_batch_and_against_what_is_stored(
    lake: Lake, order: tuple[str, ...], files: int
) -> None:
    lake.write("silver/shop/members.yaml", MEMBERS)
    lake.land("members/0.csv", "id,name,changed,op\n2,Rosa,2031-05-01,I\n")
    for at in range(files):
        lake.land(f"members/{at + 1}.csv", "id,name,changed,op\n" + "".join(order[at::files]))
        lake.good()
    assert lake.rows("SELECT id, name FROM silver.shop.members") == [(2, "Rosa")]
    lake.land("members/9.csv", "id,name,changed,op\n1,Ida,2031-05-02,I\n")
    lake.good()
    assert lake.rows("SELECT id, name FROM silver.shop.members ORDER BY id") == [(1, "Ida"), (2, "Rosa")]


@pytest.mark.parametrize("order", short(itertools.permutations(TIED), 3))  # the deletion in each place
def test_a_deletion_of_the_moment_of_a_version_ends_the_one_before_it(lake: Lake, order: tuple[str, ...]) -> None:
    lake.write("silver/shop/members.yaml", MEMBERS + "      - {property: history, value: scd2}\n")
    lake.land("members/0.csv", "id,name,changed,op\n1,Anna,2031-04-01,I\n")
    for at, row in enumerate(order):
        lake.land(f"members/{at + 1}.csv", "id,name,changed,op\n" + row)
        lake.good()
    rows = lake.rows("SELECT name, _valid_from::VARCHAR, _valid_to::VARCHAR FROM silver.shop.members")
    assert rows == [("Anna", "2031-04-01", "2031-05-01")]
