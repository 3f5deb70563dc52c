"""What sources that are databases have in common, and the SQL that is made for the one no server was there to try."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake

from src.errors import ContractErrors
from src.landing import deletions
from src.landing.connectors import mysql, postgres, sqlserver
from src.landing.database import DATE, MOMENT, NUMBER, Column, Mark, Relation


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, "no table and query"),
        ({"table": "a", "query": "select 1"}, "both table and query"),
        ({"table": "a", "mode": "incremental"}, "mode incremental without a cursor"),
        ({"query": "select 1", "mode": "incremental", "cursor": "at"}, "mode incremental with a query"),
        ({"table": "a", "cursor": "at"}, "cursor with mode full"),
        ({"table": "a", "deletes": "keys"}, "deletes with mode full"),
        ({"query": "select 1", "where": "true"}, "where with a query"),
        ({"table": "a", "overlap": "soon"}, "overlap 'soon'"),
        ({"table": "a", "deletes": "all"}, "deletes 'all'"),
        ({"table": "a", "maxRemoved": "most"}, "maxRemoved 'most'"),
        ({"table": "a", "port": 70000}, "port 70000"),
    ],
)
def test_what_options_say_against_each_other_is_an_error_of_the_contract(
    lake: Lake, options: dict[str, Any], found: str
) -> None:
    written = {"connector": "mysql", "host": "127.0.0.1", "database": "shop", **options}
    custom = json.dumps([{"property": "source", "value": written}])
    lake.shop().edit("silver/shop/orders.yaml", "format: csv}", f"format: csv, customProperties: {custom}}}")
    with pytest.raises(ContractErrors, match=found):
        lake.run()


def test_every_option_stands_on_the_page() -> None:
    page = (ROOT / "docs/databases.md").read_text(encoding="utf-8")
    options = {name for module in (mysql, postgres, sqlserver) for name in module.OPTIONS}
    assert [name for name in sorted(options) if f"`{name}`" not in page] == []


# -- deletions


class Written:
    """An answer that keeps what is written to it."""

    requests = 0

    def __init__(self) -> None:
        self.rows, self.memory = b"", b""

    def write(self, data: bytes) -> None:
        self.rows += data

    def remember(self, data: bytes) -> None:
        self.memory += data

    def unchanged(self) -> None: ...

    def named(self, name: str) -> None: ...

    def folder(self) -> Path:
        raise AssertionError

    def keep(self, name: str) -> None: ...

    def target(self, name: str) -> Path:
        raise AssertionError


def compared(folder: Path, now: list[Any], memory: bytes | None, *files: list[Any]) -> tuple[list[Any], bytes]:
    """The tombstones, and what is remembered; rows are lists of id, line, version, and whether it is a tombstone."""
    names = deletions.Names(("id", "line"), "version", True, "_deleted")

    def lines(rows: list[Any]) -> list[bytes]:
        keys = ("id", "line", "version", "_deleted")
        return [json.dumps(dict(zip(keys, row, strict=False))).encode() + b"\n" for row in rows]

    paths = []
    for at, rows in enumerate(files):
        paths.append(folder / f"{at}.gz")
        paths[-1].write_bytes(gzip.compress(b"".join(lines(rows))))
    before = folder / "memory.gz"
    if memory is not None:
        before.write_bytes(gzip.compress(memory))
    answer = Written()
    deletions.compare(names, lines(now), None if memory is None else before, paths, answer)
    return [tuple(json.loads(line).values()) for line in answer.rows.splitlines()], answer.memory


@pytest.mark.parametrize("at_once", [2, 1000])
def test_a_key_is_gone_if_its_last_word_is_not_that_and_the_table_has_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(deletions, "_AT_ONCE", at_once)
    gone, memory = compared(tmp_path, [[1, "a", 5], [1, "b\t", 5], [10, "a", 9]], None)
    assert gone == []
    # 1/a was changed since, 2 came and went, 3 came and went and came and went, 4 was said to be gone before
    landed = [[1, "a", 100], [2, "é", 7], [3, "x", 8], [4, "y", 9]]
    also = [[3, "x", 8, True], [3, "x", 11], [4, "y", 9, True]]
    gone, memory = compared(tmp_path, [[10, "a", 9]], memory, landed, also)
    assert sorted(gone) == [
        ("1", "a", "100", True),
        ("1", "b\t", "5", True),
        ("2", "é", "7", True),
        ("3", "x", "11", True),
    ]
    assert memory == b'["id", "line", "version"]\n["10","a"]\t"9"\t0\n'
    other = memory.replace(b'"line"', b'"number"')  # a list of another key says nothing
    assert compared(tmp_path, [], other) == ([], b'["id", "line", "version"]\n')


# -- SQL Server


def test_the_sql_for_sql_server_keeps_every_value() -> None:
    types = ["bigint", "float", "real", "varbinary", "image", "geography", "xml", "timestamp", "nvarchar", "datetime2"]
    columns = tuple(Column(f"c{at}", name, name) for at, name in enumerate(types))
    made = sqlserver._Session(None).select(Relation("dbo.a]b", "[dbo].[a]]b]", columns), columns, "(c0 > 1)")
    assert made == (
        "SELECT (SELECT [c0] AS [c0], convert(varchar(32), [c1], 3) AS [c1], convert(varchar(32), [c2], 3) AS [c2], "
        "convert(varchar(max), [c3], 2) AS [c3], convert(varchar(max), cast([c4] AS varbinary(max)), 2) AS [c4], "
        "convert(varchar(max), cast([c5] AS varbinary(max)), 2) AS [c5], cast([c6] AS nvarchar(max)) AS [c6], "
        "convert(bigint, [c7]) AS [c7], [c8] AS [c8], [c9] AS [c9] "
        "FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER) FROM [dbo].[a]]b] WHERE (c0 > 1)"
    )


def test_the_sql_for_sql_server_compares_a_cursor_as_what_it_is() -> None:
    session, moment = sqlserver._Session(None), datetime(2026, 11, 9, 12, 0, 0, 5)
    cases = {
        ("datetime2", MOMENT): "convert(datetime2, '2026-11-09T12:00:00.000005', 126)",
        ("datetimeoffset", MOMENT): "convert(datetimeoffset, '2026-11-09T12:00:00.000005+00:00', 126)",
        ("date", DATE): "convert(date, '2026-11-09', 126)",
        ("bigint", NUMBER): "12",
        ("timestamp", NUMBER): "convert(binary(8), convert(bigint, 12))",
    }
    marks: dict[str, Mark] = {MOMENT: moment, DATE: moment.date(), NUMBER: 12}
    made = {case: session.literal(Column("at", case[0], case[0], case[1]), marks[case[1]]) for case in cases}
    assert made == cases
    assert session.greatest(Column("at", "timestamp", "timestamp", NUMBER)) == (
        "convert(varchar(20), max(convert(bigint, [at])))"
    )
