"""How moments, ages and sizes are written for people, in the terminal, the report and the page alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from src.causes import Cause
from src.facts.tables import State, TableFacts
from src.problems import CLASSES, Problem

_RUN = "run"
# Of findings that follow from a cause: how they are counted, by kind.
_COUNTED = {
    "table": "failed",
    "source": "failed",
    "quiet": "quiet",
    "freshness": "stale",
    "late": "late",
    "critical": "without yesterday",
    "missing": "without a figure",
    "volume": "with odd row counts",
    "unusual": "with odd figures",
    "distribution": "with other values",
    "drift": "with drifted features",
    "performance": "less right than it must be",
    "unscored": "without scores",
    "retrain": "to be trained again",
    "quality": "with more failed audits",
}


class Urgent(Protocol):
    """A problem, a cause, or what is shown of one."""

    @property
    def urgency(self) -> str:
        """Return one of CLASSES."""


def pluralized(number: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes for the eye: 812 B, 4.1 kB, 3.2 MB, in thousands."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def ago(now: datetime, then: datetime) -> str:
    """Return how long ago a moment was, in hours up to two days."""
    hours = max(0.0, (now - then).total_seconds() / 3600)
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def moment(found: datetime | None) -> str:
    """Return a moment to the minute; nothing where there is none."""
    return f"{found:%Y-%m-%d %H:%M}" if found else ""


def short_moment(found: datetime | None) -> str:
    """Return a moment of these days without its year; nothing where there is none."""
    return f"{found:%m-%d %H:%M}" if found else ""


def run_started(run_id: str | None) -> datetime | None:
    """Return when a run started (UTC), which its id begins with; None where it does not."""
    try:
        return datetime.strptime((run_id or "")[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def verdict(causes: Sequence[Cause]) -> str:
    """Return the state of a lake in a few words: fine, or how many causes there are and how urgent the worst is."""
    urgent = [cause for cause in causes if not is_housekeeping(cause)]
    waits = sum(len(cause.findings) for cause in causes if is_housekeeping(cause))
    more = f"; {waits} of {CLASSES[-1]} can wait" if waits else ""
    if not urgent:
        return "fine" + more
    worst = min((cause.urgency for cause in urgent), key=CLASSES.index)
    return f"{pluralized(len(urgent), 'problem')}, the worst {worst}{more}"


def is_housekeeping(found: Urgent) -> bool:
    """Return whether a cause or problem is mere housekeeping (P4)."""
    return found.urgency == CLASSES[-1]


def one_line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())


def followers(cause: Cause, tables: Mapping[str, TableFacts]) -> str:
    """Return in one line what follows from a cause: 32 findings that follow: 4 blocked, 28 held back; else nothing."""
    if not cause.follows:
        return ""
    counted = Counter(_counted(problem, tables) for problem in cause.follows if problem.kind != _RUN)
    verb = "follows" if len(cause.follows) == 1 else "follow"
    kinds = [f"{number} {word}" for word, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
    kinds += ["no successful run"] if any(problem.kind == _RUN for problem in cause.follows) else []
    return f"{pluralized(len(cause.follows), 'finding')} that {verb}: {', '.join(kinds)}"


def _counted(problem: Problem, tables: Mapping[str, TableFacts]) -> str:
    if problem.blocked_by is not None:
        return "blocked"
    table = tables.get(problem.subject)
    if problem.kind == "freshness" and table and table.state is State.HELD_BACK:
        return "held back"
    return _COUNTED.get(problem.kind, problem.kind)
