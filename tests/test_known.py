"""What a look knows from the one before is the same as what it would read; and what was changed is read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ORDERS, Lake
from deltalake import DeltaTable

from src import monitors
from src.engine import DuckEngine
from src.lake import known, log, tables
from src.monitors import Findings
from src.project import open_project

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WATCHED = ORDERS.replace(
    'physicalType: "decimal(18,2)", required: true}',
    'physicalType: "decimal(18,2)", required: true, customProperties: [{property: drift, value: psi}]}',
)


@pytest.fixture
def lived(lake: Lake) -> Lake:
    """A shop of two runs, so that its feed has something before its newest file."""
    lake.shop().write("silver/shop/orders.yaml", WATCHED)
    for day in (date(2024, 3, 3), date(2024, 3, 4)):
        rows = "".join(f"{day.day * 10 + at},{day},1.50,1\n" for at in range(5))
        lake.land(f"shop/orders/{day}.csv", f"order_id,day,amount,updated\n{rows}")
        lake.good()
    return lake


def look(lake: Lake) -> Findings:
    with open_project(lake.settings) as project:
        return monitors.evaluate(project, NOON)


def afresh(lake: Lake) -> Findings:
    """What another process finds."""
    tables._newest.clear()
    known._kept.clear()
    known._file.clear()
    log._commits.clear()
    return look(lake)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The questions that the engine was asked."""
    found: list[str] = []
    run = DuckEngine.rows

    def rows(engine: DuckEngine, sql: str) -> list[tuple[object, ...]]:
        found.append(sql)
        return run(engine, sql)

    monkeypatch.setattr(DuckEngine, "rows", rows)
    yield found


def of_bronze(asked: list[str]) -> int:
    found = sum("/bronze/shop/orders/part" in sql for sql in asked)
    asked.clear()
    return found


def unreadable(findings: Findings) -> list[str]:
    return [problem.subject for problem in findings.problems if problem.unreadable]


def a_file(lake: Lake, table: str) -> Path:
    return next(path for path in sorted((lake.data / table).rglob("part-*.parquet")))


def harm(lake: Lake, path: Path) -> None:
    """Change a file in place, with its size and its times as they were."""
    lake.environ["BROKEN_ON_PURPOSE"] = "1"
    facts = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_another_look_finds_the_same_and_asks_nothing_of_a_table_that_is_the_same(
    lived: Lake, asked: list[str]
) -> None:
    first = look(lived)
    assert of_bronze(asked) == 3
    assert look(lived) == first and of_bronze(asked) == 0
    assert afresh(lived) == first and of_bronze(asked) == 0
    shutil.rmtree(lived.data / ".known")
    assert afresh(lived) == first and of_bronze(asked) == 3


def test_what_is_kept_is_written_once_as_long_as_nothing_changes(lived: Lake) -> None:
    look(lived)
    afresh(lived)  # the records of the look's own questions
    written = {file: file.stat().st_mtime_ns for file in (lived.data / ".known").iterdir()}
    afresh(lived)
    look(lived)
    assert {file: file.stat().st_mtime_ns for file in (lived.data / ".known").iterdir()} == written


def test_a_data_file_that_was_changed_in_place_is_read_again_whatever_its_times_say(lived: Lake) -> None:
    assert unreadable(look(lived)) == []
    harm(lived, a_file(lived, "bronze/shop/orders"))
    assert unreadable(look(lived)) == ["bronze.shop.orders"]
    assert unreadable(afresh(lived)) == ["bronze.shop.orders"]


def test_a_data_file_that_is_gone_is_missed(lived: Lake) -> None:
    assert unreadable(look(lived)) == []
    lived.environ["BROKEN_ON_PURPOSE"] = "1"
    a_file(lived, "bronze/shop/orders").unlink()
    assert unreadable(afresh(lived)) == ["bronze.shop.orders"]


@pytest.mark.parametrize("back", [timedelta(0), 400 * DAY], ids=["as it was", "the clock set back"])
def test_a_log_entry_that_was_changed_in_place_is_read_again_whatever_its_times_say(
    lived: Lake, back: timedelta
) -> None:
    assert unreadable(look(lived)) == []
    entry = lived.data / f"silver/shop/orders/_delta_log/{0:020d}.json"
    harm(lived, entry)
    moment = entry.stat().st_mtime_ns - int(back.total_seconds()) * 10**9
    os.utime(entry, ns=(moment, moment))
    assert unreadable(afresh(lived)) == ["silver.shop.orders"]


