"""NDJSON: the fast way gives what the exact one gives, for every line that anyone ever wrote."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake, short

from src.bronze import appending, ingest, readers
from src.bronze.readers import ndjson_fast
from src.bronze.readers.ndjson_in_turn import ndjson_in_turn
from src.contract import Feed
from src.engine import DuckEngine, identifier
from src.errors import DataError
from src.lake import open_table
from src.project import open_project

FEED = Feed("shop", "events", "shop/events/*.ndjson", "ndjson")
# So many, or so long, that the file is worth the fast way.
PLAIN = [b'{"a":"%d","b":"x y","n":"1.10"}' % number for number in range(1_000)]
LONG = [b'{"a":"%d","b":"%s","n":"1.10"}' % (number, b"x y" * 1_000) for number in range(12)]


def words(text: str) -> list[str]:
    return text.split()


NUMBERS = [
    *words("0 -0 1 -1 1.0 1.10 -0.0 0.1 0.1e1 1e5 1E5 1e+5 1e-7 1E-07 1e400 -1e400 1e-400 5e-324 100000.0 1e22"),
    *words("12345678901234567890123 -9223372036854775809 18446744073709551615 18446744073709551616"),
    *words("123456789.123456789 1.7976931348623157e308 01 -01 +1 1. .5 - 1e 1e+ 0x1 1_000 1.2.3 --1 \uff11"),
    *words("NaN nan NAN -NaN Infinity -Infinity inf -inf Inf infinity nul NULL True"),
    *("1 2", "1" * 5_000, "0." + "3" * 50),
]
STRINGS = [
    *words(r"\" \\ \/ \b\f\n\r\t \u00e9 \u00E9 \u0041 \u0000 \u0001 \u001F \u001f \u007f \u2028 \u0022:5"),
    *words(r"\ud83d\ude00 \uD83D\uDE00 \ud800 \udc00 \ud800\u0041 \ude00\ud83d \\u0000 \\ud800 \x \u12 \u00G0 \U0041"),
    *words(r"é 🚲 null NaN a:nan,b \":nan, \":1 \":-5, :5 ,5 10:30:00 {} [ {\"a\":1} a,b;c|d\te ' $ %s \ "),
    *("", " ", ": 5", '\\": -5,', "\x01", "\x1f", "\x7f", "\x85", "\t", "\0", "\r"),
    *("\u2028", "\u2029", "\ufeff", "\ufffd", "\ufffe"),
]
VALUES = [
    *words(r"null true false {} [] tru undefined 'x' // /**/1 { [ } ] [1,] [,1] {1:2} {'a':1} "),
    *words(r'{"b":1,"b":2} [{"b":1,"b":2}] {"c":{"b":1,"b":1}} {"b":1,"B":2} [[[{"b":[{"c":1,"c":2}]}]]]'),
    *words(r'[nan] [1,NaN] {"x":-inf} {"x":"nan"} [-0] [1e5] [1.0] [1.10] {"":1} {"":1,"":2} ["\/"] ["\u001f"]'),
    *words(r'{"\u0062":1,"b":2} ["a""b"] " "x x" ["\u001F"] ["é"] ["\u00e9"] [123456789012345678901234567890]'),
    *("[ ]", "[1 2]", '[1, 2.50, {"x": null}]', '{"y": 1.5, "x": [1, "é"]}'),
    *("[" * depth + "]" * depth for depth in (2, 100, 198, 300, 1_200)),
    *('{"k":' * depth + "1" + "}" * depth for depth in (2, 1_200)),
    *("[" + ",".join(["{}"] * 250) + "]", '"' + "long " * 600_000 + '"'),
]
OTHERS = [
    *(b"{}", b"{ }", b"[]", b"[1]", b"1", b'"a"', b"null", b"true", b"{", b"}", b"{,}", b'{"a"}', b'{"a":}', b'{"a":'),
    *(b'{"a":1', b'{"a":1,}', b'{"a":1,,"b":2}', b'{"a" 1}', b'{"a":1}x', b'{"a":1}{"a":2}', b'{"a":1} {"a":2}'),
    *(b'{"a":1},', b'{"a":1}//x', b"{a:1}", b'{"a":1,"a":2}', b'{"a":"1","a":"1","n":"1"}', b'{"a":1,"A":2}'),
    *(b'{"a":"1","b":"2","n":"3","a":"4"}', b'{"b":1,"A":2,"a":3}', b' {"a":1}', b'\t{"a":1}\t', b'{"a":1}  '),
    *(b'\xef\xbb\xbf{"a":1}', b'\xc2\xa0{"a":1}', b'\x0c{"a":1}', b'\x1e{"a":1}', b'{"a":\x0b1}', b"", b" ", b"\t \t"),
    *(b"   \r", b"\x0c", b"\xc2\xa0", b"\0", b'{"a":1}\0', b'{"a":\0"1"}', b'{"a":"\xff"}', b'{"a":"\xc3"}', b"\xff"),
    *(b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xc0\x80"}', b'{"\xff":1}', b'{"A":"case"}'),
    *(b'{"b":"2","a":"1"}', b'{"n":"1"}', b'{"a":"1","b":"2","n":"3","x":"4"}', b'{"\xc3\x89":1,"\xc3\xa9":2}'),
    b'{"new.key":1,"k\\"q":2,"$":3,"~/":4,"~1":5,"*":6,"0":7}',
    b'{"a":"\xe2\x80\xa8","b":"\xe2\x80\xa9","n":"\xf0\x9f\x9a\xb2"}',
]
LINES: list[bytes] = [
    *(f'{{"a":{number}}}'.encode() for number in NUMBERS),
    *(f'{{"a":"{text}","b":"x y","n":"1.10"}}'.encode() for text in STRINGS),
    *(f'{{"{text}":"1"}}'.encode() for text in STRINGS if text),
    *(f'{{"a":{value}, "b" : "x y","n":1}}'.encode() for value in VALUES),
    *OTHERS,
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def found(engine: DuckEngine, rows: readers.Rows) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The columns; values, _row, _reject and _raw of every row, in file order."""
    names = ", ".join([*map(identifier, rows.columns), "_row", "_reject", "_raw"])
    try:
        return rows.columns, engine.rows(f"SELECT {names} FROM ({rows.sql}) ORDER BY _row")
    finally:
        for name in rows.streams:
            engine.unstream(name)


