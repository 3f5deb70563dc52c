"""Monitors: each rule with a case that sets it off and one that does not, on a lake as it lies on disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from pathlib import Path

import polars
import pytest
from conftest import DAILY, MART, ORDERS, ROOT, Lake

from src import alerts, contract, monitors
from src.errors import ContractErrors, UsageError
from src.monitors import Findings, freshness, quality, volume, weekday
from src.monitors.volume import IncidentDay
from src.problems import Problem
from src.project import open_engine, open_project
from src.run import backup_records, history, runs
from src.run.backup_records import Backup
from src.run.runs import Audited, Record

HEADER = "order_id,day,amount,updated\n"
MONDAY = datetime(2024, 3, 11, 6, tzinfo=UTC)
DAY = timedelta(days=1)
EVENTS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.events
version: 1.0.0
status: active
domain: shop
servers:
  - {server: events, type: local, path: shop/events/*.csv, format: csv}
slaProperties:
  - {property: latency, value: 20, unit: h, element: events.at, driver: operational}
schema:
  - name: events
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: kind, logicalType: string, enum: [{value: a}, {value: b}]}
      - {name: price, logicalType: integer}
"""


RATE = "slaProperties: [{property: frequency, value: 1, unit: d}]\n"
LATENCY = "slaProperties: [{property: frequency, value: 1, unit: d}, {property: latency, value: 26, unit: h}]\n"
PROMISED = MART.replace(RATE, LATENCY)  # the mart of a shop that promises how old it may be


def shop(lake: Lake) -> Lake:
    """The shop, with a mart that may be 26 hours old, built from orders that come every day."""
    lake.shop().write("gold/shop/contract.yaml", PROMISED)
    lake.edit("silver/shop/orders.yaml", "schema:\n", f"{RATE}schema:\n")
    return lake


HELD = "slaProperties: [{property: latency, value: 26, unit: h}]\n"  # by the orders


def look(lake: Lake, now: datetime) -> Findings:
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, now)


def of(findings: Findings, kind: str) -> list[tuple[str, str]]:
    """The problems of one kind: subject and urgency."""
    return [(problem.subject, problem.urgency) for problem in findings.problems if problem.kind == kind]


def the_problem(findings: Findings, kind: str) -> Problem:
    (found,) = (problem for problem in findings.problems if problem.kind == kind)
    return found


def keep(lake: Lake, table: str, kind: type, rows: Sequence[object]) -> None:
    with open_engine(lake.settings) as engine:
        runs.append(engine, lake.data, table, kind, rows)


def orders(rows: Mapping[date, int], first: int = 1) -> str:
    """A file of orders: so many of each day."""
    days = [day for day, count in rows.items() for _ in range(count)]
    return HEADER + "".join(f"{first + at},{day},1.50,1\n" for at, day in enumerate(days))


def every_day(last: date, days: int, count: int) -> dict[date, int]:
    return {last - back * DAY: count for back in range(days)}


def sold(lake: Lake, rows: Mapping[date, int]) -> Lake:
    """The shop after one run over a file of these orders."""
    shop(lake).land("shop/orders/1.csv", orders(rows))
    lake.good()
    return lake


def daily(findings: Findings, table: str = "gold.shop.daily") -> freshness.Freshness:
    (found,) = (row for row in findings.freshness if row.table == table)
    return found


def ran(start: datetime, **facts: object) -> Record:
    """The record of a run that took a second."""
    told = {"run_id": f"r{start:%m%d%H%M}", "layer": "run", "domain": "", "table": "", "status": "success", **facts}
    told = {"command": "make pipeline", "latency": 1.0, **told}
    end = start + timedelta(seconds=1)
    return Record(source_system="", run_date=start.date() - DAY, start_time=start, end_time=end, **told)  # type: ignore[arg-type]


# -- freshness


@pytest.mark.parametrize(
    ("age", "grade"),
    [(0.0, "EXCELLENT"), (13.0, "EXCELLENT"), (13.1, "GOOD"), (26.0, "GOOD"), (39.0, "ACCEPTABLE"), (39.1, "POOR")],
)
def test_the_grade_follows_from_the_age_and_the_limit(age: float, grade: str) -> None:
    assert freshness.grade(age, 26.0) == grade
    assert freshness.grade(None, 26.0) == "POOR"


def test_a_frequency_says_how_often_a_run_is_due_and_grades_no_table(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", orders({date(2024, 3, 7): 2}))
    lake.good()
    found = look(lake, MONDAY)
    assert (found.freshness, of(found, "freshness")) == ((), [])
    assert [row.bound for row in found.expected if row.what == "pipeline run"] == [26.0]
    lake.write("gold/shop/contract.yaml", PROMISED)
    (row,) = look(lake, MONDAY).freshness
    assert (row.table, row.limit_hours, row.grade) == ("gold.shop.daily", 26.0, "POOR")


def test_a_latency_of_one_table_is_no_limit_of_another(lake: Lake) -> None:
    shop(lake).add_largest("SELECT day, count(*) AS orders, max(amount) AS amount FROM silver.shop.orders GROUP BY day")
    lake.edit(
        "gold/shop/contract.yaml", "latency, value: 26, unit: h", "latency, value: 26, unit: h, element: daily.day"
    )
    lake.land("shop/orders/1.csv", orders({date(2024, 3, 7): 2}))
    lake.good()
    assert [(row.table, row.grade) for row in look(lake, MONDAY).freshness] == [("gold.shop.daily", "POOR")]


def test_an_old_backfill_does_not_make_a_table_fresh(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 2})
    before = daily(look(lake, MONDAY))
    lake.land("shop/orders/2.csv", orders({date(2024, 1, 5): 3}, first=100))
    lake.good()
    found = look(lake, MONDAY)
    row = daily(found)
    assert before.written_at and row.written_at and row.written_at > before.written_at
    assert (row.business_until, row.decided_by) == (datetime(2024, 3, 8, tzinfo=UTC), "day")
    assert (row.age_hours, row.limit_hours, row.grade) == (78.0, 26.0, "POOR")
    assert of(found, "freshness") == [("gold.shop.daily", "P2")]
    assert the_problem(found, "freshness").what == (
        "POOR: reaches to 2024-03-08 00:00 UTC by day, 78 h ago; promised within 26 h"
    )


def test_a_row_dated_to_come_does_not_make_a_table_fresh_and_yesterdays_does(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 2, date(2031, 1, 1): 1})
    assert daily(look(lake, MONDAY)).grade == "POOR"
    lake.land("shop/orders/2.csv", orders({date(2024, 3, 10): 1}, first=100))
    lake.good()
    found = look(lake, MONDAY)
    assert (daily(found).age_hours, daily(found).grade) == (6.0, "EXCELLENT")
    assert of(found, "freshness") == []


