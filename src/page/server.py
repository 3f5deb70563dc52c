"""The server of the page: on this machine alone, until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from src.errors import UsageError
from src.page import rendering
from src.page.app import Page, build
from src.page.guard import Access
from src.page.looking import Look
from src.run.author import author
from src.settings import Settings

ADDRESS = "127.0.0.1"


def serve(settings: Settings, port: int, started: Callable[[str], None]) -> None:
    """Serve the page of a project until Ctrl-C or TERM; `started` is given the address to open, with its key.

    `port` 0: one that is free.

    Raises:
        UsageError: the port is taken.
    """
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        page = Page(Look(settings), Access(), rendering.environment(), author(), readonly=False)
        hosts = {f"{ADDRESS}:{port}", f"localhost:{port}"}
        config = uvicorn.Config(build(page, hosts, f"boathouse-{port}"), log_config=None, access_log=False)
        started(f"http://{ADDRESS}:{port}/?key={page.access.key}")
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            page.look.close()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((ADDRESS, port))
    except OSError as error:
        fix = "choose another with --port, or PAGE_PORT in .env; 0 takes one that is free"
        raise UsageError(f"port {port} cannot be used: {error.strerror}", fix=fix) from error
