"""The report of a month: growth beside the month before and a year before; what was not measured is empty."""

from __future__ import annotations

from datetime import UTC, date, datetime

from conftest import Lake

from src.facts.growth import Growth, bytes_a_day, read_growth
from src.monitors import freshness, storage
from src.monitors.freshness import Freshness
from src.monitors.storage import TableStats
from src.project import open_project
from src.run import runs

NOVEMBER = date(2026, 11, 1)
NOW = datetime(2026, 12, 2, 8, tzinfo=UTC)


def size(moment: datetime, rows: int, on_disk: int | None) -> TableStats:
    return TableStats(moment, "gold.shop.daily", 1, rows, 1, 10 * rows, on_disk, 0, 1, 0, None)


def grade(day: int, grade: str, month: int = 11) -> Freshness:
    moment = datetime(2026, month, day, 3, tzinfo=UTC)
    return Freshness(moment, "gold.shop.daily", None, "day", None, 1.0, 0.0, 1.0, 26.0, grade, False)


def measured(lake: Lake) -> Growth:
    """Sizes of three months, of which a year lies between two, and promises of two."""
    lake.shop()
    sizes = [
        size(datetime(2025, 11, 30, tzinfo=UTC), 50, 500),
        size(datetime(2026, 10, 1, tzinfo=UTC), 1, 10),
        size(datetime(2026, 10, 31, tzinfo=UTC), 100, 1000),
        size(datetime(2026, 11, 5, tzinfo=UTC), 110, 1100),
        size(datetime(2026, 11, 30, 23, 59, tzinfo=UTC), 150, 1600),
        size(datetime(2026, 12, 1, tzinfo=UTC), 999, 9999),
    ]
    grades = [grade(1, "GOOD"), grade(2, "POOR"), grade(3, "EXCELLENT"), grade(4, "ACCEPTABLE"), grade(9, "GOOD", 10)]
    with open_project(lake.settings) as project:
        runs.append(project.engine, lake.data, storage.TABLE, TableStats, sizes)
        runs.append(project.engine, lake.data, freshness.TABLE, Freshness, grades)
        return read_growth(project, NOVEMBER, NOW)


def test_a_month_is_told_beside_the_month_before_and_the_same_month_a_year_before(lake: Lake) -> None:
    found = measured(lake)
    amounts = {one.name: (one.month, one.before, one.year_before) for one in found.amounts}
    assert found.over
    assert amounts["rows in all tables"] == (150.0, 100.0, 50.0)
    assert amounts["bytes on disk"] == (1600.0, 1000.0, 500.0)
    assert amounts["promises of freshness kept"] == (50.0, 100.0, None)
    assert amounts["runs"] == (None, None, None)  # nothing is made up
    assert [(one.table, one.rows, one.rows_before) for one in found.tables] == [("gold.shop.daily", 150, 100)]
    assert [(one.domain, one.kept, one.graded, one.kept_before) for one in found.promises] == [("shop", 2, 4, 1)]


def test_how_fast_a_disk_fills_is_told_from_three_days_at_least(lake: Lake) -> None:
    measured(lake)
    with open_project(lake.settings) as project:
        assert bytes_a_day(project, datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)) is None  # 11-05 and 11-30
        assert bytes_a_day(project, NOW) == (9999 - 1100) / 26


def test_the_report_of_a_month_is_written_and_kept(lake: Lake) -> None:
    measured(lake)
    ran = lake.typed("report", "--month", "2026-11")
    path = lake.data / "reports" / "month-2026-11.md"
    assert ran.returncode == 0 and f"wrote {path}" in ran.stdout
    text = path.read_text(encoding="utf-8")
    assert "| rows in all tables | 150 | 100 | +50% | 50 | +200% |" in text
    assert "| shop | 2 of 4 | 50.0% | 100.0% |" in text
    assert path.with_suffix(".html").is_file()
    lake.command("report")  # which removes daily reports that are old
    assert path.is_file()
    assert lake.typed("report", "--month", "11").returncode == 2
