"""Meta's insights: an account's day is what Meta said of it last, and an error is what its code says it is."""

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
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake, short
from fake_api import Reply, Request
from fake_meta import KNOWN, TOKEN, Meta, error, meta

from src import alerts
from src.contract import Feed, Source
from src.errors import AuthError, BoathouseError, ContractError, ContractErrors, TransientError
from src.landing import accounts, meta_limits, registry
from src.landing.connector import AccountError, Asked, BusyError
from src.landing.connectors import meta as connector
from src.landing.meta_errors import TooLargeError
from src.landing.options import COMMON
from src.landing.patience import GaveUpError
from src.project import open_project
from src.run import runs

DAY = date(2026, 11, 9)
YESTERDAY = runs.now().date() - timedelta(days=1)
BEFORE = YESTERDAY - timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_limit_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may get the port of one before it, and is not the source whose limit that one hit."""
    monkeypatch.setattr(meta_limits, "_known", {})


@pytest.fixture
def server() -> Iterator[Meta]:
    with meta(DAY + timedelta(days=1)) as made:
        yield made


@pytest.fixture
def live() -> Iterator[Meta]:
    """The same, at the clock of the runs."""
    with meta(YESTERDAY + timedelta(days=1)) as made:
        yield made


class Kept:
    """An answer that is kept in memory."""

    def __init__(self) -> None:
        self.requests, self.data = 0, b""

    def write(self, data: bytes) -> None:
        self.data += data

    @property
    def rows(self) -> list[str]:
        return self.data.decode().splitlines()


def written(server: Meta, **options: Any) -> dict[str, Any]:
    return {"url": server.url, "version": "v25.0", "accounts": ["act_101", "act_102"], **options}


def question(options: dict[str, Any], start: date = DAY) -> Asked:
    source = Source("meta", "meta_ads", options)
    feed = Feed("kpi", "meta_insights", "kpi/meta_ads/*/*.ndjson", "ndjson", source=source)
    registry.check([feed])
    known, end = registry.options(source), time.monotonic() + 20
    return Asked(
        source=source,
        feed=feed,
        options=known,
        secrets={"TOKEN": TOKEN},
        start=start,
        end=DAY,
        now=datetime(2026, 11, 10, 6, tzinfo=UTC),
        landed=lambda: (),
        remembered=lambda name: None,
        seconds_left=lambda: end - time.monotonic(),
        accounts=accounts.accounts(known["accounts"], Path()),
    )


def fetched(server: Meta, account: str = "act_101", **options: Any) -> Kept:
    """The answer about an account's day."""
    asked, answer = question(written(server, **options)), Kept()
    [part] = [part for part in connector.slices(asked) if part.account == account]
    assert connector.fetch(asked, part, answer) == len(answer.rows)  # type: ignore[arg-type]
    return answer


def refused(server: Meta, reply: Reply, **options: Any) -> BoathouseError:
    server.faults = [reply]
    with pytest.raises(BoathouseError) as raised:
        fetched(server, **options)
    return raised.value


# -- what is asked


def test_what_decides_the_figures_goes_with_every_question_and_is_recorded(server: Meta) -> None:
    fetched(server, attribution=["1d_click"], actionReportTime="mixed", unifiedAttribution=True, breakdowns=["country"])
    [first, _] = [request.params for request in server.asked]
    assert first == {
        "limit": "500",
        "level": "campaign",
        "fields": KNOWN.replace(" ", ","),
        "time_range": '{"since": "2026-11-09", "until": "2026-11-09"}',
        "time_increment": "1",
        "action_attribution_windows": '["1d_click"]',
        "action_report_time": "mixed",
        "use_unified_attribution_setting": "true",
        "breakdowns": "country",
    }
    assert connector.pinned(question(written(server)).options) == {
        "version": "v25.0",
        "level": "campaign",
        "attribution": ("7d_click", "1d_view"),
        "unifiedAttribution": False,
        "actionReportTime": "impression",
        "breakdowns": (),
    }


