"""The report about the platform itself: performance, cost, access; what cannot be read is said, the rest is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from conftest import Lake

from src.monitors import Findings
from src.project import open_project
from src.report import operations, pages
from src.report.operation_sections import sections
from src.report.operations import Operations

HEADER = "order_id,day,amount,updated\n"


def shop(lake: Lake) -> Lake:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    assert lake.command("run") == 0
    assert lake.typed("query", "select * from silver.shop.orders where order_id = 7").returncode == 0
    return lake


def read(lake: Lake) -> Operations:
    with open_project(lake.settings) as project:
        return operations.read_operations(project, datetime.now(UTC) + timedelta(seconds=1), Findings())


def shown(found: Operations) -> dict[str, str]:
    """The Markdown of each section by its title."""
    now = date.today()
    made = {each.title: each for each in sections(found, now)}
    return {title: pages.markdown(pages.Page("", "", "", True, (section,))) for title, section in made.items()}


def test_the_report_tells_what_is_slow_what_it_costs_and_who_reads(lake: Lake) -> None:
    found = read(shop(lake))
    assert {(row.layer, row.seconds > 0) for row in found.layers} == {
        ("bronze", True),
        ("silver", True),
        ("gold", True),
    }
    assert {row.table for row in found.slow_tables} == {"bronze.shop.orders", "silver.shop.orders", "gold.shop.daily"}
    text = shown(found)
    assert list(text) == ["Performance", "Cost", "Access", "Security"]  # no model is declared
    assert "where order\\_id = ?" in text["Performance"].lower() or "order_id = ?" in text["Performance"].lower()
    assert "| silver.shop.orders | 1 |" in text["Performance"]
    assert "There are no prices set" in text["Cost"] and "| shop |" in text["Cost"]
    assert "| silver.shop.orders | 1 | 0 | 0 |" in text["Access"]
    assert "the index was not asked today" in text["Security"]  # it is by --review alone


def test_prices_make_amounts(lake: Lake) -> None:
    lake.environ |= {"COST_PER_CPU_HOUR": "3600", "COST_PER_GB_MONTH": "1", "COST_CURRENCY": "CHF", "BUDGET_SHOP": "9"}
    text = shown(read(shop(lake)))["Cost"]
    assert "CHF in " in text and "| shop | 9.00 |" in text


def test_what_cannot_be_read_is_said_and_the_rest_is_told(lake: Lake) -> None:
    shop(lake)
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    for path in (lake.data / "ops/cost/_delta_log").glob("*.json"):
        path.write_text("{", encoding="utf-8")
    text = shown(read(lake))
    assert "Cannot be told: " in text["Cost"] and "make check" in text["Cost"]
    assert "| silver.shop.orders |" in text["Performance"]


def test_a_lake_without_a_run_has_nothing_to_tell(lake: Lake) -> None:
    lake.shop()
    text = shown(read(lake))
    assert "No step yet." in text["Performance"]
    assert "Nothing is recorded yet" in text["Cost"] and "No read is recorded yet" in text["Access"]
