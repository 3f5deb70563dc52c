"""What a model predicts, by the day on which it was scored: how much, how sure, how often it says yes.

A prediction is what was scored before its outcome was known. Rows that were scored afterwards, as those of the past are
when a model is new, are counted apart: they are right or wrong by nobody's foresight.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src import lake
from src.contract import MlModel, Table
from src.monitors.reading import Reading

TABLE = "ops.ml_predictions"
_DAYS = 28
_UNSURE = 0.7  # of max(p, 1 - p): below, a person would not rely on it


@dataclass(frozen=True)
class Predictions:
    """The rows of a scored table that one version scored on one day (UTC), as the table has them now."""

    measured_at: datetime
    model: str  # <domain>.<name>
    table: str  # the scored one
    version: int
    day: date
    predictions: int
    afterwards: int  # rows whose outcome was known when they were scored; they count in no other figure
    mean_probability: float | None
    mean_confidence: float | None  # of the greater of the probability and its rest to 1
    unsure: float | None  # the share whose confidence is below 0.7
    positive: float | None  # the share that was predicted to be true


def measured(reading: Reading, model: MlModel, table: Table, scored: lake.Snapshot) -> list[Predictions]:
    """Return the figures of the last 28 days on which rows were scored, the oldest first."""
    since = reading.bound(scored, "scored_at", ">=", reading.today - timedelta(days=_DAYS - 1))
    foretold = "FILTER (NOT outcome_known)"
    confidence = "greatest(probability, 1 - probability)"
    rows = reading.ask(
        f"SELECT model_version, scored_at::DATE, count(*) {foretold}, count(*) FILTER (outcome_known), "
        f"avg(probability) {foretold}, avg({confidence}) {foretold}, "
        f"avg(({confidence} < {_UNSURE})::INTEGER) {foretold}, avg(predicted::INTEGER) {foretold} "
        f"FROM {reading.scan(scored)} WHERE {since} GROUP BY 1, 2 ORDER BY 2, 1",
        scored,
    )
    return [Predictions(reading.now, model.full_name, table.id, *row) for row in rows]
