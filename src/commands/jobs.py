"""Do what is due every hour, day or week: the commands of one job, in a safe order.

What they print goes to the log folder's cron.log; the exit code is that of the first that failed.
"""

from __future__ import annotations

import argparse
import os

from src.commands import Call
from src.maintenance import command_line, jobs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", choices=tuple(jobs.JOBS))


def run(call: Call) -> int:
    settings = call.settings
    program = command_line.child(settings.root)
    return jobs.show(settings, call.args.job, program, os.environ, jobs.Clock())
