"""What runs take is measured once, adds up, and is written whole or not at all."""

from __future__ import annotations

from decimal import Decimal
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake

from src.errors import MachineError
from src.maintenance import backup
from src.maintenance.manifests import BackupFile, BackupTable, Manifest
from src.project import open_project
from src.run import metering, releases, runs
from src.run.backup_sizes import BackupSizes
from src.run.kinds import RunKind
from src.run.metering import Usage
from src.run.recorded import recorded_run

HEADER = "order_id,day,amount,updated\n"
NEWEST = "FROM ops.cost WHERE number = (SELECT max(number) FROM ops.cost)"


def shop(lake: Lake) -> Lake:
    lake.shop().land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n")
    return lake


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# -- what a run takes


def test_what_a_run_takes_is_that_of_its_steps_and_what_is_left(lake: Lake) -> None:
    lake.environ |= {"COST_PER_CPU_HOUR": "0.04", "COST_PER_GB_MONTH": "0.02", "COST_CURRENCY": "NOK"}
    run = shop(lake).good()
    steps = ["bronze.shop.orders", "gold.shop.daily", "run.ops.run", "silver.shop.orders"]
    found = lake.rows(
        f"SELECT concat_ws('.', layer, domain, \"table\") AS name {NEWEST} AND cpu_seconds > 0 ORDER BY 1"
    )
    assert [name for (name,) in found] == steps
    seconds = sum(usage.cpu_seconds for _, usage in run.usages)
    in_steps, in_all = lake.rows(f"SELECT sum(cpu_seconds) FILTER (layer <> 'run'), sum(cpu_seconds) {NEWEST}")[0]
    assert in_steps == seconds
    assert seconds < in_all < run.meter.read().cpu_seconds
    priced = lake.rows(f"SELECT DISTINCT run_id, cpu_hour_price, gb_month_price, currency {NEWEST}")
    assert priced == [(run.run_id, Decimal("0.04"), Decimal("0.02"), "NOK")]


def test_what_is_left_of_a_run_is_never_below_nothing() -> None:
    whole = Usage(Decimal("3.5"), 5.0, 100, 70, None)
    parts = [Usage(Decimal("1.25"), 2.0, 300, 30, 1), Usage(Decimal("0.25"), 1.0, None, None, 1)]
    assert whole.minus(parts) == Usage(Decimal("2.00"), 2.0, 300, 40, None)
    assert Usage(Decimal(1), 1.0, None, 1, 1).minus([whole]) == Usage(Decimal(0), 0.0, 100, 0, 1)


@pytest.mark.skipif(not metering.can_reset(), reason="the peak of memory cannot be set back here")
def test_each_step_has_a_peak_of_memory_of_its_own() -> None:
    used: list[Usage] = []
    with metering.metered(used), mmap(-1, 100_000_000) as memory:  # pages of its own, whatever is free in the heap
        memory.write(bytes(100_000_000))
    with metering.metered(used):
        pass
    high, low = (usage.peak_memory or 0 for usage in used)
    assert high - low > 90_000_000


# -- what a table weighs


def test_a_table_is_measured_after_a_step_that_moved_it(lake: Lake) -> None:
    shop(lake).land("shop/orders/2.csv", HEADER + "3,2024-01-03,30,1\n")
    lake.good()
    lake.good()
    assert lake.rows(f"SELECT count(live_bytes), bool_or(complete) {NEWEST}") == [(0, False)]
    landed = lake.land("shop/orders/3.csv", HEADER + "3,2024-01-03,40,2\n").stat().st_size
    lake.good()
    found = lake.rows(f'SELECT layer, "table", landed_bytes, live_bytes + history_bytes {NEWEST} AND live_bytes > 0')
    folders = [("bronze", "orders", landed), ("silver", "orders", None), ("gold", "daily", None)]
    assert found == [(layer, name, taken, size(lake.data / layer / "shop" / name)) for layer, name, taken in folders]
    live = sum(path.stat().st_size for path in (lake.data / "bronze").rglob("*.parquet"))
    assert lake.rows(f"SELECT live_bytes {NEWEST} AND layer = 'bronze'") == [(live,)]


