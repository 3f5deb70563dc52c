"""A rewritten model gives the same rows, each with what it was computed from: the model over that alone gives it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from conftest import reader

from src.explain.rewriting import NotRewritten, Rewriting

T, U = "silver.a.t", "silver.a.u"
# Every row that is carried is needed: without it the row is another, or is gone.
EXACT = {
    "where": f"SELECT k, v FROM {T} WHERE v > 3",
    "sums": f"SELECT k, sum(v) s, count(*) n FROM {T} GROUP BY k",
    "having": f"SELECT k, sum(v) s, count(*) n FROM {T} GROUP BY k HAVING count(*) > 2",
    "no group": f"SELECT sum(v) s, count(*) n FROM {T}",
    "grouping sets": f"SELECT k, sum(v) s, count(*) n FROM {T} GROUP BY GROUPING SETS ((k), ())",
    "rollup": f"SELECT k, v % 2 p, count(*) n FROM {T} GROUP BY ROLLUP (k, p)",
    "a key by its place": f"SELECT k + 0 kk, count(*) n FROM {T} GROUP BY 1",
    "group by all": f"SELECT k, v % 2 AS p, count(*) n FROM {T} GROUP BY ALL",
    "union all": f"SELECT id, v FROM {T} UNION ALL SELECT uid, w FROM {U}",
    "union all by name": f"SELECT id, v AS x FROM {T} UNION ALL BY NAME SELECT w AS x, uid AS id FROM {U}",
    "a scalar for each row": f"SELECT id, (SELECT count(*) FROM {U} u WHERE u.k = t.k) AS m FROM {T} t",
    "a sum beside a scalar": f"SELECT k, count(*) s, (SELECT count(*) FROM {U}) n FROM {T} GROUP BY k",
    "left join": f"SELECT t.id, u.uid FROM {T} t LEFT JOIN {U} u ON u.k = t.k AND u.w > 5",
    "comma": f"SELECT t.id, u.uid FROM {T} t, {U} u WHERE t.k = u.k AND t.v = u.w",
    "itself": f"SELECT a.id, b.id AS other FROM {T} a JOIN {T} b ON a.v = b.v + 1",
    "anti": f"SELECT id, k FROM {T} t ANTI JOIN {U} u ON u.k = t.k",
    "not in": f"SELECT id, k, v FROM {T} WHERE k NOT IN (SELECT k FROM {U} WHERE w > 6)",
    "not exists": f"SELECT id FROM {T} t WHERE NOT EXISTS (SELECT 1 FROM {U} u WHERE u.k = t.k AND u.w > t.v)",
    "limit": f"SELECT id, v FROM {T} ORDER BY v DESC, id LIMIT 3",
    "row number": f"SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY v, id) p FROM {T}",
    "the step to the row before": f"SELECT id, id - lag(id) OVER (ORDER BY id) AS d FROM {T}",
    "a moving count": f"SELECT id, count(*) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) s FROM {T}",
    "a window over sums": f"SELECT k, count(*) s, sum(count(*)) OVER (ORDER BY k) r FROM {T} GROUP BY k",
    "a share": f"WITH c AS (SELECT k, count(*) s FROM {T} GROUP BY k) SELECT k, s * 1.0 / sum(s) OVER () p FROM c",
    "a CTE with other names": f"WITH c (a, b) AS (SELECT k, v FROM {T} WHERE v < 4) SELECT b, a FROM c x",
    "a table with other names": f"SELECT y, count(*) n FROM {T} AS x (y, z) GROUP BY y",
    "a list": f"SELECT k, list(v ORDER BY id) l FROM {T} GROUP BY k",
    "lateral": f"SELECT t.id, x.m FROM {T} t, LATERAL (SELECT count(*) m FROM {U} u WHERE u.k = t.k) x",
    "as of": f"SELECT t.id, u.uid FROM {T} t ASOF JOIN (FROM {U} WHERE uid < 104) u ON t.k = u.k AND t.v >= u.w",
    "unnest": f"SELECT id, unnest([v, v + 1]) AS x FROM {T}",
    "values": f"SELECT t.id, m.x FROM {T} t JOIN (VALUES (1, 'a'), (2, 'b')) m (k, x) ON m.k = t.k",
    "chosen columns": f"SELECT COLUMNS('id|k') FROM {T}",
    "all columns": f"SELECT * FROM {T} JOIN {U} USING (k)",
    "a star of one side": f"SELECT u.*, t.id FROM {T} t JOIN {U} u ON t.k = u.k WHERE v > 2",
}
# Rows that stand in for each other are carried together: no single one of them is needed.
OF_THE_GROUP = {
    "filter": f"SELECT k, sum(v) FILTER (WHERE v > 4) s FROM {T} GROUP BY k",
    "a maximum": f"SELECT k, max(v) m, arg_max(id, v * 100 + id) l FROM {T} GROUP BY k",
    "different values": f"SELECT k, count(DISTINCT v) l FROM {T} GROUP BY k",
    "distinct": f"SELECT DISTINCT k, v % 3 AS m FROM {T}",
    "distinct on": f"SELECT DISTINCT ON (k) k, v FROM {T} ORDER BY k, v DESC, id",
    "union": f"SELECT k FROM {T} UNION SELECT k FROM {U}",
    "union by name": f"SELECT k, v AS x FROM {T} UNION BY NAME SELECT w AS x, k FROM {U}",
    "intersect": f"SELECT k FROM {T} INTERSECT SELECT k FROM {U}",
    "except": f"SELECT k FROM {T} EXCEPT SELECT k FROM {U}",
    "in": f"SELECT id, k, v FROM {T} WHERE k IN (SELECT k FROM {U} WHERE w > 4)",
    "in what is computed": f"SELECT id, v FROM {T} WHERE v IN (SELECT w + 1 FROM {U})",
    "exists": f"SELECT id, k FROM {T} t WHERE EXISTS (SELECT 1 FROM {U} u WHERE u.k = t.k AND u.w > t.v)",
    "a scalar": f"SELECT id, v, (SELECT max(w) FROM {U}) AS m FROM {T}",
    "sums of what is in": f"SELECT k, sum(v) s FROM {T} WHERE k IN (SELECT k FROM {U}) GROUP BY k",
    "full join": f"SELECT t.id, u.uid FROM {T} t FULL JOIN {U} u ON u.k = t.k AND u.w > 7",
    "using": f"SELECT k, sum(v) s, sum(w) z FROM {T} JOIN {U} USING (k) GROUP BY k",
    "semi": f"SELECT id, k FROM {T} t SEMI JOIN {U} u ON u.k = t.k",
    "the first of each": f"SELECT id, k, v FROM {T} QUALIFY rank() OVER (PARTITION BY k ORDER BY v DESC) = 1",
    "lag with a default": f"SELECT id, v - lag(v, 1, 0) OVER (PARTITION BY k ORDER BY id) AS d FROM {T}",
    "a moving sum": f"SELECT id, sum(v) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) s FROM {T}",
    "a share of its group": f"SELECT id, v * 1.0 / sum(v) OVER (PARTITION BY k) s FROM {T}",
    "first value": f"SELECT id, first_value(v) OVER (PARTITION BY k ORDER BY id) f FROM {T}",
    "halves": f"SELECT id, ntile(2) OVER (PARTITION BY k ORDER BY id) f FROM {T}",
    "a CTE and its table": f"WITH m AS (SELECT k, max(v) v FROM {T} GROUP BY k) SELECT id FROM {T} JOIN m USING (k, v)",
    "a query in a query": f"SELECT k FROM (SELECT k, count(*) n FROM (SELECT DISTINCT k, v FROM {T}) GROUP BY k) q",
    "order by a query": f"SELECT id FROM {T} ORDER BY (SELECT max(w) FROM {U}), id LIMIT 2",
}
REFUSED = {
    "a recursive CTE": f"WITH RECURSIVE r AS (SELECT id FROM {T} UNION ALL SELECT id + 1 FROM r WHERE id < 3) FROM r",
    "INTERSECT ALL": f"SELECT k FROM {T} INTERSECT ALL SELECT k FROM {U}",
    "EXCEPT ALL": f"SELECT k FROM {T} EXCEPT ALL SELECT k FROM {U}",
    "SEMI JOIN USING": f"SELECT id FROM {T} SEMI JOIN {U} USING (k)",
    "a natural join": f"SELECT id FROM {T} NATURAL JOIN {U}",
    "a subquery in a join's condition": f"SELECT id FROM {T} t JOIN {U} u ON u.k = (SELECT max(k) FROM {U})",
    "a sample": f"SELECT id FROM {T} USING SAMPLE 10%",
}
SOURCES = {T: "SELECT *, id::BIGINT AS n FROM temp.t", U: "SELECT *, uid::BIGINT AS n FROM temp.u"}


def tables(seed: int) -> None:
    chance = random.Random(seed)
    t = ", ".join(f"({at}, {chance.randint(1, 4)}, {chance.randint(0, 9)})" for at in range(1, 13))
    u = ", ".join(f"({100 + at}, {chance.randint(2, 5)}, {chance.randint(0, 9)})" for at in range(7))
    reader().table("t", f"FROM (VALUES {t}) x (id, k, v)")
    reader().table("u", f"FROM (VALUES {u}) x (uid, k, w)")


def publish(ids: Iterator[int] | None = None) -> None:
    """Let the sources have all of their rows, or these alone."""
    among = "true" if ids is None else f"n IN ({', '.join(map(str, [0, *ids]))})"
    for name, sql in SOURCES.items():
        reader().publish(name, f"SELECT * EXCLUDE (n) FROM ({sql}) WHERE {among}")


def rewritten(sql: str) -> str:
    return Rewriting(reader(), SOURCES, "n", "_why").rewritten(sql)


@pytest.mark.parametrize("sql", [*EXACT.values(), *OF_THE_GROUP.values()], ids=[*EXACT, *OF_THE_GROUP])
def test_each_row_says_rows_from_which_alone_the_model_gives_it(sql: str) -> None:
    engine = reader()
    tables(0)
    publish()
    before = Counter(map(repr, engine.rows(sql)))
    carried = engine.rows(rewritten(sql))
    assert Counter(repr(row[:-1]) for row in carried) == before
    for *row, ids in carried:
        publish(ids)
        assert repr(tuple(row)) in map(repr, engine.rows(sql)), (row, ids)


@pytest.mark.parametrize("sql", EXACT.values(), ids=EXACT)
def test_without_any_one_of_the_rows_of_a_count_it_is_another(sql: str) -> None:
    engine = reader()
    tables(3)
    publish()
    for *row, ids in engine.rows(rewritten(sql)):
        publish(ids)
        copies = [repr(one) for one in engine.rows(sql)].count(repr(tuple(row)))
        for left_out in ids:
            publish(one for one in ids if one != left_out)
            assert [repr(one) for one in engine.rows(sql)].count(repr(tuple(row))) < copies, (row, ids, left_out)


@pytest.mark.parametrize(("what", "sql"), REFUSED.items(), ids=REFUSED)
def test_a_construct_without_a_rule_is_refused_by_its_name(what: str, sql: str) -> None:
    tables(0)
    publish()
    with pytest.raises(NotRewritten) as refused:
        rewritten(sql)
    assert str(refused.value) == what
