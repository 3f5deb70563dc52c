"""Any REST API by what a contract says: auth, pages, slices, errors; and no page loops for ever."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from fake_api import Api, Reply, Request, api

from src.contract import Feed, Source
from src.errors import AuthError, ContractError, TransientError
from src.landing import accounts, registry
from src.landing.connector import Asked, BusyError, NotYetError
from src.landing.connectors import rest
from src.landing.patience import GaveUpError

DAY = date(2026, 11, 9)


@pytest.fixture
def server() -> Iterator[Api]:
    with api() as made:
        yield made


class Kept:
    """An answer that is kept in memory."""

    def __init__(self) -> None:
        self.requests, self.data = 0, b""

    def write(self, data: bytes) -> None:
        self.data += data


def asked(written: dict[str, Any], seconds: float = 3.0, **secrets: str) -> Asked:
    source = Source("rest", "shop", written)
    feed = Feed("shop", "orders", "shop/orders/*.ndjson", "ndjson", source=source)
    registry.check([feed])
    end = time.monotonic() + seconds
    return Asked(
        source=source,
        feed=feed,
        options=registry.options(source),
        secrets=secrets,
        start=DAY,
        end=DAY,
        now=datetime(2026, 11, 10, tzinfo=UTC),
        landed=lambda: (),
        remembered=lambda name: None,
        seconds_left=lambda: end - time.monotonic(),
        accounts=accounts.accounts(registry.options(source)["accounts"], Path()),
    )


def fetched(written: dict[str, Any], seconds: float = 3.0, **secrets: str) -> tuple[int, list[str]]:
    """The rows of the first slice, as they land."""
    question = asked(written, seconds, **secrets)
    answer = Kept()
    rows = rest.fetch(question, rest.slices(question)[0], answer)  # type: ignore[arg-type]
    assert rows == answer.data.count(b"\n")
    return answer.requests, answer.data.decode().splitlines()


def page(*numbers: int, **more: Any) -> Reply:
    return Reply({"data": [{"n": number} for number in numbers], **more})


ROWS = [f'{{"n": {number}}}' for number in range(1, 6)]


# -- auth


@pytest.mark.parametrize(
    ("auth", "secrets", "sent"),
    [
        ("bearer", {"TOKEN": "t-1"}, ("authorization", "Bearer t-1")),
        (
            "basic",
            {"USER": "ø", "PASSWORD": "p:w"},
            ("authorization", "Basic " + base64.b64encode("ø:p:w".encode()).decode()),
        ),
        ({"header": "X-Api-Key"}, {"KEY": "k-1"}, ("x-api-key", "k-1")),
    ],
)
def test_credentials_go_where_the_contract_says(
    server: Api, auth: Any, secrets: dict[str, str], sent: tuple[str, str]
) -> None:
    server.answer = lambda request: Reply([{"n": 1}])
    fetched({"url": server.url, "auth": auth}, 3.0, **secrets)
    assert server.asked[0].headers[sent[0]] == sent[1]


def test_a_redirect_to_another_host_gets_no_credential(server: Api) -> None:
    with api(lambda request: Reply([{"n": 1}])) as store:
        server.answer = lambda request: Reply(status=302, headers={"Location": f"{store.url}/signed?x=1"})
        assert fetched({"url": server.url, "auth": {"header": "X-Api-Key"}}, KEY="k-1") == (2, ['{"n": 1}'])
        assert "x-api-key" not in store.asked[0].headers
        server.answer = lambda request: Reply(status=302, headers={"Location": f"{store.url}/signed?x=1"})
        fetched({"url": server.url, "auth": "bearer", "params": {"a": 1}}, TOKEN="t-1")
        assert "authorization" not in store.asked[1].headers and store.asked[1].params == {"x": "1"}


# -- pages


def test_pages_are_followed_by_the_address_of_the_next_one_which_never_leads_to_another_host(server: Api) -> None:
    def answer(request: Request) -> Reply:
        after = int(request.params.get("after", 0))
        assert request.params["key"] == "k-1" and request.headers["accept"] == "*/*"
        more = {"paging": {"next": f"{server.url}/x?key=k-1&after={after + 2}"}} if after < 4 else {}
        return page(*range(after + 1, min(after + 3, 6)), **more)

    server.answer = answer
    written = {"url": f"{server.url}/x", "rows": "data", "paging": {"next": "paging.next"}, "auth": {"query": "key"}}
    assert fetched(written, KEY="k-1") == (3, ROWS)
    server.answer = lambda request: page(1, paging={"next": "https://evil.example.com/x"})
    with pytest.raises(ContractError, match="the next page is on another host, evil"):
        fetched(written, KEY="k-1")
    server.answer = lambda request: page(1, paging={"next": f"{server.url}/x?after=1"})
    with pytest.raises(ContractError, match="page 3 is one that came before"):
        fetched(written, KEY="k-1")


def test_pages_are_followed_by_cursor_in_a_parameter_or_a_body(server: Api) -> None:
    def answer(request: Request) -> Reply:
        said = json.loads(request.body) if request.body else request.params
        after = int(said.get("cursor", 0))
        assert said["day"] == str(DAY)
        return page(*range(after + 1, min(after + 3, 6)), meta={"cursor": str(after + 2) if after < 4 else ""})

    server.answer = answer
    paging = {"cursor": "meta.cursor", "param": "cursor"}
    common = {"url": server.url, "rows": "data", "paging": paging, "slice": "day"}
    assert fetched({**common, "params": {"day": "{day}"}}) == (3, ROWS)
    assert fetched({**common, "method": "POST", "body": {"day": "{day}", "deep": [{"x": "{start}"}]}}) == (3, ROWS)
    assert json.loads(server.asked[-1].body) == {"day": str(DAY), "deep": [{"x": str(DAY)}], "cursor": "4"}
    server.answer = lambda request: page(1, meta={"cursor": "same"})
    with pytest.raises(ContractError, match="came before"):
        fetched({**common, "params": {"day": "{day}"}})


def test_pages_are_followed_by_number_and_by_offset_until_one_is_short_or_empty(server: Api) -> None:
    def answer(request: Request) -> Reply:
        start = int(request.params.get("offset", 0)) or (int(request.params.get("page", 1)) - 1) * 2
        return page(*range(start + 1, min(start + 3, 6)))

    server.answer = answer
    common = {"url": server.url, "rows": "data"}
    assert fetched({**common, "paging": {"page": "page", "first": 1, "size": 2}}) == (3, ROWS)
    assert fetched({**common, "paging": {"page": "page"}}) == (4, ROWS)
    assert fetched({**common, "paging": {"offset": "offset", "size": 2}}) == (3, ROWS)
    server.answer = lambda request: page(1, 2)  # a source that does not know the parameter
    with pytest.raises(ContractError, match="page 2 is the same as the one before"):
        fetched({**common, "paging": {"page": "p"}})


def test_pages_are_followed_by_the_link_header(server: Api) -> None:
    def answer(request: Request) -> Reply:
        last = request.params.get("page") == "2"
        link = {} if last else {"Link": '</x?page=2>; rel="next", </x?page=9>; rel="last"'}
        return replace(page(3) if last else page(1, 2), headers=link)

    server.answer = answer
    assert fetched({"url": f"{server.url}/x", "rows": "data", "paging": "link"}) == (2, ROWS[:3])


def test_a_page_that_fails_in_passing_is_asked_for_again_and_not_those_before_it(server: Api) -> None:
    failing = [True]

    def answer(request: Request) -> Reply:
        if request.params["page"] == "2" and failing:
            failing.pop()
            return Reply(status=502)
        return page(1, 2) if request.params["page"] == "1" else page(3)

    server.answer = answer
    assert fetched({"url": server.url, "rows": "data", "paging": {"page": "page", "size": 2}}) == (3, ROWS[:3])


# -- rows


def test_rows_are_cut_out_as_they_stand(server: Api) -> None:
    rows = '[ {"n": 1.10e+05,\r\n "s": "a,]}\\n\\u00e9"} , {"n":12345678901234567890.120}\n]'
    text = '\ufeff {"x": [1, {"items": 5}], "data": {"items":\n' + rows + "}}"
    server.answer = lambda request: Reply(text)
    assert fetched({"url": server.url, "rows": "data.items"})[1] == [
        '{"n": 1.10e+05,   "s": "a,]}\\n\\u00e9"}',
        '{"n":12345678901234567890.120}',
    ]
    for body, found in (('{"data": null}', []), ('{"data": []}', []), ('{"data": {"n": 1}}', ['{"n": 1}'])):
        server.answer = lambda request, body=body: Reply(body)  # type: ignore[misc]
        assert fetched({"url": server.url, "rows": "data"})[1] == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"dato": [], "n": 1}', "no data in the answer; it has dato, n"),
        ("[1]", "no data in the answer, which is '[1]'"),
        ('{"data": 5}', "data is 5, no list and no object"),
        ('{"data": [{"n": 1},', "the answer is no JSON at character 20: 'its end'"),
        ('{"data": [{"n": 1} {"n": 2}]}', "no JSON at character 20"),
        ("<html>Login</html>", "no data in the answer, which is '<html>"),
        ("", "no JSON"),
        ('{"data": ' + "[" * 100_000, "no JSON"),
    ],
)
def test_an_answer_that_is_not_what_the_contract_says_is_refused(server: Api, body: str, found: str) -> None:
    server.answer = lambda request: Reply(body)
    with pytest.raises(ContractError) as raised:
        fetched({"url": server.url, "rows": "data"})
    assert found in str(raised.value)


def test_a_raw_body_lands_as_it_is_and_a_packed_one_unpacked(server: Api) -> None:
    body = "Provider\tUnits\nAPPLE\t1\n"
    for reply in (Reply(body), Reply(gzip.compress(body[:9].encode()) + gzip.compress(body[9:].encode()))):
        server.answer = lambda request, reply=reply: reply  # type: ignore[misc]
        assert fetched({"url": server.url, "raw": True}) == (1, body.splitlines())
    server.answer = lambda request: Reply(gzip.compress(body.encode())[:-9])
    with pytest.raises(TransientError, match="ended too early"):
        fetched({"url": server.url, "raw": True})


# -- slices


def test_slices_are_days_months_accounts_or_everything() -> None:
    def names(**written: Any) -> list[tuple[str, date | None]]:
        question = replace(
            asked({"url": "http://127.0.0.1/{day}{month}/{account}", **written}), start=date(2026, 10, 31)
        )
        return [(part.name, part.day) for part in rest.slices(question)]

    assert names() == [("all", None)]
    assert names(slice="month") == [("2026-10", date(2026, 10, 31)), ("2026-11", DAY)]
    assert len(names(slice="day")) == 10
    assert names(accounts=[7, "a/b"]) == [("7/all", None), ("a~2Fb/all", None)]


# -- errors


def judged(server: Api, reply: Reply, errors: list[dict[str, Any]] | None = None, seconds: float = 0.4) -> Exception:
    server.answer = lambda request: reply
    try:
        fetched({"url": server.url, "errors": errors or []}, seconds)
    except Exception as error:
        return error
    raise AssertionError("no error")


def test_errors_are_told_apart_by_status(server: Api) -> None:
    assert isinstance(judged(server, Reply(status=401)), AuthError)
    assert isinstance(judged(server, Reply(status=403)), AuthError)
    assert isinstance(judged(server, Reply(status=400)), ContractError)
    assert isinstance(judged(server, Reply(status=404)), ContractError)
    assert isinstance(judged(server, Reply(status=500)), GaveUpError)
    assert isinstance(judged(server, Reply(status=429)), GaveUpError)
    error = judged(server, Reply("x" * 5000, 400))
    assert len(str(error)) < 600 and server.url in str(error)


def test_rules_of_the_contract_tell_apart_what_the_status_does_not(server: Api) -> None:
    rules: list[dict[str, Any]] = [
        {"path": "error.code", "values": [190, 102], "is": "auth"},
        {"path": "error.code", "values": [4, 17], "is": "transient"},
        {"status": 404, "text": "no sales", "is": "empty"},
        {"status": 404, "is": "not_yet"},
        {"status": [200, 201], "text": "maintenance", "is": "transient"},
    ]
    assert isinstance(judged(server, Reply({"error": {"code": 190}}, 400), rules), AuthError)
    assert isinstance(judged(server, Reply({"error": {"code": 17}}, 400), rules), GaveUpError)
    assert isinstance(judged(server, Reply({"error": {"code": 100}}, 400), rules), ContractError)
    assert isinstance(judged(server, Reply("later", 404), rules), NotYetError)
    assert isinstance(judged(server, Reply({"note": "Maintenance"}, 200), rules), GaveUpError)
    server.answer = lambda request: Reply("There were NO SALES", 404)
    assert fetched({"url": server.url, "errors": rules}) == (1, [])


def test_retry_after_is_seconds_or_a_moment(server: Api) -> None:
    later = format_datetime(datetime.fromtimestamp(time.time() + 3600, UTC), usegmt=True)
    for text in ("3600", later):
        error = judged(server, Reply(status=503, headers={"Retry-After": text}))
        cause = error.__cause__
        assert isinstance(cause, BusyError) and 3590 < cause.seconds <= 3600


def test_no_answer_is_transient_and_shows_no_query(server: Api) -> None:
    with pytest.raises(TransientError) as raised:
        fetched({"url": "http://127.0.0.1:9/x", "auth": {"query": "key"}}, 0.4, KEY="s3cret-key")
    assert "http://127.0.0.1:9/x does not answer" in str(raised.value) and "s3cret" not in str(raised.value)


def test_a_source_is_called_no_more_often_than_its_rate(server: Api) -> None:
    server.answer = lambda request: (
        page(*range(1, 4 - int(request.params["page"]))) if request.params["page"] != "3" else page()
    )
    began = time.monotonic()
    fetched({"url": server.url, "rows": "data", "paging": {"page": "page"}, "rate": "5 per second"})
    assert len(server.asked) == 3 and time.monotonic() - began >= 0.4


def test_a_probe_reads_one_page_and_lands_nothing(server: Api) -> None:
    server.answer = lambda request: page(1, 2, next="x")
    assert rest.probe(asked({"url": server.url, "rows": "data"})) == "answers; 2 rows in the first page of all"
