"""Say whether the lake is fine, and what to do if it is not: incidents, last runs, every table."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.project import open_project
from src.report import status
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        show(call, status.read_status(project, runs.now()), status.print_status)
    return 0
