"""Confirm that a day was an incident: no other day is compared with it."""

from __future__ import annotations

import argparse

from src import monitors
from src.commands import Call, day
from src.project import open_project
from src.run import runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, help="a table or feed, as in ops.volume")
    parser.add_argument("--day", required=True, type=day, help="YYYY-MM-DD")
    parser.add_argument("--reason", required=True, help="what happened that day")


def run(call: Call) -> int:
    args = call.args
    with open_project(call.settings) as project:
        table = args.table if args.table in project.contracts.feeds else project.declared(args.table).id
        incident_day = monitors.IncidentDay(table, args.day, args.reason, runs.now())
        with recorded_run(project, RunKind.CONFIRM, f"confirm {table} {args.day}"):
            monitors.confirm(project.engine, call.settings.data_dir, incident_day)
    print(f"{args.day} is no longer what other days of {table} are compared with")
    return 0
