"""Meta's Insights API: what each ad account's campaigns, ad sets or ads did on a day, a slice for each account and day.

What decides the figures (version, level, attribution, breakdowns) goes with every question, and into ops.pulls. The
newest day is asked for first, of every account, so that a limit costs the oldest. A day without a row is one on which
nothing was shown: an empty statement, and never "not ready".

The token goes into a header alone. The address of the next page repeats it, so that is never read: pages are asked for
by their cursor.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from src.errors import BoathouseError, ContractError, TransientError
from src.landing import json_text, registry
from src.landing.connector import Answer, Asked, Forgotten, Notice, Option, Slice
from src.landing.http import Client
from src.landing.meta_errors import LimitError, TooLargeError, judged
from src.landing.meta_limits import Limits
from src.landing.options import ACCOUNTS, is_count, is_span, is_url, seconds
from src.landing.patience import GaveUpError, patiently

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_VERSION = re.compile(r"v\d+\.\d+")
_ACCOUNT = re.compile(r"(?:act_)?(\d+)")
_WORD = re.compile(r"[a-z0-9_.]+")
_LEVELS = ("campaign", "adset", "ad", "account")
_WHOSE = ("account_id", "campaign_id", "campaign_name", "account_currency")
_FIELDS = (*_WHOSE, "impressions", "clicks", "spend", "reach", "actions", "action_values")
_WINDOWS_GONE = ("7d_view", "28d_view")
_NOTICE = timedelta(days=60)  # before a version's end
_FIRST_LOOK, _LAST_LOOK = 0.5, 30.0  # seconds from one look at a report run to the next, as they grow
_RUNNING = ("Job Not Started", "Job Started", "Job Running")
_CHANGED = "see Meta's changelog: this is no answer of Insights as it was"


def _is_words(value: object) -> bool:
    if not isinstance(value, list) or not all(isinstance(one, str) and _WORD.fullmatch(one) for one in value):
        return False
    return len(set(value)) == len(value)


def _is_some_words(value: object) -> bool:
    return bool(value) and _is_words(value)


def _day(value: object) -> date | None:
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        return None


OPTIONS: Mapping[str, Option] = {
    "accounts": replace(ACCOUNTS, required=True),
    "version": Option(
        "the version of the Marketing API: v25.0",
        lambda value: isinstance(value, str) and bool(_VERSION.fullmatch(value)),
        required=True,
    ),
    "versionEnds": Option("the day on which that version ends: 2027-02-23", lambda value: _day(value) is not None),
    "level": Option(", ".join(_LEVELS), lambda value: value in _LEVELS, "campaign"),
    "fields": Option("a list of fields, such as [campaign_id, impressions, spend]", _is_some_words, _FIELDS),
    "attribution": Option("a list of windows: [7d_click, 1d_view]", _is_some_words, ("7d_click", "1d_view")),
    "unifiedAttribution": Option(
        "true: conversions by the attribution setting of each ad set", lambda value: isinstance(value, bool), False
    ),
    "actionReportTime": Option(
        "impression, conversion or mixed: what says on which day a conversion counts",
        lambda value: value in ("impression", "conversion", "mixed"),
        "impression",
    ),
    "breakdowns": Option("a list of breakdowns: [publisher_platform]", _is_words, ()),
    "asynchronous": Option(
        "always, never, or auto: as a report run where Meta says that a day is too much for one answer",
        lambda value: value in ("auto", "always", "never"),
        "auto",
    ),
    "pageSize": Option("how many rows a page has, 1 or more", lambda value: is_count(value, 1), 500),
    "timeout": Option("how long one answer may keep silent: 60 s", is_span, "60 s"),
    "url": Option(
        "where the Graph API is",
        is_url,
        "https://graph.facebook.com",
    ),
}
SECRETS = {"TOKEN": "the access token of a system user with ads_read"}
PACKAGES = ("requests", "tenacity")
_large: set[tuple[str, str]] = set()  # accounts, by source, of which a day was too much for one answer


def contradictions(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what Meta no longer answers, each with its fix."""
    gone = [window for window in options["attribution"] if window in _WINDOWS_GONE]
    if gone:
        yield f"attribution {', '.join(gone)}, which Meta no longer returns", "write 1d_view, or leave it out"


