"""The server of the page: on this machine alone, until it is stopped.

A browser sends a cookie to every port of the host that set it, so that another server of this machine would be given
the page's key. The page therefore listens at an address of its own, 127.x.y.z, made from the project's folder: a
browser goes there for this page and for nothing else. Where the system has no other address than 127.0.0.1 (macOS), it
is that one, and docs/page.md says what remains.
"""

from __future__ import annotations

import errno
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from src.author import author
from src.errors import UsageError
from src.page import asking, rendering
from src.page.app import Page, build
from src.page.guard import Access
from src.page.looking import Look
from src.page.notebooks import Notebooks
from src.run import logs
from src.settings import Settings

_LOOPBACK = "127.0.0.1"
_GRACE = 1  # seconds for answers under way, once a stop was asked for


class _Server(uvicorn.Server):
    """A server that ends queries before it waits for answers under way: a query could take longer than that."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asking.stop_all()
        await super().shutdown(sockets)


@dataclass(frozen=True)
class Site:
    """A page that can be served: `address` is what to open, `url` the same without the key."""

    url: str
    address: str
    page: Page
    _server: _Server
    _listener: socket.socket

    def run(self) -> None:
        """Serve until a signal (in the main thread) or `stop`."""
        # the first look takes a while: by the time that somebody has opened the address, it is there
        look = threading.Thread(target=self._look)
        look.start()
        with suppress(KeyboardInterrupt):  # raised by uvicorn once it has ended: it is what was asked for
            self._server.run(sockets=[self._listener])
        look.join()  # the process must not end while the engine is at work

    def stop(self) -> None:
        """End the server; `run` returns soon after."""
        self._server.should_exit = True

    def _look(self) -> None:
        with suppress(Exception, KeyboardInterrupt):  # whoever asks looks again, and is shown what is wrong
            self.page.look.facts()


def serve(settings: Settings, port: int, started: Callable[[str], None]) -> None:
    """Serve the page of a project until Ctrl-C or TERM; `started` is given the address to open.

    `port` 0: one that is free.

    Raises:
        UsageError: the port is taken, or the settings of the page do not go together.
    """
    with opened(settings, port) as site, suppress(KeyboardInterrupt):  # also before uvicorn heeds signals itself
        started(site.url if settings.page_key else site.address)
        site.run()


@contextmanager
def opened(settings: Settings, port: int) -> Iterator[Site]:
    """Listen for the page of a project for the length of a with-block; nothing is answered before `run`.

    Raises:
        UsageError: the port is taken, or the settings of the page do not go together.
    """
    access = _access(settings)
    with _listening(settings, port, settings.root) as listener:
        host, port = listener.getsockname()
        # beside the page, not at its address: see the law of notebooks
        notebooks = Notebooks(settings.source / "gold", lambda: _listening(settings, 0, settings.source / "gold"))
        page = Page(
            Look(settings), access, rendering.environment(settings.branch), author(), settings.page_readonly, notebooks
        )
        hosts = {f"{host}:{port}", *([f"localhost:{port}"] if host == _LOOPBACK else [])}
        app = build(page, hosts | {name for name in [settings.page_host] if name}, f"boathouse-{port}")
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # nobody's word for who asks and how
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        logs.take_in("uvicorn")
        url = f"http://{host}:{port}/"
        try:
            yield Site(url, f"{url}?key={access.key}", page, _Server(config), listener)
        finally:
            notebooks.stop()


def own_address(root: Path) -> str:
    """Return the loopback address of a project's folder: the same at every start."""
    first, second, third = hashlib.sha256(str(root.resolve()).encode()).digest()[:3]
    return f"127.{1 + first % 254}.{second}.{1 + third % 254}"


def _access(settings: Settings) -> Access:
    if settings.page_host and not settings.page_readonly:
        what = "PAGE_HOST without PAGE_READONLY: who is behind a proxy is not known here, so nobody may do anything"
        raise UsageError(what, where=".env", fix="set PAGE_READONLY=true, or take PAGE_HOST out")
    if settings.page_key is None:
        return Access()
    key = settings.page_key.text
    if not re.fullmatch(r"[A-Za-z0-9_-]{20,}", key):
        fix = "write 20 or more letters, digits and hyphens, for example of `openssl rand -hex 24`"
        raise UsageError("PAGE_KEY is too short, or has another character", where=".env", fix=fix)
    return Access(key)


def _listening(settings: Settings, port: int, of: Path) -> socket.socket:
    chosen = settings.page_address or own_address(of)
    try:
        try:
            return socket.create_server((chosen, port))
        except OSError as error:
            if settings.page_address or error.errno != errno.EADDRNOTAVAIL:
                raise
            return socket.create_server((_LOOPBACK, port))
    except OSError as error:
        fix = "choose another with --port, or PAGE_PORT in .env; 0 takes one that is free"
        raise UsageError(f"port {port} of {chosen} cannot be used: {error.strerror}", fix=fix) from error
