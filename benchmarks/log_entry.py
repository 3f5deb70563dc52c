"""What one commit of very many files takes, and then the table: `python -m benchmarks.log_entry 100000`.

The files hold nothing: what is measured is the log. Each half is a process of its own; memory is its peak.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

from src import lake

T = TypeVar("T")
COLUMNS = {"id": "BIGINT", "day": "DATE"} | {f"c{number}": "VARCHAR" for number in range(18)}
FILES_A_DAY, FIRST = 40, date(2020, 1, 1)


def timed(what: str, do: Callable[[], T]) -> T:
    """Return what a function returns, and print how long it took and the memory of the process so far."""
    began = time.perf_counter()
    done = do()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:<40} {time.perf_counter() - began:7.2f} s {peak:6} MB", flush=True)
    return done


def written(root: Path, count: int) -> list[lake.DataFile]:
    """Write files without a row into a table's folder."""
    files = []
    for number in range(count):
        folder = f"day={FIRST + timedelta(days=number // FILES_A_DAY)}"
        (root / folder).mkdir(exist_ok=True)
        path = f"{folder}/part-{uuid.uuid4()}.parquet"
        (root / path).write_bytes(b"PAR1PAR1")
        files.append(lake.DataFile(path, 8, 1000, {"day": folder[4:]}, {"id": (str(number), str(number + 1))}))
    return files


def load(root: Path, count: int) -> None:
    """Commit the files, and read the entry as the next layer does."""
    table = lake.create(root, COLUMNS, ("day",), lake.index("id", "BIGINT"))
    files = timed("files written", lambda: written(root, count))
    table = timed("the commit that adds them", lambda: lake.commit(table, add=files, progress={"feed": 1}))
    timed("the files that came", lambda: lake.changes(table, 0))


def read(root: Path) -> None:
    """Open the table and add to it, as the next run does."""
    table = timed("open", lambda: lake.open_table(root))
    assert table
    timed("its files", lambda: table.files)
    for number in range(9):
        table = lake.commit(table, progress={"feed": 2 + number})
    timed("the tenth commit, with a checkpoint", lambda: lake.commit(table, progress={"feed": 12}))


def main(count: int) -> None:
    """Do both halves in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for half in ("load", "read"):
            subprocess.run([sys.executable, "-m", "benchmarks.log_entry", str(count), half, folder], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        place = Path(sys.argv[3]) / "silver" / "many"
        load(place, int(sys.argv[1])) if sys.argv[2] == "load" else read(place)
    else:
        main(int(sys.argv[1]))
