"""Where a table stands in its file: title rows, headers of several lines, columns without a name, lines of totals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake
from hypothesis import given
from hypothesis import strategies as st
from test_readers import CSV, XLSX, land, refusal, values, workbook

from src.bronze import headers, readers
from src.contract.model import Names
from src.engine import DuckEngine
from src.errors import DataError

TABLE = [
    ["Sales report", "", ""],
    ["as of", "1 June", ""],
    ["", "", ""],
    ["id", "name", "amount"],
    ["1", "a", "10"],
    ["2", "", "20"],
    ["Total", "", "30"],
    ["Source: office", "", ""],
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def both(folder: Path, rows: list[list[str]]) -> list[tuple[Any, Path]]:
    """The same table as a CSV file and as a workbook, with the feed of each."""
    text = "".join(";".join(row) + "\n" for row in rows)
    cells: list[list[Any]] = [[cell or None for cell in row] for row in rows]
    return [
        (replace(CSV, delimiter=";"), land(folder, text)),
        (XLSX, workbook(folder / "1.xlsx", {"s": cells})),
    ]


@pytest.mark.parametrize("header", [4, "auto"])
def test_title_rows_above_the_header_are_no_rows_and_are_noted(
    engine: DuckEngine, tmp_path: Path, header: int | str
) -> None:
    for feed, path in both(tmp_path, TABLE[:6]):
        what = "rows" if feed is XLSX else "lines"
        feed = replace(feed, header=header)
        rows = readers.read(engine, feed, path)
        assert rows.columns == ("id", "name", "amount")
        assert values(engine, feed, path) == [("1", "a", "10"), ("2", "", "20")]
        ((key, text),) = rows.left_out.items()
        assert key.endswith(f"2 {what} above the header left out")
        assert "Sales report" in text and "1 June" in text
        assert any("header is" in note for note in rows.notes) == (header == "auto")


def test_the_last_lines_that_are_totals_are_no_rows_and_are_noted_with_their_text(
    engine: DuckEngine, tmp_path: Path
) -> None:
    for feed, path in both(tmp_path, [*TABLE[3:], ["", "", ""]]):
        feed = replace(feed, skip_footer=2)
        assert values(engine, feed, path) == [("1", "a", "10"), ("2", "", "20")]
        rows = readers.read(engine, feed, path)
        taken = engine.rows(f"SELECT count(*) FROM ({rows.sql})")
        ((key, text),) = rows.left_out.items()
        assert (taken, key.split(": ")[-1][:20]) == (
            [(2,)],
            f"2 {'rows' if feed.format == 'xlsx' else 'lines'} at the end left"[:20],
        )
        assert "Total" in text and "Source: office" in text


def test_a_file_with_fewer_lines_than_are_left_out_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    for feed, path in both(tmp_path, TABLE[3:5]):
        assert "skipFooter is 2" in refusal(engine, replace(feed, skip_footer=2), path)
    for feed, path in both(tmp_path, TABLE[3:4]):  # an export of nothing, without its totals
        assert values(engine, replace(feed, skip_footer=2), path) == []


def test_header_lines_are_joined_by_column_and_merged_cells_hold_for_those_they_span(
    engine: DuckEngine, tmp_path: Path
) -> None:
    rows = [["Report", "", "", ""], ["id", "2023", "", "note"], ["", "Q1", "Q2", ""], ["1", "10", "20", "x"]]
    for feed, path in both(tmp_path, rows):
        feed = replace(feed, header=(2, 3))
        assert readers.read(engine, feed, path).columns == ("id", "2023 Q1", "2023 Q2", "note")
        assert values(engine, feed, path) == [("1", "10", "20", "x")]


def test_a_quote_in_a_title_or_a_cell_that_spans_lines_moves_no_header(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, 'an "odd title\n\n"id\nof all",b\n1,2\n')
    assert readers.read(engine, replace(CSV, header=3), path).columns == ("id\nof all", "b")
    assert values(engine, replace(CSV, header=3), path) == [("1", "2")]
    assert values(engine, replace(CSV, header=(3, 4)), path) == [("1", "2")]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([["Report", "", ""], ["id", "2023", "2024"], ["a", "1", "2"]], '"2023" is no name'),
        ([["id", "id", "x"], ["1", "2", "3"]], '"id" stands twice'),
        ([["a", "b", ""], ["1", "2", "3"]], '"1" is no name'),
    ],
)
def test_a_header_that_is_not_surely_found_is_refused(
    engine: DuckEngine, tmp_path: Path, rows: list[list[str]], why: str
) -> None:
    for feed, path in both(tmp_path, rows):
        found = refusal(engine, replace(feed, header="auto"), path)
        assert found.startswith("the header is not found: ") and why in found


def test_a_header_where_the_contract_says_it_is_but_is_not_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    for feed, path in both(tmp_path, TABLE):
        assert "the contract says that it is the header" in refusal(engine, replace(feed, header=3), path)
        assert "the contract says that it is the header" in refusal(engine, replace(feed, header=30), path)
    for header in (3, "auto", (2, 3)):
        assert values(engine, replace(CSV, header=header), land(tmp_path, "\n\n")) == []
        assert values(engine, replace(XLSX, header=header), workbook(tmp_path / "0.xlsx", {"s": []})) == []


def test_a_workbook_without_a_header_has_the_names_of_its_contract(engine: DuckEngine, tmp_path: Path) -> None:
    path = workbook(tmp_path / "1.xlsx", {"s": [[1, "a"], [2, None]]})
    feed = replace(XLSX, header=False, columns=("id", "name"))
    assert readers.read(engine, feed, path).columns == ("id", "name")
    assert values(engine, feed, path) == [("1", "a"), ("2", "")]


def test_a_column_without_a_name_and_a_repeated_one_get_theirs_where_the_contract_says_so(
    engine: DuckEngine, tmp_path: Path
) -> None:
    names = Names(unnamed="index", repeated=True)
    rows = [["", "amount", "", "Amount", "amount_2"], ["0", "1", "2", "3", "4"]]
    for feed, path in both(tmp_path, rows):
        what = refusal(engine, feed, path)
        assert "has no name" in what or "no name above it" in what
        feed = replace(feed, names=names)
        assert readers.read(engine, feed, path).columns == ("index", "amount", "index_2", "Amount_3", "amount_2")
        assert values(engine, feed, path) == [("0", "1", "2", "3", "4")]
    for feed, path in both(tmp_path, [["a", "a"], ["1", "2"]]):
        with pytest.raises(DataError, match="column a twice") as refused:
            readers.read(engine, feed, path)
        assert str(refused.value.fix).startswith("write `names: {repeated: number}` in ")


@given(st.lists(st.sampled_from(["", "a", "A", "a_2", "a_3", "index", "index_2", "b"])))
def test_every_column_gets_a_name_of_its_own_and_the_first_of_a_name_keeps_it(names: list[str]) -> None:
    found = headers.named(names, "index", True)
    assert len({name.lower() for name in found}) == len(names)
    first = [at for at, name in enumerate(names) if name and name.lower() not in map(str.lower, names[:at])]
    assert [found[at] for at in first] == [names[at] for at in first]


@given(st.lists(st.sampled_from(["", "x", "y"])), st.integers(0, 4))
def test_all_lines_are_given_or_left_out_in_their_order(lines: list[str], count: int) -> None:
    left: list[str] = []
    full = sum(line != "" for line in lines)
    try:
        given = list(headers.without_last(iter(lines), count, lambda line: not line, left))
    except headers.TooShort:
        assert 0 < full < count
        return
    assert given + left == lines
    assert sum(line != "" for line in left) == min(count, full)
    assert not left or left[0]


LIST = """
apiVersion: v3.1.0
kind: DataContract
id: silver.shop.list
version: 1.0.0
status: active
servers:
  - server: list
    type: local
    path: "shop/list/*.csv"
    format: csv
    customProperties:
      - {property: header, value: auto}
      - {property: skipFooter, value: 1}
