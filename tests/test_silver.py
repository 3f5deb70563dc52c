"""Silver: one row per key, the newest, typed and checked."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from conftest import Lake

from src import contract
from src import lake as delta
from src.contract import Column, Table
from src.engine import identifier
from src.project import open_engine as lake_engine
from src.project import open_project
from src.silver import clean, merge
from src.silver.batch import Batch
from src.silver.project import trimmed, trimmed_columns

ORDERS = "SELECT order_id, day, amount, updated FROM silver.shop.orders ORDER BY order_id, amount"


def test_the_newest_row_wins_whatever_the_arrival(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,30,3\n2,2024-01-01,5,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01,7,2\n")
    run = lake.good()
    assert lake.rows(ORDERS) == [
        (1, date(2024, 1, 1), Decimal(30), 3),
        (2, date(2024, 1, 1), Decimal(7), 2),
    ]
    step = lake.step(run, "silver.shop.orders")
    assert (step.records_read, step.inserted, step.updated, step.unchanged) == (2, 0, 1, 1)


def test_ties_are_broken_by_content_and_not_by_arrival(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01,20,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-01-01,20,1\n2,2024-01-01,10,1\n")
    lake.good()
    assert [row[2] for row in lake.rows(ORDERS)] == [20, 20]


def test_without_a_sequence_the_later_arrival_wins(lake: Lake) -> None:
    lake.shop()
    lake.edit(
        "silver/shop/orders.yaml", "    customProperties:\n      - {property: sequenceBy, value: [updated]}\n", ""
    )
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,9\n")
    lake.good()
    lake.land("shop/orders/0.csv", "order_id,day,amount,updated\n1,2024-01-01,5,1\n")
    lake.good()
    assert [row[2] for row in lake.rows(ORDERS)] == [5]


def test_a_row_whose_partition_changes_moves_and_never_exists_twice(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01,1,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-02-01,10,2\n")
    lake.good()
    assert [(row[0], row[1]) for row in lake.rows(ORDERS)] == [(1, date(2024, 2, 1)), (2, date(2024, 1, 1))]
    assert lake.rows("SELECT day, orders FROM gold.shop.daily ORDER BY day") == [
        (date(2024, 1, 1), 1),
        (date(2024, 2, 1), 1),
    ]


def test_files_that_cannot_hold_a_key_by_the_bounds_in_the_log_are_not_opened(lake: Lake) -> None:
    lake.shop()
    days = [f"{order},2024-01-0{1 + order // 10},1,1\n" for order in range(50)]
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n" + "".join(days))
    lake.good()
    files = {part: next((lake.data / f"silver/shop/orders/day=2024-01-0{part}").iterdir()) for part in range(1, 6)}
    out = {part: path.rename(path.with_suffix(".out")) for part, path in files.items() if part not in (2, 4)}
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n12,2024-01-04,7,2\n")  # moves from one day to another
    lake.land("shop/orders/3.csv", "order_id,day,amount,updated\n60,2024-01-09,7,2\n")
    assert lake.step(lake.run("shop"), "silver.shop.orders").updated == 1
    for part, path in out.items():
        path.rename(files[part])
    assert lake.rows("SELECT day, count(*) FROM silver.shop.orders GROUP BY 1 ORDER BY 1") == [
        *((date(2024, 1, day), count) for day, count in [(1, 10), (2, 9), (3, 10), (4, 11), (5, 10), (9, 1)])
    ]
    lake.good()


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("logicalType: integer, physicalType: bigint", [str(n * 7919 % 200 - 100) for n in range(200)]),
        ("logicalType: date, physicalType: date", [f"2{n:03}-01-01" for n in range(200)]),
        ("logicalType: string, physicalType: varchar", [f"{n % 7}-{n}" for n in range(200)]),
    ],
)
def test_a_correction_finds_its_row_by_a_key_of_any_type_in_whatever_partition(
    lake: Lake, kind: str, keys: list[str]
) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "order_id, logicalType: integer, physicalType: bigint", f"order_id, {kind}")
    first = [f"{key},2024-01-0{1 + nth % 5},1,1\n" for nth, key in enumerate(keys)]
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n" + "".join(first))
    lake.good()
    moved = [f"{key},2024-01-0{1 + (nth + 1) % 5},2,2\n" for nth, key in enumerate(keys) if nth % 3 == 0]
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n" + "".join(moved))
    step = lake.step(lake.good(), "silver.shop.orders")
    assert (step.inserted, step.updated) == (0, 67)
    assert lake.rows("SELECT count(DISTINCT order_id), sum(amount) FROM silver.shop.orders") == [(200, 267)]


def test_a_table_without_a_key_collapses_exact_duplicates_and_takes_absent_values_as_equal(lake: Lake) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", ", primaryKey: true, primaryKeyPosition: 1", "")
    lake.edit(
        "silver/shop/orders.yaml", "    customProperties:\n      - {property: sequenceBy, value: [updated]}\n", ""
    )
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,\n1,2024-01-01,10,\n")
    lake.good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n 1 ,2024-01-01,10.00,\n1,2024-01-01,11,\n")
    run = lake.good()
    assert [(row[0], row[2]) for row in lake.rows(ORDERS)] == [(1, 10), (1, 11)]
    step = lake.step(run, "silver.shop.orders")
    assert (step.records_read, step.inserted, step.unchanged, step.duplicates) == (2, 1, 1, 0)


def test_only_the_files_that_hold_a_superseded_row_are_rewritten(lake: Lake) -> None:
    lake.shop()
    for day in (1, 2, 3):
        lake.land(f"shop/orders/{day}.csv", f"order_id,day,amount,updated\n{day},2024-01-0{day},10,1\n")
        lake.good()
    before = {path.name for path in (lake.data / "silver/shop/orders").rglob("part-*.parquet")}
    lake.land("shop/orders/4.csv", "order_id,day,amount,updated\n2,2024-01-02,11,2\n")
    lake.good()
    after = {path.name for path in (lake.data / "silver/shop/orders").rglob("part-*.parquet")}
    assert len(after - before) == 1


ONE_COLUMN = """
apiVersion: v3.1.0
kind: DataContract
id: shop.things
name: Things
version: 1.0.0
status: active
domain: shop
customProperties: [{{property: maxRejected, value: 100 %}}]
servers:
  - {{server: things, type: local, path: "*.csv", format: csv, delimiter: "|"}}
