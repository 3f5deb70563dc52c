"""Measure, record and alert; one line per cause, exit code 1 if there is one."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.facts import wording
from src.project import open_project
from src.report import health
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="every finding below the cause that it follows from"
    )
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        found = health.read_health(project, runs.now())
        show(call, found, lambda found: health.print_health(found, verbose=call.args.verbose))
        if sent := health.send_alerts(project, found):
            print(f"alerts sent of {wording.pluralized(len(sent), 'incident')}")
        health.record_figures(project, found)
    return int(not found.healthy)
