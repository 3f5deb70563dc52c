"""Incremental is never another answer: a partition is computed alone where that is proven, or claimed and checked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import Lake

from src import documents
from src import lake as delta
from src.errors import DataError
from src.project import open_project
from src.run.runs import Run

HEADER = "order_id,day,amount,updated\n"
DAILY = "SELECT day, orders, amount FROM gold.shop.daily ORDER BY day"
THREE = HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-03,30,1\n"
MODELS = {  # each looks into other partitions; what it gives after THREE and one more order of 40 on the 4th
    "a running total": (
        "SELECT day, count(*) AS orders, cast(sum(sum(amount)) OVER (ORDER BY day) AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders GROUP BY day",
        [(1, 10), (1, 30), (1, 60), (1, 100)],
    ),
    "the row before": (
        "SELECT day, count(*) AS orders, lag(sum(amount)::decimal(18,2), 1, 0) OVER (ORDER BY day) AS amount "
        "FROM silver.shop.orders GROUP BY day",
        [(1, 0), (1, 10), (1, 20), (1, 30)],
    ),
    "a share of the total": (
        "SELECT day, count(*) AS orders, "
        "cast(100 * sum(amount) / (SELECT sum(amount) FROM silver.shop.orders) AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders GROUP BY day",
        [(1, 10), (1, 20), (1, 30), (1, 40)],
    ),
    "the largest two": (
        "SELECT day, 1::BIGINT AS orders, amount FROM silver.shop.orders ORDER BY amount DESC LIMIT 2",
        [(1, 30), (1, 40)],
    ),
    "another meaning of a name": (
        "SELECT cast(day + INTERVAL 1 MONTH AS DATE) AS day, count(*) AS orders, "
        "cast(sum(sum(amount)) OVER () AS decimal(18,2)) AS amount FROM silver.shop.orders GROUP BY ALL",
        [(1, 100), (1, 100), (1, 100), (1, 100)],
    ),
}


def partitions(lake: Lake, run: Run) -> int:
    return lake.step(run, "gold.shop.daily").partitions


def custom(lake: Lake, *properties: str) -> None:
    """Give the daily mart custom properties."""
    words = ", ".join(f"{{{one}}}" for one in properties)
    lake.edit("gold/shop/contract.yaml", "  - name: daily\n", f"  - name: daily\n    customProperties: [{words}]\n")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_looks_into_other_partitions_is_computed_whole(lake: Lake, name: str) -> None:
    model, expected = MODELS[name]
    lake.shop()
    lake.write("gold/shop/daily.sql", model)
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-04,40,1\n")
    lake.good()
    assert [(row[1], row[2]) for row in lake.rows(DAILY)] == expected


def test_who_came_first_is_computed_from_all_partitions(lake: Lake) -> None:
    lake.shop()
    lake.write(
        "gold/shop/daily.sql",
        "SELECT day, count(*) AS orders, cast(0 AS decimal(18,2)) AS amount FROM "
        "(SELECT amount, min(day) AS day FROM silver.shop.orders GROUP BY amount) GROUP BY day",
    )
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-03,10,1\n")  # 10 was there on the 1st
    lake.good()
    assert [row[1] for row in lake.rows(DAILY)] == [1, 1, 1]


RATES = """
apiVersion: v3.1.0
kind: DataContract
id: shop.rates
version: 1.0.0
status: active
servers: [{server: rates, type: local, path: "shop/rates/*.csv", format: csv}]
schema:
  - name: rates
    properties:
      - {name: day, logicalType: date, primaryKey: true}
      - {name: rate, logicalType: number, physicalType: "decimal(9,4)"}
"""
IN_EURO = (
    "SELECT o.day, count(*) AS orders, cast(sum(o.amount * r.rate) AS decimal(18, 2)) AS amount "
    "FROM silver.shop.orders o ASOF LEFT JOIN silver.shop.rates r ON r.day <= o.day GROUP BY o.day"
)


def test_a_second_source_with_a_column_of_the_partitions_name_is_read_whole(lake: Lake) -> None:
    lake.shop()
    lake.write("silver/shop/rates.yaml", RATES)
    lake.write("gold/shop/daily.sql", IN_EURO)
    lake.land("shop/orders/1.csv", THREE)
    lake.land("shop/rates/1.csv", "day,rate\n2024-01-01,2.0\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,1,1\n")
    run = lake.good()
    assert [row[2] for row in lake.rows(DAILY)] == [20, 42, 60]
    assert partitions(lake, run) == 1
    lake.land("shop/rates/2.csv", "day,rate\n2024-01-03,3.0\n")
    run = lake.good()
    assert [row[2] for row in lake.rows(DAILY)] == [20, 42, 90]
    assert partitions(lake, run) == 3


def test_a_lookback_is_never_counted_in_the_partitions_of_a_calendar_beside_it(lake: Lake) -> None:
    lake.shop()
    custom(lake, "property: lookback, value: 1")
    lake.write("silver/shop/rates.yaml", RATES)
    lake.write(
        "gold/shop/daily.sql",
        "SELECT o.day, coalesce(lag(count(*)) OVER (ORDER BY o.day), 0) AS orders, cast(0 AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders o JOIN silver.shop.rates c ON c.day = o.day GROUP BY o.day",
    )
    lake.land("shop/rates/1.csv", "day,rate\n" + "".join(f"2024-01-0{n},1\n" for n in range(1, 8)))
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-05,20,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "3,2024-01-01,5,1\n")
    lake.good()
    assert [row[1] for row in lake.rows(DAILY)] == [0, 2]


def test_plan_and_readme_say_what_is_computed_whole_where_and_what_to_do(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.sql", "-- all up to a day\n" + MODELS["a running total"][0])
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-04,40,1\n")
    printed = lake.typed("plan").stdout
    why = "the window of sum() reads other partitions of silver.shop.orders (daily.sql:2)"
    assert f"gold.shop.daily: whole at every change: {why}\n  fix: " in printed
    with open_project(lake.settings) as project:
        readme = documents.mart_readme(project.contracts.marts["shop"], project)
    assert f"- **Recomputed:** whole, whenever a table it reads changes: {why}. To change that: " in readme
    lake.good()


def test_what_reads_a_table_that_is_computed_whole_follows_only_the_partitions_whose_rows_changed(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.sql", MODELS["a running total"][0])
    above = """  - name: above
    properties:
      - {name: day, logicalType: date, required: true, partitioned: true}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)"}
