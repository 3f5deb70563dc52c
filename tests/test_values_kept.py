"""A value that lands comes out as it went in, or its line is turned away with the reason; never as another value.

Held for CSV and JSON by both readers, over drawn values, and over a table that is polluted in the ways that a survey
of files in the field found (Vitagliano et al., "Pollock: A Data Loading Benchmark", VLDB 2023).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.bronze import readers
from src.contract import Feed
from src.engine import DuckEngine, identifier
from src.errors import DataError

CSV = Feed("shop", "orders", "shop/orders/*.csv", "csv")
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=1, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def taken(engine: DuckEngine, rows: readers.Rows) -> list[Row]:
    """Values, _reject and _raw of every row, in file order."""
    names = ", ".join([*map(identifier, rows.columns), "_reject", "_raw"])
    try:
        return engine.rows(f"SELECT {names} FROM ({rows.sql}) ORDER BY _row")
    finally:
        for name in rows.streams:
            engine.unstream(name)


def kept(engine: DuckEngine, feed: Feed, path: Path) -> tuple[tuple[str, ...], list[Row]] | None:
    """The columns and rows of a file; None where it is refused. What the fast reader takes, the careful one takes so.

    The fast one may say that it cannot: by an error, or by lines that it puts aside or marks.
    """
    try:
        careful = readers.read_carefully(engine, feed, path)
        rows = taken(engine, careful)
    except DataError:
        rows = None
    try:
        fast = readers.read(engine, feed, path)
        found = taken(engine, fast)
    except DataError:
        engine.take_rejects()
        return None if rows is None else (careful.columns, rows)
    marked = any(row[-2] == readers.UNPROVEN for row in found)
    if not engine.take_rejects() and not marked and not (found == [] and b"\r" in path.read_bytes()):
        assert rows is not None and fast.columns == careful.columns and found == rows
    return None if rows is None else (careful.columns, rows)


# -- drawn values

ODD = [
    '"',
    '""',
    "'",
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\\",
    "",
    "\u00a0",
    "\u2028",
    "\x0b",
    "\x1f",
    "ß",
    "🚲",
    "\ufeff",
]
WORDS = [
    *["NULL", "null", "None", "nan", "NaN", "inf", "-inf", "N/A", "\\N", "true", "False", "yes"],
    *["007", "+1", "-0", "0.10", "1e400", "1E5", "0x10", "1_000", "9" * 60, ".5", "5.", "1,5", "٣"],
    *["2024-02-30", "00:00", "{}", "[1, 2]", '{"a": 1.0}', "=1+1", "#", "# x", "--"],
]
VALUES = st.one_of(
    st.sampled_from(WORDS), st.lists(st.sampled_from([*ODD, *WORDS]), max_size=5).map("".join), st.text(max_size=8)
)
NO_NUL = VALUES.filter(lambda text: "\0" not in text)
TABLES = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[NO_NUL] * width), max_size=6))
DRAWN = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,
)


def quoted_always(value: str, feed: Feed) -> str:
    return feed.quote + value.replace(feed.quote, feed.quote * 2) + feed.quote


def never_quoted(value: str, feed: Feed) -> str:
    return value


def quoted_as_excel_does(value: str, feed: Feed) -> str:
    odd = any(mark in value for mark in (feed.quote, feed.delimiter, "\n", "\r")) or value[:1] == " "
    return quoted_always(value, feed) if odd else value


@DRAWN
@given(
    table=TABLES,
    delimiter=st.sampled_from(",;\t|"),
    quote=st.sampled_from("\"'"),
    end=st.sampled_from(["\n", "\r\n"]),
    write=st.sampled_from([quoted_always, quoted_as_excel_does]),
    last=st.booleans(),
)
def test_a_csv_value_written_by_the_rules_comes_out_as_it_went_in(
    engine: DuckEngine, tmp_path: Path, table: list[Row], delimiter: str, quote: str, end: str, write: Any, last: bool
) -> None:
    feed = replace(CSV, delimiter=delimiter, quote=quote, escape=quote)
    width = len(table[0]) if table else 1
    names = tuple("abc"[:width])
    lines = [delimiter.join(write(value, feed) for value in row) for row in [names, *table]]
    path = tmp_path / "1.csv"
    path.write_bytes((end.join(lines) + (end if last else "")).encode())
    found = kept(engine, feed, path)
    assert found is not None and found[0] == names
    if width == 1 and table and not last and lines[-1] == "":
        table = table[:-1]  # no line is left of an empty value that ends the file
    assert found[1] == [(*row, None, None) for row in table]


@DRAWN
@given(
    table=TABLES, delimiter=st.sampled_from([",", ";", "\t", "|", " ", "||"]), end=st.sampled_from(["\n", "\r\n", "\r"])
)
def test_a_csv_value_written_without_a_rule_comes_out_as_it_went_in_or_is_turned_away_or_was_two(
    engine: DuckEngine, tmp_path: Path, table: list[Row], delimiter: str, end: str
) -> None:
    """Nothing is quoted: a value that holds a mark is another text to any reader; one without comes out as it is."""
    feed = replace(CSV, delimiter=delimiter)
    width = len(table[0]) if table else 1
    rows = [row for row in table if any(row) or width == 1]
    path = tmp_path / "1.csv"
    path.write_bytes(end.join(delimiter.join(row) for row in [tuple("abc"[:width]), *rows, ()]).encode())
    found = kept(engine, feed, path)
    marks = (*delimiter, '"', "\n", "\r")
    if found is None or any(mark in value for row in rows for value in row for mark in marks):
        return
    assert found[1] == [(*row, None, None) for row in rows]


@settings(DRAWN, max_examples=50)
@given(
    table=TABLES,
    spaced=st.booleans(),
    ascii=st.booleans(),
    form=st.sampled_from(["json", "ndjson"]),
    copies=st.sampled_from([1, 900]),
)
def test_a_json_value_comes_out_as_it_went_in(
    engine: DuckEngine, tmp_path: Path, table: list[Row], spaced: bool, ascii: bool, form: str, copies: int
) -> None:
    marks = (", ", ": ") if spaced else (",", ":")
    objects = [dict(zip(("", "b", "ç"), row, strict=False)) for row in table * copies]
    texts = [json.dumps(row, ensure_ascii=ascii, separators=marks) for row in objects]
    path = tmp_path / "1.json"
    path.write_bytes(("[" + ",\n".join(texts) + "]" if form == "json" else "\n".join(texts)).encode())
    found = kept(engine, replace(CSV, format=form), path)
    assert found is not None
    assert found[1] == [(*row, None, None) for row in table * copies]


# -- a polluted table

NAMES = ("day", "time", "qty", "product", "text", "comment")
TABLE = [
    ("01/06/2018", "00:15", "2", "MG-8769", 'Table, Round 48"', ""),
    ("02/06/2018", "01:15", "0", "RI-3895", "Men's boots; light", ""),
    ("03/06/2018", "02:15", "1", "ZN-4103", "two\r\nlines", ""),
    ("04/06/2018", "03:15", "3", "AN-2099", "Socks", ""),
]


def pollutions(every: bool) -> Iterator[tuple[str, str]]:
    """One error in the table, by its kind; `every` value is quoted, or only those that need it."""
    feed = CSV

    def cell(value: str) -> str:
        return quoted_always(value, feed) if every and value else quoted_as_excel_does(value, feed)

    cells = [[cell(value) for value in row] for row in [NAMES, *TABLE]]
    lines = [",".join(row) for row in cells]

    def text(rows: Sequence[Sequence[str]]) -> str:
        return "".join(",".join(row) + "\r\n" for row in rows)

    for at, row in enumerate(cells):
        above, below = cells[:at], cells[at + 1 :]
        for place in range(len(NAMES)):
            yield "a delimiter too many", text([*above, [*row[:place], "", *row[place:]], *below])
            yield "a quote too many", text([*above, [*row[:place], '"' + row[place], *row[place + 1 :]], *below])
            yield "a quote at the end", text([*above, [*row[:place], row[place] + '"', *row[place + 1 :]], *below])
            if place:
                joined = row[place - 1] + row[place]
                yield "a delimiter missing", text([*above, [*row[: place - 1], joined, *row[place + 1 :]], *below])
        for mark in (" ", ";", "\t"):
            yield "another delimiter", text([*above, [mark.join(row)], *below])
        if at:
            yield "another escape", text([*above, [value.replace('""', '\\"') for value in row], *below])
            yield "fewer values", text([*above, row[:3], *below])
            yield "more values", text([*above, [*row, "x", "y"], *below])
            yield "another line end", "\r\n".join(lines[:at]) + "\n" + "\r\n".join(lines[at:]) + "\r\n"
            yield "a blank line", text([*above, [""], row, *below])
    yield "no line end", text(cells)[:-2]
    yield "nothing", ""
    yield "a header alone", text(cells[:1])
    yield "a row alone", text(cells[:2])
    yield "a preamble", text([["As of June"], *cells])
    yield "a footnote", text([*cells, ["* estimated"]])
    yield "a narrower table below", text([*cells, *(row[:4] for row in cells)])
    yield "a wider table below", text([*cells, *([*row, "z"] for row in cells)])
    for end in ("\n", "\r"):
        yield "line ends of another kind", text(cells).replace("\r\n", end)
    for mark in (";", "\t", "|"):
        yield "delimiters of another kind", text([[mark.join(row)] for row in cells])


@pytest.mark.parametrize("every", [True, False])
def test_of_a_polluted_table_each_row_is_right_or_turned_away(engine: DuckEngine, tmp_path: Path, every: bool) -> None:
    path = tmp_path / "1.csv"
    moved: dict[str, int] = {}
    for kind, content in pollutions(every):
        path.write_bytes(content.encode())
        found = kept(engine, CSV, path)
        if found is None:
            continue
        columns, rows = found
        end = "\r\n" if "\r\n" in content else content[-1:]
        right = {tuple(value.replace("\r\n", end) for value in row) for row in TABLE}
        values = [row[:-2] for row in rows if row[-2] is None]
        if any(columns != NAMES or row not in right for row in values):
            moved[kind] = moved.get(kind, 0) + 1
        taken_or_raw = len(values) + sum(raw is not None for *_, raw in rows)
        assert taken_or_raw == len(rows)
    # no reader can know: as the last column is empty, a header short of a delimiter is that of lines that end with one
    assert moved == {"a delimiter missing": len(NAMES) - 1}
