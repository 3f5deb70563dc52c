"""App Store Connect: the daily sales summary of a vendor, or one of the analytics reports of each app.

`report: sales` asks for the sales of a vendor number on a day. Apple answers 404 both to a day without sales and to one
that is not ready, and tells them apart by words alone: so the clock is asked first. Before `readyAt` no 404 is believed
to be an empty day; after it "no sales" is an empty statement, and any other 404 is late.

Any other `report` is the name of an analytics report. Apple makes an instance of it for each day on which it processed
something (the slice's day); a later instance replaces the dates of an earlier one whole. An instance never changes:
one that landed is asked for again by a backfill alone, and one that Apple no longer keeps is no failure.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from src.errors import AuthError, ContractError, TransientError, nearest
from src.landing import json_text, options
from src.landing.connector import Answer, Asked, BusyError, NotYetError, Option, Slice
from src.landing.http import Client, EmptyError, Rule, unpacked
from src.landing.options import ACCOUNTS, is_span, is_url, is_word, seconds
from src.landing.registry import setting

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

SALES = "sales"
_AUDIENCE = "appstoreconnect-v1"
_LIFETIME = 15 * 60  # seconds of a token; Apple allows 20 minutes
_RENEWED = 60  # seconds before its end
_SKEW = 60  # seconds by which clocks may differ without a word
_PAUSE, _HOUR_SPENT = 60.0, 300.0  # seconds after 429: Apple names none; calls come back over a rolling hour
_KEPT = timedelta(days=365)  # of daily sales reports
_PAGE = 200
_HEADER = 1 << 16  # bytes: what has no line end within them is no table
_LONGEST = 500  # characters of an answer or a header that are shown
_LATEST = re.compile(r"latest version for this report is (\d+_\d+)")
_NO_SALES = "no sales for the date"
_COLUMNS = {  # without which a file is not this report
    SALES: (
        *("SKU", "Product Type Identifier", "Units", "Developer Proceeds", "Begin Date", "Customer Currency"),
        *("Country Code", "Currency of Proceeds", "Apple Identifier", "Customer Price", "Parent Identifier"),
    ),
    "analytics": ("Date", "App Apple Identifier"),
}

OPTIONS: Mapping[str, Option] = {
    "report": Option("sales, or the name of an analytics report", is_word, SALES),
    "accounts": replace(ACCOUNTS, write=f"{ACCOUNTS.write}: vendor numbers, or Apple ids of apps", required=True),
    "version": Option(
        "the version of the sales summary: 1_3",
        lambda value: is_word(value) and bool(re.fullmatch(r"\d+_\d+", value)),
        "1_3",
    ),
    "create": Option("true: ask Apple once to make analytics reports", lambda value: isinstance(value, bool), False),
    "timeout": Option("how long one answer may keep silent: 60 s", is_span, "60 s"),
    "url": Option(
        "where the API is",
        is_url,
        "https://api.appstoreconnect.apple.com",
    ),
}
SECRETS = {
    "KEY_ID": "the id of the team key",
    "ISSUER_ID": "the issuer id that stands above the keys",
    "PRIVATE_KEY": "where the key's .p8 file lies, or its text with \\n for line ends",
}
PACKAGES = ("requests", "tenacity", "PyJWT")


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what does not go together, each with its fix."""
    if options["create"] and options["report"] == SALES:
        yield "create with report sales", "remove `create`: sales reports are there by themselves"


