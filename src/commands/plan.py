"""Say what a run would do, and why; changes nothing."""

from __future__ import annotations

import argparse

from src import selection
from src.commands import Call, json_argument, note_before, show, window_arguments
from src.project import open_project
from src.run import plan, runs


def arguments(parser: argparse.ArgumentParser) -> None:
    window_arguments(parser)
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    window = runs.window(runs.now().date(), args.run_date, args.reprocess_days)
    with open_project(call.settings, window.end) as project:
        chosen = selection.chosen(project, args.domain, args.select)
        show(call, plan.read_plan(project, chosen, window), plan.print_plan)
        note_before(project, args)
    return 0