def test_a_critical_table_without_yesterday_is_p1_once_its_time_is_over(lake: Lake) -> None:
    shop(lake)
    lake.write("gold/shop/contract.yaml", PROMISED + "    customProperties: [{property: critical, value: true}]\n")
    lake.land("shop/orders/1.csv", orders({date(2024, 3, 9): 2}))
    lake.good()
    in_time = look(lake, datetime(2024, 3, 11, 1, tzinfo=UTC))
    assert (daily(in_time).grade, of(in_time, "freshness")) == ("GOOD", [])
    late = look(lake, MONDAY)
    assert (daily(late).grade, daily(late).critical) == ("ACCEPTABLE", True)
    assert of(late, "freshness") == [("gold.shop.daily", "P1")]


def test_the_hours_of_a_day_of_rest_do_not_count(lake: Lake) -> None:
    friday = date(2024, 3, 8)
    sold(lake, {day: 1 for day in every_day(friday, 40, 1) if day.weekday() != 5})
    row = daily(look(lake, datetime(2024, 3, 10, 12, tzinfo=UTC)))
    assert (row.age_hours, row.rest_hours, row.grade) == (36.0, 24.0, "EXCELLENT")
    assert daily(look(lake, datetime(2024, 3, 12, 2, tzinfo=UTC))).grade == "POOR"


def test_a_week_that_does_not_go_alike_has_no_day_of_rest(lake: Lake) -> None:
    sold(lake, {**every_day(date(2024, 3, 8), 5, 1), date(2024, 1, 5): 1, date(2024, 2, 20): 1})
    row = daily(look(lake, MONDAY))
    assert (row.age_hours, row.rest_hours, row.grade) == (54.0, 0.0, "POOR")


def test_what_has_no_day_of_its_own_is_as_fresh_as_what_it_was_built_from(lake: Lake) -> None:
    shop(lake)
    more = """\
  - name: monthly
    properties:
      - {name: month, logicalType: date, required: true, partitioned: true}
      - {name: orders, logicalType: integer, physicalType: bigint}
  - name: total
    properties: [{name: orders, logicalType: integer, physicalType: bigint}]
    customProperties: [{property: refresh, value: full}]
"""
    lake.write("gold/shop/contract.yaml", PROMISED + more)
    lake.write("gold/shop/total.sql", "SELECT count(*) AS orders FROM silver.shop.orders")
    month = "cast(date_trunc('month', day) AS date)"
    lake.write(
        "gold/shop/monthly.sql", f"SELECT {month} AS month, count(*) AS orders FROM silver.shop.orders GROUP BY 1"
    )
    lake.land("shop/orders/1.csv", orders({date(2024, 3, 10): 2}))
    lake.good()
    found = look(lake, MONDAY)
    for table in ("gold.shop.monthly", "gold.shop.total"):
        row = daily(found, table)
        assert (row.decided_by, row.age_hours, row.grade) == ("silver.shop.orders.day", 6.0, "EXCELLENT")


def test_a_day_to_come_when_its_row_was_written_makes_no_mart_fresh(lake: Lake) -> None:
    shop(lake).write(
        "gold/shop/daily.sql", DAILY.replace("day,", "day + 5 AS day,", 1)
    )  # by the day it is promised for
    lake.land("shop/orders/1.csv", orders({date(2024, 3, 4): 2, date(2024, 3, 5): 2}))
    lake.good()
    row = daily(look(lake, MONDAY))
    assert (row.business_until, row.decided_by) == (datetime(2024, 3, 6, tzinfo=UTC), "silver.shop.orders.day")
    assert (row.age_hours, row.grade) == (126.0, "POOR")


def test_silver_is_never_fresher_than_the_last_file_that_arrived(lake: Lake) -> None:
    lake.shop().edit("silver/shop/orders.yaml", "schema:\n", f"{HELD}schema:\n")
    now = datetime.now(UTC)
    lake.land("shop/orders/1.csv", orders(every_day(now.date() + 9 * DAY, 12, 1)))
    lake.good()
    row = daily(look(lake, now + 9 * DAY), "silver.shop.orders")
    assert (row.decided_by, row.grade) == ("_ingested_at", "POOR")
    assert row.business_until and timedelta(0) <= row.business_until - now < timedelta(minutes=1)
    lake.edit("silver/shop/orders.yaml", "logicalType: date, physicalType: date", "logicalType: string")
    lake.edit("silver/shop/orders.yaml", "1.0.0", "2.0.0")
    lake.land("shop/orders/2.csv", orders({now.date(): 1}, first=90))
    shutil.rmtree(lake.root / "src/gold/shop")
    lake.good()
    row = daily(look(lake, now + 2 * DAY), "silver.shop.orders")  # which has no date any more
    assert (row.decided_by, row.grade) == ("_ingested_at", "POOR")


OLD = "slaProperties: [{property: frequency, value: 1, unit: y}]\n"


@pytest.mark.parametrize(
    ("places", "soft", "grade"),
    [
        (OLD, "", "POOR"),
        (OLD.replace("frequency", "latency"), "", "POOR"),
        ("", "", "EXCELLENT"),  # historical data, beside orders that promise news
        ("status: retired\n" + OLD, "", "EXCELLENT"),
        (OLD, "    customProperties: [{property: softSources, value: [silver.shop.places]}]\n", "EXCELLENT"),
    ],
)
def test_an_old_source_holds_a_mart_back_where_somebody_waits_for_its_news(
    lake: Lake, places: str, soft: str, grade: str
) -> None:
    shop(lake).edit("gold/shop/contract.yaml", "  - name: daily\n", f"  - name: daily\n{soft}")
    declared = ORDERS.replace("orders", "places").replace("schema:\n", f"{places}schema:\n")
    if "status" in places:
        declared = declared.replace("status: active\n", "", 1)
    lake.write("silver/shop/places.yaml", declared)
    lake.write("gold/shop/daily.sql", f"{DAILY} HAVING count(*) < (SELECT count(*) + 99 FROM silver.shop.places)")
    lake.land("shop/orders/1.csv", orders({date(2024, 3, 10): 2}))
    lake.land("shop/places/1.csv", orders({date(2010, 3, 10): 2}))
    lake.good()
    row = daily(look(lake, MONDAY))
    assert (row.grade, row.decided_by) == (grade, "day" if grade == "EXCELLENT" else "silver.shop.places.day")


def test_what_is_built_of_a_source_that_never_came_is_not_late_and_of_one_that_has_no_row_it_is(lake: Lake) -> None:
    shop(lake)
    shops = "id,name\n1,Leith\n"
    places = ORDERS.replace("orders", "places").replace("order_id", "id").partition("      - {name: day")[0]
    places += "      - {name: name, logicalType: string, physicalType: varchar}\n"
    lake.write("silver/shop/places.yaml", places)
    lake.write("gold/shop/daily.sql", f"{DAILY} HAVING count(*) > (SELECT count(*) - 1 FROM silver.shop.places)")
    optional = "    customProperties: [{property: softSources, value: [silver.shop.orders]}]\n"
    lake.edit("gold/shop/contract.yaml", "  - name: daily\n", f"  - name: daily\n{optional}")
    lake.land("shop/places/1.csv", shops)
    lake.good()
    found = look(lake, MONDAY)
    assert (found.freshness, of(found, "freshness")) == ((), [])
    lake.land("shop/orders/1.csv", HEADER + "1,2031-01-02,1.00,1\n")
    lake.good()
    found = look(lake, MONDAY)
    assert (daily(found).grade, of(found, "freshness")) == ("POOR", [("gold.shop.daily", "P2")])


