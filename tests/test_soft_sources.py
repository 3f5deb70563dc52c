"""A table whose soft source is not right is built with the last good version of that, and says since when it is old."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import DAILY, MART, ORDERS, Lake, short
from hypothesis import given, settings
from hypothesis import strategies as st
from test_staying_behind import Told, below, tables

import main
from src import catalog
from src.commands.run import pipeline
from src.documents import mart_readme
from src.errors import ContractErrors, MachineError
from src.maintenance import backfill, rollback, vacuum
from src.project import Selection, open_engine, open_project, select
from src.report import pages, sections, summary
from src.run import releases, runs
from src.run.kinds import RunKind
from src.run.plan import read_plan
from src.run.recorded import recorded_run
from src.run.releases import Cause, Release
from src.run.runs import Run
from src.selection import chosen

HEADER = "order_id,day,amount,updated\n"
ORDERED, RETURNS, TABLE = "silver.shop.orders", "silver.shop.returns", "gold.shop.daily"
BOTH = f"""
SELECT day, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount
FROM (SELECT day, amount FROM {ORDERED} UNION ALL SELECT day, -amount FROM {RETURNS})
GROUP BY day
"""
MAXIMUM = "SELECT day, count(*) AS orders, max(amount) AS amount FROM {} GROUP BY day"
SOFT = "{property: softSources, value: [silver.shop.returns]}"
NONE_ABOVE_100 = '{type: sql, id: none, query: "SELECT count(*) FROM ${object} WHERE amount > 100", mustBe: 0}'
TODAY = runs.now().date().isoformat()


def shop(lake: Lake, words: str = SOFT, largest: str = "") -> Lake:
    """Orders and returns, whose audit fails on an amount above 100, and a mart over both; `words` are its properties.

    `largest`: the model of a second table of the mart.
    """
    lake.shop()
    if largest:
        lake.add_largest(largest)
    returns = ORDERS.replace("shop/orders", "shop/returns").replace("orders", "returns")
    audited = returns.replace("    properties:\n", f"    quality: [{NONE_ABOVE_100}]\n    properties:\n", 1)
    lake.write("silver/shop/returns.yaml", audited)
    lake.write("gold/shop/daily.sql", BOTH)
    lake.edit("gold/shop/contract.yaml", "  - name: daily\n", f"  - name: daily\n    customProperties: [{words}]\n")
    return lake


def add_mart(lake: Lake, mart: str, sql: str, words: str = "") -> None:
    """Add a mart of one table `daily`, with the columns of the shop's."""
    text = MART.replace("id: shop", f"id: {mart}").replace("name: Shop\n", f"name: {mart}\n", 1)
    custom = f"    customProperties: [{words}]\n" if words else ""
    lake.write(f"gold/{mart}/contract.yaml", text.replace("  - name: daily\n", f"  - name: daily\n{custom}"))
    lake.write(f"gold/{mart}/daily.sql", sql)


def land(lake: Lake, feed: str, name: str, rows: str) -> None:
    lake.land(f"shop/{feed}/{name}.csv", HEADER + rows)


def seen(lake: Lake, table: str = TABLE) -> int:
    """The sum of a table's amounts as readers find it."""
    with open_engine(lake.settings) as engine:
        catalog.publish(engine, {table: catalog.tables(lake.data)[table]}, releases.newest(lake.data))
        return int(engine.values(f"SELECT sum(amount) FROM {table}")[0])


def old(lake: Lake) -> dict[str, list[tuple[str, str | None, Cause]]]:
    """By table the sources that it has as they last were good: as of which run, and why."""
    found = releases.behind(lake.data).items()
    return {name: [(o.source, o.as_of, o.cause) for o in stays.old] for name, stays in found if stays.old}


def selected(lake: Lake, *names: str) -> Run:
    with open_project(lake.settings) as project:
        return pipeline(project, main.carry, names=names)


@contextmanager
def dying(lake: Lake, tables: Collection[str]) -> Iterator[None]:
    """A run that dies once these tables are done, before its release."""
    with pytest.raises(KeyboardInterrupt), open_project(lake.settings) as project:
        every = select(project, None)
        some = Selection(
            every.feeds,
            tuple(table for table in every.silver if table.id in tables),
            tuple(table for table in every.gold if table.id in tables),
        )
        with recorded_run(project, RunKind.PIPELINE, "dies") as run:
            main.carry(project, run, some)
            raise KeyboardInterrupt
    yield


