"""Write the daily summary, or with --month the report of a month, below data/reports, as Markdown and one HTML file."""

from __future__ import annotations

import argparse
import os

from src.author import JOB
from src.commands import Call, json_argument, month, read_by_user, show
from src.project import open_project
from src.report import monthly, summary, writing
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", type=month, help="YYYY-MM: its growth beside the month before and a year before")
    parser.add_argument("--review", action="store_true", help="ask the package index for advisories of the pins too")
    json_argument(parser)


def run(call: Call) -> int:
    folder = call.settings.data_dir / "reports"
    if call.args.month:
        with open_project(call.settings) as project:
            of_month = monthly.read_month(project, call.args.month, runs.now())
        written = writing.write_month(of_month, folder)
        show(call, of_month, lambda found: writing.print_written(monthly.page(found).verdict, written))
        return 0
    with open_project(call.settings) as project:
        found = summary.read_summary(project, runs.now(), ask_index=call.args.review)
        if JOB not in os.environ:
            with read_by_user(call, "report") as reading:
                for row in found.series:  # the figures of a table's own columns
                    reading.of_table(row.table, ())
    files = writing.write(found, folder)
    show(call, found, lambda found: writing.print_written(found.verdict, files))
    return 0
