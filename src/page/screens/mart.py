"""Marts: what a number means, whether it is the newest, its course, and its rows to take away."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.contract import AGGREGATES
from src.facts.marts import MartFacts, main_table, read_mart
from src.page import markdown
from src.page.app import page_of
from src.page.drawing import measures

PERIODS = ((30, "30 days"), (90, "90 days"), (365, "a year"), (0, "all"))


def marts(request: Request) -> Response:
    """Return the list of marts."""
    page = page_of(request)
    with page.look.project() as project:
        found = [project.contracts.marts[name] for name in sorted(project.contracts.marts)]
    tables = page.look.facts().tables
    states = [Counter(sorted(tables[table.id].state for table in mart.tables)) for mart in found]
    return page.show(request, "marts.html", marts=list(zip(found, map(main_table, found), states, strict=True)))


def mart(request: Request) -> Response:
    """Return the screen of a mart, with its main table or the one of the address."""
    page = page_of(request)
    name, table = request.path_params["name"], request.path_params.get("table")
    facts = page.look.facts()
    with page.look.project() as project:
        found = read_mart(project, name, table, facts.read_at, _period(request))
    return page.show(request, "mart.html", path="/marts", **shown(found), whole=table is None)


def shown(found: MartFacts) -> dict[str, Any]:
    """Return what the template of a mart needs beside the facts."""
    return {
        "mart": found.mart,
        "table": found.table,
        "version": found.version,
        "course": found.course,
        "chart": measures.drawn(found.table, found.course) if found.course else None,
        "newest": found.newest,
        "behind": found.behind,
        "readme": markdown.html(found.readme),
        "periods": PERIODS,
        "aggregates": AGGREGATES,
    }


def _period(request: Request) -> int | None:
    """Return the days of the address; None where it names none that is offered."""
    text = request.query_params.get("days", "")
    return int(text) if text in {str(days) for days, _ in PERIODS} else None


ROUTES = [
    Route("/marts", marts),
    Route("/mart/{name}", mart),
    Route("/mart/{name}/{table}", mart),
]
