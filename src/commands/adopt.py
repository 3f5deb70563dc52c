"""Make contracts of ours from an ODCS contract that was written elsewhere, saying what changes and why.

Writes src/silver/<domain>/<table>.yaml for each of its tables, as drafts; --stdout writes nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from src import console
from src.commands import Call, json_argument, show
from src.contract import adopt
from src.errors import UsageError


@dataclass(frozen=True)
class Written:
    """A contract of ours: where it belongs, and its text."""

    path: str
    text: str


@dataclass(frozen=True)
class Found:
    """The contracts made of a file, and what was changed; `written`: whether the contracts are on disk."""

    contracts: tuple[Written, ...]
    changes: tuple[adopt.Change, ...]
    written: bool


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="an ODCS contract, of version 2 or 3")
    parser.add_argument("--domain", help="the domain that its tables are put in (default: the contract's)")
    parser.add_argument("--stdout", action="store_true", help="print the contracts, write nothing")
    json_argument(parser)


def run(call: Call) -> int:
    args, root = call.args, call.settings.root
    adopted = adopt.adopt(args.file, root / "src", args.domain)
    there = [path for path in adopted.files if path.exists()]
    if there and not args.stdout:
        names = ", ".join(str(path.relative_to(root)) for path in there)
        raise UsageError(f"{names} is there already", fix="move it away, name another --domain, or look with --stdout")
    for path, text in {} if args.stdout else adopted.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    contracts = tuple(Written(str(path.relative_to(root)), text) for path, text in adopted.files.items())
    show(call, Found(contracts, adopted.changes, not args.stdout), _print)
    return 0


def _print(found: Found) -> None:
    for contract in () if found.written else found.contracts:
        print(f"# {contract.path}\n{contract.text}")
    shown = [(change.table, change.where, change.what) for change in found.changes]
    if found.written:
        console.table(("table", "where", "what was changed, and why"), shown)
        print("\n".join(f"wrote {contract.path}" for contract in found.contracts))
