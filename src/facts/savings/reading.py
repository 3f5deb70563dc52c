"""What would save: findings with their evidence, and what became of each; nothing is told without figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from src.errors import BoathouseError, UsageError, nearest
from src.facts import findings
from src.facts.savings import columns, files, history, unchanged, unread, whole
from src.facts.savings.finding import Finding, Least, Looking, Whole
from src.project import Project
from src.run import lock, saving_records
from src.run.saving_records import SavingEvent, SavingStatus
from src.settings import Settings

_KINDS = (files, history, unread, whole, unchanged, columns)
_HIGH, _MIDDLE = 0.1, 0.03  # of the lake's bytes or seconds
_PATIENCE = 60.0  # seconds to wait for another look
_GB, _HOUR = 1_000_000_000, 3600


@dataclass(frozen=True)
class Saving:
    """One thing that would save, or did, in a month; `moment` in UTC: since when it has its status."""

    id: str
    kind: str
    table: str
    status: SavingStatus
    moment: datetime
    bytes: int
    cpu_seconds: Decimal
    amount: Decimal  # of both, at the prices of the settings
    evidence: str
    fix: str
    effort: str
    priority: str
    reason: str | None
    by: str | None


@dataclass(frozen=True)
class Savings:
    """The findings, the most that is saved first, and the kinds that could not be looked for, with why."""

    found: tuple[Saving, ...]
    not_looked_for: tuple[str, ...]
    notes: tuple[str, ...] = ()  # why what was found is not recorded

    def with_status(self, status: SavingStatus) -> tuple[Saving, ...]:
        """Return those of one status."""
        return tuple(saving for saving in self.found if saving.status is status)


def read_savings(project: Project, now: datetime, *, keep: bool = True, least: Least | None = None) -> Savings:
    """Return what would save at a moment (UTC), and what became of what was found before.

    `keep`: record what is new and what is gone, where the lake can be written; `least`: below which nothing is found.
    """
    seen = _look(project, now, least or Least())
    engine, data = project.engine, project.settings.data_dir
    not_kept: tuple[str, ...] = ()
    if keep and findings.has_run(project):  # an empty or unmounted folder is left as it is
        try:
            with lock.waited(data, saving_records.LOCK, _PATIENCE):
                saving_records.append(engine, data, seen.changes(saving_records.read(engine, data), now))
        except BoathouseError as error:
            not_kept = (f"what was found is not recorded: {str(error).splitlines()[0]}",)
    known = saving_records.read(engine, data)
    events = known | {event.id: event for event in seen.changes(known, now)}
    savings = [_saving(project.settings, event) for event in events.values()]
    ranked = sorted(savings, key=lambda saving: (-saving.amount, -saving.bytes, -saving.cpu_seconds, saving.id))
    return Savings(tuple(ranked), tuple(f"{kind}: {why}" for kind, why in seen.missed.items()), not_kept)


def answer(project: Project, name: str, status: SavingStatus, reason: str, by: str, now: datetime) -> SavingEvent:
    """Record that a person dismisses a finding, or reopens one that was dismissed; returns the event.

    Raises:
        UsageError: there is none of that name, or it is not what it should be.
    """
    engine, data = project.engine, project.settings.data_dir
    expected = SavingStatus.ACTIVE if status is SavingStatus.DISMISSED else SavingStatus.DISMISSED
    known = saving_records.read(engine, data)
    if name not in known:
        near = nearest(name, known)
        there = f"there are {', '.join(known)}" if known else "`make cost` looks for them"
        raise UsageError(f"no finding {name}", fix=f"did you mean {near}?" if near else there)
    with lock.waited(data, saving_records.LOCK, _PATIENCE):
        known = saving_records.read(engine, data)
        if known[name].status != expected:
            raise UsageError(f"{name} is {known[name].status}", fix=f"name one that is {expected}, see `make cost`")
        event = SavingEvent(
            **{**vars(known[name]), "status": status, "moment": now, "reason": reason or None, "by": by or None}
        )
        saving_records.append(engine, data, [event])
    return event


@dataclass(frozen=True)
class _Seen:
    """One look: all that was found, as events that are not recorded yet, and the kinds that could not be looked for."""

    remains: dict[str, SavingEvent]
    worth: list[SavingEvent]
    missed: dict[str, str]

    def changes(self, known: dict[str, SavingEvent], now: datetime) -> list[SavingEvent]:
        """Return the events that it makes."""
        kinds = [module.KIND for module in _KINDS if module.KIND not in self.missed]
        return list(saving_records.changes(known, self.worth, self.remains, kinds, now))


def _look(project: Project, now: datetime, least: Least) -> _Seen:
    looking, missed = Looking(project, now, least), {}
    every: list[Finding] = []
    for module in _KINDS:
        try:
            if why := module.why_not(looking):
                missed[module.KIND] = why
            else:
                every += module.find(looking)
        except BoathouseError as error:
            missed[module.KIND] = str(error).splitlines()[0]
    remains = {found.id: _event(found, looking.whole, now) for found in every}
    worth = [remains[found.id] for found in every if _is_worth(found, looking.whole, least)]
    return _Seen(remains, worth, missed)


def _is_worth(found: Finding, whole: Whole, least: Least) -> bool:
    enough = found.bytes >= least.bytes or found.cpu_seconds >= least.seconds
    return enough and whole.share(found) >= least.share


def _event(found: Finding, whole: Whole, now: datetime) -> SavingEvent:
    share = whole.share(found)
    return SavingEvent(
        number=0,
        moment=now,
        id=found.id,
        kind=found.kind,
        table=found.table,
        status=SavingStatus.ACTIVE,
        bytes=found.bytes,
        cpu_seconds=found.cpu_seconds,
        evidence=found.evidence,
        fix=found.fix,
        effort=found.effort,
        priority="high" if share >= _HIGH else "middle" if share >= _MIDDLE else "low",
    )


def _saving(settings: Settings, event: SavingEvent) -> Saving:
    stored = event.bytes * settings.cost_per_gb_month / _GB
    taken = event.cpu_seconds * settings.cost_per_cpu_hour / _HOUR
    fields = {name: value for name, value in vars(event).items() if name not in ("number", "status")}
    return Saving(**fields, status=SavingStatus(event.status), amount=stored + taken)
