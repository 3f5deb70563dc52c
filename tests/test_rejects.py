"""A load that is mostly rejected fails; its rejects are in quarantine, once; no load waits for ever."""

from __future__ import annotations

import shutil
from contextlib import suppress
from random import Random

import pytest
from conftest import Lake, short, shorts
from torture import histories

import main
from src import alerts
from src.bronze import ingest
from src.commands.run import pipeline
from src.errors import DataError, UsageError
from src.project import open_project
from src.run import runs
from src.run.runs import Run
from src.silver import clean

HEADER = "order_id,day,amount,updated\n"
ORDERS = "silver.shop.orders"
LEFT = f"SELECT order_id FROM {ORDERS} ORDER BY 1"
WAITING = "SELECT count(*) FROM quarantine.shop.orders"


def good(first: int, count: int) -> str:
    return "".join(f"{number},2024-01-01,10,1\n" for number in range(first, first + count))


def bad(first: int, count: int) -> str:
    return "".join(f"{number},2024-01-01,ten{number},1\n" for number in range(first, first + count))


def budget(lake: Lake, text: str) -> None:
    lake.edit("silver/shop/orders.yaml", "customProperties:\n", f"customProperties:\n      - {text}\n")


def failure(run: Run) -> str:
    assert list(run.failures) == [ORDERS]
    assert isinstance(run.failures[ORDERS], DataError)
    return str(run.failures[ORDERS])


def accepted(lake: Lake, table: str = ORDERS) -> Run:
    with open_project(lake.settings) as project:
        return pipeline(project, main.carry, accept_rejects=[table])


def test_a_load_that_is_mostly_rejected_fails_and_the_table_keeps_its_last_good_version(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + good(3, 9) + bad(12, 11))
    run = lake.run()
    said = failure(run)
    assert "11 of 20 rows were rejected, more than 50 %" in said
    assert "  11 rows: amount: cannot read ten12 as decimal(18,2)\n" in said
    assert (
        """such as shop/orders/2.csv, row 10: {"order_id":"12","day":"2024-01-01","amount":"ten12","updated":"1"}"""
        in said
    )
    assert "the files look wrong in some rows" in said
    assert f"`main.py run --accept-rejects {ORDERS}` lets them through" in said
    assert lake.rows(LEFT) == [(1,), (2,)]
    assert lake.rows(WAITING) == [(11,)]
    assert list(run.blocked) == ["gold.shop.daily"]
    assert [problem.urgency for problem in alerts.of_run(run)] == ["P2"]


def test_the_same_rejects_are_in_quarantine_once_however_often_they_are_judged(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + bad(10, 20))
    for _ in range(2):
        assert "20 of 20 rows were rejected" in failure(lake.run())
        assert lake.rows(WAITING) == [(20,)]
    lake.land("shop/orders/3.csv", HEADER + bad(30, 5) + good(40, 5))
    assert "25 of 30 rows were rejected" in failure(lake.run())
    assert lake.rows(WAITING) == [(25,)]
    assert lake.findings() == []


def test_what_waits_is_judged_together_with_what_is_new(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + good(3, 4) + bad(10, 20))
    failure(lake.run())
    lake.land("shop/orders/2.csv", HEADER + good(3, 4) + good(10, 20))
    [why] = [step.why for step in lake.planned() if step.table == ORDERS]
    assert "will have new rows" in why
    step = lake.step(lake.good(), ORDERS)
    assert (step.records_read, step.quarantined, step.inserted) == (48, 20, 24)
    assert lake.rows(f"SELECT count(*) FROM {ORDERS}") == [(26,)]
    assert lake.rows(WAITING) == [(20,)]
    assert [changed for changed in lake.good().steps if changed.records_written or changed.quarantined] == []


def test_plan_says_that_rows_wait(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + bad(10, 20))
    failure(lake.run())
    [step] = [step for step in lake.planned() if step.table == ORDERS]
    assert step.action == "merge"
    assert "too many of them were rejected" in step.why


def test_a_person_may_let_a_load_through_and_it_is_recorded(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ida")
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2) + bad(10, 30))
    assert "30 of 32 rows were rejected, more than 50 %" in failure(lake.run())
    run = accepted(lake)
    assert run.failures == {}
    assert lake.rows(LEFT) == [(1,), (2,)]
    assert lake.rows(WAITING) == [(30,)]
    notes = f"SELECT notes FROM ops.pipeline_runs WHERE layer = 'silver' AND run_id = '{run.run_id}'"
    assert lake.rows(notes) == [("30 of 32 rows were rejected, more than 50 %: let through by ida",)]
    asked = f"SELECT command FROM ops.pipeline_runs WHERE layer = 'run' AND run_id = '{run.run_id}'"
    assert lake.rows(asked) == [(f"make pipeline ACCEPT_REJECTS={ORDERS}",)]
    assert not any(step.records_written for step in lake.good().steps)
    with open_project(lake.settings) as project:  # each load was judged when it came
        assert pipeline(project, main.carry, mode="all").failures == {}


