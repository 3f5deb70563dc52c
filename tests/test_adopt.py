"""A contract from elsewhere becomes one of ours that loads, and each change is told with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Lake

from src import contract
from src.contract.adopt import Adopted, adopt
from src.contract.adopt import types as adopted_types
from src.errors import BoathouseError, UsageError

WAREHOUSE = """
apiVersion: v3.0.2
kind: DataContract
id: 6f1f7c9e-harbour
version: v2
status: active
domain: Harbour Office
dataProduct: berths
description: Who lay where.
tenant: Port
servers:
  - {server: prod, type: s3, location: "s3://port/berths/*.jsonl", format: jsonl}
schema:
  - name: Ship Calls
    physicalName: ship_calls_v2
    physicalType: table
    relationships: [{from: Ship Calls.berthNo, to: berths.berthNo}, {from: Ship Calls.pilot, to: staff.id}]
    properties:
      - {name: shipId, logicalType: string, physicalType: varchar(12), primaryKey: true}
      - {name: arrived, logicalType: date, physicalType: TIMESTAMP_NTZ, primaryKey: true, partitioned: true,
         logicalTypeOptions: {format: "yyyy-MM-dd HH:mm:ss"}}
      - {name: berthNo, physicalName: BERTH, logicalType: number, physicalType: int4}
      - {name: dues, logicalType: number, physicalType: "NUMBER(12, 2)", transformLogic: "sum(d.dues) over (x)",
         customProperties: [{property: sequenceBy, value: x}, {property: empty, value: }]}
      - {name: class, logicalType: string, physicalType: "LowCardinality(Nullable(String))", enum: [A, B]}
      - name: cargo
        logicalType: array
        physicalType: "ARRAY<STRUCT<code STRING, tons FLOAT64>>"
        items:
          logicalType: object
          properties:
            - {name: code, logicalType: string, primaryKey: true}
            - {name: tons, logicalType: number, physicalType: FLOAT64, logicalTypeOptions: {minimum: 0, format: f64}}
      - {name: extras, logicalType: map, physicalType: "MAP<STRING,STRING>",
         map: {key: {logicalType: string}, value: {logicalType: string}}}
      - {name: opened, logicalType: date, physicalType: time}
      - {name: odd, logicalType: object, physicalType: Geography}
      - {name: pilot, logicalType: string}
    quality:
      - {type: sql, query: "SELECT count(*) FROM port.ship calls", mustBeGreaterThan: 5}
      - {rule: rowCount, mustBeGreaterThan: 0}
      - {type: custom, engine: soda, implementation: "duplicate_percent < 1"}
  - name: berths
    properties:
      - {name: berthNo, logicalType: integer, physicalType: serial, primaryKey: true, unknownKey: 1,
         quality: [{rule: nullCheck, mustBe: 0, dimension: completeness}]}
      - {name: depth, logicalType: integer, physicalType: varchar}
    quality: [{type: sql, query: "select count(*) from port.berths where depth < 0", mustBe: 0}]
slaProperties:
  - {property: latency, value: 4, unit: d, element: Ship Calls.arrived}
  - {property: retention, value: P1Y}
  - {property: frequency, value: "1", unit: d}
customProperties: [{property: deleteWhen, value: true}]
"""
OLDER = """
kind: DataContract
apiVersion: v2.2.1
uuid: harbour-2
datasetDomain: harbour
quantumName: berths
version: 1.1.0
status: current
driver: bigquery
password: "${env.password}"
description: {purpose: Who lay where., usage: null}
dataset:
  - table: tides
    dataGranularity: one reading
    columns:
      - {column: at, isPrimaryKey: true, primaryKeyPosition: -1, logicalType: timestamp, isNullable: false}
      - {column: gauge, isPrimary: true, logicalType: localstring, physicalType: VARCHAR2(8 CHAR), clusterStatus: false}
      - {column: Höhe (m), logicalType: double, isNullable: true, sampleValues: ["1.2"],
         quality: [{code: nullCheck, templateName: NullCheck, type: dataQuality, toolName: Elevate}]}
stakeholders: [{username: ann, role: Owner, dateIn: 2022-08-02}]
slaProperties: [{property: latency, value: 4, unit: d, column: tides.at}]
"""


def adopted(tmp_path: Path, text: str, name: str = "foreign.odcs.yaml") -> tuple[Adopted, contract.Contracts]:
    """Adopt a text and load what was made of it, as a project would."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = adopt(tmp_path / name, tmp_path / "src")
    (tmp_path / "src/gold").mkdir(parents=True)
    for path, made in found.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made, encoding="utf-8")
    return found, contract.load(tmp_path / "src")


