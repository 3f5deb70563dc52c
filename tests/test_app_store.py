"""App Store Connect: what Apple says of a day or an instance is one statement; no key, token or link goes astray."""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake, needs_sample, short
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fake_api import Reply, Request
from fake_app_store import (
    COLUMNS,
    CREDENTIALS,
    ENGAGEMENT,
    ENGAGEMENT_COLUMNS,
    PRIVATE,
    AppStore,
    app_store,
    engagement,
    refusal,
    report,
    sale,
)

from src.contract import Feed, Source
from src.errors import AuthError, BoathouseError, ContractError, TransientError
from src.landing import pull, registry
from src.landing.connector import Account, Asked, BusyError, Landed, NotYetError, Slice
from src.landing.connectors import app_store as connector
from src.landing.records import Pull
from src.project import open_project

DAY = date(2026, 11, 9)
READY = datetime(2026, 11, 10, 17, tzinfo=UTC)  # 9 in the morning of the Pacific zone
VENDOR, APP = "85000001", "900001"


@pytest.fixture
def apple() -> Iterator[AppStore]:
    with app_store() as made:
        made.now = READY
        yield made


class Kept:
    """An answer that is kept in memory."""

    def __init__(self) -> None:
        self.requests, self.data, self.is_unchanged = 0, b"", False

    def write(self, data: bytes) -> None:
        self.data += data

    def unchanged(self) -> None:
        self.is_unchanged = True


def asked(apple: AppStore, account: str = VENDOR, day: date = DAY, **options: Any) -> Asked:
    written = {"accounts": [account], "url": apple.url, "readyAt": "08:00 America/Los_Angeles", **options}
    source = Source("app_store", "app_store", written)
    feed = Feed("kpi", "sales", "kpi/sales/*/*.tsv", "csv", source=source)
    registry.check([feed])
    return Asked(
        source=source,
        feed=feed,
        options=registry.options(source),
        secrets=CREDENTIALS,
        start=day,
        end=day,
        now=apple.now,
        landed=lambda: (),
        remembered=lambda name: None,
        seconds_left=lambda: 5.0,
        accounts=(Account(account),),
    )


def fetched(question: Asked, part: Slice | None = None) -> Kept:
    """What the first slice lands."""
    answer = Kept()
    rows = connector.fetch(question, part or connector.slices(question)[0], answer)  # type: ignore[arg-type]
    assert rows == max(0, answer.data.count(b"\n") - 1)
    return answer


def refused(question: Asked) -> BoathouseError:
    with pytest.raises(BoathouseError) as raised:
        fetched(question)
    return raised.value


def test_the_page_of_the_stores_names_every_option_and_credential() -> None:
    page = (ROOT / "docs/app-store.md").read_text(encoding="utf-8")
    assert [name for name in connector.OPTIONS if f"`{name}`" not in page] == []
    assert [name for name in connector.SECRETS if f"SOURCE_APP_STORE_{name}" not in page] == []


# -- tokens


def test_a_token_is_the_same_for_a_quarter_of_an_hour_and_another_a_minute_before_it_ends(apple: AppStore) -> None:
    token = connector.Token(CREDENTIALS["KEY_ID"], CREDENTIALS["ISSUER_ID"], CREDENTIALS["PRIVATE_KEY"])
    first, same, other = token.valid_at(1e9), token.valid_at(1e9 + 839), token.valid_at(1e9 + 840)
    assert first == same != other


def test_apple_takes_the_token_and_the_days_of_one_pull_share_it(apple: AppStore) -> None:
    apple.sales[VENDOR, DAY] = report(sale(DAY, 12))
    question = replace(asked(apple), start=DAY - timedelta(days=1))
    for part in connector.slices(question):
        fetched(question, part)
    assert len(apple.tokens) == 2 and len(set(apple.tokens)) == 1


