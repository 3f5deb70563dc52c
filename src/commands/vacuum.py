"""Remove the files that no reader needs any more: 168 hours after they left their table, never sooner.

What readers see stays whole: the newest version of every table and the newest release, however old these are.
A shorter retention is a purge: it is asked for by name and confirmed, because rollback and time travel end there.
"""

from __future__ import annotations

import argparse

from src.commands import Call
from src.maintenance import vacuum


def arguments(parser: argparse.ArgumentParser) -> None:
    hours = vacuum.RETENTION
    parser.add_argument("--retention-hours", type=_hours, default=hours, help=f"default: {hours}")
    parser.add_argument("--purge", action="store_true", help=f"allow less than {hours} hours")
    parser.add_argument("--yes", action="store_true", help="do not ask before a purge")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")


def run(call: Call) -> int:
    return vacuum.show(call.settings, call.args)


def _hours(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hours: write 0 or more")
    return int(text)
