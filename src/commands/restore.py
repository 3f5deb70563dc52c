"""Bring a backup back into an empty lake, every file and table verified.

A lake that has tables is refused. Killed on the way, a restore goes on next time from what was fetched.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from src import console
from src.commands import Call
from src.maintenance import restore
from src.maintenance.remote import open_remote
from src.project import open_engine
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backup", metavar="ID", help="which one (default: the newest)")
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="where to (default: DATA_DIR)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored; restore nothing")


def run(call: Call) -> int:
    args, remote = call.args, open_remote(call.settings)
    target = (args.to.expanduser() if args.to else call.settings.data_dir).resolve()
    manifest = restore.plan(remote, target, args.backup)
    rows = [
        (name, table.version, table.rows, len(table.files), sum(file.size for file in table.files.values()))
        for name, table in manifest.tables.items()
    ]
    console.table(("table", "version", "rows", "files", "bytes"), rows)
    if args.dry_run:
        print(f"dry run: backup {manifest.id} was not restored")
        return 0
    with open_engine(call.settings) as engine:
        tables = restore.execute(engine, remote, manifest, target, runs.now)
    total = sum(table.rows for table in tables.values())
    print(f"restored backup {manifest.id} to {target}: {len(tables)} tables, {total:,} rows, all opened and verified")
    return 0