schema:
  - name: things
    logicalType: object
    properties:
      - {{name: nr, logicalType: integer}}
      - {{name: value, logicalType: {logical}, physicalType: "{physical}"}}
"""


def test_times_are_kept_in_utc(lake: Lake) -> None:
    lake.write("silver/shop/things.yaml", ONE_COLUMN.format(logical="timestamp", physical="timestamp"))
    lake.land("1.csv", "nr|value\n1|2024-05-01 10:00:00\n2|2024-05-01T10:00:00+02:00\n")
    lake.good()
    assert lake.rows("SELECT value::VARCHAR FROM silver.shop.things ORDER BY nr") == [
        ("2024-05-01 10:00:00+00",),
        ("2024-05-01 08:00:00+00",),
    ]


RULES = [
    ("required: true", "", "value: required, but there is nothing"),
    ("logicalTypeOptions: {minimum: 3}", "2", "value: 2 is less than the minimum 3"),
    ("logicalTypeOptions: {maximum: 3}", "4", "value: 4 is more than the maximum 3"),
    ("logicalTypeOptions: {exclusiveMinimum: 3}", "3", "value: 3 is not above 3"),
    ("logicalTypeOptions: {exclusiveMaximum: 3}", "3", "value: 3 is not below 3"),
    ("enum: [{value: 1}, {value: 3}]", "2", "value: 2 is none of 1, 3"),
]


@pytest.mark.parametrize(("rule", "text", "reason"), RULES)
def test_a_row_that_breaks_a_rule_is_quarantined_with_the_reason(lake: Lake, rule: str, text: str, reason: str) -> None:
    contract = ONE_COLUMN.format(logical="integer", physical="bigint").replace('"bigint"', f'"bigint", {rule}')
    lake.write("silver/shop/things.yaml", contract)
    lake.land("1.csv", f"nr|value\n1|{text}\n2|3\n" if "exclusive" not in rule else f"nr|value\n1|{text}\n")
    run = lake.good()
    assert lake.rows("SELECT _reasons FROM quarantine.shop.things") == [([reason],)]
    assert lake.step(run, "silver.shop.things").quarantined == 1


BOUNDS = [  # type, rule, values that pass, values that break it: the bound counts as it is written
    ("integer", "bigint", "logicalTypeOptions: {maximum: 99.5}", ["99", "-5"], ["100"]),
    ("integer", "bigint", "logicalTypeOptions: {exclusiveMaximum: 99.5}", ["99"], ["100"]),
    ("integer", "bigint", "logicalTypeOptions: {minimum: 99.5}", ["100"], ["99"]),
    ("integer", "bigint", "logicalTypeOptions: {exclusiveMinimum: -0.5}", ["0"], ["-1"]),
    ("integer", "tinyint", "logicalTypeOptions: {maximum: 1000, minimum: -1000}", ["127", "-128"], []),
    ("integer", "tinyint", "logicalTypeOptions: {minimum: 1000}", [], ["127"]),
    (
        "integer",
        "bigint",
        "logicalTypeOptions: {maximum: 9007199254740993}",
        ["9007199254740993"],
        ["9007199254740994"],
    ),
    ("integer", "tinyint", "enum: [{value: 300}, {value: 5}]", ["5"], ["44"]),
    ("number", "decimal(5,1)", "logicalTypeOptions: {maximum: 10.25}", ["10.2"], ["10.3"]),
    ("number", "decimal(5,1)", "logicalTypeOptions: {minimum: 10.25}", ["10.3"], ["10.2"]),
    ("number", "decimal(38,2)", "logicalTypeOptions: {maximum: 10.255}", ["10.25"], ["10.26", "9" * 36]),
    ("number", "decimal(5,1)", "enum: [{value: 10.25}, {value: 1.5}]", ["1.5"], ["10.2", "10.3"]),
    ("number", "decimal(5,1)", "enum: [{value: 10.25}]", [], ["10.2", "10.3"]),
    ("number", "double", "logicalTypeOptions: {maximum: 0.3}", ["0.3"], ["0.30000000000000004"]),
    ("number", "float", "logicalTypeOptions: {maximum: 0.1}", ["0.1"], ["0.10000001"]),
    ("number", "float", "logicalTypeOptions: {exclusiveMinimum: 16777217}", ["16777218"], ["16777216"]),
    ("number", "float", "enum: [{value: 0.1}]", ["0.1"], ["0.2"]),
    (
        "number",
        "double",
        "logicalTypeOptions: {multipleOf: 0.1}",
        ["0.3", "0.7", "1.1", "1e20", "-0.5"],
        ["0.35", "1e-9"],
    ),
    ("number", "float", "logicalTypeOptions: {multipleOf: 0.1}", ["0.3", "0.7"], ["0.35"]),
    ("number", "decimal(9,2)", "logicalTypeOptions: {multipleOf: 0.25}", ["0.50", "-1.25"], ["0.30"]),
    ("number", "decimal(9,1)", "logicalTypeOptions: {multipleOf: 0.25}", ["0.5"], ["0.2"]),
    ("integer", "bigint", "logicalTypeOptions: {multipleOf: 2.5}", ["5", "-10"], ["4"]),
    ("integer", "bigint", "logicalTypeOptions: {multipleOf: 5}", ["5", "-10"], ["4"]),
    ("date", "date", "logicalTypeOptions: {maximum: '2031-W01-1'}", ["2030-12-30"], ["2030-12-31"]),
    ("date", "date", "enum: [{value: '2031-01-02'}]", ["2031-01-02"], ["2031-01-03"]),
    (
        "timestamp",
        "timestamp",
        "logicalTypeOptions: {maximum: '2031-01-01T10:00:00+02:00'}",
        ["2031-01-01 08:00:00"],
        ["2031-01-01 08:00:00.000001"],
    ),
]


@pytest.mark.parametrize(("logical", "physical", "rule", "passing", "failing"), BOUNDS)
def test_a_rule_compares_with_its_bound_as_written(
    lake: Lake, logical: str, physical: str, rule: str, passing: list[str], failing: list[str]
) -> None:
    contract = ONE_COLUMN.format(logical=logical, physical=physical).replace(f'"{physical}"', f'"{physical}", {rule}')
    lake.write("silver/shop/things.yaml", contract)
    lines = [*passing, *failing]
    lake.land("1.csv", "nr|value\n" + "".join(f"{nr}|{text}\n" for nr, text in enumerate(lines, 1)))
    lake.good()
    assert [lines[nr - 1] for (nr,) in lake.rows("SELECT nr FROM silver.shop.things ORDER BY nr")] == passing
    assert [lines[nr - 1] for (nr,) in lake.rows("SELECT _row FROM quarantine.shop.things ORDER BY _row")] == failing


TEXT_RULES = [
    ("logicalTypeOptions: {minLength: 3}", "ab", "value: ab is shorter than 3"),
    ("logicalTypeOptions: {maxLength: 3}", "abcd", "value: abcd is longer than 3"),
    ("logicalTypeOptions: {pattern: '^[a-z]+$'}", "AB", "value: AB does not match ^[a-z]+$"),
    ("enum: [{value: it's}, {value: b}]", "c", "value: c is none of it's, b"),
]


@pytest.mark.parametrize(("rule", "text", "reason"), TEXT_RULES)
def test_text_that_breaks_a_rule_is_quarantined_with_the_reason(lake: Lake, rule: str, text: str, reason: str) -> None:
    contract = ONE_COLUMN.format(logical="string", physical="varchar").replace('"varchar"', f'"varchar", {rule}')
    lake.write("silver/shop/things.yaml", contract)
    lake.land("1.csv", f"nr|value\n1|{text}\n")
    lake.good()
    assert lake.rows("SELECT _reasons FROM quarantine.shop.things") == [([reason],)]


def test_a_row_without_its_key_is_quarantined(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n,2024-01-01,10,1\n2,2024-01-01,10,1\n")
    lake.good()
    assert lake.rows("SELECT _reasons FROM quarantine.shop.orders") == [(["order_id: required, but there is nothing"],)]


def test_all_reasons_of_a_row_are_told_at_once(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\nx,2024-13-01,,1\n2,2024-01-01,10,1\n")
    lake.good()
    assert lake.rows("SELECT _reasons FROM quarantine.shop.orders") == [
        (
            [
                "order_id: cannot read x as bigint",
                "day: cannot read 2024-13-01 as date",
                "amount: required, but there is nothing",
            ],
        )
    ]


def test_a_line_that_no_reader_can_split_is_quarantined_with_its_text(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01\n2,2024-01-01,5,1\n")
    run = lake.good()
    [(reasons, values, row)] = lake.rows("SELECT _reasons, _values, _row FROM quarantine.shop.orders")
    assert reasons[0].startswith("cannot split the line: ")
    assert (values, row) == ("1,2024-01-01", 1)
    step = lake.step(run, "silver.shop.orders")
    assert (step.records_read, step.inserted, step.quarantined) == (2, 1, 1)


def test_an_expression_reads_source_columns_and_earlier_columns_of_the_table(lake: Lake) -> None:
    lake.write(
        "silver/shop/things.yaml",
        ONE_COLUMN.format(logical="integer", physical="bigint").replace(
            "      - {name: value",
            "      - {name: doubled, logicalType: integer, transformLogic: value * 2}\n"
            "      - {name: quadrupled, logicalType: integer, transformLogic: doubled * 2}\n"
            "      - {name: value",
        ),
    )
    lake.land("1.csv", "nr|value\n1|7\n")
    lake.good()
    assert lake.rows("SELECT value, doubled, quadrupled FROM silver.shop.things") == [(7, 14, 28)]


DATES = """
apiVersion: v3.1.0
kind: DataContract
id: shop.dates
version: 1.0.0
status: active
servers:
  - {server: dates, type: local, path: "*.csv", format: csv}
