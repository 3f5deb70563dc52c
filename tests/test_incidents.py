"""Incidents by number: the order of openings, the times of their class, what hangs on them, the post-mortem."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from conftest import ROOT, Lake

from src import alerts
from src.alerts import Event, numbered
from src.alerts.response import RESPONSE
from src.engine import DuckEngine
from src.problems import CLASSES, Problem
from src.project import open_engine

FRIDAY = datetime(2026, 3, 27, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BROKEN = Problem("source", "bronze.shop.orders", "P2", date(2026, 3, 26), "missing column day", "correct the file")
STALE = Problem("freshness", "gold.shop.daily", "P3", date(2026, 3, 26), "49 hours old", "see why it did not run")


def event(name: str, after: timedelta = timedelta(0), urgency: str = "P2", incident: str = "table x") -> Event:
    kind, _, subject = incident.partition(" ")
    by = "kim" if name in ("acked", "snoozed") else ""
    return Event(FRIDAY + after, incident, kind, subject, urgency, date(2026, 3, 26), name, "what\nfix", by=by)


def kept(now: timedelta, *events: Event) -> tuple[str, str]:
    """Whether the only incident of these was answered and resolved in time, asked at a moment."""
    [one] = numbered(events, FRIDAY + now)
    return str(one.answer.kept), str(one.resolve.kept)


def test_every_class_has_times_and_the_more_urgent_the_shorter() -> None:
    assert list(RESPONSE) == list(CLASSES)
    ends = [(times.answer.after(FRIDAY), times.resolve.after(FRIDAY)) for times in RESPONSE.values()]
    assert ends == sorted(ends)
    assert all(answer < resolve for answer, resolve in ends)


def test_the_runbook_and_the_page_of_alerts_have_these_times() -> None:
    for page in ("runbook.md", "alerts.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        by_class = {
            name: next(line for line in text.splitlines() if line.startswith(f"| {name} |")) for name in RESPONSE
        }
        for name, times in RESPONSE.items():
            assert f"| {times.answer}" in by_class[name] and f"| {times.resolve} |" in by_class[name], page


def test_a_working_day_is_none_of_the_weekend() -> None:
    one = RESPONSE["P3"].answer
    assert one.after(FRIDAY) == datetime(2026, 3, 30, 12, tzinfo=UTC)
    assert one.after(FRIDAY + DAY) == one.after(FRIDAY + 2 * DAY) == datetime(2026, 3, 31, tzinfo=UTC)


def test_an_answer_is_in_time_or_is_not() -> None:
    opened, acked = event("opened"), event("acked", 4 * HOUR)
    assert kept(4 * HOUR, opened) == ("due", "due")
    assert kept(5 * HOUR, opened) == ("missed", "due")
    assert kept(5 * HOUR, opened, acked) == ("kept", "due")
    assert kept(5 * HOUR, opened, event("snoozed", 5 * HOUR)) == ("missed", "due")
    assert kept(2 * DAY, opened, acked) == ("kept", "missed")
    assert kept(2 * DAY, opened, event("recovered", HOUR)) == ("kept", "kept")
    assert kept(2 * DAY, opened, event("recovered", 25 * HOUR)) == ("missed", "missed")


def test_what_gets_worse_is_to_be_answered_again_and_sooner() -> None:
    opened, acked = event("opened", urgency="P3"), event("acked", HOUR, "P3")
    worse = event("escalated", 2 * HOUR, "P1")
    assert kept(3 * HOUR, opened, acked) == ("kept", "due")
    assert kept(2.4 * HOUR, opened, acked, worse) == ("due", "due")
    assert kept(3 * HOUR, opened, acked, worse) == ("missed", "due")
    assert kept(7 * HOUR, opened, acked, worse, event("acked", 2.4 * HOUR, "P1")) == ("kept", "missed")


def test_a_number_is_the_order_of_opening_and_stays() -> None:
    first = [event("opened", incident="table b"), event("opened", incident="table a")]
    again = [event("recovered", HOUR, incident="table a"), event("opened", DAY, incident="table a")]
    assert [(one.number, one.incident) for one in numbered(first, FRIDAY)] == [(1, "table a"), (2, "table b")]
    found = numbered([*first, *again], FRIDAY + DAY)
    assert [(one.number, one.incident, one.state) for one in found] == [
        (1, "table a", "over"),
        (2, "table b", "open"),
        (3, "table a", "open"),
    ]


@pytest.fixture
def engine(lake: Lake) -> Iterator[DuckEngine]:
    with open_engine(lake.settings) as running:
        yield running


@pytest.fixture
def past(lake: Lake, engine: DuckEngine) -> Lake:
    """A shop whose orders failed once, which was known to kim, and whose mart is stale."""
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    for after, problems in ((0, [BROKEN]), (2, [BROKEN, STALE]), (30, [STALE])):
        moment = FRIDAY + after * HOUR
        alerts.update(engine, lake.data, [], problems, moment, {"source", "freshness"})
        if not after:
            alerts.ack(engine, lake.data, BROKEN.incident, "kim", moment + HOUR, "asked the till's maker")
    return lake


def test_incidents_are_listed_by_number(past: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert past.command("incident", "--all") == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["no", "urgency"]
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert "over   kept" in rows[1] and rows[1].endswith("missed    30 h")


def test_one_incident_tells_its_course_and_what_hangs_on_it(past: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert past.command("incident", "1") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("1  P2 source bronze.shop.orders: over 2026-03-28 18:00 UTC after 30 h\n")
    assert "affects:   silver.shop.orders, gold.shop.daily\nmarts:     gold.shop\n" in shown
    assert "with it:   2 freshness gold.shop.daily\n" in shown
    timeline = [re.split(" {2,}", line)[1] for line in shown.splitlines() if line.startswith("2026-03")]
    assert timeline == [
        "opened as P2: missing column day",
        "acked: asked the till's maker",
        "recovered: missing column day",
    ]


def test_a_post_mortem_has_all_that_is_known_and_blanks(past: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert past.command("incident", "1", "--template") == 0
    text = capsys.readouterr().out
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Summary",
        "Impact",
        "Timeline (UTC)",
        "Detection",
        "Response",
        "Root cause",
        "What went well",
        "What did not",
        "Actions",
    ]
    assert "| answered | within 4 h | 2026-03-27 16:00 | 2026-03-27 13:00 | kept |" in text
    assert "| resolved | within 1 day | 2026-03-28 12:00 | 2026-03-28 18:00 | missed |" in text
    assert "- Marts: gold.shop\n" in text and "| 2026-03-27 13:00 | acked: asked the till's maker | kim |" in text
    assert text.count("____") >= 8


def test_what_readers_saw_of_a_table_that_failed_is_told_by_the_releases(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop()
    rule = '{type: sql, id: none, query: "SELECT count(*) FROM ${object} WHERE amount < 0", mustBe: 0}'
    lake.edit("silver/shop/orders.yaml", "    properties:\n", f"    quality: [{rule}]\n    properties:\n")
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    seen = lake.good().run_id
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n2,2024-01-01,-1,1\n")
    assert lake.command("run") != 0
    capsys.readouterr()
    lake.command("incident")
    listed = capsys.readouterr().out
    number = next(line.split()[0] for line in listed.splitlines() if "table silver.shop.orders" in line)
    lake.command("incident", number, "--json")
    found = json.loads(capsys.readouterr().out)
    assert [(one["as_of"], one["tables"], one["until"]) for one in found["seen"]] == [
        (seen, ["gold.shop.daily", "silver.shop.orders"], None)
    ]
    assert [run["step"] for run in found["runs"]] == ["success", "failed"]


def test_a_number_that_is_none_names_those_there_are(past: Lake) -> None:
    ran = past.typed("incident", "7")
    assert ran.returncode == 2
    assert "no incident 7" in ran.stderr and "the incidents are 1 to 2" in ran.stderr
    assert past.typed("incident", "--template").returncode == 2


def test_an_incident_is_plain_data(past: Lake) -> None:
    found = json.loads(past.typed("incident", "1", "--json").stdout)
    assert (found["incident"]["number"], found["incident"]["answer"]["kept"]) == (1, "kept")
    assert found["marts"] == ["gold.shop"]
