"""The version of each contract and of its table, and what differs: list, verify, retag.

`list` shows both and what differs, `verify` fails where a table's tags are not those of its contract, and
`retag` writes them again where only the tags are wrong. Nothing here touches a row: that is for the next run.
"""

from __future__ import annotations

import argparse

from src.commands import Call
from src.maintenance import schema_version
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", nargs="?", choices=("list", "verify", "retag"), default="list")


def run(call: Call) -> int:
    return schema_version.show(call.settings, call.args.verb, runs.now())
