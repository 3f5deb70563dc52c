"""Screens of a hard lake in a browser: many tables, many rejected rows, cells of megabytes, and markup everywhere.

`make test` has a short form of it: a smaller lake, and the screens that show most of what others wrote.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from browser import PHONE, WIDE, Served, Tab, needs_browser, served, tab_of
from conftest import Lake
from hard_lake import LONG_TABLE, ORDERS_TABLE, SCRIPT, Size, hard

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_browser
SMALL = Size(tables=20, built=3, rejected=200, cell=1_000_000)
LARGE = Size(tables=500, built=20, rejected=10_000, cell=5_000_000)
LONGEST = 2_000_000  # characters of a screen
MARK = quote(SCRIPT, safe="")
SCREENS = ("/", f"/table/{ORDERS_TABLE}", f"/quarantine?table={ORDERS_TABLE}")
ALL_SCREENS = (
    *SCREENS,
    "/lineage",
    f"/lineage?domain={LONG_TABLE.split('.')[1]}",
    "/lineage?domain=area0",
    f"/lineage?around={ORDERS_TABLE}",
    f"/lineage?column={ORDERS_TABLE}.note",
    f"/lineage?q={MARK}",
    f"/table/{LONG_TABLE}",
    f"/table/{ORDERS_TABLE.replace('silver', 'bronze')}",
    "/quarantine",
    f"/quarantine?table={ORDERS_TABLE}&page=200",
    f"/quarantine/replay?table={ORDERS_TABLE}",
    "/feeds",
    "/marts",
    "/mart/shop",
    "/mart/shop/daily",
    "/plan",
    "/runs",
    "/run/{run}",
    f"/sql?q={MARK}",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _site(tmp_path_factory, SMALL)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _site(tmp_path_factory, LARGE)


def _site(made: pytest.TempPathFactory, size: Size) -> Iterator[Served]:
    root = made.mktemp("hard")
    for layer in ("silver", "gold"):
        (root / "src" / layer).mkdir(parents=True)
    with served(hard(Lake(root), size)) as page:
        yield page


def test_screens_of_a_hard_lake_are_sound(chromium: Browser, small: Served) -> None:
    with tab_of(chromium, small) as tab:
        found = []
        for path in SCREENS:
            tab.open(path)
            found += unescaped(small.ask("GET", path).text) + at_a_glance(tab, path)
        found += wrong_with_the_answer(tab) + at_a_glance(tab, "/sql")
        tab.open(f"/table/{LONG_TABLE}")
        found += tab.too_wide(LONG_TABLE, *PHONE)
    assert found == []


@pytest.mark.parametrize(
    "path", [f"/{MARK}", f"/plan?select={MARK}", f"/table/{MARK}", f"/sql?q={MARK}", f"/?message={MARK}"]
)
def test_an_address_is_text(small: Served, path: str) -> None:
    assert unescaped(small.ask("GET", path).text) == []


def test_many_feeds_of_which_nothing_has_landed_are_folded(small: Served) -> None:
    text = small.ask("GET", "/feeds").text
    assert "1 of 22 feeds needs a look" in text
    assert "<details><summary>16 feeds</summary>" in text


@pytest.mark.long
@pytest.mark.parametrize("path", ALL_SCREENS)
def test_every_screen_of_a_hard_lake_is_sound(chromium: Browser, large: Served, path: str) -> None:
    assert wrong(chromium, large, path) == []


@pytest.mark.long
def test_an_answer_of_a_hard_lake_is_sound(chromium: Browser, large: Served) -> None:
    with tab_of(chromium, large) as tab:
        assert wrong_with_the_answer(tab) + tab.look("/sql") == []


def wrong(browser: Browser, site: Served, path: str) -> list[str]:
    """Return what is wrong with a screen; that the browser complained fails the test at the end of `tab_of`."""
    began = time.monotonic()
    answer = site.ask("GET", path.replace("{run}", site.last_run))
    print(f"{path}: {answer.status}, {len(answer.text):,} characters, {time.monotonic() - began:.2f} s")
    with tab_of(browser, site) as tab:
        return unescaped(answer.text) + tab.look_at(path) + ran(tab)


def wrong_with_the_answer(tab: Tab) -> list[str]:
    """Ask for the longest values as a person does, and return what is wrong with the answer."""
    sql = f"SELECT note, '{SCRIPT}' AS \"{SCRIPT}\", order_id FROM {ORDERS_TABLE} ORDER BY length(note) DESC"
    tab.open("/sql")
    tab.page.locator("#sql").fill(sql)
    with tab.page.expect_navigation():  # until its styles are there too
        tab.page.get_by_role("button", name="Run").click()
    tab.page.get_by_role("heading", name="30 rows").wait_for()
    assert re.search(r"… [\d,]{7,} more characters", tab.page.locator("tbody tr").first.inner_text())
    return unescaped(tab.page.content()) + ran(tab)


def at_a_glance(tab: Tab, path: str) -> list[str]:
    """Return what is wrong with the screen that is shown, without the other window sizes and colours of `look`."""
    return tab.too_wide(path, *WIDE) + tab.too_wide(path, *PHONE) + tab.violations() + ran(tab)


def unescaped(text: str) -> list[str]:
    """Return what is wrong with the text of a screen, before a browser has a say."""
    found = [f"{len(text):,} characters"] if len(text) > LONGEST else []
    return found + [f"{tag} in it" for tag in ("<script>", "<img") if tag in text]


def ran(tab: Tab) -> list[str]:
    return ["a script of the data ran"] if tab.page.evaluate("'ran' in window") else []
