"""Landed files lose the records of a person and nothing else; what cannot be rewritten so is named, and left."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from conftest import Lake
from test_readers import CSV

from src import lake as tables
from src.contract import Feed
from src.errors import DataError
from src.forget.landed import Landed, rewrite
from src.forget.rewriting import write_without
from src.project import open_project

FIXED = replace(CSV, format="fixed", header=False, fixed_width=(("id", 1, 4), ("name", 5, 10)))
NDJSON, JSON = replace(CSV, format="ndjson"), replace(CSV, format="json", record_path=("data", "items"))
XML = replace(CSV, format="xml", record_path=("shop", "order"))
TITLED = replace(CSV, header=3, skip_footer=1)


@pytest.mark.parametrize(
    ("feed", "rows", "before", "after"),
    [
        (CSV, {1, 3}, b"a,b\n1,x\n\n2,y\r\n3,z", b"a,b\n\n2,y\r\n"),
        (
            CSV,
            {2},
            b'\xef\xbb\xbfa,b\r\n1,"x\r\n""y"""\r\n2,"p\n\nq"\r\n3,z\r\n',
            b'\xef\xbb\xbfa,b\r\n1,"x\r\n""y"""\r\n3,z\r\n',
        ),
        (CSV, {2}, b'a,b\n1,x\n2,y,too many\n3,"open\n4,\xff\n', b'a,b\n1,x\n3,"open\n4,\xff\n'),
        (CSV, {1}, b"a\n\n7\n", b"a\n7\n"),
        (TITLED, {1}, b"Sales\n\na,b\n1,x\n2,y\nTotal,2\n\n", b"Sales\n\na,b\n2,y\nTotal,2\n\n"),
        (replace(CSV, encoding="utf-16"), {1}, "a,b\n1,å\n2,ö\n".encode("utf-16"), "a,b\n2,ö\n".encode("utf-16")),
        (FIXED, {2}, b"0001abcdef\n\n0002x\n0003y\n", b"0001abcdef\n\n0003y\n"),
        (NDJSON, {1, 3}, b'{"a": 1}\n\n{"a": 2}\nno json\n', b'\n{"a": 2}\n'),
        (
            JSON,
            {2, 4},
            b'{"n": 4, "data": {"items": [{"a":1}, {"a":2},\n {"a":3},\n{"a":4} ]}}',
            b'{"n": 4, "data": {"items": [{"a":1}, {"a":3} ]}}',
        ),
        (JSON, {1, 2}, b'{"data": {"items": [ {"a":1},{"a":2} ]}}', b'{"data": {"items": [  ]}}'),
        (JSON, {3, 2}, b'{"data": {"items": [ {"a":1},{"a":2} , {"a":3}]}}', b'{"data": {"items": [ {"a":1}]}}'),
        (
            XML,
            {1, 3},
            b'<shop>\n <order a=">"/>\n <order><x>1</x></order><!-- c -->\n <order>2</order>\n</shop>',
            b"<shop>\n <order><x>1</x></order><!-- c -->\n</shop>",
        ),
    ],
)  # fmt: skip
def test_a_text_keeps_every_byte_that_is_not_of_the_records_that_go(
    tmp_path: Path, feed: Feed, rows: set[int], before: bytes, after: bytes
) -> None:
    (tmp_path / "a.txt").write_bytes(before)
    write_without(feed, tmp_path / "a.txt", rows, tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == after


def test_a_packed_file_is_packed_again_with_the_name_and_time_of_its_header(tmp_path: Path) -> None:
    with (tmp_path / "a.csv.gz").open("wb") as file, gzip.GzipFile("orders", "wb", 9, file, mtime=77) as packed:
        packed.write(b"a,b\n1,x\n2,y\n")
    write_without(CSV, tmp_path / "a.csv.gz", {1}, tmp_path / "b.csv.gz")
    new = (tmp_path / "b.csv.gz").read_bytes()
    assert (gzip.decompress(new), new[4:8], new[10:17]) == (b"a,b\n2,y\n", b"\x4d\0\0\0", b"orders\0")


def test_files_of_columns_keep_their_values_types_and_what_the_footer_says(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int32()),
            "tags": [["a"], None, []],
            "at": pa.array([1, 2, 3], pa.timestamp("us")),
        }
    ).replace_schema_metadata({"by": "us"})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, compression="zstd")
    write_without(replace(CSV, format="parquet"), tmp_path / "a.parquet", {2}, tmp_path / "b.parquet")
    new = pq.read_table(tmp_path / "b.parquet")
    assert new.equals(table.take([0, 2])) and new.schema.metadata[b"by"] == b"us"
    pyarrow.orc.write_table(table.drop_columns(["at"]), tmp_path / "a.orc")
    write_without(replace(CSV, format="orc"), tmp_path / "a.orc", {1}, tmp_path / "b.orc")
    assert pyarrow.orc.read_table(tmp_path / "b.orc").to_pylist() == [{"id": 2, "tags": None}, {"id": 3, "tags": []}]
    schema = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}]}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"id": 1}, {"id": 2}], codec="deflate", metadata={"by": "us"})
    write_without(replace(CSV, format="avro"), tmp_path / "a.avro", {1}, tmp_path / "b.avro")
    with (tmp_path / "b.avro").open("rb") as file:
        reader = fastavro.reader(file)
        assert (list(reader), reader.metadata["by"], reader.codec) == ([{"id": 2}], "us", "deflate")
    with pytest.raises(DataError, match=r"no library writes \.xlsx"):
        write_without(replace(CSV, format="xlsx"), tmp_path / "a.xlsx", {1}, tmp_path / "b.xlsx")


