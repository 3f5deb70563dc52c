"""The laws of src/contract: what a contract may say, what becomes of it, and how it is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src import contract
from src.contract import Column, Contracts, Expectation, Feed, Relationship, Rule, Sla, Table
from src.contract.model import Names
from src.errors import BoathouseError, ContractError, ContractErrors

REPOSITORY = Path(__file__).parent.parent

SILVER = """\
apiVersion: v3.2.0
kind: DataContract
id: shop.orders
version: 1.0.0
status: active
domain: shop
description: {purpose: Every order.}
servers:
  - server: orders
    type: local
    path: shop/orders/*.csv
    format: csv
slaProperties:
  - {property: latency, value: 26, unit: h, element: orders.ordered_at}
schema:
  - name: orders
    description: One row per order.
    properties:
      - name: order_id
        logicalType: integer
        primaryKey: true
      - name: note
        logicalType: string
      - name: amount
        logicalType: number
        physicalType: decimal(18,3)
      - name: ordered_at
        logicalType: timestamp
      - name: day
        logicalType: date
        required: true
        partitioned: true
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
    customProperties:
      - {property: sequenceBy, value: ordered_at}
"""

CUSTOMERS = """\
apiVersion: v3.2.0
kind: DataContract
id: shop.customers
version: 1.0.0
status: active
servers:
  - {server: customers, type: local, path: shop/customers/*.json, format: json}
schema:
  - name: customers
    properties:
      - {name: customer_id, logicalType: integer, primaryKey: true}
      - {name: region, logicalType: string}
"""

GOLD = """\
apiVersion: v3.2.0
kind: DataContract
id: gold.takings
name: Takings
version: 2.1.0
status: active
description: {purpose: What the shop took., usage: Reporting., limitations: No tax.}
team:
  name: Commerce
  members:
    - {username: ada}
    - {username: bob, name: Bob, role: Owner}
support:
  - {channel: "#sales", url: https://example.com/sales}
  - {channel: desk}
slaProperties:
  - {property: frequency, value: 1, unit: day}
  - {property: retention, value: 3, unit: years, element: "daily, top.day"}
schema:
  - name: daily
    properties:
      - {name: day, logicalType: date, primaryKey: true, required: true, partitioned: true}
      - {name: amount, logicalType: number, transformSourceObjects: [silver.shop.orders]}
    customProperties:
      - {property: lookback, value: 1}
  - name: top
    properties:
      - {name: day, logicalType: date}
    customProperties:
      - {property: refresh, value: full}
"""

MODELS = {"gold/takings/daily.sql": "SELECT 1\n", "gold/takings/top.sql": "SELECT 2\n"}
PROJECT = {"silver/shop/orders.yaml": SILVER, "gold/takings/contract.yaml": GOLD, **MODELS}


def write(tmp_path: Path, files: Mapping[str, str | bytes]) -> Path:
    """A source folder that holds these files; gold and silver are there even where they are empty."""
    root = tmp_path / "src"
    for name in ("silver/__init__.py", "gold/aggregate.py", *files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = files.get(name, "")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def errors(tmp_path: Path, files: Mapping[str, str | bytes]) -> tuple[BoathouseError, ...]:
    with pytest.raises(ContractErrors) as raised:
        contract.load(write(tmp_path, files))
    return raised.value.errors


def the_error(tmp_path: Path, files: Mapping[str, str | bytes]) -> BoathouseError:
    found = errors(tmp_path, files)
    assert len(found) == 1, [str(error) for error in found]
    return found[0]


def edited(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def orders(tmp_path: Path, old: str = "", new: str = "", text: str = SILVER) -> Table:
    text = edited(text, old, new) if old else text
    return contract.load(write(tmp_path, {"silver/shop/orders.yaml": text})).silver["silver.shop.orders"]


def column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


# -- what a sound contract becomes


def test_a_silver_contract_becomes_a_table_and_its_feed(tmp_path: Path) -> None:
    root = write(tmp_path, PROJECT)
    contracts = contract.load(root)
    path = root / "silver/shop/orders.yaml"
    feed = Feed("shop", "orders", "shop/orders/*.csv", "csv", declared_in=path)
    assert contracts.feeds == {"bronze.shop.orders": feed}
    assert contracts.feeds["bronze.shop.orders"].declared_in == path
    assert contracts.silver == {
        "silver.shop.orders": Table(
            layer="silver",
            domain="shop",
            name="orders",
            version="1.0.0",
            columns=(
                Column("order_id", "BIGINT", required=True),
                Column("note", "VARCHAR"),
                Column("amount", "DECIMAL(18,3)"),
                Column("ordered_at", "TIMESTAMP WITH TIME ZONE"),
                Column("day", "DATE", required=True),
            ),
            key=("order_id",),
            partition_by=("day",),
            sequence_by=("ordered_at",),
            feeds=(feed,),
            description="One row per order.",
            path=path,
            quality=(Expectation("library", "mustBeGreaterThan", 0, metric="rowCount"),),
            slas=(Sla("latency", 26, "h", "orders.ordered_at", "ordered_at"),),
            business_date="ordered_at",
        )
    }


def test_a_mart_is_its_tables_and_what_a_reader_must_know(tmp_path: Path) -> None:
    contracts = contract.load(write(tmp_path, PROJECT))
    mart = contracts.marts["takings"]
    assert list(contracts.gold) == ["gold.takings.daily", "gold.takings.top"]
    assert mart.tables == tuple(contracts.gold.values())
    assert (mart.title, mart.version, mart.owner, mart.refresh) == ("Takings", "2.1.0", "Bob", "daily")
    assert (mart.purpose, mart.usage, mart.limitations) == ("What the shop took.", "Reporting.", "No tax.")
    assert mart.support == ("#sales (https://example.com/sales)", "desk")
    assert mart.odcs.schema_ is not None
    assert [declared.name for declared in mart.odcs.schema_] == ["daily", "top"]


def test_a_gold_table_has_its_model_its_mode_and_its_version_from_the_mart(tmp_path: Path) -> None:
    contracts = contract.load(write(tmp_path, PROJECT))
    daily, top = contracts.gold.values()
    assert (daily.sql, daily.python, daily.sources) == ("SELECT 1", None, ())
    assert (daily.lookback, daily.refresh, daily.version) == (1, "incremental", "2.1.0")
    assert (top.sql, top.lookback, top.refresh, top.owner) == ("SELECT 2", 0, "full", "Bob")


def test_a_python_model_says_what_it_reads(tmp_path: Path) -> None:
    files = {name: text for name, text in PROJECT.items() if name != "gold/takings/daily.sql"}
    root = write(tmp_path, {**files, "gold/takings/daily.py": "def model(orders): return orders\n"})
    daily = contract.load(root).gold["gold.takings.daily"]
    assert (daily.sql, daily.python) == (None, root / "gold/takings/daily.py")
    assert daily.sources == ("silver.shop.orders",)


def test_a_silver_table_may_have_sql_beside_it(tmp_path: Path) -> None:
    files = {"silver/shop/orders.yaml": SILVER, "silver/shop/orders.sql": "\nSELECT * FROM bronze.shop.orders\n"}
    table = contract.load(write(tmp_path, files)).silver["silver.shop.orders"]
    assert table.sql == "\nSELECT * FROM bronze.shop.orders"  # lines keep their numbers


def test_a_service_level_belongs_to_the_tables_it_names_or_to_all(tmp_path: Path) -> None:
    daily, top = contract.load(write(tmp_path, PROJECT)).gold.values()
    frequency = Sla("frequency", 1, "d")
    assert daily.slas == (frequency, Sla("retention", 3, "y", "daily"))
    assert top.slas == (frequency, Sla("retention", 3, "y", "top.day", "day"))
    assert [sla.hours() for sla in daily.slas] == [24, 26280]


@pytest.mark.parametrize(
    ("value", "unit", "refresh"),
    [("1", "h", "hourly"), ("6", "hr", "every 6 hours"), ("2", "week", "every 2 weeks"), ("1", "month", "monthly")],
)
def test_the_refresh_rate_is_said_in_words(tmp_path: Path, value: str, unit: str, refresh: str) -> None:
    gold = edited(GOLD, "value: 1, unit: day", f"value: {value}, unit: {unit}")
    assert (
        contract.load(write(tmp_path, {**PROJECT, "gold/takings/contract.yaml": gold})).marts["takings"].refresh
        == refresh
    )


@pytest.mark.parametrize(
    ("team", "owner"),
    [
        ("{name: Commerce, members: [{username: ada}, {username: bob, role: owner}]}", "bob"),
        ("{name: Commerce, members: [{username: ada, name: Ada}, {username: bob}]}", "Ada"),
        ("{name: Commerce}", "Commerce"),
        ("[{username: ada}, {username: bob, role: owner}]", "bob"),
    ],
)
def test_the_owner_is_the_member_who_owns_else_the_first_else_the_team(tmp_path: Path, team: str, owner: str) -> None:
    assert orders(tmp_path, "servers:", f"team: {team}\nservers:").owner == owner


def test_a_word_that_documents_is_let_through(tmp_path: Path) -> None:
    text = edited(SILVER, "slaProperties:", "slaProperties:\n  - {property: availability, value: 99.9 %}")
    text = edited(text, "    quality:", "    quality:\n      - {type: text, description: Orders are true.}")
    text = edited(
        text, "    customProperties:", "    customProperties:\n      - {property: tier, value: 1, vendor: atlan}"
    )
    table = orders(tmp_path, text=text)
    assert [sla.property for sla in table.slas] == ["availability", "latency"]
    assert [expectation.metric for expectation in table.quality] == ["rowCount"]


def test_settings_of_the_whole_contract_hold_for_each_table_unless_it_says_otherwise(tmp_path: Path) -> None:
    gold = GOLD + "customProperties:\n  - {property: refresh, value: full}\n"
    gold = edited(gold, "{property: lookback, value: 1}", "{property: refresh, value: incremental}")
    contracts = contract.load(write(tmp_path, {**PROJECT, "gold/takings/contract.yaml": gold}))
    assert [table.refresh for table in contracts.gold.values()] == ["incremental", "full"]


def test_keys_and_partitions_stand_in_the_order_of_their_positions(tmp_path: Path) -> None:
    text = edited(SILVER, "primaryKey: true", "primaryKey: true\n        primaryKeyPosition: 2")
    text = edited(
        text, "partitioned: true", "partitioned: true\n        primaryKey: true\n        primaryKeyPosition: 1"
    )
    table = orders(tmp_path, text=text)
    assert table.key == ("day", "order_id")
    assert column(table, "order_id").required


def test_history_and_deletion_come_from_custom_properties(tmp_path: Path) -> None:
    extra = "{property: history, value: scd2}\n      - {property: deleteWhen, value: amount = 0}\n      - "
    table = orders(tmp_path, "{property: sequenceBy", extra + "{property: sequenceBy")
    assert (table.history, table.delete_when) == ("scd2", "amount = 0")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", "ordered_at"),
        ("{property: sequ", "{property: businessDate, value: day}\n      - {property: sequ", "day"),
        ("element: orders.ordered_at", "element: orders.day", "day"),
        ("element: orders.ordered_at", "element: orders", "day"),
        ("element: orders.ordered_at", "element: orders.amount", "day"),
        ("property: latency", "property: retention", "day"),
        ("unit: h, element: orders.ordered_at", "unit: h", "day"),
    ],
)
def test_the_business_date_is_named_else_what_latency_is_measured_by_else_the_partition(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert orders(tmp_path, old, new).business_date == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("        partitioned: true", "        partitioned: false"),
        (
            "        partitioned: true",
            "        partitioned: true\n        partitionKeyPosition: 1\n      - {name: sent, logicalType: date, "
            "required: true, partitioned: true, partitionKeyPosition: 2}",
        ),
    ],
    ids=["no partition", "two dates"],
)
def test_without_one_date_that_partitions_there_is_no_business_date(tmp_path: Path, old: str, new: str) -> None:
    text = edited(SILVER, "element: orders.ordered_at", "element: orders")
    assert orders(tmp_path, old, new, text).business_date is None


def test_a_table_of_a_mart_has_a_business_date_too(tmp_path: Path) -> None:
    gold = edited(GOLD, "{property: refresh, value: full}", "{property: businessDate, value: day}")
    contracts = contract.load(write(tmp_path, {**PROJECT, "gold/takings/contract.yaml": gold}))
    assert [table.business_date for table in contracts.gold.values()] == ["day", "day"]


# -- types


@pytest.mark.parametrize(
    ("logical", "physical", "expected"),
    [
        ("string", None, "VARCHAR"),
        ("integer", None, "BIGINT"),
        ("number", None, "DOUBLE"),
        ("boolean", None, "BOOLEAN"),
        ("date", None, "DATE"),
        ("timestamp", None, "TIMESTAMP WITH TIME ZONE"),
        ("string", "TEXT", "VARCHAR"),
        ("string", "String", "VARCHAR"),
        ("integer", "int", "INTEGER"),
        ("integer", "INT4", "INTEGER"),
        ("integer", "int8", "BIGINT"),
        ("integer", "smallint", "SMALLINT"),
        ("integer", "tinyint", "TINYINT"),
        ("number", "numeric(10, 2)", "DECIMAL(10,2)"),
        ("number", "DECIMAL(38)", "DECIMAL(38,0)"),
        ("number", "float8", "DOUBLE"),
        ("number", "double  precision", "DOUBLE"),
        ("number", "real", "FLOAT"),
        ("boolean", "bool", "BOOLEAN"),
        ("timestamp", "timestamptz", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp", "timestamp_tz", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp", "Timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_every_spelling_of_a_type_becomes_duckdbs_own(
    tmp_path: Path, logical: str, physical: str | None, expected: str
) -> None:
    declared = f"logicalType: {logical}" + (f"\n        physicalType: {physical}" if physical else "")
    assert column(orders(tmp_path, "logicalType: string", declared), "note").type == expected


# -- row rules


@pytest.mark.parametrize(
    ("declared", "rules"),
    [
        ("integer\n        logicalTypeOptions: {minimum: 1, maximum: 9}", (Rule("minimum", 1), Rule("maximum", 9))),
        (
            "number\n        logicalTypeOptions: {exclusiveMinimum: 0.5, exclusiveMaximum: 1, multipleOf: 0.25}",
            (Rule("exclusiveMinimum", 0.5), Rule("exclusiveMaximum", 1), Rule("multipleOf", 0.25)),
        ),
        (
            "string\n        logicalTypeOptions: {minLength: 1, maxLength: 3, pattern: '^[a-z]+$'}",
            (Rule("minLength", 1), Rule("maxLength", 3), Rule("pattern", "^[a-z]+$")),
        ),
        ("date\n        logicalTypeOptions: {minimum: 2010-01-01}", (Rule("minimum", "2010-01-01"),)),
        (
            "timestamp\n        logicalTypeOptions: {maximum: '2011-12-31T23:59:59Z', defaultTimezone: UTC}",
            (Rule("maximum", "2011-12-31T23:59:59Z"),),
        ),
        ("string\n        enum: [{value: a}, {value: b}]", (Rule("enum", ("a", "b")),)),
        ("date\n        enum: [{value: 2010-01-01}]", (Rule("enum", ("2010-01-01",)),)),
        ("boolean\n        enum: [{value: true}]", (Rule("enum", (True,)),)),
    ],
)
def test_options_and_enum_become_row_rules(tmp_path: Path, declared: str, rules: tuple[Rule, ...]) -> None:
    assert column(orders(tmp_path, "logicalType: string", f"logicalType: {declared}"), "note").rules == rules


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("email", "ada@example.com", "ada at example.com"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("uri", "https://example.com/a?b=c", "example.com/a"),
        ("ipv4", "192.168.0.255", "192.168.0.256"),
    ],
)
def test_a_format_is_a_pattern(tmp_path: Path, name: str, good: str, bad: str) -> None:
    import duckdb

    declared = f"logicalType: string\n        logicalTypeOptions: {{format: {name}}}"
    (rule,) = column(orders(tmp_path, "logicalType: string", declared), "note").rules
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT regexp_matches(?, ?), regexp_matches(?, ?)", [good, rule.value, bad, rule.value]
        )
        assert found.fetchone() == (True, False)


# -- feeds


def test_a_server_says_how_its_files_are_read(tmp_path: Path) -> None:
    server = """format: csv
    delimiter: ";"
    encoding: Latin-1
    customProperties:
      - {property: quote, value: "'"}
      - {property: escape, value: ""}
      - {property: header, value: false}
      - {property: columns, value: [Order, Amount]}"""
    assert orders(tmp_path, "format: csv", server).feeds == (
        Feed(
            "shop",
            "orders",
            "shop/orders/*.csv",
            "csv",
            delimiter=";",
            encoding="iso8859-1",
            quote="'",
            escape="",
            header=False,
            columns=("Order", "Amount"),
        ),
    )


def test_a_spreadsheet_may_name_its_sheet(tmp_path: Path) -> None:
    server = "format: xlsx\n    customProperties: [{property: sheet, value: Orders 2011}]"
    assert orders(tmp_path, "format: csv", server).feeds[0].sheet == "Orders 2011"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("{property: header, value: 4}", {"header": 4}),
        ("{property: header, value: 1}", {"header": True}),
        ("{property: header, value: auto}", {"header": "auto"}),
        ("{property: header, value: [3, 4]}", {"header": (3, 4)}),
        ("{property: skipFooter, value: 2}", {"skip_footer": 2}),
        ("{property: names, value: {unnamed: index}}", {"names": Names("index")}),
        ("{property: names, value: {unnamed: n, repeated: number}}", {"names": Names("n", True)}),
    ],
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_feed_says_where_its_table_is_in_a_file(
    tmp_path: Path, form: str, option: str, expected: dict[str, Any]
) -> None:
    table = orders(tmp_path, "format: csv", f"format: {form}\n    customProperties: [{option}]")
    plain = Feed("shop", "orders", "shop/orders/*.csv", form)
    assert table.feeds == (replace(plain, **expected),)
    assert contract.fingerprint(table) != FINGERPRINT or expected == {"header": True}


@pytest.mark.parametrize(
    ("path", "steps"), [("data.items", ("data", "items")), ("/a.b/c", ("a.b", "c")), ("features", ("features",))]
)
def test_a_feed_of_json_names_the_keys_that_lead_to_its_records(
    tmp_path: Path, path: str, steps: tuple[str, ...]
) -> None:
    option = f"format: json\n    customProperties: [{{property: recordPath, value: {path}}}]"
    table = orders(tmp_path, "format: csv", option)
    assert table.feeds[0].record_path == steps
    assert contract.logic(table)["feeds"]["orders"]["record_path"] == list(steps)


def test_two_tables_may_read_one_feed_if_they_agree_on_it(tmp_path: Path) -> None:
    other = edited(SILVER, "id: shop.orders", "id: shop.refunds").replace("name: orders", "name: refunds")
    other = edited(other, "orders.ordered_at", "refunds.ordered_at")
    files = {"silver/shop/orders.yaml": SILVER, "silver/shop/refunds.yaml": other}
    contracts = contract.load(write(tmp_path, files))
    assert list(contracts.feeds) == ["bronze.shop.orders"]
    assert {table.feeds for table in contracts.silver.values()} == {(contracts.feeds["bronze.shop.orders"],)}

    files["silver/shop/refunds.yaml"] = edited(other, "format: csv", 'format: csv\n    delimiter: ";"')
    error = the_error(tmp_path, files)
    assert error.what == "feed orders differs from orders.yaml in delimiter"
    assert error.where == "src/silver/shop/refunds.yaml, servers[0]"


# -- audits


@pytest.mark.parametrize(
    ("place", "declared", "expected"),
    [
        (
            "table",
            "{type: sql, query: 'select count(*) from ${object} where amount < 0', mustBe: 0, severity: warning}",
            Expectation(
                "sql", "mustBe", 0, query="select count(*) from ${object} where amount < 0", severity="warning"
            ),
        ),
        (
            "table",
            "{metric: duplicateValues, arguments: {properties: [note, day]}, mustBeBetween: [0, 5], id: twins}",
            Expectation(
                "library",
                "mustBeBetween",
                (0, 5),
                metric="duplicateValues",
                arguments=(("properties", ("note", "day")),),
                id="twins",
            ),
        ),
        (
            "column",
            "{type: library, metric: nullValues, mustBeLessThan: 5, unit: percent, dimension: completeness}",
            Expectation(
                "library",
                "mustBeLessThan",
                5,
                column="note",
                metric="nullValues",
                unit="percent",
                dimension="completeness",
            ),
        ),
        (
            "column",
            "{metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0, description: A or b.}",
            Expectation(
                "library",
                "mustBe",
                0,
                column="note",
                metric="invalidValues",
                arguments=(("validValues", ("a", "b")),),
                description="A or b.",
            ),
        ),
        (
            "column",
            "{type: sql, query: \"select bool_and({property} ~ '[0-9]{6}') from {table}\", mustBe: true}",
            Expectation(
                "sql", "mustBe", True, column="note", query="select bool_and(\"note\" ~ '[0-9]{6}') from ${object}"
            ),
        ),
    ],
)
def test_a_quality_entry_becomes_an_expectation(
    tmp_path: Path, place: str, declared: str, expected: Expectation
) -> None:
    if place == "table":
        table = orders(tmp_path, "{metric: rowCount, mustBeGreaterThan: 0}", declared)
    else:
        table = orders(tmp_path, "logicalType: string", f"logicalType: string\n        quality: [{declared}]")
    assert expected in table.quality


# -- foreign keys


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("logicalType: string", "logicalType: integer\n        relationships: [{to: customers.customer_id}]"),
        (
            "logicalType: string",
            "logicalType: integer\n        relationships: [{to: silver.shop.customers.customer_id}]",
        ),
        ("    quality:", "    relationships: [{from: orders.note, to: customers.customer_id}]\n    quality:"),
        ("    quality:", "    relationships: [{from: [orders.note], to: [customers.customer_id]}]\n    quality:"),
    ],
)
def test_a_relationship_is_columns_and_those_they_refer_to(tmp_path: Path, old: str, new: str) -> None:
    files = {"silver/shop/orders.yaml": edited(SILVER, old, new), "silver/shop/customers.yaml": CUSTOMERS}
    table = contract.load(write(tmp_path, files)).silver["silver.shop.orders"]
    assert table.relationships == (Relationship(("note",), "silver.shop.customers", ("customer_id",)),)


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_relationship_says_whether_a_stranger_stops_the_write(tmp_path: Path, severity: str) -> None:
    told = f"customProperties: [{{property: severity, value: {severity}}}]"
    column = f"{NOTE}\n        relationships: [{{to: orders.note, {told}}}]"
    table = f"    relationships: [{{from: orders.note, to: orders.note, {told}}}]\n    quality:"
    expected = (Relationship(("note",), "silver.shop.orders", ("note",), severity),)
    assert orders(tmp_path / "column", NOTE, column).relationships == expected
    assert orders(tmp_path / "table", "    quality:", table).relationships == expected


def test_a_relationship_to_a_broken_contract_is_not_a_second_error(tmp_path: Path) -> None:
    text = edited(
        SILVER, "logicalType: string", "logicalType: string\n        relationships: [{to: customers.nothing}]"
    )
    error = the_error(tmp_path, {"silver/shop/orders.yaml": text, "silver/shop/customers.yaml": "a: [1"})
    assert error.what.startswith("not YAML")


def test_aliases_that_grow_without_end_or_stand_for_themselves_are_refused(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    for text in ("l0: &l0 [1]\n" + "\n".join(levels), "a: &a [*a]"):
        error = the_error(tmp_path, {"silver/shop/orders.yaml": f"{SILVER}\n{text}"})
        assert error.what == "more than 200,000 values once its aliases are followed"
    noted = "      - &note\n        name: note\n"
    again = "      - {<<: *note, name: remark}\n      - name: amount\n"
    text = edited(SILVER, "      - name: note\n", noted)
    table = orders(tmp_path, "      - name: amount\n", again, text)
    assert column(table, "remark").type == column(table, "note").type == "VARCHAR"


# -- errors of one silver contract: old text, new text, and what, where and fix say

NOTE = "logicalType: string"
NOTE_AT, AMOUNT_AT = "schema[0].properties[1]", "schema[0].properties[2]"
ORDERS = SILVER[SILVER.index("slaP") : SILVER.index("    description: One row")]
ROWS = "{metric: rowCount, mustBeGreaterThan: 0}"
QUALITY_AT = "schema[0].quality[0]"


def options(logical: str, text: str) -> str:
    return f"logicalType: {logical}\n        logicalTypeOptions: {{{text}}}"


SILVER_ERRORS = [
    # YAML
    ("kind: DataContract", "kind: DataContract\nkind: DataContract", "duplicate key kind", "line 3", "keep one"),
    ("status: active", "status: [active", "not YAML: ", "line 6", "correct the syntax"),
    ("status: active", "status: active\n1: x", "key 1 is not text", "line 6", "write a name"),
    # the standard
    ("domain: shop", "domain: shop\nowner: me", "unknown key owner", "owner", "known: apiVersion, authoritative"),
    ("domain: shop", "domian: shop", "unknown key domian", "domian", "did you mean `domain`?"),
    (
        "{purpose: Every order.}",
        "{porpose: x}",
        "unknown key porpose",
        "description.porpose",
        "did you mean `purpose`?",
    ),
    (
        "    format: csv",
        "    format: csv\n    host: x",
        "unknown key host",
        "servers[0].host",
        "known: customProperties, del",
    ),
    (NOTE, NOTE + "\n        uniqe: true", "unknown key uniqe", f"{NOTE_AT}.uniqe", "did you mean `unique`?"),
    (
        NOTE,
        options("string", "minimum: 3"),
        "unknown key minimum",
        f"{NOTE_AT}.logicalTypeOptions.minimum",
        "known: format",
    ),
    (
        NOTE,
        NOTE + "\n        logicalTypeOptions: {minLength: -1}",
        "minLength -1",
        "Options.minLength",
        "Minimum length",
    ),
    ("v3.2.0", "v2.2.2", "apiVersion 'v2.2.2'", "apiVersion", "did you mean `v3.2.0`? known: v3.0.0"),
    ("kind: DataContract", "kind: DataProduct", "kind 'DataProduct'", "kind", "known: DataContract"),
    ("id: shop.orders\n", "", "missing key id", "", "write `id: ...`"),
    ("version: 1.0.0", "version: 1.0", "version is 1.0", "version", "write text, in quotes"),
    ("status: active", "status:", "status is empty", "status", "write text"),
    (
        "        required: true",
        "        required: 'yes'",
        "required is 'yes'",
        "properties[4].required",
        "true or false",
    ),
    (NOTE, "logicalType: strng", "logicalType 'strng'", f"{NOTE_AT}.logicalType", "did you mean `string`?"),
    (NOTE, "physicalType: varchar", "missing key logicalType", NOTE_AT, "write `logicalType: ...`"),
    ("type: local", "type: s3", "type 's3'", "servers[0].type", "known: local"),
    ("    path: shop/orders/*.csv\n", "", "missing key path", "servers[0]", "write `path: ...`"),
    (
        "description: {purpose: Every order.}",
        "team: {name: x, lead: y}",
        "unknown key lead",
        "team.lead",
        "known: auth",
    ),
    (ROWS, "{metric: rowCount}", "operators: none", QUALITY_AT, "write exactly one of mustBe"),
    (ROWS, "{metric: rowCount, mustBe: 1, mustNotBe: 2}", "operators: mustBe, mustNotBe", QUALITY_AT, "exactly one"),
    (
        ROWS,
        "{metric: rowCount, mustBeLessThan: x}",
        "mustBeLessThan is 'x'",
        f"{QUALITY_AT}.mustBeLessThan",
        "a number",
    ),
    (ROWS, "{metric: rows, mustBe: 1}", "metric 'rows'", f"{QUALITY_AT}.metric", "known: duplicateValues, invalid"),
    (ROWS, "{mustBe: 0}", "missing key metric", QUALITY_AT, "write `metric: ...`"),
    (ROWS, "{metric: rowCount, mustBe: [1, 2]}", "mustBe a list", f"{QUALITY_AT}.mustBe", "write a number"),
    (NOTE, "logicalType: [string]", "logicalType is a list", f"{NOTE_AT}.logicalType", "write text"),
    ("    quality:\n", "    quality:\n      - 7\n", "quality[0] is 7", QUALITY_AT, "write keys and values"),
    (ROWS, "{type: sql, mustBe: 0}", "missing key query", QUALITY_AT, "write `query: ...`"),
    (NOTE, NOTE + "\n        relationships: [{to: customers}]", "to 'customers'", "relationships[0].to", "reference"),
    # the head
    ("version: 1.0.0", "version: 1.0.0-beta", "version 1.0.0-beta", "version", "MAJOR.MINOR.PATCH"),
    ("version: 1.0.0", "version: 01.0.0", "version 01.0.0", "version", "MAJOR.MINOR.PATCH"),
    ("status: active\n", "", "no status", "status", "write `status: active`"),
    ("domain: shop", "domain: shops", "domain shops; the folder is shop", "domain", "write the folder's name"),
    (
        ORDERS,
        "schema:\n  - name: order\n",
        "table order; the file is orders.yaml",
        "schema[0].name",
        "let them be equal",
    ),
    # feeds
    (
        SILVER[SILVER.index("servers:") : SILVER.index("slaP")],
        "",
        "no servers",
        "servers",
        "write where the files land",
    ),
    ("server: orders", "server: Orders", "feed name Orders", "servers[0].server", "snake case"),
    ("shop/orders/*.csv", "/orders/*.csv", "path /orders/*.csv", "servers[0].path", "below the landing zone"),
    ("shop/orders/*.csv", "shop/../x/*.csv", "path shop/../x/*.csv", "servers[0].path", "below the landing zone"),
    (
        "format: csv",
        "format: protobuf",
        "format protobuf",
        "servers[0].format",
        "supported: csv, fixed, ",
    ),
    ("format: csv", "format: csv\n    encoding: utf9", "encoding utf9", "servers[0].encoding", "utf-8, latin-1"),
    ("format: csv", "format: csv\n    encoding: base64", "encoding base64", "servers[0].encoding", "utf-8, latin-1"),
    ("format: csv", "format: csv\n    delimiter: ''", "delimiter ''", "servers[0].delimiter", "one character"),
    (
        "format: csv",
        "format: json\n    delimiter: ';'",
        "delimiter with format json",
        "servers[0].delimiter",
        "for csv",
    ),
    (
        "path: shop/orders/*.csv",
        "path: shop/orders/**",
        "path shop/orders/**",
        "servers[0].path",
        "sales/**/*.csv",
    ),
    (
        "format: csv",
        "format: csv\n    customProperties: [{property: qoute, value: x}]",
        "unknown property qoute",
        "servers[0].customProperties[qoute]",
        "did you mean `quote`? known: columns, decimal, ",
    ),
    (
        "format: csv",
        "format: csv\n    customProperties: [{property: quote, value: xx}]",
        "quote 'xx'",
        "servers[0].customProperties[quote]",
        "one character",
    ),
    *[
        (
            "format: csv",
            f"format: csv\n    customProperties: [{{property: {name}, value: {value}}}]",
            name,
            f"servers[0].customProperties[{name}]",
            fix,
        )
        for name, value, fix in [
            ("header", "0", "the line it is in"),
            ("header", "[4, 3]", "its first and last line: [3, 4]"),
            ("header", "first", "true, false, auto"),
            ("skipFooter", "0", "1 to 1,000"),
            ("skipFooter", "true", "how many lines"),
            ("names", "{unnamed: ''}", "{unnamed: <name>}"),
            ("names", "{repeated: drop}", "{repeated: number}"),
            ("names", "{first: a}", "or both"),
            ("recordPath", "data..items", "such as data.items"),
            ("fixedWidth", "{a: [9, 8]}", "{a: [1, 8], b: [9, 20]}"),
        ]
    ],
    (
        "format: csv",
        "format: csv\n    customProperties: [{property: names, value: {unnamed: _row}}]",
        "unnamed: _row",
        "customProperties[names]",
        "write another name",
    ),
    (
        "format: csv",
        "format: ndjson\n    customProperties: [{property: header, value: 4}]",
        "header with format ndjson",
        "customProperties[header]",
        "header is for csv, fixed, xlsx",
    ),
    (
        "format: csv",
        "format: csv\n    customProperties: [{property: header, value: false}]",
        "header false, 0 columns",
        "servers[0].customProperties",
        "`header: false` and `columns: [...]`",
    ),
    (
        "format: csv",
        "format: csv\n    customProperties: [{property: columns, value: [a, b]}]",
        "header true, 2 columns",
        "servers[0].customProperties",
        "or neither",
    ),
    (
        "format: csv",
        'format: csv\n    customProperties: [{property: thousands, value: "."}, {property: decimal, value: "."}]',
        "thousands and decimal are both .",
        "customProperties[thousands]",
        "decimal",
    ),
    (
        "format: csv",
        "format: ndjson\n    customProperties: [{property: decimal, value: ','}]",
        "decimal with format ndjson",
        "customProperties[decimal]",
        "decimal is for csv",
    ),
    (
        "format: csv",
        "format: csv\n    customProperties: [{property: sheet, value: One}]",
        "sheet with format csv",
        "servers[0].customProperties[sheet]",
        "sheet is for xlsx",
    ),
    (
        "slaProperties:",
        "  - {server: orders, type: local, path: x/*.csv, format: csv}\nslaProperties:",
        "duplicate feed orders",
        "servers[1].server",
        "keep one",
    ),
    # columns
    ("name: note", "name: Note", "column name Note", f"{NOTE_AT}.name", "snake case"),
    ("name: note", "name: _note", "column name _note", f"{NOTE_AT}.name", "snake case"),
    ("name: note", "name: order_id", "duplicate column order_id", f"{NOTE_AT}.name", "keep one"),
    (NOTE, NOTE + "\n        physicalName: remark", "physicalName remark", f"{NOTE_AT}.physicalName", "one name"),
    (NOTE, NOTE + "\n        transformLogic: ' '", "empty transformLogic", f"{NOTE_AT}.transformLogic", "SQL"),
    (NOTE, NOTE + "\n        semanticType: measure", "semanticType measure", f"{NOTE_AT}.semanticType", "leave it out"),
    (
        NOTE,
        NOTE + "\n        customProperties: [{property: sequenceBy, value: x}]",
        "unknown property sequenceBy",
        f"{NOTE_AT}.customProperties[sequenceBy]",
        "known: drift",
    ),
    (
        NOTE,
        NOTE + "\n        customProperties: [{property: drift, value: [0.3, 0.1]}]",
        "drift a list",
        f"{NOTE_AT}.customProperties[drift]",
        "the lower first",
    ),
    (
        NOTE,
        NOTE + "\n        classification: pii\n        customProperties: [{property: mask, value: stars}]",
        "mask 'stars'",
        f"{NOTE_AT}.customProperties[mask]",
        "write hash, partial or null",
    ),
    (
        NOTE,
        NOTE + "\n        customProperties: [{property: mask, value: partial}]",
        "a mask without a classification",
        f"{NOTE_AT}.customProperties[mask]",
        "write `classification: pii` too",
    ),
    (
        NOTE,
        "logicalType: date\n        classification: pii\n        customProperties: [{property: mask, value: partial}]",
        "mask partial of a date",
        f"{NOTE_AT}.customProperties[mask]",
        "only text has a hash or a part",
    ),
    (
        NOTE,
        "logicalType: object\n        physicalType: json\n        classification: pii\n"
        "        customProperties: [{property: mask, value: hash}]",
        "mask hash of a json",
        f"{NOTE_AT}.customProperties[mask]",
        "write null",
    ),
    # types
    (NOTE, "logicalType: vector", "logicalType vector", f"{NOTE_AT}.logicalType", "string, integer, number, boolean"),
    (NOTE, "logicalType: array", "an array without items", f"{NOTE_AT}.items", "`physicalType: json`"),
    (NOTE, "logicalType: object", "an object without properties", ".properties", "declare `properties`"),
    (NOTE, NOTE + "\n        physicalType: json", "physicalType json", f"{NOTE_AT}.physicalType", "VARCHAR, BOOLEAN"),
    (NOTE, NOTE + "\n        physicalType: varchar(20)", "physicalType varchar(20)", ".physicalType", "VARCHAR"),
    ("decimal(18,3)", "decimal", "physicalType decimal", f"{AMOUNT_AT}.physicalType", "DECIMAL(p,s)"),
    ("decimal(18,3)", "decimal(39,3)", "physicalType decimal(39,3)", f"{AMOUNT_AT}.physicalType", "DECIMAL(p,s)"),
    ("decimal(18,3)", "decimal(2,3)", "physicalType decimal(2,3)", f"{AMOUNT_AT}.physicalType", "DECIMAL(p,s)"),
    (
        NOTE,
        "logicalType: integer\n        physicalType: varchar",
        "logicalType integer with physicalType varchar",
        f"{NOTE_AT}.physicalType",
        "integer goes with TINYINT, SMALLINT, INTEGER, BIGINT",
    ),
    # row rules
    (NOTE, options("string", "pattern: '['"), "pattern [: unterminated", "Options.pattern", "regular expression"),
    (NOTE, options("string", "pattern: 'a(?=b)'"), "pattern a(?=b): (?=", "Options.pattern", "no look-around"),
    (NOTE, options("string", "pattern: '(a)\\1'"), "pattern (a)\\1: \\1", "Options.pattern", "no back-references"),
    (NOTE, options("string", "pattern: 'a++'"), "pattern a++: ++", "Options.pattern", "as RE2 knows it"),
    (
        NOTE,
        options("string", "format: hostname"),
        "format hostname",
        "Options.format",
        "supported: email, ipv4, uri, uuid",
    ),
    (NOTE, options("string", "minLength: 3, maxLength: 2"), "no value can pass minLength and", ".minLength", "lower"),
    (NOTE, options("date", "format: yyyy-MM-dd"), "format yyyy-MM-dd", "Options.format", "strptime"),
    (NOTE, options("timestamp", "format: HH:mm"), "format HH:mm", "Options.format", "strptime"),
    (NOTE, options("timestamp", "defaultTimezone: CET"), "defaultTimezone CET", "Options.defaultTimezone", "UTC"),
    (
        NOTE,
        options("date", "minimum: 2011-02-30"),
        "minimum is not a date",
        "Options.minimum",
        "for example 2011-12-31",
    ),
    (
        NOTE,
        options("timestamp", "maximum: noon"),
        "maximum is not a timestamp",
        "Options.maximum",
        "2011-12-31T23:59:59",
    ),
    (
        NOTE,
        options("timestamp", "maximum: '2031-01-01T10:00:00.1234567'"),
        "maximum is not a timestamp",
        "Options.maximum",
        "2011-12-31T23:59:59",
    ),
    (
        NOTE,
        options("number", "maximum: 0.12345678901234567890"),
        "0.12345678901234567890: read as",
        "line 24",
        "15 digits",
    ),
    (NOTE, options("integer", "minimum: .nan"), "minimum is not an integer", "Options.minimum", "write an integer"),
    (NOTE, options("integer", "minimum: 5, maximum: 4"), "no value can pass minimum and maximum", ".minimum", "lower"),
    (NOTE, options("integer", "minimum: 5, exclusiveMaximum: 5"), "no value can pass", ".minimum", "lower bound"),
    (NOTE, options("integer", "format: i32"), "format i32", "Options.format", "physicalType"),
    (NOTE, options("boolean", "minimum: 0"), "unknown key minimum", "Options.minimum", "a boolean has no options"),
    (
        NOTE,
        NOTE + "\n        enum: [{value: 1}]",
        "value 1 of a string column",
        f"{NOTE_AT}.enum[0].value",
        "in quotes",
    ),
    (
        NOTE,
        "logicalType: integer\n        enum: [{value: x}]",
        "value 'x' of an integer column",
        "enum[0].value",
        "write an integer",
    ),
    # keys, partitions and the rest of a table
    (
        NOTE,
        NOTE + "\n        primaryKeyPosition: 1",
        "primaryKeyPosition 1 without primaryKey",
        "Position",
        "primaryKey: true",
    ),
    (
        "name: order_id\n        logicalType: integer\n        primaryKey: true",
        "name: order_id\n        logicalType: integer\n        primaryKey: true\n        primaryKeyPosition: 1\n"
        "      - {name: line, logicalType: integer, primaryKey: true}",
        "column line has no position",
        f"{NOTE_AT}.primaryKeyPosition",
        "number the 2 columns 1, 2",
    ),
    ("        required: true\n", "", "partition column day may be absent", "properties[4].required", "required: true"),
    (
        "logicalType: date",
        "logicalType: number",
        "partition column day is DOUBLE",
        "schema[0].properties[4].partitioned",
        "VARCHAR, TINYINT",
    ),
    ("value: ordered_at", "value: orderd_at", "no column orderd_at", "[sequenceBy]", "did you mean `ordered_at`?"),
    ("value: ordered_at", "value: []", "sequenceBy empty", "[sequenceBy]", "a column name or a list"),
    ("sequenceBy, value: ordered_at", "history, value: scd3", "history 'scd3'", "[history]", "scd1 or scd2"),
    ("sequenceBy, value: ordered_at", "deleteWhen, value: ''", "deleteWhen ''", "[deleteWhen]", "SQL condition"),
    (
        "sequenceBy, value: ordered_at",
        "refresh, value: full",
        "unknown property refresh",
        "[refresh]",
        "deleteWhen, history",
    ),
    (
        "- {property: sequ",
        "- {property: sequenceBy, value: day}\n      - {property: sequ",
        "duplicate property sequenceBy",
        "schema[0].customProperties[sequenceBy]",
        "keep one",
    ),
    ("sequenceBy, value: ordered_at", "critical, value: very", "critical 'very'", "[critical]", "true or false"),
    ("sequenceBy, value: ordered_at", "businessDate, value: dya", "no column dya", "[businessDate]", "mean `day`?"),
    (
        "sequenceBy, value: ordered_at",
        "businessDate, value: note",
        "businessDate note is VARCHAR",
        "schema[0].customProperties[businessDate]",
        "a column of type DATE or TIMESTAMP WITH TIME ZONE",
    ),
    ("sequenceBy, value: ordered_at", "businessDate, value: []", "businessDate empty", "[businessDate]", "the name of"),
    (
        "sequenceBy, value: ordered_at",
        "history, value: scd2",
        "history scd2 without sequenceBy",
        "schema[0].customProperties[history]",
        "one column of type DATE or TIMESTAMP WITH TIME ZONE",
    ),
    (
        "value: ordered_at",
        "value: order_id}\n      - {property: history, value: scd2",
        "history scd2 with sequenceBy order_id (BIGINT)",
        "schema[0].customProperties[sequenceBy]",
        "one column of type DATE",
    ),
    (
        "value: ordered_at",
        "value: [day, ordered_at]}\n      - {property: history, value: scd2",
        "history scd2 with sequenceBy day (DATE), ordered_at (TIMESTAMP WITH TIME ZONE)",
        "schema[0].customProperties[sequenceBy]",
        "one column of type DATE",
    ),
    (
        "value: ordered_at",
        "value: orderd_at}\n      - {property: history, value: scd2",
        "no column orderd_at",
        "schema[0].customProperties[sequenceBy]",
        "did you mean `ordered_at`?",
    ),
    # audits
    (ROWS, "{type: custom, engine: soda, implementation: x}", "type custom", f"{QUALITY_AT}.type", "`type: sql`"),
    (ROWS, "{metric: rowCount, mustBe: x}", "mustBe 'x'", f"{QUALITY_AT}.mustBe", "write a number"),
    (ROWS, "{metric: rowCount, mustBe: true}", "mustBe true", f"{QUALITY_AT}.mustBe", "write a number"),
    (
        ROWS,
        "{metric: rowCount, mustBeBetween: [5, 1]}",
        "mustBeBetween [5, 1]",
        ".mustBeBetween",
        "smaller number first",
    ),
    (ROWS, "{metric: rowCount, mustBe: 1, severity: fatal}", "severity fatal", ".severity", "error (stops"),
    (ROWS, "{metric: rowCount, mustBe: 1, unit: files}", "unit files", ".unit", "rows or percent"),
    (ROWS, "{metric: rowCount, mustBe: 1, unit: percent}", "rowCount in percent", ".unit", "write rows"),
    (ROWS, "{metric: nullValues, mustBe: 0}", "metric nullValues of a table", ".metric", "or at a column"),
    (NOTE, NOTE + f"\n        quality: [{ROWS}]", "metric rowCount of a column", ".metric", "at the table"),
    (
        ROWS,
        "{metric: duplicateValues, mustBe: 0}",
        "duplicateValues without arguments",
        ".arguments",
        "write properties",
    ),
    (
        ROWS,
        "{metric: duplicateValues, arguments: {properties: [nothing]}, mustBe: 0}",
        "no column nothing",
        f"{QUALITY_AT}.arguments.properties",
        "known: amount, day, note",
    ),
    (ROWS, "{metric: rowCount, arguments: {a: 1}, mustBe: 0}", "unknown argument a", ".arguments.a", "takes none"),
    (
        ROWS,
        "{type: sql, query: 'select {colum}', mustBe: 0}",
        "unknown placeholder colum",
        ".query",
        "known: ${object}",
    ),
    (ROWS, "{type: sql, query: ' ', mustBe: 0}", "empty query", ".query", "a SELECT of one value"),
    # foreign keys
    (
        NOTE,
        NOTE + "\n        relationships: [{to: x.y}]",
        "no table silver.shop.x",
        "relationships[0].to",
        "silver.shop.orders",
    ),
    (
        NOTE,
        NOTE + "\n        relationships: [{to: orders.dya}]",
        "no column dya",
        "relationships[0].to",
        "did you mean `day`?",
    ),
    (NOTE, NOTE + "\n        relationships: [{to: a.b.c}]", "reference a.b.c", "relationships[0].to", "table.column"),
    (
        NOTE,
        NOTE + "\n        relationships: [{to: schema/x/properties/y}]",
        "reference schema/x",
        ".to",
        "table.column",
    ),
    (
        "    quality:",
        "    relationships: [{from: other.note, to: orders.day}]\n    quality:",
        "from names silver.shop.other",
        "schema[0].relationships[0].from",
        "write columns of orders",
    ),
    (
        "    quality:",
        "    relationships: [{from: [orders.note, orders.day], to: [orders.day]}]\n    quality:",
        "2 columns refer to 1",
        "schema[0].relationships[0]",
        "as many columns",
    ),
    (
        NOTE,
        NOTE + "\n        relationships: [{to: orders.day, customProperties: [{property: severity, value: fatal}]}]",
        "severity 'fatal'",
        f"{NOTE_AT}.relationships[0].customProperties[severity]",
        "write error (stops the write) or warning",
    ),
    # service levels
    ("value: 26", "value: soon", "latency 'soon'", "slaProperties[0].value", "a number greater than 0"),
    ("unit: h", "unit: m", "unit 'm'", "slaProperties[0].unit", "known: min, h, d, w, mo, y"),
    (
        "orders.ordered_at",
        "orders.orderd_at",
        "element orders.orderd_at",
        ".element",
        "did you mean `orders.ordered_at`?",
    ),
]


