"""What a source says of a slice is one whole statement: of each slice only the rows of the newest one live."""

from __future__ import annotations

import pytest
from conftest import Lake, short

from src import lake as delta
from src.errors import BoathouseError
from src.silver.removals import RemovalsError

STOCK = """
apiVersion: v3.1.0
kind: DataContract
id: shop.stock
name: Stock
version: 1.0.0
status: active
domain: shop
description: {purpose: What lies on the shelves.}
servers:
  - {server: stock, type: local, path: shop/stock/*.csv, format: csv}
schema:
  - name: stock
    logicalType: object
    physicalType: table
    properties:
      - {name: store, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - {name: item, logicalType: integer, physicalType: bigint, primaryKey: true, primaryKeyPosition: 2}
      - {name: pieces, logicalType: integer, physicalType: bigint, required: true}
    customProperties:
      - {property: replaces, value: [store]}
"""
TABLE = "silver.shop.stock"
ROWS = f"SELECT store, item, pieces FROM {TABLE} ORDER BY ALL"
HEADER = "store,item,pieces\n"


@pytest.fixture
def stock(lake: Lake) -> Lake:
    lake.write("silver/shop/stock.yaml", STOCK)
    return lake


def of_names(lake: Lake) -> Lake:
    """The store stands in the file's name."""
    logic = "logicalType: string, transformLogic: \"regexp_extract(_file, '([a-z]+)-', 1)\","
    lake.edit("silver/shop/stock.yaml", "logicalType: string,", logic)
    return lake


def by_day(lake: Lake, kind: str = "integer") -> Lake:
    """A statement is of the day in its file's name: a-3.csv of the third."""
    day = "regexp_extract(_file, '([0-9]+)[.]csv$', 1)"
    logic = {"integer": f"{day}::INTEGER", "date": f"DATE '2024-01-01' + {day}::INTEGER - 1"}[kind]
    column = f'      - {{name: counted, logicalType: {kind}, required: true, transformLogic: "{logic}"}}\n'
    lake.edit("silver/shop/stock.yaml", "    customProperties:\n", f"{column}    customProperties:\n")
    return says(lake, "sequenceBy, value: [counted]")


def says(lake: Lake, *properties: str, replaces: str = "[store]") -> Lake:
    """Give the contract custom properties."""
    added = "".join(f"      - {{property: {one}}}\n" for one in properties)
    lake.edit(
        "silver/shop/stock.yaml",
        "      - {property: replaces, value: [store]}\n",
        f"      - {{property: replaces, value: {replaces}}}\n{added}",
    )
    return lake


def counts(lake: Lake, *names: str, good: bool = True) -> tuple[int, ...]:
    """Run, and return these counts of silver's step."""
    step = lake.step(lake.good() if good else lake.run(), TABLE)
    return tuple(getattr(step, name) for name in names)


def refused(lake: Lake) -> BoathouseError:
    """Run, and return why silver's step failed."""
    error = lake.run().failures[TABLE]
    assert isinstance(error, BoathouseError)
    return error


def versions(lake: Lake) -> dict[str, int | None]:
    """The versions of the table and of what lies beside it."""
    found = {name: delta.open_table(lake.data / name / "shop/stock") for name in ("silver", "statements", "quarantine")}
    return {name: table.version if table else None for name, table in found.items()}


def files(lake: Lake) -> set[str]:
    found = delta.open_table(lake.data / "silver/shop/stock")
    assert found
    return {file.path for file in found.files}


# -- one slice, one statement


def test_rows_that_the_newest_statement_of_a_slice_lacks_are_gone(stock: Lake) -> None:
    stock.land("shop/stock/1.csv", HEADER + "a,1,10\na,2,20\na,4,40\nb,1,5\n")
    stock.good()
    stock.land("shop/stock/2.csv", HEADER + "a,1,10\na,2,21\na,3,30\n")
    found = counts(stock, "records_read", "inserted", "updated", "unchanged", "removed")
    assert stock.rows(ROWS) == [("a", 1, 10), ("a", 2, 21), ("a", 3, 30), ("b", 1, 5)]
    assert found == (3, 1, 1, 1, 1)
    assert stock.rows("SELECT removed FROM ops.pipeline_runs WHERE layer = 'silver' ORDER BY start_time") == [
        (0,),
        (1,),
    ]


