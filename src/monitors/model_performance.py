"""How right a model was, once the truth is known: by the week of the events and by the version that foretold them.

Counted is only what was scored before its outcome was known. A week (from Monday) is judged once it is over and nine
tenths of its outcomes are known: those that come last are of another kind than those that come first, as what is late
is known late. For the same reason a week is only partly foretold where more than a tenth of its outcomes was known
before the first scoring, as when a model is new.

The bounds of the contract are held against the newest four judged weeks that the active version foretold itself, nine
tenths of each or more, all of them together. It
takes 100 outcomes; of a figure that is about few of them, 20 of these. A bound is broken where the figure is beyond it
by more than chance: 1.645 standard errors, which chance alone exceeds once in twenty times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from src import lake
from src.contract import MlModel, Table
from src.engine import identifier
from src.monitors.reading import GIVEN, Reading

TABLE = "ops.ml_performance"
OPEN, PARTLY, JUDGED = "open", "partly foretold", "judged"
KEPT, BROKEN, TOO_FEW = "keeps its bounds", "below its bounds", "too few outcomes"
LIVE = ("accuracy", "precision", "recall", "f1", "brier", "roc_auc")  # the metrics that are measured here
_WEEKS = 10  # that are looked at
_TOGETHER = 4
_SHARE = 0.9
_OUTCOMES, _FEW = 100, 20
_ERRORS = 1.645
_HITS, _FORETOLD = "count(*) FILTER (label AND predicted)", "count(*) FILTER (predicted AND known)"
# Of Performance, as SQL over rows of: version, week, known, label, predicted, off (squared), middle (rank by p).
_FIGURES = {
    "version": "version",
    "week": "week",
    "outcomes": "count(*) FILTER (known)",
    "open": "count(*) FILTER (NOT known AND NOT afterwards)",
    "afterwards": "count(*) FILTER (afterwards)",
    "positive": "count(*) FILTER (label)",
    "foretold": _FORETOLD,
    "accuracy": "avg((label = predicted)::INTEGER)",
    "precision": f"{_HITS} / nullif({_FORETOLD}, 0)",
    "recall": f"{_HITS} / nullif(positive, 0)",
    "f1": f"2.0 * {_HITS} / nullif({_FORETOLD} + positive, 0)",
    "brier": "avg(off)",
    "roc_auc": "(sum(middle) FILTER (label) - positive * (positive + 1) / 2.0) "
    "/ nullif(positive * (outcomes - positive), 0)",
    "brier_error": "stddev_pop(off) / sqrt(nullif(outcomes, 0))",
}


@dataclass(frozen=True)
class Performance:
    """The rightness of one version about the events of one week, or of several together."""

    measured_at: datetime
    model: str  # <domain>.<name>
    table: str  # the scored one
    version: int
    week: date  # the first, from Monday
    weeks: int  # 1, or how many are judged together by the bounds
    outcomes: int  # rows of which the outcome is known
    open: int  # rows of which it is not
    afterwards: int  # rows that were scored when it was known; they count in no figure
    positive: int  # outcomes that are true
    foretold: int  # outcomes that were predicted to be true
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    brier: float | None
    roc_auc: float | None  # None where all outcomes are alike
    brier_error: float | None  # the standard error of `brier`
    verdict: str  # open | partly foretold | judged; of weeks together: keeps its bounds | below its bounds | ...
    broken: str  # the bounds that are broken, in words

    @property
    def together(self) -> bool:
        """Return whether it is of the weeks that are judged together."""
        return self.verdict in (KEPT, BROKEN, TOO_FEW)


def measured(
    reading: Reading,
    model: MlModel,
    active: int,
    table: Table,
    scored: lake.Snapshot,
    features: tuple[Table, lake.Snapshot],
    labelled: lake.Snapshot,
) -> list[Performance]:
    """Return how right each version was in each of the last weeks, and the active one in those that are judged."""
    given, read = _foretold(reading, model, scored, features, labelled), (scored, features[1], labelled)

    def ask(weeks: int, week: str, where: str = "true") -> list[Performance]:
        rows = reading.ask(_figures(week, where), *read, given=given)
        facts: Iterable[dict[str, Any]] = (dict(zip(_FIGURES, row, strict=True)) for row in rows)
        common = partial(Performance, reading.now, model.full_name, table.id, weeks=weeks, verdict=OPEN, broken="")
        return [common(**each) for each in facts]

    found = ask(1, "week")
    every = {week: [row for row in found if row.week == week] for week in {row.week for row in found}}
    verdicts = {week: _verdict(reading.today, week, rows) for week, rows in every.items()}
    found = [replace(row, verdict=verdicts[row.week]) for row in found if row.outcomes or row.open]
    judged = [week for week, verdict in sorted(verdicts.items()) if verdict == JUDGED]
    own = [week for week in judged if _share(every[week], active) >= _SHARE][-_TOGETHER:]
    if own:
        among = ", ".join(f"DATE '{week}'" for week in own)
        together = ask(len(own), f"DATE '{own[0]}'", f"version = {active} AND week IN ({among})")
        found += [_against_bounds(row, model) for row in together]
    return found


def _foretold(
    reading: Reading,
    model: MlModel,
    scored: lake.Snapshot,
    features: tuple[Table, lake.Snapshot],
    labelled: lake.Snapshot,
) -> str:
    """Return a SELECT of what was scored: version, week, p, predicted, afterwards, label (NULL: open or afterwards)."""
    table, snapshot = features
    key = ", ".join(map(identifier, table.key))
    moment = identifier(str(table.event_time))
    monday = reading.today - timedelta(days=reading.today.weekday() + 7 * _WEEKS)
    label = (
        f"SELECT {key}, CASE WHEN ({model.label.known_at})::TIMESTAMPTZ < {_tomorrow(reading)} "
        f"THEN ({model.label.value})::BOOLEAN END AS label FROM {reading.scan(labelled)}"
    )
    events = (
        f"SELECT {key}, date_trunc('week', {moment})::DATE AS week FROM {reading.scan(snapshot)} "
        f"WHERE {reading.bound(snapshot, str(table.event_time), '>=', monday)}"
    )
    return (
        f"SELECT scores.model_version AS version, events.week, scores.probability AS p, scores.predicted, "
        "scores.outcome_known AS afterwards, CASE WHEN NOT afterwards THEN labels.label END AS label "
        f"FROM {reading.scan(scored)} AS scores "
        f"JOIN ({events}) AS events USING ({key}) LEFT JOIN ({label}) AS labels USING ({key})"
    )


def _tomorrow(reading: Reading) -> str:
    return f"TIMESTAMPTZ '{reading.today + timedelta(days=1)} 00:00:00+00'"


def _figures(week: str, where: str) -> str:
    """Return the SELECT of the figures by version and week, as columns of Performance."""
    alike = "PARTITION BY version, week, known"
    return (
        f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in _FIGURES.items())} FROM ("
        "SELECT *, (p - label::INTEGER) ** 2 AS off, "
        f"rank() OVER ({alike} ORDER BY p) + (count(*) OVER ({alike}, p) - 1) / 2.0 AS middle "  # of equals the same
        f"FROM (SELECT * REPLACE ({week} AS week), label IS NOT NULL AS known FROM {GIVEN} WHERE {where})"
        ") GROUP BY version, week ORDER BY week, version"
    )


def _verdict(today: date, week: date, rows: Sequence[Performance]) -> str:
    """Return whether a week is over, foretold by whichever version, and its outcomes known."""
    outcomes, still_open = sum(row.outcomes for row in rows), sum(row.open for row in rows)
    if week + timedelta(days=7) > today or outcomes < _SHARE * (outcomes + still_open):
        return OPEN
    foretold = outcomes + still_open
    return JUDGED if foretold >= _SHARE * (foretold + sum(row.afterwards for row in rows)) else PARTLY


def _share(rows: Sequence[Performance], version: int) -> float:
    """Return how much of what was foretold of a week one version foretold."""
    every = sum(row.outcomes + row.open for row in rows)
    return sum(row.outcomes + row.open for row in rows if row.version == version) / every


# -- the bounds


def _against_bounds(row: Performance, model: MlModel) -> Performance:
    """Return the figures of weeks together with what the bounds say to them."""
    found = {name: span for name, span in model.bounds.items() if name in LIVE and _is_enough(name, row)}
    broken = "; ".join(text for name, span in found.items() if (text := _broken(name, span, row)))
    few = not found and any(name in LIVE for name in model.bounds)
    verdict = BROKEN if broken else TOO_FEW if few else KEPT
    return replace(row, verdict=verdict, broken=broken)


def _is_enough(metric: str, row: Performance) -> bool:
    needed = {"precision": row.foretold, "recall": row.positive, "f1": row.positive}
    needed["roc_auc"] = min(row.positive, row.outcomes - row.positive)
    return row.outcomes >= _OUTCOMES and needed.get(metric, _FEW) >= _FEW


def _broken(metric: str, span: tuple[float | None, float | None], row: Performance) -> str:
    """Return how a figure breaks its bound by more than chance; nothing where it does not."""
    value: float | None = getattr(row, metric)
    if value is None:
        return ""
    margin, (least, most) = _ERRORS * _error(metric, value, row), span
    if least is not None and value + margin < least:
        return f"{metric} {value:.2f}, at least {least:g}"
    if most is not None and value - margin > most:
        return f"{metric} {value:.2f}, at most {most:g}"
    return ""


def _error(metric: str, value: float, row: Performance) -> float:
    """Return the standard error of a figure: that of a share, or of a mean; of ROC AUC that of Hanley and McNeil."""
    if metric == "brier":
        return row.brier_error or 0.0
    if metric == "roc_auc":
        yes, no = row.positive, row.outcomes - row.positive
        one, two = value / (2 - value), 2 * value**2 / (1 + value)
        spread = value * (1 - value) + (yes - 1) * (one - value**2) + (no - 1) * (two - value**2)
        return math.sqrt(max(spread, 0.0) / (yes * no))
    counts: Mapping[str, float] = {
        "accuracy": row.outcomes,
        "precision": row.foretold,
        "recall": row.positive,
        "f1": (row.foretold + row.positive) / 2,
    }
    return float(math.sqrt(value * (1 - value) / counts[metric]))
