"""A table computed in slabs is the one that is computed at once, and nothing is published that was not checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import Lake, short
from torture import figures, histories
from torture.histories import History, Tools

from src import lake as delta
from src.gold import slabs, written
from src.gold.cut import Cut
from src.gold.slabs import Slabs
from src.gold.written import Part

HEADER = "order_id,day,amount,updated\n"
DAILY = "SELECT day, orders, amount FROM gold.shop.daily ORDER BY day"
GOLD = "gold.shop.daily"
DAYS = [f"2024-01-{day:02}" for day in range(1, 8)]
SEVEN = HEADER + "".join(f"{nth},{day},{nth + 1}0,1\n{nth + 50},{day},1,1\n" for nth, day in enumerate(DAYS))
OF_SEVEN = [(date(2024, 1, nth + 1), 2, Decimal(f"{nth + 1}1")) for nth in range(7)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let three rows of the sources be a slab; gives how many SELECTs each table was computed by."""
    found: list[int] = []
    monkeypatch.setattr(slabs, "_ROWS", 3)
    monkeypatch.setattr(slabs, "_READ_AGAIN", 10**9)
    monkeypatch.setattr(written, "_ROWS_AT_ONCE", 3)
    once = Slabs._each

    def each(self: Slabs, cut: Any) -> Iterator[Part]:
        found.append(len(cut))
        return once(self, cut)

    monkeypatch.setattr(Slabs, "_each", each)
    yield found


def files(lake: Lake) -> set[str]:
    """The data files below gold, committed or not, and the folders of partitions."""
    return {
        path.relative_to(lake.data).as_posix()
        for path in (lake.data / "gold").rglob("*")
        if "_delta_log" not in path.parts and (path.suffix == ".parquet" or "=" in path.name)
    }


def committed(lake: Lake) -> int:
    table = delta.open_table(lake.data / "gold/shop/daily")
    return len(table.files) if table else 0


# -- the same rows


def test_a_first_load_is_computed_in_slabs_and_is_the_same(lake: Lake, counted: list[int]) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", SEVEN)
    run = lake.good()
    assert counted == [7]
    assert lake.rows(DAILY) == OF_SEVEN
    assert (lake.step(run, GOLD).partitions, lake.step(run, GOLD).inserted, committed(lake)) == (7, 7, 7)


def test_many_touched_partitions_are_computed_in_slabs_and_few_at_once(
    lake: Lake, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.gold.build._SMALL", 0)
    lake.shop()
    lake.land("shop/orders/1.csv", SEVEN)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "".join(f"{nth},{day},5,2\n" for nth, day in enumerate(DAYS[:5])))
    run = lake.good()
    lake.land("shop/orders/3.csv", HEADER + "0,2024-01-01,7,3\n")
    lake.good()
    assert counted == [7, 5]
    assert [row[2] for row in lake.rows(DAILY)] == [8, 6, 6, 6, 6, 61, 71]
    assert lake.step(run, GOLD).partitions == 5


