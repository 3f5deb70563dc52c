"""What many tables are asked by one statement is what each of them says alone, whatever its columns and its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from conftest import Lake

from src import monitors
from src.engine import DuckEngine
from src.monitors import Findings, feeds, questions
from src.project import open_project

DAY = timedelta(days=1)
ODD = ("order id", "~began", "~file", "it's", 'a "b"', "größe", "filename", "file_row_number", "file_index", "[0]")
TABLE = """
apiVersion: v3.1.0
kind: DataContract
id: shop.NAME
version: 1.0.0
status: active
domain: shop
servers:
  - {server: NAME, type: local, path: "shop/NAME/*.csv", format: csv}
slaProperties:
  - {property: latency, value: 20, unit: h}
schema:
  - name: NAME
    properties:
      - {name: id, logicalType: integer, primaryKey: true, transformLogic: coalesce(id)}
      - {name: at, logicalType: timestamp, required: true}
      - name: kind
        logicalType: string
        enum: [{value: a}, {value: b}]
        customProperties: [{property: drift, value: psi}]
      - {name: price, logicalType: number, physicalType: double, customProperties: [{property: drift, value: psi}]}
    customProperties: [{property: businessDate, value: at}]
"""
DATE = ("at, logicalType: timestamp", "at, logicalType: date, physicalType: date")
BY_DAY = ("at, logicalType: timestamp", f"{DATE[1]}, partitioned: true, partitionKeyPosition: 1")
FORMS = {  # what is another in the contract of a table; the files of all differ too
    "one": ("", ""),
    "two": ("", ""),
    "three": ("", ""),
    "dated": DATE,
    "dated_too": DATE,
    "by_day": BY_DAY,
    "by_day_too": BY_DAY,
    "decimal": ("physicalType: double", 'physicalType: "decimal(9,2)"'),
    "odd": ("coalesce(id)", """'"order id"'"""),
}


@pytest.fixture
def shops(lake: Lake) -> Lake:
    """Tables after three runs. In the newest files `two` lacks its note, `three` has values that its contract does not
    list, and `one` has a new column; the second file of `dated_too` has no row."""
    for name, (old, new) in FORMS.items():
        lake.write(f"silver/shop/{name}.yaml", TABLE.replace("NAME", name).replace(old, new))
    yesterday = datetime.now(UTC).date() - DAY
    for nth, last in enumerate((yesterday - 40 * DAY, yesterday - 8 * DAY, yesterday)):
        for at, name in enumerate(FORMS):
            lake.land(f"shop/{name}/{nth}.csv", _file(name, nth, at, last))
        lake.run()
    return lake


def _file(name: str, nth: int, at: int, last: date) -> str:
    """The file of a run: twenty rows a day over seven days, of each table other ones."""
    newest = nth == 2
    columns = ["id", "at", "kind", "price", "note"]
    if name == "odd":
        columns[0:1] = ODD
    if newest and name == "two":
        columns.pop()
    if newest and name == "one":
        columns.append("colour")
    lines = [",".join('"' + column.replace('"', '""') + '"' for column in columns)]
    for row in range(140 if (name, nth) != ("dated_too", 1) else 0):
        values = {column: str(row) for column in columns}
        values |= {"id": str(1000 * nth + row), "at": str(last - (row // 20) * DAY), "note": "x" * (row % 3)}
        values |= {
            "order id": values["id"],
            "kind": "ab"[row % (at + 2) == 0],
            "price": str(row % (3 + (nth + at) % 3)),
        }
        if newest and name == "three" and row % 10 == 0:
            values["kind"] = f"c{row % 20}"
        lines.append(",".join(values[column] for column in columns))
    return "\n".join(lines) + "\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The questions that the engine was asked of data."""
    found: list[str] = []
    run = DuckEngine.rows

    def rows(engine: DuckEngine, sql: str) -> list[tuple[object, ...]]:
        found.extend([sql] * sql.startswith("WITH"))
        return run(engine, sql)

    monkeypatch.setattr(DuckEngine, "rows", rows)
    yield found


def _look(lake: Lake, now: datetime) -> Findings:
    """A look that knows of none before."""
    shutil.rmtree(lake.data / ".known", ignore_errors=True)
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, now)


def test_many_tables_say_together_what_each_says_alone(
    shops: Lake, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    together, few = _look(shops, now), len(asked)
    monkeypatch.setattr(questions, "_FILES", 0)  # no statement reads files of two tables
    assert _look(shops, now) == together
    assert few < (len(asked) - few) / 2
    found = {(row.feed, row.column, row.change) for row in together.feed_schema}
    assert {
        ("bronze.shop.one", "colour", "new"),
        ("bronze.shop.two", "note", "missing"),
        ("bronze.shop.three", "kind", "new value"),
    } <= found
    assert {row.table for row in together.distribution} == {f"silver.shop.{name}" for name in FORMS}
    assert len({row.psi for row in together.distribution if row.psi}) > 4
    assert [problem for problem in together.problems if problem.unreadable] == []


def test_a_table_that_cannot_be_read_is_a_problem_of_its_own_and_the_others_are_asked(
    shops: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.environ["BROKEN_ON_PURPOSE"] = "1"
    now, whole = datetime.now(UTC), {}
    whole = {row.table: row for row in _look(shops, now).distribution}
    for table in ("bronze/shop/two", "silver/shop/three", "quarantine/shop/three"):
        file = max((shops.data / table).rglob("part-*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        file.write_bytes(file.read_bytes()[:-50])
    together = _look(shops, now)
    unreadable = [problem.subject for problem in together.problems if problem.unreadable]
    assert unreadable == ["bronze.shop.two", "silver.shop.three"]
    assert {row.table: row for row in together.distribution} == {
        name: row for name, row in whole.items() if name != "silver.shop.three"
    }
    monkeypatch.setattr(questions, "_FILES", 0)
    assert _look(shops, now) == together


def test_the_kinds_of_many_values_are_told_by_some_of_them(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.write("silver/shop/one.yaml", TABLE.replace("NAME", "one"))
    for nth in range(2):
        prices = "".join(f"{at},2024-03-01,a,{at if nth == 0 or at % 2 else 'none'}\n" for at in range(2000))
        lake.land(f"shop/one/{nth}.csv", f"id,at,kind,price\n{prices}")
        lake.run()
    monkeypatch.setattr(feeds, "_SAMPLE", 100)
    [row] = _look(lake, datetime.now(UTC)).feed_schema
    assert (row.column, row.change) == ("price", "retyped")
    assert row.detail.startswith("integer -> text: ") and row.detail.endswith("% of the values are integer")
    assert 30 < int(row.detail.split()[3].rstrip("%")) < 70
