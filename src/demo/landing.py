"""What every sample feed does alike: draw from a named stream, and land a file so that it appears whole."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from src import store
from src.errors import from_os_error

# Where it lies below the landing zone, what makes its bytes, and when its day's business ended.
File = tuple[Path, Callable[[], bytes], datetime]


def land(landing_zone: Path, files: Callable[[date], Iterable[File]], *, days: int, last: date) -> list[Path]:
    """Land the files of each of the `days` days that end with `last`; returns those that are new.

    A file that is there stays as it is. A new one appears whole, and with the time at which its day's
    business ended, so that a reader that waits for fresh files to settle need not wait.

    Raises:
        MachineError: a file cannot be written.
    """
    landed: list[Path] = []
    there = {name for name, _ in store.files_below(landing_zone)} if store.is_remote(landing_zone) else None
    for back in reversed(range(days)):
        for name, made, closed_at in files(last - timedelta(days=back)):
            path = landing_zone / name
            if name.as_posix() not in there if there is not None else not path.exists():
                write(path, made(), closed_at)
                landed.append(path)
    return landed


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]], line_end: str = "\n") -> str:
    """Return rows as CSV under their header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=line_end)
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def write(path: Path, data: bytes, closed_at: datetime) -> None:
    """Land one file: whole, and with the time at which its day's business ended, or with that of now where it has not.

    Raises:
        MachineError: the file cannot be written.
    """
    if store.is_remote(path):  # which shows no object before it is whole, and gives it the time itself
        path.write_bytes(data)
        return
    # a hidden name is no feed's: no reader sees a half-written file, and a left-over does no harm
    half = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(data)
        modified = min(closed_at.timestamp(), half.stat().st_mtime)
        os.utime(half, (modified, modified))
        os.replace(half, path)
    except OSError as error:
        raise from_os_error(error, path) from error


def stream(seed: int, day: date, purpose: str) -> Random:
    """Return the random draws of one purpose on one day, the same whatever else is drawn."""
    # a text seeds through SHA-512, alike on every machine; hash() would differ from process to process
    return Random(f"{seed}/{day.isoformat()}/{purpose}")
