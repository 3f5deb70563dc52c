"""Gold: a partition is computed whole, never edited; exactly the touched ones are."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

from conftest import Lake

from src import lake as delta

HEADER = "order_id,day,amount,updated\n"
DAILY = "SELECT day, orders, amount FROM gold.shop.daily ORDER BY day"


def files(lake: Lake, table: str) -> set[str]:
    """The data files of a table's newest version, relative to it."""
    from deltalake import DeltaTable

    root = lake.data / table.replace(".", "/")
    return {Path(uri).relative_to(root).as_posix() for uri in DeltaTable(root).file_uris()}


def test_only_touched_partitions_are_written_again(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{n},2024-01-0{n},10,1\n" for n in range(1, 6)))
    lake.good()
    before = files(lake, "gold.shop.daily")
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,99,2\n6,2024-01-06,5,1\n")
    run = lake.good()
    after = files(lake, "gold.shop.daily")
    assert {name.split("/")[0] for name in before - after} == {"day=2024-01-02"}
    assert {name.split("/")[0] for name in after - before} == {"day=2024-01-02", "day=2024-01-06"}
    assert lake.step(run, "gold.shop.daily").partitions == 2
    assert lake.rows(DAILY)[1] == (date(2024, 1, 2), 1, Decimal(99))


def test_a_partition_that_became_empty_is_emptied(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-02,10,2\n")
    run = lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 2), 2, Decimal(20))]
    assert lake.step(run, "gold.shop.daily").partitions == 2


def test_a_row_rewritten_beside_a_changed_one_does_not_touch_its_partition(lake: Lake) -> None:
    """Silver by month, gold by day: the month's file is rewritten, only the changed row's day is computed."""
    lake.shop()
    by_month = "{name: month, logicalType: date, required: true, partitioned: true, partitionKeyPosition: 1, "
    lake.edit(
        "silver/shop/orders.yaml",
        "      - {name: updated",
        f"      - {by_month}transformLogic: \"cast(date_trunc('month', day) as date)\"}}\n      - {{name: updated",
    )
    lake.edit(
        "silver/shop/orders.yaml",
        "date, required: true, partitioned: true, partitionKeyPosition: 1}",
        "date, required: true}",
    )
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{n},2024-01-0{n},10,1\n" for n in range(1, 6)))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,99,2\n")
    run = lake.good()
    assert lake.step(run, "gold.shop.daily").partitions == 1
    assert [row[2] for row in lake.rows(DAILY)] == [10, 99, 10, 10, 10]


WEEKLY = """
SELECT cast(date_trunc('week', day) AS date) AS week, cast(sum(amount) AS decimal(18,2)) AS amount
FROM silver.shop.orders GROUP BY 1
"""


def weekly(lake: Lake) -> None:
    lake.shop()
    lake.edit("gold/shop/contract.yaml", "name: daily", "name: weekly")
    lake.edit(
        "gold/shop/contract.yaml",
        "{name: day,",
        "{name: week, transformLogic: \"cast(date_trunc('week', day) as date)\",",
    )
    lake.edit("gold/shop/contract.yaml", "      - {name: orders, logicalType: integer, physicalType: bigint}\n", "")
    lake.write("gold/shop/weekly.sql", WEEKLY)
    (lake.root / "src/gold/shop/daily.sql").unlink()


def test_a_weekly_mart_computes_the_whole_week_of_a_changed_day(lake: Lake) -> None:
    weekly(lake)
    days = ["2024-01-01", "2024-01-07", "2024-01-08"]
    lake.land("shop/orders/1.csv", HEADER + "".join(f"{n},{day},10,1\n" for n, day in enumerate(days)))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "0,2024-01-01,15,2\n")
    run = lake.good()
    assert lake.rows("SELECT week, amount FROM gold.shop.weekly ORDER BY week") == [
        (date(2024, 1, 1), Decimal(25)),
        (date(2024, 1, 8), Decimal(10)),
    ]
    assert lake.step(run, "gold.shop.weekly").partitions == 1


RUNNING = """
SELECT day, sum(count(*)) OVER (ORDER BY day ROWS 1 PRECEDING)::BIGINT AS orders,
       cast(sum(amount) AS decimal(18,2)) AS amount
FROM silver.shop.orders GROUP BY day
"""


