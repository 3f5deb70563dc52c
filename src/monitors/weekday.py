"""A day is as the same weekday was in the nine weeks before: the rule for the rows of a table and for any figure.

A day is compared with the median of its weekday by the modified z-score 0.6745 (x - median) / MAD of Iglewicz and
Hoaglin (How to Detect and Handle Outliers, 1993); beyond 3.5 it is high or low. A day is never in its own baseline,
and neither is a day that was confirmed as an incident. Where a weekday hardly varies MAD is taken as 5 % of the median,
and as `least` at least. With fewer than four such days there is too little history to say anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

DAYS = 7  # the last complete days, which are judged
WEEKS, LEAST_DAYS = 9, 4
LIMIT, TO_DEVIATIONS = 3.5, 0.6745
HIGH, LOW, NONE, NORMAL = "high", "low", "none", "normal"
LITTLE, CONFIRMED = "too little history", "confirmed incident"
ODD = (NONE, HIGH, LOW)


@dataclass(frozen=True)
class Judged:
    """The verdict on one day, and what it was compared with."""

    value: float
    baseline_days: int
    median: float | None
    mad: float | None  # the median absolute deviation from the median
    z: float | None
    verdict: str  # normal | high | low | none | too little history | confirmed incident


def judge(
    day: date,
    values: Mapping[date, float],
    days: Collection[date],
    incidents: Collection[date],
    least: float = 1.0,
    *,
    often_none: bool = False,
) -> Judged:
    """Return the verdict on one day. `days`: those that count, also where `values` has nothing for them, which is 0.

    `often_none`: a day without anything is nothing special.
    """
    before = [day - timedelta(weeks=back) for back in range(1, WEEKS + 1)]
    baseline = [values.get(other, 0) for other in before if other in days and other not in incidents]
    value = values.get(day, 0)
    if len(baseline) < LEAST_DAYS:
        return Judged(value, len(baseline), None, None, None, CONFIRMED if day in incidents else LITTLE)
    middle = float(median(baseline))
    mad = float(median(abs(other - middle) for other in baseline))
    z = TO_DEVIATIONS * (value - middle) / (max(mad, 0.05 * abs(middle), least) or 1.0)
    verdict = NORMAL if abs(z) <= LIMIT else HIGH if z > 0 else LOW
    if value == 0 and middle > 0:
        verdict = NORMAL if often_none else NONE
    return Judged(value, len(baseline), middle, mad, z, CONFIRMED if day in incidents else verdict)