@pytest.mark.parametrize(("old", "new", "what", "where", "fix"), SILVER_ERRORS, ids=[row[2] for row in SILVER_ERRORS])
def test_an_error_says_what_was_found_where_and_what_to_write(
    tmp_path: Path, old: str, new: str, what: str, where: str, fix: str
) -> None:
    error = the_error(tmp_path, {"silver/shop/orders.yaml": edited(SILVER, old, new)})
    assert isinstance(error, ContractError)
    assert error.what.startswith(what)
    assert error.where is not None
    assert error.where.startswith("src/silver/shop/orders.yaml")
    assert error.where.endswith(where)
    assert fix in (error.fix or "")


NON_FINITE = "customProperties: [{property: nonFinite, value: allowed}]"
GOLD_ERRORS = [
    ("{purpose: What the shop took., ", "{", "no business definition", "description.purpose", "in business words"),
    (GOLD[GOLD.index("team:") : GOLD.index("support:")], "", "no owner", "team", "role: owner"),
    ("  - {property: frequency, value: 1, unit: day}\n", "", "no refresh rate", "slaProperties", "frequency"),
    (
        "support:",
        "servers: [{server: a, type: local, path: a, format: csv}]\nsupport:",
        "a mart has no servers",
        "servers",
        "remove",
    ),
    ("- name: top", "- name: daily", "duplicate table daily", "schema[1].name", "keep one"),
    ("value: full", "value: never", "refresh 'never'", "schema[1].customProperties[refresh]", "incremental, full or"),
    ("value: 1}", "value: -1}", "lookback -1", "schema[0].customProperties[lookback]", "0 or more"),
    ("value: full", "value: partitions", "refresh partitions without partitions", "[refresh]", "partitioned: true"),
    ("refresh, value: full", "lookback, value: 2", "lookback 2 without partitions", "[lookback]", "partitioned: true"),
    (
        "refresh, value: full",
        "sequenceBy, value: day",
        "unknown property sequenceBy",
        "[sequenceBy]",
        "known: businessDate, critical, eventTime, knownAt, l",
    ),
    ("version: 2.1.0", "version: v2", "version v2", "version", "MAJOR.MINOR.PATCH"),
    (
        "date}\n    customP",
        f"date, {NON_FINITE}}}\n    customP",
        "nonFinite of a DATE",
        "customProperties[nonFinite]",
        "remove it",
    ),
]


