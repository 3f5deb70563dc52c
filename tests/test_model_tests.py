"""Tests of one's own models: what they compare, what they refuse, and that the product's own steps run them."""

from __future__ import annotations

import json
import re

import pytest
from conftest import MART, ORDERS, Lake

import main
from src import commands, documents, model_tests
from src.errors import BoathouseError, ContractErrors, UsageError
from src.model_tests import Difference, Pair, Result
from src.project import open_project

DAILY_TEST = "gold/shop/tests/daily.yaml"
ORDERS_TEST = "silver/shop/tests/orders.yaml"

ADDS_UP = """
adds_up_a_day:
  given:
    silver.shop.orders:
      - {order_id: 1, day: 2026-01-31, amount: 10.10}
      - {order_id: 2, day: 2026-01-31, amount: 0.20}
      - {order_id: 3, day: 2026-02-01}
  expect:
    - {day: 2026-02-01, orders: 1, amount: null}
    - {day: 2026-01-31, orders: 2, amount: 10.3}
"""

NEWEST = """
the_newest_wins:
  given:
    bronze.shop.orders:
      - {order_id: 1, day: 2026-01-31, amount: 10.10, updated: 1}
      - {order_id: 1, day: 2026-01-31, amount: 0.20, updated: 2}
      - {order_id: 2, day: 2026-01-31, amount: ten, updated: 1}
  expect:
    - {order_id: 1, amount: 0.20}
  quarantine:
    - {order_id: "2", _reasons: [amount]}
"""


def ran(lake: Lake, path: str = "", text: str = "") -> list[Result]:
    """Run every test of a project, after writing one file."""
    if path:
        lake.write(path, text)
    with open_project(lake.settings) as project:
        return list(model_tests.run_tests(project, model_tests.read(project)))


def one(lake: Lake, path: str, text: str) -> Result:
    results = ran(lake, path, text)
    assert len(results) == 1
    return results[0]


def passes(lake: Lake, path: str, text: str) -> None:
    for result in ran(lake, path, text):
        assert result.error is None, result.error
        assert result.differences == ()


def differs(lake: Lake, path: str, text: str) -> Difference:
    """What differs in the one test of a file."""
    result = one(lake, path, text)
    assert result.error is None, result.error
    assert len(result.differences) == 1
    return result.differences[0]


