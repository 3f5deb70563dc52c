"""The models of machine learning: which version is in use, why no newer one is, and how it does since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from src.contract import MlModel
from src.contract.ml import METRICS
from src.errors import BoathouseError
from src.facts.wording import ago, pluralized
from src.ml import registry
from src.ml.versions import Status, Version
from src.monitors import Findings
from src.monitors.model_features import DRIFTED, FeatureDrift
from src.monitors.model_performance import Performance
from src.monitors.model_predictions import Predictions
from src.project import Project


@dataclass(frozen=True)
class VersionFacts:
    """One trained version; moments in UTC, metrics on the rows that were held out from training."""

    version: int
    status: str  # CANDIDATE | ACTIVE | RETIRED
    why: str
    status_at: datetime
    status_by: str
    trained_at: datetime
    trained_by: str
    as_of: datetime  # nothing known later was used
    training_rows: int
    training_positive: int
    holdout_rows: int
    holdout_positive: int
    holdout_from: datetime | None
    threshold: float
    metrics: Mapping[str, float | None]
    baselines: Mapping[str, Mapping[str, float | None]]  # by name the metrics of each, on the same rows
    confusion: Mapping[str, int]
    calibration: tuple[tuple[float, float, int], ...]  # mean probability, rate of the outcome, rows
    sha256: str


@dataclass(frozen=True)
class ModelFacts:
    """One model: its versions, and of the active one what the monitors see."""

    id: str
    name: str  # <domain>.<name>
    owner: str
    description: str
    features: str  # the table that it learns from
    scored: tuple[str, ...]  # the tables that it scores
    compare_by: str  # the metric by which versions are compared
    bounds: Mapping[str, tuple[float | None, float | None]]  # least and most, by metric
    versions: tuple[VersionFacts, ...]  # the newest first
    drift: tuple[FeatureDrift, ...]  # what moved furthest first
    predictions: tuple[Predictions, ...]  # by day scored, the newest first
    performance: tuple[Performance, ...]  # by week of the events, the newest first
    recent: Performance | None  # of the newest judged weeks together, as the bounds are held against them
    retrain_due: datetime | None  # when it is to be trained again; None: it never was

    @property
    def active(self) -> VersionFacts | None:
        """Return the version that scores."""
        return next((version for version in self.versions if version.status == Status.ACTIVE), None)

    @property
    def last(self) -> VersionFacts | None:
        """Return the version that was trained last."""
        return max(self.versions, key=lambda version: version.trained_at, default=None)

    @property
    def not_promoted(self) -> int:
        """Return how many versions were trained since the active one was, none of which took its place."""
        active = self.active
        return sum(version.version > active.version for version in self.versions) if active else len(self.versions)

    @property
    def drifted(self) -> tuple[str, ...]:
        """Return the features that drifted."""
        return tuple(row.feature for row in self.drift if row.verdict == DRIFTED)


def read_models(project: Project, found: Findings) -> tuple[ModelFacts, ...]:
    """Return every model that a contract declares, by id, with what the monitors found of it."""
    models = project.contracts.models
    return tuple(_model(project, models[name], found) for name in sorted(models))


def state(model: ModelFacts, now: datetime) -> str:
    """Return in one line which version is in use and since when, and what became of the trainings since."""
    active, last = model.active, model.last
    if last is None:
        return "never trained: `make train`"
    if active is None:
        return f"no version is in use; version {last.version}, trained {ago(now, last.trained_at)}: {last.why}"
    text = f"version {active.version} in use since {active.status_at:%Y-%m-%d}"
    if model.not_promoted:
        trained = pluralized(model.not_promoted, "version")
        text += f"; {trained} trained since, none promoted; the last: {last.why}"
    return f"{text}; drifted: {', '.join(model.drifted)}" if model.drifted else text


def _model(project: Project, model: MlModel, found: Findings) -> ModelFacts:
    versions = _versions(project, model)
    last = max((version.trained_at for version in versions), default=None)
    rows = [row for row in found.model_performance if row.model == model.full_name]
    return ModelFacts(
        id=model.id,
        name=model.full_name,
        owner=model.owner,
        description=model.description,
        features=model.features,
        scored=tuple(table.id for table in project.marts if table.scored_by == model.id),
        compare_by=model.compare_by,
        bounds=model.bounds,
        versions=versions,
        drift=tuple(
            sorted(
                (row for row in found.model_features if row.model == model.full_name),
                key=lambda row: (row.verdict != DRIFTED, -(row.psi or 0.0), row.feature),
            )
        ),
        predictions=tuple(row for row in found.model_predictions[::-1] if row.model == model.full_name),
        performance=tuple(row for row in rows[::-1] if not row.together),
        recent=next((row for row in rows if row.together), None),
        retrain_due=last + timedelta(hours=model.retrain_hours) if last else None,
    )


def _versions(project: Project, model: MlModel) -> tuple[VersionFacts, ...]:
    """Return the versions of a model, the newest first; none where its table is damaged, which is a problem then."""
    try:
        table = registry.open_versions(project.settings.data_dir, model.id)
        return tuple(map(_version, reversed(registry.versions(project.engine, table))))
    except BoathouseError:
        return ()


def _version(version: Version) -> VersionFacts:
    metrics = {name: getattr(version, name) for name in METRICS}
    baselines, confusion, calibration = map(_json, (version.baselines, version.confusion, version.calibration))
    return VersionFacts(
        **{
            name: getattr(version, name)
            for name in (field.name for field in fields(VersionFacts))
            if hasattr(version, name)
        }
        | {"metrics": metrics, "baselines": baselines or {}, "confusion": confusion or {}}
        | {"calibration": tuple(tuple(each) for each in calibration or ())}
    )


def _json(text: str) -> Any:
    return json.loads(text) if text else None
