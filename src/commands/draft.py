"""Write a first contract from files that landed: formats, types, names, key, ready to run.

The files are read whole. Every row of them passes the contract that is written; what a value does not decide, such as
whether 01/02/2024 is in January, is not guessed: the column stays text, and a comment says what it may be.

With --source and --table a source is asked first, and the contract says so: a database, an API, files elsewhere. Of a
folder of src/gold the SQL in it is run, and its contract says what comes out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from src import console, contract, store
from src.commands import Call, day, json_argument, show
from src.contract import Feed
from src.draft.drafting import Draft, draft
from src.draft.landed import LandedTable, copied, sources
from src.draft.marts import MartDraft, draft_mart, is_mart
from src.draft.screen import print_draft, print_mart
from src.errors import BoathouseError, DataError, UsageError
from src.landing import registry
from src.project import open_engine, open_project
from src.run import pulling, runs
from src.settings import Settings


@dataclass(frozen=True)
class Drafts:
    """The drafts of all tables that the files belong to, and of marts; `written`: their contracts are there."""

    written: bool
    drafts: tuple[Draft, ...] = ()
    marts: tuple[MartDraft, ...] = ()


def arguments(parser: argparse.ArgumentParser) -> None:
    help_of_files = "files, or a folder, in the landing zone; or a folder of src/gold"
    parser.add_argument("files", nargs="*", type=store.from_text, metavar="FILE", help=help_of_files)
    parser.add_argument("--source", metavar="YAML", help="ask a source first, such as 'connector: rest, url: ...'")
    parser.add_argument("--table", metavar="DOMAIN.TABLE", help="the table that the source's rows are of")
    parser.add_argument("--start", type=day, help="ask the source for every day from this one on, YYYY-MM-DD")
    parser.add_argument("--stdout", action="store_true", help="print the contract instead of writing it")
    parser.add_argument("--force", action="store_true", help="write over a contract that is there")
    json_argument(parser)


def run(call: Call) -> int:
    args, settings = call.args, call.settings
    files = [_found(settings, path) for path in args.files]
    models = [path for path in files if not store.is_remote(path) and is_mart(settings.source, path)]
    made: list[Draft] = []
    marts: list[MartDraft] = []
    errors: list[BoathouseError] = []
    with open_engine(settings) as engine, engine.room() as room:
        for source in _landed(call, [path for path in files if path not in models], room):
            try:
                with _naming_objects(settings, room):
                    made += draft(settings, engine, source, runs.now())
            except DataError as refused:
                errors.append(refused)
        marts += (draft_mart(engine, settings.data_dir, path) for path in models)
    written = not args.stdout
    if written:
        for one in made:
            _write(one.path, one.text, over=args.force)
        for mart in marts:
            _write(mart.path, mart.text, over=args.force)
    if made or marts or not errors:
        show(call, Drafts(written, tuple(made), tuple(marts)), _print_texts if args.stdout else _print_drafts)
    for error in errors[:-1]:
        console.complain(str(error))
    if errors:
        raise errors[-1]
    return 0


def _landed(call: Call, files: Sequence[Path], room: Path) -> list[LandedTable]:
    """Return the tables whose files are drafted; those of a source are brought first, objects are copied into a room.

    Raises:
        UsageError: there are none, or a contract is there that would be written over.
    """
    args, settings = call.args, call.settings
    asked = args.source or args.table
    if bool(args.source) != bool(args.table) or (asked and files):
        fix = "--source 'connector: ..., ...' --table domain.table, and no files: the source brings them"
        raise UsageError("--source and --table go together", fix=fix)
    if asked:
        return _brought(call, room)
    chosen = _sources(settings, files, room) if files or not args.files else []
    for one in chosen:
        _refuse_existing(call, one.domain, one.table)
    return chosen


def _sources(settings: Settings, files: Sequence[Path], room: Path) -> list[LandedTable]:
    """Return the tables that files of the landing zone belong to, on this machine."""
    landing = settings.data_dir / "landing"
    if not store.is_remote(landing):
        return sources(landing, files)
    here = copied(landing, files, room)
    with _naming_objects(settings, room):
        return sources(room, here)


@contextmanager
def _naming_objects(settings: Settings, room: Path) -> Iterator[None]:
    """Let an error within a with-block name the object in place of its copy in a room."""
    try:
        yield
    except BoathouseError as error:
        error.where = error.where and error.where.replace(str(room), str(settings.data_dir / "landing"))
        raise


def _brought(call: Call, room: Path) -> list[LandedTable]:
    """Return the table of a source, whose rows are asked for now.

    Raises:
        BoathouseError: the source does not answer, or is not as its connector wants it.
    """
    args, settings = call.args, call.settings
    domain, _, table = args.table.removeprefix("silver.").partition(".")
    if not table:
        raise UsageError(f"no table {args.table}", fix="write --table domain.table, for example shop.orders")
    path = _refuse_existing(call, domain, table)
    source = contract.written_source(args.source, domain)
    ending = Path(str(source.options.get("remote", ""))).suffix or ".ndjson"
    feed = Feed(domain, table, f"{domain}/{table}/**/*{ending}", ending[1:], source=source, declared_in=path)
    with open_project(settings) as project:
        pulling.bring(project, feed, args.start)
    properties = registry.table_properties(source)
    whole = properties.get("replaces") == "all"  # then the newest answer is all that there is
    return [
        replace(one, brought_by=source, properties=properties, files=one.files[-1:] if whole else one.files)
        for one in _sources(settings, [project.landing / domain / table], room)
    ]


def _found(settings: Settings, path: Path) -> Path:
    """Return a path as it is typed: from here, else from the project's folder, else from a bucket's landing zone."""
    if store.is_remote(path) or path.exists():
        return path
    inside = settings.root / path
    if inside.exists():
        return inside
    return settings.data_dir / "landing" / path if store.is_remote(settings.data_dir) else path


def _refuse_existing(call: Call, domain: str, table: str) -> Path:
    """Return where the contract of a table is to be written; refuse one that is there."""
    path = call.settings.source / "silver" / domain / f"{table}.yaml"
    if not (call.args.stdout or call.args.force):
        _refuse_to_overwrite(path)
    return path


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        fix = "read what would be written with --stdout; --force writes over it"
        raise UsageError(f"{path.name} is there already, and is not overwritten", where=path, fix=fix)


def _write(path: Path, text: str, *, over: bool) -> None:
    if not over:
        _refuse_to_overwrite(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _print_texts(found: Drafts) -> None:
    texts = [*(draft.text for draft in found.drafts), *(mart.text for mart in found.marts)]
    print("---\n".join(texts), end="")


def _print_drafts(found: Drafts) -> None:
    for one in found.drafts:
        print_draft(one)
        print(f"written: {one.path}\n")
    for mart in found.marts:
        print_mart(mart)
        print(f"written: {mart.path}\n")
    if found.drafts:
        table = found.drafts[0].table.removeprefix("silver.")
        print(f"next: make preview TABLE={table}, then make pipeline")
    elif found.marts:
        print(f"next: answer what the contract asks, then make docs and make pipeline DOMAIN={found.marts[0].mart}")
