"""One alert per incident, not one per run: which events problems cause, and which messages are sent.

An update reads the events, decides, records, sends, records what was sent, all under a lock of its own: two
processes (a pipeline that ends, a health check) never tell the same twice, and neither waits for the lake,
so that an alert about a run that hangs is sent while that run holds it. What was decided is recorded before it is sent:
after a crash in between it is sent (perhaps again) by the next update, so twice is possible and never is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from src import lake
from src.alerts import messages
from src.alerts.families import first_heads
from src.alerts.incidents import TABLE, Event, Incident, append, folded, read
from src.alerts.messages import Message
from src.causes import Families
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.problems import Problem
from src.run import lock, settled

_PATIENCE = 60.0  # seconds to wait for another update: the time of one that meets a few dead channels
_REPEATED = {"source": "P1", "pull": "P2"}  # how urgent a kind is at least, once it fails for a second day
_ALONE = Families({})  # no incident follows from another
_STALE = timedelta(days=7)  # a recovery that could not be sent for so long is left to the report


def update(
    engine: DuckEngine,
    data: Path,
    urls: Sequence[str],
    problems: Sequence[Problem],
    now: datetime,
    complete: Collection[str],
    families: Families = _ALONE,
) -> list[Message]:
    """Record what these problems mean for the incidents and send what is due; returns what was delivered.

    `complete` says what was looked at, as kinds or as names of incidents: an open incident of these that is
    not among the problems has recovered. `urls` are the channels; without any, nothing is sent, and what is
    due waits until there is one.

    Raises:
        LockedError: another update held the alerts for a minute.
        BoathouseError: the events cannot be read or recorded; what they tell was sent all the same.
    """
    if not problems and _is_quiet(engine, data, now, has_channels=bool(urls)):
        return []
    with lock_alerts(data):
        known = _recorded(engine, data, urls, problems, now, complete, families)
        incidents = folded(known)
        due = _due(incidents, now)
        delivered = messages.send(urls, due, _heads(incidents.values(), due, families))
        if urls:
            append(engine, data, list(_settled(known, due, delivered)), known, now)
    return delivered


def plan(
    known: Mapping[str, Incident], problems: Iterable[Problem], now: datetime, complete: Collection[str]
) -> Iterator[Event]:
    """Yield the events that these problems cause, at most one for each incident."""
    found = _by_incident(problems)
    for name, problem in found.items():
        incident = known.get(name)
        if incident is None or not incident.open:
            yield _event(problem, "opened", now)
            continue
        problem = replace(problem, urgency=_urgency(incident, problem))
        if problem.urgency < incident.urgency:
            yield _event(problem, "escalated", now)
        elif incident.until is not None and incident.until <= now:
            yield _event(replace(problem, urgency=incident.urgency), "reminded", now)
    for name, incident in known.items():
        if incident.open and name not in found and not {name, incident.kind}.isdisjoint(complete):
            yield _recovered(incident, now)


def lock_alerts(data: Path) -> AbstractContextManager[None]:
    """Lock the alerts within a with-block: no other process reads, decides or sends."""
    return lock.waited(data, "alerts", _PATIENCE)


def _is_quiet(engine: DuckEngine, data: Path, now: datetime, *, has_channels: bool) -> bool:
    """Return whether no incident is open, and no notice due where there are channels; what is found is kept."""
    if settled.is_settled(data, has_channels):
        return True
    events = lake.open_table(lake.table_path(data, TABLE))  # before they are read: a later one makes another version
    known = folded(read(engine, data))
    if any(incident.open for incident in known.values()) or (has_channels and _due(known, now)):
        return False
    if events:
        settled.keep_settled(data, has_channels, events)
    return True


def _recorded(
    engine: DuckEngine,
    data: Path,
    urls: Sequence[str],
    problems: Sequence[Problem],
    now: datetime,
    complete: Collection[str],
    families: Families,
) -> list[Event]:
    """Record the events that these problems cause; return all events."""
    known: list[Event] = []
    try:
        known += read(engine, data)
        known += append(engine, data, list(plan(folded(known), problems, now, complete)), known, now)
    except BoathouseError:
        # a full disk must not silence the alert that says so; what is not recorded is sent again
        incidents = folded([*known, *plan(folded(known), problems, now, complete)])
        due = _due(incidents, now)
        messages.send(urls, due, _heads(incidents.values(), due, families))
        raise
    return known


def _by_incident(problems: Iterable[Problem]) -> dict[str, Problem]:
    """Return one problem for each incident: the most urgent, then the newest, dated with the newest day."""
    found: dict[str, Problem] = {}
    for problem in sorted(problems, key=lambda problem: problem.day, reverse=True):
        first = found.setdefault(problem.incident, problem)
        if problem.urgency < first.urgency:
            found[problem.incident] = replace(problem, day=first.day)
    return found


def _urgency(incident: Incident, problem: Problem) -> str:
    """Return how urgent an open incident is now: what failed for an earlier day and still fails weighs more.

    A feed is P1 then, and a pull P2.
    """
    repeated = problem.day > incident.first_day
    least = _REPEATED.get(problem.kind, problem.urgency) if repeated else problem.urgency
    return min(least, problem.urgency)


def _event(problem: Problem, event: str, now: datetime) -> Event:
    message = "\n".join(" ".join(line.split()) for line in (problem.what, problem.fix))
    return Event(now, problem.incident, problem.kind, problem.subject, problem.urgency, problem.day, event, message)


def _recovered(incident: Incident, now: datetime) -> Event:
    kept = (incident.incident, incident.kind, incident.subject, incident.urgency, incident.day)
    return Event(now, *kept, "recovered", incident.what)


def _due(known: Mapping[str, Incident], now: datetime) -> list[Message]:
    return [messages.compose(incident) for incident in known.values() if _is_due(incident, now)]


def _heads(incidents: Iterable[Incident], due: Iterable[Message], families: Families) -> dict[str, str]:
    """Return by incident the one it follows from: the open ones among themselves, and those that are over."""
    sent = {message.incident for message in due}
    known = list(incidents)
    still_open = (incident for incident in known if incident.open)
    over = (incident for incident in known if not incident.open and incident.incident in sent)
    return first_heads(still_open, families) | first_heads(over, families)


def _is_due(incident: Incident, now: datetime) -> bool:
    if not incident.due or incident.due_at is None or incident.snoozed(now):
        return False
    return incident.open or now - incident.due_at < _STALE


def _settled(known: Sequence[Event], due: Sequence[Message], delivered: Sequence[Message]) -> Iterator[Event]:
    """Yield an event for each message that was sent, and one for each that was tried in vain for the first time."""
    newest = {event.incident: event for event in known}
    for message in due:
        event = "sent" if message in delivered else "" if message.tried else "undelivered"
        if event:
            notice = newest[message.incident]
            yield replace(notice, event=event, message=message.event, urgency=message.urgency, until=None, by="")