"""
    lake.edit("gold/shop/contract.yaml", "schema:\n", "schema:\n" + above)
    lake.write("gold/shop/above.sql", "SELECT day, amount FROM gold.shop.daily WHERE amount > 15")
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-03,5,1\n")
    run = lake.good()
    assert (partitions(lake, run), lake.step(run, "gold.shop.above").partitions) == (3, 1)
    assert [row[0] for row in lake.rows("SELECT amount FROM gold.shop.above ORDER BY day")] == [30, 65]


# -- claims

PYTHON_MODEL = """
import polars as pl

def model(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    orders = tables["silver.shop.orders"]
    return orders.group_by("day").agg(
        pl.len().cast(pl.Int64).alias("orders"), pl.col("amount").sum().cast(pl.Decimal(18, 2)).alias("amount")
    )
"""
ACROSS = PYTHON_MODEL.replace("    return", "    all = orders.select(pl.len()).collect().item()\n    return").replace(
    "pl.len().cast(pl.Int64)", "pl.lit(all).cast(pl.Int64)"
)
CLAIM = "property: refresh, value: partitions"


def python_shop(lake: Lake, model: str, *properties: str) -> None:
    lake.shop()
    (lake.root / "src/gold/shop/daily.sql").unlink()
    lake.write("gold/shop/daily.py", model)
    lake.edit(
        "gold/shop/contract.yaml", "{name: orders,", "{name: orders, transformSourceObjects: [silver.shop.orders],"
    )
    if properties:
        custom(lake, *properties)


def test_a_python_model_gives_the_same_as_its_sql_and_is_computed_whole(lake: Lake) -> None:
    python_shop(lake, PYTHON_MODEL)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "3,2024-01-02,5.50,1\n")
    run = lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 1, Decimal(10)), (date(2024, 1, 2), 2, Decimal("15.50"))]
    assert partitions(lake, run) == 2


def test_a_python_model_with_a_claim_that_holds_is_cut_to_the_touched_partitions(lake: Lake) -> None:
    python_shop(lake, PYTHON_MODEL, CLAIM)
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,5.50,1\n")
    run = lake.good()
    assert [row[1:] for row in lake.rows(DAILY)] == [(1, 10), (2, Decimal("25.50")), (1, 30)]
    assert partitions(lake, run) == 1


def failure(lake: Lake) -> str:
    failures = lake.run().failures
    assert list(failures) == ["gold.shop.daily"]
    assert isinstance(failures["gold.shop.daily"], DataError)
    return str(failures["gold.shop.daily"])


def test_a_wrong_claim_is_found_before_anything_is_published(lake: Lake) -> None:
    python_shop(lake, ACROSS, CLAIM)
    lake.land("shop/orders/1.csv", THREE)
    assert "the claim `refresh: partitions` does not hold: day=2024-01-0" in failure(lake)
    assert lake.rows(DAILY) == []
    lake.good()  # whole from now on
    assert [row[1] for row in lake.rows(DAILY)] == [3, 3, 3]
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,5.50,1\n")
    run = lake.good()
    assert partitions(lake, run) == 3
    assert "computed whole: the claim `refresh: partitions` did not hold" in str(
        lake.step(run, "gold.shop.daily").notes
    )
    assert [row[1] for row in lake.rows(DAILY)] == [4, 4, 4]
    told = lake.typed("plan").stdout
    assert "gold.shop.daily: whole at every change: the claim `refresh: partitions` did not hold when" in told


FROM_THE_THIRD = (
    "SELECT day, count(*) AS orders, max(max(amount)) OVER (ORDER BY day) AS amount FROM silver.shop.orders"
)


def test_a_claim_that_becomes_wrong_later_fails_the_table_and_makes_it_whole(lake: Lake) -> None:
    """The largest amount so far: as long as it grows from day to day no partition shows that it looks into others."""
    lake.shop()
    custom(lake, CLAIM)
    lake.write("gold/shop/daily.sql", FROM_THE_THIRD + " GROUP BY day")
    lake.land("shop/orders/1.csv", THREE)
    assert partitions(lake, lake.good()) == 3
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-03,31,1\n")
    assert partitions(lake, lake.good()) == 1
    lake.land("shop/orders/3.csv", HEADER + "5,2024-01-04,5,1\n")
    assert "the claim `refresh: partitions` does not hold: day=2024-01-04 computed from its own rows" in failure(lake)
    assert [row[2] for row in lake.rows(DAILY)] == [10, 20, 31]
    lake.good()
    assert [row[2] for row in lake.rows(DAILY)] == [10, 20, 31, 31]


def test_a_claim_is_not_taken_for_checked_where_there_was_one_partition_to_look_at(lake: Lake) -> None:
    python_shop(lake, ACROSS, CLAIM)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,5.50,1\n")
    assert "the claim `refresh: partitions` does not hold" in failure(lake)
    assert [row[1] for row in lake.rows(DAILY)] == [2]
    lake.good()
    assert [row[1] for row in lake.rows(DAILY)] == [3, 3]


CONSTANT = (
    "SELECT DATE '2024-01-01' AS day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount "
    "FROM silver.shop.orders"
)


def test_a_table_of_one_partition_that_no_column_makes_follows_its_sources(lake: Lake) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", ", partitioned: true, partitionKeyPosition: 1", "")
    lake.write("gold/shop/daily.sql", CONSTANT)
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,5,1\n")
    lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 4, Decimal(65))]


def test_a_claim_that_did_not_hold_is_believed_again_when_the_contract_changes(lake: Lake) -> None:
    python_shop(lake, ACROSS, CLAIM)
    lake.land("shop/orders/1.csv", THREE)
    failure(lake)
    lake.good()
    lake.write("gold/shop/daily.py", PYTHON_MODEL)
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,5.50,1\n")
    assert partitions(lake, lake.good()) == 1


def test_a_claim_made_of_a_table_that_is_there_is_checked_when_it_next_moves(lake: Lake) -> None:
    python_shop(lake, ACROSS)
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    version = delta.open_table(lake.data / "gold/shop/daily")
    custom(lake, CLAIM)
    lake.good()  # a claim is no change of the rows: nothing is rebuilt
    after = delta.open_table(lake.data / "gold/shop/daily")
    assert version is not None and after is not None and version.version == after.version
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-02,5.50,1\n")
    assert "the claim `refresh: partitions` does not hold" in failure(lake)
    assert [row[1] for row in lake.rows(DAILY)] == [3, 3, 3]
    lake.good()
    assert [row[1] for row in lake.rows(DAILY)] == [4, 4, 4]


def test_a_partition_computed_under_a_claim_is_right_though_another_is_stale(lake: Lake) -> None:
    """What is computed is computed from all rows: a wrong claim can miss a partition, not miscompute one."""
    lake.shop()
    custom(lake, CLAIM)
    lake.write("gold/shop/daily.sql", FROM_THE_THIRD + " GROUP BY day")
    lake.land("shop/orders/1.csv", THREE)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-01,15,1\n")
    lake.good()
    assert [row[2] for row in lake.rows(DAILY)] == [15, 20, 30]


def test_sums_of_floats_are_compared_with_a_tolerance(lake: Lake, tmp_path: Path) -> None:
    lake.shop()
    custom(lake, CLAIM)
    lake.edit("gold/shop/contract.yaml", 'physicalType: "decimal(18,2)"', "physicalType: double")
    window = "sum(sum(amount / 3.0)) OVER () - sum(sum(amount / 3.0)) OVER () + sum(amount / 3.0)"  # not proven
    lake.write(
        "gold/shop/daily.sql",
        f"SELECT day, count(*) AS orders, cast({window} AS double) AS amount FROM silver.shop.orders GROUP BY day",
    )
    rows = "".join(f"{n},2024-01-{n % 9 + 1:02},{n / 7:.2f},1\n" for n in range(1, 400))
    lake.land("shop/orders/1.csv", HEADER + rows)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "900,2024-01-04,5.50,1\n")
    assert partitions(lake, lake.good()) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            [CLAIM, "property: lookback, value: 1"],
            "lookback counts the partitions of one source, and silver.shop.orders, silver.shop.rates have such",
        ),
        ([CLAIM], ""),
    ],
)
def test_a_lookback_that_is_claimed_counts_the_partitions_of_one_source(lake: Lake, words: list[str], why: str) -> None:
    lake.shop()
    custom(lake, *words)
    lake.write("silver/shop/rates.yaml", RATES)
    lake.write(
        "gold/shop/daily.sql",
        "SELECT o.day, count(*) OVER (ORDER BY o.day) AS orders, cast(0 AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders o JOIN silver.shop.rates r ON r.day = o.day",
    )
    assert (f"gold.shop.daily: whole at every change: {why}" in lake.typed("plan").stdout) == bool(why)
