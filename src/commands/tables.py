"""List every table that can be read: rows, version, columns, last change, and what is not final about it."""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.report import tables


def arguments(parser: argparse.ArgumentParser) -> None:
    json_argument(parser)


def run(call: Call) -> int:
    show(call, tables.read_tables(call.settings.data_dir), tables.print_tables)
    return 0
