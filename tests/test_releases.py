"""A release is a set of versions that belong together: readers see one whole, rollback restores one whole."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from conftest import Lake

from src import catalog
from src import lake as delta
from src.errors import MachineError, UsageError
from src.maintenance import rollback
from src.project import open_engine, open_project
from src.run import pinned_release, releases, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run

HEADER = "order_id,day,amount,updated\n"
DAILY = "SELECT day, amount FROM gold.shop.daily ORDER BY day"


@dataclass(frozen=True)
class Before:
    """A row of ops.releases as it was before there were numbers."""

    run_id: str
    released_at: datetime
    table: str
    version: int
    number: InitVar[int | None] = None
    as_of: InitVar[str | None] = None
    git_commit: InitVar[str | None] = None
    git_dirty: InitVar[bool | None] = None
    draft: InitVar[bool | None] = None
    old_sources: InitVar[str | None] = None


def roll_back(lake: Lake, to: str) -> None:
    with open_project(lake.settings) as project:
        versions = releases.named(project.engine, lake.data, to)
        steps = rollback.plan(project, versions)
        with recorded_run(project, RunKind.ROLLBACK, f"rollback to {to}") as run:
            rollback.execute(project, steps, versions, run)


def seen(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a SELECT as readers get them: of the newest release."""
    with open_engine(lake.settings) as engine:
        known = catalog.tables(lake.data)
        wanted = {name: known[name] for name in engine.table_references(sql)}
        catalog.publish(engine, wanted, releases.newest(lake.data))
        return engine.rows(sql)


def two_days(lake: Lake) -> tuple[Run, Run]:
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\nx,2024-01-01,1,1\n")
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,99,2\n2,2024-01-02,20,1\ny,2024-01-01,1,1\n")
    return first, lake.good()


def test_a_successful_run_is_a_release_and_an_idle_one_adds_none(lake: Lake) -> None:
    lake.shop()
    first, second = two_days(lake)
    lake.good()
    assert lake.rows("SELECT DISTINCT run_id FROM ops.releases ORDER BY 1") == [(first.run_id,), (second.run_id,)]
    assert releases.newest(lake.data) == {
        name: version
        for name in ("bronze.shop.orders", "silver.shop.orders", "quarantine.shop.orders", "gold.shop.daily")
        if (version := delta.open_table(delta.table_path(lake.data, name)).version) is not None  # type: ignore[union-attr]
    }


def test_the_newest_release_is_the_one_recorded_last_whatever_the_clock_said(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    first = lake.good()
    released = releases.newest(lake.data)
    now = runs.now()
    monkeypatch.setattr(runs, "now", lambda: now - timedelta(days=400))
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    second = lake.good()
    idle = lake.good()
    assert second.started < first.started
    with open_engine(lake.settings) as engine:
        assert list(releases.all_of(engine, lake.data)) == [second.run_id, first.run_id]
        pinned, versions = pinned_release.pinned(engine, lake.data)
        assert pinned == second.run_id
        assert versions.items() >= releases.newest(lake.data).items()
        for run in (second, idle):
            assert releases.named(engine, lake.data, run.run_id) == releases.newest(lake.data)
        assert releases.named(engine, lake.data, first.run_id) == released


def test_releases_of_before_there_were_numbers_come_first(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop()
    monkeypatch.setattr(releases, "Entry", Before)
    monkeypatch.setattr(runs.Run, "counted", lambda run, count: None)
    first, second = two_days(lake)
    monkeypatch.undo()
    now = runs.now()
    monkeypatch.setattr(runs, "now", lambda: now - timedelta(days=400))
    lake.land("shop/orders/3.csv", HEADER + "3,2024-01-03,5,1\n")
    third = lake.good()
    with open_engine(lake.settings) as engine:
        assert list(releases.all_of(engine, lake.data)) == [third.run_id, second.run_id, first.run_id]
        old = [releases.named(engine, lake.data, run.run_id)["bronze.shop.orders"] for run in (first, second, third)]
    assert old == sorted(set(old))


def test_a_mart_that_fails_stays_as_it_was_and_its_sources_go_on(lake: Lake) -> None:
    lake.shop()
    _, second = two_days(lake)
    before = releases.newest(lake.data)
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.write("gold/shop/daily.sql", "SELECT nonsense FROM silver.shop.orders")
    lake.land("shop/orders/3.csv", HEADER + "3,2024-01-03,5,1\n")
    run = lake.run()
    assert set(run.failures) == {"gold.shop.daily"}
    after = releases.newest(lake.data)
    assert {name for name in after if after[name] != before[name]} == {"bronze.shop.orders", "silver.shop.orders"}
    assert seen(lake, "SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(1,), (2,), (3,)]
    assert seen(lake, DAILY) == [(date(2024, 1, 1), 99), (date(2024, 1, 2), 20)]
    [stays] = releases.behind(lake.data).values()
    assert (stays.table, stays.cause, stays.held_by) == ("gold.shop.daily", "failed", ("gold.shop.daily",))
    assert stays.as_of == second.run_id
    line = f"gold.shop.daily as of {second.run_id}: its own step failed"
    assert lake.rows(f"SELECT notes FROM ops.pipeline_runs WHERE run_id = '{run.run_id}' AND layer = 'run'") == [
        (f"window {run.window}\n{line}",)
    ]


def test_rollback_restores_every_table_of_a_release_and_the_next_run_goes_forward(lake: Lake) -> None:
    lake.shop()
    first, _ = two_days(lake)
    newest = lake.rows(DAILY)
    roll_back(lake, first.run_id)
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 10)]
    assert lake.rows("SELECT order_id FROM silver.shop.orders") == [(1,)]
    assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(1,)]
    assert lake.findings() == []
    lake.good()
    assert lake.rows(DAILY) == newest
    assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(2,)]
    assert lake.step(lake.good(), "gold.shop.daily").partitions == 0


def test_rollback_over_a_contract_change_brings_the_old_columns_back_and_the_next_run_migrates_again(
    lake: Lake,
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    first = lake.good()
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.edit(
        "silver/shop/orders.yaml",
        "      - {name: updated",
        "      - {name: twice, logicalType: number, physicalType: double, transformLogic: amount * 2}\n"
        "      - {name: updated",
    )
    lake.good()
    roll_back(lake, first.run_id)
    assert len(lake.rows("SELECT * FROM silver.shop.orders")[0]) == 7
    lake.good()
    assert lake.rows("SELECT twice FROM silver.shop.orders") == [(20.0,)]


def test_rollback_says_which_version_vacuum_removed_and_changes_nothing(lake: Lake) -> None:
    from deltalake import DeltaTable

    lake.shop()
    first, _ = two_days(lake)
    gold = DeltaTable(lake.data / "gold/shop/daily")
    gold.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    before = lake.rows(DAILY)
    with pytest.raises(MachineError, match="vacuum removed 1 files of version"):
        roll_back(lake, first.run_id)
    assert lake.rows(DAILY) == before


def test_an_unknown_run_is_refused_with_the_releases_there_are(lake: Lake) -> None:
    lake.shop()
    _, second = two_days(lake)
    with pytest.raises(UsageError, match="no run nonsense") as refused:
        roll_back(lake, "nonsense")
    assert second.run_id in str(refused.value)
