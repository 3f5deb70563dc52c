"""App Store Connect on 127.0.0.1, a function of a clock that a test sets: sales reports and analytics reports.

Tokens are verified by the key's public half. The files of analytics reports are on another host, which refuses a call
that brings a token, and whose links hold for five minutes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_api import Api, Reply, Request, api

PRIVATE = ec.generate_private_key(ec.SECP256R1())
KEY = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
CREDENTIALS = {"KEY_ID": "KEY2026ABC", "ISSUER_ID": "57246542-96fe-1a63-e053-0824d011072a", "PRIVATE_KEY": KEY}
PACIFIC = ZoneInfo("America/Los_Angeles")
COLUMNS = (
    "Provider\tProvider Country\tSKU\tDeveloper\tTitle\tVersion\tProduct Type Identifier\tUnits\tDeveloper Proceeds\t"
    "Begin Date\tEnd Date\tCustomer Currency\tCountry Code\tCurrency of Proceeds\tApple Identifier\tCustomer Price\t"
    "Promo Code\tParent Identifier\tSubscription\tPeriod\tCategory\tCMB\tDevice\tSupported Platforms\tProceeds Reason\t"
    "Preserved Pricing\tClient\tOrder Type"
)
ENGAGEMENT = "App Store Discovery and Engagement Standard"
ENGAGEMENT_COLUMNS = (
    "Date\tApp Name\tApp Apple Identifier\tEvent\tPage Type\tSource Type\tEngagement Type\tDevice\tPlatform Version\t"
    "Territory\tCounts\tUnique Counts"
)


def sale(day: date, units: int, kind: str = "1F", sku: str = "harbor.ios", **more: str) -> str:
    """A line of a sales report, as Apple writes it: blanks where there is no value, and no quotes."""
    of = {
        "title": "Harbor",
        "proceeds": "0",
        "currency": "SEK",
        "country": "SE",
        "apple_id": "900001",
        "price": "0",
        "parent": " ",
        **more,
    }
    begin = f"{day:%m/%d/%Y}"
    cells = [
        *("APPLE", "US", sku, "Tidewater", of["title"], "1.0", kind, str(units), of["proceeds"], begin, begin),
        *(of["currency"], of["country"], of["currency"], of["apple_id"], of["price"], " ", of["parent"], " ", " "),
        *("Travel", "", "iPhone", "iOS", "", "", "", ""),
    ]
    return "\t".join(cells)


def engagement(day: date, counts: int, event: str = "Impression", app: str = "900001") -> str:
    """A line of the engagement report."""
    cells = [str(day), "Harbor", app, event, "No page", "App Store search", "", "iPhone", "iOS 26.0", "SE"]
    return "\t".join([*cells, str(counts), str(counts // 2)])


def report(*lines: str, columns: str = COLUMNS) -> str:
    """A whole report."""
    return "\n".join([columns, *lines, ""])


def refusal(status: int, code: str, detail: str, **headers: str) -> Reply:
    """An error in Apple's words."""
    error = {"id": "x", "status": str(status), "code": code, "title": "An error", "detail": detail}
    return Reply({"errors": [error]}, status, headers)


