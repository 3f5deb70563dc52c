"""The apps: every figure against plain Python over the raw files; definitions by version, periods, the funnel."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake
from explained import trace_rows

from src.demo import kpi as demo
from src.lake import open_table

SUNDAY = date(2026, 4, 5)
DAY = timedelta(days=1)
APP_OF = {"201": "harbor", "202": "dinghy", "101": "harbor", "102": "dinghy", "203": "beacon"}
APP_OF |= {"900001": "harbor", "900002": "dinghy", "900003": "beacon"}
SUCCESSES = {"purchase", "begin_checkout"}
FIRST = {"first_open", "first_visit"}
FACTS = "date, app_id, platform, source_system, metric, currency, value"

Key = tuple[date, str, str, str, str, str]  # day or period, app, platform, source, metric, currency
Event = dict[str, Any]


def contracts(lake: Lake) -> Lake:
    for layer in ("silver", "gold"):
        shutil.copytree(ROOT / "src" / layer / "kpi", lake.root / "src" / layer / "kpi")
    return lake


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("sample") / "landing"
    demo.land(landing, days=18, last=SUNDAY, seed=7)
    return landing


@pytest.fixture(scope="module")
def apps(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with two and a half weeks of the apps, for tests that only read it."""
    made = contracts(Lake(tmp_path_factory.mktemp("apps")))
    shutil.copytree(landed, made.data / "landing")
    made.good()
    return made


# -- what the raw files say, told without the product


def newest(landed: Path, feed: str) -> Iterator[tuple[str, date, str]]:
    """The account, the day and the text of the last file of each slice of a feed."""
    last: dict[tuple[str, str], Path] = {}
    for path in sorted((landed / "kpi" / feed).rglob("*@*"), key=lambda path: path.name.partition("@")[2]):
        last[path.parent.name, path.name.partition("@")[0]] = path
    for (account, day), path in last.items():
        yield account, date.fromisoformat(day), gzip.decompress(path.read_bytes()).decode()


@pytest.fixture(scope="module")
def events(landed: Path) -> list[Event]:
    """Every event, its parameters by name."""
    found = []
    for account, day, text in newest(landed, "ga4"):
        for line in text.splitlines():
            event = json.loads(line)
            values = {one["key"]: one["value"] for one in event["event_params"]}
            said = {key: next((v for v in value.values() if v is not None), None) for key, value in values.items()}
            found.append(event | said | {"day": day, "app": APP_OF[account[-3:]], "at": event["platform"].lower()})
    return found


def of_ga4(events: list[Event], period: Callable[[date], date]) -> dict[Key, Decimal]:
    """The figures of GA4 by period, app and platform."""
    groups: defaultdict[tuple[date, str, str], list[Event]] = defaultdict(list)
    for event in events:
        groups[period(event["day"]), event["app"], event["at"]].append(event)
    found: dict[Key, Decimal] = {}
    for (start, app, platform), rows in groups.items():
        names = Counter(row["event_name"] for row in rows)
        bought = [row for row in rows if row["event_name"] == "purchase"]
        figures = {
            "total_users": len({row["user_pseudo_id"] for row in rows}),
            "active_users": len({row["user_pseudo_id"] for row in rows if row["is_active_user"]}),
            "new_users": len({row["user_pseudo_id"] for row in rows if row["event_name"] in FIRST}),
            "first_opens": names["first_open"],
            "sign_ups": names["sign_up"],
            "sessions": len({(row["user_pseudo_id"], row["ga_session_id"]) for row in rows}),
            "views": names["screen_view"] + names["page_view"],
            "key_events": sum(names[name] for name in SUCCESSES),
            "purchase_events": names["purchase"] + names["in_app_purchase"],
            "purchases": len({row["ecommerce"]["transaction_id"] for row in bought}) + names["in_app_purchase"],
        }
        revenue = sum((Decimal(str(row["ecommerce"]["purchase_revenue_in_usd"])) for row in bought), Decimal())
        revenue += names["in_app_purchase"] * Decimal("3.99")
        found |= {(start, app, platform, "ga4", name, "XXX"): Decimal(value) for name, value in figures.items()}
        found[start, app, platform, "ga4", "revenue", "USD"] = revenue
    return found


