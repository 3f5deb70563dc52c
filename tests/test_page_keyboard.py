"""The page without a mouse: what Tab reaches and in which order, that one sees where one is, and the SQL screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser import Served, Tab, needs_browser, served
from conftest import Lake

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = needs_browser
HEADER = "order_id,day,amount,updated\n"
FOCUSED = "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"
OUTLINE = "(style => [style.outlineStyle, style.outlineWidth])(getComputedStyle(document.activeElement))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A shop whose second file cannot be read, so that there is a cause."""
    lake = Lake(tmp_path_factory.mktemp("keyboard")).shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2026-01-01,10,1\n2,2026-01-02,20,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "nothing;of;this\n1;2;3\n")
    lake.run()
    lake.command("health")
    with served(lake) as page:
        yield page


def walked(tab: Tab, last: str, most: int = 40) -> list[str]:
    """Press Tab until what is called `last` has the focus; return what had it. Wherever it is, one sees it."""
    names: list[str] = []
    while last not in names and len(names) < most:
        tab.page.keyboard.press("Tab")
        names.append(str(tab.page.evaluate(FOCUSED)))
        assert tab.page.evaluate(OUTLINE) == ["solid", "2px"], f"no outline around {names[-1]}"
    return names


def test_from_the_top_of_home_a_cause_is_acknowledged_by_keyboard(tab: Tab) -> None:
    tab.open("/")
    names = walked(tab, "Acknowledge source bronze.shop.orders")
    assert names[:3] == ["To the content", "Boathouse", "Home"]
    assert names.index("Plan") < names.index("bronze.shop.orders") < len(names) - 1
    tab.page.keyboard.press("Enter")
    tab.page.get_by_role("status").get_by_text("bronze.shop.orders").wait_for()
    assert "acked" in tab.page.locator("article", has_text="source bronze.shop.orders").first.inner_text()


def test_the_bars_of_runs_and_the_boxes_of_the_lineage_are_reached_by_keyboard(tab: Tab, site: Served) -> None:
    tab.open("/")
    assert tab.page.locator("svg a[href^='/run/']").count() == 2
    tab.page.locator("svg a").first.focus()
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate(OUTLINE) == ["solid", "2px"]
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(f"**/run/{site.last_run}")
    tab.open("/lineage")
    tab.page.get_by_label("The drawing").focus()
    boxes = [walked(tab, "", most=1)[0] for _ in range(3)]
    assert [box for box in boxes if "orders" in box or "daily" in box] == boxes
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/table/*")


# -- SQL


def sql_screen(tab: Tab) -> Locator:
    """Open the SQL screen, wait until the names are there, and return the text."""
    with tab.page.expect_response("**/sql/names"):
        tab.open("/sql")
    text = tab.page.locator("#sql[aria-controls=names]")
    text.wait_for()
    return text


def test_a_query_is_completed_and_run_by_keyboard(tab: Tab) -> None:
    text, offered = sql_screen(tab), tab.page.get_by_role("option")
    text.press_sequentially("select * from gold.")
    assert offered.all_inner_texts() == ["gold.shop.daily"]
    text.press("ArrowDown")
    assert offered.first.get_attribute("aria-selected") == "true"
    assert text.get_attribute("aria-activedescendant") == offered.first.get_attribute("id")
    text.press("Enter")
    assert text.input_value() == "select * from gold.shop.daily"
    text.press_sequentially(" where am")  # a column of the table that it names
    text.press("ArrowUp")
    text.press("Tab")
    assert text.input_value() == "select * from gold.shop.daily where amount"
    assert tab.page.evaluate("document.activeElement.id") == "sql"
    text.press_sequentially(" > 15")
    text.press("Control+Enter")
    tab.page.get_by_role("heading", name="1 row").wait_for()
    assert tab.page.locator("tbody td").all_inner_texts() == ["2026-01-02", "1", "20.00"]


def test_the_names_close_with_escape_and_keys_are_their_own_where_none_is_chosen(tab: Tab) -> None:
    text, names = sql_screen(tab), tab.page.locator("#names")
    text.press_sequentially("gold")
    assert names.is_visible()
    text.press("Escape")
    assert names.is_hidden() and text.input_value() == "gold"
    text.press("Control+Space")
    assert names.is_visible()
    text.press("Enter")  # none is chosen: a new line
    assert text.input_value() == "gold\n"
    text.press("Tab")  # nor is the keyboard caught
    assert tab.page.evaluate("document.activeElement.id") != "sql"
