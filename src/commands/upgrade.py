"""Bring the tables of the lake to the format of this release; no row changes, and nothing is computed again.

It says what it will do and how long that takes, then does it. Until then, runs work on the older format as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from src import __version__, catalog, console, lake
from src.commands import Call
from src.maintenance import upgrade
from src.maintenance.upgrade import TableUpgrade
from src.project import open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        planned = upgrade.plan(project)
        if not planned:
            count = len(catalog.tables(call.settings.data_dir))
            print(f"0 changed: {count} tables are in format {lake.FORMAT}, that of Boathouse {__version__}")
            return 0
        if call.args.dry_run:
            _print(planned)
            print("dry run: nothing was changed")
            return 0
        with recorded_run(project, RunKind.UPGRADE, "upgrade") as done:
            planned = upgrade.plan(project)  # again: now nobody else is at work
            _print(planned)
            upgrade.execute(project, planned, done)
    print(f"{len(planned)} tables are in format {lake.FORMAT} now, that of Boathouse {__version__}; no row changed")
    return 0


def _print(planned: Sequence[TableUpgrade]) -> None:
    rows = [
        (one.table, one.snapshot.format, "; ".join(f"{m.name}: {m.does}" for m in one.migrations)) for one in planned
    ]
    console.table(("table", "format", "would do"), rows)
    print(f"{len(planned)} tables, about {sum(one.seconds for one in planned):.1f} s; no row changes")
