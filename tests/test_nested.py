"""Times of day, lists and objects: typed without loss, stored so that every reader finds the same values."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from conftest import Lake
from deltalake import DeltaTable

from src import contract
from src.errors import ContractErrors

ORDERS = """
apiVersion: v3.1.0
kind: DataContract
id: web.orders
version: 1.0.0
status: active
customProperties: [{property: maxRejected, value: 100 %}]
servers:
  - {server: orders, type: local, path: "web/orders/*.ndjson", format: ndjson,
     customProperties: [{property: nullValues, value: [NA]}]}
schema:
  - name: orders
    properties:
      - {name: nr, logicalType: integer, primaryKey: true}
      - {name: changed, logicalType: integer}
      - {name: opened, logicalType: time, logicalTypeOptions: {minimum: "5:00", maximum: "22:00:00"}}
      - name: address
        logicalType: object
        properties:
          - {name: street, logicalType: string}
          - {name: zip, logicalType: string, required: true, logicalTypeOptions: {pattern: "^[0-9]{5}$"}}
          - {name: select, logicalType: boolean}
      - name: items
        logicalType: array
        logicalTypeOptions: {minItems: 1, uniqueItems: true}
        items:
          logicalType: object
          properties:
            - {name: sku, logicalType: string, required: true}
            - {name: unitPrice, logicalType: number, physicalType: "decimal(38,2)", logicalTypeOptions: {minimum: 0}}
            - {name: sold, logicalType: timestamp}
            - {name: from, logicalType: time}
            - {name: tags, logicalType: array, items: {logicalType: integer}}
      - {name: days, logicalType: array, items: {logicalType: date}}
      - {name: raw, logicalType: object, physicalType: json}
    customProperties: [{property: sequenceBy, value: changed}]
