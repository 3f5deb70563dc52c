"""Bring a backup back into an empty lake, every file and table verified.

A lake that has tables is refused. Killed on the way, a restore goes on next time from what was fetched.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from src import console, store
from src.commands import Call, json_argument, read_by_user, show
from src.maintenance import restore
from src.project import open_engine
from src.remote import open_remote
from src.run import releases, runs
from src.run.revision import Revision, made_with


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backup", metavar="ID", help="which one (default: the newest)")
    parser.add_argument("--to", metavar="FOLDER", type=store.from_text, help="where to (default: DATA_DIR)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored; restore nothing")
    json_argument(parser)


@dataclass(frozen=True)
class RestoredTable:
    """One table of a backup."""

    table: str
    version: int
    rows: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Restore:
    """The tables of a backup that are restored, or would be, and where to."""

    backup: str
    release: str
    target: Path
    restored: bool
    revision: Revision | None  # the commit whose contracts and models made it, known once it is restored
    tables: tuple[RestoredTable, ...]


def run(call: Call) -> int:
    args, remote = call.args, open_remote(call.settings)
    target = store.home(args.to or call.settings.data_dir)
    manifest = restore.plan(remote, target, args.backup)
    tables = [
        RestoredTable(name, table.version, table.rows, len(table.files), sum(f.size for f in table.files.values()))
        for name, table in manifest.tables.items()
    ]
    found = Restore(manifest.id, manifest.release, target, restored=False, revision=None, tables=tuple(tables))
    if args.dry_run:
        show(call, found, _print_tables)
        print(f"dry run: backup {manifest.id} was not restored")
        return 0
    _print_tables(found)
    with open_engine(call.settings) as engine:
        opened = restore.execute(engine, remote, manifest, target, runs.now)
        with read_by_user(call, "restore", target) as reading:  # one that fails leaves nothing at the target
            for name, restored in opened.items():
                reading.of_table(name, tuple(restored.columns), restored.rows)
        revision = releases.revision_of(engine, target, manifest.release)
    total = sum(table.rows for table in opened.values())
    text = f"restored backup {manifest.id} to {target}: {len(opened)} tables, {total:,} rows, all opened and verified"
    show(call, replace(found, restored=True, revision=revision), lambda _: print(f"{text}\n{made_with(revision)}"))
    return 0


def _print_tables(found: Restore) -> None:
    console.table(
        ("table", "version", "rows", "files", "bytes"), [tuple(vars(table).values()) for table in found.tables]
    )
