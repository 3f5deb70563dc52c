"""Compute a slice of a table again, from bronze up through gold."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, day
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


def run(call: Call) -> int:
    args = call.args
    with open_project(call.settings) as project:
        if args.dry_run:
            planned = backfill.plan(project, args.table, args.start, args.end, args.where)
            console.table(("table", "partition to be written again"), backfill.rows(planned))
            return 0
        with recorded_run(project, RunKind.BACKFILL, f"backfill {args.table}") as current:
            planned = backfill.plan(project, args.table, args.start, args.end, args.where)
            console.table(("table", "partition to be written again"), backfill.rows(planned))
            print()
            backfill.execute(project, planned, current)
        return finish(project, current)
