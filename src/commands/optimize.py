"""Compact small files and z-order where contracts ask; changes no row, and nothing is computed again because of it."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import optimize
from src.maintenance.optimize import OptimizeResult
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be rewritten")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        if call.args.dry_run:
            show(call, optimize.read_report(project), _print_plan)
            print("dry run: nothing was written")
        else:
            show(call, optimize.rewrite(project), _print_done)
    return 0


def _print_plan(report: OptimizeResult) -> None:
    rows = [(table.table, table.files, table.would_do) for table in report.planned]
    console.table(("table", "files", "would do"), rows)


def _print_done(report: OptimizeResult) -> None:
    _print_plan(report)
    if report.rewritten:
        print()
        headers = ("table", "files", "bytes", "files after", "bytes after")
        console.table(headers, [tuple(vars(size).values()) for size in report.rewritten])
    changed = f"{len(report.rewritten)} tables rewritten, no row changed; {report.checkpoints} checkpoints"
    print(changed if report.rewritten or report.checkpoints else "0 changed")