def test_a_moment_is_as_old_as_it_is_and_the_latency_is_the_limit(lake: Lake) -> None:
    lake.write("silver/shop/events.yaml", EVENTS)
    lake.land("shop/events/1.csv", "id,at,kind,price\n1,2024-03-10 10:00:00,a,1\n2,2024-03-11 06:00:01,a,1\n")
    lake.good()
    row = daily(look(lake, MONDAY), "silver.shop.events")
    assert (row.decided_by, row.age_hours, row.limit_hours, row.grade) == ("at", 20.0, 20.0, "GOOD")
    row = daily(
        look(lake, MONDAY + timedelta(days=90, seconds=1)), "silver.shop.events"
    )  # older than all that is counted
    assert (row.age_hours, row.grade) == (90 * 24.0, "POOR")


# -- volume


def judged(rows: Mapping[date, int], incidents: Sequence[date] = ()) -> volume.Volume:
    """Monday 2024-03-04 in a history of these rows."""
    day = date(2024, 3, 4)
    return volume.judge("silver.shop.orders", day, rows, frozenset(every_day(day, 40, 0)), set(incidents), MONDAY)


WEEKS = {date(2024, 2, 5): 90, date(2024, 2, 12): 100, date(2024, 2, 19): 110, date(2024, 2, 26): 100}


def test_a_day_is_measured_by_the_median_of_its_weekday() -> None:
    row = judged({**WEEKS, date(2024, 1, 29): 100, date(2024, 3, 4): 130, date(2024, 3, 3): 9999})
    assert (row.baseline_days, row.median, row.mad, row.verdict) == (5, 100.0, 0.0, "high")
    assert row.z == pytest.approx(0.6745 * 30 / 5)  # where a weekday hardly varies, 5 % of the median
    wide = {**WEEKS, date(2024, 2, 5): 80, date(2024, 2, 19): 120, date(2024, 1, 29): 110}
    assert judged({**wide, date(2024, 3, 4): 130}).z == pytest.approx(0.6745 * 30 / 10)
    assert judged({**wide, date(2024, 3, 4): 130}).verdict == "normal"
    assert judged({**wide, date(2024, 3, 4): 40}).verdict == "low"


@pytest.mark.parametrize(
    ("usually", "varies", "value", "verdict"),
    [
        (7, 1, 13, "normal"),
        (7, 1, 17, "high"),
        (7.5, 1, 13, "high"),  # no count
        (49, 1, 25, "normal"),
        (49, 1, 24, "low"),
        (49, 1, 0, "none"),
        (49, 0, 36, "low"),  # nothing of it comes by chance
    ],
)
def test_a_count_of_what_comes_by_chance_deviates_by_the_root_of_its_mean(
    usually: float, varies: int, value: float, verdict: str
) -> None:
    monday = date(2024, 3, 11)
    rows: dict[date, float] = {monday - back * DAY: usually + varies * (back % 3 - 1) for back in range(1, 64)}
    usual = weekday.usual(rows, frozenset(rows), set(), monday)
    judged = weekday.judge(monday, {**rows, monday: value}, frozenset((*rows, monday)), set(), usual)
    assert judged.verdict == verdict


def test_a_day_has_to_be_further_away_than_days_of_any_weekday_usually_are() -> None:
    varying = {day: (80, 120)[at % 2] for at, day in enumerate(every_day(date(2024, 3, 3), 35, 0))}
    monday = date(2024, 3, 4)
    mondays = {monday - timedelta(weeks=week): 100 for week in range(1, 6)}  # which by chance did not vary
    rows = {**varying, **mondays}
    usual = weekday.usual(rows, frozenset(rows), set(), monday)
    assert (round(usual.least, 2), usual.often_none, usual.days) == (15.42, False, 35)  # 40 * 2 * 0.6745 / 3.5
    judged = (weekday.judge(monday, {**rows, monday: count}, frozenset(rows), set(), usual) for count in (179, 181))
    assert [one.verdict for one in judged] == ["normal", "high"]


@pytest.mark.parametrize(
    ("figure", "weeks", "verdict"),
    [
        (1, 4, "normal"),  # one purchase a day may be none by chance
        (1, 6, "none"),  # but not where six weeks never went without
        (100, 4, "none"),
    ],
)
def test_nothing_has_to_be_far_from_the_median_or_never_seen_in_six_weeks(
    figure: int, weeks: int, verdict: str
) -> None:
    monday = date(2024, 3, 4)
    rows = every_day(monday - DAY, weeks * 7, figure)
    usual = weekday.usual(rows, frozenset(rows), set(), monday)
    assert weekday.judge(monday, rows, frozenset(rows), set(), usual).verdict == verdict
    net = {**rows, monday - 10 * DAY: -1}  # a figure that goes past 0
    usual = weekday.usual(net, frozenset(net), set(), monday)
    assert weekday.judge(monday, net, frozenset(net), set(), usual).verdict == "normal"


def test_a_table_does_not_begin_with_the_stragglers_of_its_first_file(lake: Lake) -> None:
    sunday = date(2024, 3, 10)
    sold(lake, {**every_day(sunday - 28 * DAY, 30, 2), **every_day(sunday, 28, 100)})
    found = look(lake, MONDAY)
    assert {(row.baseline_days, row.verdict) for row in found.volume} == {(3, "too little history")}
    assert of(found, "volume") == []


def test_a_day_is_not_in_its_own_baseline() -> None:
    plain, loud = (judged({**WEEKS, date(2024, 3, 4): count}) for count in (100, 100_000))
    assert (loud.median, loud.mad, loud.baseline_days) == (plain.median, plain.mad, plain.baseline_days)
    assert (plain.verdict, loud.verdict) == ("normal", "high")


def test_rows_on_a_day_that_never_had_any_are_high_and_a_few_are_not() -> None:
    assert judged({date(2024, 3, 4): 6}).verdict == "high"
    assert judged({date(2024, 3, 4): 5}).verdict == "normal"


def test_no_rows_where_there_always_were_some_is_p2_for_the_source(lake: Lake) -> None:
    sold(lake, every_day(date(2024, 3, 9), 40, 10))
    found = look(lake, MONDAY)
    last = found.volume[-1]
    assert (last.table, last.day, last.rows, last.median, last.verdict) == (
        "silver.shop.orders",
        date(2024, 3, 10),
        0,
        10.0,
        "none",
    )
    assert [row.verdict for row in found.volume[:-1]] == ["normal"] * 6
    assert of(found, "volume") == [("silver.shop.orders", "P2")]
    lake.land("shop/orders/2.csv", orders({date(2024, 3, 10): 9}, first=1000))  # late rows count for their day
    lake.good()
    found = look(lake, MONDAY)
    assert (found.volume[-1].rows, found.volume[-1].verdict, of(found, "volume")) == (9, "normal", [])


