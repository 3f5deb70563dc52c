"""Masking: what people read of classified columns; the pipeline reads them as they are.

One shop has a value of a masked column wherever a lake can hold it: in the files' rows, in a line that could not be
split, in rejected rows and why they were, in deletions, in marts, in samples of audits and in errors of models. It
must be in nothing that a command prints or writes, in no screen, no record and no log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MART, ORDERS, Lake
from page_site import opened

VALUE = "ada@example.com"
PARTS = (VALUE, "ada@", "example.com")
EMAIL = "email, logicalType: string, physicalType: varchar, classification: pii"
ACCOUNTS = ORDERS.replace(
    "      - {name: updated, logicalType: integer, physicalType: integer}\n",
    "      - {name: updated, logicalType: integer, physicalType: integer}\n"
    f"      - {{name: {EMAIL}, logicalTypeOptions: {{maxLength: 20}}, primaryKey: true, primaryKeyPosition: 2}}\n"
    "      - {name: host, logicalType: string, physicalType: varchar, transformLogic: \"split_part(email, '@', 2)\"}\n"
    "      - {name: size, logicalType: integer, physicalType: integer, classification: public,"
    ' transformLogic: "length(email)"}\n'
    "      - {name: born, logicalType: date, physicalType: date, classification: PII}\n"
    "      - {name: card, logicalType: string, physicalType: varchar, classification: pii,"
    " customProperties: [{property: mask, value: partial}]}\n"
    "      - {name: seen, logicalType: string, physicalType: varchar, quality: [{metric: invalidValues,"
    " arguments: {validValues: [web]}, mustBe: 0, severity: warning, description: Seen on the web.}]}\n",
).replace(
    "    customProperties:\n",
    "    customProperties:\n      - {property: deleteWhen, value: seen = 'gone'}\n",
)
PEOPLE = (
    MART
    + """  - name: people
    logicalType: object
    physicalType: table
    properties:
      - {name: who, logicalType: string, physicalType: varchar, primaryKey: true, primaryKeyPosition: 1}
      - {name: day, logicalType: date, physicalType: date}
      - {name: orders, logicalType: integer, physicalType: bigint}
    customProperties:
      - {property: measure, value: {column: orders, aggregate: sum, by: who}}
