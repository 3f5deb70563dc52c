"""Any REST API, by what the contract says of it: what to call, how to go on to the next page, where the rows are.

Rows land as NDJSON, each as the text that the server sent; with `raw: true` the body lands as it is. Paging cannot
loop for ever: an address or page that comes a second time is an error.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from src.errors import ContractError
from src.landing import json_text, registry
from src.landing.connector import Answer, Asked, Forgotten, NotYetError, Option, Slice
from src.landing.http import MEANINGS, Client, EmptyError, Rule, unpacked
from src.landing.options import ACCOUNTS, is_count, is_span, is_url, is_word, seconds
from src.landing.patience import patiently

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_PAGES = 10_000  # of one slice: more is a source that never ends
_RATE = re.compile(r"(\d+) per (second|minute|hour)")
_UNITS = {"second": 1, "minute": 60, "hour": 3600}
_FILLED = re.compile(r"\{(start|end|day|month|account)\}")


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_scalars(value: object) -> bool:
    return _is_mapping(value) and all(isinstance(one, str | int | float | bool) for one in value.values())  # type: ignore[attr-defined]


def _is_auth(value: object) -> bool:
    if isinstance(value, dict):
        return len(value) == 1 and set(value) <= {"header", "query"} and all(map(is_word, value.values()))
    return value in ("bearer", "basic")


def _is_paging(value: object) -> bool:
    if value == "link":
        return True
    if not isinstance(value, dict):
        return False
    match sorted(value):
        case ["next"]:
            return is_word(value["next"])
        case ["cursor", "param"]:
            return is_word(value["cursor"]) and is_word(value["param"])
        case ["page"] | ["first", "page"] | ["page", "size"] | ["first", "page", "size"]:
            return is_word(value["page"]) and is_count(value.get("first", 1)) and is_count(value.get("size", 1), 1)
        case ["offset", "size"]:
            return is_word(value["offset"]) and is_count(value["size"], 1)
    return False


def _is_rule(value: object) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"status", "text", "path", "values", "is"}:
        return False
    status = value.get("status", [])
    statuses = status if isinstance(status, list) else [status]
    if ("path" in value) != ("values" in value) or not set(value) - {"is"}:
        return False
    known = isinstance(value.get("values", []), list) and is_word(value.get("path", "-"))
    return value.get("is") in MEANINGS and all(map(is_count, statuses)) and is_word(value.get("text", "-")) and known


OPTIONS: Mapping[str, Option] = {
    "url": Option(
        "an http(s) URL; {start}, {end}, {day}, {month} and {account} are filled in",
        is_url,
        required=True,
    ),
    "method": Option("GET or POST", lambda value: value in ("GET", "POST"), "GET"),
    "params": Option("parameters of the URL: {name: value}; {start} and the like are filled in", _is_scalars, {}),
    "headers": Option("headers: {name: value}", _is_scalars, {}),
    "body": Option("what is posted, as JSON: keys and values", _is_mapping),
    "form": Option("what is posted, as a form: {name: value}", _is_scalars),
    "auth": Option("bearer, basic, {header: <its name>} or {query: <the parameter>}", _is_auth),
    "rows": Option("the path to the rows in the answer, such as data.items", is_word, ""),
    "raw": Option("true: the body lands as it is", lambda value: isinstance(value, bool), False),
    "paging": Option(
        "link, {next: <path>}, {cursor: <path>, param: <name>}, {page: <name>, first: 1, size: 100} or "
        "{offset: <name>, size: 100}",
        _is_paging,
    ),
    "slice": Option("day, month or all", lambda value: value in ("day", "month", "all"), "all"),
    "accounts": ACCOUNTS,
    "rate": Option("the most calls: 5 per second, 60 per minute, 1000 per hour", lambda v: bool(_per_call(v))),
    "timeout": Option("how long one answer may keep silent: 60 s", is_span, "60 s"),
    "errors": Option(
        f"a list of {{status: 404, text: no sales, path: error.code, values: [4], is: {' | '.join(MEANINGS)}}}",
        lambda value: isinstance(value, list) and all(map(_is_rule, value)),
        (),
    ),
}
SECRETS = {
    "TOKEN": "the token of `auth: bearer`",
    "USER": "the user of `auth: basic`",
    "PASSWORD": "the password of `auth: basic`",
    "KEY": "the key that goes into a header or a parameter",
}
PACKAGES = ("requests", "tenacity")


def credentials(options: Mapping[str, Any]) -> list[str]:
    """Return the credentials that a source of these options needs."""
    auth = options["auth"]
    return (
        {"bearer": ["TOKEN"], "basic": ["USER", "PASSWORD"]}.get(auth, [])
        if isinstance(auth, str)
        else (["KEY"] if auth else [])
    )


def table_properties(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the custom properties of a table that go with these options: an answer to `all` is the whole truth."""
    return {"replaces": "all"} if options["slice"] == "all" and not options["accounts"] else {}


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what does not go together, each with its fix."""
    if options["raw"] and options["paging"]:
        yield "raw with paging", "a body that lands as it is is one page: remove one of them"
    if options["raw"] and options["rows"]:
        yield "raw with rows", "write `recordPath` of the feed in the place of `rows`"
    if (options["body"] is not None or options["form"] is not None) and options["method"] != "POST":
        yield "a body with method GET", "write `method: POST`"
    if options["body"] is not None and options["form"] is not None:
        yield "body and form", "write one of them: JSON or a form"
    used = set(_FILLED.findall(repr([options[name] for name in ("url", "params", "headers", "body", "form")])))
    if options["slice"] == "day" and not used & {"day", "start", "end"}:
        yield "slice day, and no call says which", "write {day}, or {start} and {end}, into url, params or body"
    if options["slice"] == "month" and not used & {"month", "start", "end"}:
        yield "slice month, and no call says which", "write {month}, or {start} and {end}, into url, params or body"
    if options["accounts"] and "account" not in used:
        yield "accounts, and no call says which", "write {account} into url, params, headers or body"


def slices(asked: Asked) -> Sequence[Slice]:
    """Return a slice for each account and day or month, or one for everything; asks nothing."""
    found = list(_spans(asked))
    if not asked.accounts:
        return found
    return [
        replace(part, name=f"{_as_name(account.name)}/{part.name}", account=account.name)
        for account in asked.accounts
        for part in found
    ]


def fetch(asked: Asked, part: Slice, answer: Answer) -> int:
    """Write the rows of a slice, page by page; return how many."""
    call, count = _Call(asked, part, answer), 0
    try:
        if asked.options["raw"]:
            return call.land_body()
        for page in call.pages():
            for row in page:
                answer.write(f"{row}\n".encode())
            count += len(page)
    except EmptyError:
        pass  # a word of its own for no rows, or for no more of them
    finally:
        call.client.close()
    return count


def probe(asked: Asked) -> str:
    """Call for the newest slice, read the first page and forget it."""
    part = slices(asked)[-1]
    call = _Call(asked, part, Forgotten())
    try:
        return call.first_words()
    except EmptyError:
        return "answers; the newest slice is empty"
    except NotYetError:
        return "answers; the newest slice is not ready yet"
    finally:
        call.client.close()


@dataclass
class _Call:
    """The calls that one slice takes."""

    asked: Asked
    part: Slice
    answer: Any  # an Answer, of which the pages only count the calls

    def __post_init__(self) -> None:
        options = self.asked.options
        self.options = options
        self.auth = options["auth"]
        self.client = Client(
            source=self.asked.source.name,
            authorize=self._authorize,
            rules=[_rule(each) for each in options["errors"]],
            seconds_left=self.asked.seconds_left,
            timeout=seconds(options["timeout"]) or 60.0,
            every=_per_call(options["rate"]),
            asked_to=", ".join(registry.setting(self.asked.source, key) for key in credentials(options)),
            counted=self._count,
            missing=NotYetError if self.part.day and options.get("readyAt") else ContractError,
        )

    def land_body(self) -> int:
        """Write the one body as it comes; return its lines. Of a body that is a gzip file, what is packed in it."""
        lines, last = 0, b"\n"
        with self._response(self._url(), {}) as response:
            for block in unpacked(self.client.blocks(response)):
                self.answer.write(block)
                lines, last = lines + block.count(b"\n"), block[-1:] or last
        return lines + (last != b"\n")

    def pages(self) -> Iterator[list[str]]:
        """Yield the rows of each page.

        Raises:
            ContractError: the pages go in a circle.
        """
        url, extra = self._url(), self._first()
        seen = set[str]()
        last = ""
        for number in range(_PAGES):
            text, response = self._page(url, extra)
            page = list(json_text.rows(text, self._path()))
            digest = hashlib.sha256("\n".join(page).encode()).hexdigest()
            if extra and page and digest == last and self._counts():
                raise ContractError(f"page {number + 1} is the same as the one before", fix="correct `paging`")
            last = digest
            yield page
            if (follows := self._following(text, response, url, extra, len(page))) is None:
                return
            url, extra = follows
            mark = repr((url, sorted(extra.items())))
            if mark in seen:
                raise ContractError(f"page {number + 2} is one that came before", fix="correct `paging`")
            seen.add(mark)
        raise ContractError(f"more than {_PAGES:,} pages", fix="correct `paging`, or cut the source into more slices")

    def first_words(self) -> str:
        """Return in a few words what the first page has."""
        if self.options["raw"]:
            with self._response(self._url(), {}) as response:
                return f"answers with HTTP {response.status_code}"
        text, _ = self._page(self._url(), self._first(), attempts=1)
        return f"answers; {len(list(json_text.rows(text, self._path())))} rows in the first page of {self.part.name}"

    def _page(self, url: str, extra: Mapping[str, Any], attempts: int = 0) -> tuple[str, Response]:
        """Return the text of one page, and its response; a page that fails in passing is asked for again."""

        def once() -> tuple[str, Response]:
            with self._response(url, extra) as response:
                return json_text.text_of(self.client.body(response)), response

        return (
            patiently(once, self.asked.seconds_left, attempts) if attempts else patiently(once, self.asked.seconds_left)
        )

    def _response(self, url: str, extra: Mapping[str, Any]) -> Any:
        options = self.options
        more: dict[str, Any] = {"headers": {"Accept": "*/*", **_plain(self._filled(options["headers"]))}}
        params = {} if url != self._url() else _plain(self._filled(options["params"]))
        body, form = self._filled(options["body"]), self._filled(options["form"])
        if options["method"] == "POST" and form is not None:
            more["data"] = {**_plain(form), **extra}
        elif options["method"] == "POST":
            more["json"] = {**(body or {}), **extra}
        else:
            params = {**params, **extra}
        if isinstance(self.auth, dict) and "query" in self.auth:
            params = {**params, self.auth["query"]: self.asked.secrets["KEY"]}
            url = _without(url, self.auth["query"])
        return self.client.call(options["method"], url, params=params, **more)

    def _following(
        self, text: str, response: Response, url: str, extra: Mapping[str, Any], rows: int
    ) -> tuple[str, dict[str, Any]] | None:
        """Return the address of the next page and what is asked beside it; None where this was the last."""
        paging = self.options["paging"]
        if paging is None:
            return None
        if paging == "link":
            link = response.links.get("next", {}).get("url")
            return (self._same_host(url, link), {}) if link else None
        if "next" in paging:
            link = json_text.value(text, paging["next"].split("."))
            return (self._same_host(url, str(link)), {}) if link else None
        if "cursor" in paging:
            cursor = json_text.value(text, paging["cursor"].split("."))
            return (url, {paging["param"]: cursor}) if cursor not in (None, "", False) else None
        name = paging.get("page") or paging["offset"]
        if not rows or rows < paging.get("size", 1):
            return None
        return url, {name: extra[name] + (1 if "page" in paging else rows)}

    def _counts(self) -> bool:
        """Return whether pages are asked for by number: of a parameter that it does not know a source says nothing."""
        return isinstance(self.options["paging"], dict) and bool({"page", "offset"} & set(self.options["paging"]))

    def _first(self) -> dict[str, Any]:
        paging = self.options["paging"]
        if isinstance(paging, dict) and "page" in paging:
            return {paging["page"]: paging.get("first", 1)}
        if isinstance(paging, dict) and "offset" in paging:
            return {paging["offset"]: 0}
        return {}

    def _same_host(self, url: str, link: str) -> str:
        """Return the address of the next page; it has to be where the first one was, for the credential goes along."""
        found = urljoin(url, link)
        if urlsplit(found)[:2] != urlsplit(self._url())[:2]:
            host = urlsplit(found).hostname
            raise ContractError(f"the next page is on another host, {host}", fix="write the `url` of that host")
        return found

    def _authorize(self, request: PreparedRequest) -> PreparedRequest:
        from requests.auth import HTTPBasicAuth

        secrets = self.asked.secrets
        if self.auth == "bearer":
            request.headers["Authorization"] = f"Bearer {secrets['TOKEN']}"
        elif self.auth == "basic":
            HTTPBasicAuth(secrets["USER"].encode(), secrets["PASSWORD"].encode())(request)
        elif isinstance(self.auth, dict) and "header" in self.auth:
            request.headers[self.auth["header"]] = secrets["KEY"]
        return request

    def _count(self) -> None:
        self.answer.requests += 1

    def _path(self) -> list[str]:
        return self.options["rows"].split(".") if self.options["rows"] else []

    def _url(self) -> str:
        return str(self._filled(self.options["url"], in_url=True))

    def _filled(self, value: Any, in_url: bool = False) -> Any:
        """Return a value of the contract with the days and the account of the slice put into its texts."""
        if isinstance(value, str):
            known = self._known()
            return _FILLED.sub(lambda found: quote(known[found[1]], safe="") if in_url else known[found[1]], value)
        if isinstance(value, dict):
            return {key: self._filled(one) for key, one in value.items()}
        return [self._filled(one) for one in value] if isinstance(value, list) else value

    def _known(self) -> dict[str, str]:
        start, end = self.part.details.get("span", (self.asked.start, self.asked.end))
        return {
            "start": str(start),
            "end": str(end),
            "day": str(end),
            "month": f"{end:%Y-%m}",
            "account": self.part.account,
        }


def _spans(asked: Asked) -> Iterator[Slice]:
    """Yield the slices of one account: days, months, or all."""
    kind, day = asked.options["slice"], asked.start
    any_order = not asked.options["raw"]
    if kind == "all":
        yield Slice("all", any_order=any_order)
        return
    while day <= asked.end:
        last = day if kind == "day" else min(asked.end, _next_month(day) - timedelta(days=1))
        first = day if kind == "day" else day.replace(day=1)
        name = str(day) if kind == "day" else f"{day:%Y-%m}"
        yield Slice(name, last, any_order=any_order, details={"span": (first, last)})
        day = last + timedelta(days=1)


def _plain(values: Any) -> Any:
    """Return the values of parameters and headers as texts."""
    return {name: str(one).lower() if isinstance(one, bool) else str(one) for name, one in values.items()}


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _as_name(account: str) -> str:
    """Return an account as a part of a file's name."""
    return quote(account, safe="").replace("%", "~")


def _per_call(value: object) -> float:
    """Return the seconds from one call to the next of a rate; 0 where there is none."""
    found = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    return _UNITS[found[2]] / int(found[1]) if found and int(found[1]) else 0.0


def _rule(written: Mapping[str, Any]) -> Rule:
    status = written.get("status", [])
    return Rule(
        meaning=written["is"],
        status=tuple(status if isinstance(status, list) else [status]),
        text=written.get("text", ""),
        path=tuple(written["path"].split(".")) if "path" in written else (),
        values=tuple(map(str, written.get("values", ()))),
    )


def _without(url: str, parameter: str) -> str:
    """Return a URL without a parameter: the next page's address may repeat the credential that is put in anyway."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != parameter]
    return parts._replace(query="&".join(kept)).geturl()
