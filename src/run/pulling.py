"""The steps that pull: one for each feed that a source brings, before bronze. None of them holds bronze back.

Only a refused credential stops the other feeds of the same source; what failed in passing is asked once more for
each of them, and not waited for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from src import catalog, lake
from src.checks.outcome import Outcome
from src.contract import Feed
from src.errors import AuthError, BoathouseError, TransientError
from src.landing import pull, records, registry
from src.landing.conditions import Condition
from src.landing.connector import AccountError, Slice
from src.landing.pull import Stage
from src.project import Project
from src.run import runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run, Window

_NAMED = 3  # slices by name


@dataclass(frozen=True)
class PullStep:
    """The pull of one feed as a step of a run."""

    name: str
    work: Callable[[], Outcome]
    source: str
    waits_for: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """The slices that a pull of one feed would ask for; `error`: why it would ask for nothing."""

    step: str
    slices: tuple[Slice, ...] = ()
    error: BoathouseError | None = None
    nothing: str = "nothing is due"  # why there are none

    @property
    def why(self) -> str:
        """Return in one line which slices they are, or what is wrong."""
        if self.error:
            return str(self.error).splitlines()[0]
        names = [part.name for part in self.slices]
        shown = names if len(names) <= _NAMED else [names[0], "...", names[-1]]
        count = f"{len(names)} {'slice' if len(names) == 1 else 'slices'}"
        return f"{count}: {', '.join(shown)}" if names else self.nothing


def sourced(feeds: Sequence[Feed], names: Sequence[str] | None = None) -> list[Feed]:
    """Return the feeds that a source brings; `names`: of these sources alone."""
    return [feed for feed in feeds if feed.source and (names is None or feed.source.name in names)]


def by_set_up(project: Project, feeds: Sequence[Feed]) -> tuple[list[Feed], list[Feed]]:
    """Return the feeds whose source is set up, and those whose source is not; the contracts were checked.

    A source is not set up where none of the settings that it needs is there and it never answered: nobody has begun
    with it. Whether it answered is what ops.pulls has: landed files may be those of the sample company.
    """
    begun = {_key(feed) for feed in feeds if feed.source and not registry.has_no_setting(feed.source, project.settings)}
    if any(_key(feed) not in begun for feed in feeds) and publish(project):
        answered = f"SELECT DISTINCT connector, source FROM ops.pulls WHERE status IN {records.ANSWERED}"
        begun |= set(project.engine.rows(answered))
    return [feed for feed in feeds if _key(feed) in begun], [feed for feed in feeds if _key(feed) not in begun]


def steps(run: Run, stage: Stage, feeds: Sequence[Feed]) -> Iterator[PullStep]:
    """Yield the step of each feed; what the steps before it met is known when it is asked for."""
    before: list[Feed] = []
    for feed in feeds:
        assert feed.source, "a feed that a source brings"
        failures = {other.pull_id: run.failures.get(other.pull_id) for other in before if _key(other) == _key(feed)}
        refused = tuple(name for name, error in failures.items() if _stops_the_source(error))
        patient = not any(isinstance(error, TransientError) for error in failures.values())
        work = partial(pull.pull, stage, feed, run.pulls, patient=patient)
        yield PullStep(feed.pull_id, work, feed.source.name, refused)
        before.append(feed)


def stage_of(
    project: Project,
    window: Window,
    start: date | None = None,
    chosen: str = "*",
    run_id: str = "",
    where: Condition | None = None,
) -> Stage:
    """Return what the pulls of a run have in common; `start`: ask for every day from then on."""
    return Stage(project.settings, runs.now, window.end, start, last_answers(project), chosen, run_id, where)


def condition(project: Project, text: str, feeds: Sequence[Feed]) -> Condition:
    """Return an SQL condition over the slices of feeds.

    Raises:
        UsageError: it is none, or none over what is known of the slices of one of them.
        ContractError: the accounts of one come from a seed that does not name them.
    """
    found = Condition(project.engine, text)
    for feed in feeds:
        found.check(feed.id, pull.accounts_of(project.settings, feed))
    return found


def bring(project: Project, feed: Feed, start: date | None) -> None:
    """Ask the source of a feed that no contract declares yet, in a run of its own; `start` as in `stage_of`.

    Raises:
        BoathouseError: it failed.
    """
    registry.check([feed])
    window = Window(start, runs.now().date() - timedelta(days=1)) if start else None
    with recorded_run(project, RunKind.PULL, f"make draft TABLE={feed.domain}.{feed.name}", window) as run:
        for step in steps(run, stage_of(project, run.window, start, run_id=run.run_id), [feed]):
            run.step(step.name, step.work, source=step.source)
    for failure in run.failures.values():
        raise failure


def plan(stage: Stage, feeds: Sequence[Feed]) -> list[Planned]:
    """Return what each feed's source would be asked for; asks nothing.

    Raises:
        ContractErrors: what contracts say of sources is not what their connectors take.
    """
    registry.check(feeds)
    return [_planned(stage, feed) for feed in feeds]


def last_answers(project: Project) -> dict[tuple[str, str], str]:
    """Return by feed and slice what became of it when it was asked for last, as ops.pulls has it."""
    if not publish(project):
        return {}
    rows = project.engine.rows(
        "SELECT feed, slice, arg_max(status, pulled_at) FROM ops.pulls WHERE status <> 'failed' GROUP BY feed, slice"
    )
    return {(feed, part): status for feed, part, status in rows}


def publish(project: Project) -> bool:
    """Make ops.pulls readable by its name; returns False where nothing was ever asked."""
    root = project.path(runs.PULLS)
    if lake.open_table(root) is None:
        return False
    catalog.publish(project.engine, {runs.PULLS: root})
    return True


def _planned(stage: Stage, feed: Feed) -> Planned:
    try:
        nothing = pull.NONE_FITS if stage.is_narrowed else Planned.nothing
        return Planned(feed.pull_id, tuple(pull.due(stage, feed)), nothing=nothing)
    except BoathouseError as error:
        return Planned(feed.pull_id, error=error)


def _stops_the_source(error: Exception | None) -> bool:
    return isinstance(error, AuthError) and not isinstance(error, AccountError)


def _key(feed: Feed) -> tuple[str, str]:
    """Return by what feeds of the same source are known: its connector and its name."""
    assert feed.source, "a feed that a source brings"
    return feed.source.connector, feed.source.name
