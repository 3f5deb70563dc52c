"""A branch is a lake beside the truth that shares its files; what it changed comes to main whole, or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import page_site
import pytest
import test_seeds
import yaml
from conftest import ORDERS, ROOT, Lake, short
from deltalake import DeltaTable
from test_commands import SHOWN

from src import branches, commands, settings
from src.branches import allowed
from src.explain import released
from src.run import lock, runs

HEAD = "order_id,day,amount,updated\n"
DAILY = "SELECT day, orders, amount FROM gold.shop.daily ORDER BY day"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop with one release: three orders of two days, and a row that is no order."""
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEAD + "1,2026-01-01,10,1\n2,2026-01-01,20,1\n3,2026-01-02,5,1\n4,2026-01-02,x,1\n")
    made.good()
    return made.root


@pytest.fixture(scope="module")
def run_once(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with a branch, tax, on which the changed mart was run: made once, as most tests begin there."""
    made = Lake(tmp_path_factory.mktemp("run") / "shop")
    shutil.copytree(built, made.root)
    typed_well(made, "branch", "create", "tax")
    raise_amounts(made)
    typed_well(made, "run", BRANCH="tax")
    return made.root


@pytest.fixture
def changed(lake: Lake, run_once: Path) -> Lake:
    shutil.copytree(run_once, lake.root, dirs_exist_ok=True)
    return lake


def typed_well(lake: Lake, *words: str, **environ: str) -> str:
    done = lake.typed(*words, **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def on(lake: Lake, name: str) -> Lake:
    """The lake as commands with BRANCH have it."""
    return Lake(lake.root, {**lake.environ, "BRANCH": name})


def rows(lake: Lake, sql: str) -> list[list[Any]]:
    """What readers see, as a query prints it."""
    environ = {"BRANCH": lake.environ["BRANCH"]} if "BRANCH" in lake.environ else {}
    return [[*row.values()] for row in json.loads(typed_well(lake, "query", "--json", sql, **environ))]


def raise_amounts(lake: Lake) -> None:
    """Change a mart as a pull request would: the amount has tax in it from now on."""
    lake.edit("gold/shop/daily.sql", "sum(amount)", "sum(amount) * 1.1")
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")


OLD = [["2026-01-01", 2, 30.0], ["2026-01-02", 1, 5.0]]
NEW = [["2026-01-01", 2, 33.0], ["2026-01-02", 1, 5.5]]


# -- what a branch is


def test_a_branch_has_the_released_rows_and_shares_every_data_file_with_main(shop: Lake) -> None:
    made = json.loads(typed_well(shop, "branch", "create", "tax", "--json"))
    assert (made["name"], made["tables"], made["rows"]) == ("tax", 4, 10)
    folder = shop.data / ".branches/tax"
    assert made["folder"] == str(folder)
    assert rows(on(shop, "tax"), DAILY) == OLD
    files = [path for path in folder.rglob("*.parquet") if "ops" not in path.parts]
    assert len(files) == 6
    assert all(path.samefile(shop.data / path.relative_to(folder)) for path in files)
    assert [path.name for path in (folder / "landing").rglob("*")] == [".keep"]


def test_a_run_on_a_branch_changes_nothing_that_readers_of_main_see(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    before = {path: path.stat().st_size for path in shop.data.rglob("*") if ".branches" not in path.parts}
    raise_amounts(shop)
    typed_well(shop, "run", BRANCH="tax")
    assert rows(on(shop, "tax"), DAILY) == NEW
    assert rows(shop, DAILY) == OLD
    assert not (shop.data / ".branches/tax/.access").exists()  # who read there is known in main
    spooled = "".join(path.read_text() for path in (shop.data / ".access").iterdir())
    assert spooled.count('"kind": "query"') == 2
    after = {path: path.stat().st_size for path in shop.data.rglob("*") if ".branches" not in path.parts}
    assert [
        path for path in after if path.is_file() and before.get(path) != after[path] and ".access" not in str(path)
    ] == []


def test_branches_are_listed_with_what_they_are_of_and_dropped_with_all_that_is_theirs(shop: Lake) -> None:
    assert json.loads(typed_well(shop, "branch", "list", "--json")) == []
    typed_well(shop, "branch", "create", "tax", BOATHOUSE_BY="ada")
    typed_well(shop, "branch", "create", "v1.2_pr-7")
    raise_amounts(shop)
    typed_well(shop, "run", BRANCH="tax")
    first, second = json.loads(typed_well(shop, "branch", "list", "--json"))
    [(release,)] = shop.rows("SELECT DISTINCT run_id FROM ops.releases")
    assert (first["name"], first["release"], first["made_by"], first["changed"], first["moved"], first["promoted"]) == (
        *("tax", release, "ada", ["gold.shop.daily"], [], False),
    )
    assert (second["name"], second["changed"]) == ("v1.2_pr-7", [])
    assert branches.list_branches(shop.data)[0] == branches.Branch("tax", shop.data / ".branches/tax")
    typed_well(shop, "branch", "drop", "tax")
    assert [path.name for path in (shop.data / ".branches").iterdir()] == ["v1.2_pr-7"]
    assert shop.typed("query", "SELECT 1", BRANCH="tax").returncode == 2
    assert rows(shop, DAILY) == OLD


def test_main_that_moved_under_a_branch_is_told(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    shop.land("shop/orders/2.csv", HEAD + "5,2026-01-03,1,1\n")
    shop.good()
    [state] = json.loads(typed_well(shop, "branch", "list", "--json"))
    assert state["moved"] == ["bronze.shop.orders", "gold.shop.daily", "silver.shop.orders"]
    assert rows(on(shop, "tax"), DAILY) == OLD


@pytest.mark.parametrize("name", short(["main", "a/b", "", "-x", ".x", "a b", "ä", "a%41", "x" * 101], 2))
def test_a_name_that_is_none_is_refused_with_what_to_write(shop: Lake, name: str) -> None:
    refused = shop.typed("branch", "create", "--", name)
    assert refused.returncode == 2
    assert not (shop.data / ".branches").exists()


def test_a_branch_that_is_there_or_is_not_there_is_refused_with_those_that_are(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    again = shop.typed("branch", "create", "tax")
    assert again.returncode == 2 and "there is a branch tax" in again.stderr
    for words, environ in ((("branch", "drop", "tux"), {}), (("run",), {"BRANCH": "tux"})):
        refused = shop.typed(*words, **environ)
        assert refused.returncode == 2
        assert "no branch tux" in refused.stderr and "did you mean tax? the branches are tax" in refused.stderr
    assert [path.name for path in (shop.data / ".branches").iterdir()] == ["tax"]


def test_a_lake_without_a_release_and_one_in_a_bucket_have_no_branches(lake: Lake) -> None:
    lake.shop()
    refused = lake.typed("branch", "create", "tax")
    assert refused.returncode == 2 and "there is no release yet" in refused.stderr
    for words, environ in ((("branch", "create", "tax"), {}), (("branch", "list"), {}), (("run",), {"BRANCH": "tax"})):
        refused = lake.typed(*words, DATA_DIR="s3://shop/lake", **environ)
        assert refused.returncode == 2 and "an object store has no hard links" in refused.stderr


def test_a_file_that_cannot_have_a_second_name_is_told_and_no_branch_is_left(
    shop: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: object, target: object) -> None:
        raise OSError(18, os.strerror(18))  # what the kernel says of two file systems

    monkeypatch.setattr(os, "link", link)
    refused = shop.typed("branch", "create", "tax")
    assert refused.returncode == 5
    assert "cannot be given a second name: invalid cross-device link" in refused.stderr
    assert branches.list_branches(shop.data) == []


def test_a_branch_on_which_a_run_is_going_is_not_dropped(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    folder = shop.data / ".branches/tax"
    with lock.lock_lake(folder, command="make pipeline", run_id="r", now=runs.now()):
        refused = shop.typed("branch", "drop", "tax")
        assert refused.returncode == 8 and "another run is going: make pipeline" in refused.stderr
        typed_well(shop, "run")  # main has a lock of its own
    typed_well(shop, "branch", "drop", "tax")


def test_what_was_left_half_made_or_half_dropped_is_no_branch_and_is_swept(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    home = shop.data / ".branches"
    shutil.copytree(home / "tax", home / ".new.making")
    shutil.copytree(home / "tax", home / ".old.dropping")
    assert [branch.name for branch in branches.list_branches(shop.data)] == ["tax"]
    with branches.lock_branches(shop.data):
        assert [path.name for path in home.iterdir()] == ["tax"]


def test_a_branch_whose_card_is_damaged_is_told_and_can_be_dropped(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    (shop.data / ".branches/tax/.branch.json").write_text("{")
    [state] = json.loads(typed_well(shop, "branch", "list", "--json"))
    assert state["error"] == "the card of branch tax cannot be read"
    typed_well(shop, "branch", "drop", "tax")


# -- commands on a branch


def test_every_command_has_decided_what_it_does_on_a_branch() -> None:
    assert allowed.WORKS | allowed.REFUSED.keys() == set(commands.names())
    assert not allowed.WORKS & allowed.REFUSED.keys()


def test_what_reaches_beyond_the_lake_is_refused_on_a_branch_by_name(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    words = {"branch": ("list",), "jobs": ("daily",)}
    for name, reason in allowed.REFUSED.items():
        refused = shop.typed(name, *words.get(name, ()), BRANCH="tax")
        assert refused.returncode == 2, name
        assert f"{name} works on main alone: {reason}" in refused.stderr
        assert "where: BRANCH=tax" in refused.stderr
    assert sorted(path.name for path in shop.root.iterdir()) == ["data", "logs", "src"]
    typed_well(shop, "branch", "list", BRANCH="main")


def test_nothing_lands_on_a_branch_and_nobody_is_told_of_it_whatever_the_settings_say(shop: Lake) -> None:
    (shop.root / ".env").write_text(
        "BRANCH=tax\nSAMPLE_FEED=true\nALERT_URLS=json://127.0.0.1:1/x\nOPENLINEAGE_URL=http://127.0.0.1:1\n"
    )
    typed_well(shop, "branch", "create", "tax", BRANCH="main")
    ran = shop.typed("run")
    assert ran.returncode == 0 and "sample" not in ran.stdout + ran.stderr
    assert [path.name for path in shop.data.rglob(".branches/tax/landing/*")] == [".keep"]
    found = settings.load(shop.root, {})
    assert (found.alert_urls, found.openlineage_url, found.sample_feed) == (None, None, False)
    assert found.data_dir == shop.data / ".branches/tax"
    assert found.main_dir == shop.data
    assert (shop.data / ".branches/tax/logs/app.log").is_file()
    assert "not compared with the newest backup: a branch has no backup" in typed_well(shop, "check")


def test_on_a_branch_no_source_is_asked_and_no_seed_lands_and_one_that_is_new_is_told(lake: Lake) -> None:
    source = f"{{connector: files, remote: '{lake.root / 'outbox/*.csv'}'}}"
    server = "{server: orders, type: local, path: shop/orders/*.csv, format: csv}"
    custom = f", customProperties: [{{property: source, value: {source}}}]}}"
    lake.write("silver/shop/orders.yaml", ORDERS.replace(server, server[:-1] + custom))
    test_seeds.seeded(lake)
    (lake.root / "outbox").mkdir()
    (lake.root / "outbox/1.csv").write_text(HEAD + "1,2026-01-01,10,1\n")
    os.utime(lake.root / "outbox/1.csv", (1, 1))
    typed_well(lake, "run")
    typed_well(lake, "branch", "create", "tax")
    test_seeds.seed(lake, test_seeds.APPS + "punt,Punt\n")
    (lake.root / "outbox/1.csv").rename(lake.root / "outbox/2.csv")
    ran = typed_well(lake, "run", BRANCH="tax")
    assert "not what is new of src/silver/shop/seeds/apps.csv: main's next run lands it" in ran
    assert [path.name for path in (lake.data / ".branches/tax/landing").rglob("*")] == [".keep"]
    assert " land " not in typed_well(lake, "plan", BRANCH="tax")
    assert rows(on(lake, "tax"), "SELECT count(*) FROM silver.shop.apps, silver.shop.orders") == [[2]]
    typed_well(lake, "run")
    assert rows(lake, "SELECT count(*) FROM silver.shop.apps, silver.shop.orders") == [[3]]


def test_a_number_on_a_branch_is_explained_down_to_the_lines_of_the_files_that_landed_in_main(changed: Lake) -> None:
    words = ("explain", "gold.shop.daily", "--where", "day = '2026-01-02'", "--json")
    found = json.loads(typed_well(changed, *words, BRANCH="tax"))
    [source] = found["sources"]
    assert (found["shown"][0]["values"]["amount"], found["contract"]) == (5.5, "1.1.0")
    assert [row["line"]["text"] for row in source["shown"]] == ["3,2026-01-02,5,1"]


def test_every_screen_says_which_branch_it_shows_and_of_main_none_does(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    banner = "Branch <b>tax</b> of the lake: not what readers of main see."
    assert banner in page_site.opened(on(shop, "tax")).get("/marts").text
    shown = page_site.opened(shop).get("/diff?before=main&after=tax").text
    assert "of the lake: not what" not in shown and '<option value="tax" selected>tax</option>' in shown


# -- promotion


def log_entry(lake: Lake, table: str, version: int) -> Path:
    return lake.data / table.replace(".", "/") / f"_delta_log/{version:020d}.json"


def test_a_promotion_brings_the_branchs_own_commits_to_main_and_the_next_run_has_nothing_to_do(shop: Lake) -> None:
    typed_well(shop, "run")  # or that would record the times of files that were copied
    typed_well(shop, "branch", "create", "tax")
    raise_amounts(shop)
    typed_well(shop, "run", BRANCH="tax")
    planned = json.loads(typed_well(shop, "branch", "promote", "tax", "--dry-run", "--json"))
    assert (planned["run"], rows(shop, DAILY)) == (None, OLD)
    done = json.loads(typed_well(shop, "branch", "promote", "tax", "--json"))
    assert rows(shop, DAILY) == NEW
    [table] = done["tables"]
    assert table["table"] == "gold.shop.daily" and planned["tables"] == done["tables"]
    for version in range(table["now"] + 1, table["to"] + 1):
        own = log_entry(shop, "gold.shop.daily", version)
        assert own.samefile(shop.data / ".branches/tax" / own.relative_to(shop.data))
    [state] = json.loads(typed_well(shop, "branch", "list", "--json"))
    assert (state["promoted"], state["moved"]) == (True, [])
    before = shop.rows("SELECT max(number) FROM ops.releases")
    assert "0 changed" in typed_well(shop, "run")
    assert shop.rows("SELECT max(number) FROM ops.releases") == before


def test_a_promotion_is_a_run_that_rollback_can_name_and_take_back(changed: Lake) -> None:
    [(first,)] = changed.rows("SELECT DISTINCT run_id FROM ops.releases")
    done = json.loads(typed_well(changed, "branch", "promote", "tax", "--json"))
    recorded = "SELECT status, command FROM ops.pipeline_runs WHERE layer = 'run' AND kind = 'promote' AND run_id = "
    assert changed.rows(f"{recorded}'{done['run']}'") == [("success", "branch promote tax")]
    as_of = f"""SELECT "table", as_of FROM ops.releases WHERE run_id = '{done["run"]}' ORDER BY ALL"""
    assert [run for name, run in changed.rows(as_of) if name == "gold.shop.daily"] == [done["run"]]
    assert {run for name, run in changed.rows(as_of) if name != "gold.shop.daily"} == {first}
    typed_well(changed, "rollback", "--to", first)
    assert rows(changed, DAILY) == OLD
    typed_well(changed, "rollback", "--to", done["run"])
    assert rows(changed, DAILY) == NEW


def test_a_second_promotion_changes_nothing_and_says_so(changed: Lake) -> None:
    typed_well(changed, "branch", "promote", "tax")
    changed.land("shop/orders/2.csv", HEAD + "5,2026-01-03,10,1\n")
    typed_well(changed, "run")
    before = [(path, path.stat().st_mtime_ns) for path in sorted(changed.data.rglob("_delta_log/*"))]
    done = typed_well(changed, "branch", "promote", "tax")
    assert done == "nothing to promote: main has all that branch tax changed\n"
    assert [(path, path.stat().st_mtime_ns) for path in sorted(changed.data.rglob("_delta_log/*"))] == before
    assert rows(changed, DAILY) == [*NEW, ["2026-01-03", 1, 11.0]]


def test_a_changed_silver_contract_a_new_mart_and_several_runs_come_to_main_as_one_release(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "big")
    big = on(shop, "big")
    shop.edit(
        "silver/shop/orders.yaml", "physicalType: integer}", "physicalType: integer, transformLogic: updated::int + 1}"
    )
    shop.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    big.good()
    shop.write(
        "gold/best/contract.yaml",
        (shop.root / "src/gold/shop/contract.yaml").read_text().replace("id: shop", "id: best"),
    )
    shop.write("gold/best/daily.sql", "SELECT * FROM gold.shop.daily WHERE amount > 20")
    big.good()
    refused = shop.typed("query", "SELECT * FROM gold.best.daily")
    assert refused.returncode == 2
    releases = shop.rows("SELECT max(number) FROM ops.releases")
    done = json.loads(typed_well(shop, "branch", "promote", "big", "--json"))
    tables = [table["table"] for table in done["tables"]]
    assert tables == ["quarantine.shop.orders", "silver.shop.orders", "gold.shop.daily", "gold.best.daily"]
    assert rows(shop, "SELECT day FROM gold.best.daily") == [["2026-01-01"]]
    assert rows(shop, "SELECT DISTINCT updated FROM silver.shop.orders") == [[2]]
    assert shop.rows("SELECT count(DISTINCT run_id) FROM ops.releases") == [(2,)] and releases == [(1,)]


def refusal(lake: Lake, name: str = "tax") -> str:
    before = rows(lake, DAILY)
    refused = lake.typed("branch", "promote", name)
    assert refused.returncode == 4, refused.stdout + refused.stderr
    assert f"branch {name} cannot be promoted" in refused.stderr
    assert rows(lake, DAILY) == before
    return refused.stderr


def test_what_main_changed_too_is_refused_by_name_with_what_to_do(changed: Lake) -> None:
    typed_well(changed, "rebuild", "--table", "gold.shop.daily")
    text = refusal(changed)
    assert "gold.shop.daily: main moved too: it is at version" in text
    assert "make a new branch, run on it, and promote that" in text
    assert rows(changed, DAILY) == NEW  # of main's own run with the changed contract


def test_what_the_branch_read_and_main_has_newer_rows_of_is_refused_by_name(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    shop.write(
        "gold/best/contract.yaml",
        (shop.root / "src/gold/shop/contract.yaml").read_text().replace("id: shop", "id: best"),
    )
    shop.write(
        "gold/best/daily.sql",
        (shop.root / "src/gold/shop/daily.sql").read_text(),
    )
    typed_well(shop, "run", BRANCH="tax")
    shop.land("shop/orders/2.csv", HEAD + "5,2026-01-03,10,1\n")
    typed_well(shop, "run", "--select", "+silver.shop.orders")
    assert "gold.best.daily was computed from silver.shop.orders: main is at version" in refusal(shop)


def test_files_that_were_taken_on_a_branch_are_refused_by_name(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    target = shop.data / ".branches/tax/landing/shop/orders/2.csv"
    target.parent.mkdir(parents=True)
    target.write_text(HEAD + "5,2026-01-03,10,1\n")
    typed_well(shop, "run", BRANCH="tax")
    assert "bronze.shop.orders: the branch took files, which are not in main's landing zone" in refusal(shop)


@pytest.mark.long  # the other reasons against a promotion are in the short form
def test_a_table_that_main_made_anew_is_refused_by_name(changed: Lake) -> None:
    before = log_entry(changed, "gold.shop.daily", 0).stat().st_ino
    shutil.rmtree(changed.data / "gold/shop/daily")
    typed_well(changed, "run")
    assert log_entry(changed, "gold.shop.daily", 0).stat().st_ino != before
    text = refusal(changed)
    assert "gold.shop.daily: main has another table of that name" in text or "the branch began at version" in text


def test_a_branch_that_is_not_finished_is_refused_by_name(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    shop.edit(
        "silver/shop/orders.yaml", "physicalType: integer}", "physicalType: integer, transformLogic: updated::int + 1}"
    )
    shop.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    shop.edit("gold/shop/daily.sql", "count(*)", "cast('x' || count(*) AS bigint)")
    shop.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    assert shop.typed("run", BRANCH="tax").returncode == 9
    text = refusal(shop)
    assert "on the branch gold.shop.daily as of" in text and "`BRANCH=tax make pipeline` first" in text


def test_what_was_built_by_other_contracts_than_those_of_the_project_is_refused_by_name(changed: Lake) -> None:
    changed.edit("gold/shop/daily.sql", "sum(amount) * 1.1", "sum(amount) * 1.2")
    assert "gold.shop.daily: built by other contracts than those here" in refusal(changed)
    shutil.rmtree(changed.root / "src/gold/shop")
    changed.environ["BROKEN_ON_PURPOSE"] = "1"  # no contract declares what is there
    assert "gold.shop.daily: no contract here declares gold.shop.daily" in refusal(changed)


@pytest.mark.long  # a promotion of what nobody purged is proven above
def test_purged_on_main_and_on_the_branch_both_stay_whole_and_a_promotion_works(changed: Lake) -> None:
    purge = ("vacuum", "--retention-hours", "0", "--purge", "--yes")
    tax = on(changed, "tax")
    typed_well(changed, *purge)
    assert (rows(changed, DAILY), rows(tax, DAILY)) == (OLD, NEW)
    typed_well(changed, *purge, BRANCH="tax")
    assert (rows(changed, DAILY), rows(tax, DAILY)) == (OLD, NEW)
    typed_well(changed, "branch", "promote", "tax")
    assert rows(changed, DAILY) == NEW
    assert tax.findings() == []


@pytest.mark.long  # its opposite, newer rows, is refused above
def test_a_version_of_main_with_the_same_rows_is_no_reason_against_what_only_read_the_table(changed: Lake) -> None:
    DeltaTable(changed.data / "silver/shop/orders").optimize.compact()
    DeltaTable(changed.data / "silver/shop/orders").alter.set_table_properties({"delta.checkpointInterval": "9"})
    typed_well(changed, "branch", "promote", "tax")
    assert rows(changed, DAILY) == NEW


# -- the difference


def difference(lake: Lake, *words: str) -> dict[str, dict[str, Any]]:
    found = json.loads(typed_well(lake, "diff", *words, "--json"))
    return {one["table"]: one for one in found["tables"]}


def test_diff_shows_row_by_row_what_a_branch_changed_and_how_its_contract_did(changed: Lake) -> None:
    [(name, daily)] = difference(changed, "main", "tax").items()
    assert (name, daily["rows_before"], daily["rows_after"]) == ("gold.shop.daily", 2, 2)
    assert daily["differences"]["added_rows"] == [
        {"day": "2026-01-01", "orders": 2, "amount": 33.0},
        {"day": "2026-01-02", "orders": 1, "amount": 5.5},
    ]
    assert daily["contract"] == {"before": "1.0.0", "after": "1.1.0", "changes": ["sql changed"]}
    shown = typed_well(changed, "diff", "main", "tax")
    assert shown.startswith("from main to tax\n") and "contract 1.0.0 -> 1.1.0; sql changed" in shown
    assert difference(changed, "tax") == difference(changed, "main", "tax")
    assert difference(changed, "tax", "main")["gold.shop.daily"]["differences"]["removed_rows"][0]["amount"] == 33.0
    assert difference(changed, "main", "main") == {}


@pytest.mark.long  # `branch list` tells the same above
def test_diff_says_where_main_moved_under_a_branch_which_alone_shows_what_is_its_own(shop: Lake) -> None:
    typed_well(shop, "branch", "create", "tax")
    shop.land("shop/orders/2.csv", HEAD + "5,2026-01-03,1,1\n")
    shop.good()
    found = json.loads(typed_well(shop, "diff", "main", "tax", "--json"))
    assert found["moved"] == ["bronze.shop.orders", "gold.shop.daily", "silver.shop.orders"]
    assert [one["table"] for one in found["tables"]] == ["bronze.shop.orders", "silver.shop.orders", "gold.shop.daily"]
    assert "`diff tax` alone shows what the branch changed" in typed_well(shop, "diff", "main", "tax")
    assert difference(shop, "tax") == {}


def test_cells_by_key_are_the_same_in_parts_as_in_one_piece_also_where_a_row_moves_between_partitions(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop()
    lines = [f"{n},2026-01-0{1 + n % 5},{n},1\n" for n in range(40)]
    lake.land("shop/orders/1.csv", HEAD + "".join(lines))
    lake.good()
    other = [f"{n},2026-01-0{1 + (n + (n < 10)) % 5},{n + n % 2},2\n" for n in range(35)]  # ten move, half are others
    lake.land("shop/orders/2.csv", HEAD + "".join(other))
    lake.good()
    lake.edit(
        "silver/shop/orders.yaml",
        "required: true}\n      - {name: updated",
        "required: true, logicalTypeOptions: {minimum: 5}}\n      - {name: updated",
    )
    lake.edit("silver/shop/orders.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.good()  # those below 5 go
    runs = [run for (run,) in lake.rows("SELECT run_id FROM ops.releases GROUP BY ALL ORDER BY min(number)")]
    found = []
    for at_once in (500_000, 3):
        monkeypatch.setattr(released, "_AT_ONCE", at_once)
        found.append(difference(lake, runs[0], runs[2], "--table", "silver.shop.orders", "--limit", "0"))
    assert found[0] == found[1]
    told = found[0]["silver.shop.orders"]["differences"]
    assert (told["added"], told["removed"], told["changed"]) == (0, 5, 30)
    assert told["cells"] == {"day": 5, "amount": 15, "updated": 30}


def done_as_written(lake: Lake, command: str) -> str:
    """What a command of the document prints, typed as it stands there."""
    before, words = command.partition(" #")[0].replace(".venv/bin/python ", "").split("main.py ")
    return typed_well(lake, *words.split(), **dict(re.findall(r"(\w+)=(\S+)", before)))


def test_the_commands_and_the_check_of_a_pull_request_in_the_document_do_what_it_says(shop: Lake) -> None:
    raise_amounts(shop)
    text = (ROOT / "docs/branches.md").read_text(encoding="utf-8")
    workflow = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    steps = [step["run"] for step in workflow["jobs"]["numbers"]["steps"] if "main.py" in step.get("run", "")]
    commands = [step.replace('"$NAME"', "pr-7").partition(" | ") for step in steps]
    assert {into for _, _, into in commands} == {"", 'tee -a "$GITHUB_STEP_SUMMARY"'}
    created, _, differs, _ = [done_as_written(shop, command) for command, _, _ in commands]
    assert created.startswith("branch pr-7 of release")
    assert "gold.shop.daily: 2 rows became 2; added 2, removed 2" in differs
    assert (branches.list_branches(shop.data), rows(shop, DAILY)) == ([], OLD)
    lines = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0].splitlines()
    assert "promoted 1 table of branch new-margin" in "".join(done_as_written(shop, line) for line in lines)
    assert (branches.list_branches(shop.data), rows(shop, DAILY)) == ([], NEW)


@pytest.mark.long  # most commands are typed on a branch by the tests above
def test_every_command_that_works_on_a_branch_ends_there_as_it_does_in_main(changed: Lake) -> None:
    typed_well(changed, "run")
    for name in sorted(allowed.WORKS & SHOWN.keys()):
        words, _ = SHOWN[name]
        main, branch = changed.typed(name, *words), changed.typed(name, *words, BRANCH="tax")
        assert (name, branch.returncode, branch.stderr) == (name, main.returncode, branch.stderr)
    assert sorted(path.name for path in (changed.data / "landing/shop/orders").iterdir()) == ["1.csv"]