def edited(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def errors(lake: Lake, path: str, text: str) -> list[BoathouseError]:
    """What is wrong with a test file."""
    lake.write(path, text)
    with pytest.raises(ContractErrors) as raised, open_project(lake.settings) as project:
        model_tests.read(project)
    return list(raised.value.errors)


# -- a gold table


def test_a_test_passes_when_the_rows_it_expects_come_out_in_any_order(lake: Lake) -> None:
    passes(lake.shop(), DAILY_TEST, ADDS_UP)


@pytest.mark.parametrize(
    ("old", "new", "pair"),
    [
        (
            "    - {day: 2026-02-01, orders: 1, amount: null}\n",
            "",
            Pair(None, ("2026-02-01", "1", None)),
        ),
        (
            "    - {day: 2026-02-01, orders: 1, amount: null}\n",
            "    - {day: 2026-02-01, orders: 1, amount: null}\n    - {day: 2026-02-02, orders: 1, amount: 1}\n",
            Pair(("2026-02-02", "1", "1.00"), None, "src/gold/shop/tests/daily.yaml, line 10"),
        ),
        (
            "amount: null",
            "amount: 0",
            Pair(("2026-02-01", "1", "0.00"), None, "src/gold/shop/tests/daily.yaml, line 9"),
        ),
        (
            "amount: 10.3",
            "amount: 10.31",
            Pair(("2026-01-31", "2", "10.31"), None, "src/gold/shop/tests/daily.yaml, line 10"),
        ),
    ],
    ids=["too many", "too few", "not null", "another value"],
)
def test_a_test_fails_when_anything_else_comes_out(lake: Lake, old: str, new: str, pair: Pair) -> None:
    assert pair in differs(lake.shop(), DAILY_TEST, edited(ADDS_UP, old, new)).pairs


def test_a_row_that_comes_out_once_more_than_it_is_expected_is_seen(lake: Lake) -> None:
    text = edited(ADDS_UP, "    - {day: 2026-02-01, orders: 1, amount: null}\n", "")
    text = edited(text, "{day: 2026-01-31, orders: 2, amount: 10.3}", "{}")
    lake.shop().write("gold/shop/daily.sql", "SELECT day, 1::BIGINT AS orders, amount FROM silver.shop.orders")
    text = edited(text, "- {}", "- {orders: 1}\n    - {orders: 1}")
    assert differs(lake, DAILY_TEST, text).pairs == (Pair(None, ("1",)),)


def test_rows_of_one_key_are_laid_beside_each_other(lake: Lake) -> None:
    lake.shop().edit("gold/shop/contract.yaml", "{name: day, ", "{name: day, primaryKey: true, ")
    found = differs(lake, DAILY_TEST, edited(ADDS_UP, "amount: 10.3}", "amount: 10.31}"))
    expected, came = ("2026-01-31", "2", "10.31"), ("2026-01-31", "2", "10.30")
    where = "src/gold/shop/tests/daily.yaml, line 10"
    assert found.pairs == (Pair(expected, came, where, ("amount",)),)
    assert (found.expected, found.found) == (2, 2)


def test_columns_that_no_expected_row_names_do_not_matter(lake: Lake) -> None:
    text = edited(ADDS_UP, ", amount: null", "")
    passes(lake.shop(), DAILY_TEST, edited(text, ", amount: 10.3}", "}"))


def test_a_table_without_rows_is_expected_by_an_empty_list(lake: Lake) -> None:
    text = "no_orders_no_days:\n  given: {silver.shop.orders: []}\n  expect: []\n"
    passes(lake.shop(), DAILY_TEST, text)
    lake.edit("gold/shop/daily.sql", "GROUP BY day", "GROUP BY day UNION ALL SELECT DATE '2026-01-31', 0, 0")
    assert differs(lake, DAILY_TEST, text).pairs == (Pair(None, ("2026-01-31", "0", "0.00")),)


def test_floats_are_equal_but_for_their_last_digits(lake: Lake) -> None:
    lake.shop().edit("gold/shop/contract.yaml", 'physicalType: "decimal(18,2)"', "physicalType: double")
    model = "SELECT day, count(*) AS orders, sum(amount)::DOUBLE / 3 AS amount FROM silver.shop.orders GROUP BY day"
    lake.write("gold/shop/daily.sql", model)
    given = "a_third:\n  given:\n    silver.shop.orders: [{day: 2026-01-31, amount: 1}]\n"
    passes(lake, DAILY_TEST, f"{given}  expect: [{{amount: 0.33333333333}}]\n")
    assert differs(lake, DAILY_TEST, f"{given}  expect: [{{amount: 0.3333333}}]\n").pairs


def test_given_and_expected_rows_may_stand_in_files(lake: Lake) -> None:
    lake.shop()
    lake.write(
        "gold/shop/tests/orders.csv", 'order_id,day,amount\n1,2026-01-31,"10.10"\n2,2026-01-31,0.20\n3,2026-02-01,\n'
    )
    lake.write(
        "gold/shop/tests/days.json", '[{"day": "2026-01-31", "amount": 10.30}, {"day": "2026-02-01", "amount": null}]'
    )
    text = "of_files:\n  given: {silver.shop.orders: {file: orders.csv}}\n  expect: {file: days.json}\n"
    passes(lake, DAILY_TEST, text)
    lake.write(
        "gold/shop/tests/days.json", '[{"day": "2026-01-31", "amount": 10.31}, {"day": "2026-02-01", "amount": null}]'
    )
    pair = Pair(("2026-01-31", "10.31"), None, "src/gold/shop/tests/days.json, object 1")
    assert pair in differs(lake, DAILY_TEST, text).pairs


def test_a_row_may_be_another_one_but_for_some_values(lake: Lake) -> None:
    text = """
merged:
  given:
    silver.shop.orders:
      - &order {order_id: 1, day: 2026-01-31, amount: 10.10}
      - {<<: *order, order_id: 2, amount: 0.20}
  expect: [{day: 2026-01-31, amount: 10.30}]
"""
    passes(lake.shop(), DAILY_TEST, text)


def test_an_optional_source_may_be_left_out_and_any_other_may_not(lake: Lake) -> None:
    lake.shop().write("silver/shop/refunds.yaml", ORDERS.replace("orders", "refunds").replace("Orders", "Refunds"))
    model = """
    SELECT day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount
    FROM (SELECT * FROM silver.shop.orders UNION ALL SELECT * REPLACE (-amount AS amount) FROM silver.shop.refunds)
    GROUP BY day
    """
    lake.write("gold/shop/daily.sql", model)
    found = errors(lake, DAILY_TEST, ADDS_UP)
    assert [error.what for error in found] == ["nothing is given of silver.shop.refunds, which daily reads"]
    optional = "    customProperties: [{property: optionalSources, value: [silver.shop.refunds]}]\n"
    lake.write("gold/shop/contract.yaml", MART + optional)
    passes(lake, DAILY_TEST, ADDS_UP)


def test_a_python_model_is_tested_like_any_other(lake: Lake) -> None:
    lake.shop()
    (lake.root / "src/gold/shop/daily.sql").unlink()
    model = """
import polars as pl

def model(tables):
    orders = tables["silver.shop.orders"].group_by("day")
    amount = pl.col("amount").drop_nulls().sum().cast(pl.Decimal(18, 2))
    return orders.agg(pl.len().cast(pl.Int64).alias("orders"), amount.alias("amount"))
"""
    lake.write("gold/shop/daily.py", model)
    reads = "{name: day, transformSourceObjects: [silver.shop.orders], "
    lake.edit("gold/shop/contract.yaml", "{name: day, ", reads)
    passes(lake, DAILY_TEST, edited(ADDS_UP, "amount: null", "amount: 0"))
    assert differs(lake, DAILY_TEST, ADDS_UP).pairs


def test_a_model_that_asks_for_the_run_date_is_given_one(lake: Lake) -> None:
    lake.shop().edit("gold/shop/daily.sql", "GROUP BY", "WHERE day <= run_date() GROUP BY")
    found = errors(lake, DAILY_TEST, ADDS_UP)
    assert [error.what for error in found] == ["daily asks for run_date()"]
    text = ADDS_UP.replace("  given:", "  run_date: 2026-01-31\n  given:")
    passes(lake, DAILY_TEST, edited(text, "    - {day: 2026-02-01, orders: 1, amount: null}\n", ""))
    passes(lake, DAILY_TEST, ADDS_UP.replace("  given:", "  run_date: 2026-02-01\n  given:"))


def test_of_a_column_that_no_expected_row_names_nothing_is_asked(lake: Lake) -> None:
    lake.shop().edit("gold/shop/contract.yaml", "{name: day, ", "{name: day, primaryKey: true, ")
    text = """
without_days:
  given: {silver.shop.orders: [{amount: 10.10}]}
  expect: [{amount: 10.10}]
"""
    passes(lake, DAILY_TEST, text)
    result = one(lake, DAILY_TEST, edited(text, "expect: [{", "expect: [{day: null, "))
    assert result.error is not None
    assert result.error.what == "1 rows without day"


def test_a_result_that_breaks_the_contract_ends_the_test(lake: Lake) -> None:
    lake.shop().edit("gold/shop/contract.yaml", "{name: day, ", "{name: day, primaryKey: true, ")
    lake.edit("gold/shop/daily.sql", "GROUP BY day", "GROUP BY day, amount")
    result = one(lake, DAILY_TEST, ADDS_UP)
    assert not result.passed
    assert result.error is not None
    assert result.error.what == "key occurs more than once: 2026-01-31 (2 rows)"


# -- a silver table


def test_silver_is_given_what_lands_and_expects_the_table_and_its_quarantine(lake: Lake) -> None:
    passes(lake.shop(), ORDERS_TEST, NEWEST)


def test_what_a_test_gives_silver_is_what_the_lake_makes_of_the_same_file(lake: Lake) -> None:
    lake.shop().write(
        "silver/shop/tests/day.csv", "order_id,day,amount,updated\n1,2026-01-31,10.10,1\n1,2026-01-31,0.20,2\n2,x,1,1\n"
    )
    text = """
from_a_file:
  given: {bronze.shop.orders: {file: day.csv}}
  expect: [{order_id: 1, day: 2026-01-31, amount: 0.20, updated: 2, _file: shop/orders/day.csv, _row: 2}]
  quarantine: [{order_id: "2", day: x, _reasons: [day]}]
"""
    passes(lake, ORDERS_TEST, text)
    lake.land("shop/orders/day.csv", (lake.root / "src/silver/shop/tests/day.csv").read_bytes())
    lake.good()
    kept = lake.rows("SELECT order_id, day::VARCHAR, amount::VARCHAR, updated, _file, _row FROM silver.shop.orders")
    assert kept == [(1, "2026-01-31", "0.20", 2, "shop/orders/day.csv", 2)]
    assert lake.rows("SELECT _reasons FROM quarantine.shop.orders") == [(["day: cannot read x as date"],)]


def test_rows_land_in_the_file_that_they_name(lake: Lake) -> None:
    """Expressions read its path and the record's number; a statement is a file, however many there are in a load."""
    lake.shop().edit("silver/shop/orders.yaml", "shop/orders/*.csv", "shop/orders/*/*.csv")
    lake.edit(
        "silver/shop/orders.yaml",
        "{name: updated,",
        "{name: store, logicalType: string, transformLogic: \"split_part(_file, '/', 3)\"}\n"
        "      - {name: line, logicalType: integer, transformLogic: _row}\n      - {name: updated,",
    )
    text = """
named:
  given:
    bronze.shop.orders:
      - &order {_file: shop/orders/north/1.csv, order_id: 1, day: 2026-01-31, amount: 1, updated: 1}
      - {<<: *order, order_id: 2}
      - {<<: *order, order_id: 3, _file: shop/orders/south/1.csv.gz}
  expect:
    - {order_id: 1, store: north, line: 1, _file: shop/orders/north/1.csv}
    - {order_id: 2, store: north, line: 2, _file: shop/orders/north/1.csv}
    - {order_id: 3, store: south, line: 1, _file: shop/orders/south/1.csv.gz}
"""
    passes(lake, ORDERS_TEST, text)
    error = one(lake, ORDERS_TEST, edited(text, "shop/orders/south/1.csv.gz}", "shop/orders/1.csv}")).error
    assert error and error.what == "path shop/orders/*/*.csv does not take shop/orders/1.csv"
    assert error.where and error.where.endswith("orders.yaml, line 7")


def test_a_row_that_names_its_file_alone_is_a_file_without_a_row(lake: Lake) -> None:
    day = "regexp_extract(_file, '([0-9-]+)[.]', 1)"
    key = f'{{name: day, transformLogic: "{day}", primaryKey: true, primaryKeyPosition: 2,'
    lake.shop().edit("silver/shop/orders.yaml", "{name: day,", key)
    lake.edit("silver/shop/orders.yaml", "sequenceBy, value: [updated]", "replaces, value: [day]")
    text = """
empties_its_day:
  given:
    - bronze.shop.orders:
      - &order {_file: shop/orders/2026-01-30.csv, order_id: 1, amount: 1, updated: 1}
      - {<<: *order, _file: shop/orders/2026-01-31.csv}
    - bronze.shop.orders: [{_file: shop/orders/2026-01-31.csv}]
  expect:
    - {order_id: 1, day: 2026-01-30}
"""
    passes(lake, ORDERS_TEST, text)


def test_a_file_is_read_as_its_feed_says(lake: Lake) -> None:
    lake.shop().edit("silver/shop/orders.yaml", "format: csv}", 'format: csv, delimiter: ";", encoding: latin-1}')
    lake.edit(
        "silver/shop/orders.yaml", "{name: updated,", "{name: place, logicalType: string}\n      - {name: updated,"
    )
    (lake.root / "src/silver/shop/tests").mkdir()
    (lake.root / "src/silver/shop/tests/day.csv").write_bytes(
        "order_id;day;amount;place;updated\n1;2026-01-31;1;Malmö;1\n2;\n".encode("latin-1")
    )
    text = """
from_a_file:
  given: {bronze.shop.orders: {file: day.csv}}
  expect: [{order_id: 1, place: Malmö}]
  quarantine: [{_values: "2;", _reasons: [cannot split the line]}]
"""
    passes(lake, ORDERS_TEST, text)
    assert differs(lake, ORDERS_TEST, edited(text, '"2;"', '"3;"')).table == "quarantine.shop.orders"


@pytest.mark.parametrize("loads", [("1", "2"), ("2", "1")], ids=["in order", "the newer first"])
def test_loads_arrive_one_after_the_other(lake: Lake, loads: tuple[str, str]) -> None:
    text = "late_rows_do_not_win:\n  given:\n"
    for updated in loads:
        text += (
            f"    - bronze.shop.orders: [{{order_id: 1, day: 2026-01-31, amount: {updated}0, updated: {updated}}}]\n"
        )
    passes(lake.shop(), ORDERS_TEST, f"{text}  expect: [{{order_id: 1, amount: 20}}]\n")
    lake.edit("silver/shop/orders.yaml", "sequenceBy, value: [updated]", "onConflict, value: last")
    passes(lake, ORDERS_TEST, f"{text}  expect: [{{order_id: 1, amount: {loads[1]}0}}]\n")


def test_what_returns_to_an_earlier_state_has_arrived_again(lake: Lake) -> None:
    lake.shop().edit("silver/shop/orders.yaml", "sequenceBy, value: [updated]", "onConflict, value: last")
    text = "and_back_again:\n  given:\n"
    for amount in ("10", "20", "10"):
        text += f"    - bronze.shop.orders: [{{order_id: 1, day: 2026-01-31, amount: {amount}}}]\n"
    passes(lake, ORDERS_TEST, f"{text}  expect: [{{order_id: 1, amount: 10}}]\n")


def test_a_row_that_says_its_key_is_gone_takes_it_away(lake: Lake) -> None:
    lake.shop().edit(
        "silver/shop/orders.yaml",
        "value: [updated]}",
        "value: [updated]}\n      - {property: deleteWhen, value: amount = 0}",
    )
    text = """
gone:
  given:
    - bronze.shop.orders: [{order_id: 1, day: 2026-01-31, amount: 10, updated: 1}]
    - bronze.shop.orders: [{order_id: 1, day: 2026-01-31, amount: 0, updated: 3}]
    - bronze.shop.orders: [{order_id: 1, day: 2026-01-31, amount: 20, updated: 2}]
  expect: []
"""
    passes(lake, ORDERS_TEST, text)
    found = differs(lake, ORDERS_TEST, edited(text, "amount: 20, updated: 2", "amount: 20, updated: 4"))
    assert [pair.expected for pair in found.pairs] == [None]


def test_a_history_is_expected_with_its_validity(lake: Lake) -> None:
    lake.shop().edit(
        "silver/shop/orders.yaml",
        "{property: sequenceBy, value: [updated]}",
        "{property: sequenceBy, value: day}\n      - {property: history, value: scd2}",
    )
    text = """
versions:
  given:
    - bronze.shop.orders: [{order_id: 1, day: 2026-02-01, amount: 20}]
    - bronze.shop.orders: [{order_id: 1, day: 2026-01-31, amount: 10}]
  expect:
    - {order_id: 1, amount: 10, _valid_from: 2026-01-31, _valid_to: 2026-02-01, _is_current: false}
    - {order_id: 1, amount: 20, _valid_from: 2026-02-01, _valid_to: null, _is_current: true}
"""
    passes(lake, ORDERS_TEST, text)
    found = differs(lake, ORDERS_TEST, edited(text, "_valid_to: 2026-02-01", "_valid_to: 2026-02-02"))
    assert [pair.differing for pair in found.pairs] == [("_valid_to",)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("_reasons: [amount]", "_reasons: [day]"),
        ("_reasons: [amount]", "_reasons: [amount, day]"),
        ("_reasons: [amount]", "_reasons: []"),
        ('order_id: "2"', 'order_id: "3"'),
        ('    - {order_id: "2", _reasons: [amount]}\n', '    - {order_id: "2", _reasons: [amount]}\n' * 2),
        ('  quarantine:\n    - {order_id: "2", _reasons: [amount]}\n', ""),
        ('quarantine:\n    - {order_id: "2", _reasons: [amount]}\n', "quarantine: []\n"),
        ("amount: ten", 'amount: "10"'),
    ],
    ids=["another reason", "one more", "none", "another row", "twice", "not said", "said to be empty", "it passes"],
)
def test_a_row_in_quarantine_that_is_not_the_one_expected_is_seen(lake: Lake, old: str, new: str) -> None:
    result = one(lake.shop(), ORDERS_TEST, edited(NEWEST, old, new))
    assert result.error is None, result.error
    assert "quarantine.shop.orders" in [found.table for found in result.differences]


