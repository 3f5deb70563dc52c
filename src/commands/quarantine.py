"""Rejected rows: list, show, replay after a fix, waive for a while."""

from __future__ import annotations

import argparse

from src import console
from src.author import author
from src.commands import Call, day, json_argument, read_by_user, show
from src.commands.run import finish
from src.errors import UsageError
from src.maintenance import quarantine
from src.masking.reader import masks_of_lake
from src.project import Selection, downstream, open_engine, open_project
from src.run import runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("list", "show", "replay", "waive"))
    parser.add_argument("--table", help="silver.domain.table")
    parser.add_argument("--limit", type=int, default=20, help="show: how many rows")
    parser.add_argument("--matching", default="", help="waive: rows whose reasons contain this text, or have this code")
    parser.add_argument("--reason", default="", help="waive: why these rows may stay out")
    parser.add_argument("--until", type=day, help="waive: the last day it holds, YYYY-MM-DD")
    json_argument(parser)


def run(call: Call) -> int:
    args, data = call.args, call.settings.data_dir
    if args.verb != "list" and not args.table:
        raise UsageError(f"quarantine {args.verb} without a table", fix="name it: --table silver.domain.table")
    if args.verb == "replay":
        return _replay(call)
    if args.verb == "waive":
        return _waive(call)
    with read_by_user(call, "quarantine") as reading, open_engine(call.settings) as engine:
        masks = masks_of_lake(call.settings, engine)
        select = masks.select_in(engine)
        if args.verb == "list":
            reasons = quarantine.read_reasons(engine, data, runs.now().date(), select)
            for one in reasons:
                reading.of_table(quarantine.name_of(one.table), ["_reasons"], 1)
            reading.masked = any(masks.covers(one.table) for one in reasons)
            show(call, reasons, quarantine.print_reasons)
        else:
            reading.of_table(quarantine.name_of(args.table), quarantine.SHOWN)
            reading.masked = masks.covers(args.table)
            rows = quarantine.read_rows(engine, data, args.table, args.limit, select)
            reading.rows = len(rows)
            show(call, rows, quarantine.print_rows)
            if masks.covers(args.table):
                console.note(f"values of {args.table} are masked: its files have masked columns")
    return 0


def _waive(call: Call) -> int:
    args = call.args
    if args.until is None:
        raise UsageError("a waiver without an end", fix="write its last day: --until YYYY-MM-DD")
    waiver = quarantine.Waiver(args.table, args.matching, args.reason, args.until, runs.now(), author())
    with open_project(call.settings) as project, recorded_run(project, RunKind.WAIVE, f"quarantine waive {args.table}"):
        covered = quarantine.waive(project.engine, call.settings.data_dir, waiver)
    found = {"table": args.table, "until": args.until, "rows": covered}
    show(call, found, lambda _: print(f"waived until {args.until}: {covered} rows of {args.table}"))
    return 0


def _replay(call: Call) -> int:
    """Build one table, and what reads it, under its contract as it is now; rows that now pass leave quarantine."""
    table_id, data = call.args.table, call.settings.data_dir
    with open_project(call.settings) as project:
        before = quarantine.count(project.engine, data, table_id)
        table = project.declared(table_id)
        with recorded_run(project, RunKind.REPLAY, f"quarantine replay {table_id}") as run:
            call.sequence(project, run, Selection((), (table,), downstream(project, {table_id})))
        code = finish(call, project, run)
        after = quarantine.count(project.engine, data, table_id)
    print(f"{table_id}: {before} rows were in quarantine, {after} are")
    if before == after and code == 0:
        print(f"A row passes once {table.path} or its SQL lets it: fix it, bump `version`, and replay.")
    return code