def test_a_token_is_another_before_it_ends_though_the_pull_goes_on(apple: AppStore) -> None:
    apple.sales[VENDOR, DAY] = report(sale(DAY, 12))
    question = asked(apple)
    [part] = connector.slices(question)
    fetched(question, part)
    apple.now += timedelta(minutes=16)
    part.details["shared"].asked_at = apple.now
    fetched(question, part)
    assert len(set(apple.tokens)) == 2


@pytest.mark.parametrize(("minutes", "told"), [(16, "960 s behind Apple's"), (-10, "600 s ahead of Apple's")])
def test_a_clock_that_is_wrong_makes_a_token_wrong_and_is_told(apple: AppStore, minutes: int, told: str) -> None:
    question = asked(apple)
    apple.now += timedelta(minutes=minutes)
    error = refused(question)
    assert isinstance(error, AuthError) and f"the clock of this machine is {told}" in error.what
    assert "SOURCE_APP_STORE_KEY_ID, SOURCE_APP_STORE_ISSUER_ID, SOURCE_APP_STORE_PRIVATE_KEY" in str(error.fix)


def _pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


PUBLIC = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
NO_KEYS = {
    "RSA": _pem(rsa.generate_private_key(65537, 2048)),
    "another curve": _pem(ec.generate_private_key(ec.SECP384R1())),
    "the public half": PUBLIC,
    "cut off": CREDENTIALS["PRIVATE_KEY"][:90],
    "spoilt": CREDENTIALS["PRIVATE_KEY"].replace("\n", "\nAA", 1),
    "no text": "\x00\udcff",
    "no file": "keys/none.p8",
}


@pytest.mark.parametrize("what", NO_KEYS)
def test_what_is_no_key_of_es256_is_told_by_the_name_of_its_setting_alone(apple: AppStore, what: str) -> None:
    error = refused(replace(asked(apple), secrets={**CREDENTIALS, "PRIVATE_KEY": NO_KEYS[what]}))
    assert isinstance(error, AuthError) and error.what.startswith("SOURCE_APP_STORE_PRIVATE_KEY ")
    assert not any(line in str(error) for line in NO_KEYS[what].splitlines() if line)
    assert apple.asked == []


def test_the_key_is_a_file_below_the_project_or_its_text_in_one_line(apple: AppStore, lake: Lake) -> None:
    apple.sales[VENDOR, DAY] = report(sale(DAY, 12))
    (lake.root / "AuthKey.p8").write_text(CREDENTIALS["PRIVATE_KEY"])
    for key in ("AuthKey.p8", str(lake.root / "AuthKey.p8"), CREDENTIALS["PRIVATE_KEY"].replace("\n", "\\n")):
        secrets = {**CREDENTIALS, "PRIVATE_KEY": key}
        assert fetched(replace(asked(apple), secrets=secrets, settings=lake.settings)).data


# -- sales


def test_a_report_lands_unpacked_as_it_came(apple: AppStore) -> None:
    text = report(sale(DAY, 12, title='Harbor "Pro", big'), sale(DAY, -2, "IA1", "gold", parent="harbor.ios"))
    apple.sales[VENDOR, DAY] = text
    assert fetched(asked(apple)).data.decode() == text
    [request] = apple.apple.asked
    assert request.params == {
        "filter[vendorNumber]": VENDOR,
        "filter[reportType]": "SALES",
        "filter[reportSubType]": "SUMMARY",
        "filter[frequency]": "DAILY",
        "filter[reportDate]": "2026-11-09",
        "filter[version]": "1_3",
    }


def test_no_sales_is_an_empty_day_once_the_day_has_to_be_ready(apple: AppStore) -> None:
    assert fetched(asked(apple)).data == b""


@pytest.mark.parametrize("hour", [7, 13, 15.9])  # before the day is over, before 6, and before 8 in the Pacific zone
def test_no_sales_is_not_believed_before_the_day_has_to_be_ready(apple: AppStore, hour: float) -> None:
    apple.now = READY.replace(hour=0) + timedelta(hours=hour)
    apple.replies = [refusal(404, "NOT_FOUND", "There were no sales for the date specified.")]
    assert isinstance(refused(asked(apple)), NotYetError)


