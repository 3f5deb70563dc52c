"""Prove the laws on the lake as it lies on disk, and compare it with the backup."""

from __future__ import annotations

import argparse
from functools import partial

from src import console, workers
from src.commands import Call, json_argument, show
from src.maintenance import check
from src.maintenance.check import CheckResult
from src.project import open_project
from src.remote import open_remote


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="of the files the sizes only, and no backup")
    seed = "what draws the moments at which what tables of features read is cut; a check says its own, to repeat it"
    parser.add_argument("--seed", type=int, help=seed)
    json_argument(parser)


def run(call: Call) -> int:
    args, remote = call.args, partial(open_remote, call.settings)
    with open_project(call.settings) as project, workers.dealing(project, beside_runs=True) as stages:
        checked = check.check_project(project, remote, quick=args.quick, seed=args.seed, stages=stages)
    show(call, checked, _print)
    return int(bool(checked.findings))


def _print(checked: CheckResult) -> None:
    if checked.not_compared:
        print(f"note: not compared with the newest backup: {checked.not_compared}")
    for one in checked.loose:
        console.note(str(one))
    if checked.seed is not None:
        print(f"note: tables of features were cut at moments drawn by --seed {checked.seed}")
    if checked.findings:
        console.table(("table", "law", "found"), [(f.table, f.law, f.found) for f in checked.findings])
        print("`make repair` brings back files that the newest backup has; what else to do: docs/runbook.md")
    elif checked.tables:
        print(f"{checked.tables} tables checked: every law holds")
    else:
        print("no tables yet; run `make pipeline`")