schema:
  - name: dates
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
"""
DAY = """      - {name: day, logicalType: date, transformLogic: "make_date(year::int, month::int, day::int)"}
"""
NOON = """      - name: noon
        logicalType: timestamp
        transformLogic: make_timestamp(year::int, month::int, day::int, 12, 0, 0)
"""


@pytest.mark.parametrize("columns", [DAY + NOON, NOON + DAY])
def test_a_name_means_the_files_column_where_the_tables_column_of_that_name_is_made_of_it(
    lake: Lake, columns: str
) -> None:
    month = """      - name: month
        logicalType: date
        transformLogic: make_date(year::int, month::int, sign(day::int)::int)
"""
    lake.write("silver/shop/dates.yaml", DATES + columns + month)
    lake.land("a.csv", "id,year,month,day\n1,2026,6,1\n2,2026,6,2\n")
    lake.good()
    assert lake.rows("SELECT id, day, noon, month FROM silver.shop.dates ORDER BY id") == [
        (1, date(2026, 6, 1), datetime(2026, 6, 1, 12, tzinfo=UTC), date(2026, 6, 1)),
        (2, date(2026, 6, 2), datetime(2026, 6, 2, 12, tzinfo=UTC), date(2026, 6, 1)),
    ]


def test_another_name_means_the_tables_column_even_where_a_later_file_has_one(lake: Lake) -> None:
    columns = """      - {name: country, logicalType: string, transformLogic: upper(Country)}
      - {name: home, logicalType: boolean, transformLogic: country = 'UK'}
      - {name: day, logicalType: date, transformLogic: "strptime(sent, '%d.%m.%Y')"}
      - {name: month, logicalType: date, transformLogic: "cast(date_trunc('month', day) as date)"}
