"""A seed lands by itself, whole or not at all, whenever it says something new; one that is damaged holds up its own."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from conftest import ROOT, Lake

from src import alerts, landing_zone
from src.errors import ContractError, ContractErrors, UsageError
from src.landing import seeds
from src.project import open_project

TABLE = """
apiVersion: v3.1.0
kind: DataContract
id: shop.{name}
name: {name}
version: 1.0.0
status: active
domain: shop
description: {{purpose: A seed.}}
servers:
  - {{server: {name}, type: local, path: "{path}", format: {format}}}
schema:
  - name: {name}
    logicalType: object
    physicalType: table
    properties:
      - {{name: app_id, logicalType: string, physicalType: varchar, primaryKey: true, primaryKeyPosition: 1}}
      - {{name: name, logicalType: string, physicalType: varchar}}
    customProperties:
      - {{property: replaces, value: all}}
"""
APPS = "app_id,name\ndinghy,Dinghy\nkayak,Kayak\n"


def seeded(lake: Lake, text: str = APPS, name: str = "apps", ending: str = ".csv") -> Lake:
    """A shop with one seed and its table."""
    kind = {".csv": "csv", ".yaml": "ndjson"}[ending]
    path = f"shop/seeds/{name}@*.{kind}"
    lake.write(f"silver/shop/{name}.yaml", TABLE.format(name=name, path=path, format=kind))
    seed(lake, text, f"{name}{ending}")
    return lake


def seed(lake: Lake, text: str, name: str = "apps.csv") -> Path:
    return lake.write(f"silver/shop/seeds/{name}", text)


def landed(lake: Lake) -> list[Path]:
    return sorted((lake.data / "landing/shop/seeds").glob("*"))


def contents(lake: Lake) -> list[str]:
    return [gzip.decompress(path.read_bytes()).decode() for path in landed(lake)]


def apps(lake: Lake, name: str = "apps") -> list[tuple[str, str]]:
    return lake.rows(f"SELECT app_id, name FROM silver.shop.{name} ORDER BY app_id")


def open_incidents(lake: Lake) -> list[tuple[str, str]]:
    with open_project(lake.settings) as project:
        return [(one.incident, one.urgency) for one in alerts.open_incidents(project.engine, lake.data)]


# -- what lands


def test_a_seed_lands_by_itself_whenever_its_bytes_differ_from_its_newest_file(lake: Lake) -> None:
    seeded(lake)
    other = APPS.replace("Kayak", "Kayak 2")
    for text in (APPS, APPS, other, APPS):
        seed(lake, text)
        run = lake.good()
    assert contents(lake) == [APPS, other, APPS]
    assert [path.name.partition("@")[0] for path in landed(lake)] == ["apps"] * 3
    assert all(path.name.endswith("Z.csv.gz") for path in landed(lake))
    assert len({path.read_bytes() for path in landed(lake)}) == 3
    assert apps(lake) == [("dinghy", "Dinghy"), ("kayak", "Kayak")]
    step = lake.step(run, "seeds.shop.apps")
    assert (step.status, step.source_system, step.files, step.records_read) == (
        "success",
        "src/silver/shop/seeds/apps.csv",
        1,
        2,
    )
    assert lake.rows("SELECT status, files FROM ops.pipeline_runs WHERE layer = 'seeds' ORDER BY start_time") == [
        ("success", 1),
        ("success", 0),
        ("success", 1),
        ("success", 1),
    ]


def test_a_row_that_left_the_seed_leaves_a_table_that_it_replaces(lake: Lake) -> None:
    seeded(lake).good()
    seed(lake, "app_id,name\ndinghy,Dinghy\n")
    assert lake.command("run", "--accept-removals", "silver.shop.apps") == 0
    assert apps(lake) == [("dinghy", "Dinghy")]


def test_a_seed_lands_where_no_source_is_asked_and_not_where_sources_alone_are(lake: Lake) -> None:
    seeded(lake)
    assert lake.command("pull") == 0
    assert landed(lake) == []
    assert lake.command("run", "--no-pull") == 0
    assert contents(lake) == [APPS]


def test_a_run_of_some_tables_lands_their_seeds_alone(lake: Lake) -> None:
    seeded(lake)
    seeded(lake, "app_id,name\nx,X\n", "others")
    assert lake.command("run", "--select", "silver.shop.apps") == 0
    assert landed(lake) == []  # its feed is not chosen
    assert lake.command("run", "--select", "+silver.shop.apps") == 0
    assert contents(lake) == [APPS]
    lake.run("shop")
    assert contents(lake) == [APPS, "app_id,name\nx,X\n"]


def test_a_list_in_yaml_lands_as_lines_of_json_with_dates_and_numbers_as_they_are_written(lake: Lake) -> None:
    text = """
