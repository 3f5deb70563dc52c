"""One look at the lake by every monitor: figures, and the problems among them; what was found goes into ops tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from src import lake
from src.engine import DuckEngine
from src.monitors import (
    budget,
    distribution,
    expected,
    feeds,
    freshness,
    latency,
    model_features,
    model_performance,
    model_predictions,
    models,
    notice,
    quality,
    quiet,
    series,
    storage,
    uncommitted,
    volume,
)
from src.monitors.distribution import Distribution
from src.monitors.expected import Expected
from src.monitors.feeds import FeedSchema
from src.monitors.freshness import Freshness
from src.monitors.latency import Latency
from src.monitors.model_features import FeatureDrift
from src.monitors.model_performance import Performance
from src.monitors.model_predictions import Predictions
from src.monitors.quality import QualityTrend
from src.monitors.reading import Reading
from src.monitors.series import Series
from src.monitors.storage import TableStats
from src.monitors.volume import Volume
from src.problems import CLASSES, Problem
from src.project import Project
from src.run import runs
from src.run.spending import Budget


@dataclass(frozen=True)
class Findings:
    """The figures of one look, as rows of the ops tables, and the problems, the most urgent first."""

    freshness: tuple[Freshness, ...] = ()
    volume: tuple[Volume, ...] = ()
    series: tuple[Series, ...] = ()  # the newest day that was judged, and odd ones of the six before
    feed_schema: tuple[FeedSchema, ...] = ()
    quality_trend: tuple[QualityTrend, ...] = ()
    distribution: tuple[Distribution, ...] = ()
    latency: tuple[Latency, ...] = ()
    table_stats: tuple[TableStats, ...] = ()
    expected: tuple[Expected, ...] = ()
    budgets: tuple[Budget, ...] = ()
    problems: tuple[Problem, ...] = ()
    model_features: tuple[FeatureDrift, ...] = ()
    model_predictions: tuple[Predictions, ...] = ()
    model_performance: tuple[Performance, ...] = ()


@lake.one_moment()
def evaluate(project: Project, now: datetime, *, on_disk: bool = True) -> Findings:
    """Return what every monitor finds in the lake at `now` (UTC); changes nothing.

    `on_disk`: also what each table's folder takes, for which every file below it is asked.
    """
    lake.recall(project.settings.data_dir)
    reading = Reading(project, now)
    fresh, fresh_problems = freshness.measure(reading)
    volumes, volumes_problems = volume.measure(reading)
    figures, series_problems = series.measure(reading)
    schema, schema_problems = feeds.measure(reading)
    trend, trend_problems = quality.measure(reading)
    spread, spread_problems = distribution.measure(reading)
    times, times_problems = latency.measure(reading)
    stats, stats_problems = storage.measure(reading, on_disk=on_disk)
    due, due_problems = expected.measure(reading)
    budgets, budget_problems = budget.measure(reading)
    learned, learned_problems = models.measure(reading)
    found = (
        *uncommitted.measure(reading),
        *notice.measure(reading),
        *quiet.measure(reading),
        *fresh_problems,
        *volumes_problems,
        *series_problems,
        *schema_problems,
        *trend_problems,
        *spread_problems,
        *times_problems,
        *stats_problems,
        *due_problems,
        *budget_problems,
        *learned_problems,
    )
    lake.keep(project.settings.data_dir)
    reading.answers.keep()
    shortened = (_relative(project, problem) for problem in (*reading.damage.values(), *found))
    problems = _one_per_incident(tuple(shortened))
    of_models = (tuple(learned.features), tuple(learned.predictions), tuple(learned.performance))
    return Findings(fresh, volumes, figures, schema, trend, spread, times, stats, due, budgets, problems, *of_models)


def record(engine: DuckEngine, data: Path, findings: Findings) -> None:
    """Append the figures to their ops tables; the caller holds the lake."""
    runs.append(engine, data, freshness.TABLE, Freshness, findings.freshness)
    runs.append(engine, data, volume.TABLE, Volume, findings.volume)
    series.record(engine, data, findings.series)
    runs.append(engine, data, feeds.TABLE, FeedSchema, findings.feed_schema)
    runs.append(engine, data, quality.TABLE, QualityTrend, findings.quality_trend)
    runs.append(engine, data, distribution.TABLE, Distribution, findings.distribution)
    runs.append(engine, data, latency.TABLE, Latency, findings.latency)
    runs.append(engine, data, storage.TABLE, TableStats, findings.table_stats)
    runs.append(engine, data, expected.TABLE, Expected, findings.expected)
    runs.append(engine, data, budget.TABLE, Budget, findings.budgets)
    if findings.model_features or findings.model_predictions or findings.model_performance:
        runs.append(engine, data, model_features.TABLE, FeatureDrift, findings.model_features)
        runs.append(engine, data, model_predictions.TABLE, Predictions, findings.model_predictions)
        runs.append(engine, data, model_performance.TABLE, Performance, findings.model_performance)


def _relative(project: Project, problem: Problem) -> Problem:
    """Return a problem without the project's own folder in its paths, also where an older record holds it."""
    return replace(problem, what=project.relative(problem.what), fix=project.relative(problem.fix))


def _one_per_incident(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return the most urgent problem of each incident, the most urgent incidents first."""
    ranked = sorted(problems, key=lambda problem: (CLASSES.index(problem.urgency), problem.incident))
    return tuple({problem.incident: problem for problem in reversed(ranked)}.values())[::-1]
