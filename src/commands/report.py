"""Write the daily summary below data/reports, as Markdown and as one HTML file."""

from __future__ import annotations

import argparse
import os

from src.author import JOB
from src.commands import Call, json_argument, read_by_user, show
from src.project import open_project
from src.report import summary, writing
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        found = summary.read_summary(project, runs.now())
        if JOB not in os.environ:
            with read_by_user(call, "report") as reading:
                for row in found.series:  # the figures of a table's own columns
                    reading.of_table(row.table, ())
    files = writing.write(found, call.settings.data_dir / "reports")
    show(call, found, lambda found: writing.print_written(found, files))
    return 0
