"""Costs by day add up, whatever the days, the clock and the number of runs: literals worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from conftest import Lake, reader
from made_costs import cost, keep, own

from src import catalog
from src.run import costs
from src.run.costs import Cost
from src.views.cost import daily, trend

TREND = trend("DATE '2024-02-01'")


def days(lake: Lake, rows: list[Cost], today: str, what: str = "day::VARCHAR, amount") -> list[tuple[Any, ...]]:
    """What the view has of these records on a day, by day and table."""
    keep(lake, rows)
    catalog.publish_named(reader(), lake.data, [costs.TABLE])
    reader().publish("ops.cost_daily", daily(f"DATE '{today}'"))
    return reader().rows(f'SELECT {what} FROM ops.cost_daily ORDER BY day, "table"')


def test_three_runs_of_a_day_pay_its_storage_once_and_their_seconds_each(lake: Lake) -> None:
    rows = [cost(number, "2024-02-28", seconds=100, gb=number) for number in (1, 2, 3)]
    # 300 s at 0.0001; the 3 GB of the last run at 0.03
    expected = [("2024-02-28", Decimal("0.03"), Decimal("0.09"), Decimal("0.12"))]
    assert days(lake, rows, "2024-02-28", "day::VARCHAR, cpu_amount, storage_amount, amount") == expected


def test_a_day_without_a_run_costs_its_storage_and_each_month_its_own_price_of_a_day(lake: Lake) -> None:
    expected = [
        ("2024-02-28", Decimal("0.04")),  # 100 s, and 1 GB
        ("2024-02-29", Decimal("0.03")),  # 0.87 / 29
        ("2024-03-01", Decimal("0.028064516")),  # 0.87 / 31
    ]
    assert days(lake, [cost(1, "2024-02-28", seconds=100, gb=1)], "2024-03-01") == expected


def test_a_price_holds_for_the_runs_of_its_time(lake: Lake) -> None:
    dearer = cost(2, "2024-02-29", seconds=100, gb=1, cpu_hour_price=Decimal("3.6"), gb_month_price=Decimal("8.7"))
    rows = [cost(1, "2024-02-28", seconds=100, gb=1), cost(1, "2024-02-29", seconds=100), dearer]
    # the second day has 0.01 and 0.10 of processor, and storage at the last price
    assert days(lake, rows, "2024-02-29") == [("2024-02-28", Decimal("0.04")), ("2024-02-29", Decimal("0.41"))]


def test_a_table_that_a_complete_measuring_has_not_is_gone(lake: Lake) -> None:
    rows = [cost(1, "2024-02-27", gb=1), cost(1, "2024-02-27", "silver.shop.other", gb=1), own(1, "2024-02-27")]
    rows += [cost(2, "2024-02-29", gb=2), own(2, "2024-02-29")]
    found = days(lake, rows, "2024-02-29", 'day::VARCHAR, "table", live_bytes // 1000000000')
    orders, other = "silver.shop.orders", "silver.shop.other"
    assert [row for row in found if row[1] != "run"] == [
        ("2024-02-27", orders, 1),
        ("2024-02-27", other, 1),
        ("2024-02-28", orders, 1),
        ("2024-02-28", other, 1),
        ("2024-02-29", orders, 2),
    ]


def test_a_clock_that_was_wrong_counts_no_day_twice_and_no_day_to_come(lake: Lake) -> None:
    rows = [
        cost(1, "2024-02-26", gb=1),
        cost(2, "2031-01-01", seconds=100, gb=50),  # the clock was years ahead,
        cost(3, "2024-02-27", gb=2),  # and was put right
    ]
    weighs = "day::VARCHAR, live_bytes // 1000000000"
    assert days(lake, rows, "2024-02-29", weighs) == [
        ("2024-02-26", 1),
        ("2024-02-27", 2),
        ("2024-02-28", 2),
        ("2024-02-29", 2),
        ("2031-01-01", None),
    ]
    assert days(lake, [], "2031-01-01", weighs)[-1] == ("2031-01-01", 2)


def test_a_clock_that_is_ahead_still_gives_no_day_to_come_a_weight(lake: Lake) -> None:
    rows = [cost(1, "2024-02-27", gb=1), cost(2, "2024-03-09", gb=2)]
    assert days(lake, rows, "2024-02-28", "day::VARCHAR, live_bytes // 1000000000")[:2] == [
        ("2024-02-27", 1),
        ("2024-02-28", 1),
    ]
    assert reader().one("SELECT count(live_bytes) FROM ops.cost_daily") == (2,)


def test_a_clock_put_back_a_day_leaves_each_day_one_weight(lake: Lake) -> None:
    rows = [cost(1, "2024-02-28", gb=1), cost(2, "2024-02-27", gb=3)]
    assert days(lake, rows, "2024-02-28", "day::VARCHAR, live_bytes // 1000000000") == [
        ("2024-02-27", 3),
        ("2024-02-28", 3),
    ]


def test_the_tables_of_a_day_add_up_to_its_domains_and_to_the_whole(lake: Lake) -> None:
    names = ["bronze.shop.orders", "silver.shop.orders", "gold.mart.daily", "quarantine.shop.orders", "ops.ops.cost"]
    price: dict[str, Any] = {"cpu_hour_price": Decimal("0.041"), "gb_month_price": Decimal("0.0237")}
    rows = [
        replace(cost(at, f"2024-02-{20 + at}", name, seconds=7 * at + nth, gb=at), live_bytes=at * 7919 + nth, **price)
        for at in (1, 2, 3)
        for nth, name in enumerate(names)
    ]
    days(lake, rows, "2024-02-29")

    def sums(by: str) -> tuple[Any, ...]:
        return reader().one(
            f"SELECT sum(a), sum(c + s) FROM (SELECT sum(amount) a, sum(cpu_amount) c, "
            f"sum(storage_amount) s FROM ops.cost_daily GROUP BY {by})"
        )

    assert sums('day, domain, "table"') == sums("day, domain") == sums("day") == sums("true")
    amounts = [cpu(7 * at + nth) for at in (1, 2, 3) for nth in range(5)]
    assert reader().one("SELECT sum(cpu_amount) FROM ops.cost_daily") == (sum(amounts),)


def cpu(seconds: int) -> Decimal:
    return (Decimal(seconds) * Decimal("0.041") / 3600).quantize(Decimal("1e-9"))


def test_a_trend_is_the_mean_day_of_a_week_beside_the_four_weeks_before(lake: Lake) -> None:
    rows = [cost(at, f"2024-01-{at:02d}", seconds=10) for at in range(4, 25)]
    rows += [cost(at, f"2024-01-{at:02d}", seconds=40) for at in range(25, 32)]
    days(lake, [*rows, cost(32, "2024-02-01", seconds=999)], "2024-02-01")
    assert reader().rows(f"SELECT days, days_before, cpu_seconds, cpu_seconds_before FROM ({TREND})") == [
        (7, 21, 40.0, 10.0)
    ]


@pytest.mark.parametrize("days_old", [0, 3])
def test_a_young_lake_has_the_trend_of_its_days(lake: Lake, days_old: int) -> None:
    rows = [cost(at, f"2024-02-{20 + at}", seconds=10) for at in range(days_old + 1)]
    days(lake, rows, f"2024-02-{20 + days_old}")
    sql = trend(f"DATE '2024-02-{20 + days_old}'")
    found = reader().rows(f"SELECT days, days_before, cpu_seconds FROM ({sql})")
    assert found == ([] if days_old == 0 else [(3, 0, 10.0)])
