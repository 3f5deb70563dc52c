"""Write the daily summary below data/reports, as Markdown and as one HTML file."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.project import open_project
from src.report import summary, writing
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        found = summary.read_summary(project, runs.now())
    writing.print_written(found, writing.write(found, call.settings.data_dir / "reports"))
    return 0
