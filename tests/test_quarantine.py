"""The life of a rejected row: listed, shown, waived for a while, passed after a fix exactly once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from conftest import Lake

HEADER = "order_id,day,amount,updated\n"


def rejecting(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "silver/shop/orders.yaml",
        '"decimal(18,2)", required: true',
        '"decimal(18,2)", logicalTypeOptions: {minimum: 5}',
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,1,1\n3,2024-01-01,2,1\nx,2024-01-01,9,1\n")
    lake.good()


def test_rejected_rows_are_listed_by_reason_and_shown_with_their_values(lake: Lake) -> None:
    rejecting(lake)
    listed = lake.typed("quarantine", "list").stdout
    assert "amount: #.## is less than the minimum #     2       0" in listed
    shown = lake.typed("quarantine", "show", "--table", "silver.shop.orders").stdout
    assert "shop/orders/1.csv" in shown
    assert "amount: 1.00 is less than the minimum 5" in shown
    assert '"amount":"1"' in shown


def test_every_reason_has_a_code_that_names_the_rule_and_the_column(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "silver/shop/orders.yaml",
        "physicalType: integer}",
        "physicalType: integer, enum: [{value: 1}, {value: 2}], logicalTypeOptions: {maximum: 2}}",
    )
    lake.edit(
        "silver/shop/orders.yaml",
        "customProperties:\n",
        "customProperties:\n      - {property: onConflict, value: quarantine}\n",
    )
    lake.land(
        "shop/orders/1.csv",
        HEADER + "1,2024-01-01,10,1\n2,,x,1\n3,2024-01-01,1,9\n4,2024-01-01\n5,2024-01-01,1,1\n5,2024-01-01,2,1\n",
    )
    lake.run()
    assert lake.rows("SELECT _row, _codes, len(_reasons) FROM quarantine.shop.orders ORDER BY _row") == [
        (2, ["required:day", "type:amount"], 2),
        (3, ["maximum:updated", "enum:updated"], 2),
        (4, ["line"], 1),
        (5, ["conflict:order_id"], 1),
        (6, ["conflict:order_id"], 1),
    ]


@pytest.mark.long
def test_a_waiver_may_name_a_code(lake: Lake) -> None:
    rejecting(lake)
    words = ["quarantine", "waive", "--table", "silver.shop.orders", "--reason", "known", "--until", str(date.today())]
    assert "1 rows of silver.shop.orders" in lake.typed(*words, "--matching", "type:order_id").stdout
    assert "type:order_id" in lake.typed("quarantine", "show", "--table", "silver.shop.orders").stdout


@pytest.mark.long
def test_after_a_fix_replay_moves_the_rows_that_now_pass_exactly_once(lake: Lake) -> None:
    rejecting(lake)
    idle = lake.typed("quarantine", "replay", "--table", "silver.shop.orders")
    assert "3 rows were in quarantine, 3 are" in idle.stdout
    lake.edit("silver/shop/orders.yaml", "minimum: 5", "minimum: 2")
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    replayed = lake.typed("quarantine", "replay", "--table", "silver.shop.orders")
    assert replayed.returncode == 0, replayed.stderr
    assert "3 rows were in quarantine, 2 are" in replayed.stdout
    assert lake.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(1,), (3,)]
    assert lake.rows("SELECT orders, amount FROM gold.shop.daily") == [(2, 12)]
    lake.typed("quarantine", "replay", "--table", "silver.shop.orders")
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(2,)]


@pytest.mark.long
def test_a_waiver_has_a_reason_and_an_end_and_is_counted_apart_until_then(lake: Lake) -> None:
    rejecting(lake)
    words = ["quarantine", "waive", "--table", "silver.shop.orders", "--matching", "minimum"]
    tomorrow = str(date.today() + timedelta(days=2))
    assert lake.typed(*words, "--until", tomorrow).returncode == 2
    assert lake.typed(*words, "--reason", "small change").returncode == 2
    assert lake.typed(*words, "--reason", "small change", "--until", "2020-01-01").returncode == 2
    assert lake.typed(*words[:-1], "unheard of", "--reason", "x", "--until", tomorrow).returncode == 2
    waived = lake.typed(*words, "--reason", "small change", "--until", tomorrow)
    assert "2 rows of silver.shop.orders" in waived.stdout, waived.stderr
    assert "amount: #.## is less than the minimum #     0       2" in lake.typed("quarantine", "list").stdout
    assert lake.rows("SELECT matching, reason FROM ops.waivers") == [("minimum", "small change")]


def test_a_waiver_that_is_over_counts_no_more(lake: Lake) -> None:
    from src.maintenance import quarantine
    from src.project import open_engine
    from src.run import runs

    rejecting(lake)
    now = runs.now()
    waiver = quarantine.Waiver("silver.shop.orders", "minimum", "small change", now.date(), now, "")
    with open_engine(lake.settings) as engine:
        quarantine.waive(engine, lake.data, waiver)
        assert "minimum" in quarantine.waived(engine, lake.data, "silver.shop.orders", now.date())
        assert "minimum" not in quarantine.waived(
            engine, lake.data, "silver.shop.orders", now.date() + timedelta(days=1)
        )


@pytest.mark.parametrize("verb", ["show", "replay", "waive"])
def test_a_table_that_is_not_there_is_refused_with_those_that_are(lake: Lake, verb: str) -> None:
    rejecting(lake)
    ended = lake.typed("quarantine", verb, "--table", "silver.shop.nothing", "--reason", "x", "--until", "2999-01-01")
    assert ended.returncode == 2
    assert "silver.shop.orders" in ended.stderr
