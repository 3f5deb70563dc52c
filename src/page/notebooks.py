"""Notebooks beside the marts: src/gold/<mart>/page.py, run by marimo at an address of their own.

A notebook runs scripts of its own, and of whatever it shows, which the page forbids itself. For the browser it is
therefore another site: another address, with another key. What runs in a notebook can neither read the page nor send
its forms, and the same guard keeps everybody else out, websockets included.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from src.errors import UsageError
from src.page.guard import Access, Guard, Rules

FILE = "page.py"
_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from src.page import notebooks; notebooks.serve()"
_PRODUCT = Path(__file__).resolve().parents[2]
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
    process: subprocess.Popen[str]


class Notebooks:
    """The notebooks of a project; their server, a process of its own, starts when the first is opened."""

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
        if importlib.util.find_spec("marimo") is None:
            fix = "./setup.sh --notebook; in a project of your own write boathouse[page,notebook] in requirements.txt"
            raise UsageError("a notebook needs marimo, which is not installed", fix=fix)
        with self._turn:
            if self._running is None or self._running.names != names or self._running.process.poll() is not None:
                self.stop()
                self._running = self._start(names)
            return f"{self._running.address}{mart}/?key={self._running.key}"

    def stop(self) -> None:
        """End the server, where there is one, and with it the programs of the notebooks that are open."""
        if self._running:
            self._running.process.communicate()  # which ends its input, and the process with that
            self._running = None

    def _start(self, names: tuple[str, ...]) -> _Running:
        with self._listen() as listener:
            host, port = listener.getsockname()
            descriptor, key = listener.fileno(), Access().key
            command = [sys.executable, "-c", _CHILD, str(_PRODUCT), str(self._marts), str(descriptor)]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[descriptor],
                text=True,
                start_new_session=True,  # Ctrl-C is for the page, which ends it
            )
        assert process.stdin
        process.stdin.write(json.dumps({"key": key, "names": names}) + "\n")  # a command line is seen by everybody
        process.stdin.flush()
        return _Running(names, f"http://{host}:{port}/", key, process)


# -- in the process of the notebooks


def serve() -> None:
    """Serve notebooks until the page is gone; arguments: their folder, the socket. The key is read."""
    import marimo

    marts, given = Path(sys.argv[2]), json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_page, daemon=True).start()
    listener = socket.socket(fileno=int(sys.argv[3]))
    app = marimo.create_asgi_app(quiet=True, include_code=False)
    for name in given["names"]:
        app = app.with_app(path=f"/{name}", root=str(marts / name / FILE))
    guarded = Guard(app.build(), Access(given["key"]), _rules(*listener.getsockname()))
    uvicorn.Server(uvicorn.Config(guarded, log_config=None, server_header=False)).run(sockets=[listener])


def _rules(host: str, port: int) -> Rules:
    return Rules({f"{host}:{port}"}, f"notebook-{port}", policies={"/": _POLICY})


def _leave_with_page() -> None:
    sys.stdin.read()  # until the page closes it, or is gone
    os._exit(0)  # at once: a notebook may be in the midst of anything, and writes nothing of the lake's
