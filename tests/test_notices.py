"""What a connector knows of a day to come is told before it comes, without a question to any source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import ORDERS, Lake

from src import monitors
from src.landing import connectors
from src.project import open_project

# A connector whose package is not there, and whose version ends.
OLD_API = """
from datetime import date
from src.landing.connector import Notice, Option

OPTIONS = {"version": Option("a version", lambda value: isinstance(value, str), required=True),
           "ends": Option("a day", lambda value: isinstance(value, str), "2027-01-30")}
SECRETS = {"TOKEN": "a token"}
PACKAGES = ("a-package-that-is-not-there",)

def notices(options, today):
    left = (date.fromisoformat(options["ends"]) - today).days
    told = Notice(f"version {options['version']} ends on {options['ends']}", "set `version` in the contract")
    return [told] if left <= 60 else []
"""


@pytest.fixture
def old_api(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """The shop, its orders brought by such a connector, in a folder of connectors of its own."""
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors/old_api.py").write_text(OLD_API, encoding="utf-8")
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(tmp_path / "connectors")])
    for name, path in (("orders", "orders/*.csv"), ("returns", "returns/*.csv")):
        source = "customProperties: [{property: source, value: {connector: old_api, name: shop, version: v9}}]"
        text = ORDERS.replace("orders", name).replace(f"{name}/*.csv, format: csv", f"{path}, format: csv, {source}")
        lake.write(f"silver/shop/{name}.yaml", text)
    lake.environ["SOURCE_SHOP_TOKEN"] = "t-secret-7"
    yield lake
    sys.modules.pop("src.landing.connectors.old_api", None)


def notices(lake: Lake, day: int) -> list[tuple[str, str, str, str]]:
    with open_project(lake.settings) as project:
        found = monitors.evaluate(project, datetime(2026, 12, day, tzinfo=UTC)).problems
    return [(one.incident, one.urgency, one.what, one.fix) for one in found if one.kind == "notice"]


def test_what_a_connector_knows_of_a_day_to_come_is_one_incident_of_its_source(old_api: Lake) -> None:
    assert notices(old_api, 1) == [
        ("notice shop", "P3", "version v9 ends on 2027-01-30", "set `version` in the contract")
    ]


def test_of_a_source_that_is_not_set_up_nothing_is_told(old_api: Lake) -> None:
    del old_api.environ["SOURCE_SHOP_TOKEN"]
    assert notices(old_api, 1) == []


def test_what_is_far_away_or_of_a_contract_that_a_run_refuses_is_not_told(old_api: Lake) -> None:
    old_api.edit("silver/shop/orders.yaml", "version: v9", "version: v9, ends: 2027-12-01")
    old_api.edit("silver/shop/returns.yaml", "version: v9", "virsion: v9")
    assert notices(old_api, 1) == []


def test_the_sources_are_listed_with_what_their_connectors_know(
    old_api: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    old_api.edit("silver/shop/returns.yaml", "version: v9", "version: v9, ends: 2999-12-01")
    old_api.edit("silver/shop/orders.yaml", "version: v9", "version: v9, ends: 2026-12-01")
    old_api.command("sources", "--no-probe")
    shown = capsys.readouterr()
    told = "bronze.shop.{}: version v9 ends on "
    text = " ".join((shown.out + shown.err).split())
    assert told.format("orders") + "2026-12-01 -> set `version` in the contract" in text
    assert told.format("returns") not in text