@pytest.mark.parametrize(("old", "new", "what", "where", "fix"), GOLD_ERRORS, ids=[row[2] for row in GOLD_ERRORS])
def test_an_error_of_a_mart_says_the_same(tmp_path: Path, old: str, new: str, what: str, where: str, fix: str) -> None:
    gold = edited(GOLD, old, new)
    if "name: top" not in gold:
        gold = edited(gold, ", top.day", "")
    found = [error for error in errors(tmp_path, {**PROJECT, "gold/takings/contract.yaml": gold}) if error.what == what]
    assert len(found) == 1
    assert found[0].where is not None
    assert found[0].where.startswith("src/gold/takings/contract.yaml")
    assert found[0].where.endswith(where)
    assert fix in (found[0].fix or "")


# -- errors of the folder


@pytest.mark.parametrize(
    ("files", "what", "where"),
    [
        ({"silver/shop/refunds.sql": "SELECT 1"}, "refunds.sql belongs to no table", "silver/shop/refunds.sql"),
        ({"silver/shop/refunds.yml": CUSTOMERS}, "refunds.yml belongs to no table", "silver/shop/refunds.yml"),
        ({"silver/shop/orders.py": "x = 1"}, "orders.py belongs to no table", "silver/shop/orders.py"),
        ({"silver/shop/more/customers.yaml": CUSTOMERS}, "more belongs to no table", "silver/shop/more"),
        ({"silver/customers.yaml": CUSTOMERS}, "customers.yaml is outside of every folder", "silver/customers.yaml"),
        ({"silver/ops/__init__.py": ""}, "folder name ops", "silver/ops"),
        ({"silver/My-Shop/__init__.py": ""}, "folder name My-Shop", "silver/My-Shop"),
        ({"silver/shop/orders.sql": " \n"}, "orders.sql is empty", "silver/shop/orders.yaml"),
        ({"silver/shop/customers.yaml": ""}, "customers.yaml is empty", "silver/shop/customers.yaml"),
        ({"silver/shop/customers.yaml": b"name: caf\xe9"}, "customers.yaml is not utf-8 at byte 9", "customers.yaml"),
        ({"silver/shop/customers.yaml": "- a\n"}, "the file holds a list", "customers.yaml"),
        ({"silver/shop/customers.yaml": "a: \x00"}, "not YAML", "customers.yaml"),
        ({"gold/empty/README.md": "x"}, "mart empty has no contract.yaml", "gold/empty/contract.yaml"),
        ({"gold/takings/weekly.sql": "SELECT 1"}, "weekly.sql belongs to no table", "gold/takings/contract.yaml"),
        ({"gold/takings/daily.yaml": "a: 1"}, "daily.yaml belongs to no table", "gold/takings/contract.yaml"),
        ({"gold/takings/daily.py": "x = 1"}, "table daily has daily.sql, daily.py", "contract.yaml, schema[0]"),
        (
            {"silver/shop/customers.yaml": CUSTOMERS.replace("id: shop.customers", "id: shop.orders")},
            "id shop.orders is also in",
            "id",
        ),
    ],
)
def test_a_file_that_is_not_what_it_should_be_stops_the_run(
    tmp_path: Path, files: dict[str, str | bytes], what: str, where: str
) -> None:
    error = the_error(tmp_path, {**PROJECT, **files})
    assert error.what.startswith(what)
    assert (error.where or "").endswith(where)
    assert error.fix


