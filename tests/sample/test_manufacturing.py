"""The workshop's logs: tests that come again and again become one row each, and yields no order of uploads changes."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import ROOT, Lake

import main
from src import catalog
from src.commands.run import pipeline
from src.demo import company, manufacturing
from src.errors import MachineError
from src.project import open_engine, open_project

FRIDAY = date(2026, 3, 27)
GOLD = (
    "unit_results", "daily_yield", "weekly_yield", "daily_rolled_yield", "weekly_rolled_yield", "daily_packing",
    "weekly_packing", "weekly_sort_test", "test_boards",
)  # fmt: skip
LOG = manufacturing.HEADERS[manufacturing.WORKSTATIONS]
BOARDS = manufacturing.HEADERS[manufacturing.TESTBOARDS]

SEED, UPLOADS, LAST = 2, 5, 1  # of the history that is compared with plain Python; lines in each upload but the first

Row = tuple[str, ...]
U1, U2, U3, U4 = "0261310001", "0261310002", "0261310003", "0261310004"


def with_contracts(lake: Lake) -> Lake:
    """A lake with the shipped manufacturing contracts."""
    for layer in ("silver", "gold"):
        shutil.copytree(ROOT / "src" / layer / "manufacturing", lake.root / "src" / layer / "manufacturing")
    return lake


@pytest.fixture
def workshop(lake: Lake) -> Lake:
    return with_contracts(lake)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake on which the logs of this page are built, for tests that only read it; each has a model of its own."""
    made = with_contracts(Lake(tmp_path_factory.mktemp("built")))
    land(made, "A", *ROLLED, *REWORKED, *PACKED, *SORTED)
    land_boards(made, "A", *BOARDED)
    made.land("manufacturing/workstation_log/B.xlsx", book(LOG, DAMAGED))
    made.good()
    assert made.findings() == []
    return made


