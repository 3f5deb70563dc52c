"""A page called without a server: what a browser would send, and what it is answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from conftest import Lake

from src.page import rendering
from src.page.app import Page, build
from src.page.guard import Access
from src.page.looking import Look

HOST, COOKIE = "127.0.0.1:1", "key"


@dataclass
class Answer:
    """What the page answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """What it says."""
        return self.content.decode()

    @property
    def message(self) -> str:
        """What is told above the screen that the browser is sent to."""
        return parse_qs(urlsplit(self.headers["location"]).query).get("message", [""])[0]


@dataclass
class Site:
    """A lake and its page, called without a server."""

    lake: Lake
    page: Page

    def get(self, address: str) -> Answer:
        return self._call("GET", address, b"")

    def post(self, address: str, **fields: str) -> Answer:
        fields = {"form_token": self.page.access.form_token} | fields
        return self._call("POST", address, urlencode(fields).encode())

    def _call(self, method: str, address: str, body: bytes) -> Answer:
        path, _, query = address.partition("?")
        headers = {"host": HOST, "cookie": f"{COOKIE}={self.page.access.key}", "origin": f"http://{HOST}"}
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[dict[str, object]] = []

        unread = [body]

        async def receive() -> dict[str, object]:
            if unread:
                return {"type": "http.request", "body": unread.pop()}
            await asyncio.Event().wait()  # the browser stays
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        asyncio.run(build(self.page, {HOST}, COOKIE)(scope, receive, send))  # type: ignore[arg-type]
        answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}  # type: ignore[attr-defined]
        content = b"".join(part.get("body", b"") for part in sent[1:])  # type: ignore[misc]
        return Answer(int(sent[0]["status"]), answered, content)  # type: ignore[call-overload]


def opened(lake: Lake, *, readonly: bool = False) -> Site:
    return Site(lake, Page(Look(lake.settings), Access(), rendering.environment(lake.settings.branch), "ann", readonly))
