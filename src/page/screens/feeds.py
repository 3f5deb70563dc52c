"""Feeds: what landed, what is quiet, what drifted, and what lies in the landing zone that no feed takes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.facts import Facts
from src.facts.feeds import Landed, read_landed
from src.facts.wording import is_housekeeping
from src.monitors.feeds import FeedSchema
from src.page.app import page_of
from src.problems import Problem
from src.project import Project
from src.report.sources import SourceStatus, read_sources
from src.run import runs

_UNCLAIMED = 50  # files that are named
_WAITING_OPEN = 12  # feeds of which nothing has landed; of more the list is folded


def feeds(request: Request) -> Response:
    """Return the screen; a feed with something to say of it stands first."""
    page = page_of(request)
    facts = page.look.facts()
    seen = page.look.seen(("feeds",), _read)
    landed, sources = seen.found
    problems = _problems(facts)
    drift: dict[str, list[FeedSchema]] = {}
    for row in facts.findings.feed_schema:
        drift.setdefault(row.feed, []).append(row)
    urgent = {name for name, found in problems.items() if not all(map(is_housekeeping, found))}
    odd = [feed for feed in landed.feeds if feed.id in urgent or feed.id in drift]
    return page.show(
        request,
        "feeds.html",
        facts=facts,
        seen=seen,
        odd=odd,
        well=[feed for feed in landed.feeds if feed not in odd and feed.last],
        waiting=[feed for feed in landed.feeds if feed not in odd and not feed.last and feed.set_up],
        never=[feed for feed in landed.feeds if feed not in odd and not feed.last and not feed.set_up],
        problems=problems,
        drift=drift,
        sources=sources,
        tables=facts.tables,
        unclaimed=landed.unclaimed,
        most=_UNCLAIMED,
        most_open=_WAITING_OPEN,
    )


def _read(project: Project) -> tuple[Landed, Mapping[str, SourceStatus]]:
    window = runs.window(runs.now().date(), None, None)
    sources = {one.feed: one for one in read_sources(project, window, probe=False)}
    return read_landed(project, runs.now()), sources


def _problems(facts: Facts) -> dict[str, list[Problem]]:
    """Return what is wrong with feeds themselves, by feed; what drifted stands beside it in full."""
    found: dict[str, list[Problem]] = {}
    for problem in facts.findings.problems:
        if problem.subject.startswith("bronze.") and problem.kind != "schema":
            found.setdefault(problem.subject, []).append(problem)
    return found


ROUTES = [Route("/feeds", feeds)]
