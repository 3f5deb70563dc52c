"""Branches of the lake, a change beside the truth: list, create, drop, promote.

A branch is a second lake of the newest release that shares its files: nothing is copied. BRANCH=NAME before a command
lets it work there; `diff main NAME` shows what is another; promote brings it to main, or says why not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from src import console
from src.author import author
from src.branches import find_branch, making, promoting
from src.branches.beside import BranchState, read_states
from src.branches.branch import refuse_bucket
from src.branches.making import Made
from src.branches.promoting import Promotion
from src.commands import Call, json_argument, show
from src.errors import UsageError
from src.facts.wording import pluralized, size
from src.forget import unfinished
from src.project import open_engine, open_project
from src.run import runs
from src.settings import checked_branch


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("list", "create", "drop", "promote"))
    parser.add_argument("name", nargs="?", default="", help="the name of the branch")
    parser.add_argument("--dry-run", action="store_true", help="promote: say what would come to main, or why it cannot")
    json_argument(parser)


def run(call: Call) -> int:
    args, data = call.args, call.settings.data_dir
    refuse_bucket(data)
    if args.verb == "list":
        show(call, read_states(data), _print_states)
        return 0
    if not args.name:
        raise UsageError(f"branch {args.verb} without a name", fix=f"write `branch {args.verb} NAME`")
    if args.verb == "create":
        name = checked_branch(args.name)
        if unfinished.is_unfinished(data):  # the end of it would find the branch, and stop there
            fix = "`make pipeline` or `main.py forget --finish` ends it; then make the branch"
            raise UsageError("somebody is being forgotten, whom the branch would keep", where=data, fix=fix)
        with open_engine(call.settings) as engine:
            show(call, making.create(engine, data, name, runs.now(), author()), _print_made)
    elif args.verb == "drop":
        show(call, making.drop(data, args.name, runs.now()), lambda branch: print(f"branch {branch.name} is gone"))
    else:
        with open_project(call.settings) as project:
            found = promoting.promote(project, find_branch(data, args.name), dry_run=args.dry_run)
        show(call, found, _print_promotion)
    return 0


def _print_states(states: Sequence[BranchState]) -> None:
    if not states:
        print("no branches; `main.py branch create NAME` makes one of the newest release")
        return
    rows = [
        (one.name, one.release or "", one.made_at or "", one.made_by or "", ", ".join(one.changed), _came_of(one))
        for one in states
    ]
    console.table(("branch", "of release", "made (UTC)", "by", "changed", "main since then"), rows)


def _came_of(state: BranchState) -> str:
    if state.error:
        return state.error
    if state.promoted:
        return "has all of it"
    return f"moved: {', '.join(state.moved)}" if state.moved else "as it was"


def _print_made(made: Made) -> None:
    for text in made.notes:
        console.note(text)
    print(
        f"branch {made.name} of release {made.release}: {pluralized(made.tables, 'table')}, {made.rows:,} rows, "
        f"{size(made.bytes)} shared with main and none of it copied"
    )
    print(f"BRANCH={made.name} make pipeline runs the contracts as they are now there; main.py diff main {made.name}")


def _print_promotion(found: Promotion) -> None:
    if not found.tables:
        print(f"nothing to promote: main has all that branch {found.branch} changed")
        return
    rows = [(one.table, "none" if one.now < 0 else one.now, one.to) for one in found.tables]
    console.table(("table", "version in main", "becomes"), rows)
    if found.run is None:
        print("dry run: nothing was changed")
    else:
        tables, files = pluralized(len(found.tables), "table"), pluralized(found.files, "file")
        print(f"promoted {tables} of branch {found.branch} in run {found.run}, {files} linked")
        print(
            f"`main.py rollback --to` an earlier release takes it back; `branch drop {found.branch}` removes the branch"
        )
