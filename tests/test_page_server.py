"""The server of the page: it ends when it is told to, says what is wrong as a screen, and is of its machine alone."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser import MARKUP, launched, needs_browser, served
from conftest import ROOT, Lake, short
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from test_upgrade import LATER, REFUSED, set_format

from src.errors import UsageError
from src.page import app, server
from src.run import lock, logs

ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t) SELECT max(i) FROM t"


def test_the_server_is_of_this_machine_alone_at_an_address_of_its_own(lake: Lake, tmp_path: Path) -> None:
    lake.shop()
    other = server.own_address(tmp_path / "other")
    with server.opened(lake.settings, 0) as site:
        host, port = site._listener.getsockname()
        assert ipaddress.ip_address(host).is_loopback and host == server.own_address(lake.root) != other
        assert site.url == f"http://{host}:{port}/"
    lake.environ["PAGE_ADDRESS"] = "127.0.0.1"
    with server.opened(lake.settings, 0) as site:
        assert site.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.1", "::", "localhost", "127.0.0.1 evil", "1270.0.0.1"])
def test_no_setting_lets_it_listen_beyond_this_machine(lake: Lake, address: str) -> None:
    lake.environ["PAGE_ADDRESS"] = address
    with pytest.raises(UsageError, match="PAGE_ADDRESS"):
        _ = lake.settings


def test_where_a_machine_has_one_loopback_address_alone_it_is_that(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    create = socket.create_server

    def as_on_macos(address: tuple[str, int]) -> socket.socket:
        if address[0] != "127.0.0.1":
            raise OSError(99, "Cannot assign requested address")
        return create(address)

    monkeypatch.setattr(socket, "create_server", as_on_macos)
    with server.opened(lake.shop().settings, 0) as site:
        assert site.url.startswith("http://127.0.0.1:")
    lake.environ["PAGE_ADDRESS"] = "127.0.0.9"
    with pytest.raises(UsageError, match=r"port 0 of 127\.0\.0\.9 cannot be used"), server.opened(lake.settings, 0):
        pass


def test_a_port_that_is_taken_is_named_with_what_to_do(lake: Lake) -> None:
    with server.opened(lake.shop().settings, 0) as site:
        port = int(site.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port} of .* Address already in use") as refused:
            lake.command("page", "--port", str(port))
    assert "PAGE_PORT" in str(refused.value)


@pytest.mark.parametrize("name", short(["SIGTERM", "SIGINT"], 1))
def test_a_signal_ends_it_at_once_and_well_also_while_a_query_goes(lake: Lake, name: str) -> None:
    lake.shop().good()
    command = [sys.executable, str(ROOT / "main.py"), "page", "--port", "0", "--project", str(lake.root)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=os.environ | lake.environ, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    found = re.search(r"http://(\S+)/\?key=(\S+)", process.stdout.readline())
    assert found
    connection = http.client.HTTPConnection(found[1], timeout=60)  # it stays open, as a browser's does
    cookie = {"Cookie": f"boathouse-{found[1].split(':')[1]}={found[2]}"}
    connection.request("GET", "/sql", headers=cookie)
    token = re.search(r'name="form_token" value="([^"]+)"', connection.getresponse().read().decode())
    assert token
    asking = http.client.HTTPConnection(found[1], timeout=60)
    form = {"Origin": f"http://{found[1]}", "Content-Type": "application/x-www-form-urlencoded"}
    asking.request("POST", "/sql", urlencode({"form_token": token[1], "sql": ENDLESS}), cookie | form)
    query = child_of(process.pid)
    asked = time.monotonic()
    process.send_signal(signal.Signals[name])
    assert process.wait(60) == 0
    took = time.monotonic() - asked
    assert process.communicate()[1] == ""
    connection.close()
    asking.close()
    assert not Path(f"/proc/{query}").exists()  # it was ended before the page was, or at the latest with it
    assert took < 10  # a busy machine; 0.3 s on a quiet one


def child_of(pid: int) -> int:
    """Wait until a process has a child, and return that one's id."""
    until = time.monotonic() + 30
    while not (found := Path(f"/proc/{pid}/stat").exists() and _children(pid)):
        assert time.monotonic() < until, "no query was started"
        time.sleep(0.02)
    return found[0]


def _children(pid: int) -> list[int]:
    return [int(one) for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()]


def test_a_signal_ends_it_well_while_the_first_look_is_made(lake: Lake) -> None:
    lake.shop().good()
    command = [sys.executable, str(ROOT / "main.py"), "page", "--port", "0", "--project", str(lake.root)]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    found = re.search(r"http://(\S+)/\?key=", process.stdout.readline())
    assert found
    connection = http.client.HTTPConnection(found[1], timeout=60)
    connection.request("GET", "/")  # without the key it waits for no look
    assert connection.getresponse().status == 403
    connection.close()
    process.terminate()
    assert process.wait(60) == 0
    assert process.communicate()[1] == ""


# -- what is wrong is a screen


