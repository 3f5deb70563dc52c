"""A file's column can never take the place of a helper column, whatever it is called.

The names are not listed here: they are found in the code, so that a helper of tomorrow is among them.
"""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, Lake, short

from src import monitors
from src.bronze.readers import SYSTEM_COLUMNS
from src.project import open_project
from src.run import runs
from src.silver.project import helper_prefix

JOBS = """
apiVersion: v3.1.0
kind: DataContract
id: silver.lab.jobs
version: 1.0.0
status: active
servers:
  - {server: jobs, type: local, path: "lab/jobs/*", format: csv}
schema:
  - name: jobs
    properties:
      - {name: k, logicalType: integer, primaryKey: true}
      - {name: v, logicalType: string, required: true, logicalTypeOptions: {maxLength: 3}}
      - {name: n, logicalType: integer, transformLogic: "try_cast(v AS integer) + 1"}
"""


def helpers() -> list[str]:
    """Every name that a statement gives to a column, as far as a file may have it; and those made with a prefix."""
    sources = [
        path
        for part in ("bronze", "silver", "gold", "engine", "run", "monitors")
        for path in (ROOT / "src" / part).rglob("*.py")
    ]
    found = {
        name for path in sources for name in re.findall(r"\bAS \{?\"?([a-z_]\w*)", path.read_text(encoding="utf-8"))
    }
    found |= {f"{mark}{name}" for mark in "~?=:" for name in ("k", "v", "n", "failed", "source")}
    found |= {f"~{mark}{name}" for mark in "~?=:" for name in ("k", "v", "n", "failed", "source")}
    found |= {"c1", "c2", "c3", "line", "file_index", "file_row_number", "filename", "rowid", "_nth", "_id", "_place"}
    found |= {"_source", "_failed", "_reasons", "_values", "_contract", "incoming", "losers", "superseded"}
    return sorted({name.lower() for name in found} - {*SYSTEM_COLUMNS, "k", "v", "n"})


def test_the_helpers_are_found_in_the_code() -> None:
    assert {"_side", "_at", "_reasons", "~~source", "?v", "_first"} <= set(helpers())
    assert len(helpers()) > 60  # as of writing 100 and more


def record(number: int, value: str) -> dict[str, str]:
    return {"k": str(number), "v": value, **dict.fromkeys(helpers(), "true" if number == 1 else "false")}


RECORDS = [record(1, "a"), record(2, ""), record(3, "7"), record(4, "long")]


def as_csv(records: list[dict[str, str]]) -> bytes:
    return "\n".join(",".join(row) for row in (records[0], *(one.values() for one in records))).encode()


def as_parquet(records: list[dict[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records), sink)
    return bytes(sink.getvalue())


def as_orc(records: list[dict[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.orc.write_table(pa.Table.from_pylist(records), sink)
    return bytes(sink.getvalue())


FORMS = {
    "orc": as_orc,
    "csv": as_csv,
    "ndjson": lambda records: "\n".join(map(json.dumps, records)).encode(),
    "json": lambda records: json.dumps(records).encode(),
    "parquet": as_parquet,
}


@pytest.mark.parametrize("turned", short([False, True], 1))
@pytest.mark.parametrize("form", short(FORMS, 1))
def test_a_column_of_a_helpers_name_is_a_column_like_any_other(lake: Lake, form: str, turned: bool) -> None:
    lake.write("silver/lab/jobs.yaml", JOBS.replace("format: csv", f"format: {form}"))
    records = [dict(reversed(one.items())) for one in RECORDS] if turned else RECORDS
    lake.land(f"lab/jobs/a.{form}", FORMS[form](records[:2]))
    lake.land(f"lab/jobs/b.{form}", FORMS[form](records[2:]))  # of one kind: read in turn
    lake.good()
    names = ", ".join(f'"{name}"' for name in RECORDS[0])
    bronze = lake.rows(f"SELECT {names} FROM bronze.lab.jobs ORDER BY k")
    assert bronze == [tuple(one.values()) for one in RECORDS]
    assert lake.rows("SELECT k, v, n FROM silver.lab.jobs ORDER BY k") == [(1, "a", None), (3, "7", 8)]
    rejected = lake.rows("SELECT _reasons, _values FROM quarantine.lab.jobs ORDER BY _values::JSON ->> 'k'")
    assert [reasons for reasons, _ in rejected] == [
        ["v: required, but there is nothing"],
        ["v: long is longer than 3"],
    ]
    assert [json.loads(values) for _, values in rejected] == [RECORDS[1], RECORDS[3]]
    lake.land(f"lab/jobs/c.{form}", FORMS[form]([record(1, "z")]))  # a merge
    lake.good()
    assert lake.rows("SELECT k, v, n FROM silver.lab.jobs ORDER BY k") == [(1, "z", None), (3, "7", 8)]
    with open_project(lake.settings) as project:
        assert monitors.evaluate(project, runs.now()).problems is not None


def test_the_rows_of_a_sibling_sql_may_have_columns_of_helpers_names(lake: Lake) -> None:
    lake.write("silver/lab/jobs.yaml", JOBS)
    lake.write("silver/lab/jobs.sql", "SELECT * FROM bronze.lab.jobs")
    lake.land("lab/jobs/a.csv", as_csv(RECORDS))
    lake.good()
    assert lake.rows("SELECT k, v, n FROM silver.lab.jobs ORDER BY k") == [(1, "a", None), (3, "7", 8)]
    [values] = [
        json.loads(row[0])
        for row in lake.rows("SELECT _values FROM quarantine.lab.jobs WHERE _reasons[1] LIKE '%long%'")
    ]
    assert values["_source"] == "false"
    assert values["~source"] == "false"


def test_no_name_begins_with_the_prefix_of_the_helpers() -> None:
    assert helper_prefix([]) == "~"
    assert helper_prefix(["a", "~a", "b~~~"]) == "~~"
    assert helper_prefix(["~~~", "~"]) == "~~~~"
