"""Notebooks beside the marts: another site for the browser, behind the same guard."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import Served, launched, needs_browser, served
from conftest import ROOT, Lake

needs_marimo = pytest.mark.skipif(importlib.util.find_spec("marimo") is None, reason="no marimo: ./setup.sh --notebook")
NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    mo.md("# Forty-" + "two")
    return
"""


@pytest.fixture
def shop(lake: Lake) -> Lake:
    lake.shop().write("gold/shop/page.py", NOTEBOOK)
    return lake


def test_a_notebook_is_no_model_and_no_run_looks_at_it(shop: Lake) -> None:
    shop.good()
    shop.write("gold/shop/page.py", "nothing that Python can read (")
    assert shop.good().failures == {}


def test_a_mart_without_one_says_where_to_write_it(lake: Lake) -> None:
    with served(lake.shop()) as page:
        answer = page.ask("GET", "/notebook/shop")
        assert page.ask("GET", "/notebook/other").status == 400
    assert answer.status == 400 and "src/gold/shop/page.py" in answer.text


def test_without_marimo_it_says_what_to_type(shop: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "marimo", None)
    with served(shop) as page:
        answer = page.ask("GET", "/notebook/shop")
    assert answer.status == 400 and "./setup.sh --notebook" in answer.text


def test_a_page_that_only_shows_has_none(shop: Lake) -> None:
    shop.environ["PAGE_READONLY"] = "true"
    with served(shop) as page:
        assert page.ask("GET", "/notebook/shop").status == 403


@needs_marimo
def test_it_is_another_site_behind_the_same_guard(shop: Lake) -> None:
    with served(shop) as page:
        there = page.ask("GET", "/notebook/shop").headers["location"]
        assert page.ask("GET", "/notebook/shop").headers["location"] == there  # one server for all who come
        at = urlsplit(there)
        assert at.hostname != urlsplit(page.url).hostname and page.key not in there
        key = at.query.removeprefix("key=")
        cookie = f"notebook-{at.port}={key}"
        beside = Served(shop, f"http://{at.netloc}/", key, "")
        assert beside.ask("GET", "/shop/", Cookie=None).status == 403
        assert beside.ask("GET", "/shop/", Cookie=page.cookie).status == 403
        assert beside.ask("GET", "/shop/", Cookie=cookie, Host="evil.example").status == 421
        shown = beside.ask("GET", "/shop/", Cookie=cookie)
        assert shown.status == 200 and "'unsafe-inline'" in shown.headers["content-security-policy"]
        assert "'unsafe-inline'" not in page.ask("GET", "/").headers["content-security-policy"]
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        upgrade |= {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        for headers in ({"Cookie": None, "Origin": f"http://{at.netloc}"}, {"Cookie": cookie, "Origin": page.url}):
            assert beside.ask("GET", "/shop/ws?session_id=s", **upgrade, **headers).status == 403


@needs_marimo
@needs_browser
def test_it_is_shown_and_cannot_reach_the_page(shop: Lake) -> None:
    with served(shop) as page, launched() as browser:
        tab = browser.new_page()
        asked: set[str] = set()
        tab.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
        tab.goto(f"{page.url}?key={page.key}")
        tab.wait_for_url(page.url)
        tab.goto(f"{page.url}mart/shop")
        tab.get_by_role("link", name="notebook").click()  # as a person comes: from the page, which is another site
        tab.get_by_role("heading", name="Forty-two").wait_for(timeout=60_000)
        assert "key" not in tab.url
        assert asked == {urlsplit(page.url).hostname, urlsplit(tab.url).hostname}  # nothing from elsewhere
        read = "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), error => 'refused')"
        assert tab.evaluate(read, page.url) == "refused"


def test_the_notebook_that_is_shipped_reads_columns_that_its_table_has() -> None:
    path: Path = ROOT / "src/gold/sales/page.py"
    if not path.is_file():
        pytest.skip("the sample company was removed")
    text, contract = path.read_text(encoding="utf-8"), (path.parent / "contract.yaml").read_text(encoding="utf-8")
    for column in ("order_month", "country", "net_revenue", "orders"):
        assert f'"{column}"' in text and f"name: {column}\n" in contract