def test_each_table_becomes_a_draft_that_loads_and_each_change_is_told(tmp_path: Path) -> None:
    found, contracts = adopted(tmp_path, WAREHOUSE)
    assert list(contracts.silver) == ["silver.harbour_office.berths", "silver.harbour_office.ship_calls"]
    calls = contracts.silver["silver.harbour_office.ship_calls"]
    assert {column.name: column.shown_type for column in calls.columns} == {
        "ship_id": "varchar",
        "arrived": "timestamp",
        "berth_no": "integer",
        "dues": "decimal(12,2)",
        "class": "varchar",
        "cargo": "struct(code varchar, tons double)[]",
        "extras": "json",
        "opened": "time",
        "odd": "varchar",
        "pilot": "varchar",
    }
    assert calls.key == ("ship_id", "arrived")
    assert (calls.version, calls.partition_by) == ("2.0.0", ())
    assert [column.expression for column in calls.columns[:4]] == ['"shipId"', None, '"BERTH"', None]
    assert [(key.columns, key.to_table, key.to_columns) for key in calls.relationships] == [
        (("berth_no",), "silver.harbour_office.berths", ("berth_no",))
    ]
    assert [(feed.path, feed.format) for feed in calls.feeds] == [("harbour_office/ship_calls/*.ndjson", "ndjson")]
    assert [(sla.property, sla.value, sla.column) for sla in calls.slas] == [
        ("latency", 4, "arrived"),
        ("frequency", 1, None),
    ]
    assert [audit.query or audit.metric for audit in calls.quality] == ["SELECT count(*) FROM ${object}", "rowCount"]
    berths = contracts.silver["silver.harbour_office.berths"]
    assert [(audit.metric, audit.query) for audit in berths.quality] == [
        (None, "select count(*) from ${object} where depth < 0"),
        ("nullValues", None),
    ]
    changes = {f"{change.where}: {change.what}" for change in found.changes}
    assert {
        "version: v2: 2.0.0, of three numbers",
        "status: active: draft, until its files are seen to fit",
        "servers: server of type s3: a table is fed by files, a guess: data/landing/harbour_office/ship_calls/*.ndjson",
        "Ship Calls: table named ship_calls, as names are written here",
        "ship_calls: primaryKey of 2 columns without positions: numbered in their order",
        "ship_calls.shipId: its length is a rule here: maxLength 12",
        "ship_calls.arrived: partitioned: left out, as it is a timestamp",
        "ship_calls.berthNo: reads the file's column BERTH",
        "ship_calls.dues: transformLogic is SQL of the database it came from: kept as transformDescription",
        "ship_calls.dues: custom property sequenceBy is another tool's: kept with `vendor: other`",
        "ship_calls.dues: custom property empty says nothing: left out",
        "ship_calls.cargo[].code: primaryKey of a part of a column: left out",
        "ship_calls.odd: logicalType object, physicalType Geography: no type that is known; read as text",
        "ship_calls: relationship to staff.id: no column of this contract, left out",
        "ship_calls: quality soda; duplicate_percent < 1: cannot be asked here, kept as text",
        "slaProperties[1].value: retention 'P1Y': left out",
        "schema[0].properties[0].unknownKey: unknown key unknownKey: left out",
    } <= changes


def test_version_2_is_written_as_version_3(tmp_path: Path) -> None:
    found, contracts = adopted(tmp_path, OLDER)
    (table,) = contracts.silver.values()
    assert (table.id, table.key, table.owner) == ("silver.harbour.tides", ("at", "gauge"), "ann")
    assert [(column.name, column.type, column.required) for column in table.columns] == [
        ("at", "TIMESTAMP WITH TIME ZONE", True),
        ("gauge", "VARCHAR", True),
        ("hohe_m", "DOUBLE", False),
    ]
    assert table.columns[2].expression == '"Höhe (m)"'
    (text,) = found.files.values()
    assert "password" not in text
    assert any("password" in change.what for change in found.changes)


