"""GA4's daily tables: every row as it stands, a day restated is the day, and what fails says what a person does."""

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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake, short
from fake_api import Reply
from fake_bigquery import EVENTS, TOKEN, BigQuery, Fields, Table, bigquery, column, key_pair, refusal, wire

from src.contract import Feed, Source
from src.errors import AuthError, BoathouseError, ContractError, TransientError
from src.landing import accounts, registry
from src.landing.connector import AccountError, Asked, BusyError, Landed, NotYetError
from src.landing.connectors import ga4
from src.project import open_project
from src.run import runs

DAY = date(2026, 11, 9)
NOW = datetime(2026, 11, 10, 6, tzinfo=UTC)
YESTERDAY = runs.now().date() - timedelta(days=1)


@pytest.fixture
def server() -> Iterator[BigQuery]:
    with bigquery() as made:
        yield made


class Kept:
    """An answer that is kept in memory."""

    def __init__(self) -> None:
        self.requests, self.data, self.memory, self.is_unchanged = 0, b"", b"", False

    def write(self, data: bytes) -> None:
        self.data += data

    def remember(self, data: bytes) -> None:
        self.memory += data

    def unchanged(self) -> None:
        self.is_unchanged = True

    @property
    def rows(self) -> list[str]:
        return self.data.decode().splitlines()


def question(server: BigQuery, day: date = DAY, seconds: float = 20, **written: Any) -> Asked:
    """What the stage asks of a day; `secret` is the credential, `landed` what is there."""
    secret, landed = written.pop("secret", None), written.pop("landed", ())
    memory = written.pop("memory", None)
    source = Source("ga4", "web", {"url": server.url, "accounts": ["analytics_201"], **written})
    feed = Feed("kpi", "ga4_events", "kpi/ga4/*/*.ndjson", "ndjson", source=source)
    registry.check([feed])
    options, end = registry.options(source), time.monotonic() + seconds
    return Asked(
        source=source,
        feed=feed,
        options=options,
        secrets={"KEY": json.dumps(server.key) if secret is None else secret},
        start=day,
        end=day,
        now=NOW,
        landed=lambda: landed,
        remembered=lambda name: memory,
        seconds_left=lambda: end - time.monotonic(),
        accounts=accounts.accounts(options["accounts"], Path()),
    )


def fetched(server: BigQuery, day: date = DAY, **written: Any) -> Kept:
    """The answer about a day."""
    asked, answer = question(server, day, **written), Kept()
    rows = ga4.fetch(asked, ga4.slices(asked)[0], answer)  # type: ignore[arg-type]
    assert rows == len(answer.rows)
    return answer


def event(number: int, name: str = "page_view", **more: Any) -> dict[str, Any]:
    """An event of one user in one session."""
    session = {"key": "ga_session_id", "value": {"int_value": 1000 + number}}
    common = {"event_timestamp": 1794182400000000 + number, "user_pseudo_id": f"u{number}", "platform": "WEB"}
    return {**common, "event_name": name, "event_params": [session], "stream_id": "7", **more}


# -- rows


TYPES: Fields = [
    column("i", "INTEGER"),
    column("f", "FLOAT"),
    column("n", "BIGNUMERIC"),
    column("t", "TIMESTAMP"),
    column("b", "BOOLEAN"),
    column("s", "STRING"),
    column("y", "BYTES"),
    column("l", "INTEGER", "REPEATED"),
    column("r", "RECORD", fields=[column("a", "FLOAT"), column("deep", "RECORD", "REPEATED", [column("x")])]),
]
VALUES: list[tuple[dict[str, Any], str]] = [
    (
        {
            "i": "9223372036854775807",
            "f": "1.0E-5",
            "n": "123456789012345678901234567890.123456789",
            "t": "1794182400123456",
            "b": True,
            "s": 'a "b"\n\\é\u2028',
            "y": "AAH/",
            "l": ["-1", "9007199254740993"],
            "r": {"a": "138.0", "deep": [{"x": "1"}, {"x": None}]},
        },
        '{"i": 9223372036854775807, "f": 1.0E-5, "n": 123456789012345678901234567890.123456789, '
        '"t": "2026-11-09T00:00:00.123456Z", "b": true, "s": "a \\"b\\"\\n\\\\\\u00e9\\u2028", "y": "AAH/", '
        '"l": [-1, 9007199254740993], "r": {"a": 138.0, "deep": [{"x": "1"}, {"x": null}]}}',
    ),
    (
        {"f": "NaN", "n": "-0.10", "t": "-1", "b": False, "s": "", "r": {"a": "-Infinity"}},
        '{"i": null, "f": "NaN", "n": -0.10, "t": "1969-12-31T23:59:59.999999Z", "b": false, "s": "", "y": null, '
        '"l": [], "r": {"a": "-Infinity", "deep": []}}',
    ),
    ({}, '{"i": null, "f": null, "n": null, "t": null, "b": null, "s": null, "y": null, "l": [], "r": null}'),
]