"""
FULL = (
    '{"nr": 1, "changed": 1, "opened": "9:05",'
    ' "address": {"street": " Quai 1 ", "zip": "01234", "select": true, "new": 1},'
    ' "items": [{"sku": "a\\"b", "unitPrice": 123456789012345678901234567890.10, "sold": "2024-05-01T10:00:00+02:00",'
    ' "from": "23:59:59.500", "tags": [1, null, 9007199254740993]}, {"sku": 7, "unitPrice": "NA", "tags": []}],'
    ' "days": ["2024-02-29"], "raw": {"b": 1.10, "a": [12345678901234567.89]}}\n'
)
EMPTY = '{"nr": 2, "changed": 1, "opened": null, "address": null, "items": null, "days": [], "raw": "[]"}\n'
ITEMS: list[dict[str, Any]] = [
    {
        "sku": 'a"b',
        "unitPrice": Decimal("123456789012345678901234567890.10"),
        "sold": datetime(2024, 5, 1, 8, tzinfo=UTC),
        "from": "23:59:59.5",
        "tags": [1, None, 9007199254740993],
    },
    {"sku": "7", "unitPrice": None, "sold": None, "from": None, "tags": []},
]
VALUES: list[tuple[Any, ...]] = [
    (
        "09:05:00",
        {"street": "Quai 1", "zip": "01234", "select": True},
        ITEMS,
        [date(2024, 2, 29)],
        '{"b":1.10,"a":[12345678901234567.89]}',
    ),
    (None, None, None, [], "[]"),
]
READ = "SELECT opened, address, items, days, raw FROM silver.web.orders ORDER BY nr"


def read_by_others(root: Path, columns: list[str]) -> None:
    """Insist that polars and Arrow find the same cells in a table."""
    table = DeltaTable(str(root))
    files = pafs.SubTreeFileSystem(str(root), pafs.LocalFileSystem())
    arrow = table.to_pyarrow_dataset(filesystem=files).to_table(columns=["nr", *columns]).sort_by("nr").to_pylist()
    assert pl.read_delta(str(root)).sort("nr").select(["nr", *columns]).to_dicts() == arrow
    assert [tuple(row[name] for name in columns) for row in arrow] == VALUES


def test_lists_and_objects_are_read_without_loss_and_are_the_same_to_every_reader(lake: Lake) -> None:
    lake.write("silver/web/orders.yaml", ORDERS)
    lake.land("web/orders/1.ndjson", FULL + EMPTY)
    lake.good()
    assert lake.rows(READ) == VALUES
    read_by_others(lake.data / "silver/web/orders", ["opened", "address", "items", "days", "raw"])
    # a merge: an unchanged row, and a newer one
    lake.land(
        "web/orders/2.ndjson", FULL + EMPTY.replace('"changed": 1', '"changed": 2').replace("[]}", '["2024-01-01"]}')
    )
    run = lake.good()
    step = lake.step(run, "silver.web.orders")
    assert (step.updated, step.unchanged, step.conflicts) == (1, 1, 0)
    # a tie that only a part tells apart
    lake.land("web/orders/3.ndjson", FULL.replace("[1, null, 9", "[2, null, 9"))
    lake.land("web/orders/4.ndjson", FULL.replace("[1, null, 9", "[0, null, 9"))
    lake.good()
    assert lake.rows("SELECT items[1].tags[1] FROM silver.web.orders WHERE nr = 1") == [(2,)]


BAD = [  # what is wrong, and the reason
    ('"opened": "24:00"', "opened: cannot read 24:00 as time"),
    ('"opened": "10:00:00.1234567"', "opened: 10:00:00.1234567 as time: a digit would be lost"),
    ('"opened": "4:59"', "opened: 04:59:00 is less than the minimum 05:00:00"),
    ('"opened": "10:00 Uhr"', "opened: cannot read 10:00 Uhr as time"),
    ('"address": [1]', "address: is not an object"),
    ('"address": "Quai 1"', "address: cannot read Quai 1 as JSON"),
    ('"address": {"zip": "12345", "select": "maybe"}', "address.select: cannot read maybe as boolean"),
    ('"address": {"zip": "123"}', "address.zip: 123 does not match ^[0-9]{5}$"),
    ('"address": {"zip": ["12345"]}', "address.zip: is not varchar"),
    ('"address": {"street": "x"}', "address.zip: required, but there is nothing"),
    ('"address": {"zip": "12345", "zip": "12346"}', "key \"zip\" twice in one object"),
    ('"items": {"sku": "a"}', "items: is not a list"),
    ('"items": []', "items: [] has fewer than 1 items"),
    ('"items": [{"sku": "a"}, {"sku": "a"}]', "has an item twice"),
    ('"items": [{"sku": "a"}, 3]', "items[]: is not an object"),
    ('"items": [{"sku": "a"}, null, {"sku": " "}]', "items[3].sku: required, but there is nothing"),
    ('"items": [{"sku": "a", "unitPrice": 1.005}]', "[1].unitPrice: 1.005 as decimal(38,2): a digit would be lost"),
    ('"items": [{"sku": "a", "unitPrice": -1}]', "items[1].unitPrice: -1.00 is less than the minimum 0"),
    ('"items": [{"sku": "a", "tags": [1, 2.5]}]', "items[1].tags[2]: cannot read 2.5 as bigint"),
    ('"items": [{"sku": "a", "from": "25:00"}]', "items[1].from: cannot read 25:00 as time"),
    ('"days": ["2024-02-30", "29.2.2024"]', "date; days[2]: cannot read 29.2.2024 as date"),
    ('"raw": "{\'a\': 1}"', "raw: cannot read {'a': 1} as json"),
    ('"raw": "[1,]"', "raw: cannot read [1,] as json"),
    ('"raw": "[NaN]"', "raw: cannot read [NaN] as json"),
]  # fmt: skip


def test_what_is_nested_in_parquet_is_read_without_loss(lake: Lake) -> None:
    lake.write("silver/web/orders.yaml", ORDERS.replace("ndjson", "parquet"))
    item = {**ITEMS[0], "unitPrice": Decimal("12345678901234567.89"), "from": time(23, 59, 59, 500000)}
    kinds = {"sku": pa.string(), "unitPrice": pa.decimal128(38, 2), "sold": pa.timestamp("us", "UTC")}
    kinds |= {"from": pa.time64("us"), "tags": pa.list_(pa.int64())}
    items = pa.array([[item]], pa.list_(pa.struct(list(kinds.items()))))
    address = pa.array([{"street": "Quai 1", "zip": "01234", "select": True}])
    columns = {"nr": [1], "changed": [1], "opened": [time(9, 5)], "address": address, "items": items}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({**columns, "days": [[date(2024, 2, 29)]], "raw": ["[1]"]}), sink)
    lake.land("web/orders/1.parquet", bytes(sink.getvalue()))
    lake.good()
    exact = {**ITEMS[0], "unitPrice": Decimal("12345678901234567.89")}
    assert lake.rows(READ) == [("09:05:00", VALUES[0][1], [exact], [date(2024, 2, 29)], "[1]")]


def test_what_is_not_the_declared_part_is_a_reason_with_its_path(lake: Lake) -> None:
    lake.write("silver/web/orders.yaml", ORDERS)
    lake.land(
        "web/orders/1.ndjson", "".join(f'{{"nr": {nr}, "changed": 1, {part}}}\n' for nr, (part, _) in enumerate(BAD))
    )
    lake.good()
    found = lake.rows("SELECT _values, _reasons FROM quarantine.web.orders")
    reasons = {int(json.loads(values)["nr"]): texts for values, texts in found}
    told = [(part, "; ".join(reasons.get(nr, ["it passed"]))) for nr, (part, _) in enumerate(BAD)]
    assert [
        (part, text) for (part, text), (_, wanted) in zip(told, BAD, strict=True) if not text.endswith(wanted)
    ] == []


VISITS = """
apiVersion: v3.1.0
kind: DataContract
id: web.visits
version: 1.0.0
status: active
servers:
  - {server: visits, type: local, path: "web/visits/*", format: csv, delimiter: ";"}
