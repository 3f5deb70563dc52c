"""Make an earlier release the newest again."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call
from src.maintenance import rollback
from src.project import open_project
from src.run import releases
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", required=True, metavar="RUN_ID", help="a run_id of ops.releases")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored")


def run(call: Call) -> int:
    args = call.args
    with open_project(call.settings) as project:
        versions = releases.named(project.engine, call.settings.data_dir, args.to)
        steps = rollback.plan(project, versions)
        console.table(("table", "version", "back to"), [(step.table, step.now, step.back) for step in steps])
        if args.dry_run or not steps:
            print("nothing to restore" if not steps else "dry run: nothing was changed")
            return 0
        with recorded_run(project, RunKind.ROLLBACK, f"rollback to {args.to}") as current:
            rollback.execute(project, steps, versions, current)
    print(f"restored {len(steps)} tables to release {args.to}; the next run goes forward from there")
    return 0
