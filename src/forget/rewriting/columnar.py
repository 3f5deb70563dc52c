"""Parquet, Avro and ORC without some of their rows: the same values in the same types, in pages of their own."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any

from src.contract import Feed


def write_columns(feed: Feed, path: Path, rows: Collection[int], out: Path) -> None:
    """Write a file of columns, or of records of a schema, as `write_without` does."""
    write = {"parquet": _parquet, "orc": _orc, "avro": _avro}[feed.format]
    write(path, frozenset(rows), out)


def _parquet(path: Path, rows: Collection[int], out: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = file.metadata.num_row_groups
        first = file.metadata.row_group(0) if groups else None
        packings = [first.column(at).compression for at in range(first.num_columns)] if first else []
        packing = {"UNCOMPRESSED": "none", "LZ4_RAW": "lz4"}.get(packings[0], packings[0]) if packings else "snappy"
        version = "2.6" if file.metadata.format_version.startswith("2") else "1.0"
        with pq.ParquetWriter(out, file.schema_arrow, compression=packing, version=version) as writer:
            done = 0
            for group in range(groups):
                table = file.read_row_group(group)
                if (kept := _without(table, rows, done)).num_rows:
                    writer.write_table(kept, row_group_size=table.num_rows)
                done += table.num_rows


def _orc(path: Path, rows: Collection[int], out: Path) -> None:
    import pyarrow as pa
    from pyarrow import orc

    with path.open("rb") as file:
        source = orc.ORCFile(file)
        with out.open("wb") as written, orc.ORCWriter(written, compression=source.compression) as writer:
            done = 0
            for stripe in range(source.nstripes):
                batch = source.read_stripe(stripe)
                writer.write(_without(pa.Table.from_batches([batch]), rows, done))
                done += batch.num_rows


def _without(table: Any, rows: Collection[int], done: int) -> Any:
    """Return a table without the rows of these numbers; `done` rows of the file come before it."""
    import pyarrow as pa

    return table.filter(pa.array(done + nth + 1 not in rows for nth in range(table.num_rows)))


def _avro(path: Path, rows: Collection[int], out: Path) -> None:
    import fastavro

    with path.open("rb") as file, out.open("wb") as written:
        reader = fastavro.reader(file)
        kept = (record for number, record in zip(count(1), reader, strict=False) if number not in rows)
        own = {name: text for name, text in reader.metadata.items() if not name.startswith("avro.")}
        codec = reader.codec if isinstance(reader.codec, str) else "null"
        fastavro.writer(written, reader.writer_schema, kept, codec=codec, metadata=own)
