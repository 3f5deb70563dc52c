"""What a contract says of a file's columns: which texts mean nothing, what may be absent, where a row came from."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Lake

from src import contract
from src.errors import ContractErrors

THINGS = """
apiVersion: v3.1.0
kind: DataContract
id: lab.things
version: 1.0.0
status: active
servers:
  - {server: things, type: local, path: "lab/**/*.FORMAT", format: FORMAT, customProperties: [OPTIONS]}
schema:
  - name: things
    properties:
      - {name: nr, logicalType: integer, primaryKey: true}
COLUMNS
    customProperties: [{property: maxRejected, value: 100 %}]
"""
NULLS = '{property: nullValues, value: ["-", NA, "-999"]}'
AMOUNT = "      - {name: amount, logicalType: integer}\n      - {name: note, logicalType: string}"
MADE = "      - {name: made, logicalType: string, transformLogic: \"coalesce(note, 'none')\"}"


def things(columns: str = f"{AMOUNT}\n{MADE}", options: str = NULLS, form: str = "csv", version: str = "1.0.0") -> str:
    text = THINGS.replace("COLUMNS", columns).replace("OPTIONS", options).replace("FORMAT", form)
    return text.replace("version: 1.0.0", f"version: {version}")


RECORDS: list[dict[str, Any]] = [
    {"nr": "1", "amount": " NA ", "note": "-"},
    {"nr": "2", "amount": "-999", "note": "na"},
    {"nr": "3", "amount": "-9", "note": "NA-1"},
    {"nr": "-", "amount": "4", "note": "NA"},  # without a key
    {"nr": "5", "amount": "n/a", "note": "-"},
]


def as_parquet(records: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return bytes(sink.getvalue())


FORMS: dict[str, str | bytes] = {
    "csv": "nr,amount,note\n" + "".join(",".join(one.values()) + "\n" for one in RECORDS),
    "ndjson": "\n".join(map(json.dumps, RECORDS)),
    "parquet": as_parquet(RECORDS),
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_that_mean_null_are_null_in_silver_and_stay_as_they_came_elsewhere(lake: Lake, form: str) -> None:
    lake.write("silver/lab/things.yaml", things(form=form))
    lake.land(f"lab/a.{form}", FORMS[form])
    lake.good()
    assert lake.rows("SELECT nr, amount, note, made FROM silver.lab.things ORDER BY nr") == [
        (1, None, None, "none"),
        (2, None, "na", "na"),
        (3, -9, "NA-1", "NA-1"),
    ]
    assert lake.rows("SELECT amount FROM bronze.lab.things ORDER BY _row") == [(one["amount"],) for one in RECORDS]
    found = lake.rows("SELECT _reasons, _values FROM quarantine.lab.things ORDER BY _row")
    assert [(reasons, json.loads(values)) for reasons, values in found] == [
        (["nr: required, but there is nothing"], RECORDS[3]),
        (["amount: cannot read n/a as bigint"], RECORDS[4]),
    ]


def test_texts_that_mean_null_are_null_for_a_sibling_sql(lake: Lake) -> None:
    lake.write("silver/lab/things.yaml", things())
    lake.write("silver/lab/things.sql", "SELECT * REPLACE (coalesce(note, 'sql') AS note) FROM bronze.lab.things")
    lake.land("lab/a.csv", FORMS["csv"])
    lake.good()
    found = lake.rows("SELECT nr, amount, note, made FROM silver.lab.things ORDER BY nr")
    assert found == [(1, None, "sql", "sql"), (2, None, "na", "na"), (3, -9, "NA-1", "NA-1")]


def test_other_texts_that_mean_null_are_a_minor_change_and_their_order_is_none(lake: Lake) -> None:
    def loaded(options: str) -> contract.Table:
        lake.write("silver/lab/things.yaml", things(options=options))
        return contract.load(lake.root / "src").silver["silver.lab.things"]

    one, other = loaded('{property: nullValues, value: ["-", NA]}'), loaded('{property: nullValues, value: [NA, "-"]}')
    without = loaded("")
    assert contract.fingerprint(one) == contract.fingerprint(other) != contract.fingerprint(without)
    assert contract.required_bump(contract.logic(without), contract.logic(one)) == (
        "minor",
        ['feed things: null_values default -> ["-", "NA"]'],
    )


@pytest.mark.parametrize("texts", ["[-999]", '[" NA"]', '[""]', "NA", "[NA, NA]", "[]"])
def test_what_is_no_list_of_texts_cannot_mean_null(lake: Lake, texts: str) -> None:
    lake.write("silver/lab/things.yaml", things(options=f"{{property: nullValues, value: {texts}}}"))
    with pytest.raises(ContractErrors, match="nullValues") as found:
        contract.load(lake.root / "src")
    assert "distinct texts in quotes" in str(found.value)


# -- what may be absent

OPTIONAL = "customProperties: [{property: optional, value: true}]"
TIP = f"      - {{name: tip, logicalType: integer, {OPTIONAL}}}"
SHARE = f'      - {{name: share, logicalType: number, transformLogic: "Tip_Cents::int / amount", {OPTIONAL}}}'


@pytest.mark.parametrize("sql", ["", "SELECT * FROM bronze.lab.things", "SELECT *, tip AS x FROM bronze.lab.things"])
def test_an_optional_column_is_null_until_a_file_brings_it(lake: Lake, sql: str) -> None:
    lake.write("silver/lab/things.yaml", things(f"{AMOUNT}\n{TIP}\n{SHARE}", ""))
    if sql:
        lake.write("silver/lab/things.sql", sql)
    lake.land("lab/a.csv", "nr,amount,note\n1,10,x\n2,x,z\n")
    lake.good()
    read = "SELECT nr, amount, tip, share FROM silver.lab.things ORDER BY nr"
    assert lake.rows(read) == [(1, 10, None, None)]
    [(values,)] = lake.rows("SELECT _values FROM quarantine.lab.things")
    assert json.loads(values) == {"nr": "2", "amount": "x", "note": "z"}  # nothing of what no file has
    lake.land("lab/b.csv", "nr,amount,note,TIP,tip_cents\n3,20,x,2,200\n4,20,x,bad,100\n")
    lake.good()
    assert lake.rows(read) == [(1, 10, None, None), (3, 20, 2, 10.0)]
    lake.land("lab/c.csv", "nr,amount,note\n5,30,x\n")
    lake.good()
    assert lake.rows(read) == [(1, 10, None, None), (3, 20, 2, 10.0), (5, 30, None, None)]
    reasons = lake.rows("SELECT _reasons FROM quarantine.lab.things ORDER BY _file")
    assert reasons == [(["amount: cannot read x as bigint"],), (["tip: cannot read bad as bigint"],)]


def test_what_another_column_reads_too_must_be_there(lake: Lake) -> None:
    other = "      - {name: cents, logicalType: integer, transformLogic: tip_cents}"
    lake.write("silver/lab/things.yaml", things(f"{AMOUNT}\n{SHARE}\n{other}", ""))
    lake.land("lab/a.csv", "nr,amount,note\n1,10,x\n")
    error = str(lake.run().failures["silver.lab.things"])
    assert "no file has a column tip_cents" in error
    assert "the columns there are: nr, amount, note" in error


def test_a_column_cannot_be_optional_and_required(lake: Lake) -> None:
    lake.write("silver/lab/things.yaml", things(TIP.replace("integer,", "integer, required: true,"), ""))
    with pytest.raises(ContractErrors, match="column tip is optional and required"):
        contract.load(lake.root / "src")


# -- where a row came from

PLACED = """
      - {name: region, logicalType: string, transformLogic: "split_part(_file, '/', 2)"}
      - name: day
        logicalType: date
        required: true
        partitioned: true
        transformLogic: strptime(regexp_extract(_file, '(\\d{8})\\.csv$', 1), '%Y%m%d')
      - {name: line, logicalType: integer, transformLogic: _row}
