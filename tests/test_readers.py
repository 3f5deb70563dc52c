"""Readers: a landed file becomes rows of text exactly as they arrived, and nothing of it is lost."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.bronze import readers
from src.bronze.readers import files
from src.contract import Feed
from src.engine import DuckEngine, identifier
from src.errors import ContractError, DataError, MachineError

CSV = Feed("shop", "orders", "shop/orders/*.csv", "csv")
NDJSON = replace(CSV, format="ndjson")
JSON = replace(CSV, format="json")
PARQUET = replace(CSV, format="parquet")
XLSX = replace(CSV, format="xlsx")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def land(folder: Path, content: str | bytes, name: str = "1.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def taken(engine: DuckEngine, rows: readers.Rows) -> list[tuple[Any, ...]]:
    """Values, _row, _reject and _raw of every row, in file order."""
    names = ", ".join([*map(identifier, rows.columns), "_row", "_reject", "_raw"])
    try:
        return engine.rows(f"SELECT {names} FROM ({rows.sql}) ORDER BY _row")
    finally:
        for name in rows.streams:
            engine.unstream(name)


def values(engine: DuckEngine, feed: Feed, path: Path) -> list[tuple[Any, ...]]:
    """The values of a file that has no rejects; both ways must give the same rows, numbered without a gap."""
    careful = readers.read_carefully(engine, feed, path)
    rows = taken(engine, careful)
    for read in readers.ways(feed)[:-1]:
        fast = read(engine, feed, path)
        found = taken(engine, fast)
        marked = read is readers.read and any(row[-2] == readers.UNPROVEN for row in found)
        assert marked or (fast.columns == careful.columns and found == rows)
    assert engine.take_rejects() == []
    assert [row[-3:] for row in rows] == [(number, None, None) for number in range(1, len(rows) + 1)]
    return [row[:-3] for row in rows]


def rejects(engine: DuckEngine, feed: Feed, path: Path) -> list[tuple[Any, ...]]:
    """What `read_carefully` gives, after the fast way has given the same or has told that it cannot."""
    rows = taken(engine, readers.read_carefully(engine, feed, path))
    assert any(row[-2] for row in rows)
    try:
        fast = taken(engine, readers.read(engine, feed, path))
    except DataError:
        fast = []
    assert engine.take_rejects() or fast in ([], rows) or any(row[-2] == readers.UNPROVEN for row in fast)
    return rows


def refusal(engine: DuckEngine, feed: Feed, path: Path) -> str:
    """What a file is refused for, by both ways alike."""
    for read in (readers.read, readers.read_carefully):
        with pytest.raises((DataError, ContractError, MachineError)) as refused:
            read(engine, feed, path)
        assert refused.value.where
    return refused.value.what


# -- CSV: what is kept


def test_every_value_is_kept_exactly_as_it_arrived(engine: DuckEngine, tmp_path: Path) -> None:
    content = 'id,value\n007,"1,234.50"\n1e400,NaN\nNULL,\\N\n 1 ,5 pipe\n"",\n"a ""b""","x\r\ny"\nñ,日本 🚲\n'
    path = land(tmp_path, content)
    assert readers.read(engine, CSV, path).columns == ("id", "value")
    assert values(engine, CSV, path) == [
        ("007", "1,234.50"),
        ("1e400", "NaN"),
        ("NULL", "\\N"),
        (" 1 ", "5 pipe"),
        ("", ""),
        ('a "b"', "x\r\ny"),
        ("ñ", "日本 🚲"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_end_will_do_and_the_last_may_be_missing(
    engine: DuckEngine, tmp_path: Path, end: str, last: bool
) -> None:
    content = end.join(["a,b", "1,2", "", '3,"x' + end + 'y"']) + (end if last else "")
    assert values(engine, CSV, land(tmp_path, content)) == [("1", "2"), ("3", "x" + end + "y")]


def test_mixed_line_ends_are_read_as_line_ends(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, "a,b\n1,2\r\n3,4\r5,6\n")
    rows = taken(engine, readers.read_carefully(engine, CSV, path))
    assert [row[:2] for row in rows] == [("1", "2"), ("3", "4"), ("5", "6")]
    with pytest.raises(DataError):  # the engine says that it cannot
        taken(engine, readers.read(engine, CSV, path))
    assert values(engine, CSV, land(tmp_path, "a\n1\r\n2\n\n")) == [("1",), ("2",), ("",)]


def test_blank_lines_are_no_records_except_where_there_is_one_column(engine: DuckEngine, tmp_path: Path) -> None:
    assert values(engine, CSV, land(tmp_path, "\n\na,b\n\n1,2\n\n")) == [("1", "2")]
    assert values(engine, CSV, land(tmp_path, "a\n1\n\n2\n")) == [("1",), ("",), ("2",)]


def test_blanks_around_a_quoted_value_are_no_part_of_it(engine: DuckEngine, tmp_path: Path) -> None:
    assert values(engine, CSV, land(tmp_path, 'a,b\n "x" ,y\n1, "z"\n')) == [("x", "y"), ("1", "z")]


@pytest.mark.parametrize("header", ["a,b", "a,b,", '"a","b",'])
@pytest.mark.parametrize("body", ["1,2,\n3,,\n", "\n1,2,\n\n3,,", '"1","2",""\r\n3,"",\r\n'])
def test_an_empty_value_that_every_line_ends_with_is_the_exporter_s_and_dropped(
    engine: DuckEngine, tmp_path: Path, header: str, body: str
) -> None:
    path = land(tmp_path, header + ("\r\n" if "\r" in body else "\n") + body)
    assert readers.read(engine, CSV, path).columns == ("a", "b")
    assert values(engine, CSV, path) == [("1", "2"), ("3", "")]
    assert readers.read(engine, CSV, land(tmp_path, header + "\n")).columns == ("a", "b")


def test_an_empty_value_that_only_some_lines_end_with_is_a_value_that_moved(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, "id,qty,price,note\n1,2,10.00,\n2,,3,20.00,\n3,4,30.00,x\n")
    assert rejects(engine, CSV, path) == [
        ("1", "2", "10.00", "", 1, None, None),
        (None, None, None, None, 2, "expected 4 values, found 5, the last one empty", "2,,3,20.00,"),
        ("3", "4", "30.00", "x", 3, None, None),
    ]
    for first in ("1,2,", "1,2"):  # whatever the first line says of the others
        found = rejects(engine, CSV, land(tmp_path, f"a,b\n{first}\n3,4,,\n5,6,x\n"))
        assert [row[-2] for row in found] == [
            "expected 2 values, found 3, the last one empty" if first == "1,2," else None,
            "expected 2 values, found 4, the last one empty",
            "expected 2 values, found 3",
        ]
    path = land(tmp_path, "a,b,\n1,2,\n3,4,x\n")
    with pytest.raises(DataError, match="a value behind the last column"):
        taken(engine, readers.read(engine, CSV, path))
    with pytest.raises(DataError, match="column 3 has no name"):
        readers.read_carefully(engine, CSV, path)


def test_the_first_column_may_have_no_name_as_a_data_frame_s_index(engine: DuckEngine, tmp_path: Path) -> None:
    for header in (",id,qty", '"",id,qty'):
        path = land(tmp_path, header + "\n0,1,2\n")
        assert readers.read(engine, CSV, path).columns == ("_unnamed", "id", "qty")
        assert values(engine, CSV, path) == [("0", "1", "2")]
    assert "column _unnamed twice" in refusal(engine, CSV, land(tmp_path, ",_unnamed\n0,1\n"))


def test_header_names_are_trimmed_and_keep_their_order(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, '\ufeff "b" , A a,it\'s,"q""q"\n1,2,3,4\n')
    assert readers.read(engine, CSV, path).columns == ("b", "A a", "it's", 'q"q')
    assert values(engine, CSV, path) == [("1", "2", "3", "4")]


def test_a_header_may_span_lines(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, 'a,"b\nc"\n1,2\n')
    assert readers.read(engine, CSV, path).columns == ("a", "b\nc")
    assert values(engine, CSV, path) == [("1", "2")]


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({"delimiter": ";"}, 'a;b\n"1;2";3,4\n'),
        ({"delimiter": "\t", "quote": "'", "escape": "'"}, "a\tb\n'1;2'\t3,4\n"),
        ({"delimiter": "||"}, 'a||b\n"1;2"||3,4\n'),
        ({"quote": "", "escape": "", "delimiter": "|"}, "a|b\n1;2|3,4\n"),
        ({"escape": "\\"}, 'a,b\n"1;2","3,4"\n'),
        ({"delimiter": " "}, 'a b\n"1;2" 3,4\n'),
        ({"header": False, "columns": ("a", "b")}, '1;2,"3,4"\n'),
    ],
)
def test_the_contract_says_how_values_are_marked(
    engine: DuckEngine, tmp_path: Path, options: dict[str, Any], content: str
) -> None:
    feed = replace(CSV, **options)
    path = land(tmp_path, content)
    assert readers.read(engine, feed, path).columns == ("a", "b")
    assert values(engine, feed, path) == [("1;2", "3,4")]


