"""Bring files that rotted or are gone back from the newest backup."""

from __future__ import annotations

import argparse

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import repair
from src.maintenance.repair import RepairResult
from src.project import open_project
from src.remote import open_remote
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be brought back")
    json_argument(parser)


def run(call: Call) -> int:
    dry_run = call.args.dry_run
    with open_project(call.settings) as project:
        report = repair.repair(project, open_remote(call.settings), runs.now, dry_run=dry_run)
    show(call, report, lambda report: _print(report, dry_run))
    return int(bool(report.lost or (dry_run and report.files)))


def _print(report: RepairResult, dry_run: bool) -> None:
    if report.files:
        rows = [(file.table, file.path, file.found, file.bytes) for file in report.files]
        console.table(("table", "file", "what was found", "bytes"), rows)
    if dry_run:
        print(f"dry run: {len(report.files)} files of backup {report.backup} were not brought back")
    elif report.repaired:
        print(f"repaired from backup {report.backup}: {len(report.files)} files")
    else:
        print(f"0 changed: no file differs from backup {report.backup}")
    for lost in report.lost:
        print(f"not repaired: {lost.table}: {lost.found}: {lost.fix}")