def test_a_test_may_expect_of_quarantine_alone(lake: Lake) -> None:
    text = edited(NEWEST, "  expect:\n    - {order_id: 1, amount: 0.20}\n", "")
    passes(lake.shop(), ORDERS_TEST, text)
    assert differs(lake, ORDERS_TEST, edited(text, "[amount]", "[day]")).table == "quarantine.shop.orders"


def test_a_load_of_rejects_alone_is_no_failure_in_a_test(lake: Lake) -> None:
    text = """
all_rejected:
  given: {bronze.shop.orders: [{order_id: one}]}
  expect: []
  quarantine: [{order_id: one, _reasons: [order_id, day, amount]}]
"""
    passes(lake.shop(), ORDERS_TEST, text)


def test_audits_and_foreign_keys_do_not_judge_the_rows_of_a_test(lake: Lake) -> None:
    lake.shop().write("silver/shop/ids.yaml", ORDERS.replace("orders", "ids").replace("order_id", "id"))
    key = "relationships: [{to: ids.id}], primaryKey: true"
    lake.edit("silver/shop/orders.yaml", "primaryKey: true", key)
    quality = "    quality: [{metric: rowCount, mustBeGreaterThan: 100, severity: error}]\n    customProperties:"
    lake.edit("silver/shop/orders.yaml", "    customProperties:", quality)
    passes(lake, ORDERS_TEST, NEWEST)
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2026-01-31,1,1\n")
    failure = str(lake.run().failures["silver.shop.orders"])  # as it does where they do
    assert "rowCount" in failure
    assert "relationship" in failure