def test_an_escape_other_than_the_quote_is_taken_away(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, 'a,b\n"x \\"y\\" \\\\",\\z\n"1\\\n2",3\n')
    assert values(engine, replace(CSV, escape="\\"), path) == [('x "y" \\', "\\z"), ("1\n2", "3")]


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-8", "a,b\nß,€\n".encode()),
        ("utf-8", "a,b\nß,€\n".encode("utf-8-sig")),
        ("UTF8", "a,b\nß,€\n".encode()),
        ("cp1252", "a,b\nß,€\n".encode("cp1252")),
        ("iso-8859-15", "a,b\nß,€\n".encode("iso-8859-15")),
        ("utf-16", "a,b\nß,€\n".encode("utf-16")),
        ("utf-16-be", "\ufeffa,b\nß,€\n".encode("utf-16-be")),
    ],
)
def test_text_is_decoded_as_the_contract_says_and_a_byte_order_mark_dropped(
    engine: DuckEngine, tmp_path: Path, encoding: str, content: bytes
) -> None:
    path = land(tmp_path, content)
    assert readers.read(engine, replace(CSV, encoding=encoding), path).columns == ("a", "b")
    assert values(engine, replace(CSV, encoding=encoding), path) == [("ß", "€")]


def test_a_field_of_ten_megabytes_is_read(engine: DuckEngine, tmp_path: Path) -> None:
    long = "x,y" * 3_500_000
    path = land(tmp_path, f'a,b\n1,"{long}"\n2,short\n')
    rows = taken(engine, readers.read_carefully(engine, CSV, path))
    assert rows == [("1", long, 1, None, None), ("2", "short", 2, None, None)]
    assert taken(engine, readers.read(engine, CSV, path)) == [("2", "short", 1, None, None)]
    assert [reject.line for reject in engine.take_rejects()] == [2]  # the engine says that the line is too long for it


def test_a_path_stands_for_its_file_alone(engine: DuckEngine, tmp_path: Path) -> None:
    folder = tmp_path / "day=1"
    folder.mkdir()
    land(folder, "a\nother\n", "x1.csv")
    for name in ("x[1].csv", "x*.csv", "x?.csv", "it's.csv", "x y,ñ.csv"):
        assert values(engine, CSV, land(folder, "a\nthis\n", name)) == [("this",)]