def test_a_day_binds_no_value_for_each_stored_file(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.gold.build._SMALL", 0)
    bound: list[int] = []
    folders = Cut.folders

    def counting(self: Cut, source: delta.Snapshot, files: Sequence[delta.DataFile]) -> str:
        bound.append(len(files))
        return folders(self, source, files)

    lake.shop()
    lake.land("shop/orders/1.csv", SEVEN)
    lake.good()
    monkeypatch.setattr(Cut, "folders", counting)
    lake.land("shop/orders/2.csv", HEADER + "0,2024-01-01,7,3\n")
    run = lake.good()
    assert (max(bound), committed(lake)) == (2, 7)  # the file that came and the one that went
    assert (lake.step(run, GOLD).partitions, lake.rows(DAILY)[0][2]) == (1, 8)


def test_partitions_of_two_columns_one_emptied_and_one_that_a_calendar_alone_brings(
    lake: Lake, counted: list[int]
) -> None:
    lake.shop()
    lake.write("silver/shop/calendar.yaml", figures.CALENDAR_CONTRACT)
    lake.edit(
        "silver/shop/orders.yaml",
        "{name: updated, ",
        "{name: kind, logicalType: string, required: true, "
        "partitioned: true, partitionKeyPosition: 2, transformLogic: \"'k' || updated\"}\n      - {name: updated, ",
    )
    lake.edit(
        "gold/shop/contract.yaml",
        "      - {name: orders,",
        "      - {name: kind, logicalType: string, "
        "required: true, partitioned: true, partitionKeyPosition: 2}\n      - {name: orders,",
    )
    lake.write(
        "gold/shop/daily.sql",
        "SELECT day, kind, count(*) AS orders, cast(sum(amount) AS decimal(18,2)) AS amount FROM silver.shop.orders "
        "GROUP BY day, kind UNION ALL SELECT day, 'none', 0, cast(NULL AS decimal(18,2)) FROM silver.shop.calendar",
    )
    lake.land("shop/calendar/days.csv", "day,weekday\n2024-01-02,x\n2024-03-09,x\n")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,1,1\n2,2024-01-01,2,2\n3,2024-01-02,4,1\n4,2024-01-02,8,2\n")
    lake.good()
    rows = "SELECT day, kind, orders, amount FROM gold.shop.daily ORDER BY ALL"
    first, second, third = date(2024, 1, 1), date(2024, 1, 2), date(2024, 3, 9)
    none = [(second, "none", 0, None), (third, "none", 0, None)]
    assert lake.rows(rows) == [
        (first, "k1", 1, 1),
        (first, "k2", 1, 2),
        (second, "k1", 1, 4),
        (second, "k2", 1, 8),
        *none,
    ]
    lake.land("shop/orders/2.csv", HEADER + "1,2024-01-02,1,2\n2,2024-01-02,2,3\n3,2024-01-01,4,2\n4,2024-01-01,8,3\n")
    lake.good()
    moved = [(first, "k2", 1, 4), (first, "k3", 1, 8), (second, "k2", 1, 1), (second, "k3", 1, 2)]
    assert lake.rows(rows) == [*moved, *none]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    made = Tools.at(tmp_path_factory.mktemp("slabs"))
    yield made
    made.close()


@pytest.mark.parametrize("figure", short(["calendar", "lookback", "claim", *figures.KINDS], 1))
def test_a_mart_in_slabs_is_what_one_pass_gives(
    tools: Tools, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch, figure: str
) -> None:
    monkeypatch.setattr("src.gold.build._SMALL", 0)
    monkeypatch.setattr(slabs, "_ROWS", 1)
    operations = (
        ("run",),
        ("land", "b.csv", HEADER + "2,2024-01-03,20,1\n3,2024-01-05,30,1\n6,2024-01-06,1,1\n7,2024-01-09,1,1\n"),
        ("run",),
        ("land", "c.csv", HEADER + "4,2024-01-01,7.5,1\n3,2024-01-05,31,2\n"),
        ("run",),
        ("land", "d.csv", HEADER + "2,2024-01-05,3,2\n5,2024-01-07,10,1\n"),
        ("bump", 5, False),
        ("again",),
    )
    histories.live(tools, tmp_path, History("sequence", operations, figure))
    assert counted


# -- what does not pass

NOTHING: set[str] = set()
BY_AMOUNT = "SELECT day, amount::BIGINT AS orders, amount FROM silver.shop.orders"


def keyed(*names: str) -> Callable[[Lake], None]:
    def edit(lake: Lake) -> None:
        lake.write("gold/shop/daily.sql", BY_AMOUNT)
        for at, name in enumerate(names, 1):
            lake.edit(
                "gold/shop/contract.yaml",
                f"{{name: {name},",
                f"{{name: {name}, primaryKey: true, primaryKeyPosition: {at},",
            )

    return edit


def audited(lake: Lake) -> None:
    rule = '{type: sql, query: "SELECT max(amount) FROM ${object}", mustBeLessThan: 71}'
    lake.edit("gold/shop/contract.yaml", "    properties:\n", f"    quality:\n      - {rule}\n    properties:\n")


def required(lake: Lake) -> None:
    lake.edit("gold/shop/contract.yaml", "bigint}", "bigint, required: true}")
    lake.write("gold/shop/daily.sql", BY_AMOUNT.replace("amount::BIGINT", "nullif(amount, 1)::BIGINT"))


def ruled(lake: Lake) -> None:
    lake.edit("gold/shop/contract.yaml", "bigint}", "bigint, logicalTypeOptions: {maximum: 40}}")
    lake.write("gold/shop/daily.sql", BY_AMOUNT)


def without_partition(lake: Lake) -> None:
    lake.write("silver/shop/calendar.yaml", figures.CALENDAR_CONTRACT)
    lake.land("shop/calendar/days.csv", "day,weekday\n2024-01-01,x\n2024-03-09,x\n2024-03-10,x\n")
    model = (
        "SELECT o.day, count(*) AS orders, cast(1 AS decimal(18,2)) AS amount FROM silver.shop.calendar c LEFT JOIN "
    )
    lake.write("gold/shop/daily.sql", model + "silver.shop.orders o ON o.day = c.day GROUP BY o.day")


def failing(lake: Lake) -> None:
    model = BY_AMOUNT.replace("amount::BIGINT", "(CASE WHEN amount = 70 THEN 'x' ELSE '1' END)::BIGINT")
    lake.write("gold/shop/daily.sql", model)


REFUSED: dict[str, tuple[Callable[[Lake], None], str]] = {
    "a key twice in a partition": (keyed("day", "amount"), r"key occurs more than once: 2024-01-03, 1.00 \(2 rows\)"),
    "a key in partitions of several slabs": (keyed("amount"), r"key occurs more than once: 1.00 \(8 rows\)"),
    "an audit": (audited, r"audit failed: query is 71, mustBeLessThan 71"),
    "a required column": (required, r"8 rows without orders"),
    "a rule": (ruled, r"3 rows break a rule: orders: [567]0 is more than the maximum 40"),
    "no partition": (without_partition, r"1 rows without day"),
    "an error in the last slab": (failing, r"Could not convert string 'x' to INT64"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("in_slabs", [True, False])
def test_what_does_not_pass_is_not_committed_and_leaves_no_file(
    lake: Lake, request: pytest.FixtureRequest, name: str, in_slabs: bool
) -> None:
    counted = request.getfixturevalue("counted") if in_slabs else [0]
    edit, message = REFUSED[name]
    lake.shop()
    edit(lake)
    lake.land("shop/orders/1.csv", SEVEN + "99,2024-01-03,1,1\n")
    failure = str(lake.run().failures[GOLD])
    assert re.search(message, failure), failure
    assert files(lake) == NOTHING
    assert not (lake.data / "gold/shop/daily").exists()
    assert counted or name == "no partition"


def test_readers_keep_the_last_good_version_and_its_files(lake: Lake, counted: list[int]) -> None:
    lake.shop()
    audited(lake)
    lake.land("shop/orders/1.csv", SEVEN.replace(",70,", ",7,"))
    lake.good()
    before, rows = files(lake), lake.rows(DAILY)
    lake.land("shop/orders/2.csv", HEADER + "".join(f"{nth},{day},80,2\n" for nth, day in enumerate(DAYS)))
    assert list(lake.run().failures) == [GOLD]
    assert (files(lake), lake.rows(DAILY)) == (before, rows)


def test_a_death_between_the_files_and_the_commit_is_finished_by_the_next_run(
    lake: Lake, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", SEVEN)
    with monkeypatch.context() as patch:

        def die(*_: object, **__: object) -> None:
            raise SystemExit("killed")

        patch.setattr("src.gold.commit.Commit._prepared", die)
        with pytest.raises(SystemExit):
            lake.run()
    assert len([path for path in files(lake) if path.endswith(".parquet")]) == 7
    assert delta.open_table(lake.data / "gold/shop/daily") is None
    lake.good()
    assert (lake.rows(DAILY), committed(lake)) == (OF_SEVEN, 7)


def test_a_partition_column_that_is_called_as_its_type_is_compared_with_the_partitions_beside(lake: Lake) -> None:
    lake.shop()
    lake.write("gold/shop/daily.sql", "SELECT day AS date, order_id AS orders, amount FROM silver.shop.orders")
    lake.edit("gold/shop/contract.yaml", "{name: day,", "{name: date,")
    lake.edit("gold/shop/contract.yaml", "{name: orders,", "{name: orders, primaryKey: true,")
    lake.land("shop/orders/1.csv", SEVEN)
    lake.good()
    lake.land("shop/orders/2.csv", HEADER + "0,2024-01-01,99,2\n")
    run = lake.good()
    assert lake.step(run, GOLD).partitions == 1
    assert lake.rows("SELECT amount FROM gold.shop.daily WHERE orders = 0") == [(99,)]
