"""Copy the newest release to BACKUP_REMOTE, verify it, prune old backups."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import backup
from src.maintenance.backup import BackupPlan
from src.project import open_engine
from src.remote import Remote, open_remote
from src.run import runs


@dataclass(frozen=True)
class BackedUpTable:
    """One table of a backup, and what of it is new at the remote."""

    table: str
    version: int
    rows: int
    files: int
    bytes: int
    new_files: int
    new_bytes: int


@dataclass(frozen=True)
class Backup:
    """The tables of a backup and what it copies; `verified`: it is at the remote, every file as it was read."""

    backup: str
    release: str
    remote: str
    verified: bool
    new_files: int
    new_bytes: int
    tables: tuple[BackedUpTable, ...]
    pruned_backups: int
    pruned_files: int
    notes: tuple[str, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be copied; copy nothing")
    json_argument(parser)


def run(call: Call) -> int:
    remote, dry_run = open_remote(call.settings), call.args.dry_run

    announced: list[str] = []

    def announce(planned: BackupPlan) -> None:
        announced.extend(planned.notes)
        if not (dry_run and call.args.json):
            _print_tables(_backup(planned, remote, verified=False))

    with open_engine(call.settings) as engine:
        planned = backup.run(engine, call.settings, remote, runs.now, dry_run=dry_run, announce=announce)
    for note in planned.notes[len(announced) :]:
        console.note(note)
    found = _backup(planned, remote, verified=not dry_run)
    show(call, found, lambda found: print("dry run: nothing was copied") if dry_run else _print_copied(found, planned))
    return 0


def _backup(planned: BackupPlan, remote: Remote, *, verified: bool) -> Backup:
    manifest = planned.before if planned.idle and planned.before else planned.manifest
    tables = []
    for name, table in manifest.tables.items():
        new = {file.name: file.size for file in table.files.values() if file.name in planned.fresh}
        size = sum(file.size for file in table.files.values())
        sizes = (table.version, table.rows, len(table.files), size)
        tables.append(BackedUpTable(name, *sizes, len(new), sum(new.values())))
    return Backup(
        backup=manifest.id,
        release=manifest.release,
        remote=remote.path,
        verified=verified,
        new_files=len(planned.fresh),
        new_bytes=sum(manifest.objects[name] for name in planned.fresh),
        tables=tuple(tables),
        pruned_backups=planned.pruned_backups,
        pruned_files=planned.pruned_files,
        notes=planned.notes,
    )


def _print_tables(found: Backup) -> None:
    headers = ("table", "version", "rows", "files", "bytes", "new files", "new bytes")
    console.table(headers, [tuple(vars(table).values()) for table in found.tables])
    for note in found.notes:
        console.note(note)


def _print_copied(found: Backup, planned: BackupPlan) -> None:
    if planned.idle:
        print(f"0 changed: backup {found.backup} at {found.remote} holds this release")
    else:
        objects = planned.manifest.objects
        print(f"backup {found.backup} at {found.remote}: {found.new_files} files, {found.new_bytes:,} bytes copied")
        print(f"verified: {len(found.tables)} tables, {len(objects)} files, {sum(objects.values()):,} bytes")
    if found.pruned_backups or found.pruned_files:
        print(f"pruned: {found.pruned_backups} backups, {found.pruned_files} files that no backup names any more")
