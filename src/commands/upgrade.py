"""Bring the tables of the lake to the format of this release; no row changes, and nothing is computed again.

It says what it will do and how long that takes, then does it. Until then, runs work on the older format as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from src import __version__, catalog, console, lake
from src.commands import Call, json_argument, show
from src.maintenance import upgrade
from src.maintenance.upgrade import TableUpgrade
from src.project import open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


@dataclass(frozen=True)
class UpgradedTable:
    """One table in an older format, what is done to it, and how long that takes, about."""

    table: str
    format: int
    does: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class UpgradeResult:
    """The tables that are brought to the format of this release; `upgraded`: it was done."""

    version: str
    format: int
    upgraded: bool
    tables: tuple[UpgradedTable, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        planned = upgrade.plan(project)
        if not planned:
            count = len(catalog.tables(call.settings.data_dir))
            text = f"0 changed: {count} tables are in format {lake.FORMAT}, that of Boathouse {__version__}"
            show(call, _result(planned), lambda _: print(text))
            return 0
        if call.args.dry_run:
            show(call, _result(planned), _print_plan)
            print("dry run: nothing was changed")
            return 0
        with recorded_run(project, RunKind.UPGRADE, "upgrade") as done:
            planned = upgrade.plan(project)  # again: now nobody else is at work
            _print_plan(_result(planned))
            upgrade.execute(project, planned, done)
    text = f"{len(planned)} tables are in format {lake.FORMAT} now, that of Boathouse {__version__}; no row changed"
    show(call, replace(_result(planned), upgraded=True), lambda _: print(text))
    return 0


def _result(planned: Sequence[TableUpgrade]) -> UpgradeResult:
    tables = [
        UpgradedTable(one.table, one.snapshot.format, tuple(f"{m.name}: {m.does}" for m in one.migrations), one.seconds)
        for one in planned
    ]
    return UpgradeResult(__version__, lake.FORMAT, upgraded=False, tables=tuple(tables))


def _print_plan(result: UpgradeResult) -> None:
    tables = result.tables
    console.table(("table", "format", "would do"), [(one.table, one.format, "; ".join(one.does)) for one in tables])
    print(f"{len(tables)} tables, about {sum(one.seconds for one in tables):.1f} s; no row changes")