def is_fast(engine: DuckEngine, path: Path, feed: Feed = FEED) -> bool:
    """Whether the fast way takes the file, after it has given what the exact one gives, or refused what it refuses."""
    try:
        exact = found(engine, readers.read_carefully(engine, feed, path))
    except DataError as refused:
        with pytest.raises(DataError) as again:
            found(engine, readers.read(engine, feed, path))
        assert again.value.what == refused.what
        return False
    read_in_one_pass(engine, path, exact, feed)
    rows = ndjson_fast.ndjson_by_engine(engine, feed, path)
    if rows is None:
        return False
    columns, values = found(engine, rows)
    assert columns == exact[0]
    for ours, theirs in zip(values, exact[1], strict=True):
        assert ours == theirs
    return True


def read_in_one_pass(
    engine: DuckEngine, path: Path, exact: tuple[tuple[str, ...], list[tuple[Any, ...]]], feed: Feed = FEED
) -> int | None:
    """How many lines the engine marks while it proves the others, which are as the exact way gives them.

    None: it does not come to that; the file is read in another way.
    """
    rows = ndjson_in_turn(feed, path)
    if rows is None:
        return None
    try:
        columns, values = found(engine, rows)
    except DataError:
        return None
    if engine.take_rejects() or len(values) != len(exact[1]):
        return None
    marked: int = sum(row[-2] == readers.UNPROVEN for row in values)
    assert marked or columns == exact[0]
    for ours, theirs in zip(values, exact[1], strict=True):
        of_column = dict(zip(exact[0], theirs, strict=False))
        if ours[-2] != readers.UNPROVEN:
            assert ours == (*map(of_column.pop, columns), *theirs[-3:]) and set(of_column.values()) <= {None}
    return marked


def land(folder: Path, lines: Sequence[bytes], end: bytes = b"\n", last: bytes | None = None) -> Path:
    path = folder / "1.ndjson"
    path.write_bytes(end.join(lines) + (end if last is None else last))
    return path


def test_there_are_enough_lines_that_are_odd_in_one_way() -> None:
    assert len(set(LINES)) == len(LINES) > 250


