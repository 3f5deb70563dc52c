"""A call that fails, at any place of an action, ends it with a failure that says so; a plain run finishes the work."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import shorts
from torture import calls, kills
from torture.histories import Tools
from torture.kills import Failure, Killer

pytestmark = pytest.mark.skipif(calls.COMPILER is None, reason="no C compiler (cc) to build what makes calls fail")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    made = Tools.at(tmp_path_factory.mktemp("calls"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with calls.failing(tmp_path_factory.mktemp("library")) as running:
        yield running


@pytest.mark.parametrize(("action", "tries"), shorts([("run", 2), *((action, 6) for action in calls.ACTIONS)], 1))
def test_an_action_whose_call_fails_anywhere_is_finished_by_a_plain_run(
    tools: Tools, serving: Killer, tmp_path: Path, action: str, tries: int
) -> None:
    staged = calls.stage(tools, tmp_path / "lake", 2 * len(calls.ACTIONS) + calls.ACTIONS.index(action))
    assert calls.play(serving, staged, tmp_path / "scratch", tries=tries).failed_calls == tries


def test_the_calls_of_every_library_are_counted_and_fail(tools: Tools, serving: Killer, tmp_path: Path) -> None:
    staged = kills.scene(tools, tmp_path / "lake", 3, "run")
    full = replace(staged.job(staged.shop.root), failure=Failure(1, errno.ENOSPC, 1))
    before = sorted(path.name for path in staged.shop.data.rglob("*"))
    assert serving.do(full).points > 0
    assert sorted(path.name for path in staged.shop.data.rglob("*")) == before
    assert serving.do(staged.job(staged.shop.root)).points > 100
