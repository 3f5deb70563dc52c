"""What is proven is right by partitions: written and random models, computed over random tables and changes.

`python -m tests.proof_truth` does the same at length.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from random import Random

import pytest
from proof_truth import drawn, models, tables
from proof_truth.models import Case
from proof_truth.splice import NEW, Instance, Model, compute_all, enough_of

from src.engine import DuckEngine
from src.proof.proving import UNKNOWN_SHAPE

SEED, INSTANCES = 31, 3


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckEngine]:
    made = DuckEngine(memory_limit="1GB", threads=1, spill=tmp_path_factory.mktemp("spill"))
    made.set_run_date(date(2031, 1, 30))
    tables.fill(made, NEW, tables.draw(Random(SEED)))
    yield made
    made.close()


@pytest.fixture(scope="module")
def cases(engine: DuckEngine) -> list[Case]:
    """The written models, judged and computed."""
    found = models.load()
    for case in found:
        case.model.judge(engine)
    compute_all(engine, [case.model for case in found], INSTANCES, SEED, enough_of(INSTANCES))
    return found


def shown(model: Model) -> str:
    return f"{model.sql}\n  cut by {dict(model.proof.cuts)}, {model.wrong} of {model.computed} wrong"


def test_a_written_model_is_proven_or_refused_as_it_says(cases: list[Case]) -> None:
    assert len(cases) > 200
    assert [shown(case.model) for case in cases if case.model.is_proven != case.proven] == []


def test_a_refusal_says_what_and_what_to_do(cases: list[Case]) -> None:
    found = [case.model.proof.refusal for case in cases if not case.proven]
    assert [refusal for refusal in found if refusal is None or not refusal.what or not refusal.fix] == []
    unmeant = (UNKNOWN_SHAPE, "is no source")
    assert [refusal for refusal in found if refusal and any(what in refusal.what for what in unmeant)] == []


def test_a_written_model_that_is_proven_is_right_by_partitions(cases: list[Case]) -> None:
    proven = [case.model for case in cases if case.model.is_proven]
    assert [shown(model) for model in proven if model.wrong] == []
    assert sum(model.computed > 0 for model in proven) > 100


def test_a_written_model_that_is_proven_is_right_in_slabs(engine: DuckEngine, cases: list[Case]) -> None:
    assert right_in_slabs(Instance(engine, Random(SEED)), cases) > 100


def right_in_slabs(instance: Instance, cases: list[Case]) -> int:
    """How many models are proven and right; none is proven and wrong."""
    found = [(case.model, instance.compute_in_slabs(case.model)) for case in cases if case.model.is_proven]
    assert [shown(model) for model, is_right in found if is_right is False] == []
    return sum(is_right is True for _, is_right in found)


@pytest.mark.long
def test_written_models_that_are_proven_are_right_over_more_tables_and_changes(
    engine: DuckEngine, cases: list[Case]
) -> None:
    proven = [case.model for case in cases if case.model.is_proven]
    compute_all(engine, proven, 20, SEED + 1, enough_of(INSTANCES))
    assert [shown(model) for model in proven if model.wrong] == []
    random = Random(SEED + 1)
    assert sum(right_in_slabs(Instance(engine, random), cases) for _ in range(4)) > 400


def test_most_written_models_that_are_refused_are_wrong_by_partitions(cases: list[Case]) -> None:
    # so that it is known of the computation that it sees what is wrong
    refused = [case.model for case in cases if not case.model.is_proven]
    assert sum(model.wrong > 0 for model in refused) > len(refused) / 2


def test_a_random_model_that_is_proven_is_right_by_partitions(engine: DuckEngine) -> None:
    random = Random(SEED)
    made = [drawn.draw(random, engine) for _ in range(60)]
    for model in made:
        model.judge(engine)
    proven = [model for model in made if model.is_proven]
    compute_all(engine, proven, 5, SEED, enough_of(5))
    assert [shown(model) for model in proven if model.wrong] == []
    assert sum(model.computed > 0 for model in proven) > 15
    whats = [refusal.what for model in made if (refusal := model.proof.refusal)]
    assert [what for what in whats if UNKNOWN_SHAPE in what] == []
