"""Compute one table whole again, then what reads it."""

from __future__ import annotations

import argparse

from src.commands import Call
from src.commands.run import finish
from src.project import Selection, downstream, open_project, upstream
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, help="silver.domain.table or gold.mart.table")
    parser.add_argument("--dry-run", action="store_true", help="say what would be computed")


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        table = project.declared(call.args.table)
        under = downstream(project, {table.id})
        chosen = Selection((), (table,), under) if table.layer == "silver" else Selection((), (), (table, *under))
        then = ", ".join(other.id for other in under) or "nothing more"
        print(f"{table.id} is computed whole from {', '.join(upstream(table))}; then {then}")
        if call.args.dry_run:
            print("dry run: nothing was changed")
            return 0
        with recorded_run(project, RunKind.REBUILD, f"rebuild {table.id}") as current:
            call.sequence(project, current, chosen, {table.id})
        return finish(project, current)