def test_a_touched_file_costs_a_question_and_changes_nothing(lived: Lake, asked: list[str]) -> None:
    first = look(lived)
    of_bronze(asked)
    a_file(lived, "bronze/shop/orders").touch()
    assert look(lived) == first and of_bronze(asked) == 3


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"form": 0}', '{"form": 2, "tables": {}}', '{"form": 2, "tables": {"silver/shop/orders": []}}'],
)
def test_what_is_kept_and_not_whole_is_as_if_it_were_not_there(lived: Lake, text: str) -> None:
    first = look(lived)
    for file in (lived.data / ".known").iterdir():
        file.write_text(text, encoding="utf-8")
    assert afresh(lived) == first


def test_a_run_and_its_plan_open_no_table_whose_log_is_the_same(lived: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded() -> list[str]:
        tables._newest.clear()
        known._kept.clear()
        known._file.clear()
        found: list[str] = []
        load = tables._load

        def counted(root: Path, version: int | None = None) -> object:
            found.append(root.name)
            return load(root, version)

        with monkeypatch.context() as patched:
            patched.setattr(tables, "_load", counted)
            lived.good()
        return [name for name in found if name in ("orders", "daily")]

    loaded()
    assert loaded() == []
    lived.land("shop/orders/new.csv", "order_id,day,amount,updated\n99,2024-03-04,1.50,1\n")
    assert set(loaded()) == {"orders", "daily"}
    loaded()  # asks what a run with something to do did not
    log_folder = lived.data / "silver/shop/orders/_delta_log"
    harmless = max(log_folder.glob("*.json"))
    harmless.touch()
    assert set(loaded()) == {"orders"}


def test_a_log_that_was_changed_after_it_was_read_is_not_kept(lived: Lake) -> None:
    tables._newest.clear()
    root = lived.data / "silver/shop/orders"
    snapshot = tables.open_table(root)
    assert snapshot and log.state(root, snapshot.read_at)
    (root / "_delta_log" / f"{0:020d}.json").touch()
    assert log.state(root, snapshot.read_at) == "" and log.state(root)


def test_what_a_commit_of_this_process_made_is_kept_unless_another_file_of_its_log_was_changed(tmp_path: Path) -> None:
    root = tmp_path / "silver/shop/made"
    made = tables.create(root, {"a": "BIGINT"})
    followed = tables.commit(tables.commit(made, progress={"x": 1}), progress={"x": 2})
    assert followed.version == 2 and log.state(root, followed.read_at, followed.own) == log.state(root) != ""
    (root / "_delta_log" / f"{1:020d}.json").touch()
    assert log.state(root, followed.read_at, followed.own) == ""


def test_where_nothing_can_be_kept_everything_is_read(lived: Lake, asked: list[str]) -> None:
    shutil.rmtree(lived.data / ".known")
    (lived.data / ".known").write_text("a file in its place", encoding="utf-8")
    first = look(lived)
    of_bronze(asked)
    assert look(lived) == first and of_bronze(asked) == 3


def test_within_one_moment_each_log_is_asked_once_and_after_it_again(lived: Lake) -> None:
    root = lived.data / "silver/shop/orders"
    before = tables.open_table(root)
    assert before
    with tables.one_moment():
        first = tables.open_table(root)
        with tables.one_moment():
            tables.commit(before, progress={"test": 1})
            assert tables.open_table(root) and tables.open_table(root / "none") is None
        seen = tables.open_table(root)
    after = tables.open_table(root)
    assert first and seen and after and first.version == before.version and after.version == before.version + 1


def test_what_a_checkpoint_recorded_is_read_once_as_long_as_it_is_the_same_file(lived: Lake, asked: list[str]) -> None:
    root = lived.data / "bronze/shop/orders"
    DeltaTable(root).create_checkpoint()
    [checkpoint] = (root / "_delta_log").glob("*.checkpoint.parquet")

    def run() -> int:
        """How often it was read."""
        asked.clear()
        assert lived.good().records[-1].records_read == 0
        return sum(checkpoint.name in sql for sql in asked)

    assert (run(), run()) == (1, 0)
    shutil.copy2(checkpoint, copy := checkpoint.with_suffix(".copy"))
    os.replace(copy, checkpoint)
    assert (run(), run()) == (1, 0)
    [kept] = (lived.data / ".known").glob("progress-*.json")
    kept.write_text(kept.read_text("utf-8")[:-9], "utf-8")
    assert (run(), run()) == (1, 0)
    kept.chmod(0o666)  # anybody may have written it
    assert run() == 1
