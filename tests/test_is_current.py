"""A table is current if all that both versions of Boathouse recorded of its logic is the same.

The other version is this code with other entries in the registries of facts: an option that is off by default, and
facts of a table, a column and a feed that were never recorded before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import Lake, short

from src import contract
from src import lake as delta
from src.contract.facts import COLUMN_FACTS, FEED_FACTS, TABLE_FACTS, Fact
from src.errors import ContractError
from src.maintenance import backfill
from src.project import open_project
from src.run.kinds import RunKind
from src.run.recorded import recorded_run

SILVER, MART = "silver/shop/orders.yaml", "gold/shop/contract.yaml"
TABLES = ("silver.shop.orders", "gold.shop.daily", "gold.shop.months")
DAY_1 = "order_id,day,amount,updated,note\n1,2024-01-01,10,1,red\n2,2024-01-02,20,2,blue\nx,2024-01-02,20,2,blue\n"
DAY_2 = "order_id,day,amount,updated,note\n2,2024-01-02,25,3,blue\n3,2024-01-03,30,3,green\ny,2024-01-03,20,2,blue\n"
MONTHS = """  - name: months
    logicalType: object
    physicalType: table
    properties:
      - {name: month, logicalType: integer, physicalType: integer}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)"}
"""
CHANGES = {
    "type": (SILVER, "physicalType: integer}", "physicalType: bigint}", 'column updated: type "INTEGER" -> "BIGINT"'),
    "key": (
        SILVER,
        "partitioned: true, partitionKeyPosition: 1}",
        "partitioned: true, partitionKeyPosition: 1, primaryKey: true, primaryKeyPosition: 2}",
        'key ["order_id"] -> ["order_id", "day"]',
    ),
    "expression": (
        SILVER,
        '"decimal(18,2)", required: true}',
        '"decimal(18,2)", required: true, transformLogic: trim(amount)}',
        'column amount: expression null -> "trim(amount)"',
    ),
    "delimiter": (SILVER, "format: csv}", "format: csv, delimiter: ';'}", 'feed orders: delimiter "," -> ";"'),
    "decimal": (
        SILVER,
        "format: csv}",
        "format: csv, customProperties: [{property: decimal, value: ','}]}",
        'feed orders: decimal default -> ","',
    ),
    "on_conflict": (
        SILVER,
        "    customProperties:\n",
        "    customProperties:\n      - {property: onConflict, value: last}\n",
        'on_conflict default -> "last"',
    ),
    "model": ("gold/shop/daily.sql", "count(*)", "count(*) + 1", "sql changed"),
}


@contextmanager
def another_version(*, option: str = "off", fact: str = "binary") -> Iterator[None]:
    """As the next version would be: with one more option of a feed, and a fact more of a table, a column, a feed."""
    more = (
        (FEED_FACTS, "comment", Fact("minor", lambda feed: option, "off")),
        (FEED_FACTS, "newline", Fact("minor", lambda feed: "any")),
        (COLUMN_FACTS, "collation", Fact("minor", lambda at: fact)),
        (TABLE_FACTS, "engine", Fact("minor", lambda table: "duckdb")),
    )
    for facts, name, added in more:
        facts[name] = added
    try:
        yield
    finally:
        for facts, name, _ in more:
            del facts[name]


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """The contracts of a shop, a mart on a mart among them, and a first file with a row that is rejected."""
    lake.shop()
    lake.write("gold/shop/contract.yaml", (lake.root / "src" / MART).read_text() + MONTHS)
    lake.write(
        "gold/shop/months.sql",
        "SELECT month(day)::INTEGER AS month, sum(amount)::DECIMAL(18,2) AS amount FROM gold.shop.daily GROUP BY 1",
    )
    lake.land("shop/orders/1.csv", DAY_1)
    return lake


def would(lake: Lake) -> dict[str, str]:
    return {step.table: step.action for step in lake.planned()}


def stored(lake: Lake, table_id: str) -> delta.Snapshot:
    found = delta.open_table(delta.table_path(lake.data, table_id))
    assert found is not None
    return found


def assert_nothing_to_do(lake: Lake) -> None:
    """Plan, a run, check, verify and a backfill find every table as the contracts say."""
    files = {name: stored(lake, name).files for name in TABLES}
    built = {name: stored(lake, name).built_from for name in TABLES}
    for _ in range(2):
        assert set(would(lake).values()) == {"nothing"}
        assert lake.command("schema-version", "verify") == 0
        assert sum(record.records_written for record in lake.good().steps) == 0
    assert set(would(lake).values()) == {"nothing"}
    assert lake.findings() == []
    assert lake.command("schema-version", "retag") == 0
    with open_project(lake.settings) as project:
        assert backfill.plan(project, "silver.shop.orders", None, None, "order_id = 1")
    assert {name: stored(lake, name).files for name in TABLES} == files
    assert {name: stored(lake, name).built_from for name in TABLES} == built


def assert_refused(lake: Lake, change: str) -> None:
    """A change is refused under the version it was built with, named as it is, and passes with its bump."""
    path, old, new, named = CHANGES[change]
    table = "gold.shop.daily" if path.startswith("gold") else "silver.shop.orders"
    lake.edit(path, old, new)
    error = lake.run().failures[table]
    assert isinstance(error, ContractError)
    assert error.what.endswith(f"change under version 1.0.0: {named}")
    lake.edit(MART if path.startswith("gold") else SILVER, "version: 1.0.0", "version: 2.0.0")
    assert table not in lake.run().failures


# -- a version that knows more


def test_a_later_version_finds_nothing_to_do_and_neither_does_this_one_after_it(shop: Lake) -> None:
    shop.good()
    with another_version():
        assert_nothing_to_do(shop)
    assert_nothing_to_do(shop)
    with another_version():
        assert_nothing_to_do(shop)


def test_this_version_finds_nothing_to_do_where_a_later_one_built(shop: Lake) -> None:
    with another_version():
        shop.good()
    assert_nothing_to_do(shop)
    with another_version():
        assert_nothing_to_do(shop)


@pytest.mark.parametrize("built_by_later", short([False, True], 1))
def test_a_run_of_another_version_goes_on_where_the_last_one_stopped(shop: Lake, built_by_later: bool) -> None:
    def new_file_arrives() -> None:
        shop.land("shop/orders/2.csv", DAY_2)
        run = shop.good()
        assert shop.step(run, "silver.shop.orders").records_read == 3
        assert shop.step(run, "gold.shop.daily").partitions == 2
        assert shop.findings() == []

    if built_by_later:
        with another_version():
            shop.good()
        new_file_arrives()
    else:
        shop.good()
        with another_version():
            new_file_arrives()
    assert shop.rows("SELECT order_id, amount::INTEGER FROM silver.shop.orders ORDER BY 1") == [
        (1, 10),
        (2, 25),
        (3, 30),
    ]
    assert shop.rows("SELECT month, amount::INTEGER FROM gold.shop.months") == [(1, 65)]
    assert shop.rows("SELECT count(*) FROM quarantine.shop.orders") == [(2,)]


def test_a_backfill_by_another_version_is_none_of_another_contract(shop: Lake) -> None:
    shop.good()
    with another_version(), open_project(shop.settings) as project:
        with recorded_run(project, RunKind.BACKFILL, "backfill") as run:
            backfill.execute(project, backfill.plan(project, "silver.shop.orders", None, None, "order_id = 1"), run)
        assert run.failures == {}
    assert_nothing_to_do(shop)


def test_a_mart_computed_whole_by_another_version_does_not_look_rebuilt_to_its_readers(shop: Lake) -> None:
    shop.good()
    before = stored(shop, "gold.shop.months").built_from
    with another_version():
        shop.land("shop/orders/2.csv", DAY_2)
        shop.good()
        assert shop.rows("SELECT month, amount::INTEGER FROM gold.shop.months") == [(1, 65)]
        assert stored(shop, "gold.shop.months").built_from == before
        assert_nothing_to_do(shop)


def test_a_claim_is_not_checked_again_by_another_version(shop: Lake) -> None:
    no_proof = "WHERE amount < (SELECT 1000 + max(amount) FROM silver.shop.orders) GROUP BY day"
    shop.edit("gold/shop/daily.sql", "GROUP BY day", no_proof)
    shop.edit(
        MART, "  - name: daily\n", "  - name: daily\n    customProperties: [{property: refresh, value: partitions}]\n"
    )
    shop.good()
    with another_version():
        shop.land("shop/orders/2.csv", DAY_2)
        assert shop.step(shop.good(), "gold.shop.daily").partitions == 2


# -- a real change


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("written", short(["before it", "by a later version", "before it, and opened by it"], 1))
def test_a_change_is_refused_without_its_bump_whoever_built_the_table(shop: Lake, written: str, change: str) -> None:
    if written == "by a later version":
        with another_version():
            shop.good()
        assert_refused(shop, change)
    else:
        shop.good()
        with another_version():
            if written != "before it":
                shop.good()
            assert_refused(shop, change)


@pytest.mark.parametrize("opened", short([False, True], 1))
def test_an_option_of_a_later_version_that_is_switched_on_is_a_change(shop: Lake, opened: bool) -> None:
    shop.good()
    if opened:
        with another_version():
            shop.good()
    with another_version(option="#"):
        error = shop.run().failures["silver.shop.orders"]
        assert 'feed orders: comment default -> "#"' in str(error)
        shop.edit(SILVER, "version: 1.0.0", "version: 1.1.0")
        shop.good()
    with another_version():  # and switched off again
        error = shop.run().failures["silver.shop.orders"]
        assert 'feed orders: comment "#" -> default' in str(error)
        shop.edit(SILVER, "version: 1.1.0", "version: 1.2.0")
        shop.good()


def test_an_option_that_a_version_does_not_know_is_still_on_when_the_later_one_comes_back(shop: Lake) -> None:
    with another_version(option="#"):
        shop.good()
    assert_nothing_to_do(shop)
    with another_version(option="#"):
        assert_nothing_to_do(shop)
    with another_version():
        assert 'feed orders: comment "#" -> default' in str(shop.run().failures["silver.shop.orders"])


def test_a_fact_that_a_later_version_recorded_for_the_first_time_does_not_change_unseen(shop: Lake) -> None:
    shop.good()
    with another_version():
        shop.good()
    shop.good()  # and what it recorded stays where this version runs again
    with another_version(fact="nocase"):
        error = shop.run().failures["silver.shop.orders"]
    assert 'a minor change under version 1.0.0: column order_id: collation "binary" -> "nocase"' in str(error)


def test_onconflict_that_is_taken_out_again_is_a_change(shop: Lake) -> None:
    shop.edit(SILVER, "    customProperties:\n", "    customProperties:\n      - {property: onConflict, value: last}\n")
    shop.good()
    with another_version():
        shop.good()
        shop.edit(SILVER, "      - {property: onConflict, value: last}\n", "")
        assert 'on_conflict "last" -> default' in str(shop.run().failures["silver.shop.orders"])


# -- what was recorded must be what the rows were built with


def test_a_record_that_is_not_of_the_rows_says_nothing_about_them(shop: Lake) -> None:
    shop.good()
    with another_version():
        shop.good()
        adopted = stored(shop, "silver.shop.orders")
        table = contract.load(shop.root / "src").silver["silver.shop.orders"]
        assert contract.is_current(table, adopted)
    # as after a crash: the rows are those of other logic, the tags are not written yet
    rebuilt = delta.commit(adopted, progress={delta.BUILT_FROM: 7})
    with another_version():
        assert not contract.is_current(table, rebuilt)
        assert would(shop)["silver.shop.orders"] == "rebuild"
        shop.good()


def test_what_was_recorded_of_other_rows_is_not_taken_for_these(shop: Lake) -> None:
    shop.good()
    with another_version():
        shop.good()  # records that the logic it knows is that of these rows
    with another_version(fact="nocase"):
        table = contract.load(shop.root / "src").silver["silver.shop.orders"]
        other = delta.set_properties(stored(shop, table.id), contract.tags(table))  # as a run does that then dies
        assert not contract.is_current(table, other)
        assert would(shop)[table.id] == "rebuild"
        assert table.id not in shop.run().failures