def pinned(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the figures."""
    names = ("version", "level", "attribution", "unifiedAttribution", "actionReportTime", "breakdowns")
    return {name: options[name] for name in names}


def notices(options: Mapping[str, Any], today: date) -> list[Notice]:
    """Return a notice from sixty days before the end of the API's version on."""
    ends = _day(options["versionEnds"])
    if ends is None or today < ends - _NOTICE:
        return []
    left = (ends - today).days
    when = f"ends on {ends}, in {left} {'day' if left == 1 else 'days'}" if left > 0 else f"ended on {ends}"
    fix = "read Meta's changelog, then write a newer `version` and its `versionEnds` in the contract"
    return [Notice(f"version {options['version']} of Meta's API {when}", fix)]


def slices(asked: Asked) -> Sequence[Slice]:
    """Return a slice for each day and account, the newest day first; asks nothing.

    Raises:
        ContractError: an account is none.
    """
    nodes = {account.name: _node(account.name) for account in asked.accounts}
    days = reversed(asked.days)
    return [Slice(f"{nodes[name]}/{day}", day, any_order=True, account=name) for day in days for name in nodes]


def fetch(asked: Asked, part: Slice, answer: Answer) -> int:
    """Write the rows of an account's day, page by page; return how many."""
    assert part.day, "a slice of a day"
    calls, found = _Calls(asked, part.account, answer), 0
    try:
        for page in calls.pages(part.day):
            for row in page:
                answer.write(f"{row}\n".encode())
            found += len(page)
    finally:
        calls.client.close()
    return found


def probe(asked: Asked) -> str:
    """Ask for the zone and currency of the first account."""
    calls = _Calls(asked, asked.accounts[0].name, Forgotten())
    try:
        found = json.loads(calls.call("GET", calls.node, {"fields": "account_id,timezone_name,currency"}))
    finally:
        calls.client.close()
    name = calls.node if len(asked.accounts) == 1 else f"{calls.node}, the first of {len(asked.accounts)} accounts,"
    return f"{name} answers: days of {found.get('timezone_name')}, money in {found.get('currency')}"


class _Calls:
    """The calls that one account's day takes."""

    def __init__(self, asked: Asked, account: str, answer: Any) -> None:
        self.asked, self.options, self.answer = asked, asked.options, answer  # of the answer, only calls are counted
        self.node = _node(account)
        self.base = f"{str(self.options['url']).rstrip('/')}/{self.options['version']}"
        self.source = f"{asked.source.name} at {self.base}"
        self.limits = Limits(self.source, self.node)
        self.setting = registry.setting(asked.source, "TOKEN")
        self.client = Client(
            source=asked.source.name,
            authorize=self._authorize,
            rules=(),
            seconds_left=asked.seconds_left,
            timeout=seconds(self.options["timeout"]) or 60.0,
            asked_to=self.setting,
            counted=self._count,
            judge=self._judge,
        )

    def pages(self, day: date) -> Iterator[list[str]]:
        """Yield the rows of each page of a day.

        Raises:
            BoathouseError: it is not answered, or its pages go in a circle.
        """
        path, question, page = self._begin(day)
        seen = set[str]()
        for number in count(1):
            rows, cursor = self._read(page, day)
            marks = {f"cursor {cursor}", *([hashlib.sha256("\n".join(rows).encode()).hexdigest()] if rows else [])}
            if marks & seen:
                raise GaveUpError(f"page {number} or its cursor came before", where=self.base, fix="run again later")
            seen |= marks
            yield rows
            if cursor is None:
                return
            page = self._patiently(path, {**question, "after": cursor})

    def call(self, method: str, path: str, sent: Mapping[str, str]) -> str:
        """Return the text of the answer to one call, which is a JSON object.

        Raises:
            BoathouseError: it is an error, with whichever status; or the account is to be left alone.
        """
        self.limits.check()
        parameters = {"data" if method == "POST" else "params": sent}
        with self.client.call(method, f"{self.base}/{path}", **parameters) as response:
            self.limits.heed(response)
            body = self.client.body(response)
            found = _object(body)
            if found is None:
                begin = " ".join(body[:80].decode("utf-8", "replace").split())
                what = f"the answer is no JSON object but {response.headers.get('Content-Type', 'text')}: {begin!r}"
                raise TransientError(what, where=self.base, fix="run again later")
            if error := self._error(found, response):
                raise error
            return json_text.text_of(body)

    def _patiently(self, path: str, sent: Mapping[str, str]) -> str:
        """Return the text of what a call reads, asked for again where it fails in passing."""
        return patiently(lambda: self.call("GET", path, sent), self.asked.seconds_left)

    # -- what is asked

    def _begin(self, day: date) -> tuple[str, dict[str, str], str]:
        """Return where the pages of a day are, what is asked there, and the first of them."""
        path, question = f"{self.node}/insights", self._question(day)
        large, way = (self.source, self.node), self.options["asynchronous"]
        if way == "never" or (way == "auto" and large not in _large):
            try:
                return path, question, self.call("GET", path, question)
            except TooLargeError:
                if way == "never":
                    raise
                _large.add(large)  # its other days are not tried in vain first
        run = json.loads(self.call("POST", path, question)).get("report_run_id")
        if not run:
            raise ContractError("no report_run_id in the answer", where=f"{self.base}/{path}", fix=_CHANGED)
        self._await(str(run))
        path, question = f"{run}/insights", self._page_size()
        return path, question, self._patiently(path, question)

    def _question(self, day: date) -> dict[str, str]:
        options = self.options
        question = {
            **self._page_size(),
            "level": options["level"],
            "fields": ",".join(options["fields"]),
            "time_range": json.dumps({"since": str(day), "until": str(day)}),
            "time_increment": "1",
            "action_attribution_windows": json.dumps(list(options["attribution"])),
            "action_report_time": options["actionReportTime"],
            "use_unified_attribution_setting": str(options["unifiedAttribution"]).lower(),
        }
        return question | ({"breakdowns": ",".join(options["breakdowns"])} if options["breakdowns"] else {})

    def _page_size(self) -> dict[str, str]:
        return {"limit": str(self.options["pageSize"])}

    def _await(self, run: str) -> None:
        """Look at a report run, after growing pauses, until it is done.

        Raises:
            GaveUpError: it is not done within the budget.
            BoathouseError: it failed.
        """
        pause = _FIRST_LOOK
        while (found := json.loads(self._patiently(run, {}))).get("async_status") != "Job Completed":
            status = f"report run {run} is at {found.get('async_status')!r}"
            if found.get("async_status") not in _RUNNING:
                raise self._failed_run(status, found)
            if pause + _FIRST_LOOK >= self.asked.seconds_left():  # which leaves time for one more look
                what = f"{status}, {found.get('async_percent_completion', 0)} %, at the end of the budget"
                raise GaveUpError(what, where=self.base, fix="run again later; `budget` gives it longer")
            time.sleep(pause)
            pause = min(_LAST_LOOK, pause * 1.5)

    def _failed_run(self, status: str, found: Mapping[str, Any]) -> BoathouseError:
        """Return why a report run failed; without a code, as before v25, it is asked for again."""
        error = {name: found.get(f"error_{name}") for name in ("code", "message")}
        error |= {name: found.get(name) for name in ("error_subcode", "error_user_title", "error_user_msg")}
        if error["code"] is None:
            return TransientError(f"{status}, without a reason", where=self.base, fix="run again later")
        reason = self._judged(error, None)
        reason.what = f"{status}: {reason.what}"
        return reason

    # -- what is answered

    def _read(self, page: str, day: date) -> tuple[list[str], str | None]:
        """Return the rows of a page as they stand, and the cursor of the next one; None where this is the last.

        Raises:
            ContractError: there is no list of rows, or it is about another day.
        """
        found = json.loads(page)
        data, paging = found.get("data"), found.get("paging") or {}
        if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
            what = f"no list of rows in data; the answer has {', '.join(found) or 'nothing'}"
            raise ContractError(what, where=self.base, fix=_CHANGED)
        if others := {str(row.get("date_start", day)) for row in data} - {str(day)}:
            what = f"asked for {day}, and the answer is about {', '.join(sorted(others))}"
            raise ContractError(what, where=self.base, fix=_CHANGED)
        rows = list(json_text.rows(page, ("data",)))
        if not paging.get("next"):
            return rows, None
        if not (cursor := (paging.get("cursors") or {}).get("after")):
            raise ContractError("a next page without a cursor", where=self.base, fix=_CHANGED)
        return rows, str(cursor)

    def _judge(self, response: Response, body: str) -> BoathouseError | None:
        """Return the error that a body tells; None where the status is all there is."""
        self.limits.heed(response)
        found = _object(body.encode())
        return self._error(found, response) if found else None

    def _error(self, found: Mapping[str, Any], response: Response) -> BoathouseError | None:
        error = found.get("error")
        return self._judged(error, response) if isinstance(error, dict) else None

    def _judged(self, error: Mapping[str, Any], response: Response | None) -> BoathouseError:
        status = response.status_code if response is not None else 0
        found = judged(error, status, self.node, self.setting)
        return self.limits.hit(found, response) if isinstance(found, LimitError) else found

    def _authorize(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.asked.secrets['TOKEN']}"
        return request

    def _count(self) -> None:
        self.answer.requests += 1


def _node(account: str) -> str:
    """Return an account as Meta's addresses have it.

    Raises:
        ContractError: it is none.
    """
    found = _ACCOUNT.fullmatch(account)
    if found is None:
        raise ContractError(f"account {account!r}", where="accounts", fix="write act_ and its digits: act_101")
    return f"act_{found[1]}"


def _object(body: bytes) -> dict[str, Any] | None:
    """Return the object of a JSON text; None where it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
