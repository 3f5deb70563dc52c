"""What would save is told with figures that are so, once it is worth the work, until it is done or dismissed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import DAILY, Lake, reader
from made_costs import cost, keep

from src.facts.savings.finding import Least
from src.facts.savings.reading import Savings, read_savings
from src.maintenance import vacuum
from src.project import open_project
from src.reads import TABLE as READS
from src.reads import Read
from src.run import runs

HEADER = "order_id,day,amount,updated\n"
ANY = Least(0, 0, 0.0)  # however little
NOW = datetime.now(UTC)


def look(lake: Lake, least: Least | None = ANY, now: datetime = NOW) -> Savings:
    with open_project(lake.settings) as project:
        return read_savings(project, now, least=least)


def ids(found: Savings, status: str = "active") -> list[str]:
    return sorted(saving.id for saving in found.found if saving.status == status)


def orders(numbers: Iterable[int], day: str = "2024-01-01") -> str:
    return HEADER + "".join(f"{number},{day},10,1\n" for number in numbers)


def a_month(lake: Lake, name: str, seconds: int) -> None:
    """Records of ten days before today, on each of which a table took so many seconds."""
    days = [date.today() - timedelta(days=back) for back in range(10, 0, -1)]
    keep(lake, [cost(at, str(day), name, seconds) for at, day in enumerate(days)])


def footers(paths: list[Path]) -> int:
    return sum(pq.read_metadata(path).serialized_size + 8 for path in paths)


# -- each kind


def test_small_files_save_the_footers_that_fewer_need_not_have(lake: Lake) -> None:
    lake.shop()
    for number in range(5):
        lake.land(f"shop/orders/{number}.csv", orders([number]))
        lake.good()
    assert look(lake, None).found == ()  # it is not worth the work
    assert look(lake, Least(0, 0, 0.99)).found == ()
    found = next(saving for saving in look(lake).found if saving.id == "files:bronze.shop.orders")
    files = list((lake.data / "bronze/shop/orders").glob("*.parquet"))
    assert (len(files), found.bytes) == (5, 4 * (footers(files) // 5))
    assert found.evidence.startswith("5 small files lie in 1 partition; of each ")
    assert lake.command("optimize") == 0
    (done,) = (saving for saving in look(lake).found if saving.id == found.id)
    assert (done.status, done.bytes) == ("done", found.bytes)


def test_partitions_of_a_day_are_too_fine_for_small_files(lake: Lake) -> None:
    days = [date(2024, 1, 1) + timedelta(days=at) for at in range(60)]  # January and February, which has 29
    lake.shop().land("shop/orders/1.csv", HEADER + "".join(f"{at},{day},10,1\n" for at, day in enumerate(days)))
    lake.good()
    found = {saving.table: saving for saving in look(lake).found if saving.kind == "files"}
    assert sorted(found) == ["gold.shop.daily", "silver.shop.orders"]
    files = list((lake.data / "gold/shop/daily").rglob("*.parquet"))[-50:]
    assert found["gold.shop.daily"].bytes == 58 * (footers(files) // 50)
    assert "partitions of 2 months" in found["gold.shop.daily"].evidence


def test_history_that_vacuum_would_remove_is_found_until_it_did(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.shop().land("shop/orders/1.csv", orders([1]))
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,20,2\n")
    lake.good()
    assert ids(look(lake)) == []  # all of it is younger than 168 hours
    monkeypatch.setattr(vacuum, "RETENTION", 0)
    found = look(lake, now=datetime.now(UTC) + timedelta(hours=2))
    with open_project(lake.settings) as project:
        freed = sum(step.freed for step in vacuum.plan(project.settings.data_dir, 0, datetime.now(UTC).timestamp()))
    assert [(saving.id, saving.bytes) for saving in found.found] == [("history:lake", freed)]
    assert "there was no vacuum yet" in found.found[0].evidence
    assert lake.command("vacuum", "--retention-hours", "0", "--purge", "--yes") == 0
    assert ids(look(lake, now=datetime.now(UTC) + timedelta(hours=2)), "done") == ["history:lake"]


def test_a_table_computed_whole_is_found_where_few_of_its_partitions_change(lake: Lake) -> None:
    lake.shop().write("gold/shop/daily.sql", DAILY.replace("count(*)", "max(count(*)) OVER ()"))
    lake.land("shop/orders/1.csv", orders([1]) + "2,2024-01-02,10,1\n3,2024-01-03,10,1\n4,2024-01-04,10,1\n")
    lake.good()
    a_month(lake, "gold.shop.daily", 100)
    assert "whole:gold.shop.daily" not in ids(look(lake))  # nothing is known of how much of it changes
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,50,2\n")
    lake.good()
    found = next(saving for saving in look(lake).found if saving.kind == "whole")
    # ten days of 100 s are 3,000 s a month; three of four partitions came out as they were
    assert found.cpu_seconds == Decimal(2250)
    assert "1 of 4 partitions came out other than before; computed whole: " in found.evidence
    assert found.fix


def test_deliveries_that_change_little_are_found_by_the_rows_that_were_there(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", orders([1] * 20))
    lake.good()
    assert "unchanged: less than 7 days of runs are recorded" in look(lake).not_looked_for
    a_month(lake, "silver.shop.orders", 10)
    found = next(saving for saving in look(lake).found if saving.kind == "unchanged")
    assert found.evidence == "of 20 rows in 1 run of 10 days 19 were there already"
    assert found.cpu_seconds == Decimal(285)  # 19 of 20 parts of 300 s
    lake.land("shop/orders/2.csv", orders(range(2, 20)))
    lake.good()
    assert "unchanged:silver.shop.orders" not in ids(look(lake))


def test_columns_of_bronze_that_no_contract_reads_are_found_with_their_bytes(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", wide(50))
    lake.good()
    (found,) = look(lake).found
    (file,) = (lake.data / "bronze/shop/orders").glob("*.parquet")
    group = pq.read_metadata(file).row_group(0)
    sizes = {group.column(at).path_in_schema: group.column(at).total_compressed_size for at in range(group.num_columns)}
    assert (found.id, found.bytes) == ("columns:bronze.shop.orders", sizes["note"])
    assert found.evidence.endswith("are of 1 column no contract reads: note")


def wide(rows: int) -> str:
    """Orders with a column of noise that no contract reads."""
    noise = random.Random(7)
    lines = (f"{at},2024-01-01,10,1,{noise.randbytes(1000).hex()}\n" for at in range(rows))
    return HEADER.replace("\n", ",note\n") + "".join(lines)


def test_a_table_is_unread_where_records_go_back_so_far_and_nothing_is_built_from_it(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", orders([1]))
    lake.good()
    read(lake, "silver.shop.orders", days=89)
    assert "unread: reads are not recorded for 90 days yet" in look(lake).not_looked_for
    read(lake, "gold.shop.daily", days=100)
    assert ids(look(lake)) == ["unread:gold.shop.daily"]  # silver is read by it
    read(lake, "gold.shop.daily", days=1)
    assert ids(look(lake), "done") == ["unread:gold.shop.daily"]


def read(lake: Lake, table: str, days: int) -> None:
    """A read by a person so many days ago."""
    row = Read(
        moment=NOW - timedelta(days=days),
        user="ann",
        kind="query",
        tables=json.dumps([table]),
        columns="{}",
        classified="{}",
        masked=False,
        rows=1,
        bytes=1,
        seconds=0.1,
        pattern="",
        failed=False,
        error="",
    )
    runs.append(reader(), lake.data, READS, Read, [row])


# -- what is worth telling, and what became of it


def test_a_fresh_lake_has_nothing_to_save(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", orders(range(100)))
    lake.good()
    assert look(lake, None).found == ()
    assert not (lake.data / "ops/savings_log").exists()


def test_a_finding_is_told_until_it_is_dismissed_and_again_when_it_is_reopened(lake: Lake) -> None:
    lake.shop().land("shop/orders/1.csv", wide(1500))
    lake.good()
    lake.environ |= {"COST_PER_GB_MONTH": "1000"}
    finding = "columns:bronze.shop.orders"
    shown = lake.typed("cost").stdout
    assert f"high priority, middle effort: {finding} saves 1." in shown
    assert lake.typed("cost", "--dismiss", finding).returncode == 2  # without a reason
    assert lake.typed("cost", "--dismiss", finding, "--reason", "audit asks for it", BOATHOUSE_BY="ann").returncode == 0
    shown = lake.typed("cost").stdout
    assert "nothing is found that is worth the work" in shown
    assert f"by ann: {finding}: audit asks for it" in shown
    again = lake.typed("cost", "--dismiss", finding, "--reason", "twice")
    assert f"{finding} is dismissed" in again.stderr
    assert lake.typed("cost", "--reopen", finding).returncode == 0
    assert [saving["status"] for saving in json.loads(lake.typed("cost", "--json").stdout)["savings"]["found"]] == [
        "active"
    ]
    rows = lake.rows('SELECT number, status, reason, "by" FROM ops.savings_log ORDER BY number')
    assert [row[:3] for row in rows] == [
        (1, "active", None),
        (2, "dismissed", "audit asks for it"),
        (3, "active", None),
    ]
    assert "no finding columns:bronze.shop.order" in lake.typed("cost", "--reopen", finding[:-1]).stderr


def test_a_folder_in_which_nothing_ever_ran_is_left_as_it_is(lake: Lake) -> None:
    lake.shop()
    assert lake.typed("cost").stdout == "nothing is recorded yet: `make pipeline` records what it takes\n"
    assert "no finding files:lake" in lake.typed("cost", "--reopen", "files:lake").stderr
    assert not lake.data.exists()


def test_cost_of_a_budget_of_no_domain_names_the_domains(lake: Lake) -> None:
    ran = lake.shop().typed("cost", BUDGET_SHPO="5")
    assert "no domain of BUDGET_SHPO" in ran.stderr
    assert "the budgets are BUDGET_OPS, BUDGET_SHOP" in ran.stderr
