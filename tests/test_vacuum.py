"""Vacuum removes what no reader needs, and nothing else; what it takes from rollback, it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, Lake

import main
from src import lake as delta
from src.errors import LockedError, MachineError, UsageError
from src.maintenance import rollback, vacuum
from src.project import open_project
from src.run import lock, releases, runs

HEADER = "order_id,day,amount,updated\n"
HOUR = 3600


def days(lake: Lake, count: int) -> None:
    """As many runs, each of which corrects the one order there is."""
    lake.shop()
    for number in range(1, count + 1):
        lake.land(f"shop/orders/{number}.csv", f"{HEADER}1,2024-01-01,{number},{number}\n")
        lake.good()


def args(hours: int = 168, *, purge: bool = False, yes: bool = False, dry_run: bool = False) -> list[str]:
    asked = {"--purge": purge, "--yes": yes, "--dry-run": dry_run}
    return [f"--retention-hours={hours}", *(word for word, given in asked.items() if given)]


def do(lake: Lake, args: list[str]) -> int:
    return lake.command("vacuum", *args)


def files(lake: Lake, table: str) -> set[str]:
    root = delta.table_path(lake.data, table)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if "_delta_log" not in path.parts}


def live(lake: Lake, table: str) -> set[str]:
    snapshot = delta.open_table(delta.table_path(lake.data, table))
    assert snapshot is not None
    return {file.path for file in snapshot.files}


def age(lake: Lake, hours: float) -> None:
    """Move the clock: all that the lake did was done so many hours earlier."""
    back = time.time() - hours * HOUR
    for path in [*lake.data.rglob("*.json"), *lake.data.rglob("*.parquet")]:
        if path.name.startswith("."):
            continue
        if path.suffix == ".json":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for gone in (line["remove"] for line in lines if "remove" in line):
                gone["deletionTimestamp"] -= int(hours * HOUR * 1000)
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        os.utime(path, (back, back))


def test_what_left_a_table_within_168_hours_stays(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    days(lake, 3)
    before = files(lake, "silver.shop.orders")
    age(lake, 167)
    assert do(lake, args()) == 0
    assert files(lake, "silver.shop.orders") == before
    assert capsys.readouterr().out.splitlines()[-1] == "0 changed"


def test_what_left_a_table_more_than_168_hours_ago_goes(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    days(lake, 3)
    rows = lake.rows("SELECT order_id, amount FROM silver.shop.orders")
    age(lake, 169)
    assert do(lake, args()) == 0
    assert {name for name in files(lake, "silver.shop.orders") if name.endswith(".parquet")} == live(
        lake, "silver.shop.orders"
    )
    assert lake.rows("SELECT order_id, amount FROM silver.shop.orders") == rows
    said = capsys.readouterr().out
    assert "rollback will no longer reach 2 releases" in said
    assert "the last verified backup: none" in said
    assert [
        (step, before > after)
        for step, before, after in lake.rows(
            'SELECT "table", files_before, files_after FROM ops.maintenance ORDER BY 1'
        )
    ] == [("gold.shop.daily", True), ("silver.shop.orders", True)]
    assert do(lake, args()) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 changed"
    assert lake.good().steps[-1].partitions == 0


def test_a_dry_run_says_what_it_would_and_changes_nothing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    days(lake, 2)
    age(lake, 200)
    before = {path: path.stat().st_mtime_ns for path in lake.data.rglob("*")}
    assert do(lake, args(dry_run=True)) == 0
    assert {path: path.stat().st_mtime_ns for path in lake.data.rglob("*")} == before
    assert "rollback will no longer reach 1 releases" in capsys.readouterr().out


def test_rollback_reaches_what_vacuum_said_it_would_and_not_what_it_said_it_would_not(lake: Lake) -> None:
    days(lake, 2)
    age(lake, 200)
    lake.land("shop/orders/3.csv", f"{HEADER}1,2024-01-01,3,3\n")
    lake.good()
    with open_project(lake.settings) as project:
        steps = vacuum.plan(lake.data, 168, time.time())
        gone = vacuum.lost(project, steps)
        reached = [run_id for run_id in releases.all_of(project.engine, lake.data) if run_id not in gone]
        assert (len(gone), len(reached)) == (1, 2)
        assert do(lake, args()) == 0
        for run_id in (*gone, *reached):
            planned = rollback.plan(project, releases.named(project.engine, lake.data, run_id))
            for step in planned:
                if run_id in reached:
                    delta.check_restorable(project.path(step.table), step.back)
            if run_id in gone:
                with pytest.raises(MachineError, match="vacuum removed"):
                    for step in planned:
                        delta.check_restorable(project.path(step.table), step.back)


def test_the_newest_release_stays_whole_however_old_it_is(lake: Lake) -> None:
    days(lake, 1)
    before = releases.newest(lake.data)
    lake.add_largest("SELECT nonsense FROM silver.shop.orders")
    lake.land("shop/orders/2.csv", f"{HEADER}1,2024-01-01,2,2\n")
    lake.run()  # a table of the mart fails, so readers stay at the version before of the other
    released, daily = releases.newest(lake.data), delta.open_table(lake.data / "gold/shop/daily")
    assert daily and released["gold.shop.daily"] == before["gold.shop.daily"] < daily.version
    age(lake, 2000)
    assert do(lake, args()) == 0
    for table, version in released.items():
        delta.check_restorable(delta.table_path(lake.data, table), version)


def test_what_no_commit_names_goes_once_it_is_old(lake: Lake) -> None:
    days(lake, 1)
    root = lake.data / "silver/shop/orders"
    left = [root / "part-lost.parquet", root / "part-1.parquet#1", root / "_delta_log/00000000000000000009.json#1"]
    for path in left:
        path.write_bytes(b"half a file")
    assert do(lake, args()) == 0
    assert [path.exists() for path in left] == [True, True, True]
    for path in left:
        os.utime(path, (time.time() - 169 * HOUR,) * 2)
    assert do(lake, args()) == 0
    assert [path.exists() for path in left] == [False, False, False]


def test_a_purge_leaves_what_somebody_may_be_writing_without_the_lock(lake: Lake) -> None:
    days(lake, 1)
    root = lake.data / "ops/releases"
    fresh, old = root / "part-fresh.parquet", root / "part-old.parquet"
    for path in (fresh, old):
        path.write_bytes(b"not committed yet")
    os.utime(old, (time.time() - 2 * HOUR,) * 2)
    assert do(lake, args(0, purge=True, yes=True)) == 0
    assert (fresh.exists(), old.exists()) == (True, False)
    fresh.unlink()


def test_less_than_168_hours_is_refused_unless_a_purge_is_asked_for_and_confirmed(lake: Lake) -> None:
    days(lake, 2)
    before = files(lake, "silver.shop.orders")
    with pytest.raises(UsageError, match="a retention of 167 hours"):
        do(lake, args(167))
    with pytest.raises(UsageError, match="nobody confirmed"):
        do(lake, args(0, purge=True))
    assert files(lake, "silver.shop.orders") == before
    assert do(lake, args(0, purge=True, yes=True)) == 0
    assert {name for name in files(lake, "silver.shop.orders") if name.endswith(".parquet")} == live(
        lake, "silver.shop.orders"
    )


@pytest.mark.parametrize(("typed", "code", "left"), [("no", 2, 2), ("purge", 0, 1)])
def test_at_a_terminal_a_purge_is_confirmed_by_a_word(lake: Lake, typed: str, code: int, left: int) -> None:
    days(lake, 2)
    person, terminal = os.openpty()
    os.write(person, f"{typed}\n".encode())
    command = [sys.executable, "main.py", "vacuum", "--retention-hours", "0", "--purge"]
    environ = os.environ | {"DATA_DIR": str(lake.data), "LOG_DIR": str(lake.root / "logs")}
    ran = subprocess.run(command, cwd=ROOT, env=environ, stdin=terminal, capture_output=True, text=True, check=False)
    os.close(person)
    os.close(terminal)
    assert ran.returncode == code, ran.stderr
    assert "Type purge to remove these files for good" in ran.stdout
    assert len([name for name in files(lake, "silver.shop.orders") if name.endswith(".parquet")]) == left


def test_vacuum_waits_for_nobody_who_holds_the_lake(lake: Lake) -> None:
    days(lake, 2)
    age(lake, 200)
    before = files(lake, "silver.shop.orders")
    with lock.lock_lake(lake.data, command="make pipeline", run_id="r", now=runs.now()), pytest.raises(LockedError):
        do(lake, args())
    assert files(lake, "silver.shop.orders") == before


def test_the_log_of_a_table_is_kept_in_bounds_and_its_progress_with_it(lake: Lake) -> None:
    days(lake, 12)
    age(lake, 61 * 24)
    assert do(lake, args()) == 0
    for table in ("bronze.shop.orders", "silver.shop.orders", "gold.shop.daily", "ops.pipeline_runs"):
        entries = sorted(path.name for path in (delta.table_path(lake.data, table) / "_delta_log").glob("0*"))
        assert len(entries) <= 2 + delta.LOG_ENTRIES, (table, entries)  # without, all fourteen
    assert lake.good().records[-1].records_written == 0
    lake.land("shop/orders/again.csv", f"{HEADER}1,2024-01-01,2,2\n")  # bytes taken before, under another name
    assert lake.good().records[-1].records_read == 0
    assert lake.rows("SELECT amount FROM silver.shop.orders") == [(12,)]


def test_the_command_refuses_what_is_no_number_of_hours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["vacuum", "--retention-hours", "-1"])
    assert "is no number of hours" in capsys.readouterr().err


def test_a_folder_that_became_empty_goes_too(lake: Lake) -> None:
    lake.shop()
    for number, day in enumerate(("2024-01-01", "2024-01-02"), 1):
        lake.land(f"shop/orders/{number}.csv", f"{HEADER}1,{day},{number},{number}\n")
        lake.good()
    root: Path = lake.data / "silver/shop/orders"
    assert do(lake, args(0, purge=True, yes=True)) == 0
    assert sorted(path.name for path in root.iterdir()) == ["_delta_log", "day=2024-01-02"]