def test_every_value_lands_as_the_server_wrote_it(server: BigQuery) -> None:
    server.put(str(DAY), *(row for row, _ in VALUES), fields=TYPES)
    answer = fetched(server)
    assert answer.rows == [text for _, text in VALUES]
    assert all(json.loads(text) is not None for text in answer.rows)


def test_pages_are_followed_to_the_end_and_no_query_is_asked(server: BigQuery) -> None:
    server.put(str(DAY), *(event(number) for number in range(7)))
    answer = fetched(server, page=3)
    assert [json.loads(row)["user_pseudo_id"] for row in answer.rows] == [f"u{number}" for number in range(7)]
    table = "analytics_201.events_20261109"
    assert server.asked == [table, *[f"{table}/data"] * 3, table]
    assert answer.requests == 5


def test_a_page_that_fails_in_passing_is_asked_for_again_and_not_those_before_it(server: BigQuery) -> None:
    server.put(str(DAY), *(event(number) for number in range(6)))
    server.faults = [None, None, refusal(503, "backendError", "Try again"), None]
    assert len(fetched(server, page=3).rows) == 6
    assert len(server.asked) == 5


def test_columns_that_come_go_or_are_renamed_land_as_they_are(server: BigQuery) -> None:
    server.put(str(DAY), {"event_name": "a", "new": "1"}, fields=[column("event_name"), column("new", "INTEGER")])
    assert fetched(server).rows == ['{"event_name": "a", "new": 1}']


def test_one_token_is_enough_for_all_days_of_a_pull(server: BigQuery) -> None:
    for day in ("2026-11-08", "2026-11-09"):
        server.put(day, event(1))
    asked = question(server)
    for part in ga4.slices(Asked(**{**vars(asked), "start": DAY - timedelta(days=1)})):
        ga4.fetch(asked, part, Kept())  # type: ignore[arg-type]
    assert server.tokens == 1


# -- what changes


def test_an_unchanged_day_is_known_by_its_etag_without_reading_rows(server: BigQuery, tmp_path: Path) -> None:
    server.put(str(DAY), event(1))
    first = fetched(server)
    server.asked.clear()
    memory = tmp_path / "memory.gz"
    memory.write_bytes(gzip.compress(first.memory))
    name = "analytics_201/2026-11-09"
    file, known = Landed(name, NOW, tmp_path / "x"), Landed(name, NOW, memory)
    again = fetched(server, landed=[file], memory=known)
    assert (again.is_unchanged, server.asked) == (True, ["analytics_201.events_20261109"])
    later = Landed(name, NOW + timedelta(microseconds=1), tmp_path / "y")
    other = Landed("analytics_202/2026-11-09", NOW, tmp_path / "x")
    for landed in ([], [other], [file, later]):  # no file, another's, or one that a crash left without its memory
        assert len(fetched(server, landed=landed, memory=known).rows) == 1
    memory.write_bytes(b"damaged")
    assert len(fetched(server, landed=[file], memory=known).rows) == 1
    memory.write_bytes(gzip.compress(first.memory))
    server.put(str(DAY), event(2))
    assert len(fetched(server, landed=[file], memory=known).rows) == 1


def test_a_table_that_changes_while_it_is_read_is_asked_again(server: BigQuery) -> None:
    def change(call: str) -> None:
        if call.endswith("/data"):
            server.before = lambda call: None
            server.put(str(DAY), event(3), event(4))

    server.put(str(DAY), event(1), event(2))
    server.before = change
    with pytest.raises(TransientError, match=r"analytics_201\.events_20261109 while it was read: it changed"):
        fetched(server)
    assert [json.loads(row)["user_pseudo_id"] for row in fetched(server).rows] == ["u3", "u4"]