schema:
  - name: visits
    properties:
      - {name: nr, logicalType: integerKEY}
      - {name: day, logicalType: date, required: true, partitioned: true}
      - name: tags
        logicalType: array
        transformLogic: string_split(Tags, ' ')
        items: {logicalType: integer, logicalTypeOptions: {maximum: 99}}
      - name: place
        logicalType: object
        transformLogic: "{'city': City, 'lat': Lat::decimal(9,6)}"
        properties:
          - {name: city, logicalType: string}
          - {name: lat, logicalType: number, physicalType: "decimal(9,4)"}
      - {name: clock, logicalType: time, transformLogic: "strptime(Clock, '%I:%M %p')::time"}
    customProperties: [HISTORY]
"""
HEAD = "nr;day;Tags;City;Lat;Clock\n"
MART = """
apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
description: {purpose: Visits by day.}
team: {name: Web, members: [{username: web-office, role: owner}]}
slaProperties: [{property: frequency, value: 1, unit: d}]
schema:
  - name: days
    properties:
      - {name: day, logicalType: date, required: true, partitioned: true}
      - {name: first, logicalType: time}
      - {name: tags, logicalType: array, logicalTypeOptions: {minItems: 1}, items: {logicalType: integer}}
      - name: places
        logicalType: array
        items:
          logicalType: object
          properties:
            - {name: city, logicalType: string, required: true}
            - {name: lat, logicalType: number, physicalType: "decimal(9,4)"}
      - {name: all, logicalType: array, physicalType: json}
"""
DAYS = """
SELECT day, min(clock) AS first, list_sort(flatten(list(tags))) AS tags, list(place ORDER BY place) AS places,
  to_json(list(nr ORDER BY nr))::VARCHAR AS all
