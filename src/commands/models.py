"""Show the models of machine learning: versions and their figures, drift, and how right they were since."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.project import open_project
from src.report import models
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="domain.name (default: every model)")
    json_argument(parser)


def run(call: Call) -> int:
    now = runs.now()
    with open_project(call.settings) as project:
        found = models.read_report(project, now, call.args.model)
    show(call, found, lambda found: models.print_models(found, now))
    return 0
