"""What runs by itself, with cron or systemd: print it, install it, remove it."""

from __future__ import annotations

import argparse
import os

from src.commands import Call, json_argument, show
from src.maintenance import command_line, jobs, schedule
from src.maintenance.schedule import CRON, SYSTEMD, Schedule
from src.run import rotation


def arguments(parser: argparse.ArgumentParser) -> None:
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--install", action="store_true", help="put the jobs into the scheduler")
    act.add_argument("--remove", action="store_true", help="take them out")
    parser.add_argument("--kind", choices=(CRON, SYSTEMD), default=CRON, help="which scheduler (cron)")
    parser.add_argument("--hour", type=int, choices=range(24), default=jobs.DEFAULT_HOUR, help="of the daily job (2)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    json_argument(parser)


def run(call: Call) -> int:
    args, settings = call.args, call.settings
    path = schedule.search_path(os.environ)
    log, typed = settings.log_dir / rotation.SCHEDULED, command_line.as_typed(settings.root)
    planned, schedulers = Schedule(settings.root, log, path, args.hour, typed), schedule.schedulers(os.environ)
    if not (args.install or args.remove):
        text = schedule.text(planned, args.kind)
        show(call, {"kind": args.kind, "text": text}, lambda _: print(text, end=""))
        return 0
    changes = schedule.plan(planned, schedulers, args.kind, install=args.install)
    show(call, changes, lambda changes: print(schedule.differences(changes) or "0 changed"))
    if not args.dry_run:
        schedule.execute(changes, schedulers, args.kind)
        if args.install and args.kind == SYSTEMD:
            print("These timers go while you are logged in; to have them go always: loginctl enable-linger")
    return 0
