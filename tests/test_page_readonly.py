"""A page that only shows, behind a proxy that has the key and says who may look."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser import Served, served
from conftest import Lake

from src.errors import UsageError
from src.page import server

KEY = "a-key-that-the-proxy-alone-has"


@contextmanager
def proxy(port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """A reverse proxy as docs/page.md has it: it hands on the Host, and puts the key's cookie in place of any other.

    Where to is its attribute `page`, once there is one. The password of its people is asked for by a real one.
    """

    class Handler(BaseHTTPRequestHandler):
        def _hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            page: Served = listening.page  # type: ignore[attr-defined]
            own = {"Host": self.headers["Host"], "Origin": self.headers.get("Origin"), "Cookie": page.cookie}
            answer = page.ask(self.command, self.path, body, **own)
            self.send_response(answer.status)
            self.end_headers()
            self.wfile.write(answer.text.encode())

        do_GET = do_POST = _hand_on  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield listening
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def test_a_team_looks_through_its_proxy_and_nobody_does_anything(lake: Lake) -> None:
    lake.shop().good()
    with proxy() as outside:
        name = f"127.0.0.1:{outside.server_port}"
        lake.environ |= {"PAGE_READONLY": "true", "PAGE_KEY": KEY, "PAGE_HOST": name}
        with served(lake) as page:
            outside.page = page  # type: ignore[attr-defined]
            through = Served(lake, f"http://{name}/", "none", page.form_token)
            assert page.key == KEY
            shown = through.ask("GET", "/", Cookie=None)
            assert shown.status == 200 and "<main" in shown.text and KEY not in shown.text
            # whatever a form says, whoever sends it: it is refused before any screen sees it
            for sender in (through, page):
                for what in ("run", "ack", "snooze", "replay", "backfill", "confirm", "anything"):
                    refused = sender.ask("POST", f"/act/{what}", f"form_token={page.form_token}")
                    assert refused.status == 403 and "PAGE_READONLY" in refused.text, what
                for path in ("/", "/plan", "/nowhere"):  # the guard's own word, wherever a form is sent
                    assert sender.ask("POST", path, f"form_token={page.form_token}").status == 403
            # and nobody comes in beside the proxy
            assert page.ask("GET", "/", Cookie=None).status == 403
            assert page.ask("GET", "/", Cookie=None, Host=name).status == 403


def test_the_proxys_key_is_in_no_address_that_is_printed(lake: Lake) -> None:
    lake.environ |= {"PAGE_KEY": KEY}
    printed: list[str] = []

    def stop(address: str) -> None:
        printed.append(address)
        raise KeyboardInterrupt

    server.serve(lake.settings, 0, stop)
    assert len(printed) == 1 and KEY not in printed[0]
    assert KEY in lake.settings.secrets()  # so that no log has it


@pytest.mark.parametrize("key", ["short", "with a blank in it and long enough", "ü" * 30, "a;b=c" * 10])
def test_a_key_that_could_be_guessed_or_is_no_cookie_is_refused(lake: Lake, key: str) -> None:
    lake.environ |= {"PAGE_KEY": key}
    with pytest.raises(UsageError, match="PAGE_KEY"), server.opened(lake.settings, 0):
        pass


def test_a_page_behind_a_proxy_only_shows(lake: Lake) -> None:
    lake.environ |= {"PAGE_HOST": "lake.example.com"}
    with pytest.raises(UsageError, match="PAGE_HOST without PAGE_READONLY"), server.opened(lake.settings, 0):
        pass
