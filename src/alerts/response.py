"""How soon an incident of each class is answered and resolved, and whether it was; one table for all who ask.

A clock starts when an incident is opened and each time it gets worse, with the times of the class that it has then:
what was answered as P3 and becomes P1 is to be answered again. An answer is an `ack` or a `snooze`; what is over before
anybody had to answer needs none. An incident is resolved when it is over. Where several clocks run, the first to end
counts. Working days are Monday to Friday in UTC; what begins on a weekend begins on Monday.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from src.alerts.incidents import Event

_STARTS = ("opened", "escalated")
ANSWERS = ("acked", "snoozed")
_FRIDAY = 4  # as datetime counts


@dataclass(frozen=True)
class Span:
    """A length of time, in minutes at any hour or in working days."""

    minutes: int = 0
    working_days: int = 0

    def after(self, start: datetime) -> datetime:
        """Return the moment this long after another one (UTC)."""
        end = start + timedelta(minutes=self.minutes)
        if self.working_days and end.weekday() > _FRIDAY:
            end = datetime.combine(_next_working(end).date(), time(), UTC)
        for _ in range(self.working_days):
            end = _next_working(end)
        return end

    def __str__(self) -> str:
        if self.working_days:
            return f"{self.working_days} working day{'s' if self.working_days > 1 else ''}"
        hours, days = self.minutes // 60, self.minutes // 1440
        if days:
            return f"{days} day{'s' if days > 1 else ''}"
        return f"{hours} h" if hours else f"{self.minutes} min"


@dataclass(frozen=True)
class Times:
    """The times within which an incident of a class is to be answered, and to be over."""

    answer: Span
    resolve: Span


RESPONSE = {
    "P1": Times(Span(minutes=30), Span(minutes=4 * 60)),
    "P2": Times(Span(minutes=4 * 60), Span(minutes=24 * 60)),
    "P3": Times(Span(working_days=1), Span(working_days=5)),
    "P4": Times(Span(working_days=5), Span(working_days=20)),
}


class Kept(StrEnum):
    """The state of a time: kept, missed, or still running."""

    KEPT = "kept"
    MISSED = "missed"
    DUE = "due"  # it may still be


@dataclass(frozen=True)
class Deadline:
    """The end of a time (UTC), and whether it was kept."""

    by: datetime
    kept: Kept


def answered(events: Sequence[Event], now: datetime) -> Deadline:
    """Return until when an incident had to be answered, by its events since it was opened."""
    over = _first(events, ("recovered",), events[0].moment)
    clocks = []
    for event in _starts(events):
        ended = [moment for moment in (_first(events, ANSWERS, event.moment), over) if moment]
        clocks.append(_deadline(RESPONSE[event.urgency].answer.after(event.moment), min(ended, default=None), now))
    return _worst(clocks)


def resolved(events: Sequence[Event], now: datetime) -> Deadline:
    """Return until when an incident has to be over, by its events since it was opened."""
    over = _first(events, ("recovered",), events[0].moment)
    by = min(RESPONSE[event.urgency].resolve.after(event.moment) for event in _starts(events))
    return _deadline(by, over, now)


def described() -> str:
    """Return the times of every class in one line."""
    texts = (f"{name} {times.answer} and {times.resolve}" for name, times in RESPONSE.items())
    return f"answered and resolved within: {'; '.join(texts)}"


def _starts(events: Sequence[Event]) -> Iterator[Event]:
    return (event for event in events if event.event in _STARTS)


def _first(events: Sequence[Event], kinds: Sequence[str], since: datetime) -> datetime | None:
    return next((event.moment for event in events if event.event in kinds and event.moment >= since), None)


def _deadline(by: datetime, ended: datetime | None, now: datetime) -> Deadline:
    if (ended or now) > by:
        return Deadline(by, Kept.MISSED)
    return Deadline(by, Kept.KEPT if ended else Kept.DUE)


def _worst(clocks: Sequence[Deadline]) -> Deadline:
    """Return the first clock that was missed, else the first that still runs, else the last that was kept."""
    order: tuple[Callable[[Deadline], bool], ...] = (
        lambda clock: clock.kept is Kept.MISSED,
        lambda clock: clock.kept is Kept.DUE,
    )
    for wanted in order:
        if found := [clock for clock in clocks if wanted(clock)]:
            return min(found, key=lambda clock: clock.by)
    return clocks[-1]


def _next_working(moment: datetime) -> datetime:
    following = moment + timedelta(days=1)
    while following.weekday() > _FRIDAY:
        following += timedelta(days=1)
    return following