# -- CSV: what is rejected


def test_short_and_long_lines_are_rejected_with_what_was_expected(engine: DuckEngine, tmp_path: Path) -> None:
    assert rejects(engine, CSV, land(tmp_path, "a,b\n1,2\n3\n4,5,6\n7,8\n")) == [
        ("1", "2", 1, None, None),
        (None, None, 2, "expected 2 values, found 1", "3"),
        (None, None, 3, "expected 2 values, found 3", "4,5,6"),
        ("7", "8", 4, None, None),
    ]


def test_a_quote_that_never_closes_costs_its_own_line_only(engine: DuckEngine, tmp_path: Path) -> None:
    assert rejects(engine, CSV, land(tmp_path, 'a,b\n1,"x\n2,y\n3,"z\nz"\n4,"\n')) == [
        (None, None, 1, "a quoted value is followed by other text", '1,"x'),
        ("2", "y", 2, None, None),
        ("3", "z\nz", 3, None, None),
        (None, None, 4, "a quote is never closed", '4,"'),
    ]


def test_text_after_a_closing_quote_costs_its_own_line_only(engine: DuckEngine, tmp_path: Path) -> None:
    assert rejects(engine, CSV, land(tmp_path, 'a,b\n"x"y,2\n"a" "b",2\n3,4\n')) == [
        (None, None, 1, "a quoted value is followed by other text", '"x"y,2'),
        (None, None, 2, "a quoted value is followed by other text", '"a" "b",2'),
        ("3", "4", 3, None, None),
    ]


def test_a_quote_inside_an_unquoted_value_costs_its_own_line_only(engine: DuckEngine, tmp_path: Path) -> None:
    """A delimiter is missing before a quoted value that holds one: as many values as columns, and all of them wrong."""
    lines = ['1,10.00"Table, round",x', '2,5" pipe,a,b', '3,4",6",b', '4,  "x",a,b', '5,a,b,c"', '6, "x" ,a,b']
    assert [
        row[4:] for row in rejects(engine, CSV, land(tmp_path, "id,price,name,note\n" + "\n".join(lines) + "\n"))
    ] == [
        *[(number, "a quote inside an unquoted value", line) for number, line in enumerate(lines[:5], 1)],
        (6, None, None),
    ]
    unquoted = replace(CSV, quote="", escape="")
    assert values(engine, unquoted, land(tmp_path, 'a,b\n5" pipe,"x"\n')) == [('5" pipe', '"x"')]


def test_what_is_no_text_is_rejected_and_kept_legible(engine: DuckEngine, tmp_path: Path) -> None:
    assert rejects(engine, CSV, land(tmp_path, b"a,b\n1,2\xff\n3,\0\n4,\xc3\xa9\n")) == [
        (None, None, 1, "not valid utf-8 (byte 0xff at character 4)", "1,2\\xff"),
        (None, None, 2, "NUL byte at character 3", "3,\\x00"),
        ("4", "é", 3, None, None),
    ]
    feed = replace(CSV, encoding="cp1252")
    assert rejects(engine, feed, land(tmp_path, b"a,b\n1,\x81\n2,\x80\n")) == [
        (None, None, 1, "not valid cp1252 (byte 0x81 at character 3)", "1,\\x81"),
        ("2", "€", 2, None, None),
    ]
    feed = replace(CSV, encoding="utf-16")
    assert rejects(engine, feed, land(tmp_path, "a,b\n1,2\n".encode("utf-16") + b"3")) == [
        ("1", "2", 1, None, None),
        (None, None, 2, "not valid utf-16 (byte 0x33 at character 1)", "\\x33"),
    ]


def test_nul_alone_sends_a_file_the_careful_way(engine: DuckEngine, tmp_path: Path) -> None:
    rows = readers.read(engine, CSV, land(tmp_path, b"a,b\n1,2\n3,\0\n"))
    assert [row[-2] for row in taken(engine, rows)] == [None, "NUL byte at character 3"]


def test_no_line_is_lost_whatever_the_file_holds(engine: DuckEngine, tmp_path: Path) -> None:
    chance = random.Random(7)
    marks = [b"a", b",", b'"', b'""', b"\n", b"\r\n", b" ", b"\xff", b"\0", "é".encode()]
    for _ in range(200):
        body = b"".join(chance.choices(marks, k=60))
        rows = taken(engine, readers.read_carefully(engine, CSV, land(tmp_path, b"x,y\n" + body)))
        assert [row[2] for row in rows] == list(range(1, len(rows) + 1))
        kept = "".join("".join(filter(None, (row[0], row[1], row[4]))) for row in rows)
        assert kept.count("a") == body.count(b"a")
        assert kept.count("é") == body.count("é".encode())
        assert kept.count("\\xff") == body.count(b"\xff")
        assert kept.count("\\x00") == body.count(b"\0")


# -- CSV: both ways agree


def agree(engine: DuckEngine, feed: Feed, path: Path, *, blocks: str = "") -> bool:
    """Whether the fast way gave rows: then they are the careful ones. It may always say that it cannot."""
    careful = taken(engine, readers.read_carefully(engine, feed, path))
    fast = readers.read(engine, feed, path)
    try:
        rows = taken(engine, replace(fast, sql=fast.sql.replace("parallel = false", "parallel = false" + blocks)))
    except DataError:
        rows = []
    if engine.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'") and engine.take_rejects():
        return False
    assert rows == careful or (rows == [] and b"\r" in path.read_bytes()), path.read_bytes()
    return rows == careful