def test_too_little_history_does_not_alarm(lake: Lake) -> None:
    sold(lake, every_day(date(2024, 3, 9), 20, 10))
    found = look(lake, MONDAY)
    assert {row.verdict for row in found.volume} == {"too little history"}
    assert of(found, "volume") == []


def test_a_confirmed_incident_leaves_the_baseline_and_alarms_no_more(lake: Lake) -> None:
    sunday = date(2024, 3, 10)
    sold(lake, {**every_day(sunday, 32, 10), sunday - 7 * DAY: 500, sunday: 90})
    found = look(lake, MONDAY)
    assert (found.volume[-1].baseline_days, found.volume[-1].verdict) == (4, "high")
    assert of(found, "volume") == [("silver.shop.orders", "P3")]
    with open_engine(lake.settings) as engine:
        for day in (sunday - 7 * DAY, sunday):
            volume.confirm(engine, lake.data, IncidentDay("silver.shop.orders", day, "sale", MONDAY))
        with pytest.raises(UsageError, match="without a reason"):
            volume.confirm(engine, lake.data, IncidentDay("silver.shop.orders", sunday, " ", MONDAY))
        with pytest.raises(UsageError, match="2024-03-11 is not over"):
            volume.confirm(engine, lake.data, IncidentDay("silver.shop.orders", MONDAY.date(), "sale", MONDAY))
    found = look(lake, MONDAY)
    assert (found.volume[-1].baseline_days, found.volume[-1].verdict) == (3, "confirmed incident")
    assert of(found, "volume") == []


def test_a_day_is_judged_once_a_run_went_through_after_it(lake: Lake) -> None:
    today = datetime.now(UTC)
    sold(lake, every_day(today.date() - DAY, 40, 10))
    judged_today, judged_tomorrow = (look(lake, today + ahead).volume[-1].day for ahead in (0 * DAY, DAY))
    assert judged_today == judged_tomorrow == today.date() - DAY


@pytest.mark.parametrize(("hours", "judged", "problems"), [(120, 5, []), (26, 1, [("silver.shop.orders", "P2")])])
def test_a_source_that_comes_some_days_late_is_missed_once_its_promise_is_over(
    lake: Lake, hours: int, judged: int, problems: list[tuple[str, str]]
) -> None:
    yesterday = MONDAY.date() - DAY
    lake.shop().edit(
        "silver/shop/orders.yaml",
        "schema:\n",
        f"slaProperties: [{{property: latency, value: {hours}, unit: h, element: orders.day}}]\nschema:\n",
    )
    lake.land("shop/orders/1.csv", orders(every_day(yesterday - 2 * DAY, 40, 10)))
    lake.good()
    found = look(lake, MONDAY)
    assert found.volume[-1].day == yesterday - judged * DAY
    assert of(found, "volume") == problems


def test_a_day_of_which_rows_may_still_come_is_not_low(lake: Lake) -> None:
    shop(lake).edit(
        "silver/shop/orders.yaml", "frequency, value: 1, unit: d", "latency, value: 26, unit: h, element: orders.day"
    )
    low = datetime.now(UTC).date()
    lake.land("shop/orders/1.csv", orders({**every_day(low, 40, 100), low: 50}))
    lake.good()
    facts = {"layer": "silver", "domain": "shop", "table": "orders", "command": None}
    three = datetime.combine(low + DAY, time(3), UTC)  # both runs are after the one above, whatever the hour is now
    keep(lake, runs.TABLE, Record, [ran(three, **facts)])
    assert look(lake, three).volume[-1].day == low - DAY
    later = look(lake, three + DAY)  # nobody looked since
    assert (later.volume[-1].day, of(later, "volume")) == (low - DAY, [])
    keep(lake, runs.TABLE, Record, [ran(three + DAY, **facts)])
    assert of(look(lake, three + DAY + timedelta(hours=1)), "volume") == [("silver.shop.orders", "P3")]


def test_a_feed_without_a_business_date_is_counted_by_the_day_its_runs_answered_for(lake: Lake) -> None:
    lake.write(
        "silver/shop/orders.yaml", ORDERS.replace("logicalType: date, physicalType: date", "logicalType: string")
    )
    mondays = [datetime(2024, 1, 30, 5, tzinfo=UTC) + week * timedelta(weeks=1) for week in range(5)]
    facts = {"layer": "bronze", "domain": "shop", "table": "orders", "command": None}
    landed = [ran(at, **facts, records_read=20, inserted=20) for at in mondays]
    keep(lake, runs.TABLE, Record, [*landed, ran(mondays[-1] + 7 * DAY, **facts, records_read=90, inserted=90)])
    found = look(lake, datetime(2024, 3, 6, 6, tzinfo=UTC))
    (row,) = (row for row in found.volume if row.table == "bronze.shop.orders" and row.verdict != "too little history")
    assert (row.day, row.rows, row.baseline_days, row.median, row.verdict) == (date(2024, 3, 4), 90, 5, 20.0, "high")


# -- feeds


def test_new_missing_retyped_columns_and_new_values_are_named(lake: Lake) -> None:
    lake.write("silver/shop/events.yaml", EVENTS)
    plain = "".join(f"{at},2024-03-0{at % 9 + 1} 10:00:00,a,5,x\n" for at in range(1, 40))
    lake.land("shop/events/1.csv", "id,at,kind,price,note\n" + plain)
    lake.good()
    lake.land("shop/events/2.csv", "id,at,kind,price,note\n" + plain.replace(",5,x", ",6,x"))
    lake.good()
    now = datetime.now(UTC)
    assert look(lake, now).feed_schema == ()
    odd = "".join(f"{at},2024-03-10 10:00:00,{kind},5 EUR,y\n" for at, kind in enumerate("aaacc", 100))
    lake.land("shop/events/3.csv", "id,at,kind,price,colour\n" + odd)
    lake.good()
    found = look(lake, now)
    assert [(row.feed, row.column, row.change, row.detail, row.read) for row in found.feed_schema] == [
        ("bronze.shop.events", "colour", "new", "no contract reads it", False),
        ("bronze.shop.events", "price", "retyped", "integer -> text: 0% of the values are integer", True),
        ("bronze.shop.events", "note", "missing", "no value in the 5 newest rows; 100% of those before had one", False),
        ("bronze.shop.events", "kind", "new value", "c (2 rows)", True),
    ]
    assert of(found, "schema") == [("bronze.shop.events", "P3")]
    assert the_problem(found, "schema").what == (
        "new: colour; retyped: price (integer -> text: 0% of the values are integer); missing: note; "
        "new value: kind (c (2 rows))"
    )
    lake.write(
        "silver/shop/events.yaml", EVENTS.replace("1.0.0", "1.1.0") + "      - {name: colour, logicalType: string}\n"
    )
    lake.good()
    assert [row.column for row in look(lake, now).feed_schema] == ["price", "note", "kind"]
    lake.edit("silver/shop/events.yaml", "status: active", "status: retired")
    assert look(lake, now).feed_schema == ()


