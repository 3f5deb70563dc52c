"""Table: can I trust it now, and what changed?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src import catalog
from src.page import tables
from src.page.app import page_of
from src.page.rendering import table_url

_DEEPEST = 9  # levels of the lineage that are drawn


def table(request: Request) -> Response:
    """Return the screen of one feed or table; `depth`: levels of its lineage each way."""
    page, table_id = page_of(request), str(request.path_params["table_id"])
    facts = page.look.facts()
    if table_id not in facts.tables:
        raise catalog.unknown_table([table_id], facts.tables)
    depth = request.query_params.get("depth", "1")
    levels = min(int(depth), _DEEPEST) if depth.isdecimal() and depth != "0" else 1
    masks = page.look.masks()
    with page.reading() as reading, page.look.project() as project:
        values = tables.content(project, facts, table_id, levels, table_url, masks)
        reading.contracts, reading.masked = project.contracts, masks.covers(table_id)
        tables.tell(reading, table_id, values)
    return page.show(request, "table.html", facts=facts, **values)


ROUTES = [Route("/table/{table_id}", table)]
