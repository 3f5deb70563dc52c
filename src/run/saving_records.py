"""What became of each finding of what would save: `ops.savings_log`, an event for each change; the newest counts.

A finding is active from when it is first seen, done once its cause is gone, and dismissed when a person says so; one
that is dismissed stays so until it is reopened, whatever is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from src import catalog, lake
from src.engine import DuckEngine
from src.run import runs

TABLE = "ops.savings_log"
LOCK = "savings"


class SavingStatus(StrEnum):
    """The states of a finding."""

    ACTIVE = "active"
    DONE = "done"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class SavingEvent:
    """One change of a finding; bytes and seconds are those that it saves, or saved, in a month. `moment` in UTC."""

    number: int  # counts up, whatever the clock said
    moment: datetime
    id: str
    kind: str
    table: str
    status: str  # one of SavingStatus
    bytes: int
    cpu_seconds: Decimal
    evidence: str
    fix: str
    effort: str
    priority: str
    reason: str | None = None  # why a person dismissed or reopened it
    by: str | None = None


def read(engine: DuckEngine, data: Path) -> dict[str, SavingEvent]:
    """Return the newest event of each finding, by its id."""
    root = lake.table_path(data, TABLE)
    if not catalog.publish(engine, {TABLE: root}):
        return {}
    names = list(SavingEvent.__dataclass_fields__)
    chosen = ", ".join(f'"{name}"' for name in names)
    rows = engine.rows(f"SELECT {chosen} FROM {TABLE} ORDER BY number")
    events = [SavingEvent(**dict(zip(names, row, strict=True))) for row in rows]
    return {event.id: event for event in events}


def changes(
    known: Mapping[str, SavingEvent],
    found: Iterable[SavingEvent],
    remains: Mapping[str, SavingEvent],
    looked_for: Iterable[str],
    now: datetime,
) -> Iterator[SavingEvent]:
    """Yield the events that a look makes: what is new or back, what grew or shrank, what is done.

    `found` is what is worth telling; `remains`, by id, all that there is of the kinds that were `looked_for`, however
    little: a finding is done when half of it is gone or more, and not because the lake grew beside it.
    """
    for event in found:
        before = known.get(event.id)
        if before is None or before.status == SavingStatus.DONE:
            yield event
        elif before.status == SavingStatus.ACTIVE and _differ(before, event) and not _is_done(before, event):
            yield replace(event, moment=before.moment)
    kinds = set(looked_for)
    for name, before in known.items():
        if before.status == SavingStatus.ACTIVE and before.kind in kinds and _is_done(before, remains.get(name)):
            left = remains.get(name)
            size, seconds = (left.bytes, left.cpu_seconds) if left else (0, Decimal(0))
            saved = replace(before, bytes=before.bytes - size, cpu_seconds=before.cpu_seconds - seconds)
            yield replace(saved, status=SavingStatus.DONE, moment=now, reason=None, by=None)


def _is_done(before: SavingEvent, left: SavingEvent | None) -> bool:
    return left is None or (left.bytes * 2 <= before.bytes and left.cpu_seconds * 2 <= before.cpu_seconds)


def _differ(before: SavingEvent, after: SavingEvent) -> bool:
    """Return whether a figure moved by more than a tenth."""
    by_bytes = abs(before.bytes - after.bytes) * 10 > before.bytes
    return by_bytes or abs(before.cpu_seconds - after.cpu_seconds) * 10 > before.cpu_seconds


def append(engine: DuckEngine, data: Path, events: Sequence[SavingEvent]) -> None:
    """Append events under the next numbers; the caller holds the lock of savings."""
    if events:
        last = max((event.number for event in read(engine, data).values()), default=0)
        numbered = [replace(event, number=last + nth) for nth, event in enumerate(events, 1)]
        runs.append(engine, data, TABLE, SavingEvent, numbered)
