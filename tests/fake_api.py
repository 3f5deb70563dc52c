"""An HTTP server on 127.0.0.1 whose answers a test writes, and that remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request: its parameters, headers (names in lower case) and body."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Reply:
    """One answer; a body that is no text is sent as JSON."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class Api:
    """The server: `answer` gives the reply to each request, in as many threads as there are calls."""

    url: str
    answer: Callable[[Request], Reply] = lambda request: Reply(status=404)
    asked: list[Request] = field(default_factory=list)


@contextmanager
def api(answer: Callable[[Request], Reply] | None = None) -> Iterator[Api]:
    """Serve for the length of a with-block."""
    made = Api("")
    if answer:
        made.answer = answer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            params = dict(parse_qsl(parts.query))
            request = Request(self.command, parts.path, params, headers, self.rfile.read(length).decode())
            made.asked.append(request)
            reply = made.answer(request)
            self.send_response_only(reply.status)
            sent = {"Content-Type": "application/json", "Content-Length": str(len(reply.bytes)), **reply.headers}
            sent.setdefault("Date", self.date_time_string())
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.bytes)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *words: Any) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # whoever asked has gone
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
