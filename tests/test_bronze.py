"""Bronze: rows are only ever added, exactly as they arrived; nothing that lands is lost."""

from __future__ import annotations

import gzip
import os
import threading
import time

import pytest
from conftest import Lake
from deltalake import DeltaTable

HEADER = "order_id,day,amount,updated\n"
ROWS = "SELECT order_id, day, amount, updated, _file, _row FROM bronze.shop.orders ORDER BY _ingested_at, _file, _row"
COUNT = "SELECT count(*) FROM bronze.shop.orders"


def test_values_are_kept_as_they_arrived(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + ' 01 ,2024-01-01,"1,0",\n2,"a ""b""\nc",,x\n')
    lake.run()
    assert lake.rows(ROWS) == [
        (" 01 ", "2024-01-01", "1,0", "", "shop/orders/1.csv", 1),
        ("2", 'a "b"\nc', "", "x", "shop/orders/1.csv", 2),
    ]


def test_the_same_bytes_under_any_name_are_taken_once(lake: Lake) -> None:
    lake.shop()
    text = HEADER + "1,2024-01-01,10,1\n"
    lake.land("shop/orders/1.csv", text)
    lake.land("shop/orders/twin.csv", text)
    lake.good()
    lake.land("shop/orders/copy.csv", text)
    run = lake.good()
    assert lake.rows(COUNT) == [(1,)]
    assert "of the same bytes as a file taken before: shop/orders/copy.csv" in str(
        lake.step(run, "bronze.shop.orders").notes
    )


