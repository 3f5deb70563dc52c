"""Every read by a person is recorded once: who, which columns of which tables, how it ended; no value of a row is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Lake

from src import lake as delta
from src import reads, records, spool
from src.engine import pattern
from src.engine.duck import DuckEngine
from src.errors import BoathouseError
from src.masking.reader import system_user
from src.project import open_engine
from src.reads import Readable
from src.reads.recording import recorded
from src.reads.statement import columns_of

HEAD = "order_id,day,amount,updated\n"
ORDERS = "silver.shop.orders"
DAILY = "gold.shop.daily"
MANY = Readable({ORDERS: ("order_id", "day", "amount"), DAILY: ("day", "orders", "amount")}, {}, 0)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Lake(tmp_path_factory.mktemp("built")).shop()
    made.land("shop/orders/1.csv", HEAD + "1,2024-01-01,10,1\n2,2024-01-02,20,1\n")
    made.good()
    return made.root


def spooled(lake: Lake) -> list[dict[str, Any]]:
    found = [line for lines in spool.lines(lake.data / ".access").values() for line in lines]
    return sorted(found, key=lambda line: str(line["moment"]))


def query(lake: Lake, sql: str, *args: str) -> dict[str, Any]:
    """The record of a query, which may fail."""
    with suppress(BoathouseError):
        lake.command("query", sql, *args)
    return spooled(lake)[-1]


def fold(lake: Lake) -> int:
    with open_engine(lake.settings) as engine:
        return reads.fold(engine, lake.data)


def count(lake: Lake) -> int:
    return int(lake.rows("SELECT count(*) FROM ops.access")[0][0])


# -- what is recorded


def test_a_query_is_recorded_with_its_user_tables_columns_rows_and_bytes(shop: Lake) -> None:
    found = query(shop, f"SELECT amount FROM {ORDERS} WHERE order_id > 0")
    assert (found["user"], found["kind"], found["failed"]) == (system_user(), "query", False)
    assert json.loads(found["tables"]) == [ORDERS]
    assert json.loads(found["columns"]) == {ORDERS: ["amount", "order_id"]}
    table = delta.open_table(delta.table_path(shop.data, ORDERS))
    assert table is not None
    assert (found["rows"], found["bytes"]) == (2, table.size)
    assert 0 < found["seconds"] < 60
    exported = query(shop, f"SELECT * FROM {DAILY}", "--output", str(shop.root / "a.csv"))
    assert (exported["kind"], exported["rows"]) == ("export", 2)
    assert json.loads(exported["columns"]) == {DAILY: ["amount", "day", "orders"]}


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        (f"SELECT * FROM {ORDERS}", {ORDERS: {"order_id", "day", "amount"}}),
        (f"SELECT count(*) FROM {ORDERS}", {ORDERS: set()}),
        (f"SELECT o.day FROM {ORDERS} o JOIN {DAILY} d USING (day)", {ORDERS: {"day"}, DAILY: {"day"}}),
        (f"WITH x AS (SELECT * FROM {ORDERS}) SELECT day FROM x", {ORDERS: {"day"}, DAILY: set()}),
        (f"SELECT 1 FROM {DAILY} ORDER BY orders", {DAILY: {"orders"}}),
        (f"SELECT d FROM {DAILY} d", {DAILY: {"day", "orders", "amount"}}),
    ],
)
def test_the_columns_that_a_statement_reads_are_those_of_its_tree(sql: str, columns: dict[str, set[str]]) -> None:
    engine = DuckEngine(memory_limit="100MB", threads=1, spill=Path("spill"))
    found = columns_of(engine, sql, MANY)
    assert {table: names for table, names in found.items() if table in columns} == columns


def test_a_view_is_recorded_as_the_tables_below_it() -> None:
    engine = DuckEngine(memory_limit="100MB", threads=1, spill=Path("spill"))
    views = {"ops.a": f"SELECT day AS d, amount FROM {ORDERS}", "ops.b": "SELECT d AS e, amount AS f FROM ops.a"}
    readable = Readable({ORDERS: ("order_id", "day", "amount")}, views, 0)
    assert columns_of(engine, "SELECT e FROM ops.b", readable) == {ORDERS: {"day"}}
    assert columns_of(engine, "SELECT * FROM ops.b", readable) == {ORDERS: {"day", "amount"}}


def test_a_read_that_fails_is_recorded_with_its_error(shop: Lake) -> None:
    unknown = query(shop, "SELECT * FROM silver.shop.none")
    assert (json.loads(unknown["tables"]), unknown["failed"]) == (["silver.shop.none"], True)
    assert (unknown["rows"], unknown["error"]) == (None, "no table silver.shop.none")
    assert query(shop, "SELEC 1")["error"].startswith("the SQL does not parse")
    assert query(shop, f"SELECT nothing FROM {ORDERS}")["error"] == "no column nothing"
    assert query(shop, f"SELECT * FROM {ORDERS}", "--output", str(shop.root / "a.txt"))["error"] == "no format of a.txt"


def test_no_value_of_a_statement_or_a_row_is_recorded(shop: Lake) -> None:
    for sql in (
        f"SELECT 'Ann Lee' AS \"Bob Ray\", 4711 FROM {ORDERS} WHERE day = DATE '1990-05-17' -- Cid Fox",
        f'SELECT "Bob Ray" FROM {ORDERS}',
        f"SELECT error('Ann Lee' || amount) FROM {ORDERS}",
        f"SELECT 'Ann Lee'::INT + amount FROM {ORDERS}",
        f"SELECT error(strftime(day, '%B')) FROM {ORDERS}",
        "SELECT 'Ann Lee",
        "SELECT 4711 4711 'Ann Lee'",
        'SELECT * FROM "Bob Ray"."Ann Lee"',
        "SELECT $$Ann Lee$$ FRM",
    ):
        query(shop, sql)
    text = json.dumps(spooled(shop))
    assert [one for one in ("Ann", "Bob", "Cid", "4711", "1990", "January") if one in text] == []


def test_no_secret_of_the_settings_is_recorded(shop: Lake) -> None:
    (shop.root / ".env").write_text("SOURCE_SHOP_TOKEN=hunter2hunter2\n")
    query(shop, f"SELECT hunter2hunter2 FROM {ORDERS}")
    text = json.dumps(spooled(shop))
    assert "hunter2" not in text and "***" in text


def test_a_pattern_is_the_same_for_other_literals_blanks_and_cases_of_keywords() -> None:
    assert pattern("select a from b.c.d where x in (1, 2,'u') and y > 0xFF -- z\n;") == (
        "select a from b.c.d where x in(?) and y > ?"
    )
    assert pattern("SELECT  a\nFROM b.c.d WHERE x IN (3)  AND y>?;") == "select a from b.c.d where x in(?) and y > ?"
    assert pattern('SELECT "Order Id", "Ann" FROM t', {"order id"}) == 'select "Order Id", ? from t'


def test_the_class_of_a_column_is_recorded_also_of_the_files_it_comes_from(shop: Lake) -> None:
    path = shop.root / "src/silver/shop/orders.yaml"
    text = path.read_text()
    assert text.count("{name: amount, ") == 1
    path.write_text(text.replace("{name: amount, ", "{name: amount, classification: pii, "))
    silver = query(shop, f"SELECT amount, day FROM {ORDERS}")
    assert json.loads(silver["classified"]) == {f"{ORDERS}.amount": "pii"}
    bronze = query(shop, "SELECT * FROM bronze.shop.orders")
    assert json.loads(bronze["classified"]) == {"bronze.shop.orders.amount": "pii"}
    path.write_text("no contract")
    assert json.loads(query(shop, f"SELECT amount FROM {ORDERS}")["classified"]) == {}
    path.write_text(text)


def test_no_contract_is_loaded_where_none_of_the_domains_says_a_class(
    shop: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr("src.reads.recording.contract.load", loaded.append)
    with recorded(shop.settings, "query", "ann") as reading:
        reading.of_table(ORDERS, ["amount"])
    assert loaded == []


def test_a_read_goes_on_where_it_cannot_be_recorded(shop: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    (shop.data / ".access").write_text("no folder")
    assert shop.command("query", f"SELECT count(*) FROM {ORDERS}", "--format", "csv") == 0
    shown = capsys.readouterr()
    assert "2" in shown.out
    assert shown.err.startswith("warning: what is read here is not recorded: ") and shown.err.count("\n") == 1
    shop.command("query", f"SELECT count(*) FROM {ORDERS}")
    assert capsys.readouterr().err == ""
    (shop.data / ".access").unlink()


def test_a_run_records_no_read_and_stores_those_of_people(shop: Lake) -> None:
    query(shop, f"SELECT * FROM {DAILY}")
    shop.good()
    assert spooled(shop) == []
    assert shop.rows('SELECT kind, "user" FROM ops.access') == [("query", system_user())]
    table = delta.open_table(delta.table_path(shop.data, "ops.access"))
    assert table is not None and table.columns == records.columns_of(reads.Read)


def test_what_is_not_stored_yet_is_seen_and_counted_once(shop: Lake) -> None:
    query(shop, f"SELECT * FROM {DAILY}")
    assert count(shop) == 1  # before there is a table
    fold(shop)
    query(shop, f"SELECT * FROM {ORDERS}")
    assert count(shop) == 2
    assert sorted(shop.rows("SELECT tables FROM ops.access")) == [(f'["{DAILY}"]',), (f'["{ORDERS}"]',)]
    shop.command("query", "SELECT count(*) FROM ops.access")


# -- exactly once


class Killed(BaseException):
    """The end of a process at one step."""


def killed_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, after: bool) -> None:
    real: Callable[..., object] = getattr(owner, name)

    def dying(*args: object, **named: object) -> object:
        if after:
            real(*args, **named)
        raise Killed

    monkeypatch.setattr(owner, name, dying)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["seal", "write_rows", "commit", "remove"])
def test_killed_at_any_step_of_storing_every_read_is_there_once(
    shop: Lake, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    query(shop, f"SELECT * FROM {DAILY}")
    fold(shop)
    query(shop, f"SELECT * FROM {DAILY}")
    owner = spool if step in ("seal", "remove") else delta
    with monkeypatch.context() as patched:
        killed_at(patched, owner, step, after)
        with pytest.raises(Killed):
            fold(shop)
    assert count(shop) == 2
    query(shop, f"SELECT * FROM {DAILY}")
    assert count(shop) == 3
    fold(shop)
    assert (count(shop), spooled(shop)) == (3, [])


def test_a_line_that_is_added_while_a_file_is_taken_is_in_another(shop: Lake) -> None:
    folder = shop.data / ".access"
    query(shop, f"SELECT * FROM {DAILY}")
    [name] = spool.seal(folder)
    query(shop, f"SELECT * FROM {DAILY}")
    assert {file: len(lines) for file, lines in spool.lines(folder).items()} | {name: 1} == dict.fromkeys(
        spool.lines(folder), 1
    )
    assert len(spool.lines(folder)) == 2


def test_a_line_that_was_half_written_spoils_no_other(tmp_path: Path) -> None:
    spool.add(tmp_path, {"n": 1})
    [path] = tmp_path.glob("*.jsonl")
    with open(path, "ab") as file:
        file.write(b'\n{"n": 2, "text": "cut')
    spool.add(tmp_path, {"n": 3})
    assert [line["n"] for lines in spool.seal(tmp_path).values() for line in lines] == [1, 3]


def test_what_somebody_else_writes_into_the_spool_stops_nothing(shop: Lake) -> None:
    query(shop, f"SELECT * FROM {DAILY}")
    [path] = (shop.data / ".access").glob("*.jsonl")
    with open(path, "ab") as file:
        file.write(b'\n[1]\n{"moment": 5}\n\xff\xfe\n{"moment": "2026-01-01T00:00:00+00:00", "rows": "x", "more": 1}\n')
    assert count(shop) == 2
    fold(shop)
    assert shop.rows("SELECT rows FROM ops.access ORDER BY moment") == [(None,), (2,)]


ADDING = """
import sys
from pathlib import Path
from src import spool
for n in range(int(sys.argv[2])):
    spool.add(Path(sys.argv[1]), {"of": sys.argv[3], "n": n, "text": "x" * 9000})
