"""Copy the newest release to BACKUP_REMOTE, verify it, prune old backups."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.maintenance import backup
from src.maintenance.remote import open_remote
from src.project import open_engine
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be copied; copy nothing")


def run(call: Call) -> int:
    remote = open_remote(call.settings)
    with open_engine(call.settings) as engine:
        backup.run(engine, call.settings, remote, runs.now, dry_run=call.args.dry_run)
    if call.args.dry_run:
        print("dry run: nothing was copied")
    return 0
