"""A run that goes on tells what it has done so far; when it is over, its records do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import Lake
from page_site import opened

import main
from src.checks.outcome import Outcome
from src.facts.one_run import read_run
from src.project import open_project, select
from src.run import lock, progress, runs
from src.run.kinds import RunKind
from src.run.recorded import recorded_run
from src.run.runs import Run


def test_a_run_is_seen_step_by_step_while_it_goes_and_from_its_records_then(lake: Lake) -> None:
    lake.shop()
    lake.land("shop/orders/1.csv", "order_id,day,amount,updated\n1,2024-01-01,10,1\n2,2024-01-02,x,1\n")
    seen = []

    def look() -> Outcome:
        with open_project(lake.settings) as other:  # whoever watches has an engine of its own
            seen.append(read_run(other, run.run_id))
        return Outcome()

    with open_project(lake.settings) as project, recorded_run(project, RunKind.PIPELINE, "make pipeline") as run:
        main.carry(project, run, select(project, None))
        run.step("gold.shop.look", look)
    [going] = seen
    assert going and going.own is None and going.going and going.going.command == "make pipeline"
    assert [(step.table_id, step.status, step.records_read, step.quarantined) for step in going.steps] == [
        ("bronze.shop.orders", "success", 2, 0),
        ("silver.shop.orders", "success", 2, 1),
        ("gold.shop.daily", "success", 1, 0),
    ]
    assert going.steps == tuple(run.records[:3])
    assert (going.planned, going.at) == (3, "gold.shop.look")
    with open_project(lake.settings) as project:
        over = read_run(project, run.run_id)
        assert read_run(project, "20240101T000000000-abcdef") is None
    assert over and over.own and over.own.status == "success" and over.going is None
    assert (len(over.steps), over.released) == (4, 4)  # released: the three tables, and the quarantine of one
    assert not (lake.data / ".progress.jsonl").exists()


def test_what_a_dead_run_left_is_not_read(lake: Lake) -> None:
    lake.data.mkdir()
    run = Run("20240101T000000000-abcdef", runs.window(runs.now().date(), None, None), runs.now, "", RunKind.PIPELINE)
    with progress.shown(lake.data, run):
        run.step("gold.shop.daily", Outcome)
        left = (lake.data / ".progress.jsonl").read_text()
    (lake.data / ".progress.jsonl").write_text(left)
    assert progress.read(lake.data, "20240101T000000000-abcdef")
    assert progress.read(lake.data, "20240102T000000000-abcdef") is None
    with open_project(lake.settings) as project:
        assert read_run(project, "20240101T000000000-abcdef") is None  # nobody holds the lake


def test_of_a_run_whose_process_is_gone_one_sees_how_far_it_came(lake: Lake) -> None:
    lake.data.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run = Run("20240101T000000000-abcdef", runs.window(runs.now().date(), None, None), runs.now, "", RunKind.PIPELINE)
    card = lock.Holder(gone.pid, os.uname().nodename, "2024-01-01T00:00:00+00:00", "make pipeline", run.run_id, "ann")
    with progress.shown(lake.data, run):
        run.step("gold.shop.daily", Outcome)
        left = (lake.data / ".progress.jsonl").read_text()
    (lake.data / ".progress.jsonl").write_text(left)
    (lake.data / ".holder.json").write_text(json.dumps(vars(card)))
    with open_project(lake.settings) as project:
        found = read_run(project, run.run_id)
    assert found and found.died and [step.table_id for step in found.steps] == ["gold.shop.daily"]
    site = opened(lake)
    answer = site.get(f"/run/{run.run_id}")
    assert "is gone without a word" in answer.text and "started by ann" in answer.text
    assert "refresh" not in answer.headers
    site.page.look.close()


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    first = json.dumps({"run_id": "r", "planned": 2, "at": "gold.shop.daily", "since": "2024-01-01T00:00:00+00:00"})
    (tmp_path / ".progress.jsonl").write_text(first + '\n{"run_id": "r", "pl')
    found = progress.read(tmp_path, "r")
    assert found and (found.at, found.planned, found.steps) == ("gold.shop.daily", 2, ())


def test_no_run_fails_as_nobody_can_watch_it(tmp_path: Path) -> None:
    run = Run("r", runs.window(runs.now().date(), None, None), runs.now, "", RunKind.PIPELINE)
    (tmp_path / ".progress.jsonl").mkdir()  # so it cannot be written
    with progress.shown(tmp_path, run):
        assert run.step("gold.shop.daily", Outcome).status == "success"
    (tmp_path / ".progress.jsonl").rmdir()
    with progress.shown(tmp_path, run):
        run.watch._file.close()  # type: ignore[union-attr]
        assert run.step("gold.shop.daily", Outcome).status == "success"
