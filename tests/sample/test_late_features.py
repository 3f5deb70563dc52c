"""Features of late deliveries against the lake itself: as it was on a day, it gave the events up to then the same."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake

from src.demo import delivery as demo

FRIDAY = date(2026, 3, 27)
FEEDS = ("shipments", "customers")
FEATURES = "SELECT * FROM gold.delivery.late_features WHERE asked_on <= '{}' ORDER BY ALL"
# From the first Monday on: before, no snapshot of the customers had come.
DAYS = [date(2026, 3, 2) + timedelta(days=days) for days in range(25)]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landed")
    demo.land(folder, days=30, last=FRIDAY, seed=7)
    return folder


@pytest.fixture
def features(lake: Lake) -> Lake:
    """The table of features, and nothing else of its mart."""
    for name in ("shipment_history", "customers", "scms"):
        source = ROOT / f"src/silver/delivery/{name}.yaml"
        lake.write(f"silver/delivery/{name}.yaml", source.read_text())
    mart = ROOT / "src/gold/delivery"
    head, *tables = (mart / "contract.yaml").read_text().split("\n  - name: ")
    [table] = [table for table in tables if table.startswith("late_features\n")]
    head = head[: head.index("slaProperties:")] + "slaProperties: [{property: frequency, value: 1, unit: d}]\nschema:"
    lake.write("gold/delivery/contract.yaml", f"{head}\n  - name: {table}")
    lake.write("gold/delivery/late_features.sql", (mart / "late_features.sql").read_text())
    return lake


def differing(lake: Lake, landed: Path, days: Sequence[date]) -> dict[date, int]:
    """How many rows of events up to each of these days the lake gave otherwise on that day than it does at the end.

    On each day the lake has the files that had landed by then, and no other.
    """
    then = {}
    for day in (*days, FRIDAY):
        for feed in FEEDS:
            for path in sorted((landed / "delivery" / feed).iterdir()):
                target = lake.data / "landing/delivery" / feed / path.name
                if path.stem <= str(day) and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)
        lake.good()
        then[day] = lake.rows(FEATURES.format(day))
    assert then[FRIDAY]
    found: dict[date, int] = {}
    for day in days:
        now: list[tuple[Any, ...]] = lake.rows(FEATURES.format(day))
        found[day] = len(set(then[day]) ^ set(now))
    return {day: count for day, count in found.items() if count}


@pytest.mark.parametrize(
    "days", [pytest.param(DAYS[5::9], id="three"), pytest.param(DAYS, id="all", marks=pytest.mark.long)]
)
def test_the_features_of_an_event_were_the_same_on_its_day(features: Lake, landed: Path, days: list[date]) -> None:
    assert differing(features, landed, days) == {}


@pytest.mark.long
def test_a_knownat_that_is_too_early_shows_when_the_lake_itself_is_cut(features: Lake, landed: Path) -> None:
    """Rows come in up to four days after they were written; that they were not known by then, this alone finds."""
    day_of_the_file = (
        "coalesce(cast(strptime(nullif(regexp_extract(_file, '\\d{4}-\\d{2}-\\d{2}'), ''), '%Y-%m-%d') as date)"
    )
    features.edit("silver/delivery/shipment_history.yaml", day_of_the_file, "coalesce(null")
    assert differing(features, landed, DAYS[5::9])
    assert features.findings() == []