def test_objects_in_a_file_of_json_are_written_as_they_are(lake: Lake) -> None:
    lake.shop().edit(
        "silver/shop/orders.yaml", "shop/orders/*.csv, format: csv", "shop/orders/*.ndjson, format: ndjson"
    )
    lake.edit(
        "silver/shop/orders.yaml",
        "{name: updated,",
        "{name: place, logicalType: string, transformLogic: \"place ->> '$.town'\"}\n      - {name: updated,",
    )
    text = """
nested:
  given: {bronze.shop.orders: [{order_id: 1, day: 2026-01-31, amount: 1.10, place: {town: Oslo, zip: 0150}}]}
  expect: [{order_id: 1, place: Oslo, amount: 1.10}]
"""
    passes(lake, ORDERS_TEST, text)


# -- what is no test


WRONG = [
    (DAILY_TEST, ADDS_UP, "  expect:", "  expects:", "unknown key expects", 8, "did you mean `expect`?"),
    (
        DAILY_TEST,
        ADDS_UP,
        ADDS_UP[ADDS_UP.index("  expect:") :],
        "",
        "a test that cannot fail: it expects nothing",
        2,
        "write `expect:`",
    ),
    (DAILY_TEST, ADDS_UP, "adds_up_a_day:", "Adds up:", "test name Adds up", 2, "snake case"),
    (
        DAILY_TEST,
        ADDS_UP,
        "silver.shop.orders",
        "silver.shop.order",
        "daily does not read silver.shop.order",
        4,
        "did you mean `silver.shop.orders`?",
    ),
    (DAILY_TEST, ADDS_UP, "order_id: 2", "order: 2", "no column order", 6, "did you mean `order_id`?"),
    (DAILY_TEST, ADDS_UP, "orders: 2, ", "orders: 2, days: 1, ", "no column days", 10, "did you mean `day`?"),
    (DAILY_TEST, ADDS_UP, "orders: 2, ", "", "the row leaves out orders, which another row names", 10, "write null"),
    (DAILY_TEST, ADDS_UP, "orders: 2, ", "orders: [2], ", "orders is a list", 10, "one value"),
    (
        DAILY_TEST,
        ADDS_UP,
        "  given:",
        "  table: weekly\n  given:",
        "no table weekly beside the folder",
        3,
        "known: daily",
    ),
    (
        DAILY_TEST,
        ADDS_UP,
        "  given:",
        "  run_date: 2026-01-31\n  given:",
        "daily does not ask for run_date()",
        3,
        "remove it",
    ),
    (
        DAILY_TEST,
        ADDS_UP,
        "  expect:",
        "  expect: {file: days.csv}\n  given:",
        "no file days.csv beside daily.yaml",
        8,
        "known: none",
    ),
    (DAILY_TEST, ADDS_UP, "  expect:", "  expect: {rows: []}\n  given:", "unknown key rows", 8, "known: file"),
    (DAILY_TEST, ADDS_UP, "  expect:", "  given: {}\n  expect:", "duplicate key given", 8, "keep one"),
    (DAILY_TEST, ADDS_UP, "  given:", "  quarantine: []\n  given:", "unknown key quarantine", 3, "known: "),
    (DAILY_TEST, "# nothing\n", "#", "#", "no tests", None, "write one"),
    (DAILY_TEST, "a: [\n", "a", "a", "not YAML", 2, "syntax"),
    (DAILY_TEST, "a: &b [*b]\n", "a", "a", "an alias that stands for itself", 1, ""),
    ("gold/shop/tests/daily.yml", ADDS_UP, "day", "day", "daily.yml is not read", None, "daily.yaml"),
    (
        ORDERS_TEST,
        NEWEST,
        "bronze.shop.orders",
        "silver.shop.orders",
        "orders does not read silver.shop.orders",
        4,
        "bronze.shop.orders",
    ),
    (ORDERS_TEST, NEWEST, ", _reasons: [amount]", "", "a row of quarantine without _reasons", 11, "`_reasons: [...]`"),
    (ORDERS_TEST, NEWEST, "[amount]", '[""]', "a reason in _reasons is empty", 11, "one value"),
    (ORDERS_TEST, NEWEST, "amount: ten", "amount: {of: 10}", "amount is keys and values", 7, "in quotes"),
    (
        ORDERS_TEST,
        "nothing:\n  given: {bronze.shop.orders: []}\n  expect: []\n",
        "nothing",
        "nothing",
        "nothing is given",
        2,
        "write the rows",
    ),
]