"""


def test_processes_that_add_at_once_lose_no_line_and_cut_none(tmp_path: Path) -> None:
    def started(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ADDING, str(tmp_path), "60", name], cwd=ROOT)

    found: list[dict[str, Any]] = []
    processes = [started(name) for name in "ab"]
    while any(process.poll() is None for process in processes):
        for name, lines in spool.seal(tmp_path).items():
            found += lines
            spool.remove(tmp_path, name)
    found += [line for lines in spool.seal(tmp_path).values() for line in lines]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted((line["of"], line["n"]) for line in found) == [(name, n) for name in "ab" for n in range(60)]
    assert {len(line["text"]) for line in found} == {9000}


FOLDING = """
import sys
from pathlib import Path
from src import reads
from src.project import open_engine
from src.settings import load
settings = load(Path(sys.argv[1]), {})
with open_engine(settings) as engine:
    while True:
        reads.fold(engine, settings.data_dir)
"""


@pytest.mark.long
def test_every_read_is_stored_once_whenever_who_stores_them_is_killed(shop: Lake) -> None:
    added = 0
    for pause in range(25):
        process = subprocess.Popen([sys.executable, "-c", FOLDING, str(shop.root)], cwd=ROOT)
        until = time.monotonic() + 0.4 + pause * 0.037
        while time.monotonic() < until:
            with recorded(shop.settings, "query", "ann") as reading:
                reading.of_table(DAILY, (), 1)
            added += 1
            assert count(shop) == added
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert count(shop) == added
    fold(shop)
    assert (count(shop), spooled(shop)) == (added, [])


def test_no_line_is_added_to_a_file_that_was_taken_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.add(tmp_path, {"n": 1})
    listed = spool._files(tmp_path)
    [taken] = spool.seal(tmp_path)
    spool.remove(tmp_path, taken)  # between the listing and the writing of whoever adds
    with monkeypatch.context() as patched:
        patched.setattr(spool, "_files", lambda folder: listed)
        spool.add(tmp_path, {"n": 2})
    assert taken not in spool.lines(tmp_path)
    assert [line["n"] for lines in spool.lines(tmp_path).values() for line in lines] == [2]


def test_a_file_that_another_process_holds_is_neither_written_nor_sealed(tmp_path: Path) -> None:
    spool.add(tmp_path, {"n": 1})
    [path] = tmp_path.glob("*.jsonl")
    with open(path, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        spool.add(tmp_path, {"n": 2})
        assert [line["n"] for lines in spool.seal(tmp_path).values() for line in lines] == [2]
    assert sorted(line["n"] for lines in spool.seal(tmp_path).values() for line in lines) == [1, 2]


def test_what_is_stored_while_somebody_asks_is_seen_once(shop: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    query(shop, f"SELECT * FROM {DAILY}")
    waiting = spool.lines

    def after_a_fold(folder: Path) -> dict[str, list[dict[str, Any]]]:
        with monkeypatch.context() as patched:
            patched.setattr(spool, "lines", waiting)
            fold(shop)
        return waiting(folder)

    monkeypatch.setattr(spool, "lines", after_a_fold)
    assert count(shop) == 1
