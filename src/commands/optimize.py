"""Compact small files and z-order where contracts ask; changes no row, and nothing is computed again because of it."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.maintenance import optimize


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be rewritten")


def run(call: Call) -> int:
    return optimize.show(call.settings, dry_run=call.args.dry_run)
