"""Parquet by the engine: values as it casts them to text; bytes as hex, nested values as JSON, NULL as it is.

Where its cast would lose something there is another way: INT96 moments are read as day and time, to the nanosecond;
VARIANT by its own JSON; decimals of more than 38 digits by Arrow.

How a file is read follows from its schema alone, which is asked of the engine once for all files that have the same;
one reader then takes such files in turn.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.bronze.readers.files import pattern
from src.bronze.readers.parquet_pages import damaged_page, has_checksums, schema_bytes
from src.bronze.readers.records import Rows, checked
from src.bronze.readers.refusals import unreadable
from src.engine import DuckEngine, identifier, literal
from src.errors import DataError

_MOST_DIGITS = 38  # of a decimal of the engine
_ROWS_PER_BATCH = 4_096
_AS_IN_FILE = "hive_partitioning = false, int96_as = 'struct'"
_OPTIONS = f"{_AS_IN_FILE}, file_row_number = true"
_OF_THE_READER = {"file_row_number", "file_index"}  # its own columns, which one of a file's would hide
_SCHEMAS_KEPT = 1_000
_kinds: dict[bytes, _Kind] = {}  # of the schemas of files, as these have it in their last bytes


@dataclass(frozen=True)
class _Column:
    name: str
    kind: str  # of Parquet; '' for a nested one
    digits: int  # of the longest decimal in it


@dataclass(frozen=True)
class _Kind:
    """Parquet files of one schema."""

    columns: tuple[str, ...]
    types: tuple[str, ...]  # the engine's
    values: str  # each column as text
    uses_all_threads: bool = True

    def rows(self, files: Sequence[str]) -> Rows:
        """Return each row with its file's index and its number in that file, as its reader counts them."""
        project = "file_row_number + 1 AS _row, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw"
        project += ", file_index::BIGINT + 1 AS _file" if len(files) > 1 else ""
        sql = f"SELECT {self.values}, {project} FROM read_parquet({literal(list(files))}, {_OPTIONS})"
        return Rows(self.columns, sql, files=tuple(files), kind=self)


def parquet_of_known_schema(engine: DuckEngine, path: Path) -> Rows:
    """Return what `parquet_by_engine` does, without a look at the file by the engine where its schema is known.

    What else may be wrong with the file stops the engine when it reads the rows.
    """
    schema = schema_bytes(path)
    kind = _kinds.get(schema) if schema else None
    if kind is None:
        rows = parquet_by_engine(engine, path)
        if schema and isinstance(rows.kind, _Kind) and len(_kinds) < _SCHEMAS_KEPT:
            _kinds[schema] = rows.kind
        return rows
    with _refused_by_name(path):
        _prove_pages(engine, path)
    return kind.rows([pattern(path)])


def parquet_by_engine(engine: DuckEngine, path: Path) -> Rows:
    """Return a Parquet file as the engine reads it, every value as text, wide decimals by way of Arrow."""
    with open(path, "rb"):
        pass  # no permission is told as such
    file = literal(pattern(path))
    with _refused_by_name(path):
        columns = _outer(engine.rows(f"SELECT name, num_children, type, precision FROM parquet_schema({file})"))
        names = checked([column.name for column in columns], path)
        kinds = engine.columns(f"SELECT * FROM read_parquet({file}, {_AS_IN_FILE})")
        _prove_pages(engine, path)
    texts = {
        column.name: _as_text(identifier(column.name), kind, column)
        for column, kind in zip(columns, kinds.values(), strict=True)
    }
    wide = [column.name for column in columns if column.digits > _MOST_DIGITS]
    if wide:
        return _beside_arrow(engine, path, texts, wide, f"read_parquet({file}, {_OPTIONS})")
    values = ", ".join(f"{text} AS {identifier(name)}" for name, text in texts.items())
    if not _OF_THE_READER.isdisjoint(name.lower() for name in names):
        project = "row_number() OVER () AS _row, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw"
        source = f"read_parquet({file}, {_AS_IN_FILE})"
        return Rows(names, f"SELECT {values}, {project} FROM {source}")
    return _Kind(names, tuple(kinds.values()), values).rows([pattern(path)])


@contextmanager
def _refused_by_name(path: Path) -> Iterator[None]:
    """Raise what the engine says of a file as its refusal, which names it."""
    try:
        yield
    except DataError as error:
        if error.where == str(path):
            raise
        raise unreadable(path, "not a Parquet file that can be read", error.what) from error