def test_the_newest_day_of_every_account_is_asked_for_first() -> None:
    asked = question({"version": "v25.0", "accounts": ["act_101", 102]}, start=DAY - timedelta(days=1))
    assert [(part.name, part.account) for part in connector.slices(asked)] == [
        ("act_101/2026-11-09", "act_101"),
        ("act_102/2026-11-09", "102"),
        ("act_101/2026-11-08", "act_101"),
        ("act_102/2026-11-08", "102"),
    ]
    with pytest.raises(ContractError, match="account 'harbour'"):
        connector.slices(question({"version": "v25.0", "accounts": ["harbour"]}))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"accounts": ["act_1"]}, "no version"),
        ({"version": "v25.0"}, "no accounts"),
        ({"version": "25"}, "version '25'"),
        ({"attribution": ["7d_click", "28d_view", "7d_view"]}, "attribution 28d_view, 7d_view, which Meta no longer"),
        ({"attribution": []}, "attribution empty"),
        ({"fields": ["spend", "spend"]}, "fields"),
        ({"level": "page"}, "level 'page'"),
        ({"versionEnds": "soon"}, "versionEnds 'soon'"),
    ],
)
def test_an_option_that_cannot_be_is_an_error_of_the_contract(options: dict[str, Any], what: str) -> None:
    whole = {"version": "v25.0", "accounts": ["act_1"]}
    with pytest.raises(ContractErrors) as raised:
        question(options if what.startswith("no ") else whole | options)
    assert what in str(raised.value)


def test_the_end_of_a_version_is_a_notice_from_sixty_days_before_it_on(server: Meta) -> None:
    options = question(written(server, versionEnds="2027-02-23")).options

    def notices(today: str) -> list[str]:
        return [one.what for one in connector.notices(options, date.fromisoformat(today))]

    assert notices("2026-12-24") == []
    assert notices("2026-12-25") == ["version v25.0 of Meta's API ends on 2027-02-23, in 60 days"]
    assert notices("2027-02-23") == ["version v25.0 of Meta's API ended on 2027-02-23"]
    assert connector.notices(question(written(server)).options, date(2099, 1, 1)) == []


def test_a_probe_tells_the_zone_and_currency_by_one_call(server: Meta) -> None:
    said = "act_101, the first of 2 accounts, answers: days of Europe/Stockholm, money in SEK"
    assert connector.probe(question(written(server))) == said
    assert [request.path for request in server.asked] == ["/v25.0/act_101"]


# -- pages


def test_pages_are_asked_for_by_cursor_and_the_token_is_in_no_address(server: Meta) -> None:
    server.campaigns["act_101"] = 5
    found = [json.loads(row) for row in fetched(server).rows]
    assert found == server.insights("act_101", DAY)
    assert [request.params.get("after") for request in server.asked] == [None, "c2", "c4"]
    assert not any(TOKEN in str(request.params) + request.path for request in server.asked)


def test_rows_land_as_the_text_that_meta_sent(server: Meta) -> None:
    text = '{"spend": "1.10", "n": 1.10e5,\n "date_start": "2026-11-09", "t": "\\u00e9"}'
    server.faults = [Reply(f'{{"data": [{text}], "paging": {{}}}}')]
    assert fetched(server).rows == [text.replace("\n", " ")]


def test_a_page_that_fails_in_passing_is_asked_for_again_and_not_those_before_it(server: Meta) -> None:
    server.faults = [None, error(2, "Service temporarily unavailable", status=500)]
    assert len(fetched(server).rows) == 3
    assert [request.params.get("after") for request in server.asked] == [None, "c2", "c2"]


def page(*numbers: int, after: str | None = None, **paging: Any) -> Reply:
    rows = [{"campaign_id": str(number), "date_start": str(DAY)} for number in numbers]
    return Reply({"data": rows, "paging": {"cursors": {"after": after}, "next": "https://x/", **paging}})


@pytest.mark.parametrize(
    "pages",
    [
        [page(1, after="a"), page(2, after="a")],
        [page(1, after="a"), page(2, after="b"), page(1, after="c")],
        [page(after="a"), page(after="a")],
    ],
    ids=["a cursor", "a page", "an empty page"],
)
def test_a_page_or_cursor_that_comes_again_is_an_error(server: Meta, pages: list[Reply]) -> None:
    server.faults = [*pages]
    with pytest.raises(GaveUpError, match=f"page {len(pages)} or its cursor came before"):
        fetched(server)
    assert server.faults == []