TYPES = [
    ("string", "varchar(20)", ("string", None, 20)),
    ("number", "int", ("integer", "integer", None)),
    ("number", "bigint", ("integer", None, None)),
    ("integer", "NUMERIC(10,0)", ("number", "decimal(10,0)", None)),
    ("number", "Decimal(76, 38)", ("number", "decimal(38,38)", None)),
    ("number", "numeric", ("number", "decimal(38,9)", None)),
    ("number", "money", ("number", "decimal(19,4)", None)),
    ("number", None, ("number", None, None)),
    ("number", "double precision", ("number", None, None)),
    ("timestamp", "timestamp without time zone", ("timestamp", None, None)),
    ("timestamp", "datetime2(7)", ("timestamp", None, None)),
    ("string", "timestamp(3) with time zone", ("timestamp", None, None)),
    ("boolean", "BIT", ("boolean", None, None)),
    ("integer", "text", ("integer", None, None)),
    ("string", "varchar[15]", ("string", None, 15)),
    ("string", "text[]", ("array", "json", None)),
    ("object", "VARIANT", ("object", "json", None)),
    ("string", "nvarchar(max)", ("string", None, None)),
    ("object", "Name", ("string", None, None)),
    ("object", "string", ("object", "json", None)),
    ("long", None, ("integer", None, None)),
]


@pytest.mark.parametrize(("logical", "physical", "wanted"), TYPES)
def test_what_the_database_has_decides_the_type(
    logical: str, physical: str | None, wanted: tuple[str, str | None, int | None]
) -> None:
    found = adopted_types.found(logical, physical)
    assert found is not None
    assert (found.logical, found.physical, found.length) == wanted


def test_a_type_nobody_knows_is_none() -> None:
    assert adopted_types.found(None, "geography") is None


def test_the_command_writes_contracts_that_take_files_and_replaces_none(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lake.root / "tides.yaml"
    file.write_text(OLDER, encoding="utf-8")
    assert lake.command("adopt", str(file), "--stdout", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in shown["contracts"]] == ["src/silver/harbour/tides.yaml"]
    assert {"table", "where", "what"} == set(shown["changes"][0])
    assert not list((lake.root / "src/silver").iterdir())
    assert lake.command("adopt", str(file), "--domain", "port") == 0
    assert "wrote src/silver/port/tides.yaml" in capsys.readouterr().out
    with pytest.raises(UsageError, match="is there already"):
        lake.command("adopt", str(file), "--domain", "port")
    lake.land("port/tides/1.csv", "at,gauge,Höhe (m)\n2026-06-01T10:00:00Z,MOLE,4.85\n")
    lake.good()
    assert lake.rows("SELECT gauge, hohe_m FROM silver.port.tides") == [("MOLE", 4.85)]


OTHERS = [
    ("dataContractSpecification: 1.1.0\nid: x\nmodels: {}\n", "no ODCS contract", "datacontract export odcs"),
    ("kind: DataContract\nschema: []\n", "no table in schema", "with a table"),
    ("kind: [\n", "not YAML", "correct the syntax"),
    ("a: 1\na: 2\n", "duplicate key a", "keep one of them"),
]


@pytest.mark.parametrize(("text", "what", "fix"), OTHERS)
def test_what_is_no_such_contract_is_refused(tmp_path: Path, text: str, what: str, fix: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(BoathouseError) as found:
        adopt(tmp_path / "x.yaml", tmp_path / "src")
    assert what in str(found.value)
    assert fix in str(found.value)


def test_a_contract_of_ours_is_adopted_as_it_is(tmp_path: Path) -> None:
    ours = """
apiVersion: v3.1.0
kind: DataContract
id: shop.orders
version: 1.0.0
status: draft
domain: shop
servers: [{server: orders, type: local, path: "shop/orders/*.csv", format: csv, delimiter: ";"}]
schema:
  - name: orders
    properties:
      - {name: order_id, logicalType: integer, primaryKey: true, transformLogic: '"Order No"'}
      - {name: amount, logicalType: number, physicalType: "decimal(9,2)", logicalTypeOptions: {minimum: 0}}
    customProperties: [{property: sequenceBy, value: amount}]
"""
    found, contracts = adopted(tmp_path, ours)
    (table,) = contracts.silver.values()
    assert table.columns[0].expression == '"Order No"'
    assert table.feeds[0].delimiter == ";"
    assert table.columns[1].rules == (contract.Rule("minimum", 0),)
    assert table.sequence_by == ("amount",)
    assert found.changes == ()