def test_text_that_is_not_all_in_its_encoding_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("a,b\n1,x\n2,y".encode("utf-16") + b"!")
    with pytest.raises(DataError, match="not all of it is utf-16"):
        write_without(replace(CSV, encoding="utf-16"), tmp_path / "a.txt", {1}, tmp_path / "b.txt")


# -- in the landing zone

HEADER, LINES = "order_id,day,amount,updated\n", [f"{nth},2024-01-0{nth},10,1\n" for nth in (1, 2, 3, 4)]
FILE = "shop/orders/1.csv"


def rewritten(lake: Lake, lines: dict[str, set[int]], *, killed: bool = False) -> list[Landed]:
    """Rewrite landed files as a command would, which records the new bytes in bronze."""
    with open_project(lake.settings) as project:
        feed = project.contracts.feeds["bronze.shop.orders"]

        def before(name: str, sha256: str) -> None:
            bronze = project.table(feed.id)
            assert bronze
            tables.commit(bronze, progress={f"file:{sha256}": 1, f"last:{name}": int(sha256[:16], 16) >> 1})
            if killed:
                raise KeyboardInterrupt

        return rewrite(project, feed, lines, before)


def of_orders(lake: Lake) -> list[tuple[Any, ...]]:
    return lake.rows("SELECT order_id FROM silver.shop.orders ORDER BY ALL")


@pytest.fixture(name="shop")
def _shop(lake: Lake) -> Lake:
    lake.environ["LANDING_REWRITE"] = "true"
    lake.shop().land(FILE, HEADER + "".join(LINES))
    lake.good()
    return lake


def test_a_rewritten_file_is_no_arrival_and_keeps_its_time(shop: Lake) -> None:
    path = shop.data / "landing" / FILE
    os.utime(path, ns=(10**18, 10**18))
    assert rewritten(shop, {FILE: {2}}) == [Landed(FILE, 1)]
    assert path.read_text() == HEADER + LINES[0] + LINES[2] + LINES[3]
    assert path.stat().st_mtime_ns == 10**18
    assert os.listdir(path.parent) == ["1.csv"]
    run = shop.good()
    assert shop.step(run, "bronze.shop.orders").records_read == 0
    assert shop.rows("SELECT count(*) FROM bronze.shop.orders") == [(4,)]
    # as if killed before bronze lost the row: the file is found done, and not touched again
    assert rewritten(shop, {FILE: {2}}) == [Landed(FILE, 1)]
    assert path.read_text() == HEADER + LINES[0] + LINES[2] + LINES[3]


def test_killed_before_it_takes_its_place_a_file_is_as_it_was_and_no_arrival(shop: Lake) -> None:
    path = shop.data / "landing" / FILE
    with pytest.raises(KeyboardInterrupt):
        rewritten(shop, {FILE: {2}}, killed=True)
    assert path.read_text() == HEADER + "".join(LINES) and os.listdir(path.parent) == ["1.csv"]
    assert shop.step(shop.good(), "bronze.shop.orders").records_read == 0
    assert rewritten(shop, {FILE: {2}}) == [Landed(FILE, 1)]
    assert path.read_text() == HEADER + LINES[0] + LINES[2] + LINES[3]


def test_an_archive_keeps_its_other_files_byte_for_byte(lake: Lake) -> None:
    lake.environ["LANDING_REWRITE"] = "true"
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.csv", (2024, 5, 6, 7, 8, 10)), HEADER + LINES[0] + LINES[1])
        archive.writestr("notes.txt", "left")
    lake.shop().land("shop/orders/x.zip", sink.getvalue())
    lake.good()
    assert rewritten(lake, {"shop/orders/x.zip/a.csv": {1}}) == [Landed("shop/orders/x.zip", 1)]
    with zipfile.ZipFile(lake.data / "landing/shop/orders/x.zip") as archive:
        assert archive.read("a.csv").decode() == HEADER + LINES[1]
        assert archive.getinfo("a.csv").date_time == (2024, 5, 6, 7, 8, 10)
        assert archive.read("notes.txt") == b"left"
    assert lake.step(lake.good(), "bronze.shop.orders").records_read == 0


def test_a_file_is_left_where_the_project_or_its_bytes_say_so(shop: Lake) -> None:
    path = shop.data / "landing" / FILE
    path.write_text(HEADER + LINES[3] + LINES[2])
    assert [one.why for one in rewritten(shop, {FILE: {2}})] == ["its records are not those that bronze took of it"]
    path.unlink()
    assert [one.why for one in rewritten(shop, {FILE: {2}})] == ["it is not there any more"]
    path.write_text(HEADER + "".join(LINES))
    shop.environ["LANDING_REWRITE"] = "false"
    assert [one.why for one in rewritten(shop, {FILE: {2}})] == ["LANDING_REWRITE is false"]
    assert path.read_text() == HEADER + "".join(LINES)


def test_what_was_written_is_read_before_it_takes_its_place(lake: Lake) -> None:
    lake.environ["LANDING_REWRITE"] = "true"
    lake.shop().edit(
        "silver/shop/orders.yaml",
        "*.csv, format: csv}",
        "*.json, format: json, customProperties: [{property: recordPath, value: items}]}",
    )
    first, second = (f'{{"order_id":{nth},"day":"2024-01-01","amount":10,"updated":1}}' for nth in (1, 2))
    text = f'{{"old": [{first}], "items": [{first}, {second}]}}'
    path = lake.land("shop/orders/1.json", text)
    lake.good()
    # the text of the first stands before it too, and would go in its place
    assert [one.why for one in rewritten(lake, {"shop/orders/1.json": {1}})] == [
        "3 of its records would not be what they were"
    ]
    assert path.read_text() == text
    assert rewritten(lake, {"shop/orders/1.json": {2}}) == [Landed("shop/orders/1.json", 1)]
    assert path.read_text() == f'{{"old": [{first}], "items": [{first}]}}'