def test_a_value_that_is_seldom_there_is_not_missed(lake: Lake) -> None:
    lake.write("silver/shop/events.yaml", EVENTS)
    seldom = "".join(f"{at},2024-03-01 10:00:00,a,5,{'x' if at % 4 == 0 else ''}\n" for at in range(40))
    lake.land("shop/events/1.csv", "id,at,kind,price,note\n" + seldom)
    lake.good()
    lake.land(
        "shop/events/2.csv",
        "id,at,kind,price,note\n" + "".join(f"{at},2024-03-02 09:00:00,b,5,\n" for at in range(50, 60)),
    )
    lake.good()
    assert look(lake, datetime.now(UTC)).feed_schema == ()  # 0.75 ^ 10 is 0.06


# -- quality


@pytest.mark.parametrize(
    ("now", "before", "clearly"),
    [
        ((30, 1000), (10, 1000), True),
        ((15, 1000), (5, 1000), True),
        ((14, 1000), (5, 1000), False),  # less than a percentage point
        ((45, 1000), (30, 1000), False),  # less than twice
        ((20, 1000), (0, 99), False),  # too little before
        ((50, 99), (0, 1000), False),  # too little now
    ],
)
def test_a_share_grows_clearly_or_not(now: tuple[int, int], before: tuple[int, int], clearly: bool) -> None:
    assert quality.grows(now, before, 100, 0.01) is clearly


def audited(day: datetime, passed: bool, table: str = "gold.shop.daily") -> Audited:
    return Audited("r", day, table, "rowCount", None, "mustBe", "1", 1.0, "rows", "warning", passed, 1, None, "")


def test_warnings_that_grow_are_p3_and_the_weeks_are_told(lake: Lake) -> None:
    lake.shop()
    facts = {"layer": "silver", "domain": "shop", "table": "orders", "command": None}
    calm = [ran(MONDAY - back * DAY, **facts, records_read=100, inserted=99, quarantined=1) for back in range(7, 30)]
    audits = [audited(MONDAY - back * DAY, True) for back in range(30)]
    graded = [
        freshness.Freshness(
            MONDAY - 2 * DAY, "silver.shop.orders", None, "day", None, None, 0.0, None, 26.0, grade, False
        )
        for grade in ("GOOD", "EXCELLENT", "ACCEPTABLE", "POOR")
    ]
    keep(lake, runs.TABLE, Record, [*calm, ran(MONDAY - DAY, **facts, records_read=100, inserted=99, quarantined=1)])
    keep(lake, runs.AUDITS, Audited, audits)
    keep(lake, freshness.TABLE, freshness.Freshness, graded)
    found = look(lake, MONDAY)
    assert of(found, "quality") == []
    rows = {(row.table, row.week): row for row in found.quality_trend}
    week = rows["silver.shop.orders", date(2024, 3, 4)]
    assert (week.rows_read, week.quarantined, week.quarantined_rate) == (200, 2, 0.01)  # the 4th and the 10th
    assert (week.freshness_checks, week.freshness_kept, week.sla_rate) == (4, 2, 0.5)
    assert rows["gold.shop.daily", date(2024, 3, 4)].pass_rate == 1.0
    worse = [ran(MONDAY - timedelta(hours=1), **facts, records_read=100, inserted=90, quarantined=10)]
    keep(lake, runs.TABLE, Record, worse)
    keep(lake, runs.AUDITS, Audited, [audited(MONDAY - DAY, False)] * 2)
    found = look(lake, MONDAY)
    assert of(found, "quality") == [("gold.shop.daily", "P3"), ("silver.shop.orders", "P3")]
    assert [problem.what for problem in found.problems if problem.kind == "quality"] == [
        "in the last 7 days, against the 28 before: failed audits 0.0% -> 22.2%",
        "in the last 7 days, against the 28 before: rejected rows 1.0% -> 5.5%",
    ]


# -- distribution


def events(first: int, last: date, days: int, prices: Sequence[int], kinds: str) -> Iterator[str]:
    """Ten events a day, with these prices and kinds in turn."""
    for at in range(days * 10):
        day = last - (at // 10) * DAY
        yield f"{first + at},{day} 10:00:00,{kinds[at % len(kinds)]},{prices[at % len(prices)]}\n"


def test_a_watched_column_whose_values_moved_is_p3_and_one_whose_did_not_is_stable(lake: Lake) -> None:
    watched = EVENTS.replace("value: b}]}", "value: b}], customProperties: [{property: drift, value: psi}]}")
    watched = watched.replace(
        "price, logicalType: integer",
        "price, logicalType: integer, customProperties: [{property: drift, value: [0.2, 0.9]}]",
    )
    lake.write("silver/shop/events.yaml", watched)
    before = events(1, date(2024, 3, 3), 28, [1, 2], "ab")
    now = events(1000, date(2024, 3, 10), 7, [1, 2], "aaab")
    lake.land("shop/events/1.csv", "id,at,kind,price\n" + "".join([*before, *now]))
    lake.good()
    found = look(lake, MONDAY)
    price, kind = sorted(found.distribution, key=lambda row: row.column, reverse=True)
    assert (price.column, price.bins, price.psi, price.verdict) == ("price", 2, 0.0, "stable")
    assert (kind.baseline_from, kind.baseline_to) == (date(2024, 2, 5), date(2024, 3, 3))
    assert (kind.current_from, kind.current_to) == (date(2024, 3, 4), date(2024, 3, 10))
    assert (kind.baseline_rows, kind.current_rows, kind.bins, kind.verdict) == (280, 70, 2, "significant")
    # 53 of 70 are a: (0.757143 - 0.5) ln 1.514286 + (0.242857 - 0.5) ln 0.485714
    assert kind.psi == pytest.approx(0.292388, abs=1e-5)
    assert of(found, "distribution") == [("silver.shop.events", "P3")]
    lake.edit("silver/shop/events.yaml", "status: active", "status: retired")
    assert of(look(lake, MONDAY), "distribution") == []
    lake.edit("silver/shop/events.yaml", "status: retired", "status: active")
    little = look(lake, MONDAY + 5 * DAY)
    assert {row.verdict for row in little.distribution} == {"too little data"}
    assert of(little, "distribution") == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            "required: true, ",
            "required: true, customProperties: [{property: drift, value: psi}], ",
            "drift of day, a DATE",
        ),
        (
            "logicalType: date, physicalType: date, required: true",
            "logicalType: string, required: true, customProperties: [{property: drift, value: psi}]",
            "drift of day without a business date",
        ),
    ],
)
def test_drift_needs_a_business_date_and_is_not_asked_of_one(lake: Lake, old: str, new: str, what: str) -> None:
    lake.shop()
    lake.write("silver/shop/orders.yaml", ORDERS.replace(old, new, 1))
    with pytest.raises(ContractErrors) as raised:
        contract.load(lake.root / "src")
    assert [error.what for error in raised.value.errors if "drift" in error.what] == [what]


