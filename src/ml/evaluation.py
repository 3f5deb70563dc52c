"""How good probabilities are, told on rows that a model was not trained on, beside what needs no model.

Plain sums, without a library: what watches a model counts the same way. Sources: Brier, Monthly Weather Review 78
(1950); the area under the ROC curve is the share of pairs, one row with the outcome and one without, that are ranked
rightly, half where they tie (Hanley and McNeil, Radiology 143, 1982); the area under the precision-recall curve is
average precision, the sum of precision times the recall that each threshold adds. A measure that the rows do not
define, such as precision where nothing is predicted, is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from src.contract.ml import LOWER_IS_BETTER, METRICS

BINS = 10  # of the calibration, equally wide
PRIOR_ROWS = 10  # rows of the overall rate that a value's own rate is mixed with, so that few rows tell little
_LEAST_PROBABILITY = 1e-15  # as of 0 and 1 the logarithm has none


@dataclass(frozen=True)
class Confusion:
    """Rows by what was predicted and what became of them."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int


@dataclass(frozen=True)
class Metrics:
    """The measures of probabilities against outcomes; `calibration`: by bin its mean probability, rate and rows."""

    rows: int
    positive: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    pr_auc: float | None
    brier: float | None
    log_loss: float | None
    calibration_error: float | None
    calibration: tuple[tuple[float, float, int], ...]
    confusion: Confusion

    def values(self) -> dict[str, float | None]:
        """Return the measures by the names that contracts know."""
        return {name: getattr(self, name) for name in METRICS}


def evaluate(labels: Sequence[bool], probabilities: Sequence[float], threshold: float) -> Metrics:
    """Return the measures of probabilities (0 to 1) of the outcomes of as many rows.

    The outcome is predicted from the threshold on. `calibration_error` is the mean distance of probability and rate in
    a bin, each bin weighed by its rows.
    """
    rows, found = len(labels), _confusion(labels, probabilities, threshold)
    pairs = list(zip(labels, probabilities, strict=True))
    precision = _ratio(found.true_positive, found.true_positive + found.false_positive)
    recall = _ratio(found.true_positive, found.true_positive + found.false_negative)
    wrong = found.false_positive + found.false_negative
    calibration = _calibration(pairs)
    return Metrics(
        rows=rows,
        positive=sum(labels),
        accuracy=_ratio(rows - wrong, rows),
        precision=precision,
        recall=recall,
        f1=_ratio(2 * found.true_positive, 2 * found.true_positive + wrong),
        roc_auc=_roc_auc(pairs),
        pr_auc=_pr_auc(pairs),
        brier=_ratio(math.fsum((chance - label) ** 2 for label, chance in pairs), rows),
        log_loss=_ratio(math.fsum(_surprise(label, chance) for label, chance in pairs), rows),
        calibration_error=_ratio(math.fsum(abs(mean - rate) * count for mean, rate, count in calibration), rows),
        calibration=calibration,
        confusion=found,
    )


def is_better(metric: str, one: float | None, other: float | None) -> bool:
    """Return whether a measure is truly better than another; one that is not defined never is."""
    if one is None or other is None:
        return False
    return one < other if metric in LOWER_IS_BETTER else one > other


def rates(values: Sequence[object], labels: Sequence[bool]) -> tuple[dict[object, float], float]:
    """Return of each value the rate of the outcome among its rows, mixed with PRIOR_ROWS rows of the overall rate.

    The overall rate comes second: it is that of a value that was never seen.
    """
    overall = sum(labels) / len(labels)
    counts: dict[object, list[int]] = {}
    for value, label in zip(values, labels, strict=True):
        count = counts.setdefault(value, [0, 0])
        count[0] += label
        count[1] += 1
    mixed = {
        value: (positive + PRIOR_ROWS * overall) / (rows + PRIOR_ROWS) for value, (positive, rows) in counts.items()
    }
    return mixed, overall


def shortcomings(model_bounds: Mapping[str, tuple[float | None, float | None]], found: Metrics) -> Iterator[str]:
    """Yield a sentence for each bound (least, most) that measures do not keep; one that is not defined keeps none."""
    for name, (least, most) in model_bounds.items():
        value = found.values()[name]
        if value is None:
            yield f"{name} is not defined on these rows"
        elif least is not None and value < least:
            yield f"{name} {figure(value)} is below its bound {least:g}"
        elif most is not None and value > most:
            yield f"{name} {figure(value)} is above its bound {most:g}"


def figure(value: float | None) -> str:
    """Return a measure as people read it."""
    return "-" if value is None else f"{value:.4f}"


def _confusion(labels: Sequence[bool], probabilities: Sequence[float], threshold: float) -> Confusion:
    counts = {(label, predicted): 0 for label in (True, False) for predicted in (True, False)}
    for label, chance in zip(labels, probabilities, strict=True):
        counts[bool(label), chance >= threshold] += 1
    return Confusion(counts[True, True], counts[False, True], counts[False, False], counts[True, False])


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _surprise(label: bool, chance: float) -> float:
    """Return the logarithmic loss of one row."""
    given = chance if label else 1 - chance
    return -math.log(min(max(given, _LEAST_PROBABILITY), 1 - _LEAST_PROBABILITY))


def _calibration(pairs: Sequence[tuple[bool, float]]) -> tuple[tuple[float, float, int], ...]:
    """Return the bins that have rows, from the lowest probability on."""
    bins: dict[int, list[tuple[bool, float]]] = {}
    for label, chance in pairs:
        bins.setdefault(min(int(chance * BINS), BINS - 1), []).append((label, chance))
    return tuple(
        (math.fsum(chance for _, chance in rows) / len(rows), sum(label for label, _ in rows) / len(rows), len(rows))
        for _, rows in sorted(bins.items())
    )


def _steps(pairs: Sequence[tuple[bool, float]]) -> Iterator[tuple[int, int]]:
    """Yield for each probability, from the greatest down, the rows that have it: with the outcome, and without."""
    counts: dict[float, list[int]] = {}
    for label, chance in pairs:
        counts.setdefault(chance, [0, 0])[not label] += 1
    yield from ((with_it, without) for _, (with_it, without) in sorted(counts.items(), reverse=True))


def _roc_auc(pairs: Sequence[tuple[bool, float]]) -> float | None:
    positive = sum(label for label, _ in pairs)
    above, right = 0, 0.0
    for with_it, without in _steps(pairs):
        right += without * (above + with_it / 2)
        above += with_it
    return _ratio(right, positive * (len(pairs) - positive))


def _pr_auc(pairs: Sequence[tuple[bool, float]]) -> float | None:
    positive = sum(label for label, _ in pairs)
    if not positive:
        return None
    hits, asked, area = 0, 0, []
    for with_it, without in _steps(pairs):
        hits, asked = hits + with_it, asked + with_it + without
        area.append(hits / asked * with_it / positive)
    return math.fsum(area)
