"""A feed is quiet when nothing landed in it for longer than it ever was quiet, as the runs that looked tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from conftest import Lake

from src import monitors
from src.problems import Problem
from src.project import open_engine, open_project
from src.run import runs
from src.run.runs import Record

DAY = timedelta(days=1)
NIGHT = datetime(2024, 3, 11, 2, tzinfo=UTC)  # a Monday
HEADER = "order_id,day,amount,updated\n"


def nights(first: int, last: int) -> list[datetime]:
    """The nights from so many days before NIGHT to so many, both included."""
    return [NIGHT - back * DAY for back in range(first, last - 1, -1)]


def step(at: datetime, files: int = 0, layer: str = "bronze", status: str = "success") -> Record:
    """The record of a step of the orders that looked for files."""
    rows = {"records_read": 5 * files, "inserted": 5 * files, "files": files}
    facts = {"domain": "shop", "table": "orders", "source_system": "", "run_date": at.date() - DAY, "latency": 1.0}
    began, run_id = at - timedelta(seconds=1), f"r{at:%m%d%H%M}{layer}"
    return Record(run_id, layer, start_time=began, end_time=at, status=status, **facts, **rows)  # type: ignore[arg-type]


def keep(lake: Lake, *records: Record) -> None:
    with open_engine(lake.settings) as engine:
        runs.append(engine, lake.data, runs.TABLE, Record, records)


def looked(lake: Lake, taken: Sequence[datetime], nothing: Sequence[datetime] = ()) -> None:
    """Record runs that took three files of the orders, and runs that found none."""
    keep(lake, *(step(at, 3) for at in taken), *(step(at) for at in nothing))


def problems(lake: Lake, now: datetime = NIGHT + timedelta(hours=4)) -> list[Problem]:
    with open_project(lake.settings) as project:
        return [problem for problem in monitors.evaluate(project, now).problems if problem.kind == "quiet"]


def told(lake: Lake, now: datetime = NIGHT + timedelta(hours=4)) -> list[str]:
    return [problem.what for problem in problems(lake, now)]


def test_a_feed_of_every_day_is_quiet_on_the_second_day_without_a_file(lake: Lake) -> None:
    looked(lake.shop(), nights(12, 2), nights(1, 1))
    assert told(lake) == []
    looked(lake, [], nights(0, 0))
    (found,) = problems(lake)
    assert (found.subject, found.urgency, found.day) == ("bronze.shop.orders", "P2", date(2024, 3, 10))
    assert found.what == "no file since 2024-03-09, 2 days before the last look; the longest pause before was 1 day"
    assert found.fix == (
        "ask who sends the files; they belong in landing/shop/orders/*.csv. "
        "Of a feed that ended say so: `status: retired` in its contract"
    )
    looked(lake, nights(0, 0))
    assert told(lake) == []


def test_a_file_with_the_bytes_of_one_before_is_an_arrival(lake: Lake) -> None:
    looked(lake.shop(), nights(12, 2), nights(1, 1))
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/again.csv", HEADER + "1,2024-01-01,10,1\n")
    (again,) = [record for record in lake.good().records if record.layer == "bronze"]
    assert (again.files, again.notes) == (0, "of the same bytes as a file taken before: shop/orders/again.csv")
    keep(lake, replace(again, start_time=NIGHT, end_time=NIGHT))
    assert told(lake) == []


def test_a_pipeline_that_does_not_run_makes_no_feed_quiet(lake: Lake) -> None:
    looked(lake.shop(), nights(12, 2), nights(1, 1))
    assert told(lake, NIGHT + 30 * DAY) == []


def test_a_weekend_is_no_pause_that_is_longer_than_ever(lake: Lake) -> None:
    week = [night for night in nights(19, 3) if night.weekday() < 5]  # the last one a Friday
    looked(lake.shop(), week, [night for night in nights(19, 0) if night.weekday() > 4 or night == NIGHT])
    assert told(lake) == []
    looked(lake, [], [NIGHT + DAY])
    what = "no file since 2024-03-08, 4 days before the last look; the longest pause before was 3 days"
    assert told(lake, NIGHT + 2 * DAY) == [what]


def test_a_file_that_is_hours_late_is_no_pause(lake: Lake) -> None:
    looked(lake.shop(), nights(12, 1), [NIGHT + timedelta(hours=9)])
    assert told(lake, NIGHT + timedelta(hours=10)) == []


@pytest.mark.parametrize(("arrivals", "quiet"), [(7, 0), (8, 1)])
def test_it_takes_eight_arrivals_to_say_so(lake: Lake, arrivals: int, quiet: int) -> None:
    looked(lake.shop(), nights(arrivals + 2, 3), nights(2, 0))
    assert len(told(lake)) == quiet


def test_what_lands_in_many_runs_of_an_hour_is_one_arrival(lake: Lake) -> None:
    looked(lake.shop(), [NIGHT - 5 * DAY + minutes * timedelta(minutes=5) for minutes in range(12)], nights(4, 0))
    assert told(lake) == []


def test_a_pause_in_which_nobody_looked_is_no_longer_than_runs_are_apart(lake: Lake) -> None:
    looked(lake.shop(), [*nights(30, 22), *nights(9, 3)], nights(2, 0))
    assert told(lake) == ["no file since 2024-03-08, 3 days before the last look; the longest pause before was 1 day"]


def test_runs_that_are_done_twice_do_not_make_pauses_shorter(lake: Lake) -> None:
    again = [night + timedelta(minutes=5) for night in nights(12, 1)]
    looked(lake.shop(), nights(12, 2), [*nights(1, 1), *again])
    assert told(lake, NIGHT) == []


def test_a_feed_of_every_hour_is_quiet_a_day_later(lake: Lake) -> None:
    hours = [NIGHT + hour * timedelta(hours=1) for hour in range(-240, 40)]
    looked(lake.shop(), hours[:240], hours[240:])
    assert told(lake, NIGHT + timedelta(hours=34)) == []
    what = "no file since 2024-03-11, 2 days before the last look; the longest pause before was 1 day"
    assert told(lake, NIGHT + timedelta(hours=39)) == [what]


def test_a_feed_stays_quiet_as_long_as_it_is_and_after_ten_weeks_nobody_is_told(lake: Lake) -> None:
    looked(lake.shop(), nights(140, 68), nights(67, 0))
    assert told(lake) == ["no file since 2024-01-03, 68 days before the last look; the longest pause before was 1 day"]
    assert told(lake, NIGHT + 4 * DAY) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "quiet"),
    [
        ("silver/shop/orders.yaml", "status: active", "status: retired", 0),
        ("gold/shop/contract.yaml", "status: active", "status: retired", 0),
        ("gold/shop/contract.yaml", "unit: d}]", "unit: d}, {property: latency, value: 9, unit: d}]", 1),
    ],
)
def test_a_feed_that_nobody_waits_for_is_not_quiet(lake: Lake, path: str, old: str, new: str, quiet: int) -> None:
    looked(lake.shop(), nights(12, 4), nights(3, 0))
    assert len(told(lake)) == 1
    lake.edit(path, old, new)
    assert len(told(lake)) == quiet


def test_a_landing_zone_that_is_gone_says_it_for_all_feeds(lake: Lake) -> None:
    landed = lake.shop().land("shop/orders/1.csv", HEADER + "1,2024-03-01,1.00,1\n")
    lake.good()
    looked(lake, nights(12, 4), nights(3, 0))
    assert len(told(lake)) == 1
    landed.unlink()
    assert told(lake) == []


def test_a_feed_whose_pull_failed_is_not_quiet_and_one_that_was_pulled_in_vain_is(lake: Lake) -> None:
    source = "customProperties: [{property: source, value: {connector: files, remote: /nowhere}}]"
    lake.shop().edit("silver/shop/orders.yaml", "format: csv}", f"format: csv, {source}}}")
    looked(lake, nights(12, 4), nights(3, 0))
    assert told(lake) == []  # nobody asked the source since
    keep(lake, *(step(at, layer="landing") for at in nights(12, 0)))
    (found,) = problems(lake)
    assert found.what == "no file since 2024-03-07, 4 days before the last look; the longest pause before was 1 day"
    assert found.fix.startswith("see whether shop answers: `make sources`; they belong in landing/shop/orders/*.csv.")
    keep(lake, step(NIGHT + timedelta(hours=1), layer="landing", status="failed"))
    assert told(lake) == []


def test_a_seed_is_never_quiet(lake: Lake) -> None:
    looked(lake.shop(), nights(12, 4), nights(3, 0))
    lake.write("silver/shop/seeds/orders.csv", HEADER)
    lake.edit("silver/shop/orders.yaml", "shop/orders/*.csv", "shop/seeds/orders@*.csv")
    assert told(lake) == []
