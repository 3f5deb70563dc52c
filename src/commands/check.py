"""Prove the laws on the lake as it lies on disk, and compare it with the backup."""

from __future__ import annotations

import argparse
from functools import partial

from src.commands import Call
from src.maintenance import check
from src.maintenance.remote import open_remote
from src.project import open_project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="of the files the sizes only, and no backup")


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        return check.show(project, partial(open_remote, call.settings), quick=call.args.quick)
