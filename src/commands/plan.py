"""Say what a run would do, and why; changes nothing."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, window_arguments
from src.project import open_project, select
from src.run import forecast, plan, releases, runs


def arguments(parser: argparse.ArgumentParser) -> None:
    window_arguments(parser)


def run(call: Call) -> int:
    args = call.args
    window = runs.window(runs.now().date(), args.run_date, args.reprocess_days)
    with open_project(call.settings, window.end) as project:
        ahead = forecast.Forecast(project)
        rows = plan.rows(project, select(project, args.domain), ahead)
        whole = plan.computed_whole(project, select(project, args.domain))
    console.table(*plan.printed(rows, ahead))
    print(f"window {window}: computed again where an input moved, as is any other partition that late rows touch")
    for reason in whole:
        print(reason)
    for standing in releases.behind(call.settings.data_dir).values():
        print(f"readers see {releases.describe(standing)}")
    return 0