@dataclass
class AppStore:
    """The vendor's reports, and how the server is just now."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    sales: dict[tuple[str, date], str] = field(default_factory=dict)  # by vendor and day
    instances: dict[str, dict[date, list[str]]] = field(default_factory=dict)  # segments by app and processing date
    requests: dict[str, str] = field(default_factory=dict)  # by app: live or stopped
    reports: tuple[str, ...] = (ENGAGEMENT, "App Downloads Standard")
    latest: str = "1_3"  # of the sales summary
    page: int = 2  # members of a list at once
    ready: time = time(6, tzinfo=PACIFIC)  # of the day after, from when on a day's sales are there
    calls_left: int = 3500
    replies: list[Reply | None] = field(default_factory=list)  # to the next calls; None: as it is
    spoilt: dict[str, Any] = field(default_factory=dict)  # what the next list of segments says wrongly
    tokens: list[str] = field(default_factory=list)
    apple: Api = field(default_factory=lambda: Api(""))
    files: Api = field(default_factory=lambda: Api(""))

    @property
    def url(self) -> str:
        return self.apple.url

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, at Apple's host."""
        return [request.path for request in self.apple.asked]

    def answer(self, request: Request) -> Reply:
        """What Apple answers: first of all what the test wants next, then by the token, then by the path."""
        said = self.replies.pop(0) if self.replies else None
        found = said or self._unauthorized(request) or self._answer(request)
        self.calls_left = max(0, self.calls_left - 1)
        limit = f"user-hour-lim:3500;user-hour-rem:{self.calls_left};"
        return Reply(
            found.body, found.status, {"X-Rate-Limit": limit, "Date": format_datetime(self.now, True), **found.headers}
        )

    def file(self, request: Request) -> Reply:
        """What the host of files answers."""
        if "authorization" in request.headers:
            return Reply("Only one auth mechanism allowed", 400)
        if self.now.timestamp() > float(request.params["expires"]):
            return Reply("Request has expired", 403)
        _, app, day, number = request.path.split("/")
        return Reply(gzip.compress(self.instances[app][date.fromisoformat(day)][int(number)].encode(), mtime=0))

    def _unauthorized(self, request: Request) -> Reply | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.tokens.append(token)
        moment = self.now.timestamp()
        try:
            options: Any = {"require": ["iss", "iat", "exp", "aud"], "verify_exp": False, "verify_iat": False}
            claims = jwt.decode(token, PRIVATE.public_key(), ["ES256"], audience="appstoreconnect-v1", options=options)
            kid = jwt.get_unverified_header(token)["kid"]
            right = (kid, claims["iss"]) == (CREDENTIALS["KEY_ID"], CREDENTIALS["ISSUER_ID"])
            if right and moment < claims["exp"] <= moment + 20 * 60:
                return None
        except jwt.PyJWTError:
            pass
        return refusal(401, "NOT_AUTHORIZED", "Provide a properly configured and signed bearer token")

    def _answer(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["v1", "salesReports"]:
                return self._sales(request)
            case ["v1", "apps", app, "analyticsReportRequests"] if app in self.requests:
                about = {"accessType": "ONGOING", "stoppedDueToInactivity": self.requests[app] == "stopped"}
                return self._page(request, [{"id": f"r-{app}", "attributes": about}])
            case ["v1", "apps", app, "analyticsReportRequests"] if app in self.instances:
                return self._page(request, [])
            case ["v1", "analyticsReportRequests"]:
                app = _json(request)["data"]["relationships"]["app"]["data"]["id"]
                self.requests[app] = "live"
                return Reply({"data": {"id": f"r-{app}"}}, 201)
            case ["v1", "analyticsReportRequests", number, "reports"]:
                names = self.reports if self.instances[number[2:]] else ()
                wanted = request.params.get("filter[name]")
                found = [name for name in names if wanted in (None, name)]
                return self._page(
                    request, [{"id": f"{number[2:]}-{names.index(n)}", "attributes": {"name": n}} for n in found]
                )
            case ["v1", "analyticsReports", number, "instances"]:
                app = number.partition("-")[0]
                days = [day for day in self.instances[app] if day < self.now.date()]
                weekly = [] if "filter[granularity]" in request.params else [_made("w", days[0], "WEEKLY")]
                return self._page(request, [*(_made(f"{app}_{day}", day, "DAILY") for day in days), *weekly])
            case ["v1", "analyticsReportInstances", number, "segments"]:
                app, _, day = number.partition("_")
                return self._page(request, [*self._segments(app, date.fromisoformat(day))])
        return refusal(404, "NOT_FOUND", f"There is no resource at {request.path}")

    def _sales(self, request: Request) -> Reply:
        version = request.params["filter[version]"]
        if version != self.latest:
            words = "The version parameter you have specified is invalid. The latest version for this report is"
            return refusal(400, "PARAMETER_ERROR.INVALID", f"{words} {self.latest}.")
        day = date.fromisoformat(request.params["filter[reportDate]"])
        if self.now < datetime.combine(day + timedelta(days=1), self.ready):
            return refusal(404, "NOT_FOUND", "Report is not available yet.")
        found = self.sales.get((request.params["filter[vendorNumber]"], day))
        if not found:
            return refusal(404, "NOT_FOUND", "There were no sales for the date specified.")
        return Reply(gzip.compress(found.encode(), mtime=0), headers={"Content-Type": "application/a-gzip"})

    def _segments(self, app: str, day: date) -> Iterator[dict[str, Any]]:
        expires = int(self.now.timestamp()) + 300
        for number, text in enumerate(self.instances[app][day]):
            packed = gzip.compress(text.encode(), mtime=0)
            about = {
                "checksum": hashlib.md5(packed, usedforsecurity=False).hexdigest(),
                "sizeInBytes": len(packed),
                "url": f"{self.files.url}/{app}/{day}/{number}?expires={expires}&signature=secret-7",
            }
            yield {"id": f"{app}_{day}_{number}", "attributes": {**about, **self.spoilt}}

    def _page(self, request: Request, members: list[dict[str, Any]]) -> Reply:
        assert request.params.get("limit") == "200" or "cursor" in request.params
        start = int(request.params.get("cursor", 0))
        end = start + self.page
        links = {"self": self.url}
        if end < len(members):
            links["next"] = f"{self.url}{request.path}?cursor={end}&filter%5Bgranularity%5D=DAILY"
        return Reply({"data": members[start:end], "links": links})


def _made(number: str, day: date, granularity: str) -> dict[str, Any]:
    return {"id": number, "attributes": {"granularity": granularity, "processingDate": str(day)}}


def _json(request: Request) -> Any:
    return json.loads(request.body)


@contextmanager
def app_store() -> Iterator[AppStore]:
    """Serve for the length of a with-block."""
    made = AppStore()
    with api(made.answer) as made.apple, api(made.file) as made.files:
        yield made
