"""A day is as the same weekday was in the nine weeks before: the rule for the rows of a table and for any figure.

A day is compared with the median of its weekday by the modified z-score 0.6745 (x - median) / MAD of Iglewicz and
Hoaglin (How to Detect and Handle Outliers, 1993); beyond 3.5 it is high or low. A day is never in its own baseline,
and neither is a day that was confirmed as an incident. With fewer than four such days there is too little history to
say anything.

Where a weekday hardly varies MAD is taken as 5 % of the median. It is taken as large enough, too, that a day is odd
only twice as far from its median as 19 of 20 days of all weekdays were from the others of theirs, and as one where
figures are whole: four or nine days alone tell the spread badly, and one day in thirty would be odd by chance.
Whole figures that are seldom twice the same count what comes by chance, and such a count deviates by the root of its
mean (Poisson): 13 users where 7 were is no news. A day without any is not excused by that.

Nothing where the median is above 0 is a verdict of its own, unless two days or more went without before. With fewer
than six weeks of days to tell by it has to be far from the median too: one purchase a day may be none by chance.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

DAYS = 7  # the last complete days, which are judged
WEEKS, LEAST_DAYS = 9, 4
LIMIT, TO_DEVIATIONS = 3.5, 0.6745
HIGH, LOW, NONE, NORMAL = "high", "low", "none", "normal"
LITTLE, CONFIRMED = "too little history", "confirmed incident"
ODD = (NONE, HIGH, LOW)
_MANY_DAYS = 42  # on one of which at most there was nothing: then a day without says something however they vary
_AS_USUAL, _TIMES = 0.95, 2.0  # odd is what is so many times as far from its median as this part of all days was


@dataclass(frozen=True)
class Judged:
    """The verdict on one day, and what it was compared with."""

    value: float
    baseline_days: int
    median: float | None
    mad: float | None  # the median absolute deviation from the median
    z: float | None
    verdict: str  # normal | high | low | none | too little history | confirmed incident


@dataclass(frozen=True)
class Usual:
    """The ways of a table or series, whatever the weekday: what a single weekday tells badly."""

    least: float = 1.0  # the least spread by which they are judged
    by_chance: bool = False  # figures are whole, and most days are not as the others of their weekday
    often_none: bool = False  # two such days or more went without, or figures go below 0 and so past it
    days: int = 0  # that tell it


UNKNOWN = Usual()


def judge(
    day: date,
    values: Mapping[date, float],
    days: Collection[date],
    incidents: Collection[date],
    usual: Usual = UNKNOWN,
) -> Judged:
    """Return the verdict on one day. `days`: those that count, also where `values` has nothing for them, which is 0."""
    before = [day - timedelta(weeks=back) for back in range(1, WEEKS + 1)]
    baseline = [values.get(other, 0) for other in before if other in days and other not in incidents]
    value = values.get(day, 0)
    if len(baseline) < LEAST_DAYS:
        return Judged(value, len(baseline), None, None, None, CONFIRMED if day in incidents else LITTLE)
    middle = float(median(baseline))
    mad = float(median(abs(other - middle) for other in baseline))
    chance = TO_DEVIATIONS * math.sqrt(abs(middle)) if usual.by_chance and value else 0.0
    z = TO_DEVIATIONS * (value - middle) / (max(mad, 0.05 * abs(middle), usual.least, chance) or 1.0)
    verdict = NORMAL if abs(z) <= LIMIT else HIGH if z > 0 else LOW
    if value == 0 and middle > 0:
        lacks = not usual.often_none and (abs(z) > LIMIT or usual.days >= _MANY_DAYS)
        verdict = NONE if lacks else NORMAL
    return Judged(value, len(baseline), middle, mad, z, CONFIRMED if day in incidents else verdict)


def usual(values: Mapping[date, float], days: Iterable[date], incidents: Iterable[date], until: date) -> Usual:
    """Return how figures usually are, by the days before `until`: each is compared with the others of its weekday."""
    before = sorted(day for day in set(days) - set(incidents) if day < until)
    away, without = [], 0
    for weekday in range(7):
        found = sorted(values.get(day, 0) for day in before if day.weekday() == weekday)
        away += [abs(value - _median_without(found, at)) for at, value in enumerate(found) if len(found) > 1]
        without += found.count(0) if found and median(found) > 0 else 0
    away.sort()
    least = away[int(_AS_USUAL * len(away))] * _TIMES * TO_DEVIATIONS / LIMIT if away else 0.0
    whole = all(float(value).is_integer() for value in values.values())
    below = any(values.get(day, 0) < 0 for day in before)
    by_chance = whole and bool(away) and median(away) > 0
    return Usual(max(least, 1.0 if whole else 0.0), by_chance, without > 1 or below, len(before))


def _median_without(ordered: Sequence[float], at: int) -> float:
    """Return the median of numbers in order without one of them."""
    left = len(ordered) - 1
    low, high = (index if index < at else index + 1 for index in ((left - 1) // 2, left // 2))
    return (ordered[low] + ordered[high]) / 2