def test_a_history_needs_a_key(tmp_path: Path) -> None:
    text = edited(SILVER, "        primaryKey: true\n", "")
    text = edited(text, "{property: sequ", "{property: history, value: scd2}\n      - {property: sequ")
    error = the_error(tmp_path, {"silver/shop/orders.yaml": text})
    assert error.what == "history scd2 without a key"


def test_a_deletion_needs_a_key(tmp_path: Path) -> None:
    text = edited(SILVER, "        primaryKey: true\n", "")
    text = edited(text, "{property: sequ", "{property: deleteWhen, value: amount = 0}\n      - {property: sequ")
    error = the_error(tmp_path, {"silver/shop/orders.yaml": text})
    assert error.what == "deleteWhen without a key"
    assert error.where == "src/silver/shop/orders.yaml, schema[0].customProperties[deleteWhen]"


def test_every_column_of_a_composite_key_has_its_own_position(tmp_path: Path) -> None:
    text = edited(SILVER, "primaryKey: true", "primaryKey: true\n        primaryKeyPosition: 2")
    text = edited(text, NOTE, NOTE + "\n        primaryKey: true\n        primaryKeyPosition: 2")
    found = errors(tmp_path, {"silver/shop/orders.yaml": text})
    assert [error.what for error in found] == ["column order_id has position 2", "column note has position 2"]


