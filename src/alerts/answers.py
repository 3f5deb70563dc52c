"""What a person does about alerts: look at the open incidents, say that one is known, put one off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from src import console
from src.alerts.decisions import lock_alerts
from src.alerts.incidents import Event, Incident, append, folded, open_incidents, read
from src.engine import DuckEngine
from src.errors import UsageError


@dataclass(frozen=True)
class OpenIncident:
    """An incident that is open, as a person sees it; `since` in UTC."""

    incident: str
    kind: str
    subject: str
    urgency: str
    since: datetime
    day: date
    state: str
    what: str
    fix: str


def read_open(engine: DuckEngine, data: Path, now: datetime) -> list[OpenIncident]:
    """Return the open incidents, the most urgent first, each with its state at this moment."""
    return [
        OpenIncident(i.incident, i.kind, i.subject, i.urgency, i.since, i.day, i.state(now), i.what, i.fix)
        for i in open_incidents(engine, data)
    ]


def print_open(incidents: Sequence[OpenIncident]) -> None:
    """Print the open incidents."""
    if not incidents:
        print("No incident is open.")
        return
    rows = [(i.urgency, f"{i.since:%Y-%m-%d %H:%M}", i.incident, i.day, i.state, i.what) for i in incidents]
    console.table(("urgency", "since (UTC)", "incident", "day", "state", "what"), rows)


def ack(engine: DuckEngine, data: Path, incident: str, by: str, now: datetime, reason: str) -> Incident:
    """Acknowledge an open incident: no message of it is sent until it escalates or recovers.

    `incident` is its name, or what it is about where only one incident is about that.

    Raises:
        UsageError: no such incident is open.
    """
    return _answer(engine, data, incident, "acked", now, message=reason, by=by)


def snooze(
    engine: DuckEngine, data: Path, incident: str, until: datetime, by: str, now: datetime, reason: str = ""
) -> Incident:
    """Snooze an open incident until a moment (with its time zone); it is sent once more if it is still open then.

    Raises:
        UsageError: no such incident is open, or the moment is over.
    """
    if until <= now:
        raise UsageError(f"snoozed until {until:%Y-%m-%d %H:%M}, which is over", fix="give a moment to come")
    return _answer(engine, data, incident, "snoozed", now, message=reason, by=by, until=until)


def _answer(
    engine: DuckEngine,
    data: Path,
    name: str,
    event: str,
    now: datetime,
    *,
    message: str,
    by: str,
    until: datetime | None = None,
) -> Incident:
    with lock_alerts(data):
        known = read(engine, data)
        found = _open(folded(known).values(), name)
        identity = (found.incident, found.kind, found.subject, found.urgency, found.day)
        known += append(engine, data, [Event(now, *identity, event, message, until, by)], known, now)
    return folded(known)[found.incident]


def _open(known: Iterable[Incident], name: str) -> Incident:
    """Return the open incident of that name, or the only one about that subject."""
    candidates = [incident for incident in known if incident.open]
    wanted = [incident for incident in candidates if name == incident.incident]
    wanted = wanted or [incident for incident in candidates if name == incident.subject]
    if len(wanted) != 1:
        what = f"{len(wanted)} open incidents about {name}" if wanted else f"no open incident {name}"
        names = ", ".join(sorted(incident.incident for incident in wanted or candidates))
        raise UsageError(what, fix=f"name one of: {names}" if names else "none is open")
    return wanted[0]
