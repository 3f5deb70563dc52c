"""What every sample feed does alike: draw from a named stream, and land a file so that it appears whole."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from random import Random

from src.errors import from_os_error


def write(path: Path, data: bytes, closed_at: datetime) -> None:
    """Land one file: whole, and with the time at which its day's business ended, or with that of now where it has not.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
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
    """The draws of one purpose on one day: the same wherever, whenever and beside whatever else they are drawn."""
    # a text seeds through SHA-512, alike on every machine; hash() would differ from process to process
    return Random(f"{seed}/{day.isoformat()}/{purpose}")
