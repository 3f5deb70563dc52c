"""What a person does about alerts: look at the open incidents, say that one is known, put one off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from src import console
from src.alerts.decisions import lock_alerts
from src.alerts.families import first_heads, grouped
from src.alerts.incidents import Event, Incident, append, folded, open_incidents, read
from src.alerts.past import read_numbered
from src.alerts.response import Deadline, Kept, described
from src.causes import Families
from src.engine import DuckEngine
from src.errors import UsageError

_ALONE = Families({})  # no incident follows from another


@dataclass(frozen=True)
class OpenIncident:
    """An incident that is open, as a person sees it; moments in UTC."""

    number: int
    incident: str
    kind: str
    subject: str
    urgency: str
    since: datetime
    day: date
    state: str
    what: str
    fix: str
    follows_from: str | None  # the incident that it follows from; None: it is a cause of its own
    answer: Deadline
    resolve: Deadline

    @property
    def due(self) -> str:
        """Return what is due of it next, until when, and whether that is over."""
        what, deadline = ("resolve", self.resolve) if self.answer.kept is Kept.KEPT else ("answer", self.answer)
        return f"{what} by {deadline.by:%m-%d %H:%M}" + (", missed" if deadline.kept is Kept.MISSED else "")


def read_open(engine: DuckEngine, data: Path, now: datetime, families: Families = _ALONE) -> list[OpenIncident]:
    """Return the open incidents, the most urgent first, each with its state at this moment.

    By `families` an incident follows from another.
    """
    incidents = open_incidents(engine, data)
    heads = first_heads(incidents, families)
    known = {one.incident: one for one in read_numbered(engine, data, now)}  # the newest of each name
    return [
        OpenIncident(
            number=known[i.incident].number,
            incident=i.incident,
            kind=i.kind,
            subject=i.subject,
            urgency=i.urgency,
            since=i.since,
            day=i.day,
            state=i.state(now),
            what=i.what,
            fix=i.fix,
            follows_from=None if heads[i.incident] == i.incident else heads[i.incident],
            answer=known[i.incident].answer,
            resolve=known[i.incident].resolve,
        )
        for i in incidents
    ]


def print_open(incidents: Sequence[OpenIncident], *, every: bool = False) -> None:
    """Print the open incidents that are causes, and how many follow from each; with `every` all of them.

    A cause is as urgent as the most urgent incident that follows from it.
    """
    if not incidents:
        print("No incident is open.")
        return
    follow: dict[str | None, list[OpenIncident]] = {}
    for incident in incidents:
        follow.setdefault(incident.follows_from, []).append(incident)
    shown = [(i, [] if every else follow.get(i.incident, [])) for i in incidents if every or i.follows_from is None]
    rows = [
        (
            min(one.urgency for one in (i, *more)),
            str(i.number),
            f"{i.since:%Y-%m-%d %H:%M}",
            i.incident,
            i.day,
            i.state,
            i.due,
            i.what + (f" (and {len(more)} that {'follows' if len(more) == 1 else 'follow'})" if more else ""),
        )
        for i, more in shown
    ]
    rows.sort(key=lambda row: row[0])
    console.table(("urgency", "no", "since (UTC)", "incident", "day", "state", "due (UTC)", "what"), rows)
    print(described())


def ack(engine: DuckEngine, data: Path, incident: str, by: str, now: datetime, reason: str) -> Incident:
    """Acknowledge an open incident: no message of it is sent until it escalates or recovers.

    `incident` is its name, or what it is about where only one incident is about that.

    Raises:
        UsageError: no such incident is open.
    """
    [found] = _answer(engine, data, lambda known: [find_open(known, incident)], _Answer("acked", reason, by), now)
    return found


def ack_all(
    engine: DuckEngine, data: Path, incidents: Collection[str], by: str, now: datetime, reason: str
) -> list[Incident]:
    """Acknowledge several incidents at once, those that are open; names are whole ones. Returns them as they are then.

    Raises:
        UsageError: none of them is open.
    """
    return _answer(engine, data, lambda known: _those_open(known, incidents), _Answer("acked", reason, by), now)


def snooze(
    engine: DuckEngine, data: Path, incident: str, until: datetime, by: str, now: datetime, reason: str = ""
) -> Incident:
    """Snooze an open incident until a moment (with its time zone); it is sent once more if it is still open then.

    Raises:
        UsageError: no such incident is open, or the moment is over.
    """
    answer = _Answer("snoozed", reason, by, _to_come(until, now))
    [found] = _answer(engine, data, lambda known: [find_open(known, incident)], answer, now)
    return found


def snooze_all(
    engine: DuckEngine,
    data: Path,
    incidents: Collection[str],
    until: datetime,
    by: str,
    now: datetime,
    reason: str = "",
) -> list[Incident]:
    """Snooze several incidents at once, those that are open, as `snooze` does; names are whole ones.

    Raises:
        UsageError: none of them is open, or the moment is over.
    """
    answer = _Answer("snoozed", reason, by, _to_come(until, now))
    return _answer(engine, data, lambda known: _those_open(known, incidents), answer, now)


def with_followers(engine: DuckEngine, data: Path, name: str, families: Families) -> tuple[str, ...]:
    """Return the open incident of a name (or the only one about it), and those that follow from it by `families`.

    Raises:
        UsageError: no such incident is open.
    """
    incidents = open_incidents(engine, data)
    found = find_open(incidents, name).incident
    for cause in grouped(incidents, families):
        if cause.head.incident == found:
            return tuple(problem.incident for problem in cause.findings)
    return (found,)


@dataclass(frozen=True)
class _Answer:
    """The event that a person makes of incidents."""

    event: str  # acked | snoozed
    reason: str
    by: str
    until: datetime | None = None


def _answer(
    engine: DuckEngine,
    data: Path,
    choose: Callable[[Collection[Incident]], Sequence[Incident]],
    answer: _Answer,
    now: datetime,
) -> list[Incident]:
    """Append an event to each chosen incident, all under one lock and in one commit."""
    with lock_alerts(data):
        known = read(engine, data)
        chosen = choose(folded(known).values())
        events = [
            Event(
                now,
                i.incident,
                i.kind,
                i.subject,
                i.urgency,
                i.day,
                answer.event,
                answer.reason,
                answer.until,
                answer.by,
            )
            for i in chosen
        ]
        known += append(engine, data, events, known, now)
    after = folded(known)
    return [after[incident.incident] for incident in chosen]


def _to_come(until: datetime, now: datetime) -> datetime:
    if until <= now:
        raise UsageError(f"snoozed until {until:%Y-%m-%d %H:%M}, which is over", fix="give a moment to come")
    return until


def _those_open(known: Iterable[Incident], names: Collection[str]) -> list[Incident]:
    still_open = {incident.incident: incident for incident in known if incident.open}
    found = [still_open[name] for name in names if name in still_open]
    if not found:
        raise UsageError(f"none of {len(names)} incidents is open", fix="`main.py alerts list` shows those that are")
    return found


def find_open(known: Iterable[Incident], name: str) -> Incident:
    """Return the open incident of that name, or the only one about that subject.

    Raises:
        UsageError: there is none, or several are about it.
    """
    candidates = [incident for incident in known if incident.open]
    wanted = [incident for incident in candidates if name == incident.incident]
    wanted = wanted or [incident for incident in candidates if name == incident.subject]
    if len(wanted) != 1:
        what = f"{len(wanted)} open incidents about {name}" if wanted else f"no open incident {name}"
        names = ", ".join(sorted(incident.incident for incident in wanted or candidates))
        raise UsageError(what, fix=f"name one of: {names}" if names else "none is open")
    return wanted[0]
