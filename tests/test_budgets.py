"""Budgets of a month: how far each is spent and when it will be, with months made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from conftest import Lake
from made_costs import cost, keep

from src import monitors
from src.monitors import Findings
from src.project import open_project
from src.run import costs
from src.run.costs import Cost

SECONDS = 10_000  # at 0.36 an hour: 1.00


def look(lake: Lake, moment: str) -> Findings:
    """What the monitors find in the shop at a moment (UTC)."""
    lake.environ |= {"COST_PER_CPU_HOUR": "0.36"}
    lake.shop()
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, datetime.fromisoformat(moment).replace(tzinfo=UTC))


def told(found: Findings) -> list[tuple[str, str, str]]:
    return [(one.urgency, one.subject, one.what) for one in found.problems if one.kind == "budget"]


def ten_days(month: str = "2024-02") -> list[Cost]:
    """A month in which each of the first ten days cost 1.00, after a month that cost 5.00."""
    days = [cost(at, f"{month}-{at:02d}", seconds=SECONDS) for at in range(1, 11)]
    return [cost(0, "2024-01-31", seconds=5 * SECONDS), *days]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("29", []),  # 10 so far, and 19 days of 1.00 left: all of it, and no more
        ("28", [("P3", "shop", "10.00 of 28.00 EUR of 2024-02 spent, 36%; at this rate all of it on 2024-02-28")]),
        ("12.5", [("P3", "shop", "10.00 of 12.50 EUR of 2024-02 spent, 80%; at this rate all of it on 2024-02-13")]),
        ("10", [("P3", "shop", "10.00 of 10.00 EUR of 2024-02 spent, 100%")]),
        ("9.99", [("P2", "shop", "10.00 of 9.99 EUR of 2024-02 spent, 100%")]),
    ],
)
def test_a_budget_is_a_problem_when_it_is_spent_or_will_be(
    lake: Lake, budget: str, expected: list[tuple[str, str, str]]
) -> None:
    lake.environ["BUDGET_SHOP"] = budget
    keep(lake, ten_days())
    assert told(look(lake, "2024-02-10T20:00")) == expected


def test_a_forecast_of_few_days_is_no_problem_yet(lake: Lake) -> None:
    lake.environ["BUDGET_SHOP"] = "20"
    keep(lake, ten_days()[:5])
    assert told(look(lake, "2024-02-04T20:00")) == []
    assert told(look(lake, "2024-02-05T20:00"))[0][0] == "P3"


def test_a_forecast_takes_the_processor_as_it_was_and_storage_as_it_stands(lake: Lake) -> None:
    lake.environ["BUDGET_SHOP"] = "100"
    keep(lake, [cost(1, "2024-02-25", seconds=2 * SECONDS, gb=10), cost(2, "2024-02-26", gb=20)])
    (found,) = look(lake, "2024-02-26T12:00").budgets
    # storage at 0.03 a GB and day: 0.30, 0.60; the days left, 27 to 29: 1.00 and 0.60 each
    assert (found.spent, found.forecast) == (Decimal("2.9"), Decimal("7.7"))
    assert (found.remaining, found.utilisation, found.reached_on) == (Decimal("97.1"), 0.029, None)


def test_a_new_month_begins_with_nothing_spent(lake: Lake) -> None:
    lake.environ["BUDGET_SHOP"] = "2"
    keep(lake, ten_days())
    assert told(look(lake, "2024-02-29T23:59"))[0][0] == "P2"
    found = look(lake, "2024-03-01T00:00")
    assert told(found) == []
    assert (found.budgets[0].spent, found.budgets[0].month) == (Decimal(0), date(2024, 3, 1))


def test_months_begin_in_the_time_zone_of_the_project(lake: Lake) -> None:
    lake.environ |= {"BUDGET_SHOP": "2", "TIMEZONE": "Europe/Oslo"}
    keep(lake, ten_days())
    assert look(lake, "2024-02-29T22:59").budgets[0].month == date(2024, 2, 1)
    assert look(lake, "2024-02-29T23:00").budgets[0].month == date(2024, 3, 1)
    with open_project(lake.settings) as project:
        assert costs.local_day(project, datetime(2024, 2, 29, 23, tzinfo=UTC)) == date(2024, 3, 1)


def test_a_clock_that_was_years_ahead_spends_nothing_of_this_month(lake: Lake) -> None:
    lake.environ["BUDGET_SHOP"] = "20"
    keep(lake, [cost(1, "2031-02-01", seconds=90 * SECONDS, gb=9000), cost(2, "2024-02-10", seconds=SECONDS)])
    assert [row.spent for row in look(lake, "2024-02-10T12:00").budgets] == [1]


def test_a_budget_that_cannot_be_watched_is_a_problem(lake: Lake) -> None:
    lake.environ |= {"BUDGET_SHPO": "5", "COST_PER_CPU_HOUR": "0"}
    keep(lake, ten_days())
    assert told(look(lake, "2024-02-10T12:00")) == [("P3", "BUDGET_SHPO", "a budget of no domain")]
    lake.environ |= {"COST_PER_GB_MONTH": "0"}
    with open_project(replace(lake.settings, cost_per_cpu_hour=Decimal(0))) as project:
        found = monitors.evaluate(project, datetime(2024, 2, 10, tzinfo=UTC))
    assert [one.subject for one in found.problems if one.kind == "budget"] == ["BUDGET_SHPO", "prices"]
    fix = next(one.fix for one in found.problems if one.kind == "budget")
    assert fix == "name one of BUDGET_OPS, BUDGET_SHOP, or remove it"
