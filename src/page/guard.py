"""Who may speak to the page: a browser of this machine that was given the key, and forms of the page's own.

    Host     one of ours, or a page elsewhere could reach us by a name of its own that it points here (DNS rebinding)
    key      in the address that is printed; swapped for a cookie that scripts cannot read and no other site sends
    POST     from our own origin (the browser says so) and with the token of our own forms, each by itself
    POST     to a read-only page: only where it asks and does nothing

Every answer says that nothing but our own style and script may run in it, and nothing may frame it. A websocket is
held to the same: it is refused before it is opened.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    # with no-referrer the browser says `Origin: null` with our own forms
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_ONWARD = (
    '<!doctype html><html lang="en"><title>Boathouse</title>'
    '<link rel="icon" href="/static/icon.svg"><p><a href="{}">Go on</a></p></html>'
)
_SAFE = ("GET", "HEAD")
_REFUSED = 1008  # of a websocket: against the server's policy


@dataclass(frozen=True)
class Access:
    """The secrets of one start of the page."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def opens(self, given: str) -> bool:
        """Return whether this is the key; takes as long whatever is wrong with it."""
        return secrets.compare_digest(given.encode(), self.key.encode())

    def is_ours(self, token: str) -> bool:
        """Return whether a form was one of ours."""
        return secrets.compare_digest(token.encode(), self.form_token.encode())


@dataclass(frozen=True)
class Rules:
    """The rules of one page."""

    hosts: Collection[str]  # what a browser may call it, with the port
    cookie: str  # the name of the key's cookie
    readonly: bool = False
    asking: Collection[str] = ()  # the paths whose forms do nothing: a read-only page answers these too
    policies: Mapping[str, str] = field(default_factory=dict)  # by the beginning of a path, where it is not POLICY


class Guard:
    """The middleware that answers in the app's place where a request may not reach it."""

    def __init__(self, app: ASGIApp, access: Access, rules: Rules) -> None:
        self._app, self._access, self._rules = app, access, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the app, or answer it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            if isinstance(self._answer(scope, "GET", sends=True), Response):
                await send({"type": "websocket.close", "code": _REFUSED})
            else:
                await self._app(scope, receive, send)
        else:  # the start and the end of the server
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        policy = next((policy for start, policy in self._rules.policies.items() if path.startswith(start)), POLICY)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**_HEADERS, "content-security-policy": policy})
                headers.setdefault("cache-control", "no-store")
            await send(message)

        sends = scope["method"] not in _SAFE
        await (self._answer(scope, scope["method"], sends) or self._app)(scope, receive, guarded)

    def _answer(self, scope: Scope, method: str, sends: bool) -> Response | None:
        """Return the answer to a request that may not reach the app; None where it may.

        `sends`: it can do something, so that it must come from a page of ours.
        """
        headers, path = Headers(scope=scope), scope["path"]
        if headers.getlist("host") not in [[host] for host in self._rules.hosts]:
            return PlainTextResponse("not the host that this page is at", 421)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        if given and not sends and self._access.opens(given):
            return self._admitted(path)
        if not any(self._access.opens(value) for value in _cookies(headers, self._rules.cookie)):
            return PlainTextResponse("open the address that `make page` printed: it has the key", 403)
        if sends and not self._is_own_origin(headers):
            return PlainTextResponse("not from this page", 403)
        if method not in _SAFE and self._rules.readonly and path not in self._rules.asking:
            return PlainTextResponse("this page only shows: its owner set PAGE_READONLY", 403)
        return None

    def _admitted(self, path: str) -> Response:
        """Return the answer that swaps the key for the cookie, so that no address has it from here on.

        It is a page that goes on by itself, not a redirect: whoever comes by a link of another site, as from a terminal
        in the browser, would be sent on as coming from there, and the cookie would stay behind.
        """
        onward = "/" + quote(path.lstrip("/"))  # never //elsewhere
        answer = HTMLResponse(_ONWARD.format(escape(onward)), headers={"refresh": f"0; url={onward}"})
        answer.set_cookie(self._rules.cookie, self._access.key, httponly=True, samesite="strict")
        return answer

    def _is_own_origin(self, headers: Headers) -> bool:
        own = urlsplit(headers.get("origin", "")).netloc in self._rules.hosts
        return own and headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _cookies(headers: Headers, name: str) -> list[str]:
    """Return the values under a name; what else the browser sends is nothing of ours, however it is written."""
    pairs = [pair.strip().partition("=") for line in headers.getlist("cookie") for pair in line.split(";")]
    return [value for key, _, value in pairs if key == name]
