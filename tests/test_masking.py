"""Masking: what people read of classified columns; the pipeline reads them as they are.

One shop has a value of a masked column wherever a lake can hold it: in the files' rows, in a line that could not be
split, in rejected rows and why they were, in deletions, in marts, in samples of audits and in errors of models. It
must be in nothing that a command prints or writes, in no screen, no record and no log.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MART, ORDERS, Lake, reader
from page_site import opened
from test_commands import SHOWN

from src.masking.concealing import concealed_text
from src.masking.masks import Mask, Masks, TableMasks
from src.masking.reader import system_user

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
    "      - {name: digits, logicalType: integer, physicalType: integer, classification: public,"
    " transformLogic: \"if(seen = 'odd', email, '1')\"}\n"
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
    f"7,2024-01-02,10,1,{VALUE},1815-12-10,12,odd,555-0102\n"  # for an open column that is made of it
    f"6,2024-01-02,10,1,{VALUE},x,12,web,555-0103,too,many,fields\n"  # a line that could not be split
)


def told(text: str) -> bool:
    return any(part in text for part in PARTS)


def written(lake: Lake) -> Lake:
    """Write the contracts and models of the shop, and land its rows: one model fails over one of its values."""
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
    lake.write("gold/cast/cast.sql", "SELECT count(*) AS number FROM silver.shop.orders WHERE email::BIGINT > 0")
    lake.land("shop/orders/1.csv", ROWS)
    return lake


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop after a run in which a model failed."""
    made = written(Lake(tmp_path_factory.mktemp("built")))
    done = made.typed("run")
    assert done.returncode == 9, done.stderr
    assert "gold.cast.cast" in done.stderr
    assert not told(done.stdout + done.stderr)
    return made.root


@pytest.fixture
def ran(shop: Lake) -> Lake:
    shop.environ["BROKEN_ON_PURPOSE"] = "yes"  # a model that fails leaves no table
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
    ("diff",),
    ("diff", "--json"),
    ("explain", "silver.shop.orders", "--where", "true"),
    ("explain", "gold.shop.people", "--where", "true"),
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


@pytest.mark.long
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_command_that_there_is_prints_a_masked_value(ran: Lake, form: tuple[str, ...]) -> None:
    """Draft alone does: it looks at files before anything is classified."""
    found = {name: ran.typed(name, *words, *form) for name, (words, _) in SHOWN.items() if name != "draft"}
    assert {name for name, done in found.items() if told(done.stdout + done.stderr)} == set()
    assert {name: done.stderr for name, done in found.items() if done.returncode == 70} == {}


def test_what_was_recorded_before_a_column_was_classified_is_left_out_of_what_is_read(lake: Lake) -> None:
    shop = written(lake)
    assert told(shop.typed("run", MASK="none").stderr)
    quoting = ("SELECT * FROM ops.pipeline_runs", "SELECT * FROM ops.quality_results")
    assert all(told(str(shop.rows(sql))) for sql in quoting)
    found = [read(shop, sql) for sql in quoting]
    assert not told(str(found))
    [failed] = [row["error_message"] for row in found[0] if row["table"] == "cast"]
    assert str(failed).startswith("Conversion Error: Could not convert string ***")


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


# -- what is read in place of a value


def read(lake: Lake, sql: str, **environ: str) -> list[dict[str, object]]:
    done = lake.typed("query", sql, "--json", **environ)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_a_hash_is_the_same_in_all_tables_and_partial_and_null_show_little(ran: Lake) -> None:
    rows = read(ran, "SELECT order_id, email, host, size, born, card FROM silver.shop.orders ORDER BY 1")
    assert [(row["order_id"], row["size"], row["born"], row["card"]) for row in rows] == [
        (1, 15, None, "***3456"),
        (2, 15, None, "1***"),
    ]
    assert all(re.fullmatch("[0-9a-f]{16}", str(row[name])) for row in rows for name in ("email", "host"))
    assert rows[0]["email"] != rows[1]["email"] and rows[0]["host"] == rows[1]["host"]
    joined = "SELECT count(*) AS n FROM silver.shop.orders o JOIN gold.shop.people p ON p.who = o.email"
    assert read(ran, joined) == [{"n": 2}]
    bronze = read(ran, "SELECT email, born, Phone, _raw FROM bronze.shop.orders WHERE order_id = '1'")
    assert bronze[0]["email"] == rows[0]["email"]
    assert (bronze[0]["born"], bronze[0]["_raw"]) == (None, None)
    assert re.fullmatch("[0-9a-f]{16}", str(bronze[0]["Phone"]))  # no table reads it: nothing says what it holds


def test_short_values_are_not_shown_whole() -> None:
    masks = Masks({"silver.a.b": TableMasks({"x": Mask("partial", "pii")})}, frozenset({"silver.a.b"}))
    made = masks.replaced("silver.a.b", {"x": "VARCHAR"})["x"]
    values = "('abc'), ('abcd'), ('abcdefghijkl'), ('abcdefghijklm'), (NULL), ('')"
    assert reader().values(f'SELECT {made} FROM (VALUES {values}) t("x")') == [
        "***",
        "a***",
        "a***",
        "***jklm",
        None,
        "***",
    ]


