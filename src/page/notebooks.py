"""Notebooks beside the marts: src/gold/<mart>/page.py, run by marimo at an address of their own.

A notebook runs scripts of its own, and of whatever it shows, which the page forbids itself. For the browser it is
therefore another site: another address, with another key. What runs in a notebook can neither read the page nor send
its forms, and the same guard keeps everybody else out, websockets included.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from src.errors import UsageError
from src.page.guard import Access, Guard, Rules

FILE = "page.py"
# marimo's own pages are scripts and styles within the page; nothing comes from elsewhere here either
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'"
)


@dataclass(frozen=True)
class _Running:
    names: tuple[str, ...]
    address: str
    key: str
    server: uvicorn.Server


class Notebooks:
    """The notebooks of a project; their server starts when the first is opened."""

    def __init__(self, marts: Path, listen: Callable[[], socket.socket]) -> None:
        """`marts`: the folder of the marts; `listen`: gives a socket that listens on this machine alone."""
        self._marts, self._listen = marts, listen
        self._turn = threading.Lock()
        self._running: _Running | None = None

    def address(self, mart: str) -> str:
        """Return where a mart's notebook is to be opened, with its key.

        Raises:
            UsageError: it has none, or marimo is not installed.
        """
        names = tuple(sorted(path.parent.name for path in self._marts.glob(f"*/{FILE}")))
        if mart not in names:
            raise UsageError(f"no notebook of {mart}", fix=f"write src/gold/{mart}/{FILE}; docs/page.md has how")
        with self._turn:
            if self._running is None or self._running.names != names:
                self.stop()
                self._running = self._start(names)
            return f"{self._running.address}{mart}/?key={self._running.key}"

    def stop(self) -> None:
        """End the server, where there is one."""
        if self._running:
            self._running.server.should_exit = True

    def _start(self, names: tuple[str, ...]) -> _Running:
        app, listener, access = self._app(names), self._listen(), Access()
        host, port = listener.getsockname()
        rules = Rules({f"{host}:{port}"}, f"notebook-{port}", policies={"/": _POLICY})
        config = uvicorn.Config(
            Guard(app, access, rules),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        return _Running(names, f"http://{host}:{port}/", access.key, server)

    def _app(self, names: tuple[str, ...]) -> Any:
        try:
            import marimo
        except ModuleNotFoundError as error:
            fix = "./setup.sh --notebook; in a project of your own write boathouse[page,notebook] in requirements.txt"
            raise UsageError(f"a notebook needs {error.name}, which is not installed", fix=fix) from error
        app = marimo.create_asgi_app(quiet=True, include_code=False)
        for name in names:
            app = app.with_app(path=f"/{name}", root=str(self._marts / name / FILE))
        return app.build()