@pytest.mark.parametrize(
    ("reply", "kind", "what"),
    [
        (Reply("<html>Sorry</html>", headers={"Content-Type": "text/html"}), TransientError, "but text/html: '<html>"),
        (Reply(""), TransientError, "no JSON object"),
        (Reply('{"data": [{"spend"'), TransientError, "no JSON object"),
        (Reply([]), TransientError, "no JSON object"),
        (Reply({}), ContractError, "no list of rows in data; the answer has nothing"),
        (Reply({"dato": []}), ContractError, "no list of rows in data; the answer has dato"),
        (Reply({"data": None}), ContractError, "no list of rows in data"),
        (Reply({"data": {"spend": "1"}}), ContractError, "no list of rows in data"),
        (Reply({"data": ["1"]}), ContractError, "no list of rows in data"),
        (Reply({"data": [{"date_start": "2026-11-08"}]}), ContractError, "and the answer is about 2026-11-08"),
        (page(1), ContractError, "a next page without a cursor"),
        (Reply("<html>Bad gateway</html>", 502), TransientError, "HTTP 502"),
        (Reply("<html>Too many</html>", 429, {"Retry-After": "7"}), BusyError, "HTTP 429"),
        (Reply("<html>Blocked</html>", 403), AuthError, "the credential was refused: HTTP 403"),
    ],
)
def test_an_answer_that_is_none_is_never_an_empty_day(
    server: Meta, reply: Reply, kind: type[BoathouseError], what: str
) -> None:
    found = refused(server, reply)
    assert (type(found), what in str(found)) == (kind, True), found


def test_a_day_without_a_row_is_an_empty_statement(server: Meta) -> None:
    server.campaigns["act_101"] = 0
    assert fetched(server).rows == []


# -- errors

ERRORS: list[tuple[Reply, type[BoathouseError], str]] = [
    (error(1, "An unknown error occurred", 99), TransientError, "error 1/99: An unknown"),
    (error(2, "Service temporarily unavailable", 1504043), TransientError, "error 2/1504043"),
    (error(-2, "Report failed, try later", 2490547), TransientError, "error -2/2490547"),
    (error(9999, "What", status=503), TransientError, "error 9999"),
    (Reply({"error": {"code": 9999, "message": "x", "is_transient": True}}, 400), TransientError, "error 9999: x"),
    (error(1, "Please reduce the amount of data you're asking for", status=500), TooLargeError, "asynchronous: auto"),
    (error(100, "Timed out", 1504018), TooLargeError, "asynchronous: auto"),
    (error(2, "Timed out", 1504038), TooLargeError, "asynchronous: auto"),
    *[(error(code, "Too many calls", 1504022), BusyError, f"error {code}") for code in (4, 17, 32, 341, 613)],
    *[(error(code, "Too many calls", 2446079), BusyError, f"error {code}") for code in (80000, 80004, 80014)],
    (error(9999, "Too many calls", status=429), BusyError, "error 9999"),
    (error(190, "Session has expired", 463), AuthError, "the token was refused, it has expired: error 190/463"),
    (error(190, "Invalid token", 467), AuthError, "withdrawn, or is none"),
    (error(190, "Password changed", 460), AuthError, "the password of the person it belongs to was changed"),
    (error(190, "Not authorized", 458), AuthError, "removed the app"),
    (error(190, "Malformed access token"), AuthError, "set SOURCE_META_ADS_TOKEN in .env to a new one"),
    (error(102, "Session key invalid", status=401), AuthError, "set SOURCE_META_ADS_TOKEN in .env"),
    (error(3, "No capability"), AuthError, "the app may not do it"),
    (error(10, "No permission"), AccountError, "the token may not read act_101: error 10"),
    (error(200, "Owner has NOT granted ads_read", status=403), AccountError, "assign it to the token's user"),
    (error(294, "Managing advertisements requires"), AccountError, "with ads_read"),
    (error(100, "Object with ID 'act_101' does not exist", 33), AccountError, "there is no act_101, or the token"),
    (error(100, "unique_ctr2 is not valid for fields param"), ContractError, "correct `fields`"),
    (error(2, "Invalid breakdowns", 1504041), ContractError, "they do not go together"),
    (error(2, "Invalid metrics", 1504042), ContractError, "they do not go together"),
    (error(2635, "Deprecated version"), ContractError, "write a newer `version`"),
    (error(3018, "Beyond 37 months"), ContractError, "start at a later day"),
    (error(2500, "Unknown path components", status=404), ContractError, "error 2500"),
    (error(190, "In an answer that says 200", 463, status=200), AuthError, "it has expired"),
]