def pinned(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the figures."""
    report = options["report"]
    return {"report": report, "version": options["version"]} if report == SALES else {"report": report}


def slices(asked: Asked) -> Sequence[Slice]:
    """Return a slice for each account and day; asks nothing."""
    shared = _Shared(asked.now)
    return [
        Slice(f"{account.name}/{day}", day, any_order=True, account=account.name, details={"shared": shared})
        for account in asked.accounts
        for day in asked.days
    ]


def fetch(asked: Asked, part: Slice, answer: Answer) -> int:
    """Write the report of one vendor or app; return its rows."""

    def count() -> None:
        answer.requests += 1

    with _api(asked, part.details["shared"], count) as api:
        if asked.options["report"] == SALES:
            return _sales(api, asked, part, answer)
        return _instance(api, asked, part, answer)


def probe(asked: Asked) -> str:
    """Ask for the first account's newest sales report, or for its app's requests for analytics reports."""
    account = asked.accounts[0]
    with _api(asked, _Shared(asked.now), lambda: None) as api:
        if asked.options["report"] != SALES:
            found = "an ONGOING request" if _requests(api, account.name)[0] else "no ONGOING request that is alive"
            return f"answers; app {account.name} has {found} for analytics reports"
        try:
            with api.report(account.name, asked.end):
                found = "has a report"
        except EmptyError:
            found = "has no sales"
        except NotYetError:
            found = "is not ready yet"
        return f"answers; {asked.end} of vendor {account.name} {found}"


# -- tokens


@dataclass
class Token:
    """A token signed with the key: the same for a quarter of an hour, then another."""

    key_id: str
    issuer: str
    key: str = field(repr=False)  # PEM
    _text: str = field(default="", repr=False)
    _until: float = 0.0

    def valid_at(self, now: float) -> str:
        """Return the token that holds at a moment, in seconds since 1970.

        Raises:
            ValueError: the key is none of ES256.
        """
        import jwt

        if now < self._until - _RENEWED:
            return self._text
        if "PRIVATE KEY-----" not in self.key:
            raise ValueError("no private key")
        claims = {"iss": self.issuer, "iat": int(now), "exp": int(now) + _LIFETIME, "aud": _AUDIENCE}
        try:
            self._text = jwt.encode(claims, self.key, "ES256", headers={"kid": self.key_id})
        except (jwt.PyJWTError, TypeError) as error:
            raise ValueError("not of ES256") from error
        self._until = now + _LIFETIME
        return self._text


def _private_key(asked: Asked) -> str:
    """Return the text of the key, which the setting holds, or the file that it names.

    Raises:
        AuthError: there is no such file.
    """
    key = asked.secrets["PRIVATE_KEY"].strip()
    if "-----BEGIN" in key:
        return key.replace("\\n", "\n")
    root = asked.settings.root if asked.settings else Path()
    try:
        return (root / Path(key).expanduser()).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "no text").lower()
        raise _no_key(asked, f"names a file that cannot be read: {reason}") from None


def _no_key(asked: Asked, what: str) -> AuthError:
    name = setting(asked.source, "PRIVATE_KEY")
    fix = f"write into {name} where the .p8 file of the key lies, or the file's text with \\n for line ends"
    return AuthError(f"{name} {what}", where=f"source {asked.source.name}", fix=fix)


# -- calls


@dataclass
class _Shared:
    """Everything that the slices of one pull have in common."""

    asked_at: datetime
    began: float = field(default_factory=time.monotonic)
    token: Token | None = None
    silent_until: float = 0.0  # by the monotonic clock: the hour's calls are used up
    instances: dict[str, dict[date, str]] = field(default_factory=dict)  # by app and processing date: their ids

    def now(self) -> float:
        """Return the seconds since 1970."""
        return self.asked_at.timestamp() + time.monotonic() - self.began


@dataclass
class _Api:
    """The calls of one slice: to Apple with a token, to the hosts of files without one."""

    asked: Asked
    shared: _Shared
    client: Client
    elsewhere: Client

    @contextmanager
    def call(self, method: str, url: str, **more: Any) -> Iterator[Response]:
        """Give Apple's answer, its body not yet read.

        Raises:
            BusyError: the calls of this hour are used up.
        """
        pause = self.shared.silent_until - time.monotonic()
        if pause > 0:
            raise BusyError("the calls of this hour are used up", seconds=pause, fix="run again later")
        with self.client.call(method, urljoin(self.asked.options["url"], url), **more) as response:
            if _calls_left(response) == 0:
                self.shared.silent_until = time.monotonic() + _HOUR_SPENT
            yield response

    @contextmanager
    def report(self, vendor: str, day: date) -> Iterator[Response]:
        """Give the sales summary of a vendor and a day."""
        params = {
            "filter[vendorNumber]": vendor,
            "filter[reportType]": "SALES",
            "filter[reportSubType]": "SUMMARY",
            "filter[frequency]": "DAILY",
            "filter[reportDate]": str(day),
            "filter[version]": self.asked.options["version"],
        }
        with self.call("GET", "/v1/salesReports", params=params, headers={"Accept": "application/a-gzip"}) as response:
            yield response

    def list(self, path: str, **filters: str) -> Iterator[dict[str, Any]]:
        """Yield what a list of Apple's has, page after page.

        Raises:
            ContractError: the answer is no list, or its pages go in a circle.
        """
        url, params = path, {"limit": str(_PAGE), **{f"filter[{name}]": value for name, value in filters.items()}}
        seen = set[str]()
        while url:
            with self.call("GET", url, params=params) as response:
                page = _as_json(self.client.body(response), response)
            if not isinstance(page.get("data"), list):
                raise ContractError(f"no data in the answer; it has {', '.join(page)}", where=_path(response))
            yield from page["data"]
            url, params = (page.get("links") or {}).get("next") or "", {}
            if url in seen or (url and urlsplit(url)[:2] != urlsplit(self.asked.options["url"])[:2]):
                raise ContractError("the next page is one that came before, or on another host", where=_path(response))
            seen.add(url)


@contextmanager
def _api(asked: Asked, shared: _Shared, count: Callable[[], None]) -> Iterator[_Api]:
    def authorize(request: PreparedRequest) -> PreparedRequest:
        shared.token = shared.token or Token(asked.secrets["KEY_ID"], asked.secrets["ISSUER_ID"], _private_key(asked))
        try:
            request.headers["Authorization"] = f"Bearer {shared.token.valid_at(shared.now())}"
        except ValueError as error:
            raise _no_key(asked, f"is no private key as Apple gives it out ({str(error).partition('.')[0]})") from None
        return request

    def client(authorize: Callable[[PreparedRequest], PreparedRequest], **more: Any) -> Client:
        return Client(
            source=asked.source.name,
            authorize=authorize,
            seconds_left=asked.seconds_left,
            timeout=seconds(asked.options["timeout"]) or 60.0,
            counted=count,
            **more,
        )

    expired = [Rule("transient", status=(401, 403, 404))]  # links hold for five minutes: asked for again, they are new
    api = _Api(
        asked,
        shared,
        client(authorize, rules=(), judge=lambda response, body: _judged(asked, shared.now(), response, body)),
        client(lambda request: request, rules=expired),
    )
    try:
        yield api
    finally:
        api.client.close()
        api.elsewhere.close()


def _judged(asked: Asked, now: float, response: Response, body: str) -> Exception | None:
    """Return what an error of Apple's means; None for one that says no more than its status."""
    try:
        error = json.loads(body)["errors"][0]
        code, detail = str(error["code"]), str(error.get("detail") or error.get("title"))
    except (ValueError, LookupError, TypeError):
        return None
    what, status, where = f"{code}: {detail}"[:_LONGEST], response.status_code, _path(response)
    if status == 401:
        names = ", ".join(setting(asked.source, key) for key in SECRETS)
        return AuthError(
            f"the token was refused: {what}{_of_clock(response, now)}",
            where=where,
            fix=f"correct {names} in .env; a clock that is wrong makes a token wrong too",
        )
    if status == 403:
        fix = "give the key the role Sales and Reports, and to ask for analytics reports (`create`) once Admin"
        if "AGREEMENT" in code:
            fix = "the account's holder has to accept the agreement in App Store Connect"
        return AuthError(f"the key may not do this: {what}", where=where, fix=fix)
    if status == 429 and "Retry-After" not in response.headers:
        pause = _HOUR_SPENT if _calls_left(response) == 0 else _PAUSE
        return BusyError(what, seconds=pause, where=where, fix="run again later")
    if status == 404:
        return EmptyError(what) if _NO_SALES in detail.lower() else NotYetError(what, where=where)
    if status in (400, 409, 422):
        latest = _LATEST.search(detail)
        fix = f"write `version: {latest[1]}` in the contract" if latest else "correct what the contract asks for"
        return ContractError(what, where=where, fix=fix)
    return None


def _of_clock(response: Response, now: float) -> str:
    """Return by how much this machine's clock differs from Apple's, where that is much."""
    try:
        ahead = now - parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return ""
    if abs(ahead) < _SKEW:
        return ""
    return f"; the clock of this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Apple's"


def _calls_left(response: Response) -> int | None:
    """Return how many calls this hour has left; None where the answer does not say."""
    found = re.search(r"user-hour-rem:(\d+)", response.headers.get("X-Rate-Limit", ""))
    return int(found[1]) if found else None


def _as_json(body: bytes, response: Response) -> dict[str, Any]:
    text = json_text.text_of(body)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ContractError(f"the answer is no JSON object but {text[:_LONGEST]!r}", where=_path(response))
    return found


def _value(found: Any, *path: str) -> Any:
    """Return the value at a path of an answer.

    Raises:
        ContractError: there is none.
    """
    value = found
    for name in path:
        there = value if isinstance(value, dict) else {}
        if there.get(name) is None:  # names alone are shown: a value may be a link that whoever has it may follow
            what = f"no {'.'.join(path)} in an answer; it has {', '.join(there) or 'nothing'}"
            raise ContractError(what, fix="see what changed in Apple's API; a newer Boathouse may know it")
        value = there[name]
    return value


def _path(response: Response) -> str:
    parts = urlsplit(response.url)
    return f"{parts.hostname}{parts.path}"


# -- sales


def _sales(api: _Api, asked: Asked, part: Slice, answer: Answer) -> int:
    assert part.day
    table = _Table(answer, _COLUMNS[SALES])
    try:
        with api.report(part.account, part.day) as response:
            table.add(unpacked(api.client.blocks(response)))
            return table.rows
    except (EmptyError, NotYetError) as error:
        if part.day < asked.now.date() - _KEPT:
            what = f"Apple keeps daily sales for {_KEPT.days} days, and has no report of this one"
            raise ContractError(what, fix=f"ask from START={asked.now.date() - _KEPT} on") from error
        if isinstance(error, EmptyError) and asked.now < options.ready_at(asked.options, part.day):
            raise NotYetError(f"{error}, which Apple also says of a day that is not ready") from error
        if isinstance(error, EmptyError):
            return 0
        raise


# -- analytics reports


def _instance(api: _Api, asked: Asked, part: Slice, answer: Answer) -> int:
    assert part.day
    has_landed = any(one.slice == part.name for one in asked.landed())
    if has_landed and not asked.backfill:
        answer.unchanged()
        return 0
    instances = api.shared.instances.get(part.account)
    if instances is None:
        instances = api.shared.instances[part.account] = _instances(api, part.account)
    found = instances.get(part.day)
    segments = _segments(api, found) if found else None
    if segments is None and not any(day > part.day for day in instances):
        raise NotYetError(f"no instance of {asked.options['report']} for app {part.account} yet")
    if segments is None:  # there are later ones: none was made, or Apple no longer keeps it
        if has_landed:
            answer.unchanged()
        return 0
    table = _Table(answer, _COLUMNS["analytics"])
    for segment in segments:
        blocks = _checked(api, segment)
        try:
            table.add(unpacked(blocks))
        except ContractError:
            deque(blocks, 0)  # is it whole? of what came damaged nothing else can be said
            raise
    return table.rows


def _instances(api: _Api, app: str) -> dict[date, str]:
    """Return the ids of the daily instances of the report by the day on which Apple processed them."""
    report = _report(api, app, _request(api, app))
    found = api.list(f"/v1/analyticsReports/{report}/instances", granularity="DAILY")
    dated = ((str(_value(one, "attributes", "processingDate")), str(_value(one, "id"))) for one in found)
    try:
        return {date.fromisoformat(day): number for day, number in dated}
    except ValueError as error:
        raise ContractError(
            f"a processingDate that is no day: {error}", fix="see what changed in Apple's API"
        ) from error


def _requests(api: _Api, app: str) -> tuple[list[str], list[str]]:
    """Return the ids of the ONGOING requests for reports of an app that live, and of those that stopped."""
    try:
        found = list(api.list(f"/v1/apps/{app}/analyticsReportRequests", accessType="ONGOING"))
    except NotYetError as error:
        raise ContractError(f"no app {app}: {error.what}", fix="correct `accounts`: the Apple ids of apps") from error
    live, stopped = list[str](), list[str]()
    for one in found:
        about = _value(one, "attributes")
        (stopped if about.get("stoppedDueToInactivity") else live).append(str(_value(one, "id")))
    return live, stopped


def _request(api: _Api, app: str) -> str:
    """Return the id of the request by which Apple makes reports of an app; ask for them where the contract says so.

    Raises:
        ContractError: there is none that lives.
    """
    live, stopped = _requests(api, app)
    if live:
        return live[0]
    if not api.asked.options["create"]:
        what = "stopped, as nobody fetched its reports" if stopped else "is missing"
        fix = "write `create: true` in the contract; to ask for it the key needs the role Admin once"
        raise ContractError(f"the ONGOING request for analytics reports of app {app} {what}", fix=fix)
    app_of = {"app": {"data": {"type": "apps", "id": app}}}
    data = {"type": "analyticsReportRequests", "attributes": {"accessType": "ONGOING"}, "relationships": app_of}
    with api.call("POST", "/v1/analyticsReportRequests", json={"data": data}) as response:
        made = _as_json(api.client.body(response), response)
    return str(_value(made, "data", "id"))


def _report(api: _Api, app: str, request: str) -> str:
    """Return the id of the report of that name.

    Raises:
        NotYetError: Apple has not made any yet.
        ContractError: there is none of that name.
    """
    path, name = f"/v1/analyticsReportRequests/{request}/reports", api.asked.options["report"]
    for one in api.list(path, name=name):
        if _value(one, "attributes", "name") == name:
            return str(_value(one, "id"))
    known = sorted({str(_value(one, "attributes", "name")) for one in api.list(path)})
    if not known:
        raise NotYetError(f"no reports of app {app} yet; the first come 24 to 48 hours after they were asked for")
    near = nearest(name, known)
    fix = f"did you mean {near}? " if near else ""
    raise ContractError(f"no report {name} of app {app}", fix=f"{fix}there are {', '.join(known)}")


def _segments(api: _Api, instance: str) -> list[Mapping[str, Any]] | None:
    """Return the files of an instance, whose links hold for five minutes; None where Apple no longer keeps it."""
    try:
        return [_value(one, "attributes") for one in api.list(f"/v1/analyticsReportInstances/{instance}/segments")]
    except NotYetError:
        return None


def _checked(api: _Api, segment: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a segment as it comes; it is whole where it has the size and MD5 that Apple tells.

    Raises:
        TransientError: it has not.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    wanted = (_value(segment, "sizeInBytes"), str(_value(segment, "checksum")).lower())
    with api.elsewhere.call("GET", _value(segment, "url"), headers={"Accept-Encoding": "identity"}) as response:
        for block in api.elsewhere.blocks(response):
            digest.update(block)
            size += len(block)
            yield block
        if (size, digest.hexdigest()) != wanted:
            what = (
                f"a segment of {size} bytes with MD5 {digest.hexdigest()}, where Apple says {wanted[0]} and {wanted[1]}"
            )
            raise TransientError(what, where=_path(response), fix="run again later")


# -- tables


@dataclass
class _Table:
    """One table of tab-separated lines, written as it comes, out of one file or of several with the same header."""

    answer: Answer
    needed: Sequence[str]
    rows: int = 0
    _header: bytes | None = None

    def add(self, blocks: Iterable[bytes]) -> None:
        """Write the lines of a file, of a further one without its header.

        Raises:
            ContractError: it is no such table.
        """
        pieces, head = iter(blocks), b""
        for block in pieces:
            head += block
            if b"\n" in head or len(head) > _HEADER:
                break
        header, _, rest = head.partition(b"\n")
        if self._header is None:
            self._judge(header)
            self.answer.write(header + b"\n")
            self._header = header
        elif header != self._header:
            raise ContractError(
                f"files of one report with different columns: {_named(self._header)} and {_named(header)}",
                fix="run again later; if it stays so, tell Apple",
            )
        last = b"\n"
        for block in chain([rest], pieces):
            self.answer.write(block)
            self.rows += block.count(b"\n")
            last = block[-1:] or last
        if last != b"\n":
            self.answer.write(b"\n")
            self.rows += 1

    def _judge(self, header: bytes) -> None:
        there = _columns(header)
        if missing := [name for name in self.needed if name not in there]:
            what = f"no column {', '.join(missing)} in the report; it has {_named(header)}"
            raise ContractError(what, fix="see what changed in the report; the contract names its columns")


def _columns(header: bytes) -> list[str]:
    return [name.strip() for name in header.decode("utf-8-sig", "replace").split("\t")]


def _named(header: bytes) -> str:
    found = ", ".join(_columns(header))
    return found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
