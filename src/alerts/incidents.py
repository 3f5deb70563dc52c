"""The state of an incident is the fold over its events; `ops.alerts`, to which events are only added, is all there is.

    nothing ──opened──> open ──acked────> acked ────┐
       ^                  │ ^──escalated────┘       │
       │                  ├──snoozed──> snoozed     │
       │                  │ ^──reminded─────┘ │     │
       └────recovered─────┴───────────────────┴─────┘

    opened     a problem of that kind and subject was found, and the incident was not open
    escalated  it became more urgent; an acked one is open again, a snoozed one stays snoozed
    acked      a person knows: no message until it escalates or recovers
    snoozed    a person wants to hear nothing of it until a moment, `until`
    reminded   that moment is over and the problem was still found
    recovered  its kind was looked at and the problem was not found

Opened, escalated, reminded and recovered are notices: the newest one of an incident that is not settled is
due, and goes with the next message (two of one incident are never sent at once: the newer says it all).

    sent         settles the notice that is due
    undelivered  no channel took it; it stays due. Recorded once per notice, however often it is tried

Nothing is due of P4, which is read in the report alone. Whoever acks or snoozes knows of it, so that settles
what is due as well. The recovery of an incident whose opening could not be sent tells of both.

The moments in the table only grow, whatever the clocks of the processes that write: they are the order of the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from src import lake
from src.engine import DuckEngine, identifier
from src.problems import CLASSES
from src.run import runs
from src.run.settled import ALERTS

TABLE = ALERTS
EVENTS = ("opened", "escalated", "acked", "snoozed", "reminded", "recovered", "sent", "undelivered")
SILENT = CLASSES[-1]  # shown in the report, never in a message of its own

_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """Something that happened to an incident; moments in UTC."""

    moment: datetime
    incident: str
    kind: str
    subject: str
    urgency: str  # that of the incident once this has happened
    day: date  # the business day it is about
    event: str  # one of EVENTS
    message: str  # what was found, then what to do, in two lines; of acked and snoozed the reason, of sent the notice
    until: datetime | None = None  # of snoozed
    by: str = ""  # of acked and snoozed: who


@dataclass(frozen=True)
class Incident:
    """An incident as its events left it; moments in UTC."""

    incident: str
    kind: str
    subject: str
    urgency: str  # the highest it had
    since: datetime
    first_day: date  # the business day it was opened for
    day: date
    what: str
    fix: str
    open: bool = True
    acked: bool = False
    until: datetime | None = None  # snoozed until then
    by: str = ""  # who acked or snoozed it
    due: str = ""  # the notice that waits to be sent
    due_at: datetime | None = None
    delivered: bool = False  # somebody knows of it
    tried: bool = False  # the notice that is due was tried in vain

    def snoozed(self, now: datetime) -> bool:
        """Return whether the incident is snoozed at this moment."""
        return self.until is not None and now < self.until

    def state(self, now: datetime) -> str:
        """Return the state in words: open, acked or snoozed, and by whom."""
        if self.until is not None and self.snoozed(now):
            return f"snoozed until {self.until:%Y-%m-%d %H:%M}" + (f" by {self.by}" if self.by else "")
        if self.acked:
            return "acked" + (f" by {self.by}" if self.by else "")
        return "open, not delivered yet" if self.tried else "open"


def open_incidents(engine: DuckEngine, data: Path) -> tuple[Incident, ...]:
    """Return the incidents that are open, the most urgent first, then the oldest."""
    found = (incident for incident in folded(read(engine, data)).values() if incident.open)
    return tuple(sorted(found, key=lambda incident: (incident.urgency, incident.since, incident.incident)))


def read(engine: DuckEngine, data: Path) -> list[Event]:
    """Return the events of every incident since it was last opened, in order; its state depends on no others."""
    return _read(
        engine,
        data,
        "QUALIFY moment >= max(moment) FILTER (WHERE event = 'opened') OVER (PARTITION BY incident)",
    )


def read_every(engine: DuckEngine, data: Path) -> list[Event]:
    """Return every event there ever was, in order."""
    return _read(engine, data, "")


def _read(engine: DuckEngine, data: Path, qualify: str) -> list[Event]:
    table = lake.open_table(lake.table_path(data, TABLE))
    if table is None:
        return []
    scan = engine.scan(table)
    rows = engine.rows(f"SELECT {', '.join(map(_plain, fields(Event)))} FROM {scan} {qualify} ORDER BY moment")
    return [_event(row) for row in rows]


def append(
    engine: DuckEngine, data: Path, events: Sequence[Event], known: Iterable[Event], now: datetime
) -> list[Event]:
    """Append events that happen together, after the `known` ones; return them with the moment they were given.

    Raises:
        MachineError: no room, no permission; nothing was added.
    """
    moment = max([now, *(event.moment + _TICK for event in known)])
    timed = [replace(event, moment=moment) for event in events]
    if timed:
        runs.append(engine, data, TABLE, Event, timed)
    return timed


def folded(events: Iterable[Event]) -> dict[str, Incident]:
    """Return every incident, by its name, in the state that these events left it in."""
    found: dict[str, Incident] = {}
    for event in events:
        before = found.get(event.incident)
        if event.event == "opened":
            found[event.incident] = _opened(event)
        elif before:
            found[event.incident] = _after(before, event)
    return found


def _plain(column: object) -> str:
    """Return the SQL of a column; a moment as microseconds, which is exact and loads no time zone library."""
    name, kind = column.name, str(column.type)  # type: ignore[attr-defined]
    return f"epoch_us({identifier(name)})" if kind.startswith("datetime") else identifier(name)


def _event(row: Sequence[object]) -> Event:
    values = {column.name: value for column, value in zip(fields(Event), row, strict=True)}
    for name in ("moment", "until"):
        if isinstance(microseconds := values[name], int):
            values[name] = _EPOCH + timedelta(microseconds=microseconds)
    return Event(**values)  # type: ignore[arg-type]


def _opened(event: Event) -> Incident:
    what, _, fix = event.message.partition("\n")
    return _noticed(
        Incident(
            incident=event.incident,
            kind=event.kind,
            subject=event.subject,
            urgency=event.urgency,
            since=event.moment,
            first_day=event.day,
            day=event.day,
            what=what,
            fix=fix,
        ),
        event,
    )


def _after(before: Incident, event: Event) -> Incident:
    """Return the incident after an event; the only place that says what each event does."""
    match event.event:
        case "escalated":
            what, _, fix = event.message.partition("\n")
            worse = replace(before, urgency=event.urgency, day=event.day, what=what, fix=fix, acked=False)
            return _noticed(worse, event)
        case "acked":
            return replace(_settled(before), acked=True, until=None, by=event.by)
        case "snoozed":
            return replace(_settled(before), acked=False, until=event.until, by=event.by)
        case "reminded":
            what, _, fix = event.message.partition("\n")
            return _noticed(replace(before, day=event.day, what=what, fix=fix, until=None), event)
        case "recovered":
            over = replace(before, open=False)
            return _noticed(over, event) if before.delivered or before.due else over
        case "sent":
            return _settled(before)
        case "undelivered":
            return replace(before, tried=True)
    return before  # written by a later version of Boathouse: this one cannot read it


def _noticed(incident: Incident, event: Event) -> Incident:
    due = "" if incident.urgency == SILENT else event.event
    return replace(incident, due=due, due_at=event.moment, tried=False)


def _settled(incident: Incident) -> Incident:
    return replace(incident, due="", delivered=True, tried=False)
