"""The version of each contract and of its table, and what differs: list, verify, retag.

`list` shows both and what differs, `verify` fails where a table's tags are not those of its contract, and
`retag` writes them again where only the tags are wrong. Nothing here touches a row: that is for the next run.
"""

from __future__ import annotations

import argparse

from src.commands import Call, json_argument, show
from src.maintenance import schema_version
from src.run import runs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", nargs="?", choices=("list", "verify", "retag"), default="list")
    json_argument(parser)


def run(call: Call) -> int:
    if call.args.verb == "retag":
        show(call, schema_version.retag_alone(call.settings, runs.now()), _print_retagged)
        return 0
    found = schema_version.read_versions(call.settings)
    if call.args.verb == "list":
        show(call, found, schema_version.print_versions)
        return 0
    built = [one for one in found if one.built]
    wrong = [one for one in built if one.drift]
    if wrong:
        show(call, wrong, schema_version.print_versions)
        return 1
    verified = f"{len(built)} tables verified: each says the version its rows were built under"
    show(call, wrong, lambda _: print(verified))
    return 0


def _print_retagged(table_ids: list[str]) -> None:
    print("\n".join(f"{table_id}: tags written" for table_id in table_ids) or "0 changed")
