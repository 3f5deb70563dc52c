"""The estimators that contracts name: what they take, what they refuse, and that the same data give the same."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import ROOT

from src.contract.ml import Label, MlModel
from src.errors import ContractError, DataError
from src.ml.artefacts import write_artefact
from src.ml.dataset import Examples
from src.ml.frames import Feature, Kind
from src.ml.pipelines import probabilities, train

ALGORITHMS = ("logistic_regression", "random_forest", "gradient_boosting")
FAST: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "random_forest": {"n_estimators": 5},
    "gradient_boosting": {"max_iter": 5},
}
FEATURES = (
    Feature("km", Kind.NUMERIC),
    Feature("same", Kind.NUMERIC),
    Feature("carrier", Kind.CATEGORICAL),
    Feature("is_cold", Kind.BOOLEAN),
)


def model(algorithm: str, parameters: dict[str, Any] | None = None, seed: int = 7) -> MlModel:
    return MlModel(
        domain="shop",
        name="late",
        version="1.0.0",
        owner="",
        description="",
        features="gold.shop.parcel_features",
        label=Label("silver.shop.parcels", "true", "sent"),
        algorithm=algorithm,
        path=Path("src/ml/shop/late.yaml"),
        parameters=FAST.get(algorithm, {}) if parameters is None else parameters,
        seed=seed,
    )


def examples(rows: int = 200) -> Examples:
    """Rows in which every column misses values, or has one only; from 60 km on they have the outcome."""
    km = [None if nth % 11 == 0 else float(nth * 37 % 100) for nth in range(rows)]
    frame = pl.DataFrame(
        {
            "km": km,
            "same": [1.0] * rows,
            "carrier": [
                None if nth % 7 == 0 else "rare" if nth == 5 else ("north", "south")[nth % 2] for nth in range(rows)
            ],
            "is_cold": [None if nth % 13 == 0 else float(nth % 3 == 0) for nth in range(rows)],
        }
    )
    return Examples(frame, tuple((way or 0) >= 60 for way in km))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_missing_values_one_value_and_texts_never_seen_do_no_harm(algorithm: str) -> None:
    estimator, _ = train(model(algorithm), FEATURES, examples())
    asked = pl.DataFrame(
        {
            "is_cold": [None, 1.0, 0.0],  # columns are found by their names
            "carrier": ["never seen", None, "north"],
            "km": [None, 99.0, 1.0],
            "same": [2.0, None, 1.0],
        }
    )
    found = probabilities(estimator, FEATURES, asked)
    assert found[1] > 0.5 > found[2]
    assert probabilities(estimator, FEATURES, asked.clear()) == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_rows_and_seed_are_the_same_model_and_others_are_not(algorithm: str) -> None:
    def sha256(seed: int = 7, rows: int = 200) -> str:
        return write_artefact(train(model(algorithm, seed=seed), FEATURES, examples(rows))[0])[1]

    assert sha256() == sha256()
    assert sha256(rows=199) != sha256()
    if algorithm == "random_forest":
        assert sha256(seed=8) != sha256()


@pytest.mark.long
def test_the_same_rows_are_the_same_model_in_another_process_whatever_its_threads() -> None:
    code = (
        "from test_ml_pipelines import *\n"
        "print([write_artefact(train(model(name), FEATURES, examples(2000))[0])[1] for name in ALGORITHMS])"
    )
    found = set()
    for threads in ("1", "2"):
        environ = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
        found.add(ran.stdout)
    assert len(found) == 1


def test_only_features_that_a_model_has_are_asked_for() -> None:
    estimator, _ = train(model("logistic_regression"), FEATURES[:1], examples())
    assert probabilities(estimator, FEATURES[:1], pl.DataFrame({"km": [99.0]}))[0] > 0.5
    texts, _ = train(model("gradient_boosting"), FEATURES[2:3], examples())
    assert len(probabilities(texts, FEATURES[2:3], examples().frame)) == 200


@pytest.mark.parametrize(
    ("algorithm", "parameters", "message", "fix"),
    [
        ("logistic_regression", {"c": 1}, "logistic_regression has no parameter c", "did you mean `C`? known: C, "),
        ("random_forest", {"n_jobs": 2}, "random_forest has no parameter n_jobs", "n_estimators"),
        ("gradient_boosting", {"random_state": 1}, "gradient_boosting has no parameter random_state", "max_iter"),
        ("logistic_regression", {"C": -1}, "models.shop.late cannot be trained: The 'C' parameter", "the parameters"),
        ("random_forest", {"max_depth": "deep"}, "models.shop.late cannot be trained: The 'max_depth'", "parameters"),
    ],
)
def test_a_parameter_that_is_none_is_refused_with_those_that_are(
    algorithm: str, parameters: dict[str, Any], message: str, fix: str
) -> None:
    with pytest.raises(ContractError) as refused:
        train(model(algorithm, parameters), FEATURES, examples())
    assert refused.value.what.startswith(message)
    assert fix in str(refused.value.fix)
    assert refused.value.where == "src/ml/shop/late.yaml, parameters"


def test_parameters_reach_the_algorithm() -> None:
    estimator, _ = train(model("random_forest", {"n_estimators": 3, "max_depth": 2}), FEATURES, examples())
    forest = estimator.named_steps["model"]
    assert (len(forest.estimators_), forest.max_depth, forest.random_state, forest.n_jobs) == (3, 2, 7, 1)


def test_what_a_library_warns_of_is_told() -> None:
    _, warned = train(model("logistic_regression", {"max_iter": 1}), FEATURES, examples())
    assert len(warned) == 1
    assert warned[0].startswith("ConvergenceWarning: ")


OWN = """
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.impute import SimpleImputer
from sklearn.tree import DecisionTreeClassifier


