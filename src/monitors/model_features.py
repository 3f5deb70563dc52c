"""The features of a model are spread as they were in the rows that its active version was trained on.

Looked at are the events of today and of the last 7 days; where these are too few, of the last 14, then of the last 28.
It takes 20 rows for each bin of the feature in training (src/spread.py): with fewer, chance alone could move it.

From the PSI that the contract says (`drift`) on the feature has drifted. A week is never spread as a year is, least of
all in a feature that follows the calendar or is counted over the weeks before; so it takes twice the PSI of the oddest
week (or 14, or 28 days) of training, where that is more. A feature that the contract names `seasonal` is measured all
the same and never judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from src import lake, spread
from src.contract import MlModel, Table
from src.engine import identifier
from src.ml.distributions import SPANS, Distribution, read_distributions
from src.ml.versions import Version
from src.monitors.reading import GIVEN, Reading

TABLE = "ops.ml_features"
NORMAL, DRIFTED, TOO_FEW, SEASONAL = "NORMAL", "DRIFT_DETECTED", "too few rows", "seasonal"
_FURTHER = 2.0  # times what was usual in training


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of a model in the newest events, against the rows that its active version was trained on."""

    measured_at: datetime
    model: str  # <domain>.<name>
    version: int
    feature: str
    since: date  # the first day of the events that are looked at
    rows: int
    needed: int  # rows without which nothing is said
    psi: float | None
    threshold: float  # from which PSI on it has drifted
    verdict: str  # NORMAL | DRIFT_DETECTED | seasonal | too few rows
    most_moved: str | None  # the bin that adds most to it, with its shares


def measured(
    reading: Reading, model: MlModel, version: Version, table: Table, features: lake.Snapshot
) -> list[FeatureDrift]:
    """Return how far each feature of the version moved; none of those that it was not trained with."""
    trained = read_distributions(version.distributions)
    known = [name for name in table.features if name in trained and name in features.columns]
    return [
        _row(reading, model, version, name, trained[name], counts)
        for name, counts in _counts(reading, model, table, features, {name: trained[name] for name in known}).items()
    ]


def _counts(
    reading: Reading, model: MlModel, table: Table, features: lake.Snapshot, trained: Mapping[str, Distribution]
) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """Return by feature the rows in each bin, those of each span of days."""
    moment = str(table.event_time)
    first, end = reading.today - timedelta(days=SPANS[-1]), reading.today + timedelta(days=1)
    age = f"date_diff('day', {identifier(moment)}::DATE, DATE '{reading.today}')"
    bounds = [reading.bound(features, moment, ">=", first), reading.bound(features, moment, "<", end)]
    names = ", ".join(map(identifier, trained))
    where = " AND ".join([*bounds, *([f"({model.where})"] if model.where else [])])
    given = f'SELECT {names}, {age} AS "~age" FROM {reading.scan(features)} WHERE {where}'
    spans = ", ".join(f'count(*) FILTER ("~age" <= {days})' for days in SPANS)
    found = {}
    for name, one in trained.items():
        sql = f"SELECT {one.bins.sql(name, 'DOUBLE')}, {spans} FROM {GIVEN} GROUP BY 1 ORDER BY 1"
        found[name] = [(each, tuple(counts)) for each, *counts in reading.ask(sql, features, given=given)]
    return found


def _row(
    reading: Reading,
    model: MlModel,
    version: Version,
    name: str,
    trained: Distribution,
    counts: Sequence[tuple[str, tuple[int, ...]]],
) -> FeatureDrift:
    needed, last = trained.needed, len(SPANS) - 1
    at = next((at for at in range(last) if sum(each[at] for _, each in counts) >= needed), last)
    threshold = max(model.drift, _FURTHER * trained.usual.get(SPANS[at], 0.0))
    now = {one: each[at] for one, each in counts}
    rows = sum(now.values())
    value, verdict, most = None, TOO_FEW, None
    if rows >= needed and trained.shares:
        value, moved = spread.psi(trained.shares, now)
        verdict = SEASONAL if name in model.seasonal else DRIFTED if value >= threshold else NORMAL
        most = f"{moved}: {trained.shares.get(moved, 0):.1%} -> {now.get(moved, 0) / rows:.1%}"
    return FeatureDrift(
        measured_at=reading.now,
        model=model.full_name,
        version=version.version,
        feature=name,
        since=reading.today - timedelta(days=SPANS[at]),
        rows=rows,
        needed=needed,
        psi=value,
        threshold=threshold,
        verdict=verdict,
        most_moved=most,
    )
