"""Incidents by their numbers: a list, or one with its timeline, what hangs on it, and a post-mortem to fill in.

Without a number the incidents of the last 31 days are listed (`--all`: every one), the newest first.
"""

from __future__ import annotations

import argparse
from datetime import timedelta

from src import alerts
from src.commands import Call, json_argument, show
from src.errors import UsageError
from src.facts.incident import read_incident
from src.project import open_project
from src.report import incident
from src.run import runs

_SHOWN = timedelta(days=31)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", nargs="?", type=int, help="of the list, or of `alerts list`")
    parser.add_argument(
        "--template", action="store_true", help="print a post-mortem in Markdown, filled in as far as known"
    )
    parser.add_argument("--all", action="store_true", help="list every incident there ever was")
    json_argument(parser)


def run(call: Call) -> int:
    number, now = call.args.number, runs.now()
    if number is None and call.args.template:
        raise UsageError(
            "a post-mortem of nothing", fix="name the number of an incident: `main.py incident` lists them"
        )
    with open_project(call.settings) as project:
        if number is None:
            known = alerts.read_numbered(project.engine, call.settings.data_dir, now)
            shown = [one for one in reversed(known) if call.args.all or one.is_open or now - one.opened_at <= _SHOWN]
            show(call, shown, lambda shown: incident.print_list(shown, earlier=len(known) - len(shown)))
            return 0
        found = read_incident(project, number, now)
    printed = incident.print_template if call.args.template else incident.print_incident
    show(call, found, printed)
    return 0
