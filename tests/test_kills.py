"""After SIGKILL at any instant a plain run finishes the work, and nobody sees that it happened.

`make torture` does the same at every point of many scenes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import shorts
from torture import ROOT, histories, kills
from torture.histories import Tools
from torture.kills import Ended, Job, Killer

import main
from src.commands.run import pipeline
from src.errors import TransientError
from src.run import gold_step


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    made = Tools.at(tmp_path_factory.mktemp("kills"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def killing() -> Iterator[Killer]:
    with kills.killer() as running:
        yield running


@pytest.mark.parametrize(
    ("action", "points", "instants"),
    shorts(
        [("run", 3, 1), ("promote", 2, 1), *((action, 5 if action == "drop" else 7, 2) for action in kills.ACTIONS)], 2
    ),
)
def test_an_action_killed_anywhere_is_finished_by_a_plain_run(
    tools: Tools, killing: Killer, tmp_path: Path, action: str, points: int, instants: int
) -> None:
    staged = kills.scene(tools, tmp_path / "lake", 12 + kills.ACTIONS.index(action), action)
    done = kills.play(killing, staged, tmp_path / "scratch", points=points, instants=instants)
    assert done.recoveries == points + instants
    assert done.kills >= points
    assert done.interrupted >= (0 if action in kills.BESIDE else points - 2)  # what makes a branch holds no lake


def test_where_who_computes_for_a_driver_dies_each_table_is_as_it_was_or_new(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run does of which a step failed: one release is then of two."""
    staged = kills.scene(tools, tmp_path / "lake", 1, "bump")

    class Alone:
        def do(self, job: Job) -> Ended:
            with monkeypatch.context() as patched:
                if job.after:
                    patched.setattr(gold_step, "build", _fail)
                done = pipeline(replace(staged.shop, root=Path(job.root)).project(), main.carry)
            return Ended(bool(job.after), int(bool(done.failures)), 0, 1.0)

    assert kills.play(Alone(), staged, tmp_path / "scratch", points=0, instants=1).recoveries == 1


def _fail(*_: Any, **__: Any) -> None:
    raise TransientError("the workers are gone")


def test_a_killed_process_is_one_that_main_py_runs(tools: Tools, tmp_path: Path) -> None:
    """The forked children stand for fresh processes: one of these, killed at the same point, leaves the same."""
    staged = kills.scene(tools, tmp_path / "lake", 0, "run")
    job = Job(str(staged.shop.root), str(tools.source(staged.shop.rules)), ("run",), at=12)
    command = [sys.executable, "-m", "tests.torture.kills", "child", json.dumps(asdict(job))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    holder = json.loads((staged.shop.data / ".holder.json").read_text())
    assert holder["pid"] != os.getpid()
    run = histories.run(staged.shop)
    [told] = [record for record in run.records if record.error_class == "interrupted"]
    assert (told.run_id, told.status) == (holder["run_id"], "failed")
    assert "ended without a word" in str(told.error_message)
