"""An optional source counts as empty until it is built: a mart does not wait for a feed that a user does not have."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal

import pytest
from conftest import ORDERS, Lake

from src import catalog
from src.errors import ContractErrors
from src.lake import open_table
from src.maintenance import backfill
from src.project import open_project
from src.run import releases
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

HEADER = "order_id,day,amount,updated\n"
BOTH = """
SELECT day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount
FROM (SELECT day, amount FROM silver.shop.orders UNION ALL SELECT day, amount FROM silver.shop.returns)
GROUP BY day
"""
DAILY = "SELECT * FROM gold.shop.daily ORDER BY day"
OPTIONAL = "{property: optionalSources, value: [silver.shop.returns]}"


def shop(lake: Lake, words: str = OPTIONAL) -> Lake:
    """A mart over orders and returns; `words` are its custom properties."""
    lake.shop()
    lake.write("silver/shop/returns.yaml", ORDERS.replace("shop/orders", "shop/returns").replace("orders", "returns"))
    lake.write("gold/shop/daily.sql", BOTH)
    lake.edit("gold/shop/contract.yaml", "  - name: daily\n", f"  - name: daily\n    customProperties: [{words}]\n")
    return lake


def land(lake: Lake, feed: str, rows: str, name: str = "1") -> None:
    lake.land(f"shop/{feed}/{name}.csv", HEADER + rows)


def versions(lake: Lake) -> dict[str, int]:
    """The newest version of every table that is no record of runs."""
    known = {name: root for name, root in catalog.tables(lake.data).items() if not name.startswith("ops.")}
    return {name: table.version for name, root in known.items() if (table := open_table(root))}


def test_a_mart_is_computed_without_a_source_that_is_not_built(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n2,2024-01-02,5,1\n")
    run = lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 1, Decimal(10)), (date(2024, 1, 2), 1, Decimal(5))]
    assert "gold.shop.daily" in releases.newest(lake.data)
    assert sum(record.records_written for record in run.records if record.layer == "gold") == 2


def test_an_optional_source_of_a_domain_that_never_ran_does_not_hold_back_the_release(lake: Lake) -> None:
    shop(lake, OPTIONAL.replace("shop", "mail"))
    lake.edit("gold/shop/daily.sql", "silver.shop.returns", "silver.mail.returns")
    text = (lake.root / "src/silver/shop/returns.yaml").read_text().replace("shop", "mail")
    (lake.root / "src/silver/shop/returns.yaml").unlink()
    lake.write("silver/mail/returns.yaml", text)
    land(lake, "orders", "1,2024-01-01,10,1\n")
    assert lake.run("shop").failures == {}
    assert releases.newest(lake.data).keys() >= {"silver.shop.orders", "gold.shop.daily"}


def test_without_the_word_a_mart_waits_for_every_source(lake: Lake) -> None:
    shop(lake, "{property: lookback, value: 0}")
    land(lake, "orders", "1,2024-01-01,10,1\n")
    lake.good()
    assert "gold.shop.daily" not in catalog.tables(lake.data)


def test_when_it_is_built_the_mart_is_computed_whole_and_then_part_by_part(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n2,2024-01-02,5,1\n")
    lake.good()
    land(lake, "returns", "1,2024-01-02,-5,1\n2,2024-01-03,-1,1\n")
    assert lake.step(lake.good(), "gold.shop.daily").partitions == 3
    rows = [
        (date(2024, 1, 1), 1, Decimal(10)),
        (date(2024, 1, 2), 2, Decimal(0)),
        (date(2024, 1, 3), 1, Decimal(-1)),
    ]
    assert lake.rows(DAILY) == rows
    land(lake, "returns", "2,2024-01-03,-2,2\n", "2")
    assert lake.step(lake.good(), "gold.shop.daily").partitions == 1
    assert lake.rows(DAILY) == [*rows[:2], (date(2024, 1, 3), 1, Decimal(-2))]


def test_a_run_without_news_of_either_source_changes_nothing(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n")
    lake.good()
    before = versions(lake)
    assert {step.action for step in lake.planned()} == {"nothing"}
    lake.good()
    assert versions(lake) == before


def test_new_rows_of_the_other_source_touch_their_own_partitions(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n2,2024-01-02,5,1\n")
    lake.good()
    land(lake, "orders", "2,2024-01-02,6,2\n", "2")
    assert lake.step(lake.good(), "gold.shop.daily").partitions == 1


def test_of_optional_sources_alone_at_least_one_must_be_there(lake: Lake) -> None:
    shop(lake, "{property: optionalSources, value: [silver.shop.orders, silver.shop.returns]}")
    lake.good()
    assert "gold.shop.daily" not in catalog.tables(lake.data)
    land(lake, "returns", "1,2024-01-02,-5,1\n")
    lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 2), 1, Decimal(-5))]


def test_a_source_that_is_taken_away_leaves_the_mart_too(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1,2024-01-02,-5,1\n")
    lake.good()
    shutil.rmtree(lake.data / "landing/shop/returns")
    for layer in ("bronze", "silver", "quarantine"):
        shutil.rmtree(lake.data / layer / "shop/returns")
    lake.good()
    assert lake.rows(DAILY) == [(date(2024, 1, 1), 1, Decimal(10))]
    assert lake.good().records[-1].records_written == 0
    # as long as its contract is there nobody knows whether that was meant
    assert {one.table for one in lake.findings()} == {"bronze.shop.returns", "silver.shop.returns"}
    (lake.root / "src/silver/shop/returns.yaml").unlink()
    lake.write("gold/shop/daily.sql", BOTH.partition(" UNION")[0] + ") GROUP BY day")
    lake.edit("gold/shop/contract.yaml", f"customProperties: [{OPTIONAL}]", "")
    lake.edit("gold/shop/contract.yaml", "1.0.0", "1.1.0")
    lake.good()


def test_the_check_takes_what_was_not_built_for_empty_and_sees_what_is_not_so(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n2,2024-01-02,5,1\n")
    lake.good()
    # another run builds the source and dies before gold: the mart is still right for what it says it read
    land(lake, "returns", "1,2024-01-02,-5,1\n")
    lake.edit("gold/shop/daily.sql", "GROUP BY day", "GROUP BY broken")
    assert list(lake.run().failures) == ["gold.shop.daily"]
    lake.edit("gold/shop/daily.sql", "GROUP BY broken", "GROUP BY day")
    assert lake.findings() == []
    lake.edit("gold/shop/daily.sql", "SELECT day, count(*)", "SELECT day, 1 + count(*)")
    lake.edit("gold/shop/contract.yaml", "1.0.0", "1.1.0")
    lake.good()
    assert lake.findings() == []
    assert lake.rows("SELECT sum(orders) FROM gold.shop.daily") == [(5,)]


def test_a_backfill_of_the_mart_passes_over_what_is_not_built(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1,2024-01-01,10,1\n2,2024-01-02,5,1\n")
    lake.good()
    with open_project(lake.settings) as project:
        planned = backfill.plan(project, "gold.shop.daily", date(2024, 1, 2), None, None)
    assert backfill.partitions(planned) == [backfill.PlannedPartition("gold.shop.daily", "day=2024-01-02")]


def test_a_backfill_leaves_out_a_mart_that_still_waits_for_another_source(lake: Lake) -> None:
    shop(lake, "{property: lookback, value: 0}")
    land(lake, "orders", "1,2024-01-01,10,1\n")
    lake.good()
    with open_project(lake.settings) as project, recorded_run(project, RunKind.BACKFILL, "backfill") as run:
        planned = backfill.plan(project, "silver.shop.orders", date(2024, 1, 1), None, None)
        assert list(planned.partitions) == ["silver.shop.orders"]
        backfill.execute(project, planned, run)
    assert run.error() is None


def test_a_name_that_the_model_does_not_read_is_an_error(lake: Lake) -> None:
    shop(lake, "{property: optionalSources, value: [silver.shop.returns, silver.shop.retuns]}")
    with pytest.raises(ContractErrors) as caught, open_project(lake.settings):
        pass
    assert "optional source silver.shop.retuns, which the model does not read" in str(caught.value)
    assert "contract.yaml, daily, customProperties[optionalSources]" in str(caught.value)
    assert "daily.sql reads silver.shop.orders, silver.shop.returns" in str(caught.value)


@pytest.mark.parametrize("value", ["silver.shop.returns", "[]", "[1]", "[silver.shop.returns, silver.shop.returns]"])
def test_anything_but_a_list_of_names_is_an_error(lake: Lake, value: str) -> None:
    shop(lake, f"{{property: optionalSources, value: {value}}}")
    with (
        pytest.raises(ContractErrors, match="write a list of distinct table ids"),
        open_project(lake.settings),
    ):
        pass
