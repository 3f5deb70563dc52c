"""Log rotation by hand: one file a day, kept 14 days, for every log of ours in the log folder.

The law is that of src/run/rotation.py, which whoever writes the first line of a day applies; this shows it and
does it where nobody writes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from src.maintenance import moved
from src.run import rotation


def read_plan(folder: Path, now: datetime) -> rotation.RotationPlan:
    """Return what rotation would do to the logs in `folder`; changes nothing."""
    return rotation.plan(folder, now.astimezone(UTC).date())


def rotate(folder: Path, now: datetime) -> rotation.RotationPlan:
    """Rotate the logs in `folder`; returns what was done."""
    with rotation.turn(folder):
        planned = read_plan(folder, now)
        rotation.execute(planned)
    return planned


if __name__ == "__main__":
    moved.to("rotate-logs")