def started(lake: Lake) -> Run:
    """A first good run: orders of 10, a return of 1."""
    shop(lake)
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,1,1\n")
    return lake.good()


def failing(lake: Lake) -> tuple[Run, Run]:
    """A good run, and one whose returns fail while orders go on: 10 more of these."""
    first = started(lake)
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,500,1\n")
    return first, lake.run()


# -- the law in literals


def test_a_table_is_built_with_the_last_good_version_of_a_soft_source_that_failed(lake: Lake) -> None:
    shop(lake)
    add_mart(lake, "desk", DAILY.replace("orders\n", "returns\n").replace(ORDERED, RETURNS))
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,1,1\n")
    first = lake.good()
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,500,1\n")
    second = lake.run()
    assert set(second.failures) == {RETURNS}
    assert set(second.blocked) == {"gold.desk.daily"}  # which does not call it soft
    assert second.records[-1].status == "partial"
    assert (seen(lake), seen(lake, "gold.desk.daily")) == (19, 1)
    assert old(lake) == {TABLE: [(RETURNS, first.run_id, "failed")]}
    line = f"with {RETURNS} as of {first.run_id}, since {TODAY} (its own step failed)"
    assert lake.step(second, TABLE).notes == line
    assert releases.describe(releases.behind(lake.data)[TABLE]) == f"{TABLE} as of {second.run_id}, {line}"
    assert lake.rows(
        "SELECT old_sources->>'$[0].source', old_sources->>'$[0].as_of', old_sources->>'$[0].since' "
        f"FROM ops.releases WHERE \"table\" = '{TABLE}' AND run_id = '{second.run_id}'"
    ) == [(RETURNS, first.run_id, TODAY)]


