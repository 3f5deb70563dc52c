"""The incidents that follow from others: one cause is one text, one line of the list, one answer."""

from __future__ import annotations

from collections.abc import Iterable

from src import causes
from src.alerts.incidents import Incident
from src.causes import Cause, Families
from src.problems import Problem


def grouped(incidents: Iterable[Incident], families: Families) -> tuple[Cause, ...]:
    """Return the causes of incidents, the most urgent first."""
    return causes.grouped(map(_problem, incidents), families)


def first_heads(incidents: Iterable[Incident], families: Families) -> dict[str, str]:
    """Return by incident the one that it follows from, the first where these are several; a head is its own."""
    heads: dict[str, str] = {}
    for cause in grouped(incidents, families):
        for problem in cause.findings:
            heads.setdefault(problem.incident, cause.head.incident)
    return heads


def _problem(incident: Incident) -> Problem:
    return Problem(incident.kind, incident.subject, incident.urgency, incident.day, incident.what, incident.fix)
