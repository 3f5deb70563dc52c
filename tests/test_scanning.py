"""A value is found in whatever form a file holds it, one that is nowhere nowhere; what could not be read is told."""

from __future__ import annotations

import base64
import bz2
import gzip
import html
import json
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import duckdb
import fastavro
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from src.engine import DuckEngine
from src.forget.scanning import Scan, Value, search

NAME, MAIL, NUMBER = "Åsa O'Neill", "asa.oneill@example.com", 7305518
ABSENT = [Value("Bertil Lind"), Value("bertil@example.com"), Value("730551"), Value("305518"), Value("73055180")]
OTHERS = [f"person {number}" for number in range(3000)]


@pytest.fixture(name="engine")
def _engine(tmp_path: Path) -> Iterator[DuckEngine]:
    engine = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path / "spill")
    yield engine
    engine.close()


def look(engine: DuckEngine, folder: Path, *values: Value) -> Scan:
    return search(engine, values, [folder], folder.parent / "spill")


def parquet(path: Path, column: pa.Array, **options: object) -> None:
    pq.write_table(pa.table({"customer": column}), path, **options)


def unused(path: Path, own: object, others: list[object]) -> None:
    """Write a dictionary of three entries, the last of which no row uses: its page of rows says 0, 1, 0."""
    schema = pa.schema([pa.field("customer", pa.array([own]).type, nullable=False)])
    table = pa.table({"customer": [*others, own]}, schema=schema)
    pq.write_table(table, path, compression="none", write_statistics=False, store_schema=False)
    data = path.read_bytes()
    assert data.count(b"\x02\x03\x24\x00") == 1
    path.write_bytes(data.replace(b"\x02\x03\x24\x00", b"\x02\x03\x04\x00"))
    assert pq.read_table(path)["customer"].to_pylist() == [others[0], others[1], others[0]]


def log(path: Path, text: str) -> None:
    folder = path / "_delta_log"
    folder.mkdir(parents=True)
    (folder / "00000000000000000001.json").write_text(text)


def bounds(name: str, value: object) -> str:
    return json.dumps({"numRecords": 2, "minValues": {name: 1}, "maxValues": {name: value}, "nullCount": {name: 0}})


def add(stats: str) -> str:
    entry = {"path": "part-0.parquet", "size": 99, "modificationTime": 1, "dataChange": True, "stats": stats}
    return json.dumps({"add": entry}) + "\n"


def checkpoint(path: Path) -> None:
    rows = [{"add": {"path": "part-0.parquet", "size": 9, "stats": bounds("id", NUMBER)}, "txn": None}]
    kinds = {"add": pa.struct([("path", pa.string()), ("size", pa.int64()), ("stats", pa.string())])}
    schema = pa.schema([*kinds.items(), ("txn", pa.struct([("appId", pa.string())]))])
    pq.write_table(pa.Table.from_pylist(rows, schema), path)


def workbook(path: Path) -> None:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet, bold = book.add_worksheet(), book.add_format({"bold": True})
        sheet.write_rich_string(0, 0, "Åsa ", bold, "O'Neill", " bought it")


def zipped(path: Path, name: str, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)


def database(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        rows = f"SELECT CASE WHEN i = 777 THEN '{MAIL}' ELSE 'p' || i % 9 END AS mail FROM range(200000) AS t(i)"
        connection.execute(f"CREATE TABLE people AS {rows}")


def avro(path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}]}
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), [{"id": NUMBER}], codec="deflate")


def renamed(path: Path, name: str) -> None:
    path.mkdir()
    (path / name).write_text("nothing")


def nested(path: Path) -> None:
    rows = pa.array([[{"id": 1, "mail": "p"}], [{"id": 2, "mail": MAIL}]])
    parquet(path, rows, use_dictionary=False)


def metadata(path: Path, text: bytes) -> None:
    table = pa.table({"a": [1]})
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({b"note": text})


