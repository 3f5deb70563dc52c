"""One alert per incident: told when it begins, gets worse and is over, to real servers on this machine."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest
from conftest import ROOT, Lake, short
from loguru import logger

from src import alerts, problems
from src.alerts import Event, incidents
from src.causes import Families
from src.engine import DuckEngine
from src.errors import LockedError, MachineError, UsageError
from src.lake import keep, open_table
from src.problems import CLASSES, Problem
from src.project import open_engine
from src.run import lock
from src.run.settled import is_settled

# apprise asks for a module of Python's that is going to leave it, and does without where it is gone
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOON = datetime(2026, 3, 27, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
THURSDAY = date(2026, 3, 26)
EVERYTHING = {"source", "table", "freshness", "volume", "storage"}

ORDERS = Problem("source", "bronze.shop.orders", "P2", THURSDAY, "missing column day", "correct the file")
STALE = Problem("freshness", "gold.shop.daily", "P2", THURSDAY, "49 hours old, 24 promised", "see why it did not run")
LOW = Problem("volume", "bronze.shop.orders", "P3", THURSDAY, "3 rows, 900 is usual", "look at the source")
SMALL_FILES = Problem("storage", "silver.shop.orders", "P4", THURSDAY, "9 small files", "make optimize")
ALONE = Families({})
CAST = (STALE, LOW, ORDERS)

# -- servers of this machine


@dataclass
class Hook:
    """A webhook: what was posted to it. It answers `status`; `arrived` is called before it does."""

    port: int
    posted: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    kills: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def titles(self) -> list[str]:
        return [post["title"].removeprefix("Boathouse: ") for post in self.posted]

    def take(self, body: bytes) -> None:
        if self.status == 200:
            self.posted.append(json.loads(body))
        if self.kills:
            self.kills.kill()
            self.kills.wait()


@contextmanager
def listening(hook: Hook) -> Iterator[Hook]:
    """The webhook answers as long as the with-block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", hook.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        hook.port = server.server_address[1]
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def post_office(letters: list[str]) -> Iterator[int]:
    """A mail server that keeps every letter it is given; gives its port."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 ready")
            while command := self.rfile.readline().decode().strip():
                word = command[:4].upper()
                self.say({"DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 ok"))
                if word == "DATA":
                    letter = iter(self.rfile.readline, b".\r\n")
                    letters.append(b"".join(letter).decode())
                    self.say("250 kept")
                if word == "QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening(Hook(0)) as there:
        yield there


@pytest.fixture
def engine(lake: Lake) -> Iterator[DuckEngine]:
    with open_engine(lake.settings) as running:
        yield running


@dataclass
class Desk:
    """A lake whose alerts go to a webhook."""

    lake: Lake
    engine: DuckEngine
    hook: Hook
    urls: list[str]

    def update(
        self, now: datetime, *found: Problem, complete: set[str] = EVERYTHING, families: Families = ALONE
    ) -> list[str]:
        """What was delivered, by title."""
        told = alerts.update(self.engine, self.lake.data, self.urls, found, now, complete, families)
        return [message.title for message in told]

    def ack(self, incident: str, now: datetime) -> None:
        alerts.ack(self.engine, self.lake.data, incident, "kim", now, "known")

    def snooze(self, incident: str, until: datetime, now: datetime) -> None:
        alerts.snooze(self.engine, self.lake.data, incident, until, "kim", now)

    def events(self) -> list[str]:
        """What happened so far, in order, as it is on disk."""
        return [f"{event} {name}" for event, name in self.lake.rows(EVENTS)]


EVENTS = "SELECT event, incident FROM ops.alerts ORDER BY moment"


@pytest.fixture
def desk(lake: Lake, engine: DuckEngine, hook: Hook) -> Desk:
    return Desk(lake, engine, hook, [hook.url])


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


# -- one alert per incident


def test_a_problem_is_told_once_however_many_runs_find_it(desk: Desk) -> None:
    for run in range(5):
        desk.update(NOON + run * DAY, STALE)
    assert [post["title"] for post in desk.hook.posted] == ["Boathouse: P2 opened: freshness gold.shop.daily"]
    assert desk.events() == ["opened freshness gold.shop.daily", "sent freshness gold.shop.daily"]


def test_a_message_says_how_urgent_which_source_which_day_what_and_what_to_do(desk: Desk) -> None:
    desk.update(NOON, ORDERS)
    assert desk.hook.posted[0]["type"] == "failure"
    assert desk.hook.posted[0]["message"].splitlines() == [
        "P2 opened: source bronze.shop.orders",
        "  day:  2026-03-26",
        "  what: missing column day",
        "  fix:  correct the file",
    ]


def test_a_recovery_is_told_once_and_says_how_long_it_was_so(desk: Desk) -> None:
    desk.update(NOON, ORDERS)
    for run in range(1, 4):
        desk.update(NOON + run * HOUR)
    assert desk.hook.titles == ["P2 opened: source bronze.shop.orders", "P2 recovered: source bronze.shop.orders"]
    assert desk.hook.posted[1]["type"] == "success"
    assert desk.hook.posted[1]["message"].splitlines()[1:] == [
        "  day:  2026-03-26",
        "  was:  missing column day",
        "  open: 2026-03-27 12:00 to 2026-03-27 13:00 UTC",
    ]


def test_what_comes_back_after_a_recovery_is_told_again(desk: Desk) -> None:
    told = [desk.update(NOON, STALE), desk.update(NOON + HOUR), desk.update(NOON + DAY, STALE)]
    name = "freshness gold.shop.daily"
    assert told == [[f"P2 opened: {name}"], [f"P2 recovered: {name}"], [f"P2 opened: {name}"]]


def test_only_what_was_looked_at_recovers(desk: Desk) -> None:
    desk.update(NOON, ORDERS, STALE)
    assert desk.update(NOON + HOUR, complete={"volume", "source bronze.shop.lines"}) == []
    assert desk.update(NOON + HOUR, complete={"freshness"}) == ["P2 recovered: freshness gold.shop.daily"]
    by_name = desk.update(NOON + HOUR, complete={"source bronze.shop.orders"})
    assert by_name == ["P2 recovered: source bronze.shop.orders"]


def test_what_one_update_tells_is_one_notification_the_most_urgent_first(desk: Desk) -> None:
    worst = Problem("table", "gold.shop.daily", "P1", THURSDAY, "damaged", "restore it")
    few = Problem("volume", "silver.shop.boats", "P3", THURSDAY, "3 rows", "ask the source")
    desk.update(NOON, few, ORDERS, worst)
    (post,) = desk.hook.posted
    assert post["title"] == "Boathouse: P1, 3 opened"
    assert [line for line in post["message"].splitlines() if line[:1] == "P"] == [
        "P1 opened: table gold.shop.daily",
        "P2 opened: source bronze.shop.orders",
        "P3 opened: volume silver.shop.boats",
    ]


# -- one text for one cause

SHOP = Families({"silver.shop.orders": ("bronze.shop.orders",), "gold.shop.daily": ("silver.shop.orders",)})


def test_what_follows_from_one_cause_is_one_text_that_names_it(desk: Desk) -> None:
    late = Problem("late", "gold.shop.daily", "P1", THURSDAY, "late", "wait")
    other = Problem("backup", "lake", "P2", THURSDAY, "no backup", "make one")
    desk.update(NOON, LOW, late, STALE, ORDERS, other, families=SHOP)
    (post,) = desk.hook.posted
    assert post["title"] == "Boathouse: P1, 2 opened"
    cause, backup = post["message"].split("\n\n")
    assert cause.splitlines() == [
        "P2 opened: source bronze.shop.orders",
        "  day:  2026-03-26",
        "  what: missing column day",
        f"  fix:  {ORDERS.fix}",
        "  and 3 more that follow from it: late gold.shop.daily, freshness gold.shop.daily, volume bronze.shop.orders",
    ]
    assert backup.startswith("P2 opened: backup lake\n")
    assert len(desk.lake.rows("SELECT * FROM ops.alerts WHERE event = 'sent'")) == 5


def test_what_follows_from_a_cause_that_was_told_before_says_of_which(desk: Desk) -> None:
    desk.update(NOON, ORDERS, families=SHOP)
    desk.update(NOON + HOUR, ORDERS, STALE, LOW, families=SHOP)
    post = desk.hook.posted[-1]
    assert post["title"] == "Boathouse: P2 opened: freshness gold.shop.daily, and 1 more"
    assert post["message"].splitlines()[-2:] == [
        "  of:   source bronze.shop.orders",
        "  and 1 more that follows from it: volume bronze.shop.orders",
    ]


def test_a_cause_is_as_urgent_as_what_follows_and_is_over_with_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    worst = Problem("freshness", STALE.subject, "P1", THURSDAY, STALE.what, STALE.fix)
    desk.update(NOON, ORDERS, worst, LOW, families=SHOP)
    assert desk.hook.posted[-1]["title"] == "Boathouse: P1 opened: source bronze.shop.orders, and 2 more"
    alerts.print_open(alerts.read_open(desk.engine, desk.lake.data, NOON, SHOP))
    assert (
        capsys.readouterr().out.splitlines()[2].startswith("P1       2   2026-03-27 12:00  source bronze.shop.orders ")
    )
    desk.update(NOON + HOUR, families=SHOP)
    assert desk.hook.posted[-1]["title"] == "Boathouse: P1 recovered: source bronze.shop.orders, and 2 more"


def test_a_cause_is_acknowledged_with_all_that_follows_in_one_commit(desk: Desk, lake: Lake) -> None:
    desk.update(NOON, ORDERS, STALE, LOW, families=SHOP)
    names = alerts.with_followers(desk.engine, lake.data, "source bronze.shop.orders", SHOP)
    assert names == (ORDERS.incident, STALE.incident, LOW.incident)
    before = newest_version(lake)
    acked = alerts.ack_all(desk.engine, lake.data, [*names, "table gone"], "kim", NOON + HOUR, "known")
    assert [(one.incident, one.state(NOON)) for one in acked] == [
        (ORDERS.incident, "acked by kim"),
        (STALE.incident, "acked by kim"),
        (LOW.incident, "acked by kim"),
    ]
    assert newest_version(lake) == before + 1
    snoozed = alerts.snooze_all(desk.engine, lake.data, names, NOON + DAY, "kim", NOON + HOUR)
    assert {one.until for one in snoozed} == {NOON + DAY}
    with pytest.raises(UsageError, match="none of 1 incidents is open"):
        alerts.ack_all(desk.engine, lake.data, ["table gone"], "kim", NOON + HOUR, "known")
    with pytest.raises(UsageError, match="which is over"):
        alerts.snooze_all(desk.engine, lake.data, names, NOON, "kim", NOON + HOUR)


def newest_version(lake: Lake) -> int:
    table = open_table(lake.data / "ops/alerts")
    assert table
    return table.version


def test_the_command_folds_what_follows_and_answers_all_of_it(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    with open_engine(lake.settings) as engine:
        alerts.update(engine, lake.data, (), [ORDERS, STALE, LOW], NOON, EVERYTHING)
    assert lake.command("alerts", "list") == 0
    [row, _] = capsys.readouterr().out.splitlines()[2:]
    assert "source bronze.shop.orders  2026-03-26  open   answer by 03-27 16:00" in row
    assert row.endswith("missing column day (and 2 that follow)")
    assert lake.command("alerts", "list", "--all") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3 + 1
    assert lake.command("alerts", "ack", "source bronze.shop.orders", "--all") == 0
    assert [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()] == [
        ORDERS.incident,
        STALE.incident,
        LOW.incident,
    ]
    # also where the contracts are wrong: then nothing is known to follow
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: one")
    assert lake.command("alerts", "list") == 0
    assert "freshness gold.shop.daily" in capsys.readouterr().out
    lake.edit("silver/shop/orders.yaml", "version: one", "version: 1.0.0")


def test_the_same_problem_of_several_days_is_one_incident_of_the_newest(desk: Desk) -> None:
    desk.update(NOON, LOW, Problem("volume", LOW.subject, "P2", THURSDAY - DAY, "0 rows", "look"))
    assert desk.lake.rows("SELECT urgency, day, message FROM ops.alerts WHERE event = 'opened'") == [
        ("P2", THURSDAY, "0 rows\nlook")
    ]


# -- how urgent


def test_a_source_that_fails_two_days_running_is_p1_and_told_again_once(desk: Desk) -> None:
    assert desk.update(NOON, ORDERS) == ["P2 opened: source bronze.shop.orders"]
    assert desk.update(NOON + HOUR, ORDERS) == []
    friday = Problem(ORDERS.kind, ORDERS.subject, "P2", THURSDAY + DAY, ORDERS.what, ORDERS.fix)
    assert desk.update(NOON + DAY, friday) == ["P1 escalated: source bronze.shop.orders"]
    assert desk.update(NOON + DAY + HOUR, friday) == []


def test_a_source_that_was_well_in_between_does_not_fail_two_days_running(desk: Desk) -> None:
    friday = Problem(ORDERS.kind, ORDERS.subject, "P2", THURSDAY + DAY, ORDERS.what, ORDERS.fix)
    desk.update(NOON, ORDERS)
    desk.update(NOON + HOUR)
    assert desk.update(NOON + DAY, friday) == ["P2 opened: source bronze.shop.orders"]


def test_what_gets_worse_is_told_again_and_what_gets_better_is_not(desk: Desk) -> None:
    worse = Problem(LOW.kind, LOW.subject, "P2", THURSDAY, "0 rows", "look")
    told = [desk.update(NOON + HOUR * at, problem) for at, problem in enumerate((LOW, worse, LOW, worse))]
    assert told == [["P3 opened: volume bronze.shop.orders"], ["P2 escalated: volume bronze.shop.orders"], [], []]


def test_housekeeping_is_recorded_and_never_told_until_it_is_more(desk: Desk) -> None:
    assert desk.update(NOON, SMALL_FILES) == []
    assert desk.update(NOON + HOUR) == []
    desk.update(NOON + 2 * HOUR, SMALL_FILES)
    more = Problem("storage", SMALL_FILES.subject, "P3", THURSDAY, "900 small files", "make optimize")
    assert desk.update(NOON + 3 * HOUR, more) == ["P3 escalated: storage silver.shop.orders"]
    name = "storage silver.shop.orders"
    happened = ("opened", "recovered", "opened", "escalated", "sent")
    assert desk.events() == [f"{event} {name}" for event in happened]
    assert desk.hook.titles == ["P3 escalated: storage silver.shop.orders"]


# -- what people answer


def test_an_acked_incident_is_silent_until_it_recovers(desk: Desk) -> None:
    desk.update(NOON, STALE)
    desk.ack("freshness gold.shop.daily", NOON + HOUR)
    assert [desk.update(NOON + at * DAY, STALE) for at in (1, 2, 3)] == [[], [], []]
    assert desk.update(NOON + 4 * DAY) == ["P2 recovered: freshness gold.shop.daily"]


def test_an_acked_incident_that_gets_worse_is_told_and_open_again(desk: Desk) -> None:
    desk.update(NOON, STALE)
    desk.ack("gold.shop.daily", NOON + HOUR)
    worse = Problem("freshness", STALE.subject, "P1", THURSDAY + DAY, "73 hours old", "see why")
    assert desk.update(NOON + DAY, worse) == ["P1 escalated: freshness gold.shop.daily"]
    (incident,) = alerts.open_incidents(desk.engine, desk.lake.data)
    assert (incident.urgency, incident.state(NOON + DAY), incident.what) == ("P1", "open", "73 hours old")


def test_a_snoozed_incident_is_silent_until_then_and_told_once_more_if_it_is_still_there(desk: Desk) -> None:
    desk.update(NOON, STALE)
    desk.snooze("freshness gold.shop.daily", NOON + 2 * DAY, NOON + HOUR)
    worse = Problem("freshness", STALE.subject, "P1", THURSDAY + DAY, "73 hours old", "see why")
    assert [desk.update(NOON + DAY, worse), desk.update(NOON + 2 * DAY - HOUR, worse)] == [[], []]
    assert desk.update(NOON + 2 * DAY, worse) == ["P1 reminded: freshness gold.shop.daily"]
    assert desk.update(NOON + 3 * DAY, worse) == []
    assert len(desk.hook.posted) == 2


def test_a_snoozed_incident_that_recovers_is_told_when_the_snooze_is_over(desk: Desk) -> None:
    desk.update(NOON, STALE)
    desk.snooze("freshness gold.shop.daily", NOON + DAY, NOON + HOUR)
    assert desk.update(NOON + 2 * HOUR) == []
    assert desk.update(NOON + DAY) == ["P2 recovered: freshness gold.shop.daily"]
    assert desk.update(NOON + 2 * DAY) == []


def test_who_answers_an_incident_that_could_not_be_delivered_knows_of_it(desk: Desk) -> None:
    desk.hook.status = 503
    desk.update(NOON, STALE, ORDERS)
    desk.ack("gold.shop.daily", NOON + HOUR)
    desk.snooze("bronze.shop.orders", NOON + DAY, NOON + HOUR)
    desk.hook.status = 200
    assert desk.update(NOON + 2 * HOUR, STALE, ORDERS) == []
    assert desk.update(NOON + DAY, complete=set()) == []
    told = desk.update(NOON + DAY)
    assert told == ["P2 recovered: freshness gold.shop.daily", "P2 recovered: source bronze.shop.orders"]


def test_an_answer_about_nothing_that_is_open_names_what_is(desk: Desk) -> None:
    data = desk.lake.data
    with pytest.raises(UsageError, match="no open incident nobody") as told:
        alerts.ack(desk.engine, data, "nobody", "kim", NOON, "known")
    assert told.value.fix == "none is open"
    desk.update(NOON, ORDERS, LOW)
    with pytest.raises(UsageError, match="2 open incidents about bronze") as told:
        desk.ack("bronze.shop.orders", NOON)
    assert told.value.fix == "name one of: source bronze.shop.orders, volume bronze.shop.orders"
    with pytest.raises(UsageError, match="snoozed until 2026-03-27 12:00, which is over"):
        desk.snooze("volume bronze.shop.orders", NOON, NOON)
    assert [event for event in desk.events() if event.startswith(("acked", "snoozed"))] == []


def test_the_open_incidents_are_shown_with_their_state(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    alerts.print_open(alerts.read_open(desk.engine, desk.lake.data, NOON))
    desk.update(NOON, LOW, STALE, ORDERS)
    desk.ack("freshness gold.shop.daily", NOON)
    desk.snooze("volume bronze.shop.orders", NOON + DAY, NOON)
    alerts.print_open(alerts.read_open(desk.engine, desk.lake.data, NOON + HOUR), every=True)
    none, _, _, *rows, times = capsys.readouterr().out.splitlines()
    assert none == "No incident is open."
    since, day = "2026-03-27 12:00", "2026-03-26"
    assert [re.split(r" {2,}", row) for row in rows] == [
        ["P2", "1", since, "freshness gold.shop.daily", day, "acked by kim", "resolve by 03-28 12:00", STALE.what],
        ["P2", "2", since, "source bronze.shop.orders", day, "open", "answer by 03-27 16:00", ORDERS.what],
        [
            *("P3", "3", since, "volume bronze.shop.orders", day),
            *("snoozed until 2026-03-28 12:00 by kim", "resolve by 04-03 12:00", LOW.what),
        ],
    ]
    assert times.startswith("answered and resolved within: P1 30 min and 4 h; P2 4 h and 1 day; P3 1 working day and 5")


# -- what cannot be delivered


def test_what_a_dead_channel_did_not_take_goes_with_the_next_update_that_reaches_it(
    desk: Desk, logged: list[str]
) -> None:
    dead = Hook(free_port())
    desk.urls = [dead.url]
    assert [desk.update(NOON, ORDERS), desk.update(NOON + HOUR, ORDERS)] == [[], []]
    assert alerts.open_incidents(desk.engine, desk.lake.data)[0].state(NOON) == "open, not delivered yet"
    with listening(dead):
        assert desk.update(NOON + 2 * HOUR, complete=set()) == ["P2 opened: source bronze.shop.orders"]
        assert desk.update(NOON + 3 * HOUR, ORDERS) == []
    assert dead.titles == ["P2 opened: source bronze.shop.orders"]
    name = "source bronze.shop.orders"
    assert desk.events() == [f"opened {name}", f"undelivered {name}", f"sent {name}"]
    assert len([line for line in logged if "alerts: URL 1 of ALERT_URLS (JSON) took nothing" in line]) == 2


def test_an_incident_that_came_and_went_while_no_channel_was_reached_is_told_in_one_message(desk: Desk) -> None:
    desk.hook.status = 503
    assert [desk.update(NOON, ORDERS), desk.update(NOON + HOUR)] == [[], []]
    desk.hook.status = 200
    assert desk.update(NOON + 2 * HOUR) == ["P2 recovered: source bronze.shop.orders"]
    assert "  open: 2026-03-27 12:00 to 2026-03-27 13:00 UTC" in desk.hook.posted[0]["message"]
    assert desk.update(NOON + 3 * HOUR) == []


def test_without_channels_incidents_are_recorded_and_the_first_channel_is_told_what_is_open(desk: Desk) -> None:
    urls, desk.urls = desk.urls, []
    assert [desk.update(NOON, ORDERS, STALE), desk.update(NOON + HOUR, ORDERS)] == [[], []]
    assert [event.split()[0] for event in desk.events()] == ["opened", "opened", "recovered"]
    desk.urls = urls
    assert desk.update(NOON + 30 * DAY, ORDERS) == ["P2 opened: source bronze.shop.orders"]


def test_a_channel_that_is_down_does_not_repeat_the_message_on_the_one_that_is_not(desk: Desk) -> None:
    desk.urls = [Hook(free_port()).url, desk.hook.url]
    told = [desk.update(NOON + at * HOUR, ORDERS) for at in range(3)]
    assert told == [["P2 opened: source bronze.shop.orders"], [], []]
    assert len(desk.hook.posted) == 1


def test_what_is_secret_in_a_url_is_neither_logged_nor_printed(
    desk: Desk, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    desk.urls = [
        f"json://user:pass%20word@127.0.0.1:{port}/hooks/T0KEN?+key=5ecret",
        f"mailto://127.0.0.1:{port}?from=a@example.com&to=b@example.com&pass=5ecret",
        "slack://T0KEN/5ecret",
        "T0KEN",
    ]
    desk.update(NOON, ORDERS)
    printed = capfd.readouterr()
    text = "".join([*logged, printed.out, printed.err, *alerts.url_errors(desk.urls)])
    assert [
        secret for secret in ("127.0.0.1", "T0KEN", "5ecret", "pass word", "pass%20word", "user") if secret in text
    ] == []
    assert [re.sub(r" took nothing.*", "", line.strip()) for line in logged] == [
        "alerts: URL 1 of ALERT_URLS (JSON)",
        "alerts: URL 2 of ALERT_URLS (E-Mail)",
        "alerts: URL 3 of ALERT_URLS: not what an apprise URL slack:// looks like; see docs/alerts.md",
        "alerts: URL 4 of ALERT_URLS: no URL; write schema://..., as docs/alerts.md shows",
    ]


def test_a_malformed_url_is_an_error_that_does_not_keep_the_others_from_being_told(desk: Desk) -> None:
    desk.urls = ["nosuch://x", desk.hook.url]
    assert alerts.url_errors(desk.urls) == [
        "ALERT_URLS, URL 1: not what an apprise URL nosuch:// looks like; see docs/alerts.md"
    ]
    assert desk.update(NOON, ORDERS) == ["P2 opened: source bronze.shop.orders"]


def test_an_incident_that_cannot_be_recorded_is_told_all_the_same(desk: Desk) -> None:
    desk.lake.data.mkdir(parents=True)
    in_the_way = desk.lake.data / "ops"
    in_the_way.write_text("")
    with pytest.raises(MachineError):
        desk.update(NOON, ORDERS)
    assert desk.hook.titles == ["P2 opened: source bronze.shop.orders"]
    in_the_way.unlink()
    desk.update(NOON + HOUR, ORDERS)
    assert desk.events() == ["opened source bronze.shop.orders", "sent source bronze.shop.orders"]


def test_a_damaged_table_of_alerts_silences_none(desk: Desk) -> None:
    desk.lake.environ["BROKEN_ON_PURPOSE"] = "yes"
    desk.update(NOON, STALE)
    log = sorted((desk.lake.data / "ops" / "alerts" / "_delta_log").glob("*.json"))
    log[-1].write_text("no log")
    with pytest.raises(MachineError, match="damaged table"):
        desk.update(NOON + HOUR, ORDERS)
    assert desk.hook.titles == ["P2 opened: freshness gold.shop.daily", "P2 opened: source bronze.shop.orders"]


def test_a_long_list_is_cut_and_says_by_how_much(desk: Desk) -> None:
    found = [Problem("table", f"silver.shop.t{at:02}", "P3", THURSDAY, "x" * 999, "y") for at in range(23)]
    assert len(desk.update(NOON, *found)) == 23
    text = desk.hook.posted[0]["message"]
    assert text.endswith("\n\nand 3 more: see `main.py alerts list`")
    assert (text.count("opened"), max(map(len, text.splitlines()))) == (20, 304)


def test_alerts_go_by_mail(desk: Desk) -> None:
    letters: list[str] = []
    with post_office(letters) as port:
        desk.urls = [f"mailto://127.0.0.1:{port}?from=boat@example.com&to=kim@example.com&mode=insecure"]
        assert desk.update(NOON, ORDERS) == ["P2 opened: source bronze.shop.orders"]
    (letter,) = letters
    assert "Subject: Boathouse: P2 opened: source bronze.shop.orders\r\n" in letter
    assert "To: kim@example.com\r\n" in letter
    assert "  what: missing column day\r\n  fix:  correct the file" in letter


# -- processes that die, hang or come at the same time

PROCESS = """
import sys
from datetime import datetime
from pathlib import Path
from src import settings
from src.project import open_engine
from src import alerts
from src.problems import CLASSES, Problem
data, url, now = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
found = [Problem("source", "bronze.shop.orders", "P2", now.date(), "missing column day", "correct the file")]
with open_engine(settings.load(data.parent, {})) as running:
    print("ready", flush=True)
    sys.stdin.readline()
    alerts.update(running, data, [url], found, now, set())
