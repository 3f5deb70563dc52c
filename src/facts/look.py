"""One look at the lake: causes, tables, domains, runs, backup, what comes next; all of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from src import causes, lake, project
from src.alerts import Incident
from src.causes import Cause, Families
from src.errors import BoathouseError
from src.facts import findings, wording
from src.facts.backups import BackupFacts, read_backup
from src.facts.domains import DomainFacts, read_domains
from src.facts.families import read_families, read_standings
from src.facts.grades import read_grades
from src.facts.models import ModelFacts, read_models
from src.facts.runs import RunFacts, read_last_steps, read_runs
from src.facts.tables import TableFacts, read_tables
from src.facts.upcoming import Upcoming, read_upcoming
from src.monitors import Findings
from src.project import Project
from src.run.runs import Record


@dataclass(frozen=True)
class KnownCause:
    """A cause, and what became of the incident of its head. `since` in UTC; None where there is no incident yet."""

    cause: Cause
    state: str | None  # for example: acked by ann
    since: datetime | None
    incidents: tuple[str, ...]  # those that are open: of its head first, then of what follows from it
    urgency: str  # of the most urgent of its findings
    followers: str  # what follows from it, in one line: 32 findings that follow: 4 blocked, 28 held back


@dataclass(frozen=True)
class Facts:
    """The facts of a lake at one moment (UTC)."""

    read_at: datetime
    verdict: str
    healthy: bool  # nothing needs a person
    has_run: bool
    findings: Findings
    causes: tuple[KnownCause, ...]  # the most urgent first
    tables: Mapping[str, TableFacts]  # feeds and tables, in the order of a run
    upstream: Mapping[str, tuple[str, ...]]  # what each is built from
    domains: tuple[DomainFacts, ...]
    runs: tuple[RunFacts, ...]  # the newest first
    recovered: tuple[str, ...]  # incidents that are open and no longer seen
    families: Families  # by which the findings are folded
    grades: Mapping[str, Mapping[date, str]]  # by table the freshness of each of the last 14 days, as measured last
    backup: BackupFacts | None  # the newest that is known to be whole
    upcoming: tuple[Upcoming, ...]  # the first first
    incidents: tuple[Incident, ...]  # open before this look
    models: tuple[ModelFacts, ...] = ()  # of machine learning
    runs_error: str | None = None  # why the records of the runs cannot be read
    backup_error: str | None = None  # why the records of the backups cannot be read

    @property
    def drafts(self) -> tuple[str, ...]:
        """Return the tables that may change under one version."""
        return tuple(table.id for table in self.tables.values() if table.draft)


@lake.one_moment()
def read_facts(opened: Project, now: datetime, *, on_disk: bool = True) -> Facts:
    """Return what is so about a lake at a moment (UTC); changes nothing. `on_disk`: also what each folder takes."""
    incidents = findings.read_incidents(opened)  # first: a run that ends meanwhile knows better of its own steps
    found = findings.read_findings(opened, now, on_disk=on_disk)
    lineage = project.lineage(opened) | project.learns_from(opened)
    upstream = {name: tuple(above) for name, above in lineage.items()}
    standings = read_standings(opened)
    families = read_families(opened, standings, now, found)
    grouped = causes.grouped(found.problems, families)
    last_runs, steps, runs_error = _records(opened)
    quiet = frozenset(problem.subject for problem in found.problems if problem.kind == "quiet")
    freshness = {row.table: row for row in found.freshness}
    tables = {table.id: table for table in read_tables(opened, freshness, standings, steps, quiet)}
    backup, backup_error = read_backup(opened)
    return Facts(
        read_at=now,
        verdict=wording.verdict(grouped),
        healthy=all(map(wording.is_housekeeping, grouped)),
        has_run=findings.has_run(opened),
        findings=found,
        causes=known_causes(grouped, incidents, tables, now),
        tables=tables,
        upstream=upstream,
        domains=read_domains(tables.values()),
        runs=last_runs,
        recovered=tuple(sorted({one.incident for one in incidents} - {one.incident for one in found.problems})),
        families=families,
        grades=read_grades(opened, found.freshness, now),
        backup=backup,
        upcoming=read_upcoming(opened, found, now),
        incidents=incidents,
        models=read_models(opened, found),
        runs_error=runs_error,
        backup_error=backup_error,
    )


def known_causes(
    found: Iterable[Cause], incidents: Iterable[Incident], tables: Mapping[str, TableFacts], now: datetime
) -> tuple[KnownCause, ...]:
    """Return causes with what became of their incidents by a moment (UTC)."""
    known = []
    opened = {incident.incident: incident for incident in incidents}
    for cause in found:
        head = opened.get(cause.head.incident)
        known.append(
            KnownCause(
                cause=cause,
                state=head.state(now) if head else None,
                since=head.since if head else None,
                incidents=tuple(problem.incident for problem in cause.findings if problem.incident in opened),
                urgency=cause.urgency,
                followers=wording.followers(cause, tables),
            )
        )
    return tuple(known)


def _records(opened: Project) -> tuple[tuple[RunFacts, ...], dict[str, Record], str | None]:
    """Return the last runs and last steps, or why they cannot be read, which is among the problems then too."""
    try:
        return read_runs(opened), read_last_steps(opened), None
    except BoathouseError as error:
        return (), {}, error.what
