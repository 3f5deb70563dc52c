"""Every incident there ever was, each with the number under which people speak of it.

Numbers count the openings in their order. Nothing stores them: events are only ever added to `ops.alerts` and their
moments only grow, so the number of an opening never changes. An incident that is over and comes again is another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from src.alerts import response
from src.alerts.incidents import Event, Incident, folded, read_every
from src.alerts.response import ANSWERS, Deadline
from src.engine import DuckEngine


@dataclass(frozen=True, kw_only=True)
class NumberedIncident:
    """One incident from its opening on, over or not; moments in UTC."""

    number: int
    incident: str
    kind: str
    subject: str
    urgency: str  # the highest it had
    opened_at: datetime
    first_day: date  # the business day it was opened for
    state: str  # open | acked by ann | snoozed until ... | over
    what: str
    fix: str
    answer: Deadline
    answered_at: datetime | None
    answered_by: str
    resolve: Deadline
    over_at: datetime | None
    events: tuple[Event, ...]

    @property
    def is_open(self) -> bool:
        """Return whether it is not over."""
        return self.over_at is None


def read_numbered(engine: DuckEngine, data: Path, now: datetime) -> tuple[NumberedIncident, ...]:
    """Return every incident there ever was, as it is at a moment (UTC), in the order of their numbers.

    Raises:
        BoathouseError: the events cannot be read.
    """
    return numbered(read_every(engine, data), now)


def numbered(events: Iterable[Event], now: datetime) -> tuple[NumberedIncident, ...]:
    """Return the incidents that events are about, numbered by the order of their openings."""
    openings: list[list[Event]] = []
    current: dict[str, list[Event]] = {}
    # events of one update have one moment: by name then, so that a number never depends on the order of rows
    for event in sorted(events, key=lambda event: (event.moment, event.incident)):
        if event.event == "opened":
            current[event.incident] = []
            openings.append(current[event.incident])
        if event.incident in current:
            current[event.incident].append(event)
    return tuple(_incident(number, of_one, now) for number, of_one in enumerate(openings, 1))


def _incident(number: int, events: Sequence[Event], now: datetime) -> NumberedIncident:
    state: Incident = folded(events)[events[0].incident]
    answer = next((event for event in events if event.event in ANSWERS), None)
    over = next((event.moment for event in events if event.event == "recovered"), None)
    return NumberedIncident(
        number=number,
        incident=state.incident,
        kind=state.kind,
        subject=state.subject,
        urgency=state.urgency,
        opened_at=state.since,
        first_day=state.first_day,
        state="over" if over else state.state(now),
        what=state.what,
        fix=state.fix,
        answer=response.answered(events, now),
        answered_at=answer.moment if answer else None,
        answered_by=answer.by if answer else "",
        resolve=response.resolved(events, now),
        over_at=over,
        events=tuple(events),
    )