def test_words_for_monitors_change_no_row_and_build_nothing_anew(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 2})
    lake.write("gold/shop/contract.yaml", PROMISED + "    customProperties: [{property: critical, value: true}]\n")
    lake.edit(
        "silver/shop/orders.yaml",
        "physicalType: integer}",
        "physicalType: integer, customProperties: [{property: drift, value: psi}]}",
    )
    again = lake.good()
    assert [step.records_written for step in again.steps] == [0, 0, 0]


def test_a_contract_that_no_run_has_built_yet_is_no_mistake(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 10): 2})
    before = look(lake, MONDAY)
    weight = "      - {name: weight, logicalType: integer, customProperties: [{property: drift, value: psi}]}\n"
    sent = "      - {name: sent, logicalType: date}\n"
    named = "    customProperties:\n      - {property: businessDate, value: sent}\n"
    lake.edit("silver/shop/orders.yaml", "    customProperties:\n", weight + sent + named)
    found = look(lake, MONDAY)
    assert (found.problems, found.freshness, found.distribution) == (before.problems, before.freshness, ())


# -- latency


def test_a_slow_step_is_p4_and_idle_runs_are_passed_over(lake: Lake) -> None:
    lake.shop()
    facts = {"layer": "silver", "domain": "shop", "table": "orders", "command": None}
    work = {**facts, "records_read": 5, "inserted": 5}
    past = [ran(MONDAY - back * DAY, **work, latency=2.0 + back % 2) for back in range(2, 8)]
    idle = [ran(MONDAY - back * DAY - timedelta(hours=1), **facts, latency=0.1) for back in range(9)]
    whole = [ran(MONDAY - back * DAY, records_read=5, latency=3.0) for back in range(7)]
    keep(lake, runs.TABLE, Record, [*past, *idle, *whole])
    keep(lake, runs.TABLE, Record, [ran(MONDAY - DAY, **work, latency=7.5)])
    found = look(lake, MONDAY)
    step, run = sorted(found.latency, key=lambda row: row.step, reverse=True)
    assert (step.step, step.last, step.runs_before, step.median, step.ratio) == ("silver.shop.orders", 7.5, 6, 2.5, 3.0)
    assert (run.step, run.last, run.median, run.p95, run.slow) == ("run", 3.0, 3.0, 3.0, False)
    assert of(found, "latency") == []
    keep(lake, runs.TABLE, Record, [ran(MONDAY, **work, latency=9.5)])
    found = look(lake, MONDAY)
    assert of(found, "latency") == [("silver.shop.orders", "P4")]
    assert the_problem(found, "latency").what == "took 9.5 s; the median of the 7 runs before is 3.0 s"


# -- storage


def test_a_table_tells_what_it_takes_and_many_small_files_are_p4(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 2, date(2024, 3, 8): 3})
    now = datetime.now(UTC)
    with open_engine(lake.settings) as engine:
        for at in range(29):
            volume.confirm(
                engine, lake.data, IncidentDay("silver.shop.orders", date(2024, 1, 1) + at * DAY, "x", MONDAY)
            )
        found = look(lake, now)
        stats = {row.table: row for row in found.table_stats}
        assert of(found, "storage") == []
        assert (stats["ops.incident_days"].small_files, stats["ops.incident_days"].rows) == (29, 29)
        volume.confirm(engine, lake.data, IncidentDay("silver.shop.orders", date(2024, 2, 9), "x", MONDAY))
    assert of(look(lake, now), "storage") == [("ops.incident_days", "P4")]
    silver = stats["silver.shop.orders"]
    root = lake.data / "silver" / "shop" / "orders"
    parts = [path.stat().st_size for path in root.glob("day=*/*.parquet")]
    assert (silver.rows, silver.files, silver.bytes, silver.small_files) == (5, 2, sum(parts), 0)
    assert silver.log_entries == len(list((root / "_delta_log").glob("*.json")))
    assert silver.bytes_on_disk == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert (silver.bytes_written, silver.write_amplification) == (sum(parts), 1.0)
    with open_project(lake.settings) as project:
        asked = monitors.evaluate(project, now, on_disk=False).table_stats
    assert [replace(row, bytes_on_disk=None) for row in look(lake, now).table_stats] == list(asked)


def test_rows_written_again_amplify_and_what_is_older_than_30_days_is_not_counted(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 200})
    lake.land("shop/orders/2.csv", HEADER + "1,2024-03-07,2.50,2\n")
    lake.good()
    now = datetime.now(UTC)
    (silver,) = (row for row in look(lake, now).table_stats if row.table == "silver.shop.orders")
    assert silver.write_amplification is not None
    assert 1.5 < silver.write_amplification < 2.5  # one row changed, and the file of all 200 was written again
    (silver,) = (row for row in look(lake, now + 31 * DAY).table_stats if row.table == "silver.shop.orders")
    assert (silver.bytes_written, silver.write_amplification) == (0, None)


# -- what is expected


def test_what_was_recorded_while_the_clock_was_ahead_does_not_hide_what_fails_now(lake: Lake) -> None:
    lake.shop()
    start = datetime(2024, 3, 4, 5, tzinfo=UTC)
    ahead, wrong = start + 400 * DAY, "no such column"
    step = {"layer": "silver", "domain": "shop", "table": "orders"}
    failed = ran(start + DAY, **step, status="failed", error_class="contract", error_message=wrong)
    keep(lake, runs.TABLE, Record, [ran(start), ran(ahead), ran(ahead, **step), failed])
    made = Backup("r1", "000001-20250408T050000000-abcdef", "backup", ahead, ahead, "b", verified=True)
    keep(lake, backup_records.TABLE, Backup, [made])
    found = look(lake, start + 2 * DAY)
    assert of(found, "run") == [("pipeline", "P2")]
    assert of(found, "table") == [("silver.shop.orders", "P2")]
    assert of(found, "backup") == [("lake", "P2")]
    assert "to come" in the_problem(found, "backup").what


def test_no_successful_run_within_its_time_is_p2_and_within_twice_of_it_p1(lake: Lake) -> None:
    lake.shop()
    start = datetime(2024, 3, 4, 5, tzinfo=UTC)
    good, partial = ran(start), ran(start + 20 * timedelta(hours=1), status="partial", error_class="partial")
    other = ran(start + 21 * timedelta(hours=1), command="make backup")
    keep(lake, runs.TABLE, Record, [good, partial, other])
    ages = [look(lake, good.end_time + timedelta(hours=hours)) for hours in (26, 27, 52, 53)]
    assert [of(found, "run") for found in ages] == [
        [],
        [("pipeline", "P2")],
        [("pipeline", "P2")],
        [("pipeline", "P1")],
    ]
    assert (
        the_problem(ages[1], "run").what
        == "no successful run since 2024-03-04 05:00 UTC, 27 h ago; one is due every 26 h"
    )
    lake.edit("gold/shop/contract.yaml", "value: 1, unit: d", "value: 6, unit: h")
    assert of(look(lake, good.end_time + timedelta(hours=9)), "run") == [("pipeline", "P2")]


