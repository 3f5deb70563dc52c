"""Show what differs between two releases: rows that came and went, by table and key, and cells that are others.

Releases are named by their runs; `main` and a branch stand for their newest: `diff main new-margin`. A branch alone is
compared with what it began as; without names it is the newest release against the one before. Of a silver table the
columns of its contract are compared, not where a row came from.
"""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, json_argument, read_by_user, show
from src.errors import UsageError
from src.explain.released import compare_releases, find_sides, print_release_difference, read_columns
from src.masking.masks import note
from src.masking.reader import masks_of
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "releases", nargs="*", metavar="RELEASE", help="two runs, main or branches, the earlier first; or one branch"
    )
    parser.add_argument("--table", action="append", default=[], help="this table only, by its id; may be repeated")
    parser.add_argument("--limit", type=int, default=5, help="how many rows of each kind to show (default: 5)")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    if len(args.releases) > 2:
        fix = "name two runs, main or branches; one branch; or none: the newest release and the one before"
        raise UsageError(f"{len(args.releases)} releases", fix=fix)
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit}", fix="give 0 or more")
    with read_by_user(call, "diff") as reading, open_project(call.settings) as project:
        masks = masks_of(project)
        before, after = find_sides(project, args.releases)
        found = compare_releases(project, before, after, masks, args.table, args.limit)
        read = read_columns(found, before, after)
        for name, columns in read.items():
            reading.of_table(name, columns)
        reading.contracts, reading.masked = project.contracts, any(map(masks.covers, read))
        show(call, found, print_release_difference)
        if masked := note(masks, read):
            console.note(masked)
    return 0
