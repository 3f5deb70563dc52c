"""What can be done from the page: answers to incidents, and commands in processes of their own, each with who."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT, Lake
from page_site import Answer, Site, opened

from src.author import author
from src.errors import LockedError, UsageError
from src.maintenance import command_line
from src.page import starting
from src.page.screens import actions
from src.run import lock, runs


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop of which one order is in quarantine and one file is refused, so that its mart is blocked."""
    lake = Lake(tmp_path_factory.mktemp("acts"))
    (lake.root / ".env").write_text("SETTLE_SECONDS=0\nSAMPLE_FEED=false\n", encoding="utf-8")
    lake.shop()
    lake.land(
        "shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-02,x,1\n3,2024-01-02,5,1\n"
    )
    lake.good()
    lake.land("shop/orders/2.csv", b"PK\x03\x04 a workbook by another name")
    assert lake.command("run") == 4
    made = opened(lake)
    yield made
    made.page.look.close()


def ended(site: Site, run_id: str) -> tuple[str, str]:
    """Wait for a run to be over; return its status and who started it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = site.lake.rows(
            f"SELECT status, started_by FROM ops.pipeline_runs WHERE layer = 'run' AND run_id = '{run_id}'"
        )
        if found and lock.holder(site.lake.data) is None:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("the run is not over")


# -- answers to incidents


def test_a_cause_is_acknowledged_with_all_its_incidents(site: Site) -> None:
    cause = site.page.look.facts().causes[0]
    assert cause.incidents
    answer = site.post("/act/ack", cause=cause.cause.head.incident, reason="the till was changed", back="/lineage")
    assert (answer.status, urlsplit(answer.headers["location"]).path) == (303, "/lineage")
    acked = {
        name for (name,) in site.lake.rows("SELECT incident FROM ops.alerts WHERE event = 'acked' AND \"by\" = 'ann'")
    }
    assert acked == set(cause.incidents)
    assert site.page.look.facts().causes[0].state == "acked by ann"


def test_a_cause_is_snoozed_until_the_end_of_a_day(site: Site) -> None:
    cause = site.page.look.facts().causes[0]
    answer = site.post("/act/snooze", cause=cause.cause.head.incident, until="2999-12-31")
    assert "Snoozed until the end of 2999-12-31" in answer.message
    assert site.page.look.facts().causes[0].state == "snoozed until 3000-01-01 00:00 by ann"
    assert site.post("/act/snooze", cause=cause.cause.head.incident).status == 400
    assert site.post("/act/snooze", cause=cause.cause.head.incident, until="2001-01-01").status == 400


def test_a_cause_that_is_over_is_not_answered(site: Site) -> None:
    answer = site.post("/act/ack", cause="table silver.shop.nothing")
    assert (answer.status, "no cause table silver.shop.nothing any more" in answer.text) == (400, True)


# -- commands


def test_a_run_is_started_as_the_command_and_followed(site: Site) -> None:
    before = runs.now()
    answer = site.post("/act/run", select="shop")
    assert answer.status == 303
    assert re.fullmatch(r"/run/\d{8}T\d{9}-[0-9a-f]{6}", answer.headers["location"])
    assert ended(site, answer.headers["location"].removeprefix("/run/")) == ("failed", "ann, from the page")
    log = (site.lake.root / "logs/page.log").read_text(encoding="utf-8")
    assert "Z ann, from the page: run --select=shop\n" in log
    assert "bronze.shop.orders" in log  # what it printed is not lost
    # one that is over before it is seen to begin is found by its record
    assert actions._ended_since(site.page, before) == answer.headers["location"].removeprefix("/run/")
    assert actions._ended_since(site.page, runs.now()) is None


HOLDS = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from src.run import lock
data = Path(sys.argv[1])
with lock.lock_lake(data, command="make pipeline", run_id="r1", now=datetime.now(UTC), by="ann, from the page"):
    while not (data / "go").exists():
        time.sleep(0.01)
"""


def test_of_two_presses_the_second_is_told_of_the_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop()
    lake.data.mkdir()
    holds = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}){HOLDS}", str(lake.data)]
    monkeypatch.setattr(command_line, "child", lambda root: holds)  # a run that goes on until it is told to end
    site = opened(lake)
    answers: list[Answer] = []
    pressed = [threading.Thread(target=lambda: answers.append(site.post("/act/run"))) for _ in range(2)]
    for each in pressed:
        each.start()
    for each in pressed:
        each.join()
    (lake.data / "go").touch()
    while lock.holder(lake.data):
        time.sleep(0.01)
    (lake.data / "go").unlink()
    site.page.look.close()
    first, second = sorted(answers, key=lambda one: one.message)
    assert first.headers["location"] == "/run/r1"
    assert urlsplit(second.headers["location"]).path == "/run/r1"
    assert second.message.startswith("Not started: a run is going: make pipeline, started by ann, from the page at ")


