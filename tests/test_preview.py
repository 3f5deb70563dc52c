"""A preview shows what the next run would make of what has landed, by the run's own code, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import DAILY, ORDERS, Lake

from src.contract import Table
from src.errors import ContractError, UsageError
from src.preview import MartPreview, SilverPreview, read_mart, read_silver
from src.project import Project, open_project
from src.run import runs
from src.selection import table_named

HEADER = "order_id,day,amount,updated\n"
GONE = "      - {property: sequenceBy, value: [updated]}\n      - {property: deleteWhen, value: amount < 0}\n"


def with_deletions(lake: Lake) -> Lake:
    lake.shop().write("silver/shop/orders.yaml", ORDERS.replace(ORDERS.splitlines(keepends=True)[-1], GONE))
    return lake


def looked(lake: Lake, name: str, limit: int = 20) -> Any:
    """Return the preview of a table, silver or gold."""
    with open_project(lake.settings) as project:
        return _look(project, table_named(project, name), limit)


def _look(project: Project, table: Table, limit: int) -> SilverPreview | MartPreview:
    if table.layer == "gold":
        return read_mart(project, table, limit, runs.now())
    return read_silver(project, table, limit, runs.now())


def everything(folder: Path) -> dict[str, str]:
    """Return every path below a folder with the hash of its bytes, and when it was written; not who read what."""
    return {
        str(
            path
        ): f"{hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ''} {path.stat().st_mtime_ns}"
        for path in folder.rglob("*")
        if ".access" not in path.parts
    }


def test_a_preview_changes_no_byte_of_the_data_folder(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,x,1\n")
    before = everything(lake.data)
    assert lake.command("preview", "orders") == 0
    assert lake.command("preview", "gold.shop.daily") == 0
    assert everything(lake.data) == before
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,11,2\n3,2024-01-03\n4,2024-01-03,1,1\n")
    lake.land("shop/orders/3.csv", b"\xff\xfe\x00 no text \x00")
    before = everything(lake.data)
    assert lake.command("preview", "silver.shop.orders", "--json") == 0
    assert lake.command("preview", "daily") == 0
    assert everything(lake.data) == before
    for path in (lake.data / "landing/shop/orders/3.csv",):
        path.unlink()
    lake.good()


def test_a_preview_has_the_rows_that_the_next_run_makes(lake: Lake) -> None:
    with_deletions(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-02,x,1\n")
    for second in (
        "",
        HEADER + "2,2024-01-02,-1,2\n1,2024-01-05,12,0\n1,2024-01-06,13,2\n5,soon,1,1\n6,2024-01-09,6,1\n",
    ):
        if second:
            lake.land("shop/orders/2.csv", second)
        found = looked(lake, "orders")
        lake.good()
        stored = lake.rows("SELECT order_id, day, amount, updated FROM silver.shop.orders ORDER BY _ingested_at, _row")
        assert [tuple(row.values()) for row in found.first] == stored
        assert found.rows == len(stored)
        assert found.quarantined == len(lake.rows("SELECT 1 FROM quarantine.shop.orders"))
        assert found.deleted == len(lake.rows("SELECT 1 FROM deletions.shop.orders"))
        assert found.refusals == ()
    assert (found.read, found.rows, found.quarantined, found.superseded, found.deleted) == (8, 2, 2, 3, 1)
    assert (found.would, found.feeds[0].new_files, found.feeds[0].taken_before) == ("merge", 1, 1)
    reasons = [(one.code, one.rows, one.file, one.row, one.text) for one in found.reasons]
    assert reasons == [
        ("type:amount", 1, "shop/orders/1.csv", 3, "amount: cannot read x as decimal(18,2)"),
        ("type:day", 1, "shop/orders/2.csv", 4, "day: cannot read soon as date"),
    ]
    assert json.loads(found.reasons[0].values)["amount"] == "x"
    amount = next(column for column in found.columns if column.column == "amount")
    assert (amount.filled_percent, amount.distinct, amount.least, amount.greatest) == (100, 2, "6.00", "13.00")


def test_new_files_are_read_with_those_in_bronze_also_where_columns_and_sql_differ(lake: Lake) -> None:
    lake.shop()
    lake.write(
        "silver/shop/orders.sql",
        "SELECT order_id, day, amount, coalesce(updated, '9') AS updated, _file, _row, _ingested_at, _batch "
        "FROM bronze.shop.orders WHERE amount IS NOT NULL",
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,20,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "day,order_id,amount,note\n2024-01-02,2,21,late\n2024-01-02,3,30,new\n")
    found = looked(lake, "orders")
    assert [tuple(row.values())[::2] for row in found.first] == [(1, 10), (2, 21), (3, 30)]
    assert found.read == 4
    assert found.feeds[0].notes[0].startswith("new column note in shop/orders/2.csv")
    lake.good()
    assert [row[0] for row in lake.rows("SELECT amount FROM silver.shop.orders ORDER BY order_id")] == [10, 21, 30]


def test_a_preview_says_what_would_stop_a_run(lake: Lake) -> None:
    lake.shop()
    many = "".join(f"{at},2024-01-01,1,1\n" for at in range(100))
    lake.land("shop/orders/1.csv", HEADER + many)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "".join(f"{at},2024-01-01,one,2\n" for at in range(25)))
    lake.land("shop/orders/3.csv", "a,b\n1,2\n")
    lake.edit(
        "silver/shop/orders.yaml", "    properties:", "    quality: [{metric: rowCount, mustBe: 7}]\n    properties:"
    )
    found = looked(lake, "orders")
    assert (found.would, found.rows, found.quarantined) == ("fail", 100, 25)  # of all rows few are rejected
    stops = {one.what.split("\n")[0] for one in found.refusals}
    assert "25 of 25 rows were rejected, more than 50 %" in stops  # of the load, all
    assert any("none of the columns that are read" in what for what in stops)
    assert (found.feeds[0].new_files, found.feeds[0].refused, found.feeds[0].taken_before) == (1, 1, 1)
    assert "audit failed: rowCount is 100, mustBe 7" in stops
    assert [audit.rule for audit in found.audits] == ["rowCount"]
    run = lake.run()
    assert set(run.failures) == {"bronze.shop.orders"}
    lake.environ["BROKEN_ON_PURPOSE"] = "1"


def test_a_contract_that_changed_is_looked_at_although_its_version_did_not(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n")
    lake.good()
    lake.edit(
        "silver/shop/orders.yaml",
        "required: true}\n      - {name: updated",
        "transformLogic: cast(amount as integer) * 2}\n      - {name: updated",
    )
    found = looked(lake, "orders")
    assert "a minor change under version 1.0.0" in found.refusals[0].what
    assert [row["amount"] for row in found.first] == [20, 40]


def test_a_foreign_key_to_a_table_that_is_not_built_is_not_looked_at_and_that_is_said(lake: Lake) -> None:
    lake.shop()
    customers = ORDERS.replace("orders", "customers").replace("Orders", "Customers").replace("order_id", "customer")
    lake.write("silver/shop/customers.yaml", customers)
    key = "primaryKey: true, primaryKeyPosition: 1}"
    lake.edit("silver/shop/orders.yaml", key, key[:-1] + ", relationships: [{to: customers.customer}]}")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    found = looked(lake, "orders")
    assert (found.not_audited, found.refusals) == (("silver.shop.customers",), ())
    lake.land("shop/customers/1.csv", HEADER.replace("order_id", "customer") + "2,2024-01-01,10,1\n")
    lake.run()
    found = looked(lake, "orders")
    assert "relationship of order_id is 1, mustBe 0" in found.refusals[0].what
    lake.environ["BROKEN_ON_PURPOSE"] = "1"


def test_a_mart_is_compared_with_what_is_published_by_its_key(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "gold/shop/contract.yaml", "{name: day, logicalType: date", "{name: day, primaryKey: true, logicalType: date"
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n3,2024-01-03,30,1\n")
    lake.good()
    lake.write(
        "gold/shop/daily.sql",
        DAILY.replace(
            "GROUP BY day", "WHERE order_id > 1 GROUP BY ALL UNION ALL SELECT DATE '2025-01-01', 1, 0.0"
        ).replace("sum(amount)", "sum(if(order_id = 2, 2 * amount, amount))"),
    )
    found = looked(lake, "gold.shop.daily")
    compared = found.comparison
    assert (found.rows, compared.published, compared.added, compared.removed, compared.changed) == (3, 3, 1, 1, 1)
    assert [str(row["day"]) for row in (*compared.added_rows, *compared.removed_rows)] == ["2025-01-01", "2024-01-01"]
    [change] = compared.changes
    assert (str(change.key["day"]), change.column, change.before, change.after) == (
        "2024-01-02",
        "amount",
        "20.00",
        "40.00",
    )
    assert compared.as_of == lake.rows("SELECT max(run_id) FROM ops.pipeline_runs")[0][0]


def test_a_mart_breaking_its_contract_is_shown_with_what_would_stop_a_run(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "gold/shop/contract.yaml", "physicalType: bigint}", "physicalType: bigint, logicalTypeOptions: {maximum: 1}}"
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,20,1\n")
    lake.run()
    found = looked(lake, "gold.shop.daily")
    assert "1 rows break a rule: orders: 2 is more than the maximum 1" in found.refusals[0].what
    assert (found.rows, found.comparison, found.first[0]["amount"]) == (1, None, 30)


def test_a_mart_over_what_is_not_built_is_bound_and_says_what_it_waits_for(lake: Lake) -> None:
    lake.shop()
    assert looked(lake, "daily").waits_for == ("silver.shop.orders",)
    lake.edit("gold/shop/daily.sql", "sum(amount)", "sum(amout)")
    with pytest.raises(ContractError, match="amout"):
        looked(lake, "daily")


def test_a_table_is_named_by_as_much_of_its_id_as_one_alone_has(lake: Lake) -> None:
    lake.shop().write("silver/store/orders.yaml", ORDERS.replace("shop", "store"))
    assert looked(lake, "shop.orders").table == "silver.shop.orders"
    with pytest.raises(UsageError, match=r"orders may be silver\.shop\.orders or silver\.store\.orders"):
        looked(lake, "orders")
    with pytest.raises(UsageError) as refused:
        looked(lake, "shop.ordres")
    assert str(refused.value.fix).startswith("did you mean `silver.shop.orders`? there are gold.shop.daily, ")


def test_a_preview_is_printed_and_is_one_json_document(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-02,x,1\n")
    assert lake.command("preview", "orders", "--limit", "1") == 0
    shown = capsys.readouterr().out
    assert "silver.shop.orders 1.0.0: a run would build it whole: first load" in shown
    assert "1  amount: cannot read x as decimal(18,2)  shop/orders/1.csv  2" in shown
    assert lake.command("preview", "orders", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["quarantined"], found["first"][0]["day"]) == (1, 1, "2024-01-01")
    assert lake.command("preview", "daily") == 0
    assert "waits for silver.shop.orders, not published yet" in capsys.readouterr().out


def test_what_a_killed_preview_left_is_taken_away_by_a_later_one(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    rooms = [lake.data / ".spill" / name for name in ("room-old", "room-of-today")]
    for room in rooms:
        room.mkdir(parents=True)
    os.utime(rooms[0], (0, 0))
    looked(lake, "orders")
    assert [path.name for path in (lake.data / ".spill").iterdir()] == ["room-of-today"]
