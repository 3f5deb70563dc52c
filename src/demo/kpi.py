"""The sample company's apps, as their sources tell of them: Google Analytics, Meta, the App Store, Google Play.

Law: a file is a function of its day and the seed alone, as in the other feeds; Google Play's is of a month so far. What
an app does on a day is drawn once, whole: ads lead to clicks, clicks and chance to installs, installs to first opens,
half of those to sign-ups; who came before comes again, ever more seldom, and a few buy. Each source tells its part of
it, in files of the shapes and names that the connectors land.

    ga4                     a file for each property and day, an event a line
    meta_ads                a file for each ad account and day, a campaign a line; Beacon is not advertised
    app_store/sales         a report for each vendor and day; Beacon has a vendor's number of its own
    app_store/engagement    what Apple processed of Harbor, every second day: the three days before it
    play/installs           a file for each package and month, a day behind the others

The defects that such sources have:

    Wednesdays of Harbor    land short of their last events in GA4, and whole two days later
    Mondays of Meta         land again a week later: conversions have grown, and a campaign that was a draft is gone
    days of the App Store   without a sale have no report; of Beacon one was reported by mistake, and taken back empty
    session_engaged         is a text in apps, and a number on the site
    some                    refunds, purchases that are reported twice, sales in several currencies
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

from src.demo import landing
from src.demo.landing import stream as drawn

FEED = Path("kpi")
SALES = (
    "Provider", "Provider Country", "SKU", "Developer", "Title", "Version", "Product Type Identifier", "Units",
    "Developer Proceeds", "Begin Date", "End Date", "Customer Currency", "Country Code", "Currency of Proceeds",
    "Apple Identifier", "Customer Price", "Promo Code", "Parent Identifier", "Subscription", "Period", "Category",
    "CMB", "Device", "Supported Platforms", "Proceeds Reason", "Preserved Pricing", "Client", "Order Type",
)  # fmt: skip
ENGAGEMENT = (
    "Date", "App Name", "App Apple Identifier", "Event", "Page Type", "Source Type", "Engagement Type", "Device",
    "Platform Version", "Territory", "Counts", "Unique Counts",
)  # fmt: skip
INSTALLS = (
    "Date", "Package Name", "Daily Device Installs", "Daily Device Uninstalls", "Daily Device Upgrades",
    "Total User Installs", "Daily User Installs", "Daily User Uninstalls", "Active Device Installs", "Install events",
    "Update events", "Uninstall events",
)  # fmt: skip

_DAY = timedelta(days=1)
_PULLED = time(0, 30)  # of the day after: when the sources are asked
_MONDAY, _WEDNESDAY = 0, 2
_AGAIN = {"ga4": 2, "meta_ads": 7}  # days until a day that is restated lands again

_WEEKDAYS = (0.95, 0.9, 0.95, 1.0, 1.1, 1.25, 1.2)
_GROWTH_A_YEAR = 0.3
_GROWTH_FROM = date(2025, 1, 1)
_PLATFORMS = ("ios", "android", "web")
_COME_BACK = 28  # days after which nobody comes again


@dataclass(frozen=True, eq=False)
class App:
    """An app and its keys; `newcomers` are those of a plain day by platform, `site` is where it is on the web too."""

    app_id: str
    name: str
    number: int
    newcomers: Mapping[str, float]
    ads: str = ""  # the currency of its ad account
    vendor: int = 85000001

    @property
    def property_id(self) -> str:
        """Return its property at GA4, as the dataset is called."""
        return f"analytics_{200 + self.number}"

    @property
    def ad_account(self) -> str:
        """Return its ad account at Meta."""
        return f"act_{100 + self.number}"

    @property
    def apple_id(self) -> str:
        """Return its Apple id."""
        return str(900_000 + self.number)

    @property
    def package(self) -> str:
        """Return its package at Google Play."""
        return f"com.tidewater.{self.app_id}"


APPS = (
    App("harbor", "Harbor", 1, {"ios": 4, "android": 3, "web": 2}, ads="GBP"),
    App("dinghy", "Dinghy", 2, {"ios": 2, "android": 3}, ads="EUR"),
    App("beacon", "Beacon", 3, {"ios": 0.25}, vendor=85000002),
)
_STORES = (("GB", "GBP", "2.79", "3.99"), ("DE", "EUR", "3.05", "4.99"), ("US", "USD", "2.80", "3.99"))


@dataclass(frozen=True)
class Day:
    """The day of an app, before any source tells of it."""

    impressions: int
    clicks: int
    ad_installs: int
    installs: Mapping[str, int]  # by store's platform
    newcomers: Mapping[str, int]  # by platform: first opens, and first visits on the site


def land(landing_zone: Path, *, days: int, last: date, seed: int) -> list[Path]:
    """Land the files of the `days` days that end with `last` in `landing_zone`, as `landing.land` does."""
    first = last - (days - 1) * _DAY

    def files(today: date) -> Iterator[landing.File]:
        pulled = _pulled(today)
        for name, made in _files(today, first, seed):
            yield FEED / name, made, pulled
        if today == last:
            for name, made in _months(first, last, seed):
                yield FEED / name, made, pulled

    return landing.land(landing_zone, files, days=days, last=last)


File = tuple[str, Callable[[], bytes]]


def _files(today: date, first: date, seed: int) -> Iterator[File]:
    """Yield what the sources tell of a day on the day after it, and what they restate then of days from `first` on."""
    restated = {source: today - days * _DAY for source, days in _AGAIN.items()}
    for app in APPS:
        made = partial(_events, app, today, seed, short=today.weekday() == _WEDNESDAY and app is APPS[0])
        yield _file(f"ga4/{app.property_id}", today, today, "ndjson", made)
        if (day := restated["ga4"]).weekday() == _WEDNESDAY and day >= first and app is APPS[0]:
            yield _file(f"ga4/{app.property_id}", day, today, "ndjson", partial(_events, app, day, seed))
        if app.ads:
            made = partial(_campaigns, app, today, seed, first=today.weekday() == _MONDAY)
            yield _file(f"meta_ads/{app.ad_account}", today, today, "ndjson", made)
            if (day := restated["meta_ads"]).weekday() == _MONDAY and day >= first:
                made = partial(_campaigns, app, day, seed)
                yield _file(f"meta_ads/{app.ad_account}", day, today, "ndjson", made)
    yield from _reports(today, first, seed)
    if today.toordinal() % 2:
        harbor = APPS[0]
        made = partial(_engagement, harbor, today, seed)
        yield _file(f"app_store/engagement/{harbor.apple_id}", today, today, "tsv", made)


def _file(folder: str, day: date, today: date, ending: str, made: Callable[[], str]) -> File:
    pulled = _pulled(today)
    name = f"{folder}/{day}@{pulled.strftime('%Y%m%dT%H%M%S%fZ')}.{ending}.gz"
    return name, lambda: gzip.compress(made().encode(), 6, mtime=int(pulled.timestamp()))


def _pulled(today: date) -> datetime:
    return datetime.combine(today + _DAY, _PULLED, UTC)


# -- what happens


@lru_cache(maxsize=1024)
def happened(app: App, today: date, seed: int) -> Day:
    """Return what an app does on a day: each step follows from the one before."""
    draw = drawn(seed, today, f"{app.app_id}/day")
    years = (today - _GROWTH_FROM).days / 365
    busy = _WEEKDAYS[today.weekday()] * min(3.0, max(0.5, 1 + _GROWTH_A_YEAR * years))
    newcomers = {platform: _about(plain * busy, draw) for platform, plain in app.newcomers.items()}
    # a few install it and never open it
    installs = {name: many + (draw.random() < 0.1 * many) for name, many in newcomers.items() if name != "web"}
    ad_installs = round(sum(installs.values()) * draw.uniform(0.47, 0.53)) if app.ads else 0
    clicks = round(ad_installs * draw.uniform(4.2, 4.8))
    impressions = round(clicks * draw.uniform(60, 66))
    return Day(impressions, clicks, ad_installs, installs, newcomers)


def _about(mean: float, draw: Random) -> int:
    """Return a number of people around a mean."""
    return max(0, round(draw.gauss(mean, 0.25 * math.sqrt(mean))))


@dataclass(frozen=True)
class _Person:
    """Somebody who uses an app on a day; `index` among those of the platform who came on the same day."""

    joined: date
    platform: str
    index: int
    app: App

    @property
    def number(self) -> str:
        return f"{self.joined.toordinal()}{self.index:02}.{self.app.number}{_PLATFORMS.index(self.platform)}"


def _people(app: App, today: date, seed: int) -> Iterator[_Person]:
    """Yield who uses the app on a day, newcomers first; somebody of the company always does."""
    draw = drawn(seed, today, f"{app.app_id}/people")
    for back in range(_COME_BACK + 1):
        joined = today - back * _DAY
        for platform, many in happened(app, joined, seed).newcomers.items():
            for index in range(many):
                if back == 0 or draw.random() < 0.2 / (1 + 0.4 * back):
                    yield _Person(joined, platform, index, app)
    yield from (_Person(_GROWTH_FROM, platform, 0, app) for platform in app.newcomers)


# -- Google Analytics


def _events(app: App, today: date, seed: int, *, short: bool = False) -> str:
    """Return a day's events; `short` of those that Google takes in two days later."""
    draw = drawn(seed, today, f"{app.app_id}/events")
    lines: list[tuple[int, str]] = []
    sold: set[str] = set()  # every platform sells something every day
    for person in _people(app, today, seed):
        for visit in range(draw.choice((1, 1, 1, 1, 2))):
            at = start = draw.randrange(86_400 - 1_800)
            buys = person.platform not in sold or draw.random() < 0.03
            sold.add(person.platform)
            for name in _visit(person, person.joined == today and not visit, draw, buys=buys):
                lines.append((at, _event(person, today, (start, at), name, draw)))
                at += draw.randrange(2, 200)
            if person.platform == "web" and buys and draw.random() < 0.2:
                lines.append((at, lines[-1][1]))  # reported twice
    texts = [text for _, text in sorted(lines)]
    return "".join(texts[: len(texts) * 9 // 10] if short else texts)


def _visit(person: _Person, is_first: bool, draw: Random, *, buys: bool) -> list[str]:
    """Return the names of a visit's events; every second newcomer of an app signs up."""
    on_site = person.platform == "web"
    names = [("first_visit" if on_site else "first_open")] if is_first else []
    names += ["page_view" if on_site else "screen_view"] * draw.choice((1, 1, 2))
    names += ["sign_up"] if is_first and not on_site and person.index % 2 == 0 else []
    names += ["begin_checkout"] if on_site and (buys or draw.random() < 0.07) else []
    names += ["user_engagement"] if not on_site and draw.random() < 0.4 else []
    return names + ([("purchase" if on_site else "in_app_purchase")] if buys else [])


def _event(person: _Person, today: date, when: tuple[int, int], name: str, draw: Random) -> str:
    platform, is_new = person.platform, person.joined == today
    start, second = when
    session = today.toordinal() * 100_000 + start
    micros = int(datetime.combine(today, time(), UTC).timestamp() + second) * 1_000_000
    engaged = name not in ("first_open", "first_visit")
    parameters = [_parameter("ga_session_id", session)]
    if engaged:
        parameters += [
            _parameter("session_engaged", 1 if platform == "web" else "1"),
            _parameter("engagement_time_msec", draw.randrange(100, 60_000)),
        ]
    event: dict[str, Any] = {
        "event_date": f"{today:%Y%m%d}",
        "event_timestamp": micros,
        "event_name": name,
        "event_params": parameters,
        "event_value_in_usd": None,
        "user_pseudo_id": person.number,
        "is_active_user": engaged or is_new,
        "stream_id": str(2_100_000_000 + 10 * person.app.number + _PLATFORMS.index(platform)),
        "platform": platform.upper(),
        "ecommerce": None,
    }
    if name == "in_app_purchase":
        event["event_value_in_usd"] = 3.99
    if name == "purchase":
        worth = draw.choice((12.5, 24.95, 39.95))
        event["event_value_in_usd"] = worth
        event["ecommerce"] = {"transaction_id": f"W{session}{person.index}", "purchase_revenue_in_usd": worth}
    return json.dumps(event, separators=(",", ":")) + "\n"


def _parameter(key: str, value: int | str) -> dict[str, Any]:
    kind = "string_value" if isinstance(value, str) else "int_value"
    names = ("string_value", "int_value", "float_value", "double_value")
    return {"key": key, "value": dict.fromkeys(names) | {kind: value}}


# -- Meta


def _campaigns(app: App, today: date, seed: int, *, first: bool = False) -> str:
    """Return a day's campaigns; `first`: as Meta tells of it before conversions have come in, and with a draft."""
    draw, day = drawn(seed, today, f"{app.app_id}/campaigns"), happened(app, today, seed)
    rows = []
    for number, share in enumerate((0.6, 0.4) if app.number == 1 else (1.0,)):
        clicks, installs = round(day.clicks * share), round(day.ad_installs * share)
        known = installs * 6 // 10 if first else installs
        row = _campaign(app, today, f"{app.number}01{number}", ("Install", "Return")[number])
        row |= {"impressions": str(round(day.impressions * share)), "clicks": str(clicks)}
        row |= {"spend": f"{clicks * draw.uniform(0.38, 0.42):.2f}"}
        buyers = max(1, installs // 4)
        if known:
            kinds = {"mobile_app_install": known, "complete_registration": max(1, known // 3), "purchase": buyers}
            row["actions"] = [{"action_type": kind, "value": str(many)} for kind, many in kinds.items() if many]
        if known:
            row["action_values"] = [{"action_type": "purchase", "value": f"{3.99 * buyers:.2f}"}]
        rows.append(row)
    if first:
        draft = {"impressions": "10", "clicks": "0", "spend": "0.05"}
        rows.append(_campaign(app, today, f"{app.number}019", "Draft") | draft)
    return "".join(json.dumps(row) + "\n" for row in rows)


def _campaign(app: App, today: date, number: str, name: str) -> dict[str, Any]:
    return {
        "account_id": str(100 + app.number),
        "campaign_id": number,
        "campaign_name": f"{app.name} {name}",
        "date_start": f"{today}",
        "date_stop": f"{today}",
        "account_currency": app.ads,
    }


# -- the App Store


def _reports(today: date, first: date, seed: int) -> Iterator[File]:
    """Yield the sales reports of a day, and of the day before an empty one where it was reported by mistake."""
    for vendor in sorted({app.vendor for app in APPS}):
        text = _sales(vendor, today, seed)
        if text:
            yield _file(f"app_store/sales/{vendor}", today, today, "tsv", partial(str, text))
    before = today - _DAY
    if _is_mistaken(before, seed) and before >= first:
        yield _file(f"app_store/sales/{APPS[-1].vendor}", before, today, "tsv", str)


def _is_mistaken(day: date, seed: int) -> bool:
    """Return whether a sale of Beacon is reported for a day without any."""
    return day.day in (3, 17) and not happened(APPS[-1], day, seed).installs["ios"]


def _sales(vendor: int, today: date, seed: int) -> str:
    """Return a vendor's report of a day, empty where nothing was sold."""
    rows: list[list[str]] = []
    for app in (app for app in APPS if app.vendor == vendor):
        draw = drawn(seed, today, f"{app.app_id}/sales")
        left = happened(app, today, seed).installs["ios"]
        for index, store in enumerate(_STORES):
            units = -(-left // (len(_STORES) - index))
            left -= units
            kinds = [
                ("1F", units),
                ("3F", draw.choice((0, 0, 1)) if units else 0),
                ("7F", draw.choice((1, 2, 3)) if units else 0),
            ]
            rows += [_sale(app, today, store, kind, many) for kind, many in kinds if many]
            sold = draw.choice((0, 0, 1, 2, -1)) if units else 0
            rows += [_sale(app, today, store, "IA1", sold)] if sold else []
        if app is APPS[-1] and _is_mistaken(today, seed):
            rows = [_sale(app, today, _STORES[0], "1F", 1)]
    return "\n".join("\t".join(row) for row in [list(SALES), *rows]) + "\n" if rows else ""


def _sale(app: App, today: date, store: tuple[str, str, str, str], kind: str, units: int) -> list[str]:
    country, currency, proceeds, price = store
    inside = kind.startswith("IA")
    values = {
        "Provider": "APPLE",
        "Provider Country": "US",
        "SKU": f"{app.app_id}.pro" if inside else f"{app.app_id}.ios",
        "Developer": "" if inside else "Tidewater",
        "Title": f"{app.name} Pro" if inside else app.name,
        "Version": "" if inside else "1.4",
        "Product Type Identifier": kind,
        "Units": str(units),
        "Developer Proceeds": proceeds if inside else "0",
        "Begin Date": f"{today:%m/%d/%Y}",
        "End Date": f"{today:%m/%d/%Y}",
        "Customer Currency": currency,
        "Country Code": country,
        "Currency of Proceeds": currency,
        "Apple Identifier": str(910_000 + app.number) if inside else app.apple_id,
        "Customer Price": price if inside else "0",
        "Parent Identifier": f"{app.app_id}.ios" if inside else "",
        "Category": "Lifestyle",
        "Device": "iPhone",
        "Supported Platforms": "iOS",
    }
    return [values.get(name, "") or " " for name in SALES]


def _engagement(app: App, processed: date, seed: int) -> str:
    """Return what Apple processed on a day: the day before as far as it is known, and two before that whole."""
    rows = []
    for back, share in ((1, 0.95), (2, 1.0), (3, 1.0)):
        day = processed - back * _DAY
        seen = happened(app, day, seed).installs["ios"] * 40 * share
        for event, page, part in (("Impression", "No page", 1.0), ("Page view", "Product page", 0.15)):
            for device, of in (("iPhone", 0.8), ("iPad", 0.2)):
                counts = round(seen * part * of)
                texts = [event, page, "App Store search", "", device, "iOS 26.1", "United Kingdom"]
                rows.append([f"{day}", app.name, app.apple_id, *texts, str(counts), str(counts * 7 // 10)])
    return "\n".join("\t".join(row) for row in [list(ENGAGEMENT), *rows]) + "\n"


# -- Google Play


def _months(first: date, last: date, seed: int) -> Iterator[File]:
    """Yield the files of the months so far: Google Play is a day behind, and leaves a file of each month."""
    days = [first + back * _DAY for back in range((last - first).days)]
    for app in (app for app in APPS if "android" in app.newcomers):
        for month in sorted({day.replace(day=1) for day in days}):
            so_far = [day for day in days if day.replace(day=1) == month]
            name = f"play/installs/installs_{app.package}_{month:%Y%m}_overview.csv"
            yield name, partial(_installs, app, so_far, seed)


def _installs(app: App, days: Iterable[date], seed: int) -> bytes:
    rows = []
    for day in days:
        installs = happened(app, day, seed).installs["android"]
        gone = drawn(seed, day, f"{app.app_id}/uninstalls").randint(0, installs // 2)
        there = 30 * installs + 200 * app.number
        counts = (
            installs + 1,
            gone,
            2 * installs,
            there + 500,
            installs,
            gone,
            there,
            installs + 1,
            2 * installs,
            gone,
        )
        rows.append((f"{day}", app.package, *map(str, counts)))
    return landing.csv_text(INSTALLS, rows).encode("utf-16")
