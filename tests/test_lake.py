"""Versions, exactly-once commits and changes, on real Delta tables; what other engines read is compared with ours."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import polars
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from conftest import short
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake
from pyarrow import fs

from src import lake
from src.engine import DuckEngine, identifier, literal
from src.errors import BoathouseError, DataError, MachineError, TransientError
from src.lake import Snapshot, log

DAYS = {"id": "BIGINT", "day": "DATE"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    running = DuckEngine(memory_limit="500MB", threads=2, spill=tmp_path_factory.mktemp("spill"))
    yield running
    running.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a test's table lies: three folders that are not there yet."""
    return tmp_path / "silver" / "shop" / "orders"


def reopened(root: Path) -> lake.Snapshot:
    snapshot = lake.open_table(root)
    assert snapshot is not None
    return snapshot


def numbers(engine: DuckEngine, root: Path, *ids: int) -> list[lake.DataFile]:
    """A data file with these ids, not committed yet."""
    return engine.write(f"SELECT unnest({literal(ids)})::BIGINT AS id", root)


def table_of(engine: DuckEngine, root: Path, *ids: int) -> lake.Snapshot:
    """A table with one column that holds these ids, having consumed version 1 of feed."""
    table = lake.create(root, {"id": "BIGINT"})
    return lake.commit(table, add=numbers(engine, root, *ids), progress={"feed": 1})


def ids(engine: DuckEngine, snapshot: lake.Snapshot) -> list[int]:
    scan = engine.scan(snapshot)
    return [int(value) for value in engine.values(f"SELECT id FROM {scan} ORDER BY id")]


def entry(root: Path, version: int) -> Path:
    return root / "_delta_log" / f"{version:020d}.json"


def actions(root: Path, version: int) -> list[str]:
    """The kinds of action in one log entry."""
    return sorted(next(iter(json.loads(line))) for line in entry(root, version).read_text().splitlines())


# -- commits


def test_a_commit_publishes_files_and_progress_in_one_log_entry(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1, 2)
    progress = {"feed": 7, "other": 0}
    lake.commit(old, add=numbers(engine, root, 3), remove=old.files, progress=progress, info={"run": "r1"})
    now = reopened(root)
    assert now.version == old.version + 1
    assert actions(root, now.version) == ["add", "commitInfo", "remove", "txn", "txn"]
    assert (ids(engine, now), now.rows, now.size) == ([3], 1, sum(file.size for file in now.files))
    assert (now.progress("feed"), now.progress("other"), now.progress("never seen")) == (7, 0, None)
    assert lake.commit_info(root, now.version)["run"] == "r1"
    assert (ids(engine, old), old.progress("feed")) == ([1, 2], 1)  # a snapshot stays what it was


