"""A file's first bytes say what it is, whatever its name: text in another encoding, or another format."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from conftest import Lake
from test_readers import CSV, JSON, NDJSON, land, refusal, values, workbook

from src.bronze import readers
from src.engine import DuckEngine
from src.errors import DataError

UNSTATED = replace(CSV, encoding_stated=False)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


@pytest.mark.parametrize("written", ["utf-16", "utf-32"])
def test_a_byte_order_mark_is_believed_where_the_contract_names_no_encoding(
    engine: DuckEngine, tmp_path: Path, written: str
) -> None:
    note = f"read as {written}, which its byte order mark says"
    for feed, text in ((UNSTATED, "a,b\nß,€\n"), (replace(UNSTATED, format="ndjson"), '{"a":"ß","b":"€"}\n')):
        path = land(tmp_path, text.encode(written))
        assert values(engine, feed, path) == [("ß", "€")]
        assert readers.read(engine, feed, path).notes == (note,)
        stated = refusal(engine, replace(feed, encoding_stated=True), path)
        assert stated == f"the file begins with the byte order mark of {written}, the contract says utf-8"
    assert values(engine, UNSTATED, land(tmp_path, "a,b\nß,€\n".encode("utf-8-sig"))) == [("ß", "€")]


def written(folder: Path, kind: str) -> bytes:
    path = folder / kind
    table = pa.table({"a": [1, 2]})
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "orc":
        pyarrow.orc.write_table(table, path)
    elif kind == "sqlite":
        sqlite3.connect(path).execute("CREATE TABLE a (b)").connection.close()
    elif kind == "xlsx":
        workbook(path, {"s": [["a"], [1]]})
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr({"zip": "a.csv", "docx": "word/document.xml", "ods": "mimetype"}[kind], "x")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "what", "fix"),
    [
        ("parquet", "a Parquet file", "write `format: parquet` in "),
        ("orc", "an ORC file", "write `format: orc` in "),
        ("xlsx", "an Excel workbook", "write `format: xlsx` in "),
        ("ods", "an OpenDocument file", "write `format: xlsx` in "),
        ("docx", "a Word document", "land its data"),
        ("zip", "a zip archive", "end its name in .zip"),
        ("sqlite", "an SQLite database", "land what is to be read"),
    ],
)
def test_a_file_of_another_format_is_refused_by_its_name(
    engine: DuckEngine, tmp_path: Path, kind: str, what: str, fix: str
) -> None:
    path = land(tmp_path, written(tmp_path, kind))
    for feed in (CSV, NDJSON, JSON):
        with pytest.raises(DataError) as refused:
            readers.read(engine, feed, path)
        assert refused.value.what.startswith(f"the file is {what}") and feed.format in refused.value.what
        assert str(refused.value.fix).startswith(fix)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"a,b\n", mtime=0), "packed by gzip"),
        (bz2.compress(b"a,b\n"), "packed by bzip2"),
        (lzma.compress(b"a,b\n"), "packed by xz"),
        (bytes(pa.compress(b"a,b\n", codec="zstd", asbytes=True)), "packed by zstd"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\n  <!DOCTYPE html>\n<html>", "an HTML page"),
        (b"\xef\xbb\xbf<HTML lang=en>", "an HTML page"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (b"Obj\x01\x04\x14", "an Avro file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Office file, such as a workbook (.xls)"),
        (b'[\n {"a": 1}]', "JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_packed_or_no_table_is_refused_by_its_name(
    engine: DuckEngine, tmp_path: Path, content: bytes, what: str
) -> None:
    assert refusal(engine, CSV, land(tmp_path, content)) == f"the file is {what}, the contract says csv"
    sink = io.BytesIO(gzip.compress(content, mtime=0))
    assert refusal(engine, CSV, land(tmp_path, sink.getvalue(), "1.csv.gz")).startswith(f"the file is {what}")


@pytest.mark.parametrize("header", ["PAR1,PAR2", "ORCID,name", "BZh9,x", "%PDF,x", "Obj,x", "Rar!,x", "PK,x", "<a>,b"])
def test_a_name_that_only_begins_like_another_format_is_a_name(engine: DuckEngine, tmp_path: Path, header: str) -> None:
    path = land(tmp_path, f"{header}\n1,2\n")
    assert readers.read(engine, CSV, path).columns == tuple(header.split(","))
    assert values(engine, CSV, path) == [("1", "2")]


def test_a_contract_without_an_encoding_takes_utf_16_and_the_run_says_so(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n".encode("utf-16"))
    step = lake.step(lake.good(), "bronze.shop.orders")
    assert step.notes == "read as utf-16, which its byte order mark says in shop/orders/1.csv"
    assert lake.rows("SELECT amount FROM silver.shop.orders") == [(10,)]


# -- records below a path


ENVELOPE = replace(JSON, record_path=("data", "items"))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (
            '{"next": null, "data": {"total": 2, "items": [{"a": 1.10}, {"a": "x"}], "m": [{}]}, "z": 1}',
            ["1.10", "x"],
        ),
        ('[{"data": {"items": [{"a": 1}]}}, {"data": {"items": []}}, {"data": {"items": [{"a": 2}]}}]', ["1", "2"]),
        ('{"data": [{"items": [{"a": 1}]}, {"items": {"a": 2}}]}', ["1", "2"]),
        ('{"data": {"items": null}}', []),
        ('{"data": {"items": []}}', []),
        ("", []),
    ],
)
def test_records_are_read_from_where_the_path_leads(
    engine: DuckEngine, tmp_path: Path, content: str, rows: list[str]
) -> None:
    assert values(engine, ENVELOPE, land(tmp_path, content)) == [(row,) for row in rows]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"data": {"rows": [], "total": 0}}', 'no key "items" in data; there are "rows", "total"'),
        ('{"items": []}', 'no key "data" at the top; there are "items"'),
        ('[{"data": {"items": []}}, {}]', 'no key "data" at the top; there are none'),
        ('{"data": "x"}', 'no object but a string in data, where "items" is expected'),
        ('{"data": {"items": [{"a": 1}]', 'malformed JSON after 1 objects: "" where "," is expected'),
        (
            '{"data": {"items": [{"a": 1}], "items": []}}',
            'malformed JSON after 1 objects: key "items" twice in one object',
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_keys_that_are_there(
    engine: DuckEngine, tmp_path: Path, content: str, what: str
) -> None:
    assert refusal(engine, ENVELOPE, land(tmp_path, content)) == what


def test_what_is_no_object_below_a_path_is_a_reject(engine: DuckEngine, tmp_path: Path) -> None:
    rows = readers.read(engine, replace(JSON, record_path=("features",)), land(tmp_path, '{"features": [{"a": 1}, 7]}'))
    assert engine.rows(f"SELECT a, _row, _reject, _raw FROM ({rows.sql}) ORDER BY _row") == [
        ("1", 1, None, None),
        (None, 2, "not a JSON object but a number", "7"),
    ]
