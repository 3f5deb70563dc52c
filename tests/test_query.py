"""A query shows rows so that nothing is mistaken, or writes them to a file; the tables are listed and described."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import Lake
from python_calamine import CalamineWorkbook
from test_commands import SHOWN, shop

from src import console
from src.errors import UsageError

MANY = "SELECT i, CASE WHEN i % 2 = 0 THEN 'even' END AS word FROM range({}) t(i)"


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(lake: Lake, monkeypatch: pytest.MonkeyPatch, width: int, *words: str) -> list[str]:
    """The lines of a command's output on a terminal of a width, without colours."""
    monkeypatch.setenv("COLUMNS", str(width))
    out = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        lake.command(*words)
    return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", out.getvalue()).splitlines()


# -- shown


def test_a_terminal_gets_a_thousand_rows_and_is_told_how_many_more_there_are(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(lake).good()
    assert len(on_terminal(lake, monkeypatch, 80, "query", MANY.format(1_500))) == 1_002
    assert capsys.readouterr().err == "note: 500 more rows; --all shows them, --output FILE writes them\n"
    assert len(on_terminal(lake, monkeypatch, 80, "query", MANY.format(1_500), "--all")) == 1_502
    assert len(on_terminal(lake, monkeypatch, 80, "query", MANY.format(1_000))) == 1_002
    assert len(on_terminal(lake, monkeypatch, 80, "query", MANY.format(1_500), "--format", "csv")) == 1_501
    assert capsys.readouterr().err == ""
    lake.command("query", MANY.format(1_500))
    assert len(capsys.readouterr().out.splitlines()) == 1_502


def test_no_value_is_told_from_an_empty_text(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(lake).good()
    sql = "SELECT 1 AS n, NULL AS a, '' AS b UNION ALL SELECT 2, 'NULL', 'x' ORDER BY n"
    lake.command("query", sql)
    assert capsys.readouterr().out == "n  a     b\n-  ----  -\n1  NULL\n2  NULL  x\n"
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    console.table(("n", "a"), [(1, None), (2, "NULL")], null="NULL", out=out)
    assert out.getvalue().splitlines()[2:] == ["1  \x1b[2mNULL\x1b[0m", "2  NULL"]


def test_a_name_that_is_none_is_told_with_the_nearest_ones(lake: Lake) -> None:
    shop(lake).good()
    with pytest.raises(UsageError) as table:
        lake.command("query", "SELECT * FROM silver.shop.order")
    assert table.value.what == "no table silver.shop.order"
    assert str(table.value.fix).startswith(
        "did you mean silver.shop.orders? name one as layer.domain.table; there are "
    )
    with pytest.raises(UsageError) as short:
        lake.command("query", "SELECT * FROM dayly")
    assert str(short.value.fix).startswith("did you mean gold.shop.daily? ")
    with pytest.raises(UsageError) as column:
        lake.command("query", "SELECT amuont FROM silver.shop.orders")
    assert column.value.what == "no column amuont"
    assert "amount" in str(column.value.fix)


def test_a_statement_is_read_from_a_file_or_from_standard_input(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(lake).good()
    file = lake.root / "orders.sql"
    file.write_text("\ufeffSELECT order_id\nFROM silver.shop.orders; -- all\n", encoding="utf-8")
    lake.command("query", "--file", str(file), "--format", "csv")
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 2 AS two"))
    lake.command("query", "-", "--format", "csv")
    assert capsys.readouterr().out == "order_id\n1\ntwo\n2\n"
    with pytest.raises(UsageError, match="SQL and --file"):
        lake.command("query", "SELECT 1", "--file", str(file))
    with pytest.raises(UsageError, match="no SQL"):
        lake.command("query")


# -- written

VALUES = """
SELECT 1 AS n, 12345678901234567890::HUGEINT AS large, 1.50::DECIMAL(9,2) AS amount, '=1+1' AS formula, '' AS nothing,
       NULL::VARCHAR AS missing, DATE '2024-01-31' AS day, TIMESTAMPTZ '2024-01-31 05:17:00+00' AS moment,
       true AS truth, [1, 2] AS list
UNION ALL BY NAME SELECT 2 AS n, 'é"' AS formula
ORDER BY n
"""


def written(lake: Lake, name: str, capsys: pytest.CaptureFixture[str], sql: str = VALUES, *words: str) -> Path:
    path = lake.root / name
    lake.command("query", sql, "--output", str(path), *words)
    assert capsys.readouterr().out.startswith("2 rows in " + str(path))
    return path


def test_a_query_is_written_as_the_file_s_extension_says(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    shop(lake).good()
    capsys.readouterr()
    table: Any = pq.read_table(written(lake, "a.parquet", capsys))
    assert str(table["amount"].type) == "decimal128(9, 2)"
    assert table["list"].to_pylist() == [[1, 2], None]
    text = written(lake, "a.csv", capsys).read_text(encoding="utf-8")
    assert text.splitlines()[1].startswith('1,12345678901234567890,1.50,=1+1,"",,2024-01-31,')
    assert next(csv.DictReader(io.StringIO(text)))["list"] == "[1,2]"
    assert json.loads(written(lake, "a.json", capsys).read_text(encoding="utf-8"))[0] == {
        "n": 1,
        "large": 12345678901234567890,
        "amount": 1.5,
        "formula": "=1+1",
        "nothing": "",
        "missing": None,
        "day": "2024-01-31",
        "moment": "2024-01-31T05:17:00+00:00",
        "truth": True,
        "list": [1, 2],
    }
    sheet = CalamineWorkbook.from_path(str(written(lake, "a.xlsx", capsys))).get_sheet_by_index(0).to_python()
    assert [str(value) for value in sheet[1]] == [
        *("1.0", "12345678901234567890", "1.5", "=1+1", "", "", "2024-01-31", "2024-01-31 05:17:00", "True", "[1, 2]")
    ]
    assert sheet[2][3] == 'é"'


def test_a_file_is_written_over_only_with_force_and_stands_whole_or_not_at_all(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(lake).good()
    capsys.readouterr()
    path = written(lake, "a.csv", capsys)
    with pytest.raises(UsageError, match="a file of that name is there"):
        lake.command("query", VALUES, "--output", str(path))
    with pytest.raises(UsageError, match=r"no format of a\.txt"):
        lake.command("query", VALUES, "--output", str(lake.root / "a.txt"))
    with pytest.raises(UsageError, match="a place of the lake's own tables"):
        lake.command("query", VALUES, "--output", str(lake.data / "gold/shop/daily/a.parquet"))
    before = path.read_bytes()
    for sql in ("SELECT order_ID FROM silver.shop.nothing", "SELECT error('stop') FROM range(3)"):
        with pytest.raises(Exception, match=r"no table|stop"):
            lake.command("query", sql, "--output", str(path), "--force")
    assert path.read_bytes() == before
    assert [file.name for file in lake.root.iterdir() if ".part" in file.name] == []
    written(lake, "a.csv", capsys, "SELECT * FROM range(2)", "--force")
    assert path.read_text() == "range\n0\n1\n"


def test_a_statement_writes_no_other_file_than_that_of_output(lake: Lake) -> None:
    shop(lake).good()
    other = lake.root / "other.csv"
    for sql in (f"SELECT * FROM '{lake.root / 'src/silver/shop/orders.yaml'}'", f"COPY (SELECT 1) TO '{other}'"):
        with pytest.raises(Exception, match=r"no table|not one SELECT|syntax|permission|parse|one statement"):
            lake.command("query", sql, "--output", str(lake.root / "a.csv"))
    assert not other.exists()


# -- tables, describe


def test_every_table_that_can_be_read_is_listed_as_readers_see_it(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(lake).good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n3,2024-01-03,10,1\n")
    lake.good()
    capsys.readouterr()
    lake.command("tables", "--json")
    tables = {table["table"]: table for table in json.loads(capsys.readouterr().out)}
    assert [name for name in tables if not name.startswith("ops.")] == [
        *("bronze.shop.orders", "silver.shop.orders", "gold.shop.daily", "quarantine.shop.orders")
    ]
    silver = tables["silver.shop.orders"]
    assert (silver["layer"], silver["rows"], silver["columns"], silver["draft"]) == ("silver", 2, 7, False)
    assert silver["behind"] is None
    assert re.fullmatch(r"20\d\d-.*\+00:00", silver["changed_at"])
    lake.command("tables")
    assert re.search(r"^silver\.shop\.orders +2 +\d+ +7 ", capsys.readouterr().out, re.MULTILINE)


def test_a_table_that_stays_behind_or_cannot_be_read_says_so(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    shop(lake).good()
    lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n" + "x,2024-01-03,10,1\n" * 30)
    lake.run()
    for file in (lake.data / "bronze/shop/orders/_delta_log").iterdir():
        file.write_text("no log")
    capsys.readouterr()
    lake.command("tables", "--json")
    tables = {table["table"]: table for table in json.loads(capsys.readouterr().out)}
    assert "its own step failed" in tables["silver.shop.orders"]["behind"]
    assert tables["bronze.shop.orders"]["rows"] is None
    assert tables["bronze.shop.orders"]["error"]


@pytest.mark.parametrize(
    ("name", "table", "rows", "columns"),
    [
        ("orders", "silver.shop.orders", 1, 7),
        ("daily", "gold.shop.daily", 1, 3),
        ("bronze.shop.orders", "bronze.shop.orders", 2, 10),
        ("quarantine.shop.orders", "quarantine.shop.orders", 1, 8),
        ("pipeline_runs", "ops.pipeline_runs", None, None),
    ],
)
def test_a_table_of_any_layer_is_described(
    lake: Lake, capsys: pytest.CaptureFixture[str], name: str, table: str, rows: int | None, columns: int | None
) -> None:
    shop(lake).good()
    capsys.readouterr()
    lake.command("describe", name, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["table"] == table
    assert rows in (None, found["entry"]["rows"])
    assert columns in (None, len(found["columns"]))
    if name == "orders":
        assert (found["key"], found["partition_by"], found["files"]) == (["order_id"], ["day"], ["shop/orders/*.csv"])
        assert (found["upstream"], found["downstream"]) == (["bronze.shop.orders"], ["gold.shop.daily"])
        amount = next(column for column in found["columns"] if column["column"] == "amount")
        assert (amount["type"], amount["required"], amount["figures"]["least"]) == ("DECIMAL(18,2)", True, "10.00")
        assert found["first"][0]["order_id"] == 1
    lake.command("describe", name)
    assert capsys.readouterr().out.startswith(table)


def test_a_table_that_is_not_built_yet_is_described_by_its_contract_and_one_that_is_none_by_the_nearest(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.shop()
    lake.command("describe", "orders")
    assert re.search(r"^rows +not built yet$", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(UsageError) as refused:
        lake.command("describe", "ordres")
    assert str(refused.value.fix).startswith("did you mean silver.shop.orders? ")


# -- the width of a terminal

LONG = "a sentence that is a good deal longer than a column of any table would be on a small screen, word by word"


@pytest.mark.parametrize("width", [20, 60, 80, 120, 200])
def test_a_table_is_as_wide_as_the_terminal_and_loses_nothing(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [(12_345_678, LONG, "x" * 90, None, "日本語" * 20), (2, "short", "", "v", "é")]
    out = Terminal()
    console.table(("number", "text", "word", "nothing", "wide"), rows, null="NULL", out=out)
    lines = out.getvalue().splitlines()
    assert max(map(console.cells_wide, lines)) <= width
    shown = re.sub(r"[\s-]+", "", out.getvalue())
    for letters in ("12,345,678", "日本語"):
        assert letters[:1] in shown
    assert shown.count("x") >= 90
    assert shown.count("日") == 20
    assert sorted(set(LONG.split())) == sorted(set(LONG.split()) & set(re.findall(r"[a-z,]+", out.getvalue())))
    plain = io.StringIO()
    console.table(("number", "text"), [(1, LONG * 5)], out=plain)
    assert len(plain.getvalue().splitlines()[2]) == 5 * len(LONG) + 8


def test_what_every_command_prints_in_columns_fits_the_terminal(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(lake).good()
    (lake.root / "logs").mkdir()
    wide = []
    for name, (words, _) in SHOWN.items():
        if name == "run":
            continue  # a progress bar
        lines = on_terminal(lake, monkeypatch, 60, name, *words)  # wider ones are console.table's, tested above
        rules = [at for at, line in enumerate(lines) if re.fullmatch(r"-+(  -+)*", line)]
        wide += [(name, line) for at in rules for line in lines[at - 1 : at + 1] if len(line) > 60]
    assert wide == []