@pytest.mark.parametrize("header", ["a,b\n", "a\n"])
def test_both_ways_agree_on_every_short_file(engine: DuckEngine, tmp_path: Path, header: str) -> None:
    bodies = ["".join(marks) for count in range(5) for marks in itertools.product('x," \n', repeat=count)]
    chosen = random.Random(1).sample(bodies, 200)
    assert sum(agree(engine, CSV, land(tmp_path, header + body)) for body in chosen) > 30


def test_both_ways_agree_on_long_files_wherever_the_engine_cuts_them(engine: DuckEngine, tmp_path: Path) -> None:
    """The engine reads in blocks; tiny ones put a cut into every kind of place."""
    chance = random.Random(2)
    plain = ["", "x", "5' pipe", "a b", " lead", "trail ", "été", '""', ' "q" ', '"b"']
    inner = ["a", '""', ",", "\n", "é", '""\n', ",\n1,2", '\n""', "xxxxxxxxxxxxxx"]
    for number in range(20):
        width = chance.choice([1, 2, 3])
        lines = ["a,b,c"[: 2 * width - 1]]
        for _ in range(300):
            quoted = ['"' + "".join(chance.choices(inner, k=chance.randrange(8))) + '"' for _ in range(width)]
            lines.append(",".join(chance.choice([chance.choice(plain), value]) for value in quoted))
        end = "\r\n" if number % 4 == 0 and width > 1 else "\n"
        path = land(tmp_path, end.join(lines).replace("\n", end) if end == "\n" else end.join(lines))
        assert agree(engine, CSV, path, blocks=f", max_line_size = 3000, buffer_size = {6000 + number}")


def test_row_numbers_are_those_of_the_file_in_a_union_of_many(engine: DuckEngine, tmp_path: Path) -> None:
    selects: list[str] = []
    streams: list[str] = []
    for number in range(6):
        path = land(tmp_path, "a,b\n" + "".join(f"{row},{number}\n" for row in range(1, 30_001)), f"{number}.csv")
        rows = (readers.read_carefully if number % 2 else readers.read)(engine, CSV, path)
        selects.append(rows.sql)
        streams += rows.streams
    target = tmp_path / "all.parquet"
    engine.execute(f"COPY ({' UNION ALL '.join(selects)}) TO '{target}'")
    for stream in streams:
        engine.unstream(stream)
    assert engine.rows(
        f"SELECT b, count(*), count(DISTINCT _row) FROM '{target}' WHERE a = _row GROUP BY b ORDER BY b"
    ) == [(str(number), 30_000, 30_000) for number in range(6)]


# -- CSV: what is refused whole


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("a,,c\n1,2,3\n", 'column 2 has no name; the header is ["a", "", "c"]'),
        ("a,b,\n1,2\n", 'column 3 has no name; the header is ["a", "b", ""]'),
        ("a,,\n1,,\n", 'column 2 has no name; the header is ["a", ""]'),
        ("Id,name, ID\n1,2,3\n", 'column ID twice; the header is ["Id", "name", "ID"]'),
        ("a,_ROW\n1,2\n", 'system column _ROW in the file; the header is ["a", "_ROW"]'),
        ("a;b;c\n1;2;3\n", 'the header has 1 column "a;b;c", the delimiter is ","'),
        ('id;"v"\n1;a\n', 'the header has 1 column "id;\\"v\\"", the delimiter is ","'),
        ('"id";"v"\n1;a\n', 'the header has 1 column "\\"id\\";\\"v\\"", the delimiter is ","'),
        ('id,v"x\n1,a\n', "the header cannot be read: a quote inside an unquoted value"),
        ("a\tb\n1\t2\n", 'the header has 1 column "a\\tb", the delimiter is ","'),
        ('a,"b\n1,2\n', "the header cannot be read: a quote is never closed"),
        ("a\0,b\n1,2\n", "the header cannot be read: NUL byte at character 2"),
        (b"a\xff,b\n1,2\n", "the header cannot be read: not valid utf-8 (byte 0xff at character 2)"),
    ],
)
def test_a_header_that_cannot_be_trusted_refuses_the_file(
    engine: DuckEngine, tmp_path: Path, content: str | bytes, what: str
) -> None:
    assert refusal(engine, CSV, land(tmp_path, content)) == what


def test_a_column_of_one_s_own_may_begin_with_an_underscore(engine: DuckEngine, tmp_path: Path) -> None:
    assert values(engine, CSV, land(tmp_path, "_id,_files\n1,2\n")) == [("1", "2")]


def test_a_wrong_delimiter_is_told_with_the_right_one(engine: DuckEngine, tmp_path: Path) -> None:
    feed = replace(CSV, declared_in=Path("src/silver/shop/orders.yaml"))
    with pytest.raises(DataError) as refused:
        readers.read(engine, feed, land(tmp_path, "a;b\n1;2\n"))
    assert refused.value.fix == 'set delimiter ";" in src/silver/shop/orders.yaml, or correct the file'
    assert values(engine, CSV, land(tmp_path, '"a;b"\n1\n')) == [("1",)]


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n", "\ufeff\r\n"])
def test_an_empty_file_has_no_columns_and_no_rows(engine: DuckEngine, tmp_path: Path, content: str) -> None:
    path = land(tmp_path, content)
    assert readers.read(engine, CSV, path).columns == ()
    assert values(engine, CSV, path) == []


@pytest.mark.parametrize("content", ["a,b", "a,b\n", "a,b\r\n\r\n"])
def test_a_header_alone_gives_columns_and_no_rows(engine: DuckEngine, tmp_path: Path, content: str) -> None:
    path = land(tmp_path, content)
    assert readers.read(engine, CSV, path).columns == ("a", "b")
    assert values(engine, CSV, path) == []


