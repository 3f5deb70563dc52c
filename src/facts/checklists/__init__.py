"""The checklists of the runbook as plain data: what each step asks for, computed from the lake, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src.facts.checklists.afternoon import QUESTIONS as AFTERNOON
from src.facts.checklists.month import QUESTIONS as MONTH
from src.facts.checklists.month_end import QUESTIONS as MONTH_END
from src.facts.checklists.morning import QUESTIONS as MORNING
from src.facts.checklists.steps import Answer as Answer
from src.facts.checklists.steps import Look, answered, by_urgency
from src.facts.checklists.steps import Step as Step
from src.facts.checklists.steps import Todo as Todo
from src.facts.checklists.week import QUESTIONS as WEEK
from src.project import Project

CHECKLISTS = {
    "morning": MORNING,
    "afternoon": AFTERNOON,
    "week": WEEK,
    "month": MONTH,
    "month-end": MONTH_END,
}
_HALF = timedelta(days=15)  # into a month, from which a checklist is about it and not about the one before


@dataclass(frozen=True)
class Checklist:
    """One checklist at one moment (UTC): its steps in order, and what they ask to do, the most urgent first."""

    name: str
    read_at: datetime
    month: date | None  # the first day of the month that it is about; None: it is about none
    steps: tuple[Step, ...]
    todos: tuple[Todo, ...]

    @property
    def done(self) -> bool:
        """Return whether nothing is to do."""
        return not self.todos


def read_checklist(project: Project, name: str, now: datetime, of_month: date | None = None) -> Checklist:
    """Return a checklist at a moment (UTC), one of CHECKLISTS; of months it is about the given one.

    Without one it is about the last month, from the second half of a month on about that one.
    """
    first = (of_month or (now - _HALF).date()).replace(day=1)
    look = Look(project, now, first)
    steps = tuple(answered(question, look) for question in CHECKLISTS[name])
    todos = by_urgency(todo for step in steps for todo in step.todos)
    return Checklist(name, now, first if name.startswith("month") else None, steps, todos)
