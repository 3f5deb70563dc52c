"""A gold table is computed by partitions only where its SQL proves that each depends on the same partition alone."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, Lake

from src import proof
from src.contract import Column, Table
from src.engine import DuckEngine
from src.project import open_project
from src.proof import Refusal, kept
from src.proof.proving import UNKNOWN_SHAPE, prove

Tables = Mapping[str, Table]

ORDERS = Table(
    layer="silver",
    domain="shop",
    name="orders",
    version="1.0.0",
    columns=(
        Column("id", "BIGINT"),
        Column("buyer", "VARCHAR"),
        Column("moment", "TIMESTAMP WITH TIME ZONE"),
        Column("day", "DATE"),
        Column("amount", "DECIMAL(18,2)"),
    ),
    key=("id",),
)
RATES = replace(ORDERS, name="rates", columns=(Column("day", "DATE"), Column("rate", "DECIMAL(9,4)")), key=("day",))
CALENDAR = replace(RATES, name="calendar", columns=(Column("day", "DATE"), Column("weekday", "VARCHAR")))
SILVER: Tables = {table.id: table for table in (ORDERS, RATES, CALENDAR)}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=1, spill=tmp_path_factory.mktemp("spill"))
    yield made
    made.close()


def mart(sql: str, *, partition: Column | None = None, lookback: int = 0) -> Table:
    """A gold table, by day unless told otherwise, that reads the tables of SILVER that its SQL names."""
    column = partition or Column("day", "DATE")
    return Table(
        layer="gold",
        domain="figures",
        name="daily",
        version="1.0.0",
        columns=(column, Column("x", "BIGINT")),
        partition_by=(column.name,),
        sources=tuple(name for name in SILVER if name in sql),
        sql=sql,
        lookback=lookback,
    )


def refusal(engine: DuckEngine, table: Table) -> Refusal:
    found = prove(engine, table, SILVER)
    assert found.cuts == {}
    assert found.refusal is not None
    return found.refusal


# -- what is measured


def test_the_mart_of_the_benchmarks_is_proven(lake: Lake) -> None:
    shutil.copytree(ROOT / "benchmarks/contracts", lake.root / "src", dirs_exist_ok=True)
    with open_project(lake.settings) as project:
        known = {**project.contracts.silver, **{table.id: table for table in project.marts}}
        (mart,) = project.marts
        assert prove(project.engine, mart, known).refusal is None


# -- by what a source is cut


def test_each_source_is_cut_by_what_the_model_makes_the_partition_of(engine: DuckEngine) -> None:
    sql = "SELECT cast(moment AS date) AS day, count(*) AS x FROM silver.shop.orders GROUP BY 1"
    assert prove(engine, mart(sql), SILVER).cuts == {"silver.shop.orders": ('CAST("moment" AS DATE)',)}


def test_a_source_with_a_column_of_the_partitions_name_is_read_whole_where_it_is_looked_up(engine: DuckEngine) -> None:
    sql = """SELECT o.day, sum(o.amount * r.rate) AS x
    FROM silver.shop.orders o ASOF JOIN silver.shop.rates r ON o.day >= r.day GROUP BY o.day"""
    assert prove(engine, mart(sql), SILVER).cuts == {"silver.shop.orders": ('"day"',)}


def test_a_cut_that_fails_on_a_row_leaves_the_row_out(engine: DuckEngine) -> None:
    code = Column("year", "INTEGER", expression="cast(right(buyer, 4) AS integer)")
    sql = "SELECT cast(right(buyer, 4) AS integer) AS year, count(*) AS x FROM silver.shop.orders GROUP BY 1"
    cut = prove(engine, mart(sql, partition=code), SILVER).cuts["silver.shop.orders"][0]
    assert engine.values(f"SELECT {cut} FROM (VALUES ('u-2031'), ('nobody')) t(buyer)") == [2031, None]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT cast(k AS varchar) AS code, count(*) AS x FROM silver.shop.readings GROUP BY k",
        "SELECT cast(k AS varchar) AS code, count(*) OVER (PARTITION BY k) AS x FROM silver.shop.readings",
        "WITH r AS (FROM silver.shop.readings) "
        "SELECT cast(a.k AS varchar) AS code, b.id AS x FROM r a JOIN r b ON a.k = b.k",
        "SELECT cast(v AS varchar) AS code, count(*) AS x FROM (SELECT n AS v FROM silver.shop.counts "
        "UNION ALL SELECT k FROM silver.shop.readings) GROUP BY 1",
    ],
)
def test_values_that_are_equal_and_yet_not_the_same_are_not_one_partition(engine: DuckEngine, sql: str) -> None:
    # 0.0 = -0.0, and 1 = 1.0, but as text they differ
    readings = replace(ORDERS, name="readings", columns=(Column("id", "BIGINT"), Column("k", "DOUBLE")))
    counts = replace(ORDERS, name="counts", columns=(Column("id", "BIGINT"), Column("n", "INTEGER")))
    tables = {table.id: table for table in (readings, counts)}
    table = mart(sql, partition=Column("code", "VARCHAR"))
    found = prove(engine, replace(table, sources=tuple(name for name in tables if name in sql)), tables)
    assert (found.cuts, found.refusal is None) == ({}, False)


# -- why not


def test_a_refusal_names_the_construct_its_line_the_source_and_the_fix(engine: DuckEngine) -> None:
    sql = "SELECT\n    day,\n    sum(sum(amount)) OVER (ORDER BY day) AS x\nFROM silver.shop.orders\nGROUP BY day\n"
    assert refusal(engine, mart(sql)) == Refusal(
        what="the window of sum() reads other partitions of silver.shop.orders",
        line=3,
        source="silver.shop.orders",
        fix="PARTITION BY day in the window; or `refresh: full` where it has to be so; or claim "
        "`refresh: partitions`, which every run checks",
    )


@pytest.mark.parametrize(
    ("sql", "what", "line"),
    [
        (
            "SELECT min(day) AS day, buyer FROM silver.shop.orders GROUP BY buyer",
            "GROUP BY reads other partitions of silver.shop.orders",
            1,
        ),
        (
            "SELECT day, count(*) /\n(SELECT count(*) FROM silver.shop.orders) AS x FROM silver.shop.orders GROUP BY 1",
            "an aggregate without GROUP BY reads other partitions of silver.shop.orders",
            2,
        ),
        (
            "SELECT day FROM silver.shop.orders\nORDER BY day\nLIMIT 3",
            "LIMIT reads other partitions of silver.shop.orders",
            3,
        ),
        (
            "SELECT o.day FROM silver.shop.orders o\nANTI JOIN silver.shop.orders p ON p.buyer = o.buyer",
            "the anti join looks for rows of other partitions of silver.shop.orders",
            2,
        ),
        (
            "SELECT day, id FROM silver.shop.orders\nUNION ALL SELECT max(day), 0 FROM silver.shop.orders",
            "an aggregate without GROUP BY reads other partitions of silver.shop.orders",
            2,
        ),
        (
            "SELECT o.id,\ncoalesce(r.day, DATE '2031-01-30') AS day\n"
            "FROM silver.shop.orders o LEFT JOIN silver.shop.rates r ON r.day = o.day",
            "day = coalesce(rates.day, '2031-01-30') is not orders.day, by which silver.shop.orders is cut",
            2,
        ),
        ("SELECT day FROM silver.shop.orders\nWHERE day < now()", "now() is not a function of the rows", 2),
        ("SELECT day FROM silver.shop.orders USING SAMPLE 3", "a sample is not a function of the rows", 1),
        ("SELECT day, nothing FROM silver.shop.orders", "the name nothing is not understood", 1),
        ("SELECT day, buyer::JSON -> 'day' AS x FROM silver.shop.orders", "the arrow -> is not understood", 1),
        ("SELECT day, orders FROM silver.shop.orders", "orders, a whole row of the table, is not understood", 1),
        (
            "SELECT day FROM silver.shop.orders GROUP BY 7",
            "the parsed model has a shape that the proof does not know",
            None,
        ),
        (
            "SELECT day, " + "(" * 400 + "1" + " + 1)" * 400 + " AS x FROM silver.shop.orders",
            f"{UNKNOWN_SHAPE} (RecursionError)",
            None,
        ),
        ("SELECT 1 AS x FROM silver.shop.orders", "the partition column day is not in the result", None),
        ("PIVOT silver.shop.orders ON buyer USING sum(amount)", "it is not one plain SELECT", None),
    ],
)
def test_what_is_not_of_one_partition_is_refused(engine: DuckEngine, sql: str, what: str, line: int | None) -> None:
    found = refusal(engine, mart(sql))
    assert found.what.startswith(what)
    assert (found.line, bool(found.fix)) == (line, True)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            "SELECT day, lag(count(*), 2) OVER (ORDER BY day) AS x FROM silver.shop.orders GROUP BY day",
            "it looks back 2 partitions",
        ),
        (
            "SELECT o.day, lag(count(*)) OVER (ORDER BY o.day) AS x "
            "FROM silver.shop.orders o JOIN silver.shop.calendar c ON c.day = o.day GROUP BY o.day",
            "the join with silver.shop.calendar can leave partitions out",
        ),
        (
            "SELECT day, lag(count(*)) OVER (ORDER BY day) AS x FROM silver.shop.orders WHERE amount > 3 GROUP BY day",
            "its WHERE can leave partitions out",
        ),
        (
            "SELECT day, lag(count(*)) OVER (ORDER BY day) AS x FROM silver.shop.orders GROUP BY 1 HAVING count(*) > 1",
            "its HAVING can leave partitions out",
        ),
        (
            "SELECT day, buyer, lag(count(*)) OVER (ORDER BY day) AS x FROM silver.shop.orders GROUP BY day, buyer",
            "it has several rows per partition",
        ),
        (
            "SELECT day, lag(count(*)) OVER (ORDER BY day DESC) AS x FROM silver.shop.orders GROUP BY day",
            "it is not ordered by the partition, upwards",
        ),
    ],
)
def test_a_lookback_is_taken_only_where_it_is_covered(engine: DuckEngine, sql: str, why: str) -> None:
    function = "lag()"
    assert refusal(engine, mart(sql, lookback=1)).what == f"lookback 1 does not cover {function}: {why}"


def test_a_lookback_that_is_covered_is_proven(engine: DuckEngine) -> None:
    sql = "SELECT day, lag(count(*)) OVER (ORDER BY day) AS x FROM silver.shop.orders GROUP BY day"
    assert prove(engine, mart(sql, lookback=1), SILVER).refusal is None
    assert prove(engine, mart(sql), SILVER).refusal is not None


def test_windows_of_one_select_look_back_as_far_as_the_farthest_of_them(engine: DuckEngine) -> None:
    sql = """SELECT day, lag(n) OVER (ORDER BY day) AS x, lag(n, 2) OVER (ORDER BY day) AS y
    FROM (SELECT day, count(*) AS n FROM silver.shop.orders GROUP BY day)"""
    assert prove(engine, mart(sql, lookback=2), SILVER).refusal is None
    nested = f"SELECT day, lag(x) OVER (ORDER BY day) AS x FROM ({sql})"
    assert refusal(engine, mart(nested, lookback=2)).what.endswith("it looks back 3 partitions")


def test_a_python_model_and_a_table_without_partitions_are_not_proven(engine: DuckEngine) -> None:
    model = replace(mart("SELECT 1"), sql=None, python=Path("daily.py"))
    assert refusal(engine, model).what == "a Python model cannot be proven"
    assert refusal(engine, replace(mart("SELECT 1"), partition_by=())).what == "the table has no partition column"


def test_over_its_budget_a_model_is_refused(engine: DuckEngine) -> None:
    small = mart("SELECT day, sum(amount) AS x FROM silver.shop.orders GROUP BY day")
    assert prove(engine, small, SILVER).refusal is None
    over = prove(engine, small, SILVER, steps=3).refusal
    assert over is not None
    assert over.what == "the model is too large to be proven in the time given to it"


def test_a_model_that_grows_with_every_name_is_refused_in_seconds(engine: DuckEngine) -> None:
    doubled = "SELECT a.day, a.id FROM t{0} a JOIN t{0} b ON a.day = b.day AND a.id = b.id"
    tables = ", ".join(f"t{n + 1} AS ({doubled.format(n)})" for n in range(30))
    sql = f"WITH t0 AS (SELECT day, id FROM silver.shop.orders), {tables} SELECT day, id AS x FROM t30"
    begun = time.monotonic()
    assert refusal(engine, mart(sql)).what.startswith(("the model is too large", "the model reads its CTEs too often"))
    assert time.monotonic() - begun < 20


# -- kept between runs


def test_a_proof_is_kept_until_something_it_looked_at_changes(engine: DuckEngine, tmp_path: Path) -> None:
    table = mart("SELECT day, sum(amount) AS x FROM silver.shop.orders GROUP BY day")
    first = proof.stored_proof(engine, table, SILVER, tmp_path)
    file = tmp_path / "gold.figures.daily.json"
    assert first == prove(engine, table, SILVER)
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "proof": {"cuts": {"told": ["by the file"]}, "refusal": None}}))
    assert proof.stored_proof(engine, table, SILVER, tmp_path).cuts == {"told": ("by the file",)}
    for other in (
        (replace(table, sql=f"{table.sql} HAVING true"), SILVER),
        (replace(table, lookback=1), SILVER),
        (table, {**SILVER, ORDERS.id: replace(ORDERS, key=())}),
    ):
        file.write_text(json.dumps({**told, "proof": {"cuts": {"told": ["by the file"]}, "refusal": None}}))
        assert proof.stored_proof(engine, *other, tmp_path).cuts == {"silver.shop.orders": ('"day"',)}


def test_a_refusal_is_kept_as_it_was(engine: DuckEngine, tmp_path: Path) -> None:
    table = mart("SELECT day, id AS x FROM silver.shop.orders LIMIT 3")
    assert proof.stored_proof(engine, table, SILVER, tmp_path) == proof.stored_proof(engine, table, SILVER, tmp_path)
    assert proof.stored_proof(engine, table, SILVER, tmp_path).refusal is not None


@pytest.mark.parametrize("rot", [b"", b"\xff\x00", b"[]", b"{}", b'{"of": 1}', b"null"])
def test_a_kept_proof_that_cannot_be_read_is_made_again(engine: DuckEngine, tmp_path: Path, rot: bytes) -> None:
    table = mart("SELECT day, sum(amount) AS x FROM silver.shop.orders GROUP BY day")
    expected = proof.stored_proof(engine, table, SILVER, tmp_path)
    file = tmp_path / "gold.figures.daily.json"
    good = file.read_bytes()
    file.write_bytes(rot)
    assert proof.stored_proof(engine, table, SILVER, tmp_path) == expected
    assert file.read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_what_lies_in_a_kept_proof_is_checked_piece_by_piece(engine: DuckEngine, tmp_path: Path) -> None:
    table = mart("SELECT day, sum(amount) AS x FROM silver.shop.orders GROUP BY day")
    expected = proof.stored_proof(engine, table, SILVER, tmp_path)
    file = tmp_path / "gold.figures.daily.json"
    told = json.loads(file.read_text())
    shapes: list[dict[str, object]] = [
        {},
        {"cuts": [], "refusal": None},
        {"cuts": {}, "refusal": {"what": 1}},
        {"cuts": {"a": None}},
    ]
    for broken in shapes:
        file.write_text(json.dumps({**told, "proof": broken}))
        assert proof.stored_proof(engine, table, SILVER, tmp_path) == expected


def test_a_folder_that_cannot_be_written_costs_a_proof_and_nothing_else(engine: DuckEngine, tmp_path: Path) -> None:
    table = mart("SELECT day, sum(amount) AS x FROM silver.shop.orders GROUP BY day")
    (tmp_path / "file").write_text("no folder")
    assert proof.stored_proof(engine, table, SILVER, tmp_path / "file").refusal is None


def test_another_prover_proves_again(engine: DuckEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = mart("SELECT day, sum(amount) AS x FROM silver.shop.orders GROUP BY day")
    proof.stored_proof(engine, table, SILVER, tmp_path)
    file = tmp_path / "gold.figures.daily.json"
    before = file.read_bytes()
    monkeypatch.setattr(kept, "_prover", lambda: "another")
    proof.stored_proof(engine, table, SILVER, tmp_path)
    assert file.read_bytes() != before
