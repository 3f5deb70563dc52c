"""Write the daily summary below data/reports, as Markdown and as one HTML file."""

from __future__ import annotations

import argparse

from src import report
from src.commands import Call
from src.project import open_project
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        report.write(project, runs.now(), call.settings.data_dir / "reports")
    return 0
