"""Prove that the newest backup can be restored, where nobody sees it."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call
from src.maintenance import archive, drill, rot
from src.maintenance.remote import open_remote
from src.project import open_engine
from src.run import runs

FOUND = 1  # the exit code of a check that found something


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backup", metavar="ID", help="which one (default: the newest)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored and compared")


def run(call: Call) -> int:
    remote, name = open_remote(call.settings), call.args.backup
    if call.args.dry_run:
        manifest = archive.chosen(remote, name)
        console.table(
            ("table", "version", "rows"), [(name, table.version, table.rows) for name, table in manifest.tables.items()]
        )
        print(f"dry run: backup {manifest.id} of release {manifest.release} was not restored")
        return 0
    with open_engine(call.settings) as engine:
        found = drill.run(engine, call.settings.data_dir, remote, name, runs.now)
    console.table(("table", "rows"), list(found.rows.items()))
    print(f"drilled: {len(found.rows)} tables, {sum(found.rows.values()):,} rows, all as they were")
    if not found.damage:
        return 0
    count = f"{len(found.damage)} files of the lake are not what it has"
    what = f"the backup is good, and {count}: {rot.listed(found.damage)}"
    console.complain(f"{what}\n  where: {call.settings.data_dir}\n  fix:   `make repair` brings them back")
    return FOUND