@pytest.mark.parametrize(
    ("reply", "kind", "what"), ERRORS, ids=[f"{e[0].body['error']['code']} {e[2]}" for e in ERRORS]
)
def test_an_error_is_judged_by_its_code_and_subcode(
    server: Meta, reply: Reply, kind: type[BoathouseError], what: str
) -> None:
    found = refused(server, reply, asynchronous="never")
    assert (type(found), what in str(found)) == (kind, True), found
    assert len(server.asked) == 1 and "graph.facebook" not in str(found)


PAGE = (ROOT / "docs/meta.md").read_text(encoding="utf-8")


def test_the_page_names_every_option_and_its_example_is_one_that_can_be(lake: Lake) -> None:
    known = {*COMMON, *connector.OPTIONS} - {"budget", "readyAt"}  # which the page of sources explains
    assert {name for name in known if f"`{name}`" not in PAGE and f"{name}:" not in PAGE} == set()
    [example] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    text = "".join(f"    {line}" for line in example.splitlines(keepends=True))
    shipped = (ROOT / "src/silver/kpi/meta_insights.yaml").read_text(encoding="utf-8")
    assert text in shipped
    lake.write("silver/kpi/meta_insights.yaml", shipped)
    with open_project(lake.settings) as project:
        registry.check(project.contracts.feeds.values())


# -- limits


def usage(account: str, **amounts: Any) -> str:
    known = {"type": "ads_insights", "call_count": 20, "total_cputime": 20, "total_time": 20}
    return json.dumps({account: [{**known, "estimated_time_to_regain_access": 0, **amounts}]})


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (error(80000, "x", X_Business_Use_Case_Usage=usage("101", estimated_time_to_regain_access=12)), 720),
        (error(17, "x", status=429, Retry_After="40"), 40),
        (error(80000, "x", X_Business_Use_Case_Usage="none"), 300),
    ],
    ids=["minutes in the header", "Retry-After", "not said"],
)
def test_once_a_limit_is_hit_the_account_is_left_alone_for_as_long_as_meta_says(
    server: Meta, reply: Reply, seconds: float
) -> None:
    found = refused(server, reply)
    assert isinstance(found, BusyError) and found.seconds == seconds
    with pytest.raises(BusyError) as raised:
        fetched(server)
    assert seconds - 20 < raised.value.seconds <= seconds
    assert len(server.asked) == 1  # the second was not asked
    assert len(fetched(server, "act_102").rows) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"x-business-use-case-usage": usage("101", total_cputime=95)},
        {"x-fb-ads-insights-throttle": '{"app_id_util_pct": 3, "acc_id_util_pct": 95.0}'},
        {"x-ad-account-usage": '{"acc_id_util_pct": 95}'},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_an_account_is_left_alone_before_meta_refuses_it(server: Meta, headers: dict[str, str]) -> None:
    server.campaigns["act_101"] = 2
    server.usage["act_101"] = headers
    assert len(fetched(server).rows) == 2
    with pytest.raises(BusyError, match="act_101 has used 95 % of what Meta allows in an hour"):
        fetched(server)
    assert len(server.asked) == 1
    assert len(fetched(server, "act_102").rows) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"x-app-usage": '{"call_count": 91, "total_time": 1, "total_cputime": 1}'},
        {"x-fb-ads-insights-throttle": '{"app_id_util_pct": 91, "acc_id_util_pct": 0}'},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_every_account_is_left_alone_where_it_is_the_limit_of_the_app(server: Meta, headers: dict[str, str]) -> None:
    server.campaigns["act_101"] = 2
    server.usage["act_101"] = headers
    fetched(server)
    with pytest.raises(BusyError, match="the app has used 91 %"):
        fetched(server, "act_102")
    assert len(server.asked) == 1


def test_limits_of_other_uses_and_those_far_from_used_up_hold_nothing_up(server: Meta) -> None:
    throttle = '{"app_id_util_pct": 89.9, "acc_id_util_pct": 89}'
    others = usage("101", type="ads_management", call_count=99)
    server.usage["act_101"] = {"x-business-use-case-usage": others, "x-fb-ads-insights-throttle": throttle}
    assert (len(fetched(server).rows), len(server.asked)) == (3, 2)


# -- report runs


