"""Open incidents: list, ack (known), snooze (for a while)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta

from src import alerts, facts
from src.alerts import Incident
from src.author import author
from src.causes import Families
from src.commands import Call, day, json_argument, show
from src.engine import DuckEngine
from src.errors import ContractError, UsageError
from src.project import open_engine, open_project
from src.run import runs
from src.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("list", "ack", "snooze"))
    parser.add_argument("about", nargs="?", default="", help="an incident of the list, or what it is about")
    parser.add_argument("--all", action="store_true", help="list, or answer, also what follows from it")
    parser.add_argument("--until", type=day, help="snooze: the last day to hear nothing, YYYY-MM-DD")
    parser.add_argument("--reason", default="", help="why, for whoever looks next")
    json_argument(parser)


def run(call: Call) -> int:
    args, data, now = call.args, call.settings.data_dir, runs.now()
    if args.verb != "list" and not args.about:
        raise UsageError(f"alerts {args.verb} of nothing", fix="name an incident of `make alerts`")
    if args.verb == "snooze" and args.until is None:
        raise UsageError("alerts snooze without an end", fix="write --until YYYY-MM-DD")
    with _opened(call.settings, now) as (engine, families):
        if args.verb == "list":
            found = alerts.read_open(engine, data, now, families)
            show(call, found, lambda found: alerts.print_open(found, every=args.all))
            return 0
        names = alerts.with_followers(engine, data, args.about, families if args.all else Families({}))
        answered = _answered(engine, call, names, now)
    show(call, answered if args.all else answered[0], lambda _: _print_answered(answered, args.until))
    return 0


def _answered(engine: DuckEngine, call: Call, names: Sequence[str], now: datetime) -> list[Incident]:
    args, data, who = call.args, call.settings.data_dir, author()
    if args.verb == "ack":
        return alerts.ack_all(engine, data, names, who, now, args.reason)
    end = datetime.combine(args.until, time.min, UTC) + timedelta(days=1)
    return alerts.snooze_all(engine, data, names, end, who, now, args.reason)


def _print_answered(answered: Sequence[Incident], until: date | None) -> None:
    what = "no more messages until it gets worse or is over"
    if until:
        what = f"nothing until the end of {until}; then once, if it is still there"
    for incident in answered:
        print(f"{incident.incident}: {what}")


@contextmanager
def _opened(settings: Settings, now: datetime) -> Iterator[tuple[DuckEngine, Families]]:
    """Open an engine, with what hangs on what; with nothing where contracts are wrong, which must hide no incident."""
    with ExitStack() as stack:
        try:
            project = stack.enter_context(open_project(settings))
            engine, families = project.engine, facts.read_families(project, facts.read_standings(project), now)
        except ContractError:
            engine, families = stack.enter_context(open_engine(settings)), Families({})
        yield engine, families
