"""The measures of a model, counted by hand."""

from __future__ import annotations

import pytest

from src.ml.evaluation import Confusion, evaluate, is_better, rates, shortcomings

LABELS = (True, False, True, False, False)
CHANCES = (0.9, 0.8, 0.4, 0.4, 0.1)


def test_the_measures_are_those_that_were_counted_by_hand() -> None:
    found = evaluate(LABELS, CHANCES, 0.5)
    assert (found.rows, found.positive) == (5, 2)
    assert found.confusion == Confusion(true_positive=1, false_positive=1, true_negative=2, false_negative=1)
    assert found.values() == pytest.approx(
        {
            "accuracy": 0.6,
            "precision": 0.5,
            "recall": 0.5,
            "f1": 0.5,
            "roc_auc": 0.75,  # of six pairs four are ranked rightly, and one ties
            "pr_auc": 0.75,  # 1/1 * 1/2 at 0.9, and 2/4 * 1/2 at 0.4
            "brier": 0.236,
            "log_loss": 0.649456,
            "calibration_error": 0.24,
        },
        abs=1e-6,
    )
    assert found.calibration == ((0.1, 0.0, 1), (0.4, 0.5, 2), (0.8, 0.0, 1), (0.9, 1.0, 1))


def test_the_outcome_is_predicted_from_the_threshold_on() -> None:
    assert evaluate(LABELS, CHANCES, 0.4).confusion == Confusion(2, 2, 1, 0)
    assert evaluate(LABELS, CHANCES, 0.41).confusion == Confusion(1, 1, 2, 1)


def test_what_the_rows_do_not_define_is_none() -> None:
    never = evaluate((False, False), (0.2, 1.0), 2)
    assert (never.accuracy, never.precision, never.recall, never.f1) == (1.0, None, None, None)
    assert (never.roc_auc, never.pr_auc) == (None, None)
    always = evaluate((True,), (1.0,), 0.5)
    assert (always.roc_auc, always.pr_auc, always.brier, always.f1) == (None, 1.0, 0.0, 1.0)
    assert always.log_loss == pytest.approx(0.0, abs=1e-12)
    assert always.calibration == ((1.0, 1.0, 1),)  # in the last bin
    nothing = evaluate((), (), 0.5)
    assert set(nothing.values().values()) == {None}


def test_a_probability_of_nought_for_what_happened_is_a_great_loss_and_no_infinite_one() -> None:
    assert evaluate((True,), (0.0,), 0.5).log_loss == pytest.approx(34.5388, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "better", "worse"),
    [("brier", 0.1, 0.2), ("log_loss", 0.3, 0.4), ("calibration_error", 0.0, 0.1), ("roc_auc", 0.8, 0.7)],
)
def test_better_is_less_of_a_loss_and_more_of_the_others(metric: str, better: float, worse: float) -> None:
    assert is_better(metric, better, worse)
    assert not is_better(metric, worse, better)
    assert not is_better(metric, better, better)
    assert not is_better(metric, None, worse)
    assert not is_better(metric, better, None)


def test_a_values_rate_is_mixed_with_ten_rows_of_the_overall_rate() -> None:
    found, overall = rates(("north", "north", None), (True, False, False))
    assert overall == pytest.approx(1 / 3)
    assert found == {"north": pytest.approx(13 / 36), None: pytest.approx(10 / 33)}


def test_each_bound_that_is_not_kept_is_told() -> None:
    found = evaluate(LABELS, CHANCES, 0.5)
    bounds = {"roc_auc": (0.7, None), "brier": (None, 0.2), "recall": (0.5, 0.5), "precision": (0.6, 0.9)}
    assert list(shortcomings(bounds, found)) == [
        "brier 0.2360 is above its bound 0.2",
        "precision 0.5000 is below its bound 0.6",
    ]
    one_class = evaluate((False,), (0.1,), 0.5)
    assert list(shortcomings({"roc_auc": (0.5, None)}, one_class)) == ["roc_auc is not defined on these rows"]