"""
    lake.write("silver/shop/dates.yaml", DATES + columns)
    lake.land("a.csv", "id,Country,sent\n1,uk,02.06.2026\n")
    lake.good()
    lake.land("b.csv", "id,Country,sent,day\n2,uk,03.06.2026,1999-01-01\n")
    lake.good()
    assert lake.rows("SELECT id, home, day, month FROM silver.shop.dates ORDER BY id") == [
        (1, True, date(2026, 6, 2), date(2026, 6, 1)),
        (2, True, date(2026, 6, 3), date(2026, 6, 1)),
    ]


def test_a_contract_whose_names_now_mean_the_files_columns_needs_a_new_version() -> None:
    columns = (
        Column("day", "DATE", expression="make_date(year::int, month::int, day::int)"),
        Column("next", "DATE", expression="day + 1"),
        Column("until", "DATE", expression="strptime('day', 'day') + interval 1 day"),
        Column("date", "DATE", expression="cast(sent as date)"),
        Column("month", "DATE", expression="date_trunc('month', date)"),
    )
    table = Table("silver", "shop", "dates", "1.0.0", columns)
    said = [column["expression"] for column in contract.logic(table)["columns"]]
    assert said[1] == "day + 1 /* of the file: day */"
    assert [said[0], *said[2:]] == [columns[0].expression, *(column.expression for column in columns[2:])]


def test_an_expression_that_fails_on_one_row_quarantines_that_row_alone(lake: Lake) -> None:
    lake.write(
        "silver/shop/things.yaml",
        ONE_COLUMN.format(logical="timestamp", physical="timestamp").replace(
            '"timestamp"}', '"timestamp", transformLogic: "strptime(value, \'%d/%m/%Y\')"}'
        ),
    )
    lake.land("1.csv", "nr|value\n1|31/12/2024\n2|12/31/2024\n3|\n")
    lake.good()
    assert lake.rows("SELECT nr, value::VARCHAR FROM silver.shop.things ORDER BY nr") == [
        (1, "2024-12-31 00:00:00+00"),
        (3, None),
    ]
    [(reasons,)] = lake.rows("SELECT _reasons FROM quarantine.shop.things")
    assert reasons == ["value: cannot read value=12/31/2024 as timestamp"]


def test_a_sibling_sql_shapes_rows_and_may_not_look_across_them(lake: Lake) -> None:
    lake.write("silver/shop/things.yaml", ONE_COLUMN.format(logical="string", physical="varchar"))
    model = (
        "SELECT nr, unnest(string_split(value, ';')) AS value, _file, _row, _ingested_at, _batch "
        "FROM bronze.shop.things"
    )
    lake.write("silver/shop/things.sql", model)
    lake.land("1.csv", "nr|value\n1|a;b\n2|c\n")
    lake.good()
    lake.land("2.csv", "nr|value\n3|d;d\n")
    run = lake.good()
    assert lake.rows("SELECT nr, value FROM silver.shop.things ORDER BY ALL") == [
        (1, "a"),
        (1, "b"),
        (2, "c"),
        (3, "d"),
    ]
    assert lake.step(run, "silver.shop.things").duplicates == 1
    lake.write("silver/shop/things.sql", model + " QUALIFY row_number() OVER (PARTITION BY nr) = 1")
    lake.edit("silver/shop/things.yaml", "version: 1.0.0", "version: 1.1.0")
    error = lake.run().failures["silver.shop.things"]
    assert "looks across rows: a window" in str(error)


def test_a_column_the_feed_does_not_have_is_a_contract_error_that_lists_what_is_there(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "id,day,amount,updated\n1,2024-01-01,10,1\n")
    error = str(lake.run().failures["silver.shop.orders"])
    assert error.startswith("no file has a column order_id; the columns there are: id, day, amount, updated\n")


def test_a_changed_contract_without_a_new_version_stops_the_table_and_names_the_version_to_write(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    lake.edit("silver/shop/orders.yaml", "physicalType: integer}", "physicalType: integer, required: true}")
    error = lake.run().failures["silver.shop.orders"]
    assert "write `version: 1.1.0`" in str(error)
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(1,)]


def test_a_new_contract_version_builds_the_table_and_its_quarantine_anew_from_bronze(lake: Lake) -> None:
    lake.shop()
    lake.land(
        "shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,-10,1\n2,2024-01-01,5,1\nx,2024-01-01,5,1\n"
    )
    lake.good()
    lake.edit(
        "silver/shop/orders.yaml",
        '"decimal(18,2)", required: true',
        '"decimal(18,2)", logicalTypeOptions: {minimum: 0}',
    )
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.good()
    assert [row[0] for row in lake.rows(ORDERS)] == [2]
    assert lake.rows("SELECT _reasons[1], _contract FROM quarantine.shop.orders ORDER BY 1") == [
        ("amount: -10.00 is less than the minimum 0", "1.1.0"),
        ("order_id: cannot read x as bigint", "1.1.0"),
    ]
    assert lake.rows("SELECT orders FROM gold.shop.daily") == [(1,)]


def test_a_changed_partitioning_moves_every_row(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-02,5,1\n")
    lake.good()
    lake.edit(
        "silver/shop/orders.yaml", "required: true, partitioned: true, partitionKeyPosition: 1}", "required: true}"
    )
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 2.0.0")
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(2,)]
    assert list((lake.data / "silver/shop/orders").glob("part-*.parquet"))


def test_what_is_computed_from_an_unreadable_value_is_not_complained_of_as_well(lake: Lake) -> None:
    lake.write(
        "silver/shop/things.yaml",
        ONE_COLUMN.format(logical="date", physical="date").replace(
            "      - {name: value",
            "      - {name: month, logicalType: date, required: true, transformLogic: last_day(value)}\n"
            "      - {name: value",
        ),
    )
    lake.land("1.csv", "nr|value\n1|2024-02-31\n2|\n")
    lake.good()
    assert lake.rows("SELECT _reasons FROM quarantine.shop.things ORDER BY _row") == [
        (["value: cannot read 2024-02-31 as date"],),
        (["month: required, but there is nothing"],),
    ]


def test_bronze_that_is_not_the_one_the_table_was_built_from_is_refused(lake: Lake) -> None:
    import shutil

    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    shutil.rmtree(lake.data / "bronze")
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n2,2024-01-01,10,1\n")
    error = lake.run().failures["silver.shop.orders"]
    assert "bronze.shop.orders is not the one this table was built from" in str(error)
    shutil.rmtree(lake.data / "silver")
    lake.good()
    assert lake.rows("SELECT order_id FROM silver.shop.orders") == [(2,)]


def test_before_any_file_has_landed_there_is_nothing_to_build_and_nothing_fails(lake: Lake) -> None:
    lake.shop()
    run = lake.good()
    assert "no file has landed yet" in str(lake.step(run, "silver.shop.orders").notes)
    assert not (lake.data / "silver").exists()


def test_columns_may_have_any_name_that_the_house_might_think_of_too(lake: Lake) -> None:
    names = (
        "id",
        "side",
        "place",
        "file",
        "row",
        "v",
        "s",
        "i",
        "t",
        "reasons",
        "values",
        "stored",
        "incoming",
        "contest",
    )
    contract = ONE_COLUMN.format(logical="string", physical="varchar").replace(
        "name: nr, logicalType: integer", "name: nr"
    )
    columns = "".join(f"      - {{name: {name}, logicalType: string}}\n" for name in names)
    contract = contract.replace("      - {name: nr}", "      - {name: nr, logicalType: integer, primaryKey: true}")
    lake.write("silver/shop/things.yaml", contract.replace("      - {name: value", columns + "      - {name: value"))
    header = "|".join(("nr", *names, "value")) + "\n"
    lake.land("1.csv", header + "".join("|".join([str(nr), *["1"] * len(names), "old"]) + "\n" for nr in range(5)))
    lake.good()
    lake.land("2.csv", header + "".join("|".join([str(nr), *["1"] * len(names), "new"]) + "\n" for nr in (1, 3)))
    lake.good()
    assert lake.rows("SELECT nr, value FROM silver.shop.things ORDER BY nr") == [
        (0, "old"),
        (1, "new"),
        (2, "old"),
        (3, "new"),
        (4, "old"),
    ]


def test_a_file_with_a_key_outside_the_bounds_in_the_log_is_a_finding(lake: Lake) -> None:
    lake.shop()
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n9,2024-01-01,10,1\n")
    lake.good()
    silver = delta.open_table(lake.data / "silver/shop/orders")
    assert silver is not None
    [file] = silver.files
    assert lake.findings() == []
    again = silver.root / file.path.replace("part-", "part-again-")
    again.write_bytes((silver.root / file.path).read_bytes())
    moved = replace(file, path=str(again.relative_to(silver.root)), bounds={"order_id": ("2", "9")})
    delta.commit(silver, add=[moved], remove=[file])
    [found] = lake.findings()
    assert found.law == "the log tells which file can hold a key"
    assert found.found.endswith("has order_id from 1 to 9, the log says 2 to 9")


@pytest.mark.parametrize(
    ("form", "name", "first", "second", "rejects"),
    [
        (
            "ndjson",
            "1.ndjson",
            '{"order_id":1,"day"\n{"order_id":2,\n',
            '{"order_id":3,"day":"2024-01-01","amount":5,"updated":1}\n',
            2,
        ),
        (
            "json",
            "1.json",
            '[["order_id","day"],[1,"2024-01-01"]]',
            '[{"order_id":3,"day":"2024-01-01","amount":5,"updated":1}]',
            2,
        ),
    ],
)
def test_rejects_of_a_first_file_without_one_readable_line_reach_quarantine_in_the_same_run(
    lake: Lake, form: str, name: str, first: str, second: str, rejects: int
) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "*.csv, format: csv", f"*.{form}, format: {form}")
    lake.land(f"shop/orders/{name}", first)
    [failure] = lake.run().failures.values()
    assert f"{rejects} of {rejects} rows were rejected, and the table never had one" in str(failure)
    counts = "SELECT count(*) FROM bronze.shop.orders WHERE _reject IS NOT NULL"
    assert lake.rows(counts) == lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(rejects,)]
    assert lake.findings() == []
    lake.land(f"shop/orders/2{name}", second)
    lake.good()
    assert lake.rows("SELECT order_id FROM silver.shop.orders") == [(3,)]
    assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(rejects,)]


def test_check_says_so_where_rows_of_bronze_were_never_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from src.silver import incoming, project

    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01\n")
    lake.good()
    trimmed = project.trimmed
    monkeypatch.setattr(incoming, "trimmed", lambda *given, **brief: trimmed(*given, **brief) + " AND false")
    assert ["bronze has 2 rows, but 1 were read" in finding.found for finding in lake.findings()] == [True]
    monkeypatch.undo()


def test_check_says_so_where_a_row_of_a_file_never_reached_bronze(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01,10,1\n")
    lake.good()
    root = lake.data / "bronze/shop/orders"
    table = delta.open_table(root)
    assert table
    with lake_engine(lake.settings) as engine:
        scan = engine.scan(table, evolved=True)
        late = "SELECT * REPLACE ('x.csv' AS _file, _row + 1 AS _row)"
        written = engine.write(f"{late} FROM {scan}", root)
    delta.commit(table, add=written)
    assert "2 rows of files" not in str(lake.findings())
    assert "1 rows of files, by their numbers, are not there" in str(lake.findings())
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"


def test_a_column_that_another_program_added_is_read_and_its_values_stay(lake: Lake) -> None:
    from deltalake import DeltaTable, Field
    from deltalake.schema import PrimitiveType

    lake.shop()
    lake.land(
        "shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-01,5,1\n3,2024-01-02,7,1\n"
    )
    lake.good()
    for name in ("silver/shop/orders", "gold/shop/daily"):
        DeltaTable(lake.data / name).alter.add_columns([Field("extra", PrimitiveType("string"))])
    DeltaTable(lake.data / "silver/shop/orders").update({"extra": "'theirs'"}, predicate="order_id = 2")
    assert lake.rows("SELECT order_id, extra FROM silver.shop.orders ORDER BY 1") == [
        (1, None),
        (2, "theirs"),
        (3, None),
    ]
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-01-01,11,2\n4,2024-01-03,1,1\n")
    lake.good()
    read = "SELECT order_id, amount::INTEGER, extra FROM silver.shop.orders ORDER BY 1"
    assert lake.rows(read) == [(1, 11, None), (2, 5, "theirs"), (3, 7, None), (4, 1, None)]
    gold = "SELECT day::VARCHAR, amount::INTEGER, extra FROM gold.shop.daily ORDER BY 1"
    assert lake.rows(gold) == [("2024-01-01", 16, None), ("2024-01-02", 7, None), ("2024-01-03", 1, None)]


@pytest.mark.parametrize("few_keys", [0, 2_000], ids=["many keys", "few keys"])
def test_only_files_that_can_hold_a_key_are_looked_into(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, few_keys: int
) -> None:
    monkeypatch.setattr(merge, "_FEW_KEYS", few_keys)
    lake.shop()
    with open_project(lake.settings) as project:
        table = project.contracts.silver["silver.shop.orders"]
        merging = merge.Merge(project.engine, table, clean.Places.of_table(table, project.path), "")
        silver = delta.create(lake.root / "elsewhere", table.stored_columns, (), clean.properties(table))
        project.engine.table("incoming", "SELECT unnest([-5, 7, 7, 40, 90])::BIGINT AS order_id")
        ends = [(-9, -6), (-9, -5), (-4, 6), (7, 7), (8, 39), (8, 40), (-90, 99), (91, 92)]
        bounds = [{"order_id": (str(least), str(greatest))} for least, greatest in ends]
        files = [delta.DataFile(f"{at}.parquet", 1, 1, {}, one) for at, one in enumerate(bounds)]
        files.append(delta.DataFile("untold.parquet", 1, 1, {}, {}))
        found = merging._within_bounds(silver, files, Batch.INCOMING)
    assert [file.path.split(".")[0] for file in found] == ["1", "3", "5", "6", "untold"]


def test_the_types_of_trimmed_rows_are_known_without_asking_the_engine(lake: Lake) -> None:
    names = ["order_id", "Größe", 'two "words"', "~source"]
    with lake_engine(lake.settings) as engine:
        texts = ", ".join(f"NULL::VARCHAR AS {identifier(name)}" for name in names)
        system = "NULL::VARCHAR AS _file, 0::BIGINT AS _row, now() AS _ingested_at, '' AS _batch, '' AS _reject"
        found = engine.columns(trimmed(f"(SELECT {texts}, {system})", names, ["-"]))
        assert list(found.items()) == list(trimmed_columns(names).items())


def test_the_folders_of_a_first_load_are_on_disk_before_its_files_are_committed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced = os.fsync, list[str]()

    def traced(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    monkeypatch.setattr(os, "fsync", traced)
    lake.good()
    committed = synced.index(str(lake.data / "silver/shop/orders/_delta_log"))
    assert {str(lake.data), str(lake.data / "silver"), str(lake.data / "silver/shop")} <= set(synced[:committed])