def test_with_a_lookback_the_partitions_after_a_touched_one_are_computed_again(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.sql", RUNNING)
    lake.edit(
        "gold/shop/contract.yaml",
        "  - name: daily\n",
        "  - name: daily\n    customProperties: [{property: lookback, value: 1}]\n",
    )
    lake.land(
        "shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n3,2024-01-03,10,1\n5,2024-01-05,10,1\n7,2024-01-07,10,1\n"
    )
    lake.good()
    assert [row[1] for row in lake.rows(DAILY)] == [1, 2, 2, 2]
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-03,10,1\n")
    run = lake.good()
    assert [row[1] for row in lake.rows(DAILY)] == [1, 3, 3, 2]
    assert lake.step(run, "gold.shop.daily").partitions == 2
    lake.land("shop/orders/3.csv", HEADER + "4,2024-01-07,10,2\n3,2024-01-07,10,2\n")  # the 3rd becomes empty
    lake.good()
    assert [row[:2] for row in lake.rows(DAILY)] == [
        (date(2024, 1, 1), 1),
        (date(2024, 1, 5), 2),
        (date(2024, 1, 7), 4),
    ]


def test_a_table_refreshed_in_full_and_one_without_partitions_are_overwritten_whole(lake: Lake) -> None:
    lake.shop()
    lake.edit("gold/shop/contract.yaml", "required: true, partitioned: true, partitionKeyPosition: 1", "required: true")
    lake.edit(
        "gold/shop/contract.yaml",
        "  - name: daily\n",
        "  - name: daily\n    customProperties: [{property: refresh, value: full}]\n",
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-02,10,2\n")
    lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 2), 2, Decimal(20))]
    assert len(files(lake, "gold.shop.daily")) == 1


PRICES = """
apiVersion: v3.1.0
kind: DataContract
id: shop.names
name: Names
version: 1.0.0
status: active
domain: shop
servers: [{server: names, type: local, path: "names/*.csv", format: csv}]
schema:
  - name: names
    logicalType: object
    properties:
      - {name: order_id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - {name: factor, logicalType: integer}
"""


def test_a_changed_dimension_computes_every_partition_again(lake: Lake) -> None:
    lake.shop()
    lake.write("silver/shop/names.yaml", PRICES)
    lake.write(
        "gold/shop/daily.sql",
        "SELECT day, count(*) AS orders, cast(sum(amount * factor) AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders JOIN silver.shop.names USING (order_id) GROUP BY day",
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,10,1\n")
    lake.land("names/1.csv", "order_id,factor\n1,1\n2,1\n")
    lake.good()
    lake.land("names/2.csv", "order_id,factor\n1,3\n")
    lake.good()
    assert [row[2] for row in lake.rows(DAILY)] == [30, 10]


def test_a_mart_may_read_another_mart_and_is_computed_after_it(lake: Lake) -> None:
    lake.shop()
    table = """  - name: all_time
    logicalType: object
    properties: [{name: amount, logicalType: number, physicalType: "decimal(18,2)"}]
"""
    lake.edit("gold/shop/contract.yaml", "schema:\n", "schema:\n" + table)
    lake.write("gold/shop/all_time.sql", "SELECT cast(sum(amount) AS decimal(18,2)) AS amount FROM gold.shop.daily")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,5,1\n")
    lake.good()
    assert lake.rows("SELECT amount FROM gold.shop.all_time") == [(Decimal(15),)]


def test_a_late_row_that_changes_nothing_computes_nothing(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,5\n")
    lake.good()
    before = files(lake, "gold.shop.daily")
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-09,99,1\n")
    run = lake.good()
    assert lake.step(run, "gold.shop.daily").partitions == 0
    assert files(lake, "gold.shop.daily") == before


def test_a_model_that_does_not_return_what_the_contract_says_is_refused_with_every_difference(lake: Lake) -> None:
    lake.shop()
    lake.write(
        "gold/shop/daily.sql", "SELECT day, sum(amount) AS amount, 1 AS extra FROM silver.shop.orders GROUP BY day"
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    error = str(lake.run().failures["gold.shop.daily"])
    assert "no column orders" in error
    assert "column extra is not in the contract" in error
    assert "column amount is DECIMAL(38,2), the contract says DECIMAL(18,2)" in error


def test_a_key_that_occurs_twice_blocks_the_commit_and_readers_keep_the_last_good_version(lake: Lake) -> None:
    lake.shop()
    lake.edit("gold/shop/contract.yaml", "{name: day,", "{name: day, primaryKey: true, primaryKeyPosition: 1,")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.write("gold/shop/daily.sql", "SELECT day, 1::BIGINT AS orders, amount FROM silver.shop.orders")
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,5,1\n")
    error = str(lake.run().failures["gold.shop.daily"])
    assert "key occurs more than once: 2024-01-01 (2 rows)" in error
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 1, Decimal(10))]


def test_a_row_that_breaks_a_rule_of_the_contract_blocks_the_commit(lake: Lake) -> None:
    lake.shop()
    rule = 'physicalType: "decimal(18,2)", logicalTypeOptions: {minimum: 0}'
    lake.edit("gold/shop/contract.yaml", 'physicalType: "decimal(18,2)"', rule)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,-10,1\n")
    assert "1 rows break a rule: amount: -10.00 is less than the minimum 0" in str(
        lake.run().failures["gold.shop.daily"]
    )


def test_a_model_may_end_in_a_semicolon_or_a_comment(lake: Lake) -> None:
    from conftest import DAILY as MODEL

    lake.shop()
    lake.write("gold/shop/daily.sql", MODEL.strip() + "; -- by day")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.write("gold/shop/daily.sql", MODEL.strip() + "\n-- by day")
    lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 1, Decimal(10))]


