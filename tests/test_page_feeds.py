"""Feeds on the page: what landed and how often, what is odd about it, and the files that nobody takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from conftest import Lake
from page_site import Site, opened

from src.facts import feeds
from src.project import open_project
from src.run import runs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop in which two loads landed, one row of the last was refused, and a file that no feed takes."""
    lake = Lake(tmp_path_factory.mktemp("feeds"))
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    lake.land(
        "shop/orders/2.csv", "order_id,day,amount,updated\n2,2024-01-02,10,1\n3,2024-01-02,5,1\n4,2024-01-02,x,1\n"
    )
    lake.good()
    lake.good()  # it found nothing new
    lake.land("shop/<b>stray.txt", "")
    made = opened(lake)
    yield made
    made.page.look.close()


def test_a_feed_says_what_its_last_load_brought(site: Site) -> None:
    with open_project(site.lake.settings) as project:
        found = feeds.read_landed(project, runs.now())
    [orders] = found.feeds
    assert orders.last
    assert (orders.last.files, orders.last.rows, orders.last.rejected) == (1, 3, 0)
    assert orders.last.names == ("shop/orders/2.csv",)
    assert orders.last.refused == (("silver.shop.orders", 1),)
    assert found.unclaimed == ("shop/<b>stray.txt",)
    text = site.get("/feeds").text
    assert "1 file, 3 rows" in text and "1 row refused by silver.shop.orders" in text
    assert "shop/&lt;b&gt;stray.txt" in text and "<b>stray" not in text


def test_the_next_files_are_expected_as_they_mostly_came() -> None:
    assert feeds._every(["2024-01-01", "2024-01-02", "2024-01-03"]) is None  # too few to tell
    assert feeds._every(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06", "2024-01-07"]) == 1.0
    assert feeds._every(["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"]) == 7.0
    at = runs.now()
    known = feeds.FeedFacts("bronze.a.b", "", "csv", None, None, True, feeds.Load("r", at, 1, 1, 0), {}, 7.0)
    assert known.expected_at == at + timedelta(days=7)


def test_a_feed_with_something_to_say_stands_first(site: Site) -> None:
    text = site.get("/feeds").text  # what drifted
    assert "1 of 1 feed needs a look" in text and "! retyped" in text
    assert "<code>amount</code>: integer -&gt; text: 67% of the values are integer" in text
    site.lake.land("shop/orders/3.csv", b"PK\x03\x04 a workbook by another name")
    assert site.lake.run().failures
    text = site.get("/feeds").text
    (site.lake.data / "landing/shop/orders/3.csv").unlink()
    assert site.lake.run().failures == {}
    assert "the file is a zip archive" in text and "end its name in .zip" in text
