"""What is an arrival: new bytes, a path that says something else than it last did, a copy where the last one wins."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import ORDERS, Lake

from src import lake as delta
from src.bronze import appending, ingest
from src.contract import Contracts

SEQUENCE = "    customProperties:\n      - {property: sequenceBy, value: [updated]}\n"
UNORDERED = ORDERS.replace(SEQUENCE, "")
HEADER = "order_id,day,amount,updated\n"
TEN, TWELVE = (HEADER + f"1,2024-01-01,{amount},1\n" for amount in (10, 12))
AMOUNT = "SELECT amount FROM silver.shop.orders"
COUNT = "SELECT count(*) FROM bronze.shop.orders"


def landed(lake: Lake, name: str, content: str) -> Path:
    """Land a file, as new to the disk even where its bytes and time are those of before."""
    path = lake.data / "landing/shop/orders" / name
    path.unlink(missing_ok=True)
    return lake.land(f"shop/orders/{name}", content)


def records(lake: Lake) -> int:
    """How many things bronze has recorded of the landing zone."""
    bronze = taken(lake)
    checkpoint, later = delta.progress_log(bronze.root, bronze.version)
    earlier = pq.read_table(checkpoint, columns=["txn"])["txn"].combine_chunks() if checkpoint else ()
    return len({one["appId"].as_py() for one in earlier if one.is_valid} | set(later))


def taken(lake: Lake) -> delta.Snapshot:
    found = delta.open_table(lake.data / "bronze/shop/orders")
    assert found
    return found


@pytest.mark.parametrize("name", ["list.csv", "list-of-wednesday.csv"])
def test_a_state_that_comes_back_is_taken_again(lake: Lake, name: str) -> None:
    lake.shop().write("silver/shop/orders.yaml", UNORDERED)
    landed(lake, "list.csv", TEN)
    lake.good()
    landed(lake, "list.csv", TWELVE)
    lake.good()
    assert lake.rows(AMOUNT) == [(12,)]
    landed(lake, name, TEN)
    lake.good()
    assert lake.rows(AMOUNT) == [(10,)]
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0


def test_a_path_that_returns_to_older_bytes_is_taken_again_also_where_a_sequence_orders_rows(lake: Lake) -> None:
    lake.shop()
    for content in (TEN, TWELVE, TEN, TWELVE):
        landed(lake, "list.csv", content)
        assert lake.step(lake.good(), "bronze.shop.orders").files == 1
    assert lake.rows(COUNT) == [(4,)]
    assert lake.rows(AMOUNT) == [(12,)]  # of one moment: the greater content


def test_what_is_recorded_does_not_grow_with_the_returns(lake: Lake) -> None:
    lake.shop()
    for content in (TEN, TWELVE):
        landed(lake, "list.csv", content)
        lake.good()
    assert records(lake) == 5  # two contents, the path's mark and its last content, the newest moment
    for content in (TEN, TWELVE) * 3:
        landed(lake, "list.csv", content)
        lake.good()
    assert records(lake) == 5


@pytest.mark.parametrize("sequence", [SEQUENCE, ""])
def test_a_file_that_was_only_touched_is_no_arrival(lake: Lake, sequence: str) -> None:
    lake.shop().write("silver/shop/orders.yaml", UNORDERED + sequence)
    path = landed(lake, "list.csv", TEN)
    lake.good()
    os.utime(path, (1, 1))
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0
    landed(lake, "list.csv", TEN)
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0
    version = taken(lake).version
    lake.good()
    assert taken(lake).version == version
    assert lake.rows(COUNT) == [(1,)]


@pytest.mark.parametrize(
    ("contract", "copies"),
    [(ORDERS, 1), (UNORDERED, 2), (UNORDERED.replace("primaryKey: true, primaryKeyPosition: 1", "required: false"), 1)],
)
def test_a_copy_is_an_arrival_where_the_row_that_arrived_last_wins(lake: Lake, contract: str, copies: int) -> None:
    lake.shop().write("silver/shop/orders.yaml", contract)
    landed(lake, "1.csv", TEN)
    landed(lake, "2.csv", TEN)
    lake.good()
    assert lake.rows(COUNT) == [(copies,)]
    landed(lake, "3.csv", TEN)
    lake.good()
    assert lake.rows(COUNT) == [(2 * copies - 1,)]
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(1,)]


def test_a_copy_is_an_arrival_for_all_tables_of_a_feed_where_it_is_one_for_one_of_them(lake: Lake) -> None:
    lake.shop()
    lake.write(
        "silver/shop/last.yaml", UNORDERED.replace("shop.orders", "shop.last").replace("- name: orders", "- name: last")
    )
    landed(lake, "1.csv", TEN)
    landed(lake, "2.csv", TWELVE)
    lake.good()
    landed(lake, "3.csv", TEN)
    lake.good()
    assert lake.rows(COUNT) == [(3,)]
    assert lake.rows(AMOUNT) == [(12,)]  # of one moment: the greater content
    assert lake.rows("SELECT amount FROM silver.shop.last") == [(10,)]


def test_a_lake_that_did_not_remember_paths_takes_nothing_again_and_remembers_from_then_on(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop().write("silver/shop/orders.yaml", UNORDERED)
    with monkeypatch.context() as older:
        older.setattr(ingest.Landed, "seen", property(lambda file: {f"stat:{file.name}": file.mark}))
        older.setattr(Contracts, "latest_wins", lambda *_: False)
        landed(lake, "1.csv", TEN)
        landed(lake, "2.csv", TEN)
        lake.good()
    version = taken(lake).version
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0
    assert taken(lake).version == version
    landed(lake, "1.csv", TEN)
    landed(lake, "2.csv", TEN)
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0
    landed(lake, "1.csv", TWELVE)
    lake.good()
    landed(lake, "1.csv", TEN)
    lake.good()
    assert lake.rows(COUNT) == [(3,)]
    assert lake.rows(AMOUNT) == [(10,)]


def test_the_twin_of_a_file_that_changed_while_it_was_read_is_not_lost(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.bronze import readers

    lake.shop()
    first = landed(lake, "1.csv", TEN)
    landed(lake, "2.csv", TEN)
    read = readers.read

    def slow(*given: object) -> readers.Rows:
        if given[-1] == first:
            first.write_text(TWELVE + "2,2024-01-01,1,1\n")
        return read(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as moving:
        moving.setattr(readers, "read", slow)
        lake.good()
    lake.good()
    assert lake.rows("SELECT _file, amount FROM bronze.shop.orders ORDER BY ALL") == [
        ("shop/orders/1.csv", "1"),
        ("shop/orders/1.csv", "12"),
        ("shop/orders/2.csv", "10"),
    ]


# -- in which order


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("part9", "part10"),
        ("a/part10", "b/part9"),
        ("2024-1-9/x", "2024-1-10/x"),
        ("9", "10"),
        ("a2b10", "a10b2"),
        ("part01", "part1"),
        ("v1.9", "v1.10"),
    ],
)
def test_files_of_one_run_arrive_as_a_person_lists_them_whatever_their_times(
    lake: Lake, earlier: str, later: str, form: str
) -> None:
    made = UNORDERED.replace("shop/orders/*.csv, format: csv", f'"shop/orders/**/*.{form}", format: {form}')
    lake.shop().write("silver/shop/orders.yaml", made)
    for name, amount in ((later, 20), (earlier, 10)):
        content = HEADER + f"1,2024-01-01,{amount},1\n"
        if form == "ndjson":
            content = f'{{"order_id":1,"day":"2024-01-01","amount":{amount},"updated":1}}\n'
        path = lake.land(f"shop/orders/{name}.{form}", content)
        os.utime(path, (1_700_000_000 + amount, 1_700_000_000 - amount))
    lake.good()
    assert lake.rows(AMOUNT) == [(20,)]
    assert lake.rows("SELECT count(DISTINCT _ingested_at), count(DISTINCT _batch) FROM bronze.shop.orders") == [(2, 1)]


def test_the_order_holds_across_the_statements_and_commits_of_a_run(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "FILES_PER_COMMIT", 5)
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", 2)
    monkeypatch.setattr(appending, "_SMALL_AT_ONCE", 0)
    lake.shop().write("silver/shop/orders.yaml", UNORDERED)
    for part in range(1, 14):
        landed(lake, f"part{part}.csv", HEADER + f"1,2024-01-01,{part},1\n")
    lake.good()
    order = lake.rows("SELECT _file FROM bronze.shop.orders ORDER BY _ingested_at")
    assert order == [(f"shop/orders/part{part}.csv",) for part in range(1, 14)]
    assert lake.rows(AMOUNT) == [(13,)]
