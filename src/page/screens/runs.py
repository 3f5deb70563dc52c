"""Runs: the last ones; and one of them step by step, also while it goes (the browser then asks again by itself)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from src.facts.one_run import OneRun, read_run
from src.facts.runs import LAYERS, read_runs
from src.page import starting
from src.page.app import Page, page_of
from src.page.drawing import bar
from src.run import runs
from src.run.kinds import RunKind
from src.run.runs import Record

_SHOWN = 50
_AGAIN = 2  # seconds until the browser asks again for a run that goes
STATUSES = ("success", "partial", "failed")


def run_list(request: Request) -> Response:
    """Return the screen of the last runs, of one status or kind alone where the address says so."""
    page = page_of(request)
    status, kind = (request.query_params.get(name, "") for name in ("status", "kind"))
    with page.look.project() as project:
        found = read_runs(project, _SHOWN, status=status, kind=kind)
    going = starting.holder(page.look.settings)
    chosen = {"status": status, "kind": kind}
    choices = {"status": STATUSES, "kind": tuple(RunKind)}
    return page.show(request, "runs.html", runs=found, going=going, chosen=chosen, choices=choices, most=_SHOWN)


def one_run(request: Request) -> Response:
    """Return the screen of a run."""
    page, run_id = page_of(request), request.path_params["run_id"]
    with page.look.project() as project:
        run = read_run(project, run_id)
    if run is None:
        return page.refused(_unknown(page, run_id), 404)
    still = "still" in request.query_params
    answer = page.show(
        request,
        "run.html",
        run=run,
        now=runs.now(),
        still=still,
        wrong=[step for step in run.steps if step.status != "success"],
        layers=_by_layer(run.steps),
        longest=max((step.latency for step in run.steps), default=0.0),
        notes=_notes(run),
        share=bar.share,
    )
    if (
        run.going and not run.died and not still
    ):  # a header, not a tag: what reads pages aloud is not told to wait for another one
        answer.headers["refresh"] = f"{_AGAIN}; url=/run/{quote(run_id)}"
    return answer


def _unknown(page: Page, run_id: str) -> str:
    """Return what is told of a run without a record: it may have ended before its first step."""
    output = starting.last_words(page.look.settings)
    return f"no record of a run {run_id}: if it was started, it ended before its first step" + (
        f"\nthe last that the page started has printed:\n\n{output}" if output else ""
    )


def _by_layer(steps: Sequence[Record]) -> dict[str, list[Record]]:
    found = {layer: [step for step in steps if step.layer == layer] for layer in LAYERS}
    return {layer: some for layer, some in found.items() if some}


def _notes(run: OneRun) -> list[str]:
    return run.own.notes.splitlines() if run.own and run.own.notes else []


ROUTES = [Route("/runs", run_list), Route("/run/{run_id}", one_run)]
