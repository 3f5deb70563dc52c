"""ORC by Arrow, stripe by stripe: values as the engine casts them to text, as those of Parquet.

Its cast loses nothing of them: decimals of ORC have at most 38 digits. Columns have names of ours on the way, so that
none of the file's can hide another.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.bronze.readers.parquet import text_of
from src.bronze.readers.records import Rows, checked
from src.bronze.readers.refusals import unreadable
from src.engine import DuckEngine, identifier

_ROWS_PER_BATCH = 4_096


def orc_by_arrow(engine: DuckEngine, path: Path) -> Rows:
    """Return an ORC file's rows, every value as text; a file that is damaged anywhere is refused."""
    import pyarrow as pa
    from pyarrow import orc

    try:
        with open(path, "rb") as file:
            source = orc.ORCFile(file)
            schema = source.schema
            names = checked(schema.names, path)
            for stripe in range(source.nstripes):  # proves the file whole before its first row is given away
                source.read_stripe(stripe)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise unreadable(path, "not an ORC file that can be read", error) from error
    stream = f"landed_{uuid.uuid4().hex}"
    own = pa.schema([pa.field(f"_{at}", kind) for at, kind in enumerate(schema.types)])
    engine.stream(stream, own.empty_table())
    kinds = engine.columns(f"SELECT * FROM {identifier(stream)}")
    engine.unstream(stream)
    numbered = own.append(pa.field("_row", pa.int64()))
    engine.stream(stream, pa.RecordBatchReader.from_batches(numbered, _batches(path, own)))
    texts = (text_of(f"_{at}", kind) for at, kind in enumerate(kinds.values()))
    values = ", ".join(f"{text} AS {identifier(name)}" for name, text in zip(names, texts, strict=True))
    project = "_row, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw"
    return Rows(names, f"SELECT {values}, {project} FROM {identifier(stream)}", (stream,))


def _batches(path: Path, own: Any) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import orc

    row = 1
    with open(path, "rb") as file:
        source = orc.ORCFile(file)
        for stripe in range(source.nstripes):
            whole = source.read_stripe(stripe)
            for start in range(0, len(whole), _ROWS_PER_BATCH):
                batch = whole.slice(start, _ROWS_PER_BATCH)
                numbers = pa.array(range(row, row + len(batch)), pa.int64())
                yield pa.record_batch([*batch.columns, numbers], [*own.names, "_row"])
                row += len(batch)
