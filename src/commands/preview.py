"""Show what a contract makes of what has landed, or a model of what is published; changes nothing.

Of a silver table: every landed file is read by the contract as it is now, those not taken into bronze yet as well;
shown are the rows, what would go to quarantine and why, what would stop a run, each column in figures, and the first
rows. Of a table of a mart: the model over what is published, against the version of it that is published. Exit code 0
also where rows would be rejected or a run would refuse: it is a look. 3 if the contract does not fit what is there.
"""

from __future__ import annotations

import argparse

from src import console, preview
from src.commands import Call, json_argument, read_by_user, show
from src.errors import UsageError
from src.masking.concealing import concealing
from src.masking.masks import note
from src.masking.reader import masks_of
from src.project import open_project
from src.run import runs
from src.selection import table_named


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "table", help="silver.shop.orders, gold.sales.daily; shop.orders or orders where one has the name"
    )
    parser.add_argument("--limit", type=int, default=20, help="how many rows to show (default: 20)")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit}", fix="give 0 or more")
    with read_by_user(call, "preview") as reading, open_project(call.settings) as project:
        table = table_named(project, args.table)
        masks = masks_of(project)
        reading.contracts, reading.masked = project.contracts, masks.covers(table.id)
        reading.of_table(table.id, tuple(table.stored_columns))
        with concealing(masks.of_table(table.id)):
            if table.layer == "silver":
                silver = preview.read_silver(project, table, args.limit, runs.now())
                reading.rows = len(silver.first)
                show(call, preview.masked_silver(silver, masks), preview.print_silver)
            else:
                mart = preview.read_mart(project, table, args.limit, runs.now())
                reading.rows = len(mart.first)
                show(call, preview.masked_mart(mart, masks), preview.print_mart)
        if masked := note(masks, {table.id: tuple(table.stored_columns)}):
            console.note(masked)
    return 0