def test_a_file_of_which_no_row_says_something_new_rewrites_nothing(stock: Lake) -> None:
    stock.land("shop/stock/1.csv", HEADER + "a,1,10\na,2,20\n")
    stock.good()
    stock.land("shop/stock/2.csv", HEADER + "b,1,5\n")
    stock.good()
    before = files(stock)
    stock.land("shop/stock/3.csv", HEADER + "a,2,20\na,1,10\n")
    assert counts(stock, "records_read", "unchanged", "records_written", "removed") == (2, 2, 0, 0)
    assert files(stock) == before
    stock.land("shop/stock/4.csv", HEADER + "b,1,6\n")
    stock.good()
    assert len(before & files(stock)) == 1  # that of store a


@pytest.mark.parametrize("keyed", short([True, False], 1))
def test_a_state_that_comes_back_is_a_statement_under_any_name(stock: Lake, keyed: bool) -> None:
    for place in () if keyed else (1, 2):
        stock.edit("silver/shop/stock.yaml", f"primaryKey: true, primaryKeyPosition: {place}", "required: true")
    first, second = HEADER + "a,1,10\na,2,20\n", HEADER + "a,1,10\n"
    for name, text, rows in (("x", first, 2), ("x", second, 1), ("x", first, 2), ("y", second, 1), ("z", first, 2)):
        stock.land(f"shop/stock/{name}.csv", text)
        stock.good()
        assert len(stock.rows(ROWS)) == rows


def test_all_that_a_run_finds_is_taken_in_the_order_in_which_a_person_lists_it(stock: Lake) -> None:
    stock.land("shop/stock/part10.csv", HEADER + "a,1,10\n")
    stock.land("shop/stock/part9.csv", HEADER + "a,1,9\na,2,20\nb,1,5\n")
    assert counts(stock, "inserted", "superseded", "removed") == (2, 2, 0)
    assert stock.rows(ROWS) == [("a", 1, 10), ("b", 1, 5)]


def test_a_rejected_row_speaks_of_its_slice_and_leaves_no_old_one_standing(stock: Lake) -> None:
    stock.land("shop/stock/1.csv", HEADER + "a,1,10\nb,1,5\nc,1,1\n")
    stock.good()
    stock.land("shop/stock/2.csv", HEADER + "a,1,many\nb,x,5\nb,2,6\n")
    assert counts(stock, "inserted", "quarantined", "removed") == (1, 2, 2)
    assert stock.rows(ROWS) == [("b", 2, 6), ("c", 1, 1)]


def test_a_line_that_cannot_be_split_speaks_of_the_slice_in_the_name_of_its_file(stock: Lake) -> None:
    of_names(stock)
    stock.land("shop/stock/a-1.csv", "item,pieces\n1,10\n")
    stock.good()
    stock.land("shop/stock/a-2.csv", "item,pieces\n1,10,surplus\n")
    assert counts(stock, "quarantined", "removed") == (1, 1)
    assert stock.rows(ROWS) == []


def test_rows_without_a_key_are_replaced_as_wholes(stock: Lake) -> None:
    for place in (1, 2):
        stock.edit("silver/shop/stock.yaml", f"primaryKey: true, primaryKeyPosition: {place}", "required: true")
    stock.land("shop/stock/1.csv", HEADER + "a,1,10\na,1,11\na,1,11\nb,1,5\n")
    stock.good()
    stock.land("shop/stock/2.csv", HEADER + "a,1,11\na,1,12\n")
    assert counts(stock, "inserted", "unchanged", "removed") == (1, 1, 1)
    assert stock.rows(ROWS) == [("a", 1, 11), ("a", 1, 12), ("b", 1, 5)]


def test_a_partition_of_a_mart_that_lost_its_rows_is_emptied(lake: Lake) -> None:
    lake.shop()
    own = "sequenceBy, value: [updated]"
    lake.edit("silver/shop/orders.yaml", own, "replaces, value: [day]")
    lake.edit(
        "silver/shop/orders.yaml", "required: true, partitioned", "primaryKey: true, primaryKeyPosition: 2, partitioned"
    )
    rows = "1,2024-01-01,10,1\n2,2024-01-01,20,1\n3,2024-01-02,5,1\n"
    lake.land("shop/orders/1.csv", f"order_id,day,amount,updated\n{rows}")
    lake.good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\nx,2024-01-01,10,1\n1,2024-01-02,1,1\n")
    run = lake.good()
    assert lake.rows("SELECT day::VARCHAR, orders FROM gold.shop.daily") == [("2024-01-02", 1)]
    assert lake.step(run, "silver.shop.orders").removed == 3


# -- a statement without rows


