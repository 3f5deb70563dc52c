"""Run a SELECT over any table, named layer.domain.table."""

from __future__ import annotations

import argparse
import sys

from src import catalog
from src.commands import Call, json_argument
from src.project import open_engine
from src.run import releases


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", help="for example: SELECT * FROM gold.sales.daily_revenue LIMIT 5")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    json_argument(parser)
    parser.add_argument("--newest", action="store_true", help="the newest versions, not those of the last release")


def run(call: Call) -> int:
    args, data = call.args, call.settings.data_dir
    with open_engine(call.settings) as engine:
        versions = {} if args.newest else releases.newest(data)
        code = catalog.show(engine, data, args.sql, "json" if args.json else args.format, versions)
        release = releases.Release() if args.newest else releases.newest_release(data)
        read = engine.table_references(args.sql)
        for name in sorted(release.behind.keys() & read):
            print(f"note: {releases.describe(release.behind[name])}", file=sys.stderr)
        for name in sorted(release.drafts & read):
            print(f"note: {name} is a draft: it may change under one version", file=sys.stderr)
    return code
