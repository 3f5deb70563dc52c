"""Move the logs of earlier days aside, delete those older than 14 days."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import rotate_logs
from src.run import rotation, runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only show it")
    json_argument(parser)


def run(call: Call) -> int:
    rotate = rotate_logs.read_plan if call.args.dry_run else rotate_logs.rotate
    show(call, rotate(call.settings.log_dir, runs.now()), print_plan)
    return 0


def print_plan(plan: rotation.RotationPlan) -> None:
    """Print the files that take another name, and those that go."""
    if not plan:
        print("0 changed")
        return
    renamed = [(path.name, f"becomes {name.name}") for path, name in plan.renamed]
    deleted = [(path.name, f"deleted: older than {rotation.KEPT.days} days") for path in plan.deleted]
    console.table(("log", "change"), [*renamed, *deleted])
