"""Write a first contract from files that landed: formats, types, names, key, ready to run.

The files are read whole. Every row of them passes the contract that is written; what a value does not decide, such as
whether 01/02/2024 is in January, is not guessed: the column stays text, and a comment says what it may be.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from src import console
from src.commands import Call, json_argument, show
from src.draft.drafting import Draft, draft
from src.draft.landed import sources
from src.draft.screen import print_draft
from src.errors import BoathouseError, DataError, UsageError
from src.project import open_engine
from src.run import runs
from src.settings import Settings


@dataclass(frozen=True)
class Drafts:
    """The drafts of all tables that the files belong to; `written`: their contracts are there."""

    written: bool
    drafts: tuple[Draft, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files, or a folder, in the landing zone")
    parser.add_argument("--stdout", action="store_true", help="print the contract instead of writing it")
    parser.add_argument("--force", action="store_true", help="write over a contract that is there")
    json_argument(parser)


def run(call: Call) -> int:
    args, settings = call.args, call.settings
    files = [_found(settings, path) for path in args.files]
    chosen = sources(settings.data_dir / "landing", files)
    if not (args.stdout or args.force):
        for source in chosen:
            _refuse_existing(settings.source / "silver" / source.domain / f"{source.table}.yaml")
    made: list[Draft] = []
    errors: list[BoathouseError] = []
    with open_engine(settings) as engine:
        for source in chosen:
            try:
                made += draft(settings, engine, source, runs.now())
            except DataError as refused:
                errors.append(refused)
    written = not args.stdout
    if written:
        for found in made:
            _write(found, over=args.force)
    if made or not errors:
        show(call, Drafts(written, tuple(made)), _print_texts if args.stdout else _print_drafts)
    for error in errors[:-1]:
        console.complain(str(error))
    if errors:
        raise errors[-1]
    return 0


def _found(settings: Settings, path: Path) -> Path:
    """Return a path as it is typed, from here or, where it is not there, from the project's folder."""
    inside = settings.root / path
    return inside if not path.exists() and inside.exists() else path


def _refuse_existing(path: Path) -> None:
    if path.exists():
        fix = "read what would be written with --stdout; --force writes over it"
        raise UsageError(f"{path.name} is there already, and is not overwritten", where=path, fix=fix)


def _write(found: Draft, *, over: bool) -> None:
    if not over:
        _refuse_existing(found.path)
    found.path.parent.mkdir(parents=True, exist_ok=True)
    found.path.write_text(found.text, encoding="utf-8")


def _print_texts(found: Drafts) -> None:
    print("---\n".join(draft.text for draft in found.drafts), end="")


def _print_drafts(found: Drafts) -> None:
    for nth, one in enumerate(found.drafts):
        print("\n" * bool(nth), end="")
        print_draft(one)
        print(f"written: {one.path}")
    table = found.drafts[0].table.removeprefix("silver.")
    print(f"next: make preview TABLE={table}, then make pipeline")
