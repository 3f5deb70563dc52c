"""The engine: quoting, what SQL refers to, reading exactly the files it is given, errors that are ours."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.engine import DuckEngine, Reject, SqlMistake, identifier, literal
from src.engine.duck import automatic_memory, automatic_memory_of_core
from src.engine.profile import Profile
from src.errors import BoathouseError, ContractError, DataError, MachineError
from src.lake import DataFile

quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    running = DuckEngine(memory_limit="500MB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield running
    running.close()


# -- opening


def test_an_engine_that_opens_beside_other_work_is_the_same(tmp_path: Path) -> None:
    running = DuckEngine(memory_limit="500MB", threads=1, spill=tmp_path)
    running.open_soon()
    running.open_soon()
    running.set_run_date(date(2024, 1, 31))
    settings = "current_setting('TimeZone'), current_setting('threads'), current_setting('preserve_insertion_order')"
    assert running.one(f"SELECT run_date(), {settings}") == (date(2024, 1, 31), "UTC", 1, False)
    running.open_soon()  # it is open
    assert not running._ahead
    running.close()


def test_an_engine_that_was_to_open_and_is_asked_nothing_leaves_nothing_open(tmp_path: Path) -> None:
    running = DuckEngine(memory_limit="500MB", threads=1, spill=tmp_path)
    running.open_soon()
    running.close()
    assert (running._opening, running._ahead) == (None, [])
    with pytest.raises(RuntimeError):
        running.one("SELECT 1")


def test_what_goes_wrong_while_an_engine_opens_is_told_to_who_asks(tmp_path: Path) -> None:
    running = DuckEngine(memory_limit="much", threads=1, spill=tmp_path)
    running.open_soon()
    with pytest.raises(BoathouseError, match="must have a number"):
        running.one("SELECT 1")
    running.close()


# -- quoting


@quickly
@given(st.text())
def test_any_text_survives_as_a_literal(engine: DuckEngine, text: str) -> None:
    assert engine.one(f"SELECT {literal(text)}, {literal([text, None, text])}") == (text, [text, None, text])


@quickly
@given(st.text(min_size=1))
def test_any_text_survives_as_an_identifier(engine: DuckEngine, name: str) -> None:
    assert list(engine.columns(f"SELECT {identifier(name)} FROM (SELECT 1 AS {identifier(name)})")) == [name]


@quickly
@given(st.integers(-(2**127) + 1, 2**127 - 1))
def test_any_whole_number_survives_as_a_literal(engine: DuckEngine, number: int) -> None:
    assert engine.one(f"SELECT {literal(number)}::HUGEINT") == (number,)


@quickly
@given(st.floats(allow_nan=False))
def test_any_fraction_survives_as_a_literal(engine: DuckEngine, number: float) -> None:
    assert engine.one(f"SELECT {literal(number)}::DOUBLE") == (number,)


LITERALS: list[tuple[object, str]] = [
    (None, "NULL"),
    (True, "true"),
    (1, "1"),
    (-1, "(-1)"),  # so that -1::BIGINT is not -(1::BIGINT), which the smallest number would not survive
    (float("nan"), "'nan'::DOUBLE"),
    (Decimal("1.50"), "'1.50'"),
    (date(2024, 2, 29), "'2024-02-29'"),
    ("it's", "'it''s'"),
    (["a", None], "['a', NULL]"),
    ((), "[]"),
]


@pytest.mark.parametrize(("value", "sql"), LITERALS)
def test_a_value_is_written_in_sql(value: object, sql: str) -> None:
    assert literal(value) == sql


# -- what SQL refers to

TABLES = [
    ("SELECT * FROM silver.shop.orders", {"silver.shop.orders"}),
    ("FROM silver.shop.orders", {"silver.shop.orders"}),
    ("SELECT * FROM silver.shop.orders;", {"silver.shop.orders"}),
    ("SELECT * FROM silver.shop.orders -- and no more", {"silver.shop.orders"}),
    ('SELECT * FROM "silver"."shop"."the orders"', {"silver.shop.the orders"}),
    ("SELECT * FROM ops.pipeline_runs", {"ops.pipeline_runs"}),
    ("SELECT * FROM orders", {"orders"}),
    ("SELECT * FROM 'orders.csv'", {"orders.csv"}),
    ("SELECT * FROM s.a.x JOIN s.a.y USING (id) LEFT JOIN s.a.z ON true", {"s.a.x", "s.a.y", "s.a.z"}),
    ("SELECT * FROM s.a.x, LATERAL (SELECT * FROM s.a.y)", {"s.a.x", "s.a.y"}),
    ("SELECT * FROM s.a.x UNION ALL SELECT * FROM s.a.y EXCEPT SELECT * FROM s.a.z", {"s.a.x", "s.a.y", "s.a.z"}),
    ("SELECT (SELECT max(b) FROM s.a.y) FROM s.a.x WHERE c IN (FROM s.a.z)", {"s.a.x", "s.a.y", "s.a.z"}),
    ("WITH o AS (SELECT * FROM s.a.x) SELECT * FROM o", {"s.a.x"}),
    ("WITH O AS (SELECT * FROM s.a.x), p AS (FROM o) SELECT * FROM P", {"s.a.x"}),
    ("WITH x AS (SELECT 1) SELECT * FROM s.a.x", {"s.a.x"}),  # a CTE does not hide a table with a longer name
    ("WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r JOIN s.a.x ON n < 3) FROM r", {"s.a.x"}),
    ("SELECT * FROM (WITH o AS (FROM s.a.x) SELECT * FROM o)", {"s.a.x"}),
    ("SELECT * FROM range(3), (VALUES (1)) v(a)", set()),
]


@pytest.mark.parametrize(("sql", "tables"), TABLES)
def test_the_tables_a_select_reads_are_known(engine: DuckEngine, sql: str, tables: set[str]) -> None:
    assert engine.table_references(sql) == tables


NO_SELECT = ["SELEC 1", "INSERT INTO s.a.x VALUES (1)", "DROP TABLE s.a.x", "SELECT 1; SELECT 2", "", "-- nothing", ";"]


@pytest.mark.parametrize("sql", NO_SELECT)
def test_what_is_not_one_select_is_refused(engine: DuckEngine, sql: str) -> None:
    with pytest.raises(ContractError):
        engine.table_references(sql)
    with pytest.raises(ContractError):
        engine.looks_across_rows(sql)


COLUMNS = [
    ("amount * 2", {"amount"}),
    ('upper("The Name")', {"the name"}),
    ("Amount + amount", {"amount"}),
    ("CASE WHEN a > 1 THEN b ELSE c END", {"a", "b", "c"}),
    ("o.a", {"o", "a"}),
    ("strptime(day, '%d/%m/%Y')", {"day"}),
    ("[x * f FOR x IN xs]", {"f", "xs"}),
    ("list_filter(xs, lambda P, i: p.key = k AND len(list_transform(P.parts, lambda q: q + p)) > i)", {"xs", "k"}),
    ("list_transform(p, lambda p: p.key)", {"p"}),
    ("address -> '$.zip'", {"address"}),
    ("sum(a) OVER (PARTITION BY b ORDER BY c)", {"a", "b", "c"}),
    ("a IN (SELECT z FROM s.a.x)", {"a", "z"}),
    ("'amount'", set()),
    ("1", set()),
]


@pytest.mark.parametrize(("expression", "columns"), COLUMNS)
def test_the_columns_an_expression_uses_are_known(engine: DuckEngine, expression: str, columns: set[str]) -> None:
    assert engine.column_references(expression) == columns


@pytest.mark.parametrize("expression", ["", "a +", ") x (", "a; DROP TABLE x"])
def test_what_is_not_an_expression_is_refused(engine: DuckEngine, expression: str) -> None:
    with pytest.raises(ContractError):
        engine.column_references(expression)


def test_statements_parsed_together_are_as_each_is_parsed_and_wrong_ones_are_refused_when_their_turn_comes(
    engine: DuckEngine, tmp_path: Path
) -> None:
    sound = ["SELECT a + 1", "SELECT 'it''s' -- so", "SELECT a FROM s.t.x WHERE b IN (1, 2)"]
    wrong = ["SELECT a +", "SELECT 1; SELECT 2", "DROP TABLE x", ""]
    together = DuckEngine(memory_limit="500MB", threads=1, spill=tmp_path)
    together.parse_together([*sound, *wrong, *sound])
    asked = together.rows
    together.rows = lambda sql: asked(sql) if any(literal(each) in sql for each in wrong) else []  # type: ignore[method-assign]
    assert [together.parse(sql) for sql in sound] == [engine.parse(sql) for sql in sound]
    for sql in wrong:
        with pytest.raises(ContractError):
            together.parse(sql)
    together.close()


ACROSS_ROWS: list[tuple[str, list[str]]] = [
    ("SELECT upper(a) AS a, greatest(a, b) FROM t WHERE b > 1 ORDER BY a", []),
    ("SELECT list_sum(xs), list_max(xs), max FROM t", []),
    ("SELECT unnest(string_split(a, ';')) FROM t", []),
    ("SELECT * FROM t, unnest(t.xs) u(x)", []),
    ("SELECT * FROM t JOIN (VALUES ('a', 1), ('b', 2)) names(a, nr) USING (a)", []),
    ("SELECT a FROM t WHERE a IN (SELECT unnest(xs))", []),
    ("SELECT a FROM t UNION ALL SELECT b FROM t", []),
    ("SELECT max(a) FROM t", ["max()"]),
    ("SELECT count(*) FROM t", ["count_star()"]),
    ("SELECT a FROM (SELECT string_agg(a, ',') AS a FROM t)", ["string_agg()"]),
    ("WITH c AS (SELECT arg_max(a, b) AS m FROM t) SELECT * FROM c", ["arg_max()"]),
    ("SELECT a FROM t GROUP BY a", ["GROUP BY"]),
    ("SELECT a FROM t GROUP BY ALL", ["GROUP BY"]),
    ("SELECT DISTINCT a FROM t", ["DISTINCT"]),
    ("SELECT DISTINCT ON (a) a, b FROM t", ["DISTINCT"]),
    ("SELECT a FROM t UNION SELECT b FROM t", ["UNION"]),
    ("SELECT a FROM t EXCEPT ALL SELECT b FROM t", ["EXCEPT"]),
    ("SELECT a FROM t LIMIT 1", ["LIMIT"]),
    ("SELECT a FROM t OFFSET 1", ["LIMIT"]),
    ("SELECT a FROM t LIMIT 10%", ["LIMIT"]),
    ("SELECT lag(a) OVER (ORDER BY b) FROM t", ["a window"]),
    ("SELECT a FROM t QUALIFY row_number() OVER () = 1", ["a window"]),
    ("SELECT * FROM t JOIN t u USING (a)", ["a join"]),
    ("SELECT * FROM t, (SELECT b FROM t)", ["a join"]),
    ("WITH c AS (FROM t) SELECT * FROM c ASOF JOIN c d ON c.a >= d.a", ["a join"]),
    ("SELECT a FROM t WHERE a IN (SELECT b FROM t)", ["a subquery"]),
    ("SELECT a FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.a > t.a)", ["a subquery"]),
    ("SELECT a FROM t USING SAMPLE 3", ["a sample"]),
    ("SELECT a FROM t TABLESAMPLE 10%", ["a sample"]),
    ("SELECT DISTINCT max(a) FROM t GROUP BY b LIMIT 1", ["DISTINCT", "GROUP BY", "LIMIT", "max()"]),
]


@pytest.mark.parametrize(("sql", "found"), ACROSS_ROWS)
def test_what_makes_a_row_depend_on_others_is_found(engine: DuckEngine, sql: str, found: list[str]) -> None:
    assert engine.looks_across_rows(sql) == found


# -- reading and writing files

ODD = {"id": "BIGINT", 'the "name"': "VARCHAR", "many": "VARCHAR[]", "money": "DECIMAL(18,2)"}
PROJECT = {"_at": "VARCHAR", "_nth": "BIGINT"}


@pytest.mark.parametrize("evolved", [False, True])
@pytest.mark.parametrize("partition_by", [(), ("id",)])
def test_no_files_are_no_rows_of_the_right_types(
    engine: DuckEngine, tmp_path: Path, evolved: bool, partition_by: tuple[str, ...]
) -> None:
    scan = engine.scan_files(tmp_path, [], ODD, partition_by, evolved=evolved, located=True)
    assert engine.columns(f"FROM {scan}") == ODD | PROJECT
    assert engine.rows(f"FROM {scan}") == []


def test_exactly_the_given_files_are_read(engine: DuckEngine, tmp_path: Path) -> None:
    first, second, _ = (engine.write(f"SELECT {at} AS id", tmp_path)[0] for at in range(3))
    scan = engine.scan_files(tmp_path, [second, first], {"id": "INTEGER"})
    assert sorted(engine.values(f"SELECT id FROM {scan}")) == [0, 1]


@pytest.mark.parametrize("newest_first", [False, True])
def test_files_that_lack_newer_columns_read_null_there(engine: DuckEngine, tmp_path: Path, newest_first: bool) -> None:
    old = engine.write("SELECT 1::BIGINT AS id", tmp_path)
    new = engine.write("SELECT ['x'] AS many, 2::BIGINT AS id", tmp_path)
    files = [*new, *old] if newest_first else [*old, *new]
    scan = engine.scan_files(tmp_path, files, ODD, evolved=True)
    assert engine.columns(f"FROM {scan}") == ODD
    assert engine.rows(f"SELECT * FROM {scan} ORDER BY id") == [(1, None, None, None), (2, None, ["x"], None)]


def test_a_row_is_located_by_its_file_and_its_place_there(engine: DuckEngine, tmp_path: Path) -> None:
    columns = {"id": "BIGINT", "filename": "VARCHAR", "day": "DATE"}
    sql = "SELECT range AS id, 'mine' AS filename, DATE '2024-01-01' + (range % 2)::INT AS day FROM range(4)"
    files = engine.write(sql, tmp_path, ["day"])
    scan = engine.scan_files(tmp_path, files, columns, ["day"], located=True)
    located = engine.rows(f"SELECT _at, list(_nth ORDER BY _nth), any_value(filename) FROM {scan} GROUP BY _at")
    assert sorted(located) == sorted((str(tmp_path / file.path), [0, 1], "mine") for file in files)


def test_a_table_below_a_folder_that_looks_like_its_partition_is_refused(engine: DuckEngine, tmp_path: Path) -> None:
    """DuckDB would take the partition value from the upper folder, in silence."""
    root = tmp_path / "Day=2024-01-01" / "orders"
    root.mkdir(parents=True)
    files = engine.write("SELECT 1::BIGINT AS id, DATE '2024-01-02' AS day", root, ["day"])
    with pytest.raises(MachineError, match="Day=2024-01-01 above the table"):
        engine.scan_files(root, files, {"id": "BIGINT", "day": "DATE"}, ["day"])


@pytest.mark.parametrize("folder", ["a b", "50%", "it's", "a#b?c", "[1]*{x,y}", "Grüße 東京", "x=y"])
def test_a_lake_may_lie_in_a_folder_of_any_name(engine: DuckEngine, tmp_path: Path, folder: str) -> None:
    root = tmp_path / folder
    root.mkdir()
    files = engine.write("SELECT 1::BIGINT AS id, 'a/b' AS p", root, ["p"])
    scan = engine.scan_files(root, files, {"id": "BIGINT", "p": "VARCHAR"}, ["p"], located=True)
    assert engine.rows(f"SELECT id, p, _at FROM {scan}") == [(1, "a/b", str(root / files[0].path))]


@pytest.mark.parametrize("partition_by", [(), ("day",)])
def test_no_rows_leave_no_files(engine: DuckEngine, tmp_path: Path, partition_by: tuple[str, ...]) -> None:
    assert engine.write("SELECT 1 AS id, today() AS day WHERE false", tmp_path, partition_by) == []
    assert list(tmp_path.rglob("*.parquet")) == []


def test_what_is_written_is_told_as_it_is_on_disk(engine: DuckEngine, tmp_path: Path) -> None:
    sql = "SELECT range AS id, 'p' || range % 3 AS p FROM range(9)"
    files = engine.write(sql, tmp_path, ["p"])
    assert sorted(file.partition["p"] or "" for file in files) == ["p0", "p1", "p2"]
    assert [file.rows for file in files] == [3, 3, 3]
    assert {str(tmp_path / file.path): file.size for file in files} == {
        str(path): path.stat().st_size for path in tmp_path.rglob("*.parquet")
    }


@pytest.mark.parametrize(
    "value",
    [
        "id // 100",
        "-id",
        "DATE '2026-01-01' + (id // 100)::INTEGER",
        "(id // 100)::DECIMAL(9,2) / 8",
        "CASE WHEN id % 3 > 0 THEN 'p' || chr(39) || id // 100 END",
        "CASE WHEN id < 950 THEN id END",
        "id > 500",
        "NULL::INTEGER",
    ],
)
def test_rows_written_a_part_at_a_time_are_in_one_file_for_each_partition(
    engine: DuckEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr("src.engine.duck._ROWS_UNCUT", 150)
    monkeypatch.setattr("src.engine.duck._ROWS_AT_ONCE", 150)
    sql = f"SELECT id, {value} AS p, 'q' || id % 2 AS q FROM range(1000) r(id)"
    files = engine.write(sql, tmp_path, ("p", "q"), rows=1000)
    partitions = [tuple(file.partition.items()) for file in files]
    expected = engine.one(f"SELECT count(*) FROM (SELECT DISTINCT p, q FROM ({sql}))")[0]
    assert len(set(partitions)) == len(partitions) == expected
    read = engine.scan_files(tmp_path, files, engine.columns(sql), ("p", "q"))
    assert engine.rows(f"FROM {read} ORDER BY id") == engine.rows(f"{sql} ORDER BY id")


def test_many_rows_are_written_by_several_statements_and_a_failure_leaves_no_file_of_any(
    engine: DuckEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.engine.duck._ROWS_UNCUT", 150)
    monkeypatch.setattr("src.engine.duck._ROWS_AT_ONCE", 150)
    asked: list[str] = []
    answer = DuckEngine.rows

    def rows(self: DuckEngine, sql: str) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return answer(self, sql)

    monkeypatch.setattr(DuckEngine, "rows", rows)
    engine.write("SELECT id, id // 100 AS p FROM range(1000) r(id)", tmp_path, ("p",), rows=1000)
    assert len([sql for sql in asked if sql.startswith("COPY")]) == 7
    before = sorted(tmp_path.rglob("*.parquet"))
    late = "SELECT CASE WHEN id > 800 THEN error('late') ELSE id END AS id, id // 100 AS p FROM range(1000) r(id)"
    with pytest.raises(DataError, match="late"):
        engine.write(late, tmp_path, ("p",), rows=1000)
    assert sorted(tmp_path.rglob("*.parquet")) == before


def test_empty_text_cannot_be_a_partition_and_leaves_no_files(engine: DuckEngine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty text as a value of the partition columns p"):
        engine.write("SELECT 1 AS id, unnest(['', 'a']) AS p", tmp_path, ["p"])
    assert list(tmp_path.rglob("*.parquet")) == []


def test_a_table_that_is_not_there_cannot_be_written(engine: DuckEngine, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no such table folder"):
        engine.write("SELECT 1", tmp_path / "nowhere")


@pytest.mark.parametrize("partition_by", [(), ("p",)])
def test_a_disk_that_is_full_leaves_the_files_that_were_there_and_no_half_written_one(
    engine: DuckEngine, tmp_path: Path, partition_by: tuple[str, ...]
) -> None:
    engine.write("SELECT 1 AS id, 'p' AS p", tmp_path, partition_by)
    before = sorted(tmp_path.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MachineError, match="no space left"):
            engine.write("SELECT uuid()::VARCHAR AS id, 'p' AS p FROM range(9999)", tmp_path, partition_by)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.rglob("*")) == before


def test_tables_are_read_by_their_lake_names(engine: DuckEngine) -> None:
    engine.publish("gold.shop.daily", "SELECT 1 AS orders")
    engine.publish("ops.pipeline_runs", "SELECT 2 AS runs")
    engine.publish("gold.shop.daily", "SELECT 3 AS orders -- replaced")
    assert engine.rows("SELECT * FROM gold.shop.daily, ops.pipeline_runs") == [(3, 2)]


def test_rejects_are_taken_once_in_file_order(engine: DuckEngine, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n3\n4,5,6\n")
    columns = "{a: 'VARCHAR', b: 'VARCHAR'}"
    options = f"header = true, columns = {columns}, store_rejects = true"
    assert engine.one(f"SELECT count(*) FROM read_csv({literal(str(file))}, {options})") == (1,)
    first, second = engine.take_rejects()
    assert first == Reject(str(file), 3, first.reason, "3") and "MISSING COLUMNS" in first.reason
    assert second == Reject(str(file), 4, second.reason, "4,5,6") and "TOO MANY COLUMNS" in second.reason
    assert engine.take_rejects() == []


# -- errors

ERRORS: list[tuple[str, type[BoathouseError], str]] = [
    ("SELEC 1", SqlMistake, "syntax error"),
    ("SELECT nothing FROM range(1)", SqlMistake, "nothing"),
    ("SELECT * FROM silver.shop.orders", SqlMistake, "silver.shop.orders"),
    ("SELECT no_such_function(1)", SqlMistake, "no_such_function"),
    ("SELECT 'x'::INTEGER", DataError, "'x'"),
    ("SELECT 300::TINYINT", DataError, "300"),
    ("SELECT 9223372036854775807 + 1", DataError, "Overflow"),
    ("SELECT error('told by the model')", DataError, "told by the model"),
    ("FROM read_csv('no such file.csv')", DataError, "no such file.csv"),
    ("FROM read_parquet('no such file.parquet')", DataError, "no such file.parquet"),
]


@pytest.mark.parametrize(("sql", "kind", "words"), ERRORS)
def test_errors_are_ours_in_one_line_with_the_sql(
    engine: DuckEngine, sql: str, kind: type[BoathouseError], words: str
) -> None:
    with pytest.raises(kind) as told:
        engine.rows(sql)
    assert type(told.value) is kind
    assert words in told.value.what
    assert "\n" not in told.value.what
    assert told.value.where == sql


def test_a_file_that_is_no_parquet_is_named(engine: DuckEngine, tmp_path: Path) -> None:
    (tmp_path / "part-1.parquet").write_bytes(b"not parquet at all")
    scan = engine.scan_files(tmp_path, [DataFile("part-1.parquet", 18, 1)], {"id": "BIGINT"})
    with pytest.raises(DataError, match=r"part-1\.parquet"):
        engine.rows(f"FROM {scan}")


# -- memory


@contextmanager
def small(spill: Path) -> Iterator[DuckEngine]:
    running = DuckEngine(memory_limit="30MB", threads=1, spill=spill)
    try:
        yield running
    finally:
        running.close()


WIDE = "SELECT range AS id, md5(range::VARCHAR) AS text FROM range(1_200_000)"


def test_what_does_not_fit_into_memory_is_spilled_and_not_left_behind(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    with small(spill) as engine:
        assert engine.table("wide", WIDE) == 1_200_000
        assert sum(path.stat().st_size for path in spill.iterdir()) > 1_000_000
        assert engine.one("SELECT count(DISTINCT text), sum(id) FROM wide") == (1_200_000, 719_999_400_000)
    assert not spill.exists() or list(spill.iterdir()) == []


def test_a_large_table_is_compressed_on_disk_and_no_file_shows(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    with small(spill) as engine:
        assert engine.table("wide", WIDE, large=True) == 1_200_000
        assert list(spill.iterdir()) == []  # not even while it is open, so that no crash leaves it behind
        assert engine.one("SELECT count(DISTINCT text), sum(id) FROM wide") == (1_200_000, 719_999_400_000)
        engine.execute("DELETE FROM wide WHERE rowid IN (SELECT rowid FROM wide WHERE id >= 10)")
        assert engine.values("SELECT id FROM wide ORDER BY id") == list(range(10))
    assert not spill.exists() or list(spill.iterdir()) == []


def test_a_table_takes_the_place_of_a_larger_or_smaller_one_of_its_name(tmp_path: Path) -> None:
    with small(tmp_path) as engine:
        for nth, large in enumerate([False, True, True, False, True, False]):
            assert engine.table("rows", f"SELECT {nth} AS id", large=large) == 1
            assert engine.values("SELECT id FROM rows") == [nth]
            assert engine.values("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'rows'") == [1]


def test_there_is_room_for_rows_whose_files_take_a_twentieth_of_memory_but_not_for_more(tmp_path: Path) -> None:
    with small(tmp_path) as engine:
        assert engine.has_room_for(1_200_000)
        assert not engine.has_room_for(1_300_000)


def test_memory_that_is_short_without_room_to_spill_is_a_machine_error(tmp_path: Path) -> None:
    with small(tmp_path / "spill") as engine:
        engine.execute("SET max_temp_directory_size = '1MB'")
        with pytest.raises(MachineError, match="Out of Memory") as told:
            engine.table("wide", WIDE)
        assert "MEMORY_LIMIT" in str(told.value)
        assert engine.one("SELECT 1") == (1,)


def test_bytes_that_are_no_text_are_damage_and_no_bug(engine: DuckEngine) -> None:
    """DuckDB quotes a value in what it says, and Python cannot decode that: so it was found in a file that rotted."""
    import pyarrow

    buffers = [None, pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"\xff\xfe")]
    column = pyarrow.Array.from_buffers(pyarrow.string(), 1, buffers)
    engine.stream("rotten", pyarrow.table({"a": column}))
    with pytest.raises(DataError, match="bytes that are no text"):
        engine.rows("SELECT a::INTEGER FROM rotten")
    engine.unstream("rotten")


def test_nothing_is_ever_downloaded_or_read_from_the_program(engine: DuckEngine) -> None:
    asked = ("autoinstall_known_extensions", "autoload_known_extensions", "python_enable_replacements")
    assert [engine.one(f"SELECT current_setting('{name}')::VARCHAR")[0] for name in asked] == ["false"] * 3


# -- memory and profile


@pytest.mark.parametrize(
    ("machine", "limit"),
    [
        (24_000_000_000, 4_000_000_000),
        (16_000_000_000, 4_000_000_000),
        (8_000_000_000, 2_000_000_000),
        (2_000_000_000, 600_000_000),
        (1_000_000_000, 600_000_000),
    ],
)
def test_an_automatic_limit_is_a_quarter_of_the_machine_within_bounds(machine: int, limit: int) -> None:
    assert automatic_memory(machine * 80 // 100) == limit


@pytest.mark.parametrize(
    ("machine", "cores", "limit"),
    [
        (64_000_000_000, 16, 1_000_000_000),
        (512_000_000_000, 16, 4_000_000_000),
        (8_000_000_000, 4, 500_000_000),
        (16_000_000_000, 64, 300_000_000),
    ],
)
def test_a_core_has_its_part_of_a_quarter_of_the_machine_within_bounds(machine: int, cores: int, limit: int) -> None:
    assert automatic_memory_of_core(machine * 80 // 100, cores) == limit


def test_an_engine_with_an_automatic_limit_has_it_after_a_restart_too(tmp_path: Path) -> None:
    running = DuckEngine(memory_limit="auto", threads=1, spill=tmp_path)
    limit = "SELECT parse_formatted_bytes(current_setting('memory_limit')) BETWEEN 599000000 AND 4000000000"
    assert running.one(limit) == (True,)
    running._reopen()
    assert running.one(limit) == (True,)
    running.close()


def test_a_profile_has_every_statement_with_its_step_and_both_times(tmp_path: Path) -> None:
    profile = Profile()
    running = DuckEngine(memory_limit="500MB", threads=1, spill=tmp_path, profile=profile)
    before = len(profile.statements)
    profile.step = "silver.shop.sales"
    busy = "SELECT sum(hash(range)) FROM range(3_000_000)"
    running.rows(busy)
    with pytest.raises(BoathouseError):
        running.rows("SELECT 1 + nothing")
    running.close()
    counted, failed = profile.statements[before:]
    assert (counted.step, counted.sql, failed.sql) == ("silver.shop.sales", busy, "SELECT 1 + nothing")
    assert counted.cpu_seconds > 0
    assert counted.cores > 0
    assert profile.longest(1) == [max(profile.statements, key=lambda one: one.wall_seconds)]
    assert len(profile.longest(1000)) == len(profile.statements)


def test_many_texts_are_written_with_dictionaries_of_few_values_only(engine: DuckEngine, tmp_path: Path) -> None:
    rows = "SELECT (range % 100)::VARCHAR AS few, (range % 15_000)::VARCHAR AS many FROM range(100_000)"
    for many_texts, plain in ((True, {"many"}), (False, set())):
        (file,) = engine.write(rows, tmp_path, many_texts=many_texts)
        path = tmp_path / file.path
        encodings = engine.rows(f"SELECT DISTINCT path_in_schema, encodings FROM parquet_metadata('{path}')")
        assert {name for name, encoding in encodings if "DICTIONARY" not in encoding} == plain
        assert engine.one(f"SELECT count(*), count(DISTINCT many) FROM '{path}'") == (100_000, 15_000)
