"""The KPI hub against its three vendors through simulated days: each figure is what the vendors say, counted apart.

The shipped contracts, seeds and marts run against servers whose figures are functions of a clock that the test sets.
After each day `gold.kpi.fact_kpi_daily` equals a count in plain Python over what these servers said when they were last
asked and answered, slice by slice; it reads none of our files.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from random import Random
from typing import Any

import pytest
import yaml
from conftest import ROOT, Lake
from fake_api import Reply
from fake_app_store import CREDENTIALS, AppStore, app_store, refusal, report, sale
from fake_bigquery import BigQuery, bigquery
from fake_meta import TOKEN, Meta, error, meta

from src.run import releases, runs

FIRST = date(2026, 11, 10)
LOOKBACK = {"ga4": 4, "meta_ads": 28, "app_store": 3}  # days, as a company writes them; of Meta less where it is short
ACCOUNTS = {
    "ga4": {"analytics_201": "harbor", "analytics_202": "dinghy"},
    "meta_ads": {"act_101": "harbor", "act_102": "dinghy"},
    "app_store": {"85000001": ""},  # one report for all apps of a vendor
}
STORE_APPS = {"900001": ("harbor", "harbor.ios"), "900002": ("dinghy", "dinghy.ios")}
READY = {"readyAt": "08:00 America/Los_Angeles"}  # before that "no sales" is not believed
EVERY = frozenset(ACCOUNTS)
BUSY = Reply({}, 429, {"Retry-After": "300"})  # longer than the budget: no run waits for it
Rows = list[dict[str, Any]]
Figures = dict[tuple[date, str, str, str, str, str], Decimal]


def number(*what: object, top: int) -> int:
    """A number that is always the same for the same things."""
    return int(sha256(repr(what).encode()).hexdigest()[:8], 16) % top


@dataclass
class World:
    """The vendors at a day, and what each said of its slices when it was last asked."""

    ga4: BigQuery
    meta: Meta
    apple: AppStore
    lookback: dict[str, int] = field(default_factory=LOOKBACK.copy)
    today: date = FIRST
    started: datetime = field(default_factory=runs.now)
    said: dict[tuple[str, str, date], Rows] = field(default_factory=dict)
    held: dict[tuple[str, str, date], Rows] = field(default_factory=dict)  # what a vendor says in place of its own
    shown: dict[tuple[str, date], Rows] = field(default_factory=dict)  # tables that BigQuery has
    hour: int = 18  # of today, UTC: when Apple's reports are there
    real_now: Callable[[], datetime] = field(default_factory=lambda: runs.now)

    def now(self) -> datetime:
        """The clock: an hour of today, and as fast as ours."""
        return datetime.combine(self.today, time(self.hour), UTC) + (self.real_now() - self.started)

    def rows(self, source: str, account: str, day: date) -> Rows:
        """What a vendor says of a slice today."""
        if (source, account, day) in self.held:
            return self.held[source, account, day]
        if source == "ga4":
            return list(self._events(account, day))
        return self.meta.insights(account, day) if source == "meta_ads" else list(self._sales(day))

    def _events(self, account: str, day: date) -> Iterator[dict[str, Any]]:
        """A day of a property, which grows for three days."""
        for user in range(6 + min((self.today - day).days, 3)):
            kinds = ["session_start", "screen_view", "screen_view"]
            kinds += ["first_open"] * (number(account, user, top=4) == 0) + ["in_app_purchase"] * (user % 5 == 0)
            for at, kind in enumerate(kinds):
                worth = float(user + 1) if kind == "in_app_purchase" else None
                moment = datetime.combine(day, time(), UTC) + timedelta(minutes=user, seconds=at)
                yield {
                    "event_date": f"{day:%Y%m%d}",
                    "event_timestamp": int(moment.timestamp()) * 1_000_000,
                    "event_name": kind,
                    "user_pseudo_id": f"{account}.{user}",
                    "event_params": [{"key": "ga_session_id", "value": {"int_value": 1000 + user}}],
                    "event_value_in_usd": worth,
                    "platform": "IOS" if user % 2 else "ANDROID",
                    "is_active_user": at > 0,
                }

    def _sales(self, day: date) -> Iterator[dict[str, Any]]:
        """A day of the vendor; nothing on Sundays, and refunds are below zero."""
        for (apple_id, (_, sku)), kind in itertools.product(STORE_APPS.items(), ("1F", "7F", "IA1")):
            if day.isoweekday() != 7:
                inside = kind == "IA1"
                yield {
                    "units": number(day, sku, kind, top=20) - (2 if inside else 0),
                    "kind": kind,
                    "sku": f"{sku}.gold" if inside else sku,
                    "parent": sku if inside else " ",
                    "proceeds": "1.05" if inside else "0",
                    "apple_id": apple_id,
                }

    def show(self, columns: str = "") -> None:
        """Let the servers say what is so today."""
        self.meta.now, self.apple.now = self.today, datetime.combine(self.today, time(self.hour), UTC)
        for account, day in itertools.product(ACCOUNTS["ga4"], self.days(0)):
            rows = self.rows("ga4", account, day)
            if self.shown.get((account, day)) != rows:
                self.shown[account, day] = rows
                self.ga4.put(str(day), *rows, dataset=account)
        for day in self.days(0):
            lines = [sale(day, **row) for row in self.rows("app_store", "85000001", day)]
            text = report(*lines) if lines else ""
            self.apple.sales["85000001", day] = text.replace("\tUnits\t", f"\t{columns}\t") if columns else text

    def days(self, back: int) -> list[date]:
        """The days up to yesterday, from so many before the first one on; 0: all that a vendor may be asked for."""
        first = FIRST - timedelta(days=back or max(self.lookback.values()))
        return [first + timedelta(days=n) for n in range((self.today - first).days)]

    def heard(self, sources: Collection[str]) -> None:
        """Note what these vendors were asked for by a run of today: their lookback, and what had no answer yet."""
        for source in sources:
            again = self.today - timedelta(days=self.lookback[source])
            for account, day in itertools.product(ACCOUNTS[source], self.days(self.lookback[source])):
                if source == "app_store" and self.hour < 14 and day == self.today - timedelta(days=1):
                    continue  # six in the morning in California
                if day >= again or (source, account, day) not in self.said:
                    self.said[source, account, day] = self.rows(source, account, day)

    # -- the independent count

    def figures(self) -> Figures:
        """What the fact table has to say, from what the vendors said alone."""
        found: Figures = defaultdict(Decimal)
        for (source, account, day), rows in self.said.items():
            count = {"ga4": _count_events, "meta_ads": _count_insights, "app_store": _count_sales}[source]
            for (app, platform, metric, currency), value in count(account, rows).items():
                found[day, app, platform, source, metric, currency] += value
        return dict(found)


Counted = dict[tuple[str, str, str, str], Decimal]


def _count_events(account: str, rows: Rows) -> Counted:
    found: Counted = {}
    for platform in {row["platform"] for row in rows}:
        here = [row for row in rows if row["platform"] == platform]
        names = [row["event_name"] for row in here]

        def users(some: Rows) -> int:
            return len({row["user_pseudo_id"] for row in some})

        bought = [row for row in here if row["event_name"] == "in_app_purchase"]
        values = {
            "total_users": users(here),
            "active_users": users([row for row in here if row["is_active_user"]]),
            "new_users": users([row for row in here if row["event_name"] == "first_open"]),
            "first_opens": names.count("first_open"),
            "sign_ups": 0,
            "sessions": users(here),  # one each
            "views": names.count("screen_view"),
            "key_events": 0,
            "purchase_events": len(bought),
            "purchases": len(bought),
            "revenue": sum(row["event_value_in_usd"] for row in bought),
        }
        for metric, value in values.items():
            key = ACCOUNTS["ga4"][account], platform.lower(), metric, "USD" if metric == "revenue" else "XXX"
            found[key] = Decimal(value)
    return found


def _count_insights(account: str, rows: Rows) -> Counted:
    found: Counted = defaultdict(Decimal)
    for row in rows:
        actions = {one["action_type"]: one["value"] for one in row.get("actions", ())}
        worth = {one["action_type"]: one["value"] for one in row.get("action_values", ())}
        money = {"spend": row["spend"], "purchase_value": worth.get("purchase", "0")}
        counts = {
            "impressions": row["impressions"],
            "clicks": row["clicks"],
            "installs": actions.get("mobile_app_install", "0"),
            "sign_ups": "0",
            "purchases": actions.get("purchase", "0"),
        }
        for metric, value in {**counts, **money}.items():
            currency = row["account_currency"] if metric in money else "XXX"
            found[ACCOUNTS["meta_ads"][account], "all", metric, currency] += Decimal(value)
    return found


def _count_sales(account: str, rows: Rows) -> Counted:
    found: Counted = defaultdict(Decimal)
    metrics = {"1F": "downloads", "7F": "updates", "IA1": "in_app_purchases", "3F": "redownloads"}
    for row in rows:
        app = STORE_APPS[row["apple_id"]][0]
        for metric in metrics.values():
            found[app, "ios", metric, "XXX"] += 0
        found[app, "ios", metrics[row["kind"]], "XXX"] += row["units"]
        if proceeds := row["units"] * Decimal(row["proceeds"]):
            found[app, "ios", "proceeds", "SEK"] += proceeds
    return found


# -- the hub


@dataclass
class Hub:
    """A project of the shipped contracts whose sources are the servers."""

    lake: Lake
    world: World

    def run(self, *failed: str, up: Collection[str] = EVERY, columns: str = "") -> None:
        """Run; these steps fail, those sources answer, and the fact table says what they all said."""
        self.world.show(columns)
        self.carry(*failed)
        self.world.heard(up)
        self.compare()

    def carry(self, *failed: str) -> None:
        assert set(self.lake.run().failures) == set(failed)

    def compare(self) -> None:
        found = self.lake.rows(
            "SELECT date, app_id, platform, source_system, metric, currency, value FROM gold.kpi.fact_kpi_daily"
        )
        have, want = {tuple(row[:-1]): row[-1] for row in found}, self.world.figures()
        differ = {key: (have.get(key), want.get(key)) for key in have.keys() | want if have.get(key) != want.get(key)}
        assert (len(differ), list(differ.items())[:3]) == (0, [])
        assert len(found) == len(have) > 0

    def old(self) -> dict[str, list[str]]:
        """By table the sources that readers are told are old in it."""
        stands = releases.behind(self.lake.data).items()
        return {name: [old.source for old in one.old] for name, one in stands if one.old}


@pytest.fixture
def hub(lake: Lake, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Hub]:
    with bigquery() as ga4, meta(FIRST) as ads, app_store() as apple:
        world = World(ga4, ads, apple, LOOKBACK | getattr(request, "param", {}))
        monkeypatch.setattr(runs, "now", world.now)
        ship(lake, world)
        yield Hub(lake, world)


def ship(lake: Lake, world: World) -> None:
    """Give a project the shipped contracts, and each the source that a user would write."""
    for layer in ("silver", "gold"):
        shutil.copytree(ROOT / f"src/{layer}/kpi", lake.root / f"src/{layer}/kpi", ignore=lambda *_: ["tests"])
    seed = lake.root / "src/silver/kpi/seeds/apps.csv"
    theirs = [line for line in seed.read_text().splitlines(keepends=True) if "beacon" not in line]
    seed.write_text("".join(theirs))
    sources = {
        "ga4_events": {"connector": "ga4", "name": "ga4", "url": world.ga4.url},
        "meta_insights": {"connector": "meta", "name": "meta_ads", "url": world.meta.url, "version": "v25.0"},
        "app_store_sales": {"connector": "app_store", "name": "app_store", "url": world.apple.url, **READY},
    }
    for path in sorted((lake.root / "src/silver/kpi").glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        [server] = document["servers"]
        own = [one for one in server.get("customProperties", ()) if one["property"] != "source"]
        if source := sources.get(path.stem):
            called = source["name"]
            accounts = {"seed": "apps", "account": "account", "where": {"source_system": called}}
            written = {**source, "accounts": accounts, "budget": "20 s", "lookback": world.lookback[called]}
            own.append({"property": "source", "value": written})
        if "customProperties" in server or own:
            server["customProperties"] = own
        path.write_text(yaml.safe_dump(document, sort_keys=False))
    rule = '{type: sql, id: clicks, query: "SELECT count(*) FROM ${object} WHERE clicks > 4000", mustBe: 0}'
    lake.edit("silver/kpi/meta_insights.yaml", "  quality:\n", f"  quality:\n  - {rule}\n")
    (lake.root / "key.json").write_text(json.dumps(world.ga4.key))
    lake.environ |= {"SOURCE_GA4_KEY": "key.json", "SOURCE_META_ADS_TOKEN": TOKEN, "SAMPLE_FEED": "false"}
    lake.environ |= {f"SOURCE_APP_STORE_{name}": value.replace("\n", "\\n") for name, value in CREDENTIALS.items()}


# -- what happens on a day: each is a day or more of the world, after which all is well


def a_day_with_restated_days_and_a_campaign_that_vanished(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    hub.world.meta.gone.add(("act_101", hub.world.today - timedelta(days=3), 1))
    hub.run()


def the_same_again_writes_nothing(hub: Hub) -> None:
    before = releases.newest(hub.lake.data)
    hub.run()
    assert releases.newest(hub.lake.data) == before


def calls_that_fail_in_passing(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    hub.world.meta.faults = [
        Reply({}, 429, {"Retry-After": "0"}),
        error(2, "Service temporarily unavailable", status=500),
    ]
    hub.world.apple.replies = [refusal(500, "UNEXPECTED_ERROR", "An unexpected error occurred")]
    hub.world.ga4.faults = [None, None, Reply({}, 503)]
    hub.run()


def a_day_goes_from_one_state_to_another_and_back(hub: Hub) -> None:
    slices = [("ga4", "analytics_201"), ("app_store", "85000001")]
    yesterday = hub.world.today - timedelta(days=1)
    for source, account in slices:
        hub.world.held[source, account, yesterday] = hub.world.rows(source, account, yesterday)[:-1]
    hub.run()
    hub.world.held.clear()
    hub.run()


def days_become_empty(hub: Hub) -> None:
    yesterday = hub.world.today - timedelta(days=1)
    hub.world.held = {("ga4", "analytics_202", yesterday): [], ("app_store", "85000001", yesterday): []}
    hub.world.meta.gone |= {("act_102", yesterday, campaign) for campaign in range(2)}
    hub.run()
    hub.world.held = {}
    hub.run()


def an_outage_of_one_source_leaves_the_others_news_in(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    hub.world.meta.fault_of = lambda request: BUSY
    hub.run("landing.kpi.meta_insights", up=EVERY - {"meta_ads"})
    assert hub.old() == {}  # what did not come is late, not old
    hub.world.meta.fault_of = lambda request: None
    hub.world.today += timedelta(days=1)
    hub.run()


def a_token_expires(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    hub.world.meta.fault_of = lambda request: error(190, "Error validating access token: session has expired", 463)
    hub.run("landing.kpi.meta_insights", up=EVERY - {"meta_ads"})
    hub.world.meta.fault_of = lambda request: None
    hub.run()


def a_column_is_renamed(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    hub.run("landing.kpi.app_store_sales", up=EVERY - {"app_store"}, columns="Quantity")
    hub.run()


def a_report_is_not_ready_yet(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    hub.world.hour = 9
    hub.run()
    hub.world.hour = 18
    hub.run()


def an_audit_of_one_source_fails_and_the_others_news_come(hub: Hub) -> None:
    hub.world.today += timedelta(days=1)
    real = hub.world.meta.insights
    hub.world.meta.insights = lambda account, day: [{**row, "clicks": "5000"} for row in real(account, day)]  # type: ignore[method-assign]
    hub.run("silver.kpi.meta_insights", up=EVERY - {"meta_ads"})
    assert hub.old()["gold.kpi.fact_kpi_daily"] == ["silver.kpi.meta_insights"]
    hub.world.meta.insights = real  # type: ignore[method-assign]
    hub.run()
    assert hub.old() == {}


def runs_are_missed_and_caught_up(hub: Hub) -> None:
    hub.world.today += timedelta(days=9)
    hub.run()


def a_run_is_killed(hub: Hub, after: float = 1.0) -> None:
    hub.world.today += timedelta(days=1)
    hub.world.show()
    words = [sys.executable, "-c", RUN, str(hub.lake.root), json.dumps(hub.lake.environ), hub.world.now().isoformat()]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
    hub.run()


RUN = """
import json, sys
sys.path.insert(0, "tests")
from datetime import datetime, timedelta
from conftest import Lake
from src.run import runs
started, base = runs.now(), datetime.fromisoformat(sys.argv[3])
real = runs.now
runs.now = lambda: base + (real() - started)
Lake(Path(sys.argv[1]), json.loads(sys.argv[2])).run()
"""

STATES = [
    the_same_again_writes_nothing,
    calls_that_fail_in_passing,
    a_day_with_restated_days_and_a_campaign_that_vanished,
    a_day_goes_from_one_state_to_another_and_back,
    days_become_empty,
    an_outage_of_one_source_leaves_the_others_news_in,
    a_token_expires,
    a_column_is_renamed,
    a_report_is_not_ready_yet,
    an_audit_of_one_source_fails_and_the_others_news_come,
    a_run_is_killed,
    runs_are_missed_and_caught_up,
]
SHORT = [a_day_with_restated_days_and_a_campaign_that_vanished, an_audit_of_one_source_fails_and_the_others_news_come]


@pytest.mark.long
@pytest.mark.parametrize("hub", [{"meta_ads": 4}], indirect=True)
def test_every_figure_is_what_the_vendors_said(hub: Hub) -> None:
    hub.run()
    for state in SHORT:
        state(hub)


@pytest.mark.long
def test_every_figure_is_what_the_vendors_said_whatever_happens(hub: Hub) -> None:
    hub.run()
    for state in STATES:
        state(hub)


@pytest.mark.long
@pytest.mark.parametrize("hub", [{"meta_ads": 5}], indirect=True)
@pytest.mark.parametrize("seed", range(4))
def test_every_figure_is_what_the_vendors_said_in_any_order_and_killed_at_any_instant(hub: Hub, seed: int) -> None:
    random = Random(seed)
    hub.run()
    for state in random.sample(STATES, len(STATES)):
        if state is a_run_is_killed:
            for _ in range(3):
                a_run_is_killed(hub, random.uniform(0.3, 6))
        else:
            state(hub)
