"""A version number that was used twice is noticed: what was consumed is known by its log entry, not by its number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Lake
from deltalake import DeltaTable

from src import lake as delta

HEADER = "order_id,day,amount,updated\n"
IDS = "SELECT order_id FROM silver.shop.orders ORDER BY 1"
DAYS = "SELECT day::VARCHAR, amount FROM gold.shop.daily ORDER BY 1"
LOST = "lost entries: what was consumed is not there any more"


def lose(lake: Lake, table: str, entries: int = 1) -> None:
    """The newest entries of a log are gone, as after a copy that was cut short or a disk that lied."""
    for path in sorted((lake.data / table / "_delta_log").glob("*.json"))[-entries:]:
        path.unlink()


def notes(lake: Lake, table: str) -> str:
    return str(lake.step(lake.good(), table).notes)


def version(root: Path) -> int:
    table = delta.open_table(root)
    assert table
    return table.version


def test_silver_is_computed_again_where_bronze_used_a_version_twice(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n9,2024-01-01\n")
    lake.good()
    before = version(lake.data / "bronze/shop/orders")
    lose(lake, "bronze/shop/orders")
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    assert LOST in notes(lake, "silver.shop.orders")
    assert version(lake.data / "bronze/shop/orders") == before
    assert lake.rows(IDS) == [(1,), (2,)]
    assert lake.rows(DAYS) == [("2024-01-01", 10), ("2024-01-02", 20)]
    assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(1,)]
    assert LOST not in notes(lake, "silver.shop.orders")


def test_silver_is_computed_again_where_bronze_has_fewer_versions_than_it_consumed(lake: Lake) -> None:
    lake.shop()
    for day in (1, 2, 3):
        lake.land(f"shop/orders/{day}.csv", HEADER + f"{day},2024-01-0{day},10,1\n")
        lake.good()
    lose(lake, "bronze/shop/orders", 2)
    lake.land("shop/orders/1.csv", HEADER + "4,2024-01-04,10,1\n")
    assert LOST in notes(lake, "silver.shop.orders")
    assert lake.rows(IDS) == [(1,), (2,), (3,), (4,)]


def test_gold_is_computed_again_where_silver_used_a_version_twice(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    lake.good()
    lose(lake, "silver/shop/orders")
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-03,30,2\n")
    (lake.data / "landing/shop/orders/1.csv").unlink()
    assert LOST in notes(lake, "gold.shop.daily")
    assert lake.rows(DAYS) == [("2024-01-01", 10), ("2024-01-03", 30)]
    assert LOST not in notes(lake, "gold.shop.daily")


def test_a_quarantine_that_is_ahead_of_its_table_is_made_anew_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02\n")
    commit = delta.commit

    def killed(table: delta.Snapshot, **given: object) -> delta.Snapshot:
        if table.root == lake.data / "silver/shop/orders":
            raise KeyboardInterrupt
        return commit(table, **given)  # type: ignore[arg-type]

    with monkeypatch.context() as dying:
        dying.setattr(delta, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            lake.run()
    lose(lake, "bronze/shop/orders")
    lake.land("shop/orders/2.csv", HEADER + "3,2024-01-03\n4,2024-01-04\n")
    lake.good()
    assert lake.rows("SELECT _values FROM quarantine.shop.orders ORDER BY 1") == [("3,2024-01-03",), ("4,2024-01-04",)]


def without_records(lake: Lake) -> None:
    """Tables as an older Boathouse left them, which recorded numbers alone."""
    for table, source in (("silver/shop/orders", "bronze.shop.orders"), ("gold/shop/daily", "silver.shop.orders")):
        snapshot = delta.open_table(lake.data / table)
        assert snapshot
        delta.commit(snapshot, progress={f"entry:{source}": -1})


def without_entries(lake: Lake) -> None:
    """The log was summed up and shortened, as vacuum does in time."""
    compacted(lake)
    for table in ("bronze/shop/orders", "silver/shop/orders"):
        DeltaTable(lake.data / table).create_checkpoint()
        for path in sorted((lake.data / table / "_delta_log").glob("*.json"))[:-1]:
            path.unlink()


def compacted(lake: Lake) -> None:
    for table in ("bronze/shop/orders", "silver/shop/orders"):
        DeltaTable(lake.data / table).optimize.compact()


@pytest.mark.parametrize("change", [without_records, without_entries, compacted])
def test_what_is_no_loss_raises_no_alarm(lake: Lake, change: Callable[[Lake], None]) -> None:
    lake.shop()
    for day in (1, 2):
        lake.land(f"shop/orders/{day}.csv", HEADER + f"{day},2024-01-01,10,1\n")
        lake.good()
    change(lake)
    lake.land("shop/orders/3.csv", HEADER + "3,2024-01-03,10,1\n")
    run = lake.good()
    steps = [lake.step(run, table) for table in ("silver.shop.orders", "gold.shop.daily")]
    assert LOST not in str([step.notes for step in steps])
    assert [step.records_read for step in steps] == [1, 1]
    assert lake.rows(IDS) == [(1,), (2,), (3,)]


def test_tables_of_an_older_boathouse_record_entries_from_then_on(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    without_records(lake)
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,10,1\n")
    lake.good()
    lose(lake, "bronze/shop/orders")
    lake.land("shop/orders/2.csv", HEADER + "3,2024-01-03,10,1\n")
    assert LOST in notes(lake, "silver.shop.orders")
    assert lake.rows(IDS) == [(1,), (3,)]


def test_a_rollback_goes_back_to_what_was_consumed_too(lake: Lake) -> None:
    from src.maintenance import rollback
    from src.project import open_project
    from src.run import releases
    from src.run.kinds import RunKind
    from src.run.recorded import recorded_run

    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    first = lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-02,20,1\n")
    lake.good()
    with open_project(lake.settings) as project:
        versions = releases.named(project.engine, lake.data, first.run_id)
        with recorded_run(project, RunKind.ROLLBACK, "rollback") as this:
            rollback.execute(project, rollback.plan(project, versions), versions, this)
    assert lake.rows(IDS) == [(1,)]
    assert LOST not in notes(lake, "silver.shop.orders")
    assert lake.rows(IDS) == [(1,), (2,)]
