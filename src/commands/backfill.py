"""Compute a slice of a table again, from bronze up through gold."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from src import console, workers
from src.commands import Call, day, json_argument, show
from src.commands.run import finish
from src.maintenance import backfill
from src.project import open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, help="silver.domain.table or gold.mart.table")
    parser.add_argument("--start", type=day, help="first business day, YYYY-MM-DD")
    parser.add_argument("--end", type=day, help="last business day, YYYY-MM-DD")
    parser.add_argument("--where", help="SQL condition over the table's columns, such as \"country = 'Norway'\"")
    parser.add_argument("--dry-run", action="store_true", help="say which partitions would be written again")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    with open_project(call.settings) as project:
        chosen = args.table, args.start, args.end, args.where
        if args.dry_run:
            with workers.dealing(project, beside_runs=True) as others:
                planned = backfill.plan(project, *chosen, others)
                show(call, backfill.partitions(planned), _print_partitions)
            return 0
        recorded = recorded_run(project, RunKind.BACKFILL, f"backfill {args.table}")
        with recorded as current, workers.opened(project) as others:
            planned = backfill.plan(project, *chosen, others)
            _print_partitions(backfill.partitions(planned))
            print()
            backfill.execute(project, planned, current, others)
        return finish(call, project, current)


def _print_partitions(partitions: Sequence[backfill.PlannedPartition]) -> None:
    console.table(("table", "partition to be written again"), [(one.table, one.partition) for one in partitions])
