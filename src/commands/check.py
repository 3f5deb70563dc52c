"""Prove the laws on the lake as it lies on disk, and compare it with the backup."""

from __future__ import annotations

import argparse
from functools import partial

from src import console
from src.commands import Call, json_argument, show
from src.maintenance import check
from src.maintenance.check import CheckResult
from src.project import open_project
from src.remote import open_remote


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="of the files the sizes only, and no backup")
    json_argument(parser)


def run(call: Call) -> int:
    with open_project(call.settings) as project:
        checked = check.check_project(project, partial(open_remote, call.settings), quick=call.args.quick)
    show(call, checked, _print)
    return int(bool(checked.findings))


def _print(checked: CheckResult) -> None:
    if checked.not_compared:
        print(f"note: not compared with the newest backup: {checked.not_compared}")
    for one in checked.loose:
        console.note(str(one))
    if checked.findings:
        console.table(("table", "law", "found"), [(f.table, f.law, f.found) for f in checked.findings])
        print("`make repair` brings back files that the newest backup has; what else to do: docs/runbook.md")
    elif checked.tables:
        print(f"{checked.tables} tables checked: every law holds")
    else:
        print("no tables yet; run `make pipeline`")
