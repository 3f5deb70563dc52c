"""The sample company's lake as a newcomer first sees it: no problem, every promise kept, on whatever day and hour."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from conftest import ROOT, Lake, short

from src import monitors
from src.demo import delivery, feeds, manufacturing, sales
from src.monitors import Findings
from src.monitors.freshness import KEPT
from src.project import open_project

FORTNIGHT = [date(2026, 3, 16) + timedelta(days=ahead) for ahead in range(14)]  # from a Monday on
HOURS = (time(0, 10), time(12), time(23, 50))
SEED = 7


def find(lake: Lake, day: date) -> list[Findings]:
    """What is found in the small hours, at noon and before midnight."""
    with open_project(lake.settings) as project:
        return [monitors.evaluate(project, datetime.combine(day, hour, UTC)) for hour in HOURS]


def assert_fine(lake: Lake, day: date, tables: int) -> None:
    for found in find(lake, day):
        assert [f"{problem.incident}: {problem.what}" for problem in found.problems] == []
        assert [(row.table, row.grade) for row in found.freshness if row.grade not in KEPT] == []
        assert len(found.freshness) == tables


@pytest.mark.parametrize("day", short(FORTNIGHT, 1))
def test_what_the_company_writes_is_as_it_promises(tmp_path: Path, day: date) -> None:
    lake = Lake(tmp_path)
    (tmp_path / "src/gold").mkdir(parents=True)
    for name, part in {"sales": sales, "delivery": delivery, "manufacturing": manufacturing}.items():
        shutil.copytree(ROOT / "src/silver" / name, tmp_path / "src/silver" / name)
        part.land(lake.data / "landing", days=30, last=day - timedelta(days=1), seed=SEED)
    lake.good()
    assert_fine(lake, day, 5)


@pytest.mark.long
@pytest.mark.parametrize("day", FORTNIGHT)
def test_the_whole_lake_is_fine(tmp_path: Path, day: date) -> None:
    lake = Lake(tmp_path)
    shutil.copytree(ROOT / "src/silver", tmp_path / "src/silver")
    shutil.copytree(ROOT / "src/gold", tmp_path / "src/gold")
    shutil.copytree(ROOT / "src/ml/delivery", tmp_path / "src/ml/delivery")
    feeds.land(lake.data / "landing", days=30, last=day - timedelta(days=1), seed=SEED)
    lake.good()
    assert_fine(lake, day, 15)