def test_a_table_of_a_mart_without_a_model_is_an_error(tmp_path: Path) -> None:
    error = the_error(tmp_path, {name: text for name, text in PROJECT.items() if name != "gold/takings/top.sql"})
    assert error.what == "table top has no model"
    assert error.fix == "keep exactly one of top.sql, top.py beside the contract"


@pytest.mark.parametrize(
    ("declared", "what"),
    [("", "no sources of daily.py"), (", transformSourceObjects: [silver.shop.order]", "no table silver.shop.order")],
)
def test_a_python_model_must_read_tables_that_are_declared(tmp_path: Path, declared: str, what: str) -> None:
    files = {name: text for name, text in PROJECT.items() if name != "gold/takings/daily.sql"}
    gold = edited(GOLD, ", transformSourceObjects: [silver.shop.orders]", declared)
    error = the_error(tmp_path, {**files, "gold/takings/contract.yaml": gold, "gold/takings/daily.py": "x = 1"})
    assert error.what == what


def test_a_missing_layer_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(ContractErrors) as raised:
        contract.load(tmp_path / "src")
    assert [error.what for error in raised.value.errors] == ["no folder silver", "no folder gold"]


def test_what_is_no_contract_is_left_alone(tmp_path: Path) -> None:
    others = ("silver/clean.py", "silver/__pycache__/x.yaml", "silver/shop/README.md", "silver/shop/.orders.yaml.swp")
    assert isinstance(contract.load(write(tmp_path, {**PROJECT, **dict.fromkeys(others, "")})), Contracts)


