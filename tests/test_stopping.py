"""Ctrl-C and TERM, and lines that cannot be printed: neither leaves anything half-done, nor an exit code that lies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DAILY, ROOT, Lake

HEADER = "order_id,day,amount,updated\n"
ENDLESS = "(SELECT count(*) FROM range(100000000000000) t(i) WHERE hash(i) = 3)"


def start(lake: Lake, *argv: str, out: int = subprocess.PIPE, **environ: str) -> subprocess.Popen[bytes]:
    settings = {"SETTLE_SECONDS": "0", "PATH": os.environ["PATH"], "HOME": str(lake.root)} | environ
    command = [sys.executable, "main.py", "--project", str(lake.root), *argv]
    return subprocess.Popen(command, cwd=ROOT, env=settings, stdout=out, stderr=subprocess.PIPE)


def ended(lake: Lake, *argv: str, out: int = subprocess.PIPE, **environ: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    process = start(lake, *argv, out=out, **environ)
    said, complaint = process.communicate()
    return process.returncode, (said or b"").decode(), complaint.decode()


def shop(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", HEADER + "1,2024-01-01,10,1\n")


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "TERM", 143)])
def test_a_stopped_run_says_so_in_one_line_begins_nothing_more_and_the_next_run_finishes(
    lake: Lake, number: signal.Signals, name: str, code: int
) -> None:
    shop(lake)
    lake.write("gold/shop/daily.sql", DAILY.replace("GROUP BY", f"WHERE amount >= {ENDLESS} GROUP BY"))
    after = lake.root / "src/gold/shop/contract.yaml"
    daily = after.read_text().partition("schema:\n")[2]
    after.write_text(after.read_text() + daily.replace("daily", "later"))
    # it needs the one before it: else it goes beside that one where there are two cores
    lake.write("gold/shop/later.sql", "SELECT day, orders, amount FROM gold.shop.daily")
    with start(lake, "run", LOG_LEVEL="INFO") as process:
        try:
            assert process.stderr
            while line := process.stderr.readline():
                if b"silver.shop.orders" in line:
                    break
            time.sleep(0.3)  # the engine is in the model by then; wherever it is, the outcome is the same
            process.send_signal(number)
            said = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()  # a model without end must not outlive its test
    assert process.returncode == code
    stopped = f"stopped by {name}: nothing half-written is visible, the next run finishes the work"
    assert said == f"✗ Pipeline Failed: {stopped}\n"
    assert not (lake.data / "gold/shop/later").exists()
    lake.write("gold/shop/daily.sql", DAILY)
    lake.good()
    assert lake.rows("SELECT orders FROM gold.shop.daily UNION ALL SELECT orders FROM gold.shop.later") == [(1,), (1,)]
    failed = "SELECT error_class FROM ops.pipeline_runs WHERE status = 'failed'"
    assert lake.rows(failed) == [("interrupted",)]


def test_a_stop_that_a_library_takes_for_an_error_of_its_own_is_still_a_stop() -> None:
    code = """
import os, signal
from src import stopping
from src.run.runs import _attempt
def work():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise RuntimeError("Query interrupted")
with stopping.heeded():
    try:
        _attempt("silver.shop.orders", work)
    except KeyboardInterrupt:
        print(stopping.exit_code())
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "143\n"


def test_a_stop_while_programs_load_gives_one_line_and_no_traceback() -> None:
    code = "import os, signal; from src import stopping; stopping.at_once(); os.kill(os.getpid(), signal.SIGINT)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "stopped by Ctrl-C: nothing was begun\n")


def test_garbage_is_looked_for_once_a_command_begins_and_not_while_programs_load(lake: Lake) -> None:
    code = "import gc, sys; from src import stopping; stopping.at_once(); before = gc.isenabled(); import main; "
    code += "main.main(['plan']); print(before, gc.isenabled())"
    shop(lake)
    environ = os.environ | {"PROJECT_DIR": str(lake.root)}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "False True"


