"""Show where a number comes from: the rows, lines and files that it was computed from, and what was left out.

With `--diff` why the numbers of one row of a mart are others in a later release: what happened to the rows behind it,
file by file, each with its part of the difference.

Of rows of a mart the rows of its sources, each with the line that brought it and by how much the numbers move without
it; of rows of silver the lines that contended for their place, and the rows of marts that they are part of. What is
shown is proven: over these rows alone the model gives the same.

With `--columns` what each column is made of, whatever its rows: column by column down to those of landed files.
"""

from __future__ import annotations

import argparse

from src import catalog, console, exports
from src.commands import Call, json_argument, read_by_user, show
from src.errors import UsageError
from src.explain.explaining import Explainer, key_condition
from src.explain.moved import explain_movement
from src.explain.printed import print_explanation, print_movement
from src.lineage.columns import print_lineage, trace_columns
from src.masking.masks import note
from src.masking.reader import masks_of
from src.project import open_project
from src.run import releases
from src.selection import table_named


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="gold.sales.daily_revenue, silver.shop.orders; or the end of the name")
    parser.add_argument("--where", help="which of its rows, as SQL: \"day = '2026-01-31' and country = 'Norway'\"")
    parser.add_argument(
        "--key", action="append", default=[], metavar="NAME=VALUE", help="which of its rows, by columns"
    )
    parser.add_argument("--diff", nargs=2, metavar=("RUN_A", "RUN_B"), help="why its numbers differ in two releases")
    parser.add_argument(
        "--columns", nargs="*", metavar="NAME", help="what its columns are made of, down to landed ones; all, or these"
    )
    parser.add_argument("--limit", type=int, default=10, help="how many rows of each kind to show (default: 10)")
    parser.add_argument("--output", metavar="FILE", help="all rows of a source: .parquet, .csv, .json or .xlsx")
    parser.add_argument("--source", help="of which source --output has the rows, where there are several")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--brief", action="store_true", help="without what was left out, which reads all of bronze")
    parser.add_argument("--newest", action="store_true", help="the newest versions, not those of the last release")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit}", fix="give 0 or more")
    if args.columns is not None:
        return _show_columns(call)
    if bool(args.where) == bool(args.key):
        raise UsageError(
            "no row is named" if not args.where else "--where and --key", fix="give one of --where, --key, --columns"
        )
    with read_by_user(call, "explain") as reading, open_project(call.settings) as project:
        table, masks = table_named(project, args.table), masks_of(project)
        reading.contracts, reading.masked = project.contracts, masks.covers(table.id)
        reading.of_table(table.id, tuple(table.stored_columns))  # also where it fails
        where = args.where or key_condition(table, args.key)
        asked = f"--where {args.where}" if args.where else " ".join(f"--key {pair}" for pair in args.key)
        if args.diff:
            data, (before, after) = call.settings.data_dir, args.diff
            earlier, later = (
                Explainer(project, releases.named(project.engine, data, run_id), {}, masks) for run_id in args.diff
            )
            moved = explain_movement((earlier, later), (before, after), table, where, asked)
            reading.rows = 1
            show(call, moved, print_movement)
            return 0
        release = releases.Release() if args.newest else releases.newest_release(call.settings.data_dir)
        explainer = Explainer(project, release.versions, release.as_of, masks, args.limit, args.brief)
        found = explainer.explain(table, where, asked)
        read = {name: tuple(stored.columns) for name, stored in project.built(set(found.tables())).items()}
        for name, columns in read.items():
            reading.of_table(name, columns)
        reading.rows, reading.masked = found.rows, any(map(masks.covers, read))
        show(call, found, print_explanation)
        if args.output:
            path = exports.target_of(args.output, call.settings.data_dir, catalog.LAYERS, force=args.force)
            written = exports.write(project.engine, explainer.behind(table, args.source), path)
            console.note(f"{written.rows:,} rows in {written.path}")
        if masked := note(masks, read):
            console.note(masked)
    return 0


def _show_columns(call: Call) -> int:
    """Show what columns are made of: contracts and models tell, no row is read."""
    args = call.args
    if args.where or args.key or args.diff or args.output:
        raise UsageError("--columns with rows", fix="give either --columns, or which rows")
    with open_project(call.settings) as project:
        show(call, trace_columns(project, table_named(project, args.table), args.columns), print_lineage)
    return 0