def test_all_errors_of_all_contracts_are_told_at_once(tmp_path: Path) -> None:
    text = edited(SILVER, "name: note", "name: order_id")
    text = edited(text, "status: active", "status: active\nowner: me\nteem: us")
    text = edited(text, "value: 26", "value: soon")
    gold = edited(GOLD, "version: 2.1.0", "version: two")
    files = {
        **PROJECT,
        "silver/shop/orders.yaml": text,
        "gold/takings/contract.yaml": gold,
        "gold/takings/x.sql": "SELECT 1",
    }
    assert [error.what for error in errors(tmp_path, files)] == [
        "unknown key owner",
        "unknown key teem",
        "latency 'soon'",
        "duplicate column order_id",
        "version two",
        "x.sql belongs to no table; the contract has daily, top",
    ]


def test_all_duplicate_keys_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = edited(SILVER, "status: active", "status: active\nstatus: draft\nid: again")
    found = errors(tmp_path, {"silver/shop/orders.yaml": text})
    assert [(error.what, error.where) for error in found] == [
        ("duplicate key status", "src/silver/shop/orders.yaml, line 6"),
        ("duplicate key id", "src/silver/shop/orders.yaml, line 7"),
    ]


# -- the semver rule


def before_and_after(tmp_path: Path, old: str, new: str) -> tuple[Table, Table]:
    return orders(tmp_path / "before"), orders(tmp_path / "after", old, new)


