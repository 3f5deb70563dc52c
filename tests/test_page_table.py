"""The screen of a table: what it says of a table that failed, of rejected rows, of long values and of unsafe ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape

import pytest
from conftest import ORDERS, Lake

from src.errors import UsageError
from src.facts import Facts, read_facts
from src.facts import table as facts_of
from src.facts.samples import read_sample
from src.masking.masks import NONE
from src.page import rendering, tables
from src.project import Project, open_project

UNSAFE = "<script>alert(1)</script>"
LONG = "x" * 5_000_000
AUDIT = """
    quality:
      - {id: few_rows, description: A small shop., type: library, metric: rowCount, mustBeLessThan: 3, severity: error}
"""
NOTE = """
      - {name: note, logicalType: string, physicalType: varchar, classification: confidential, description: "What <b>"}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Facts]]:
    """A shop whose second load breaks an audit, after one with a rejected row and a long value."""
    lake = Lake(tmp_path_factory.mktemp("shop"))
    for layer in ("silver", "gold"):
        (lake.root / "src" / layer).mkdir(parents=True)
    lake.shop()
    columns, custom = ORDERS.split("    customProperties:")
    lake.write("silver/shop/orders.yaml", f"{columns.rstrip()}{NOTE}    customProperties:{custom.rstrip()}{AUDIT}")
    head = "order_id,day,amount,updated,note\n"
    lake.land("shop/orders/1.csv", f"{head}1,2026-01-01,10,1,{UNSAFE}\n2,2026-01-01,20,1,{LONG}\nx,{UNSAFE},1,1,\n")
    lake.good()
    lake.land("shop/orders/2.csv", f"{head}3,2026-01-02,10,1,\n")
    assert set(lake.run().failures) == {"silver.shop.orders"}
    with open_project(lake.settings) as project:
        yield project, read_facts(project, datetime.now(UTC))


def screen(shop: tuple[Project, Facts], table: str, depth: int = 1) -> str:
    """The HTML of a table's screen."""
    project, facts = shop
    values = tables.content(project, facts, table, depth, rendering.table_url, NONE)
    common = {"facts": facts, "path": "/", "menu": (), "message": "", "form_token": "", "readonly": False}
    return rendering.rendered(rendering.environment(), "table.html", common | values)


def words_of(html: str) -> str:
    """The text of a screen as it is read, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_a_failed_table_says_why_where_and_to_which_cause_it_belongs(shop: tuple[Project, Facts]) -> None:
    text = words_of(screen(shop, "silver.shop.orders"))
    assert "silver.shop.orders ✗ failed" in text
    assert "audit failed: rowCount is 3, mustBeLessThan 3" in text
    assert "where src/silver/shop/orders.yaml" in text
    assert 'href="/#cause-1"' in screen(shop, "silver.shop.orders")


def test_a_blocked_table_names_the_cause_that_it_waits_for(shop: tuple[Project, Facts]) -> None:
    text = words_of(screen(shop, "gold.shop.daily"))
    assert "its last step was not done: it waits for silver.shop.orders" in text
    assert "table silver.shop.orders : failed: audit failed: rowCount is 3, mustBeLessThan 3 where: src/" in text


def test_rejected_rows_stand_with_file_row_reason_and_their_text(shop: tuple[Project, Facts]) -> None:
    text = words_of(screen(shop, "silver.shop.orders"))
    assert "1 in quarantine" in text
    assert "shop/orders/1.csv:3 order_id: cannot read x as bigint" in text
    assert '"day":"<script>alert(1)</script>"' in text


def test_no_value_or_word_of_a_lake_becomes_a_tag(shop: tuple[Project, Facts]) -> None:
    html = screen(shop, "silver.shop.orders")
    assert html.count("<script") == html.count("</script>") == 1  # our own, by its address
    assert "What &lt;b&gt;" in html


def test_a_long_value_is_cut_and_its_length_is_said(shop: tuple[Project, Facts]) -> None:
    html = screen(shop, "silver.shop.orders")
    assert len(html) < 60_000
    assert "x… 5,000,000 characters" in words_of(html)


def test_rows_are_those_of_the_version_that_readers_see(shop: tuple[Project, Facts]) -> None:
    project, facts = shop
    standing = facts.tables["silver.shop.orders"].standing
    assert standing is not None
    sample = read_sample(project, "silver.shop.orders", standing.version, NONE)
    assert sample is not None and sample.released
    assert [[cell.text for cell in row[:3]] for row in sample.rows] == [
        ["1", "2026-01-01", "10.00"],
        ["2", "2026-01-01", "20.00"],
    ]


def test_each_step_says_what_it_changed(shop: tuple[Project, Facts]) -> None:
    steps = facts_of.read_steps(shop[0], "silver.shop.orders")
    assert [(step.status, step.wrote, step.inserted, step.quarantined) for step in steps] == [
        ("failed", False, 0, 0),
        ("success", True, 2, 1),
    ]
    assert steps[0].error.startswith("audit failed: rowCount")


def test_an_audit_has_its_last_result_of_each_day(shop: tuple[Project, Facts]) -> None:
    project, facts = shop
    (audit,) = facts_of.read_audits(project, "silver.shop.orders", facts.read_at.date())
    assert (audit.rule, audit.asked, audit.severity) == ("rowCount", "is less than 3", "error")
    assert {day: (one.passed, one.value) for day, one in audit.days.items()} == {facts.read_at.date(): (False, 3.0)}


def test_a_feed_says_what_landed(shop: tuple[Project, Facts]) -> None:
    text = words_of(screen(shop, "bronze.shop.orders"))
    assert "shop/orders/*.csv , csv" in text
    assert "What landed 2 files so far" in text
    assert "shop/orders/2.csv 1 0" in text


def test_what_there_is_no_table_of_is_told_with_what_is_meant(shop: tuple[Project, Facts]) -> None:
    with pytest.raises(UsageError, match="did you mean silver"):
        facts_of.read_declaration(shop[0], "silver.shop.order")


def test_the_lineage_goes_one_level_each_way_and_more_when_asked(shop: tuple[Project, Facts]) -> None:
    assert "title>gold.shop.daily" not in screen(shop, "bronze.shop.orders")
    assert "title>gold.shop.daily" in screen(shop, "bronze.shop.orders", depth=2)


def test_a_part_that_cannot_be_read_leaves_the_rest(
    shop: tuple[Project, Facts], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise UsageError("the file is gone")

    monkeypatch.setattr(tables, "read_sample", broken)
    text = words_of(screen(shop, "silver.shop.orders"))
    assert "This cannot be read: the file is gone" in text
    assert "A small shop." in text