def test_a_day_that_is_too_much_is_asked_for_as_a_report_run_and_so_are_the_accounts_others(server: Meta) -> None:
    server.too_large = {"act_101"}
    server.statuses = [{"async_status": "Job Running", "async_percent_completion": 40}]
    assert [json.loads(row) for row in fetched(server).rows] == server.insights("act_101", DAY)
    fetched(server)
    calls = [(request.method, request.path.partition("/v25.0/")[2]) for request in server.asked]
    assert calls == [
        ("GET", "act_101/insights"),
        ("POST", "act_101/insights"),
        ("GET", "700"),
        ("GET", "700"),
        ("GET", "700/insights"),
        ("GET", "700/insights"),
        ("POST", "act_101/insights"),
        ("GET", "701"),
        ("GET", "701/insights"),
        ("GET", "701/insights"),
    ]
    assert not any(TOKEN in str(request.params) + request.body for request in server.asked)


def test_report_runs_may_be_asked_for_always_or_never(server: Meta) -> None:
    assert len(fetched(server, asynchronous="always").rows) == 3
    assert server.asked[0].method == "POST" and "action_attribution_windows" in server.asked[0].body
    server.too_large = {"act_101"}
    with pytest.raises(TooLargeError, match="asynchronous: auto"):
        fetched(server, asynchronous="never")


@pytest.mark.parametrize(
    ("status", "kind", "what"),
    [
        ({"async_status": "Job Failed"}, TransientError, "report run 700 is at 'Job Failed', without a reason"),
        ({"async_status": "Job Skipped"}, TransientError, "'Job Skipped'"),
        ({"error_code": -2, "error_subcode": 2490547, "error_message": "try later"}, TransientError, "-2/2490547"),
        ({"error_code": 100, "error_message": "no such field"}, ContractError, "error 100: no such field"),
        ({"error_code": 80000, "error_message": "too many"}, BusyError, "error 80000"),
        ({"async_status": "Job Moved"}, TransientError, "'Job Moved'"),
    ],
)
def test_a_report_run_that_fails_is_judged_by_its_code_where_it_has_one(
    server: Meta, status: dict[str, Any], kind: type[BoathouseError], what: str
) -> None:
    server.statuses = [{"async_status": "Job Failed", **status}]
    with pytest.raises(BoathouseError) as raised:
        fetched(server, asynchronous="always")
    assert (type(raised.value), what in str(raised.value)) == (kind, True), raised.value


def test_a_report_run_that_stands_still_is_given_up_at_the_end_of_the_budget(server: Meta) -> None:
    server.statuses = [{"async_status": "Job Running", "async_percent_completion": 12}] * 20
    asked = replace(
        question(written(server, asynchronous="always")), seconds_left=lambda: 0.9
    )  # less than two looks take
    with pytest.raises(GaveUpError, match="report run 700 is at 'Job Running', 12 %, at the end of the budget"):
        connector.fetch(asked, connector.slices(asked)[0], Kept())  # type: ignore[arg-type]


# -- in a lake


def kpi(lake: Lake, server: Meta, **options: Any) -> Lake:
    """A lake with the shipped contract of Meta's insights, whose source is this server."""
    lake.environ["SOURCE_META_ADS_TOKEN"] = TOKEN
    value = {"connector": "meta", "name": "meta_ads", "lookback": 2, "budget": "30 s", **written(server), **options}
    text = (ROOT / "src/silver/kpi/meta_insights.yaml").read_text(encoding="utf-8")
    head, tail = text.split("    format: ndjson\n")
    source = json.dumps([{"property": "source", "value": value}])
    tail = tail[tail.index("slaProperties:") :]
    lake.write("silver/kpi/meta_insights.yaml", f"{head}    format: ndjson\n    customProperties: {source}\n{tail}")
    return lake


def stored(lake: Lake) -> list[tuple[Any, ...]]:
    return lake.rows(
        "SELECT account_id, day, campaign_id, currency, impressions, clicks, spend, installs, purchases, "
        "purchase_value FROM silver.kpi.meta_insights ORDER BY ALL"
    )


def told(server: Meta, *days: date) -> list[tuple[Any, ...]]:
    """The same of these days, as the API has it now."""
    found = []
    for account in server.campaigns:
        for row in (row for day in days for row in server.insights(account, day)):
            actions = {one["action_type"]: int(one["value"]) for one in row.get("actions", ())}
            values = {one["action_type"]: Decimal(one["value"]) for one in row.get("action_values", ())}
            shown = int(row["impressions"]), int(row["clicks"]), Decimal(row["spend"])
            bought = (
                actions.get("mobile_app_install", 0),
                actions.get("purchase", 0),
                values.get("purchase", Decimal(0)),
            )
            key = account, date.fromisoformat(row["date_start"]), row["campaign_id"], row["account_currency"]
            found.append((*key, *shown, *bought))
    return sorted(found)


