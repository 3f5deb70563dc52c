"""Show rows in each layer, duplicate keys, structure, days without rows."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.monitors import inspection
from src.project import open_project, select


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", help="silver.domain.table or gold.mart.table (default: every table)")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        every = select(project, None)
        tables = (project.declared(call.args.table),) if call.args.table else (*every.silver, *every.gold)
        show(call, inspection.read_inspection(project, tables), inspection.print_inspection)
    return 0
