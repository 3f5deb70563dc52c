"""Say what this month cost by domain and table, how far each budget is spent, and what would save.

A finding of what would save is active until its cause is gone, or until a person dismisses it.
"""

from __future__ import annotations

import argparse

from src.author import author
from src.commands import Call, json_argument, show
from src.errors import UsageError
from src.facts import cost
from src.facts.savings import reading
from src.project import open_project
from src.report import costs
from src.run import runs, spending
from src.run.saving_records import SavingStatus


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="every table, not the dearest alone")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--dismiss", metavar="ID", help="a finding that is to be told no more, with --reason")
    answer.add_argument("--reopen", metavar="ID", help="a finding that was dismissed")
    parser.add_argument("--reason", default="", help="why, for whoever looks next")
    json_argument(parser)


def run(call: Call) -> int:
    args, now = call.args, runs.now()
    if args.dismiss and not args.reason.strip():
        raise UsageError("a finding dismissed without a reason", fix="write --reason, for whoever looks next")
    with open_project(call.settings) as project:
        if name := args.dismiss or args.reopen:
            status = SavingStatus.DISMISSED if args.dismiss else SavingStatus.ACTIVE
            event = reading.answer(project, name, status, args.reason.strip(), author(), now)
            show(call, event, lambda event: print(f"{event.id}: {event.status}"))
            return 0
        if stray := spending.strays(project):
            known = ", ".join(map(spending.setting_of, spending.domains(project)))
            raise UsageError(f"no domain of {', '.join(stray)}", where=".env", fix=f"the budgets are {known}")
        found = cost.read_cost(project, now)
    show(call, found, lambda found: costs.print_cost(found, every_table=args.all))
    return 0
