"""Make an earlier release the newest again."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import rollback
from src.project import open_project
from src.run import releases
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.revision import Revision, made_with


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", required=True, metavar="RUN_ID", help="a run_id of ops.releases")
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored")
    json_argument(parser)


@dataclass(frozen=True)
class Rollback:
    """The tables that go back to a release, with the version that each has and the one whose rows it gets back."""

    release: str
    restored: bool
    revision: Revision | None  # the commit whose contracts and models made the release
    tables: tuple[rollback.TableRollback, ...]
    models: tuple[rollback.ModelRollback, ...] = ()  # of which another version becomes active again


def run(call: Call) -> int:
    args = call.args
    with open_project(call.settings) as project:
        versions = releases.named(project.engine, call.settings.data_dir, args.to)
        revision = releases.revision_of(project.engine, call.settings.data_dir, args.to)
        steps = rollback.plan(project, versions)
        models = rollback.plan_models(project, versions)
        tables = tuple(steps)
        found = Rollback(args.to, restored=False, revision=revision, tables=tables, models=tuple(models))
        if args.dry_run or not (steps or models):
            show(call, found, _print_steps)
            print("nothing to restore" if not (steps or models) else "dry run: nothing was changed")
            return 0
        _print_steps(found)
        with recorded_run(project, RunKind.ROLLBACK, f"rollback to {args.to}") as current:
            rollback.execute(project, steps, versions, current, revision, models)
    text = f"restored {len(steps)} tables to release {args.to}; the next run goes forward from there"
    show(call, replace(found, restored=True), lambda _: print(text))
    return 0


def _print_steps(found: Rollback) -> None:
    console.table(("table", "version", "back to"), [(step.table, step.now, step.back) for step in found.tables])
    for model in found.models:
        now, back = (f"version {one}" if one else "no version" for one in (model.now, model.back))
        print(f"{model.model}: {back} is active again, in place of {now}")
    print(made_with(found.revision))