def test_a_soft_source_that_never_was_good_counts_as_empty(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,500,1\n")
    assert set(lake.run().failures) == {RETURNS}
    assert seen(lake) == 10
    said = f"with {RETURNS} empty, since {TODAY} (its own step failed)"
    assert releases.describe(releases.behind(lake.data)[TABLE]).endswith(said)
    land(lake, "returns", "2", "1,2024-01-01,2,2\n")
    lake.good()
    assert (seen(lake), old(lake)) == (8, {})


def test_a_table_of_soft_sources_alone_waits_for_the_first(lake: Lake) -> None:
    shop(lake, SOFT.replace("[", f"[{ORDERED}, "))
    land(lake, "returns", "1", "1,2024-01-01,500,1\n")
    lake.run()
    assert TABLE not in releases.newest(lake.data)
    assert (old(lake), TABLE in releases.behind(lake.data)) == ({}, False)


def test_a_soft_source_without_a_file_is_not_built_and_nothing_is_old(lake: Lake) -> None:
    shop(lake)
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    lake.good()
    assert (seen(lake), old(lake)) == (10, {})


def test_a_blocked_soft_source_holds_nothing_up_and_is_right_again_though_nothing_else_changed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = runs.now() - timedelta(days=1)
    monkeypatch.setattr(runs, "now", lambda: yesterday)
    first = started(lake)
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    damaged = lake.land("shop/returns/2.csv.gz", b"no gzip")
    second = lake.run()
    assert set(second.failures) == {"bronze.shop.returns"}
    assert set(second.blocked) == {RETURNS}
    assert seen(lake) == 19
    assert old(lake) == {TABLE: [(RETURNS, first.run_id, "blocked")]}
    assert releases.behind(lake.data)[TABLE].old[0].held_by == ("bronze.shop.returns",)
    newest = releases.newest(lake.data)
    monkeypatch.undo()
    third = lake.run()  # still: that is no news
    assert releases.behind(lake.data)[TABLE].old[0].since == yesterday.date().isoformat()
    damaged.unlink()
    fourth = lake.good()
    assert releases.behind(lake.data) == {}
    assert lake.step(fourth, TABLE).notes is None
    assert releases.newest(lake.data) == newest
    said = f"SELECT run_id, old_sources FROM ops.releases WHERE \"table\" = '{TABLE}' ORDER BY number DESC LIMIT 1"
    assert lake.rows(said) == [(fourth.run_id, "[]")]
    assert third.run_id not in [run_id for (run_id,) in lake.rows("SELECT run_id FROM ops.releases")]


@pytest.mark.parametrize("done", short([(RETURNS,), (RETURNS, TABLE)], 1), ids=["source done", "table done too"])
def test_what_a_run_that_died_left_of_a_soft_source_is_not_read(lake: Lake, done: tuple[str, ...]) -> None:
    first = started(lake)
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,3,1\n")
    with dying(lake, done):
        land(lake, "returns", "3", "3,2024-01-01,500,1\n")
    second = lake.run()
    assert set(second.failures) == {RETURNS}
    assert lake.rows(f"SELECT sum(amount)::INTEGER FROM {RETURNS}") == [(4,)]  # is on disk, and never was released
    assert (seen(lake), seen(lake, RETURNS)) == (19, 1)
    assert old(lake) == {TABLE: [(RETURNS, first.run_id, "failed")]}
    said = f"with {RETURNS} as of {first.run_id}, since {TODAY} (its own step failed)"
    assert lake.step(second, TABLE).notes == said
    assert lake.findings() == []
    land(lake, "returns", "4", "3,2024-01-01,5,2\n")
    lake.good()
    assert (seen(lake), old(lake)) == (11, {})


def test_a_run_of_the_table_alone_reads_what_readers_see_of_a_source_whose_run_died(lake: Lake) -> None:
    first = started(lake)
    land(lake, "returns", "2", "2,2024-01-01,3,1\n")
    with dying(lake, [RETURNS]):
        pass
    assert selected(lake, "gold.shop").failures == {}
    assert (seen(lake), old(lake)) == (9, {TABLE: [(RETURNS, first.run_id, "pending")]})
    lake.good()
    assert (seen(lake), old(lake)) == (6, {})


@pytest.mark.long
def test_a_run_of_the_table_alone_says_that_its_source_failed_before(lake: Lake) -> None:
    first, _ = failing(lake)
    land(lake, "orders", "3", "3,2024-01-02,10,1\n")
    assert selected(lake, "bronze.shop.orders", ORDERED, "gold.shop").failures == {}
    assert (seen(lake), old(lake)) == (29, {TABLE: [(RETURNS, first.run_id, "failed")]})


def test_a_table_that_is_not_built_again_says_so_until_it_is(lake: Lake) -> None:
    first, _ = failing(lake)
    land(lake, "returns", "3", "2,2024-01-01,5,2\n")
    assert selected(lake, "bronze.shop.returns", RETURNS).failures == {}
    assert (seen(lake, RETURNS), seen(lake)) == (6, 19)
    assert old(lake) == {TABLE: [(RETURNS, first.run_id, "failed")]}
    lake.good()
    assert (seen(lake), old(lake)) == (14, {})


def test_a_soft_source_that_its_mart_keeps_back_is_read_as_readers_see_it(lake: Lake) -> None:
    joined = f"(SELECT r.day, r.amount FROM {RETURNS} r JOIN {TABLE} d ON r.day = d.day)"
    shop(lake, "{property: lookback, value: 0}", MAXIMUM.format(joined))
    columns = "  - name: largest\n"
    lake.edit("gold/shop/contract.yaml", columns, f"{columns}    quality: [{NONE_ABOVE_100.replace('100', '50')}]\n")
    add_mart(lake, "board", BOTH.replace(ORDERED, TABLE).replace(RETURNS, ORDERED), SOFT.replace(RETURNS, TABLE))
    # board.daily: what the shop's mart says, less all orders
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,1,1\n")
    first = lake.good()
    assert seen(lake, "gold.board.daily") == -1
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,60,1\n")
    second = lake.run()
    assert set(second.failures) == {"gold.shop.largest"}
    assert (seen(lake), seen(lake, "gold.board.daily")) == (9, 9 - 20)
    assert old(lake) == {"gold.board.daily": [(TABLE, first.run_id, "mart")]}
    land(lake, "returns", "3", "2,2024-01-01,2,2\n")
    lake.good()  # the whole mart is done before what calls a table of it soft
    assert (seen(lake), seen(lake, "gold.board.daily")) == (17, 17 - 20)
    assert old(lake) == {}


@pytest.mark.long
def test_what_is_built_from_a_table_with_old_sources_says_so_too(lake: Lake) -> None:
    shop(lake)
    add_mart(lake, "board", DAILY.replace(ORDERED, TABLE))
    add_mart(lake, "club", DAILY.replace(ORDERED, "gold.board.daily"), SOFT.replace(RETURNS, "gold.board.daily"))
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,1,1\n")
    first = lake.good()
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,500,1\n")
    lake.run()
    said = [(RETURNS, first.run_id, "failed")]
    assert old(lake) == {TABLE: said, "gold.board.daily": said, "gold.club.daily": said}
    assert [seen(lake, name) for name in old(lake)] == [19, 19, 19]
    # the board fails by itself: what calls it soft keeps saying what is old in the board's last good version
    lake.edit("gold/board/daily.sql", "count(*)", "nonsense")
    third = lake.run()
    assert {"gold.board.daily", RETURNS} == set(third.failures)
    assert [one[0] for one in old(lake)["gold.club.daily"]] == ["gold.board.daily", RETURNS]
    lake.edit("gold/board/daily.sql", "nonsense", "count(*)")
    land(lake, "returns", "3", "2,2024-01-01,2,2\n")
    lake.good()
    assert (seen(lake, "gold.club.daily"), old(lake)) == (17, {})


def test_a_foreign_key_to_a_soft_source_is_looked_up_in_the_version_that_is_read(lake: Lake) -> None:
    shop(lake)
    key = "{name: orders, logicalType: integer, physicalType: bigint"
    lake.edit("gold/shop/contract.yaml", key, f"{key}, relationships: [{{to: {RETURNS}.order_id}}]")
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "2,2024-01-01,1,1\n")
    lake.good()  # two rows a day: the key 2 is there
    land(lake, "returns", "2", "3,2024-01-01,1,1\n4,2024-01-02,1,1\n")
    with dying(lake, [RETURNS]):
        land(lake, "orders", "2", "2,2024-01-01,10,1\n")
        land(lake, "returns", "3", "9,2024-01-01,500,1\n")
    run = lake.run()
    assert set(run.failures) == {
        RETURNS,
        TABLE,
    }  # 3 orders a day are in the returns on disk, not in those that are read
    assert "audit failed" in str(run.failures[TABLE])
    assert seen(lake) == 9


