"""Say whether the lake is fine, and what to do if it is not: causes, last runs, every domain."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.project import open_project
from src.report import status
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="a line for every table, not one for each domain")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        found = status.read_status(project, runs.now())
    show(call, found, lambda found: status.print_status(found, every_table=call.args.all))
    return 0
