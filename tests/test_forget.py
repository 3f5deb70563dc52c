"""A person leaves the lake: every line of theirs, in every table and version, and no later file brings it back."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from conftest import Lake, reader, short
from torture.kills import Job, Killer, killer

from src.engine import literal
from src.errors import DataError, UsageError
from src.forget import key

CUSTOMERS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.customers
name: Customers
version: 1.0.0
status: active
domain: shop
description: {purpose: Customers.}
servers:
  - {server: customers, type: local, path: shop/customers/*.csv, format: csv}
schema:
  - name: customers
    logicalType: object
    physicalType: table
    properties:
      - {name: customer_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: email, logicalType: string, physicalType: varchar, classification: pii}
      - {name: segment, logicalType: string, physicalType: varchar, logicalTypeOptions: {maxLength: 8}}
      - {name: updated, logicalType: integer, physicalType: integer}
    customProperties:
      - {property: sequenceBy, value: [updated]}
"""

ORDERS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.orders
name: Orders
version: 1.0.0
status: active
domain: shop
description: {purpose: Orders.}
servers:
  - {server: orders, type: local, path: shop/orders/*.csv, format: csv}
schema:
  - name: orders
    logicalType: object
    physicalType: table
    properties:
      - {name: order_id, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 1}
      - {name: day, logicalType: date, physicalType: date, required: true, partitioned: true, partitionKeyPosition: 1}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)", required: true}
      - name: customer_id
        logicalType: integer
        physicalType: bigint
        relationships: [{to: customers.customer_id}]
      - {name: updated, logicalType: integer, physicalType: integer}
    customProperties:
      - {property: sequenceBy, value: [updated]}
"""

SECOND = "customer_id,email,segment,updated\n 178501785,ada.new@example.org,wholesaler,2\n2,bob@example.com,retail,2\n"
FORGET = ("--table", "silver.shop.customers", "--where", "customer_id = 178501785", "--reason", "request 12", "--yes")


def shop(lake: Lake, *, landed: bool = False) -> Lake:
    """A shop of two customers, of whom one is spelled in three ways, moved an order, and has a rejected line.

    `landed`: its files are there still, and may be rewritten.
    """
    if landed:
        lake.environ["LANDING_REWRITE"] = "true"
    lake.shop()
    lake.write("silver/shop/customers.yaml", CUSTOMERS)
    lake.write("silver/shop/orders.yaml", ORDERS)
    lake.land(
        "shop/customers/1.csv",
        "customer_id,email,segment,updated\n0178501785,ada@example.org,retail,1\n2,bob@example.org,retail,1\n",
    )
    lake.land("shop/customers/2.csv", SECOND)
    lake.land(
        "shop/orders/1.csv",
        "order_id,day,amount,customer_id,updated\n"
        "10,2024-01-01,5,178501785,1\n11,2024-01-01,7,2,1\n12,2024-01-02,x,178501785,1\n13,2024-01-03,4,178501785,1\n",
    )
    lake.good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,customer_id,updated\n13,2024-01-03,4,2,2\n10,2024-01-01,6,,2\n")
    lake.good()
    if not landed:
        shutil.rmtree(lake.data / "landing")  # they were fetched from elsewhere, and are there no more
    return lake


def everything(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows that readers and the next run have, by table."""
    orders = "SELECT order_id, amount, customer_id FROM {} ORDER BY ALL"
    return {
        "customers": lake.rows("SELECT customer_id, email FROM silver.shop.customers ORDER BY ALL"),
        "orders": lake.rows(orders.format("silver.shop.orders")),
        "daily": lake.rows("SELECT * EXCLUDE (day), day::VARCHAR FROM gold.shop.daily ORDER BY day"),
        "quarantine": lake.rows("SELECT _values FROM quarantine.shop.customers"),
        "lines": lake.rows(orders.format("bronze.shop.orders")),
        "customer lines": lake.rows("SELECT customer_id, email FROM bronze.shop.customers ORDER BY ALL"),
    }


def bytes_with(folder: Path, text: str) -> list[str]:
    """Return the files below a folder whose bytes have a text, those of Parquet by their rows."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet" and "_delta_log" not in path.parts:
            rows = f"SELECT count(*) FROM read_parquet({literal(str(path))}) t"
            has_text = bool(reader().one(f"{rows} WHERE contains(t::VARCHAR, {literal(text)})")[0])
        else:
            has_text = path.is_file() and text.encode() in path.read_bytes()
        if has_text:
            found.append(path.relative_to(folder).as_posix())
    return found


def test_the_engine_makes_the_hash_that_hmac_is(lake: Lake) -> None:
    key.use(reader(), "k" * 64)
    wanted = hmac.new(b"k" * 64, "a “b”".encode(), hashlib.sha256).hexdigest()
    assert reader().one(f"SELECT {key.hash_sql(literal('a “b”'))}")[0] == wanted


def test_a_person_leaves_every_table_under_every_spelling(lake: Lake) -> None:
    shop(lake)
    assert lake.command("forget", *FORGET) == 0
    assert everything(lake) == {
        "customers": [(2, "bob@example.com")],
        "orders": [(11, 7, 2), (13, 4, 2)],
        "daily": [(1, 7, "2024-01-01"), (1, 4, "2024-01-03")],
        "quarantine": [],
        "lines": [("11", "7", "2"), ("13", "4", "2")],
        "customer lines": [("2", "bob@example.com"), ("2", "bob@example.org")],
    }


@pytest.mark.parametrize("text", short(["178501785", "ada@example"], 1))
def test_nothing_below_the_tables_has_a_value_left(lake: Lake, text: str) -> None:
    shop(lake)
    assert bytes_with(lake.data / "bronze", text)
    assert bytes_with(lake.data / "silver", text)
    assert lake.command("forget", *FORGET) == 0
    tables = [folder for folder in lake.data.iterdir() if folder.is_dir() and folder.name not in ("landing", ".spill")]
    assert {folder.name: bytes_with(folder, text) for folder in tables} == {folder.name: [] for folder in tables}


def test_a_dry_run_counts_and_changes_nothing(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(shop(lake))
    assert lake.command("forget", *FORGET, "--dry-run") == 0
    shown = capsys.readouterr().out
    counted = [line.split()[:3] for line in shown.splitlines() if line.startswith(("bronze", "silver", "quarantine"))]
    assert [one for one in counted if one[1].isdigit()] == [
        ["bronze.shop.customers", "2", "1"],
        ["bronze.shop.orders", "4", "2"],
        ["silver.shop.customers", "1", "1"],
        ["quarantine.shop.customers", "1", "1"],
        ["silver.shop.orders", "1", "1"],
        ["quarantine.shop.orders", "1", "1"],
    ]
    assert everything(lake) == before
    assert not (lake.root / ".env").exists()


def test_a_file_that_brings_them_back_is_held_back_and_counted(lake: Lake) -> None:
    shop(lake)
    assert lake.command("forget", *FORGET) == 0
    header = "order_id,day,amount,customer_id,updated\n"
    lake.land("shop/orders/3.csv", header + "14,2024-01-04,1,0178501785,1\n15,2024-01-04,2,2,1\n12,2024-01-05,2,,9\n")
    lake.land("shop/customers/2.csv", SECOND)
    lake.land("shop/customers/new.csv", b"customer_id,email,segment,updated\n178501785,x@example.org,retail,9\n")
    run = lake.good()
    step = lake.step(run, "bronze.shop.orders")
    assert (step.records_read, step.inserted, step.forgotten) == (3, 1, 2)
    assert lake.step(run, "bronze.shop.customers").forgotten == 1
    assert lake.rows("SELECT order_id FROM bronze.shop.orders ORDER BY 1") == [("11",), ("13",), ("15",)]
    assert lake.rows("SELECT customer_id FROM silver.shop.customers") == [(2,)]
    assert bytes_with(lake.data / "bronze", "178501785") == []


@pytest.mark.long
def test_without_the_key_nothing_of_such_a_feed_is_taken(lake: Lake) -> None:
    shop(lake)
    assert lake.command("forget", *FORGET) == 0
    (lake.root / ".env").unlink()
    lake.land("shop/customers/3.csv", "customer_id,email,segment,updated\n178501785,x@example.org,retail,9\n")
    lake.land("shop/orders/3.csv", "order_id,day,amount,customer_id,updated\n14,2024-01-04,1,178501785,1\n")
    run = lake.run()
    assert "FORGET_KEY is not set" in str(run.failures["bronze.shop.orders"])
    assert lake.rows("SELECT count(*) FROM bronze.shop.orders") == [(2,)]
    assert lake.command("forget", "--key-lost", "--yes") == 0
    lake.good()
    assert lake.rows("SELECT count(*) FROM bronze.shop.orders") == [(3,)]


@pytest.mark.long
def test_a_reason_that_says_who_is_refused(lake: Lake) -> None:
    shop(lake)
    for reason in ("Ada@Example.org asked", "of customer 178501785"):
        with pytest.raises(UsageError, match="quotes a value") as error:
            lake.command("forget", *FORGET[:4], "--reason", reason, "--yes")
        assert not {"ada", "178501785"} & set(str(error.value).lower().split())
    assert lake.rows("SELECT count(*) FROM bronze.shop.customers") == [(4,)]


def test_the_certificate_says_where_and_how_many_and_never_who(lake: Lake) -> None:
    shop(lake)
    assert lake.command("forget", *FORGET) == 0
    counted = "SELECT location, rows, files FROM ops.forgotten WHERE status = 'location' AND rows > 0 ORDER BY location"
    assert lake.rows(counted) == [
        ("bronze.shop.customers", 2, 1),
        ("bronze.shop.orders", 4, 2),
        ("landing of bronze.shop.customers", 2, 2),
        ("landing of bronze.shop.orders", 4, 2),
        ("quarantine.shop.customers", 1, 1),
        ("quarantine.shop.orders", 1, 1),
        ("silver.shop.customers", 1, 1),
        ("silver.shop.orders", 1, 1),
    ]
    [(status, reason)] = lake.rows("SELECT max(status) FILTER (status IN ('done')), max(reason) FROM ops.forgotten")
    assert (status, reason) == ("done", "request 12")


@pytest.fixture(scope="module")
def killing() -> Iterator[Killer]:
    with killer() as running:
        yield running


@pytest.mark.parametrize("part", short([0.62, 0.45, 0.3, 0.38, 0.5, 0.55, 0.7, 0.78, 0.86, 0.94, 0.2], 1))
def test_killed_anywhere_the_next_run_finishes_it(lake: Lake, tmp_path: Path, killing: Killer, part: float) -> None:
    """At the part of its points that is named; also the same command again would."""
    shop(lake, landed=True)
    twin = tmp_path / "twin"
    shutil.copytree(lake.root, twin, ignore=shutil.ignore_patterns("twin"))
    action = ("forget", "silver.shop.customers", "customer_id = 178501785")
    environ = {"LANDING_REWRITE": "true"}
    points = killing.do(Job(str(twin), str(twin / "src"), action, environ=environ)).points
    wanted = everything(Lake(twin))
    shutil.rmtree(twin)
    job = Job(str(lake.root), str(lake.root / "src"), action, int(points * part), environ=environ)
    assert killing.do(job).killed
    begun = (lake.data / "ops/forgotten/_delta_log").exists()
    if begun and part < 0.9:  # later it is over
        with pytest.raises(UsageError, match="somebody is being forgotten"):
            lake.command("branch", "create", "margin")
    lake.good()
    if not begun:  # nothing was done, and the command is typed again
        assert lake.command("forget", *FORGET) == 0
    assert everything(lake) == wanted
    folders = ("landing", "bronze", "silver", "gold", "quarantine")
    assert [bytes_with(lake.data / name, "178501785") for name in folders] == [[], [], [], [], []]
    lake.good()
    assert everything(lake) == wanted
    # whoever finished it did not know the values: typed again it searches for them
    assert lake.command("forget", *FORGET) == 0
    assert lake.rows("SELECT count(*) FROM ops.forgotten WHERE status = 'done'") == [(1,)]


def test_rows_past_their_retention_are_forgotten_and_no_older_line_comes_back(lake: Lake) -> None:
    shop(lake)
    years = date.today().year - 2024
    retention = f"slaProperties: [{{property: retention, value: {years}, unit: y, element: orders.day}}]\nschema:"
    lake.edit("silver/shop/orders.yaml", "schema:", retention)
    header = "order_id,day,amount,customer_id,updated\n"
    recent = date.today().isoformat()
    lake.land(
        "shop/orders/3.csv", f"{header}11,2000-01-01,8,2,5\n16,{recent},1,2,1\n13,2023-12-31,4,2,3\n13,{recent},4,2,4\n"
    )
    lake.good()
    assert lake.command("forget", "--retention", "--dry-run") == 0
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(4,)]
    assert lake.command("forget", "--retention", "--yes") == 0
    assert lake.rows("SELECT order_id FROM silver.shop.orders ORDER BY 1") == [(13,), (16,)]
    assert lake.rows("SELECT DISTINCT order_id FROM bronze.shop.orders ORDER BY 1") == [("13",), ("16",)]
    assert lake.rows("SELECT count(*) FROM silver.shop.customers") == [(2,)]
    assert not (lake.root / ".env").exists()
    assert lake.command("forget", "--retention", "--yes") == 0


def test_landed_files_lose_the_lines_and_no_run_takes_them_for_new(lake: Lake) -> None:
    shop(lake, landed=True)
    assert lake.command("forget", *FORGET) == 0
    landing = lake.data / "landing/shop"
    assert (landing / "orders/1.csv").read_text().splitlines()[1:] == ["11,2024-01-01,7,2,1"]
    assert (landing / "customers/2.csv").read_text().splitlines()[1:] == ["2,bob@example.com,retail,2"]
    before = everything(lake)
    run = lake.good()
    assert {lake.step(run, name).files for name in ("bronze.shop.orders", "bronze.shop.customers")} == {0}
    assert everything(lake) == before


@pytest.mark.long
def test_landed_files_that_stay_are_named_and_nothing_is_proven(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    shop(lake, landed=True)
    lake.environ["LANDING_REWRITE"] = "false"
    with pytest.raises(DataError, match="not proven"):
        lake.command("forget", *FORGET)
    assert "shop/orders/1.csv keeps 3 of their records: LANDING_REWRITE is false" in capsys.readouterr().out
    assert lake.rows("SELECT count(*) FROM bronze.shop.orders") == [(2,)]
    assert lake.rows("SELECT count(*) FROM ops.forgotten WHERE status = 'unproven'") == [(1,)]


@pytest.mark.long
def test_a_condition_on_a_foreign_key_leads_to_the_row_that_it_refers_to(lake: Lake) -> None:
    shop(lake)
    assert lake.command("forget", "--table", "silver.shop.orders", *FORGET[2:]) == 0
    assert lake.rows("SELECT customer_id FROM bronze.shop.customers ORDER BY 1") == [("2",), ("2",)]
    assert lake.rows("SELECT order_id FROM bronze.shop.orders ORDER BY 1") == [("11",), ("13",)]


@pytest.mark.long
def test_a_table_that_is_left_out_keeps_its_rows(lake: Lake) -> None:
    shop(lake)
    lake.edit("silver/shop/orders.yaml", "        relationships: [{to: customers.customer_id}]\n", "")
    with pytest.raises(DataError, match="not proven"):
        lake.command("forget", *FORGET, "--without", "silver.shop.orders")
    assert lake.rows("SELECT count(*) FROM bronze.shop.orders") == [(6,)]


def test_records_that_quote_a_value_are_marked(lake: Lake) -> None:
    shop(lake)
    why = "178501785 wrote, from ADA@example.org"
    waived = ("--matching", "segment", "--reason", why, "--until", "2999-01-01")
    assert lake.command("quarantine", "waive", "--table", "silver.shop.customers", *waived) == 0
    assert lake.command("forget", *FORGET) == 0
    assert lake.rows("SELECT reason FROM ops.waivers") == [("[forgotten] wrote, from [forgotten]",)]
    assert bytes_with(lake.data / "ops", "178501785") == []


@pytest.mark.long
def test_a_lake_with_branches_is_refused_by_their_names(lake: Lake) -> None:
    shop(lake)
    assert lake.command("branch", "create", "margin") == 0
    with pytest.raises(UsageError, match="branches keep the files that they share: margin"):
        lake.command("forget", *FORGET)
    assert lake.command("forget", *FORGET, "--drop-branches") == 0


@pytest.mark.long
def test_a_slice_whose_newest_file_would_say_nothing_any_more_is_refused(lake: Lake) -> None:
    shop(lake)
    lake.edit("silver/shop/orders.yaml", "sequenceBy, value: [updated]", "replaces, value: [day]")
    lake.edit("silver/shop/orders.yaml", "date, required: true,", "date, primaryKey: true, primaryKeyPosition: 2,")
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    header = "order_id,day,amount,customer_id,updated\n"
    lake.land("shop/orders/4.csv", f"{header}20,2024-03-01,1,2,1\n21,2024-03-01,1,178501785,1\n")
    lake.good()
    lake.land("shop/orders/5.csv", f"{header}21,2024-03-01,1,178501785,1\n")
    lake.good()
    assert lake.rows("SELECT order_id FROM silver.shop.orders WHERE day = '2024-03-01'") == [(21,)]
    with pytest.raises(UsageError, match=r"silver\.shop\.orders: of a slice the newest file"):
        lake.command("forget", *FORGET)
    lake.land("shop/orders/6.csv", f"{header}22,2024-03-01,1,2,1\n23,2024-01-01,1,2,1\n")
    lake.good()
    shutil.rmtree(lake.data / "landing")
    assert lake.command("forget", *FORGET) == 0
    assert lake.rows("SELECT order_id FROM silver.shop.orders WHERE day = '2024-03-01'") == [(22,)]


@pytest.mark.long
def test_a_seed_that_has_them_is_refused_until_they_are_out_of_it(lake: Lake) -> None:
    shop(lake)
    lake.edit("silver/shop/customers.yaml", "schema:", SEEDED)
    lake.edit("silver/shop/customers.yaml", "version: 1.0.0", "version: 1.1.0")
    seed = lake.write("silver/shop/seeds/customers.csv", "customer_id,email,segment,updated\n178501785,a@b.org,vip,7\n")
    lake.good()
    with pytest.raises(UsageError, match=r"src/silver/shop/seeds/customers.csv is in git and has them"):
        lake.command("forget", *FORGET)
    seed.write_text("customer_id,email,segment,updated\n3,c@b.org,vip,7\n")
    lake.good()
    with pytest.raises(DataError, match="not proven"):  # what the seed landed before is in the landing zone
        lake.command("forget", *FORGET)
    assert lake.rows("SELECT customer_id FROM bronze.shop.customers WHERE customer_id LIKE '%785'") == []


SEEDED = "  - {server: seeds, type: local, path: shop/seeds/customers@*.csv, format: csv}\nschema:"


@pytest.mark.long
def test_a_condition_that_looks_beyond_its_row_is_refused(lake: Lake) -> None:
    shop(lake)
    wider = "customer_id = (SELECT max(customer_id) FROM silver.shop.customers)"
    for where in (wider, "updated < now()", "true", "x = 1", "customer_id = 'nobody'"):
        with pytest.raises(UsageError, match="the condition"):
            lake.command("forget", *FORGET[:3], where, *FORGET[4:])


def test_a_line_that_could_not_be_split_goes_by_the_values_in_it(lake: Lake) -> None:
    shop(lake)
    header = "customer_id,email,segment,updated\n"
    lines = "9,1785017851,a,b,c\n9,178501785.0,a,b,c\n9,ADA@example.org.,a,b,c\n9,bob@example.org,a,b,c\n"
    lake.land("shop/customers/3.csv", header + lines)
    lake.good()
    shutil.rmtree(lake.data / "landing")
    assert lake.rows("SELECT count(*) FROM bronze.shop.customers WHERE _reject IS NOT NULL") == [(4,)]
    assert lake.command("forget", *FORGET) == 0
    left = [("9,1785017851,a,b,c",), ("9,bob@example.org,a,b,c",)]
    assert lake.rows("SELECT _raw FROM bronze.shop.customers WHERE _reject IS NOT NULL ORDER BY 1") == left
    assert lake.rows("SELECT _values FROM quarantine.shop.customers ORDER BY 1") == left
    lake.land("shop/customers/4.csv", f"{header}9,ada.new@example.org,a,b,c\n")
    assert lake.step(lake.good(), "bronze.shop.customers").forgotten == 1
