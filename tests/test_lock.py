"""One run at a time: the second is told who is there, and a killed one frees the lake and is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import ROOT, Lake

from src.errors import LockedError, MachineError
from src.run import lock

NOON = datetime(2026, 3, 27, 12, tzinfo=UTC)

HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from src.run import lock
since = datetime(2026, 3, 27, 6, tzinfo=UTC)
with lock.lock_lake(Path(sys.argv[1]), command="make pipeline DOMAIN=shop", run_id="run-1", now=since):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process that holds the lake until its stdin is closed or it is killed."""
    command = [sys.executable, "-c", HOLDER, str(data)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def content(data: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def holding(data: Path) -> lock.Holder | None:
    """Hold the lake for a moment; who died before that."""
    with lock.lock_lake(data, command="make vacuum", run_id="run-2", now=NOON) as dead:
        return dead


def test_the_second_is_told_who_holds_the_lake_since_when_and_writes_nothing(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        before = content(tmp_path)
        with pytest.raises(LockedError) as told:
            holding(tmp_path)
        assert content(tmp_path) == before
    assert told.value.exit_code == 8
    assert f"make pipeline DOMAIN=shop (process {process.pid} on " in told.value.what
    assert "since 2026-03-27T06:00:00+00:00" in told.value.what


def test_a_holder_that_ends_lets_go_and_is_not_taken_for_dead(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.communicate()
        assert process.returncode == 0
        assert holding(tmp_path) is None
    assert holding(tmp_path) is None


def test_a_killed_holder_frees_the_lake_and_is_named_once(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        process.kill()
        process.wait()
    dead = holding(tmp_path)
    assert dead and (dead.pid, dead.run_id, dead.since) == (process.pid, "run-1", "2026-03-27T06:00:00+00:00")
    assert holding(tmp_path) is None


def test_a_holder_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.lock_lake(tmp_path, command="make pipeline", run_id="run-1", now=NOON):
        _ = 1 / 0
    assert holding(tmp_path) is None


def test_one_process_cannot_hold_the_lake_twice(tmp_path: Path) -> None:
    with lock.lock_lake(tmp_path, command="make pipeline", run_id="run-1", now=NOON):
        with pytest.raises(LockedError, match="make pipeline"):
            holding(tmp_path)
        with pytest.raises(LockedError, match="make pipeline"):  # the first refusal took nothing away
            holding(tmp_path)


def test_a_run_that_is_just_starting_has_no_name_yet(tmp_path: Path) -> None:
    with another_process(tmp_path):
        (tmp_path / ".holder.json").unlink()
        with pytest.raises(LockedError, match="just starting or ending"):
            holding(tmp_path)


@pytest.mark.parametrize("card", ["", "{", "[]", "null", '{"pid": 1}', '{"pid": 1, "unknown": 2}'])
def test_a_card_that_cannot_be_read_names_nobody_and_stops_nobody(tmp_path: Path, card: str) -> None:
    (tmp_path / ".holder.json").write_text(card, encoding="utf-8")
    assert holding(tmp_path) is None


def test_a_lake_that_cannot_be_written_is_a_machine_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the lake should be", encoding="utf-8")
    for data in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(MachineError, match=r"exists|not a directory"):
            holding(data)


# -- as a run meets it


def test_a_run_that_finds_another_one_changes_nothing(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    with another_process(lake.data):
        before = content(lake.data)
        with pytest.raises(LockedError):
            lake.run()
        assert content(lake.data) == before
    lake.good()
    assert lake.rows("SELECT order_id FROM silver.shop.orders") == [(1,)]


def test_the_run_after_a_killed_one_records_that_it_died(lake: Lake) -> None:
    lake.shop()
    with another_process(lake.data) as process:
        process.kill()
        process.wait()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n")
    lake.good()
    lake.good()
    recorded = lake.rows(
        "SELECT run_id, status, error_message FROM ops.pipeline_runs WHERE error_class = 'interrupted'"
    )
    [(run_id, status, message)] = recorded
    assert (run_id, status) == ("run-1", "failed")
    assert f"make pipeline DOMAIN=shop (process {process.pid} on " in message