def test_a_quarantined_row_shows_what_is_known_to_be_open(ran: Lake) -> None:
    rows = json.loads(ran.typed("quarantine", "show", "--table", "silver.shop.orders", "--json").stdout)
    by_row = {row["row"]: row for row in rows}
    assert by_row[3]["reasons"] == ["amount: cannot read wrong as decimal(18,2)"]
    assert json.loads(by_row[3]["values"]) == {
        **{"order_id": "3", "day": "2024-01-02", "amount": "wrong", "updated": "1", "seen": "web"},
        **{"email": "***", "born": "***", "card": "***", "Phone": "***"},
    }
    assert by_row[4]["reasons"] == ["maxLength:email: ***"]
    assert by_row[6]["reasons"] == ["type:digits: ***"]
    assert by_row[7]["values"] == "***"


def test_the_secret_is_made_once_for_its_owner_alone_and_where_nothing_is_masked_there_is_none(ran: Lake) -> None:
    first = read(ran, "SELECT email FROM silver.shop.orders ORDER BY order_id LIMIT 1")
    key = ran.data / ".masking" / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert read(ran, "SELECT email FROM silver.shop.orders ORDER BY order_id LIMIT 1") == first
    assert ran.typed("backup").returncode == 0
    assert not [path for path in (ran.root / "backups").rglob("*") if ".masking" in str(path)]
    key.write_text("damaged")
    assert read(ran, "SELECT email FROM silver.shop.orders LIMIT 1") == [{"email": None}]
    shutil.rmtree(key.parent)
    assert told(str(read(ran, "SELECT email FROM silver.shop.orders", MASK="none")))
    assert not key.parent.exists()


def test_only_a_user_of_the_system_is_unmasked(ran: Lake) -> None:
    sql = "SELECT email FROM silver.shop.orders"
    assert told(str(read(ran, sql, UNMASKED_USERS=f"somebody {system_user()}")))
    made_up = {"USER": "ada", "LOGNAME": "ada", "BOATHOUSE_BY": "ada"}
    assert not told(str(read(ran, sql, UNMASKED_USERS="ada", **made_up)))


def test_behind_a_proxy_the_page_is_masked_whoever_runs_it(ran: Lake) -> None:
    ran.environ["UNMASKED_USERS"] = system_user()
    assert told(opened(ran).get("/table/silver.shop.orders").text)
    ran.environ |= {"PAGE_HOST": "lake.example.net", "PAGE_READONLY": "true", "PAGE_KEY": "0123456789012345678901"}
    assert not told(opened(ran).get("/table/silver.shop.orders").text)


def test_while_contracts_cannot_be_read_the_last_masks_hold_and_without_any_all_is_masked(ran: Lake) -> None:
    sql = "SELECT email, seen FROM silver.shop.orders ORDER BY order_id LIMIT 1"
    before = read(ran, sql)
    assert before[0]["seen"] == "web"
    ran.write("gold/shop/contract.yaml", "nonsense")
    assert read(ran, sql) == before
    (ran.data / ".masking" / "last.json").unlink()
    assert read(ran, sql)[0]["email"] == before[0]["email"]
    assert read(ran, sql)[0]["seen"] != "web"


def test_a_table_that_no_contract_declares_is_masked_whole(ran: Lake) -> None:
    shutil.rmtree(ran.root / "src" / "gold" / "shop")
    done = ran.typed("query", "SELECT who, orders FROM gold.shop.people", "--json")
    assert not told(done.stdout)
    assert {row["orders"] for row in json.loads(done.stdout)} == {None}
    assert "gold.shop.people.who (no contract declares it)" in done.stderr


def test_no_way_leads_from_a_query_to_the_files(ran: Lake) -> None:
    [file] = (ran.data / "silver/shop/orders").rglob("part-*.parquet")
    tries = (
        f"SELECT * FROM read_parquet('{file}')",
        f"SELECT * FROM '{file}'",
        f"SELECT o.*, x FROM silver.shop.orders o, (SELECT content AS x FROM read_blob('{file}'))",
        f"SELECT * FROM silver.shop.orders, parquet_metadata('{file}')",
        "SELECT * FROM read_text('{}')".format(ran.data / ".masking/key"),
    )
    found = [ran.typed("query", sql) for sql in tries]
    assert [done.returncode for done in found] == [2] * 5
    assert not any(told(done.stdout + done.stderr) for done in found)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Could not convert string 'O'Brien' to INT32", "Could not convert string *** to INT32"),
        ("audit failed: unique is 2, such as [{}]", "audit failed: unique is 2, such as ***"),
        ("in conflict: 1 key of 2 rows that differ, such as ada; the last wins", None),
        ("3 of 4 rows were rejected: email: ada is too long; a cause", "3 of 4 rows were rejected: ***"),
        ("3 of 4 rows were rejected, more than 50 %: let through by ann", None),
        ("email: cannot read Email=ada as date", "email: cannot read ***"),
        ("the number 1234567 in 1,234 rows", "the number ####### in 1,234 rows"),
        ("an open quote 'ada", "an open quote ***"),
    ],
)
def test_a_message_keeps_what_it_is_about_and_loses_what_it_quotes(text: str, left: str | None) -> None:
    found = concealed_text(text)
    assert "ada" not in found
    if left is not None:
        assert found == left