def test_a_lake_that_is_held_is_told_with_who_and_since_when(site: Site) -> None:
    now = runs.now()
    with lock.lock_lake(site.lake.data, command="make optimize", run_id="20240101T000000000-abcdef", now=now, by="bob"):
        answer = site.post("/act/replay", table="silver.shop.orders")
    assert urlsplit(answer.headers["location"]).path == "/run/20240101T000000000-abcdef"
    assert answer.message.startswith(
        f"Not started: a run is going: make optimize, started by bob at {now:%H:%M:%S} UTC"
    )


def test_the_card_of_a_process_that_is_gone_holds_nothing(site: Site) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = os.uname().nodename
    assert lock.Holder(gone.pid, host, "", "", "").is_dead
    assert not lock.Holder(gone.pid, "elsewhere", "", "", "").is_dead
    assert not lock.Holder(os.getpid(), host, "", "", "").is_dead


def test_a_day_is_confirmed(site: Site) -> None:
    answer = site.post("/act/confirm", table="silver.shop.orders", day="2024-01-02", reason="a <b>strike</b>")
    assert answer.message == "2024-01-02 is no longer what other days of silver.shop.orders are compared with"
    assert site.lake.rows('SELECT "table", day::VARCHAR, reason FROM ops.incident_days') == [
        ("silver.shop.orders", "2024-01-02", "a <b>strike</b>")
    ]
    assert site.post("/act/confirm", table="silver.shop.orders", day="2024-01-02").status == 400  # no reason


def test_what_a_command_refuses_is_told_as_it_says_it(site: Site) -> None:
    with pytest.raises(UsageError, match="no table silver"):
        actions._check(site.page, starting.Started(None, 2, "error: no table silver.shop.nothing\n"))
    assert "unknown domain nowhere" in site.post("/act/run", domain="nowhere").text


def test_a_value_is_never_taken_for_an_option(site: Site) -> None:
    assert actions._options({"table": "--help", "reason": " a b "}, "table", "reason") == [
        "--table=--help",
        "--reason=a b",
    ]


# -- what cannot be done


def test_nothing_else_can_be_done_from_the_page(site: Site) -> None:
    assert set(actions.ACTS) == {"ack", "snooze", "run", "replay", "backfill", "confirm"}
    assert starting.COMMANDS == (("run",), ("backfill",), ("confirm",), ("quarantine", "replay"))
    for words in (["vacuum"], ["restore"], ["rollback", "--to=x"], ["quarantine", "waive"], ["vacuum", "run"]):
        with pytest.raises(UsageError, match="from the page"):
            starting.start(site.lake.settings, words, "ann")
        assert site.post(f"/act/{words[0]}").status == 404
    text = "".join(path.read_text(encoding="utf-8") for path in Path(ROOT / "src/page").rglob("*.py"))
    assert re.findall(r"import .*\b(vacuum|restore|rollback|repair|drill)\b", text) == []


def test_a_page_that_only_shows_refuses_every_act(site: Site) -> None:
    shown = opened(site.lake, readonly=True)
    assert {shown.post(f"/act/{what}").status for what in actions.ACTS} == {403}


def test_an_act_is_no_link(site: Site) -> None:
    assert {site.get(f"/act/{what}").status for what in actions.ACTS} == {405}
    assert site.post("/act/run", form_token="another").status == 400


def test_a_form_leads_back_to_a_screen_of_ours_alone() -> None:
    assert [actions._back({"back": there}) for there in ("//evil", "/\\evil", "http://evil", "/plan?domain=shop")] == [
        "/",
        "/",
        "/",
        "/plan?domain=shop",
    ]
    assert actions.to("/?a=b#causes", "done").headers["location"] == "/?a=b&message=done#causes"


# -- who


def test_who_does_it_is_the_user_or_whom_a_program_does_it_for() -> None:
    assert author({"BOATHOUSE_BY": " ann, from the page "}) == "ann, from the page"
    assert author({"BOATHOUSE_BY": " "}) == author({}) != ""


def test_a_run_says_who_started_it(site: Site) -> None:
    assert site.lake.rows(
        "SELECT DISTINCT started_by FROM ops.pipeline_runs WHERE layer = 'run' AND started_by NOT LIKE '%page'"
    ) == [(author(),)]


def test_a_lake_held_by_another_is_told_before_a_process_is_started(site: Site) -> None:
    with (
        lock.lock_lake(site.lake.data, command="make optimize", run_id="r", now=runs.now()),
        pytest.raises(LockedError, match="a run is going: make optimize, started at"),
    ):
        starting.start(site.lake.settings, ["run"], "ann")


# -- the runs, looked at


def test_a_run_shows_what_went_wrong_where_and_what_to_do(site: Site) -> None:
    run = next(run for run in site.page.look.facts().runs if run.status == "failed")
    text = site.get(f"/run/{run.run_id}").text
    assert "the file is a zip archive, the contract says csv" in text
    assert "<strong>What to do:</strong> end its name in .zip" in text
    assert "2 tables waited for these" in text
    assert "refresh" not in site.get(f"/run/{run.run_id}").headers
    assert site.get("/run/20240101T000000000-abcdef").status == 404