def test_of_days_that_apple_keeps_no_longer_no_404_says_that_there_was_nothing(apple: AppStore) -> None:
    error = refused(asked(apple, day=DAY - timedelta(days=366)))
    assert isinstance(error, ContractError) and "ask from START=2025-11-10 on" in str(error.fix)


ERRORS: dict[str, tuple[Reply, type[BoathouseError], str]] = {
    "401": (refusal(401, "NOT_AUTHORIZED", "Provide a token"), AuthError, "NOT_AUTHORIZED: Provide a token"),
    "403": (refusal(403, "FORBIDDEN_ERROR", "The API key in use does not allow this"), AuthError, "Sales and Reports"),
    "agreement": (
        refusal(403, "FORBIDDEN.REQUIRED_AGREEMENTS_MISSING_OR_EXPIRED", "A required agreement is missing"),
        AuthError,
        "has to accept the agreement",
    ),
    "404": (refusal(404, "NOT_FOUND", "Report is not available yet."), NotYetError, "not available yet"),
    "400": (refusal(400, "PARAMETER_ERROR.INVALID", "No such vendor"), ContractError, "PARAMETER_ERROR.INVALID"),
    "429": (refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down"), BusyError, "RATE_LIMIT_EXCEEDED: Slow down"),
    "500": (refusal(500, "UNEXPECTED_ERROR", "An unexpected error occurred"), TransientError, "UNEXPECTED_ERROR"),
    "503": (Reply("<html>Service Unavailable</html>", 503), TransientError, "HTTP 503"),
    "a page": (Reply("<html>Log in</html>"), ContractError, "it has <html>Log in</html>"),
    "nothing": (Reply(b""), ContractError, "no column SKU, Product Type Identifier"),
    "no text": (Reply(gzip.compress(b"\xff" * 70_000)), ContractError, "no column SKU"),
    "cut off": (Reply(gzip.compress(report(sale(DAY, 1)).encode())[:-9]), TransientError, "ended too early"),
    "spoilt": (
        Reply(gzip.compress(report(sale(DAY, 1)).encode())[:-5] + b"12345"),
        TransientError,
        "a damaged gzip file",
    ),
    "renamed": (
        Reply(gzip.compress(report(columns=COLUMNS.replace("Units", "Quantity")).encode())),
        ContractError,
        "no column Units in the report; it has Provider, Provider Country, SKU, Developer, Title, Version, "
        "Product Type Identifier, Quantity",
    ),
    "missing": (
        Reply(gzip.compress(report(columns=COLUMNS.replace("\tSKU", "").replace("\tParent Identifier", "")).encode())),
        ContractError,
        "no column SKU, Parent Identifier in the report",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_is_told_apart_by_its_code_and_words(apple: AppStore, what: str) -> None:
    reply, kind, told = ERRORS[what]
    apple.replies = [reply]
    error = refused(asked(apple))
    assert (type(error), told in str(error)) == (kind, True)
    assert not any(token in str(error) for token in apple.tokens)


def test_a_version_that_apple_no_longer_has_is_told_with_the_one_it_wants(apple: AppStore) -> None:
    apple.latest = "1_4"
    error = refused(asked(apple))
    assert isinstance(error, ContractError) and error.fix == "write `version: 1_4` in the contract"
    apple.sales[VENDOR, DAY] = report(sale(DAY, 12))
    assert fetched(asked(apple, version="1_4")).data


def test_apple_is_left_alone_where_the_calls_of_an_hour_are_used_up(apple: AppStore) -> None:
    apple.replies = [refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down") for _ in range(2)]
    burst = refused(asked(apple))
    apple.calls_left = 1
    spent = refused(asked(apple))
    assert isinstance(burst, BusyError) and isinstance(spent, BusyError) and spent.seconds > burst.seconds >= 30
    apple.replies = [refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down", **{"Retry-After": "7"})]
    named = refused(asked(apple))
    assert isinstance(named, BusyError) and named.seconds == 7.0


def test_the_last_call_of_an_hour_is_the_last_of_the_pull(apple: AppStore) -> None:
    apple.sales = {(VENDOR, DAY): report(sale(DAY, 12)), (VENDOR, DAY - timedelta(days=1)): report(sale(DAY, 1))}
    apple.calls_left = 1
    question = replace(asked(apple), start=DAY - timedelta(days=1))
    first, second = connector.slices(question)
    assert fetched(question, first).data
    with pytest.raises(BusyError, match="the calls of this hour are used up"):
        fetched(question, second)
    assert len(apple.asked) == 1


def test_a_probe_is_one_call(apple: AppStore) -> None:
    assert connector.probe(asked(apple)) == f"answers; 2026-11-09 of vendor {VENDOR} has no sales"
    apple.sales[VENDOR, DAY] = report(sale(DAY, 12))
    assert connector.probe(asked(apple)) == f"answers; 2026-11-09 of vendor {VENDOR} has a report"
    apple.requests[APP] = "live"
    assert "has an ONGOING request" in connector.probe(asked(apple, APP, report=ENGAGEMENT))
    assert len(apple.asked) == 3
    with pytest.raises(AuthError):
        connector.probe(replace(asked(apple), secrets={**CREDENTIALS, "KEY_ID": "another"}))


# -- analytics reports


def told(day: date, counts: int) -> str:
    return report(engagement(day, counts), columns=ENGAGEMENT_COLUMNS)


def analytics(apple: AppStore, day: date = DAY, **options: Any) -> Asked:
    return asked(apple, APP, day, **{"report": ENGAGEMENT, **options})


def test_the_segments_of_an_instance_are_one_table_found_over_pages_of_every_list(apple: AppStore) -> None:
    days = [DAY - timedelta(days=n) for n in range(5)]
    apple.instances[APP] = {day: [told(day, n), told(day, 10 + n), told(day, 20 + n)] for n, day in enumerate(days)}
    apple.requests[APP] = "live"
    question = replace(analytics(apple), start=days[-1])
    landed = [fetched(question, part) for part in connector.slices(question)]
    wanted = [
        report(*(engagement(day, k + n) for k in (0, 10, 20)), columns=ENGAGEMENT_COLUMNS) for n, day in enumerate(days)
    ]
    assert [one.data.decode() for one in reversed(landed)] == wanted
    assert [one.requests for one in landed] == [10, 5, 5, 5, 5]  # the request, report and instances are found once


def test_the_next_page_is_never_one_that_came_before_or_on_another_host(apple: AppStore) -> None:
    for link in (f"{apple.files.url}/v1/x?cursor=1", f"{apple.url}/v1/x?cursor=1"):
        page = Reply({"data": [], "links": {"next": link}})
        apple.apple.answer = lambda request, page=page: page  # type: ignore[misc]
        error = refused(analytics(apple))
        assert isinstance(error, ContractError) and "one that came before, or on another host" in error.what
    assert apple.files.asked == []


def test_a_file_is_fetched_from_its_host_without_the_token(apple: AppStore) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"
    assert fetched(analytics(apple)).data
    [request] = apple.files.asked
    assert "authorization" not in request.headers


@pytest.mark.parametrize("wrong", [{"checksum": "0" * 32}, {"sizeInBytes": 1}])
def test_a_file_that_is_not_whole_is_worth_another_try(apple: AppStore, wrong: dict[str, Any]) -> None:
    apple.instances[APP], apple.requests[APP], apple.spoilt = {DAY: [told(DAY, 1)]}, "live", wrong
    error = refused(analytics(apple))
    assert type(error) is TransientError and "where Apple says" in error.what and "secret-7" not in str(error)


@pytest.mark.parametrize(
    "body",
    [b"<html>Busy</html>", b"", gzip.compress(b"Day\n"), gzip.compress(b"Date\n")[:-3]],
    ids=["a page", "nothing", "another table", "cut off"],  # a packed file has the time in it
)
def test_what_came_instead_of_a_file_is_not_judged_as_one(apple: AppStore, body: bytes) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"
    apple.files.answer = lambda request: Reply(body)
    assert type(refused(analytics(apple))) is TransientError


def test_a_link_that_has_expired_is_worth_another_try_and_no_fault_of_the_key(apple: AppStore) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"
    apple.files.answer = lambda request: Reply("Request has expired", 403)
    error = refused(analytics(apple))
    assert type(error) is TransientError and "secret-7" not in str(error)


def test_files_of_one_instance_with_different_columns_are_no_table(apple: AppStore) -> None:
    other = told(DAY, 1).replace("Counts", "Total", 1)
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1), other]}, "live"
    error = refused(analytics(apple))
    assert isinstance(error, ContractError) and "Territory, Counts" in error.what and "Territory, Total" in error.what
    apple.instances[APP] = {DAY: [told(DAY, 1).replace("Date", "Day", 1)]}
    assert "no column Date in the report; it has Day, App Name" in str(refused(analytics(apple)))


def test_a_request_is_made_once_and_only_where_the_contract_says_so(apple: AppStore) -> None:
    apple.instances[APP] = {}
    error = refused(analytics(apple))
    assert isinstance(error, ContractError) and "app 900001 is missing" in error.what and "Admin" in str(error.fix)
    for _ in range(2):
        assert isinstance(refused(analytics(apple, create=True)), NotYetError)
    assert [request.method for request in apple.apple.asked].count("POST") == 1
    apple.requests[APP] = "stopped"
    error = refused(analytics(apple))
    assert isinstance(error, ContractError) and "stopped, as nobody fetched its reports" in error.what


def test_a_report_of_another_name_is_told_with_those_that_there_are(apple: AppStore) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"
    error = refused(analytics(apple, report="App Store Discovery and Engagement"))
    assert isinstance(error, ContractError) and f"did you mean {ENGAGEMENT}?" in str(error.fix)
    assert "App Downloads Standard" in str(error.fix)


@pytest.mark.parametrize("lost", ["id", "name", "processingDate", "url", "checksum", "sizeInBytes"])
def test_an_answer_that_lacks_what_it_had_is_told_with_what_it_has(apple: AppStore, lost: str) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"

    def answer(request: Request) -> Reply:
        reply = apple.answer(request)
        return replace(reply, body=reply.bytes.decode().replace(f'"{lost}"', f'"{lost}s"'))

    apple.apple.answer = answer
    error = refused(analytics(apple))
    assert isinstance(error, ContractError) and f"{lost} in an answer; it has " in error.what
    assert f"{lost}s" in error.what and "secret-7" not in error.what


def test_an_app_that_apple_does_not_know_is_told(apple: AppStore) -> None:
    error = refused(analytics(apple))
    assert isinstance(error, ContractError) and "no app 900001" in error.what and "accounts" in str(error.fix)


def test_an_instance_that_landed_is_asked_for_again_by_a_backfill_alone(apple: AppStore) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"
    landed = Landed(f"{APP}/{DAY}", READY, Path())
    answer = fetched(replace(analytics(apple), landed=lambda: (landed,)))
    assert (answer.is_unchanged, answer.requests) == (True, 0)
    assert fetched(replace(analytics(apple), landed=lambda: (landed,), backfill=True)).data


def test_an_instance_that_is_gone_is_no_failure_and_one_to_come_is_not_yet(apple: AppStore) -> None:
    earlier = DAY - timedelta(days=3)
    apple.instances[APP], apple.requests[APP] = {DAY - timedelta(days=1): [told(DAY, 1)]}, "live"
    assert fetched(analytics(apple, earlier)).data == b""
    landed = Landed(f"{APP}/{earlier}", READY, Path())
    again = replace(analytics(apple, earlier), landed=lambda: (landed,), backfill=True)
    assert fetched(again).is_unchanged
    assert isinstance(refused(analytics(apple)), NotYetError)


# -- into the landing zone and on to silver


@pytest.fixture
def kpi(lake: Lake, apple: AppStore) -> Lake:
    """A project with the shipped contracts, whose source is the server."""
    for name, account in (("sales", VENDOR), ("engagement", APP)):
        path = f"silver/kpi/app_store_{name}.yaml"
        text = (ROOT / "src" / path).read_text(encoding="utf-8")
        [seed] = [line for line in text.splitlines() if "accounts: {seed: apps" in line]
        options = {"accounts": f"['{account}']", "url": apple.url, "budget": "20 s"}
        lake.write(path, text.replace(seed, "\n".join(f"          {key}: {value}" for key, value in options.items())))
    lake.environ |= {f"SOURCE_APP_STORE_{name}": value.replace("\n", "\\n") for name, value in CREDENTIALS.items()}
    return lake


def pulled(kpi: Lake, apple: AppStore, name: str = "sales", start: date | None = None) -> list[Pull]:
    """Pull by the server's clock."""
    pulls: list[Pull] = []
    with open_project(kpi.settings) as project:
        end = apple.now.date() - timedelta(days=1)
        stage = pull.Stage(project.settings, lambda: apple.now, end, start)
        pull.pull(stage, project.contracts.feeds[f"bronze.kpi.app_store_{name}"], pulls, patient=False)
    return pulls


def carried(kpi: Lake, apple: AppStore, name: str = "sales", start: date | None = None) -> None:
    """Pull by the server's clock, and carry what landed up to silver."""
    pulled(kpi, apple, name, start)
    assert kpi.command("run", "--no-pull") == 0


def landed(kpi: Lake) -> list[str]:
    return sorted(path.name for path in (kpi.data / "landing/kpi/app_store").rglob("*") if path.is_file())


@needs_sample
def test_a_day_is_what_apple_said_last_back_and_forth_until_nothing_is_left_of_it(kpi: Lake, apple: AppStore) -> None:
    before = report(sale(DAY, 12, title='A "B'), sale(DAY, -2, "IA1", "gold", parent="harbor.ios", proceeds="1.05"))
    after = report(sale(DAY, 13))
    seen = []
    for hour, said in enumerate([before, after, before, ""]):
        apple.now = READY + timedelta(hours=hour)
        apple.sales[VENDOR, DAY] = said
        apple.sales[VENDOR, DAY - timedelta(days=1)] = report(sale(DAY - timedelta(days=1), 1))
        carried(kpi, apple)
        found = "SELECT day = max(day) OVER (), units, parent_sku, proceeds::DOUBLE FROM silver.kpi.app_store_sales"
        seen.append(kpi.rows(f"{found} ORDER BY day, line"))
    other, first = (False, 1, None, 0.0), [(True, 12, None, 0.0), (True, -2, "harbor.ios", 1.05)]
    assert seen == [[other, *first], [other, (True, 13, None, 0.0)], [other, *first], [(True, 1, None, 0.0)]]
    assert kpi.rows("SELECT DISTINCT title FROM bronze.kpi.app_store_sales ORDER BY 1") == [('A "B',), ("Harbor",)]


@needs_sample
def test_the_same_lines_in_another_order_are_the_same(kpi: Lake, apple: AppStore) -> None:
    for lines in ([sale(DAY, 12), sale(DAY, 3, "7F")], [sale(DAY, 3, "7F"), sale(DAY, 12)]):
        apple.sales[VENDOR, DAY] = report(*lines)
        last = pulled(kpi, apple)[-1]
    assert (last.status, len(landed(kpi))) == ("same", 1)


@needs_sample
def test_a_day_that_is_not_ready_is_no_failure_before_its_hour_and_late_after_it(kpi: Lake, apple: AppStore) -> None:
    apple.replies = [refusal(404, "NOT_FOUND", "Report is not available yet.") for _ in range(6)]
    apple.now = READY.replace(hour=15)
    early = pulled(kpi, apple)
    assert [(one.slice[-2:], one.status) for one in early] == [("07", "failed"), ("08", "failed"), ("09", "not_yet")]
    apple.now = READY
    late = pulled(kpi, apple)
    assert {one.status for one in late} == {"failed"}
    assert "which it should have been 2026-11-10 08:00 PST" in str(late[-1].error_message)


@needs_sample
@pytest.mark.parametrize("order", short(itertools.permutations([3, 2, 1]), 1))
def test_the_instance_processed_last_has_a_date_whole_whatever_the_order_of_arrival(
    kpi: Lake, apple: AppStore, order: tuple[int, ...]
) -> None:
    first, second = DAY - timedelta(days=3), DAY - timedelta(days=2)
    apple.requests[APP] = "live"
    made = {
        1: [report(engagement(first, 5), engagement(first, 6, "Tap"), columns=ENGAGEMENT_COLUMNS)],
        2: [report(engagement(first, 50), engagement(second, 7), columns=ENGAGEMENT_COLUMNS)],
        3: [told(second, 70), told(second, 71)],
    }
    for number in order:
        apple.instances[APP] = {DAY - timedelta(days=3 - number): made[number]}
        carried(kpi, apple, "engagement", start=DAY - timedelta(days=3 - number))
        apple.now += timedelta(minutes=1)
    rows = "SELECT day, counts FROM silver.kpi.app_store_engagement ORDER BY day, counts"
    assert kpi.rows(rows) == [(first, 50), (second, 70), (second, 71)]


@needs_sample
def test_of_a_file_that_is_not_whole_nothing_lands(kpi: Lake, apple: AppStore) -> None:
    apple.instances[APP], apple.requests[APP] = {DAY: [told(DAY, 1)]}, "live"
    apple.spoilt = {"checksum": "0" * 32}
    [one] = pulled(kpi, apple, "engagement")
    assert (one.status, one.error_class, landed(kpi)) == ("failed", "transient", [])
    apple.spoilt = {}
    [one] = pulled(kpi, apple, "engagement")
    assert (one.status, len(landed(kpi))) == ("landed", 1)


@needs_sample
def test_a_server_that_hangs_costs_its_budget(kpi: Lake, apple: AppStore) -> None:
    over = threading.Event()

    def answer(request: Request) -> Reply:
        over.wait(20)
        return Reply()

    apple.apple.answer = answer
    kpi.edit("silver/kpi/app_store_sales.yaml", "budget: 20 s", "budget: 1 s")
    [one] = pulled(kpi, apple)
    over.set()
    assert (one.status, one.error_class, landed(kpi)) == ("failed", "transient", [])


@needs_sample
@pytest.mark.parametrize("call", short([5, 1, 2, 3, 4, 6, 7], 1))
def test_a_pull_killed_at_any_call_is_finished_by_the_next_run(kpi: Lake, apple: AppStore, call: int) -> None:
    apple.now, apple.ready = datetime.now(UTC), time(0, tzinfo=UTC)  # whatever the hour is now
    yesterday = apple.now.date() - timedelta(days=1)
    kpi.edit("silver/kpi/app_store_sales.yaml", "08:00 America/Los_Angeles", "00:00 UTC")
    apple.sales = {(VENDOR, yesterday - timedelta(days=n)): report(sale(yesterday, n)) for n in range(3)}
    apple.instances[APP], apple.requests[APP] = {yesterday: [told(yesterday, 1), told(yesterday, 2)]}, "live"
    reached, over, answer = threading.Event(), threading.Event(), apple.answer
    calls = itertools.count(1)

    def stops(request: Request) -> Reply:
        if next(calls) == call:
            reached.set()
            over.wait(30)
        return answer(request)

    apple.apple.answer = stops
    command = [sys.executable, str(ROOT / "main.py"), "run", "--project", str(kpi.root)]
    environ = os.environ | kpi.environ | {"SETTLE_SECONDS": "0"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(60)
        process.kill()
    over.set()
    kpi.good()
    kpi.good()
    assert not [name for name in landed(kpi) if name.startswith(".")]
    assert len(landed(kpi)) == 4
    assert kpi.rows("SELECT units FROM silver.kpi.app_store_sales ORDER BY day") == [(2,), (1,), (0,)]
    assert kpi.rows("SELECT counts FROM silver.kpi.app_store_engagement ORDER BY 1") == [(1,), (2,)]