"""


@pytest.mark.parametrize("sql", ["", "SELECT * FROM bronze.lab.things"])
def test_an_expression_may_read_a_rows_file_and_number(lake: Lake, sql: str) -> None:
    lake.write("silver/lab/things.yaml", things(PLACED, ""))
    if sql:
        lake.write("silver/lab/things.sql", sql)
    lake.land("lab/north/sales_20240131.csv", "nr\n1\n2\n")
    lake.land("lab/south/sales_20240201.csv", "nr\n3\n")
    lake.land("lab/south/latest.csv", "nr\n4\n")
    lake.good()
    assert lake.rows("SELECT nr, region, day, line FROM silver.lab.things ORDER BY nr") == [
        (1, "north", date(2024, 1, 31), 1),
        (2, "north", date(2024, 1, 31), 2),
        (3, "south", date(2024, 2, 1), 1),
    ]
    [(reasons,)] = lake.rows("SELECT _reasons FROM quarantine.lab.things")
    assert reasons[0] == "day: cannot read _file=lab/south/latest.csv as date"


def test_a_table_of_many_columns_has_all_of_these_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("silver.groups", "silver.incoming", "engine.duck"):
        monkeypatch.setattr(f"src.{module}.MANY_COLUMNS", 6)
    monkeypatch.setattr("src.silver.groups._COLUMNS_AT_ONCE", 3)
    region, _, line = PLACED.strip("\n").partition("      - name: day")
    line = line[line.index("      - {name: line") :]
    names = [f"x{nth}" for nth in range(9)]
    wide = "\n".join(f"      - {{name: {name}, logicalType: integer}}" for name in names)
    lake.write("silver/lab/things.yaml", things(f"{region}{wide}\n{TIP}\n{line}"))
    row = ["NA" if nth % 3 else str(nth) for nth in range(9)]
    bad = [*row[:-1], "n/a"]
    lake.land("lab/north/a.csv", f"nr,{','.join(names)}\n1,{','.join(row)}\n2,{','.join(bad)}\n")
    lake.good()
    read = "SELECT nr, region, x0, x1, x6, x8, tip, line FROM silver.lab.things ORDER BY nr"
    assert lake.rows(read) == [(1, "north", 0, None, 6, None, None, 1)]
    [(reasons, values)] = lake.rows("SELECT _reasons, _values FROM quarantine.lab.things")
    assert reasons == ["x8: cannot read n/a as bigint"]
    assert json.loads(values) == {"nr": "2", **dict(zip(names, bad, strict=True))}
    lake.land("lab/north/b.csv", f"nr,tip,{','.join(names)}\n3,7,{','.join(row)}\n")
    lake.good()
    assert lake.rows(read)[1] == (3, "north", 0, None, 6, None, 7, 1)
