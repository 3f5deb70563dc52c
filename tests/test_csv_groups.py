"""CSV files of one kind are read in turn by one reader; every row is what the file's own reader would have given."""

from __future__ import annotations

import gzip
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake

from src.bronze import appending, ingest, readers
from src.bronze.ingest import Landed
from src.bronze.readers.csv_fast import _LOOKED_AT, csv_by_engine
from src.bronze.readers.files import BLOCK
from src.contract import Feed
from src.engine import DuckEngine, identifier
from src.lake import hashes, log, open_table
from src.project import open_project

CSV = Feed("shop", "orders", "shop/orders/*.csv", "csv")
HEADER = "order_id,day,amount,updated\n"
COLUMNS = "order_id, day, amount, updated, _file, _row, _reject, _raw"
ROWS = f"SELECT {COLUMNS} FROM bronze.shop.orders ORDER BY _file, _row"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def alone_and_in_turn(
    engine: DuckEngine, paths: list[Path], blocks: str = "", feed: Feed = CSV
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Place, number and values of every row: each file by the exact reader, and all of them by one of the engine's."""
    rows = [readers.read(engine, feed, path) for path in paths]
    assert len({each.kind for each in rows}) == 1 and rows[0].kind is not None
    values = ", ".join(map(identifier, rows[0].columns))
    alone: list[tuple[Any, ...]] = []
    for place, path in enumerate(paths, 1):
        exact = readers.read_carefully(engine, feed, path)
        found = engine.rows(f"SELECT _row, {values}, _reject, _raw FROM ({exact.sql}) ORDER BY _row")
        alone += [(place, *row) for row in found]
        engine.unstream(exact.streams[0])
    sql = readers.in_turn(rows).sql.replace("parallel = false", "parallel = false" + blocks)
    together = engine.rows(f"SELECT _file, _row, {values}, _reject, _raw FROM ({sql}) ORDER BY _file, _row")
    assert engine.take_rejects() == []
    return alone, together


# -- the reader


BODIES = ["", "1,2\n", "1,2\n3,4", "\n\n1,2\n\n", '1,"x\ny"\n"",""\n', "1,2\n" * 5_000, '"\n\n",é\n' * 3_000]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_rows_of_files_read_in_turn_are_those_of_each_file_alone(
    engine: DuckEngine, tmp_path: Path, end: str, packed: bool
) -> None:
    paths = []
    for place, body in enumerate([*BODIES, *reversed(BODIES), "", "9,9\n"]):
        text = ["a,b\n", "\ufeffa,b\n", '"a",b\n'][place % 3] + body
        content = text.replace("\n", end).encode()
        paths.append(tmp_path / f"{place}[*]?'{place}.csv{'.gz' if packed else ''}")
        paths[-1].write_bytes(gzip.compress(content) if packed else content)
    alone, together = alone_and_in_turn(engine, paths)
    assert together == alone
    assert max(row[1] for row in together) == 5_000
    assert {row[0] for row in together} == {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16}


def test_rows_of_files_read_in_turn_are_numbered_right_wherever_the_engine_cuts_them(
    engine: DuckEngine, tmp_path: Path
) -> None:
    chance = random.Random(5)
    for number in range(10):
        paths = []
        for place in range(8):
            lines = [
                f'{row},"{"x" * chance.randrange(40)}{chance.choice(["", chr(10)])}"'
                for row in range(chance.randrange(900))
            ]
            paths.append(tmp_path / f"{number}-{place}.csv")
            paths[-1].write_text("\n".join(["a,b", *lines]))
        alone, together = alone_and_in_turn(engine, paths, f", max_line_size = 3000, buffer_size = {6000 + number}")
        assert together == alone
        assert len(together) > 1_000


def test_rows_are_numbered_while_they_stream_by(engine: DuckEngine, tmp_path: Path) -> None:
    """A window that gathers its rows first would take all memory, and promise no order."""
    paths = [tmp_path / f"{nth}.csv" for nth in range(2)]
    for path in paths:
        path.write_text("a,b\n1,2\n")
    rows = [readers.read(engine, CSV, path) for path in paths]
    for sql in (rows[0].sql, readers.in_turn(rows).sql):
        plan = "".join(text for _, text in engine.rows(f"EXPLAIN {sql}"))
        assert plan.count("─ Streaming Window ─") == 2 and "─ Window ─" not in plan


def test_columns_may_have_the_names_that_the_engine_and_the_reader_use(engine: DuckEngine, tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for path in paths:
        path.write_text("file_index,filename,c1,_first,c2\nv,w,x,y,z\nV,W,X,Y,Z\n")
    alone, together = alone_and_in_turn(engine, paths)
    expected = [("v", "w", "x", "y", "z", None, None), ("V", "W", "X", "Y", "Z", None, None)]
    assert together == alone == [(place, row, *expected[row - 1]) for place in (1, 2) for row in (1, 2)]


def test_files_without_a_header_are_read_in_turn(engine: DuckEngine, tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for path in paths:
        path.write_text("1,2\n3,4\n")
    feed = Feed("shop", "orders", "shop/orders/*.csv", "csv", header=False, columns=("a", "b"))
    alone, together = alone_and_in_turn(engine, paths, feed=feed)
    assert together == alone
    assert [row[:4] for row in together] == [(1, 1, "1", "2"), (1, 2, "3", "4"), (2, 1, "1", "2"), (2, 2, "3", "4")]


def test_files_of_other_columns_or_another_packing_are_of_another_kind(engine: DuckEngine, tmp_path: Path) -> None:
    kinds = []
    for name, content in [
        ("1.csv", b"a,b\n1,2\n"),
        ("2.csv", b'"a",b\r\n'),
        ("3.csv", b"b,a\n1,2\n"),
        ("4.csv", b"a,B\n1,2\n"),
        ("5.csv", b"a,b,c\n1,2,3\n"),
        ("6.csv.gz", gzip.compress(b"a,b\n1,2\n")),
    ]:
        (tmp_path / name).write_bytes(content)
        kinds.append(readers.read(engine, CSV, tmp_path / name).kind)
    assert kinds[0] == kinds[1]
    assert len(set(kinds)) == 5
    (tmp_path / "nul.csv").write_bytes(b"a,b\n1,\0\n")
    careful = readers.read(engine, CSV, tmp_path / "nul.csv")
    for stream in careful.streams:
        engine.unstream(stream)
    assert careful.kind is None


# -- the ingest


def files_of(lake: Lake, count: int) -> list[tuple[Any, ...]]:
    """Lands files of one header, the first with one row, each with one more; gives the rows that bronze must hold."""
    expected: list[tuple[Any, ...]] = []
    for at in range(count):
        name = f"shop/orders/{at:02}.csv"
        lines = [(f"{at * 100 + row}", "2024-01-01", "1", f"{row}") for row in range(1, at + 2)]
        lake.land(name, HEADER + "".join(",".join(line) + "\n" for line in lines))
        expected += [(*line, name, row, None, None) for row, line in enumerate(lines, 1)]
    return expected


def test_many_files_of_several_kinds_are_one_statement_and_give_each_row_its_file_and_number(lake: Lake) -> None:
    lake.shop()
    expected = files_of(lake, 70)
    for at in (3, 33, 63):
        name = f"shop/orders/{at:02}.csv"
        lake.land(name, f"day,order_id,updated,amount\n2024-01-02,{at},7,5\n2024-01-02,-{at},7,5\n")
        expected = [row for row in expected if row[4] != name]
        expected += [
            (f"{sign}{at}", "2024-01-02", "5", "7", name, row, None, None) for row, sign in ((1, ""), (2, "-"))
        ]
    text = HEADER + "77,2024-01-01,1,1\n"
    lake.land("shop/orders/98.csv.gz", gzip.compress(text.encode()))
    lake.land("shop/orders/99.csv", text + "78,2024-01-01,\0,1\n")
    expected.append(("77", "2024-01-01", "1", "1", "shop/orders/98.csv.gz", 1, None, None))
    expected.append(("77", "2024-01-01", "1", "1", "shop/orders/99.csv", 1, None, None))
    lake.good()
    found = lake.rows(ROWS)
    assert found[:-1] == sorted(expected, key=lambda row: (row[4], row[5]))
    assert (found[-1][5], found[-1][7]) == (2, "78,2024-01-01,\\x00,1")
    assert len(list((lake.data / "bronze/shop/orders").glob("*.parquet"))) == 1


def test_what_each_statement_wrote_is_forced_to_disk_and_hashed_beside_the_next_one(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop()
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", 3)
    monkeypatch.setattr(appending, "_SMALL_AT_ONCE", 0)
    expected = files_of(lake, 8)
    hashing: list[threading.Thread] = []
    digest, fsync = log.digest, os.fsync

    def seen(path: Path) -> str:
        hashing.append(threading.current_thread())
        return digest(path)

    def refuses(handle: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise OSError(5, "Input/output error")
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuses)
        assert "input/output error" in str(lake.run().failures["bronze.shop.orders"])
    assert open_table(lake.data / "bronze/shop/orders") is None
    monkeypatch.setattr(log, "digest", seen)
    lake.good()
    assert len(hashing) == 3 and threading.main_thread() not in hashing
    bronze = open_table(lake.data / "bronze/shop/orders")
    assert bronze and hashes(bronze) == {file.path: digest(bronze.root / file.path) for file in bronze.files}
    assert lake.rows(ROWS) == expected


def test_the_memory_that_packed_files_take_does_not_grow_with_their_number(lake: Lake) -> None:
    """The engine has 32 MB in hand for each reader of a packed file, of which it cannot know the size."""
    lake.shop()
    lake.environ["MEMORY_LIMIT"] = "300MB"
    for at in range(60):
        lake.land(f"shop/orders/{at:02}.csv.gz", gzip.compress(f"{HEADER}{at},2024-01-01,1,1\n".encode()))
    lake.good()
    assert lake.rows("SELECT order_id, _row FROM bronze.shop.orders ORDER BY _file") == [
        (f"{at}", 1) for at in range(60)
    ]


def test_lines_that_cannot_be_split_are_kept_in_their_places_beside_files_read_in_turn(lake: Lake) -> None:
    lake.shop()
    expected = files_of(lake, 12)
    for at, line, what in ((4, "short", "expected 4 values, found 1"), (9, "1,2,3,4,5", "expected 4 values, found 5")):
        name = f"shop/orders/{at:02}.csv"
        lake.land(name, HEADER + f"1,2024-01-01,1,1\n{line}\n2,2024-01-01,1,1\n")
        expected = [row for row in expected if row[4] != name]
        expected += [(f"{key}", "2024-01-01", "1", "1", name, row, None, None) for key, row in ((1, 1), (2, 3))]
        expected.append((None, None, None, None, name, 2, what, line))
    lake.good()
    assert lake.rows(ROWS) == sorted(expected, key=lambda row: (row[4], row[5]))


def test_a_damaged_file_among_those_read_in_turn_takes_none_of_them_along(lake: Lake) -> None:
    """Mixed line ends stop the engine, which does not say at which file; half a gzip file is refused."""
    lake.shop()
    expected = files_of(lake, 9)
    lake.land(
        "shop/orders/05a.csv", "order_id,day,amount,updated\n1,2024-01-01,1,1\r\n2,2024-01-01,1,1\r3,2024-01-01,1,1\n"
    )
    expected += [(f"{row}", "2024-01-01", "1", "1", "shop/orders/05a.csv", row, None, None) for row in (1, 2, 3)]
    lake.land("shop/orders/06a.csv.gz", gzip.compress(HEADER.encode() * 50)[:-9])
    run = lake.run()
    assert "06a.csv.gz" in str(run.failures["bronze.shop.orders"])
    assert lake.rows(ROWS) == sorted(expected, key=lambda row: (row[4], row[5]))


def test_a_file_that_vanishes_after_it_was_looked_at_takes_none_of_those_read_with_it_along(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop()
    expected = [row for row in files_of(lake, 9) if row[4] != "shop/orders/04.csv"]
    gone = lake.data / "landing/shop/orders/04.csv"
    read = readers.read

    def slow(*given: Any) -> readers.Rows:
        if given[-1].name == "08.csv":
            gone.unlink(missing_ok=True)  # its header was read, its rows were not
        return read(*given)

    monkeypatch.setattr(readers, "read", slow)
    lake.run()
    monkeypatch.undo()
    lake.good()
    assert lake.rows(ROWS) == expected


def test_files_looked_at_by_a_thread_are_taken_and_refused_as_others_are(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files of every kind, in several statements and commits: a look ahead changes nothing."""
    lake.shop()
    files_of(lake, 12)
    contents: list[tuple[str, str | bytes]] = [
        ("01a.csv", HEADER + "71,2024-01-01,\0,1\n72,2024-01-01,1,1\n"),
        ("02a.csv", HEADER + "73,2024-01-01,1,1\nshort\n"),
        ("03a.csv", "\ufefforder_id,amount,day,updated,new\r\n74,1,2024-01-01,1,x\r\n"),
        ("05a.csv", "one,two\n1,2\n"),
        ("06a.csv", '{"order_id": 1}\n'),
        ("07a.csv", ""),
        ("08a.csv", HEADER + '75,2024-01-01,"1,1\n'),
        ("09a.csv.gz", gzip.compress(HEADER.encode() + b"76,2024-01-01,1,1\n")),
        ("09b.csv.gz", gzip.compress(HEADER.encode() * 50)[:-9]),
        ("10a.csv", HEADER.encode("utf-16")),
    ]
    for name, content in contents:
        lake.land(f"shop/orders/{name}", content)
    monkeypatch.setattr(ingest, "FILES_PER_COMMIT", 7)
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", 3)
    monkeypatch.setattr(appending, "_SMALL_AT_ONCE", 0)
    feed, now = replace(CSV, reads=("order_id",)), datetime(2031, 1, 1, tzinfo=UTC)
    found = []
    for name, worth, looks in [("alone", 1 << 40, 0), ("ahead", 0, 22)]:
        monkeypatch.setattr(ingest, "WORTH_A_THREAD", worth)
        looked = spied_looks(monkeypatch)
        with open_project(lake.settings) as project:
            landing, root = project.landing, tmp_path / name
            done = ingest.run(project.engine, landing, root, feed, batch="b", now=now, settle=0)
            table = open_table(root)
            assert table and len(looked) == looks
            scan = project.engine.scan(table, evolved=True)
            rows = project.engine.rows(f"SELECT * FROM {scan} ORDER BY _file, _row")
            entries = [table.progress(f"last:shop/orders/{at:02}.csv") for at in range(12)]
        found.append(
            (rows, entries, done.read, done.files, done.notes, [(one.what, one.where) for one in done.refusals])
        )
    assert found[0] == found[1]
    rows, _, read, files, _, refusals = found[1]
    assert (read, files, len(refusals)) == (len(rows), 18, 4)


def spied_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are looked at ahead, as they come."""
    names: list[str] = []

    def look(feed: Feed, path: Path) -> readers.Rows | None:
        names.append(path.name)
        return LOOK(feed, path)

    monkeypatch.setattr(readers, "look", look)
    return names


LOOK = readers.look


def test_a_file_that_changes_after_its_look_is_left_for_the_next_run(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop()
    monkeypatch.setattr(ingest, "WORTH_A_THREAD", 0)
    expected = [row for row in files_of(lake, 3) if row[4] != "shop/orders/01.csv"]
    moving = lake.data / "landing/shop/orders/01.csv"
    look = readers.look

    def slow(feed: Feed, path: Path) -> readers.Rows | None:
        rows = look(feed, path)
        if path == moving:
            path.write_text(HEADER + "5,2024-01-01,\0,1\n")
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(readers, "look", slow)
        run = lake.good()
    assert "1 files changed while read, taken next run" in str(lake.step(run, "bronze.shop.orders").notes)
    assert lake.rows(ROWS) == expected
    lake.good()
    assert [row[6] for row in lake.rows(ROWS) if row[4] == "shop/orders/01.csv"] == ["NUL byte at character 14"]


def landed(sizes: list[int]) -> list[Landed]:
    return [Landed(Path(f"{at}.csv"), f"{at}.csv", at, size) for at, size in enumerate(sizes)]


def test_many_files_are_one_statement_while_they_are_small_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appending, "_FILES_AT_ONCE", 3)
    monkeypatch.setattr(appending, "_SMALL_AT_ONCE", 10)
    for sizes, csv, ndjson in [
        ([1] * 11, [10, 1], [3, 3, 3, 2]),
        ([9] * 7, [3, 3, 1], [3, 3, 1]),
        ([0, 0, 50, 1], [3, 1], [3, 1]),
        ([2, 2, 2, 2, 2, 2], [5, 1], [3, 3]),
        ([], [], []),
    ]:
        groups = list(appending._at_once(CSV, landed(sizes)))
        assert [len(group) for group in groups] == csv
        assert [file for group in groups for file in group] == landed(sizes)
        other = Feed("shop", "orders", "shop/orders/*.ndjson", "ndjson")
        assert [len(group) for group in appending._at_once(other, landed(sizes))] == ndjson
        parquet = Feed("shop", "orders", "shop/orders/*.parquet", "parquet")
        assert [len(group) for group in appending._at_once(parquet, landed(sizes))] == csv


def test_the_shares_of_the_threads_are_of_about_as_many_bytes() -> None:
    rows = readers.Rows(("a",), "")
    for sizes, count, shares in [
        ([1, 1, 1, 1], 2, [[1, 1], [1, 1]]),
        ([1, 1, 1, 97], 2, [[1, 1, 1], [97]]),
        ([97, 1, 1, 1], 2, [[97], [1, 1, 1]]),
        ([1, 1, 1, 1, 1, 1, 1], 3, [[1, 1], [1, 1, 1], [1, 1]]),
        ([5], 4, [[5]]),
        ([0, 0], 4, [[0, 0]]),
    ]:
        parts = appending._shares([(file, rows) for file in landed(sizes)], count)
        assert [[file.size for file, _ in part] for part in parts] == shares


# -- what the engine is trusted with


@pytest.mark.parametrize("size", [BLOCK, 5 * _LOOKED_AT])
@pytest.mark.parametrize(("end", "trusted"), [('9,""\n', True), ('9,"\n', False), ('9,"" ""\n', False)])
def test_a_file_is_left_to_the_engine_also_where_its_last_bytes_alone_tell_nothing_of_their_quotes(
    tmp_path: Path, end: str, trusted: bool, size: int
) -> None:
    """Files are looked through a part at a time; what is left over may be a few lines."""
    path = tmp_path / "1.csv"
    path.write_text("a,b\n" + '1,"x y"\n' * (size // 8 - 100) + "2,x\n" * 300 + end)
    assert (csv_by_engine(CSV, path) is not None) == trusted