@pytest.mark.parametrize("rows", [1, 3])
def test_as_many_rows_land_as_the_table_says_or_none(server: BigQuery, rows: int) -> None:
    server.put(str(DAY), event(1), event(2), told=rows)
    with pytest.raises(TransientError, match=f"2 rows came of {rows}"):
        fetched(server)


def test_a_page_that_comes_twice_never_lands(server: BigQuery) -> None:
    rows = [wire(event(number)) for number in range(2)]
    server.put(str(DAY), *(event(number) for number in range(4)))
    same = Reply(f'{{"rows": [{", ".join(rows)}], "pageToken": "2"}}')
    server.faults = [None, same, same]
    with pytest.raises(TransientError, match="a page came twice"):
        fetched(server)


def test_a_table_that_goes_or_gets_a_column_while_it_is_read_is_asked_again(server: BigQuery) -> None:
    def go(call: str) -> None:
        if call.endswith("/data"):
            server.tables.clear()

    def widen(call: str) -> None:
        table = server.tables["analytics_201", "events_20261109"]
        if call.endswith("/data"):
            table.rows = [wire({"event_name": "a"}, [*EVENTS, column("new")])] * 2

    for change, words in ((widen, "its rows are not as its columns say"), (go, "it is gone")):
        server.put(str(DAY), event(1), event(2))
        server.before = change
        with pytest.raises(TransientError, match=words):
            fetched(server)


# -- what is not there


def test_a_table_that_is_not_there_yet_is_not_ready_and_a_dataset_that_is_not_there_is_a_mistake(
    server: BigQuery,
) -> None:
    with pytest.raises(NotYetError, match="no table events_20261109 in analytics_201; no day has one"):
        fetched(server)
    server.put("2026-11-08", event(1))
    server.tables["analytics_201", "events_intraday_20261109"] = Table([wire(event(1))], "e")
    with pytest.raises(NotYetError, match="the newest is events_20261108"):
        fetched(server)
    with pytest.raises(AccountError, match="no dataset analytics_9 in project tidewater") as missing:
        fetched(server, accounts=["analytics_9"])
    assert missing.value.fix and "the datasets there are analytics_201, analytics_202" in missing.value.fix
    with pytest.raises(ContractError, match="no project other: HTTP 404: Not found: Project"):
        fetched(server, project="other")
    with pytest.raises(ContractError, match="no name of a dataset"):
        fetched(server, accounts=["properties/201"])
    server.put(str(DAY), event(1), kind="VIEW")
    with pytest.raises(ContractError, match=r"analytics_201\.events_20261109 is of type VIEW, no table"):
        fetched(server)


def test_a_day_of_which_google_made_no_table_is_empty_once_later_ones_are_there(server: BigQuery) -> None:
    """Days before the export began, and days without an event; but never one that had rows."""
    server.put("2026-11-08", event(1))
    assert fetched(server, date(2026, 11, 5)).data == b""
    name = "analytics_201/2026-11-05"
    for day, landed in ((date(2026, 11, 5), [Landed(name, NOW, Path("x"))]), (date(2026, 11, 6), []), (DAY, [])):
        with pytest.raises(NotYetError):
            fetched(server, day, landed=landed)
    server.tables.clear()
    server.put("2026-11-04", event(1))
    with pytest.raises(NotYetError, match="the newest is events_20261104"):  # the export has stopped
        fetched(server, date(2026, 11, 5))


# -- errors