def pipeline(parameters, seed, features):
    numbers = [name for name, kind in features.items() if kind == "numeric"]
    prepare = make_column_transformer((SimpleImputer(), numbers))
    return make_pipeline(prepare, DecisionTreeClassifier(random_state=seed, **parameters))
"""


def own(tmp_path: Path, text: str, parameters: dict[str, Any] | None = None) -> MlModel:
    path = tmp_path / "late.py"
    path.write_text(text)
    return replace(model("pipeline", parameters or {}), python=path)


def test_a_pipeline_of_ones_own_is_trained_and_kept(tmp_path: Path) -> None:
    estimator, _ = train(own(tmp_path, OWN, {"max_depth": 2}), FEATURES, examples())
    assert estimator.steps[-1][1].max_depth == 2
    assert probabilities(
        estimator, FEATURES, pl.DataFrame({"km": [99.0], "same": [1.0], "carrier": ["x"], "is_cold": [0.0]})
    ) == [1.0]
    write_artefact(estimator)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no function pipeline"),
        ("def pipeline(", "models.shop.late cannot be imported: '(' was never closed"),
        ("def pipeline(parameters, seed, features):\n    return 3\n", "pipeline returns int"),
        ("def pipeline(parameters, seed, features):\n    return {}[seed]\n", "models.shop.late makes no pipeline: 7"),
        (OWN.replace("SimpleImputer(), numbers", "SimpleImputer(), ['gone']"), "models.shop.late cannot be trained: "),
    ],
)
def test_what_a_pipeline_of_ones_own_does_wrong_is_told_as_such(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ContractError) as refused:
        train(own(tmp_path, text), FEATURES, examples())
    assert refused.value.what.startswith(message)
    assert str(refused.value.where).endswith("late.py")


def test_what_is_no_probability_is_refused() -> None:
    class Wrong:
        classes_ = (False, True)

        def predict_proba(self, frame: pl.DataFrame) -> list[list[float]]:
            return [[0.0, float("nan")]] * frame.height

    with pytest.raises(DataError, match="probabilities that are none"):
        probabilities(Wrong(), FEATURES, examples(3).frame)