def text(header: Row, rows: Iterable[Row]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue()


def book(header: Row, rows: Iterable[Row]) -> bytes:
    """The rows as a workbook, with real dates where a text is a moment, and blank rows at the end."""
    import xlsxwriter

    buffer = io.BytesIO()
    made = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet, moment = made.add_worksheet(), made.add_format({"num_format": "dd.mm.yyyy hh:mm:ss"})
    cells = [header, *rows]
    for place, row in enumerate(cells):
        for column, cell in enumerate(row):
            try:
                sheet.write_datetime(place, column, datetime.strptime(cell, "%Y-%m-%d %H:%M:%S"), moment)
            except ValueError:
                sheet.write_string(place, column, cell)
    sheet.write_blank(len(cells) + 2, 0, None, moment)
    made.close()
    return buffer.getvalue()


def line(serial: str, station: str, start: str, result: str = "PASS", flow: str = "PRODUCTION", **other: str) -> Row:
    """A line of a workstation's log; the test takes a minute."""
    code = "" if result.upper().startswith("P") else other.get("code", "F1")
    end = other.get("end") or str(datetime.fromisoformat(start) + timedelta(minutes=1))
    model = other.get("model", "HL100")
    return (serial, model, "PN-4100-01", station, other.get("at", "WS-1"), "OP1", result, code, start, end, flow)


def board(serial: str, on: str, start: str, result: str = "PASS", code: str = "B1", seconds: int = 60) -> Row:
    """A line of a test board's log."""
    code = "" if result.upper().startswith("P") else code
    end = str(datetime.fromisoformat(start) + timedelta(seconds=seconds))
    return (serial, "HL100", "PN-4100-01", on, "OP1", result, code, start, end)


def land(lake: Lake, name: str, *rows: Row) -> None:
    lake.land(f"manufacturing/workstation_log/{name}.csv", text(LOG, rows))


def land_boards(lake: Lake, name: str, *rows: Row) -> None:
    lake.land(f"manufacturing/testboard_log/{name}.csv", text(BOARDS, rows))


def run_all(lake: Lake) -> None:
    """`make pipeline MODE=all`."""
    with open_project(lake.settings) as project:
        assert pipeline(project, main.carry, mode="all").failures == {}


# -- silver


def test_a_log_uploaded_again_with_more_rows_adds_the_new_tests_only(workshop: Lake) -> None:
    first = [line(U1, "Assembly", "2026-03-23 08:00:00"), line(U2, "Assembly", "2026-03-23 09:00:00", "Fail")]
    land(workshop, "monday", *first)
    workshop.good()
    land(workshop, "tuesday", *first, line(U2, "Assembly", "2026-03-24 07:30:00", "P"))
    step = workshop.step(workshop.good(), "silver.manufacturing.workstation_tests")
    assert (step.records_read, step.inserted, step.updated, step.unchanged) == (3, 1, 0, 2)
    tests = "SELECT serial, started_at::VARCHAR, result, seconds FROM silver.manufacturing.workstation_tests ORDER BY 2"
    assert workshop.rows(tests) == [
        (U1, "2026-03-23 08:00:00+00", "pass", 60),
        (U2, "2026-03-23 09:00:00+00", "fail", 60),
        (U2, "2026-03-24 07:30:00+00", "pass", 60),
    ]


@pytest.mark.long
def test_a_workbook_and_a_text_of_the_same_rows_are_the_same_tests(workshop: Lake) -> None:
    rows = [
        line(U1, "Functional Test", "2026-03-23 08:00:59", " Fail ", code="f210"),
        line("0000000007", "BURN-IN", "2026-02-28 21:59:01", "F", "Rework", end="2026-03-01 02:00:07"),
        line("0261310003", "sort test", "2026-12-31 23:59:59", "p", "rma", model="ws310"),
    ]
    tests = "SELECT * EXCLUDE (_file, _row, _ingested_at) FROM silver.manufacturing.workstation_tests ORDER BY serial"
    workshop.land("manufacturing/workstation_log/B.xlsx", book(LOG, rows))
    workshop.good()
    of_the_book = workshop.rows(tests)
    assert [(row[0], row[1], str(row[2]), row[8], row[9], row[11]) for row in of_the_book] == [
        ("0000000007", "BURN-IN", "2026-02-28 21:59:01+00:00", "fail", "F1", 14_466),
        (U1, "FUNCTIONAL TEST", "2026-03-23 08:00:59+00:00", "fail", "F210", 60),
        (U3, "SORT TEST", "2026-12-31 23:59:59+00:00", "pass", None, 60),
    ]
    land(workshop, "A", *rows)
    step = workshop.step(workshop.good(), "silver.manufacturing.workstation_tests")
    assert (step.records_read, step.inserted, step.unchanged) == (3, 0, 3)
    run_all(workshop)
    assert workshop.rows(tests) == of_the_book


SOUND = line("0261310100", "Packing", "2026-03-23 08:00:00", model="QU100")
DAMAGED = [
    SOUND,
    ("", *SOUND[1:]),
    ("261310100", *SOUND[1:]),
    (*SOUND[:8], "2026-03-23 09:00:00", "2026-03-23 08:59:00", *SOUND[10:]),
    (*SOUND[:3], "Painting", *SOUND[4:]),
    (*SOUND[:6], "maybe", *SOUND[7:]),
    (*SOUND[:8], "2026-02-30 08:00:00", *SOUND[9:]),
]


def test_damaged_lines_go_to_quarantine_with_the_reason(built: Lake) -> None:
    kept = "SELECT serial, result FROM silver.manufacturing.workstation_tests WHERE model = 'QU100'"
    assert built.rows(kept) == [("0261310100", "pass")]
    reasons = built.rows("SELECT _reasons[1] FROM quarantine.manufacturing.workstation_tests ORDER BY _row")
    assert [reason for (reason,) in reasons] == [
        "serial: required, but there is nothing",
        "serial: 261310100 does not match ^[0-9]{10}$",
        "seconds: -60 is less than the minimum 0",
        "station: PAINTING is none of ASSEMBLY, FUNCTIONAL TEST, BURN-IN, SORT TEST, PACKING",
        "result: maybe is none of pass, fail",
        "started_at: cannot read Test Start=2026-02-30 08:00:00 as timestamp",
    ]


@pytest.mark.long
def test_one_log_gives_its_stations_before_the_other_has_come(workshop: Lake) -> None:
    yields = "SELECT station, units FROM gold.manufacturing.daily_yield ORDER BY station"
    land_boards(workshop, "A", board(U1, "TB-01", "2026-03-23 07:00:00"))
    workshop.good()
    assert workshop.rows(yields) == [("BOARD TEST", 1)]
    workshop.land("manufacturing/workstation_log/B.xlsx", book(LOG, [line(U1, "Assembly", "2026-03-23 08:00:00")]))
    workshop.good()
    assert workshop.rows(yields) == [("ASSEMBLY", 1), ("BOARD TEST", 1)]
    land(workshop, "A", line(U2, "Assembly", "2026-03-23 09:00:00"))
    workshop.good()
    assert workshop.rows(yields) == [("ASSEMBLY", 2), ("BOARD TEST", 1)]


# -- yields


@pytest.mark.long
def test_both_yields_are_told_of_the_day_of_the_first_test_whenever_the_logs_come(workshop: Lake) -> None:
    weekly = "SELECT week::VARCHAR, units, first_passed, finally_passed, retested, first_pass_yield, final_yield "
    weekly += "FROM gold.manufacturing.weekly_yield ORDER BY week"
    land(workshop, "later", line(U1, "Sort Test", "2026-04-07 08:00:00"), line(U2, "Sort Test", "2026-04-07 09:00:00"))
    workshop.good()
    assert [tuple(map(str, row)) for row in workshop.rows(weekly)] == [
        ("2026-04-06", "2", "2", "2", "0", "100.00", "100.00")
    ]
    # of the month before, so the unit leaves the later week, which is emptied of it
    land(workshop, "earlier", line(U1, "Sort Test", "2026-03-27 08:00:00", "FAIL"))
    workshop.good()
    assert [tuple(map(str, row)) for row in workshop.rows(weekly)] == [
        ("2026-03-23", "1", "0", "1", "1", "0.00", "100.00"),
        ("2026-04-06", "1", "1", "1", "0", "100.00", "100.00"),
    ]
    daily = "SELECT test_month::VARCHAR, day::VARCHAR, first_passed, finally_passed FROM gold.manufacturing.daily_yield"
    assert workshop.rows(daily + " ORDER BY day") == [
        ("2026-03-01", "2026-03-27", 0, 1),
        ("2026-04-01", "2026-04-07", 1, 1),
    ]


def unit(number: int) -> str:
    return f"02613{number:05}"


ROLLED = [
    *(line(unit(n), "Assembly", "2026-05-04 08:00:00", "FAIL" if n == 1 else "PASS", model="RO100") for n in range(4)),
    *(line(unit(n), "Burn-In", "2026-05-04 10:00:00", "PASS" if n else "FAIL", model="RO100") for n in range(2)),
    line(unit(1), "Assembly", "2026-05-04 09:00:00", model="RO100"),
    *(line(unit(n), "Functional Test", "2026-05-04 12:00:00", model="RO100") for n in range(4)),
]


def test_the_rolled_yield_is_the_product_of_the_stations(built: Lake) -> None:
    rolled = "SELECT {}::VARCHAR, stations, rolled_first_pass_yield::VARCHAR, rolled_final_yield::VARCHAR, "
    rolled += "weakest_station FROM gold.manufacturing.{}_rolled_yield WHERE model = 'RO100'"
    assert built.rows(rolled.format("day", "daily")) == [("2026-05-04", 3, "37.50", "50.00", "BURN-IN")]
    assert built.rows(rolled.format("week", "weekly")) == [("2026-05-04", 3, "37.50", "50.00", "BURN-IN")]


REWORKED = [
    *(line(unit(n), "Functional Test", "2026-03-23 08:00:00", model="RE100") for n in (11, 12)),
    line(unit(11), "Functional Test", "2026-03-30 08:00:00", "F", "Rework", model="RE100"),
    line(unit(12), "Functional Test", "2026-03-30 09:00:00", "F", "RMA", model="RE100"),
]


def test_a_reworked_unit_moves_the_final_yield_and_a_returned_one_none(built: Lake) -> None:
    yields = "SELECT day::VARCHAR, units, first_passed, finally_passed, retested FROM gold.manufacturing.daily_yield "
    assert built.rows(yields + "WHERE model = 'RE100'") == [("2026-03-23", 2, 2, 1, 1)]


# -- packing, sort test, test boards


PACKED = [
    line(unit(21), "Packing", "2026-03-31 20:00:00", "FAIL", model="PA100"),
    line(unit(21), "Packing", "2026-04-01 08:00:00", model="PA100"),
    line(unit(21), "Packing", "2026-04-01 09:00:00", model="PA100"),
    line(unit(21), "Packing", "2026-04-09 09:00:00", flow="Rework", model="PA100"),
    line(unit(22), "Packing", "2026-04-01 10:00:00", model="PA100"),
    line(unit(23), "Packing", "2026-04-01 11:00:00", "FAIL", model="PA100"),
    line(unit(24), "Packing", "2026-04-01 12:00:00", model="PA200"),
    line(unit(24), "Packing", "2026-05-11 12:00:00", flow="RMA", model="PA200"),
]


def test_a_unit_counts_once_in_packing_on_the_day_it_first_passed(built: Lake) -> None:
    packed = (
        "SELECT {}, model, units, packed_again FROM gold.manufacturing.{}_packing WHERE model LIKE 'PA%' ORDER BY 3"
    )
    assert built.rows(packed.format("packed_month::VARCHAR, day::VARCHAR", "daily")) == [
        ("2026-04-01", "2026-04-01", "PA100", 2, 1),
        ("2026-04-01", "2026-04-01", "PA200", 1, 0),
    ]
    assert built.rows(packed.format("packed_year, week::VARCHAR", "weekly")) == [
        (2026, "2026-03-30", "PA100", 2, 1),
        (2026, "2026-03-30", "PA200", 1, 0),
    ]


SORTED = [
    line(unit(31), "Sort Test", "2026-03-23 08:00:00", "F", code="S2", model="SO100"),
    line(unit(31), "Sort Test", "2026-03-30 08:00:00", "P", model="SO100"),
    line(unit(32), "Sort Test", "2026-03-24 08:00:00", "F", code="S2", model="SO100"),
    line(unit(32), "Sort Test", "2026-03-24 09:00:00", "F", code="S9", model="SO100"),
    line(unit(33), "Sort Test", "2026-03-25 08:00:00", "F", code="S1", model="SO100"),
    line(unit(34), "Sort Test", "2026-03-29 08:00:00", "P", model="SO100"),
]


def test_the_sort_test_of_a_week_says_what_failed_most_and_what_fails_still(built: Lake) -> None:
    sort = "SELECT week::VARCHAR, units, tests, first_passed, finally_passed, still_failing, "
    sort += "first_pass_yield::VARCHAR, final_yield::VARCHAR, commonest_failure "
    found = built.rows(sort + "FROM gold.manufacturing.weekly_sort_test WHERE model = 'SO100'")
    assert found == [("2026-03-23", 4, 6, 1, 2, 2, "25.00", "50.00", "S2")]


BOARDED = [
    board(unit(41), "tb-01", "2026-03-23 07:00:00", "Fail", "B7", 100),
    board(unit(41), "TB-02", "2026-03-23 08:00:00", seconds=30),
    board(unit(42), "TB-01", "2026-03-24 07:00:00", seconds=101),
    board(unit(43), "TB-01", "2026-05-04 07:00:00", "F", "B2", 60),
    board(unit(43), "TB-01", "2026-05-04 08:00:00", "F", "B2", 60),
]


def test_a_test_board_is_judged_by_units_that_come_for_the_first_time(built: Lake) -> None:
    assert built.rows(
        "SELECT test_board, tests, units, failures, first_tests, first_passed, first_pass_yield::VARCHAR, "
        "commonest_failure, mean_seconds::VARCHAR, first_used::VARCHAR, last_used::VARCHAR "
        "FROM gold.manufacturing.test_boards ORDER BY test_board"
    ) == [
        ("TB-01", 4, 3, 3, 3, 1, "33.33", "B2", "80.3", "2026-03-23", "2026-05-04"),
        ("TB-02", 1, 1, 0, 0, 0, None, None, "30.0", "2026-03-23", "2026-03-23"),
    ]


# -- any history, against plain Python over the raw rows


def oracle(logs: Iterable[Row], boards: Iterable[Row]) -> dict[str, Counter[Row]]:
    """What silver and gold must hold after all of these lines, as text, by table."""
    tests, board_tests = kept(map(from_log, logs)), kept(map(from_board, boards))
    units: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for test in sorted([*tests, *board_tests], key=lambda test: test["start"]):
        if test["flow"] != "rma":
            units[test["serial"], test["station"]].append(test)
    found = {
        "silver.manufacturing.workstation_tests": shown((*key_of(t), t["end"], t["result"]) for t in tests),
        "silver.manufacturing.board_tests": shown((*key_of(t), t["end"], t["result"]) for t in board_tests),
        "gold.manufacturing.test_boards": shown(test_boards(board_tests)),
    }
    periods: tuple[tuple[str, str, Callable[[date], date]], ...] = (
        ("daily", "day", day_of),
        ("weekly", "week", monday),
    )
    for adverb, _, period in periods:
        rows, rolled = yields(units.values(), period)
        found[f"gold.manufacturing.{adverb}_yield"] = shown(rows)
        found[f"gold.manufacturing.{adverb}_rolled_yield"] = shown(rolled)
        found[f"gold.manufacturing.{adverb}_packing"] = shown(packing(units, period))
    found["gold.manufacturing.weekly_sort_test"] = shown(
        (week, model, count, first, final)
        for week, model, station, count, first, final, _ in yields(units.values(), monday)[0]
        if station == "SORT TEST"
    )
    return found


STARTED_AND_ENDED = "strftime(started_at, '%Y-%m-%d %H:%M:%S'), strftime(ended_at, '%Y-%m-%d %H:%M:%S')"
SHOWN = {  # what is read of each table, as the oracle gives it
    "silver.manufacturing.workstation_tests": f"serial, station, {STARTED_AND_ENDED}, result",
    "silver.manufacturing.board_tests": f"serial, 'BOARD TEST', {STARTED_AND_ENDED}, result",
    "gold.manufacturing.test_boards": "test_board, tests, units, failures, first_tests, first_passed",
    "gold.manufacturing.weekly_sort_test": "week, model, units, first_passed, finally_passed",
} | {
    f"gold.manufacturing.{adverb}_{name}": f"{period}, {columns}"
    for adverb, period in (("daily", "day"), ("weekly", "week"))
    for name, columns in (
        ("yield", "model, station, units, first_passed, finally_passed, retested"),
        ("rolled_yield", "model, stations, rolled_first_pass_yield, rolled_final_yield"),
        ("packing", "model, units, packed_again"),
    )
}


def selected(lake: Lake, columns: Mapping[str, str]) -> dict[str, Counter[Row]]:
    """Columns of tables on disk, read with one engine."""
    with open_engine(lake.settings) as engine:
        catalog.publish(engine, catalog.tables(lake.data))
        return {table: shown(engine.rows(f"SELECT {said} FROM {table}")) for table, said in columns.items()}


def shown(rows: Iterable[Iterable[Any]]) -> Counter[Row]:
    return Counter(tuple(map(str, row)) for row in rows)


def from_log(row: Row) -> dict[str, Any]:
    serial, model, _, station, _, _, result, code, start, end, flow = row
    return test_of(serial, model, station.upper(), result, code, start, end, flow.lower())


def from_board(row: Row) -> dict[str, Any]:
    serial, model, _, on, _, result, code, start, end = row
    return test_of(serial, model, "BOARD TEST", result, code, start, end, "production") | {"on": on.upper()}


def test_of(
    serial: str, model: str, station: str, result: str, code: str, start: str, end: str, flow: str
) -> dict[str, Any]:
    said = "pass" if result.strip().upper() in ("P", "PASS") else "fail"
    return {"serial": serial, "model": model, "station": station, "result": said, "code": code, "start": start,
            "end": end, "flow": flow}  # fmt: skip


def kept(tests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each test, the one that ends last, of those whose line makes sense."""
    found: dict[Row, dict[str, Any]] = {}
    for test in tests:
        if test["serial"] and "-02-30" not in test["start"] and test["start"] <= test["end"]:
            known = found.setdefault(key_of(test), test)
            found[key_of(test)] = max(known, test, key=lambda one: one["end"])
    return list(found.values())


test_of.__test__ = False  # type: ignore[attr-defined]


def key_of(test: dict[str, Any]) -> Row:
    return test["serial"], test["station"], test["start"]


def day_of(day: date) -> date:
    return day


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def when(test: dict[str, Any]) -> date:
    return date.fromisoformat(test["start"][:10])


def yields(units: Iterable[list[dict[str, Any]]], period: Callable[[date], date]) -> tuple[list[Any], list[Any]]:
    counts: dict[tuple[date, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for tests in units:
        count = counts[period(when(tests[0])), tests[0]["model"], tests[0]["station"]]
        of = (True, tests[0]["result"] == "pass", tests[-1]["result"] == "pass", len(tests) > 1)
        count[:] = [known + more for known, more in zip(count, of, strict=True)]
    shares: dict[tuple[date, str], list[list[int]]] = defaultdict(list)
    for (day, model, _), count in counts.items():
        shares[day, model].append(count)
    rolled = [
        (*of, len(all_), *(f"{100 * prod(count[at] / count[0] for count in all_):.2f}" for at in (1, 2)))
        for of, all_ in shares.items()
    ]
    return [(*of, *count) for of, count in counts.items()], rolled


def packing(units: dict[tuple[str, str], list[dict[str, Any]]], period: Callable[[date], date]) -> list[Any]:
    counts: dict[tuple[date, str], list[int]] = defaultdict(lambda: [0, 0])
    for (_, station), tests in units.items():
        passed = [test for test in tests if test["result"] == "pass"]
        if station == "PACKING" and passed:
            count = counts[period(when(passed[0])), tests[0]["model"]]
            count[:] = [count[0] + 1, count[1] + (len(passed) > 1)]
    return [(*of, *count) for of, count in counts.items()]


def test_boards(tests: list[dict[str, Any]]) -> list[Any]:
    first = {test["serial"]: test for test in sorted(tests, key=lambda test: test["start"], reverse=True)}
    found = []
    for on in {test["on"] for test in tests}:
        mine = [test for test in tests if test["on"] == on]
        firsts = [test["result"] for test in first.values() if test["on"] == on]
        failures = sum(test["result"] == "fail" for test in mine)
        found.append((on, len(mine), len({t["serial"] for t in mine}), failures, len(firsts), firsts.count("pass")))
    return found


test_boards.__test__ = False  # type: ignore[attr-defined]


def history(seed: int) -> list[tuple[bool, Row]]:
    """Lines of both logs over the turn of a year: retests weeks later, reworked, returned, corrected and damaged."""
    draw = Random(f"workshop {seed}")
    turn = datetime(2025, 12, 31)
    found: list[tuple[bool, Row]] = []
    for number in range(25):
        serial = f"0{draw.choice(('25', '26'))}0100{number:03}"
        model = draw.choice(("HL100", "WS310"))
        around = draw.choice((range(-20, 20), range(-90, 90)))
        for station in ("Board", "Assembly", "Sort Test", "Packing"):
            for _ in range(draw.choice((0, 1, 1, 1, 2, 4))):
                start = turn + timedelta(days=draw.choice(around), seconds=draw.randrange(86_400))
                at, result = str(start), draw.choice(("PASS", "p", "Pass", "FAIL", "F"))
                if station == "Board":
                    row = board(serial, draw.choice(("TB-01", "tb-02")), at, result)
                    row = (row[0], model, *row[2:])
                else:
                    row = line(serial, station, at, result, draw.choice(("PRODUCTION", "Rework", "RMA")), model=model)
                found.append((station == "Board", row))
                if draw.random() < 0.1:  # the test went on: a later end, and another result
                    end, late = len(row) - (1 if station == "Board" else 2), str(start + timedelta(minutes=9))
                    again = list(row)
                    again[end] = late
                    again[5 if station == "Board" else 6] = draw.choice(("PASS", "FAIL"))
                    found.append((station == "Board", tuple(again)))
                if draw.random() < 0.03:
                    found.append((station == "Board", ("", *row[1:])))
    draw.shuffle(found)
    return found


@pytest.mark.long
def test_any_order_of_uploads_gives_what_plain_python_makes_of_all_lines(workshop: Lake) -> None:
    draw, lines = Random(SEED), history(SEED)
    first = len(lines) - LAST * (UPLOADS - 1)
    parts = [lines[:first], *(lines[at : at + LAST] for at in range(first, len(lines), LAST))]
    whole = dict.fromkeys((f"gold.manufacturing.{table}" for table in GOLD), "*")
    with open_project(workshop.settings) as project:
        for number, part in enumerate(parts):  # the small ones touch few partitions: the others have to be right as is
            upload(workshop, str(number), part + draw.sample(parts[0], k=LAST), draw)
            assert pipeline(project, main.carry).failures == {}
        expected = oracle([row for boards, row in lines if not boards], [row for boards, row in lines if boards])
        assert selected(workshop, SHOWN) == expected
        before = selected(workshop, whole)
        assert pipeline(project, main.carry, mode="all").failures == {}
    assert selected(workshop, whole) == before


def upload(lake: Lake, name: str, lines: Sequence[tuple[bool, Row]], draw: Random) -> None:
    """Land lines as one file of each log, one of them a workbook."""
    book_is_of_boards = draw.random() < 0.5
    for boards, folder, header in ((False, "workstation_log", LOG), (True, "testboard_log", BOARDS)):
        rows = [row for is_board, row in draw.sample(lines, k=len(lines)) if is_board == boards]
        if boards == book_is_of_boards:
            lake.land(f"manufacturing/{folder}/{name}.xlsx", book(header, rows))
        else:
            lake.land(f"manufacturing/{folder}/{name}.csv", text(header, rows))


# -- the sample feed


def read(path: Path) -> list[Row]:
    """The rows of an upload, without its header, as text."""
    if path.suffix == ".csv":
        return [tuple(row) for row in csv.reader(io.StringIO(path.read_text(), newline=""))][1:]
    import polars

    frame = polars.read_excel(path, has_header=False, infer_schema_length=0)
    return [tuple(cell or "" for cell in row) for row in frame.iter_rows()][1:]


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """Thirty days of uploads, by name below the landing zone."""
    zone = tmp_path_factory.mktemp("landing")
    landed = manufacturing.land(zone, days=30, last=FRIDAY, seed=7)
    return {path.relative_to(zone).as_posix(): read(path) for path in landed}


def test_the_sample_goes_through_and_again_nothing_changes(workshop: Lake) -> None:
    landed = manufacturing.land(workshop.data / "landing", days=8, last=FRIDAY, seed=7)
    workshop.good()
    rows = {path: read(path) for path in landed}
    logs, boards = ([row for path in landed if part in str(path) for row in rows[path]] for part in ("workst", "testb"))
    assert selected(workshop, SHOWN) == oracle(logs, boards)
    damaged = len(logs) + len(boards) - sum(len(kept([from_log(row)])) for row in logs)
    damaged -= sum(len(kept([from_board(row)])) for row in boards)
    aside = "SELECT count(*) FROM quarantine.manufacturing.workstation_tests UNION ALL "
    aside += "SELECT count(*) FROM quarantine.manufacturing.board_tests"
    assert sum(count for (count,) in workshop.rows(aside)) == damaged > 0
    assert all(record.records_written == 0 for record in workshop.good().steps)


def test_a_sample_upload_is_the_same_whatever_else_is_landed(tmp_path: Path) -> None:
    many = manufacturing.land(tmp_path / "many", days=9, last=FRIDAY, seed=7)[-4:]
    manufacturing._logged.cache_clear()
    manufacturing._tests.cache_clear()
    one = manufacturing.land(tmp_path / "one", days=1, last=FRIDAY, seed=7)
    assert [path.relative_to(tmp_path / "one").as_posix() for path in one] == [
        "manufacturing/workstation_log/2026-W13-line-A-2026-03-27.csv",
        "manufacturing/workstation_log/2026-W13-line-B-2026-03-27.xlsx",
        "manufacturing/testboard_log/2026-W13-line-A-2026-03-27.csv",
        "manufacturing/testboard_log/2026-W13-line-B-2026-03-27.xlsx",
    ]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in many]
    assert [int(path.stat().st_mtime) for path in one] == [1774652400] * 4  # 2026-03-27 23:00 UTC
    assert manufacturing.land(tmp_path / "one", days=1, last=FRIDAY, seed=7) == []


def test_the_same_seed_and_day_give_the_same_text_everywhere() -> None:
    of = manufacturing.upload(FRIDAY, 7, manufacturing.WORKSTATIONS, "A")
    assert hashlib.sha256(of).hexdigest() == "9ab3f93d11df668b3f97d7ddd71a13239a4d3ee2fef25e9bbe1a2db86869d3b9"
    assert of != manufacturing.upload(FRIDAY, 8, manufacturing.WORKSTATIONS, "A")


def test_nothing_is_uploaded_at_weekends_and_on_holidays(tmp_path: Path) -> None:
    assert manufacturing.land(tmp_path, days=2, last=date(2026, 3, 29), seed=7) == []
    assert manufacturing.land(tmp_path, days=2, last=date(2025, 12, 26), seed=7) == []


def test_a_landing_zone_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "manufacturing").write_text("a file in the way")
    with pytest.raises(MachineError, match=f"line-A-{FRIDAY}.csv"):
        manufacturing.land(tmp_path, days=1, last=FRIDAY, seed=7)


def test_each_upload_holds_the_week_so_far(uploads: dict[str, list[Row]]) -> None:
    logs = {name: rows for name, rows in uploads.items() if "2026-W13-line-A" in name and "workstation" in name}
    assert [name[-14:-4] for name in logs] == [f"2026-03-{day}" for day in range(23, 28)]
    days = list(logs.values())
    assert all(set(before) < set(after) for before, after in pairwise(days))
    assert [len(rows) // 110 for rows in days] == [1, 2, 3, 4, 5]


def test_the_sample_units_fail_as_units_do(uploads: dict[str, list[Row]]) -> None:
    """Of the last uploads of the weeks, which hold all that the others do."""
    last = {name.partition("-2026-")[0]: uploads[name] for name in sorted(uploads)}  # without its day
    tests = [from_log(row) for name, rows in last.items() if "workstation" in name for row in rows]
    tests += [from_board(row) for name, rows in last.items() if "testboard" in name for row in rows]
    sound = sorted(kept(tests), key=lambda test: test["start"])
    assert 0.003 < 1 - len(sound) / len(tests) < 0.008
    begun = {test["serial"] for test in sound if test["station"] == "BOARD TEST"}
    units: dict[tuple[str, str], list[str]] = defaultdict(list)
    for test in sound:
        if test["serial"] in begun:
            units[test["serial"], test["station"]].append(test["result"])
    for station in {station for _, station in units}:
        first = [results[0] for (_, at), results in units.items() if at == station]
        final = [results[-1] for (_, at), results in units.items() if at == station]
        low, high = (0.0, 0.03) if station == "PACKING" else (0.02, 0.1)
        assert low < first.count("fail") / len(first) < high
        assert final.count("fail") / len(final) < 0.012
    packed = [results.count("pass") for (_, at), results in units.items() if at == "PACKING"]
    assert 0.01 < sum(count > 1 for count in packed) / len(packed) < 0.08
    assert {test["flow"] for test in sound} == {"production", "rework", "rma"}
    assert {test["model"] for test in sound} == {model.number for model in company.DEVICES}
    assert 40 < len(begun) / 25 < 50


def test_sample_lines_are_damaged_in_every_way_promised(uploads: dict[str, list[Row]]) -> None:
    rows = [row for name, rows in uploads.items() if "workstation" in name for row in rows]
    assert any(row[0] == "" for row in rows)
    assert any(row[9] < row[8] for row in rows)
    assert any("-02-30" in row[8] for row in rows)
    assert {row[6] for row in rows} == {"PASS", "Pass", "P", "FAIL", "Fail", "F"}
    assert {row[5] for row in rows} >= {"OP17", " OP21", "OP30 ", "op23", ""}
