"""Models: which version is in use, and can its scores be trusted now?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.facts.models import state
from src.page.app import page_of
from src.report.models import sections


def models(request: Request) -> Response:
    """Return the screen; a model that something is wrong with stands first."""
    page = page_of(request)
    facts = page.look.facts()
    wrong = {
        model.id: [one for one in facts.findings.problems if one.subject in (model.id, *model.scored)]
        for model in facts.models
    }
    return page.show(
        request,
        "models.html",
        facts=facts,
        models=sorted(facts.models, key=lambda model: (not wrong[model.id], model.name)),
        states={model.id: state(model, facts.read_at) for model in facts.models},
        sections={model.id: sections(model) for model in facts.models},
        problems=wrong,
    )


ROUTES = [Route("/models", models)]
