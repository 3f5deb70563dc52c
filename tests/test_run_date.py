"""A table is a function of its inputs: what is not is refused by name, and the run date is an input like any other."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from conftest import Lake

import main
from src.commands.run import pipeline
from src.engine import DuckEngine, unrepeatable
from src.errors import ContractErrors
from src.project import open_project
from src.run import runs

HEADER = "order_id,day,amount,updated\n"
AGES = "SELECT day, age AS orders, amount FROM gold.shop.daily ORDER BY day"


@pytest.fixture
def engine(tmp_path: Path) -> DuckEngine:
    return DuckEngine(memory_limit="1GB", threads=1, spill=tmp_path)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("now()", ["now()"]),
        ("date_diff('day', day, CURRENT_DATE) FROM t", ["current_date"]),
        ('"current_date" FROM t', ["current_date"]),
        ("today() - 1, random() > 0.5", ["random()", "today()"]),
        ("age(day) FROM t", ["age()"]),
        ("current_localtimestamp()", ["current_localtimestamp()"]),
        ("ago(INTERVAL 1 DAY)", ["ago()"]),
        ("uuid(), gen_random_uuid(), nextval('s')", ["gen_random_uuid()", "nextval()", "uuid()"]),
        ("getenv('HOME'), current_setting('threads'), getvariable('x')", None),
        ("a FROM read_csv('other.csv')", ["read_csv()"]),
        ("a FROM t USING SAMPLE 3", ["a sample"]),
        ("(SELECT max(x) FROM (SELECT localtime AS x)) FROM t", ["localtime"]),
    ],
)
def test_what_is_not_a_function_of_its_rows_is_found(engine: DuckEngine, sql: str, found: list[str] | None) -> None:
    assert list(engine.unrepeatable(f"SELECT {sql}")) == (found or ["current_setting()", "getenv()", "getvariable()"])


def test_every_function_that_the_engine_calls_volatile_is_known(engine: DuckEngine) -> None:
    named = (
        "SELECT lower(function_name), stability, macro_definition FROM duckdb_functions() WHERE stability IS NOT NULL"
    )
    rows = engine.rows(named + " OR macro_definition IS NOT NULL")
    volatile = {name for name, stability, _ in rows if stability not in (None, "CONSISTENT")}
    volatile -= {"error"}  # volatile only so that it is not run early
    macros = {(name, words(text)) for name, _, text in rows if text}
    volatile |= {name for name, used in macros if used & (volatile | unrepeatable.KEYWORDS)}
    assert volatile - unrepeatable.VOLATILE == set()


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", re.sub("'[^']*'", "", text)))


def test_what_is_a_function_of_its_rows_is_none_of_it(engine: DuckEngine) -> None:
    for sql in (
        "t.current_date, age(a, b), error('x'), date_trunc('week', day), run_date() FROM t",
        "unnest([1, 2]), json_group_object(a, b), assert_true(a > 1), hash(a), row_number() OVER () FROM t",
        "x FROM range(3) r(x), generate_series(1, 2)",
        "uuid, random, today, version FROM t",  # columns of such names
    ):
        assert engine.unrepeatable(f"SELECT {sql}") == {}


@pytest.mark.parametrize(
    ("path", "old", "new", "what"),
    [
        (
            "silver/shop/orders.yaml",
            "{name: updated, ",
            "{name: updated, transformLogic: \"date_diff('day', day, current_date)\", ",
            "transformLogic of updated: current_date is not a function of the rows it reads",
        ),
        (
            "silver/shop/orders.yaml",
            "customProperties:\n",
            'customProperties:\n      - {property: deleteWhen, value: "day < today()"}\n',
            "deleteWhen: today() is not a function of the rows it reads",
        ),
        (
            "gold/shop/contract.yaml",
            "    properties:\n",
            "    quality: [{id: fresh, type: sql, query: 'SELECT max(day) > now() - INTERVAL 3 DAY FROM ${object}', "
            "mustBe: true}]\n    properties:\n",
            "quality fresh: now() is not a function of the rows it reads",
        ),
        (
            "gold/shop/daily.sql",
            "count(*)",
            "count(*) + 0 * random()::BIGINT",
            "random() is not a function of the rows",
        ),
    ],
)
def test_a_contract_that_asks_for_the_time_or_for_chance_is_refused_with_what_to_write(
    lake: Lake, path: str, old: str, new: str, what: str
) -> None:
    lake.shop()
    lake.edit(path, old, new)
    with pytest.raises(ContractErrors) as refused:
        lake.run()
    assert what in str(refused.value)
    clock = "write run_date(), the day that the run answers for: what uses it is computed again when it changes"
    assert ("or make its value of the row's own columns" if "random" in new else clock) in str(refused.value)


def run_on(lake: Lake, day: int) -> runs.Run:
    window = runs.window(date(2024, 6, 30), date(2024, 6, day), None)
    with open_project(lake.settings, window.end) as project:
        done = pipeline(project, main.carry, None, window)
    assert done.failures == {}
    return done


def test_a_table_that_asks_for_the_run_date_is_computed_again_when_it_changes(lake: Lake) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "{name: updated, ", "{name: updated, transformLogic: run_date() - day, ")
    lake.edit("gold/shop/contract.yaml", "{name: orders,", "{name: age,")
    lake.write(
        "gold/shop/daily.sql",
        "SELECT day, (run_date() - day)::BIGINT AS age, cast(sum(updated) AS decimal(18,2)) AS amount "
        "FROM silver.shop.orders GROUP BY day",
    )
    lake.land("shop/orders/1.csv", HEADER + "1,2024-06-01,10,1\n2,2024-06-03,10,1\n")
    run_on(lake, 10)
    assert lake.rows(AGES) == [(date(2024, 6, 1), 9, 9), (date(2024, 6, 3), 7, 7)]
    lake.land("shop/orders/2.csv", HEADER + "3,2024-06-03,10,1\n")
    run_on(lake, 10)
    assert lake.rows(AGES) == [(date(2024, 6, 1), 9, 9), (date(2024, 6, 3), 7, 14)]
    run_on(lake, 11)
    assert lake.rows(AGES) == [(date(2024, 6, 1), 10, 10), (date(2024, 6, 3), 8, 16)]
    assert lake.step(run_on(lake, 11), "gold.shop.daily").partitions == 0
    assert lake.findings() == []  # checked with the day that the rows were computed with, not with today's


def test_another_run_date_is_no_change_of_contract(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.shop()
    lake.edit("silver/shop/orders.yaml", "{name: updated, ", "{name: updated, transformLogic: run_date() - day, ")
    lake.land("shop/orders/1.csv", HEADER + "1,2024-06-01,10,1\n")
    run_on(lake, 10)
    assert lake.command("schema-version", "verify") == 0
    capsys.readouterr()
    lake.command("schema-version", "retag")
    assert capsys.readouterr().out == "0 changed\n"
    lake.edit("silver/shop/orders.yaml", "run_date() - day", "run_date() - day + 1")
    failed = lake.run().failures["silver.shop.orders"]
    assert "a minor change under version 1.0.0" in str(failed)


def test_a_table_that_does_not_ask_for_the_run_date_keeps_its_fingerprint(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-06-01,10,1\n")
    run_on(lake, 10)
    done = run_on(lake, 11)
    assert lake.step(done, "silver.shop.orders").records_read == 0
    assert lake.step(done, "gold.shop.daily").records_read == 0
