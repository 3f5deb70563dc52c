"""Backfill and confirm-a-day: the forms. A backfill is planned first: which partitions would be written again.

A condition in SQL (`--where`) is not taken from a form: it would run in an engine that may read any file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.errors import UsageError
from src.maintenance import backfill
from src.page import starting
from src.page.app import page_of
from src.project import Project

_NAMED = 24  # partitions of a table that are named


def form(request: Request) -> Response:
    """Return the form, and with a table and days the plan and its button."""
    page = page_of(request)
    table, start, end = (request.query_params.get(name, "").strip() for name in ("table", "start", "end"))
    planned: Mapping[str, list[str]] | None = None
    below: list[str] = []
    if table:
        read = partial(_planned, table=table, start=_day(start), end=_day(end))
        planned, below = page.look.seen(("backfill", table, start, end), read).found
    return page.show(
        request,
        "backfill.html",
        table=table,
        start=start,
        end=end,
        planned=planned,
        below=below,
        named=_NAMED,
        going=starting.holder(page.look.settings),
    )


def confirm_form(request: Request) -> Response:
    """Return the form that confirms a day of a table as an incident; a table and a day may be given."""
    table, day = (request.query_params.get(name, "").strip() for name in ("table", "day"))
    return page_of(request).show(request, "confirm.html", table=table, day=day)


def _planned(
    project: Project, *, table: str, start: date | None, end: date | None
) -> tuple[Mapping[str, list[str]], list[str]]:
    """Return by table the partitions that would be written again, and the tables below that follow where these change.

    Raises:
        UsageError: no such table, no days, or it has none.
    """
    found = backfill.plan(project, table, start, end, None)
    return dict(found.partitions), [one.id for one in found.gold if one.id not in found.partitions]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is no day", fix="write YYYY-MM-DD") from None


ROUTES = [Route("/backfill", form), Route("/confirm", confirm_form)]
