"""A trained model is kept as text that runs no code, and the same model is the same text."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from src.errors import DataError, UsageError
from src.ml.artefacts import read_artefact, write_artefact

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
