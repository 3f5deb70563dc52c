"""A pull of some slices asks for those that fit a condition, and changes nothing of any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import ORDERS, ROOT, Lake
from fake_api import Api, Reply, Request, api
from test_pull import landed, source

from src.errors import UsageError

APPS = "account,app_id,slice\na1,dinghy,x\na2,kayak,x\na2,canoe,x\n"
FROM_SEED = {"seed": "apps", "account": "account"}
DAYS = ("--start", "2024-01-01", "--end", "2024-01-03")
MART = """
apiVersion: v3.1.0
kind: DataContract
id: gold.daily
name: Daily
version: 1.0.0
status: active
domain: shop
description: {purpose: What was sold.}
team: {name: Shop, members: [{username: shop-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: by_day
    logicalType: object
    physicalType: table
    properties:
      - {name: day, logicalType: date, physicalType: date, required: true, partitioned: true, partitionKeyPosition: 1}
      - {name: account, logicalType: string, physicalType: varchar}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)"}
"""


@pytest.fixture
def shop_api() -> Iterator[Api]:
    with api() as made:
        yield made


@pytest.fixture
def shop(lake: Lake, shop_api: Api) -> Lake:
    """Orders by account and day, each a statement of its own, and a mart of them."""
    params = {"day": "{day}", "account": "{account}"}
    server = source(shop_api.url, slice="day", accounts=FROM_SEED, params=params)
    text = ORDERS.replace(
        "{server: orders, type: local, path: shop/orders/*.csv, format: csv}", server.replace("*.ndjson", "*/*.ndjson")
    )
    of_file = "regexp_extract(_file, '/([^/]+)/([0-9-]+)@', {})"
    account = f'{{name: account, logicalType: string, transformLogic: "{of_file.format(1)}"'
    text = text.replace(
        "      - {name: day,",
        f"      - {account}, primaryKey: true, primaryKeyPosition: 2}}\n"
        f'      - {{name: day, transformLogic: "{of_file.format(2)}", primaryKey: true, primaryKeyPosition: 3,',
    )
    text = text.replace("sequenceBy, value: [updated]", "replaces, value: [account, day]")
    lake.write("silver/shop/orders.yaml", text)
    lake.write("silver/shop/seeds/apps.csv", APPS)
    lake.write("gold/daily/contract.yaml", MART)
    by_day = "SELECT day, account, cast(sum(amount) AS decimal(18,2)) AS amount FROM silver.shop.orders GROUP BY ALL"
    lake.write("gold/daily/by_day.sql", by_day)
    shop_api.answer = sold(10)
    return lake


def sold(amount: int) -> Any:
    def answer(request: Request) -> Reply:
        day, account = request.params["day"], request.params["account"]
        return Reply({"data": [{"order_id": 1, "day": day, "account": account, "amount": amount, "updated": 1}]})

    return answer


def asked(shop_api: Api) -> list[tuple[str, str]]:
    return [(request.params["account"], request.params["day"][-2:]) for request in shop_api.asked]


def bytes_of(lake: Lake, *layers: str) -> dict[str, bytes]:
    files = (path for layer in layers for path in (lake.data / layer).rglob("*") if path.is_file())
    return {path.relative_to(lake.data).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ("account = 'a1'", [("a1", "01"), ("a1", "02"), ("a1", "03")]),
        ("app_id = 'canoe' AND day > DATE '2024-01-02'", [("a2", "03")]),  # any row of the account
        ("slice LIKE '%/2024-01-02'", [("a1", "02"), ("a2", "02")]),  # its own name, not the label of that name
        ("day IN ('2024-01-01') OR app_id = 'dinghy' AND day >= '2024-01-03' -- a note", [("a1", "01"), ("a1", "03")]),
    ],
)
def test_the_slices_that_fit_are_asked_for_and_a_dry_run_names_them(
    shop: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str], where: str, fits: list[tuple[str, str]]
) -> None:
    fits = [*fits[:1], ("a2", "01"), *fits[1:]] if "note" in where else fits
    assert shop.command("pull", *DAYS, "--where", where, "--dry-run", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert sorted(one["slice"] for one in shown) == sorted(f"{account}/2024-01-{day}" for account, day in fits)
    assert shop_api.asked == []
    assert shop.command("pull", *DAYS, "--where", where) == 0
    assert sorted(asked(shop_api)) == sorted(fits)


def test_what_is_pulled_again_changes_the_rows_of_its_accounts_and_days_and_no_byte_of_others(
    shop: Lake, shop_api: Api
) -> None:
    assert shop.command("pull", *DAYS) == 0
    assert shop.command("run", "--no-pull") == 0
    files, tables = bytes_of(shop, "landing"), bytes_of(shop, "silver", "gold")
    rows = shop.rows("SELECT * FROM silver.shop.orders")
    shop_api.answer, shop_api.asked[:] = sold(20), []
    assert shop.command("pull", *DAYS, "--source", "shop", "--where", "app_id = 'dinghy' AND day = '2024-01-02'") == 0
    assert shop.command("run", "--no-pull") == 0
    assert asked(shop_api) == [("a1", "02")]
    after = bytes_of(shop, "landing")
    [new] = after.keys() - files.keys()
    assert new.startswith("landing/shop/orders/a1/2024-01-02@") and files.items() <= after.items()
    again = shop.rows("SELECT * FROM silver.shop.orders")
    gone = [row for row in rows if row not in again]
    assert [(row[1], row[2]) for row in gone] == [("a1", date(2024, 1, 2))]
    assert len(again) == len(rows) == 6
    others = {name: data for name, data in tables.items() if "day=2024-01-01" in name or "day=2024-01-03" in name}
    assert len(others) == 4
    assert others.items() <= bytes_of(shop, "silver", "gold").items()
    assert shop.rows("SELECT account, amount::INT FROM gold.daily.by_day WHERE day = '2024-01-02' ORDER BY 1") == [
        ("a1", 20),
        ("a2", 10),
    ]
    assert shop.rows("SELECT command FROM ops.pipeline_runs WHERE kind = 'pull' ORDER BY start_time")[-1] == (
        "make pull SOURCE=shop WHERE='app_id = '\"'\"'dinghy'\"'\"' AND day = '\"'\"'2024-01-02'\"'\"'' "
        "START=2024-01-01 END=2024-01-03",
    )


@pytest.mark.parametrize(
    ("where", "what", "fix"),
    [
        ("country = 'NO'", "bronze.shop.orders: no column country", "slice, account, day, app_id"),
        ("app_id = 'raft'", "no slice fits app_id = 'raft'", "--dry-run"),
        ("app_id", "a value of type varchar", "write a condition"),
        ("", "does not parse", "write a condition"),
        ("true; DROP TABLE ops.pulls", "does not parse", "write a condition"),
        ("true) OR (true", "does not parse", "write a condition"),
        ("true ORDER BY 1", "does not parse", "write a condition"),
        ("day < current_date", "current_date is not a function of the slice", ""),
        ("exists (FROM read_csv('/etc/hosts'))", "read_csv() is not a function of the slice", ""),
    ],
)
def test_what_is_no_condition_over_a_slice_is_refused_before_anything_is_asked(
    shop: Lake, shop_api: Api, where: str, what: str, fix: str
) -> None:
    for words in (("--dry-run",), ()):
        with pytest.raises(UsageError) as raised:
            shop.command("pull", *DAYS, "--where", where, *words)
        assert what in raised.value.what and fix in str(raised.value.fix)
    assert shop_api.asked == [] and not (shop.data / "ops").exists()


def test_a_value_that_the_condition_cannot_read_is_named(
    shop: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.command("pull", *DAYS, "--where", "app_id::INT > 1") != 0
    assert "Could not convert string 'dinghy' to INT32" in capsys.readouterr().err
    assert shop.command("pull", *DAYS, "--where", "try_cast(account[2:] AS INT) > 1") == 0
    assert {account for account, _ in asked(shop_api)} == {"a2"}


def test_a_source_without_accounts_knows_slice_and_day_and_says_so_where_none_fits(
    shop: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    other = source(shop_api.url, "stock", name="stock", slice="day", params={"day": "{day}", "account": "-"})
    text = ORDERS.replace("{server: orders, type: local, path: shop/orders/*.csv, format: csv}", other)
    shop.write(
        "silver/shop/stock.yaml", text.replace("shop.orders", "shop.stock").replace("name: orders", "name: stock")
    )
    with pytest.raises(UsageError) as raised:
        shop.command("pull", *DAYS, "--where", "app_id = 'dinghy'")
    assert raised.value.what == "bronze.shop.stock: no column app_id"
    assert raised.value.fix == "of its slices are known: slice, account, day"
    assert shop.command("pull", *DAYS, "--where", "account = 'a1'", "--dry-run", "--json") == 0
    *_, last = json.loads(capsys.readouterr().out)
    assert last == {
        "feed": "landing.shop.stock",
        "slice": None,
        "day": None,
        "action": "nothing",
        "why": "no slice of it fits",
    }
    assert shop.command("pull", *DAYS, "--where", "account = 'a1'") == 0
    assert "note: landing.shop.stock: no slice of it fits\n" in capsys.readouterr().out
    assert len(landed(shop, "stock")) == 0 and len(asked(shop_api)) == 3


def test_make_hands_the_condition_on_as_it_was_typed(tmp_path: Path) -> None:
    line = next(one for one in (ROOT / "Makefile").read_text().splitlines() if one.startswith("PULLED"))
    assert '$(if $(WHERE),--where="$$WHERE")' in line
    assert "override WHERE := $(value WHERE)" in (ROOT / "Makefile").read_text()
