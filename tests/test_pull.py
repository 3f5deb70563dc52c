"""What a source says is written down once, whole and unchanged; a source that fails holds nothing else up."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import ORDERS, ROOT, Lake
from fake_api import Api, Reply, Request, api

from src import alerts, monitors
from src.errors import ContractErrors
from src.landing import registry
from src.landing.options import COMMON
from src.project import open_project
from src.run import runs

YESTERDAY = runs.now().date() - timedelta(days=1)
TODAY = runs.now().date()


@pytest.fixture
def shop_api() -> Iterator[Api]:
    with api() as made:
        yield made


def source(base: str, feed: str = "orders", **options: Any) -> str:
    """The server of a feed that a REST source brings."""
    written = {"connector": "rest", "url": f"{base}/{feed}", "rows": "data", "budget": "20 s", **options}
    custom = [{"property": "source", "value": written}]
    server = {"server": feed, "type": "local", "path": f"shop/{feed}/*.ndjson", "format": "ndjson"}
    return json.dumps({**server, "customProperties": custom})


def sourced(lake: Lake, server: str, table: str = "orders") -> Lake:
    """A shop whose orders a source brings."""
    text = ORDERS.replace("{server: orders, type: local, path: shop/orders/*.csv, format: csv}", server)
    text = text.replace("id: shop.orders", f"id: shop.{table}").replace("name: orders", f"name: {table}")
    lake.write(f"silver/shop/{table}.yaml", text)
    return lake


def landed(lake: Lake, feed: str = "orders") -> list[Path]:
    return sorted(path for path in (lake.data / f"landing/shop/{feed}").rglob("*") if path.is_file())


def content(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def row(order: int, amount: object = 10, day: date = YESTERDAY, updated: int = 1) -> dict[str, Any]:
    return {"order_id": order, "day": str(day), "amount": amount, "updated": updated}


def statuses(lake: Lake) -> list[tuple[str, str]]:
    return lake.rows("SELECT slice, status FROM ops.pulls ORDER BY pulled_at, file")


def found_by_health(lake: Lake) -> monitors.Findings:
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, runs.now())


def open_incidents(lake: Lake) -> list[tuple[str, str]]:
    with open_project(lake.settings) as project:
        return [(one.incident, one.urgency) for one in alerts.open_incidents(project.engine, lake.data)]


# -- what lands


def test_rows_land_as_the_text_that_the_server_sent_and_go_up_to_silver(lake: Lake, shop_api: Api) -> None:
    text = f'{{"data": [{{"order_id": 1,\n "day": "{YESTERDAY}", "amount": 1.10, "updated": 1, "e": 1e400}}]}}'
    shop_api.answer = lambda request: Reply(text)
    sourced(lake, source(shop_api.url)).good()
    [file] = landed(lake)
    assert content(file) == f'{{"order_id": 1,  "day": "{YESTERDAY}", "amount": 1.10, "updated": 1, "e": 1e400}}\n'
    assert lake.rows("SELECT order_id, amount FROM silver.shop.orders") == [(1, Decimal("1.10"))]
    assert lake.rows("SELECT amount, e FROM bronze.shop.orders") == [("1.10", "1e400")]
    assert statuses(lake) == [("all", "landed")]


def test_what_is_the_same_lands_no_second_time_and_pages_in_another_order_are_the_same(
    lake: Lake, shop_api: Api
) -> None:
    shop_api.answer = lambda request: Reply({"data": [row(1), row(2)]})
    sourced(lake, source(shop_api.url)).good()
    shop_api.answer = lambda request: Reply({"data": [row(2), row(1)]})
    again = lake.good()
    assert len(landed(lake)) == 1
    assert statuses(lake) == [("all", "landed"), ("all", "same")]
    step = lake.step(again, "landing.shop.orders")
    assert (step.source_system, step.status, step.files, step.unchanged) == ("shop", "success", 0, 2)


def test_a_slice_that_goes_back_to_what_it_said_before_is_new_bytes(lake: Lake, shop_api: Api) -> None:
    sourced(lake, source(shop_api.url))
    for amount in (10, 20, 10):
        shop_api.answer = lambda request, amount=amount: Reply({"data": [row(1, amount)]})  # type: ignore[misc]
        lake.good()
    files = landed(lake)
    assert [content(path) == content(files[0]) for path in files] == [True, False, True]
    assert len({path.read_bytes() for path in files}) == 3
    assert lake.rows("SELECT count(*) FROM bronze.shop.orders") == [(3,)]


def test_an_empty_statement_lands_only_after_one_with_rows(lake: Lake, shop_api: Api) -> None:
    sourced(lake, source(shop_api.url))
    for rows in ([], [row(1)], [], []):
        shop_api.answer = lambda request, rows=rows: Reply({"data": rows})  # type: ignore[misc]
        lake.good()
    assert [content(path) for path in landed(lake)] == [json.dumps(row(1)) + "\n", ""]
    assert [status for _, status in statuses(lake)] == ["empty", "landed", "empty", "empty"]


def test_the_moments_in_names_only_grow_whatever_the_clock_says(
    lake: Lake, shop_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    sourced(lake, source(shop_api.url))
    shop_api.answer = lambda request: Reply({"data": [row(1, 10)]})
    lake.good()
    [first] = landed(lake)
    ahead = first.rename(first.with_name(first.name.replace("@2", "@9")))  # as a clock that was far ahead named it
    shop_api.answer = lambda request: Reply({"data": [row(1, 20)]})
    lake.good()
    assert [content(path)[-30:] for path in landed(lake)][-1].count('"amount": 20') == 1
    assert landed(lake)[0] == ahead and landed(lake)[1].name > ahead.name


def test_a_day_is_asked_for_again_for_its_lookback_and_until_there_is_an_answer(lake: Lake, shop_api: Api) -> None:
    days = {YESTERDAY - timedelta(days=n): [row(n, day=YESTERDAY - timedelta(days=n))] for n in range(9)}
    days[YESTERDAY - timedelta(days=5)] = []
    failing = {YESTERDAY - timedelta(days=6)}

    def answer(request: Request) -> Reply:
        day = date.fromisoformat(request.params["day"])
        return Reply(status=400, body="no") if day in failing else Reply({"data": days[day]})

    shop_api.answer = answer
    sourced(lake, source(shop_api.url, slice="day", params={"day": "{day}"}, lookback=2))
    start = YESTERDAY - timedelta(days=8)
    assert lake.command("pull", "--start", str(start), "--end", str(start + timedelta(days=1))) == 0
    assert lake.command("pull", "--start", str(start + timedelta(days=3)), "--end", str(YESTERDAY)) == 0
    landed(lake)[-3].unlink()  # somebody keeps it elsewhere: that it landed is on record
    shop_api.asked.clear()
    lake.run()
    asked = [(YESTERDAY - date.fromisoformat(request.params["day"])).days for request in shop_api.asked]
    assert asked == [6]  # first the oldest hole, which fails: a wrong question stops the feed
    failing.clear()
    shop_api.asked.clear()
    lake.good()
    asked = [(YESTERDAY - date.fromisoformat(request.params["day"])).days for request in shop_api.asked]
    assert asked == [6, 1, 0]  # 5 is known to be empty, 1 and 0 are the lookback
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(7,)]


def test_a_backfill_asks_for_its_days_and_slices_and_a_dry_run_for_none(
    lake: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    shop_api.answer = lambda request: Reply({"data": [row(int(request.params["account"]), day=date(2024, 1, 1))]})
    server = source(shop_api.url, slice="month", params={"m": "{month}", "account": "{account}"}, accounts=[7, "8"])
    sourced(lake, server.replace("*.ndjson", "*/*.ndjson"))
    words = ("--start", "2024-01-15", "--end", "2024-03-02", "--slice", "8/*")
    assert lake.command("pull", *words, "--dry-run", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(one["slice"], one["day"]) for one in shown] == [
        ("8/2024-01", "2024-01-31"),
        ("8/2024-02", "2024-02-29"),
        ("8/2024-03", "2024-03-02"),
    ]
    assert shop_api.asked == []
    assert lake.command("pull", *words) == 0
    assert [request.params["m"] for request in shop_api.asked] == ["2024-01", "2024-02", "2024-03"]
    assert [path.relative_to(lake.data / "landing/shop/orders").as_posix()[:9] for path in landed(lake)] == [
        "8/2024-01",
        "8/2024-02",
        "8/2024-03",
    ]
    assert lake.rows("SELECT kind, command FROM ops.pipeline_runs WHERE layer = 'run'") == [
        ("pull", "make pull SLICE='8/*' START=2024-01-15 END=2024-03-02")
    ]
    assert not (lake.data / "bronze").exists()


def test_a_plan_shows_the_slices_and_asks_nothing(lake: Lake, shop_api: Api) -> None:
    sourced(lake, source(shop_api.url, slice="day", params={"day": "{day}"}, lookback=5))
    first, *_ = lake.planned()
    days = f"{YESTERDAY - timedelta(days=4)}, ..., {YESTERDAY}"
    assert (first.table, first.action, first.why) == ("landing.shop.orders", "pull", f"5 slices: {days}")
    assert shop_api.asked == []


def test_without_pull_no_source_is_asked(lake: Lake, shop_api: Api) -> None:
    sourced(lake, source(shop_api.url))
    assert lake.command("run", "--no-pull") == 0
    assert shop_api.asked == []


# -- what fails


def test_a_pull_that_fails_holds_nothing_back_and_is_an_incident_that_weighs_more_on_the_second_day(
    lake: Lake, shop_api: Api
) -> None:
    sourced(lake, source(shop_api.url, budget="1 s"))
    lake.edit(
        "silver/shop/orders.yaml", "schema:", "slaProperties: [{property: frequency, value: 1, unit: d}]\nschema:"
    )
    lake.land("shop/orders/by_hand.ndjson", json.dumps(row(1)) + "\n")
    shop_api.answer = lambda request: Reply(status=500, body="overloaded")
    assert lake.command("run", "--run-date", str(YESTERDAY - timedelta(days=1))) == 9
    assert lake.rows("SELECT order_id FROM silver.shop.orders") == [(1,)]
    assert lake.rows("SELECT count(*) FROM ops.releases WHERE \"table\" = 'silver.shop.orders'") == [(1,)]
    assert lake.rows("SELECT DISTINCT error_class FROM ops.pipeline_runs WHERE layer = 'landing'") == [("transient",)]
    assert lake.rows("SELECT status FROM ops.pipeline_runs WHERE layer = 'run'") == [("partial",)]
    assert open_incidents(lake) == [("pull landing.shop.orders", "P3")]
    assert lake.command("health") == 1
    lake.command("run", "--no-pull")
    assert open_incidents(lake) == [("pull landing.shop.orders", "P3")]  # nobody asked: it may still be so
    assert lake.command("run") == 9
    assert lake.command("health") == 1
    assert open_incidents(lake) == [("pull landing.shop.orders", "P2")]
    [ran] = [one for one in found_by_health(lake).expected if one.what == "pipeline run"]
    assert ran.value is not None and ran.met  # what had landed was carried through the layers
    shop_api.answer = lambda request: Reply({"data": []})
    assert lake.command("run") == 0
    assert open_incidents(lake) == []


def test_a_pull_that_was_well_in_between_does_not_fail_for_a_second_day(lake: Lake, shop_api: Api) -> None:
    sourced(lake, source(shop_api.url, budget="1 s"))
    down, well = (lambda _: Reply(status=500)), (lambda _: Reply({"data": [row(1)]}))
    told = []
    for back, answer in ((2, down), (2, well), (1, down), (1, down)):
        shop_api.answer = answer
        lake.command("run", "--run-date", str(YESTERDAY - timedelta(days=back)))
        lake.command("health")  # sees the same as the run, and makes no more of it
        told.append(open_incidents(lake))
    failing = [("pull landing.shop.orders", "P3")]
    assert told == [failing, [], failing, failing]


def test_what_fails_in_passing_is_tried_again_and_a_source_is_left_alone_as_long_as_it_asks(
    lake: Lake, shop_api: Api
) -> None:
    replies = [Reply(status=503), Reply(status=429, headers={"Retry-After": "1"}), Reply({"data": [row(1)]})]
    moments: list[float] = []

    def answer(request: Request) -> Reply:
        moments.append(time.monotonic())
        return replies.pop(0)

    shop_api.answer = answer
    sourced(lake, source(shop_api.url)).good()
    assert moments[2] - moments[1] >= 1.0
    assert lake.rows("SELECT status, requests FROM ops.pulls") == [("landed", 3)]


def test_a_source_that_asks_for_more_patience_than_is_left_is_left_to_the_next_run(lake: Lake, shop_api: Api) -> None:
    shop_api.answer = lambda request: Reply(status=429, headers={"Retry-After": "3600"})
    run = sourced(lake, source(shop_api.url, budget="5 s")).run()
    assert len(shop_api.asked) == 1
    assert "asks to be left alone for 3600 s" in str(run.failures["landing.shop.orders"])


def test_a_refused_credential_stops_its_source_alone_and_never_shows(
    lake: Lake, shop_api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "p&ss wört/+7"
    lake.environ["SOURCE_SHOP_KEY"] = secret

    def answer(request: Request) -> Reply:
        assert request.params["key"] == secret
        return Reply(status=401, body={"error": f"bad key {request.params['key']} in {request.path}"})

    shop_api.answer = answer
    sourced(lake, source(shop_api.url, auth={"query": "key"}))
    sourced(lake, source(shop_api.url, "returns", auth={"query": "key"}), "returns")
    sourced(lake, source("http://127.0.0.1:9", "stock", name="stock", budget="1 s"), "stock")
    assert lake.command("run") == 9
    steps = "SELECT \"table\", source_system, status, error_class FROM ops.pipeline_runs WHERE layer = 'landing'"
    assert sorted(lake.rows(steps)) == [
        ("orders", "shop", "failed", "auth"),
        ("returns", "shop", "blocked", None),
        ("stock", "stock", "failed", "transient"),
    ]
    assert len(shop_api.asked) == 1
    assert open_incidents(lake) == [("pull landing.shop.orders", "P2"), ("pull landing.shop.stock", "P3")]
    shown = capsys.readouterr()
    told = shown.out + shown.err + str(lake.rows("SELECT * FROM ops.pulls"))
    told += str(lake.rows("SELECT * FROM ops.pipeline_runs")) + str(lake.rows("SELECT * FROM ops.alerts"))
    assert "correct SOURCE_SHOP_KEY in .env" in told
    for form in (secret, "p%26ss", "w%C3%B6rt", "p&ss", "w\\u00f6rt"):
        assert form not in told


def test_a_missing_credential_is_named_before_anything_is_asked(lake: Lake, shop_api: Api) -> None:
    lake.environ["SOURCE_SHOP_USER"] = " "
    lake.environ["SOURCE_SHOP_PASSWORD"] = "p-secret-7"  # of a source without any no run asks: test_not_set_up.py
    run = sourced(lake, source(shop_api.url, auth="basic")).run()
    error = run.failures["landing.shop.orders"]
    assert "SOURCE_SHOP_USER" in str(error) and "SOURCE_SHOP_PASSWORD" not in str(error)
    assert run.steps[0].error_class == "auth"
    assert shop_api.asked == []


def test_a_day_that_is_not_ready_is_no_failure_before_its_hour(lake: Lake, shop_api: Api) -> None:
    rule = {"status": 404, "text": "not available yet", "is": "not_yet"}
    shop_api.answer = lambda request: Reply(status=404, body="Report is NOT available yet.")
    options: dict[str, Any] = {"slice": "day", "params": {"day": "{day}"}, "errors": [rule]}
    sourced(lake, source(shop_api.url, **options))  # without an hour: not before the day after is over
    run = lake.good()
    assert statuses(lake) == [(str(YESTERDAY), "not_yet")]
    assert "is not ready yet" in str(lake.step(run, "landing.shop.orders").notes)
    early = source(shop_api.url, **options, readyAt="00:00 UTC")
    lake.write("silver/shop/orders.yaml", "")
    failed = sourced(lake, early).run().failures["landing.shop.orders"]
    assert "not ready, which it should have been" in str(failed)
    assert lake.rows("SELECT count(*) FROM ops.pulls WHERE error_class = 'transient'") == [(1,)]


def test_a_source_that_hangs_costs_its_budget_and_no_other_source(lake: Lake, shop_api: Api) -> None:
    over = threading.Event()

    def answer(request: Request) -> Reply:
        if request.path == "/orders":
            over.wait(20)
        return Reply({"data": [row(2)]})

    shop_api.answer = answer
    sourced(lake, source(shop_api.url, name="hangs", budget="1 s"))
    sourced(lake, source(shop_api.url, "returns", name="other"), "returns")
    began = time.monotonic()
    run = lake.run()
    over.set()
    assert time.monotonic() - began < 8
    assert list(run.failures) == ["landing.shop.orders"]
    assert lake.rows("SELECT order_id FROM silver.shop.returns") == [(2,)]
    assert [path.name for path in landed(lake)] == []


# -- what is killed


def test_a_pull_that_is_killed_is_finished_by_the_next_and_lands_nothing_a_second_time(
    lake: Lake, shop_api: Api
) -> None:
    reached, over = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        day, page = date.fromisoformat(request.params["day"]), request.params["page"]
        if (day, page) == (YESTERDAY, "2"):
            reached.set()
            over.wait(30)
        return Reply({"data": [row(day.toordinal() * 10 + int(page), day=day)] * (2 if page == "1" else 1)})

    shop_api.answer = answer
    paging = {"page": "page", "size": 2}
    sourced(lake, source(shop_api.url, slice="day", params={"day": "{day}"}, lookback=2, paging=paging))
    command = [sys.executable, str(ROOT / "main.py"), "run", "--project", str(lake.root)]
    environ = os.environ | {"SETTLE_SECONDS": "0"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(60)
        process.kill()
    over.set()
    hidden, first = landed(lake)
    assert hidden.name.startswith(".pull-") and first.name.startswith(str(YESTERDAY - timedelta(days=1)))
    assert not (lake.data / "ops/pulls").exists()
    lake.good()
    assert [path.name[:10] for path in landed(lake)] == [str(YESTERDAY - timedelta(days=1)), str(YESTERDAY)]
    assert [status for _, status in statuses(lake)] == ["same", "landed"]
    assert lake.rows("SELECT count(*), count(DISTINCT order_id) FROM silver.shop.orders") == [(4, 4)]


def test_a_run_without_a_source_imports_nothing_of_them(lake: Lake) -> None:
    lake.shop()
    code = (
        "import sys, main; main.main(['run', '--project', sys.argv[1]]); "
        "print([name for name in sys.modules if name.startswith(('src.landing.', 'requests', 'tenacity'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(lake.root)], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]"


# -- what a contract says

PAGE = (ROOT / "docs/pulling.md").read_text(encoding="utf-8")


def test_the_page_of_sources_names_every_option_and_its_examples_are_contracts(lake: Lake) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for number, example in enumerate(examples):
        text = ORDERS.replace("domain: shop", f"domain: d{number}").replace("id: shop.", f"id: d{number}.")
        servers = "servers:\n  - {server: orders, type: local, path: shop/orders/*.csv, format: csv}\n"
        lake.write(f"silver/d{number}/orders.yaml", text.replace(servers, example))
    with open_project(lake.settings) as project:
        registry.check(project.contracts.feeds.values())
    assert len(examples) == 4
    for name in ("rest", "files"):
        known = {**COMMON, **registry.connector(name).OPTIONS}
        assert {option for option in known if f"`{option}`" not in PAGE} == set()


def test_every_page_that_the_page_of_sources_leads_to_is_there() -> None:
    links = re.findall(r"\]\(([a-z-]+\.md)\)", PAGE)
    assert links and [name for name in links if not (ROOT / "docs" / name).is_file()] == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"connector": "rset"}, ("no connector rset", "did you mean `rest`?")),
        ({"lokback": 3}, ("unknown option lokback", "did you mean `lookback`?")),
        ({"readyAt": "14:00 Moon"}, ("readyAt '14:00 Moon'", "14:00 America/Los_Angeles")),
        ({"budget": "soon"}, ("budget 'soon'", "10 min")),
        ({"url": "ftp://example.com"}, ("url 'ftp://example.com'", "an http(s) URL")),
        ({"url": "http://[example.com"}, ("url 'http://[example.com'", "an http(s) URL")),
        ({"slice": "day"}, ("slice day, and no call says which", "{day}")),
        ({"raw": True}, ("raw with rows", "recordPath")),
    ],
)
def test_an_option_that_is_none_is_an_error_of_the_contract(
    lake: Lake, options: dict[str, Any], found: tuple[str, str]
) -> None:
    sourced(lake, source("http://127.0.0.1:9", **options))
    with pytest.raises(ContractErrors) as raised:
        lake.run()
    assert all(text in str(raised.value) for text in (*found, "orders.yaml, server orders, customProperties[source]"))
    for command in ("plan", "test", "pull"):
        with pytest.raises(ContractErrors):
            lake.command(command)


def test_a_path_that_would_not_take_the_files_is_an_error_of_the_contract(lake: Lake, shop_api: Api) -> None:
    shop_api.answer = lambda request: Reply({"data": [row(1)]})
    run = sourced(lake, source(shop_api.url, accounts=["a"], params={"a": "{account}"})).run()
    error = str(run.failures["landing.shop.orders"])
    assert "does not take shop/orders/a/all@" in error and "shop/orders/*/*.ndjson" in error
    assert landed(lake) == []


def test_a_package_that_is_missing_is_named_with_the_line_to_type(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    sourced(lake, source("http://127.0.0.1:9"))
    monkeypatch.setattr("src.landing.connectors.rest.PACKAGES", ("requests", "no-such-package"))
    error = lake.run().failures["landing.shop.orders"]
    assert "needs no-such-package, not installed" in str(error) and "boathouse[connectors]" in str(error)
    (lake.root / "setup.sh").touch()
    assert "./setup.sh --connectors" in str(lake.run().failures["landing.shop.orders"])


# -- statements


def test_each_day_is_what_its_source_said_last_back_and_forth_until_nothing_is_left_of_it(
    lake: Lake, shop_api: Api
) -> None:
    days = {
        day: [row(day.toordinal() * 10 + n, n, day) for n in (1, 2)]
        for day in (YESTERDAY - timedelta(days=1), YESTERDAY)
    }
    before, after = dict(days), {**days, YESTERDAY: [row(YESTERDAY.toordinal() * 10 + 1, 5, YESTERDAY)]}
    server = source(shop_api.url, slice="day", params={"day": "{day}"}, lookback=2)
    sourced(lake, server)
    day = "regexp_extract(_file, '([0-9-]+)@', 1)"
    key = f'{{name: day, transformLogic: "{day}", primaryKey: true, primaryKeyPosition: 2,'
    lake.edit("silver/shop/orders.yaml", "{name: day,", key)
    lake.edit("silver/shop/orders.yaml", "sequenceBy, value: [updated]", "replaces, value: [day]")
    seen = []
    for said in (before, after, before, {**before, YESTERDAY: []}):
        shop_api.answer = lambda request, said=said: Reply({"data": said[date.fromisoformat(request.params["day"])]})  # type: ignore[misc]
        lake.good()
        seen.append(
            lake.rows("SELECT day = max(day) OVER (), amount::INT FROM silver.shop.orders ORDER BY day, order_id")
        )
    other = [(False, 1), (False, 2)]
    assert seen[:3] == [[*other, (True, 1), (True, 2)], [*other, (True, 5)], [*other, (True, 1), (True, 2)]]
    assert seen[3] == [(True, 1), (True, 2)]  # of the day before; yesterday has no row any more
    assert len(landed(lake)) == 5