def test_where_no_contract_says_how_often_no_run_is_due(lake: Lake) -> None:
    lake.shop()
    shutil.rmtree(lake.root / "src/gold")
    (lake.root / "src/gold").mkdir()
    keep(lake, runs.TABLE, Record, [ran(MONDAY)])
    found = look(lake, MONDAY + 400 * DAY)
    assert (of(found, "run"), [row.what for row in found.expected]) == ([], ["verified backup"])
    lake.edit("silver/shop/orders.yaml", "schema:\n", f"{RATE}schema:\n")
    assert of(look(lake, MONDAY + 400 * DAY), "run") == [("pipeline", "P1")]
    lake.edit("silver/shop/orders.yaml", "status: active", "status: retired")
    assert of(look(lake, MONDAY + 400 * DAY), "run") == []


def test_a_source_that_fails_is_p2_with_its_fix_and_so_is_what_it_blocks_until_a_run_fixes_it(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 2})
    assert of(look(lake, datetime.now(UTC)), "source") == []
    bad = lake.land("shop/orders/2.csv.gz", b"\x1f\x8b\x08\x00broken")
    lake.run()
    found = look(lake, datetime.now(UTC))
    assert of(found, "source") == [("bronze.shop.orders", "P2")]
    assert of(found, "table") == [("gold.shop.daily", "P2"), ("silver.shop.orders", "P2")]
    failed = the_problem(found, "source")
    assert failed.what.startswith("failed: damaged gzip file")
    assert failed.fix == "land the file again, whole; nothing of it was taken"
    bad.unlink()
    lake.good()
    found = look(lake, datetime.now(UTC))
    assert (of(found, "source"), of(found, "table")) == ([], [])


def test_paths_in_records_and_problems_are_relative_to_the_project_and_whole_outside_of_it(
    lake: Lake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop(lake).land("shop/orders/2.csv.gz", b"\x1f\x8b\x08\x00broken")
    run = lake.run()
    where = "data/landing/shop/orders/2.csv.gz"
    assert lake.step(run, "bronze.shop.orders").error_where == where
    assert the_problem(look(lake, datetime.now(UTC)), "source").what.endswith(f" where: {where}")
    assert str(lake.root) not in str([run.records, alerts.of_run(run), look(lake, datetime.now(UTC)).problems])
    shutil.rmtree(lake.data / "landing")
    elsewhere = tmp_path_factory.mktemp("disk")
    shutil.move(lake.data, elsewhere / "data")
    lake.environ["DATA_DIR"] = str(elsewhere / "data")
    outside = elsewhere / "data/landing/shop/orders/2.csv.gz"
    outside.parent.mkdir(parents=True)
    outside.write_bytes(b"\x1f\x8b\x08\x00broken")
    assert lake.step(lake.run(), "bronze.shop.orders").error_where == str(outside)


def test_only_the_projects_own_folder_is_left_out_of_a_path(lake: Lake) -> None:
    root = lake.root
    with open_project(lake.settings) as project:
        assert project.relative(f"where: {root}/src/a.yaml, `{root}/b`") == "where: src/a.yaml, `b`"
        for text in (f"{root}-old/data", f"/mnt{root}/data", f"file://{root}/data", f"{root}"):
            assert project.relative(text) == text
    with open_project(lake.settings) as project:
        everything = replace(project, settings=replace(project.settings, root=Path("/")))
        assert everything.relative("/data/landing") == "/data/landing"


LATER = ("kind", "full_refresh", "blocked_by", "error_where", "error_fix")


def older(lake: Lake) -> None:
    """Take the columns that are recorded today, but were not always, out of the records of runs."""
    root = lake.data / "ops/pipeline_runs"
    rows = polars.read_delta(str(root)).drop(*LATER)
    shutil.rmtree(root)
    rows.write_delta(str(root))


def test_what_blocks_a_table_and_what_failed_are_the_same_in_records_of_before_they_were_columns(lake: Lake) -> None:
    sold(lake, {date(2024, 3, 7): 2})
    lake.land("shop/orders/2.csv.gz", b"\x1f\x8b\x08\x00broken")
    lake.run()
    now = datetime.now(UTC)
    found = look(lake, now)
    waits = {problem.subject: problem.blocked_by for problem in found.problems if problem.kind in ("source", "table")}
    assert waits == {
        "bronze.shop.orders": None,
        "silver.shop.orders": "bronze.shop.orders",
        "gold.shop.daily": "silver.shop.orders",
    }
    failed = the_problem(found, "source")
    older(lake)
    assert look(lake, now).problems == found.problems
    assert " where: " in failed.what and failed.what.endswith("2.csv.gz")
    lake.run()  # an older lake is written on


@pytest.mark.parametrize(
    ("command", "kind", "full_refresh"),
    [
        ("make pipeline", "pipeline", False),
        ("make pipeline DOMAIN=shop MODE=all", "pipeline", True),
        ("backfill silver.shop.orders", "backfill", False),
        ("rebuild silver.shop.orders", "rebuild", False),
        ("quarantine replay silver.shop.orders", "replay", False),
        ("quarantine waive silver.shop.orders", "waive", False),
        ("confirm silver.shop.orders 2024-03-11", "confirm", False),
        ("rollback to r1", "rollback", False),
        ("make optimize", "optimize", False),
        ("vacuum, 168 hours kept", "vacuum", False),
        ("make schema-version VERB=retag", "retag", False),
        ("something else", None, False),
    ],
)
def test_the_kind_of_a_run_of_before_it_was_recorded_follows_from_its_command(
    lake: Lake, command: str, kind: str | None, full_refresh: bool
) -> None:
    lake.shop()
    keep(lake, runs.TABLE, Record, [ran(MONDAY, command=command)])
    with open_engine(lake.settings) as engine:
        assert history.publish(engine, lake.data)
        found = engine.rows("SELECT kind, full_refresh, table_id FROM ops.pipeline_runs")
    assert found == [(kind, full_refresh, "run")]


def test_a_recorded_kind_is_taken_whatever_was_typed(lake: Lake) -> None:
    lake.shop()
    keep(lake, runs.TABLE, Record, [ran(MONDAY, command="nightly", kind="pipeline", full_refresh=False)])
    assert of(look(lake, MONDAY + timedelta(hours=20)), "run") == []
    assert of(look(lake, MONDAY + timedelta(hours=30)), "run") == [("pipeline", "P2")]


def test_a_run_that_died_and_was_taken_over_is_p4_for_a_day(lake: Lake) -> None:
    lake.shop()
    died = ran(MONDAY, status="failed", error_class="interrupted", error_message="make pipeline ended without a word")
    keep(lake, runs.TABLE, Record, [died, ran(MONDAY + timedelta(hours=1))])
    assert of(look(lake, MONDAY + timedelta(hours=23)), "run") == [(died.run_id, "P4")]
    assert of(look(lake, MONDAY + timedelta(hours=25)), "run") == []


def test_a_holder_that_is_dead_or_takes_too_long_is_p4_and_a_working_one_is_not(lake: Lake) -> None:
    lake.shop()
    keep(lake, runs.TABLE, Record, [ran(MONDAY, latency=1800.0)])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    def problems_with_holder(pid: int, hours: float) -> list[str]:
        since = (MONDAY + timedelta(hours=12 - hours)).isoformat()
        facts = {"pid": pid, "host": os.uname().nodename, "since": since, "command": "make pipeline", "run_id": "r1"}
        (lake.data / ".holder.json").write_text(json.dumps(facts))
        found = look(lake, MONDAY + timedelta(hours=12)).problems
        return [problem.what for problem in found if (problem.kind, problem.subject) == ("run", "r1")]

    assert problems_with_holder(os.getpid(), 1.4) == []
    assert [what.rsplit(") ")[1] for what in problems_with_holder(os.getpid(), 1.6)] == ["has been going for 1.6 h"]
    assert [what.rsplit(") ")[1] for what in problems_with_holder(gone.pid, 0.1)] == ["ended without a word"]


def backed_up(ended: datetime, verified: bool, name: str = "one", kind: str = "backup") -> Backup:
    """The record of a backup or drill."""
    run, message = f"{kind}{ended:%m%d}", None if verified else "1 file differs"
    return Backup(run, name, kind, ended, ended, "backups", "r1", 1, 1, 1, 1, verified, message)


def test_a_backup_that_is_too_old_is_p2_but_not_in_the_first_days(lake: Lake) -> None:
    lake.shop()
    keep(lake, runs.TABLE, Record, [ran(MONDAY)])
    assert of(look(lake, MONDAY + 7 * DAY), "backup") == []
    assert of(look(lake, MONDAY + 8 * DAY), "backup") == [("lake", "P2")]
    drill = backed_up(MONDAY + 13 * DAY, True, kind="drill")  # which makes the backup no younger
    keep(lake, backup_records.TABLE, Backup, [backed_up(MONDAY + 5 * DAY, True), drill])
    assert of(look(lake, MONDAY + 13 * DAY), "backup") == []
    late = look(lake, MONDAY + 14 * DAY)
    assert the_problem(late, "backup").what == "the last verified backup is 9 days old"
    (row,) = (row for row in late.expected if row.what == "verified backup")
    assert (row.value, row.bound, row.unit, row.met) == (9.0, 8.0, "days", False)


def test_a_backup_that_failed_is_p2_until_one_succeeds(lake: Lake) -> None:
    lake.shop()
    keep(lake, runs.TABLE, Record, [ran(MONDAY)])
    keep(lake, backup_records.TABLE, Backup, [backed_up(MONDAY, True), backed_up(MONDAY + DAY, False, "two")])
    found = look(lake, MONDAY + 2 * DAY)
    assert the_problem(found, "backup").what == "the last backup (two) failed: 1 file differs"
    keep(lake, backup_records.TABLE, Backup, [backed_up(MONDAY + 2 * DAY, True, "three")])
    assert of(look(lake, MONDAY + 2 * DAY), "backup") == []


# -- what nobody waits for


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("", "", ["freshness", "quality", "volume"]),
        ("status: active", "status: retired", []),
        (HELD, "", ["quality"]),
        (HELD, "slaProperties: [{property: retention, value: 3, unit: y}]\n", ["quality"]),
    ],
)
def test_historical_data_alarms_nobody(lake: Lake, old: str, new: str, problems: list[str]) -> None:
    lake.shop().edit("silver/shop/orders.yaml", "schema:\n", f"{HELD}schema:\n")
    shutil.rmtree(lake.root / "src/gold")
    (lake.root / "src/gold").mkdir()
    if old:
        lake.edit("silver/shop/orders.yaml", old, new)
    lake.land("shop/orders/1.csv", orders(every_day(date(2024, 3, 5), 40, 10)))
    lake.good()
    audits = [audited(MONDAY - back * DAY, back > 6, "silver.shop.orders") for back in range(30)]
    keep(lake, runs.AUDITS, Audited, audits)
    found = look(lake, MONDAY)
    assert sorted({problem.kind for problem in found.problems}) == problems
    assert found.volume[-1].verdict == "none"  # the figures are kept


