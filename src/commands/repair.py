"""Bring files that rotted or are gone back from the newest backup."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.maintenance import repair
from src.maintenance.remote import open_remote
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be brought back")


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        return repair.show(project, open_remote(call.settings), dry_run=call.args.dry_run)
