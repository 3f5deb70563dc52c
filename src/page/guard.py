"""Who may speak to the page: a browser of this machine that was given the key, and forms of the page's own.

    Host     one of ours, or a page elsewhere could reach us by a name of its own that it points here (DNS rebinding)
    key      in the address that is printed; swapped for a cookie that scripts cannot read and no other site sends
    POST     from our own origin (the browser says so) and with the token of our own forms, each by itself

Every answer says that nothing but our own style and script may run in it, and nothing may frame it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # with no-referrer the browser says `Origin: null` with our own forms
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_SAFE = ("GET", "HEAD")


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


class Guard:
    """The middleware that answers in the app's place where a request may not reach it."""

    def __init__(self, app: ASGIApp, access: Access, hosts: Collection[str], cookie: str) -> None:
        """`hosts`: what a browser may call us, with the port; `cookie`: the name of the key's cookie."""
        self._app, self._access, self._hosts, self._cookie = app, access, frozenset(hosts), cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the app, or answer it."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that may not reach the app; None where it may."""
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return PlainTextResponse("not the host that this page is at", 421)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        if given and scope["method"] in _SAFE and self._access.opens(given):
            return self._admitted(scope["path"])
        if not self._access.opens(self._cookie_in(headers)):
            return PlainTextResponse("open the address that `make page` printed: it has the key", 403)
        if scope["method"] not in _SAFE and not self._is_own_origin(headers):
            return PlainTextResponse("not from this page", 403)
        return None

    def _admitted(self, path: str) -> Response:
        """Return the answer that swaps the key for the cookie, so that no address has it from here on."""
        answer = RedirectResponse("/" + path.lstrip("/"), 303)  # never //elsewhere
        answer.set_cookie(self._cookie, self._access.key, httponly=True, samesite="strict")
        return answer

    def _cookie_in(self, headers: Headers) -> str:
        found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        return found.value if found else ""

    def _is_own_origin(self, headers: Headers) -> bool:
        own = urlsplit(headers.get("origin", "")).netloc in self._hosts
        return own and headers.get("sec-fetch-site", "same-origin") == "same-origin"
