"""A server of S3 before another one: hands each request on as it came, and writes a line for it as the usual one does.

`python s3_forwarder.py LOG URL` prints its address, and ends with its standard input.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Forwarder(BaseHTTPRequestHandler):
    """Hands requests on; the header `Host` stays, so a signature stays good."""

    behind, protocol_version = "", "HTTP/1.1"
    taken_off: tuple[str, ...] = ("expect",)  # headers that begin so

    @classmethod
    @contextmanager
    def before(cls, endpoint: str) -> Iterator[str]:
        """The address of such a server before another one, within a with-block."""
        handler = type(cls.__name__, (cls,), {"behind": endpoint})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    def do_GET(self) -> None:
        sent = {name: value for name, value in self.headers.items() if not name.lower().startswith(self.taken_off)}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.behind)
        connection = (HTTPSConnection if url.scheme == "https" else HTTPConnection)(url.netloc)
        connection.request(self.command, self.path, body, sent)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        named = [name.lower() for name, _ in answer.getheaders()]
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        if "content-length" not in named and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))  # it came in chunks
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_PUT = do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, form: str, *words: object) -> None:
        logging.info("127.0.0.1 - - " + form, *words)


def main() -> None:
    """Forward until whoever started this is gone."""
    log, endpoint = sys.argv[1:]
    logging.basicConfig(filename=log, level=logging.INFO, format="werkzeug %(message)s")
    with Forwarder.before(endpoint) as address:
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
