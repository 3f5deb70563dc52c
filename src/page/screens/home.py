"""Home: is it fine, what made it so, and what do I do first?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.page.app import page_of
from src.page.drawing import timeline


def home(request: Request) -> Response:
    """Return the screen."""
    page = page_of(request)
    facts = page.look.facts()
    return page.show(request, "home.html", timeline=timeline.drawn(facts.runs[::-1]))


ROUTES = [Route("/", home)]