"""
)
CAST = MART.replace("shop", "cast").replace("daily", "cast")
CAST = CAST[: CAST.index("      - {name: day")] + "      - {name: number, logicalType: integer, physicalType: bigint}\n"
ROWS = (
    "order_id,day,amount,updated,email,born,card,seen,Phone\n"
    f"1,2024-01-01,10,1,{VALUE},1815-12-10,1234567890123456,web,555-0100\n"
    f"2,2024-01-01,10,1,bob@example.com,1900-01-02,1234,app,555-0101\n"
    f"3,2024-01-02,wrong,1,{VALUE},1815-12-10,12,web,555-0102\n"  # rejected for another column
    f"4,2024-01-02,10,1,{VALUE}.much.too.long,1815-12-10,12,web,555-0102\n"  # and for its own
    f"5,2024-01-02,10,1,{VALUE},1815-12-10,12,gone,555-0102\n"
    f"6,2024-01-02,10,1,{VALUE},x,12,web,555-0103,too,many,fields\n"  # a line that could not be split
)


def told(text: str) -> bool:
    return any(part in text for part in PARTS)


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """The shop after a run in which a model failed over one of its values."""
    lake.environ["BROKEN_ON_PURPOSE"] = "yes"  # a model that fails leaves no table
    lake.write("silver/shop/orders.yaml", ACCOUNTS)
    lake.write("gold/shop/contract.yaml", PEOPLE)
    lake.write(
        "gold/shop/daily.sql",
        "SELECT day, count(*) AS orders, sum(amount)::DECIMAL(18,2) AS amount FROM silver.shop.orders GROUP BY 1",
    )
    lake.write(
        "gold/shop/people.sql",
        "SELECT email AS who, max(day) AS day, count(*) AS orders FROM silver.shop.orders GROUP BY 1",
    )
    lake.write("gold/cast/contract.yaml", CAST)
    lake.write("gold/cast/cast.sql", "SELECT count(email::BIGINT) AS number FROM silver.shop.orders")
    lake.land("shop/orders/1.csv", ROWS)
    return lake


@pytest.fixture
def ran(shop: Lake) -> Lake:
    done = shop.typed("run")
    assert done.returncode == 9, done.stderr
    assert "gold.cast.cast" in done.stderr
    assert not told(done.stdout + done.stderr)
    return shop


def test_the_values_are_where_the_pipeline_needs_them(ran: Lake) -> None:
    places = {
        "silver": "SELECT email FROM silver.shop.orders",
        "bronze": "SELECT email FROM bronze.shop.orders",
        "split": "SELECT _raw FROM bronze.shop.orders",
        "rejected": "SELECT _values FROM quarantine.shop.orders",
        "reasons": "SELECT _reasons::VARCHAR FROM quarantine.shop.orders",
        "deletions": "SELECT email FROM deletions.shop.orders",
        "gold": "SELECT who FROM gold.shop.people",
    }
    assert {name for name, sql in places.items() if told(str(ran.rows(sql)))} == set(places)


QUERIES = (
    "SELECT * FROM silver.shop.orders",
    "SELECT * FROM bronze.shop.orders",
    "SELECT * FROM quarantine.shop.orders",
    "SELECT * FROM deletions.shop.orders",
    "SELECT * FROM gold.shop.people",
    "SELECT min(email), max(email), first(host), string_agg(host) FROM silver.shop.orders",
    "SELECT who FROM gold.shop.people ORDER BY who",
    "SELECT o FROM silver.shop.orders o",
    "SELECT to_json(o) FROM silver.shop.orders o",
    "WITH a AS (SELECT email AS x FROM silver.shop.orders) SELECT * FROM a",
    "SELECT COLUMNS(*) FROM silver.shop.orders",
    "SELECT email::INTEGER FROM silver.shop.orders",
    "SELECT error(email) FROM silver.shop.orders",
    "SELECT * FROM (SUMMARIZE silver.shop.orders)",
    "SELECT * FROM duckdb_views()",
    "SELECT getvariable('mask_inner')",
    "SELECT sql FROM sqlite_master",
    "SELECT * FROM ops.pipeline_runs",
    "SELECT * FROM ops.quality_results",
)
COMMANDS = (
    *(("query", sql, "--json") for sql in QUERIES),
    ("quarantine", "list"),
    ("quarantine", "show", "--table", "silver.shop.orders"),
    ("quarantine", "show", "--table", "silver.shop.orders", "--json"),
    ("preview", "silver.shop.orders"),
    ("preview", "gold.shop.people"),
    ("preview", "gold.cast.cast"),
    ("inspect",),
    ("status",),
    ("health",),
    ("report",),
    ("tables",),
    ("describe", "silver.shop.orders"),
    ("plan",),
    ("alerts",),
    ("check",),
    ("run", "--full-refresh"),
)


def test_no_command_prints_writes_or_logs_a_masked_value(ran: Lake) -> None:
    found = []
    for words in COMMANDS:
        done = ran.typed(*words)
        if told(done.stdout + done.stderr) or done.returncode == 70:
            found.append((words, done.stdout + done.stderr))
    assert found == []
    assert [path for path in kept(ran) if told(path.read_text(errors="replace"))] == []
    quoting = "SELECT error_message, error_fix, notes, samples FROM ops.pipeline_runs, ops.quality_results"
    assert not told(str(ran.rows(quoting)))


def kept(lake: Lake) -> Iterator[Path]:
    """What a lake keeps as text beside its tables: logs, reports, the catalogue, what the page remembers."""
    for folder in (lake.root / "logs", lake.data):
        for path in folder.rglob("*"):
            in_layer = path.relative_to(lake.data).parts[0] if path.is_relative_to(lake.data) else ""
            if path.is_file() and in_layer not in (
                *(["bronze", "silver", "gold", "quarantine", "deletions", "statements"]),
                "landing",
            ):
                yield path


SCREENS = (
    "/",
    "/table/silver.shop.orders",
    "/table/bronze.shop.orders",
    "/table/gold.shop.people",
    "/table/gold.cast.cast",
    "/mart/shop/people",
    "/mart/shop/people?days=0",
    "/mart/shop/people/rows.csv",
    "/quarantine",
    "/quarantine?table=silver.shop.orders",
    "/quarantine/replay?table=silver.shop.orders",
    "/runs",
    "/lineage",
    "/plan",
    "/feeds",
)


def test_no_screen_shows_a_masked_value_and_masked_ones_say_so(ran: Lake) -> None:
    site = opened(ran)
    shown = {address: site.get(address) for address in SCREENS}
    shown |= {"run": site.get(f"/run/{ran.rows('SELECT max(run_id) FROM ops.pipeline_runs')[0][0]}")}
    for sql in (QUERIES[0], QUERIES[4]):  # each takes a process
        shown[sql] = site.post("/sql", sql=sql)
    assert {name for name, answer in shown.items() if told(answer.text)} == set()
    assert {name: answer.text[:3000] for name, answer in shown.items() if answer.status != 200} == {}
    badge = '<span class="chip">masked</span>'
    with_badge = {name for name, answer in shown.items() if badge in answer.text}
    wanted = {"/table/silver.shop.orders", "/table/bronze.shop.orders", "/mart/shop/people"}
    assert wanted | {"/quarantine?table=silver.shop.orders", QUERIES[0], QUERIES[4]} <= with_badge