def test_a_pull_that_failed_makes_nothing_old(lake: Lake) -> None:
    started(lake)
    server = "format: csv}"
    nowhere = f"{{property: source, value: {{connector: files, remote: '{lake.root}/nowhere/*.csv'}}}}"
    lake.edit("silver/shop/returns.yaml", server, f"{server[:-1]}, customProperties: [{nowhere}]}}")
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    assert set(lake.run().failures) == {"landing.shop.returns"}
    assert (seen(lake), old(lake)) == (19, {})


# -- where it cannot be given


def test_a_soft_source_that_is_lost_is_no_empty_one(lake: Lake) -> None:
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    started(lake)
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    lake.land("shop/returns/2.csv.gz", b"no gzip")
    shutil.rmtree(lake.data / "silver/shop/returns")
    run = lake.run()
    assert isinstance(run.failures[TABLE], MachineError)
    assert "is no longer in the log" in str(run.failures[TABLE])
    assert seen(lake) == 9


def test_a_source_that_its_changed_contract_did_not_rebuild_is_read_as_it_was(lake: Lake) -> None:
    first = started(lake)
    last = "      - {name: updated"
    lake.edit("silver/shop/returns.yaml", "version: 1.0.0", "version: 1.1.0")
    lake.edit(
        "silver/shop/returns.yaml",
        last,
        "      - {name: twice, logicalType: number, physicalType: double, transformLogic: amount * 2}\n" + last,
    )
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,500,1\n")
    run = lake.run()
    assert (seen(lake), old(lake)) == (19, {TABLE: [(RETURNS, first.run_id, "failed")]})
    assert lake.step(run, TABLE).partitions == 2  # whole: what is proven of its partitions is by the new contract
    lake.edit("gold/shop/daily.sql", "-amount", "-twice")  # which readers do not have yet
    lake.edit("gold/shop/contract.yaml", "version: 1.0.0", "version: 1.1.0")
    run = lake.run()
    assert set(run.failures) == {RETURNS, TABLE}
    assert seen(lake) == 19
    assert releases.behind(lake.data)[TABLE].cause == "failed"
    assert old(lake) == {TABLE: [(RETURNS, first.run_id, "failed")]}
    land(lake, "returns", "3", "2,2024-01-01,2,2\n")
    lake.good()
    assert (seen(lake), old(lake)) == (14, {})


