"""Make a project of one's own in a new or empty folder: settings, a Makefile, a pin of the product.

Nothing is overwritten: a folder that holds anything is refused.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from src.commands import Call, json_argument, show
from src.init import layout
from src.run import runs

NEEDS_PROJECT = False
_PRODUCT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class InitResult:
    """The folder of a new project and its files; `made`: they are there."""

    root: Path
    made: bool
    files: tuple[str, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder, which is made where it is not there")
    parser.add_argument("--sample", action="store_true", help="with one small domain to learn from")
    parser.add_argument("--dry-run", action="store_true", help="only list the files")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    plan = layout.plan(args.folder, _PRODUCT, runs.now().date(), sample=args.sample)
    made = InitResult(plan.root, made=not args.dry_run, files=tuple(sorted(plan.files)))
    if args.dry_run:
        show(call, made, _print_files)
        print(f"dry run: {plan.root} was not made")
        return 0
    layout.execute(plan)
    show(call, made, _print_files)
    print(f"made {plan.root}; next: cd {plan.root} && git init && make pipeline")
    return 0


def _print_files(found: InitResult) -> None:
    for name in found.files:
        print(f"  {name}")