def of_meta(landed: Path) -> dict[Key, Decimal]:
    found: Counter[Key] = Counter()
    kinds = {"mobile_app_install": "installs", "complete_registration": "sign_ups", "purchase": "purchases"}
    for account, day, text in newest(landed, "meta_ads"):
        for row in map(json.loads, text.splitlines()):
            said = {name: row[name] for name in ("impressions", "clicks")}
            said |= dict.fromkeys(kinds.values(), 0)
            said |= {kinds[one["action_type"]]: one["value"] for one in row.get("actions", ())}
            key = (day, APP_OF[account[-3:]], "all", "meta_ads")
            for name, value in said.items():
                found[*key, name, "XXX"] += Decimal(value)  # type: ignore[assignment]  # a counter of decimals
            worth = sum((Decimal(one["value"]) for one in row.get("action_values", ())), Decimal())
            found[*key, "spend", row["account_currency"]] += Decimal(row["spend"])  # type: ignore[assignment]
            found[*key, "purchase_value", row["account_currency"]] += worth  # type: ignore[assignment]
    return dict(found)  # type: ignore[arg-type]


def tab_separated(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def of_app_store(landed: Path) -> dict[Key, Decimal]:
    found: dict[Key, Decimal] = {}
    kinds = {"1F": "downloads", "3F": "redownloads", "7F": "updates", "IA1": "in_app_purchases"}
    for _, day, text in newest(landed, "app_store/sales"):
        for row in tab_separated(text):
            app = (row["Parent Identifier"].strip() or row["SKU"]).removesuffix(".ios")
            key, units = (day, app, "ios", "app_store"), int(row["Units"])
            for name in kinds.values():
                found.setdefault((*key, name, "XXX"), Decimal())
            found[*key, kinds[row["Product Type Identifier"]], "XXX"] += units
            if proceeds := units * Decimal(row["Developer Proceeds"]):
                money = (*key, "proceeds", row["Currency of Proceeds"])
                found[money] = found.get(money, Decimal()) + proceeds
    seen: dict[tuple[str, str], tuple[date, Counter[str]]] = {}
    for account, processed, text in newest(landed, "app_store/engagement"):
        of_day: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in tab_separated(text):
            of_day[row["Date"]][row["Event"]] += int(row["Counts"])
        for day_text, counts in of_day.items():  # of a day the last processing has it whole
            if processed >= seen.get((account, day_text), (date.min, Counter()))[0]:
                seen[account, day_text] = processed, counts
    for (account, day_text), (_, counts) in seen.items():
        key = (date.fromisoformat(day_text), APP_OF[account], "ios", "app_store")
        found[*key, "store_impressions", "XXX"] = Decimal(counts["Impression"])
        found[*key, "page_views", "XXX"] = Decimal(counts["Page view"])
    return found


def of_play(landed: Path) -> dict[Key, Decimal]:
    names = {"Daily User Installs": "installs", "Daily User Uninstalls": "uninstalls"}
    names["Active Device Installs"] = "active_devices"
    found: dict[Key, Decimal] = {}
    for path in (landed / "kpi/play/installs").glob("*.csv"):
        for row in csv.DictReader(path.read_text("utf-16").splitlines()):
            app = row["Package Name"].rpartition(".")[2]
            key = (date.fromisoformat(row["Date"]), app, "android", "play")
            found |= {(*key, name, "XXX"): Decimal(row[column]) for column, name in names.items()}
    return found


@pytest.fixture(scope="module")
def told(landed: Path, events: list[Event]) -> dict[Key, Decimal]:
    """Every figure of every day, by hand."""
    ga4 = of_ga4(events, lambda day: day)
    return ga4 | of_meta(landed) | of_app_store(landed) | of_play(landed)


def figures(lake: Lake, table: str, period: str) -> dict[Key, Decimal]:
    rows = lake.rows(f"SELECT {FACTS.replace('date', period, 1)} FROM gold.kpi.{table}")
    found = {tuple(row[:-1]): row[-1] for row in rows}
    assert len(found) == len(rows)
    return found


def monday(day: date) -> date:
    return day - day.weekday() * DAY


def month(day: date) -> date:
    return day.replace(day=1)


# -- the sample company


def test_the_files_have_the_defects_that_such_sources_have(landed: Path) -> None:
    names = Counter((path.parent.name, path.name.partition("@")[0]) for path in (landed / "kpi").rglob("*@*.gz"))
    twice = {(account, date.fromisoformat(day).weekday()) for (account, day), many in names.items() if many > 1}
    assert twice >= {("analytics_201", 2), ("act_101", 0), ("act_102", 0)}
    empty = [path for path in (landed / "kpi").rglob("*.gz") if not gzip.decompress(path.read_bytes())]
    assert [path.parent.name for path in empty] == ["85000002"]
    taken_back = empty[0].name.partition("@")[0]
    assert names["85000002", taken_back] == 2
    campaigns = [
        {json.loads(line)["campaign_name"] for line in gzip.decompress(path.read_bytes()).splitlines()}
        for path in sorted((landed / "kpi/meta_ads/act_101").glob(f"{monday(SUNDAY) - 7 * DAY}@*"))
    ]
    assert campaigns[0] - campaigns[1] == {"Harbor Draft"}


def test_every_figure_of_every_day_is_that_of_the_raw_files(apps: Lake, told: Mapping[Key, Decimal]) -> None:
    found = figures(apps, "fact_kpi_daily", "date")
    assert found == told
    assert len({key[4] for key in found}) == 25
    assert {key[5] for key in found if key[4] == "proceeds"} >= {"GBP", "EUR"}
    assert min(value for key, value in found.items() if key[4] == "in_app_purchases") < 0


def test_steps_hang_together(told: Mapping[Key, Decimal]) -> None:
    total: Counter[str] = Counter()
    for (_, _, _, source, metric, _), value in told.items():
        total[f"{source}.{metric}"] += int(value)
    assert total["meta_ads.impressions"] > 10 * total["meta_ads.clicks"] > 10 * total["meta_ads.installs"]
    installs = total["app_store.downloads"] + total["play.installs"]
    assert installs > total["ga4.first_opens"] > total["ga4.sign_ups"] > 0
    assert total["ga4.purchase_events"] > total["ga4.purchases"] > 0


def test_a_figure_says_as_of_which_pull_it_is(apps: Lake) -> None:
    wednesday = monday(SUNDAY) + 2 * DAY
    rows = apps.rows(
        "SELECT DISTINCT app_id, pulled_at AT TIME ZONE 'UTC' FROM gold.kpi.fact_kpi_daily "
        f"WHERE date = DATE '{wednesday}' AND source_system = 'ga4' ORDER BY 1"
    )
    asked = {"harbor": 3, "dinghy": 1}  # days after; Harbor's Wednesday is restated
    assert (
        dict(rows).items()
        >= {
            app: datetime(wednesday.year, wednesday.month, wednesday.day, 0, 30) + days * DAY
            for app, days in asked.items()
        }.items()
    )


@pytest.mark.parametrize(("table", "column", "period"), [("weekly", "week", monday), ("monthly", "month", month)])
def test_a_period_adds_up_what_is_additive_and_counts_people_again(
    apps: Lake,
    told: Mapping[Key, Decimal],
    events: list[Event],
    table: str,
    column: str,
    period: Callable[[date], date],
) -> None:
    counted_again = {"total_users", "active_users", "new_users", "sessions", "purchases"}
    expected: dict[Key, Decimal] = {}
    for (day, app, platform, source, metric, currency), value in told.items():
        if metric == "active_devices" or (source == "ga4" and metric in counted_again):
            continue
        key = (period(day), app, platform, source, metric, currency)
        expected[key] = expected.get(key, Decimal()) + value
    expected |= {key: value for key, value in of_ga4(events, period).items() if key[4] in counted_again}
    assert figures(apps, f"fact_kpi_{table}", column) == expected
    users = [key for key in expected if key[3:5] == ("ga4", "total_users")]
    days = Counter(dict.fromkeys(users, 0))
    for key, value in told.items():
        if (summed := (period(key[0]), *key[1:])) in days:
            days[summed] += int(value)
    assert all(expected[key] <= days[key] for key in users)
    assert any(expected[key] < days[key] for key in users)


def test_the_funnel_is_that_of_the_raw_files(apps: Lake, told: Mapping[Key, Decimal]) -> None:
    steps = {
        ("meta_ads", "impressions"): "impressions",
        ("meta_ads", "clicks"): "clicks",
        ("app_store", "downloads"): "installs",
        ("play", "installs"): "installs",
        ("ga4", "first_opens"): "first_opens",
        ("ga4", "sign_ups"): "sign_ups",
        ("ga4", "purchase_events"): "purchases",
    }
    found: defaultdict[tuple[date, str], Counter[str]] = defaultdict(Counter)
    stores: Counter[tuple[date, str]] = Counter()
    for (day, app, _, source, metric, _), value in told.items():
        if step := steps.get((source, metric)):
            found[day, app][step] += int(value)
            stores[day, app] += step == "installs"
    of = {"harbor": 2, "dinghy": 2, "beacon": 1}
    expected = set()
    for (day, app), row in found.items():
        here = [row.get(step) for step in dict.fromkeys(steps.values())]
        complete = stores[day, app] == of[app]
        rates = [rate(row, "clicks", "impressions")]
        rates += [
            rate(row, *pair) if complete else None for pair in (("installs", "clicks"), ("first_opens", "installs"))
        ]
        rates += [rate(row, "sign_ups", "first_opens"), rate(row, "purchases", "sign_ups")]
        expected.add((day, app, *here, of[app] - stores[day, app], *rates))
    columns = f"date, app_id, {', '.join(dict.fromkeys(steps.values()))}, stores_missing, click_pct, install_pct"
    rows = apps.rows(f"SELECT {columns}, first_open_pct, sign_up_pct, purchase_pct FROM gold.kpi.funnel_daily")
    assert set(rows) == expected
    assert {row[8] for row in rows if row[:2] == (SUNDAY, "harbor")} == {1}  # Google Play is a day behind


def rate(row: Counter[str], part: str, whole: str) -> Decimal | None:
    if part not in row or not row.get(whole):
        return None
    return (Decimal(100) * row[part] / row[whole]).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_freshness_says_how_far_each_account_reaches(apps: Lake) -> None:
    rows = apps.rows("SELECT source_system, account, apps, newest_date FROM gold.kpi.source_freshness")
    assert {row for row in rows if row[0] != "app_store"} >= {
        ("ga4", "analytics_201", "harbor", SUNDAY),
        ("meta_ads", "act_102", "dinghy", SUNDAY),
        ("play", "com.tidewater.harbor", "harbor", SUNDAY - DAY),
    }
    assert ("app_store", "85000001", "dinghy harbor", SUNDAY) in rows


def test_a_second_run_changes_nothing(apps: Lake) -> None:
    run = apps.good()
    assert sum(record.records_written for record in run.records) == 0
    assert apps.findings() == []


# -- what becomes of a change


@pytest.fixture
def few(lake: Lake, landed: Path) -> Lake:
    """A lake with a weekend of Harbor, as GA4 and Meta tell of it; nothing has run."""
    contracts(lake)
    for day in (SUNDAY - DAY, SUNDAY):
        for account in ("ga4/analytics_201", "meta_ads/act_101"):
            for path in (landed / "kpi" / account).glob(f"{day}@*"):
                told_again(lake, f"{account}/{path.name}", gzip.decompress(path.read_bytes()).decode())
    return lake


def partitions(lake: Lake, table: str) -> set[str]:
    """The data files of a table's newest version."""
    found = open_table(lake.data / "gold/kpi" / table)
    assert found is not None
    return {file.path for file in found.files}


def told_again(lake: Lake, name: str, text: str) -> None:
    path = lake.data / "landing/kpi" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def test_a_restated_day_rewrites_its_own_partition_alone(few: Lake) -> None:
    few.good()
    saturday = SUNDAY - DAY
    tables = ("fact_kpi_daily", "fact_kpi_weekly", "fact_kpi_monthly", "funnel_daily", "app_keys")
    before = {table: partitions(few, table) for table in tables}
    (path,) = (few.data / "landing/kpi/ga4/analytics_201").glob(f"{saturday}@*")
    first, *_ = gzip.decompress(path.read_bytes()).decode().splitlines()
    told_again(few, f"ga4/analytics_201/{saturday}@20260407T003000000000Z.ndjson.gz", f"{first}\n")
    few.good()
    changed = {table: before[table] ^ partitions(few, table) for table in tables}
    assert {table: {path.split("/")[0] for path in paths} for table, paths in changed.items()} == {
        "fact_kpi_daily": {f"date={saturday}"},
        "fact_kpi_weekly": {f"week={monday(saturday)}"},
        "fact_kpi_monthly": {f"month={month(saturday)}"},
        "funnel_daily": {f"date_month={month(saturday)}"},
        "app_keys": set(),
    }


@pytest.mark.long
def test_a_new_definition_holds_from_its_day_and_a_correction_for_its_days(few: Lake) -> None:
    def key_events() -> list[tuple[Any, ...]]:
        return few.rows(
            "SELECT date, sum(value)::BIGINT, max(definition_version) FROM gold.kpi.fact_kpi_daily "
            "WHERE metric = 'key_events' GROUP BY date ORDER BY date"
        )

    def counted(name: str, day: date) -> int:
        where = f"event_name = '{name}' AND event_date = DATE '{day}'"
        ((many,),) = few.rows(f"SELECT count(*) FROM silver.kpi.ga4_events WHERE {where}")
        return int(many)

    seed = few.root / "src/silver/kpi/seeds/kpi_dictionary.csv"
    line = next(line for line in seed.read_text().splitlines() if line.startswith("ga4,key_events,"))
    first, second = date(2020, 1, 1), SUNDAY
    newer = line.replace("purchase begin_checkout", "screen_view").replace(f"{first}", f"{second}")
    seed.write_text(f"{seed.read_text()}{newer}\n")
    few.good()
    saturday, views = SUNDAY - DAY, (SUNDAY, counted("screen_view", SUNDAY), second)
    successes = sum(counted(name, saturday) for name in SUCCESSES)
    assert key_events() == [(saturday, successes, first), views]
    seed.write_text(seed.read_text().replace("purchase begin_checkout", "sign_up first_open"))
    few.good()
    starts = counted("sign_up", saturday) + counted("first_open", saturday)
    assert key_events() == [(saturday, starts, first), views]
    assert len({successes, starts, views[1]}) == 3


@pytest.mark.long
def test_no_source_makes_an_empty_mart_and_an_account_that_is_not_listed_an_unknown_app(lake: Lake) -> None:
    contracts(lake).good()
    assert lake.rows("SELECT count(*) FROM gold.kpi.dim_apps") == [(4,)]
    funnel = "SELECT app_id, impressions, installs, click_pct FROM gold.kpi.funnel_daily"
    assert lake.rows(funnel) == []
    row = {"campaign_id": "9", "account_currency": "GBP", "impressions": "77", "clicks": "0", "spend": "1.00"}
    told_again(lake, f"meta_ads/act_109/{SUNDAY}@20260406T003000000000Z.ndjson.gz", json.dumps(row) + "\n")
    lake.good()
    assert lake.rows(funnel) == [("unknown", 77, None, Decimal("0.00"))]
    warned = "SELECT rule FROM ops.quality_results WHERE NOT passed"
    assert lake.rows(warned) == [("apps_are_known",)]
    seed = lake.root / "src/silver/kpi/seeds/apps.csv"
    seed.write_text(seed.read_text() + "meta_ads,act_109,act_109,beacon,Beacon\n")
    lake.good()
    assert lake.rows(funnel) == [("beacon", 77, None, Decimal("0.00"))]


def test_each_number_of_a_mart_is_explained_by_rows_over_which_alone_its_model_gives_it(apps: Lake) -> None:
    failed, tables = trace_rows(apps, each=1)
    assert failed == []
    assert len(tables) >= 5
