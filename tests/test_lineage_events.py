"""A server of OpenLineage is told what a run did: its steps, what they read and wrote, what columns are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Lake
from fake_api import Api, Reply, api

ROWS = "order_id,day,amount,updated\n1,2026-01-05,10.00,1\n"


@pytest.fixture
def server() -> Iterator[Api]:
    with api(lambda request: Reply(status=201)) as made:
        yield made


def told(server: Api) -> list[dict[str, Any]]:
    """The events that the server was sent."""
    assert {request.path for request in server.asked} <= {"/api/v1/lineage"}
    return [json.loads(request.body) for request in server.asked]


def test_each_step_is_a_run_within_the_run_with_what_it_read_wrote_and_made_columns_of(lake: Lake, server: Api) -> None:
    lake.shop().land("shop/orders/1.csv", ROWS)
    lake.environ |= {"OPENLINEAGE_URL": server.url, "OPENLINEAGE_API_KEY": "sesame", "OPENLINEAGE_NAMESPACE": "co"}
    assert lake.command("run") == 0
    events = told(server)
    assert [(event["eventType"], event["job"]["namespace"], event["job"]["name"]) for event in events] == [
        ("START", "co", "pipeline"),
        ("START", "co", "bronze.shop.orders"),
        ("COMPLETE", "co", "bronze.shop.orders"),
        ("START", "co", "silver.shop.orders"),
        ("COMPLETE", "co", "silver.shop.orders"),
        ("START", "co", "gold.shop.daily"),
        ("COMPLETE", "co", "gold.shop.daily"),
        ("COMPLETE", "co", "pipeline"),
    ]
    assert {request.headers["authorization"] for request in server.asked} == {"Bearer sesame"}
    whole, gold = events[0]["run"]["runId"], events[6]
    assert [event["run"]["facets"]["parent"]["run"]["runId"] for event in events[1:7]] == [whole] * 6
    assert events[5]["run"]["runId"] == gold["run"]["runId"] != whole
    orders, daily = str(lake.data / "silver/shop/orders"), str(lake.data / "gold/shop/daily")
    assert [(one["namespace"], one["name"]) for one in gold["inputs"]] == [("file", orders)]
    [output] = gold["outputs"]
    assert (output["namespace"], output["name"]) == ("file", daily)
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1
    facets = output["facets"]
    assert facets["symlinks"]["identifiers"] == [{"namespace": "co", "name": "gold.shop.daily", "type": "TABLE"}]
    assert [(field["name"], field["type"]) for field in facets["schema"]["fields"]] == [
        ("day", "DATE"),
        ("orders", "BIGINT"),
        ("amount", "DECIMAL(18,2)"),
    ]
    amount = facets["columnLineage"]["fields"]["amount"]["inputFields"]
    assert [(one["name"], one["field"], [how["type"] for how in one["transformations"]]) for one in amount] == [
        (orders, "amount", ["DIRECT"]),
        (orders, "day", ["INDIRECT"]),
    ]
    assert events[2]["inputs"][0]["name"] == str(lake.data / "landing/shop/orders/*.csv")


def test_a_step_that_fails_is_told_with_its_message_and_a_blocked_one_has_not_run(lake: Lake, server: Api) -> None:
    lake.shop().land("shop/orders/1.csv", ROWS)
    lake.environ["OPENLINEAGE_URL"] = server.url
    lake.write("gold/shop/daily.sql", "SELECT day, 1 AS orders, 'x'::DECIMAL(18, 2) AS amount FROM silver.shop.orders")
    assert lake.command("run") != 0
    ended = {event["job"]["name"]: event for event in told(server) if event["eventType"] != "START"}
    assert {name: event["eventType"] for name, event in ended.items()} == {
        "bronze.shop.orders": "COMPLETE",
        "silver.shop.orders": "COMPLETE",
        "gold.shop.daily": "FAIL",
        "pipeline": "FAIL",
    }
    failed = ended["gold.shop.daily"]
    assert "column orders is INTEGER, the contract says BIGINT" in failed["run"]["facets"]["errorMessage"]["message"]
    assert failed["outputs"] == []


def test_a_server_that_does_not_answer_costs_a_warning_and_no_run(lake: Lake, server: Api) -> None:
    lake.shop().land("shop/orders/1.csv", ROWS)
    lake.environ["OPENLINEAGE_URL"] = server.url
    server.answer = lambda request: Reply(status=400)
    done = lake.typed("run", **lake.environ)
    assert done.returncode == 0
    assert f"lineage not sent: {server.url} took 0 lineage events of the run, and then none" in done.stderr
    assert len(server.asked) == 1
