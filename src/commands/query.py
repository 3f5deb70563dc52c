"""Run a SELECT over any table, named layer.domain.table: shown, or written to a file.

The statement is an argument, a .sql file (--file) or what stands on standard input (`-`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from src import catalog, console, exports
from src.commands import Call, json_argument, read_by_user, show
from src.engine import DuckEngine
from src.errors import UsageError, from_os_error
from src.masking.masks import Masks, note
from src.masking.reader import masks_of_lake
from src.masking.reading import masked_reads
from src.project import open_engine
from src.reads import Reading
from src.run import releases

_MOST = 1_000  # rows on a terminal


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sql", nargs="?", help="for example: SELECT * FROM gold.sales.daily_revenue LIMIT 5; - reads it"
    )
    parser.add_argument("--file", metavar="FILE", help="a .sql file with the statement")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    json_argument(parser)
    parser.add_argument("--all", action="store_true", help=f"every row on a terminal too (default: {_MOST:,})")
    parser.add_argument("--output", metavar="FILE", help="write the rows there: .parquet, .csv, .json or .xlsx")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--newest", action="store_true", help="the newest versions, not those of the last release")


def run(call: Call) -> int:
    args, data = call.args, call.settings.data_dir
    sql = _statement(args)
    with open_engine(call.settings) as engine:
        engine.open_soon()
        versions = {} if args.newest else releases.newest(data)
        masks, masked = masks_of_lake(call.settings, engine), None
        with read_by_user(call, "export" if args.output else "query") as reading:
            if args.output:
                show(call, _exported(call, engine, sql, versions, reading, masks), _print_exported)
            else:
                form = "json" if args.json else args.format
                most = _MOST if form == "table" and not args.all and console.width() else None
                select = masks.select_in(engine)
                left = catalog.show(engine, data, sql, form, versions, most=most, reading=reading, select=select)
                if left:
                    print(f"note: {left:,} more rows; --all shows them, --output FILE writes them", file=sys.stderr)
            masked = note(masks, masked_reads(engine, masks, sql))
            reading.masked = masked is not None
        release = releases.Release() if args.newest else releases.newest_release(data)
        read = engine.table_references(sql)
        if masked:
            print(f"note: {masked}", file=sys.stderr)
        for name in sorted(release.behind.keys() & read):
            print(f"note: {releases.describe(release.behind[name])}", file=sys.stderr)
        for name in sorted(release.drafts & read):
            print(f"note: {name} is a draft: it may change under one version", file=sys.stderr)
    return 0


def _statement(args: argparse.Namespace) -> str:
    """Return the SQL that the arguments name.

    Raises:
        UsageError: it is named twice.
        MachineError: the file cannot be read.
    """
    if args.file and args.sql:
        raise UsageError("SQL and --file", fix="give one of them")
    try:
        if args.sql == "-" or args.file == "-":
            return sys.stdin.read()
        return Path(args.file).expanduser().read_text(encoding="utf-8-sig") if args.file else args.sql or ""
    except OSError as error:
        raise from_os_error(error, args.file) from error
    except UnicodeDecodeError as error:
        raise UsageError("the SQL is not utf-8", where=args.file, fix="save it as that") from error


def _exported(
    call: Call, engine: DuckEngine, sql: str, versions: dict[str, int], reading: Reading, masks: Masks
) -> exports.Exported:
    data = call.settings.data_dir
    path = exports.target_of(call.args.output, data, catalog.LAYERS, force=call.args.force)
    catalog.prepare(engine, data, sql, versions, exports.part_of(path), reading, select=masks.select_in(engine))
    with catalog.telling(sql):
        found = exports.write(engine, sql, path)
    reading.rows = found.rows
    return found


def _print_exported(found: exports.Exported) -> None:
    print(f"{found.rows:,} rows in {found.path} ({found.bytes:,} bytes)")