def test_an_empty_file_empties_the_slice_that_its_name_gives(stock: Lake) -> None:
    of_names(stock)
    stock.land("shop/stock/a-1.csv", "item,pieces\n1,10\n2,20\n")
    stock.land("shop/stock/b-1.csv", "item,pieces\n1,5\n")
    stock.good()
    stock.land("shop/stock/a-2.csv", "item,pieces\n")
    assert counts(stock, "records_read", "removed") == (0, 2)
    assert stock.rows(ROWS) == [("b", 1, 5)]
    stock.land("shop/stock/b-2.csv", "item,pieces\n")
    stock.land("shop/stock/c-2.csv", "item,pieces\n1,7\n")
    assert counts(stock, "inserted", "removed") == (1, 1)
    assert stock.rows(ROWS) == [("c", 1, 7)]


def test_an_empty_file_is_read_again_after_a_rollback(stock: Lake) -> None:
    of_names(stock)
    stock.land("shop/stock/a-1.csv", "item,pieces\n1,10\n")
    first = stock.good()
    stock.land("shop/stock/a-2.csv", "item,pieces\n")
    stock.good()
    assert stock.command("rollback", "--to", first.run_id) == 0
    assert stock.rows(ROWS) == [("a", 1, 10)]
    stock.good()
    assert stock.rows(ROWS) == []


def test_an_empty_file_whose_slice_stands_in_rows_says_nothing_and_is_noted(stock: Lake) -> None:
    stock.land("shop/stock/1.csv", HEADER + "a,1,10\n")
    stock.good()
    stock.land("shop/stock/2.csv", HEADER)
    step = stock.step(stock.good(), TABLE)
    assert (
        step.notes
        == "shop/stock/2.csv has no row and says nothing: store of `replaces` stand in rows, not in the file's name"
    )
    assert stock.rows(ROWS) == [("a", 1, 10)]


def test_empty_files_of_before_a_contract_said_replaces_are_known(stock: Lake) -> None:
    of_names(stock)
    stated = "      - {property: replaces, value: [store]}\n"
    stock.edit("silver/shop/stock.yaml", f"    customProperties:\n{stated}", "")
    stock.land("shop/stock/a-1.csv", "item,pieces\n1,10\n")
    stock.land("shop/stock/b-1.csv", "item,pieces\n1,5\n")
    stock.good()
    stock.land("shop/stock/a-2.csv", "item,pieces\n")
    stock.good()
    assert len(stock.rows(ROWS)) == 2
    stock.write("silver/shop/stock.yaml", STOCK.replace("1.0.0", "1.1.0"))
    of_names(stock)
    stock.good()
    assert stock.rows(ROWS) == [("b", 1, 5)]


# -- late statements, and statements in several files


def test_a_late_older_statement_loses_whole_also_to_an_empty_one(stock: Lake) -> None:
    by_day(of_names(stock))
    stock.land("shop/stock/a-2.csv", "item,pieces\n1,10\n")
    stock.good()
    stock.land("shop/stock/a-4.csv", "item,pieces\n")
    stock.good()
    stock.land("shop/stock/a-3.csv", "item,pieces\n1,10\n5,50\n")
    assert counts(stock, "records_read", "superseded", "removed") == (2, 2, 0)
    assert stock.rows(ROWS) == []
    stock.land("shop/stock/a-5.csv", "item,pieces\n5,51\n")
    stock.good()
    assert stock.rows(ROWS) == [("a", 5, 51)]


def test_files_of_one_moment_are_parts_of_one_statement_in_whatever_runs_they_come(stock: Lake) -> None:
    by_day(stock)
    stock.land("shop/stock/p-1.csv", HEADER + "a,1,10\na,2,20\n")
    stock.good()
    stock.land("shop/stock/p-2.csv", HEADER + "a,1,11\n")
    stock.land("shop/stock/q-2.csv", HEADER + "a,3,30\n")
    assert counts(stock, "inserted", "updated", "removed") == (1, 1, 1)
    stock.land("shop/stock/r-2.csv", HEADER + "a,4,40\na,1,11\n")
    assert counts(stock, "inserted", "unchanged", "removed") == (1, 1, 0)
    assert stock.rows(ROWS) == [("a", 1, 11), ("a", 3, 30), ("a", 4, 40)]
    stock.land("shop/stock/q-2.csv", HEADER + "a,5,50\n")  # one part is corrected: the others stand
    assert counts(stock, "removed") == (1,)
    assert stock.rows(ROWS) == [("a", 1, 11), ("a", 4, 40), ("a", 5, 50)]