@pytest.mark.long
def test_each_odd_line_is_read_alike_wherever_it_stands(engine: DuckEngine, tmp_path: Path) -> None:
    fast = sum(is_fast(engine, land(tmp_path, [*LONG, line])) for line in LINES)
    fast += sum(is_fast(engine, land(tmp_path, [line, *LONG])) for line in LINES)
    assert fast > len(LINES) * 1.9  # a few refuse the file, clash with a key or end lines in two ways


def harmless(line: bytes) -> bool:
    """Whether a line costs the file no more than itself."""
    return b"\r" not in line and not {"", "A", "É"} & {key.strip() for key in keys(line)}


def keys(line: bytes) -> Sequence[str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    return list(value) if isinstance(value, dict) else ()


@pytest.mark.parametrize("seed", short(range(8), 2))
def test_odd_lines_among_plain_ones_are_read_alike(engine: DuckEngine, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    odd = [line for line in LINES if harmless(line)]
    lines = [*PLAIN, *(odd if seed == 0 else chance.choices(odd, k=chance.randrange(1, 400)))]
    chance.shuffle(lines)
    end = chance.choice([b"\n", b"\r\n"])
    path = land(tmp_path, lines, end, last=chance.choice([b"", end, b" ", end + b"  " + end + b" "]))
    if seed % 2:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert is_fast(engine, path)
    assert is_fast(engine, path, replace(FEED, encoding="utf-8-sig"))


def test_byte_order_marks_are_taken_off_alike(engine: DuckEngine, tmp_path: Path) -> None:
    for marks in range(4):
        path = land(tmp_path, [b"\xef\xbb\xbf" * marks + PLAIN[0], *PLAIN])
        fast = [is_fast(engine, path, replace(FEED, encoding=name)) for name in ("utf-8", "utf-8-sig")]
        assert fast == [marks < 2, marks < 2]


def test_lines_that_end_in_more_than_one_way_are_read_alike(engine: DuckEngine, tmp_path: Path) -> None:
    for end in (b"\n", b"\r\n"):
        for last in (b"", end, end + b" "):
            assert is_fast(engine, land(tmp_path, [*PLAIN, b'{"a":'], end, last))
    for ends in (b"\r", b"\n\r", b"\r\r\n", b"\n\n", b"\r\n \r\n"):
        is_fast(engine, land(tmp_path, PLAIN, ends))
    mixed = b"".join(line + end for line, end in zip(PLAIN, [b"\n", b"\r\n", b"\r", b"\n\n"] * 250, strict=True))
    assert not is_fast(engine, land(tmp_path, [mixed]))


def scalar(chance: random.Random) -> str:
    """JSON of a number, text or name as anyone may write it."""
    text = "".join(chance.choices('ab:5" ,{}[]\\/-é🚲\u2028\t\n\x1f', k=chance.randrange(9)))
    spelled = json.dumps(text, ensure_ascii=chance.random() < 0.5)
    number = f"{chance.choice(['', '-'])}{chance.randrange(10 ** chance.randrange(1, 25))}"
    fraction = f".{chance.randrange(1000):0{chance.randrange(1, 6)}d}" if chance.random() < 0.6 else ""
    power = chance.choice(["e", "E", "e-", "E+"]) + str(chance.randrange(400)) if chance.random() < 0.2 else ""
    return chance.choice([spelled, spelled, number + fraction + power, number, "null", "true", "false", '""'])


def value(chance: random.Random, deep: int) -> str:
    kind = chance.randrange(8) if deep else 0
    items = [value(chance, deep - 1) for _ in range(chance.randrange(4) if deep else 0)]
    comma = chance.choice([",", ", ", " , "])
    if kind == 6:
        return "[" + comma.join(items) + "]"
    if kind == 7:
        return "{" + comma.join(f'"{chance.choice("abcAé")}":{item}' for item in items) + "}"
    return scalar(chance)


@pytest.mark.parametrize("nested", [0, 3], ids=["flat", "nested"])
@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["same keys", "some keys missing"])
@pytest.mark.parametrize("seed", short(range(12), 1))
def test_objects_drawn_by_chance_are_read_alike(
    engine: DuckEngine, tmp_path: Path, seed: int, missing: float, nested: int
) -> None:
    chance = random.Random(seed)
    names = ["id", "name", "é", "a.b", 'q\\"x', "$", "/~0", "last one"]
    lines = []
    for number in range(800):
        comma, colon = chance.choice([(",", ":"), (", ", ": "), (" , ", " :  ")])
        taken = [name for name in names if chance.random() >= missing]
        if chance.random() < 0.01:
            chance.shuffle(taken)
            taken += chance.choice([["id"], ["ID"] if "id" in taken else [], [f"new {number}"]])
        pairs = comma.join(f'"{name}"{colon}{value(chance, nested)}' for name in taken)
        lines += [f"{{{pairs}}}".encode(), b'{"id":"%d"}' % number]
    assert is_fast(engine, land(tmp_path, lines))


def test_files_of_many_kinds_are_read_fast(engine: DuckEngine, tmp_path: Path) -> None:
    rows = [{"id": n, "price": n / 100, "on": n % 2 == 0, "name": f"né {n}", "note": None} for n in range(2_000)]
    nested = [{**row, "tags": ["a", n], "at": {"x": n, "y": [{}]}} for n, row in enumerate(rows)]
    some = [{key: row[key] for key in row if (n * len(key)) % 3} for n, row in enumerate(rows)]
    for objects in (rows, nested, some):
        for separators in ((",", ":"), (", ", ": ")):
            text = [json.dumps(row, separators=separators, ensure_ascii=False).encode() for row in objects]
            assert is_fast(engine, land(tmp_path, text))
    assert is_fast(engine, land(tmp_path, [json.dumps(row).encode() for row in rows]))  # "n\u00e9"
    assert is_fast(engine, land(tmp_path, [b'{"price":%d.50,"n":-0,"big":1e400}' % n for n in range(2_000)]))


def test_values_proven_in_every_way_stand_in_their_rows(engine: DuckEngine, tmp_path: Path) -> None:
    lines = [*PLAIN, b'{"a":1.10,"b":-0,"n":"3"}', b"", b'{"n":[1, 2.5],"z":{"y":1}}', b'{"a":[1.0e1]}', b'{"a":NaN}']
    rows = ndjson_fast.ndjson_by_engine(engine, FEED, land(tmp_path, lines))
    assert rows is not None
    columns, values = found(engine, rows)
    assert columns == ("a", "b", "n", "z")
    assert values[0] == ("0", "x y", "1.10", None, 1, None, None)
    assert values[1000:] == [
        ("1.10", "-0", "3", None, 1001, None, None),
        (None, None, "[1,2.5]", '{"y":1}', 1002, None, None),
        ("[1.0e1]", None, None, None, 1003, None, None),
        (None, None, None, None, 1004, "not JSON: NaN is no JSON value", '{"a":NaN}'),
    ]


@pytest.mark.long
def test_a_long_file_is_read_alike_block_after_block(engine: DuckEngine, tmp_path: Path) -> None:
    chance = random.Random(5)
    lines = [b'{"a":"%d","b":"%s"}' % (n, b"x" * chance.randrange(200)) for n in range(60_000)]
    for place in (0, 29_999, 45_000, 59_999):
        lines[place] = b'{"a":1,"a":2}'
    lines[-2] = b'{"z":"last"}'
    assert is_fast(engine, land(tmp_path, lines))
    path = tmp_path / "1.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines), 1))
    assert is_fast(engine, path)


def test_a_file_of_which_most_is_odd_or_whose_keys_differ_by_case_is_left_to_the_exact_way(
    engine: DuckEngine, tmp_path: Path
) -> None:
    assert not is_fast(engine, land(tmp_path, [*PLAIN, *[b'{"a":[1.0e1]}'] * 1_001]))
    assert is_fast(engine, land(tmp_path, [*PLAIN, *[b'{"a":[1.0e1]}'] * 999]))
    assert not is_fast(engine, land(tmp_path, [*PLAIN, b'{"A":1}']))
    assert not is_fast(engine, land(tmp_path, PLAIN), replace(FEED, encoding="latin-1"))
    assert not is_fast(engine, land(tmp_path, [b'{"a":1}']))


# -- read and proven in one pass


# Files of every form: what their first lines are, and so how the engine proves a line.
FORMS = {
    "text": PLAIN,
    "numbers": [b'{"a":%d,"b":"x y","n":1.5,"t":true}' % n for n in range(1_200)],
    "numbers to be quoted": [b'{"a":%d,"b":"x y","n":1.10}' % n for n in range(1_200)],
    "null": [b'{"a": "%d", "b": null, "n": 1}' % n for n in range(1_200)],
    "null at times": [b'{"a": null, "b": "", "n": %d}' % n for n in range(500)]
    + [b'{"a": "%d", "b": "x", "n": null}' % n for n in range(1_000)],
    "nested": [b'{"a":"%d","b":[1,{"c":2}],"n":"1"}' % n for n in range(1_200)],
    "keys missing": [b'{"a": %d, "b": "x"}' % n if n % 3 else b'{"n":"1"}' for n in range(3_000)],
    "one key": [b'{"a":%d}' % n for n in range(4_000)],
    "one text": [b'{"a":"%d"}' % n for n in range(4_000)],
    "escaped": [b'{"a\\"\xc3\xa9":"%d","b":"\\u00e9","n":"\\"x"}' % n for n in range(1_200)],
}
FORGED = [  # which would be given again with wrong values, if the proof had a hole
    *(b'{"a":"","b":"","n":""}', b'{"a":,"b":"x y","n":,"t":}', b'{"a":}', b'{"a":null}', b'{"a":"}', b'{"":""}'),
    *(b'{"a":NaN,"b":"x y","n":-inf,"t":true}', b'{"a":Infinity,"b":"x","n":nan,"t":true}', b'{"a":1.10}'),
    *(b'{"a":"1","a":"2"}', b'{"a":1,"a":2}', b'{"a":1,"a":[",","b"]}', b'{"a":[1.5]}', b'{"a":{}}', b'{"a":NaN}'),
    *(b'{"a":[1,1.50],"b":"x y","n":1.5,"t":true}', b'{"a":"\\u0031"}', b'{"a":"1\\/2","b":"x y","n":"1"}'),
    *(b'{"a":"[1,",",2]","b":"x","n":"1","a":[1,",",2]}', b'{"a":true,"b":"x","n":false,"t":null}', b'{"":1}'),
    *(b'{"a":123456789012345678901}', b'{"a":0.00001}', b'{"a":1e5}', b'{"a":-0}', b'{"a":"true"}', b'{"a":"null"}'),
    *(b'{"a":-0,"b":"x y","n":-0.0,"t":true}', b'{"a": "1", "b": 2, "n": "3"}', b'{"a":"NaN","b":"x","n":"[1]"}'),
    *(b'{"a":"null","b":"null","n":"null"}', b'{"a": "1", "b": "null", "n": null}', b'{"a": null, "b": "", "n": }'),
    *(b'{"a":1,"b":"x\\"y","n":1.50,"t":true}', b'{"a":1,"b":"x\\"y","n":1234567890123456789012,"t":true}'),
    *(b'{"a":{"c":1.10},"b":"x","n":1}', b'{"a": 1, "b": "x", "n": "1", "n": "1"}', b'{"b":"x","b":"x"}', b'{"A":1}'),
    b'{"a":' + b"[" * 1_200 + b"]" * 1_200 + b',"b":"x y","n":1.5,"t":true}',
]


@pytest.mark.parametrize("form", FORMS)
def test_a_line_that_the_engine_proves_while_it_reads_is_what_the_exact_way_gives(
    engine: DuckEngine, tmp_path: Path, form: str
) -> None:
    path = land(tmp_path, FORMS[form])
    assert read_in_one_pass(engine, path, found(engine, readers.read_carefully(engine, FEED, path))) == 0
    odd = [line for line in [*FORGED, *LINES] if line.strip() and len(line) < 1_000_000 and is_one_row(line)]
    path = land(tmp_path, [*FORMS[form], *odd])
    marked = read_in_one_pass(engine, path, found(engine, readers.read_carefully(engine, FEED, path)))
    assert marked is not None and len(odd) // 2 < marked <= len(odd)


def test_a_file_that_cannot_be_proven_in_one_pass_is_not_begun_so(engine: DuckEngine, tmp_path: Path) -> None:
    for line in [
        *(b'{"":"","b":"%d"}', b'{"":%d}', b'{"a":%d}\n{"A":2}', b'{"a":[1.10,%d],"b":1.10}', b'{"a":1.10}\n{"b":%d}'),
        *(b'{"a":"\xff%d"}', b'{"a":%d}\n{', b'{"a":%d}\r{"a":2}', b"[%d]"),
        b"{" + b",".join(b'"key %d":"x"' % n for n in range(101)) + b',"a":%d}',
    ]:
        path = land(tmp_path, [line % n for n in range(4_000)])
        assert ndjson_in_turn(FEED, path) is None
    path = land(
        tmp_path, [b"{" + b",".join(b'"key %d":"%d"' % (key, n) for key in range(100)) + b"}" for n in range(99)]
    )
    assert read_in_one_pass(engine, path, found(engine, readers.read_carefully(engine, FEED, path))) == 0
    assert ndjson_in_turn(replace(FEED, encoding="latin-1"), path) is None
    assert ndjson_in_turn(FEED, path.rename(tmp_path / "1.ndjson.gz")) is None


def is_one_row(line: bytes) -> bool:
    """Whether the engine's reader of lines takes it as one."""
    try:
        return line.decode().isprintable() and harmless(line)
    except UnicodeDecodeError:
        return False


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_each_odd_line_is_proven_or_marked_alone(engine: DuckEngine, tmp_path: Path, form: str) -> None:
    for line in [*FORGED, *LINES]:
        for lines in ([*FORMS[form], line], [line, *FORMS[form]]):
            is_fast(engine, land(tmp_path, lines))


MANY_FILES = {
    "0.ndjson": [],
    "1.ndjson": [b'{"a":1,"a":2}'],
    "2.ndjson": [b'{"Z":"1.10","n":1.10}'],  # a column that its first lines do not have
    "3.ndjson": [b'{"z":"1"}', b'{"y":[1, 2.50]}'],
    "4.ndjson": [b'{"a":"\xff"}', b'{"a":"\x01"}', b'{"a":"\0"}'],
    "5.ndjson": [b"", b'{"a":"after a blank line"}', b'{"a":'],
    "6.ndjson": [b'{"a":"6","b":"","n":"","z":""}'],
    "7.ndjson": [b'{"a":"' + b"long" * 600_000 + b'"}'],
    "8.ndjson": [b'{"a":"8","b":"","n":""}'],
}


@pytest.mark.parametrize("at_once", [50, 2])
def test_files_with_lines_that_are_not_proven_are_read_again_and_the_table_is_the_same(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_once: int
) -> None:
    lake.shop()
    for name, odd in MANY_FILES.items():
        lake.land(f"shop/events/{name}", b"\n".join([*odd, *PLAIN] if name == "6.ndjson" else [*PLAIN, *odd]))
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", at_once)
    found: list[tuple[Any, ...]] = []
    proven: list[str] = []
    read_proven = readers.read_proven

    def spied(engine: DuckEngine, feed: Feed, path: Path) -> readers.Rows:
        proven.append(path.name)
        return read_proven(engine, feed, path)

    for worth in (1 << 40, 32 << 10):
        monkeypatch.setattr(sys.modules["src.bronze.readers.ndjson_in_turn"], "WORTH_IT", worth)
        if found:
            monkeypatch.setattr(readers, "read_proven", spied)
        with open_project(lake.settings) as project:
            root, now = tmp_path / str(worth), datetime(2031, 1, 1, tzinfo=UTC)
            done = ingest.run(project.engine, project.landing, root, FEED, batch="b", now=now, settle=0)
            table = open_table(root)
            assert table
            rows = project.engine.rows(f"SELECT * FROM {project.engine.scan(table, evolved=True)} ORDER BY _file, _row")
        found.append((list(table.columns), rows, done.read, done.files, done.notes, done.refusals))
    assert found[0] == found[1]
    assert set(found[1][0]) >= {"a", "b", "n", "Z", "y"} and found[1][2] == 9_012
    # with two at a time the second file's lines are a quarter of those read so far: the others are proven at once
    assert sorted(set(proven)) == [f"{n}.ndjson" for n in ([1, 2, 3, 4, 5, 7] if at_once == 50 else range(1, 9))]
