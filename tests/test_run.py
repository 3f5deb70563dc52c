"""A run: strict order, blocking, records, exit codes, and what a person sees."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import DAILY, MART, ORDERS, ROOT, Lake

import main
from src import catalog, records
from src import lake as delta
from src.commands.run import pipeline
from src.project import open_engine, open_project
from src.settings import load

HEADER = "order_id,day,amount,updated\n"


def other_domain(lake: Lake) -> None:
    """A second shop beside the first, with its own mart."""
    lake.write("silver/kiosk/orders.yaml", ORDERS.replace("shop", "kiosk"))
    lake.write("gold/kiosk/contract.yaml", MART.replace("shop", "kiosk"))
    lake.write("gold/kiosk/daily.sql", DAILY.replace("shop", "kiosk"))


def test_a_failed_table_blocks_what_depends_on_it_and_nothing_else(lake: Lake) -> None:
    lake.shop()
    other_domain(lake)
    lake.land("shop/orders/1.csv", "order_id\n1\n")
    lake.land("kiosk/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    run = lake.run()
    states = {r.table_id: r.status for r in run.records}
    assert states == {
        "bronze.shop.orders": "success",
        "bronze.kiosk.orders": "success",
        "silver.shop.orders": "failed",
        "silver.kiosk.orders": "success",
        "gold.shop.daily": "blocked",
        "gold.kiosk.daily": "success",
        "run": "partial",
    }
    assert lake.rows("SELECT orders FROM gold.kiosk.daily") == [(1,)]


def test_layers_run_strictly_one_after_the_other(lake: Lake) -> None:
    lake.shop()
    other_domain(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("kiosk/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    layers = [record.layer for record in lake.good().records]
    assert layers == ["bronze", "bronze", "silver", "silver", "gold", "gold", "run"]


def test_a_run_of_one_domain_leaves_the_others_alone(lake: Lake) -> None:
    lake.shop()
    other_domain(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("kiosk/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    run = lake.run("kiosk")
    assert {record.domain for record in run.records} == {"kiosk", ""}
    assert not (lake.data / "bronze/shop").exists()


def test_every_run_leaves_a_record_of_each_step_and_of_itself_also_when_it_fails(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\nx,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "order_id;day\n")
    lake.run()
    records = lake.rows(
        "SELECT layer, status, records_read, records_written, quarantined, error_class FROM ops.pipeline_runs "
        "ORDER BY start_time, layer = 'run'"
    )
    assert sorted(records[:4]) == [
        ("bronze", "success", 2, 2, 0, None),
        ("gold", "success", 1, 1, 0, None),
        ("run", "success", 2, 4, 1, None),
        ("silver", "success", 2, 1, 1, None),
    ]
    assert sorted(records[4:], key=str) == [
        ("bronze", "failed", 0, 0, 0, "data"),
        ("gold", "blocked", 0, 0, 0, None),
        ("run", "failed", 0, 0, 0, "data"),
        ("silver", "blocked", 0, 0, 0, None),
    ]
    [(latency, steps)] = lake.rows(
        "SELECT max(latency) FILTER (WHERE layer = 'run'), sum(latency) FILTER (WHERE layer <> 'run') "
        "FROM ops.pipeline_runs WHERE status = 'success'"
    )
    assert latency >= steps > 0


def test_the_heartbeat_of_success_is_on_stdout_and_an_idle_rerun_says_that_nothing_changed(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    first, second = lake.typed(), lake.typed()
    assert (first.returncode, second.returncode) == (0, 0)
    assert "✓ Pipeline Finished: Processed 1 records (3 of 3 tables changed" in first.stdout
    assert "✓ Pipeline Finished: Processed 0 records (0 changed" in second.stdout
    assert "Pipeline" not in first.stderr


def test_a_profile_is_shown_beside_what_a_run_prints_with_the_step_of_each_statement(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    plain, profiled = lake.typed("run"), lake.typed("run", "--mode", "all", PROFILE="true")
    assert (plain.returncode, profiled.returncode) == (0, 0)
    assert "statement" not in plain.stdout + plain.stderr + profiled.stdout
    assert re.search(
        r"^\d+ statements took [\d.]+ s, [\d.]+ s of the processor; the longest are$", profiled.stderr, re.M
    )
    assert re.search(r"^seconds +processor +cores +step +statement", profiled.stderr, re.M)
    assert re.search(r"^ *[\d.]+ +[\d.]+ +[\d.]+ +silver\.shop\.orders +\w", profiled.stderr, re.M)


def test_the_heartbeat_of_failure_is_on_stderr_with_the_exit_code_of_its_class(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id;day\n")
    failed = lake.typed()
    assert failed.returncode == 4
    assert "✗ Pipeline Failed: " in failed.stderr
    assert "Pipeline" not in failed.stdout
    lake.write("silver/shop/orders.yaml", "nonsense: true\n")
    broken = lake.typed()
    assert broken.returncode == 3
    assert "✗ Pipeline Failed: " in broken.stderr
    lake.write("silver/shop/orders.yaml", ORDERS)


def test_a_partial_run_has_its_own_exit_code_and_says_what_was_blocked(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id\n1\n")
    ended = lake.typed()
    assert ended.returncode == 9
    assert "gold.shop.daily: blocked, waits for silver.shop.orders" in ended.stderr


def test_an_unknown_setting_is_refused_with_the_known_ones(lake: Lake) -> None:
    lake.shop()
    (lake.root / ".env").write_text("SAMPLE_FED=true\n")
    ended = lake.typed()
    assert ended.returncode == 2
    assert "unknown setting SAMPLE_FED" in ended.stderr
    assert "write SAMPLE_FEED" in ended.stderr
    (lake.root / ".env").unlink()


def test_a_bug_has_a_traceback_in_the_log_and_one_line_on_the_console(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.py", "def model(tables):\n    raise ZeroDivisionError('of all things')\n")
    (lake.root / "src/gold/shop/daily.sql").unlink()
    lake.edit(
        "gold/shop/contract.yaml", "{name: orders,", "{name: orders, transformSourceObjects: [silver.shop.orders],"
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    ended = lake.typed()
    assert ended.returncode == 9
    log = (lake.root / "logs/app.log").read_text()
    assert "Traceback" in log
    assert "ZeroDivisionError: of all things" in log


def test_the_plan_says_what_would_run_and_why_and_changes_nothing(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    plan = lake.typed("plan")
    assert "1 new files" in plan.stdout
    assert "first load" in plan.stdout
    assert not (lake.data / "bronze").exists()
    lake.good()
    assert plan_of(lake) == {
        "bronze.shop.orders": "nothing",
        "silver.shop.orders": "nothing",
        "gold.shop.daily": "nothing",
    }
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.edit("silver/shop/orders.yaml", "physicalType: integer}", "physicalType: bigint}")
    assert "write `version: 2.0.0`" in lake.typed("plan").stdout
    lake.edit("silver/shop/orders.yaml", "version: 1.1.0", "version: 2.0.0")
    assert plan_of(lake) == {
        "bronze.shop.orders": "nothing",
        "silver.shop.orders": "rebuild",
        "gold.shop.daily": "update",
    }
    lake.good()


def plan_of(lake: Lake) -> dict[str, str]:
    lines = [line.split() for line in lake.typed("plan").stdout.splitlines()[2:-1]]
    return {line[0]: line[1] for line in lines}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("csv", "day,orders,amount\n2024-01-01,1,10.50\n"),
        ("json", '[\n {\n  "day": "2024-01-01",\n  "orders": 1,\n  "amount": 10.5\n }\n]\n'),
        ("table", "day         orders  amount\n----------  ------  ------\n2024-01-01       1   10.50\n"),
    ],
)
def test_a_query_reads_any_table_as_table_csv_or_json(lake: Lake, form: str, expected: str) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10.5,1\n")
    lake.good()
    assert lake.typed("query", "SELECT * FROM gold.shop.daily", "--format", form).stdout == expected


def test_a_query_prints_json_whatever_the_numbers(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10.5,1\n")
    lake.good()
    sql = "SELECT 'inf'::DOUBLE AS a, ['-inf'::DOUBLE, 1.5] AS b, {'c': 'nan'::FLOAT} AS d, "
    sql += "12345678901234567.89::DECIMAL(38,2) AS e, 0.1::DECIMAL(3,1) AS f FROM gold.shop.daily"

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    printed = json.loads(lake.typed("query", sql, "--format", "json").stdout, parse_constant=refused)
    assert printed == [
        {"a": "Infinity", "b": ["-Infinity", 1.5], "d": {"c": "NaN"}, "e": "12345678901234567.89", "f": 0.1}
    ]


def test_a_query_cannot_change_anything_and_names_the_tables_there_are(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    refused = lake.typed("query", "COPY (SELECT 1) TO 'x.csv'")
    assert refused.returncode == 3
    assert not (lake.root / "x.csv").exists()
    unknown = lake.typed("query", "SELECT * FROM gold.shop.dayly")
    assert unknown.returncode == 2
    assert "no table gold.shop.dayly" in unknown.stderr
    assert "gold.shop.daily" in unknown.stderr
    for name in ("quarantine.shop.orders", "ops.pipeline_runs", "bronze.shop.orders", "silver.shop.orders"):
        assert json.loads(lake.typed("query", f"SELECT count(*) AS n FROM {name}", "--format", "json").stdout)


def test_status_shows_runs_and_tables(lake: Lake) -> None:
    lake.shop()
    assert "No run yet" in lake.typed("status").stdout
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    shown = lake.typed("status").stdout
    assert "success" in shown
    assert "shop  3 fine" in shown
    assert "gold.shop.daily" in lake.typed("status", "--all").stdout


def test_check_finds_a_row_that_one_pass_would_not_give(lake: Lake) -> None:
    from src import lake as delta

    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    silver = delta.open_table(lake.data / "silver/shop/orders")
    assert silver is not None
    delta.commit(silver, remove=silver.files)
    ended = lake.typed("check")
    assert ended.returncode == 1
    assert "one pass gives the same" in ended.stdout
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"
    (lake.data / "silver").rename(lake.root / "gone")


@pytest.mark.long
def test_an_empty_landing_zone_gets_the_sample_companys_files_once(tmp_path: Path) -> None:
    for name in ("main.py", "src"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(tmp_path / name)], check=True)
    environ = {"SAMPLE_FEED": "true", "SAMPLE_DAYS": "3", "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "main.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert "Set SAMPLE_FEED=false in .env once you land files of your own." in runs[0].stdout
    assert "0 changed" in runs[1].stdout


def test_a_run_answers_for_the_days_up_to_its_run_date(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    assert lake.typed("run", "--run-date", "2024-01-07", "--reprocess-days", "3").returncode == 0
    [(run_date, notes)] = lake.rows("SELECT run_date::VARCHAR, notes FROM ops.pipeline_runs WHERE layer = 'run'")
    assert (run_date, notes) == ("2024-01-07", "window 2024-01-05 to 2024-01-07")
    assert "window 2024-01-01 to 2024-01-07" in lake.typed("plan", "--run-date", "2024-01-07").stdout
    assert lake.typed("run", "--run-date", "2999-01-01").returncode == 2
    assert lake.typed("run", "--reprocess-days", "0").returncode == 2


def test_a_run_that_takes_over_from_a_dead_one_is_a_success_of_its_own(lake: Lake) -> None:
    import json as text

    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    card = {"pid": 1, "host": "h", "since": "2024-01-01T00:00:00+00:00", "command": "make pipeline", "run_id": "dead"}
    (lake.data / ".holder.json").write_text(text.dumps(card))
    lake.good()
    runs = lake.rows(
        "SELECT run_id = 'dead', status, error_class FROM ops.pipeline_runs WHERE layer = 'run' ORDER BY 1"
    )
    assert runs == [(False, "success", None), (True, "failed", "interrupted")]


def content(lake: Lake) -> list[list[tuple[object, ...]]]:
    """Silver, gold and quarantine, without when the rows came."""
    columns = {"silver.shop.orders": "*", "gold.shop.daily": "*", "quarantine.shop.orders": "_reasons, _file, _row"}
    return [lake.rows(f"SELECT {names} FROM {table} ORDER BY ALL") for table, names in columns.items()]


def test_everything_computed_whole_is_what_it_was(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,5,1\nx,2024-01-01,5,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-02,11,2\n")
    lake.good()
    before = content(lake)
    with open_project(lake.settings) as project:
        run = pipeline(project, main.carry, mode="all")
    assert run.failures == {}
    assert lake.step(run, "silver.shop.orders").inserted == 2
    assert lake.step(run, "gold.shop.daily").partitions == 2
    assert content(lake) == before
    assert lake.rows("SELECT command FROM ops.pipeline_runs WHERE layer = 'run' ORDER BY start_time")[-1] == (
        "make pipeline MODE=all",
    )
    assert lake.good().records[-1].records_written == 0


@pytest.mark.long
def test_a_rebuilt_table_is_what_bronze_says_whatever_was_done_to_it(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,5,1\n")
    lake.good()
    before = content(lake)
    silver = delta.open_table(lake.data / "silver/shop/orders")
    assert silver is not None
    delta.commit(silver, remove=silver.files)  # somebody's hand
    assert lake.findings() != []
    assert lake.typed("rebuild", "--table", "silver.shop.orders", "--dry-run").returncode == 0
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(0,)]
    done = lake.typed("rebuild", "--table", "silver.shop.orders")
    assert done.returncode == 0, done.stderr
    assert content(lake) == before
    assert lake.typed("rebuild", "--table", "silver.shop.nothing").returncode == 2


@dataclass(frozen=True)
class Kept:
    """A row with a field of each kind that a record may have."""

    text: str
    nothing: str | None
    yes: bool
    whole: int
    number: float
    exact: Decimal
    day: date
    moment: datetime


def test_a_record_is_read_as_it_was_written_whatever_it_says(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    numbers = [1e-7, -0.1, float("inf"), 1.7976931348623157e308]
    texts = ['it\'s "so"\\ \n\t', "x\0y", "", "null"]
    rows = [
        Kept(text, None, text == "", -(2**63), number, Decimal("-12.345678"), moment.date(), moment)
        for text, number in zip(texts, numbers, strict=True)
    ]
    with open_engine(load(tmp_path, {})) as engine:
        records.append(engine, tmp_path, "ops.kept", Kept, rows)
        catalog.publish(engine, {"ops.kept": tmp_path / "ops/kept"})
        assert {Kept(*row) for row in engine.rows("FROM ops.kept")} == set(rows)
