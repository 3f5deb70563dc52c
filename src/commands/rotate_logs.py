"""Move the logs of earlier days aside, delete those older than 14 days."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.maintenance import rotate_logs
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only show it")


def run(call: Call) -> int:
    return rotate_logs.show(call.settings.log_dir, runs.now(), dry_run=call.args.dry_run)