def test_what_a_table_remembers_of_statements_is_checked_and_made_again_when_it_is_gone(stock: Lake) -> None:
    by_day(of_names(stock))
    stock.land("shop/stock/a-4.csv", "item,pieces\n1,10\n")
    stock.good()
    beside = stock.data / "statements/shop/stock"
    kept = beside.rename(stock.root / "aside")
    assert [(one.table, one.found) for one in stock.findings()] == [("statements.shop.stock", "it is gone")]
    stock.land("shop/stock/a-3.csv", "item,pieces\n1,9\n")
    stock.good()
    assert stock.rows("SELECT store, counted FROM statements.shop.stock ORDER BY 2") == [("a", 3), ("a", 4)]
    assert stock.rows(ROWS) == [("a", 1, 10)]
    beside.rename(stock.root / "new")
    kept.rename(beside)
    assert "statements: 1 rows missing" in stock.findings()[0].found
    beside.rename(stock.root / "old")
    (stock.root / "new").rename(beside)


# -- the whole table


def test_of_a_table_that_is_stated_whole_only_the_newest_file_lives(stock: Lake) -> None:
    says(stock, replaces="all")
    stock.land("shop/stock/1.csv", HEADER + "a,1,10\nb,1,5\n")
    stock.good()
    stock.land("shop/stock/2.csv", HEADER + "b,1,5\nc,1,1\n")
    assert counts(stock, "inserted", "unchanged", "removed") == (1, 1, 1)
    stock.land("shop/stock/3.csv", HEADER)
    assert counts(stock, "removed") == (2,)
    assert stock.rows(ROWS) == []


def many(count: int, store: str = "a") -> str:
    return HEADER + "".join(f"{store},{item},1\n" for item in range(count))


def test_a_statement_that_would_remove_more_than_half_of_the_table_is_refused(stock: Lake) -> None:
    says(stock, replaces="all")
    stock.land("shop/stock/1.csv", many(20))
    stock.good()
    before = versions(stock)
    stock.land("shop/stock/2.csv", many(9))
    error = refused(stock)
    assert isinstance(error, RemovalsError)
    assert error.what == "11 of 20 rows would be removed, more than 50 %: shop/stock/2.csv lack them"
    assert f"`main.py run --accept-removals {TABLE}`" in str(error)
    assert versions(stock) == before
    stock.land("shop/stock/3.csv", many(10))  # a newer statement: what counts is what both would do
    assert counts(stock, "unchanged", "superseded", "removed") == (10, 9, 10)
    stock.land("shop/stock/4.csv", many(0))  # ten rows are few
    assert counts(stock, "removed") == (10,)


def test_removals_are_accepted_by_a_person_and_recorded(stock: Lake) -> None:
    says(stock, "maxRemoved, value: 1 row")
    stock.land("shop/stock/1.csv", many(3))
    stock.good()
    stock.land("shop/stock/2.csv", many(1))
    assert "2 of 3 rows would be removed, more than 1 row" in refused(stock).what
    assert stock.command("run", "--accept-removals", TABLE) == 0
    assert stock.rows("SELECT count(*) FROM silver.shop.stock") == [(1,)]
    [(command,)] = stock.rows(
        "SELECT command FROM ops.pipeline_runs WHERE layer = 'run' ORDER BY start_time DESC LIMIT 1"
    )
    assert command == f"make pipeline ACCEPT_REMOVALS={TABLE}"
    [(notes,)] = stock.rows("SELECT notes FROM ops.pipeline_runs WHERE removed > 0")
    assert notes.startswith("2 of 3 rows were removed, more than 1 row: let through by ")


def test_a_rebuild_is_judged_too_unless_no_statement_made_the_table(stock: Lake) -> None:
    says(stock, replaces="all")
    stock.land("shop/stock/1.csv", many(30))
    stock.good()
    stock.land("shop/stock/2.csv", many(3))
    assert "27 of 30" in refused(stock).what
    stock.edit("silver/shop/stock.yaml", "version: 1.0.0", "version: 1.1.0")
    stock.edit(
        "silver/shop/stock.yaml",
        "physicalType: bigint, required",
        "physicalType: bigint, logicalTypeOptions: {minimum: 0}, required",
    )
    assert "27 of 30" in refused(stock).what
    stock.land("shop/stock/3.csv", many(29))
    assert counts(stock, "inserted", "removed") == (29, 1)


# -- history


VERSIONS = f"SELECT item, pieces, day(_valid_from), day(_valid_to), _is_current FROM {TABLE} ORDER BY ALL"


