"""The catalogue: a folder that opens anywhere, the same for the same lake, without values that are classified."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import DAILY, MART, ORDERS, Lake

import src.page
from src.page import catalogue
from src.project import open_project

CHROMIUM = "/usr/bin/chromium"
SECRET = "ann@example.com"
CLOSED = """
      - {name: email, logicalType: string, physicalType: varchar, classification: confidential}
      - {name: mailbox, logicalType: string, physicalType: varchar, transformLogic: "split_part(email, '@', 1)"}
      - {name: host, logicalType: string, physicalType: varchar, classification: internal, transformLogic: "email[5:]"}
"""
CONTACT = """
      - {name: contact, logicalType: string, physicalType: varchar}
      - {name: host, logicalType: string, physicalType: varchar}
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A shop with a confidential column, one that is made of it in each layer, and rows that name its values."""
    made = Lake(tmp_path_factory.mktemp("catalogue"))
    for layer in ("silver", "gold"):
        (made.root / "src" / layer).mkdir(parents=True)
    columns, custom = ORDERS.split("    customProperties:")
    made.write("silver/shop/orders.yaml", f"{columns.rstrip()}{CLOSED}    customProperties:{custom}")
    made.write("gold/shop/contract.yaml", MART.rstrip() + CONTACT)
    made.write(
        "gold/shop/daily.sql", DAILY.replace("count(*)", "max(upper(email)) AS contact, max(host) AS host, count(*)")
    )
    head = "order_id,day,amount,updated,email\n"
    made.land("shop/orders/1.csv", f"{head}1,2026-01-01,10,1,{SECRET}\nx,2026-01-01,20,1,{SECRET}\n")
    made.good()
    return made


@pytest.fixture(scope="module")
def folder(lake: Lake) -> Iterator[Path]:
    with open_project(lake.settings) as project:
        written = catalogue.write(project)
    assert written is not None and written.changed == written.files
    yield written.folder


def test_every_link_leads_to_a_file_of_the_folder(folder: Path) -> None:
    targets = {
        (page.name, address.partition("#")[0])
        for page in folder.glob("*.html")
        for address in re.findall(r'(?:href|src|action)="([^"]*)"', page.read_text(encoding="utf-8"))
    }
    assert len(targets) > 40
    broken = [(page, to) for page, to in targets if to and not (folder / unquote(to)).is_file()]
    assert broken == []


def test_there_is_a_page_for_each_table_mart_and_domain_and_one_to_find_them(folder: Path) -> None:
    assert sorted(path.name for path in folder.glob("*.html")) == [
        "bronze.shop.orders.html",
        "gold.shop.daily.html",
        "index.html",
        "lineage.html",
        "lineage.shop.html",
        "mart.shop.daily.html",
        "mart.shop.html",
        "silver.shop.orders.html",
    ]
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'data-text="([^"]*)"', index)[1].startswith("gold.shop.daily gold.shop.daily  day orders amount")


def test_the_same_lake_gives_the_same_bytes_and_a_page_of_what_is_gone_is_removed(lake: Lake, folder: Path) -> None:
    (folder / "silver.shop.gone.html").write_text("of before", encoding="utf-8")
    (folder / "mine.txt").write_text("not ours", encoding="utf-8")
    with open_project(lake.settings) as project:
        written = catalogue.write(project)
    assert written is not None and (written.changed, written.removed) == (0, 1)
    assert not (folder / "silver.shop.gone.html").exists() and (folder / "mine.txt").exists()


def test_no_value_of_a_classified_column_or_of_what_is_made_of_it_is_in_the_folder(folder: Path) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert [name for name, text in texts.items() if SECRET in text or SECRET.upper() in text] == []
    silver, gold = texts["silver.shop.orders.html"], texts["gold.shop.daily.html"]
    assert "Left out, as they are classified or made of what is: email, mailbox." in silver
    assert "<td>ann</td>" not in silver
    assert "Left out, as they are classified or made of what is: contact." in gold
    assert "<td>example.com</td>" in silver and "<td>example.com</td>" in gold  # the contract says internal
    assert "none of its rows are in the catalogue" in texts["bronze.shop.orders.html"]


def test_a_column_says_what_it_is_made_of(folder: Path) -> None:
    gold = (folder / "gold.shop.daily.html").read_text(encoding="utf-8")
    assert 'made of <a href="silver.shop.orders.html#column-email">silver.shop.orders.email</a>' in gold


def test_nothing_can_be_done_from_it(folder: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.html")]
    assert [text for text in texts if "<form" in text or 'href="/' in text or 'src="/' in text] == []


def test_a_browser_opens_it_from_a_folder_and_finds_what_is_typed(folder: Path) -> None:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    browsers = pytest.importorskip("playwright.sync_api", reason="./setup.sh --dev brings playwright")
    told: list[str] = []
    with browsers.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("requestfailed", lambda request: told.append(f"{request.url}: {request.failure}"))
        page.on("pageerror", lambda error: told.append(str(error)))
        for name in ("silver.shop.orders", "mart.shop", "lineage", "index"):
            page.goto((folder / f"{name}.html").as_uri())
        page.get_by_label("Find").fill("EMAIL amount")
        found = page.locator(".entries li:visible a").all_inner_texts()
        page.get_by_role("link", name="silver.shop.orders").click()
        title = page.title()
        browser.close()
    told = [one for one in told if not one.endswith("net::ERR_ABORTED")]  # by going on to the next page
    assert (found, title, told) == (["silver.shop.orders"], "silver.shop.orders · Catalogue", [])


def test_docs_says_where_it_is_and_why_it_is_not(
    lake: Lake, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lake.command("docs") == 0  # which writes a README that the mart's page shows
    capsys.readouterr()
    assert lake.command("docs") == 0
    told = capsys.readouterr().out
    assert "catalogue: 0 of 17 files changed" in told and f"open {folder}/index.html" in told
    monkeypatch.delattr(src.page, "catalogue")
    monkeypatch.setitem(sys.modules, "src.page.catalogue", None)
    assert lake.command("docs") == 0
    assert "note: no catalogue: it needs src.page.catalogue, which is not installed -> ./setup.sh" in "".join(
        capsys.readouterr()
    )


def test_before_any_run_there_is_none(tmp_path: Path) -> None:
    empty = Lake(tmp_path).shop()
    with open_project(empty.settings) as project:
        assert catalogue.write(project) is None
    assert not (empty.data / "catalogue").exists()
