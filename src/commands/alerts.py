"""Open incidents: list, ack (known), snooze (for a while)."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, time, timedelta

from src import alerts
from src.commands import Call, day, json_argument, show
from src.errors import UsageError
from src.project import open_engine
from src.run import runs
from src.run.author import author


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("list", "ack", "snooze"))
    parser.add_argument("about", nargs="?", default="", help="an incident of the list, or what it is about")
    parser.add_argument("--until", type=day, help="snooze: the last day to hear nothing, YYYY-MM-DD")
    parser.add_argument("--reason", default="", help="why, for whoever looks next")
    json_argument(parser)


def run(call: Call) -> int:
    args, data = call.args, call.settings.data_dir
    now, who = runs.now(), author()
    if args.verb != "list" and not args.about:
        raise UsageError(f"alerts {args.verb} of nothing", fix="name an incident of `make alerts`")
    if args.verb == "snooze" and args.until is None:
        raise UsageError("alerts snooze without an end", fix="write --until YYYY-MM-DD")
    with open_engine(call.settings) as engine:
        if args.verb == "list":
            show(call, alerts.read_open(engine, data, now), alerts.print_open)
        elif args.verb == "ack":
            found = alerts.ack(engine, data, args.about, who, now, args.reason)
            show(call, found, lambda found: print(f"{found.incident}: no more messages until it gets worse or is over"))
        else:
            end = datetime.combine(args.until, time.min, UTC) + timedelta(days=1)
            found = alerts.snooze(engine, data, args.about, end, who, now, args.reason)
            until = f"nothing until the end of {args.until}; then once, if it is still there"
            show(call, found, lambda found: print(f"{found.incident}: {until}"))
    return 0