schema:
  - name: list
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: name, logicalType: string}
"""


def test_a_run_notes_what_it_left_out_of_which_file(lake: Lake) -> None:
    lake.write("silver/shop/list.yaml", LIST)
    for day in range(1, 6):
        lake.land(f"shop/list/{day}.csv", f"Report of {day}\nid,name\n{day},x\nTotal {day},\n")
    step = lake.step(lake.good(), "bronze.shop.list")
    assert lake.rows("SELECT id, name FROM silver.shop.list ORDER BY id") == [(day, "x") for day in range(1, 6)]
    assert (step.notes or "").splitlines() == [
        "the header is line 2 in shop/list/1.csv, shop/list/2.csv, shop/list/3.csv, ...",
        '1 lines above the header left out of shop/list/1.csv ("Report of 1"), shop/list/2.csv ("Report of 2"), '
        'shop/list/3.csv ("Report of 3"), ...',
        '1 lines at the end left out of shop/list/1.csv ("Total 1,"), shop/list/2.csv ("Total 2,"), '
        'shop/list/3.csv ("Total 3,"), ...',
    ]
    assert lake.step(lake.good(), "bronze.shop.list").files == 0


def test_a_title_row_above_a_workbook_s_table_is_told_with_the_row_to_write(engine: DuckEngine, tmp_path: Path) -> None:
    for feed, path in both(tmp_path, TABLE[:6])[1:]:
        with pytest.raises(DataError) as refused:
            readers.read(engine, feed, path)
        assert str(refused.value.fix).startswith("write `header: 4` in ")


def test_the_note_is_not_longer_than_a_line() -> None:
    assert len(headers.shortened(["x" * 150, "y" * 150])) == 200
    assert json.dumps(headers.shortened([" a ", "", "b"])) == '"a | b"'
