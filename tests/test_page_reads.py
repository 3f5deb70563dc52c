"""What people are shown by the page and by the other commands is recorded like a query; a screen of states is not."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import page_site
import pytest
from conftest import Lake
from page_site import Site

from src import spool
from src.maintenance import jobs
from src.masking.reader import recorded_as, system_user
from src.page import asking
from src.report import summary, writing

ORDERS, DAILY, REJECTED = "silver.shop.orders", "gold.shop.daily", "quarantine.shop.orders"
ANN = f"{recorded_as('ann')}, from the page"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\nx,2024-01-02,20,1\n")
    made.run()
    return made.root


@pytest.fixture
def site(shop: Lake) -> Site:
    return page_site.opened(shop)


def spooled(lake: Lake) -> list[dict[str, Any]]:
    found = [line for lines in spool.lines(lake.data / ".access").values() for line in lines]
    return sorted(found, key=lambda line: str(line["moment"]))


def last(lake: Lake) -> tuple[str, str, list[str], int | None]:
    found = spooled(lake)[-1]
    return found["user"], found["kind"], json.loads(found["tables"]), found["rows"]


def test_screens_that_show_rows_are_recorded_and_those_of_states_are_not(site: Site) -> None:
    for address in ("/", "/runs", "/feeds", "/lineage", "/plan", "/marts", "/sql", "/sql/names"):
        assert site.get(address).status == 200, address
    assert spooled(site.lake) == []
    for address, kind, tables, rows in (
        (f"/table/{DAILY}", "page", [DAILY], 1),
        (f"/table/{ORDERS}", "page", [REJECTED, ORDERS], 2),
        ("/quarantine", "quarantine", [REJECTED], 1),
        (f"/quarantine?table={ORDERS}", "quarantine", [REJECTED], 1),
        ("/mart/shop", "page", [DAILY], 1),
    ):
        before = len(spooled(site.lake))
        assert site.get(address).status == 200, address
        assert last(site.lake) == (ANN, kind, tables, rows), address
        assert len(spooled(site.lake)) == before + 1, address


def test_what_differs_between_releases_is_shown_by_table_and_cell_and_recorded(site: Site) -> None:
    assert "No row differs." in site.get("/diff").text  # of the only release
    site.lake.land("shop/orders/2.csv", "order_id,day,amount,updated\n1,2024-01-01,12.5,2\n")
    site.lake.good()
    shown = site.get(f"/diff?table={ORDERS}").text
    assert "<strong>0</strong> added, <strong>0</strong> removed, <strong>1</strong> changed" in shown
    assert "<td>1</td><td><code>amount</code></td><td>10.00</td><td>12.50</td>" in shown
    assert last(site.lake) == (ANN, "page", [ORDERS], None)
    newest = site.lake.rows("SELECT max(run_id) FROM ops.releases")[0][0]
    assert f'href="/diff?after={newest}"' in site.get(f"/run/{newest}").text
    assert DAILY in site.get("/diff").text
    assert "no run nobody" in site.get("/diff?before=nobody").text


def test_a_question_on_the_page_is_recorded_also_one_that_fails(site: Site) -> None:
    assert site.post("/sql", sql=f"SELECT amount FROM {DAILY} WHERE day > DATE '2020-01-01'").status == 200
    assert last(site.lake) == (ANN, "page", [DAILY], 1)
    found = spooled(site.lake)[-1]
    assert json.loads(found["columns"]) == {DAILY: ["amount", "day"]}
    assert found["pattern"] == f"select amount from {DAILY} where day > date ?"
    assert found["bytes"] > 0
    for sql, error in (
        ("SELECT * FROM gold.shop.none", "no table gold.shop.none"),
        (f"SELECT error('Ann Lee' || amount) FROM {DAILY}", "data: what it says may hold values, and is not kept"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv() in a query"),
    ):
        site.post("/sql", sql=sql)
        found = spooled(site.lake)[-1]
        assert (found["failed"], found["error"], found["rows"]) == (True, error, None)
        assert found["pattern"] and "Ann" not in json.dumps(found)
    assert json.loads(spooled(site.lake)[1]["tables"]) == ["gold.shop.none"]


@pytest.mark.long
def test_a_question_that_takes_too_long_is_recorded_with_its_tables(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = asking.ask.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "seconds", 5.0)
    site.post("/sql", sql=f"SELECT count(*) FROM {DAILY}, range(10000000) a, range(10000000) b")
    found = spooled(site.lake)[-1]
    assert (found["failed"], json.loads(found["tables"])) == (True, [DAILY])
    assert found["error"].startswith("stopped after ")
    assert found["pattern"].startswith("select count(*) from")


def test_a_file_that_is_taken_away_is_an_export(site: Site) -> None:
    assert site.post("/sql", sql=f"SELECT * FROM {DAILY}", take="csv").status == 200
    assert last(site.lake) == (ANN, "export", [DAILY], 1)
    assert site.get("/mart/shop/daily/rows.csv").status == 200
    assert last(site.lake) == (ANN, "export", [DAILY], 1)
    assert len(spooled(site.lake)) == 2


def test_reads_that_wait_are_seen_in_a_question_on_the_page(site: Site) -> None:
    site.get(f"/table/{DAILY}")
    assert f">{DAILY}</td>" in site.post("/sql", sql='SELECT "table" FROM ops.access_daily').text
    assert json.loads(spooled(site.lake)[-1]["tables"]) == ["ops.access"]


@pytest.mark.parametrize(
    ("args", "kind", "tables", "rows"),
    [
        (("describe", "daily"), "describe", [DAILY], 1),
        (("preview", "silver.shop.orders"), "preview", [ORDERS], 1),
        (("quarantine", "list"), "quarantine", [REJECTED], 1),
        (("quarantine", "show", "--table", ORDERS), "quarantine", [REJECTED], 1),
    ],
)
def test_a_command_that_shows_rows_is_recorded(
    site: Site, args: tuple[str, ...], kind: str, tables: list[str], rows: int
) -> None:
    site.lake.command(*args)
    assert last(site.lake)[1:] == (kind, tables, rows)


def test_a_report_is_read_by_who_asks_for_it_and_by_nobody_in_a_job(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    code = "import os; print(os.environ['BOATHOUSE_JOB'])"
    jobs._run([sys.executable, "-c", code], site.lake.root, "daily report", told.append, {})
    assert told == ["daily report | daily"]
    found = summary.read_summary
    series: Any = SimpleNamespace(table=DAILY)
    monkeypatch.setattr(
        summary, "read_summary", lambda *args, **words: replace(found(*args, **words), series=(series,))
    )
    monkeypatch.setattr(writing, "write", lambda *args: ())
    monkeypatch.setattr(writing, "print_written", lambda *args: None)
    with monkeypatch.context() as patched:
        patched.setenv("BOATHOUSE_JOB", "daily")
        site.lake.command("report")
        assert spooled(site.lake) == []
    site.lake.command("report")
    assert last(site.lake)[1:] == ("report", [DAILY], None)


def test_a_restore_is_recorded_where_it_went(site: Site, lake: Lake) -> None:
    lake.command("backup")
    lake.command("restore", "--to", str(lake.root / "other"))
    lines = [line for some in spool.lines(lake.root / "other" / ".access").values() for line in some]
    assert [(line["kind"], line["failed"]) for line in lines] == [("restore", False)]
    assert DAILY in json.loads(lines[0]["tables"])


def test_who_reads_is_the_user_of_the_system_whatever_the_environment_says() -> None:
    user = system_user()
    assert recorded_as(user) == user
    assert recorded_as("ann") == f"{user} for ann"
    assert recorded_as("") == user
