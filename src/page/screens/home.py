"""Home: is it fine, what made it so, and what do I do first?"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.causes import table_of
from src.facts import Facts, State
from src.facts.wording import pluralized
from src.monitors.freshness import Freshness
from src.page.app import page_of
from src.page.drawing import timeline
from src.problems import CLASSES, Problem

_COMPARED = ("volume", "missing", "unusual")  # kinds that compare a day with its weekday before
_DAYS = 14  # of the grid


def home(request: Request) -> Response:
    """Return the screen."""
    page = page_of(request)
    facts = page.look.facts()
    return page.show(request, "home.html", facts=facts, **values(facts))


def values(facts: Facts) -> dict[str, Any]:
    """Return what the template needs beside the facts themselves."""
    headline, detail = _verdict(facts)
    return {
        "headline": headline,
        "detail": detail,
        "timeline": timeline.drawn(facts.runs[::-1]),
        "freshness": sorted(facts.findings.freshness, key=_stalest_first),
        "grades": facts.grades,
        "days": [facts.read_at.date() - timedelta(days=back) for back in range(_DAYS - 1, -1, -1)],
        "GRADE_SIGNS": {"POOR": "✗", "ACCEPTABLE": "!"},
        "day_to_confirm": _day_to_confirm,
        "marts": {table.domain for table in facts.tables.values() if table.layer == "gold"},
    }


def _day_to_confirm(problem: Problem) -> str:
    """Return where the day of a problem is confirmed as an incident; nothing where no day is compared."""
    if problem.kind not in _COMPARED:
        return ""
    return "/confirm?" + urlencode({"table": table_of(problem), "day": problem.day.isoformat()})


def _stalest_first(row: Freshness) -> tuple[bool, float, str]:
    """Return what sorts tables by how far they are from their promise; one without a row is the farthest."""
    left = -math.inf if row.age_hours is None else 1 - (row.age_hours - row.rest_hours) / row.limit_hours
    return not row.critical or row.grade != "POOR", left, row.table


def _verdict(facts: Facts) -> tuple[str, str]:
    """Return whether the lake is fine, and what that is made of."""
    urgent = [known for known in facts.causes if known.urgency != CLASSES[-1]]
    fine = sum(table.state is State.FINE for table in facts.tables.values())
    tables = f"{fine} of {pluralized(len(facts.tables), 'table')} are fine"
    if not urgent:
        return "Fine", f"Nothing needs a person; {tables}."
    worst = urgent[0].urgency
    count = len({problem.incident for known in urgent for problem in known.cause.findings})
    found = f"{pluralized(count, 'finding')} of the monitors come down to {pluralized(len(urgent), 'cause')}"
    return f"{pluralized(len(urgent), 'thing')} to look at, the worst {worst}", f"{found}; {tables}."


ROUTES = [Route("/", home)]
