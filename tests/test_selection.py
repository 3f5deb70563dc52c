"""A run is about what is selected, as dbt writes it: tables, what they need, what hangs on them; the rest is left."""

from __future__ import annotations

import pytest
from conftest import DAILY, MART, ORDERS, Lake

import main
from src import selection
from src.commands.run import pipeline
from src.errors import UsageError
from src.project import open_project
from src.run import releases
from src.run.runs import Run
from src.silver import clean

HEADER = "order_id,day,amount,updated\n"


def company(lake: Lake) -> Lake:
    """Return a shop with refunds, which refer to its orders, a mart of two tables, and a mart that reads that."""
    lake.shop()
    lake.add_largest("SELECT day, count(*) AS orders, max(amount) AS amount FROM silver.shop.orders GROUP BY day")
    refunds = ORDERS.replace("orders", "refunds").replace("Orders", "Refunds")
    key = "primaryKey: true, primaryKeyPosition: 1}"
    lake.write("silver/desk/refunds.yaml", refunds.replace("shop", "desk"))
    to = "relationships: [{to: silver.shop.orders.order_id}]}"
    lake.edit("silver/desk/refunds.yaml", key, f"{key[:-1]}, {to}")
    lake.write("gold/board/contract.yaml", MART.replace("id: shop", "id: board").replace("name: Shop", "name: Board"))
    reading = DAILY.replace("count(*)", "sum(orders)::BIGINT").replace("silver.shop.orders", "gold.shop.daily")
    lake.write("gold/board/daily.sql", reading)
    return lake


def run(lake: Lake, *names: str, domain: str | None = None) -> Run:
    with open_project(lake.settings) as project:
        return pipeline(project, main.carry, domain, names=names)


def steps(run: Run) -> list[str]:
    return [step.table_id for step in run.steps]


BRONZE, REFUNDS = ["bronze.desk.refunds", "bronze.shop.orders"], "silver.desk.refunds"
MARTS = ["gold.shop.daily", "gold.shop.largest"]
EVERYTHING = [*BRONZE, "silver.shop.orders", REFUNDS, *MARTS, "gold.board.daily"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["silver.shop.orders"], {"silver.shop.orders"}),
        (["silver.shop.orders+"], {"silver.shop.orders", REFUNDS, *MARTS, "gold.board.daily"}),
        (["silver.shop.orders+1"], {"silver.shop.orders", REFUNDS, *MARTS}),
        (["+shop.orders"], {"bronze.shop.orders", "silver.shop.orders"}),
        (["+refunds"], {*BRONZE, "silver.shop.orders", REFUNDS}),
        (["+gold.shop.daily"], {"bronze.shop.orders", "silver.shop.orders", *MARTS}),
        (["gold.shop"], set(MARTS)),
        (["1+gold.board.daily"], {*MARTS, "gold.board.daily"}),
        (["+gold.board+"], {"bronze.shop.orders", "silver.shop.orders", *MARTS, "gold.board.daily"}),
        (["board", "silver.desk"], {"gold.board.daily", REFUNDS}),
        (["desk"], {"bronze.desk.refunds", REFUNDS}),
        (["silver.*.orders", "bronze.d*"], {"silver.shop.orders", "bronze.desk.refunds"}),
        (["+silver.shop.orders+"], set(EVERYTHING) - {"bronze.desk.refunds"}),
    ],
)
def test_a_selection_is_tables_what_they_need_and_what_hangs_on_them(
    lake: Lake, names: list[str], expected: set[str]
) -> None:
    company(lake)
    with open_project(lake.settings) as project:
        found = selection.chosen(project, names=names)
    ids = [*(feed.id for feed in found.feeds), *(table.id for table in (*found.silver, *found.gold))]
    assert set(ids) == expected
    assert sorted(ids, key=lambda one: one.split(".")[0] != "bronze") == ids
    if REFUNDS in ids and "silver.shop.orders" in ids:  # whom a foreign key names comes first
        assert ids.index("silver.shop.orders") < ids.index(REFUNDS)