def test_a_commit_without_files_records_progress_alone(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    now = lake.commit(old, progress={"feed": 2})
    assert actions(root, now.version) == ["commitInfo", "txn"]
    assert (now.version, now.progress("feed"), ids(engine, now)) == (old.version + 1, 2, [1])
    assert lake.changes(now, old.version) == lake.Changes((), ())


def test_of_two_writers_that_consumed_the_same_the_second_collides_and_publishes_nothing(
    engine: DuckEngine, root: Path
) -> None:
    table_of(engine, root, 1)
    mine, theirs = reopened(root), reopened(root)
    lake.commit(theirs, add=numbers(engine, root, 2), progress={"feed": 2})
    with pytest.raises(TransientError, match="Concurrent transaction failed"):
        lake.commit(mine, add=numbers(engine, root, 2), progress={"feed": 2})
    now = reopened(root)
    assert (now.version, ids(engine, now)) == (theirs.version + 1, [1, 2])


def test_writers_at_the_same_instant_commit_once(engine: DuckEngine, root: Path) -> None:
    table_of(engine, root, 1)
    ready, outcomes = Barrier(4), list[str]()
    files = [numbers(engine, root, 2) for _ in range(4)]
    stale = [reopened(root) for _ in range(4)]

    def write(at: int) -> None:
        ready.wait()
        try:
            lake.commit(stale[at], add=files[at], progress={"feed": 2})
            outcomes.append("committed")
        except TransientError:
            outcomes.append("collided")

    writers = [Thread(target=write, args=(at,)) for at in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == ["collided", "collided", "collided", "committed"]
    assert ids(engine, reopened(root)) == [1, 2]


def test_removing_what_another_commit_removed_collides(engine: DuckEngine, root: Path) -> None:
    stale = table_of(engine, root, 1)
    lake.commit(reopened(root), add=numbers(engine, root, 10), remove=stale.files)
    with pytest.raises(TransientError, match="concurrent transaction deleted data"):
        lake.commit(stale, add=numbers(engine, root, 20), remove=stale.files)
    assert ids(engine, reopened(root)) == [10]


def test_an_overwrite_replaces_rows_and_schema_in_one_version(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1, 2)
    files = engine.write("SELECT 'a' AS name, 3::BIGINT AS id", root)
    lake.commit(old, add=files, overwrite={"name": "VARCHAR", "id": "BIGINT"}, progress={"feed": 2})
    now = reopened(root)
    assert now.version == old.version + 1
    assert now.columns == {"name": "VARCHAR", "id": "BIGINT"}
    assert (ids(engine, now), now.progress("feed")) == ([3], 2)
    before = lake.open_table(root, old.version)
    assert before and (before.columns, ids(engine, before)) == ({"id": "BIGINT"}, [1, 2])


def test_rows_of_an_append_only_table_cannot_be_removed_and_no_retry_will_help(engine: DuckEngine, root: Path) -> None:
    bronze = lake.create(root, {"id": "BIGINT"}, properties={"delta.appendOnly": "true"})
    bronze = lake.commit(bronze, add=numbers(engine, root, 1))
    for removing in ({"remove": bronze.files}, {"overwrite": bronze.columns}):
        with pytest.raises(DataError, match="append-only"):
            lake.commit(bronze, **removing)
    assert ids(engine, reopened(root)) == [1]


def test_discarded_files_are_gone_and_discarding_again_is_no_error(engine: DuckEngine, root: Path) -> None:
    lake.create(root, {"id": "BIGINT"})
    files = numbers(engine, root, 1)
    lake.discard(root, files)
    lake.discard(root, files)
    assert [path.name for path in root.iterdir()] == ["_delta_log"]


# -- creating and altering

EVERY_TYPE = {
    "flag": "BOOLEAN",
    "tiny": "TINYINT",
    "small": "SMALLINT",
    "whole": "INTEGER",
    "big": "BIGINT",
    "part": "FLOAT",
    "fraction": "DOUBLE",
    "money": "DECIMAL(18,2)",
    "huge": "DECIMAL(38,0)",
    "day": "DATE",
    "moment": "TIMESTAMP WITH TIME ZONE",
    "name": "VARCHAR",
}


def test_a_table_keeps_its_columns_and_their_types_in_order(root: Path) -> None:
    columns = EVERY_TYPE | {'odd "name", with. dots': "VARCHAR", "reasons": "VARCHAR[]", "nested": "DECIMAL(18,2)[][]"}
    lake.create(root, columns, ["day", "name"])
    table = reopened(root)
    assert list(table.columns.items()) == list(columns.items())
    assert table.partition_by == ("day", "name")
    assert (table.files, table.rows) == ((), 0)


def test_the_newest_version_by_its_number_is_the_newest_that_is_open_already(engine: DuckEngine, root: Path) -> None:
    table = lake.create(root, {"id": "BIGINT"})
    assert lake.open_table(root, 0) is lake.open_table(root)
    after = lake.commit(table, progress={"a": 1})
    assert lake.open_table(root, 1) is lake.open_table(root) and after.version == 1
    assert (older := lake.open_table(root, 0)) and older.version == 0
    assert (newest := lake.open_table(root)) and newest.version == 1


def test_there_is_no_table_where_nothing_was_created(root: Path) -> None:
    assert lake.open_table(root) is None
    root.mkdir(parents=True)
    assert lake.open_table(root) is None


def test_properties_delta_does_not_know_are_kept(engine: DuckEngine, root: Path) -> None:
    tags = {"delta.userMetadata": '{"version": "1.2.0"}', "lakehouse.schemaVersion": "1.2.0"}
    table = lake.create(root, {"id": "BIGINT"}, properties=tags)
    lake.commit(table, add=numbers(engine, root, 1))
    kept = reopened(root).properties
    assert {key: kept[key] for key in tags} == tags
    assert kept["delta.deletedFileRetentionDuration"] == "interval 168 hours"


def test_properties_are_set_only_where_they_differ(root: Path) -> None:
    table = lake.create(root, {"id": "BIGINT"}, properties={"version": "1.0.0"})
    assert lake.set_properties(table, {"version": "1.0.0"}).version == 0
    assert lake.set_properties(table, {"version": "1.1.0", "delta.userMetadata": "x"}).version == 1
    assert lake.set_properties(reopened(root), {"version": "1.1.0"}).version == 1
    assert reopened(root).properties["version"] == "1.1.0"


def test_creating_what_is_there_changes_nothing(engine: DuckEngine, root: Path) -> None:
    table = table_of(engine, root, 1)
    again = lake.create(root, {"other": "DATE"}, properties={"version": "2"})
    assert (again.version, again.columns, ids(engine, again)) == (table.version, {"id": "BIGINT"}, [1])


def test_a_replaced_table_is_empty_partitioned_anew_and_says_it_has_to_be_built(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    lake.create(root, DAYS, ["day"], replace=True)
    now = reopened(root)
    assert (now.version, now.columns, now.partition_by, now.files) == (old.version + 1, DAYS, ("day",), ())
    assert now.progress(lake.BUILT_FROM) == 0
    assert lake.changes(now, old.version).rebuilt


def test_rows_written_before_a_column_was_added_read_null_there(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    now = lake.add_columns(old, {"name": "VARCHAR"})
    now = lake.commit(now, add=engine.write("SELECT 2::BIGINT AS id, 'b' AS name", root))
    scan = engine.scan(now, evolved=True)
    assert engine.rows(f"SELECT * FROM {scan} ORDER BY id") == [(1, None), (2, "b")]


def test_a_column_that_differs_only_in_case_is_refused(engine: DuckEngine, root: Path) -> None:
    with pytest.raises(DataError, match="Duplicate field name"):
        lake.add_columns(table_of(engine, root, 1), {"ID": "BIGINT"})


# -- changes


def test_changes_are_the_files_that_came_and_went(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1, 2)
    new = numbers(engine, root, 3)
    lake.commit(old, add=new, remove=old.files, progress={"feed": 2})
    found = lake.changes(reopened(root), old.version)
    assert [file.path for file in found.added] == [file.path for file in new]
    assert [file.path for file in found.removed] == [file.path for file in old.files]
    assert ([file.rows for file in found.added], found.rebuilt) == ([1], False)


def test_files_that_came_and_went_again_are_no_change(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    for value in ("a b", "50%", "x/y"):
        table = lake.commit(reopened(root), add=numbers(engine, root, len(value)))
        lake.commit(table, remove=[file for file in table.files if file not in old.files])
    assert lake.changes(reopened(root), old.version) == lake.Changes((), ())


def test_compaction_is_no_change(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    lake.commit(old, add=numbers(engine, root, 2))
    before = reopened(root)
    assert DeltaTable(str(root)).optimize.compact()["numFilesRemoved"] == 2
    now = reopened(root)
    assert (len(now.files), ids(engine, now)) == (1, [1, 2])
    assert lake.changes(now, before.version) == lake.Changes((), ())
    # what came before the compaction is still told by the files it came in
    assert [file.rows for file in lake.changes(now, old.version).added] == [1]


def test_changes_whose_files_were_vacuumed_are_gone(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    lake.commit(old, add=numbers(engine, root, 2), remove=old.files)
    DeltaTable(str(root)).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(lake.HistoryGone, match="is gone"):
        lake.changes(reopened(root), old.version)


def test_changes_and_versions_whose_log_was_cleaned_up_are_gone(engine: DuckEngine, root: Path) -> None:
    table = table_of(engine, root, 1)
    for number in range(2, 5):
        table = lake.commit(table, add=numbers(engine, root, number))
    DeltaTable(str(root)).create_checkpoint()
    long_ago = (datetime.now() - timedelta(days=100)).timestamp()
    for path in (root / "_delta_log").iterdir():
        os.utime(path, (long_ago, long_ago))
    lake.commit(table, add=numbers(engine, root, 5))
    DeltaTable(str(root)).cleanup_metadata()
    assert not entry(root, 2).exists()
    now = reopened(root)
    assert (ids(engine, now), now.progress("feed")) == ([1, 2, 3, 4, 5], 1)
    with pytest.raises(lake.HistoryGone, match="no log entry 2"):
        lake.changes(now, 1)
    with pytest.raises(lake.HistoryGone, match="no version 1\n"):
        lake.open_table(root, 1)
    assert lake.commit_info(root, 1) == {}
    assert len(lake.changes(now, now.version - 1).added) == 1


def test_a_version_that_is_not_there_any_more_is_gone_and_not_empty(engine: DuckEngine, root: Path) -> None:
    """A table that was deleted and rebuilt has lower versions than its consumers remember."""
    table = table_of(engine, root, 1)
    with pytest.raises(lake.HistoryGone):
        lake.changes(table, table.version + 1)
    with pytest.raises(lake.HistoryGone):
        lake.open_table(root, table.version + 1)


def test_a_table_built_under_another_contract_since_is_marked(engine: DuckEngine, root: Path) -> None:
    old = table_of(engine, root, 1)
    built = lake.commit(old, overwrite=old.columns, add=numbers(engine, root, 1), progress={lake.BUILT_FROM: 99})
    assert lake.changes(built, old.version).rebuilt
    assert not lake.changes(lake.commit(built, add=numbers(engine, root, 2)), built.version).rebuilt


# -- partition values

ODD_TEXTS = [
    "plain",
    "a b",
    "a/b",
    "50%",
    "%2F",
    "it's",
    '"q"',
    "a\\b",
    "a=b",
    "a+b&c",
    "a#b?c",
    "a:b",
    "..",
    "*",
    "[x]{y}",
    "tab\tline\nend",
    "Grüße",
    "東京",
    "\U0001f6f6",
    "line\u2028separator",
    "null",
    "true",
    "2024-01-01",
    None,
]
PARTITION_VALUES: list[tuple[str, Sequence[object]]] = [
    ("VARCHAR", ODD_TEXTS),
    ("BOOLEAN", [True, False, None]),
    ("TINYINT", [-128, 0, 127, None]),
    ("BIGINT", [-(2**63), -1, 2**63 - 1, None]),
    ("DATE", [date(1, 1, 1), date(1969, 12, 31), date(2024, 2, 29), date(9999, 12, 31), None]),
]


@pytest.mark.parametrize(("kind", "values"), PARTITION_VALUES, ids=[kind for kind, _ in PARTITION_VALUES])
def test_partition_values_are_the_same_in_every_reader(
    engine: DuckEngine, root: Path, kind: str, values: Sequence[object]
) -> None:
    rows = ", ".join(f"({at}, {literal(value)}::{kind})" for at, value in enumerate(values))
    table = lake.create(root, {"id": "BIGINT", "p": kind}, ["p"])
    files = engine.write(f"SELECT id::BIGINT AS id, p FROM (VALUES {rows}) v(id, p)", root, ["p"])
    lake.commit(table, add=files)
    now = reopened(root)
    assert all((root / file.path).is_file() for file in now.files)
    assert {(f.path, f.partition["p"]) for f in now.files} == {(f.path, f.partition["p"]) for f in files}
    assert {file.path for file in lake.changes(now, 0).added} == {file.path for file in files}
    expected = list(enumerate(values))
    scan = engine.scan(now)
    assert sorted(engine.rows(f"SELECT id, p FROM {scan}"), key=lambda row: int(row[0])) == expected
    for name, read in OTHER_ENGINES.items():
        assert sorted(read(root).select(["id", "p"]).to_pylist(), key=lambda row: row["id"]) == [
            {"id": at, "p": value} for at, value in expected
        ], name
    for gone in now.files:
        now = lake.commit(now, remove=[gone])
    assert reopened(root).files == ()
    assert lake.changes(now, 0) == lake.Changes((), ())


def dataset(root: Path) -> Any:
    # without its own file system an interpreter that ends may abort
    return DeltaTable(str(root)).to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(str(root), fs.LocalFileSystem()))


def by_query(root: Path, sql: str = "SELECT * FROM t") -> Any:
    return pa.table(QueryBuilder().register("t", DeltaTable(str(root))).execute(sql))


OTHER_ENGINES: dict[str, Callable[[Path], Any]] = {
    "pyarrow": lambda root: dataset(root).to_table(),
    "polars": lambda root: polars.scan_delta(DeltaTable(str(root))).collect().to_arrow(),
    "datafusion": by_query,
}


# -- what other engines skip files by

RANDOM = random.Random(20240229)
START = datetime(1900, 1, 1, tzinfo=UTC)


def anything(kind: str) -> Any:
    """A random value of a type; small ranges and extremes among them."""
    bits = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}.get(kind)
    if bits:
        return RANDOM.choice([RANDOM.randint(-9, 9), RANDOM.randint(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)])
    makers: dict[str, Callable[[], Any]] = {
        "BOOLEAN": lambda: RANDOM.random() < 0.5,
        "FLOAT": lambda: RANDOM.randint(-1000, 1000) / 8,
        "DOUBLE": lambda: RANDOM.choice([RANDOM.uniform(-1, 1), RANDOM.uniform(-1e300, 1e300), -0.0]),
        "DECIMAL(18,2)": lambda: Decimal(RANDOM.randint(-(10**6), 10**6)) / 100,
        "DECIMAL(38,0)": lambda: Decimal(RANDOM.randint(-(10**37), 10**37)),
        "DATE": lambda: START.date() + timedelta(days=RANDOM.randint(-90_000, 90_000)),
        "TIMESTAMP WITH TIME ZONE": lambda: START + timedelta(microseconds=RANDOM.randint(-(10**15), 5 * 10**15)),
        "VARCHAR": lambda: "".join(RANDOM.choices("aAzZ09 é東\U0001f6f6'\"\\%\n", k=RANDOM.choice([0, 1, 5, 80]))),
    }
    return makers[kind]()


@pytest.fixture(scope="module", params=["", "id", "whole"])
def measured(
    engine: DuckEngine, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> lake.Snapshot:
    """Five files of random rows whose ranges do not overlap, NULLs among them; the last file holds nothing else.

    The log tells the bounds of no column, of one without NULL, or of one that it can tell for some files only.
    """
    root = tmp_path_factory.mktemp("measured") / "t"
    kinds = {"id": "BIGINT", **EVERY_TYPE}
    table = lake.create(root, kinds, properties=lake.index(request.param, kinds.get(request.param, "")))
    slices = {name: sorted(anything(kind) for _ in range(60)) for name, kind in EVERY_TYPE.items()}
    for at in range(5):
        values = []
        for nth in range(15):
            row = [None if at == 4 or RANDOM.random() < 0.1 else slices[name][at * 15 + nth] for name in EVERY_TYPE]
            values.append(f"({at * 15 + nth}, {', '.join(map(literal, row))})")
        names = {"id": "BIGINT", **EVERY_TYPE}
        typed = ", ".join(f"{name}::{kind} AS {name}" for name, kind in names.items())
        sql = f"SELECT {typed} FROM (VALUES {', '.join(values)}) v({', '.join(names)})"
        table = lake.commit(table, add=engine.write(sql, root))
    scan = engine.scan(table)
    engine.table("measured", f"FROM {scan}")
    return reopened(root)


COMPARISONS = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}  # both engines' expressions take them


@pytest.mark.parametrize("looked_for", short([2, 4], 1))
@pytest.mark.parametrize(("name", "kind"), EVERY_TYPE.items())
def test_other_engines_skip_no_file_that_holds_a_row_they_look_for(
    engine: DuckEngine, measured: lake.Snapshot, name: str, kind: str, looked_for: int
) -> None:
    root = measured.root
    every = dataset(root)
    frame = polars.scan_delta(DeltaTable(str(root)))
    frames, fields = frame.collect_schema(), every.schema
    query = QueryBuilder().register("t", DeltaTable(str(root)))
    present = sorted(set(engine.values(f"SELECT {name} FROM measured WHERE {name} IS NOT NULL")))
    bounds = {*[present[-1], present[len(present) // 2], present[0], present[len(present) // 4]][:looked_for]}
    wanted: dict[str, tuple[Any, Any]] = {
        f"{name} IS NULL": (pc.field(name).is_null(), polars.col(name).is_null()),
        f"{name} IS NOT NULL": (pc.field(name).is_valid(), polars.col(name).is_not_null()),
    }
    for value in bounds:
        arrow, own = pa.scalar(value, fields.field(name).type), polars.lit(value, dtype=frames[name])
        for sign, compare in COMPARISONS.items() if kind != "BOOLEAN" else [("=", eq), ("<>", ne)]:
            condition = f"{name} {sign} {literal(value)}::{kind}"
            wanted[condition] = compare(pc.field(name), arrow), compare(polars.col(name), own)
    for condition, (in_arrow, in_polars) in wanted.items():
        expected = sorted(engine.values(f"SELECT id FROM measured WHERE {condition}"))
        assert sorted(every.to_table(columns=["id"], filter=in_arrow)["id"].to_pylist()) == expected, condition
        assert sorted(frame.filter(in_polars).select("id").collect()["id"]) == expected, condition
        sql = f"SELECT id FROM t WHERE {condition}".replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
        assert sorted(pa.table(query.execute(sql))["id"].to_pylist()) == expected, condition


@pytest.mark.parametrize(
    ("kind", "values", "bounds"),
    [
        ("BIGINT", [5, -(2**63), 2**63 - 1], (-(2**63), 2**63 - 1)),
        ("TINYINT", [3], (3, 3)),
        ("BIGINT", [5, None], None),
        ("VARCHAR", ["a", "b"], None),
        ("DOUBLE", [1.5], None),
        ("DATE", [date(2024, 3, 1)], None),
    ],
)
def test_the_log_tells_the_bounds_of_the_indexed_column_where_they_are_exact_and_no_row_lacks_it(
    engine: DuckEngine, root: Path, kind: str, values: list[Any], bounds: tuple[int, int] | None
) -> None:
    kinds = {"key": kind, "other": "BIGINT"}
    table = lake.create(root, kinds, properties=lake.index("key", kind))
    files = engine.write(f"SELECT unnest({literal(values)})::{kind} AS key, 7::BIGINT AS other", root)
    lake.commit(table, add=files)
    [line] = [json.loads(line) for line in entry(root, 1).read_text().splitlines() if line.startswith('{"add"')]
    told = json.loads(line["add"]["stats"])
    rows = {"numRecords": len(values)}
    ends = dict(zip(("minValues", "maxValues"), ({"key": end} for end in bounds or ()), strict=False))
    assert told == rows | (ends | {"nullCount": {"key": 0}} if bounds else {})
    [file] = reopened(root).files
    assert file.bounds == ({"key": tuple(map(str, bounds))} if bounds else {})


def test_a_commit_records_the_hash_that_the_writer_of_a_file_found_and_finds_that_of_others(
    engine: DuckEngine, root: Path
) -> None:
    table = lake.create(root, {"id": "BIGINT"}, properties=lake.APPEND_ONLY)
    [hashed], [other] = numbers(engine, root, 1, 2), numbers(engine, root, 3, 4)
    table = lake.commit(table, add=[replace(hashed, sha256="5" * 64), other])
    assert lake.hashes(table) == {hashed.path: "5" * 64, other.path: lake.digest(root / other.path)}


def test_bounds_are_known_after_a_checkpoint_and_compaction_and_of_files_that_came_before_not(
    engine: DuckEngine, root: Path
) -> None:
    table = table_of(engine, root, 1, 2)
    table = lake.set_properties(table, lake.index("id", "BIGINT"))
    table = lake.commit(table, add=numbers(engine, root, 10, 12))
    for _ in range(2):
        assert [file.bounds for file in table.files] == [{"id": ("10", "12")}, {}]
        DeltaTable(str(root)).create_checkpoint()
        table = reopened(root)
    DeltaTable(str(root)).optimize.compact()
    assert [file.bounds for file in reopened(root).files] == [{"id": ("1", "12")}]


@pytest.mark.parametrize("name", ["two words", "a,b", "a.b", 'a"b', "é", ""])
def test_a_column_whose_name_the_property_cannot_carry_is_not_indexed(name: str) -> None:
    assert lake.index(name, "BIGINT") == lake.index("", "")


def test_the_log_counts_the_rows_of_a_file_and_says_no_more(engine: DuckEngine, root: Path) -> None:
    table = lake.create(root, EVERY_TYPE)
    lake.commit(table, add=engine.write(f"SELECT {every_column(EVERY_TYPE)} FROM range(3)", root))
    [line] = [json.loads(line) for line in entry(root, 1).read_text().splitlines() if line.startswith('{"add"')]
    assert json.loads(line["add"]["stats"]) == {"numRecords": 3}


def every_column(columns: Mapping[str, str]) -> str:
    return ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())


def test_other_engines_skip_the_files_of_other_partitions(engine: DuckEngine, root: Path) -> None:
    table = lake.create(root, DAYS, ["day"])
    sql = "SELECT range AS id, DATE '2024-01-01' + range::INT AS day FROM range(5)"
    lake.commit(table, add=engine.write(sql, root, ["day"]))
    assert len(list(dataset(root).get_fragments(filter=pc.field("day") > date(2024, 1, 3)))) == 2


def test_rows_older_than_a_column_are_found_by_its_absence_after_compaction_too(engine: DuckEngine, root: Path) -> None:
    table = table_of(engine, root, 1)
    lake.commit(table, add=numbers(engine, root, 2))
    DeltaTable(str(root)).optimize.compact()
    table = lake.add_columns(reopened(root), {"name": "VARCHAR"})
    lake.commit(table, add=engine.write("SELECT 3::BIGINT AS id, 'c' AS name", root))
    every = dataset(root)
    assert sorted(every.to_table(filter=pc.field("name").is_null())["id"].to_pylist()) == [1, 2]
    assert every.to_table(filter=pc.field("name") == "c")["id"].to_pylist() == [3]


# -- other engines' features


def test_the_protocol_stays_the_one_every_reader_knows(engine: DuckEngine, root: Path) -> None:
    table = lake.create(root, EVERY_TYPE, ["day"], {"delta.appendOnly": "true", "delta.userMetadata": "x"})
    table = lake.add_columns(table, {"late": "VARCHAR"})
    table = lake.set_properties(table, {"version": "2"})
    lake.commit(table, progress={"feed": 1})
    protocol = DeltaTable(str(root)).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


FOREIGN = [
    ("deletionVectors", {"delta.enableDeletionVectors": "true"}, True),
    ("columnMapping", {"delta.columnMapping.mode": "name"}, True),
    ("writer version 4", {"delta.enableChangeDataFeed": "true"}, False),
]


@pytest.mark.parametrize(("feature", "properties", "hides_rows"), FOREIGN)
def test_what_another_engine_switched_on_is_refused_where_it_would_give_wrong_rows(
    engine: DuckEngine, root: Path, feature: str, properties: dict[str, str], hides_rows: bool
) -> None:
    schema = pa.schema([("id", pa.int64())])
    DeltaTable.create(str(root), schema=schema, configuration=properties)
    table = reopened(root)
    if hides_rows:
        with pytest.raises(MachineError, match=f"{feature}.*does not read"):
            _ = table.files
    else:
        assert table.files == ()
    with pytest.raises(MachineError, match=f"{feature}.*does not write"):
        lake.commit(table, add=numbers(engine, root, 1))
    assert reopened(root).version == 0


def test_tables_written_by_others_are_read(engine: DuckEngine, root: Path) -> None:
    txn = CommitProperties(app_transactions=[Transaction("feed", 3)])
    write_deltalake(str(root), pa.table({"id": [2, 1]}), commit_properties=txn)
    table = reopened(root)
    assert (ids(engine, table), table.rows, table.progress("feed")) == ([1, 2], 2, 3)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("DATE", ["DATE '2024-01-01'", "DATE '0900-12-31'", "NULL"]),
        ("VARCHAR", ["'a'", "'a b%20=/'", "'NULL'", "'Ünï'", "NULL", "'__HIVE_DEFAULT_PARTITION__'"]),
        ("BIGINT", ["-7", "9007199254740993", "NULL"]),
        ("INTEGER", ["0", "1"]),
        ("BOOLEAN", ["true", "false"]),
        ("DOUBLE", ["1.5", "1e20"]),
        ("DECIMAL(12,2)", ["1.50", "-2.00"]),
    ],
)
def test_a_version_that_was_committed_is_known_as_it_is_read(
    engine: DuckEngine, root: Path, kind: str, values: list[str]
) -> None:
    """Whatever becomes of it: files are added and removed, in partitions of any kind, with and without new progress."""
    columns = {"id": "BIGINT", "part": kind}
    table = lake.create(root, columns, ["part"], lake.index("id", "BIGINT"))
    assert table.files == ()
    versions = [table]
    for nth, value in enumerate([*values, *values]):
        files = engine.write(f"SELECT {nth} + range AS id, {value}::{kind} AS part FROM range(3)", root, ["part"])
        oldest = versions[-1].files[:1] if nth % 2 else ()
        versions.append(lake.commit(versions[-1], add=files, remove=oldest, progress={f"feed{nth % 3}": nth}))
        if nth == 1:
            versions.append(lake.set_properties(versions[-1], {"version": "2"}))
    for known in versions[1:]:
        read = Snapshot(root, DeltaTable(str(root), version=known.version))
        assert sorted(known.files, key=str) == sorted(read.files, key=str)
        bounds = {file.path: dict(file.bounds) for file in known.files}
        assert bounds == {file.path: dict(file.bounds) for file in read.files}
        for facts in (known, read):
            _ = [facts.progress(f"feed{nth}") for nth in range(4)]
        for name in ("version", "columns", "partition_by", "identity", "properties", "rows", "size", "_progress"):
            assert getattr(known, name) == getattr(read, name)
        assert known._table.version() == known.version


def test_progress_of_a_table_made_here_is_known_without_the_library_and_that_of_many_inputs_is_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = DeltaTable.transaction_version

    def traced(table: DeltaTable, app_id: str) -> int | None:
        asked.append(app_id)
        return ask(table, app_id)

    monkeypatch.setattr(DeltaTable, "transaction_version", traced)
    table = lake.create(root, DAYS, progress={"feed": 1, "other": 2}, info={"run_id": "r"})
    assert (log.commit_info(root, 0)["run_id"], reopened(root)) == ("r", table)
    table = lake.commit(table, progress={"feed": 3})
    assert [table.progress(name) for name in ("feed", "other", "none")] == [3, 2, None]
    again = Snapshot.of_facts(root, json.loads(json.dumps(table.facts())))
    assert [again.progress(name) for name in ("feed", "other", "never")] == [3, 2, None] and not asked
    table = lake.commit(table, progress={f"file{nth}": nth for nth in range(40)})
    assert [table.progress(name) for name in ("feed", "file7", "none")] == [3, 7, None] and asked == ["file7"]
    assert len(table.facts()["progress"]) < 40, "what is kept of a table of many files grows with these"


def test_the_first_rows_of_a_table_replace_nothing_and_other_columns_do(engine: DuckEngine, root: Path) -> None:
    table = lake.create(root, {"id": "BIGINT"})
    first = lake.commit(table, add=numbers(engine, root, 1), overwrite={"id": "BIGINT"}, progress={"feed": 1})
    assert not any("metaData" in action for action in log.entry(root, 1)) and ids(engine, first) == [1]
    assert first.progress("feed") == 1 and first.version == reopened(root).version == 1
    files = engine.write("SELECT 'a' AS name", root)
    other = lake.commit(lake.create(root.with_name("b"), {"id": "BIGINT"}), overwrite={"name": "VARCHAR"})
    assert other.columns == {"name": "VARCHAR"}
    assert lake.commit(first, add=files, overwrite={"name": "VARCHAR"}).columns == {"name": "VARCHAR"}


# -- crashes, power losses, full disks, damage


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were forced to disk, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def traced(handle: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", traced)
    return paths


def test_a_created_table_is_on_disk_with_every_folder_above_it(tmp_path: Path, root: Path, synced: list[str]) -> None:
    lake.create(root, {"id": "BIGINT"})
    log = root / "_delta_log"
    needed = {entry(root, 0), log, root, root.parent, root.parent.parent, tmp_path}
    assert {str(path) for path in needed} <= set(synced)


def test_every_file_and_log_entry_of_a_commit_is_on_disk_when_it_returns(
    engine: DuckEngine, root: Path, synced: list[str]
) -> None:
    table = lake.create(root, DAYS, ["day"], {"delta.checkpointInterval": "1"})
    files = engine.write("SELECT range AS id, DATE '2024-01-01' + range::INT AS day FROM range(3)", root, ["day"])
    synced.clear()
    now = lake.commit(table, add=files)
    log = root / "_delta_log"
    checkpoint = log / f"{now.version:020d}.checkpoint.parquet"
    assert checkpoint.exists()
    data = [root / file.path for file in files]
    needed = {*data, *(path.parent for path in data), root, log, entry(root, now.version), checkpoint}
    assert {str(path) for path in needed} <= set(synced)
    # data, and the folders that name it, before the entry that refers to it
    last_of_data = max(synced.index(str(path)) for path in {*data, *(path.parent for path in data)})
    assert last_of_data < synced.index(str(entry(root, now.version)))


@pytest.mark.parametrize("change", ["add_columns", "set_properties", "progress"])
def test_every_other_change_is_on_disk_too(root: Path, synced: list[str], change: str) -> None:
    table = lake.create(root, {"id": "BIGINT"})
    synced.clear()
    if change == "add_columns":
        lake.add_columns(table, {"name": "VARCHAR"})
    elif change == "set_properties":
        lake.set_properties(table, {"version": "2"})
    else:
        lake.commit(table, progress={"feed": 1})
    assert {str(entry(root, 1)), str(root / "_delta_log")} <= set(synced)


def test_a_commit_whose_data_cannot_be_forced_to_disk_publishes_nothing(
    engine: DuckEngine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(engine, root, 1)
    files = numbers(engine, root, 2)

    def refuses(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched, pytest.raises(MachineError, match="input/output error"):
        patched.setattr(os, "fsync", refuses)
        lake.commit(table, add=files)
    assert reopened(root).version == table.version


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """As if the disk filled up: no file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_leaves_the_last_version_and_a_later_commit_succeeds(
    engine: DuckEngine, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = table_of(engine, root, 1)
    files = numbers(engine, root, 2)
    changes: list[Callable[[], lake.Snapshot]] = [
        lambda: lake.commit(table, add=files, remove=table.files, progress={"feed": 2}),
        lambda: lake.add_columns(table, {"name": "VARCHAR"}),
        lambda: lake.set_properties(table, {"version": "2"}),
    ]
    for change in changes:
        with no_room(64), pytest.raises(MachineError, match="no space left"):
            change()
        now = reopened(root)
        assert (now.version, ids(engine, now), now.progress("feed")) == (table.version, [1], 1)
    now = lake.commit(reopened(root), add=files, progress={"feed": 2})
    assert (ids(engine, now), now.progress("feed")) == ([1, 2], 2)
    capfd.readouterr()  # the Delta library says on stderr what it also raises


DAMAGES = [
    ("cut off", lambda text: text[: len(text) // 2]),
    ("filled with zeros", lambda text: b"\0" * len(text)),
    ("not text", lambda text: text.replace(b"commitInfo", b"\xff\xfe")),
]


@pytest.mark.parametrize(("how", "damage"), DAMAGES, ids=[how for how, _ in DAMAGES])
def test_a_damaged_log_entry_is_said_to_be_damaged(engine: DuckEngine, root: Path, how: str, damage: Any) -> None:
    old = table_of(engine, root, 1)
    now = lake.commit(old, add=numbers(engine, root, 2))
    path = entry(root, now.version)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MachineError, match="damaged table") as told:
        lake.open_table(root)
    assert "make check" in str(told.value)
    with pytest.raises(MachineError, match="damaged table"):
        lake.changes(now, old.version)


def test_a_hole_in_the_log_is_damage(engine: DuckEngine, root: Path) -> None:
    table = table_of(engine, root, 1)
    lake.commit(table, add=numbers(engine, root, 2))
    entry(root, 1).unlink()
    with pytest.raises(MachineError, match="damaged table"):
        lake.open_table(root)


def test_a_data_file_that_is_missing_or_cut_off_is_named_when_it_is_read(engine: DuckEngine, root: Path) -> None:
    table = table_of(engine, root, 1)
    [file] = table.files
    path = root / file.path
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BoathouseError, match=path.name):
        ids(engine, reopened(root))
    path.unlink()
    with pytest.raises(BoathouseError, match=path.name):
        ids(engine, reopened(root))


def test_a_table_whose_creation_was_killed_before_its_first_entry_is_not_there_and_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "t" / "_delta_log").mkdir(parents=True)
    assert lake.open_table(tmp_path / "t") is None
    assert lake.create(tmp_path / "t", {"a": "BIGINT"}).version == 0


@pytest.mark.parametrize("interval", ["3", "1000"], ids=["with a checkpoint", "without"])
def test_all_progress_read_at_once_is_what_the_table_says_one_by_one(
    engine: DuckEngine, root: Path, interval: str
) -> None:
    table = lake.create(root, {"id": "BIGINT"}, properties={"delta.checkpointInterval": interval})
    for at in range(8):
        table = lake.commit(table, progress={f"file:{at}": 1, "again": at, "early" if at < 2 else "late": at})
    for version in (4, table.version):
        then = lake.open_table(root, version)
        assert then is not None
        checkpoint, later = lake.progress_log(root, version)
        assert (checkpoint is not None) == (interval == "3")
        sql = f"SELECT txn.appId, txn.version FROM read_parquet({literal(checkpoint)}) WHERE txn IS NOT NULL"
        found = (dict(engine.rows(sql)) if checkpoint else {}) | later
        assert len(found) == version + (3 if version > 2 else 2)
        assert found == {name: then.progress(name) for name in found}


def test_progress_whose_log_entries_are_gone_is_not_made_up(engine: DuckEngine, root: Path) -> None:
    table = lake.commit(lake.create(root, {"id": "BIGINT"}), progress={"file:1": 1})
    (root / "_delta_log" / f"{0:020d}.json").unlink()
    with pytest.raises(lake.HistoryGone):
        lake.progress_log(root, table.version)


# -- rows that Python holds

SCALARS: dict[str, tuple[object, ...]] = {
    "VARCHAR": ('Ann\'s "ü" 🚤\n', "", "2024-01-31", date(2024, 1, 31), datetime(2024, 1, 31, 1, 2, 3, tzinfo=UTC)),
    "BOOLEAN": (True, False),
    "BIGINT": (0, -1, 2**63 - 1, -(2**63)),
    "DOUBLE": (0.1, -0.0, 1e300, 5e-324, float("inf"), 3),
    "DATE": (date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)),
    "TIMESTAMP WITH TIME ZONE": (
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-5))),
        datetime(2024, 1, 31, 12),
    ),
    "DECIMAL(18,6)": (Decimal("0"), Decimal("-1.5"), Decimal("1E-6"), Decimal("999999999999.999999")),
}


@pytest.mark.parametrize("kind", SCALARS)
def test_rows_that_python_holds_are_stored_as_the_engine_reads_them(
    engine: DuckEngine, root: Path, tmp_path: Path, kind: str
) -> None:
    values = (*SCALARS[kind], None)
    table = lake.create(root, {"nth": "BIGINT", "value": kind})
    rows = [[nth, value] for nth, value in enumerate(values)]
    table = lake.commit(table, add=lake.write_rows(root, table.columns, rows, tmp_path))
    by_engine = ", ".join(f"({nth}, {_sql(value)}::{kind})" for nth, value in enumerate(values))
    expected = engine.rows(f"SELECT nth, value, value::VARCHAR FROM (VALUES {by_engine}) AS v(nth, value) ORDER BY nth")
    assert engine.rows(f"SELECT nth, value, value::VARCHAR FROM {engine.scan(table)} ORDER BY nth") == expected
    assert engine.columns(f"SELECT * FROM read_parquet({literal([root / file.path for file in table.files])})") == {
        "nth": "BIGINT",
        "value": kind,
    }
    assert DeltaTable(root).to_pyarrow_table().num_rows == len(values) == table.rows


def _sql(value: object) -> str:
    return literal(
        value.isoformat()
        if isinstance(value, date)
        else value
        if isinstance(value, float)
        else str(value)
        if value is not None
        else None
    )


def test_a_value_that_its_column_cannot_hold_is_no_null(root: Path, tmp_path: Path) -> None:
    columns = {"value": "DECIMAL(18,6)"}
    table = lake.create(root, columns)
    with pytest.raises(DataError, match="no DECIMAL"):
        lake.write_rows(root, columns, [[Decimal(10) ** 15]], tmp_path)
    assert sorted(path.name for path in root.iterdir()) == ["_delta_log"] and table.rows == 0


# -- what is opened again


def test_a_log_is_read_once_as_long_as_nobody_writes(engine: DuckEngine, root: Path) -> None:
    table = table_of(engine, root, 1)
    assert reopened(root) is reopened(root) is table
    DeltaTable(str(root)).alter.set_table_properties({"delta.appendOnly": "false"})  # another process
    assert reopened(root).version == table.version + 1
    assert reopened(root).properties["delta.appendOnly"] == "false"


def test_a_snapshot_stays_at_its_version_when_a_commit_was_made_through_it(engine: DuckEngine, root: Path) -> None:
    before = table_of(engine, root, 1)
    after = lake.commit(before, add=numbers(engine, root, 2), progress={"feed": 2})
    assert (ids(engine, before), before.progress("feed")) == ([1], 1)
    assert (ids(engine, after), after.progress("feed")) == ([1, 2], 2)
    again = lake.set_properties(after, {"delta.appendOnly": "true"})
    assert "delta.appendOnly" not in after.properties
    assert again.properties["delta.appendOnly"] == "true"
    assert reopened(root) is again


def test_a_table_made_anew_in_its_place_is_not_taken_for_the_one_before(engine: DuckEngine, root: Path) -> None:
    first = table_of(engine, root, 1)
    shutil.rmtree(root)
    assert lake.open_table(root) is None
    second = table_of(engine, root, 2)
    assert (second.version, ids(engine, reopened(root))) == (first.version, [2])
    assert reopened(root).identity != first.identity


def test_what_another_writer_commits_between_a_commit_and_its_reading_is_seen(
    engine: DuckEngine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, durable = table_of(engine, root, 1), log.make_durable

    def late(place: Path, versions: range) -> None:
        durable(place, versions)
        DeltaTable(str(root)).alter.set_table_properties({"delta.appendOnly": "false"})

    monkeypatch.setattr(log, "make_durable", late)
    ours = lake.commit(table, add=numbers(engine, root, 2))
    assert reopened(root).version == ours.version + 1
