"""Models of machine learning that are in use are watched: what they see, what they say, and how right they were.

Watched is a model with an active version; of one that was only trained, or retired, nothing is a problem. Its features
may drift (P3), what it foretold may turn out below the bounds of its contract (P2), rows may be left unscored (P2), and
its last training may have failed or be older than twice the time that its contract says, `retrain` (P3).

Nothing of machine learning is imported: all figures are SELECTs, and a project without models asks none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from src.contract import MlModel, Table
from src.engine import identifier, literal
from src.ml import registry
from src.ml.versions import Status, Version
from src.monitors import model_features, model_performance, model_predictions
from src.monitors.model_features import FeatureDrift
from src.monitors.model_performance import Performance
from src.monitors.model_predictions import Predictions
from src.monitors.reading import Reading, sql_moment
from src.problems import Problem
from src.run import lock, runs

_NAMED = 3  # features that a problem names


@dataclass
class ModelFigures:
    """The figures of all models at one look."""

    features: list[FeatureDrift] = field(default_factory=list)
    predictions: list[Predictions] = field(default_factory=list)
    performance: list[Performance] = field(default_factory=list)


def measure(reading: Reading) -> tuple[ModelFigures, tuple[Problem, ...]]:
    """Measure every model with an active version; a problem for each thing that is wrong with one."""
    figures, problems = ModelFigures(), []
    for model in reading.project.contracts.models.values():
        found = reading.attempt(model.id, _versions, reading, model) or ()
        active = next((version for version in found if version.status == Status.ACTIVE), None)
        if active is not None:
            problems += [*_retrain(reading, model, found), *_watched(reading, model, active, figures)]
    return figures, tuple(problems)


def _versions(reading: Reading, model: MlModel) -> tuple[Version, ...]:
    return registry.versions(
        reading.project.engine, registry.open_versions(reading.project.settings.data_dir, model.id)
    )


def _watched(reading: Reading, model: MlModel, active: Version, figures: ModelFigures) -> Iterator[Problem]:
    """Add the figures of a model, and yield its problems."""
    features = reading.project.contracts.gold[model.features]
    snapshot = reading.attempt(features.id, reading.table, features.id)
    if snapshot is None or not {str(features.event_time), *features.key} <= set(snapshot.columns):
        return  # not built yet, or not yet by this contract
    moved = reading.attempt(features.id, model_features.measured, reading, model, active, features, snapshot) or []
    figures.features += moved
    yield from _drift(reading, model, active, moved)
    for table in reading.project.marts:
        scored = reading.attempt(table.id, reading.table, table.id) if table.scored_by == model.id else None
        if scored is None or table.is_retired or "probability" not in scored.columns:
            continue
        figures.predictions += (
            reading.attempt(table.id, model_predictions.measured, reading, model, table, scored) or []
        )
        yield from reading.attempt(table.id, _unscored, reading, model, table, features) or ()
        labelled = reading.attempt(model.label.table, reading.table, model.label.table)
        if labelled is None:
            continue
        seen = (reading, model, active.version, table, scored, (features, snapshot), labelled)
        right = reading.attempt(table.id, model_performance.measured, *seen) or []
        figures.performance += right
        yield from _performance(reading, model, table, right)


def _drift(reading: Reading, model: MlModel, active: Version, rows: Sequence[FeatureDrift]) -> Iterator[Problem]:
    moved = sorted((row for row in rows if row.verdict == model_features.DRIFTED), key=lambda row: -(row.psi or 0.0))
    if not moved:
        return
    named = "; ".join(f"{row.feature} psi {row.psi:.2f} ({row.most_moved})" for row in moved[:_NAMED])
    more = f"; and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
    what = f"features moved since version {active.version} was trained: {named}{more}"
    fix = "see what changed at the source; where it is meant to stay, `make train` learns it"
    yield Problem("drift", model.id, "P3", reading.yesterday, what, fix)


def _performance(reading: Reading, model: MlModel, table: Table, rows: Sequence[Performance]) -> Iterator[Problem]:
    for row in rows:
        if row.verdict == model_performance.BROKEN:
            span = f"{row.weeks} weeks" if row.weeks > 1 else "week"
            what = f"version {row.version} of {model.full_name} was less right than it must be about the {span} "
            what += f"from {row.week}, {row.outcomes:,} outcomes: {row.broken}"
            fix = "`make models` shows since when; train it anew, or `make train ROLLBACK=1 MODEL=... REASON=...`"
            yield Problem("performance", table.id, "P2", reading.yesterday, what, fix)


def _unscored(reading: Reading, model: MlModel, table: Table, declared: Table) -> list[Problem]:
    """Return the problem that rows of the features table have no score: once no run is going that may yet score them.

    Looked at is what was built last, not what readers see: what is scored late may be held back with its features.
    """
    features, scored = reading.project.table(declared.id), reading.project.table(table.id)
    if features is None or scored is None or lock.holder(reading.project.settings.data_dir):
        return []
    key = ", ".join(map(identifier, declared.key))
    where = f"WHERE ({model.where})" if model.where else ""
    events = f"SELECT {key}, {identifier(str(declared.event_time))}::DATE AS day FROM {reading.scan(features)} {where}"
    sql = (
        f"SELECT count(*), min(day) FROM ({events}) ANTI JOIN (SELECT {key} FROM {reading.scan(scored)}) USING ({key})"
    )
    count, first = reading.ask(sql, features, scored)[0]
    if not count:
        return []
    what = f"{count:,} rows of {declared.id} have no score, the first of {first}"
    return [
        Problem("unscored", table.id, "P2", reading.yesterday, what, "`make pipeline` scores them; see how it ends")
    ]


def _retrain(reading: Reading, model: MlModel, versions: Sequence[Version]) -> Iterator[Problem]:
    """Yield the problem that the last training failed, or is long past; one that found nothing new counts."""
    failed = _failed(reading, model)
    last = max(*(version.trained_at for version in versions), reading.looked.get(model.id, versions[0].trained_at))
    texts = [f"the last training failed: {failed.splitlines()[0]}"] if failed else []
    if reading.now - last > timedelta(hours=2 * model.retrain_hours):
        age = (reading.now - last).total_seconds() / 86400
        texts.append(
            f"last trained {last:%Y-%m-%d}, {age:.0f} days ago; every {model.retrain_hours / 24:g} days is meant"
        )
    if texts:
        fix = "`make train` says what it lacks; see whether the weekly job does it: `make schedule`"
        yield Problem("retrain", model.id, "P3", reading.today, "; ".join(texts), fix)


def _failed(reading: Reading, model: MlModel) -> str | None:
    """Return the message of the last training of the model if it failed."""
    if not reading.publish(runs.TABLE):
        return None
    message: str | None = reading.project.engine.one(
        "SELECT max_by(CASE WHEN status <> 'success' THEN coalesce(error_message, status) ELSE '' END, start_time) "
        f"FROM ops.pipeline_runs WHERE table_id = {literal(model.id)} AND start_time <= {sql_moment(reading.now)}"
    )[0]
    return message or None