# one row each
- {app_id: dinghy, since: 2026-10-01, price: 1.10, code: 007, big: 12345678901234567890.12, country: NO, live: true}
- app_id: kayak
  since: 2026-10-01 08:30:00
  words: [purchase, "sign up", 1.0]
  name:
"""
    seeded(lake, text, ending=".yaml").good()
    assert contents(lake) == [
        '{"app_id": "dinghy", "since": "2026-10-01", "price": 1.10, "code": "007", "big": 12345678901234567890.12, '
        '"country": "NO", "live": true}\n'
        '{"app_id": "kayak", "since": "2026-10-01 08:30:00", "words": ["purchase", "sign up", 1.0], "name": null}\n'
    ]
    assert landed(lake)[0].name.endswith(".ndjson.gz")
    assert lake.rows("SELECT app_id, price, code, words FROM bronze.shop.apps ORDER BY 1") == [
        ("dinghy", "1.10", "007", None),
        ("kayak", None, None, '["purchase","sign up",1.0]'),
    ]
    lake.edit("silver/shop/seeds/apps.yaml", "# one row each", "# a row for each")
    lake.good()
    assert len(landed(lake)) == 1  # what lands of it is the same


def test_one_feed_may_take_several_seeds_and_a_domain_those_of_another(lake: Lake) -> None:
    both = TABLE.format(name="all_apps", path="shop/seeds/*.csv", format="csv").replace("replaces", "x")
    lake.write(
        "silver/shop/all_apps.yaml", both.replace("    customProperties:\n      - {property: x, value: all}\n", "")
    )
    seed(lake, APPS)
    seed(lake, "app_id,name\nx,X\n", "others.csv")
    lake.good()
    assert apps(lake, "all_apps") == [("dinghy", "Dinghy"), ("kayak", "Kayak"), ("x", "X")]


def test_a_seed_that_no_feed_takes_does_not_land_and_is_named(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    seeded(lake)
    seed(lake, APPS, "apps_old.csv")
    lake.write("silver/shop/seeds/README.md", "what lies here")
    lake.write("silver/shop/seeds/apps.xlsx", "no seed")
    assert lake.command("run") == 0
    shown = capsys.readouterr().out
    assert "note: 1 file belongs to no feed: src/silver/shop/seeds/apps_old.csv\n" in shown
    assert "note: src/silver/shop/seeds/apps.xlsx is no seed: these are .csv and .yaml files\n" in shown
    assert len(landed(lake)) == 1


def test_a_seed_of_a_name_that_is_none_is_an_error_of_the_contracts(lake: Lake) -> None:
    seeded(lake)
    seed(lake, APPS, "My Apps.csv")
    with pytest.raises(ContractErrors, match="seed name My Apps"):
        lake.run()


def test_a_plan_says_which_seeds_would_land_and_what_moves_by_them(lake: Lake) -> None:
    seeded(lake)
    steps = [(step.table, step.action, step.why) for step in lake.planned()]
    assert steps == [
        ("seeds.shop.apps", "land", "it says something new"),
        ("bronze.shop.apps", "append", "seeds.shop.apps will land"),
        ("silver.shop.apps", "build", "first load: bronze.shop.apps will have new rows"),
    ]
    assert not (lake.data / "landing/shop").exists()
    lake.good()
    assert [(step.table, step.action) for step in lake.planned()] == [
        ("seeds.shop.apps", "nothing"),
        ("bronze.shop.apps", "nothing"),
        ("silver.shop.apps", "nothing"),
    ]
    seed(lake, "")
    first, *_ = lake.planned()
    assert (first.action, "no row" in first.why) == ("fail", True)


def test_a_draft_of_a_seed_says_by_which_path_its_contract_takes_it(lake: Lake) -> None:
    path = seed(lake, APPS)
    with pytest.raises(UsageError) as raised:
        lake.command("draft", str(path))
    assert raised.value.what == "src/silver/shop/seeds/apps.csv is a seed, which lands by itself"
    assert "with the path shop/seeds/apps@*.csv" in str(raised.value.fix)


# -- what is wrong


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("apps.csv", b"", "no row"),
        ("apps.csv", b"app_id,name\n", "no row"),
        ("apps.csv", b"app_id,name\ndinghy\n", "line 2 has 1 values, the header 2"),
        ("apps.csv", b"app_id,name\na,b\n<<<<<<< HEAD\n", "line 3 has 1 values, the header 2"),
        ("apps.csv", b'app_id,name\ndinghy,"Din\n', "no CSV at line 2"),
        ("apps.csv", b"app_id,app_id\na,b\n", "names a column twice"),
        ("apps.csv", b"app_id,\na,b\n", "names a column twice, or not at all"),
        ("apps.csv", "app_id,name\na,Bø\n".encode("latin-1"), "not UTF-8 at byte 15"),
        ("apps.yaml", b"", "no row"),
        ("apps.yaml", b"[]", "no row"),
        ("apps.yaml", b"app_id: dinghy\n", "the file holds keys and values"),
        ("apps.yaml", b"- dinghy\n", "the list holds text"),
        ("apps.yaml", b"- {app_id: a, app_id: b}\n", "duplicate key app_id"),
        ("apps.yaml", b"- {app_id: [}\n", "not YAML"),
        ("apps.yaml", b"- {app_id: !!binary aGk=}\n", "a value of the kind bytes"),
    ],
)
def test_a_seed_that_is_empty_or_damaged_is_refused_with_its_reason(
    tmp_path: Path, name: str, text: bytes, found: str
) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(ContractError) as raised:
        seeds.rows(tmp_path / name)
    assert found in raised.value.what and str(tmp_path / name) in str(raised.value.where)


def test_a_damaged_seed_holds_up_its_own_table_alone_and_is_an_incident_until_it_is_corrected(lake: Lake) -> None:
    seeded(lake)
    seeded(lake, "app_id,name\nx,X\n", "others")
    lake.good()
    [before, _] = landed(lake)
    seed(lake, APPS + "oar\n")
    seed(lake, "app_id,name\nx,Y\n", "others.csv")
    assert lake.command("run") == 9
    newest = "(SELECT max(run_id) FROM ops.pipeline_runs)"
    steps = f"SELECT layer, \"table\", status FROM ops.pipeline_runs WHERE run_id = {newest} AND layer <> 'run'"
    assert sorted(lake.rows(steps)) == [
        ("bronze", "apps", "blocked"),
        ("bronze", "others", "success"),
        ("seeds", "apps", "failed"),
        ("seeds", "others", "success"),
        ("silver", "apps", "blocked"),
        ("silver", "others", "success"),
    ]
    assert [path.name.partition("@")[0] for path in landed(lake)] == ["apps", "others", "others"]
    assert landed(lake)[0] == before
    assert apps(lake, "others") == [("x", "Y")]
    assert open_incidents(lake) == [("source seeds.shop.apps", "P2")]
    seed(lake, APPS)
    assert lake.command("run") == 0
    assert open_incidents(lake) == []


def test_a_kill_between_the_bytes_and_the_name_leaves_nothing_that_counts(lake: Lake) -> None:
    seeded(lake)
    code = (
        "import os, sys, main\n"
        "replace = os.replace\n"
        "os.replace = lambda old, new: os._exit(9) if '/landing/' in str(new) else replace(old, new)\n"
        "main.main(['run', '--project', sys.argv[1]])\n"
    )
    environ = os.environ | {"SETTLE_SECONDS": "0"}
    died = subprocess.run([sys.executable, "-c", code, str(lake.root)], cwd=ROOT, env=environ, capture_output=True)
    assert died.returncode == 9
    assert [path.name[:6] for path in landed(lake)] == [".pull-"]
    lake.good()
    assert contents(lake) == [APPS]
    assert apps(lake) == [("dinghy", "Dinghy"), ("kayak", "Kayak")]


def test_seeds_need_no_package_of_the_connectors(lake: Lake) -> None:
    seeded(lake)
    names = ("src.landing.seeds", "src.landing.registry", "src.run.pulling", "requests", "tenacity")
    code = "import sys, main; main.main(['run', '--project', sys.argv[1]]); "
    code += f"print([name for name in {names} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code, str(lake.root)], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "['src.landing.seeds']"


# -- where seeds count for nothing


def test_seeds_that_land_below_a_disk_that_is_gone_do_not_hide_that_it_is(lake: Lake) -> None:
    seeded(lake)
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    (lake.data / "landing").rename(lake.root / "elsewhere")
    for _ in range(2):  # the first run lands the seed again
        run = lake.run()
        assert run.landing is not None and "though files came before" in run.landing.what
        assert len(landed(lake)) == 1
    (lake.data / "landing/.keep").touch()
    assert lake.run().landing is None


def test_where_nothing_but_seeds_ever_landed_an_empty_landing_zone_is_no_problem(lake: Lake) -> None:
    seeded(lake).good()
    landed(lake)[0].unlink()
    with open_project(lake.settings) as project:
        assert landing_zone.problem(project, date(2026, 1, 1)) is None


def test_seeds_that_landed_do_not_keep_the_sample_company_away(lake: Lake) -> None:
    seeded(lake).good()
    lake.environ |= {"SAMPLE_FEED": "true", "SAMPLE_DAYS": "1"}
    lake.run()
    assert [path.name for path in (lake.data / "landing").iterdir() if path.name != "shop"] != []


# -- history


def test_a_changed_definition_is_a_new_version_and_days_before_it_keep_the_old_one(lake: Lake) -> None:
    text = TABLE.format(name="dictionary", path="shop/seeds/dictionary@*.csv", format="csv")
    text = text.replace("app_id,", "metric,").replace(
        "      - {property: replaces, value: all}\n",
        "      - {property: history, value: scd2}\n"
        "      - {property: sequenceBy, value: [valid_from]}\n"
        "      - {property: onConflict, value: last}\n",
    )
    text = text.replace("name: app_id", "name: metric").replace(
        "      - {name: name,",
        "      - {name: valid_from, logicalType: date, physicalType: date, required: true}\n      - {name: name,",
    )
    lake.write("silver/shop/dictionary.yaml", text)
    seed(lake, "metric,name,valid_from\nsales,all sales,2026-01-01\nvisits,visits,2026-01-01\n", "dictionary.csv")
    lake.good()
    seed(
        lake, "metric,name,valid_from\nsales,sales without tax,2026-10-01\nvisits,visits,2026-01-01\n", "dictionary.csv"
    )
    lake.good()
    on = "SELECT name FROM silver.shop.dictionary WHERE metric = 'sales' AND DATE '{}' >= _valid_from AND "
    on += "(_valid_to IS NULL OR DATE '{}' < _valid_to)"
    assert [lake.rows(on.format(day, day)) for day in ("2026-09-30", "2026-10-01")] == [
        [("all sales",)],
        [("sales without tax",)],
    ]
    assert lake.rows("SELECT count(*) FROM silver.shop.dictionary") == [(3,)]
    seed(
        lake, "metric,name,valid_from\nsales,sales before tax,2026-10-01\nvisits,visits,2026-01-01\n", "dictionary.csv"
    )
    lake.good()  # the same day: a correction, no version
    assert lake.rows(on.format("2026-11-01", "2026-11-01")) == [("sales before tax",)]
    assert lake.rows("SELECT count(*) FROM silver.shop.dictionary") == [(3,)]