@pytest.mark.parametrize("rebuilt", short([False, True], 1))
def test_a_version_is_new_where_a_statement_says_something_else_and_ends_where_one_says_nothing(
    stock: Lake, rebuilt: bool
) -> None:
    says(by_day(of_names(stock), "date"), "history, value: scd2")
    statements = {1: "1,10\n2,20\n3,30\n", 2: "1,10\n2,21\n", 3: "1,10\n2,21\n3,30\n", 5: "", 6: "1,10\n"}
    done = []
    for day, rows in statements.items():
        stock.land(f"shop/stock/a-{day}.csv", f"item,pieces\n{rows}")
        if not rebuilt:
            done.append(counts(stock, "records_read", "inserted", "unchanged", "removed"))
    stock.good()
    assert stock.rows(VERSIONS) == [
        (1, 10, 1, 5, False),
        (1, 10, 6, None, True),
        (2, 20, 1, 2, False),
        (2, 21, 2, 5, False),
        (3, 30, 1, 2, False),
        (3, 30, 3, 5, False),
    ]
    assert rebuilt or done == [(3, 3, 0, 0), (2, 1, 1, 1), (3, 1, 2, 0), (0, 0, 0, 3), (1, 1, 0, 0)]


def test_a_late_statement_takes_its_place_in_the_history(stock: Lake) -> None:
    says(by_day(of_names(stock), "date"), "history, value: scd2")
    for day, rows in {1: "1,10\n", 5: "1,10\n", 3: "2,20\n"}.items():
        stock.land(f"shop/stock/a-{day}.csv", f"item,pieces\n{rows}")
        stock.good()
    assert stock.rows(VERSIONS) == [(1, 10, 1, 3, False), (1, 10, 5, None, True), (2, 20, 3, 5, False)]


def test_a_history_may_be_dated_by_when_its_files_arrived(stock: Lake) -> None:
    column = "      - {name: seen, logicalType: timestamp, required: true, transformLogic: _ingested_at}\n"
    stock.edit("silver/shop/stock.yaml", "    customProperties:\n", f"{column}    customProperties:\n")
    says(stock, "sequenceBy, value: [seen]", "history, value: scd2", "maxRemoved, value: 100 %", replaces="all")
    for rows in ("a,1,10\n", "", "a,1,10\n", "a,1,10\na,2,20\n", ""):
        stock.land("shop/stock/list.csv", HEADER + rows)
        stock.good()
    assert stock.rows(f"SELECT item, _is_current FROM {TABLE} ORDER BY ALL") == [(1, False), (1, False), (2, False)]
    assert stock.command("run", "--mode", "all") == 0
    assert stock.rows(f"SELECT item, _is_current FROM {TABLE} ORDER BY ALL") == [(1, False), (1, False), (2, False)]


def test_a_version_that_holds_on_is_not_written_again(stock: Lake) -> None:
    says(by_day(of_names(stock), "date"), "history, value: scd2")
    stock.land("shop/stock/a-1.csv", "item,pieces\n1,10\n")
    stock.land("shop/stock/b-1.csv", "item,pieces\n1,10\n")
    stock.good()
    before = files(stock)
    stock.land("shop/stock/a-2.csv", "item,pieces\n1,10\n")
    assert counts(stock, "unchanged", "records_written") == (1, 0)
    assert files(stock) == before


# -- the contract


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("[store]", "[shop]", "no column shop"),
        ("[store]", "store", "replaces 'store'"),
        ("[store]", "[pieces]", "replaces pieces, which is not in the key"),
        (
            "value: [store]}",
            "value: [store]}\n      - {property: deleteWhen, value: pieces = 0}",
            "deleteWhen with replaces",
        ),
        ("replaces, value: [store]", "maxRemoved, value: 50 %", "maxRemoved without replaces"),
        (
            "value: [store]}",
            "value: [store]}\n      - {property: sequenceBy, value: [pieces]}",
            "sequenceBy pieces reads pieces",
        ),
        (
            "  - {server: stock, type: local, path: shop/stock/*.csv, format: csv}",
            "  - {server: stock, type: local, path: shop/stock/*.csv, format: csv}\n"
            "  - {server: more, type: local, path: shop/more/*.csv, format: csv}",
            "replaces with 2 feeds: stock, more",
        ),
    ],
)
def test_what_a_file_could_not_state_whole_is_an_error_of_the_contract(
    stock: Lake, old: str, new: str, found: str
) -> None:
    stock.edit("silver/shop/stock.yaml", old, new)
    with pytest.raises(BoathouseError, match=found):
        stock.run()


def test_a_slice_of_a_table_without_a_key_is_in_every_row(stock: Lake) -> None:
    for place in (1, 2):
        stock.edit("silver/shop/stock.yaml", f", primaryKey: true, primaryKeyPosition: {place}", "")
    with pytest.raises(BoathouseError, match="replaces store, which may be absent"):
        stock.run()
