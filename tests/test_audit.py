"""Write, audit, publish: what an error-severity audit refuses is never seen by a reader."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from conftest import Lake

from src.checks import audits

HEADER = "order_id,day,amount,updated\n"
GOOD = HEADER + "1,2024-01-01,10,1\n2,2024-01-01,20,1\n3,2024-01-02,30,1\n4,2024-01-02,40,1\n"


def with_quality(lake: Lake, *rules: str, table: str = "silver/shop/orders.yaml") -> None:
    lines = "".join(f"      - {rule}\n" for rule in rules)
    lake.edit(table, "    properties:\n", f"    quality:\n{lines}    properties:\n")


def on_amount(lake: Lake, rule: str) -> None:
    lake.edit("silver/shop/orders.yaml", '"decimal(18,2)", required: true', f'"decimal(18,2)", quality: [{rule}]')


# rule on the table or on amount, rows landed, the value it finds, whether it passes
RULES = [
    ("table", "{type: library, metric: rowCount, mustBe: 4}", GOOD, 4, True),
    ("table", "{type: library, metric: rowCount, mustBeGreaterThan: 4}", GOOD, 4, False),
    ("table", "{type: library, metric: rowCount, mustBeBetween: [4, 5]}", GOOD, 4, True),
    ("table", "{type: library, metric: rowCount, mustNotBeBetween: [4, 5]}", GOOD, 4, False),
    ("table", "{type: library, metric: rowCount, mustBeLessOrEqualTo: 4}", GOOD, 4, True),
    ("table", "{type: library, metric: rowCount, mustBeLessThan: 4}", GOOD, 4, False),
    ("table", "{type: library, metric: rowCount, mustBeGreaterOrEqualTo: 5}", GOOD, 4, False),
    ("table", "{type: library, metric: rowCount, mustNotBe: 4}", GOOD, 4, False),
    ("table", '{type: sql, query: "SELECT sum(amount) FROM ${object}", mustBe: 100}', GOOD, 100, True),
    ("table", '{type: sql, query: "SELECT max(amount) FROM ${object}", mustBeLessThan: 40}', GOOD, 40, False),
    ("table", "{type: library, metric: duplicateValues, arguments: {properties: [day]}, mustBe: 2}", GOOD, 2, True),
    ("amount", "{type: library, metric: nullValues, mustBe: 0}", GOOD + "5,2024-01-02,,1\n", 1, False),
    (
        "amount",
        "{type: library, metric: nullValues, mustBeLessThan: 25, unit: percent}",
        GOOD + "5,2024-01-02,,1\n",
        20,
        True,
    ),
    ("amount", "{type: library, metric: duplicateValues, mustBe: 0}", GOOD + "5,2024-01-02,40,1\n", 1, False),
    (
        "amount",
        "{type: library, metric: missingValues, arguments: {missingValues: ['10.00']}, mustBe: 1}",
        GOOD,
        1,
        True,
    ),
    (
        "amount",
        "{type: library, metric: invalidValues, arguments: {validValues: ['10.00', '20.00']}, mustBe: 0}",
        GOOD,
        2,
        False,
    ),
    ("amount", "{type: library, metric: invalidValues, arguments: {pattern: '^[0-9.]+$'}, mustBe: 0}", GOOD, 0, True),
]


@pytest.mark.parametrize(("place", "rule", "rows", "value", "passes"), RULES, ids=[rule[1] for rule in RULES])
def test_an_audit_of_severity_error_decides_whether_the_table_is_written(
    lake: Lake, place: str, rule: str, rows: str, value: float, passes: bool
) -> None:
    lake.shop()
    on_amount(lake, rule) if place == "amount" else with_quality(lake, rule)
    lake.land("shop/orders/1.csv", rows)
    run = lake.run()
    assert ("silver.shop.orders" not in run.failures) == passes
    assert lake.rows("SELECT value, passed FROM ops.quality_results") == [(value, passes)]
    assert (lake.data / "silver/shop/orders").exists() == passes


def test_audits_of_few_rows_measure_what_those_of_many_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule for place, rule, rows, _, passes in RULES if place == "table" and rows == GOOD and passes]
    rules += ["{type: sql, query: 'WITH m AS (SELECT max(amount) v FROM ${object}) SELECT v FROM m', mustBe: 40}"]
    measured = []
    for most in (audits._FEW_ROWS, -1):
        monkeypatch.setattr(audits, "_FEW_ROWS", most)
        lake = Lake(tmp_path / str(most)).shop()
        with_quality(lake, *rules)
        for nth, text in enumerate((GOOD, HEADER + "1,2024-01-01,15,2\n")):
            lake.land(f"shop/orders/{nth}.csv", text)
            lake.run()
        measured.append(lake.rows("SELECT * EXCLUDE (run_id, run_time, samples) FROM ops.quality_results ORDER BY ALL"))
    assert measured[0] == measured[1] != []


NOTHING = [
    '{type: sql, id: debt, query: "SELECT max(amount) FROM ${object} WHERE amount > 99", mustBeLessThan: 5}',
    '{type: sql, id: debt, query: "SELECT max(amount) FROM ${object} WHERE amount > 99", mustNotBe: 5}',
    '{type: sql, id: debt, query: "SELECT amount FROM ${object} WHERE amount > 99", mustBe: 0}',
    """{type: sql, id: debt, query: "SELECT 'NaN'::DOUBLE", mustNotBe: 5}""",
]


@pytest.mark.parametrize("rule", NOTHING)
def test_an_audit_that_measures_nothing_has_not_passed(lake: Lake, rule: str) -> None:
    lake.shop()
    with_quality(lake, rule)
    lake.land("shop/orders/1.csv", GOOD)
    run = lake.run()
    assert "debt measured nothing (its query gave NULL)" in str(run.failures["silver.shop.orders"])
    assert lake.rows("SELECT value, passed FROM ops.quality_results") == [(None, False)]
    assert not (lake.data / "silver/shop/orders").exists()


def test_a_warning_that_measures_nothing_is_recorded_as_such(lake: Lake) -> None:
    lake.shop()
    with_quality(lake, NOTHING[0].replace("mustBeLessThan: 5", "mustBeLessThan: 5, severity: warning"))
    lake.land("shop/orders/1.csv", GOOD)
    lake.good()
    assert lake.rows("SELECT value, passed FROM ops.quality_results") == [(None, False)]


def test_an_audit_whose_query_gives_no_single_number_is_a_mistake_of_the_contract(lake: Lake) -> None:
    lake.shop()
    with_quality(lake, '{type: sql, id: debt, query: "SELECT amount FROM ${object} ORDER BY 1", mustBe: 10}')
    lake.land("shop/orders/1.csv", GOOD)
    run = lake.run()
    assert "audit debt: the query gives Decimal('10.00'), and more" in str(run.failures["silver.shop.orders"])


def test_after_a_failed_audit_readers_keep_the_last_good_version_and_the_next_good_rows_go_on_from_it(
    lake: Lake,
) -> None:
    lake.shop()
    with_quality(lake, '{type: sql, id: no_debt, query: "SELECT count(*) FROM ${object} WHERE amount < 0", mustBe: 0}')
    lake.land("shop/orders/1.csv", GOOD)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-01,-5,2\n")
    run = lake.run()
    assert "no_debt is 1, mustBe 0" in str(run.failures["silver.shop.orders"])
    assert run.blocked == {"gold.shop.daily": ("silver.shop.orders",)}
    assert lake.rows("SELECT min(amount), count(*) FROM silver.shop.orders") == [(Decimal(10), 4)]
    assert lake.rows("SELECT count(*) FROM quarantine.shop.orders") == [(0,)]
    lake.land("shop/orders/3.csv", HEADER + "1,2024-01-01,6,3\n")
    lake.good()
    assert lake.rows("SELECT min(amount), count(*) FROM silver.shop.orders") == [(Decimal(6), 4)]


def test_an_audit_sees_the_whole_table_as_it_will_be(lake: Lake) -> None:
    lake.shop()
    with_quality(lake, "{type: library, metric: rowCount, mustBeLessThan: 5}")
    lake.land("shop/orders/1.csv", GOOD)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "4,2024-01-03,40,2\n")
    lake.good()
    lake.land("shop/orders/3.csv", HEADER + "5,2024-01-03,40,2\n")
    assert "rowCount is 5" in str(lake.run().failures["silver.shop.orders"])


def test_a_warning_is_recorded_with_samples_and_stops_nothing(lake: Lake) -> None:
    lake.shop()
    on_amount(lake, "{type: library, metric: nullValues, mustBe: 0, severity: warning}")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,,1\n")
    lake.good()
    [(passed, severity, samples)] = lake.rows("SELECT passed, severity, samples FROM ops.quality_results")
    assert (passed, severity) == (False, "warning")
    assert '"order_id": 1' in samples


def test_an_audit_of_a_mart_blocks_the_mart_and_what_reads_it(lake: Lake) -> None:
    lake.shop()
    with_quality(lake, "{type: library, metric: rowCount, mustBe: 2}", table="gold/shop/contract.yaml")
    lake.land("shop/orders/1.csv", GOOD)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "9,2024-01-09,1,1\n")
    assert "rowCount is 3" in str(lake.run().failures["gold.shop.daily"])
    assert lake.rows("SELECT count(*) FROM gold.shop.daily") == [(2,)]


def test_a_column_declared_unique_is_audited(lake: Lake) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "physicalType: integer}", "physicalType: integer, unique: true}")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n2,2024-01-01,10,1\n")
    assert "unique of updated is 1, mustBe 0" in str(lake.run().failures["silver.shop.orders"])


CUSTOMERS = """
apiVersion: v3.1.0
kind: DataContract
id: shop.ids
name: Ids
version: 1.0.0
status: active
domain: shop
servers: [{server: ids, type: local, path: "ids/*.csv", format: csv}]
schema:
  - name: ids
    logicalType: object
    properties: [{name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}]
"""


def test_a_foreign_key_without_its_row_blocks_the_write_until_it_is_there(lake: Lake) -> None:
    lake.shop()
    lake.write("silver/shop/ids.yaml", CUSTOMERS)
    lake.edit(
        "silver/shop/orders.yaml", "physicalType: integer}", "physicalType: integer, relationships: [{to: ids.id}]}"
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,7\n")
    assert "relationship of updated is 1" in str(lake.run().failures["silver.shop.orders"])
    warning = "{to: ids.id, customProperties: [{property: severity, value: warning}]}"
    lake.edit("silver/shop/orders.yaml", "{to: ids.id}", warning)
    lake.good()
    assert lake.rows("SELECT DISTINCT passed, severity FROM ops.quality_results WHERE severity = 'warning'") == [
        (False, "warning")
    ]
    lake.edit("silver/shop/orders.yaml", warning, "{to: ids.id}")
    lake.land("ids/1.csv", "id\n7\n")
    lake.good()
    assert lake.rows("SELECT count(*) FROM silver.shop.orders") == [(1,)]
