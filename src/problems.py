"""A problem is something that is not as it should be, as a monitor found it; this says how urgent each kind is.

The class of an incident follows from what a reader of the tables loses, by one rule:

    P1  readers have nothing right to read, or nothing would be left after a loss: a damaged table, a critical table
        or figure without yesterday's data, no run within twice its time
    P2  readers go without what they were promised: a failed or blocked source or table, a broken service level,
        no rows or figures where there always were some, rows without the scores of a model that is in use, a model
        less right than its contract asks for, a late source, a quiet feed, a backup that failed or is too old, a
        pull that was refused; a domain that cost more than its budget
    P3  something moved that a person should look at soon: volume, figures or distribution away from their past, a
        model's features away from its training or that training long ago, a metric nobody described, a changed schema
        of a feed, a version that ends soon, warnings that grow, a small load that is mostly rejected, work that is
        not committed, a pull that failed in passing, a budget that is nearly spent
    P4  housekeeping: slow steps, many small files, a run that died and was taken over
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

CLASSES = ("P1", "P2", "P3", "P4")  # the most urgent first


@dataclass(frozen=True)
class Problem:
    """One problem; two of the same `kind` and `subject` are the same incident, on whatever day they are seen."""

    kind: str  # table, run | pull, notice, source, rejects | freshness, late, critical | volume, unusual, drift | ...
    subject: str  # what it is about: a table's id, or the name of what else is ill
    urgency: str  # one of CLASSES
    day: date  # the business day it is about
    what: str  # one line, lower case: what was found
    fix: str  # one line: what to do
    blocked_by: str | None = None  # the tables that this one only waits for; their own problems say why
    unreadable: bool = False  # whether it is about a table that cannot be read

    @property
    def incident(self) -> str:
        """Return the name of the incident: the problem's kind and subject."""
        return f"{self.kind} {self.subject}"