def files(lake: Lake) -> list[str]:
    found = (lake.data / "landing/kpi/meta_ads").rglob("*")
    return sorted(path.relative_to(lake.data / "landing/kpi/meta_ads").as_posix() for path in found if path.is_file())


def test_a_day_is_what_meta_said_of_it_last_back_and_forth_until_nothing_is_left_of_it(lake: Lake, live: Meta) -> None:
    kpi(lake, live)
    now, seen = live.now, []
    for clock in (now, now + timedelta(days=3), now):
        live.now = clock
        lake.good()
        assert stored(lake) == told(live, BEFORE, YESTERDAY)
        seen.append(stored(lake))
    assert seen[0] == seen[2] != seen[1]
    assert lake.command("pull") == 0
    assert len(files(lake)) == 12  # of two accounts and two days three times; the last pull brought nothing
    live.gone = {("act_101", YESTERDAY, 1), *(("act_102", YESTERDAY, n) for n in (0, 1))}
    lake.good()
    assert stored(lake) == told(live, BEFORE, YESTERDAY)
    assert [row[:3] for row in stored(lake) if row[1] == YESTERDAY] == [
        ("act_101", YESTERDAY, "1010"),
        ("act_101", YESTERDAY, "1012"),
    ]
    [pinned] = lake.rows("SELECT DISTINCT pinned FROM ops.pulls")
    assert json.loads(pinned[0])["attribution"] == ["7d_click", "1d_view"]


def test_a_first_load_may_have_no_conversion_and_no_reach_and_a_figure_that_is_renamed_is_no_zero(
    lake: Lake, live: Meta
) -> None:
    live.campaigns = {"act_101": 1}
    day = {"date_start": str(YESTERDAY), "campaign_id": "1", "account_currency": "SEK", "spend": "1"}
    live.faults = [Reply({"data": [{**day, "impressions": "5"}]})]
    kpi(lake, live, accounts=["act_101"], lookback=1).good()
    query = "SELECT impressions, clicks, reach, installs, purchase_value FROM silver.kpi.meta_insights"
    assert lake.rows(query) == [(5, 0, None, 0, 0)]
    live.faults = [Reply({"data": [{**day, "impression_count": "5"}]})]
    lake.run()
    assert lake.rows(query) == []  # the statement took the place of the one before; its row is in quarantine
    [(reasons,)] = lake.rows("SELECT _reasons FROM quarantine.kpi.meta_insights")
    assert "impressions" in str(reasons)


def test_a_refused_token_stops_the_source_and_never_shows(
    lake: Lake, live: Meta, capsys: pytest.CaptureFixture[str]
) -> None:
    live.fault_of = lambda request: error(190, f"Session {TOKEN} has expired", 463)
    assert kpi(lake, live).command("run") == 9
    assert len(live.asked) == 1
    assert lake.rows("SELECT status, error_class FROM ops.pulls") == [("failed", "auth")]
    shown = capsys.readouterr()
    words = shown.out + shown.err + str(lake.rows("SELECT * FROM ops.pulls"))
    words += "".join(path.read_text() for path in lake.root.rglob("*.log"))
    assert "it has expired" in words and "set SOURCE_META_ADS_TOKEN in .env" in words
    assert TOKEN not in words and TOKEN.replace("/", "%2F") not in words


def of(account: str, reply: Reply) -> Any:
    """A fault of one account's questions."""
    return lambda request: reply if account in request.path else None