def zstd(path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(f"{NAME}\n".encode() * 9)


def in_form(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(f"one,{text},two")


# Each place holds one value, in no other form.
PLACES: dict[str, Callable[[Path], object]] = {
    "utf-8": in_form(NAME),
    "latin-1": lambda path: path.write_bytes(f"1;{NAME};2".encode("latin-1")),
    "cp850": lambda path: path.write_bytes(f"1;{NAME};2".encode("cp850")),
    "utf-16": lambda path: path.write_bytes(f"x{NAME}".encode("utf-16")),
    "another case": in_form(NAME.upper()),
    "letters taken apart": in_form("A\u030asa O'Neill"),
    "json": in_form(json.dumps(NAME)),
    "json in json": in_form(json.dumps(json.dumps(json.dumps(NAME)))),
    "html": in_form(html.escape(NAME).replace("Å", "&Aring;")),
    "percent": in_form(quote(NAME)),
    "a quoted literal of sql": in_form(NAME.replace("'", "''")),
    "a number": in_form(f"K00{NUMBER}.0"),
    "gzip": lambda path: path.write_bytes(gzip.compress(f"{NAME}".encode())),
    "bzip2": lambda path: path.write_bytes(bz2.compress(f"{MAIL}".encode())),
    "xz": lambda path: path.write_bytes(lzma.compress(f"{MAIL}".encode())),
    "zstd": zstd,
    "zip": lambda path: zipped(path, "a.csv", MAIL),
    "name in a zip": lambda path: zipped(path, f"{NUMBER}.csv", "nothing"),
    "xlsx": workbook,
    "name": lambda path: renamed(path, f"order_{NUMBER}.csv"),
    "parquet": lambda path: parquet(path, pa.array([*OTHERS, MAIL]), use_dictionary=False, compression="zstd"),
    "parquet, dictionary": lambda path: parquet(path, pa.array([*OTHERS, MAIL]), compression="snappy"),
    "parquet, second version of pages": lambda path: parquet(
        path, pa.array([None, *OTHERS, MAIL]), use_dictionary=False, data_page_version="2.0", compression="lz4"
    ),
    "parquet, entry that no row has": lambda path: unused(path, MAIL, ["p", "q"]),
    "parquet, number that no row has": lambda path: unused(path, NUMBER, [1, 2]),
    "parquet, common beginnings": lambda path: parquet(
        path,
        pa.array(["asa.oneill@exa", MAIL]),
        use_dictionary=False,
        column_encoding="DELTA_BYTE_ARRAY",
        write_statistics=False,
    ),
    "parquet, lengths apart": lambda path: parquet(
        path, pa.array(["x", MAIL]), use_dictionary=False, column_encoding="DELTA_LENGTH_BYTE_ARRAY"
    ),
    "parquet, number": lambda path: parquet(path, pa.array([1, NUMBER, 9999999]), write_statistics=False),
    "parquet, decimal": lambda path: parquet(path, pa.array([Decimal("1.00"), Decimal(f"{NUMBER}.00")])),
    "parquet, number as text": lambda path: parquet(
        path, pa.array([str(NUMBER), "x" * 53]), use_dictionary=False, write_statistics=False
    ),
    "parquet, nested": nested,
    "parquet, footer": lambda path: metadata(path, MAIL.encode()),
    "parquet, footer in base64": lambda path: metadata(path, base64.b64encode(MAIL.encode())),
    "orc": lambda path: pyarrow.orc.write_table(pa.table({"a": [*OTHERS, MAIL]}), str(path), compression="zlib"),
    "avro": avro,
    "duckdb": database,
    "delta, statistics": lambda path: log(path, add(bounds("id", NUMBER))),
    "delta, predicate": lambda path: log(path, json.dumps({"commitInfo": {"predicate": f"name = '{NAME}'"}})),
    "delta, checkpoint": checkpoint,
}


def plant(folder: Path) -> None:
    for name, write in PLACES.items():
        place = folder / name.replace(" ", "_")
        place.parent.mkdir(parents=True, exist_ok=True)
        write(place)


def test_a_value_is_found_in_whatever_form_a_file_holds_it(tmp_path: Path, engine: DuckEngine) -> None:
    plant(tmp_path / "lake")
    wanted = [Value(NAME), Value(MAIL), Value(str(NUMBER))]
    scan = look(engine, tmp_path / "lake", *wanted)
    found = {finding.path.relative_to(tmp_path / "lake").parts[0] for finding in scan.findings if finding.value}
    assert {name.replace(" ", "_") for name in PLACES} - found == set()
    assert [finding for finding in scan.findings if finding.value is None] == []
    assert scan.files == len(PLACES)


def test_a_value_that_is_nowhere_is_found_nowhere(tmp_path: Path, engine: DuckEngine) -> None:
    plant(tmp_path / "lake")
    assert look(engine, tmp_path / "lake", *ABSENT).findings == ()


def test_digits_of_a_hash_or_of_a_fraction_are_not_the_number(tmp_path: Path, engine: DuckEngine) -> None:
    lake = tmp_path / "lake"
    log(lake, '{"add": {"path": "part-0-4512345f-aaaa-4aaa-8aaa-aaaaaaa12345.parquet", "size": 12345}}')
    (lake / "a.csv").write_text("1.12345,12345.5,f12345aa0c9b44298fc1c149afbf4c89")
    assert look(engine, lake, Value("12345")).findings == ()


def test_a_number_counts_in_the_columns_that_are_named(tmp_path: Path, engine: DuckEngine) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    pq.write_table(pa.table({"order_id": ["12345", "7"], "rows": [12345, 1], "customer": [1, 2]}), lake / "a.parquet")
    log(lake, add(bounds("order_id", 12345)))
    assert look(engine, lake, Value("12345", frozenset({"customer"}))).findings == ()
    found = look(engine, lake, Value("12345", frozenset({"rows"}))).findings
    assert {(one.path.name, one.how) for one in found} >= {("a.parquet", "rows of rows")}
    assert not [one for one in found if "order_id" in one.how or one.path.name != "a.parquet"]


def test_a_number_counts_in_the_columns_of_files_of_lines_too(tmp_path: Path, engine: DuckEngine) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    filler = "1,2,x\n" * 900_000
    (lake / "of_order.csv").write_text("order_id,customer\n12345,7\n8,9\n")
    (lake / "of_order.ndjson").write_text('{"order_id": 12345, "customer": {"id": 7}}\n{"a": 1}\n')
    (lake / "late.csv").write_text(f"order_id,customer,note\n{filler}12345,1,x\n{filler}9,12345,x")
    (lake / "note.csv").write_text("order_id,note\n1,see 12345\n")
    (lake / "misfit.csv").write_text("order_id,customer\n1,2,12345\n")
    (lake / "no_header.csv").write_text("12345,7\n8,9\n")
    (lake / "of_customer.ndjson").write_text('{"order_id": 7, "customer": {"id": "12345"}}\n')
    found = look(engine, lake, Value("12345", frozenset({"customer", "id"}))).findings
    assert [one.path.name for one in found] == [
        "late.csv",
        "misfit.csv",
        "no_header.csv",
        "note.csv",
        "of_customer.ndjson",
    ]
    (lake / "late.csv").write_text(f"order_id,customer,note\n{filler}12345,1,x\n{filler}9,1234,x")
    found = look(engine, lake, Value("12345", frozenset({"customer"}))).findings
    assert "late.csv" not in [one.path.name for one in found]


def test_a_text_that_a_log_cut_is_found(tmp_path: Path, engine: DuckEngine) -> None:
    long = "Anna-Karin Margareta Elisabet Svensson"
    log(tmp_path / "lake", add(bounds("name", "Anna-Karin Margareta Elisabet Sw")))
    assert [one.how for one in look(engine, tmp_path / "lake", Value(long)).findings] == [
        "entry of the log, statistics"
    ]


def test_what_cannot_be_read_is_a_finding(tmp_path: Path, engine: DuckEngine) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    parquet(lake / "torn.parquet", pa.array(OTHERS))
    os.truncate(lake / "torn.parquet", 900)
    (lake / "torn.gz").write_bytes(gzip.compress(os.urandom(9000))[:5000])
    (lake / "sealed.pdf").write_bytes(b"%PDF-1.7 ...")
    (lake / "good.csv").write_text("a,b")
    found = look(engine, lake, Value(MAIL)).findings
    assert {(one.path.name, one.value) for one in found} == {
        ("torn.parquet", None),
        ("torn.gz", None),
        ("sealed.pdf", None),
    }


def test_a_value_at_the_edge_of_two_pieces_is_found_and_a_file_of_many_names_read_once(
    tmp_path: Path, engine: DuckEngine
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "a.csv").write_bytes(b"x" * ((4 << 20) - 5) + MAIL.encode() + b"y" * 100)
    os.link(lake / "a.csv", lake / "b.csv")
    scan = look(engine, lake, Value(MAIL))
    assert (len(scan.findings), scan.files, scan.bytes) == (1, 1, (4 << 20) - 5 + len(MAIL) + 100)
