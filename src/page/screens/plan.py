"""Plan: what a run would do, why, and how long it would take, before it does it; and the button that starts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src import selection
from src.page import starting
from src.page.app import page_of
from src.page.drawing import bar
from src.project import Project
from src.run import plan, releases, runs
from src.run.plan import RunPlan


@dataclass(frozen=True)
class _Ahead:
    """A plan, and what the contracts and the selection say to it."""

    plan: RunPlan
    notes: tuple[str, ...]


def ahead(request: Request) -> Response:
    """Return the screen of what a run of a domain, of a selection or of everything would do."""
    page = page_of(request)
    domain, select = (request.query_params.get(name, "").strip() for name in ("domain", "select"))
    again = "again" in request.query_params
    seen = page.look.seen(("plan", domain, select), partial(_read, domain=domain, select=select), again=again)
    steps, facts = seen.found.plan.steps, page.look.facts()
    busy = [step for step in steps if step.action not in ("nothing", "fail")]
    return page.show(
        request,
        "plan.html",
        facts=facts,
        seen=seen,
        plan=seen.found.plan,
        notes=seen.found.notes,
        failing=[step for step in steps if step.action == "fail"],
        busy=busy,
        idle=[step for step in steps if step.action == "nothing"],
        longest=max((step.seconds or 0.0 for step in busy), default=0.0),
        tables=frozenset(facts.tables),
        domains=[one.name for one in facts.domains],
        domain=domain,
        select=select,
        going=starting.holder(page.look.settings),
        behind=_behind(seen.found.plan),
        share=bar.share,
    )


def _read(project: Project, *, domain: str, select: str) -> _Ahead:
    chosen = selection.chosen(project, domain or None, select.replace(",", " ").split())
    notes = [*project.contracts.notes]
    for table, feed in selection.not_taken(chosen).items():
        notes.append(f"new files of {feed} wait, as it is not selected; +{table} takes them too")
    return _Ahead(plan.read_plan(project, chosen, runs.window(runs.now().date(), None, None)), tuple(notes))


def _behind(planned: RunPlan) -> Sequence[str]:
    return [releases.describe(standing) for standing in planned.behind]


ROUTES = [Route("/plan", ahead)]
