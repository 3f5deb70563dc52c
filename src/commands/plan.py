"""Say what a run would do, and why; changes nothing."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show, window_arguments
from src.project import open_project, select
from src.run import plan, runs


def arguments(parser: argparse.ArgumentParser) -> None:
    window_arguments(parser)
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    window = runs.window(runs.now().date(), args.run_date, args.reprocess_days)
    with open_project(call.settings, window.end) as project:
        show(call, plan.read_plan(project, select(project, args.domain), window), plan.print_plan)
    return 0
