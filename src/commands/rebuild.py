"""Compute one table whole again, then what reads it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from src.commands import Call, json_argument, show
from src.commands.run import finish
from src.project import Selection, downstream, open_project, upstream
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, help="silver.domain.table or gold.mart.table")
    parser.add_argument("--dry-run", action="store_true", help="say what would be computed")
    json_argument(parser)


@dataclass(frozen=True)
class RebuildPlan:
    """A table that is computed whole, what from, and the tables that are computed after it."""

    table: str
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        table = project.declared(call.args.table)
        under = downstream(project, {table.id})
        chosen = Selection((), (table,), under) if table.layer == "silver" else Selection((), (), (table, *under))
        planned = RebuildPlan(table.id, tuple(upstream(table)), tuple(other.id for other in under))
        if call.args.dry_run:
            show(call, planned, _print_plan)
            print("dry run: nothing was changed")
            return 0
        _print_plan(planned)
        with recorded_run(project, RunKind.REBUILD, f"rebuild {table.id}") as current:
            call.sequence(project, current, chosen, {table.id})
        return finish(call, project, current)


def _print_plan(planned: RebuildPlan) -> None:
    then = ", ".join(planned.downstream) or "nothing more"
    print(f"{planned.table} is computed whole from {', '.join(planned.upstream)}; then {then}")
