"""Carry what landed through bronze, silver and gold (the default).

Strictly in this order; a failed step blocks what depends on it and nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from src import console, lake, landing_zone, selection
from src.bronze import ingest
from src.commands import Call, Sequence, json_argument, note_before, window_arguments
from src.errors import BUG_EXIT_CODE, BoathouseError, LockedError, UsageError
from src.forget import unfinished
from src.logger import logger
from src.problems import Problem
from src.project import Project, Selection, open_project
from src.run import runs, settled, summary
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Record, Run

MODES = ("recent", "all")  # the first is the default


def arguments(parser: argparse.ArgumentParser) -> None:
    window_arguments(parser)
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help="what moved, or every table whole")
    parser.add_argument(
        "--accept-rejects",
        action="extend",
        type=lambda tables: tables.split(","),
        default=[],
        metavar="TABLE[,TABLE]",
        help="let a load of a silver table through, however many of its rows are rejected; recorded",
    )
    parser.add_argument("--no-pull", action="store_true", help="ask no source: carry what has landed")
    parser.add_argument(
        "--accept-removals",
        action="extend",
        type=lambda tables: tables.split(","),
        default=[],
        metavar="TABLE[,TABLE]",
        help="let statements remove however many rows of a silver table with `replaces`; recorded",
    )
    json_argument(parser)


def run(call: Call) -> int:
    args = call.args
    window = runs.window(runs.now().date(), args.run_date, args.reprocess_days)
    with open_project(call.settings, window.end) as project:
        note_before(project, args)
        chosen = args.accept_rejects, args.select, args.accept_removals
        done = pipeline(project, call.sequence, args.domain, window, args.mode, *chosen, pull=not args.no_pull)
        return finish(call, project, done)


def pipeline(
    project: Project,
    sequence: Sequence,
    domain: str | None = None,
    window: runs.Window | None = None,
    mode: str = MODES[0],
    accept_rejects: Collection[str] = (),
    names: Collection[str] = (),
    accept_removals: Collection[str] = (),
    *,
    pull: bool = True,
) -> Run:
    """Ask the sources that feeds have, carry everything that landed through the three layers, record what was done.

    Mode `recent` computes what an input of moved, `all` every table of silver and gold whole: the result is the same.

    The window says which business days the run answers for. Every partition of it is right when the
    run is over: those an input of which moved are computed again, and so is any other that late rows touch.

    `accept_rejects`: the tables that take their load however many of its rows are rejected; `names`: what is chosen,
    as src/selection.py reads it; `accept_removals`: the tables of which statements may remove however many rows;
    `pull` False: no source is asked.
    """
    chosen = selection.chosen(project, domain, names)
    command = "make pipeline" + (f" DOMAIN={domain}" if domain else "") + (" MODE=all" if mode == "all" else "")
    command += f" SELECT={','.join(names)}" if names else ""
    command += "" if pull else " PULL=false"
    command += f" ACCEPT_REJECTS={','.join(accept_rejects)}" if accept_rejects else ""
    command += f" ACCEPT_REMOVALS={','.join(accept_removals)}" if accept_removals else ""
    _check_accepted(chosen, accept_rejects, "rejects")
    _check_accepted(chosen, accept_removals, "removals")
    check_sources(chosen)
    _finish_forgetting(project, sequence)
    feeds = project.contracts.feeds.values()
    full_refresh = {table.id for table in (*chosen.silver, *chosen.gold)} if mode == "all" else set()
    with recorded_run(project, RunKind.PIPELINE, command, window, full_refresh=mode == "all") as run:
        _land_samples(project)
        run.landing, run.landing_seen = landing_zone.problem(project, run.window.end), True
        run.unclaimed = [*_unclaimed_seeds(project), *ingest.unclaimed(project.landing, feeds)]
        sequence(project, run, chosen, full_refresh, accept_rejects, accept_removals, pull)
    return run


def _finish_forgetting(project: Project, sequence: Sequence) -> None:
    """Do what is left where a run died or failed while somebody was forgotten; what stops it stops no pipeline."""
    if not unfinished.is_unfinished(project.settings.data_dir):
        return
    from src.forget import forgetting  # where somebody was forgotten, and nowhere else: importing takes time

    try:
        begun = forgetting.unfinished(project)
        if forgetting.finish(project, sequence, begun).error() is None:
            forgetting.end(project, begun)
    except LockedError:
        raise
    except BoathouseError as error:
        logger.error("somebody is not forgotten yet: {}", error)


def check_sources(chosen: Selection) -> None:
    """Compare what the contracts of the chosen feeds say of sources with what their connectors take.

    Raises:
        ContractErrors: everything that is wrong with any of them.
    """
    if any(feed.source for feed in chosen.feeds):
        from src.landing import registry

        registry.check(chosen.feeds)


@dataclass(frozen=True)
class RunResult:
    """The result of a run: its own record, those of its steps and pulls, and the files that no feed takes.

    These are landed ones, and seeds.
    """

    run: Record
    steps: tuple[Record, ...]
    pulls: tuple[object, ...]  # one for each slice that a source was asked for: src/landing/records.py
    unclaimed: tuple[str, ...]
    landing: Problem | None
    not_set_up: tuple[str, ...]  # the sources that were not asked, as nobody has begun with them


def finish(call: Call, project: Project, run: Run) -> int:
    """Print what a run did and its heartbeat, and tell whom it concerns; returns the exit code."""
    steps, not_set_up = run.steps, sorted(set(run.not_set_up.values()))
    _tell(project, run)
    _send_lineage(project, run)
    if call.args.json:
        pulls, unclaimed = tuple(run.pulls), tuple(run.unclaimed)
        console.print_json(RunResult(run.records[-1], tuple(steps), pulls, unclaimed, run.landing, tuple(not_set_up)))
    summary.changes(steps)
    console.unclaimed(run.unclaimed)
    if not_set_up:
        count = "1 source is" if len(not_set_up) == 1 else f"{len(not_set_up)} sources are"
        console.note(f"{count} not set up: {', '.join(not_set_up)}; `make sources` says what each asks for")
    if run.landing:
        console.note(f"{run.landing.what} -> {run.landing.fix}")
    error = run.error()
    if error is None:
        summary.finished(run.records[-1], steps)
        return 0
    console.failed(console.error_text(error))
    return error.exit_code if isinstance(error, BoathouseError) else BUG_EXIT_CODE


def _check_accepted(chosen: Selection, tables: Collection[str], what: str) -> None:
    known = [table.id for table in chosen.silver if what == "rejects" or table.replaces is not None]
    for name in tables:
        if name not in known:
            fix = f"the tables are {', '.join(known)}" if known else "no table has `replaces`"
            raise UsageError(f"no {what} of {name} to accept", fix=fix)


def _unclaimed_seeds(project: Project) -> list[str]:
    taken = project.contracts.seeds_of(project.contracts.feeds.values())
    return [seed.shown for seed in project.contracts.seeds if seed not in taken]


def _land_samples(project: Project) -> None:
    """Give a newcomer something to see: the sample company's files, where nothing has landed at all, nor ever did.

    What lands by itself, the seeds, counts for nothing here.
    """
    settings = project.settings
    landed = (path for path in landing_zone.files(project) if not path.name.startswith("."))
    if not settings.sample_feed or any(landed) or landing_zone.came_before(project):
        return
    from src.demo import feeds

    yesterday = runs.now().date() - timedelta(days=1)
    files = feeds.land(project.landing, days=settings.sample_days, last=yesterday, seed=settings.sample_seed)
    print(f"The landing zone was empty: landed {len(files)} files of the sample company in {project.landing}.")
    print("Set SAMPLE_FEED=false in .env once you land files of your own.")


def _tell(project: Project, run: Run) -> None:
    """Open, send and close the incidents of a run. What goes wrong here never fails the run: the next one sends it."""
    settings = project.settings
    try:
        is_well = not (run.failures or run.landing or run.mostly_rejected)
        if is_well and settled.is_settled(settings.data_dir, bool(settings.alert_urls)):
            return
        from src import alerts  # where there is something to tell: importing takes time

        found = alerts.of_run(run)
        urls = alerts.channels(settings)
        alerts.update(project.engine, settings.data_dir, urls, found, runs.now(), alerts.looked_at(run))
        lake.keep(settings.data_dir)
    except BoathouseError as error:
        logger.warning("alerts not sent: {}", error)


def _send_lineage(project: Project, run: Run) -> None:
    """Tell the server of OpenLineage, if there is one. What goes wrong here never fails the run."""
    if project.settings.openlineage_url is None:
        return
    from src.lineage import events  # where somebody is told: importing takes time

    try:
        logger.info("{} lineage events sent to {}", events.send(project, run), project.settings.openlineage_url)
    except BoathouseError as error:
        logger.warning("lineage not sent: {}", error)
