"""What the records of reads say: who read what, what failed, what was read first, what nobody reads, what is slow."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake

from src import spool
from src.errors import UsageError
from src.facts.reads import Access, FirstRead, TableReads, UnreadTable, read_access
from src.project import open_engine

ORDERS, DAILY = "silver.shop.orders", "gold.shop.daily"
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    made.good()
    return made.root


def read(lake: Lake, days_ago: float, user: str, tables: list[str], **more: Any) -> None:
    """Add a record as `reads.recorded` does."""
    record = {
        "moment": (NOW - timedelta(days=days_ago)).isoformat(),
        "user": user,
        "kind": "query",
        "tables": json.dumps(tables),
        "columns": "{}",
        "classified": "{}",
        "masked": False,
        "rows": 3,
        "bytes": 100,
        "seconds": 0.5,
        "pattern": "",
        "failed": False,
        "error": "",
    }
    spool.add(lake.data / ".access", record | more)


def access(lake: Lake, **named: Any) -> Access:
    with open_engine(lake.settings) as engine:
        return read_access(engine, lake.data, NOW, **named)


def test_reads_are_counted_by_user_day_and_table(shop: Lake) -> None:
    read(shop, 0, "ann", [ORDERS, DAILY])
    read(shop, 0, "ann", [DAILY], rows=None, failed=True, error="stopped")
    read(shop, 0, "bob", [], rows=1)
    days = 'SELECT "user", "table", reads, failed, rows, seconds FROM ops.access_daily ORDER BY ALL'
    assert shop.rows(days) == [("ann", DAILY, 2, 1, 3, 1.0), ("ann", ORDERS, 1, 0, 3, 0.5), ("bob", "", 1, 0, 1, 0.5)]
    assert shop.rows("SELECT DISTINCT day FROM ops.access_daily") == [(NOW.date(),)]
    assert access(shop).by_table == (
        TableReads("ann", DAILY, 2, 1, 3, 1.0, NOW),
        TableReads("ann", ORDERS, 1, 0, 3, 0.5, NOW),
        TableReads("bob", "", 1, 0, 1, 0.5, NOW),
    )
    assert [row.user for row in access(shop, table=ORDERS).by_table] == ["ann"]
    assert [row.table for row in access(shop, user="bob").by_table] == [""]
    [failed] = access(shop).failed
    assert (failed.user, failed.tables, failed.error) == ("ann", (DAILY,), "stopped")


def test_what_is_older_than_the_days_is_not_counted(shop: Lake) -> None:
    read(shop, 8, "ann", [DAILY], failed=True)
    read(shop, 6, "bob", [DAILY])
    found = access(shop, days=7)
    assert ([row.user for row in found.by_table], found.failed) == (["bob"], ())
    assert found.recorded_since == NOW - timedelta(days=8)


def test_tables_that_nobody_read_for_90_days_are_named_and_since_when_that_is_known(shop: Lake) -> None:
    read(shop, 1, "ann", [ORDERS])
    read(shop, 1, "ann", ["bronze.shop.orders"], failed=True)
    assert access(shop).unread == (UnreadTable("bronze.shop.orders", None), UnreadTable(DAILY, None))
    assert not access(shop).unread_is_certain
    read(shop, 91, "ann", [DAILY])
    found = access(shop)
    assert found.unread == (UnreadTable("bronze.shop.orders", None), UnreadTable(DAILY, NOW - timedelta(days=91)))
    assert found.unread_is_certain
    assert shop.rows('SELECT "table" FROM ops.access_unread WHERE recorded_long_enough ORDER BY 1') == [
        ("bronze.shop.orders",),
        (DAILY,),
    ]
    read(shop, 89, "ann", [DAILY])
    assert [table.table for table in access(shop).unread] == ["bronze.shop.orders"]


def test_the_first_read_of_a_classified_column_is_told_once_for_each_user(shop: Lake) -> None:
    pii = json.dumps({f"{ORDERS}.amount.net": "pii"})
    read(shop, 40, "ann", [ORDERS], classified=pii)
    read(shop, 3, "ann", [ORDERS], classified=pii)
    read(shop, 2, "bob", [ORDERS], classified=pii, masked=True)
    read(shop, 1, "bob", [ORDERS], classified=pii)
    read(shop, 1, "cid", [ORDERS], classified=pii, failed=True)
    assert shop.rows('SELECT "user", "table", "column", classification FROM ops.access_first ORDER BY 1') == [
        ("ann", ORDERS, "amount.net", "pii"),
        ("bob", ORDERS, "amount.net", "pii"),
    ]
    moment = NOW - timedelta(days=2)
    assert access(shop).first == (FirstRead(moment, "bob", ORDERS, "amount.net", "pii", masked=True),)


def test_statements_are_timed_by_their_pattern(shop: Lake) -> None:
    for at, seconds in enumerate((1.0, 2.0, 9.0)):
        read(shop, 3 - at, f"u{at}", [DAILY], pattern="SELECT ?", seconds=seconds, bytes=at, rows=10 * at)
    read(shop, 0, "ann", [DAILY], pattern="SELECT * FROM x", seconds=0.1)
    read(shop, 0, "ann", [DAILY])  # of a screen
    rows = shop.rows("SELECT * EXCLUDE (p95_seconds, last_asked) FROM ops.slow_queries ORDER BY max_seconds DESC")
    assert rows[0] == ("SELECT ?", 3, 0, 2.0, 9.0, 2, 20, "u2")
    assert [one.pattern for one in access(shop).slow] == ["SELECT ?", "SELECT * FROM x"]
    assert access(shop).slow[0].p95_seconds == pytest.approx(8.3)


def test_a_lake_that_nobody_read_has_no_records(shop: Lake) -> None:
    assert access(shop) == Access(NOW - timedelta(days=30))


# -- the command


def test_the_command_shows_every_part_and_takes_its_options(shop: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert shop.command("access") == 0
    assert capsys.readouterr().out == "Nothing was read yet through Boathouse: no query, page, report or export.\n"
    read(shop, 1, "ann", [ORDERS], pattern="SELECT ?", classified=json.dumps({f"{ORDERS}.amount": "pii"}))
    for at in range(22):
        read(shop, 2 + at, f"u{at}", [DAILY], failed=True, error="no table x")
    shop.command("access")
    shown = capsys.readouterr().out
    for part in (
        "who read what",
        "failed tries",
        "classified columns that a user read for the first time",
        "slowest statements",
        "tables that nobody read for 90 days: told once records go back that far",
    ):
        assert part in shown
    assert "and 2 more; --json has all" in shown
    shop.command("access", "--days", "2", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["user"] for one in found["by_table"]] == ["ann"]
    assert found["first"][0]["column"] == "amount"
    shop.command("access", "--user", "u3", "--json")
    assert [one["table"] for one in json.loads(capsys.readouterr().out)["by_table"]] == [DAILY]
    with pytest.raises(UsageError, match=r"no table gold\.shop\.dayly"):
        shop.command("access", "--table", "gold.shop.dayly")
    with pytest.raises(UsageError, match="--days 0"):
        shop.command("access", "--days", "0")
