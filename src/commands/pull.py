"""Ask the sources that contracts name, and land what is new; nothing else is done with it.

Without --start it is what `run` does first: the lookback of each source, and the days that have no answer yet. With it
every day up to --end is asked for again: what is the same as before lands no second time. --where is an SQL condition
over the slice, account and day, and over the columns of the seed that a source's accounts come from. Without --source
those are asked that are set up.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from src import console
from src.commands import Call, day, json_argument, show
from src.commands.run import finish
from src.contract import Feed
from src.errors import UsageError
from src.landing import registry
from src.landing.conditions import Condition
from src.landing.pull import Stage
from src.project import Project, open_project
from src.run import pulling, runs
from src.run.kinds import RunKind
from src.run.pulling import Planned
from src.run.recorded import recorded_run
from src.run.runs import Run, Window


@dataclass(frozen=True)
class PlannedSlice:
    """One slice that a source would be asked for; `action` is `pull`, or `nothing` or `fail`, and `why` says why."""

    feed: str
    slice: str | None
    day: date | None
    action: str
    why: str | None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        action="extend",
        type=lambda names: names.split(","),
        default=[],
        metavar="NAME[,NAME]",
        help="of these sources alone (default: all)",
    )
    parser.add_argument("--slice", default="*", metavar="PATTERN", help="these slices alone, for example 'act_101/*'")
    parser.add_argument("--where", help="those that fit this SQL condition, such as \"app_id = 'dinghy'\"")
    parser.add_argument("--start", type=day, help="ask for every day from this one on, YYYY-MM-DD")
    parser.add_argument("--end", type=day, help="the last day (default: yesterday)")
    parser.add_argument("--dry-run", action="store_true", help="say which slices would be asked for; asks nothing")
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    window = _window(args.start, args.end)
    with open_project(call.settings, window.end) as project:
        feeds = _chosen(project, args.source)
        registry.check(feeds)
        if not feeds:
            console.note("no contract names a source: docs/pulling.md says how one does")
        left = list[Feed]()
        if not args.source:  # who names one is told what it lacks
            feeds, left = pulling.by_set_up(project, feeds)
        where = pulling.condition(project, args.where, feeds) if args.where is not None else None
        if args.dry_run or where:
            planned = pulling.plan(_stage(project, window, args, where), feeds)
            if where and not any(one.slices or one.error for one in planned):
                raise UsageError(
                    f"no slice fits {args.where}", fix="`main.py pull --dry-run` lists the slices that there are"
                )
        if args.dry_run:
            show(call, [one for each in planned for one in _slices(each)], _print)
            return 0
        with recorded_run(project, RunKind.PULL, _command(args), window) as current:
            current.not_set_up = {feed.pull_id: feed.source.name for feed in left if feed.source}
            _pull(current, _stage(project, window, args, where, current.run_id), feeds)
        return finish(call, project, current)


def _stage(
    project: Project, window: Window, args: argparse.Namespace, where: Condition | None, run_id: str = ""
) -> Stage:
    return pulling.stage_of(project, window, args.start, args.slice, run_id, where)


def _window(start: date | None, end: date | None) -> Window:
    """Return the days of a pull; `start` None: what is due up to the end."""
    last = end or runs.now().date() - timedelta(days=1)
    if start and start > last:
        raise UsageError(f"the start {start} is after the end {last}", fix="give a start up to the end")
    return Window(start or last, last)


def _chosen(project: Project, names: Sequence[str]) -> list[Feed]:
    feeds = pulling.sourced(list(project.contracts.feeds.values()))
    known = sorted({feed.source.name for feed in feeds if feed.source})
    if unknown := [name for name in names if name not in known]:
        there = (
            f"the sources are {', '.join(known)}"
            if known
            else "no contract names a source: docs/pulling.md says how one does"
        )
        raise UsageError(f"no source {', '.join(unknown)}", fix=there)
    return pulling.sourced(feeds, names or None)


def _command(args: argparse.Namespace) -> str:
    typed = [f"SOURCE={','.join(args.source)}"] if args.source else []
    typed += [f"SLICE={shlex.quote(args.slice)}"] if args.slice != "*" else []
    typed += [f"WHERE={shlex.quote(args.where)}"] if args.where is not None else []
    typed += [f"START={args.start}"] if args.start else []
    typed += [f"END={args.end}"] if args.end else []
    return " ".join(["make pull", *typed])


def _pull(current: Run, stage: Stage, feeds: Sequence[Feed]) -> None:
    with console.progress(len(feeds)) as bar:
        for step in pulling.steps(current, stage, feeds):
            if bar:
                bar.start(step.name)
            current.step(step.name, step.work, needs=step.waits_for, source=step.source)
            if bar:
                bar.done()


def _slices(planned: Planned) -> list[PlannedSlice]:
    if planned.error:
        return [PlannedSlice(planned.step, None, None, "fail", planned.why)]
    if not planned.slices:
        return [PlannedSlice(planned.step, None, None, "nothing", planned.why)]
    return [PlannedSlice(planned.step, part.name, part.day, "pull", None) for part in planned.slices]


def _print(slices: Sequence[PlannedSlice]) -> None:
    headers = ("feed", "would", "slice", "why")
    console.table(headers, [(one.feed, one.action, one.slice or "", one.why or "") for one in slices])
