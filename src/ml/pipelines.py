"""The estimators that contracts name, built of scikit-learn's classes and trained so that the same data give the same.

One thread does it, whatever the machine has: sums that several threads share come out in another order, and so with
other last digits. On another kind of processor the last digits may still differ.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from src.contract import MlModel
from src.contract.errors import hint
from src.errors import BoathouseError, ContractError, DataError
from src.gold.model import load_module
from src.ml.dataset import Examples
from src.ml.frames import Feature, Kind

if TYPE_CHECKING:
    import polars

_RARE = 10  # rows: texts in fewer of them are one category, which is also that of texts never seen
_MOST_CATEGORIES = 200  # of one feature: gradient boosting takes 255
_OURS = ("random_state", "n_jobs", "verbose", "warm_start")  # parameters that no contract sets
# What differs from scikit-learn's defaults, so that a version stays small and says why it ended.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "logistic_regression": {"max_iter": 1000},
    "random_forest": {"max_depth": 8, "min_samples_leaf": 5},
    "gradient_boosting": {"early_stopping": False},
}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numeric libraries use one thread within a with-block: their results then depend on no number of cores."""
    import sklearn.ensemble  # noqa: F401  # the libraries that are to be bounded must be loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def build(model: MlModel, features: Sequence[Feature]) -> Any:
    """Return the estimator of a model, untrained.

    Raises:
        ContractError: an unknown parameter, or a .py that makes no estimator.
    """
    if model.python is not None:
        return _own(model, features)
    known = _parameters(_class(model.algorithm))
    for name in model.parameters:
        if name not in known:
            what = f"{model.algorithm} has no parameter {name}"
            raise ContractError(what, where=f"{model.path}, parameters", fix=hint(name, known))
    from sklearn.pipeline import Pipeline

    categories = sum(feature.kind == Kind.CATEGORICAL for feature in features)
    estimator = _refusing(model, "cannot be built", lambda: _estimator(model, categories))
    return Pipeline([("prepare", _preparation(model.algorithm, features)), ("model", estimator)])


def train(model: MlModel, features: Sequence[Feature], examples: Examples) -> tuple[Any, tuple[str, ...]]:
    """Return the estimator of a model trained on examples, and what the libraries warned of.

    Raises:
        ContractError: the estimator cannot be built, or refuses its parameters.
    """
    estimator = build(model, features)
    frame = examples.frame.select([feature.name for feature in features])
    with one_thread(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _refusing(model, "cannot be trained", lambda: estimator.fit(frame, list(examples.labels)))
    return estimator, tuple(dict.fromkeys(f"{each.category.__name__}: {_first_line(each.message)}" for each in caught))


def probabilities(estimator: Any, features: Sequence[Feature], frame: polars.DataFrame) -> list[float]:
    """Return the probability (0 to 1) of the outcome for each row of a frame; none for an empty one.

    Raises:
        DataError: the estimator gives something else.
    """
    if not frame.height:
        return []
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts never seen, which count as rare ones
        given = estimator.predict_proba(frame.select([feature.name for feature in features]))
    found = [float(row[list(estimator.classes_).index(True)]) for row in given]
    if not all(0 <= chance <= 1 for chance in found):
        raise DataError("the estimator gives probabilities that are none", fix="correct the pipeline, then train again")
    return found


def _class(algorithm: str) -> Any:
    from sklearn import ensemble, linear_model

    return {
        "logistic_regression": linear_model.LogisticRegression,
        "random_forest": ensemble.RandomForestClassifier,
        "gradient_boosting": ensemble.HistGradientBoostingClassifier,
    }[algorithm]


def _parameters(estimator: Any) -> set[str]:
    """Return the parameters of a class that a contract may set."""
    return set(inspect.signature(estimator).parameters) - {*_OURS, "categorical_features"}


def _estimator(model: MlModel, categories: int) -> Any:
    """Return the estimator of a model; the first so many columns it is given are numbers of categories."""
    made = _class(model.algorithm)
    fixed: dict[str, Any] = {"random_state": model.seed}
    if model.algorithm == "random_forest":
        fixed["n_jobs"] = 1
    if model.algorithm == "gradient_boosting" and categories:
        fixed["categorical_features"] = list(range(categories))
    return made(**{**_DEFAULTS[model.algorithm], **model.parameters, **fixed})


def _preparation(algorithm: str, features: Sequence[Feature]) -> Any:
    """Return what makes numbers of features: texts come first."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    texts = [feature.name for feature in features if feature.kind == Kind.CATEGORICAL]
    numbers = [feature.name for feature in features if feature.kind != Kind.CATEGORICAL]
    if algorithm == "gradient_boosting":  # knows missing values, and categories by their numbers
        missing = float("nan")
        coded: Any = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=missing,
            encoded_missing_value=missing,
            min_frequency=_RARE,
            max_categories=_MOST_CATEGORIES,
        )
        filled: Any = "passthrough"
    else:
        coded = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=_RARE,
            max_categories=_MOST_CATEGORIES,
            sparse_output=False,
        )
        filled = Pipeline([("fill", SimpleImputer(strategy="median", add_indicator=True)), ("scale", StandardScaler())])
    parts = [("texts", coded, texts), ("numbers", filled, numbers)]
    return ColumnTransformer([part for part in parts if part[2]])


def _own(model: MlModel, features: Sequence[Feature]) -> Any:
    """Return the estimator that a model's .py makes."""
    path = model.python
    assert path is not None
    fix = "define pipeline(parameters, seed, features), which returns an estimator of scikit-learn with predict_proba"
    made = getattr(_refusing(model, "cannot be imported", lambda: load_module(path)), "pipeline", None)
    if not callable(made):
        raise ContractError("no function pipeline", where=path, fix=fix)
    kinds = {feature.name: str(feature.kind) for feature in features}
    estimator = _refusing(model, "makes no pipeline", lambda: made(dict(model.parameters), model.seed, kinds))
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict_proba")):
        raise ContractError(f"pipeline returns {type(estimator).__name__}", where=path, fix=fix)
    return estimator


def _refusing(model: MlModel, what: str, act: Callable[[], Any]) -> Any:
    """Return what an act returns; what a contract's parameters or a .py do wrong is told as such."""
    try:
        return act()
    except (BoathouseError, MemoryError):
        raise
    except Exception as error:
        where = str(model.python) if model.python else f"{model.path}, parameters"
        fix = f"correct {model.python.name}" if model.python else "correct the parameters"
        raise ContractError(f"{model.id} {what}: {_first_line(error)}", where=where, fix=fix) from error


def _first_line(text: object) -> str:
    return str(text).strip().partition("\n")[0] or type(text).__name__
