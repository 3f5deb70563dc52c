"""One look at the lake: causes, tables, domains, runs, backup, what comes next; all of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from src import causes, project
from src.alerts import Incident
from src.causes import Cause
from src.errors import BoathouseError
from src.facts import findings
from src.facts.domains import DomainFacts, read_domains
from src.facts.families import read_families
from src.facts.runs import RunFacts, read_last_steps, read_runs
from src.facts.tables import TableFacts, read_tables
from src.monitors import Findings
from src.project import Project
from src.run import releases
from src.run.releases import Standing
from src.run.runs import Record


@dataclass(frozen=True)
class KnownCause:
    """A cause, and what became of the incident of its head. `since` in UTC; None where there is no incident yet."""

    cause: Cause
    state: str | None  # for example: acked by ann
    since: datetime | None
    incidents: tuple[str, ...]  # those that are open: of its head first, then of what follows from it


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


def read_facts(opened: Project, now: datetime) -> Facts:
    """Return what is so about a lake at a moment (UTC); changes nothing."""
    found = findings.read_findings(opened, now)
    incidents = {incident.incident: incident for incident in findings.read_incidents(opened)}
    upstream = {name: tuple(above) for name, above in project.lineage(opened).items()}
    standings = _standings(opened)
    families = read_families(opened, upstream, standings, found, now)
    last_runs, steps = _records(opened)
    quiet = frozenset(problem.subject for problem in found.problems if problem.kind == "quiet")
    freshness = {row.table: row for row in found.freshness}
    tables = {table.id: table for table in read_tables(opened, freshness, standings, steps, quiet)}
    return Facts(
        read_at=now,
        verdict=findings.verdict(found.problems),
        healthy=all(map(findings.is_housekeeping, found.problems)),
        has_run=findings.has_run(opened),
        findings=found,
        causes=_known(causes.grouped(found.problems, families), incidents, now),
        tables=tables,
        upstream=upstream,
        domains=read_domains(tables.values()),
        runs=last_runs,
        recovered=tuple(sorted(set(incidents) - {problem.incident for problem in found.problems})),
    )


def _standings(opened: Project) -> dict[str, Standing]:
    """Return how each table stands; nothing where the release cannot be read, which is among the problems then."""
    try:
        return {standing.table: standing for standing in releases.standings(opened.settings.data_dir)}
    except BoathouseError:
        return {}


def _records(opened: Project) -> tuple[tuple[RunFacts, ...], dict[str, Record]]:
    """Return the last runs and last steps; none where they cannot be read, which is among the problems then."""
    try:
        return read_runs(opened), read_last_steps(opened)
    except BoathouseError:
        return (), {}


def _known(found: Sequence[Cause], incidents: Mapping[str, Incident], now: datetime) -> tuple[KnownCause, ...]:
    known = []
    for cause in found:
        names = tuple(problem.incident for problem in cause.findings if problem.incident in incidents)
        head = incidents.get(cause.head.incident)
        known.append(KnownCause(cause, head.state(now) if head else None, head.since if head else None, names))
    return tuple(known)