@pytest.mark.long
def test_a_table_that_its_own_mart_keeps_back_says_what_is_old_once_it_is_released(lake: Lake) -> None:
    shop(lake, SOFT, MAXIMUM.format(ORDERED))
    lake.edit("gold/shop/contract.yaml", "  - name: largest\n", f"  - name: largest\n    quality: [{NONE_ABOVE_100}]\n")
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,1,1\n")
    first = lake.good()
    land(lake, "orders", "2", "2,2024-01-02,200,1\n")
    land(lake, "returns", "2", "2,2024-01-01,500,1\n")
    second = lake.run()
    assert set(second.failures) == {RETURNS, "gold.shop.largest"}
    assert (seen(lake), old(lake)) == (9, {})
    lake.edit("gold/shop/contract.yaml", "amount > 100", "amount > 1000")
    with open_project(lake.settings) as project, recorded_run(project, RunKind.REBUILD, "rebuild") as run:
        main.carry(project, run, Selection((), (), (project.declared("gold.shop.largest"),)))
    assert seen(lake) == 209
    assert old(lake) == {TABLE: [(RETURNS, first.run_id, "failed")]}


# -- the law on any tables, after any runs


@st.composite
def soft_tables(draw: st.DrawFn) -> Told:
    """Up to nine tables as they stand behind elsewhere, of which the marts call some of their sources soft."""
    upstream = draw(tables())
    soft = {}
    for name, sources in upstream.items():
        if name.startswith("gold.") and (may := [o for o in sources if o[:7] != name[:7]]):
            soft[name] = tuple(sorted(draw(st.sets(st.sampled_from(may)))))
    return Told(upstream, soft)


def shown_as_old(told: Told) -> dict[str, set[str]]:
    """By table what readers are told is old in it."""
    return {name: {o.source for o in stays.old} for name, stays in told.release.behind.items() if stays.old}


@settings(max_examples=150)
@given(soft_tables(), st.data())
def test_after_any_runs_a_table_says_what_is_old_in_the_version_that_readers_see(
    told: Told, data: st.DataObject
) -> None:
    some = st.sets(st.sampled_from(sorted(told.upstream)))
    for number in range(data.draw(st.integers(1, 5))):
        everything = data.draw(st.booleans())
        picked = set(told.upstream) if everything else below(told.upstream, data.draw(some))
        fails = data.draw(st.dictionaries(st.sampled_from(sorted(told.upstream)), st.sampled_from(["before", "after"])))
        run = told.run(number, picked, fails, data.draw(some))
        told.end(run)
        expected = told.lawful()
        told.release = told.judge(run)
        assert told.release.versions == expected
        told.seen |= set(expected.items())
        said = {name: found for name, at in expected.items() if (found := told.old.get((name, at)))}
        assert shown_as_old(told) == said
        # what did not fail is not kept from readers by a soft source that did
        for name, soft in told.soft.items():
            hard = [o for o in told.upstream[name] if o not in soft]
            mart = [o for o in told.upstream if o[:7] == name[:7]]
            alone = not any(o in told.release.behind and told.release.behind[o].cause for o in (*hard, *mart))
            assert not alone or (name in told.release.versions or name not in told.current)
    for number in (98, 99):  # a soft source whose mart heals after the table was built is read at the next run
        run = told.run(number, told.upstream, {}, told.upstream)
        told.end(run)
        told.release = told.judge(run)
    assert told.release == Release(told.current, dict.fromkeys(told.current, "run-99"), {})


# -- the law on a lake, through any history


