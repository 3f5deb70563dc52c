"""Avro and ORC: every value is text that has all of its digits, and a damaged file is refused whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.orc
import pytest
from test_readers import CSV, land, refusal, values

from src.bronze import readers
from src.engine import DuckEngine

AVRO, ORC = replace(CSV, format="avro"), replace(CSV, format="orc")
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "raw", "type": "bytes"},
        {"name": "single", "type": ["null", "float"]},
        {"name": "double", "type": "double"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 3}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "ok", "type": "boolean"},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["A", "B"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "of", "type": {"type": "map", "values": ["null", "double"]}},
    ],
}
ROW: dict[str, Any] = {
    "id": 2**62 + 1,
    "note": "",
    "raw": b"\x00\xff",
    "single": 0.1,
    "double": 0.1,
    "price": Decimal("1234567890123456789012345678901234567.120"),
    "day": date(2024, 1, 31),
    "at": datetime(2024, 1, 31, 5, 17, tzinfo=UTC),
    "ok": True,
    "kind": "A",
    "tags": ["a", "é"],
    "of": {"x": 1.5, "y": None},
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def avro(rows: list[dict[str, Any]], codec: str = "deflate", schema: Any = SCHEMA) -> bytes:
    sink = io.BytesIO()
    fastavro.writer(sink, schema, rows, codec=codec)
    return sink.getvalue()


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "bzip2", "xz"])
def test_a_value_of_avro_is_text_with_all_its_digits(engine: DuckEngine, tmp_path: Path, codec: str) -> None:
    path = land(tmp_path, avro([ROW, {**ROW, "id": -1, "note": None, "single": None}], codec))
    assert readers.read(engine, AVRO, path).columns == tuple(ROW)
    rest = ("0.1", "1234567890123456789012345678901234567.120", "2024-01-31", "2024-01-31 05:17:00+00", "true", "A")
    nested = ('["a","é"]', '{"x":1.5,"y":null}')
    assert values(engine, AVRO, path) == [
        ("4611686018427387905", "", "00ff", "0.1", *rest, *nested),
        ("-1", None, "00ff", None, *rest, *nested),
    ]
    assert values(engine, AVRO, land(tmp_path, avro([], codec))) == []


def test_an_avro_file_that_is_damaged_or_holds_no_records_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    whole = avro([ROW] * 500)
    for cut in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        assert "not an Avro file that can be read" in refusal(engine, AVRO, land(tmp_path, whole[:cut]))
    assert "not an Avro file" in refusal(engine, AVRO, land(tmp_path, whole[:-16] + b"0123456789abcdef"))
    assert refusal(engine, AVRO, land(tmp_path, avro([], schema="string"))) == "its schema is no record"
    assert "contract says avro" in refusal(engine, AVRO, land(tmp_path, "<html>"))


def test_a_value_of_orc_is_text_as_that_of_parquet(engine: DuckEngine, tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([2**62 + 1, None]),
            "price": pa.array([Decimal("1.10"), Decimal("-0.05")], pa.decimal128(38, 2)),
            "at": pa.array([1706678220123456789, None], pa.timestamp("ns")),
            "day": pa.array([date(2024, 1, 31), None]),
            "raw": pa.array([b"\x00\xff", b""]),
            "single": pa.array([0.1, 1.0], pa.float32()),
            "tags": pa.array([["a", None], []], pa.list_(pa.string())),
            "of": pa.array([{"x": 1, "y": "z"}, None]),
        }
    )
    path = tmp_path / "1.orc"
    pyarrow.orc.write_table(table, path)
    assert readers.read(engine, ORC, path).columns == tuple(table.column_names)
    of = '{"x":1,"y":"z"}'
    assert values(engine, ORC, path) == [
        ("4611686018427387905", "1.10", "2024-01-31 05:17:00.123456789", "2024-01-31", "00ff", "0.1", '["a",null]', of),
        (None, "-0.05", None, None, "", "1.0", "[]", None),
    ]
    many = pa.table({"n": list(range(20_000))})
    pyarrow.orc.write_table(many, path, stripe_size=4_096)
    assert values(engine, ORC, path) == [(str(number),) for number in range(20_000)]


def test_an_orc_file_that_is_damaged_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    sink = io.BytesIO()
    pyarrow.orc.write_table(pa.table({"n": ["some text"] * 1_000}), sink, compression="zlib")
    whole = sink.getvalue()
    for cut in (0, 3, len(whole) // 2, len(whole) - 1):
        assert "not an ORC file that can be read" in refusal(engine, ORC, land(tmp_path, whole[:cut]))