def test_no_rejects_are_accepted_of_a_table_that_is_none(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    with pytest.raises(UsageError, match=r"no rejects of silver.shop.order to accept"):
        accepted(lake, "silver.shop.order")


@pytest.mark.parametrize("count", [1, 19])
def test_a_small_load_that_is_mostly_rejected_is_noted_and_told_as_p3(lake: Lake, count: int) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + bad(10, count))
    run = lake.good()
    assert str(lake.step(run, ORDERS).notes).startswith(f"{count} of {count} rows were rejected: amount: ")
    [problem] = alerts.of_run(run)
    assert (problem.kind, problem.subject, problem.urgency) == ("rejects", ORDERS, "P3")
    assert f"rejects {ORDERS}" in alerts.looked_at(run)
    assert f"rejects {ORDERS}" not in alerts.looked_at(lake.good())


@pytest.mark.parametrize(
    ("words", "rows", "rejected", "why"),
    [
        ("5 %", 20, 1, None),
        ("5 %", 20, 2, "more than 5 %"),
        ("5 %", 3, 1, "more than 5 %"),
        ("'12.5%'", 8, 1, None),
        ("0", 100, 1, "more than 0 rows"),
        ("2 rows", 100, 2, None),
        ("2", 100, 3, "more than 2 rows"),
        ("1 row", 100, 2, "more than 1 row"),
        ("100 %", 30, 30, None),
    ],
)
def test_the_contract_says_how_many_rows_may_be_rejected(
    lake: Lake, words: str, rows: int, rejected: int, why: str | None
) -> None:
    lake.shop()
    budget(lake, f"{{property: maxRejected, value: {words}}}")
    lake.land("shop/orders/1.csv", HEADER + good(1, rows - rejected) + bad(1000, rejected))
    run = lake.run()
    if why is None:
        assert run.failures == {}
    else:
        assert failure(run).startswith(f"{rejected} of {rows} rows were rejected, {why}\n")
        assert not (lake.data / "silver/shop/orders").exists()


def test_half_of_a_load_may_be_rejected_and_no_more(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 10) + bad(50, 10))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + good(100, 9) + bad(150, 11))
    failure(lake.run())


WRONG = """
apiVersion: v3.1.0
kind: DataContract
id: shop.days
version: 1.0.0
status: active
servers: [{server: days, type: local, path: "days/*.csv", format: csv}]
schema:
  - name: days
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: at, logicalType: date, required: true, transformLogic: "strptime(day, '%d.%m.%Y')"}
"""


def test_a_contract_that_fits_no_row_is_told_as_that_with_what_to_write(lake: Lake) -> None:
    lake.write("silver/shop/days.yaml", WRONG)
    lake.land("days/1.csv", "id,day\n1,2026-06-01\n2,2026-06-02\n")
    run = lake.run()
    [(name, error)] = run.failures.items()
    assert (name, error.error_class) == ("silver.shop.days", "data")  # type: ignore[union-attr]
    first, reason, row, cause, verdict, where, fix = str(error).splitlines()
    assert first == "2 of 2 rows were rejected, and the table never had one"
    assert reason == "  2 rows: at: cannot read day=2026-06-01 as date"
    assert row == """    such as days/1.csv, row 1: {"id":"1","day":"2026-06-01"}"""
    assert cause == "    every value is written %Y-%m-%d"
    assert verdict == "  the contract looks wrong: every row of every file is rejected for this"
    assert fix.startswith(
        """  fix:   write `transformLogic: "strptime(day, '%Y-%m-%d')"` at at, then `make pipeline`"""
    )
    assert where.endswith("src/silver/shop/days.yaml")
    assert lake.rows("SELECT count(*) FROM quarantine.shop.days") == [(2,)]
    lake.edit("silver/shop/days.yaml", "%d.%m.%Y", "%Y-%m-%d")
    lake.good()
    assert lake.rows('SELECT id, "at"::VARCHAR FROM silver.shop.days ORDER BY 1') == [
        (1, "2026-06-01"),
        (2, "2026-06-02"),
    ]
    assert lake.rows("SELECT count(*) FROM quarantine.shop.days") == [(0,)]


def test_a_file_that_is_wrong_among_others_is_named(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 4))
    lake.land("shop/orders/2.csv", HEADER + bad(10, 30))
    said = failure(lake.run())
    assert "the file looks wrong: every row of shop/orders/2.csv is rejected, and others passed" in said


def test_the_three_commonest_reasons_are_told_each_with_a_row(lake: Lake) -> None:
    lake.shop()
    rows = [f"{number},2024-02-30,10,1" for number in range(9)] + [f"x{number},2024-01-01,10,1" for number in range(8)]
    rows += [f"{number},2024-01-01,,1" for number in range(20, 27)] + ["30,2024-01-01,10,late"] + ["31,2024-01-01"]
    lake.land("shop/orders/1.csv", HEADER + "\n".join(rows) + "\n" + good(100, 2))
    said = failure(lake.run()).splitlines()
    assert [line for line in said if line.startswith("  ") and " row" in line and ": " in line][:6:2] == [
        "  9 rows: day: cannot read 2024-02-30 as date",
        "  8 rows: order_id: cannot read x0 as bigint",
        "  7 rows: amount: required, but there is nothing",
    ]