def test_a_corrected_file_under_an_old_name_is_taken_again(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,12,2\n")
    lake.good()
    assert [row[2] for row in lake.rows(ROWS)] == ["10", "12"]
    assert lake.rows("SELECT amount FROM silver.shop.orders") == [(12,)]


def test_a_file_changed_without_changing_size_or_time_is_noticed(lake: Lake) -> None:
    lake.shop()
    path = lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    stamp = path.stat().st_mtime_ns
    lake.good()
    path.write_text(HEADER + "1,2024-01-01,99,2\n")
    os.utime(path, ns=(stamp, stamp))
    lake.good()
    assert lake.rows(COUNT) == [(2,)]


def test_a_run_with_nothing_new_changes_no_table(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\nx,2024-01-01,10,1\n")
    first = lake.good()
    second = lake.good()
    versions = [[(r.table, r.version) for r in run.records if r.layer != "run"] for run in (first, second)]
    assert versions[0] == versions[1]
    assert all(r.records_written == 0 and r.partitions == 0 for r in second.records)


def test_columns_are_taken_by_name_and_the_drift_is_recorded(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "amount,DAY,order_id,coupon\n20,2024-01-02,2,SAVE\n")
    run = lake.good()
    assert lake.rows("SELECT order_id, day, amount, updated, coupon FROM bronze.shop.orders ORDER BY 1") == [
        ("1", "2024-01-01", "10", "1", None),
        ("2", "2024-01-02", "20", None, "SAVE"),
    ]
    notes = str(lake.step(run, "bronze.shop.orders").notes)
    assert "new column coupon in shop/orders/2.csv" in notes
    assert "missing column updated in shop/orders/2.csv" in notes
    assert "columns in another order in shop/orders/2.csv" in notes
    lake.land("shop/orders/3.csv", HEADER + "3,2024-01-03,30,1\n")
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(3,)]


def test_drift_between_the_files_of_a_first_load_is_recorded_as_between_loads(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/0.csv", "")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("shop/orders/2.csv", "order_id,day,amount,Updated,total  price\n2,2024-01-01,10,1,6\n")
    lake.land("shop/orders/10.csv", "amount,day,order_id,total price\n3,2024-01-01,10,6\n")
    notes = str(lake.step(lake.good(), "bronze.shop.orders").notes)
    assert "new column total  price in shop/orders/2.csv" in notes
    assert "new column total price in shop/orders/10.csv" in notes
    assert "missing column updated in shop/orders/10.csv" in notes
    assert "columns in another order in shop/orders/10.csv" in notes
    assert "1.csv" not in notes.replace("/10.csv", "")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", HEADER, HEADER.strip()])
def test_a_file_without_rows_is_taken_and_gives_none(lake: Lake, content: str) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("shop/orders/2.csv", content)
    lake.good()
    assert lake.rows(COUNT) == [(1,)]
    assert lake.step(lake.good(), "bronze.shop.orders").files == 0


def test_an_empty_file_first_of_all_leaves_an_empty_table(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "")
    lake.good()
    assert lake.rows(COUNT.replace("bronze", "silver")) == [(0,)]


# what lands beside a good file, and what the refusal must say
REFUSED: list[tuple[str, bytes, str]] = [
    ("wrong delimiter", b"order_id;day;amount;updated\n1;2024-01-01;10;1\n", "delimiter"),
    ("truncated gzip", gzip.compress(b"order_id,day,amount,updated\n" + os.urandom(3000).hex().encode())[:-200], "gz"),
    ("no gzip at all", b"order_id,day\n", "gz"),
    ("a column twice", b"order_id,day,amount,Amount\n1,2024-01-01,10,1\n", "amount"),
]


@pytest.mark.parametrize(("what", "content", "says"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_file_that_cannot_be_read_is_refused_whole_and_the_others_are_taken(
    lake: Lake, what: str, content: bytes, says: str
) -> None:
    lake.shop()
    lake.land("shop/orders/good.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("shop/orders/bad.csv" + (".gz" if "gzip" in what else ""), content)
    run = lake.run()
    assert says in str(run.failures["bronze.shop.orders"])
    assert "bad.csv" in str(run.failures["bronze.shop.orders"])
    assert lake.rows(COUNT) == [(1,)]
    assert set(run.blocked) == {"silver.shop.orders", "gold.shop.daily"}


# lines among good ones that end up as rejects with their text, and what the reason says
REJECTED: list[tuple[str, bytes, str]] = [
    ("short line", b"2,2024-01-01\n", "4"),
    ("long line", b"2,2024-01-01,1,1,1,1\n", "4"),
    ("unbalanced quote", b'2,"2024-01-01,1,1\n', "quote"),
    ("wrong encoding", b"2,2024-01-01,1,\xff\n", "utf-8"),
    ("NUL byte", b"2,2024-01-01,1,\x00\n", "NUL"),
]


@pytest.mark.parametrize(("what", "line", "says"), REJECTED, ids=[case[0] for case in REJECTED])
def test_a_line_that_cannot_be_split_is_kept_with_its_number_reason_and_text(
    lake: Lake, what: str, line: bytes, says: str
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER.encode() + b"1,2024-01-01,10,1\n" + line + b"3,2024-01-01,10,1\n")
    lake.good()
    good = lake.rows("SELECT order_id, _row FROM bronze.shop.orders WHERE _reject IS NULL ORDER BY _row")
    assert good == [("1", 1), ("3", 3)]
    [(row, reject, raw)] = lake.rows("SELECT _row, _reject, _raw FROM bronze.shop.orders WHERE _reject IS NOT NULL")
    assert (row, raw.startswith("2,")) == (2, True)
    assert says in reject
    assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(1,)]


def test_a_field_of_ten_megabytes_is_kept(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10," + "x" * 10_000_000 + "\n2,2024-01-01,10,1\n")
    lake.good()
    assert lake.rows("SELECT order_id, length(updated) FROM bronze.shop.orders ORDER BY 1") == [
        ("1", 10_000_000),
        ("2", 1),
    ]


def test_a_folder_and_a_link_out_of_the_landing_zone_are_refused(lake: Lake) -> None:
    lake.shop()
    (lake.data / "landing/shop/orders/folder.csv").mkdir(parents=True)
    outside = lake.root / "secret.csv"
    outside.write_text(HEADER + "9,2024-01-01,10,1\n")
    (lake.data / "landing/shop/orders/link.csv").symlink_to(outside)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    run = lake.run()
    record = lake.step(run, "bronze.shop.orders")
    said = f"{record.error_message}\n{record.notes}"
    assert "folder.csv is a folder" in said
    assert "link.csv is a link out of the landing zone" in said
    assert lake.rows("SELECT order_id FROM bronze.shop.orders") == [("1",)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_a_machine_error_that_names_it(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER).chmod(0)
    run = lake.run()
    assert "permission denied" in str(run.failures["bronze.shop.orders"])


def test_a_file_still_being_written_waits_for_the_next_run(lake: Lake) -> None:
    lake.shop()
    lake.environ["SETTLE_SECONDS"] = "0.5"
    path = lake.land("shop/orders/1.csv", HEADER)
    stop = threading.Event()

    def grow() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with path.open("a") as handle:
                handle.write(f"{number},2024-01-01,10,1\n")
            time.sleep(0.02)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        run = lake.good()
    finally:
        stop.set()
        writer.join()
    assert "still being written" in str(lake.step(run, "bronze.shop.orders").notes)
    lake.environ["SETTLE_SECONDS"] = "0"
    lake.good()
    assert lake.rows(COUNT) == [(len(path.read_text().splitlines()) - 1,)]


def test_compressed_files_are_read(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv.gz", gzip.compress((HEADER + "1,2024-01-01,10,1\n").encode()))
    lake.good()
    assert lake.rows("SELECT order_id, _file FROM bronze.shop.orders") == [("1", "shop/orders/1.csv.gz")]


@pytest.mark.parametrize(
    ("form", "name", "content"),
    [
        ("ndjson", "1.ndjson", '{"order_id": 1, "day": "2024-01-01", "amount": 1.50, "updated": {"by": ["x"]}}\n'),
        ("json", "1.json", '[{"order_id": 1, "day": "2024-01-01", "amount": 1.50, "updated": {"by": ["x"]}}]'),
    ],
)
def test_json_is_kept_as_it_was_written(lake: Lake, form: str, name: str, content: str) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "*.csv, format: csv", f"*.{form}, format: {form}")
    lake.land(f"shop/orders/{name}", content)
    lake.run()
    [(order, day, amount, updated)] = lake.rows("SELECT order_id, day, amount, updated FROM bronze.shop.orders")
    assert (order, day, amount, updated.replace(" ", "")) == ("1", "2024-01-01", "1.50", '{"by":["x"]}')


def test_when_the_clock_goes_back_later_rows_are_still_later(lake: Lake) -> None:
    from datetime import UTC, datetime

    from src.bronze import ingest
    from src.project import open_project

    lake.shop()
    lake.edit(
        "silver/shop/orders.yaml", "    customProperties:\n      - {property: sequenceBy, value: [updated]}\n", ""
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,20,1\n")
    with open_project(lake.settings) as project:
        feed = project.contracts.feeds["bronze.shop.orders"]
        back = datetime(2001, 1, 1, tzinfo=UTC)
        ingest.run(project.engine, project.landing, project.path(feed.id), feed, batch="b", now=back, settle=0)
    lake.good()
    assert lake.rows("SELECT amount FROM silver.shop.orders") == [(20,)]


def test_files_that_no_feed_takes_are_named(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER)
    lake.land("shop/orders/2.tsv", HEADER)
    lake.land("typo/orders/3.csv", HEADER)
    run = lake.good()
    assert run.unclaimed == ["shop/orders/2.tsv", "typo/orders/3.csv"]


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_run(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.bronze import readers

    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    path = lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,10,1\n")
    read = readers.read

    def slow(*given: object) -> readers.Rows:
        if given[-1] == path and path.read_text().count("\n") == 2:
            path.write_text(path.read_text() + "3,2024-01-01,10,1\n")
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(readers, "read", slow)
    run = lake.good()
    assert "1 files changed while read, taken next run" in str(lake.step(run, "bronze.shop.orders").notes)
    assert lake.rows("SELECT order_id FROM bronze.shop.orders") == [("1",)]
    lake.good()
    assert lake.rows("SELECT order_id FROM bronze.shop.orders ORDER BY 1") == [("1",), ("2",), ("3",)]


def test_files_taken_before_a_checkpoint_of_the_log_are_known_after_it(lake: Lake) -> None:
    lake.shop()
    for day in range(3):
        lake.land(f"shop/orders/{day}.csv", HEADER + f"{day},2024-01-01,10,1\n")
        lake.good()
    root = lake.data / "bronze" / "shop" / "orders"
    DeltaTable(str(root)).create_checkpoint()
    log = root / "_delta_log"
    before = list(log.glob("*.json"))
    lake.land("shop/orders/copy.csv", HEADER + "2,2024-01-01,10,1\n")
    lake.land("shop/orders/new.csv", HEADER + "99,2024-01-01,10,1\n")
    step = lake.step(lake.good(), "bronze.shop.orders")
    assert (step.records_read, step.files) == (1, 1)
    assert lake.rows(COUNT) == [(4,)]
    (log / "_last_checkpoint").unlink()
    for path in log.glob("*.checkpoint.parquet"):  # as another engine would write it: only the library reads it
        path.rename(path.with_name(path.name.replace(".parquet", ".0000000001.0000000001.parquet")))
    for path in before:
        path.unlink()
    assert lake.step(lake.good(), "bronze.shop.orders").records_read == 0
    assert lake.rows(COUNT) == [(4,)]


def test_a_file_of_which_no_table_reads_a_column_is_refused_and_the_others_are_taken(lake: Lake) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "{name: amount,", "{name: amount, transformLogic: '\"Total price\"',")
    lake.land("shop/orders/1.csv", "order_id,day,Total price,updated\n1,2024-01-01,10,1\n")
    lake.land("shop/orders/2.csv", "Orders of June,,,\n\norder_id,day,Total price,updated\n2,2024-01-01,10,1\n")
    lake.land("shop/orders/3.csv", "id,when\n3,2024-01-01\n")
    lake.land("shop/orders/4.csv", "x,total price\n3,7\n")  # one column is enough: the others are drift
    run = lake.run()
    refused = str(run.failures["bronze.shop.orders"])
    assert "2.csv" in refused or "3.csv" in refused
    assert lake.rows('SELECT _file, order_id, "Total price" FROM bronze.shop.orders ORDER BY _file') == [
        ("shop/orders/1.csv", "1", "10"),
        ("shop/orders/4.csv", None, "7"),
    ]
    (lake.data / "landing/shop/orders/2.csv").unlink()
    (lake.data / "landing/shop/orders/3.csv").unlink()
    lake.good()
    assert lake.rows("SELECT order_id FROM silver.shop.orders") == [(1,)]
