"""Log rotation by hand: one file a day, kept 14 days, for every log of ours in the log folder.

The law is that of src/run/rotation.py, which whoever writes the first line of a day applies; this shows it and
does it where nobody writes.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

from src import console
from src.maintenance import moved
from src.run import rotation


def show(folder: Path, now: datetime, *, dry_run: bool) -> int:
    """Print what rotation does to the logs in `folder`, and do it unless it is a dry run; returns the exit code."""
    with nullcontext() if dry_run else rotation.turn(folder):
        planned = rotation.plan(folder, now.astimezone(UTC).date())
        _print(planned)
        if not dry_run:
            rotation.execute(planned)
    return 0


def _print(planned: rotation.RotationPlan) -> None:
    if not planned:
        print("0 changed")
        return
    renamed = [(path.name, f"becomes {name.name}") for path, name in planned.renamed]
    deleted = [(path.name, f"deleted: older than {rotation.KEPT.days} days") for path in planned.deleted]
    console.table(("log", "change"), [*renamed, *deleted])


if __name__ == "__main__":
    moved.to("rotate-logs")
