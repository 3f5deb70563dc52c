"""Show what differs between two releases: rows that came and went, by table and key, and cells that are others.

Releases are named by their runs; without names it is the newest one against the one before. Of a silver table the
columns of its contract are compared, not where a row came from.
"""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, json_argument, read_by_user, show
from src.errors import UsageError
from src.explain.released import compare_releases, newest_two, print_release_difference
from src.masking.masks import note
from src.masking.reader import masks_of
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "releases", nargs="*", metavar="RUN", help="two runs, the earlier first (default: the last two)"
    )
    parser.add_argument("--table", action="append", default=[], help="this table only, by its id; may be repeated")
    parser.add_argument("--limit", type=int, default=5, help="how many rows of each kind to show (default: 5)")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    if len(args.releases) not in (0, 2):
        raise UsageError(
            f"{len(args.releases)} run", fix="name two runs, or none: the newest release and the one before"
        )
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit}", fix="give 0 or more")
    with read_by_user(call, "diff") as reading, open_project(call.settings) as project:
        masks = masks_of(project)
        before, after = args.releases or newest_two(project)
        found = compare_releases(project, before, after, masks, args.table, args.limit)
        tables = project.built([one.table for one in found.tables])
        read = {name: tuple(table.columns) for name, table in tables.items()}
        for name, columns in read.items():
            reading.of_table(name, columns)
        reading.contracts, reading.masked = project.contracts, any(map(masks.covers, read))
        show(call, found, print_release_difference)
        if masked := note(masks, read):
            console.note(masked)
    return 0
