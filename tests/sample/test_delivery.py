"""Delivery promises: every figure against plain Python over the raw files; corrections, orphans, the real history."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake
from explained import trace_rows

from src import catalog
from src.demo import delivery as demo
from src.demo import sales
from src.errors import MachineError
from src.lake import open_table

FRIDAY = date(2026, 3, 27)
DAY = timedelta(days=1)
SCMS = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data")) / "scms"

SHIPMENTS = ",".join(demo.SHIPMENTS) + "\n"
CARRIERS = "Carrier,Name,Mode,OnTimeTarget,ChangedOn\nTERN,Tern Express,air,94,2025-01-06\n"
CUSTOMERS = "CustomerID,Name,Segment,Country,ChangedOn\n"


def shipped(
    number: int,
    shipped_on: str,
    promised: str,
    delivered: str = "",
    at: str = "2026-03-01",
    carrier: str = "TERN",
    customer: int = 1,
) -> str:
    """A row of the warehouse's file; revenue is 100, cost 60."""
    told = f"{carrier},Leith,Norway,{shipped_on},{promised},{delivered},100.00,60.00,5.00,1.500,{at} 12:00:00"
    return f"S{number:06},{number:06},{customer},{told}\n"


def event(number: int, kind: str, at: str, received: str) -> str:
    """A line of the carriers' file."""
    place = {"site": "Oslo depot", "country": "Norway", "position": {"lat": 59.91273, "lon": 10.74609}}
    said = {"shipment_id": f"S{number:06}", "type": kind, "time": at, "received": received, "carrier": "TERN"}
    return json.dumps(said | {"location": place}) + "\n"


def contracts(lake: Lake, *domains: str) -> Lake:
    """A lake with the shipped contracts of these domains."""
    for layer in ("silver", "gold", "ml"):
        for domain in domains:
            if (ROOT / "src" / layer / domain).is_dir():
                shutil.copytree(ROOT / "src" / layer / domain, lake.root / "src" / layer / domain)
    return lake


def only(lake: Lake, *tables: str) -> Lake:
    """The delivery contracts with these tables of the mart alone, so that a run does what the test is about."""
    contracts(lake, "delivery")
    shutil.rmtree(lake.root / "src/ml")  # its models are about tables that none of these tests keeps
    mart = lake.root / "src/gold/delivery"
    head, *parts = (mart / "contract.yaml").read_text().split("\n  - name: ")
    head = re.sub(r"\n    element: >-(\n {6}.*)+", "", head)  # the service levels of each table
    head = re.sub(r"\n.* element: kpis_daily.*", "", head)
    kept = [part for part in parts if part.partition("\n")[0] in tables]
    (mart / "contract.yaml").write_text("\n  - name: ".join([head, *kept]))
    for model in mart.glob("*.sql"):
        if model.stem not in tables:
            model.unlink()
    return lake


def land_house(lake: Lake) -> Lake:
    """A carrier and a customer."""
    lake.land("delivery/carriers/1.csv", CARRIERS)
    lake.land("delivery/customers/1.csv", CUSTOMERS + "1,MILL STORES,shop,Norway,2025-01-06\n")
    return lake


def columns(lake: Lake, table: str, names: str) -> set[tuple[Any, ...]]:
    """The rows of a table, of which none may be there twice."""
    rows = lake.rows(f"SELECT {names} FROM {table}")
    assert len(set(rows)) == len(rows)
    return set(rows)


def files(lake: Lake, table: str) -> set[str]:
    """The data files of a table's newest version."""
    found = open_table(lake.data / table.replace(".", "/"))
    assert found is not None
    return {file.path for file in found.files}


def rewritten(before: set[str], after: set[str]) -> set[str]:
    """The partitions of the files that came or went."""
    return {path.split("/")[0].partition("=")[2] for path in before ^ after}


def month(day: date) -> date:
    return day.replace(day=1)


def monday(day: date) -> date:
    return day - day.weekday() * DAY


