"""SCD2: every version of a key with the interval it was valid in, right in whatever order versions arrive."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from conftest import Lake

CUSTOMERS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.customers
name: Customers
version: 1.0.0
status: active
domain: shop
servers: [{server: customers, type: local, path: "customers/*.csv", format: csv}]
schema:
  - name: customers
    logicalType: object
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: city, logicalType: string}
      - {name: changed_on, logicalType: date, required: true}
    customProperties:
      - {property: sequenceBy, value: [changed_on]}
      - {property: history, value: scd2}
"""
HEADER = "id,city,changed_on\n"
VERSIONS = ["1,Bonn,2024-01-01\n", "1,Köln,2024-02-01\n", "1,Bonn,2024-03-01\n"]
HISTORY = "SELECT id, city, _valid_from, _valid_to, _is_current FROM silver.shop.customers ORDER BY id, _valid_from"
RIGHT = [
    (1, "Bonn", date(2024, 1, 1), date(2024, 2, 1), False),
    (1, "Köln", date(2024, 2, 1), date(2024, 3, 1), False),
    (1, "Bonn", date(2024, 3, 1), None, True),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_intervals_are_right_in_whatever_order_versions_arrive(lake: Lake, order: tuple[int, ...]) -> None:
    lake.write("silver/shop/customers.yaml", CUSTOMERS)
    lake.land("customers/0.csv", HEADER + "2,Trier,2024-01-15\n")
    for at in order:
        lake.land(f"customers/v{at}.csv", HEADER + VERSIONS[at])
        lake.good()
    assert lake.rows(HISTORY) == [*RIGHT, (2, "Trier", date(2024, 1, 15), None, True)]


def test_a_version_sent_again_changes_nothing_and_a_corrected_one_replaces_it(lake: Lake) -> None:
    lake.write("silver/shop/customers.yaml", CUSTOMERS)
    lake.land("customers/1.csv", HEADER + "".join(VERSIONS))
    lake.good()
    lake.land("customers/2.csv", HEADER + VERSIONS[1] + "1,Zürich,2024-03-01\n")
    run = lake.good()
    step = lake.step(run, "silver.shop.customers")
    assert (step.records_read, step.inserted, step.updated, step.unchanged) == (2, 0, 1, 1)
    assert lake.rows(HISTORY) == [*RIGHT[:2], (1, "Zürich", date(2024, 3, 1), None, True)]


def test_a_deletion_ends_the_version_before_it_and_a_late_version_before_it_is_ended_too(lake: Lake) -> None:
    contract = CUSTOMERS.replace(
        "customProperties:\n", "customProperties:\n      - {property: deleteWhen, value: city = 'gone'}\n"
    )
    lake.write("silver/shop/customers.yaml", contract)
    lake.land("customers/1.csv", HEADER + VERSIONS[0])
    lake.good()
    lake.land("customers/2.csv", HEADER + "1,gone,2024-03-01\n")
    lake.good()
    assert lake.rows(HISTORY) == [(1, "Bonn", date(2024, 1, 1), date(2024, 3, 1), False)]
    lake.land("customers/3.csv", HEADER + VERSIONS[1])
    lake.good()
    assert lake.rows(HISTORY) == RIGHT[:2]
    lake.land("customers/4.csv", HEADER + "1,Mainz,2024-04-01\n")
    lake.good()
    assert lake.rows(HISTORY) == [*RIGHT[:2], (1, "Mainz", date(2024, 4, 1), None, True)]


def test_a_mart_over_history_sees_a_version_that_was_ended(lake: Lake) -> None:
    from conftest import MART

    lake.write("silver/shop/customers.yaml", CUSTOMERS)
    mart = MART.replace("name: daily", "name: cities").split("    properties:")[0]
    mart += (
        "    properties:\n      - {name: city, logicalType: string}\n      - {name: customers, logicalType: integer}\n"
    )
    lake.write("gold/shop/contract.yaml", mart)
    lake.write(
        "gold/shop/cities.sql",
        "SELECT city, count(*) AS customers FROM silver.shop.customers WHERE _is_current GROUP BY city",
    )
    lake.land("customers/1.csv", HEADER + VERSIONS[0])
    lake.good()
    lake.land("customers/2.csv", HEADER + VERSIONS[1])
    lake.good()
    assert lake.rows("SELECT * FROM gold.shop.cities") == [("Köln", 1)]
