"""A draft may change under one version: its table is rebuilt, says so, and is marked; what is active keeps its word."""

from __future__ import annotations

import json

import pytest
from conftest import Lake

from src.maintenance import schema_version
from src.run import releases

HEADER = "order_id,day,amount,updated\n"
AMOUNT = '      - {name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}\n'
TWICE = AMOUNT.replace("required: true", 'transformLogic: "2 * cast(amount as decimal(18,2))"')
DRAFT, ACTIVE = "status: draft", "status: active"


def landed(lake: Lake, *drafts: str) -> Lake:
    """Return the shop with a landed file, and the contracts of these paths as drafts."""
    lake.shop()
    for path in drafts:
        lake.edit(path, ACTIVE, DRAFT)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n")
    lake.good()
    return lake


SILVER, GOLD = "silver/shop/orders.yaml", "gold/shop/contract.yaml"


def test_a_draft_changes_without_a_version_bump_is_rebuilt_and_says_so(lake: Lake) -> None:
    landed(lake, SILVER, GOLD)
    lake.edit(SILVER, AMOUNT, TWICE)
    lake.edit("gold/shop/daily.sql", "count(*) AS orders", "10 * count(*) AS orders")
    run = lake.good()
    assert "draft 1.0.0: column amount: expression" in (lake.step(run, "silver.shop.orders").notes or "")
    assert lake.step(run, "gold.shop.daily").notes == "draft 1.0.0: sql changed"
    assert lake.rows("SELECT orders, amount FROM gold.shop.daily ORDER BY day") == [(10, 20), (10, 40)]
    lake.edit(SILVER, "partitioned: true, partitionKeyPosition: 1", "description: no partition any more")
    lake.edit(SILVER, "1.0.0", "0.1.0")
    assert "partition_by" in (lake.step(lake.good(), "silver.shop.orders").notes or "")


def test_a_release_names_the_drafts_in_it_and_so_does_everything_that_shows_it(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    landed(lake, SILVER)
    lake.land("shop/orders/2.csv", HEADER + "x,2024-01-02,20,1\n1,2024-01-01,11,2\n")
    lake.good()
    marked = 'SELECT DISTINCT "table" FROM ops.releases WHERE draft ORDER BY 1'
    assert lake.rows(marked) == [("quarantine.shop.orders",), ("silver.shop.orders",)]
    assert releases.newest_release(lake.data).drafts == {"quarantine.shop.orders", "silver.shop.orders"}
    assert lake.command("query", "SELECT count(*) FROM silver.shop.orders") == 0
    assert "note: silver.shop.orders is a draft: it may change under one version" in capsys.readouterr().err
    assert lake.command("schema-version") == 0
    assert "silver.shop.orders  1.0.0 (draft)  1.0.0" in capsys.readouterr().out
    assert lake.command("status") == 0
    assert "drafts: silver.shop.orders may change under one version" in capsys.readouterr().out
    assert lake.command("report", "--json") == 0
    assert json.loads(capsys.readouterr().out)["drafts"] == ["quarantine.shop.orders", "silver.shop.orders"]


def test_a_draft_that_becomes_active_needs_no_bump_and_changes_no_row(lake: Lake) -> None:
    landed(lake, SILVER)
    before = lake.rows("SELECT * FROM silver.shop.orders ORDER BY 1")
    lake.edit(SILVER, DRAFT, ACTIVE)
    run = lake.good()
    assert lake.step(run, "silver.shop.orders").records_written == 0
    assert lake.rows("SELECT * FROM silver.shop.orders ORDER BY 1") == before
    assert releases.newest_release(lake.data).drafts == frozenset()
    lake.edit(SILVER, AMOUNT, TWICE)
    refused = lake.run().failures["silver.shop.orders"]
    assert "a minor change under version 1.0.0" in str(refused)
    lake.edit(SILVER, "1.0.0", "1.1.0")
    lake.good()


def test_a_draft_of_what_was_active_is_measured_by_that_once_it_is_active_again(lake: Lake) -> None:
    landed(lake)
    lake.edit(SILVER, ACTIVE, DRAFT)
    lake.edit(SILVER, AMOUNT, TWICE)
    lake.good()  # free, and marked
    lake.edit(SILVER, "partitioned: true, partitionKeyPosition: 1", "description: no partition any more")
    lake.good()  # another table on disk, which still knows what was promised
    assert releases.newest_release(lake.data).drafts == {"quarantine.shop.orders", "silver.shop.orders"}
    lake.edit(SILVER, DRAFT, ACTIVE)
    refused = lake.run().failures["silver.shop.orders"]
    assert "a major change under version 1.0.0: " in str(refused)
    assert "write `version: 2.0.0`" in str(refused)
    with_fix = {one.table: one.fix for one in schema_version.read_versions(lake.settings)}
    assert with_fix["silver.shop.orders"].startswith("write `version: 2.0.0`")
    lake.edit(SILVER, "1.0.0", "2.0.0")
    lake.good()
    assert releases.newest_release(lake.data).drafts == frozenset()


def test_an_idle_draft_is_not_written_again(lake: Lake) -> None:
    landed(lake, SILVER, GOLD)
    versions = releases.newest(lake.data)
    lake.good()
    assert releases.newest(lake.data) == versions


def test_a_rollback_to_a_draft_is_marked_as_one(lake: Lake) -> None:
    landed(lake, SILVER)
    first = lake.rows("SELECT max(run_id) FROM ops.releases")[0][0]
    lake.edit(SILVER, DRAFT, ACTIVE)
    lake.good()
    assert releases.newest_release(lake.data).drafts == frozenset()
    assert lake.command("rollback", "--to", first) == 0
    assert "silver.shop.orders" in releases.newest_release(lake.data).drafts


@pytest.mark.parametrize("other", ["proposed", "deprecated", "retired"])
def test_any_other_status_asks_for_a_bump_as_active_does(lake: Lake, other: str) -> None:
    lake.shop().edit(SILVER, ACTIVE, f"status: {other}")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.edit(SILVER, AMOUNT, TWICE)
    assert "a minor change under version 1.0.0" in str(lake.run().failures["silver.shop.orders"])
    assert lake.rows("SELECT count(*) FROM ops.releases WHERE draft") == [(0,)]
    lake.edit(SILVER, TWICE, AMOUNT)
    lake.good()


def test_a_draft_of_a_mart_that_was_active_is_measured_by_that_too(lake: Lake) -> None:
    landed(lake)
    lake.edit(GOLD, ACTIVE, DRAFT)
    lake.edit(GOLD, "partitioned: true, partitionKeyPosition: 1", "description: no partition any more")
    assert "partition_by" in (lake.step(lake.good(), "gold.shop.daily").notes or "")
    lake.edit(GOLD, DRAFT, ACTIVE)
    assert "a major change under version 1.0.0: partition_by" in str(lake.run().failures["gold.shop.daily"])
    lake.edit(GOLD, "1.0.0", "2.0.0")
    lake.good()