def test_a_rebuild_under_another_contract_judges_all_of_bronze(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 30))
    lake.good()
    lake.edit("silver/shop/orders.yaml", '(18,2)", required', '(18,2)", logicalTypeOptions: {minimum: 11}, required')
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    said = failure(lake.run())
    assert "30 of 30 rows were rejected, more than 50 %\n  30 rows: amount: 10.00 is less than the minimum 11" in said
    assert "the contract looks wrong" in said
    assert lake.rows(f"SELECT count(*) FROM {ORDERS}") == [(30,)]
    assert lake.rows(WAITING) == [(30,)]
    # taken back: the quarantine is that of the contract again
    lake.edit("silver/shop/orders.yaml", "minimum: 11", "minimum: 9")
    lake.good()
    assert lake.rows(WAITING) == [(0,)]


def test_a_change_that_is_taken_back_leaves_the_quarantine_as_it_was(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 30) + bad(40, 1))
    lake.good()
    text = (lake.root / "src/silver/shop/orders.yaml").read_text()
    lake.edit("silver/shop/orders.yaml", '(18,2)", required', '(18,2)", logicalTypeOptions: {minimum: 11}, required')
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    failure(lake.run())
    assert lake.rows(WAITING) == [(31,)]
    lake.write("silver/shop/orders.yaml", text)
    lake.good()
    assert lake.rows(WAITING) == [(1,)]
    assert lake.rows(f"SELECT count(*) FROM {ORDERS}") == [(30,)]


class Killed(BaseException):
    """Nothing in the product catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize(
    ("accept", "waited", "every"), shorts([(False, True, 4), (False, True, 1), (True, True, 1), (True, False, 1)], 1)
)
def test_a_load_that_dies_at_any_point_is_finished_by_the_next_run(
    lake: Lake, accept: bool, waited: bool, every: int
) -> None:
    """`every`: it dies at every so many-th of its points."""
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + good(1, 2))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + good(3, 2) + bad(10, 30))
    if waited:
        failure(lake.run())
    lake.land("shop/orders/3.csv", HEADER + (good(50, 1) if accept else good(50, 40)))
    with open_project(lake.settings) as project:
        [feed], [table] = project.contracts.feeds.values(), project.contracts.silver.values()
        ingest.run(project.engine, project.landing, project.path(feed.id), feed, batch="1", now=runs.now(), settle=0)
    shutil.copytree(lake.data, lake.root / "kept")
    who = "ida" if accept else ""
    at, died = 0, True
    while died:
        at, passed = at + every, 0

        def point(stop: int = at) -> None:
            nonlocal passed
            passed += 1
            if passed == stop:
                raise Killed

        shutil.rmtree(lake.data)
        shutil.copytree(lake.root / "kept", lake.data)
        with open_project(lake.settings) as project:
            places = clean.Places.of_table(table, project.path)
            with histories.points(point), suppress(Killed):
                clean.run(project.engine, table, places, batch="2", accepted_by=who)
                died = False
            # the judgement of a run that died holds where it had committed the rejects
            clean.run(project.engine, table, places, batch="3", accepted_by=who)
        assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(30,)], at
        assert lake.rows(f"SELECT count(*) FROM {ORDERS}") == [(5 if accept else 44,)], at
    assert at > 8
    lake.good()


@pytest.mark.parametrize("seed", short(range(6), 1))
def test_whatever_comes_a_table_has_the_loads_that_were_within_the_budget(lake: Lake, seed: int) -> None:
    """The model in five lines: what waits and what is new is one load, and goes in whole or waits."""
    lake.shop()
    random = Random(seed)
    table, quarantine, waiting, number = 0, 0, (0, 0), 0
    for arrival in range(8):
        passing, failing = random.choice(((3, 0), (4, 9), (0, 3), (12, 12), (2, 30), (40, 1), (0, 25)))
        lake.land(f"shop/orders/{arrival}.csv", HEADER + good(number, passing) + bad(number + passing, failing))
        number += passing + failing
        quarantine += failing
        rows, rejected = waiting[0] + passing + failing, waiting[1] + failing
        through = not (rejected > rows / 2 and rows >= 20) and not (table == 0 and rejected == rows)
        run = lake.run()
        assert (ORDERS not in run.failures) == through, (seed, arrival)
        table, waiting = (table + rows - rejected, (0, 0)) if through else (table, (rows, rejected))
        assert lake.rows(WAITING) == [(quarantine,)]
        if table:
            assert lake.rows(f"SELECT count(*) FROM {ORDERS}") == [(table,)]
    assert lake.findings() == []
