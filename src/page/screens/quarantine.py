"""Quarantine: rejected rows of all tables by reason; those of one table; and a replay, before it is done."""

from __future__ import annotations

from functools import partial
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src import selection
from src.facts.rejected import Group, read_groups, read_page, read_waivers
from src.maintenance import quarantine
from src.masking.masks import Masks
from src.page import starting
from src.page.app import Page, page_of
from src.page.looking import Seen
from src.preview.replay import Replay, changes_nothing, read_replay
from src.project import Project
from src.run import runs

_ROWS = 50  # of a page


def screen(request: Request) -> Response:
    """Return the screen of all tables, or of the one that the address names."""
    page, table = page_of(request), request.query_params.get("table", "")
    return _one(request, page, table) if table else _all(request, page)


def replay(request: Request) -> Response:
    """Return the screen of what a replay of a table would do, with its button."""
    page, name = page_of(request), request.query_params.get("table", "")
    with page.look.project() as project:
        table = selection.table_named(project, name)
        found = read_replay(project, table) if changes_nothing(project, table) else None
    if found is None:
        found = page.look.seen(("replay", table.id), partial(_tried, table=table.id)).found
    going = starting.holder(page.look.settings)
    return page.show(request, "replay.html", replay=found, going=going, path="/quarantine")


def _tried(project: Project, table: str) -> Replay:
    return read_replay(project, selection.table_named(project, table))


def _all(request: Request, page: Page) -> Response:
    with page.reading("quarantine") as reading:
        groups = _groups(page).found
        for group in groups:
            reading.of_table(quarantine.name_of(group.table), quarantine.SHOWN, 1)
    by_table = {name: list(some) for name, some in groupby(groups, key=lambda group: group.table)}
    counts = {"open": sum(group.open for group in groups), "waived": sum(group.waived for group in groups)}
    return page.show(request, "quarantine.html", by_table=by_table, counts=counts)


def _one(request: Request, page: Page, table: str) -> Response:
    code, number = request.query_params.get("code", ""), request.query_params.get("page", "1")
    at = max(1, int(number)) if number.isdecimal() and len(number) < 8 else 1
    data, today = page.look.settings.data_dir, runs.now().date()
    masks = page.look.masks()
    with page.reading("quarantine") as reading, page.look.project() as project:
        reading.contracts, reading.masked = project.contracts, masks.covers(table)
        reading.of_table(quarantine.name_of(table), quarantine.SHOWN)
        select = masks.select_in(project.engine)
        found = read_page(project.engine, data, table, code, select, size=_ROWS, page=at)
        reading.rows = len(found.rows)
        waivers = read_waivers(project.engine, data, table, today)
    groups = [group for group in _groups(page).found if group.table == table]
    pages = max(1, -(-found.total // _ROWS))
    return page.show(
        request,
        "quarantined.html",
        table=table,
        groups=groups,
        code=code,
        found=found,
        waivers=waivers,
        masked=masks.covers(table),
        at=at,
        pages=pages,
    )


def _groups(page: Page) -> Seen[list[Group]]:
    return page.look.seen(("quarantine",), partial(_read, masks=page.look.masks()))


def _read(project: Project, masks: Masks) -> list[Group]:
    select = masks.select_in(project.engine)
    return read_groups(project.engine, project.settings.data_dir, runs.now().date(), select)


ROUTES = [Route("/quarantine", screen), Route("/quarantine/replay", replay)]