def test_every_table_is_measured_on_the_first_run_of_a_day_and_after_maintenance(lake: Lake) -> None:
    complete = f"SELECT bool_or(complete), count(live_bytes) FILTER (layer = 'ops') > 0 {NEWEST}"
    shop(lake).good()
    assert lake.rows(complete) == [(True, True)]
    lake.good()
    assert lake.rows(complete) == [(False, False)]
    assert lake.command("vacuum") == 0
    assert lake.rows(complete) == [(True, True)]


def test_backups_weigh_what_is_at_the_remote_and_no_file_twice(lake: Lake) -> None:
    shop(lake).good()
    assert lake.command("backup") == 0
    lake.land("shop/orders/2.csv", HEADER + "3,2024-01-03,30,1\n")
    lake.good()
    assert lake.command("backup") == 0
    lake.good()
    assert lake.rows(f"SELECT bool_or(complete), sum(backup_bytes) {NEWEST}") == [
        (True, size(lake.root / "backups/files"))
    ]


def test_a_file_that_several_backups_name_counts_once() -> None:
    old, new, both = (BackupFile(size, name * 64) for size, name in ((10, "a"), (200, "b"), (3000, "c")))
    first = Manifest("000001-x", "r1", "1", {"silver.a": BackupTable(1, 1, "", {"1": both, "2": old})})
    tables = {"silver.a": BackupTable(2, 1, "", {"1": both, "3": new}), "gold.b": BackupTable(1, 1, "", {"1": new})}
    assert backup.sizes_of([first, Manifest("000002-x", "r2", "1", tables)]) == BackupSizes(
        "000002-x", {"silver.a": 3210, "gold.b": 0}
    )


# -- a run that dies


def test_a_run_that_dies_leaves_no_half_of_its_cost(lake: Lake) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        open_project(shop(lake).settings) as project,
        recorded_run(project, RunKind.PIPELINE, "make pipeline"),
    ):
        raise KeyboardInterrupt
    assert not (lake.data / "ops/cost").exists()


def test_a_run_that_dies_before_the_commit_of_its_cost_has_none_and_the_next_has_all(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(lake).good()
    append = runs.append

    def die(*args: Any, **info: Any) -> None:
        if "ops.cost" in args:
            raise KeyboardInterrupt
        append(*args, **info)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "append", die)
        lake.run()
    died, before = lake.rows("SELECT count(DISTINCT run_id), (SELECT count(*) FROM ops.cost) FROM ops.pipeline_runs")[0]
    lake.good()
    per_run = lake.rows("SELECT run_id, count(*) FROM ops.cost GROUP BY 1 ORDER BY 1")
    assert (died, len(per_run), per_run[0][1]) == (2, 2, before)
    assert lake.rows("SELECT bool_and(number = 1 OR number = 2) FROM ops.cost") == [(True,)]


def test_what_a_run_took_is_recorded_whatever_becomes_of_its_release(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(lake).good()

    def fail(*_: object) -> None:
        raise MachineError("no room", fix="make room")

    monkeypatch.setattr(releases, "record", fail)
    with pytest.raises(MachineError):
        lake.run()
    assert lake.rows("SELECT count(DISTINCT run_id) FROM ops.cost") == [(2,)]


def test_no_run_fails_for_want_of_its_price(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    append = runs.append

    def fail(*args: Any, **info: Any) -> None:
        if "ops.cost" in args:
            raise MachineError("no room", fix="make room")
        append(*args, **info)

    monkeypatch.setattr(runs, "append", fail)
    shop(lake).good()
    assert not (lake.data / "ops/cost").exists()


def test_where_records_cannot_be_written_that_is_the_machines_error(lake: Lake) -> None:
    run = shop(lake).good()
    (lake.data / ".spill").write_text("no folder", "utf-8")
    with open_project(lake.settings) as project, pytest.raises(MachineError, match="exists"):
        runs.write(project.engine, lake.data, run)
    assert lake.rows("SELECT count(*) FROM ops.pipeline_runs") == [(4,)]