def test_gold_follows_a_table_that_was_deleted_and_made_anew_with_the_same_version(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    before = delta.open_table(lake.data / "silver/shop/orders")
    for layer in ("bronze", "silver", "quarantine"):
        shutil.rmtree(lake.data / layer)
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,99,1\n")
    lake.good()
    after = delta.open_table(lake.data / "silver/shop/orders")
    assert before is not None and after is not None and before.version == after.version
    assert lake.rows("SELECT day::VARCHAR, amount FROM gold.shop.daily") == [("2024-01-01", Decimal("99.00"))]
    assert lake.step(lake.good(), "gold.shop.daily").partitions == 0


# -- what a partition is, and what may stand in it


def test_a_partition_whose_column_needs_a_cast_keeps_its_earlier_rows(lake: Lake) -> None:
    lake.shop()
    moment = "{name: moment, logicalType: timestamp, required: true, partitioned: false}"
    lake.edit("silver/shop/orders.yaml", "      - {name: updated", f"      - {moment}\n      - {{name: updated")
    lake.edit("gold/shop/contract.yaml", "{name: day,", "{name: day, transformLogic: moment,")
    lake.write(
        "gold/shop/daily.sql",
        "SELECT cast(moment AS DATE) AS day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders GROUP BY ALL",
    )
    header = "order_id,day,moment,amount,updated\n"
    lake.land("shop/orders/1.csv", header + "1,2024-05-02,2024-05-02T09:30:00,20,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", header + "2,2024-05-02,2024-05-02T11:00:00,40,1\n")
    lake.good()
    assert lake.rows(DAILY) == [(date(2024, 5, 2), 2, Decimal("60.00"))]


def test_a_key_that_a_partition_of_an_earlier_run_has_already_blocks_the_commit(lake: Lake) -> None:
    lake.shop()
    lake.edit("gold/shop/contract.yaml", "{name: orders,", "{name: orders, primaryKey: true, primaryKeyPosition: 1,")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,5,1\n")
    error = str(lake.run().failures["gold.shop.daily"])
    assert "key occurs more than once: 1 (2 rows)" in error or (
        "key occurs more than once: 1 (also in the partition 2024-01-01)" in error
    )
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 1, Decimal(10))]
    (lake.data / "landing/shop/orders/2.csv").write_text(HEADER + "2,2024-01-02,5,2\n3,2024-01-02,5,1\n")
    lake.good()
    assert [row[:2] for row in lake.rows(DAILY)] == [(date(2024, 1, 1), 1), (date(2024, 1, 2), 2)]


PER_ORDER = "SELECT day, count(*) AS orders, count(*) / sum(amount) AS amount FROM silver.shop.orders GROUP BY day"


def test_infinity_and_nan_are_no_numbers_unless_the_contract_allows_them(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.sql", PER_ORDER.replace("sum(amount)", "cast(sum(amount) AS double)"))
    lake.edit("gold/shop/contract.yaml", 'physicalType: "decimal(18,2)"', "physicalType: double")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,0,1\n2,2024-01-02,2,1\n")
    error = str(lake.run().failures["gold.shop.daily"])
    assert "1 rows break a rule: amount: inf is no number: allow it with `nonFinite: allowed`" in error
    assert not (lake.data / "gold/shop/daily").exists()
    allowed = "physicalType: double, customProperties: [{property: nonFinite, value: allowed}]"
    lake.edit("gold/shop/contract.yaml", "physicalType: double", allowed)
    lake.good()
    assert [row[2] for row in lake.rows(DAILY)] == [float("inf"), 0.5]
