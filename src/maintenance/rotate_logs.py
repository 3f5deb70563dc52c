"""Log rotation by hand: one file a day, kept 14 days, for every log of ours in the log folder.

The law is that of src/run/rotation.py, which whoever writes the first line of a day applies; this shows it and
does it where nobody writes.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

from src import console
from src.run import edge, rotation, runs

ROOT = Path(__file__).resolve().parents[2]


def show(folder: Path, now: datetime, *, dry_run: bool) -> int:
    """Print what rotation does to the logs in `folder`, and do it unless it is a dry run; returns the exit code."""
    with nullcontext() if dry_run else rotation.turn(folder):
        planned = rotation.plan(folder, now.astimezone(UTC).date())
        _print(planned)
        if not dry_run:
            rotation.execute(planned)
    return 0


def _print(planned: rotation.Plan) -> None:
    if not planned:
        print("0 changed")
        return
    renamed = [(path.name, f"becomes {name.name}") for path, name in planned.renamed]
    deleted = [(path.name, f"deleted: older than {rotation.KEPT.days} days") for path in planned.deleted]
    console.table(("log", "change"), [*renamed, *deleted])


def main(typed: list[str]) -> int:
    """Do what was typed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m src.maintenance.rotate_logs", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="only show it")
    words = parser.parse_args(typed)
    return edge.ended(ROOT, lambda settings: show(settings.log_dir, runs.now(), dry_run=words.dry_run))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