@pytest.mark.parametrize(("path", "text", "old", "new", "what", "line", "fix"), WRONG, ids=[row[4] for row in WRONG])
def test_what_is_wrong_with_a_test_is_said_with_its_line(
    lake: Lake, path: str, text: str, old: str, new: str, what: str, line: int | None, fix: str
) -> None:
    found = errors(lake.shop(), path, edited(text, old, new))
    matching = [error for error in found if error.what.startswith(what)]
    assert matching, [str(error) for error in found]
    assert matching[0].where is not None
    assert matching[0].where.startswith(f"src/{path}" + (f", line {line}" if line else ""))
    assert fix in (matching[0].fix or "")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("amount: 10.10", "amount: 10.105", "amount: '10.105' is no decimal(18,2)"),
        ("day: 2026-02-01}", "day: 2026-02-30}", "day: '2026-02-30' is no date"),
        ("orders: 2, ", "orders: 2.5, ", "orders: '2.5' is no bigint"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_no_value(lake: Lake, old: str, new: str, what: str) -> None:
    result = one(lake.shop(), DAILY_TEST, edited(ADDS_UP, old, new))
    assert result.error is not None
    assert (result.error.what, result.passed) == (what, False)
    assert result.error.where is not None
    assert result.error.where.startswith("src/gold/shop/tests/daily.yaml, line ")


def test_a_column_of_quarantine_that_did_not_land_is_no_column(lake: Lake) -> None:
    result = one(lake.shop(), ORDERS_TEST, edited(NEWEST, 'order_id: "2", _reasons', 'orderid: "2", _reasons'))
    assert result.error is not None
    assert result.error.what == "no column orderid in what landed"
    assert "`order_id`" in (result.error.fix or "")


def test_everything_that_is_wrong_is_said_at_once(lake: Lake) -> None:
    lake.shop().write(ORDERS_TEST, edited(NEWEST, "expect", "expects"))
    found = errors(lake, DAILY_TEST, edited(edited(ADDS_UP, "orders: 2, ", ""), "order_id: 2", "order: 2"))
    assert len(found) == 3


def test_two_tests_of_one_table_have_two_names(lake: Lake) -> None:
    lake.shop().write(DAILY_TEST, ADDS_UP)
    found = errors(lake, "gold/shop/tests/more.yaml", ADDS_UP)
    assert [error.what for error in found] == [
        "daily has another test adds_up_a_day, in src/gold/shop/tests/daily.yaml, line 2"
    ]


# -- the folder


def test_the_folder_of_tests_holds_no_table(lake: Lake) -> None:
    lake.shop().write(DAILY_TEST, ADDS_UP)
    lake.write(ORDERS_TEST, NEWEST)
    lake.write("silver/shop/tests/refunds.sql", "SELECT 1")
    with open_project(lake.settings) as project:
        assert [*project.contracts.silver, *project.contracts.gold] == ["silver.shop.orders", "gold.shop.daily"]


def test_a_domain_may_be_named_tests(lake: Lake) -> None:
    lake.write("silver/tests/orders.yaml", ORDERS.replace("shop", "tests"))
    passes(lake, "silver/tests/tests/orders.yaml", NEWEST.replace("shop", "tests"))


def test_tests_leave_the_lake_as_it_is(lake: Lake) -> None:
    lake.shop().write(DAILY_TEST, ADDS_UP)
    passes(lake, ORDERS_TEST, NEWEST)
    assert not lake.data.exists()


# -- which tests


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ([], ["the_newest_wins", "adds_up_a_day"]),
        (["gold"], ["adds_up_a_day"]),
        (["silver.shop"], ["the_newest_wins"]),
        (["gold.shop.daily"], ["adds_up_a_day"]),
        (["gold.shop.daily.adds_up_a_day", "silver.shop.orders"], ["the_newest_wins", "adds_up_a_day"]),
        (["*.adds_*"], ["adds_up_a_day"]),
    ],
)
def test_tests_are_chosen_by_table_name_or_pattern(lake: Lake, chosen: list[str], names: list[str]) -> None:
    lake.shop().write(DAILY_TEST, ADDS_UP)
    lake.write(ORDERS_TEST, NEWEST)
    with open_project(lake.settings) as project:
        assert [test.name for test in model_tests.select(model_tests.read(project), chosen)] == names


