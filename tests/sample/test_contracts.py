"""The sample company's contracts: they load, describe what they declare, prove their partitions, fit the real files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, Lake

from src import contract
from src.contract import Contracts
from src.project import open_project
from src.proof.proving import prove

REAL_FILES = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data")) / "online_retail"


@pytest.fixture
def shipped() -> Contracts:
    return contract.load(ROOT / "src")


def test_the_shipped_contracts_load_and_the_standards_own_model_takes_them(shipped: Contracts) -> None:
    assert "bronze.sales.order_lines" in shipped.feeds
    lines = shipped.silver["silver.sales.order_lines"]
    assert (lines.key, lines.partition_by) == ((), ("order_month",))
    assert [column.name for column in lines.columns] == [
        "invoice_no",
        "stock_code",
        "description",
        "quantity",
        "invoiced_at",
        "unit_price",
        "customer_id",
        "country",
        "kind",
        "order_date",
        "order_month",
    ]
    assert {"daily_revenue", "monthly_revenue", "product_performance"} <= {
        table.name for table in shipped.gold.values()
    }
    for mart in shipped.marts.values():
        assert mart.odcs.version == mart.version


def test_every_shipped_table_and_column_is_described(shipped: Contracts) -> None:
    tables = [*shipped.silver.values(), *shipped.gold.values()]
    bare = [table.id for table in tables if not table.description]
    bare += [f"{table.id}.{column.name}" for table in tables for column in table.columns if not column.description]
    assert bare == []


def test_the_real_files_break_no_rule_and_pass_every_audit_that_blocks(shipped: Contracts) -> None:
    if not REAL_FILES.is_dir():
        pytest.skip(f"the real files are not at {REAL_FILES}")
    import duckdb

    lines = shipped.silver["silver.sales.order_lines"]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS silver; CREATE SCHEMA silver.sales")
        connection.execute(f"CREATE VIEW raw AS FROM read_csv('{REAL_FILES}/*.csv', header = true, all_varchar = true)")
        names = [name for name, *_ in connection.execute("DESCRIBE raw").fetchall()]
        trimmed = ", ".join(f'nullif(trim("{name}"), \'\') AS "{name}"' for name in names)
        whole = {"customer_id": "::DOUBLE"}  # '17850.0' is a whole number
        typed = ", ".join(
            f'({column.expression}){whole.get(column.name, "")}::{column.type} AS "{column.name}"'
            for column in lines.columns
        )
        connection.execute(f"CREATE TABLE typed AS SELECT {typed} FROM (SELECT {trimmed} FROM raw)")
        required = " OR ".join(f'"{column.name}" IS NULL' for column in lines.columns if column.required)
        rules = {(column.name, rule.kind): rule.value for column in lines.columns for rule in column.rules}
        assert set(rules) == {("invoice_no", "pattern"), ("kind", "enum")}
        broken = connection.execute(
            f"SELECT count(*), count(*) FILTER ({required}), count(*) FILTER (NOT regexp_matches(invoice_no, ?)), "
            "count(*) FILTER (kind NOT IN (SELECT unnest(?))) FROM typed",
            [rules["invoice_no", "pattern"], list(rules["kind", "enum"])],  # type: ignore[call-overload]
        ).fetchone()
        assert broken == (541909, 0, 0, 0)

        connection.execute("CREATE TABLE silver.sales.order_lines AS SELECT DISTINCT * FROM typed")
        failed = []
        for table in (lines, *shipped.marts["sales"].tables):
            connection.execute(f"CREATE OR REPLACE TEMP VIEW audited AS {table.sql or f'FROM {table.id}'}")
            for audit in table.quality:
                if not audit.query:
                    continue
                value = connection.execute(audit.query.replace("${object}", "audited")).fetchone()
                if audit.operator == "mustBe" and audit.severity == "error" and value != (audit.bound,):
                    failed.append((table.id, audit.id, value))
        assert failed == []


def test_every_partitioned_mart_that_is_shipped_is_proven(lake: Lake) -> None:
    with open_project(replace(lake.settings, root=ROOT)) as project:
        known = {**project.contracts.silver, **{table.id: table for table in project.marts}}
        proofs = {t.id: prove(project.engine, t, known) for t in project.marts if t.partition_by}
    assert {name: found.refusal for name, found in proofs.items() if found.refusal} == {}
    assert len(proofs) == 24


def test_what_a_mart_reads_whole_is_what_is_not_of_its_partition(lake: Lake) -> None:
    with open_project(replace(lake.settings, root=ROOT)) as project:
        known = {**project.contracts.silver, **{table.id: table for table in project.marts}}
        whole = {
            table.name: sorted(set(table.sources) - set(prove(project.engine, table, known).cuts))
            for table in project.marts
            if table.partition_by
        }
    assert {name: sources for name, sources in whole.items() if sources} == {
        "fact_kpi_daily": ["gold.kpi.app_keys", "silver.kpi.kpi_dictionary"],
        "fact_kpi_monthly": ["gold.kpi.app_keys"],
        "fact_kpi_weekly": ["gold.kpi.app_keys"],
        "funnel_daily": ["gold.kpi.app_keys"],
        "promise_accuracy": ["silver.delivery.carriers"],
        "segment_service": ["silver.delivery.customers"],
        "tracking_coverage": ["silver.delivery.shipments"],
    }
