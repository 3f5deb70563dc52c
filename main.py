"""Bronze, then silver, then gold: the blocking sequence. Every command is a file of src/commands/; see --help.

A run carries what landed through the three layers, strictly in this order, and blocks what depends on a
failed step and nothing else. Exit codes are those of src/errors.py.
"""

from __future__ import annotations

from src import stopping

if __name__ == "__main__":
    stopping.at_once()  # first, so that Ctrl-C while the libraries load gives no traceback

import sys
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src import commands, console
from src.author import author

# The layers are imported where a step of theirs is: a command that only looks waits for none of them.
if TYPE_CHECKING:
    from src.checks.outcome import Outcome
    from src.contract import Feed, Seed, Table
    from src.project import Project, Selection
    from src.run.runs import Run
    from src.workers import Others

ROOT = Path(__file__).resolve().parent


def carry(
    project: Project,
    run: Run,
    chosen: Selection,
    full_refresh: Collection[str] = (),
    accept_rejects: Collection[str] = (),
    accept_removals: Collection[str] = (),
    pull: bool = False,
) -> None:
    """Do the steps of a run, in a blocking sequence: all of bronze, then all of silver, then all of gold.

    Those of one layer go side by side where none needs the other, see src/run/side_by_side.py.
    First the seeds of the feeds land. `pull`: then ask the sources that are set up; whatever comes of it, bronze takes
    what has landed.
    `full_refresh`: the tables that are computed whole even where no input of them moved; `accept_rejects`: those that
    take their load however many of its rows are rejected; `accept_removals`: those of which statements may remove
    however many rows.
    """
    from src import workers
    from src.run import side_by_side, steps

    seeds = project.landing_seeds(chosen.feeds)
    pulled = project.asked_feeds(chosen.feeds) if pull else []
    if pulled:
        from src.run import pulling  # where there is a source, and nowhere else: importing takes time

        pulled, left = pulling.by_set_up(project, pulled)
        run.not_set_up = {feed.pull_id: feed.source.name for feed in left if feed.source}
    run.planned = len(seeds) + len(pulled) + len(chosen)
    with console.progress(run.planned) as bar:

        def step(name: str, work: Callable[[], Outcome], waits_for: Iterable[str] = (), source: str = "") -> None:
            if bar:
                bar.start(name)
            run.step(name, work, needs=waits_for, source=source)
            if bar:
                bar.done(name)

        for seed in seeds:
            step(seed.id, partial(_land, project, seed, run), source=seed.shown)
        if pulled:
            stage = pulling.stage_of(project, run.window, run_id=run.run_id)
            for one in pulling.steps(run, stage, pulled):
                step(one.name, one.work, one.waits_for, one.source)
        with side_by_side.opened(project, run, bar) as layers, workers.opened(project) as others:
            ingest = partial(_ingest, run=run, others=others)
            merge = partial(_clean, run=run, full_refresh=full_refresh, others=others)
            merge = partial(merge, accept_rejects=accept_rejects, accept_removals=accept_removals)
            build = partial(_build, run=run, full_refresh=full_refresh, others=others)
            layers.do([steps.bronze(feed, seeds, partial(ingest, feed=feed)) for feed in chosen.feeds])
            layers.do([steps.silver(table, partial(merge, table=table)) for table in chosen.silver])
            layers.do([steps.gold(table, partial(build, table=table)) for table in chosen.gold])


def _land(project: Project, seed: Seed, run: Run) -> Outcome:
    from src.landing import seeds  # where a seed is, and nowhere else: importing takes time

    return seeds.land(project.landing, seed, run.started, project.settings.settle_seconds)


def _ingest(project: Project, feed: Feed, run: Run, others: Others) -> Outcome:
    from src.bronze import ingest
    from src.forget import held_back

    return ingest.run(
        project.engine,
        project.landing,
        project.path(feed.id),
        feed,
        batch=run.run_id,
        now=run.started,
        settle=project.settings.settle_seconds,
        latest_wins=project.contracts.latest_wins(feed),
        expecting=project.expecting,
        others=others.readers,
        withhold=partial(held_back.withhold, project, feed),
    )


def _clean(
    project: Project,
    table: Table,
    run: Run,
    full_refresh: Collection[str],
    accept_rejects: Collection[str],
    accept_removals: Collection[str],
    others: Others,
) -> Outcome:
    from src.silver import clean

    places = clean.Places.of_table(table, project.path)
    user = author() or "someone"
    return clean.run(
        project.engine,
        table,
        places,
        batch=run.run_id,
        full_refresh=table.id in full_refresh,
        accepted_by=user if table.id in accept_rejects else "",
        removals_accepted_by=user if table.id in accept_removals else "",
        merging=others.merging,
    )


def _build(project: Project, table: Table, run: Run, full_refresh: Collection[str], others: Others) -> Outcome:
    from src.run import gold_step

    return gold_step.build(project, table, run, full_refresh=table.id in full_refresh, others=others.slabs)


def main(argv: list[str], default_project: Path = ROOT, program: str = "main.py") -> int:
    """Run one command; returns the exit code."""
    return commands.main(argv, default_project, carry, program)


if __name__ == "__main__":
    stopping.leave(main(sys.argv[1:]))