FROM silver.web.visits GROUP BY day
"""


def visits(key: str = ", primaryKey: true", history: str = "{property: sequenceBy, value: day}") -> str:
    return VISITS.replace("KEY", key).replace("HISTORY", history)


def test_marts_histories_and_tables_without_a_key_may_have_lists_and_objects(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    history = "{property: history, value: scd2}, {property: sequenceBy, value: day}"
    lake.write("silver/web/visits.yaml", visits(history=history))
    unkeyed = visits("", "").replace("web.visits", "web.seen").replace("name: visits", "name: seen")
    lake.write("silver/web/seen.yaml", unkeyed)
    lake.write("gold/visits/contract.yaml", MART)
    lake.write("gold/visits/days.sql", DAYS)
    rows = "1;2024-05-01;3 1;Bern;46.9480;9:05 AM\n2;2024-05-01;2;Basel;47.56;1:00 PM\n"
    lake.land(
        "web/visits/1.csv", HEAD + rows + rows + "3;2024-05-02;5;Chur;46.85001;9:00 AM\n4;2024-05-02;100;;;9:00 AM\n"
    )
    lake.good()
    bern, basel = ({"city": city, "lat": Decimal(lat)} for city, lat in (("Bern", "46.9480"), ("Basel", "47.5600")))
    assert lake.rows("SELECT nr, tags, place, clock FROM silver.web.visits ORDER BY nr") == [
        (1, [3, 1], bern, "09:05:00"),
        (2, [2], basel, "13:00:00"),
    ]
    assert lake.rows("SELECT count(*), count(DISTINCT place) FROM silver.web.seen") == [(2, 2)]
    assert lake.rows("SELECT _reasons, _codes FROM quarantine.web.visits ORDER BY _row") == [
        (
            ["place.lat: 46.85001 as decimal(9,4): a digit would be lost"],
            ["type:place"],
        ),
        (["tags[1]: 100 is more than the maximum 99"], ["part:tags"]),
    ]
    read = "SELECT day, first, tags, places, all FROM gold.visits.days ORDER BY day".replace("all", '"all"')
    first = (date(2024, 5, 1), "09:05:00", [1, 2, 3], [basel, bern], "[1,2]")
    assert lake.rows(read) == [first]
    lake.land(
        "web/visits/2.csv", HEAD + "1;2024-05-03;4;Bern;46.9480;10:00 PM\n1;2024-05-01;3 1;Bern;46.9480;9:05 AM\n"
    )
    lake.good()
    assert lake.rows(read) == [first, (date(2024, 5, 3), "22:00:00", [4], [bern], "[1]")]
    assert lake.rows("SELECT tags, _valid_to FROM silver.web.visits WHERE nr = 1 ORDER BY day") == [
        ([3, 1], date(2024, 5, 3)),
        ([4], None),
    ]
    assert lake.command("docs") == 0
    readme = (lake.root / "src/gold/visits/README.md").read_text(encoding="utf-8")
    assert "| `places` | struct(city varchar, lat decimal(9,4))[] |" in readme
    assert "at least 1 items" in readme
    assert "`[].city` required" in readme
    assert lake.command("preview", "gold.visits.days") == 0
    assert '[{"city": "Basel", "lat": 47.56}, {"city": "Bern", "lat": 46.' in capsys.readouterr().out
    assert lake.command("query", "SELECT place, tags FROM silver.web.visits WHERE nr = 2", "--format", "csv") == 0
    assert capsys.readouterr().out == 'place,tags\n"{""city"": ""Basel"", ""lat"": 47.56}",[2]\n'
    lake.edit(
        "gold/visits/contract.yaml",
        "required: true}\n            - {name: lat",
        "logicalTypeOptions: {maxLength: 4}}\n            - {name: lat",
    )
    lake.edit("gold/visits/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    assert "places[1].city: Basel is longer than 4" in str(lake.run().failures["gold.visits.days"])
    lake.edit("gold/visits/contract.yaml", "maxLength: 4", "maxLength: 5")
    lake.edit("gold/visits/days.sql", "min(clock)", "left(min(clock), 5)")
    assert " is no time as HH:MM:SS" in str(lake.run().failures["gold.visits.days"])
    lake.edit("gold/visits/days.sql", "left(min(clock), 5)", "min(clock)")
    lake.good()


DATES = "{logicalType: date}"
A_AND = "properties: [{name: a, logicalType: date}, "
DECLARED = [  # what tags are instead, and the words of the error
    ("array", "an array without items"),
    ("object", "an object without properties"),
    ("array, items: {description: x}", "missing key logicalType"),
    ("array, items: {logicalType: object, physicalType: json}", "a part of a column as json"),
    ("array, physicalType: 'map(a)'", "logicalType array with physicalType map(a)"),
    ("array, items: {logicalType: string, unique: true}", "unique of a part of a column"),
    ("object, properties: [{name: 'a b', logicalType: date}]", "property name a b"),
    (A_AND.join(["object, ", "{name: A, logicalType: date}]"]), "duplicate property a"),
    (A_AND.join(["object, logicalTypeOptions: {required: [b]}, ", "]"]), "no column b"),
    (f"array, primaryKey: true, items: {DATES}", "key column tags is a list"),
    ("object, primaryKey: true, physicalType: json", "key column tags is json"),
    (f"array, required: true, partitioned: true, items: {DATES}", "partition column tags is DATE[]"),
    ("array, physicalType: json, logicalTypeOptions: {minItems: 1}", "minItems of JSON text"),
    ("time, logicalTypeOptions: {minimum: noon}", "minimum is not a time"),
    ("time, logicalTypeOptions: {format: 'HH:mm'}", "format HH:mm"),
    ("time, enum: [{value: '25:00'}]", "value '25:00' of a time column"),
    ("vector", "logicalType vector"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "what"), DECLARED)
def test_a_list_or_an_object_that_cannot_be_one_is_an_error_of_the_contract(
    tmp_path: Path, declared: str, what: str
) -> None:
    start = VISITS.index("      - name: tags")
    text = (
        VISITS[:start]
        + f"      - {{name: tags, logicalType: {declared}}}\n"
        + VISITS[VISITS.index("    customProperties: [HIST") :]
    )
    (tmp_path / "silver/web").mkdir(parents=True)
    (tmp_path / "gold").mkdir()
    (tmp_path / "silver/web/visits.yaml").write_text(text.replace("KEY", "").replace("[HISTORY]", "[]"))
    with pytest.raises(ContractErrors) as found:
        contract.load(tmp_path)
    assert what in str(found.value)


def test_a_part_that_is_asked_for_more_is_a_minor_change_and_one_of_another_type_a_major_one(tmp_path: Path) -> None:
    def logic(old: str, new: str) -> dict[str, Any]:
        (tmp_path / "silver/web").mkdir(parents=True, exist_ok=True)
        (tmp_path / "gold").mkdir(exist_ok=True)
        (tmp_path / "silver/web/visits.yaml").write_text(visits().replace(old, new))
        return contract.logic(contract.load(tmp_path).silver["silver.web.visits"])

    now = logic("", "")
    assert contract.required_bump(now, logic("maximum: 99", "maximum: 9"))[0] == "minor"
    assert contract.required_bump(now, logic("decimal(9,4)", "decimal(9,5)"))[0] == "major"
    assert contract.required_bump(now, logic("logicalType: time", "logicalType: string"))[0] == "major"
