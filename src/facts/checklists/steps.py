"""The steps of a checklist: each asks one thing of the lake, and says fine only where it could look.

A step whose records cannot be read cannot be told, and asks for `make check`; one whose records are not there yet
cannot be told either. Where the monitors could not read every table, no step that asks them says that all is fine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from src import alerts, catalog
from src.alerts import Kept, NumberedIncident
from src.errors import BoathouseError
from src.facts import read_facts
from src.facts.feeds import Landed, read_landed
from src.facts.look import Facts, KnownCause
from src.facts.wording import one_line
from src.monitors.reading import Reading
from src.problems import CLASSES
from src.project import Project
from src.run import history, runs

_QUOTED = ("make ", "main.py ", ".venv/")
_FRIDAY = 4


class Answer(StrEnum):
    """The answers that a step can have."""

    FINE = "fine"
    TO_DO = "to do"
    KNOWN = "known"  # something is wrong, and somebody has answered for it in time
    UNKNOWN = "cannot be told"


@dataclass(frozen=True)
class Todo:
    """One thing to do: how urgent, why, the command to type, what is advised, and how one says that one is at it."""

    urgency: str  # one of CLASSES
    what: str
    command: str
    advice: str = ""
    answer: str = ""  # the command that answers its incident; "" where it has none, or somebody has


@dataclass(frozen=True)
class Step:
    """One step of a checklist as it was answered: what was found in one line, and what to do."""

    title: str
    answer: Answer
    found: str
    todos: tuple[Todo, ...] = ()


@dataclass(frozen=True)
class Found:
    """The answer to a question before it has its title."""

    answer: Answer
    text: str
    todos: tuple[Todo, ...] = ()


class NothingRecordedError(Exception):
    """Raised where what a step asks for was never recorded."""


@dataclass
class Look:
    """One look at a lake for a checklist; what several steps ask for is read once. Moments in UTC."""

    project: Project
    now: datetime
    month: date  # the first day of the month that it is about
    _published: set[str] = field(default_factory=set)

    @cached_property
    def facts(self) -> Facts:
        """Return the causes, tables, runs and figures of this moment."""
        return read_facts(self.project, self.now)

    @cached_property
    def landed(self) -> Landed:
        """Return what landed."""
        return read_landed(self.project, self.now)

    @cached_property
    def incidents(self) -> tuple[NumberedIncident, ...]:
        """Return every incident there ever was."""
        return alerts.read_numbered(self.project.engine, self.project.settings.data_dir, self.now)

    @cached_property
    def reading(self) -> Reading:
        """Return the tables as the monitors read them."""
        return Reading(self.project, self.now)

    @property
    def today(self) -> date:
        """Return the day of the look."""
        return self.now.date()

    @property
    def last_working_day(self) -> datetime:
        """Return the same time on the working day before."""
        before = self.now - timedelta(days=1)
        while before.weekday() > _FRIDAY:
            before -= timedelta(days=1)
        return before

    @property
    def next_month(self) -> date:
        """Return the first day after the month."""
        return (self.month + timedelta(days=31)).replace(day=1)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Return what the monitors could not read."""
        return tuple(one.subject for one in self.facts.findings.problems if one.unreadable)

    def has(self, table: str) -> bool:
        """Return whether an ops table is there, and make it readable by its name.

        Raises:
            BoathouseError: it cannot be read.
        """
        engine, data = self.project.engine, self.project.settings.data_dir
        if table == runs.TABLE:
            return history.publish(engine, data)  # each time: a view over it makes it readable as it is stored
        if table not in self._published:
            if table not in catalog.readable(data):
                return False
            catalog.publish_named(engine, data, [table])
            self._published.add(table)
        return True

    def rows(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over one ops table.

        Raises:
            NothingRecordedError: there is no such table yet.
            BoathouseError: it cannot be read.
        """
        if not self.has(table):
            raise NothingRecordedError(f"nothing is recorded in {table} yet")
        return self.project.engine.rows(sql)

    def causes(self, kinds: Iterable[str]) -> tuple[KnownCause, ...]:
        """Return the causes with a finding of one of these kinds."""
        wanted = set(kinds)
        return tuple(one for one in self.facts.causes if any(p.kind in wanted for p in one.cause.findings))

    def incident_of(self, known: KnownCause) -> NumberedIncident | None:
        """Return the incident of a cause, or of the first thing that follows from it; None where none is open."""
        for name in known.incidents:
            for one in reversed(self.incidents):
                if one.incident == name and one.is_open:
                    return one
        return None

    def in_hand(self, known: KnownCause) -> bool:
        """Return whether somebody has answered for a cause, and the time to resolve it is not over."""
        if known.state is None or known.state.startswith("open"):
            return False
        found = self.incident_of(known)
        return found is not None and found.resolve.kept is not Kept.MISSED


@dataclass(frozen=True)
class Question:
    """A step before it is answered.

    `of_findings`: it is fine only where the monitors could read every table. `of_lake`: only where something ever ran,
    as nothing can be wrong of a lake that is not there.
    """

    title: str
    read: Callable[[Look], Found]
    of_findings: bool = False
    of_lake: bool = True


def fine(text: str) -> Found:
    """Return that there is nothing to do, and what was seen."""
    return Found(Answer.FINE, text)


def unknown(text: str) -> Found:
    """Return that it cannot be told, and why."""
    return Found(Answer.UNKNOWN, text)


def to_do(text: str, todos: Iterable[Todo]) -> Found:
    """Return what was found and what to do; where there is nothing to do of it, that it is known."""
    found = tuple(todos)
    return Found(Answer.TO_DO if found else Answer.KNOWN, text, found)


def of_causes(look: Look, causes: Iterable[KnownCause]) -> tuple[Todo, ...]:
    """Return what to do about causes, those in somebody's hand left out."""
    return tuple(_of_cause(look, known) for known in causes if not look.in_hand(known))


def answered(question: Question, look: Look) -> Step:
    """Return the step of a question, whatever cannot be read on the way."""
    try:
        found = question.read(look)
        if found.answer is Answer.FINE and question.of_lake and not look.facts.has_run:
            found = unknown("nothing has run yet")
        elif found.answer is Answer.FINE and question.of_findings and look.unreadable:
            found = _not_seen(look)
    except NothingRecordedError as error:
        found = unknown(str(error))
    except BoathouseError as error:
        what = look.project.relative(one_line(error.what))
        todo = Todo(
            "P1", f"cannot be read: {what}", "make check", "it names the damage; `make repair` brings files back"
        )
        found = Found(Answer.UNKNOWN, f"cannot be read: {what}", (todo,))
    return Step(question.title, found.answer, found.text, found.todos)


def _not_seen(look: Look) -> Found:
    what = f"not everything could be looked at: {', '.join(look.unreadable)} cannot be read"
    return Found(Answer.UNKNOWN, what, (Todo("P1", what, "make check"),))


def _of_cause(look: Look, known: KnownCause) -> Todo:
    head, incident = known.cause.head, look.incident_of(known)
    what = f"{head.incident}: {one_line(head.what)}"
    command, answer = "make health", ""  # it opens the incident
    if incident:
        deadline = incident.resolve if incident.answer.kept is Kept.KEPT else incident.answer
        verb = "resolve" if incident.answer.kept is Kept.KEPT else "answer"
        late = ", missed" if deadline.kept is Kept.MISSED else ""
        what += f" ({incident.number}: {verb} by {deadline.by:%m-%d %H:%M}{late})"
        command = f"make incident N={incident.number}"
        if incident.answer.kept is not Kept.KEPT:
            answer = f'.venv/bin/python main.py alerts ack "{incident.incident}" --all --reason "..."'
    return Todo(known.urgency, what, _quoted(head.fix) or command, one_line(head.fix), answer)


def _quoted(fix: str) -> str:
    """Return the first command that a fix has in backticks."""
    quoted: Sequence[str] = fix.split("`")[1::2]
    command = next((text for text in quoted if text.startswith(_QUOTED)), "")
    return f".venv/bin/python {command}" if command.startswith("main.py") else command


def by_urgency(todos: Iterable[Todo]) -> tuple[Todo, ...]:
    """Return what is to be done, each command of a reason once, the most urgent first."""
    return tuple(sorted(dict.fromkeys(todos), key=lambda todo: CLASSES.index(todo.urgency)))