class History:
    """A company with two soft sources: orders are hard, returns and the shop's mart may fail, runs may die.

    `good`: by feed the rows that the last version of its silver table which readers see was made of.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        shop(lake, SOFT, MAXIMUM.format(ORDERED))
        check = NONE_ABOVE_100.replace("100", "1000")
        lake.edit("gold/shop/contract.yaml", "  - name: largest\n", f"  - name: largest\n    quality: [{check}]\n")
        both = BOTH.replace(ORDERED, "gold.shop.largest").replace(RETURNS, TABLE)
        soft = f"{{property: softSources, value: [gold.shop.largest, {TABLE}]}}"
        add_mart(lake, "board", f"SELECT * FROM ({both}) UNION ALL SELECT day, 1, amount FROM {RETURNS}", soft)
        lake.edit("gold/board/contract.yaml", f"{TABLE}]", f"{TABLE}, {RETURNS}]")
        self.landed = 0

    def land(self, feed: str, order: int, day: int, amount: int) -> None:
        self.landed += 1
        land(self.lake, feed, str(self.landed), f"{order},2024-01-0{day},{amount},{self.landed}\n")

    def die(self, done: int) -> None:
        """A run that dies once so many of its tables are done."""
        names = [RETURNS, ORDERED, "gold.shop.largest", TABLE, "gold.board.daily"]
        with dying(self.lake, names[:done]):
            pass

    def check(self) -> None:
        """Compare each mart with its model over what readers see, wherever it does not stay behind."""
        versions, stands = releases.newest(self.lake.data), releases.behind(self.lake.data)
        with open_project(self.lake.settings) as project:
            known = catalog.tables(self.lake.data)
            catalog.publish(project.engine, {n: r for n, r in known.items() if n in versions}, versions)
            for table in project.marts:
                if table.id not in versions or (table.id in stands and stands[table.id].cause):
                    continue
                for name in table.sources:
                    if name not in versions:
                        columns = project.declared(name).stored_columns.items()
                        empty = ", ".join(f'NULL::{kind} AS "{column}"' for column, kind in columns)
                        project.engine.publish(name, f"SELECT {empty} LIMIT 0")
                model = project.engine.rows(f"SELECT * FROM ({table.sql}) ORDER BY ALL")
                assert project.engine.rows(f"SELECT * FROM {table.id} ORDER BY ALL") == model, table.id


OPERATIONS = st.one_of(
    st.tuples(st.just("orders"), st.integers(1, 3), st.integers(1, 2), st.sampled_from([5, 2000])),
    st.tuples(st.just("returns"), st.integers(1, 3), st.integers(1, 2), st.sampled_from([1, 500])),
    st.tuples(st.just("die"), st.integers(0, 5)),
    st.tuples(st.just("select"), st.sampled_from(["gold.board", "gold.shop", RETURNS, "bronze.shop.returns"])),
    st.just(("run",)),
)


def live(root: Path, operations: list[tuple[Any, ...]]) -> None:
    """Live a history: after each run readers see tables of rows that are right, in the end what one pass gives."""
    (root / "src").mkdir(parents=True)
    history = History(Lake(root))
    for what, *rest in operations:
        if what in ("orders", "returns"):
            history.land(what, *rest)
        elif what == "die":
            history.die(*rest)
        else:
            selected(history.lake, *rest)
        if what in ("run", "select"):
            history.check()
    for feed in ("orders", "returns"):
        for order in (1, 2, 3):
            history.land(feed, order, 1, order)
    history.lake.good()
    assert releases.behind(history.lake.data) == {}
    history.check()
    assert history.lake.findings() == []


HISTORY = st.lists(OPERATIONS, min_size=2, max_size=7)


@settings(max_examples=2)
@given(HISTORY)
def test_through_any_history_readers_see_the_model_over_what_they_see_of_its_sources(operations: list[Any]) -> None:
    with TemporaryDirectory() as root:
        live(Path(root) / "lake", operations)


@pytest.mark.long
@settings(max_examples=120)
@given(HISTORY)
def test_through_many_histories_too(operations: list[Any]) -> None:
    with TemporaryDirectory() as root:
        live(Path(root) / "lake", operations)


# -- commands


def test_after_a_rollback_a_table_says_what_was_old_in_that_release(lake: Lake) -> None:
    first, second = failing(lake)
    land(lake, "returns", "3", "2,2024-01-01,5,2\n")
    lake.good()
    assert (seen(lake), old(lake)) == (14, {})
    with open_project(lake.settings) as project:
        versions = releases.named(project.engine, lake.data, second.run_id)
        with recorded_run(project, RunKind.ROLLBACK, "rollback") as run:
            rollback.execute(project, rollback.plan(project, versions), versions, run)
    assert (seen(lake), old(lake)) == (19, {TABLE: [(RETURNS, first.run_id, "failed")]})
    lake.good()
    assert (seen(lake), old(lake)) == (14, {})


def test_vacuum_keeps_what_a_table_has_of_an_old_source(lake: Lake) -> None:
    started(lake)
    land(lake, "returns", "2", "1,2024-01-01,3,2\n")
    with dying(lake, [RETURNS]):
        land(lake, "returns", "3", "3,2024-01-01,500,1\n")
    lake.run()
    with open_project(lake.settings) as project, recorded_run(project, RunKind.VACUUM, "vacuum"):
        list(vacuum.execute(vacuum.plan(lake.data, 0, runs.now().timestamp() + 3600)))
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    lake.run()
    assert seen(lake) == 19


def test_backfill_rebuild_and_a_whole_run_read_the_last_good_version_too(lake: Lake) -> None:
    first = started(lake)
    land(lake, "returns", "2", "2,2024-01-01,3,1\n")
    with dying(lake, [RETURNS]):
        land(lake, "returns", "3", "3,2024-01-01,500,1\n")
    lake.run()
    said = {TABLE: [(RETURNS, first.run_id, "failed")]}
    assert (seen(lake), old(lake)) == (9, said)
    assert lake.command("rebuild", "--table", TABLE) == 0
    assert (seen(lake), old(lake)) == (9, said)
    assert lake.command("backfill", "--table", TABLE, "--start", "2024-01-01") == 0
    assert lake.rows(f"SELECT sum(amount)::INTEGER FROM {TABLE}") == [(9,)]
    assert (seen(lake), old(lake)) == (9, said)
    assert lake.command("run", "--mode", "all") == 9
    assert (seen(lake), old(lake)) == (9, said)
    # a slice of the other source, whose rows are all right
    with open_project(lake.settings) as project, recorded_run(project, RunKind.BACKFILL, "backfill") as run:
        backfill.execute(project, backfill.plan(project, ORDERED, date(2024, 1, 1), None, None), run)
    assert (run.failures, seen(lake), old(lake)) == ({}, 9, said)


@pytest.mark.long
def test_a_backfill_of_a_soft_source_that_fails_blocks_nothing(lake: Lake) -> None:
    first = started(lake)
    lake.edit("silver/shop/returns.yaml", "amount > 100", "amount > 0")
    with open_project(lake.settings) as project, recorded_run(project, RunKind.BACKFILL, "backfill") as run:
        backfill.execute(project, backfill.plan(project, RETURNS, date(2024, 1, 1), None, None), run)
    assert (set(run.failures), run.blocked) == ({RETURNS}, {})
    assert (seen(lake), old(lake)) == (9, {TABLE: [(RETURNS, first.run_id, "failed")]})


def test_the_plan_says_with_what_a_table_will_be_built(lake: Lake) -> None:
    first = started(lake)
    land(lake, "orders", "2", "2,2024-01-02,10,1\n")
    land(lake, "returns", "2", "2,2024-01-01,1,1\n")
    lake.edit("silver/shop/returns.yaml", "[updated]", "[amount]")  # without a new version
    [step] = [step for step in lake.planned() if step.table == TABLE]
    assert (step.action, step.why) == ("update", f"{ORDERED} will have new rows, with {RETURNS} as of {first.run_id}")
    assert set(lake.run().failures) == {RETURNS}
    [step] = [step for step in lake.planned() if step.table == TABLE]
    assert (step.action, step.why) == ("nothing", f"up to date, with {RETURNS} as of {first.run_id}")
    with open_project(lake.settings) as project:
        alone = read_plan(project, chosen(project, names=["gold.shop"]), runs.window(runs.now().date(), None, None))
    assert [step.why for step in alone.steps] == [f"up to date, with {RETURNS} as of {first.run_id}"]
    [stands] = [stands for stands in releases.standings(lake.data) if stands.table == TABLE]
    assert [one.source for one in stands.old] == [RETURNS]
    lake.edit("silver/shop/returns.yaml", "[amount]", "[updated]")
    [step] = [step for step in lake.planned() if step.table == TABLE]
    assert step.why == f"{RETURNS} will have new rows"


def test_every_screen_says_it(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = failing(lake)
    with_it = f"with {RETURNS} as of {first.run_id}, since {TODAY} (its own step failed)"
    line = f"{TABLE} as of {second.run_id}, {with_it}"
    screens = {
        ("status",): f"old:    readers see {TABLE} {with_it}",
        ("status", "--all"): f"behind: readers see {line}",
        ("plan",): f"readers see {line}",
        ("tables",): line,
        ("describe", TABLE): line,
        ("inspect", "--table", TABLE): f"readers see {line}",
        ("query", f"SELECT * FROM {TABLE}"): f"note: {line}",
    }
    for argv, said in screens.items():
        assert main.main([*argv, "--project", str(lake.root)]) == 0
        shown = "".join(capsys.readouterr())
        assert "".join(said.split()) in "".join(shown.split()), (argv, shown)
    for screen in ("status", "plan", "tables", "inspect"):
        main.main([screen, "--json", "--project", str(lake.root)])
        shown = capsys.readouterr().out
        assert RETURNS in shown and first.run_id in shown and TODAY in shown
    with open_project(lake.settings) as project:
        found = summary.read_summary(project, runs.now())
        assert line in pages.markdown(sections.page(found)).replace("\\", "")
        assert f"- **Soft sources:** `{RETURNS}`" in mart_readme(project.contracts.marts["shop"], project)
        assert "Soft sources" not in mart_readme(project.contracts.marts["shop"], project).replace("**Soft", "", 1)
    said = f"SELECT notes FROM ops.pipeline_runs WHERE run_id = '{second.run_id}' AND layer = 'run'"
    assert line in lake.rows(said)[0][0]


def test_a_model_test_may_leave_a_soft_source_out_and_a_preview_takes_it_for_empty(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shop(lake)
    lake.write(
        "gold/shop/tests/daily.yaml",
        f"without_returns:\n  given:\n    {ORDERED}: [{{order_id: 1, day: 2024-01-01, amount: 10}}]\n"
        "  expect: [{day: 2024-01-01, amount: 10}]\n",
    )
    assert lake.command("test", "--select", "gold.shop.daily") == 0
    land(lake, "orders", "1", "1,2024-01-01,10,1\n")
    land(lake, "returns", "1", "1,2024-01-01,500,1\n")
    lake.run()
    assert lake.command("preview", TABLE) == 0
    assert "waits for" not in capsys.readouterr().out


# -- the contract


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "{property: softSources, value: [silver.shop.retuns]}",
            "soft source silver.shop.retuns, which the model does",
        ),
        ("{property: softSources, value: silver.shop.returns}", "write a list of distinct table ids"),
        ("{property: softSources, value: [gold.shop.largest]}", "soft source gold.shop.largest of the same mart"),
    ],
)
def test_a_soft_source_is_one_that_the_model_reads_and_of_another_mart(lake: Lake, words: str, said: str) -> None:
    shop(lake, words, DAILY)
    lake.edit("gold/shop/daily.sql", RETURNS, f"{RETURNS} UNION ALL SELECT day, amount FROM gold.shop.largest")
    with pytest.raises(ContractErrors) as caught, open_project(lake.settings):
        pass
    assert said in str(caught.value)


def test_a_source_may_be_called_optional_and_soft_and_neither_asks_for_a_new_version(lake: Lake) -> None:
    started(lake)
    lake.edit("gold/shop/contract.yaml", SOFT, f"{SOFT}, {SOFT.replace('soft', 'optional')}")
    assert lake.step(lake.good(), TABLE).records_written == 0
    with open_project(lake.settings) as project:
        assert project.declared(TABLE).optional_sources == (RETURNS,)
