"""Who may speak to the page: with bare requests, as no browser of ours would send them.

Each protection was taken out of the code once, and a test of its name failed: the Host list, the key, the comparison in
constant time, the swap of the key, HttpOnly and SameSite, the slash before an address, Origin, Sec-Fetch-Site, the form
token, the policy, Referrer-Policy, the length of a form, the guard of websockets and their Origin, autoescape. So were
the read-only rule (test_page_readonly.py), the page's own address and the screen of a bug (test_page_server.py).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Served, served
from conftest import Lake

from src.page import guard

OTHERS = ("http://evil.example", "null", "", None, "http://127.0.0.1:9999", "http://localhost:1")
ANSWERED = ("/", "/static/page.css", "/nowhere", "/table/silver.shop.orders")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    lake = Lake(tmp_path_factory.mktemp("guard"))
    lake.shop().land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    with served(lake) as page:
        yield page


# -- who is let in


@pytest.mark.parametrize("path", [*ANSWERED, "/act/run"])
def test_nothing_is_answered_without_the_key(shop: Served, path: str) -> None:
    name, key = shop.cookie.split("=")
    wrong = (None, f"{name}=", f"{name}={key}x", f"{name}={key[:-1]}", f"boathouse-1={key}", f"x{name}={key}")
    assert {shop.ask("GET", path, Cookie=cookie).status for cookie in wrong} == {403}
    assert shop.ask("GET", f"{path}?key={key[:-1]}", Cookie=None).status == 403
    assert shop.ask("POST", path, Cookie=None).status == 403


def test_another_cookie_of_this_machine_is_nothing_to_us(shop: Served) -> None:
    assert shop.ask("GET", "/", Cookie=f'odd="x;y; b=[1]{{}}; {shop.cookie}; boathouse-1=z').status == 200


def test_the_key_is_compared_in_constant_time(shop: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def compared(a: bytes, b: bytes) -> bool:
        seen.append((a, b))
        return True

    monkeypatch.setattr(secrets, "compare_digest", compared)
    access = guard.Access("k", "t")
    assert access.opens("given") and access.is_ours("token")
    assert seen == [(b"given", b"k"), (b"token", b"t")]


def test_a_name_that_somebody_points_here_is_refused(shop: Served) -> None:
    port = shop.host.split(":")[1]
    for host in (f"evil.example:{port}", f"127.0.0.1:{port}", f"localhost:{port}", shop.host.split(":")[0], "", "x"):
        assert shop.ask("GET", "/", Host=host).status == 421, host
    assert shop.ask("GET", "/", Host=None).status in (400, 421)


def test_the_key_is_swapped_for_a_cookie_and_leaves_the_address(shop: Served) -> None:
    answer = shop.ask("GET", f"/?key={shop.key}", Cookie=None)
    assert (answer.status, answer.headers["refresh"]) == (200, "0; url=/")
    assert shop.key not in answer.text
    assert answer.headers["set-cookie"] == f"{shop.cookie}; HttpOnly; Path=/; SameSite=strict"
    assert shop.ask("POST", f"/act/run?key={shop.key}", Cookie=None).status == 403


@pytest.mark.parametrize("path", ["//evil.example/", "/%2fevil.example/", "/%5cevil.example/", "/%0d%0aX-Made:%20up"])
def test_no_address_leads_elsewhere_or_adds_a_header(shop: Served, path: str) -> None:
    answer = shop.ask("GET", f"{path}?key={shop.key}", Cookie=None)
    assert answer.status == 200
    onward = answer.headers["refresh"].removeprefix("0; url=")
    assert onward.startswith("/") and onward[1] not in "/\\" and f'href="{onward}"' in answer.text
    assert "x-made" not in answer.headers


# -- forms


def form(shop: Served, token: str | None = None) -> str:
    return f"form_token={shop.form_token if token is None else token}&cause=none"


def test_a_form_of_another_origin_does_nothing_even_with_the_token(shop: Served) -> None:
    own = shop.ask("POST", "/act/ack", form(shop))
    assert own.status == 400 and "no cause none" in own.text  # so that the refusals below are for their origin
    for origin in OTHERS:
        refused = shop.ask("POST", "/act/ack", form(shop), Origin=origin)
        assert (refused.status, refused.text) == (403, "not from this page"), origin


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_the_browser_says_of_a_forms_page_counts_beside_the_origin(shop: Served, site: str) -> None:
    assert shop.ask("POST", "/act/ack", form(shop), Sec_Fetch_Site="same-origin").status == 400
    assert shop.ask("POST", "/act/ack", form(shop), Sec_Fetch_Site=site).status == 403


@pytest.mark.parametrize("token", ["", "x", "ü"])
def test_a_form_without_our_token_does_nothing_even_from_our_origin(shop: Served, token: str) -> None:
    for body in (form(shop, token), "cause=none"):
        answer = shop.ask("POST", "/act/ack", body)
        assert answer.status == 400 and "not a form of this page" in answer.text


def test_a_form_that_is_too_long_is_refused(shop: Served) -> None:
    answer = shop.ask("POST", "/act/ack", form(shop) + "&reason=" + "x" * 1_000_001)
    assert answer.status == 400 and "longer than 1 MB" in answer.text


def test_a_form_that_is_no_form_is_refused(shop: Served) -> None:
    for body in (b"\x00\xff\xfe", b"{}", b"a" * 1000, b"&&&===", form(shop).encode().replace(b"form_", b"form%00_")):
        assert shop.ask("POST", "/act/ack", body).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(shop: Served, method: str) -> None:
    assert shop.ask(method, "/act/run").status == 403  # it names no origin
    assert shop.ask(method, "/act/run", Origin=shop.url.rstrip("/")).status == 405


def test_an_act_is_no_link(shop: Served) -> None:
    for what in ("run", "ack", "snooze", "replay", "backfill", "confirm"):
        answer = shop.ask("GET", f"/act/{what}?form_token={shop.form_token}")
        assert answer.status == 405 and "no GET of" in answer.text


# -- what is answered


@pytest.mark.parametrize("path", [*ANSWERED, "/static/nothing", "/act/run", "/?key=x"])
def test_every_answer_says_what_may_run_in_it(shop: Served, path: str) -> None:
    for cookie in (shop.cookie, None):
        headers = shop.ask("GET", path, Cookie=cookie).headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_head_answers_as_get_does_and_without_a_text(shop: Served) -> None:
    for path in ("/", "/static/page.css"):
        head = shop.ask("HEAD", path)
        assert (head.status, head.text) == (200, "")


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fsettings.py", "/static//etc/passwd"]
)
def test_no_other_file_is_read(shop: Served, path: str) -> None:
    answer = shop.ask("GET", path)
    assert answer.status == 404 and "import" not in answer.text


@pytest.mark.parametrize(
    "path", ["/nowhere", "/%3Cscript%3Ealert(1)%3C/script%3E", "/table/%00", "/table/../x", "/%ff"]
)
def test_an_unknown_address_is_a_screen_and_no_markup(shop: Served, path: str) -> None:
    answer = shop.ask("GET", path)
    assert answer.status in (400, 404)
    assert "<script>alert" not in answer.text and "That is not possible now" in answer.text


# -- websockets


def test_a_websocket_is_held_to_the_same(shop: Served) -> None:
    rules = guard.Rules({"h:1"}, "c")
    key, reached = guard.Access("k", "t"), []

    def opened(**headers: str) -> bool:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            reached.append(scope["path"])

        async def send(message: Any) -> None:
            assert message == {"type": "websocket.close", "code": 1008}

        async def receive() -> Any:
            raise AssertionError("nothing is read of it")

        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "websocket", "path": "/ws", "query_string": b"key=k", "headers": sent}
        reached.clear()
        asyncio.run(guard.Guard(app, key, rules)(scope, receive, send))
        return bool(reached)

    assert opened(host="h:1", cookie="c=k", origin="http://h:1")
    assert not opened(host="h:1", cookie="c=k", origin="http://evil.example")
    assert not opened(host="h:1", cookie="c=k")
    assert not opened(host="h:1", origin="http://h:1")
    assert not opened(host="evil.example", cookie="c=k", origin="http://h:1")
