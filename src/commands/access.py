"""Show who read what in the last days: by user and table, failed tries, first reads of classified columns.

Then the slowest statements, and the tables that nobody reads. The records are `ops.access`: docs/access.md.
"""

from __future__ import annotations

import argparse

from src import catalog
from src.commands import Call, json_argument, show
from src.errors import UsageError
from src.facts.reads import read_access
from src.project import open_engine
from src.report.access import print_access
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=30, metavar="N", help="of the last so many days (default: 30)")
    parser.add_argument("--user", help="the reads of one user")
    parser.add_argument("--table", help="the reads of one table, named layer.domain.table")
    json_argument(parser)


def run(call: Call) -> int:
    args, data = call.args, call.settings.data_dir
    if args.days < 1:
        raise UsageError(f"--days {args.days}", fix="give 1 or more")
    with open_engine(call.settings) as engine:
        if args.table and args.table not in (known := catalog.readable(data)):
            raise catalog.unknown_table([args.table], known)
        show(call, read_access(engine, data, runs.now(), args.days, args.user, args.table), print_access)
    return 0
