"""The application: the screens of src/page/screens, each with its routes, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from anyio import to_thread
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src.errors import BoathouseError, UsageError, translated
from src.masking.reader import recorded_as
from src.page import rendering, starting
from src.page.guard import Access, Guard, Rules
from src.page.looking import Look
from src.page.notebooks import Notebooks
from src.reads import Reading
from src.reads.recording import recorded
from src.run import logs
from src.settings import struck

# In the order of the menu: the screen and its title. The others are reached from these.
MENU = (
    ("/", "Home"),
    ("/marts", "Marts"),
    ("/models", "Models"),
    ("/lineage", "Lineage"),
    ("/feeds", "Feeds"),
    ("/quarantine", "Quarantine"),
    ("/sql", "SQL"),
    ("/plan", "Plan"),
)
_ASKING = ("/sql",)  # whose forms only ask
_LONGEST_FORM = 1_000_000  # bytes
_AT_ONCE = 8  # requests that are worked on, each with an engine of its own


@dataclass(frozen=True)
class Page:
    """Everything that the screens work with."""

    look: Look
    access: Access
    templates: Environment
    who: str  # whose acts are recorded
    readonly: bool
    notebooks: Notebooks | None = None

    def show(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a screen; `facts` and whatever the base template needs are there in every one.

        A screen that looked already hands its `facts` on, so that all of it is of the same look.
        """
        if "facts" not in values:
            values["facts"] = self.look.facts()
        common = {
            "path": request.url.path,
            "menu": MENU,
            "form_token": self.access.form_token,
            "readonly": self.readonly,
            "message": request.query_params.get("message", "")[:300],
        }
        return HTMLResponse(rendering.rendered(self.templates, template, common | values), status)

    @contextmanager
    def reading(self, kind: str = "page") -> Iterator[Reading]:
        """Record which rows of tables whoever looks at the page is shown within a with-block."""
        reader = starting.recorded_as(recorded_as(self.who))
        with recorded(self.look.settings, kind, reader) as found:
            yield found

    def refused(self, text: str, status: int) -> HTMLResponse:
        """Return the screen of what is not to be had, with no facts: it is there however the lake is."""
        return HTMLResponse(rendering.rendered(self.templates, "error.html", {"text": text}), status)


def page_of(request: Request) -> Page:
    """Return what the screens work with."""
    page: Page = request.app.state.page
    return page


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form of ours.

    Raises:
        UsageError: it is none of ours, or too long.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            raise UsageError("a form longer than 1 MB", fix="send less")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if not page_of(request).access.is_ours(fields.pop("form_token", "")):
        raise UsageError("not a form of this page", fix="load the page again, and send the form once more")
    return fields


def build(page: Page, hosts: Collection[str], cookie: str) -> Starlette:
    """Return the application. `hosts`: what a browser may call it, with the port; `cookie`: the name of its cookie."""
    rules = Rules(hosts, cookie, page.readonly, _ASKING)
    app = Starlette(
        routes=[*_routes(), Mount("/static", StaticFiles(directory=rendering.HERE / "static"))],
        middleware=[Middleware(Guard, access=page.access, rules=rules), Middleware(_Unforeseen)],
        exception_handlers={BoathouseError: _failed, 404: _not_found, 405: _not_found},
        lifespan=_few_at_once,
    )
    app.state.page = page
    return app


def _routes() -> list[BaseRoute]:
    found: list[BaseRoute] = []
    for path in sorted((Path(__file__).parent / "screens").glob("*.py")):
        if not path.stem.startswith("_"):
            found += import_module(f"src.page.screens.{path.stem}").ROUTES
    return found


@asynccontextmanager
async def _few_at_once(app: Starlette) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = _AT_ONCE
    yield


class _Unforeseen:
    """The middleware that turns what no screen foresaw into a screen; the traceback of a bug goes to the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            if scope["type"] != "http":
                raise
            ours = translated(error)
            if not isinstance(ours, BoathouseError):
                logs.bug(error)
            if not begun:  # else the browser sees that the answer breaks off
                request = Request(scope)
                answer = _failed(request, ours) if isinstance(ours, BoathouseError) else _bug(request)
                await answer(scope, receive, send)


def _failed(request: Request, error: Exception) -> HTMLResponse:
    """Return the screen of what could not be done: the error as the terminal prints it, and no facts."""
    page = page_of(request)
    status = 400 if isinstance(error, UsageError) else 500
    return page.refused(struck(str(error), page.look.settings.secrets()), status)


def _bug(request: Request) -> HTMLResponse:
    page = page_of(request)
    log = page.look.settings.log_dir / "app.log"
    return page.refused(f"a bug in Boathouse, not in your data\n  where: its traceback is at the end of {log}", 500)


def _not_found(request: Request, error: Exception) -> HTMLResponse:
    status = error.status_code if isinstance(error, HTTPException) else 404
    text = f"nothing is at {request.url.path}" if status == 404 else f"no {request.method} of {request.url.path}"
    return page_of(request).refused(text, status)