CHANGES = [
    ("description: One row per order.", "description: One row an order.", "none", []),
    (ROWS, "{metric: rowCount, mustBe: 7}", "none", []),
    ("value: 26", "value: 30", "none", []),
    ("shop/orders/*.csv", "shop/orders/**/*.csv", "none", []),
    (
        "      - name: note\n        logicalType: string\n",
        "",
        "major",
        ["column note removed"],
    ),
    (
        "name: note",
        "name: remark",
        "major",
        ["column note removed", "column remark added"],
    ),
    ("decimal(18,3)", "decimal(20,3)", "major", ['column amount: type "DECIMAL(18,3)" -> "DECIMAL(20,3)"']),
    (
        "        primaryKey: true\n",
        "",
        "major",
        ["column order_id: required true -> false", 'key ["order_id"] -> []'],
    ),
    ("        partitioned: true\n", "", "major", ['partition_by ["day"] -> []']),
    (
        "{property: sequ",
        "{property: history, value: scd2}\n      - {property: sequ",
        "major",
        ['history "scd1" -> "scd2"'],
    ),
    (
        "      - name: note",
        "      - {name: tip, logicalType: number}\n      - name: note",
        "minor",
        ["column tip added"],
    ),
    (NOTE, options("string", "maxLength: 9"), "minor", ['column note: rules [] -> [["maxLength", 9]]']),
    (NOTE, NOTE + "\n        required: true", "minor", ["column note: required false -> true"]),
    (NOTE, NOTE + "\n        transformLogic: upper(note)", "minor", ['column note: expression null -> "upper(note)"']),
    ("value: ordered_at", "value: [day, ordered_at]", "minor", ['sequence_by ["ordered_at"] -> ["day", "ordered_at"]']),
    (
        "{property: sequ",
        "{property: deleteWhen, value: amount = 0}\n      - {property: sequ",
        "minor",
        ['delete_when null -> "amount = 0"'],
    ),
    (
        "      - name: note\n        logicalType: string\n      - name: amount\n        logicalType: number\n"
        "        physicalType: decimal(18,3)\n",
        "      - name: amount\n        logicalType: number\n        physicalType: decimal(18,3)\n"
        "      - name: note\n        logicalType: string\n",
        "patch",
        ["columns in another order"],
    ),
]