def test_choosing_no_test_is_an_error(lake: Lake) -> None:
    lake.shop().write(DAILY_TEST, ADDS_UP)
    with open_project(lake.settings) as project, pytest.raises(UsageError) as raised:
        model_tests.select(model_tests.read(project), ["gold.shop.dail"])
    assert raised.value.what == "no test of gold.shop.dail"
    assert raised.value.fix == "the tables with tests are gold.shop.daily"


# -- the command


def command(lake: Lake, *args: str) -> int:
    return commands.main(["test", *args, "--project", str(lake.root)], lake.root, main.carry)


def test_the_command_shows_what_differs_and_ends_with_the_code_of_data(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop().edit("gold/shop/contract.yaml", "{name: day, ", "{name: day, primaryKey: true, ")
    lake.write(DAILY_TEST, edited(ADDS_UP, "10.3}", "10.31}"))
    lake.write(ORDERS_TEST, edited(NEWEST, "_reasons: [amount]", "_reasons: [day, amount]"))
    assert command(lake) == 4
    shown = re.sub(r", [\d.]+ s\)$", ")", capsys.readouterr().out.strip())
    assert (
        shown
        == """
✗ silver.shop.orders.the_newest_wins  (src/silver/shop/tests/orders.yaml, line 2)
    quarantine.shop.orders: rows expected 1, found 1
       order_id  _reasons
    ~  2         day; amount > amount: cannot read ten as decimal(18,2)  line 11
✗ gold.shop.daily.adds_up_a_day  (src/gold/shop/tests/daily.yaml, line 2)
    gold.shop.daily: rows expected 2, found 2
       day         amount
    ~  2026-01-31  10.31 > 10.30  line 10
- expected, not found   + found, not expected   ~ expected > found
2 of 2 tests failed (2 tables)""".strip()
    )


def test_rows_without_a_counterpart_are_shown_whole(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop().write(DAILY_TEST, edited(ADDS_UP, "day: 2026-02-01, orders: 1", "day: 2026-02-02, orders: 1"))
    assert command(lake) == 4
    assert capsys.readouterr().out.splitlines()[2:5] == [
        "       day         orders  amount",
        "    -  2026-02-02  1       null    line 9",
        "    +  2026-02-01  1       null",
    ]


def test_the_command_gives_every_result_as_json(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop().write(DAILY_TEST, edited(ADDS_UP, "10.3}", "10.31}"))
    lake.write(ORDERS_TEST, NEWEST)
    assert command(lake, "--json") == 4
    found = json.loads(capsys.readouterr().out)
    assert found["failed"] == 1
    passed, failed = found["tests"]
    assert (passed["id"], passed["passed"], passed["differences"]) == ("silver.shop.orders.the_newest_wins", True, [])
    assert (failed["passed"], failed["where"]) == (False, "src/gold/shop/tests/daily.yaml, line 2")
    row = {"day": "2026-01-31", "orders": "2", "amount": "10.31"}
    missing = {
        "expected": row,
        "found": None,
        "where": "src/gold/shop/tests/daily.yaml, line 10",
        "differing": list[str](),
    }
    assert missing in failed["differences"][0]["rows"]


def test_the_command_runs_the_tests_that_are_chosen(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop().write(DAILY_TEST, edited(ADDS_UP, "10.3}", "10.31}"))
    lake.write(ORDERS_TEST, NEWEST)
    assert command(lake, "--select", "silver.shop.orders") == 0
    assert "1 test passed (1 table, " in capsys.readouterr().out
    assert command(lake, "--select", "silver,gold.shop.daily") == 4
    assert command(lake, "--select", "gold.shop.weekly") == 2


def test_a_file_that_says_what_cannot_be_ends_with_the_code_of_contracts(lake: Lake) -> None:
    lake.shop().write(DAILY_TEST, edited(ADDS_UP, "expect", "expects"))
    assert command(lake) == 3


def test_a_project_without_tests_is_told_where_they_go(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    render(lake.shop())
    capsys.readouterr()
    assert command(lake) == 0
    assert capsys.readouterr().out.startswith("no tests yet: write src/gold/<mart>/tests/<table>.yaml")


def render(lake: Lake) -> None:
    with open_project(lake.settings) as project:
        documents.write(lake.root, project)


def test_a_readme_that_is_not_what_its_contract_says_fails_the_project(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop().write(DAILY_TEST, ADDS_UP)
    assert command(lake) == 1
    assert f"where: {lake.root}/src/gold/shop/README.md" in capsys.readouterr().err
    render(lake)
    assert command(lake) == 0
    assert capsys.readouterr().out.endswith("valid: the contracts and models of 2 tables; up to date: 1 README\n")
    lake.edit("gold/shop/contract.yaml", "What was sold on which day", "What was sold")
    assert command(lake, "--select", "gold.shop.daily") == 0
    assert command(lake, "--json") == 1
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["stale_readmes"] == [f"{lake.root}/src/gold/shop/README.md"]


def test_a_contract_or_model_that_is_wrong_fails_the_project(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop().edit("gold/shop/daily.sql", "GROUP BY day", "GROUP day BY")
    assert command(lake) == 3
    assert "src/gold/shop/daily.sql" in capsys.readouterr().err
