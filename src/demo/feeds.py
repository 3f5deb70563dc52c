"""All feeds of the sample company at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from src.demo import delivery, kpi, manufacturing, sales

_FEEDS = (manufacturing, sales, delivery, kpi)


def land(landing_zone: Path, *, days: int, last: date, seed: int) -> list[Path]:
    """Land what every part of the company writes in the `days` days that end with `last`; returns the new files.

    Raises:
        MachineError: a file cannot be written.
    """
    return [path for feed in _FEEDS for path in feed.land(landing_zone, days=days, last=last, seed=seed)]
