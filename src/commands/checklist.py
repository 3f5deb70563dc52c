"""A checklist of the runbook, answered from the lake: morning, afternoon, week, month or month-end.

What is to be done comes first, the most urgent first, each with the command to type; then every step: ✓ fine, ✗ to do,
~ known (somebody has answered for it), ? cannot be told, and why. Exit code 1 while there is something to do.
"""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, month, show
from src.facts.checklists import CHECKLISTS, read_checklist
from src.project import open_project
from src.report import checklist
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=tuple(CHECKLISTS))
    parser.add_argument(
        "--month", type=month, help="month, month-end: YYYY-MM (default: the last one, from the 16th on this one)"
    )
    parser.add_argument("--all", action="store_true", help="print all that is to be done, not the first 8 things")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        found = read_checklist(project, call.args.name, runs.now(), call.args.month)
    show(call, found, lambda found: checklist.print_checklist(found, every=call.args.all))
    return int(not found.done)
