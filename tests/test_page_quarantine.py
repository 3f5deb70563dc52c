"""Quarantine on the page: by reason, page by page, and a replay before it is done."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from conftest import Lake
from page_site import Site, opened

from src.run import lock

LONG = 5_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop with 10,000 rejected rows, one of them of 5 MB and one that is HTML."""
    lake = Lake(tmp_path_factory.mktemp("quarantine"))
    (lake.root / ".env").write_text("SETTLE_SECONDS=0\nSAMPLE_FEED=false\n", encoding="utf-8")
    lake.shop()
    bound = "value: [updated]}\n      - {property: maxRejected, value: 100%}"
    lake.edit("silver/shop/orders.yaml", "value: [updated]}", bound)
    rows = [f"{number},2024-01-01,{number},1" for number in range(20)]
    rows += [f"{number},2024-01-02,5 euro,1" for number in range(20, 10_018)]
    rows += ["10018,<script>alert(1)</script>,5,1", f"10019,2024-01-03,{'9' * LONG},1"]
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n" + "\n".join(rows) + "\n")
    lake.good()
    made = opened(lake)
    yield made
    made.page.look.close()


def test_rejected_rows_stand_by_reason_with_one_of_them(site: Site) -> None:
    text = site.get("/quarantine").text
    assert "10,000 rows in quarantine, in 1 table" in text
    groups = re.findall(r"<strong>([\d,]+) rows?</strong></a> *([^\n]*)</p>", text)
    assert [count for count, _ in groups] == ["9,999", "1"]
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text
    assert "shop/orders/1.csv:" in text


def test_a_cell_of_5_mb_is_cut_and_its_length_is_told(site: Site) -> None:
    pages = [site.get(f"/quarantine?table=silver.shop.orders&page={number}") for number in (1, 200)]
    found = [page.text for page in pages if re.search(r"… 5,000,\d\d\d characters", page.text)]
    assert len(found) == 1
    assert len(found[0]) < 60_000


def test_the_rows_of_a_table_come_page_by_page_and_by_reason(site: Site) -> None:
    first = site.get("/quarantine?table=silver.shop.orders").text
    assert first.count('<pre class="raw"') == 50
    assert "page 1 of 200" in first and ">Older</a>" in first and ">Newer</a>" not in first
    assert ">Older</a>" not in site.get("/quarantine?table=silver.shop.orders&page=200").text
    assert "None." in site.get("/quarantine?table=silver.shop.orders&page=9999999").text
    one = site.get("/quarantine?table=silver.shop.orders&code=type:day").text
    assert one.count('<pre class="raw"') == 1
    assert site.get("/quarantine?table=silver.shop.orders&code='").text.count('<pre class="raw"') == 0
    assert site.get("/quarantine?table=silver.shop.nothing").status == 400


def test_a_replay_is_told_before_it_is_done(lake: Lake) -> None:
    (lake.root / ".env").write_text("SETTLE_SECONDS=0\nSAMPLE_FEED=false\n", encoding="utf-8")
    lake.shop()
    rows = ["1,2024-01-01,10,1", "2,2024-01-02,5 euro,1", "3,2024-01-02,6 euro,1", "4,yesterday,5 euro,1"]
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n" + "\n".join(rows) + "\n")
    lake.good()
    site = opened(lake)
    assert "A replay would change nothing" in site.get("/quarantine/replay?table=silver.shop.orders").text
    cleaned = "logicalType: number, physicalType: \"decimal(18,2)\", transformLogic: \"replace(amount, ' euro', '')\""
    lake.edit("silver/shop/orders.yaml", 'logicalType: number, physicalType: "decimal(18,2)"', cleaned)
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    text = site.get("/quarantine/replay?table=silver.shop.orders").text
    assert "2 of 3 rows would pass" in text
    assert "1 would be in quarantine, where 3 are" in text
    assert 'href="/table/gold.shop.daily"' in text
    assert site.post("/act/replay", table="silver.shop.orders").headers["location"].startswith("/run/")
    until = time.monotonic() + 60
    while lock.holder(lake.data) and time.monotonic() < until:
        time.sleep(0.05)
    assert "1 row in quarantine" in site.get("/quarantine").text
    site.page.look.close()
