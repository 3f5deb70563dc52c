"""The shipped models pass their own tests, and every one of them has some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import ROOT

from src import model_tests
from src.model_tests import ModelTest
from src.project import Project, open_project
from src.settings import load

# Others are those of whoever made the clone their own.
DOMAINS = ("sales", "manufacturing", "delivery", "company", "kpi")
FILES = sorted(path for domain in DOMAINS for path in ROOT.glob(f"src/*/{domain}/tests/*.yaml"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, list[ModelTest]]]:
    settings = load(tmp_path_factory.mktemp("shipped"), {"MEMORY_LIMIT": "1GB"})
    with open_project(replace(settings, root=ROOT)) as project:
        yield project, model_tests.read(project)


@pytest.mark.parametrize("path", [path.relative_to(ROOT).as_posix() for path in FILES])
def test_the_shipped_models_pass_their_tests(shipped: tuple[Project, list[ModelTest]], path: str) -> None:
    project, tests = shipped
    chosen = [test for test in tests if test.where.startswith(f"{path}, ")]
    assert chosen
    assert [result for result in model_tests.run_tests(project, chosen) if not result.passed] == []


def test_every_shipped_table_has_a_test(shipped: tuple[Project, list[ModelTest]]) -> None:
    project, tests = shipped
    tables = {*project.contracts.silver.values(), *project.marts}
    tested = {test.table.id for test in tests}
    without = {table.id for table in tables if table.domain in DOMAINS} - tested
    assert without == {"gold.delivery.late_risk", "gold.delivery.late_risk_scms"}  # which have no model but a version