def _outer(parts: Sequence[tuple[str, int | None, str | None, int | None]]) -> list[_Column]:
    """Return the columns among all parts of a Parquet schema, which come depth first after the root.

    The engine's own names do not do: it renames the second of two equal ones.
    """
    columns: list[_Column] = []
    inside = 0
    for name, children, kind, digits in parts[1:]:
        if inside == 0:
            columns.append(_Column(name, "" if children else kind or "", digits or 0))
        elif (digits or 0) > columns[-1].digits:
            columns[-1] = _Column(columns[-1].name, columns[-1].kind, digits or 0)
        inside += (children or 0) - (inside > 0)
    return columns


def _prove_pages(engine: DuckEngine, path: Path) -> None:
    if not has_checksums(path):
        return
    file = literal(pattern(path))
    begin = "CASE WHEN dictionary_page_offset > 0 THEN least(dictionary_page_offset, data_page_offset) "
    chunks = engine.rows(
        f"SELECT {begin}ELSE data_page_offset END, total_compressed_size FROM parquet_metadata({file})"
    )
    if (at := damaged_page(path, chunks)) is not None:
        raise unreadable(path, "damaged Parquet file", f"the page at byte {at} is not what its checksum says")


def _as_text(name: str, kind: str, column: _Column) -> str:
    if column.kind == "INT96":
        return f"{name}.date::VARCHAR || ' ' || {name}.time::VARCHAR"
    return text_of(name, kind)


def text_of(name: str, kind: str) -> str:
    """Return the SQL that makes a text of a column of the engine's type `kind`."""
    if kind == "BLOB":
        return f"lower(hex({name}))"
    if kind == "VARIANT":
        return f"{name}::JSON::VARCHAR"
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
    if nested and "VARIANT" in kind:
        return f"{name}::VARIANT::JSON::VARCHAR"  # to_json rounds what is in a VARIANT to a double
    return f"to_json({name})::VARCHAR" if nested else f"{name}::VARCHAR"


# -- decimals of more digits than the engine has


def _beside_arrow(engine: DuckEngine, path: Path, texts: dict[str, str], wide: list[str], source: str) -> Rows:
    """Return the file's rows as the engine reads them, joined to the wide columns as Arrow does, by their number."""
    import pyarrow as pa

    try:
        batches = _wide_columns(path, wide)
        schema = next(batches)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, f"column {', '.join(wide)} cannot be read to its last digit", error) from error
    stream = f"landed_{uuid.uuid4().hex}"
    engine.stream(stream, pa.RecordBatchReader.from_batches(schema, batches))
    for index, name in enumerate(wide):
        nested = not pa.types.is_string(schema.field(index).type)
        texts[name] = f"to_json(wide._{index})::VARCHAR" if nested else f"wide._{index}"
    values = ", ".join(f"{text} AS {identifier(name)}" for name, text in texts.items())
    project = "wide._row, NULL::VARCHAR AS _reject, NULL::VARCHAR AS _raw"
    join = f"{source} AS narrow JOIN {identifier(stream)} AS wide ON narrow.file_row_number + 1 = wide._row"
    return Rows(tuple(texts), f"SELECT {values}, {project} FROM {join}", (stream,))


def _wide_columns(path: Path, names: list[str]) -> Iterator[Any]:
    """Yield the schema, then batches: each column with its wide decimals as text, and the rows' numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        kinds = [_with_text(file.schema_arrow.field(name).type) for name in names]
        schema = pa.schema([(f"_{index}", kind) for index, kind in enumerate(kinds)] + [("_row", pa.int64())])
        yield schema
        row = 1
        for batch in file.iter_batches(_ROWS_PER_BATCH, columns=names):
            columns = [
                pa.array([None if value is None else f"{value:f}" for value in batch[name].to_pylist()], kind)
                if pa.types.is_string(kind)
                else pc.cast(batch[name], kind)
                for name, kind in zip(names, kinds, strict=True)
            ]
            rows = pa.array(range(row, row + len(batch)), pa.int64())
            yield pa.record_batch([*columns, rows], schema=schema)
            row += len(batch)


def _with_text(kind: Any) -> Any:
    """Return an Arrow type with text instead of wide decimals."""
    import pyarrow as pa

    if pa.types.is_decimal256(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(part.name, _with_text(part.type)) for part in kind])
    if pa.types.is_map(kind):
        return pa.map_(_with_text(kind.key_type), _with_text(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_with_text(kind.value_type))
    return kind
