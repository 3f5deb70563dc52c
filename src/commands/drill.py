"""Prove that the newest backup can be restored, where nobody sees it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import archive, drill, rot
from src.maintenance.manifests import Manifest
from src.project import open_engine
from src.remote import open_remote
from src.run import runs

FOUND = 1  # the exit code of a check that found something


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backup", metavar="ID", help="which one (default: the newest)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored and compared")
    json_argument(parser)


@dataclass(frozen=True)
class DrilledTable:
    """One table of a backup."""

    table: str
    version: int
    rows: int


@dataclass(frozen=True)
class Drill:
    """The tables that a drill restored, or would, and the files of the lake that differ from the backup."""

    backup: str
    release: str
    drilled: bool
    tables: tuple[DrilledTable, ...]
    damage: tuple[rot.Damage, ...] = ()


def run(call: Call) -> int:
    remote, name, data = open_remote(call.settings), call.args.backup, call.settings.data_dir
    if call.args.dry_run:
        found = _drill(archive.chosen(remote, name))
        show(call, found, _print_plan)
        print(f"dry run: backup {found.backup} of release {found.release} was not restored")
        return 0
    with open_engine(call.settings) as engine:
        drilled = drill.run(engine, data, remote, name, runs.now)
    found = replace(_drill(drilled.manifest), drilled=True, damage=tuple(drilled.damage))
    show(call, found, _print_drilled)
    if not found.damage:
        return 0
    count = f"{len(found.damage)} files of the lake are not what it has"
    what = f"the backup is good, and {count}: {rot.listed(found.damage)}"
    console.complain(f"{what}\n  where: {data}\n  fix:   `make repair` brings them back")
    return FOUND


def _drill(manifest: Manifest) -> Drill:
    tables = [DrilledTable(name, table.version, table.rows) for name, table in manifest.tables.items()]
    return Drill(manifest.id, manifest.release, drilled=False, tables=tuple(tables))


def _print_plan(found: Drill) -> None:
    console.table(("table", "version", "rows"), [tuple(vars(table).values()) for table in found.tables])


def _print_drilled(found: Drill) -> None:
    console.table(("table", "rows"), [(table.table, table.rows) for table in found.tables])
    rows = sum(table.rows for table in found.tables)
    print(f"drilled: {len(found.tables)} tables, {rows:,} rows, all as they were")