def test_an_account_that_the_token_may_not_read_keeps_no_other_out(lake: Lake, live: Meta) -> None:
    live.fault_of = of("act_101", error(200, "Owner has NOT granted ads_read", status=403))
    contract = kpi(lake, live).root / "src/silver/kpi/meta_insights.yaml"
    other = contract.read_text().replace("kpi/meta_ads/", "kpi/meta_again/").replace("meta_insights", "meta_again")
    lake.write("silver/kpi/meta_again.yaml", other)  # another feed of the same source, which is asked too
    assert lake.command("run") == 9
    assert [request.path.split("/")[2] for request in live.asked].count("act_101") == 2
    assert lake.rows("SELECT DISTINCT account_id FROM silver.kpi.meta_again") == [("act_102",)]
    assert {row[0] for row in stored(lake)} == {"act_102"} and len(stored(lake)) == 4
    [(message,)] = lake.rows("SELECT DISTINCT error_message FROM ops.pulls WHERE status = 'failed'")
    assert message.startswith("the token may not read act_101: error 200")
    with open_project(lake.settings) as project:
        found = [(one.incident, one.urgency) for one in alerts.open_incidents(project.engine, lake.data)]
    assert found == [(f"pull landing.kpi.meta_{name}", "P2") for name in ("again", "insights")]
    live.fault_of = lambda request: None
    lake.good()
    assert stored(lake) == told(live, BEFORE, YESTERDAY)


def test_an_account_that_fails_in_passing_is_left_after_three_slices_and_keeps_no_other_out(
    lake: Lake, live: Meta
) -> None:
    live.fault_of = of("act_101", error(80000, "Too many calls", 2446079))
    run = kpi(lake, live, lookback=5, budget="60 s").run()
    statuses = lake.rows("SELECT slice, status FROM ops.pulls WHERE status = 'failed' ORDER BY slice")
    assert [name for name, _ in statuses] == [f"act_101/{YESTERDAY - timedelta(days=n)}" for n in (2, 1, 0)]
    assert [request.path.split("/")[2] for request in live.asked].count("act_101") == 1
    assert len({row[1] for row in stored(lake) if row[0] == "act_102"}) == 5
    assert "(and 2 other slices)" in str(run.failures["landing.kpi.meta_insights"])


def test_a_field_that_is_gone_is_asked_for_once(lake: Lake, live: Meta) -> None:
    run = kpi(lake, live, fields=["campaign_id", "unique_ctr2"]).run()
    assert "unique_ctr2 is not valid for fields param" in str(run.failures["landing.kpi.meta_insights"])
    assert (len(live.asked), lake.rows("SELECT error_class FROM ops.pulls")) == (1, [("contract",)])


def test_a_hang_costs_the_budget_alone(lake: Lake, live: Meta) -> None:
    over = threading.Event()

    def hang(request: Request) -> None:
        over.wait(20)

    live.fault_of = hang
    began = time.monotonic()
    kpi(lake, live, budget="1 s").run()
    assert time.monotonic() - began < 10
    over.set()
    assert lake.rows("SELECT status, error_class FROM ops.pulls") == [("failed", "transient")]
    assert files(lake) == []


def test_a_budget_that_report_runs_use_up_leaves_what_landed(lake: Lake, live: Meta) -> None:
    live.too_large = {"act_102"}
    live.statuses = [{"async_status": "Job Running"}] * 50
    run = kpi(lake, live, budget="3 s").run()
    assert list(run.failures) == ["landing.kpi.meta_insights"]
    assert lake.rows("SELECT DISTINCT error_class FROM ops.pulls WHERE slice LIKE 'act_102/%'") == [("transient",)]
    assert {row[0] for row in stored(lake)} == {"act_101"}
    live.statuses = []
    kpi(lake, live, budget="30 s").good()
    assert stored(lake) == told(live, BEFORE, YESTERDAY)


# -- what is killed


@pytest.mark.parametrize("nth", short([3, 1, 2, 4, 5, 6], 1))
def test_a_pull_that_is_killed_at_a_call_is_finished_by_the_next(lake: Lake, live: Meta, nth: int) -> None:
    kpi(lake, live).good()
    live.now += timedelta(days=3)
    reached, over = threading.Event(), threading.Event()
    live.asked.clear()

    def hang(request: Request) -> None:
        if len(live.asked) == nth:
            reached.set()
            over.wait(30)

    live.fault_of = hang
    command = [sys.executable, str(ROOT / "main.py"), "run", "--project", str(lake.root)]
    environ = os.environ | lake.environ | {"SETTLE_SECONDS": "0"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(60)
        process.kill()
    over.set()
    live.fault_of = lambda request: None
    lake.good()
    assert stored(lake) == told(live, BEFORE, YESTERDAY)
    assert len(files(lake)) == 8 and all("@" in name for name in files(lake))
    contents = [gzip.decompress((lake.data / "landing/kpi/meta_ads" / name).read_bytes()) for name in files(lake)]
    assert len(set(contents)) == 8