ERRORS: list[tuple[Reply, type[BoathouseError], str]] = [
    (refusal(401, "authError", "Request had invalid authentication credentials."), AuthError, "SOURCE_WEB_KEY"),
    (
        refusal(403, "accessDenied", "Access Denied: Table t"),
        AccountError,
        "may not read it: HTTP 403: Access Denied: Table t",
    ),
    (refusal(403, "accessNotConfigured", "BigQuery API has not been used"), AuthError, "has not been used"),
    (refusal(403, "rateLimitExceeded", "Exceeded rate limits"), TransientError, "HTTP 403: Exceeded rate limits"),
    (refusal(403, "quotaExceeded", "Quota exceeded"), TransientError, "HTTP 403: Quota"),
    (refusal(429, "rateLimitExceeded", "slow down", Retry_After="17"), BusyError, "HTTP 429: slow down"),
    (refusal(429, "rateLimitExceeded", "slow down"), TransientError, "HTTP 429"),
    (refusal(500, "internalError", "oops"), TransientError, "HTTP 500: oops"),
    (refusal(503, "backendError", "later"), TransientError, "HTTP 503: later"),
    (refusal(400, "invalid", "Cannot list a table of type VIEW."), ContractError, "HTTP 400: Cannot list"),
    (Reply("<html>gateway</html>", 502), TransientError, "HTTP 502"),
    (Reply("<html>proxy</html>", 200), TransientError, "none of BigQuery's|does not answer"),
    (Reply({"kind": "other"}, 200), TransientError, "none of BigQuery's"),
]


@pytest.mark.parametrize(("reply", "kind", "what"), ERRORS)
def test_an_error_is_judged_by_its_status_and_reason(
    server: BigQuery, reply: Reply, kind: type[BoathouseError], what: str
) -> None:
    server.put(str(DAY), event(1))
    server.faults = [reply] * 3  # a 401 is asked again with another token first
    with pytest.raises(kind, match=what) as raised:
        fetched(server)
    assert type(raised.value) is kind
    assert raised.value.where == "analytics_201.events_20261109"
    if isinstance(raised.value, BusyError):
        assert raised.value.seconds == 17


def test_a_token_that_has_expired_is_replaced_and_the_day_lands(server: BigQuery) -> None:
    def expire(call: str) -> None:
        if call.endswith("/data"):
            server.before = lambda call: None
            server.tokens += 1

    server.put(str(DAY), event(1))
    server.before = expire
    assert len(fetched(server).rows) == 1
    assert server.tokens == 3


