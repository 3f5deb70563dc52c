"""Describe one table of any layer: where it comes from, its columns with their values in figures, its first rows."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, read_by_user, show
from src.masking.reader import masks_of
from src.project import open_project
from src.report import tables


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="a table's id, or as much of its end as it alone has: silver.shop.orders, orders")
    json_argument(parser)


def run(call: Call) -> int:
    with read_by_user(call, "describe") as reading, open_project(call.settings) as project:
        found = tables.describe(project, call.args.table, masks_of(project))
        reading.contracts, reading.masked = project.contracts, found.masked is not None
        if found.entry:
            reading.of_table(found.table, [one.column for one in found.columns], len(found.first))
        show(call, found, tables.print_description)
    return 0
