"""A mart's notebook: where it is, at an address of its own (src/page/notebooks.py)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from src.facts.marts import find_mart
from src.page.app import page_of


def notebook(request: Request) -> Response:
    """Send the browser on to the notebook."""
    page = page_of(request)
    if page.notebooks is None or page.readonly:
        return page.refused(
            "a page that only shows has no notebooks: they are programs, for whoever has the project", 403
        )
    mart = request.path_params["mart"]
    with page.reading("notebook") as reading, page.look.project() as project:
        for table in find_mart(project, mart).tables:  # what it reads of them is not known here
            reading.of_table(table.id, ())
        return RedirectResponse(page.notebooks.address(mart), 303)


ROUTES = [Route("/notebook/{mart}", notebook)]
