"""Remove the files that no reader needs any more: 168 hours after they left their table, never sooner.

What readers see stays whole: the newest version of every table and the newest release, however old these are.
A shorter retention is a purge: it is asked for by name and confirmed, because rollback and time travel end there.
"""

from __future__ import annotations

import argparse
import sys

from src import console
from src.commands import Call, json_argument, show
from src.errors import UsageError
from src.maintenance import vacuum
from src.maintenance.vacuum import RETENTION, VacuumResult
from src.project import open_project
from src.run import runs

_CONFIRMED = "purge"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--retention-hours", type=_hours, default=RETENTION, help=f"default: {RETENTION}")
    parser.add_argument("--purge", action="store_true", help=f"allow less than {RETENTION} hours")
    parser.add_argument("--yes", action="store_true", help="do not ask before a purge")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")
    json_argument(parser)


def run(call: Call) -> int:
    args, hours = call.args, call.args.retention_hours
    if hours < RETENTION and not args.purge:
        fix = f"give --purge (make: PURGE=1) to go below {RETENTION} hours: rollback and time travel end there"
        raise UsageError(f"a retention of {hours} hours", fix=fix)
    with open_project(call.settings) as project:
        report = vacuum.read_report(project, hours, runs.now())
        if args.dry_run:
            show(call, report, _print_plan)
            print("dry run: nothing was removed")
            return 0
        _print_plan(report)
        if hours < RETENTION and not args.yes:
            _confirm()
        show(call, vacuum.remove(project, report, runs.now), _print_removed)
    return 0


def _print_plan(report: VacuumResult) -> None:
    headers = ("table", "files", "bytes", "files after", "bytes after")
    console.table(headers, [tuple(vars(size).values()) for size in report.tables])
    gone, last = report.lost_releases, report.last_backup
    if gone:
        print(f"rollback will no longer reach {len(gone)} releases, from {gone[-1]} to {gone[0]}")
    else:
        print("rollback reaches every release that it reached before")
    known = f"of release {last.release}, at {last.ended_at:%Y-%m-%d %H:%M} UTC" if last else "none: `make backup`"
    print(f"the last verified backup: {known}")


def _print_removed(report: VacuumResult) -> None:
    files, entries = report.files, report.log_entries
    print(
        f"removed {files:,} files, {report.bytes:,} bytes, {entries:,} log entries" if files or entries else "0 changed"
    )


def _confirm() -> None:
    """Ask a person at a terminal; nobody else can say yes here."""
    if not sys.stdin.isatty():
        raise UsageError("a purge that nobody confirmed", fix="give --yes as well, or type it at a terminal")
    print(f"Type {_CONFIRMED} to remove these files for good: ", end="", flush=True)
    if sys.stdin.readline().strip() != _CONFIRMED:
        raise UsageError("a purge that was not confirmed", fix=f"type {_CONFIRMED}; nothing was removed")


def _hours(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hours: write 0 or more")
    return int(text)
