"""Meta's Insights API on 127.0.0.1, a function of a clock that a test sets: days are restated as it moves.

It takes no question that Meta would not: one without the token in the header, with a token in its address, of a version
that is gone, without what pins the figures, for a field that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from fake_api import Api, Reply, Request, api

TOKEN = "EAAB-s3cret/token+1"
VERSION = "v25.0"
KNOWN = "account_id campaign_id campaign_name account_currency impressions clicks spend reach actions action_values"
PINNED = ("action_attribution_windows", "action_report_time", "use_unified_attribution_setting")
WINDOW = 28  # days in which actions are added to a day


@dataclass
class Meta:
    """The API: what it knows, and what is wrong with it. `faults` answer the next questions, one each."""

    served: Api
    now: date
    campaigns: dict[str, int] = field(default_factory=lambda: {"act_101": 3, "act_102": 2})  # by account
    currencies: dict[str, str] = field(default_factory=lambda: {"act_101": "SEK", "act_102": "NOK"})
    page_size: int = 2
    gone: set[tuple[str, date, int]] = field(default_factory=set)  # account, day, campaign: vanished since
    faults: list[Reply | None] = field(default_factory=list)  # None: as if nothing were
    fault_of: Callable[[Request], Reply | None] = lambda request: None  # of single questions
    too_large: set[str] = field(default_factory=set)  # accounts that only a report run answers
    statuses: list[dict[str, Any]] = field(default_factory=list)  # of the next looks at a report run; then completed
    usage: dict[str, dict[str, str]] = field(default_factory=dict)  # headers, by account
    runs: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.served.url

    @property
    def asked(self) -> list[Request]:
        return self.served.asked

    def insights(self, account: str, day: date) -> list[dict[str, Any]]:
        """The rows of an account's day as they are on the clock's day."""
        shown = range(self.campaigns[account]) if day < self.now else ()
        return [self._row(account, day, n) for n in shown if (account, day, n) not in self.gone]

    def _row(self, account: str, day: date, campaign: int) -> dict[str, Any]:
        age = min((self.now - day).days, WINDOW)
        bought = sum(_number(account, day, campaign, then, top=3) for then in range(age + 1))
        row: dict[str, Any] = {
            "account_id": account[4:],
            "campaign_id": f"{account[4:]}{campaign}",
            "campaign_name": f"Campaign {campaign}",
            "account_currency": self.currencies[account],
            "impressions": str(1000 + _number(account, day, campaign, "i", top=900)),
            "clicks": str(_number(account, day, campaign, "c", top=100)),
            "spend": f"{_number(account, day, campaign, 's', top=90000) / 100:.2f}",
            "reach": str(900 + _number(account, day, campaign, "r", top=90)),
        }
        if campaign:  # a field without a value is left out
            row["actions"] = [
                {"action_type": "mobile_app_install", "value": str(_number(account, day, campaign, "m", top=40))},
                {"action_type": "purchase", "value": str(bought)},
            ]
            row["action_values"] = [{"action_type": "purchase", "value": f"{bought * 9.5}"}]
        return {**row, "date_start": str(day), "date_stop": str(day)}

    def answer(self, request: Request) -> Reply:
        if self.faults and (fault := self.faults.pop(0)):
            return fault
        return self.fault_of(request) or self._refusal(request) or self._answer(request)

    def _refusal(self, request: Request) -> Reply | None:
        if "access_token" in request.params or request.headers.get("authorization") != f"Bearer {TOKEN}":
            return error(190, "Invalid OAuth access token.", 467)
        version, node = request.path.split("/")[1:3]
        if version != VERSION:
            return error(2635, f"You are calling a deprecated version of the Ads API: {version}")
        if node.startswith("act_") and node not in self.campaigns:
            return error(100, f"Unsupported get request. Object with ID '{node}' does not exist", 33)
        return None

    def _answer(self, request: Request) -> Reply:
        parts = request.path.split("/")[2:]
        headers = self.usage.get(parts[0], {})
        if parts[0] in self.runs and len(parts) == 1:
            status = self.statuses.pop(0) if self.statuses else {"async_status": "Job Completed"}
            return Reply({"id": parts[0], **status})
        if len(parts) == 1:
            zone = {"id": parts[0], "timezone_name": "Europe/Stockholm", "currency": self.currencies[parts[0]]}
            return Reply({"account_id": parts[0][4:], **zone}, headers=headers)
        asked = request.params if request.method == "GET" else _form(request.body)
        if parts[0] in self.runs:
            account, asked = self.runs[parts[0]][0], {**self.runs[parts[0]][1], **asked}
            return self._page(request, account, asked, headers)
        if wrong := _wrong(asked):
            return error(100, wrong)
        if request.method == "POST":
            run = str(700 + len(self.runs))
            self.runs[run] = (parts[0], asked)
            return Reply({"report_run_id": run}, headers=headers)
        if parts[0] in self.too_large:
            return error(100, "The request timed out. Try a smaller range, or async", 1504018)
        return self._page(request, parts[0], asked, headers)

    def _page(self, request: Request, account: str, asked: dict[str, str], headers: dict[str, str]) -> Reply:
        day = date.fromisoformat(json.loads(asked["time_range"])["since"])
        rows, begin = self.insights(account, day), int(asked.get("after", "c0")[1:])
        end = begin + min(self.page_size, int(asked["limit"]))
        wanted = {*asked["fields"].split(","), "date_start", "date_stop"}
        page = [{name: value for name, value in row.items() if name in wanted} for row in rows[begin:end]]
        if not rows:
            return Reply({"data": []}, headers=headers)
        paging: dict[str, Any] = {"cursors": {"before": f"c{begin}", "after": f"c{end}"}}
        if end < len(rows):
            paging["next"] = f"{self.url}{request.path}?access_token={TOKEN}&after=c{end}"
        return Reply({"data": page, "paging": paging}, headers=headers)


def error(code: int, message: str, subcode: int | None = None, status: int = 400, **headers: str) -> Reply:
    """An error as Meta words it: nearly always with status 400."""
    body: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": body | ({"error_subcode": subcode} if subcode else {})}, status, named)


def _wrong(asked: dict[str, str]) -> str:
    """What is wrong with a question, in Meta's words; nothing where it is right."""
    for name in asked["fields"].split(","):
        if name not in KNOWN.split():
            return f"(#100) {name} is not valid for fields param. please check"
    missing = [name for name in (*PINNED, "level", "time_increment", "limit") if name not in asked]
    span = json.loads(asked["time_range"])
    return f"missing {missing}" if missing or span["since"] != span["until"] else ""


def _form(body: str) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(body))


def _number(*what: object, top: int) -> int:
    """A number that is always the same for the same things."""
    return int(sha256(repr(what).encode()).hexdigest()[:8], 16) % top


@contextmanager
def meta(now: date) -> Iterator[Meta]:
    """Serve for the length of a with-block."""
    with api() as served:
        made = Meta(served, now)
        served.answer = made.answer
        yield made