def test_what_is_not_selected_is_untouched_and_the_run_says_what_was(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    company(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.land("desk/refunds/1.csv", HEADER + "1,2024-01-01,3,1\n")
    assert lake.command("run", "--select", "+silver.shop.orders, gold.shop") == 0
    assert sorted(name for name in releases.newest(lake.data)) == sorted(
        ["bronze.shop.orders", "quarantine.shop.orders", "silver.shop.orders", *MARTS]
    )
    typed = "SELECT command FROM ops.pipeline_runs WHERE layer = 'run'"
    assert lake.rows(typed) == [("make pipeline SELECT=+silver.shop.orders,gold.shop",)]
    capsys.readouterr()
    assert lake.command("plan", "--select", "silver.desk.refunds") == 0
    shown = capsys.readouterr().out
    assert "silver.desk.refunds" in shown and "bronze.shop.orders" not in shown
    assert "new files of bronze.desk.refunds wait, as it is not selected; +silver.desk.refunds takes them too" in shown
    assert steps(lake.good()) == EVERYTHING


def test_a_domain_may_be_a_mart_which_runs_with_what_it_needs(lake: Lake) -> None:
    company(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    assert steps(run(lake, domain="board")) == ["bronze.shop.orders", "silver.shop.orders", *MARTS, "gold.board.daily"]
    assert steps(run(lake, domain="desk")) == ["bronze.desk.refunds", REFUNDS]
    with pytest.raises(UsageError) as refused:
        run(lake, domain="bord")
    assert refused.value.fix == "the domains are desk, shop; the marts are board, shop"


def test_an_unknown_name_is_refused_with_the_nearest(lake: Lake) -> None:
    company(lake)
    for names, what, fix in (
        (["+silver.shop.oders+"], "no table, mart or domain silver.shop.oders", "did you mean `silver.shop.orders`?"),
        (["gold.bord"], "no table, mart or domain gold.bord", "did you mean `gold.board`?"),
        (["daily"], "daily may be gold.shop.daily or gold.board.daily", "write more of the name"),
        ([""], " selects nothing", "write name, +name"),
    ):
        with pytest.raises(UsageError) as refused:
            run(lake, *names)
        assert refused.value.what == what
        assert str(refused.value.fix).startswith(fix)
    with pytest.raises(UsageError, match="a domain and a selection"):
        run(lake, "orders", domain="shop")
    assert not (lake.data / "ops").exists()


def test_tables_of_one_mart_are_never_published_from_different_versions_of_a_source(lake: Lake) -> None:
    company(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,30,1\n")
    assert run(lake, "+silver.shop.orders").failures == {}
    both = "SELECT d.orders, l.orders, l.amount FROM gold.shop.daily d JOIN gold.shop.largest l USING (day)"
    assert lake.rows(both) == [(1, 1, 10)]
    assert steps(run(lake, "gold.shop.daily")) == MARTS  # they go together
    assert lake.rows(both) == [(2, 2, 30)]


def test_a_mart_that_is_selected_alone_is_not_published_from_a_source_that_no_run_finished(lake: Lake) -> None:
    company(lake)
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")
    lake.good()
    before = releases.newest(lake.data)
    lake.land("shop/orders/2.csv", HEADER + "2,2024-01-01,30,1\n")
    run(lake, "bronze.shop.orders")
    with open_project(lake.settings) as project:  # as a run does that dies after this step
        table = project.declared("silver.shop.orders")
        places = clean.Places.of_table(table, project.path)
        clean.run(project.engine, table, places, batch="a run that died")
    assert run(lake, "gold.shop").failures == {}
    held = releases.behind(lake.data)
    assert {name: standing.cause.value for name, standing in held.items() if standing.cause} == {
        "silver.shop.orders": "pending",
        **dict.fromkeys(MARTS, "upstream"),
    }
    assert {name: releases.newest(lake.data)[name] for name in MARTS} == {name: before[name] for name in MARTS}
    lake.good()
    assert releases.behind(lake.data) == {}