"""


@contextmanager
def another_process(desk: Desk, now: datetime) -> Iterator[subprocess.Popen[str]]:
    """A process that finds a problem once it is told to go on."""
    command = [sys.executable, "-c", PROCESS, str(desk.lake.data), desk.hook.url, now.isoformat()]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_two_processes_that_find_the_same_at_once_tell_it_once(desk: Desk) -> None:
    desk.lake.data.mkdir(parents=True)
    with another_process(desk, NOON) as one, another_process(desk, NOON) as other:
        for process in (one, other):
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in (one, other):
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        assert (one.wait(30), other.wait(30)) == (0, 0)
    assert desk.hook.titles == ["P2 opened: source bronze.shop.orders"]
    assert desk.events() == ["opened source bronze.shop.orders", "sent source bronze.shop.orders"]


def test_a_process_that_dies_between_sending_and_recording_is_told_again_by_the_next(desk: Desk) -> None:
    desk.lake.data.mkdir(parents=True)
    with another_process(desk, NOON) as process:
        desk.hook.kills = process
        process.communicate("go\n")
        assert process.returncode == -9
    desk.hook.kills = None
    assert desk.events() == ["opened source bronze.shop.orders"]
    assert desk.update(NOON + HOUR, complete=set()) == ["P2 opened: source bronze.shop.orders"]
    assert desk.hook.titles == ["P2 opened: source bronze.shop.orders"] * 2


def test_a_run_that_hangs_can_be_told_of_while_it_holds_the_lake(desk: Desk) -> None:
    hangs = Problem("run", "pipeline", "P2", THURSDAY, "going for 26 hours", "see what it waits for")
    with lock.lock_lake(desk.lake.data, command="make pipeline", run_id="run-1", now=NOON):
        assert desk.update(NOON, hangs) == ["P2 opened: run pipeline"]


def test_the_lock_of_alerts_is_waited_for_and_given_up_after_a_while(tmp_path: Path) -> None:
    freed = threading.Event()

    def hold() -> None:
        with lock.waited(tmp_path, "alerts", 1):
            taken.set()
            freed.wait(5)

    taken = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(5)
    with (
        pytest.raises(LockedError, match=r"the lock of alerts was held for 0\.1 s"),
        lock.waited(tmp_path, "alerts", 0.1),
    ):
        pass
    threading.Timer(0.2, freed.set).start()
    with lock.waited(tmp_path, "alerts", 5):
        assert freed.is_set()
    holder.join()


def test_events_keep_their_order_whatever_the_clocks_say(desk: Desk) -> None:
    desk.update(NOON, STALE)
    desk.update(NOON - HOUR)
    desk.update(NOON - 2 * HOUR, STALE)
    happened = ("opened", "sent", "recovered", "sent", "opened", "sent")
    assert desk.events() == [f"{event} freshness gold.shop.daily" for event in happened]
    moments = desk.lake.rows("SELECT count(DISTINCT moment), min(moment)::VARCHAR FROM ops.alerts")
    assert moments == [(6, "2026-03-27 12:00:00+00")]


# -- what it costs when all is well


def test_with_nothing_wrong_and_nothing_open_nothing_is_written_or_loaded(desk: Desk) -> None:
    assert desk.update(NOON) == []
    assert not desk.lake.data.exists()
    desk.update(NOON, STALE)
    desk.update(NOON)
    before = {path: path.stat().st_mtime_ns for path in desk.lake.data.rglob("*")}
    code = PROCESS.replace("running, data, [url], found", "running, data, [url], []")
    code += "print(*{'apprise', 'filelock', 'requests', 'pytz'} & {*sys.modules})\n"
    command = [sys.executable, "-c", code, str(desk.lake.data), desk.hook.url, NOON.isoformat()]
    ran = subprocess.run(command, cwd=ROOT, input="go\n", capture_output=True, text=True, check=True)
    assert ran.stdout == "ready\n\n"
    assert {path: path.stat().st_mtime_ns for path in desk.lake.data.rglob("*")} == before


def test_that_all_is_over_is_known_until_anything_happens_or_there_is_a_channel(desk: Desk) -> None:
    channels, desk.urls = desk.urls, []
    desk.update(NOON, STALE)
    assert not is_settled(desk.lake.data, False)
    desk.update(NOON)
    desk.update(NOON)
    keep(desk.lake.data)
    assert is_settled(desk.lake.data, False) and not is_settled(desk.lake.data, True)
    desk.urls = channels
    assert desk.update(NOON) == ["P2 recovered: freshness gold.shop.daily"]
    desk.update(NOON)
    keep(desk.lake.data)
    assert is_settled(desk.lake.data, True)
    assert desk.update(NOON, STALE) == ["P2 opened: freshness gold.shop.daily"]
    assert not is_settled(desk.lake.data, True)
    assert desk.update(NOON) == ["P2 recovered: freshness gold.shop.daily"]


# -- what a run says of itself

REFUSED = "order_id,day,amount,order_id\n1,2026-03-26,2.50,1\n"


def test_a_run_whose_source_fails_tells_it_once_with_what_waits_and_recovers_when_it_is_fixed(desk: Desk) -> None:
    lake = desk.lake.shop()

    def run_and_tell(now: datetime) -> list[str]:
        run = lake.run()
        known = alerts.looked_at(run)
        told = alerts.update(desk.engine, lake.data, desk.urls, alerts.of_run(run), now, known)
        return [message.title for message in told]

    wrong = lake.land("shop/orders/1.csv", REFUSED)
    assert run_and_tell(NOON) == ["P2 opened: source bronze.shop.orders"]
    assert run_and_tell(NOON + HOUR) == []
    lines = desk.hook.posted[0]["message"].splitlines()
    assert lines[2].startswith("  what: shop/orders/1.csv: column order_id twice")
    assert lines[2].endswith(" (2 tables wait: silver.shop.orders, gold.shop.daily)")
    assert lines[3].startswith("  fix:  ")
    wrong.unlink()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2026-03-26,2.50,1\n")
    assert run_and_tell(NOON + 2 * HOUR) == ["P2 recovered: source bronze.shop.orders"]


def test_a_blocked_table_is_neither_told_nor_taken_for_recovered(desk: Desk) -> None:
    lake = desk.lake.shop()
    lake.land("shop/orders/1.csv", REFUSED)
    run = lake.run()
    assert [problem.incident for problem in alerts.of_run(run)] == ["source bronze.shop.orders"]
    assert alerts.looked_at(run) == {"source bronze.shop.orders", "source landing"}


def test_a_table_that_fails_is_a_problem_of_the_table_and_a_bug_says_so(desk: Desk) -> None:
    lake = desk.lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2026-03-26,2.50,1\n")
    lake.edit("gold/shop/daily.sql", "count(*)", "error('no such boat')::bigint")
    run = lake.run()
    (problem,) = alerts.of_run(run)
    assert (problem.incident, problem.urgency, problem.day) == ("table gold.shop.daily", "P2", run.window.end)
    assert "no such boat" in problem.what
    assert problem.fix == "see app.log; then run again: `make pipeline`"
    run.failures["gold.shop.daily"] = ZeroDivisionError("division by zero\nsomewhere")
    (problem,) = alerts.of_run(run)
    assert problem.what == "a bug: ZeroDivisionError: division by zero"
    assert problem.fix.startswith("the traceback is in app.log")


# -- any history


@pytest.mark.parametrize("seed", short(range(4), 1))
def test_whatever_happens_each_incident_is_told_from_its_beginning_to_its_end_and_nothing_twice(
    desk: Desk, seed: int
) -> None:
    """Problems come, go and get worse, people answer, the channel fails; then it is back and all is well."""
    chance = Random(seed)
    delivered: list[str] = []
    for hour in range(20):
        now = NOON + hour * 8 * HOUR
        last = hour == 19
        desk.hook.status = 200 if last or chance.random() < 0.6 else 503
        found = [] if last else [replace(one, urgency=chance.choice(CLASSES)) for one in CAST if chance.random() < 0.5]
        delivered += desk.update(now, *found, complete=EVERYTHING if last or chance.random() < 0.7 else {"volume"})
        for incident in alerts.open_incidents(desk.engine, desk.lake.data):
            if chance.random() < 0.1:
                desk.ack(incident.incident, now)
            elif chance.random() < 0.1:
                desk.snooze(incident.incident, now + 16 * HOUR, now)
    desk.hook.status = 200
    delivered += desk.update(now + DAY)  # when every snooze is over
    assert alerts.open_incidents(desk.engine, desk.lake.data) == ()
    assert len(delivered) == len([event for event in desk.events() if event.startswith("sent ")]) > 3
    for problem in CAST:
        every_episode_was_sent(desk, problem.incident)


def every_episode_was_sent(desk: Desk, incident: str) -> None:
    """Read from disk: each notice but the quiet ones was told, answered or overtaken by a newer one, and none twice."""
    sql = f"SELECT event, urgency, message FROM ops.alerts WHERE incident = '{incident}' ORDER BY moment"
    due, is_open, worst = "", False, "P4"
    for event, urgency, message in desk.lake.rows(sql):
        if event == "opened":
            assert not is_open
            is_open, worst = True, urgency
        if event in ("opened", "escalated", "reminded", "recovered"):
            assert is_open
            assert event != "escalated" or urgency < worst
            due, worst = event, urgency
        if event == "recovered":
            is_open = False
        if event == "sent":
            assert (message, urgency != "P4") == (due, True)
        if event in ("sent", "acked", "snoozed"):
            due = ""
    assert not is_open
    assert not due or worst == "P4"


# -- what is written about it

DOCUMENT = ROOT / "docs" / "alerts.md"


def test_the_document_tells_the_rule_and_the_states_as_the_code_does() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for said in (str(problems.__doc__), str(incidents.__doc__)):
        for block in re.findall(r"(?:^    .*\n)(?:(?:    .*)?\n)*", said, re.MULTILINE):
            assert re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") in text
    assert [event for event in alerts.EVENTS if f"{event} " not in text] == []


def test_every_channel_the_document_shows_is_one() -> None:
    shown = re.findall(r"^ALERT_URLS=(.*)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(shown) >= 4
    assert [alerts.url_errors(line.strip('"').split()) for line in shown] == [[]] * len(shown)


def test_every_event_that_is_recorded_is_one_of_those_that_are_documented(desk: Desk) -> None:
    moment = NOON
    for event in alerts.EVENTS:
        moment += HOUR
        made = Event(moment, "table t", "table", "t", "P2", THURSDAY, event, "what\nfix", NOON + DAY)
        before = [Event(NOON, "table t", "table", "t", "P2", THURSDAY, "opened", "what\nfix")]
        assert incidents.folded([*before, made]) != incidents.folded(before), event
