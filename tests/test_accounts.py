"""A source is asked for each account by itself: those that the contract lists, or those of a seed beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from conftest import Lake
from fake_api import Api, Reply, api
from test_pull import landed, source, sourced

from src.errors import ContractError
from src.landing.accounts import accounts

APPS = """source_system,account,app_id
meta_ads,act_102,kayak
ga4,analytics_201,dinghy
meta_ads,act_101,dinghy
meta_ads,,oar
meta_ads,act_102,canoe
"""
FROM_SEED = {"seed": "apps", "account": "account", "where": {"source_system": "meta_ads"}}


@pytest.fixture
def shop_api() -> Iterator[Api]:
    with api() as made:
        yield made


def test_listed_accounts_are_texts_each_once_in_their_order(tmp_path: Path) -> None:
    assert [one.name for one in accounts(["b", 7, "a", "b"], tmp_path)] == ["b", "7", "a"]


def test_the_accounts_of_a_seed_come_once_in_its_order_with_what_their_rows_say(tmp_path: Path) -> None:
    (tmp_path / "apps.csv").write_text(APPS)
    found = accounts(FROM_SEED, tmp_path)
    assert [(one.name, [row["app_id"] for row in one.labels]) for one in found] == [
        ("act_102", ["kayak", "canoe"]),
        ("act_101", ["dinghy"]),
    ]
    everything = accounts({"seed": "apps", "account": "account"}, tmp_path)
    assert [one.name for one in everything] == ["act_102", "analytics_201", "act_101"]


def test_a_seed_in_yaml_says_the_same_numbers_as_they_are_written(tmp_path: Path) -> None:
    rows = (
        "- {source_system: meta_ads, account: 0102, app_id: kayak}\n"
        "- {source_system: meta_ads, account: null, app_id: oar}\n"
        "- {source_system: meta_ads, app_id: tent}\n"
        "- {source_system: ga4, account: 201, app_id: dinghy, tags: [a, 1.0]}\n"
    )
    (tmp_path / "apps.yaml").write_text(rows)
    [found] = accounts(FROM_SEED, tmp_path)
    label = {"source_system": "meta_ads", "account": "0102", "app_id": "kayak", "tags": ""}
    assert (found.name, found.labels) == ("0102", (label,))


@pytest.mark.parametrize(
    ("text", "written", "what", "fix"),
    [
        (None, FROM_SEED, "no seed apps", "write apps.csv there"),
        (APPS, {**FROM_SEED, "seed": "app"}, "no seed app", "the seeds are apps"),
        (APPS, {**FROM_SEED, "account": "id"}, "no column id in apps.csv", "it has source_system, account, app_id"),
        (APPS, {**FROM_SEED, "where": {"kind": "x"}}, "no column kind in apps.csv", "it has source_system"),
        (
            APPS,
            {**FROM_SEED, "where": {"source_system": "play"}},
            "no row of apps.csv with source_system = play",
            "add",
        ),
        ("account,app_id\n", FROM_SEED, "no row", "write one"),
    ],
)
def test_a_seed_that_names_no_account_is_an_error_that_says_what_it_has(
    tmp_path: Path, text: str | None, written: dict[str, object], what: str, fix: str
) -> None:
    if text:
        (tmp_path / "apps.csv").write_text(text)
    with pytest.raises(ContractError) as raised:
        accounts(written, tmp_path)
    assert what in raised.value.what and fix in str(raised.value.fix)


def test_a_source_asks_for_the_accounts_of_its_seed(lake: Lake, shop_api: Api) -> None:
    shop_api.answer = lambda request: Reply({"data": []})
    lake.write("silver/shop/seeds/apps.csv", APPS)
    server = source(shop_api.url, accounts=FROM_SEED, params={"account": "{account}"})
    sourced(lake, server.replace("*.ndjson", "*/*.ndjson"))
    assert lake.command("pull") == 0
    assert [request.params["account"] for request in shop_api.asked] == ["act_102", "act_101"]
    assert lake.rows("SELECT slice FROM ops.pulls ORDER BY 1") == [("act_101/all",), ("act_102/all",)]


def test_a_month_is_asked_for_from_its_first_to_its_last_day(lake: Lake, shop_api: Api) -> None:
    shop_api.answer = lambda request: Reply({"data": [{"order_id": 1}]})
    params = {"since": "{start}", "until": "{end}", "month": "{month}", "account": "{account}"}
    server = source(shop_api.url, slice="month", params=params, accounts=["b", "a"])
    sourced(lake, server.replace("*.ndjson", "*/*.ndjson"))
    assert lake.command("pull", "--start", "2024-01-15", "--end", "2024-03-02") == 0
    asked = [
        tuple(request.params[name] for name in ("account", "month", "since", "until")) for request in shop_api.asked
    ]
    assert asked == [
        (account, *month)
        for account in ("b", "a")
        for month in (
            ("2024-01", "2024-01-01", "2024-01-31"),
            ("2024-02", "2024-02-01", "2024-02-29"),
            ("2024-03", "2024-03-01", "2024-03-02"),
        )
    ]
    assert len(landed(lake)) == 6
    assert lake.rows("SELECT DISTINCT day FROM ops.pulls ORDER BY 1") == [
        (date(2024, 1, 31),),
        (date(2024, 2, 29),),
        (date(2024, 3, 2),),
    ]
