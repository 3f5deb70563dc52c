"""One incident: what happened in its course, the runs around it, what hangs on it, what readers saw meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from src import alerts
from src.alerts import NumberedIncident
from src.causes import Families
from src.engine import literal
from src.errors import UsageError
from src.facts.families import read_families, read_standings
from src.facts.wording import run_started
from src.monitors.reading import sql_moment
from src.project import Project
from src.run import history, releases

_AROUND = timedelta(days=1)  # of runs before it was opened and after it was over
_RUNS = 60  # that are told
_EVERYTHING = ("run pipeline", "landing zone")
_FOREVER = "TIMESTAMPTZ '9000-01-01 00:00:00+00'"
_UNTOLD = ("sent", "undelivered")


@dataclass(frozen=True)
class Happening:
    """One line of a timeline; the moment in UTC."""

    moment: datetime
    what: str
    by: str = ""


@dataclass(frozen=True)
class RunAround:
    """A run in the course of an incident, and its step at what the incident is about; the moment in UTC."""

    run_id: str
    started_at: datetime
    status: str
    command: str
    step: str  # success | failed | blocked; "" where the run did not come to it
    error: str  # of that step, its first line


@dataclass(frozen=True)
class Seen:
    """Tables that readers had as an earlier run left them, between two moments (UTC); `until` None: still."""

    as_of: str
    since: datetime
    until: datetime | None
    tables: tuple[str, ...]

    @property
    def as_of_started(self) -> datetime | None:
        """Return when the run started whose data readers saw (UTC)."""
        return run_started(self.as_of)


@dataclass(frozen=True, kw_only=True)
class IncidentFacts:
    """All that is known of one incident; moments in UTC."""

    incident: NumberedIncident
    read_at: datetime
    timeline: tuple[Happening, ...]
    runs: tuple[RunAround, ...]
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    marts: tuple[str, ...]
    seen: tuple[Seen, ...]
    releases: int | None  # that were made in its course; None: no release says so
    follows: tuple[str, ...]  # other incidents of its course about what hangs on it, by number and name
    first_failed: datetime | None  # the first of the failed steps without a good one before it was opened


def read_incident(project: Project, number: int, now: datetime) -> IncidentFacts:
    """Return what is known of an incident at a moment (UTC).

    Raises:
        UsageError: no incident has this number.
        BoathouseError: the records cannot be read.
    """
    known = alerts.read_numbered(project.engine, project.settings.data_dir, now)
    found = next((one for one in known if one.number == number), None)
    if found is None:
        numbers = (
            f"the incidents are 1 to {len(known)}: `main.py incident` lists them" if known else "there is none yet"
        )
        raise UsageError(f"no incident {number}", fix=numbers)
    families = read_families(project, read_standings(project), now)
    subject = found.subject.partition(" ")[0]
    declared = {**project.contracts.silver, **{table.id: table for table in project.marts}}
    below = tuple(name for name in _reached(_downstream(families), subject) if name in declared)
    affected = tuple(declared) if found.incident in _EVERYTHING else below
    around = _runs(project, found, subject)
    count, seen = _seen(project, found, {*affected, subject})
    return IncidentFacts(
        incident=found,
        read_at=now,
        timeline=tuple(_timeline(found, around)),
        runs=around,
        upstream=_reached(families.upstream, subject),
        downstream=affected,
        marts=tuple(sorted({name.rpartition(".")[0] for name in {*affected, subject} if name.startswith("gold.")})),
        seen=seen,
        releases=count,
        follows=tuple(f"{one.number} {one.incident}" for one in known if _beside(found, one, {*affected, subject})),
        first_failed=_first_failed(around, found.opened_at),
    )


def _downstream(families: Families) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, above in families.upstream.items():
        for other in above:
            found.setdefault(other, []).append(name)
    return found


def _reached(graph: Mapping[str, Collection[str]], start: str) -> tuple[str, ...]:
    """Return what can be reached from a name, the nearest first."""
    found: dict[str, None] = {}
    waiting = [*graph.get(start, ())]
    while waiting:
        name = waiting.pop(0)
        if name not in found and name != start:
            found[name] = None
            waiting += graph.get(name, ())
    return tuple(found)


def _beside(found: NumberedIncident, other: NumberedIncident, tables: Collection[str]) -> bool:
    """Return whether another incident is about the same or what hangs on it, and was open at the same time."""
    if other.number == found.number or other.subject.partition(" ")[0] not in tables:
        return False
    end = found.over_at
    return (end is None or other.opened_at <= end) and (other.over_at is None or other.over_at >= found.opened_at)


def _runs(project: Project, found: NumberedIncident, subject: str) -> tuple[RunAround, ...]:
    if not history.publish(project.engine, project.settings.data_dir):
        return ()
    end = f"AND start_time <= {sql_moment(found.over_at + _AROUND)}" if found.over_at else ""
    rows = project.engine.rows(
        "WITH own AS (SELECT run_id, start_time, status, coalesce(command, '') AS command FROM ops.pipeline_runs "
        f"WHERE layer = 'run' AND start_time >= {sql_moment(found.opened_at - _AROUND)} {end} "
        f"ORDER BY start_time LIMIT {_RUNS}) "
        "SELECT own.run_id, own.start_time, own.status, own.command, coalesce(step.status, ''), "
        "coalesce(split_part(step.error_message, chr(10), 1), '') "
        f"FROM own LEFT JOIN (SELECT * FROM ops.pipeline_runs WHERE table_id = {literal(subject)}) step USING (run_id) "
        "ORDER BY own.start_time, own.run_id"
    )
    return tuple(RunAround(*row) for row in rows)


def _first_failed(around: Sequence[RunAround], opened: datetime) -> datetime | None:
    first = None
    for run in around:
        if run.started_at > opened:
            break
        if run.step == "success":
            first = None
        elif run.step == "failed":
            first = first or run.started_at
    return first


def _timeline(found: NumberedIncident, around: Sequence[RunAround]) -> Iterator[Happening]:
    """Yield what happened, in order: the events of the incident, and the runs around it."""
    events = [_event(found, at) for at, event in enumerate(found.events) if event.event not in _UNTOLD]
    ran = [Happening(run.started_at, _run(run)) for run in around]
    yield from sorted((*events, *ran), key=lambda one: one.moment)


def _event(found: NumberedIncident, at: int) -> Happening:
    event = found.events[at]
    what, _, _ = event.message.partition("\n")
    until = f" until {event.until:%Y-%m-%d %H:%M}" if event.until else ""
    urgency = f" as {event.urgency}" if event.event in ("opened", "escalated") else ""
    return Happening(event.moment, f"{event.event}{urgency}{until}" + (f": {what}" if what else ""), event.by)


def _run(run: RunAround) -> str:
    step = f"; its step {run.step}" if run.step else ""
    return f"run {run.run_id} ({run.command}) {run.status}{step}" + (f": {run.error}" if run.error else "")


def _seen(project: Project, found: NumberedIncident, tables: Collection[str]) -> tuple[int | None, tuple[Seen, ...]]:
    """Return how many releases were made in its course, and the tables of which readers saw an earlier run's data."""
    table = releases.published(project.engine, project.settings.data_dir)
    if table is None or "as_of" not in table.columns:
        return None, ()
    end = sql_moment(found.over_at) if found.over_at else _FOREVER
    within = f"released_at >= {sql_moment(found.opened_at - _AROUND)} AND released_at <= {end}"
    rows = project.engine.rows(
        "WITH made AS (SELECT nth, min(released_at) AS made_at, any_value(run_id) AS run_id FROM releases "
        f"WHERE {within} GROUP BY nth), "
        "following AS (SELECT *, lead(made_at) OVER (ORDER BY nth) AS until FROM made) "
        f'SELECT as_of, min(made_at), arg_max(coalesce(until, {_FOREVER}), made_at), releases."table" '
        "FROM releases JOIN following USING (nth) WHERE as_of IS NOT NULL AND as_of <> following.run_id "
        f'AND releases."table" IN ({", ".join(map(literal, sorted(tables)))}) '
        'GROUP BY as_of, releases."table"'
    )
    count = int(project.engine.one(f"SELECT count(DISTINCT nth) FROM releases WHERE {within}")[0])
    return count, tuple(_joined(rows, found.over_at))


def _joined(rows: Sequence[tuple[str, datetime, datetime, str]], over: datetime | None) -> Iterator[Seen]:
    """Yield the spans of tables, those of one span together."""
    for (as_of, since, until), group in groupby(sorted(rows), key=lambda row: row[:3]):
        end = None if until.year == 9000 else until
        yield Seen(as_of, since, end or over, tuple(row[3] for row in group))