# -- all of them


def files(lake: Lake) -> dict[Path, int]:
    """When each file of a lake was written, but for what a look keeps beside it for the next one."""
    found = (path for path in lake.data.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in found if path.parent.name != ".known"}


def test_a_look_changes_nothing_and_its_figures_are_tables(lake: Lake) -> None:
    sold(lake, every_day(date(2024, 3, 10), 3, 2))
    before = files(lake)
    found = look(lake, MONDAY)
    assert files(lake) == before
    with open_engine(lake.settings) as engine:
        monitors.record(engine, lake.data, found)
    assert lake.rows('SELECT "table", age_hours, grade FROM ops.freshness') == [("gold.shop.daily", 6.0, "EXCELLENT")]
    assert lake.rows("SELECT day, rows, verdict FROM ops.volume ORDER BY day DESC LIMIT 1") == [
        (date(2024, 3, 10), 2, "too little history")
    ]
    for table, rows in (
        ("feed_schema", 0),
        ("quality_trend", len(found.quality_trend)),
        ("distribution", 0),
        ("latency", 4),
        ("table_stats", len(found.table_stats)),
        ("expected", len(found.expected)),
    ):
        assert lake.rows(f"SELECT count(*) FROM ops.{table}") == [(rows,)]


def test_every_monitor_is_asked_its_figures_are_kept_and_its_table_is_documented(lake: Lake) -> None:
    sold(lake, every_day(date.today() - DAY, 3, 2))
    with open_project(lake.settings) as project:
        monitors.record(project.engine, lake.data, monitors.evaluate(project, runs.now()))
    names = [path.stem for path in (ROOT / "src/monitors").glob("*.py") if "\ndef measure(" in path.read_text("utf-8")]
    assert len(names) >= 8
    asked = (ROOT / "src/monitors/findings.py").read_text(encoding="utf-8")
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    for name in names:
        assert f"{name}.measure(reading" in asked, f"{name} is not asked: see evaluate in src/monitors/findings.py"
        table = getattr(import_module(f"src.monitors.{name}"), "TABLE", None)
        if table is None:  # it has problems alone, and no figures
            assert f"`{name}`" in page, f"{name} is not in docs/monitoring.md"
            continue
        assert lake.data.joinpath(*table.split("."), "_delta_log").is_dir(), f"the figures of {name} are not recorded"
        assert f"| `{table}` |" in page, f"{table} is not in docs/monitoring.md"


def test_a_lake_without_a_run_has_no_figures_and_no_problems(lake: Lake) -> None:
    lake.shop()
    assert look(lake, MONDAY) == Findings()


def test_a_damaged_table_is_p1_and_the_others_are_looked_at(lake: Lake) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"
    sold(lake, every_day(date(2024, 3, 10), 3, 2))
    log = lake.data / "silver" / "shop" / "orders" / "_delta_log"
    for entry in log.glob("*.json"):
        entry.write_text('{"add": ')
    found = look(lake, MONDAY)
    assert of(found, "table") == [("silver.shop.orders", "P1")]
    assert found.problems[0].what.startswith("cannot be read: damaged table")
    assert daily(found).grade == "EXCELLENT"
