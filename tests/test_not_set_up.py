"""A source that nobody has begun with is no failure: a run goes on, and who asks for it learns what it lacks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Lake
from fake_api import Api, Reply, api
from test_pull import found_by_health, open_incidents, source, sourced

ROW = {"order_id": 1, "day": "2024-01-01", "amount": 1, "updated": 1}


@pytest.fixture
def shop_api() -> Iterator[Api]:
    with api(lambda request: Reply({"data": [ROW]})) as made:
        yield made


@pytest.fixture
def shop(lake: Lake, shop_api: Api) -> Lake:
    """Orders of a source with a user and a password, returns of one with a token, stock of one that needs nothing."""
    sourced(lake, source(shop_api.url, auth="basic", name="till"))
    sourced(lake, source(shop_api.url, "returns", auth="bearer", name="post"), "returns")
    return sourced(lake, source(shop_api.url, "stock", name="stock"), "stock")


def test_a_run_asks_no_source_that_is_not_set_up_and_says_so_once(
    shop: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.command("run") == 0
    shown = capsys.readouterr().out
    assert shown.count("not set up") == 1
    assert "note: 2 sources are not set up: post, till; `make sources` says what each asks for\n" in shown
    assert [request.path for request in shop_api.asked] == ["/stock"]
    assert shop.rows("SELECT layer, \"table\", status FROM ops.pipeline_runs WHERE layer IN ('landing', 'run')") == [
        ("landing", "stock", "success"),
        ("run", "", "success"),
    ]
    assert open_incidents(shop) == []
    assert [one for one in found_by_health(shop).problems if one.kind == "pull"] == []
    assert shop.command("run", "--no-pull") == 0
    assert "not set up" not in capsys.readouterr().out
    assert shop.command("run", "--json") == 0
    assert '"not_set_up": [\n  "post",\n  "till"\n ]' in capsys.readouterr().out


def test_a_plan_and_the_list_of_sources_say_what_is_not_set_up(
    shop: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = {step.table: (step.action, step.why) for step in shop.planned()}
    assert steps["landing.shop.orders"] == ("nothing", "not set up: `make sources` says what it asks for")
    assert steps["landing.shop.stock"][0] == "pull"
    assert shop.command("sources") == 0
    shown = capsys.readouterr().out
    assert shown.count("not set up: see below") == 2
    assert (
        "note: till is not set up: set SOURCE_TILL_USER (the user of `auth: basic`), "
        "SOURCE_TILL_PASSWORD (the password of `auth: basic`) in .env\n"
    ) in shown
    assert [request.path for request in shop_api.asked] == ["/stock"]
    assert shop.command("sources", "--json") == 0
    assert [(one["source"], one["set_up"]) for one in json.loads(capsys.readouterr().out)] == [
        ("till", False),
        ("post", False),
        ("stock", True),
    ]


def test_a_pull_that_names_no_source_asks_those_that_are_set_up(
    shop: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.command("pull") == 0
    assert (
        "note: 2 sources are not set up: post, till; `make sources` says what each asks for\n"
        in capsys.readouterr().out
    )
    assert [request.path for request in shop_api.asked] == ["/stock"]
    assert shop.command("pull", "--dry-run", "--json") == 0
    assert {one["feed"] for one in json.loads(capsys.readouterr().out)} == {"landing.shop.stock"}


def test_who_asks_for_a_source_learns_which_settings_it_lacks(shop: Lake) -> None:
    assert shop.command("pull", "--source", "till") != 0
    [(text, kind)] = shop.rows("SELECT error_message, error_class FROM ops.pipeline_runs WHERE \"table\" = 'orders'")
    assert kind == "auth" and "SOURCE_TILL_USER" in text and "SOURCE_TILL_PASSWORD" in text
    assert ("pull landing.shop.orders", "P2") in open_incidents(shop)
    assert shop.command("run") == 0  # which looked, and found nothing to be wrong
    assert open_incidents(shop) == []


def test_a_source_with_some_of_its_settings_fails(shop: Lake) -> None:
    shop.environ["SOURCE_TILL_USER"] = "ada"
    run = shop.run()
    assert list(run.failures) == ["landing.shop.orders"] and run.not_set_up == {"landing.shop.returns": "post"}
    assert "SOURCE_TILL_PASSWORD" in str(run.failures["landing.shop.orders"])
    assert shop.command("sources") == 1


def test_a_source_that_answered_before_fails_once_its_settings_are_gone(shop: Lake, shop_api: Api) -> None:
    shop.environ["SOURCE_POST_TOKEN"] = "t-secret-7"
    shop_api.answer = lambda request: Reply({"data": []})  # nothing lands, and it is an answer
    shop.good()
    del shop.environ["SOURCE_POST_TOKEN"]
    run = shop.run()
    assert list(run.failures) == ["landing.shop.returns"] and run.not_set_up == {"landing.shop.orders": "till"}
    assert shop.step(run, "landing.shop.returns").error_class == "auth"


def test_a_source_that_never_answered_is_not_set_up_whatever_has_landed_and_whatever_it_refused(
    shop: Lake, shop_api: Api
) -> None:
    shop.land("shop/returns/2024-01-01@20240102T030405000000Z.ndjson", json.dumps(ROW) + "\n")  # of a sample
    shop.environ["SOURCE_POST_TOKEN"] = "t-secret-7"
    shop_api.answer = lambda request: Reply(status=401 if request.path == "/returns" else 200, body='{"data": []}')
    assert list(shop.run().failures) == ["landing.shop.returns"]
    del shop.environ["SOURCE_POST_TOKEN"]
    assert shop.good().not_set_up == {"landing.shop.orders": "till", "landing.shop.returns": "post"}


def test_packages_that_are_missing_of_a_source_that_is_not_set_up_are_no_error(
    lake: Lake, shop_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.landing.connectors.rest.PACKAGES", ("no-such-package",))
    sourced(lake, source(shop_api.url, auth="bearer"))
    assert lake.good().not_set_up == {"landing.shop.orders": "shop"}
    assert next(step.action for step in lake.planned()) == "nothing"
    assert lake.command("sources") == 0
    lake.environ["SOURCE_SHOP_TOKEN"] = "t-secret-7"
    assert "no-such-package" in str(lake.run().failures["landing.shop.orders"])


def test_files_of_a_remote_that_no_setting_defines_are_not_set_up_and_start_no_process(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[object] = []
    call = subprocess.run

    def noted(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        started.append(command) if "rclone" in str(command[0]) else None
        return call(command, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "run", noted)
    server = {"connector": "files", "remote": "play-store:installs/*.csv", "name": "play"}
    custom = [{"property": "source", "value": server}]
    feed = {"server": "orders", "type": "local", "path": "shop/orders/*.csv", "format": "csv"}
    sourced(lake, json.dumps({**feed, "customProperties": custom}))
    assert lake.good().not_set_up == {"landing.shop.orders": "play"}
    assert lake.command("sources") == 0
    assert "note: play is not set up: set RCLONE_CONFIG_PLAY_STORE_TYPE (" in capsys.readouterr().out
    assert lake.command("pull", "--source", "play") != 0
    assert "no remote play-store" in capsys.readouterr().err
    assert started == []
    lake.environ["RCLONE_CONFIG_PLAY_STORE_HOST"] = "127.0.0.1"  # and no type: somebody has begun
    assert "no remote play-store" in str(lake.run().failures["landing.shop.orders"])