def test_an_encoding_nobody_knows_is_the_contract_s_error(engine: DuckEngine, tmp_path: Path) -> None:
    for name in ("utf-9", "rot13"):
        feed = replace(CSV, encoding=name)
        assert refusal(engine, feed, land(tmp_path, "a,b\n")) == f'unknown encoding "{name}"'


def test_a_file_without_the_byte_order_mark_its_encoding_needs_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, "a,b\n1,2\n".encode("utf-16-le"))
    assert "does not start with BOM" in refusal(engine, replace(CSV, encoding="utf-16"), path)


@pytest.mark.parametrize("feed", [CSV, NDJSON, JSON], ids=lambda feed: feed.format)
@pytest.mark.parametrize(
    ("written", "said", "what"),
    [
        ("utf-16", "utf-8", "the file begins with the byte order mark of utf-16, the contract says utf-8"),
        ("utf-32", "utf-8", "the file begins with the byte order mark of utf-32, the contract says utf-8"),
        ("utf-8-sig", "cp1252", "the file begins with the byte order mark of utf-8, the contract says cp1252"),
        ("utf-16-le", "utf-8", "every second byte is NUL, as in utf-16-le; the contract says utf-8"),
        ("utf-16-be", "latin-1", "every second byte is NUL, as in utf-16-be; the contract says latin-1"),
    ],
)
def test_a_file_in_another_encoding_than_the_contract_says_is_refused_with_its_name(
    engine: DuckEngine, tmp_path: Path, feed: Feed, written: str, said: str, what: str
) -> None:
    content = {"csv": "a,b\n1,2\n", "ndjson": '{"a":1}\n' * 5_000, "json": '[{"a":1}]'}[feed.format]
    path = land(tmp_path, content.encode(written))
    assert refusal(engine, replace(feed, encoding=said), path) == what
    assert taken(engine, readers.read(engine, replace(feed, encoding=written), path))[0][0] == "1"


def test_a_directory_or_a_pipe_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    os.mkfifo(tmp_path / "y.csv")
    for feed in (CSV, NDJSON, JSON, PARQUET, XLSX):
        assert refusal(engine, feed, tmp_path / "x.csv") == "a directory, not a file"
        assert refusal(engine, feed, tmp_path / "y.csv") == "a device or pipe, not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("feed", [CSV, NDJSON, JSON, PARQUET, XLSX], ids=lambda feed: feed.format)
def test_a_file_nobody_may_read_is_told_as_such(engine: DuckEngine, tmp_path: Path, feed: Feed) -> None:
    path = land(tmp_path, "a,b\n1,2\n")
    path.chmod(0)
    assert refusal(engine, feed, path) == "permission denied"


# -- packed files


def packed(kind: str, content: bytes) -> bytes:
    import pyarrow as pa

    return gzip.compress(content) if kind == "gz" else bytes(pa.compress(content, codec="zstd", asbytes=True))


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_packed_files_are_read_like_others(engine: DuckEngine, tmp_path: Path, kind: str) -> None:
    content = packed(kind, b"a,b\n1,2\n") + packed(kind, b"3,4\n")  # files may be packed in parts
    assert values(engine, CSV, land(tmp_path, content, f"1.csv.{kind}")) == [("1", "2"), ("3", "4")]
    path = land(tmp_path, packed(kind, b"a,b\n1\n2,3\n"), f"1.csv.{kind}")
    assert rejects(engine, CSV, path)[0] == (None, None, 1, "expected 2 values, found 1", "1")
    assert values(engine, NDJSON, land(tmp_path, packed(kind, b'{"a":1}\n'), f"1.json.{kind}")) == [("1",)]
    assert values(engine, JSON, land(tmp_path, packed(kind, b'[{"a":1}]'), f"2.json.{kind}")) == [("1",)]