def test_a_reader_that_goes_away_stops_no_run(lake: Lake) -> None:
    shop(lake)
    read, write = os.pipe()
    os.close(read)
    code, _, complaint = ended(lake, "run", out=write)
    os.close(write)
    assert (code, "Traceback" in complaint) == (0, False)
    assert lake.rows("SELECT orders FROM gold.shop.daily") == [(1,)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_below_what_is_printed_fails_a_query_and_no_run(lake: Lake) -> None:
    shop(lake)
    full = os.open("/dev/full", os.O_WRONLY)
    assert ended(lake, "run", out=full)[0] == 0
    assert lake.rows("SELECT orders FROM gold.shop.daily") == [(1,)]
    code, _, complaint = ended(lake, "query", "SELECT * FROM gold.shop.daily", "--format", "csv", out=full)
    os.close(full)
    assert (code, "no space left" in complaint) == (5, True)


def test_a_terminal_without_the_tick_gets_what_it_can_show_and_a_program_gets_utf_8(lake: Lake) -> None:
    shop(lake)
    code, out, _ = ended(lake, "run", PYTHONIOENCODING="latin-1")
    assert (code, "\\u2713 Pipeline Finished" in out) == (0, True)
    sql = "SELECT '✓' AS tick, count(*) AS n FROM gold.shop.daily"
    assert ended(lake, "query", sql, PYTHONIOENCODING="latin-1")[1].split()[-2:] == ["\\u2713", "1"]
    assert ended(lake, "query", sql, "--format", "csv", PYTHONIOENCODING="latin-1")[1] == "tick,n\n✓,1\n"


def test_control_characters_of_landed_values_reach_no_terminal_and_no_log(lake: Lake) -> None:
    lake.shop()
    updated = "      - {name: updated"
    lake.edit("silver/shop/orders.yaml", updated, f"      - {{name: note, logicalType: string}}\n{updated}")
    evil = "\x1b]0;title\x07\u202e\x9b2J"
    rows = f"1,2024-01-01,10,1,{evil}\n2,2024-01-01,{evil},1,\n"
    lake.land("shop/orders/1.csv", f"order_id,day,amount,updated,note\n{rows}")
    lake.land(f"shop/orders/{evil}.csv", "no,columns,that\n")
    lake.land(f"nowhere/{evil}.csv", "a\n")
    looks = (
        ("run",),
        ("query", "SELECT note FROM silver.shop.orders"),
        ("quarantine", "show", "--table", "silver.shop.orders"),
    )
    text = "".join("".join(ended(lake, *look)[1:]) for look in looks) + (lake.root / "logs/app.log").read_text()
    assert "\\x1b]0;title\\x07\\u202e\\x9b2J" in text
    assert [character for character in text if character in "\x1b\x07\x9b\u202e"] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('src/silver/shop/orders.yaml')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT d.*, r.content FROM gold.shop.daily d, read_blob('/etc/hostname') r",
        "SELECT * FROM read_csv('https://example.invalid/x.csv')",
    ],
)
def test_a_query_reads_the_lake_and_nothing_else(lake: Lake, sql: str) -> None:
    shop(lake)
    lake.good()
    code, out, complaint = ended(lake, "query", sql)
    assert (code, out) == (2, "")
    assert "a query reads the tables of the lake and nothing else" in complaint


def test_a_query_sees_no_variable_of_the_program_and_no_file_by_its_name(lake: Lake) -> None:
    shop(lake)
    lake.good()
    for name in ("found", "'src/silver/shop/orders.yaml'"):
        assert ended(lake, "query", f"SELECT * FROM {name}")[0] == 2


@pytest.mark.parametrize(
    "thread", ["", "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start(); "]
)
def test_a_process_leaves_with_its_code_after_its_last_words_and_its_threads(thread: str) -> None:
    code = "import atexit, threading, time; from src import stopping; atexit.register(print, 'last'); "
    code += f"print('first'); {thread}stopping.leave(3)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    words = ["first", "thread", "last"] if thread else ["first", "last"]
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (3, words, "")
