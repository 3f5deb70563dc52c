"""The KPI hub as a company runs it: a first load of some days from three vendors, a day after, a run without news.

The vendors are the servers of the tests, on 127.0.0.1: what a pull takes here is what Boathouse adds to their answers.
Each step is a process of its own, as a schedule starts it; its peak memory is that of this process.

Usage: python -m benchmarks.kpi_hub [--days 90] [--apps 5] [--events 500] (GA4's of a day and app)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fake_app_store import CREDENTIALS, AppStore, app_store, report, sale  # noqa: E402
from fake_bigquery import BigQuery, bigquery  # noqa: E402
from fake_meta import TOKEN, Meta, meta  # noqa: E402

VENDOR = "85000001"
COUNTRIES = ("SE", "NO", "DK", "DE", "FR", "US")
CAMPAIGNS = 10
SOURCES = ("--source", "ga4,meta_ads,app_store")
DAY = timedelta(days=1)


def main(days: int, apps: int, events: int) -> None:
    """Print what each step took."""
    yesterday = datetime.now(UTC).date() - DAY
    first = yesterday - days * DAY
    with bigquery() as ga4, meta(yesterday) as ads, app_store() as store, tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        _ship(project, apps, ga4.url, ads.url, store.url)
        environ = _environ(project, ga4)
        ads.page_size = 500
        ga4.page, ga4.datasets = 10_000, [f"analytics_{201 + app}" for app in range(apps)]
        for day in (first + n * DAY for n in range(days)):
            _happens(ga4, ads, store, day, apps, events)
        print(f"{days} days, {apps} apps, {events} events a day and app: {_machine()}")
        print(f"{'step':34} {'wall s':>7} {'cpu s':>7} {'peak MB':>8}  what")
        _step(
            "first load: pull",
            project,
            environ,
            ["pull", *SOURCES, "--start", str(first), "--end", str(yesterday - DAY)],
        )
        _step("first load: run", project, environ, ["run", "--no-pull"])
        _happens(ga4, ads, store, yesterday, apps, events)
        ads.now = yesterday + DAY
        _step("a day: pull and run", project, environ, ["run"])
        _step("again: pull and run", project, environ, ["run"])
        _step("again: run without a pull", project, environ, ["run", "--no-pull"])


def _machine() -> str:
    found = machine.described()
    return f"{found['cores']} cores, {found['processor']}, commit {found['commit']}"


def _happens(ga4: BigQuery, ads: Meta, store: AppStore, day: date, apps: int, events: int) -> None:
    """Let the vendors have a day."""
    for app in range(apps):
        ga4.put(str(day), *_events(day, app, events), dataset=f"analytics_{201 + app}")
        ads.campaigns[f"act_{101 + app}"] = CAMPAIGNS
        ads.currencies[f"act_{101 + app}"] = "EUR"
    lines = [
        sale(day, (app + nth) % 9 + 1, kind, f"app{app}.ios", country=country, apple_id=str(900001 + app))
        for app in range(apps)
        for nth, country in enumerate(COUNTRIES)
        for kind in ("1F", "3F", "7F")
    ]
    store.sales[VENDOR, day] = report(*lines)
    store.now = datetime.now(UTC)


def _events(day: date, app: int, count: int) -> Iterator[dict[str, object]]:
    kinds = ("session_start", "screen_view", "screen_view", "user_engagement", "first_open")
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    for nth in range(count):
        user = nth // len(kinds)
        yield {
            "event_date": f"{day:%Y%m%d}",
            "event_timestamp": start + nth * 1_000_000,
            "event_name": kinds[nth % len(kinds)],
            "user_pseudo_id": f"{app}.{user}.{day.day % 7}",
            "event_params": [
                {"key": "ga_session_id", "value": {"int_value": 1_000_000 + user}},
                {"key": "engagement_time_msec", "value": {"int_value": nth % 9000}},
                {"key": "firebase_screen", "value": {"string_value": f"screen {nth % 12}"}},
            ],
            "platform": "IOS" if user % 2 else "ANDROID",
            "is_active_user": True,
        }


def _ship(project: Path, apps: int, ga4: str, ads: str, store: str) -> None:
    """Make a project of the shipped contracts, with so many apps and the vendors on this machine."""
    for layer in ("silver", "gold"):
        shutil.copytree(ROOT / f"src/{layer}/kpi", project / f"src/{layer}/kpi")
    (project / "Makefile").touch()
    seed = ["source_system,account,source_key,app_id,name"]
    for app in range(apps):
        seed += [
            f"ga4,analytics_{201 + app},analytics_{201 + app},app{app},App {app}",
            f"meta_ads,act_{101 + app},act_{101 + app},app{app},App {app}",
            f"app_store,{VENDOR},{900001 + app},app{app},App {app}",
        ]
    (project / "src/silver/kpi/seeds/apps.csv").write_text("\n".join([*seed, ""]), encoding="utf-8")
    for table, url in {"ga4_events": ga4, "meta_insights": ads, "app_store_sales": store}.items():
        path = project / f"src/silver/kpi/{table}.yaml"
        text = re.sub(r"( +)connector: \w+\n", rf"\g<0>\g<1>url: {url}\n", path.read_text(encoding="utf-8"), count=1)
        path.write_text(text, encoding="utf-8")
    for table in ("app_store_engagement", "play_installs"):  # what is not measured is not set up
        path = project / f"src/silver/kpi/{table}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace("name: app_store\n", "name: analytics\n"), "utf-8")


def _environ(project: Path, ga4: BigQuery) -> dict[str, str]:
    key = project / "key.json"
    key.write_text(json.dumps(ga4.key), encoding="utf-8")
    secrets = {f"SOURCE_APP_STORE_{name}": value.replace("\n", "\\n") for name, value in CREDENTIALS.items()}
    return {
        **os.environ,
        "SOURCE_GA4_KEY": str(key),
        "SOURCE_META_ADS_TOKEN": TOKEN,
        "SAMPLE_FEED": "false",
        "BOATHOUSE_KEEP_PEAK": "1",
        **secrets,
    }


def _step(name: str, project: Path, environ: dict[str, str], words: Sequence[str]) -> None:
    began = time.perf_counter()
    command = [sys.executable, str(ROOT / "main.py"), words[0], "--project", str(project), *words[1:]]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    last = output.strip().splitlines()[-1] if output.strip() else ""
    print(
        f"{name:34} {wall:7.1f} {used.ru_utime + used.ru_stime:7.1f} {used.ru_maxrss / 1024:8.0f}  {last}", flush=True
    )
    if status:
        sys.exit(output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--apps", type=int, default=5)
    parser.add_argument("--events", type=int, default=500)
    args = parser.parse_args()
    main(args.days, args.apps, args.events)
