"""explain: a number comes with the rows, lines and files it was computed from, and with what was left out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import DAILY, MART, Lake
from deltalake import DeltaTable

HEADER = "order_id,day,amount,updated\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of a shop: a correction, a copy, a row that cannot be read."""
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEADER + "1,2026-01-05,10.00,1\n2,2026-01-05,30.00,1\n3,2026-01-06,4.00,1\n")
    made.good()
    made.land("shop/orders/2.csv", HEADER + "3,2026-01-05,5.50,2\n2,2026-01-05,30.00,1\n4,2026-01-05,much,1\n")
    made.good()
    return made.root


def explained(lake: Lake, *words: str) -> dict[str, Any]:
    """What explain shows as JSON."""
    done = lake.typed("explain", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def places(rows: list[dict[str, Any]]) -> list[tuple[str, int, int, str]]:
    """Where the lines of rows stand."""
    lines = [row["line"] for row in rows]
    return [(line["file"], line["row"], line["line"], line["text"]) for line in lines]


def test_a_number_comes_with_its_lines_those_that_move_it_most_first_and_with_what_was_left_out(shop: Lake) -> None:
    found = explained(shop, "gold.shop.daily", "--where", "day = '2026-01-05'")
    assert (found["rows"], found["widened"], found["model"]) == (1, None, "src/gold/shop/daily.sql")
    assert found["shown"][0]["values"] == {"day": "2026-01-05", "orders": 3, "amount": 45.5}
    [source] = found["sources"]
    assert (source["table"], source["rows"]) == ("silver.shop.orders", 3)
    assert places(source["shown"]) == [
        ("shop/orders/1.csv", 2, 3, "2,2026-01-05,30.00,1"),
        ("shop/orders/1.csv", 1, 2, "1,2026-01-05,10.00,1"),
        ("shop/orders/2.csv", 1, 2, "3,2026-01-05,5.50,2"),
    ]
    assert [row["moves"] for row in source["shown"]] == [
        {"orders": 1, "amount": 30.0},
        {"orders": 1, "amount": 10.0},
        {"orders": 1, "amount": 5.5},
    ]
    runs = shop.rows("SELECT run_id FROM ops.pipeline_runs WHERE layer = 'bronze' ORDER BY start_time")
    assert [row["line"]["run"] for row in source["shown"]] == [runs[0][0], runs[0][0], runs[1][0]]
    left_out = source["not_counted"]
    assert left_out["counts"] == {"rejected": 1, "superseded": 1}
    assert [(one["why"], one["reason"], one["line"]["text"]) for one in left_out["rows"]] == [
        ("rejected", "amount: cannot read much as decimal(18,2)", "4,2026-01-05,much,1"),
        ("superseded", "the same as shop/orders/1.csv, row 2", "2,2026-01-05,30.00,1"),
    ]


def test_a_row_that_a_later_one_moved_elsewhere_was_left_out_of_where_it_was(shop: Lake) -> None:
    shop.land("shop/orders/3.csv", HEADER + "9,2026-01-06,1.00,1\n")
    shop.good()
    [source] = explained(shop, "gold.shop.daily", "--key", "day=2026-01-06")["sources"]
    assert source["rows"] == 1
    [lost] = source["not_counted"]["rows"]
    assert (lost["why"], lost["reason"]) == ("superseded", "updated 1 is before 2 of shop/orders/2.csv, row 1")


def test_a_row_of_silver_comes_with_the_lines_that_lost_and_the_rows_of_marts_it_is_part_of(shop: Lake) -> None:
    found = explained(shop, "silver.shop.orders", "--key", "order_id=3")
    assert places(found["shown"]) == [("shop/orders/2.csv", 1, 2, "3,2026-01-05,5.50,2")]
    assert [one["line"]["text"] for one in found["not_counted"]["rows"]] == ["3,2026-01-06,4.00,1"]
    assert found["part_of"] == [{"table": "gold.shop.daily", "key": {"day": "2026-01-05"}}]


def test_marts_of_marts_are_followed_down_to_the_lines(shop: Lake) -> None:
    shop.add_largest("SELECT day, orders, amount FROM gold.shop.daily QUALIFY rank() OVER (ORDER BY amount DESC) = 1")
    shop.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.good()
    [through] = explained(shop, "gold.shop.largest", "--where", "true")["sources"]
    assert (through["table"], through["rows"]) == ("gold.shop.daily", 1)
    [source] = through["through"]["sources"]
    assert [place[0] for place in places(source["shown"])] == [
        "shop/orders/1.csv",
        "shop/orders/1.csv",
        "shop/orders/2.csv",
    ]


def test_a_number_is_explained_as_it_was_released_though_a_source_has_gone_on(shop: Lake) -> None:
    model = DAILY.replace("SELECT day", "SELECT CASE WHEN sum(amount) > 50 THEN error('stop') ELSE day END AS day", 1)
    shop.write("gold/shop/daily.sql", model.replace("GROUP BY day", "GROUP BY orders.day"))
    shop.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.good()
    shop.land("shop/orders/3.csv", HEADER + "9,2026-01-05,7.00,1\n")
    assert "stop" in str(shop.run().failures["gold.shop.daily"])
    [source] = explained(shop, "gold.shop.daily", "--key", "day=2026-01-05")["sources"]
    assert source["rows"] == 3  # the line of the run that failed is in silver, and not in this number


def test_a_number_of_another_version_of_its_contract_is_not_explained_by_this_one(shop: Lake) -> None:
    shop.write("gold/shop/daily.sql", DAILY.replace("sum(amount)", "max(amount)"))
    shop.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    done = shop.typed("explain", "gold.shop.daily", "--where", "true")
    assert (done.returncode, done.stdout) == (3, "")
    assert "gold.shop.daily was built by another version of its contract" in done.stderr


def test_a_number_that_its_model_does_not_give_is_no_explanation(shop: Lake) -> None:
    shop.environ["BROKEN_ON_PURPOSE"] = "yes"
    DeltaTable(str(shop.data / "gold/shop/daily")).update({"amount": "99.00"})
    done = shop.typed("explain", "gold.shop.daily", "--where", "true", "--newest")
    assert (done.returncode, done.stdout) == (4, "")
    assert "its model does not give these rows" in done.stderr


PYTHON = """
import polars as pl

def model(tables):
    orders = tables["silver.shop.orders"]
    return orders.group_by("day").agg(pl.len().cast(pl.Int64).alias("orders"), pl.sum("amount").cast(pl.Decimal(18, 2)))
"""


def test_a_model_in_python_is_traced_by_running_it_over_less(shop: Lake) -> None:
    (shop.root / "src/gold/shop/daily.sql").unlink()
    shop.write("gold/shop/daily.py", PYTHON)
    reads = "transformSourceObjects: [silver.shop.orders]"
    shop.edit(
        "gold/shop/contract.yaml",
        "{name: orders, logicalType: integer, physicalType: bigint}",
        "{name: orders, logicalType: integer, physicalType: bigint, " + reads + "}",
    )
    shop.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.good()
    found = explained(shop, "gold.shop.daily", "--key", "day=2026-01-05")
    assert (found["widened"], found["sources"][0]["rows"]) == (None, 3)
    assert found["sources"][0]["not_counted"]["unknown"] == "a model in Python"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--where", "day = '2030-01-01'"), "no row of gold.shop.daily has --where day = '2030-01-01'"),
        (("--where", "day ="), "syntax error"),
        (("--where", "true LIMIT 1"), "more than a condition"),
        (("--where", "exists (select 1 from read_csv('/etc/passwd'))"), "read_csv() in a condition"),
        (("--where", "nothing = 1"), "no column nothing"),
        (("--key", "nothing=1"), "--key nothing=1"),
        (("--key", "day=soon"), "--key day=soon"),
        ((), "no row is named"),
        (("--where", "true", "--key", "day=2026-01-05"), "--where and --key"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_names_no_row_is_refused_by_what_is_wrong(shop: Lake, words: tuple[str, ...], what: str) -> None:
    done = shop.typed("explain", "gold.shop.daily", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr and "fix:" in done.stderr


def test_it_is_shown_as_text_line_by_line(shop: Lake) -> None:
    text = shop.typed("explain", "daily", "--key", "day=2026-01-05", "--limit", "1").stdout
    assert text.splitlines()[1:8] == [
        "  day 2026-01-05, orders 3, amount 45.50",
        "  computed by src/gold/shop/daily.sql",
        "  proven: over these rows alone the model gives the same",
        "  silver.shop.orders, version 2: 3 rows, of which 1 are shown",
        *[line for line in text.splitlines() if line.startswith("    shop/orders/1.csv, row 2 (line 3), run ")][:1],
        "      2,2026-01-05,30.00,1",
        "      without it: orders -1, amount -30.00",
    ]


def test_all_rows_behind_a_number_are_written_as_a_file(shop: Lake) -> None:
    done = shop.typed("explain", "daily", "--key", "day=2026-01-05", "--limit", "1", "--output", "behind.csv")
    assert "note: 3 rows in" in done.stdout
    rows = (shop.root / "behind.csv").read_text(encoding="utf-8").splitlines()
    assert sorted(row.split(",")[0] for row in rows) == ["1", "2", "3", "order_id"]
    refused = shop.typed(
        "explain", "daily", "--key", "day=2026-01-05", "--output", "no.csv", "--source", "silver.shop.x"
    )
    assert (refused.returncode, (shop.root / "no.csv").exists()) == (2, False)
    assert "no source silver.shop.x" in refused.stderr


# -- between two releases


def runs(lake: Lake) -> list[str]:
    """The runs of all releases, the oldest first."""
    return [run_id for (run_id,) in lake.rows("SELECT run_id FROM ops.releases GROUP BY run_id ORDER BY min(number)")]


def test_the_parts_of_a_difference_are_what_happened_to_the_rows_file_by_file_and_add_up(shop: Lake) -> None:
    shop.land("shop/orders/3.csv", HEADER + "1,2026-01-05,12.00,3\n7,2026-01-05,1.00,1\n8,2026-01-05,2.00,1\n")
    shop.good()
    first, _, last = runs(shop)
    found = explained(shop, "gold.shop.daily", "--key", "day=2026-01-05", "--diff", first, last)
    assert (found["numbers_before"], found["numbers_after"]) == (
        {"orders": 2, "amount": 40.0},
        {"orders": 5, "amount": 50.5},
    )
    assert [(part["what"], part["file"], part["rows"], part["moves"]) for part in found["parts"]] == [
        ("corrected", "shop/orders/3.csv", 1, {"amount": 2.0}),
        ("new", "shop/orders/2.csv", 1, {"orders": 1, "amount": 5.5}),
        ("new", "shop/orders/3.csv", 2, {"orders": 2, "amount": 3.0}),
    ]
    assert found["adds_up"]
    gone = explained(shop, "gold.shop.daily", "--key", "day=2026-01-06", "--diff", first, last)
    assert [(part["what"], part["moves"]) for part in gone["parts"]] == [("left", {"orders": -1, "amount": -4.0})]


def test_what_another_model_makes_of_the_same_rows_is_a_part_of_its_own(shop: Lake) -> None:
    shop.write("gold/shop/daily.sql", DAILY.replace("sum(amount)", "2 * sum(amount)"))
    shop.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.good()
    _, before, after = runs(shop)
    found = explained(shop, "gold.shop.daily", "--key", "day=2026-01-05", "--diff", before, after)
    assert [(part["what"], part["moves"]) for part in found["parts"]] == [("contract", {"amount": 45.5})]
    assert found["adds_up"]


def test_two_releases_differ_by_table_key_and_cell(shop: Lake) -> None:
    done = shop.typed("diff", "--json")
    found = json.loads(done.stdout)
    assert [found["before"], found["after"]] == runs(shop)
    tables = {one["table"]: one for one in found["tables"]}
    assert list(tables) == ["bronze.shop.orders", "quarantine.shop.orders", "silver.shop.orders", "gold.shop.daily"]
    silver = tables["silver.shop.orders"]["differences"]
    assert (silver["added"], silver["removed"], silver["changed"]) == (0, 0, 1)
    assert silver["cells"] == {"day": 1, "amount": 1, "updated": 1}
    assert silver["changes"][1] == {"key": {"order_id": 3}, "column": "amount", "before": "4.00", "after": "5.50"}
    gold = tables["gold.shop.daily"]["differences"]  # without a key
    assert (gold["added_rows"], gold["removed"]) == ([{"day": "2026-01-05", "orders": 3, "amount": 45.5}], 2)
    last = runs(shop)[-1]
    assert "No row differs." in shop.typed("diff", last, last).stdout


def test_releases_and_tables_that_are_not_there_are_refused_by_name(shop: Lake) -> None:
    first, last = runs(shop)
    for words, what in {
        (first,): f"no branch {first}",
        (first, last, last): "3 releases",
        (first, "20200101"): "no run 20200101",
        (first, last, "--table", "gold.shop.weekly"): "no table gold.shop.weekly",
    }.items():
        done = shop.typed("diff", *words)
        assert (done.returncode, done.stdout) == (2, "") and what in done.stderr and "fix:" in done.stderr


# -- what columns are made of


def test_a_column_comes_with_those_it_is_made_of_down_to_the_landed_file(shop: Lake) -> None:
    shop.write("gold/week/contract.yaml", MART.replace("id: shop", "id: week").replace("daily", "weekly"))
    shop.write("gold/week/weekly.sql", "SELECT * FROM gold.shop.daily WHERE orders > 0")
    done = shop.typed("explain", "gold.week.weekly", "--columns", "amount")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "gold.week.weekly 1.0.0",
            "  amount",
            "    gold.shop.daily.amount",
            "      silver.shop.orders.amount",
            "        bronze.shop.orders.amount",
            "        rows by bronze.shop.orders.order_id, bronze.shop.orders.updated",
            "      rows by silver.shop.orders.day",
            "    rows by gold.shop.daily.orders",
        ],
    )
    refused = shop.typed("explain", "gold.week.weekly", "--columns", "amonut")
    assert refused.returncode == 2
    assert "no column amonut in gold.week.weekly" in refused.stderr and "did you mean amount?" in refused.stderr