def test_a_key_that_google_refuses_says_so_and_a_token_server_that_is_down_passes(
    server: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token_fault = Reply({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
    with pytest.raises(AuthError, match=r"SOURCE_WEB_KEY was refused: .*Invalid JWT Signature") as refused:
        fetched(server)
    assert refused.value.fix and "is the key deleted or disabled" in refused.value.fix
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the library pauses before it asks again
    server.token_fault = Reply("", 503)
    with pytest.raises(TransientError, match="no token"):
        fetched(server)


def test_a_server_that_is_not_there_or_hangs_is_transient_within_the_timeout(server: BigQuery) -> None:
    over = threading.Event()
    server.put(str(DAY), event(1))
    server.before = lambda call: over.wait(20)
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:\d+ does not answer: .*timed out"):
        fetched(server, timeout="0.2 s")
    assert time.monotonic() - began < 10
    over.set()
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9 does not answer"):
        fetched(server, url="http://127.0.0.1:9")


# -- the key


def test_the_key_is_a_file_or_its_text(server: BigQuery, tmp_path: Path) -> None:
    server.put(str(DAY), event(1))
    file = tmp_path / "key.json"
    file.write_text(json.dumps(server.key, indent=2))
    assert len(fetched(server, secret=str(file)).rows) == 1
    assert len(fetched(server, secret=json.dumps(server.key)).rows) == 1


def wrong_keys(server: BigQuery) -> list[tuple[str, str]]:
    key = server.key
    return [
        ("/nowhere/key.json", "names a file that cannot be read: no such file"),
        ('{"type": "service_account"', "is no JSON"),
        (json.dumps({**key, "type": "authorized_user"}), "is of type authorized_user, not a service account's"),
        (json.dumps({**key, "private_key": ""}), "has no private_key"),
        (json.dumps({**key, "private_key": key["private_key"][:-300]}), "has a private key that cannot be read"),
        (json.dumps({**key, "project_id": ""}), "no project, and the key names none"),
    ]


def test_a_key_that_cannot_be_used_names_its_setting_and_shows_nothing_of_itself(server: BigQuery) -> None:
    for secret, what in wrong_keys(server):
        with pytest.raises(BoathouseError, match=what) as refused:
            fetched(server, secret=secret)
        assert isinstance(refused.value, AuthError | ContractError)
        assert key_pair()[0][40:60] not in f"{refused.value!r} {refused.value}"
        assert refused.value.__cause__ is None
    assert server.asked == []


def test_neither_key_nor_token_is_shown_whatever_the_server_repeats(server: BigQuery) -> None:
    echo = f"bad {server.key['private_key']} and {TOKEN}.1"
    server.faults = [refusal(403, "accessDenied", echo)]
    with pytest.raises(AuthError) as refused:
        fetched(server)
    assert "HTTP 403: bad *** and ***" in str(refused.value)
    one_line = " ".join(server.key["private_key"].split())
    server.token_fault = Reply({"error": "x", "error_description": f"bad {one_line}"}, 400)
    with pytest.raises(AuthError) as refused:
        fetched(server)
    assert key_pair()[0][40:60] not in str(refused.value)
    assert "was refused: x: bad -----BEGIN PRIVATE KEY----- *** ***" in str(refused.value)


def test_a_probe_asks_for_the_newest_day(server: BigQuery) -> None:
    assert ga4.probe(question(server)) == "answers; 2026-11-09 of analytics_201 has no table yet"
    server.put(str(DAY), event(1), event(2))
    server.asked.clear()
    assert ga4.probe(question(server)) == "answers; 2026-11-09 of analytics_201 has 2 events"
    assert server.asked == ["analytics_201.events_20261109"]


PAGE = (ROOT / "docs/ga4.md").read_text(encoding="utf-8")


def test_the_page_names_every_option_and_its_example_is_the_shipped_source(lake: Lake) -> None:
    assert {name for name in ga4.OPTIONS if f"`{name}`" not in PAGE} == set()
    [example] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shipped = (ROOT / "src/silver/kpi/ga4_events.yaml").read_text(encoding="utf-8")
    assert "".join(f"    {line}" for line in example.splitlines(keepends=True)) in shipped
    lake.write("silver/kpi/ga4_events.yaml", shipped)
    with open_project(lake.settings) as project:
        registry.check(project.contracts.feeds.values())


# -- through the stage, up to silver


def kpi(lake: Lake, server: BigQuery, **options: Any) -> Lake:
    """A lake with the shipped contract of GA4's events, whose source is this server."""
    key = lake.root / "key.json"
    key.write_text(json.dumps(server.key))
    lake.environ["SOURCE_GA4_KEY"] = "key.json"
    written = {"connector": "ga4", "name": "ga4", "url": server.url, "accounts": ["analytics_201"], "budget": "20 s"}
    source = [{"property": "source", "value": {**written, **options}}]
    text = (ROOT / "src/silver/kpi/ga4_events.yaml").read_text(encoding="utf-8")
    assert text.count("    format: ndjson\n") == 1
    head, tail = text.split("    format: ndjson\n")
    tail = tail[tail.index("slaProperties:") :]
    lake.write(
        "silver/kpi/ga4_events.yaml", f"{head}    format: ndjson\n    customProperties: {json.dumps(source)}\n{tail}"
    )
    return lake


def seen(lake: Lake) -> list[tuple[str, str]]:
    return lake.rows("SELECT user_pseudo_id, event_name FROM silver.kpi.ga4_events ORDER BY event_date, line")


def statuses(lake: Lake) -> list[str]:
    return [status for (status,) in lake.rows("SELECT status FROM ops.pulls ORDER BY pulled_at")]


def test_a_day_restated_back_and_forth_and_emptied_is_in_silver_as_it_was_told_last(
    lake: Lake, server: BigQuery
) -> None:
    kpi(lake, server, lookback=2)
    first, second = [event(1), event(2)], [event(1, "purchase")]
    server.put(str(YESTERDAY - timedelta(days=1)), event(9))
    for events in (first, second, first):
        server.put(str(YESTERDAY), *events)
        lake.good()
        assert seen(lake)[1:] == [(one["user_pseudo_id"], one["event_name"]) for one in events]
    server.put(str(YESTERDAY), *reversed(first))
    lake.good()
    assert statuses(lake)[-2:] == ["same", "same"]  # the order of rows says nothing
    server.asked.clear()
    lake.good()
    assert [call for call in server.asked if "data" in call] == []
    assert len(list((lake.data / "landing/kpi/ga4/analytics_201").glob("*@*.ndjson.gz"))) == 4
    server.put(str(YESTERDAY))
    lake.good()
    assert statuses(lake)[-2:] == ["same", "empty"]
    assert seen(lake) == [("u9", "page_view")]


def test_a_day_that_is_not_ready_is_no_failure_before_its_hour_and_late_after_it(lake: Lake, server: BigQuery) -> None:
    run = kpi(lake, server).good()
    assert statuses(lake) == ["not_yet"]
    kpi(lake, server, readyAt="00:00 UTC")
    run = lake.run()
    assert "not ready, which it should have been" in str(run.failures["landing.kpi.ga4_events"])


def test_a_hang_costs_the_budget_alone(lake: Lake, server: BigQuery) -> None:
    over = threading.Event()
    server.put(str(YESTERDAY), event(1))
    server.before = lambda call: over.wait(20)
    began = time.monotonic()
    kpi(lake, server, budget="1 s").run()
    assert time.monotonic() - began < 10
    over.set()
    assert lake.rows("SELECT status, error_class FROM ops.pulls") == [("failed", "transient")]
    assert list((lake.data / "landing").rglob("*@*")) == []


def test_a_property_that_is_refused_or_not_there_keeps_no_other_out(lake: Lake, server: BigQuery) -> None:
    server.put(str(YESTERDAY), event(1), dataset="analytics_202")
    server.faults = [refusal(403, "accessDenied", "Access Denied: Dataset analytics_201")]
    run = kpi(lake, server, accounts=["analytics_201", "analytics_9", "analytics_202"]).run()
    assert "(and 1 other slice)" in str(run.failures["landing.kpi.ga4_events"])
    assert statuses(lake) == ["failed", "failed", "landed"]
    assert seen(lake) == [("u1", "page_view")]


def test_a_refused_key_is_named_and_nothing_of_it_is_in_logs_or_records(
    lake: Lake, server: BigQuery, capsys: pytest.CaptureFixture[str]
) -> None:
    server.put(str(YESTERDAY), event(1))
    server.faults = [refusal(403, "accessDenied", f"no {server.key['private_key']}")]
    assert kpi(lake, server).command("run") == 9
    shown = capsys.readouterr()
    told = shown.out + shown.err + str(lake.rows("SELECT * FROM ops.pulls"))
    told += "".join(path.read_text() for path in lake.root.rglob("*.log"))
    assert "give boathouse@tidewater.iam.gserviceaccount.com the role BigQuery Data Viewer of the dataset" in told
    assert key_pair()[0][40:60] not in told


# -- what is killed


@pytest.mark.parametrize("nth", short([5, 2, 1, 3, 4, 6, 7, 8], 1))
def test_a_pull_that_is_killed_at_a_call_is_finished_by_the_next(lake: Lake, server: BigQuery, nth: int) -> None:
    kpi(lake, server, page=2)
    before = YESTERDAY - timedelta(days=1)
    for day in (before, YESTERDAY):
        server.put(str(day), *(event(number) for number in range(4)))
    kpi(lake, server, page=2, lookback=2).good()
    for day in (before, YESTERDAY):
        server.put(str(day), *(event(number, "purchase") for number in range(3)))
    reached, over = threading.Event(), threading.Event()

    def hang(call: str) -> None:
        if len(server.asked) == nth - 1:
            reached.set()
            over.wait(30)

    server.asked.clear()
    server.before = hang
    command = [sys.executable, str(ROOT / "main.py"), "run", "--project", str(lake.root)]
    environ = os.environ | lake.environ | {"SETTLE_SECONDS": "0"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(60)
        process.kill()
    over.set()
    server.before = lambda call: None
    lake.good()
    query = "SELECT event_date, count(*), count(*) FILTER (event_name = 'purchase') FROM silver.kpi.ga4_events"
    assert lake.rows(f"{query} GROUP BY ALL ORDER BY ALL") == [(before, 3, 3), (YESTERDAY, 3, 3)]
    files = sorted((lake.data / "landing/kpi/ga4/analytics_201").iterdir())
    assert len(files) == 6 and all("@" in file.name for file in files)  # two of each day, and what each remembers