def test_a_broken_contract_is_a_screen_until_it_is_mended(lake: Lake) -> None:
    lake.shop().good()
    with served(lake) as page:
        assert page.ask("GET", "/").status == 200
        lake.edit("silver/shop/orders.yaml", "logicalType: integer", "logicalType: whole")
        broken = page.ask("GET", "/")
        assert broken.status == 500
        assert "src/silver/shop/orders.yaml" in broken.text and "whole" in broken.text and "fix:" in broken.text
        lake.edit("silver/shop/orders.yaml", "logicalType: whole", "logicalType: integer")
        assert page.ask("GET", "/").status == 200


def test_a_lake_of_a_later_release_is_a_screen(lake: Lake) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    lake.shop().good()
    set_format(lake, "ops.pipeline_runs", LATER)
    with served(lake) as page:
        answer = page.ask("GET", "/")
    assert answer.status == 500 and REFUSED in answer.text


def test_an_empty_lake_has_a_home(lake: Lake) -> None:
    with served(lake.shop()) as page:
        assert page.ask("GET", "/").status == 200


def test_a_bug_is_a_screen_that_names_the_log_and_its_traceback_is_there(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(request: Request) -> None:
        raise RuntimeError(f"unforeseen {MARKUP} SOURCE_SHOP_PASSWORD=hunter22")

    def breaking_off(request: Request) -> StreamingResponse:
        def rows() -> Iterator[str]:
            yield "a,b\n"
            raise RuntimeError("half-way")

        return StreamingResponse(rows())

    monkeypatch.setattr(app, "_routes", lambda: [Route("/bug", failing), Route("/half", breaking_off)])
    lake.environ["SOURCE_SHOP_PASSWORD"] = "hunter22"
    lake.shop()
    logs.start(lake.settings.log_dir, level="INFO", secrets=lake.settings.secrets(), console_level="CRITICAL")
    with served(lake) as page:
        answer = page.ask("GET", "/bug")
        with pytest.raises(http.client.IncompleteRead):
            page.ask("GET", "/half")
    assert answer.status == 500
    assert "app.log" in answer.text and "bug in Boathouse" in answer.text
    for told in ("Traceback", "unforeseen", "hunter22", "RuntimeError"):
        assert told not in answer.text
    assert "content-security-policy" in answer.headers
    written = (lake.root / "logs/app.log").read_text()
    assert "Traceback" in written and "unforeseen" in written and "half-way" in written and "hunter22" not in written


def test_what_the_server_complains_of_is_in_the_log(lake: Lake) -> None:
    lake.shop()
    logs.start(lake.settings.log_dir, level="INFO", secrets=(), console_level="CRITICAL")
    with served(lake) as page:
        host, port = page.host.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            line.sendall(b"no request of http\r\n\r\n")
            assert b" 400 " in line.recv(1000)
    assert "uvicorn: Invalid HTTP request received" in (lake.root / "logs/app.log").read_text()


def test_the_page_opens_while_a_run_holds_the_lake(lake: Lake) -> None:
    lake.shop().good()
    with lock.lock_lake(lake.data, command="make pipeline", run_id="r", now=datetime.now(UTC)), served(lake) as page:
        assert page.ask("GET", "/").status == 200


def test_many_tabs_are_answered_side_by_side(lake: Lake) -> None:
    lake.shop().good()
    found: list[int] = []
    with served(lake) as page:
        people = [threading.Thread(target=lambda: found.append(page.ask("GET", "/").status)) for _ in range(16)]
        for thread in people:
            thread.start()
        for thread in people:
            thread.join()
    assert found == [200] * 16


# -- the cookie


@needs_browser
def test_no_other_server_of_this_machine_is_sent_the_pages_cookie(lake: Lake) -> None:
    """A browser sends cookies to every port of a host: the page has a host, an address, of its own."""
    sent: list[str] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    lake.shop().good()
    other = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=other.serve_forever, args=(0.05,))
    thread.start()
    try:
        with served(lake) as page, launched() as browser:
            tab = browser.new_page()
            tab.goto(f"{page.url}?key={page.key}")
            tab.wait_for_url(page.url)
            assert tab.locator("main").count() == 1
            assert [cookie["name"] for cookie in tab.context.cookies()] == [page.cookie.split("=")[0]]
            for name in ("127.0.0.1", "localhost"):
                tab.goto(f"http://{name}:{other.server_port}/")
            tab.context.clear_cookies()
            tab.set_content(f'<a href="{page.url}?key={page.key}">as in a terminal in the browser</a>')
            tab.get_by_role("link").click()
            tab.wait_for_url(page.url)
            assert tab.locator("main h1").count() == 1
    finally:
        other.shutdown()
        other.server_close()
        thread.join()
    assert sent and set(sent) == {""}


def test_two_pages_have_two_addresses(lake: Lake, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(50)]
    assert len({server.own_address(folder) for folder in folders}) == 50


def test_an_address_is_never_the_first_that_others_use() -> None:
    assert not [n for n in range(1000) if server.own_address(Path(f"/p{n}")).startswith("127.0.")]
