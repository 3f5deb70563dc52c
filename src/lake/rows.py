"""A few rows that this program holds become a Parquet file of a table by the Delta library.

It is loaded for the commit anyhow, and to load the engine takes longer than all else that a run with nothing new does.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from src import store
from src.errors import DataError
from src.lake.errors import translated
from src.lake.log import DataFile

_PLAIN_PATH = re.compile("[A-Za-z0-9_=./-]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def write_rows(root: Path, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], room: Path) -> list[DataFile]:
    """Write rows as new Parquet files into a table's folder; `columns` are their names and DuckDB types, in order.

    Nothing refers to the files yet: if the process dies here, readers see nothing of them. `room` is a folder to write
    in, which is the caller's to remove.

    Raises:
        MachineError: the disk is full, ...
    """
    from arro3.core import Table
    from deltalake import ColumnProperties, WriterProperties, write_deltalake

    with translated(root), _readable(room) as folder:
        values = zip(*rows, strict=True)
        table = Table.from_pydict(
            {name: _array(kind, of_one) for (name, kind), of_one in zip(columns.items(), values, strict=True)}
        )
        # a table of its own: the library writes no file without its commit, and a commit must not come before its
        # file is on the disk
        small = ColumnProperties(statistics_enabled="CHUNK")  # no index of the pages, of which there is one
        properties = WriterProperties(compression="ZSTD", default_column_properties=small)
        write_deltalake(folder / "rows", table, writer_properties=properties)
        [written] = (folder / "rows").glob("*.parquet")
        name = f"part-{uuid.uuid4()}.parquet"
        size = written.stat().st_size
        store.take(written, root / name)
        return [DataFile(name, size, len(rows))]


@contextmanager
def _readable(room: Path) -> Iterator[Path]:
    """Return the room, or for the length of a with-block another one: the library's writer takes no [ or # in a path.

    What reads tables, and commits to them, does.
    """
    if _PLAIN_PATH.fullmatch(str(room)):
        yield room
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _array(kind: str, values: Sequence[Any]) -> Any:
    """Return the values of a column of a DuckDB type as an Arrow array."""
    from arro3.core import Array, DataType

    made: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
        "VARCHAR": (_text, DataType.string(), None),
        "BOOLEAN": (bool, DataType.bool(), None),
        "BIGINT": (int, DataType.int64(), None),
        "DOUBLE": (float, DataType.float64(), None),
        "DATE": (_days, DataType.int32(), DataType.date32()),
        "TIMESTAMP WITH TIME ZONE": (_microseconds, DataType.int64(), DataType.timestamp("us", tz="UTC")),
        "DECIMAL(18,6)": (_fixed, DataType.string(), DataType.decimal128(18, 6)),
    }
    as_stored, stored, shown = made[kind]
    array = Array([None if value is None else as_stored(value) for value in values], type=stored)
    if shown is None:
        return array
    cast = array.cast(shown)
    if cast.null_count != array.null_count:  # the library makes NULL of what does not fit
        raise DataError(f"a value that is no {kind} among {', '.join(map(str, values))}")
    return cast


def _text(value: object) -> str:
    text = value.isoformat() if isinstance(value, date) else str(value)
    return text.encode(errors="replace").decode()  # a file may have a name that is no text


def _days(value: date) -> int:
    return value.toordinal() - _EPOCH.toordinal()


def _microseconds(value: datetime) -> int:
    return (value.replace(tzinfo=value.tzinfo or UTC) - _EPOCH) // _MICROSECOND


def _fixed(value: Decimal) -> str:
    return f"{value:.6f}"
