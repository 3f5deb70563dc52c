"""Some days of the company with three things wrong at once, told as a person would: by cause."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from conftest import ROOT, Lake

from src import alerts
from src.demo import delivery, sales
from src.facts import State, read_facts
from src.project import open_project
from src.report import health, status
from src.run import runs

LAST, DAY = date(2026, 3, 27), timedelta(days=1)
BAD_AUDIT = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    "C999990,85123A,THING,5,2026-03-20 10:00:00,2.5,12345.0,Germany\n"
)
RETYPED = "5{at},85123A,THING,many,yesterday,cheap,12345,Germany\n"


def days(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[datetime]:
    """Land and run day by day; in the last week the shop's file is broken, and no carrier reports anything."""
    for back in range(13, -1, -1):
        day = LAST - back * DAY
        span = 40 if back == 13 else 1
        sales.land(lake.data / "landing", days=span, last=day - DAY, seed=7)
        for path in delivery.land(lake.data / "landing", days=span, last=day - DAY, seed=7):
            if back < 5 and path.parent.name == "tracking_events":
                path.unlink()
        newest = lake.data / f"landing/sales/order_lines/{day - DAY}.csv"
        if back < 7 and newest.exists():
            rows = newest.read_text()
            newest.write_text(rows + "".join(RETYPED.format(at=at) for at in range(rows.count("\n") // 25)))
        if back == 6:
            lake.land("sales/order_lines/corrections.csv", BAD_AUDIT)
        morning = datetime.combine(day, time(6, 15), UTC)
        monkeypatch.setattr(runs, "now", lambda morning=morning: morning)
        lake.run()
        yield morning


@pytest.mark.long
def test_three_faults_and_no_backup_are_four_causes(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("silver/sales", "silver/delivery", "gold/sales", "gold/delivery", "ml/delivery"):
        shutil.copytree(ROOT / "src" / name, lake.root / "src" / name)
    *_, now = days(lake, monkeypatch)
    with open_project(lake.settings) as project:
        found = health.read_health(project, now)
        health.send_alerts(project, found)
        facts = read_facts(project, now)
        capsys.readouterr()
        status.print_status(status.read_status(project, now))
    lines = capsys.readouterr().out.splitlines()
    assert {known.cause.head.incident: known.urgency for known in facts.causes} == {
        "table silver.sales.order_lines": "P1",
        "quiet bronze.delivery.tracking_events": "P2",
        "backup lake": "P2",
        "schema bronze.sales.order_lines": "P3",
    }
    assert facts.verdict == "4 problems, the worst P1"
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    assert facts.tables["gold.sales.daily_revenue"].state is State.BLOCKED
    with open_project(lake.settings) as project:
        listed = alerts.open_incidents(project.engine, lake.data)
    assert {one for known in facts.causes for one in known.incidents} == {one.incident for one in listed}