@pytest.mark.parametrize(("old", "new", "bump", "changes"), CHANGES)
def test_a_change_asks_for_the_bump_that_its_readers_need(
    tmp_path: Path, old: str, new: str, bump: str, changes: list[str]
) -> None:
    before, after = before_and_after(tmp_path, old, new)
    assert contract.required_bump(contract.logic(before), contract.logic(after)) == (bump, changes)
    assert (contract.fingerprint(before) == contract.fingerprint(after)) == (bump == "none")


def test_another_way_of_reading_the_files_is_a_minor_change(tmp_path: Path) -> None:
    before, after = before_and_after(tmp_path, "format: csv", "format: csv\n    delimiter: ';'")
    changes = ['feed orders: delimiter "," -> ";"']
    assert contract.required_bump(contract.logic(before), contract.logic(after)) == ("minor", changes)


def test_a_changed_model_is_a_minor_change(tmp_path: Path) -> None:
    python = {name: text for name, text in PROJECT.items() if name != "gold/takings/daily.sql"}
    projects = [
        PROJECT,
        {**PROJECT, "gold/takings/daily.sql": "SELECT 3"},
        {**python, "gold/takings/daily.py": "x = 1"},
        {**python, "gold/takings/daily.py": "x = 2"},
    ]
    tables = [
        contract.load(write(tmp_path / str(number), project)).gold["gold.takings.daily"]
        for number, project in enumerate(projects)
    ]
    logics = [contract.logic(table) for table in tables]
    assert contract.required_bump(logics[0], logics[1]) == ("minor", ["sql changed"])
    assert contract.required_bump(logics[1], logics[2]) == ("minor", ["sql changed", "python changed"])
    assert contract.required_bump(logics[2], logics[3]) == ("minor", ["python changed"])
    assert len({contract.fingerprint(table) for table in tables}) == 4


def test_a_fingerprint_is_63_bits_and_the_same_in_every_process(tmp_path: Path) -> None:
    table = orders(tmp_path)
    assert contract.fingerprint(table) == FINGERPRINT
    assert 0 <= contract.fingerprint(table) < 2**63


FINGERPRINT = 7988992836401149057


@pytest.mark.parametrize(
    ("stored", "version", "change", "needed"),
    [
        ("1.4.2", "1.4.2", "none", None),
        ("1.4.2", "2.0.0", "none", None),
        ("1.4.2", "1.4.1", "none", "1.4.2"),
        ("1.4.2", "1.4.2", "minor", "1.5.0"),
        ("1.4.2", "1.4.9", "minor", "1.5.0"),
        ("1.4.2", "1.5.0", "minor", None),
        ("1.4.2", "1.10.0", "minor", None),
        ("1.4.2", "1.5.0", "major", "2.0.0"),
        ("1.4.2", "2.0.0", "major", None),
        ("1.4.2", "1.3.9", "major", "2.0.0"),
    ],
)
def test_a_version_that_says_less_than_the_change_is_refused(
    tmp_path: Path, stored: str, version: str, change: str, needed: str | None
) -> None:
    edits = {
        "none": ("value: 26", "value: 27"),
        "minor": (NOTE, options("string", "maxLength: 9")),
        "major": ("name: note", "name: remark"),
    }
    before, after = before_and_after(tmp_path, *edits[change])
    after = dataclasses.replace(after, version=version)
    if needed is None:
        contract.check_bump(after, contract.logic(before), stored)
        return
    with pytest.raises(ContractError) as raised:
        contract.check_bump(after, contract.logic(before), stored)
    assert f"write `version: {needed}`" in (raised.value.fix or "")
    assert (raised.value.where or "").endswith("orders.yaml, version")


def test_a_table_carries_its_version_and_its_logic_and_says_why_it_is_rebuilt(tmp_path: Path) -> None:
    before, after = before_and_after(tmp_path, "name: note", "name: remark")
    stored = contract.tags(before)
    assert stored["delta.userMetadata"] == '{"version": "1.0.0"}'
    assert contract.tagged(stored) == contract.Tagged("1.0.0", contract.fingerprint(before))
    assert contract.tagged({}) is None
    for broken in ({"lakehouse.schemaVersion": "one"}, {"lakehouse.logic": "{"}, {"lakehouse.logic": "{}"}):
        assert contract.tagged(stored | broken) is None
    with pytest.raises(ContractError, match="column note removed; column remark added"):
        contract.why_rebuild(after, stored)
    newer = dataclasses.replace(after, version="2.0.0")
    assert contract.why_rebuild(newer, stored) == "contract 1.0.0 -> 2.0.0: column note removed; column remark added"
    assert contract.why_rebuild(newer, {}) == "the stored table does not say how it was built"


# -- imports


def test_reading_contracts_imports_no_engine_and_no_model() -> None:
    code = (
        "import sys, pathlib; from src import contract, errors\n"
        "try: contract.load(pathlib.Path('src'))\n"
        "except errors.ContractErrors: pass\n"
        "print([name for name in ('_duckdb', 'sqlglot', 'pydantic', 'polars', 'deltalake') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