def test_a_run_that_goes_is_looked_at_again_by_itself_until_one_stops_that(site: Site) -> None:
    run_id = "20240101T000000000-abcdef"
    with lock.lock_lake(site.lake.data, command="make <b>", run_id=run_id, now=runs.now(), by="bob"):
        answer = site.get(f"/run/{run_id}")
        assert answer.headers["refresh"] == f"2; url=/run/{run_id}"
        assert "make &lt;b&gt;" in answer.text and "Started by bob" in answer.text
        assert "refresh" not in site.get(f"/run/{run_id}?still=1").headers
        assert "make &lt;b&gt;" in site.get("/runs").text


def test_runs_are_listed_by_how_they_ended_and_by_kind(site: Site) -> None:
    def listed(address: str) -> int:
        return len(re.findall(r'<li>\n<p class="head">', site.get(address).text))

    assert listed("/runs") == listed("/runs?status=success") + listed("/runs?status=failed") > 1
    assert listed("/runs?kind=pipeline") > 1
    assert listed("/runs?kind=vacuum") == 0
    assert "No run like that" in site.get("/runs?kind='").text


def test_a_plan_says_what_a_run_would_do_and_carries_its_options_to_the_button(site: Site) -> None:
    text = site.get("/plan?select=%2Bdaily").text
    assert "A run would do 3 of 3 steps" in text and "1 new files" in text
    assert '<input type="hidden" name="select" value="+daily">' in text
    assert "Run +daily now" in text
    assert site.get("/plan?domain=nowhere").status == 400
    assert "unknown domain nowhere" in site.get("/plan?domain=nowhere").text


def test_a_plan_is_kept_until_a_file_lands(site: Site) -> None:
    first = site.page.look.seen(("a",), lambda project: object())
    assert site.page.look.seen(("a",), lambda project: object()) is first
    assert site.page.look.seen(("a",), lambda project: object(), again=True) is not first
    site.lake.land("shop/elsewhere.txt", "")
    (site.lake.data / "landing/shop/elsewhere.txt").unlink()
    assert site.page.look.seen(("a",), lambda project: object()) is not first


def test_a_page_that_only_shows_has_no_button(site: Site) -> None:
    shown = opened(site.lake, readonly=True)
    assert '<form method="post"' not in shown.get("/plan").text
    assert '<form method="post"' in site.get("/plan").text


def test_nothing_is_started_from_a_plan_while_a_run_goes(site: Site) -> None:
    with lock.lock_lake(site.lake.data, command="make optimize", run_id="r", now=runs.now(), by="bob"):
        text = site.get("/plan").text
    assert 'action="/act/run"' not in text and "started by bob" in text


def test_a_backfill_is_planned_before_its_button(site: Site) -> None:
    asked = site.get("/backfill").text
    assert "<option>silver.shop.orders</option>" in asked and 'action="/act/backfill"' not in asked
    site.lake.edit(
        "silver/shop/orders.yaml",
        "value: [updated]}",
        "value: [updated]}\n      - {property: businessDate, value: day}",
    )
    try:
        text = site.get("/backfill?table=silver.shop.orders&start=2024-01-02&end=2024-01-02").text
        refused = site.get("/backfill?table=silver.shop.orders")
    finally:
        site.lake.edit("silver/shop/orders.yaml", "\n      - {property: businessDate, value: day}", "")
    assert "2 partitions would be written again" in text  # of silver and of the mart
    assert '<input type="hidden" name="start" value="2024-01-02">' in text and 'action="/act/backfill"' in text
    assert (refused.status, "no slice" in refused.text) == (400, True)
    assert site.get("/backfill?table=silver.shop.orders&start=tomorrow").status == 400


def test_no_sql_of_a_form_reaches_an_engine(site: Site) -> None:
    assert 'name="where"' not in site.get("/backfill").text
    answer = site.post("/act/backfill", table="silver.shop.orders", where="true")
    assert (answer.status, "no slice" in answer.text) == (400, True)


def test_the_form_of_a_day_is_filled_in_by_its_link(site: Site) -> None:
    text = site.get("/confirm?table=silver.shop.orders&day=2024-01-02").text
    assert "<option selected>silver.shop.orders</option>" in text and 'value="2024-01-02"' in text


def test_of_a_run_that_left_no_record_its_last_words_are_told(site: Site) -> None:
    log = site.lake.root / "logs/page.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write("2024-01-01 00:00:00Z ann, from the page: backfill --table=x\nerror: no <table> x\n")
    answer = site.get("/run/20240101T000000000-abcdef")
    assert answer.status == 404
    assert "ended before its first step" in answer.text and "error: no &lt;table&gt; x" in answer.text
