"""List the sources that contracts name, and try each by one cheap call; exit code 1 if one does not answer."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.project import open_project
from src.report import sources
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-probe", action="store_true", help="call no source: only what is known of it")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        window = runs.window(runs.now().date(), None, None)
        found = sources.read_sources(project, window, probe=not call.args.no_probe)
        show(call, found, sources.print_sources)
    return 0 if all(one.healthy for one in found) else 1
