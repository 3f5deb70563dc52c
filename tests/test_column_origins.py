"""Which columns make a column: every construct of SQL that models use, and those of which nothing can be told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import ORDERS, Lake

from src.engine import DuckEngine
from src.origins import read_all_origins, users
from src.project import open_project
from src.proof.columns import Origin, column_origins

TABLES = {"silver.s.a": ("id", "x", "y", "day", "info"), "silver.s.b": ("id", "v", "w")}
RECURSIVE = "WITH RECURSIVE r(c) AS (SELECT x FROM silver.s.a UNION ALL SELECT c + v FROM r, silver.s.b) FROM r"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    running = DuckEngine(memory_limit="500MB", threads=1, spill=tmp_path_factory.mktemp("spill"))
    yield running
    running.close()


def names(references: frozenset[tuple[str, str | None]]) -> str:
    """References of the two tables, short and in order: a.x b.*"""
    return " ".join(sorted(f"{table.rpartition('.')[2]}.{column or '*'}" for table, column in references))


def shown(origins: dict[str, Origin]) -> dict[str, tuple[str, str]]:
    return {name: (names(origin.values), names(origin.shaping)) for name, origin in origins.items()}


@pytest.mark.parametrize(
    ("sql", "values", "shaping"),
    [
        ("SELECT x AS c FROM silver.s.a", "a.x", ""),
        ("SELECT x + y AS c FROM silver.s.a WHERE day > DATE '2026-01-01'", "a.x a.y", "a.day"),
        ("SELECT sum(x) AS c FROM silver.s.a GROUP BY day", "a.x", "a.day"),
        ("SELECT day AS d, sum(x) AS c FROM silver.s.a GROUP BY 1", "a.x", "a.day"),
        ("SELECT day AS d, sum(x) AS c FROM silver.s.a GROUP BY ALL", "a.x", "a.day"),
        ("SELECT sum(x) FILTER (WHERE y > 0) AS c FROM silver.s.a", "a.x", "a.y"),
        ("SELECT string_agg(x, ',' ORDER BY y) AS c FROM silver.s.a", "a.x", "a.y"),
        ("SELECT count(*) AS c FROM silver.s.a GROUP BY day HAVING max(y) > 1", "", "a.day a.y"),
        ("SELECT CASE WHEN x > 0 THEN 'up' ELSE 'down' END AS c FROM silver.s.a", "a.x", ""),
        ("SELECT lag(x) OVER (PARTITION BY id ORDER BY day) AS c FROM silver.s.a", "a.x", "a.day a.id"),
        ("SELECT row_number() OVER (ORDER BY day) AS c FROM silver.s.a", "a.day", ""),
        ("SELECT x AS c FROM silver.s.a QUALIFY rank() OVER (PARTITION BY id ORDER BY day) = 1", "a.x", "a.day a.id"),
        ("SELECT v AS c FROM silver.s.a JOIN silver.s.b ON a.id = b.id", "b.v", "a.id b.id"),
        ("SELECT id AS c FROM silver.s.a JOIN silver.s.b USING (id)", "a.id b.id", ""),
        ("SELECT v AS c FROM silver.s.a NATURAL JOIN silver.s.b", "b.v", "a.id b.id"),
        ("SELECT x AS c FROM silver.s.a SEMI JOIN silver.s.b ON a.id = b.id AND v > 0", "a.x", "a.id b.id b.v"),
        ("SELECT x AS c FROM silver.s.a ANTI JOIN silver.s.b USING (id)", "a.x", "a.id b.id"),
        ("SELECT (SELECT max(v) FROM silver.s.b WHERE b.id = a.id) AS c FROM silver.s.a", "b.v", "a.id b.id"),
        ("SELECT x AS c FROM silver.s.a WHERE id IN (SELECT id FROM silver.s.b WHERE w > 0)", "a.x", "a.id b.id b.w"),
        ("SELECT EXISTS (SELECT 1 FROM silver.s.b WHERE b.id = a.id) AS c FROM silver.s.a", "a.id b.id", ""),
        ("SELECT x AS c FROM silver.s.a UNION ALL SELECT v FROM silver.s.b WHERE w > 0", "a.x b.v", "b.w"),
        ("SELECT x AS c FROM silver.s.a UNION SELECT v FROM silver.s.b", "a.x b.v", ""),
        ("SELECT x AS c, y FROM silver.s.a UNION ALL BY NAME SELECT w, v AS c FROM silver.s.b", "a.x b.v", ""),
        ("SELECT x AS c FROM silver.s.a EXCEPT SELECT v FROM silver.s.b", "a.x", "b.v"),
        ("SELECT DISTINCT ON (id) x AS c FROM silver.s.a ORDER BY day", "a.x", "a.day a.id"),
        ("SELECT x AS c FROM silver.s.a ORDER BY y LIMIT 3", "a.x", "a.y"),
        ("SELECT x AS c FROM silver.s.a ORDER BY y", "a.x", ""),
        ("WITH p AS (SELECT x AS q FROM silver.s.a WHERE y > 0) SELECT q AS c FROM p", "a.x", "a.y"),
        ("WITH p(q) AS (SELECT x FROM silver.s.a), r AS (FROM p) SELECT r.q AS c FROM r", "a.x", ""),
        ("WITH a AS (SELECT v AS x FROM silver.s.b) SELECT x AS c FROM a", "b.v", ""),
        ("SELECT t.q AS c FROM (SELECT * , x * y AS q FROM silver.s.a) AS t", "a.x a.y", ""),
        ("SELECT t.c FROM (SELECT * RENAME (x AS c) FROM silver.s.a) AS t", "a.x", ""),
        ("SELECT * EXCLUDE (w) REPLACE (v + 1 AS id) RENAME (v AS c) FROM silver.s.b", "b.v", ""),
        ("SELECT * REPLACE (v + w AS c) FROM (SELECT id AS c, v, w FROM silver.s.b)", "b.v b.w", ""),
        ("SELECT x AS p, p + 1 AS c FROM silver.s.a", "a.x", ""),
        ("SELECT x AS y, y + 1 AS c FROM silver.s.a", "a.y", ""),  # a column goes before an alias
        ("SELECT silver.s.a.x AS c FROM silver.s.a", "a.x", ""),
        ("SELECT info.name AS c FROM silver.s.a", "a.info", ""),
        ("SELECT a.info.name AS c FROM silver.s.a", "a.info", ""),
        ("SELECT list_transform(info, lambda x: x + y) AS c FROM silver.s.a", "a.info a.y", ""),
        ("SELECT item AS c FROM silver.s.a, unnest(a.info) AS u(item)", "a.info", ""),
        ("SELECT c FROM silver.s.a, LATERAL (SELECT a.x + v AS c FROM silver.s.b WHERE w = a.y)", "a.x b.v", "a.y b.w"),
        ("SELECT c FROM (VALUES (1), (2)) AS t(c)", "", ""),
        (RECURSIVE, "a.x b.v", ""),
        ("SELECT a AS c FROM silver.s.a", "a.day a.id a.info a.x a.y", ""),  # the whole row
        ("SELECT X AS C FROM Silver.S.A", "a.x", ""),  # names have no case
    ],
)  # fmt: skip
def test_a_column_is_made_of(engine: DuckEngine, sql: str, values: str, shaping: str) -> None:
    assert shown(column_origins(engine, sql, TABLES))["c"] == (values, shaping)


@pytest.mark.parametrize(
    ("sql", "column", "values"),
    [
        ("SELECT COLUMNS('x|y') FROM silver.s.a", "*", "a.*"),
        ("FROM silver.s.a PIVOT (sum(x) FOR day IN ('1', '2') GROUP BY id)", "*", "a.*"),
        ("SELECT * FROM silver.s.unknown", "*", "unknown.*"),
        ("SELECT nothing AS c FROM silver.s.a", "c", "a.*"),
        ("SELECT u.q AS c FROM silver.s.unknown AS u", "c", "unknown.*"),
        ("SELECT q AS c FROM silver.s.b JOIN silver.s.unknown ON true", "c", "unknown.*"),
    ],
)
def test_what_cannot_be_told_is_any_column(engine: DuckEngine, sql: str, column: str, values: str) -> None:
    assert shown(column_origins(engine, sql, TABLES))[column][0] == values


def test_silver_columns_are_made_of_those_of_the_files_through_each_other(lake: Lake) -> None:
    made = """
      - {name: doubled, logicalType: number, physicalType: "decimal(18,2)", transformLogic: amount * 2}
      - {name: paid, logicalType: number, physicalType: "decimal(18,2)", transformLogic: PAID}
    customProperties:"""
    lake.shop().write("silver/shop/orders.yaml", ORDERS.replace("\n    customProperties:", made))
    model = "def model(orders):\n    return orders\n"
    lake.add_largest("SELECT 1")
    (lake.root / "src/gold/shop/largest.sql").unlink()
    head = "  - name: largest\n    logicalType: object\n    physicalType: table\n    properties:\n      - {name: day, "
    lake.edit("gold/shop/contract.yaml", head, f"{head}transformSourceObjects: [silver.shop.orders], ")
    lake.write("gold/shop/largest.py", f"SOURCES = ('silver.shop.orders',)\n\n\n{model}")
    with open_project(lake.settings) as project:
        found = read_all_origins(project)
    feed, silver = "bronze.shop.orders", "silver.shop.orders"
    rows = {(feed, "order_id"), (feed, "updated")}  # the key, and which row of it is the newest
    assert found[silver, "doubled"] == Origin(frozenset({(feed, "amount")}), frozenset(rows))
    assert found[silver, "paid"].values == {(feed, "PAID")}  # which no file has brought yet
    assert found[silver, "_file"].values == {(feed, "_file")}
    assert found["gold.shop.daily", "amount"].values == {(silver, "amount")}
    assert found["gold.shop.daily", "orders"] == Origin(frozenset(), frozenset({(silver, "day")}))
    assert found["gold.shop.largest", "amount"].values == {(silver, None)}  # a Python model
    assert sorted(users(found, (silver, "amount"))) == [
        ("gold.shop.daily", "amount"),
        ("gold.shop.largest", "amount"),
        ("gold.shop.largest", "day"),
        ("gold.shop.largest", "orders"),
    ]


def test_the_sql_of_a_silver_table_is_followed_to_the_files(lake: Lake) -> None:
    lake.shop()
    lake.write(
        "silver/shop/orders.sql",
        "SELECT id AS order_id, day, pieces::INT * price::INT AS amount, updated, _file, _row, _ingested_at, _batch "
        "FROM bronze.shop.orders WHERE kind = 'sale'",
    )
    lake.land("shop/orders/1.csv", "id,day,pieces,price,kind,updated\n1,2026-01-01,2,5,sale,1\n")
    lake.good()
    with open_project(lake.settings) as project:
        found = read_all_origins(project)["silver.shop.orders", "amount"]
    feed = "bronze.shop.orders"
    assert found.values == {(feed, "pieces"), (feed, "price")}
    assert found.shaping == {(feed, "kind"), (feed, "id"), (feed, "updated")}
