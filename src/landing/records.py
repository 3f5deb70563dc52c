"""What was asked of sources and what came of it: ops.pulls, one row for each slice that was asked for.

It is a record. Which rows are current follows from the files that landed alone, so that a kill before it is written
loses nothing: a slice without a record is asked for again, and what is the same lands no second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

LANDED, SAME, EMPTY, NOT_YET, FAILED = "landed", "same", "empty", "not_yet", "failed"
ANSWERED = (LANDED, SAME, EMPTY)  # the source said what there is


@dataclass(frozen=True)
class Pull:
    """One slice that was asked for. `pulled_at` in UTC; rows and bytes are those of the answer, unpacked."""

    run_id: str
    source: str
    connector: str
    feed: str  # its id
    slice: str
    day: date | None  # the business day it is about, where it is about one
    pulled_at: datetime
    status: str  # landed | same | empty | not_yet | failed
    rows: int = 0
    bytes: int = 0
    sha256: str | None = None  # of the answer, unpacked
    file: str | None = None  # that has it, below the landing zone
    requests: int = 0
    seconds: float = 0.0
    error_class: str | None = None
    error_message: str | None = None
    pinned: str | None = None  # JSON: the options that decide the figures, as they were
