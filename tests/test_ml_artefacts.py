"""A trained model is kept as text that runs no code, and the same model is the same text."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import numpy as np
import pytest
from ml_versions import version
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from src.errors import DataError, UsageError
from src.ml import artefacts
from src.ml.artefacts import libraries, open_estimator, read_artefact, write_artefact

ROWS = np.arange(40.0).reshape(20, 2) % 7
LATE = ROWS[:, 0] > 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogisticRegression(C=0.5),
        lambda: RandomForestClassifier(n_estimators=3, random_state=7),
        lambda: HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, random_state=7),
    ],
)
def test_the_same_model_is_the_same_text_and_another_is_not(make: Any) -> None:
    (first, name), (again, same) = (write_artefact(make().fit(ROWS, LATE)) for _ in range(2))
    assert (first, name) == (again, same)
    assert write_artefact(make().fit(ROWS, ~LATE))[1] != name
    opened = read_artefact(first, name)
    assert (opened.predict_proba(ROWS) == make().fit(ROWS, LATE).predict_proba(ROWS)).all()


def test_an_artefact_with_a_flipped_bit_is_not_opened() -> None:
    artefact, name = write_artefact(LogisticRegression().fit(ROWS, LATE))
    bytes_ = bytearray(base64.b64decode(artefact))
    bytes_[300] ^= 1
    with pytest.raises(DataError, match="is damaged"):
        read_artefact(base64.b64encode(bytes_).decode(), name)


def double(rows: Any) -> Any:
    return rows * 2


def test_a_pipeline_with_code_of_its_own_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the pipeline holds .*double"):
        write_artefact(FunctionTransformer(double))
    with pytest.raises(UsageError, match=r"the pipeline holds .*double"):
        write_artefact(FunctionTransformer(partial(double)))


def test_a_version_of_another_scikit_learn_is_not_opened() -> None:
    artefact, name = write_artefact(LogisticRegression().fit(ROWS, LATE))
    trained = version(3, artefact=artefact, sha256=name, libraries=json.dumps(libraries()))
    assert isinstance(open_estimator(trained), LogisticRegression)
    later = version(3, artefact=artefact, sha256=name, libraries='{"scikit-learn": "1.10.0"}')
    with pytest.raises(UsageError, match=r"version 3 of shop.late was trained with scikit-learn 1.10.0, here is") as no:
        open_estimator(later)
    assert no.value.fix == "train it again: main.py train --model shop.late"


def test_without_the_extra_a_model_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "find_spec", lambda name: None if name == "skops" else name)
    with pytest.raises(UsageError, match="models of machine learning need skops, not installed") as refused:
        artefacts.require_extra()
    assert "./setup.sh --ml" in str(refused.value.fix)
