"""What a run would do, and why, by the landing zone and the tables' versions; changes nothing.

Beside it stands how much it would read and how long it would take, by earlier runs; `-` where they do not suffice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from src import console, contract, lake, store, workers
from src.bronze import ingest
from src.contract import Seed, Table
from src.errors import BoathouseError
from src.gold import aggregate
from src.gold.way import Way
from src.ml import scoring
from src.ml.scored import scored_table
from src.project import Project, Selection, Unbuilt, blocking, readable, upstream, waits_for
from src.run import binding, releases, soft_sources
from src.run.forecast import Forecast
from src.run.releases import Standing
from src.run.runs import Expected, Window
from src.silver import clean, incoming, passes


@dataclass(frozen=True)
class PlannedStep:
    """The work of a run on one table, and why.

    Expected of it: bytes of new files, rows read (of a mart's table, computed) and seconds; None: not known.
    """

    table: str
    action: str  # nothing, fail, or what is done
    why: str
    bytes: int | None = None
    rows: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Total:
    """The forecast of all steps together. The seconds are those of the `known` of the `busy` steps."""

    bytes: int
    rows: int | None
    seconds: float
    known: int
    busy: int


@dataclass(frozen=True)
class ComputedWhole:
    """A table with partitions that is computed whole at every change, and what to do about it."""

    table: str
    why: str
    fix: str


@dataclass(frozen=True)
class RunPlan:
    """The work of a run for these business days; `total` None: nothing landed."""

    start: date
    end: date
    steps: tuple[PlannedStep, ...]
    total: Total | None
    computed_whole: tuple[ComputedWhole, ...]
    behind: tuple[Standing, ...]  # tables whose readers see an earlier version


@lake.one_moment()
def read_plan(project: Project, chosen: Selection, window: Window) -> RunPlan:
    """Return what a run would do, its steps in the order in which it takes them; changes nothing."""
    lake.recall(project.settings.data_dir)
    forecast = Forecast(project)
    seeds = _seeds(project, chosen)
    steps = [*seeds, *_pulls(project, chosen, window)]
    would = {one.table: one.action for one in seeds}
    moving: set[str] = set()
    failing: set[str] = set()
    for feed in chosen.feeds:
        bronze, settle = project.table(feed.id), project.settings.settle_seconds
        latest_wins = project.contracts.latest_wins(feed)
        arrived = ingest.arrivals(project.engine, project.landing, feed, bronze, settle, latest_wins=latest_wins)
        if arrived.new:
            moving.add(feed.id)
            forecast.feed(feed.id, len(arrived.new), _bytes(arrived.new))
        own = [seed.id for seed in project.landing_seeds([feed])]
        to_land = [name for name in own if would[name] == "land"]
        if to_land:
            moving.add(feed.id)
        failing |= {feed.id} if arrived.refused or any(would[name] == "fail" for name in own) else set()
        what, why = _bronze(arrived, to_land)
        why += workers.stages_of(project.settings, "bronze", sum(file.size for file in arrived.new))
        steps.append(_step(feed.id, what, why, forecast))
    every = {feed.id for feed in chosen.feeds} | {one.id for one in (*chosen.silver, *chosen.gold)}
    for table in (*chosen.silver, *chosen.gold):
        what, why = _judged(project, table, moving, every, failing)
        why += _dealt_out(project, table, what)
        failing |= {table.id} if what == "fail" or failing.intersection(blocking(table)) else set()
        forecast.table(table)
        steps.append(_step(table.id, what, why, forecast))
    ways = {table.id: way_of(project, table) for table in chosen.gold}
    whole = [ComputedWhole(name, way.why_whole, way.fix) for name, way in ways.items() if way.why_whole]
    behind = tuple(releases.behind(project.settings.data_dir).values())
    lake.keep(project.settings.data_dir)
    return RunPlan(window.start, window.end, tuple(steps), _total(steps, forecast), tuple(whole), behind)


def print_plan(plan: RunPlan) -> None:
    """Print the steps with what is expected of them, the window, and what is computed whole at every change."""
    lines = [("bytes", "rows", "seconds"), *map(_expected, plan.steps)]
    names = [("table", "would"), *((step.table, step.action) for step in plan.steps)]
    whys = ["why", *(step.why for step in plan.steps)]
    if total := plan.total:
        seconds = f"{total.seconds:.2f}" if total.known else "-"
        lines.append((f"{total.bytes:,}", _shown(total.rows), seconds))
        names.append(("total", ""))
        whys.append(f"the seconds are those of {total.known} of {total.busy} steps")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (tuple(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    headers, *body = [(*name, *line, why) for name, line, why in zip(names, padded, whys, strict=True)]
    console.table(headers, body)
    days = f"{plan.start} to {plan.end}"
    print(f"window {days}: computed again where an input moved, as is any other partition that late rows touch")
    for table in plan.computed_whole:
        print(f"{table.table}: whole at every change: {table.why}\n  fix: {table.fix}")
    for standing in plan.behind:
        print(f"readers see {releases.describe(standing)}")


def _seeds(project: Project, chosen: Selection) -> list[PlannedStep]:
    """Return what becomes of the seeds that the feeds take."""
    taken = project.landing_seeds(chosen.feeds)
    if not taken:
        return []
    from src.landing import seeds

    def planned(seed: Seed) -> PlannedStep:
        try:
            is_new = seeds.is_new(project.landing, seed)
        except BoathouseError as error:
            return PlannedStep(seed.id, "fail", str(error).replace("\n", " "))
        return (
            PlannedStep(seed.id, "land", "it says something new") if is_new else PlannedStep(seed.id, "nothing", "same")
        )

    return [planned(seed) for seed in taken]


def _pulls(project: Project, chosen: Selection, window: Window) -> list[PlannedStep]:
    """Return the slices that the sources of the feeds would be asked for; what they will say is not known."""
    feeds = project.asked_feeds(chosen.feeds)
    if not feeds:
        return []
    from src.landing import registry
    from src.run import pulling

    registry.check(feeds)
    ready, left = pulling.by_set_up(project, feeds)
    planned = pulling.plan(pulling.stage_of(project, window), ready)
    return [
        *(
            PlannedStep(one.step, "fail" if one.error else "pull" if one.slices else "nothing", one.why)
            for one in planned
        ),
        *(PlannedStep(one.pull_id, "nothing", "not set up: `make sources` says what it asks for") for one in left),
    ]


def _step(name: str, action: str, why: str, forecast: Forecast) -> PlannedStep:
    expected = forecast.expected.get(name, Expected()) if action != "nothing" else Expected()
    return PlannedStep(name, action, why, expected.bytes, expected.rows, expected.seconds)


def _total(steps: Sequence[PlannedStep], forecast: Forecast) -> Total | None:
    total, (known, seconds) = forecast.total(), forecast.known_steps()
    busy = sum(step.action != "nothing" for step in steps)
    return None if total.bytes is None else Total(total.bytes, total.rows, seconds, known, busy)


def _bytes(files: Iterable[ingest.Landed]) -> int | None:
    try:
        return sum(store.facts(file.path).size for file in files)
    except OSError:
        return None  # one was moved away since it was listed


def _expected(step: PlannedStep) -> tuple[str, str, str]:
    known = (step.bytes, step.rows, step.seconds) != (None, None, None)
    if step.action == "nothing" or (step.action == "fail" and not known):
        return "", "", ""
    size = f"{step.bytes:,}" if step.bytes is not None else ""
    return size, _shown(step.rows), "-" if step.seconds is None else f"{step.seconds:.2f}"


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _bronze(arrived: ingest.Arrivals, to_land: Sequence[str]) -> tuple[str, str]:
    parts = [f"{', '.join(to_land)} will land"] if to_land else []
    parts += [f"{len(arrived.new)} new files"] if arrived.new else []
    parts += [f"{arrived.known} taken before"] if arrived.known else []
    parts += [f"{len(arrived.same_bytes)} of the same bytes as one taken"] if arrived.same_bytes else []
    parts += [f"{len(arrived.waiting)} still being written"] if arrived.waiting else []
    parts += [f"refused: {str(error).splitlines()[0]}" for error in arrived.refused]
    what = "fail" if arrived.refused else "append" if arrived.new or to_land else "nothing"
    return what, ", ".join(parts) or "no files"


def _judged(
    project: Project, table: Table, moving: set[str], steps: Collection[str], failing: Collection[str]
) -> tuple[str, str]:
    try:
        last_good, notes = soft_sources.planned(project, table, steps, failing)
        what, why = _work(project, table, moving, last_good)
    except BoathouseError as error:
        return "fail", str(error).replace("\n", " ")
    moved = [name for name in upstream(table) if name in moving and name not in last_good]
    if moved:
        first = project.table(table.id) is None
        why = ("first load: " if first else "") + f"{', '.join(moved)} will have new rows"
        what = "build" if first else "update" if what == "nothing" else what
    if what != "nothing":
        moving.add(table.id)
    return what, ", ".join((why, *notes))


def _dealt_out(project: Project, table: Table, what: str) -> str:
    """Return by which stages workers do a step, where its size is known before it begins."""
    settings = project.settings
    if settings.engine == "local" or what in ("nothing", "fail"):
        return ""
    if table.layer == "silver" and what not in ("build", "rebuild"):
        return ""  # how much is new is known once bronze has it
    stored = {name: found for name in upstream(table) if (found := project.table(name))}
    size = sum(one.size for one in stored.values())
    if table.layer == "gold":
        return workers.stages_of(settings, "gold", size) if way_of(project, table).is_proven else ""
    feeds = project.contracts.feeds
    sources = [(feeds[name], bronze, ()) for name, bronze in stored.items() if name in feeds]
    in_passes = all(incoming.has_columns(bronze) for _, bronze, _ in sources) and passes.can_be(table, sources)
    return workers.stages_of(settings, "passes" if in_passes else "silver", size)


def _work(project: Project, table: Table, moving: set[str], last_good: Mapping[str, lake.Snapshot]) -> tuple[str, str]:
    target = project.table(table.id)
    if table.layer == "silver":
        feeds = {feed.id: project.table(feed.id) for feed in table.feeds}
        quarantine = project.table(f"quarantine.{table.domain}.{table.name}")
        work = clean.plan(table, target, feeds, quarantine)
        if work.kind == "rebuild" or target is None:
            binding.bind_silver(project, table, feeds, moving)
        return work.kind, work.why
    current = binding.built_as_declared(project, table)
    if target is None or not contract.is_current(table, target) or len(current) < len(table.declared_sources):
        binding.bind_gold(project, table, current)
    sources = readable(project, table, last_good)
    waiting = waits_for(table, sources)
    if target is None and waiting:
        return "nothing", f"waits for {', '.join(waiting)}"
    if table.scored_by:
        scored = scored_table(project.contracts, table)
        judged = scoring.plan(project.engine, scored, target, sources)
        return judged.kind, judged.why
    judged = aggregate.plan(table, target, sources)
    whole = judged.kind == "partitions" and not way_of(project, table).by_partitions
    return "whole" if whole else judged.kind, judged.why


def way_of(project: Project, table: Table) -> Way:
    """Return how a gold table is computed, by the newest versions of its sources."""
    read = readable(project, table)
    read |= {name: Unbuilt(project.declared(name)) for name in table.declared_sources if name not in read}
    return aggregate.way_of(project.engine, table, project.table(table.id), read, project.proof(table))
