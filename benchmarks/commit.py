"""One commit of many files to a table, by the driver alone, and then the table opened by another process.

Usage: python commit.py FOLDER FILES WORK, in a copy of the product; WORK: make (the files), commit or open
"""

from __future__ import annotations

import sys
from pathlib import Path

from src import lake

COLUMNS = {"order_id": "BIGINT", "revenue": "DECIMAL(18,2)", "order_date": "DATE"}
DAYS = 365


def make(folder: Path, count: int) -> None:
    """Make files as small as can be: what they hold, a commit of a table that may change does not read."""
    for day in range(min(DAYS, count)):
        (folder / f"order_date=2025-{day:03d}").mkdir(parents=True)
    for number in range(count):
        (folder / _path(number)).write_bytes(b"x")


def commit(folder: Path, count: int) -> None:
    """Commit the files to a new table."""
    table = lake.create(folder, COLUMNS, ("order_date",), lake.index("order_id", "BIGINT"))
    bounds = {"order_id": ("1", "1000000")}
    files = [
        lake.DataFile(_path(number), 1, 1000, {"order_date": "2025-01-01"}, bounds=bounds) for number in range(count)
    ]
    lake.commit(table, add=files, progress={"bronze.orders.order_lines": 1})


def read(folder: Path, count: int) -> None:
    """Open the table and list its files, as the next run does."""
    table = lake.open_table(folder)
    assert table and len(table.files) == count


def _path(number: int) -> str:
    return f"order_date=2025-{number % DAYS:03d}/{number:08d}-0123-4567-89ab-cdef01234567.parquet"


if __name__ == "__main__":
    work = {"make": make, "commit": commit, "open": read}[sys.argv[3]]
    work(Path(sys.argv[1]), int(sys.argv[2]))
