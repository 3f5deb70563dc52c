"""Facts: what is so about a lake as plain data, read back from what is on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from conftest import DAILY, Lake

from src.facts import Facts, State, read_facts, wording
from src.maintenance import cron
from src.monitors.freshness import Freshness
from src.project import open_engine, open_project
from src.run import runs

HEADER = "order_id,day,amount,updated\n"
MONDAY = datetime(2026, 3, 30, 6, 30, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def look(lake: Lake, now: datetime | None = None) -> Facts:
    with open_project(lake.settings) as project:
        return read_facts(project, now or runs.now())


def graded(moment: datetime, grade: str) -> Freshness:
    return Freshness(moment, "gold.shop.daily", None, "day", None, 1.0, 0.0, 1.0, 26.0, grade, False)


def test_the_grade_of_each_day_is_its_last_and_older_days_are_left_out(lake: Lake) -> None:
    lake.shop()
    rows = [
        graded(MONDAY - 14 * DAY, "GOOD"),
        graded(MONDAY - 13 * DAY, "GOOD"),
        graded(MONDAY - DAY - HOUR, "EXCELLENT"),
        graded(MONDAY - DAY, "POOR"),
        graded(MONDAY + HOUR, "GOOD"),
    ]
    with open_engine(lake.settings) as engine:
        runs.append(engine, lake.data, "ops.freshness", Freshness, rows)
    found = look(lake, MONDAY).grades["gold.shop.daily"]
    assert {str(day): grade for day, grade in found.items()} == {"2026-03-17": "GOOD", "2026-03-29": "POOR"}


def test_rows_are_those_that_readers_see_beside_the_newest(lake: Lake) -> None:
    lake.shop()
    lake.add_largest(DAILY.replace("sum(amount)", "max(amount)"))
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.write(
        "gold/shop/largest.sql",
        DAILY.replace("sum(amount)", "max(CASE WHEN amount > 99 THEN error('no') ELSE amount END)"),
    )
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,100,1\n")
    assert list(lake.run().failures) == ["gold.shop.largest"]
    facts = look(lake)
    daily, orders, largest = (facts.tables[n] for n in ("gold.shop.daily", "silver.shop.orders", "gold.shop.largest"))
    assert (daily.state, daily.rows, daily.seen_rows) == (State.HELD_BACK, 2, 1)
    assert daily.reason == "held back by gold.shop.largest"
    assert (orders.state, orders.rows, orders.seen_rows, orders.reason) == (State.FINE, 2, 2, "")
    assert (largest.state, largest.rows, largest.seen_rows) == (State.FAILED, 1, 1)
    assert "no" in largest.reason


def test_what_comes_next_is_the_run_that_is_due_and_the_jobs_that_are_installed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop().land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    monkeypatch.setenv("PATH", str(lake.root / "bin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(lake.root / "config"))
    [due] = look(lake).upcoming
    assert (due.what, due.steps) == ("a run is due", ("run",))
    assert timedelta(hours=25) < due.at - runs.now() <= timedelta(hours=26)
    crontab = lake.root / "bin/crontab"
    crontab.parent.mkdir()
    block = cron.block(lake.root, lake.root / "cron.log", "/bin", 2, (".venv/bin/python", "main.py"))
    crontab.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{block}END\n")
    crontab.chmod(0o755)
    coming = look(lake).upcoming
    assert [one.at for one in coming] == sorted(one.at for one in coming)
    found = {one.what: one for one in coming}
    assert set(found) == {"hourly job", "daily job", "weekly job", "a run is due"}
    assert found["hourly job"].at - runs.now() <= timedelta(hours=1)  # the daily one may be sooner: it has its hour
    assert found["weekly job"].steps == ("forget", "optimize", "check", "backup", "drill", "vacuum")
    crontab.write_text("#!/bin/sh\necho no >&2\nexit 1\n")  # it refuses: a look does not fail by that
    assert [one.what for one in look(lake).upcoming] == ["a run is due"]


def test_a_run_tells_when_it_started_by_its_id() -> None:
    assert wording.run_started("20260330T063000123-abc123") == MONDAY
    assert wording.run_started("nightly") is None
    assert wording.run_started(None) is None


@pytest.mark.parametrize(
    ("hours", "text"), [(-1, "0 h ago"), (0.4, "0 h ago"), (47.4, "47 h ago"), (48, "2 days ago"), (180, "8 days ago")]
)
def test_an_age_is_told_in_hours_then_in_days(hours: float, text: str) -> None:
    assert wording.ago(MONDAY, MONDAY - timedelta(hours=hours)) == text