@pytest.mark.parametrize("feed", [CSV, NDJSON, JSON], ids=lambda feed: feed.format)
@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_damaged_packed_file_is_refused_whole(engine: DuckEngine, tmp_path: Path, feed: Feed, kind: str) -> None:
    chance = random.Random(3)
    rows = [{"a": str(chance.random()), "b": str(row)} for row in range(20_000)]
    text = {
        "csv": "a,b\n" + "".join(f"{row['a']},{row['b']}\n" for row in rows),
        "ndjson": "".join(json.dumps(row) + "\n" for row in rows),
        "json": json.dumps(rows),
    }[feed.format]
    whole = packed(kind, text.encode())
    flipped = bytearray(whole)
    flipped[-6] ^= 0xFF  # in gzip the checksum
    for damaged in (whole[: len(whole) // 2], whole[:-1], whole[:3], b"a,b\n1,2\n", *[bytes(flipped)] * (kind == "gz")):
        assert "damaged" in refusal(engine, feed, land(tmp_path, damaged, f"1.csv.{kind}"))


@pytest.mark.parametrize("feed", [CSV, NDJSON, JSON], ids=lambda feed: feed.format)
@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_packed_file_that_unpacks_beyond_its_bound_is_refused(
    engine: DuckEngine, tmp_path: Path, feed: Feed, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ALWAYS_UNPACKED", 100_000)
    monkeypatch.setattr(files, "MOST_UNPACKED", 50)
    row = "x" * 99
    text = {"csv": "a\n" + f"{row}\n" * 9_000, "ndjson": f'{{"a":"{row}"}}\n' * 9_000}
    content = text.get(feed.format) or json.dumps([{"a": row}] * 9_000)
    path = land(tmp_path, packed(kind, content.encode()), f"1.csv.{kind}")
    assert len(content) > 50 * path.stat().st_size
    assert "unpacks to more than" in refusal(engine, feed, path)
    monkeypatch.setattr(files, "ALWAYS_UNPACKED", 2_000_000)
    assert len(values(engine, feed, path)) == 9_000


# -- what the tables read


READ = replace(CSV, reads=("amount", "day", "name"), declared_in=Path("src/silver/shop/orders.yaml"))


def test_a_header_below_title_rows_is_told_with_its_line(engine: DuckEngine, tmp_path: Path) -> None:
    titles = 'Report;;;\n"As of\n1 June";;;\n\n'
    path = land(tmp_path, titles + "Day;Name;Other;X\n2024-01-01;name;1;2\n")
    for read in (readers.read, readers.read_carefully):
        with pytest.raises(DataError) as refused:
            read(engine, replace(READ, delimiter=";"), path)
        assert refused.value.what == (
            'none of the columns that are read (amount, day, name) in the header, which is ["Report", "", "", ""]; '
            'line 5 looks like the header: ["Day", "Name", "Other", "X"]'
        )
        assert refused.value.fix == (
            "write `header: 5`, or `header: auto`, in src/silver/shop/orders.yaml; nothing of the file was taken"
        )


def test_a_file_without_one_column_that_is_read_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    what = 'none of the columns that are read (amount, day, name); the file has ["x", "y"]'
    assert refusal(engine, READ, land(tmp_path, "x,y\n1,2\n")) == what
    for count in (1, 3_000):
        assert refusal(engine, replace(READ, format="ndjson"), land(tmp_path, '{"x":1,"y":2}\n' * count)) == what
    assert refusal(engine, replace(READ, format="json"), land(tmp_path, '[{"x":1,"y":2}]')) == what
    assert "the delimiter is" in refusal(engine, READ, land(tmp_path, "day;name\n1;2\n"))
    assert values(engine, READ, land(tmp_path, "x, DAY\n1,2\n")) == [("1", "2")]
    assert values(engine, READ, land(tmp_path, "")) == []
    bare = replace(READ, header=False, columns=("x", "y"))
    assert values(engine, bare, land(tmp_path, "1,2\n")) == [("1", "2")]


# -- NDJSON and JSON


def test_json_values_are_kept_as_they_are_written(engine: DuckEngine, tmp_path: Path) -> None:
    content = (
        '{"n":1.10,"big":12345678901234567890123,"huge":1e400,"s":"a \\"b\\" \\u00e9\\n","t":true,"z":null}\n'
        '{"extra":"","n":-0.0,"o":{"y": 1.50, "x":[1, null, {"k":"é"}]},"l":[]}\n'
    )
    path = land(tmp_path, content)
    assert readers.read(engine, NDJSON, path).columns == ("n", "big", "huge", "s", "t", "z", "extra", "o", "l")
    expected = [
        ("1.10", "12345678901234567890123", "1e400", 'a "b" é\n', "true", None, None, None, None),
        ("-0.0", None, None, None, None, None, "", '{"y":1.50,"x":[1,null,{"k":"é"}]}', "[]"),
    ]
    assert values(engine, NDJSON, path) == expected
    array = "\ufeff [" + ",".join(content.splitlines()) + "]\n "
    assert values(engine, JSON, land(tmp_path, array)) == expected


def test_lines_that_are_no_json_object_are_rejected(engine: DuckEngine, tmp_path: Path) -> None:
    lines = [
        b'{"a":1}',
        b"",
        b'{"a":',
        b"[1]",
        b"null",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":1,"A":2}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b'{"\\ud800":1,"\\ud800":2}',
        b'{"a":"\\ud83d\\udeb2"}',
    ]
    found = rejects(engine, NDJSON, land(tmp_path, b"\n".join(lines)))
    assert [(row[0], row[2]) for row in found] == [
        ("1", None),
        (None, "not JSON: expecting value at character 7"),
        (None, "not a JSON object but an array"),
        (None, "not a JSON object but null"),
        (None, 'key "a" twice in one object'),
        (None, 'key "b" twice in one object'),
        (None, 'keys "a", "A" differ only by case'),
        (None, "not JSON: NaN is no JSON value"),
        (None, "not valid utf-8 (byte 0xff at character 7)"),
        (None, "a string holds NUL or half a surrogate pair"),
        (None, "a string holds NUL or half a surrogate pair"),
        (None, 'key "\\ud800" twice in one object'),
        ("🚲", None),
    ]
    assert found[1][3] == '{"a":' and found[8][3] == '{"a":"\\xff"}'
    assert [row[1] for row in found] == list(range(1, len(found) + 1))


def test_json_nested_without_end_is_rejected_not_a_crash(engine: DuckEngine, tmp_path: Path) -> None:
    deep = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
    assert rejects(engine, NDJSON, land(tmp_path, deep + '\n{"a":1}\n'))[0][2] == (
        "not JSON: nested more than 1,000 levels deep"
    )
    assert "nested more than 1,000 levels deep" in refusal(engine, JSON, land(tmp_path, deep))


def test_keys_that_differ_by_case_between_lines_are_one_column(engine: DuckEngine, tmp_path: Path) -> None:
    path = land(tmp_path, '{"Id":1}\n{"ID":2,"x":3}\n{"id":4}\n')
    assert readers.read(engine, NDJSON, path).columns == ("Id", "x")
    assert values(engine, NDJSON, path) == [("1", None), ("2", "3"), ("4", None)]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"k":', "}")])
@pytest.mark.parametrize("levels", [1, 200, 500, 999])
def test_json_may_be_nested_a_thousand_levels_deep(
    engine: DuckEngine, tmp_path: Path, opening: str, closing: str, levels: int
) -> None:
    deep = opening * levels + '"é"' + closing * levels
    lines = ['{"id":1}', f'{{"id":2,"v":{deep}}}', '{"id":3}']
    expected = [("1", None), ("2", deep), ("3", None)]
    assert values(engine, JSON, land(tmp_path, f"[{','.join(lines)}]")) == expected
    often = 400 if levels < 200 else 40  # long enough for the engine
    assert values(engine, NDJSON, land(tmp_path, "\n".join(lines * often))) == expected * often


def test_an_empty_key_is_a_name(engine: DuckEngine, tmp_path: Path) -> None:
    lines = ['{"":1,"a":"x"}', '{"a":"y","":{"":2}}', '{"a":"z"}']
    expected = [("1", "x"), ('{"":2}', "y"), (None, "z")]
    for feed, content in ((JSON, f"[{','.join(lines)}]"), (NDJSON, "\n".join(lines))):
        path = land(tmp_path, content)
        assert readers.read(engine, feed, path).columns == ("_unnamed", "a")
        assert values(engine, feed, path) == expected
    assert values(engine, NDJSON, land(tmp_path, "\n".join(lines * 1_500))) == expected * 1_500
    clash = rejects(engine, NDJSON, land(tmp_path, '{"":1,"_unnamed":2}\n{"_unnamed":3}\n'))
    assert [(row[0], row[2]) for row in clash] == [(None, 'keys "" and "_unnamed" are one column'), ("3", None)]


JSON_TEXTS = [  # as in JSONTestSuite: text, and the value kept of it
    ("0", "0"),
    ("-0", "-0"),
    ("123.456e78", "123.456e78"),
    ("1E+2", "1E+2"),
    ("0e1", "0e1"),
    ("-123123123123123123123123123123", "-123123123123123123123123123123"),
    (
        "0.4e00669999999999999999999999999999999999999999999999",
        "0.4e00669999999999999999999999999999999999999999999999",
    ),
    ("-0.000000000000000000000000000000000000000000000000000001",) * 2,
    ("true", "true"),
    ("null", None),
    ('""', ""),
    ('"\\u0060\\u012a\\u12AB"', "`Īካ"),
    ('"\\uD801\\udc37"', "𐐷"),
    ('"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
    ('"\u2028\u2029\x7f"', "\u2028\u2029\x7f"),
    ('"a/*b*/c"', "a/*b*/c"),
    ('" 7 "', " 7 "),
    ("[]", "[]"),
    ("[1,null,null,2]", "[1,null,null,2]"),
    ("[ 1.50 , -0 ]", "[1.50,-0]"),
    ('{"a":[],"b":{}}', '{"a":[],"b":{}}'),
    ('{"":0}', '{"":0}'),
]
NO_JSON_TEXTS = [
    "",
    "[1 true]",
    "[,1]",
    "[1,,2]",
    '["",]',
    '["a"',
    "[x",
    "nul",
    "True",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1.e1",
    "1e",
    "0x42",
    "1_000",
    "Infinity",
    "-Infinity",
    "NaN",
    "-NaN",
    "[NaN]",
    '{"a":NaN}',
    "٣",
    "'a'",
    '"a',
    '"\\x00"',
    '"\\u00A"',
    '"\\uD800"',
    '"\\uD800\\u"',
    '"\\u0000"',
    '"\\a"',
    '"\x01"',
    '"a\tb"',
    "[1]]",
    '{"a":1 "b":2}',
    '{"a" 1}',
    "{a:1}",
    "{1:1}",
    '{"a":1,}',
    '{"a":1,"a":1}',
    '{"a":{"b":1,"b":2}}',
    "1/*c*/",
    "1 // c",
    "1 #c",
    "\u00a01",
    "\ufeff1",
]


@pytest.mark.parametrize("copies", [1, 2_000])  # many are long enough for the engine
def test_json_is_taken_exactly_or_turned_away(engine: DuckEngine, tmp_path: Path, copies: int) -> None:
    chance = random.Random(6)
    texts: list[tuple[str, Any]] = [*JSON_TEXTS, *((text, KeyError) for text in NO_JSON_TEXTS)]
    wanted = [*texts, *chance.choices(JSON_TEXTS, k=copies - 1)]
    lines = [f'{{"id":{number},"v":{text}}}' for number, (text, _) in enumerate(wanted)]
    found = rejects(engine, NDJSON, land(tmp_path, "\n".join(lines)))
    for number, ((text, value), (_, kept, row, reason, raw)) in enumerate(zip(wanted, found, strict=True)):
        assert row == number + 1
        assert (kept, reason) == (value, None) if value is not KeyError else (reason and raw), text


@pytest.mark.parametrize("text", NO_JSON_TEXTS)
def test_an_array_with_what_is_no_json_is_refused_or_its_item_turned_away(
    engine: DuckEngine, tmp_path: Path, text: str
) -> None:
    path = land(tmp_path, f'[{{"v":1}},{{"v":{text}}}]')
    try:
        found = taken(engine, readers.read(engine, JSON, path))
    except DataError as error:
        assert error.where
    else:
        assert [(row[0], row[2] is None) for row in found] == [("1", True), (None, False)]


def test_keys_that_no_column_can_have_refuse_the_file(engine: DuckEngine, tmp_path: Path) -> None:
    assert "column 1 has no name" in refusal(engine, NDJSON, land(tmp_path, '{" ":1}\n'))
    assert "system column _file" in refusal(engine, NDJSON, land(tmp_path, '{"_file":1}\n'))


def test_a_json_file_is_an_array_of_objects_or_one_object(engine: DuckEngine, tmp_path: Path) -> None:
    assert values(engine, JSON, land(tmp_path, '{"a": 1,\n "b": [2]}')) == [("1", "[2]")]
    assert values(engine, JSON, land(tmp_path, "[]")) == []
    assert values(engine, JSON, land(tmp_path, "")) == []
    assert rejects(engine, JSON, land(tmp_path, '[{"a":1}, 2, "x"]')) == [
        ("1", 1, None, None),
        (None, 2, "not a JSON object but a number", "2"),
        (None, 3, "not a JSON object but a string", '"x"'),
    ]


@pytest.mark.parametrize(
    "content", ['[{"a":1}', '[{"a":1},]', '[{"a":1} {"a":2}]', '{"a":1}\n{"a":2}\n', '[{"a":1}]x', "[{", "nonsense"]
)
def test_malformed_json_is_refused_whole(engine: DuckEngine, tmp_path: Path, content: str) -> None:
    assert refusal(engine, JSON, land(tmp_path, content)).startswith("malformed JSON after ")


@pytest.mark.long
def test_a_long_array_is_read_piece_by_piece(engine: DuckEngine, tmp_path: Path) -> None:
    rows = [{"a": number, "text": "x" * (number % 50)} for number in range(30_000)]
    for indent in (None, 1):
        found = values(engine, JSON, land(tmp_path, json.dumps(rows, indent=indent)))
        assert found == [(str(row["a"]), row["text"]) for row in rows]


# -- Parquet


def test_parquet_values_become_text(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "n": [1, None],
            "f": [0.1, 1e20],
            "d": [Decimal("1.50"), None],
            "s": ["", None],
            "ok": [True, False],
            "bytes": [b"\0\xff", b""],
            "day": [date(2024, 2, 29), None],
            "at": [datetime(2024, 2, 29, 1, 2, 3, 4), None],
            "clock": [time(1, 2, 3), None],
            "list": [[1, 2], None],
            "o": [{"y": 1.5, "x": "é"}, None],
        }
    )
    pq.write_table(table, tmp_path / "1.parquet")
    first = ("1", "0.1", "1.50", "", "true", "00ff", "2024-02-29", "2024-02-29 01:02:03.000004", "01:02:03")
    assert values(engine, PARQUET, tmp_path / "1.parquet") == [
        (*first, "[1,2]", '{"y":1.5,"x":"é"}'),
        (None, "1e+20", None, None, "false", "", None, None, None, None, None),
    ]


def test_parquet_rows_are_numbered_as_in_the_file(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": range(1, 100_001)}), tmp_path / "1.parquet", row_group_size=1000)
    rows = readers.read(engine, PARQUET, tmp_path / "1.parquet")
    assert engine.one(f"SELECT count(*) FROM ({rows.sql}) WHERE a = _row") == (100_000,)


def test_parquet_without_rows_keeps_its_columns(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "1.parquet")
    assert readers.read(engine, PARQUET, tmp_path / "1.parquet").columns == ("a",)
    assert values(engine, PARQUET, tmp_path / "1.parquet") == []


def test_parquet_that_cannot_be_trusted_is_refused_whole(engine: DuckEngine, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table([pa.array([[1]]), pa.array([{"x": 2}]), pa.array([3])], names=["a", "o", "A"]), tmp_path / "1"
    )
    assert refusal(engine, PARQUET, tmp_path / "1") == 'column A twice; the header is ["a", "o", "A"]'
    whole = (tmp_path / "1").read_bytes()
    for damaged in (b"", b"PAR1", whole[:-20], b"a,b\n1,2\n"):
        assert "not a Parquet file that can be read" in refusal(engine, PARQUET, land(tmp_path, damaged))


# -- Excel


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    import xlsxwriter

    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


def test_excel_cells_become_text(engine: DuckEngine, tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["id", " name ", "price", "ok", "day", "empty"],
        [1, "007", 1.5, True, datetime(2024, 2, 29, 10, 30)],
        [],
        [2, " x ", 3.0, False, datetime(2024, 2, 29)],
        [1234567890123456, None, 1e20],
    ]
    path = workbook(tmp_path / "1.xlsx", {"first": rows, "second": [["other"]]})
    assert readers.read(engine, XLSX, path).columns == ("id", "name", "price", "ok", "day", "empty")
    assert values(engine, XLSX, path) == [
        ("1", "007", "1.5", "true", "2024-02-29 10:30:00", ""),
        ("2", " x ", "3", "false", "2024-02-29 00:00:00", ""),
        ("1234567890123456", "", "100000000000000000000", "", "", ""),
    ]


def test_the_sheet_is_the_contract_s_or_the_first(engine: DuckEngine, tmp_path: Path) -> None:
    path = workbook(tmp_path / "1.xlsx", {"one": [["a"], [1]], "two": [["b"], [2]], "bare": []})
    assert values(engine, XLSX, path) == [("1",)]
    assert values(engine, replace(XLSX, sheet="two"), path) == [("2",)]
    assert readers.read(engine, replace(XLSX, sheet="bare"), path).columns == ()
    assert values(engine, replace(XLSX, sheet="bare"), path) == []
    assert refusal(engine, replace(XLSX, sheet="three"), path) == 'no sheet "three"; the file has "one", "two", "bare"'


def test_excel_that_cannot_be_trusted_is_refused_whole(engine: DuckEngine, tmp_path: Path) -> None:
    path = workbook(tmp_path / "1.xlsx", {"one": [["a", None, "A"], [1, 2, 3]]})
    assert refusal(engine, XLSX, path) == 'column 2 has no name; the header is ["a", "", "A"]'
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    for damaged in (b"", b"a,b\n", path.read_bytes()[:-100], encrypted):
        assert "workbook" in refusal(engine, XLSX, land(tmp_path, damaged))