def percent(part: int | Decimal, whole: int | Decimal) -> Decimal | None:
    return (Decimal(100) * part / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else None


def mean(numbers: Iterable[int]) -> Decimal | None:
    values = list(numbers)
    return (Decimal(sum(values)) / len(values)).quantize(Decimal("0.01"), ROUND_HALF_UP) if values else None


# -- a month of the sample company against plain Python


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("sample") / "landing"
    demo.land(landing, days=30, last=FRIDAY, seed=7)
    return landing


@pytest.fixture(scope="module")
def company(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with the month, for tests that only read it."""
    made = contracts(Lake(tmp_path_factory.mktemp("company")), "delivery")
    shutil.copytree(landed, made.data / "landing")
    made.good()
    return made


Said = dict[str, str]


def lines(landed: Path, feed: str) -> Iterator[list[str]]:
    for path in sorted((landed / "delivery" / feed).glob("*.csv")):
        yield from list(csv.reader(io.StringIO(path.read_text())))[1:]


def is_sound(row: list[str]) -> bool:
    """Whether a shipment's row is what the contract asks for, told without it."""
    if len(row) != len(demo.SHIPMENTS):
        return False
    said = dict(zip(demo.SHIPMENTS, row, strict=True))
    numbers = all(re.fullmatch(r"\d+\.\d+", said[name]) for name in ("Revenue", "Cost", "WeightKg", "CarbonKg"))
    dates = not said["Promised"].endswith("-02-30") and (not said["Delivered"] or said["Delivered"] >= said["Shipped"])
    return bool(numbers and dates and re.fullmatch(r"S\d{6}", said["ShipmentID"]))


@pytest.fixture(scope="module")
def told(landed: Path) -> list[Said]:
    """What the raw files say of every shipment last."""
    newest: dict[str, Said] = {}
    for row in filter(is_sound, lines(landed, "shipments")):
        said = dict(zip(demo.SHIPMENTS, row, strict=True))
        before = newest.get(said["ShipmentID"])
        if before is None or said["UpdatedAt"] > before["UpdatedAt"]:
            newest[said["ShipmentID"]] = said
    return list(newest.values())


@pytest.fixture(scope="module")
def reported(landed: Path) -> dict[tuple[str, str, str], int]:
    """The days from every event in the raw files to the first report of it."""
    first: dict[tuple[str, str, str], int] = {}
    for path in (landed / "delivery/tracking_events").glob("*.ndjson"):
        for line in path.read_text().splitlines():
            try:
                said = json.loads(line)
                at = datetime.strptime(said["time"], "%Y-%m-%dT%H:%M:%SZ").date()
            except ValueError:
                continue
            if said["type"] and said["location"]["position"]["lat"] <= 90:
                key = (said["shipment_id"], said["type"], said["time"])
                late = (date.fromisoformat(said["received"][:10]) - at).days
                first[key] = min(late, first.get(key, late))
    return first


def day_of(said: Said, field: str) -> date:
    return date.fromisoformat(said[field])


def groups(rows: Iterable[Said], key: Callable[[Said], Any]) -> Mapping[Any, list[Said]]:
    found: defaultdict[Any, list[Said]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def lane(row: Said) -> str:
    return f"{row['Origin']} > {row['Destination']}"


def total(rows: Iterable[Said], field: str) -> Decimal:
    return sum((Decimal(row[field]) for row in rows), Decimal())


def on_time(rows: Iterable[Said]) -> int:
    return sum(row["Delivered"] <= row["Promised"] for row in rows if row["Delivered"])


def test_the_on_time_rate_of_each_day_and_lane_is_that_of_the_raw_files(company: Lake, told: list[Said]) -> None:
    expected = set()
    for key, rows in groups(told, lambda row: (day_of(row, "Promised"), row["Carrier"], lane(row))).items():
        arrived = [row for row in rows if row["Delivered"]]
        good = on_time(rows)
        counts = (len(rows), len(arrived), good, len(arrived) - good, len(rows) - len(arrived))
        expected.add((month(key[0]), key[0], "own", *key[1:], *counts, percent(good, len(arrived))))
    names = "promised_month, promised_on, source, carrier, lane, promised, delivered, on_time, late, still_open"
    assert columns(company, "gold.delivery.daily_on_time", f"{names}, on_time_pct") == expected
    assert len(expected) > 400


def test_promise_accuracy_is_that_of_the_raw_files(company: Lake, told: list[Said]) -> None:
    targets = {"HARRIER": 92, "KESTREL": 95, "LANGSHIP": 85, "PACKHORSE": 91, "TERN": 94}
    expected = set()
    arrived = [row for row in told if row["Delivered"]]
    for (since, carrier), rows in groups(arrived, lambda row: (month(day_of(row, "Promised")), row["Carrier"])).items():
        off = [(day_of(row, "Delivered") - day_of(row, "Promised")).days for row in rows]
        late = [days for days in off if days > 0]
        parts = (sum(days < 0 for days in off), off.count(0), len(late))
        near = percent(sum(abs(days) <= 1 for days in off), len(off))
        means = (mean(off), mean(map(abs, off)), mean(late))
        rate = percent(len(off) - len(late), len(off))
        expected.add((since, carrier, len(off), *parts, rate, Decimal(targets[carrier]), near, *means, max(off)))
    names = (
        "promised_month, carrier, shipments, early, on_the_day, late, on_time_pct, target_pct, within_a_day_pct, "
        "mean_days_off, mean_days_off_either_way, mean_days_late, worst_days_off"
    )
    assert columns(company, "gold.delivery.promise_accuracy", names) == expected
    assert len(expected) >= 10


PERIODS: dict[str, tuple[str, Callable[[date], date], Callable[[date], date]]] = {
    "kpis_daily": ("delivered_on", lambda day: day, lambda day: day - 7 * DAY),
    "kpis_weekly": ("delivered_week", monday, lambda day: day - 7 * DAY),
    "kpis_monthly": ("delivered_month", month, lambda day: month(day - DAY)),
}


@pytest.mark.parametrize("table", PERIODS)
def test_the_key_figures_of_each_period_are_those_of_the_raw_files(company: Lake, told: list[Said], table: str) -> None:
    column, period, before = PERIODS[table]
    arrived = [row for row in told if row["Delivered"]]
    found = groups(arrived, lambda row: period(day_of(row, "Delivered")))
    expected = set()
    for start, rows in found.items():
        revenue, earlier = total(rows, "Revenue"), found.get(before(start))
        growth: tuple[Decimal | None, ...] = (None, None)
        if earlier:
            shares = percent(len(rows), len(earlier)), percent(revenue, total(earlier, "Revenue"))
            growth = tuple(share - 100 if share is not None else None for share in shares)
        counts = (len({row["CustomerID"] for row in rows}), len(rows), percent(on_time(rows), len(rows)))
        money = (revenue, revenue - total(rows, "Cost"), total(rows, "CarbonKg"))
        expected.add((start, "own", "GBP", *counts, *money, *growth))
    names = (
        f"{column}, source, currency, active_customers, shipments, on_time_pct, revenue, margin, carbon_kg, "
        "shipments_growth_pct, revenue_growth_pct"
    )
    assert columns(company, f"gold.delivery.{table}", names) == expected
    assert sum(row[-1] is not None for row in expected) >= 1


def test_the_late_arrival_profile_is_that_of_the_raw_files(
    company: Lake, reported: Mapping[tuple[str, str, str], int]
) -> None:
    profile: defaultdict[tuple[date, str], Counter[int]] = defaultdict(Counter)
    for (_, kind, at), late in reported.items():
        profile[month(date.fromisoformat(at[:10])), kind][late] += 1
    expected = {
        (*key, late, events, percent(events, counts.total()), percent(so_far, counts.total()))
        for key, counts in profile.items()
        for late, events in counts.items()
        for so_far in [sum(count for other, count in counts.items() if other <= late)]
    }
    names = "occurred_month, event_type, days_late, events, share_pct, arrived_pct"
    assert columns(company, "gold.delivery.late_arrivals", names) == expected
    assert {late for _, _, late, *_ in expected} >= {0, 1, 2, 3, 4, 6}


def test_the_coverage_of_tracking_is_that_of_the_raw_files(
    company: Lake, told: list[Said], reported: Mapping[tuple[str, str, str], int]
) -> None:
    known = {row["ShipmentID"] for row in told}
    by_month: defaultdict[date, list[str]] = defaultdict(list)
    for shipment, _, at in reported:
        by_month[month(date.fromisoformat(at[:10]))].append(shipment)
    expected = set()
    for since, events in by_month.items():
        lost = sum(shipment not in known for shipment in events)
        expected.add((since, len(events), len(set(events)), lost, percent(lost, len(events))))
    names = "occurred_month, events, shipments, without_shipment, without_shipment_pct"
    assert columns(company, "gold.delivery.tracking_coverage", names) == expected
    assert sum(lost for _, _, _, lost, _ in expected) > 0


def test_segments_are_those_that_customers_had_when_their_shipments_left(
    company: Lake, landed: Path, told: list[Said]
) -> None:
    versions: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for number, _, segment, _, since in lines(landed, "customers"):
        versions[number][since] = segment

    def segment_of(row: Said) -> str:
        known = [since for since in versions[row["CustomerID"]] if since <= row["Shipped"]]
        return versions[row["CustomerID"]][max(known)] if known else "unknown"

    expected = set()
    for (since, segment), rows in groups(told, lambda row: (month(day_of(row, "Promised")), segment_of(row))).items():
        arrived = [row for row in rows if row["Delivered"]]
        revenue = sum(Decimal(row["Revenue"]) for row in rows)
        counts = (len(rows), len({row["CustomerID"] for row in rows}))
        expected.add((since, segment, *counts, revenue, percent(on_time(arrived), len(arrived))))
    names = "promised_month, segment, shipments, customers, revenue, on_time_pct"
    assert columns(company, "gold.delivery.segment_service", names) == expected
    assert {segment for _, segment, *_ in expected} >= {"shop", "online", "wholesale", "private"}


@pytest.mark.long
def test_a_second_run_changes_nothing(company: Lake) -> None:
    known = [name for name in catalog.tables(company.data) if not name.startswith("ops.")]
    before = {name: files(company, name) for name in known}
    run = company.good()
    assert sum(record.records_written for record in run.records) == 0
    assert {name: files(company, name) for name in known} == before
    assert company.findings() == []


@pytest.mark.long
def test_files_in_any_order_over_several_runs_give_the_same_figures(lake: Lake, landed: Path, company: Lake) -> None:
    contracts(lake, "delivery")
    paths = sorted(path for path in landed.rglob("*") if path.is_file() and "carriers" not in path.parts)
    random.Random(7).shuffle(paths)
    shutil.copytree(landed / "delivery/carriers", lake.data / "landing/delivery/carriers")
    for at in range(3):
        for path in paths[at::3]:
            lake.land(path.relative_to(landed).as_posix(), path.read_bytes())
        lake.good()
    for table in sorted(path.stem for path in (ROOT / "src/gold/delivery").glob("*.sql")):
        if f"gold.delivery.{table}" in catalog.tables(company.data):
            whole = columns(company, f"gold.delivery.{table}", "*")
            assert columns(lake, f"gold.delivery.{table}", "*") == whole, table


def test_dirty_rows_are_in_quarantine_and_no_others(company: Lake, landed: Path) -> None:
    dirty = sum(not is_sound(row) for row in lines(landed, "shipments"))
    assert company.rows("SELECT count(*) FROM quarantine.delivery.shipments") == [(dirty,)]
    reasons = {
        text.partition(":")[0]
        for row in company.rows(
            "SELECT _reasons FROM quarantine.delivery.shipments UNION ALL "
            "SELECT _reasons FROM quarantine.delivery.tracking_events"
        )
        for text in row[0]
    }
    assert reasons >= {"revenue", "promised_on", "transit_days", "occurred_at", "event_type", "latitude"}
    assert company.rows("SELECT count(*) FROM quarantine.delivery.customers") == [(0,)]


# -- corrections


def partitioned(lake: Lake, tables: Sequence[str]) -> dict[str, set[str]]:
    return {table: files(lake, f"gold.delivery.{table}") for table in tables}


@pytest.mark.long
def test_a_promise_corrected_five_weeks_later_changes_its_own_days_and_no_other(lake: Lake) -> None:
    land_house(contracts(lake, "delivery"))
    start = date(2026, 1, 5)
    rows = [
        shipped(at, str(day), str(day + 2 * DAY), str(day + 3 * DAY), at=str(day + 3 * DAY))
        for at, day in enumerate(start + at * DAY for at in range(80))
    ]
    lake.land("delivery/shipments/1.csv", SHIPMENTS + "".join(rows))
    lake.good()
    tables = ("shipments", "daily_on_time", "promise_accuracy", "kpis_daily", "kpis_weekly", "kpis_monthly")
    before = partitioned(lake, tables)
    days = columns(lake, "gold.delivery.daily_on_time", "promised_on, promised, on_time, late")
    kpis = columns(lake, "gold.delivery.kpis_daily", "delivered_on, shipments, on_time_pct, margin")

    # left on the 19th of January, promised for the 21st, delivered on the 22nd: on 26 February it is said that the
    # promise was the 22nd
    late = shipped(14, "2026-01-19", "2026-01-22", "2026-01-22", at="2026-02-26")
    lake.land("delivery/shipments/2.csv", SHIPMENTS + late)
    run = lake.good()

    changed = {table: rewritten(files, partitioned(lake, [table])[table]) for table, files in before.items()}
    january = {"2026-01-01"}
    assert changed["shipments"] == changed["daily_on_time"] == changed["promise_accuracy"] == january
    # growth of the period after is looked at again, and no other
    assert changed["kpis_daily"] == changed["kpis_weekly"] == changed["kpis_monthly"] == january | {"2026-02-01"}
    assert lake.step(run, "gold.delivery.daily_on_time").partitions == 1
    after = columns(lake, "gold.delivery.daily_on_time", "promised_on, promised, on_time, late")
    assert days ^ after == {
        (date(2026, 1, 21), 1, 0, 1),  # gone: no other shipment was promised for the day
        (date(2026, 1, 22), 1, 0, 1),
        (date(2026, 1, 22), 2, 1, 1),
    }
    assert kpis ^ columns(lake, "gold.delivery.kpis_daily", "delivered_on, shipments, on_time_pct, margin") == {
        (date(2026, 1, 22), 1, Decimal(0), Decimal(40)),
        (date(2026, 1, 22), 1, Decimal(100), Decimal(40)),
    }


def test_a_promise_moved_into_another_month_changes_both_months(lake: Lake) -> None:
    land_house(only(lake, "scms_shipments", "shipments", "daily_on_time"))
    rows = [shipped(at, f"2026-0{at}-10", f"2026-0{at}-12", f"2026-0{at}-11", at=f"2026-0{at}-11") for at in (1, 2, 3)]
    lake.land("delivery/shipments/1.csv", SHIPMENTS + "".join(rows))
    lake.good()
    before = files(lake, "gold.delivery.daily_on_time")
    moved = shipped(1, "2026-01-10", "2026-02-01", "2026-01-11", at="2026-03-12")
    lake.land("delivery/shipments/2.csv", SHIPMENTS + moved)
    lake.good()
    assert rewritten(before, files(lake, "gold.delivery.daily_on_time")) == {"2026-01-01", "2026-02-01"}
    assert columns(lake, "gold.delivery.daily_on_time", "promised_on, on_time") == {
        (date(2026, 2, 1), 1),
        (date(2026, 2, 12), 1),
        (date(2026, 3, 12), 1),
    }


def test_a_shipment_without_delivery_touches_no_key_figure(lake: Lake) -> None:
    land_house(only(lake, "scms_shipments", "shipments", "daily_on_time", "kpis_monthly"))
    rows = shipped(1, "2026-01-10", "2026-01-12", "2026-01-11") + shipped(2, "2026-03-01", "2026-03-02")
    lake.land("delivery/shipments/1.csv", SHIPMENTS + rows)
    lake.good()
    before = partitioned(lake, ["kpis_monthly"])
    lake.land("delivery/shipments/2.csv", SHIPMENTS + shipped(3, "2026-03-01", "2026-03-05"))
    run = lake.good()
    assert lake.step(run, "gold.delivery.daily_on_time").partitions == 1
    assert partitioned(lake, ["kpis_monthly"]) == before
    assert columns(lake, "gold.delivery.kpis_monthly", "delivered_month, shipments") == {(date(2026, 1, 1), 1)}
    names = "promised_on, promised, delivered, still_open, on_time_pct"
    assert (date(2026, 3, 5), 1, 0, 1, None) in columns(lake, "gold.delivery.daily_on_time", names)


def test_the_latest_correction_wins_whatever_the_arrival(lake: Lake) -> None:
    land_house(only(lake, "scms_shipments", "shipments"))
    newest = shipped(1, "2026-01-10", "2026-01-14", "2026-01-14", at="2026-01-20")
    lake.land("delivery/shipments/1.csv", SHIPMENTS + newest)
    lake.good()
    lake.land("delivery/shipments/2.csv", SHIPMENTS + shipped(1, "2026-01-10", "2026-01-12", at="2026-01-10"))
    run = lake.good()
    assert lake.step(run, "gold.delivery.shipments").records_written == 0
    assert lake.rows("SELECT promised_on, state FROM gold.delivery.shipments") == [(date(2026, 1, 14), "on time")]


def test_of_an_event_reported_twice_the_first_report_stays(lake: Lake) -> None:
    land_house(only(lake, "scms_shipments", "late_arrivals"))
    lake.land("delivery/shipments/1.csv", SHIPMENTS + shipped(1, "2026-01-10", "2026-01-12"))
    again = event(1, "departed", "2026-01-10T21:00:00Z", "2026-01-13T08:00:00Z")
    lake.land("delivery/tracking_events/1.ndjson", again)
    lake.good()
    first = event(1, "departed", "2026-01-10T21:00:00Z", "2026-01-11T08:00:00Z")
    other = event(1, "departed", "2026-01-10T22:00:00Z", "2026-01-10T22:05:00Z")
    lake.land("delivery/tracking_events/2.ndjson", first + other + again)
    lake.good()
    once_more = event(1, "departed", "2026-01-10T21:00:00Z", "2026-01-19T08:00:00Z")
    lake.land("delivery/tracking_events/3.ndjson", once_more)
    lake.good()
    assert lake.rows("SELECT days_late, site, country, latitude FROM silver.delivery.tracking_events ORDER BY 1") == [
        (0, "Oslo depot", "Norway", Decimal("59.91273")),
        (1, "Oslo depot", "Norway", Decimal("59.91273")),
    ]
    assert columns(lake, "gold.delivery.late_arrivals", "days_late, events, share_pct, arrived_pct") == {
        (0, 1, Decimal(50), Decimal(50)),
        (1, 1, Decimal(50), Decimal(100)),
    }


def test_a_customer_has_a_history_and_a_shipment_the_segment_of_its_day(lake: Lake) -> None:
    land_house(only(lake, "segment_service"))
    rows = shipped(1, "2026-01-10", "2026-01-12") + shipped(2, "2026-01-20", "2026-01-22")
    lake.land("delivery/shipments/1.csv", SHIPMENTS + rows)
    lake.good()
    later = "1,MILL STORES,wholesale,Norway,2026-01-15\n"
    lake.land("delivery/customers/2.csv", CUSTOMERS + later)
    lake.good()
    lake.land("delivery/customers/3.csv", CUSTOMERS + later + "\n")  # the next snapshot says the same
    assert lake.step(lake.good(), "gold.delivery.segment_service").records_written == 0
    valid = "segment, _valid_from, _valid_to, _is_current"
    assert columns(lake, "silver.delivery.customers", valid) == {
        ("shop", date(2025, 1, 6), date(2026, 1, 15), False),
        ("wholesale", date(2026, 1, 15), None, True),
    }
    assert columns(lake, "gold.delivery.segment_service", "segment, shipments") == {("shop", 1), ("wholesale", 1)}


# -- orphans and broken feeds


def failed_rules(lake: Lake, table: str = "") -> set[tuple[Any, ...]]:
    """What audits found wrong so far, in a table or in all."""
    found = columns(lake, "ops.quality_results WHERE NOT passed", 'DISTINCT "table", rule, "column", value, severity')
    return {row[1:] for row in found if row[0] == table} if table else found


def test_an_event_without_its_shipment_and_a_shipment_without_its_customer_are_warnings(lake: Lake) -> None:
    land_house(only(lake, "tracking_coverage", "segment_service"))
    lake.land(
        "delivery/shipments/1.csv", SHIPMENTS + shipped(1, "2026-01-10", "2026-01-12", at="2026-01-10", customer=77)
    )
    early = event(2, "picked_up", "2026-01-11T17:00:00Z", "2026-01-11T17:05:00Z")
    lake.land("delivery/tracking_events/1.ndjson", early)
    lake.good()
    assert failed_rules(lake) == {
        ("silver.delivery.shipments", "relationship", "customer_id", 1.0, "warning"),
        ("silver.delivery.tracking_events", "relationship", "shipment_id", 1.0, "warning"),
        ("gold.delivery.tracking_coverage", "few_orphans", None, 100.0, "warning"),
        ("gold.delivery.segment_service", "known", None, 100.0, "warning"),
    }
    assert columns(lake, "gold.delivery.segment_service", "segment, shipments") == {("unknown", 1)}
    lake.land("delivery/shipments/2.csv", SHIPMENTS + shipped(2, "2026-01-11", "2026-01-13"))
    lake.good()
    assert columns(lake, "gold.delivery.tracking_coverage", "events, without_shipment") == {(1, 0)}


def test_up_to_two_orphans_in_a_hundred_events_are_let_pass(lake: Lake) -> None:
    land_house(only(lake, "tracking_coverage"))
    lake.land("delivery/shipments/1.csv", SHIPMENTS + shipped(1, "2026-01-10", "2026-01-12"))
    minutes = [f"2026-01-11T{at // 60:02}:{at % 60:02}:00Z" for at in range(98)]
    lines = [event(1, "departed", at, "2026-01-12T00:00:00Z") for at in minutes]
    lines += [event(at, "departed", "2026-01-11T10:00:00Z", "2026-01-12T00:00:00Z") for at in (8, 9)]
    lake.land("delivery/tracking_events/1.ndjson", "".join(lines))
    lake.good()
    assert failed_rules(lake, "gold.delivery.tracking_coverage") == set()
    one_more = event(7, "departed", "2026-01-11T10:00:00Z", "2026-01-12T00:00:00Z")
    lake.land("delivery/tracking_events/2.ndjson", one_more)
    lake.good()
    [(rule, _, share, severity)] = failed_rules(lake, "gold.delivery.tracking_coverage")
    assert (rule, round(share, 2), severity) == ("few_orphans", 2.97, "warning")


@pytest.mark.long
def test_a_carrier_that_nobody_knows_stops_the_shipments_and_readers_keep_the_last_good_ones(lake: Lake) -> None:
    land_house(only(lake, "scms_shipments", "shipments"))
    lake.land("delivery/shipments/1.csv", SHIPMENTS + shipped(1, "2026-01-10", "2026-01-12"))
    lake.good()
    lake.land("delivery/shipments/2.csv", SHIPMENTS + shipped(2, "2026-01-11", "2026-01-12", carrier="PIGEON"))
    run = lake.run()
    assert list(run.failures) == ["silver.delivery.shipments"]
    assert "relationship of carrier is 1" in str(run.failures["silver.delivery.shipments"])
    assert columns(lake, "gold.delivery.shipments", "shipment_id") == {("S000001",)}
    lake.land("delivery/carriers/2.csv", CARRIERS.replace("TERN,Tern Express", "PIGEON,Pigeon Post"))
    lake.good()
    assert columns(lake, "gold.delivery.shipments", "shipment_id") == {("S000001",), ("S000002",)}


@pytest.mark.long
def test_a_file_with_another_delimiter_blocks_what_is_made_of_it_and_nothing_else(lake: Lake, landed: Path) -> None:
    contracts(lake, "delivery", "sales")
    sales.land(lake.data / "landing", days=1, last=FRIDAY, seed=7)
    shutil.copytree(landed / "delivery/carriers", lake.data / "landing/delivery/carriers")
    wrong = (landed / f"delivery/shipments/{FRIDAY}.csv").read_text().replace(",", ";")
    lake.land("delivery/shipments/1.csv", wrong)
    run = lake.run()
    error = run.error()
    assert error is not None
    assert getattr(error, "exit_code", None) == 9
    assert 'the delimiter is ","' in str(run.failures["bronze.delivery.shipments"])
    assert {name.split(".")[1] for name in (*run.failures, *run.blocked)} == {"delivery"}
    assert lake.rows("SELECT count(*) FROM silver.delivery.carriers") == [(5,)]
    assert lake.rows("SELECT count(*) > 0 FROM gold.sales.daily_revenue") == [(True,)]
    assert "gold.delivery.daily_on_time" not in catalog.tables(lake.data)
    lake.land("delivery/shipments/1.csv", wrong.replace(";", ","))
    lake.good()
    assert lake.rows("SELECT count(*) > 0 FROM gold.delivery.daily_on_time") == [(True,)]


# -- the SCMS programme

HEAD = (
    "ID", "Project Code", "PQ #", "PO / SO #", "ASN/DN #", "Country", "Managed By", "Fulfill Via", "Vendor INCO Term",
    "Shipment Mode", "PQ First Sent to Client Date", "PO Sent to Vendor Date", "Scheduled Delivery Date",
    "Delivered to Client Date", "Delivery Recorded Date", "Product Group", "Sub Classification", "Vendor",
    "Item Description", "Line Item Quantity", "Line Item Value", "Line Item Insurance (USD)", "Weight (Kilograms)",
    "Freight Cost (USD)",
)  # fmt: skip


def scms_line(number: int, note: str, weight: str, freight: str, **other: str) -> str:
    said = dict.fromkeys(HEAD, "x") | {
        "ID": str(number),
        "ASN/DN #": note,
        "Country": "Côte d'Ivoire",
        "Shipment Mode": "Air",
        "PQ First Sent to Client Date": "10/17/2014",
        "PO Sent to Vendor Date": "Date Not Captured",
        "Scheduled Delivery Date": "4-Aug-14",
        "Delivered to Client Date": "5-Aug-14",
        "Delivery Recorded Date": "7-Aug-14",
        "Line Item Quantity": "10",
        "Line Item Value": "99.5",
        "Line Item Insurance (USD)": "",
        "Weight (Kilograms)": weight,
        "Freight Cost (USD)": freight,
    }
    return ",".join((said | other).values()) + "\n"


def land_scms(lake: Lake, name: str, *rows: str) -> None:
    lake.land(f"delivery/scms/{name}.csv", "\ufeff" + ",".join(HEAD) + "\n" + "".join(rows))


def test_weights_and_freights_that_refer_to_another_line_are_resolved(lake: Lake) -> None:
    only(lake, "scms_shipments")
    land_scms(
        lake,
        "1",
        scms_line(1, "DN-304", "See DN-304 (ID#:2)", "See DN-304 (ID#:2)"),
        scms_line(2, "DN-304", "See DN-304 (ID#:3)", "Freight Included in Commodity Cost"),
        scms_line(3, "DN-304", "1200", "80.55"),
        scms_line(4, "ASN-7", "Weight Captured Separately", "Invoiced Separately"),
        scms_line(5, "ASN-7", "See ASN-7 (ID#:4)", "See ASN-7 (ID#:4)"),
        scms_line(6, "DN-8", "See DN-304 (ID#:3)", "12"),
    )
    lake.good()
    names = "line_id, weight_kg, note_weight_kg, weight_said, note_freight_usd, freight_said"
    assert columns(lake, "gold.delivery.scms_shipments", names) == {
        (1, None, 1200, None, None, "Freight Included in Commodity Cost"),
        (2, None, 1200, None, None, "Freight Included in Commodity Cost"),
        (3, 1200, 1200, None, Decimal("80.55"), None),
        (4, None, None, "Weight Captured Separately", None, "Invoiced Separately"),
        (5, None, None, "Weight Captured Separately", None, "Invoiced Separately"),
        (6, None, None, None, 12, None),  # refers to another note: that is told, and nothing guessed
    }
    told = {("references_lead_somewhere", None, 1.0, "warning")}
    assert failed_rules(lake, "gold.delivery.scms_shipments") == told


def test_a_line_that_refers_is_resolved_when_the_other_comes_later_and_touches_its_own_partition(lake: Lake) -> None:
    only(lake, "scms_shipments")
    land_scms(lake, "1", scms_line(1, "DN-304", "See DN-304 (ID#:2)", "1"), scms_line(7, "DN-305", "7", "1"))
    lake.good()
    before = files(lake, "gold.delivery.scms_shipments")
    land_scms(lake, "2", scms_line(2, "DN-304", "50", "1"))
    lake.good()
    assert rewritten(before, files(lake, "gold.delivery.scms_shipments")) == {"4"}
    assert columns(lake, "gold.delivery.scms_shipments", "line_id, note_weight_kg") == {(1, 50), (2, 50), (7, 7)}


def test_sentinels_of_dates_are_no_dates_and_what_is_neither_goes_to_quarantine(lake: Lake) -> None:
    only(lake, "scms_shipments")
    land_scms(
        lake,
        "1",
        scms_line(1, "DN-1", "1", "1"),
        scms_line(2, "DN-2", "1", "1", **{"PQ First Sent to Client Date": "Pre-PQ Process", "Shipment Mode": "N/A"}),
        scms_line(3, "DN-3", "1", "1", **{"PQ First Sent to Client Date": "Date Not Captured"}),
        scms_line(4, "DN-4", "heavy", "1", **{"PO Sent to Vendor Date": "N/A - From RDC"}),
        scms_line(5, "DN-5", "1", "1", **{"PO Sent to Vendor Date": "soon"}),
        scms_line(6, "DN-6", "1", "1", **{"Scheduled Delivery Date": "8/4/2014"}),
    )
    lake.good()
    assert columns(lake, "silver.delivery.scms", "line_id, quoted_on, ordered_on, promised_on, mode, destination") == {
        (1, date(2014, 10, 17), None, date(2014, 8, 4), "Air", "Côte d'Ivoire"),
        (2, None, None, date(2014, 8, 4), None, "Côte d'Ivoire"),
        (3, None, None, date(2014, 8, 4), "Air", "Côte d'Ivoire"),
    }
    reasons = {tuple(row[0]) for row in lake.rows("SELECT _reasons FROM quarantine.delivery.scms")}
    assert reasons == {
        ("weight_said: heavy is none of Weight Captured Separately",),
        ("ordered_on: cannot read PO Sent to Vendor Date=soon as date",),
        ("promised_on: cannot read Scheduled Delivery Date=8/4/2014 as date",),
    }


@pytest.mark.long
def test_both_sources_stand_side_by_side_and_either_alone_is_enough(lake: Lake) -> None:
    land_house(contracts(lake, "delivery"))
    lake.land("delivery/shipments/1.csv", SHIPMENTS + shipped(1, "2026-01-10", "2026-01-12", "2026-01-12"))
    lake.good()
    names = "source, currency, shipments, on_time_pct, revenue, margin, carbon_kg"
    own = ("own", "GBP", 1, Decimal(100), Decimal(100), Decimal(40), Decimal("1.5"))
    assert columns(lake, "gold.delivery.kpis_monthly", names) == {own}
    land_scms(lake, "1", scms_line(1, "DN-304", "1", "1"))
    lake.good()
    scms = ("scms", "USD", 1, Decimal(0), Decimal("99.5"), None, None)
    assert columns(lake, "gold.delivery.kpis_monthly", names) == {own, scms}
    assert columns(lake, "gold.delivery.daily_on_time", "source, carrier, lane, on_time, late") == {
        ("own", "TERN", "Leith > Norway", 1, 0),
        ("scms", "Air", "x > Côte d'Ivoire", 0, 1),
    }
    assert columns(lake, "gold.delivery.late_arrivals", "source, event_type, days_late, events") == {
        ("scms", "delivered", 2, 1)
    }


@pytest.mark.skipif(not SCMS.is_dir(), reason="the real file is not here; set REAL_DATA to the folder that holds scms/")
def test_the_real_history_gives_the_published_figures(lake: Lake) -> None:
    contracts(lake, "delivery")
    [path] = SCMS.glob("SCMS*.csv")
    lake.land("delivery/scms/history.csv", path.read_bytes())
    lake.good()
    raw = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert lake.rows("SELECT count(*) FROM quarantine.delivery.scms") == [(0,)]
    assert lake.rows(
        "SELECT sum(promised), sum(delivered), sum(late), sum(on_time) FROM gold.delivery.daily_on_time"
    ) == [(10_324, 10_324, 1_186, 9_138)]
    assert lake.rows("SELECT sum(shipments), sum(late), sum(early) FROM gold.delivery.promise_accuracy") == [
        (10_324, 1_186, 2_814)
    ]
    assert percent(1_186, 10_324) == Decimal("11.49")
    # every reference leads to a number, or to the words that stand in its place
    assert lake.rows(
        "SELECT count(*), count(note_weight_kg), count(*) FILTER (WHERE weight_said = 'Weight Captured Separately') "
        "FROM gold.delivery.scms_shipments WHERE weight_of IS NOT NULL"
    ) == [(2_445, 2_319, 126)]
    assert lake.rows(
        "SELECT count(*), count(note_freight_usd), count(*) FILTER (WHERE freight_said = 'Invoiced Separately') "
        "FROM gold.delivery.scms_shipments WHERE freight_of IS NOT NULL"
    ) == [(2_445, 2_340, 105)]
    weights = {row["ID"]: row["Weight (Kilograms)"] for row in raw}

    def weight(text: str) -> Decimal | None:
        found = re.fullmatch(r"See .+ \(ID#:(\d+)\)", text)
        return weight(weights[found[1]]) if found else Decimal(text) if text[0].isdigit() else None

    assert dict(lake.rows("SELECT line_id, note_weight_kg FROM gold.delivery.scms_shipments")) == {
        int(number): weight(text) for number, text in weights.items()
    }
    value = sum(Decimal(row["Line Item Value"]) for row in raw)
    assert lake.rows("SELECT sum(revenue), sum(shipments) FROM gold.delivery.kpis_monthly") == [(value, 10_324)]
    assert lake.rows("SELECT sum(events) FROM gold.delivery.late_arrivals WHERE days_late = 0") == [(8_413,)]
    run = lake.good()
    assert sum(record.records_written for record in run.records) == 0


# -- the sample feed


# of carriers, customers, shipments and events
SAME = [
    "ee9a3248ceea1394",
    "919a185247c2f7b6",
    "14d6fea0c69fc499",
    "9494c90efc63639f",
]


def test_the_same_seed_and_day_give_the_same_bytes_everywhere() -> None:
    texts = [of(FRIDAY, 7) for of in (demo.carriers, demo.customers, demo.shipments, demo.tracking_events)]
    assert [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts] == SAME
    assert demo.shipments(FRIDAY, 8) != texts[2] != demo.shipments(FRIDAY - DAY, 7)


def test_a_file_is_the_same_whatever_else_is_landed(tmp_path: Path, landed: Path) -> None:
    files = demo.land(tmp_path, days=2, last=FRIDAY, seed=7)
    assert [path.relative_to(tmp_path / "delivery").as_posix() for path in files] == [
        "carriers/2026-03-26.csv",
        "shipments/2026-03-26.csv",
        "tracking_events/2026-03-26.ndjson",
        "carriers/2026-03-27.csv",
        "shipments/2026-03-27.csv",
        "tracking_events/2026-03-27.ndjson",
    ]
    for path in files:
        assert path.read_bytes() == (landed / path.relative_to(tmp_path)).read_bytes()
    assert sorted(files) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert demo.land(tmp_path, days=2, last=FRIDAY, seed=7) == []
    assert files[-1].stat().st_mtime == datetime(2026, 3, 27, 21).timestamp() - datetime(1970, 1, 1).timestamp()


def test_files_that_are_there_stay_and_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "one" / demo.FEED / "carriers" / f"{FRIDAY}.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert mine not in demo.land(tmp_path / "one", days=1, last=FRIDAY, seed=7)
    assert mine.read_text() == "mine"
    (tmp_path / "delivery").write_text("a file in the way")
    with pytest.raises(MachineError, match=f"{FRIDAY}.csv"):
        demo.land(tmp_path, days=1, last=FRIDAY, seed=7)


def test_every_order_of_the_shop_with_an_account_is_shipped_within_two_days(told: list[Said]) -> None:
    by_order = {row["OrderID"]: row for row in told}
    assert len(by_order) == len(told)
    missing = 0
    for back in range(5, 25):
        ordered = FRIDAY - back * DAY
        for order in sales.orders(ordered, 7):
            row = by_order.get(order.number)
            if row is None:
                missing += 1  # every row of it was dirty or is still on its way
                continue
            assert row["CustomerID"] + ".0" == order.customer
            assert (row["Destination"], Decimal(row["Revenue"])) == (order.country, round(order.amount, 2))
            assert 0 <= (day_of(row, "Shipped") - ordered).days <= 2
    assert missing <= 6


def test_the_sample_has_the_defects_it_promises(landed: Path, reported: Mapping[tuple[str, str, str], int]) -> None:
    rows = list(lines(landed, "shipments"))
    assert 90 <= len(rows) / 30 <= 125
    sound = [dict(zip(demo.SHIPMENTS, row, strict=True)) for row in rows if is_sound(row)]
    assert 0.002 < 1 - len(sound) / len(rows) < 0.01
    promises: defaultdict[str, set[str]] = defaultdict(set)
    old = 0
    for row in sound:
        promises[row["ShipmentID"]].add(row["Promised"])
        old += (date.fromisoformat(row["UpdatedAt"][:10]) - day_of(row, "Shipped")).days >= 28
    assert 20 <= sum(len(found) > 1 for found in promises.values()) <= 150
    assert old >= 3
    arrivals = [day for path in sorted((landed / "delivery/shipments").glob("*.csv")) for day in late_rows(path)]
    assert sum(days == 1 for days in arrivals) >= 60  # the day before's once more, and late ones
    assert sum(days >= 2 for days in arrivals) >= 20
    copies = sum(
        count - 1
        for path in (landed / "delivery/shipments").glob("*.csv")
        for count in Counter(path.read_text().splitlines()).values()
    )
    assert 15 <= copies <= 50
    told_twice = Counter(
        (said["shipment_id"], said["type"], said["time"])
        for path in (landed / "delivery/tracking_events").glob("*.ndjson")
        for line in path.read_text().splitlines()
        if line.endswith("}") and (said := json.loads(line))
    )
    assert 0.02 < sum(count > 1 for count in told_twice.values()) / len(told_twice) < 0.06
    assert 0.1 < sum(late > 0 for late in reported.values()) / len(reported) < 0.2
    stamps = [json.loads(line)["received"] for line in some_lines(landed)]
    assert stamps != sorted(stamps)


def late_rows(path: Path) -> Iterator[int]:
    """The days from the writing of a file's rows to the file's day."""
    for row in filter(is_sound, list(csv.reader(io.StringIO(path.read_text())))[1:]):
        yield (date.fromisoformat(path.stem) - date.fromisoformat(row[-1][:10])).days


def some_lines(landed: Path) -> list[str]:
    text = (landed / f"delivery/tracking_events/{FRIDAY}.ndjson").read_text()
    return [line for line in text.splitlines() if line.endswith("}")][:40]


def test_a_few_customers_change_from_week_to_week() -> None:
    weeks = [demo.customers(date(2026, 3, 9) + at * 7 * DAY, 7).splitlines()[1:] for at in range(3)]
    assert [len(week) for week in weeks] == [1_800] * 3
    for before, after in pairwise(weeks):
        assert 5 <= len(set(after) - set(before)) <= 16
    assert demo.customers(date(2024, 1, 1), 7) == demo.customers(date(2025, 1, 6), 7)  # before the first change


def test_each_number_of_a_mart_is_explained_by_rows_over_which_alone_its_model_gives_it(company: Lake) -> None:
    failed, tables = trace_rows(company, each=1)
    assert failed == []
    assert len(tables) >= 5
