"""Marts: what a number means, whether it is the newest, its course, and its rows to take away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.contract import AGGREGATES
from src.errors import UsageError
from src.facts.marts import MartFacts, find_mart, find_table, main_table, read_mart
from src.page import asking, markdown, notebooks
from src.page.app import Page, page_of
from src.page.asking import Job, Taken
from src.page.drawing import measures
from src.page.screens.explain import addresses
from src.page.sending import sent, while_connected
from src.run import releases

PERIODS = ((30, "30 days"), (90, "90 days"), (365, "a year"), (0, "all"))


def marts(request: Request) -> Response:
    """Return the list of marts."""
    page = page_of(request)
    with page.look.project() as project:
        found = [project.contracts.marts[name] for name in sorted(project.contracts.marts)]
    facts = page.look.facts()
    states = [Counter(sorted(facts.tables[table.id].state for table in mart.tables)) for mart in found]
    listed = list(zip(found, map(main_table, found), states, strict=True))
    return page.show(request, "marts.html", facts=facts, marts=listed)


def mart(request: Request) -> Response:
    """Return the screen of a mart, with its main table or the one of the address."""
    page = page_of(request)
    name, table = request.path_params["name"], request.path_params.get("table")
    facts, masks = page.look.facts(), page.look.masks()
    with page.reading() as reading, page.look.project() as project:
        found = read_mart(project, name, table, facts.read_at, _period(request), masks)
        reading.contracts, reading.masked = project.contracts, found.masked is not None
        if found.newest:
            reading.of_table(found.table.id, found.newest.columns, len(found.newest.rows))
        if found.course and found.table.measure:
            reading.of_table(found.table.id, [found.table.measure.column])
    return page.show(
        request,
        "mart.html",
        facts=facts,
        path="/marts",
        **shown(found),
        whole=table is None,
        notebook=_notebook(found),
        explained=addresses(found, masks),
    )


def _notebook(found: MartFacts) -> bool:
    """Return whether the mart has a notebook beside its contract."""
    return found.mart.path.with_name(notebooks.FILE).is_file()


async def take(request: Request) -> Response:
    """Return the rows of a table, as readers see it, as a file to take away."""
    page, form = page_of(request), request.path_params["form"]
    if form not in asking.FORMATS:
        raise UsageError(f"no format {form}", fix=f"the formats are {', '.join(asking.FORMATS)}")
    job = Job()
    taken = await while_connected(request, job, lambda: _taken(page, request.path_params, form, job))
    return sent(taken, form, request.path_params["table"])


def _taken(page: Page, names: Mapping[str, str], form: str, job: Job) -> Taken:
    with page.look.project() as project:
        table = find_table(find_mart(project, names["name"]), names["table"])
    data, sql = page.look.settings.data_dir, f"SELECT * FROM {table.id}"
    with page.reading("export") as reading:
        return asking.take(data, sql, releases.newest(data), page.look.masks(), form, job, reading)


def shown(found: MartFacts) -> dict[str, Any]:
    """Return what the template of a mart needs beside the facts."""
    return {
        "mart": found.mart,
        "table": found.table,
        "version": found.version,
        "course": found.course,
        "chart": measures.drawn(found.table, found.course) if found.course else None,
        "newest": found.newest,
        "masked": found.masked,
        "behind": found.behind,
        "readme": markdown.html(found.readme),
        "periods": PERIODS,
        "aggregates": AGGREGATES,
        "formats": tuple(asking.FORMATS),
    }


def _period(request: Request) -> int | None:
    """Return the days of the address; None where it names none that is offered."""
    text = request.query_params.get("days", "")
    return int(text) if text in {str(days) for days, _ in PERIODS} else None


ROUTES = [
    Route("/marts", marts),
    Route("/mart/{name}", mart),
    Route("/mart/{name}/{table}", mart),
    Route("/mart/{name}/{table}/rows.{form}", take),
]
