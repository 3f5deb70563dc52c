"""Training: a version is made, judged on rows that it did not see, and used only if it is worth it.

It becomes the active version if it keeps every bound of its contract, and by the contract's measure is better than
what needs no model (the overall rate of the outcome, and the rate by the baseline feature) and than the version that
is active. Else it stays a candidate, and `why` says what it lacks. What was judged is what scores: nothing is trained
again on the held-out rows.

The active version is asked again, now, about held-out rows that are newer than both trainings: those from the later
of the two `holdout_from` on, of which neither knew an outcome. Where these are too few it stays. Where it cannot be
asked, as another scikit-learn trained it or features of it are gone, it cannot score either, and is not compared.

The same data and seed give the same artefact, which is the same version: it is not added again, but judged again if
it is a candidate. One that was retired stays so until somebody promotes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from src import lake
from src.contract import MlModel
from src.errors import BoathouseError, DataError
from src.ml import registry
from src.ml.artefacts import libraries, open_estimator, require_extra, write_artefact
from src.ml.dataset import EVENT, LEAST_HELD_OUT, ROWS, Dataset, Examples, Split, read_dataset, since, split
from src.ml.distributions import write_distributions
from src.ml.evaluation import Metrics, evaluate, figure, is_better, rates, shortcomings
from src.ml.frames import Feature, read_features, with_references, write_features
from src.ml.pipelines import probabilities, train
from src.ml.registry import Change
from src.ml.versions import Status, Version
from src.project import Project

OVERALL = "overall rate"


@dataclass(frozen=True)
class Request:
    """The wish to train a model as of a moment (UTC), on these versions of tables (those of a release), now."""

    model: MlModel
    as_of: datetime
    versions: Mapping[str, int]
    moment: datetime
    by: str


@dataclass(frozen=True)
class Rival:
    """The active version beside the new one, on the held-out rows of which neither knew an outcome."""

    version: int
    measures: Metrics
    new: Metrics


@dataclass(frozen=True)
class Training:
    """The outcome of a training: the version as it is to be kept, and what it was judged by."""

    version: Version
    known: Version | None  # the version that it is again; None: it is a new one
    active: int | None  # the version that was active before
    measures: Metrics
    baselines: Mapping[str, Metrics]
    rival: Rival | None
    notes: tuple[str, ...] = ()

    @property
    def promoted(self) -> bool:
        """Return whether this training makes its version the active one."""
        return self.version.status == Status.ACTIVE and self.version.version != self.active

    @property
    def verdict(self) -> str:
        """Return in one line what becomes of the version, and why."""
        number, why = self.version.version, self.version.why
        if self.promoted:
            return f"version {number} is active now: {why}"
        stays = f"version {self.active} stays active" if self.active else "no version is active"
        if self.known and self.known.status != Status.CANDIDATE:
            return f"nothing new: the same data and seed give version {number} again, which is {self.known.status}"
        again = f"the same data and seed give version {number} again: " if self.known else f"version {number}: "
        return f"{again}not promoted, {stays}: {why}"


def train_model(project: Project, request: Request) -> Training:
    """Return what a training gives; nothing is kept yet, `record` does that.

    Raises:
        UsageError: scikit-learn is not installed, or a table is in no release.
        ContractError: the contract does not fit the tables, or the algorithm.
        DataError: there are too few rows; the message says how many there must be.
    """
    require_extra()
    model = request.model
    dataset = read_dataset(project, model, request.as_of, request.versions)
    parts = split(dataset, model)
    training, holdout = dataset.examples(parts.training), dataset.examples(parts.holdout)
    features = with_references(project.engine, dataset.features, f"FROM {ROWS} WHERE {parts.training}")
    if not features:
        fix = "see what fills them: every feature is NULL in all rows to train on"
        raise DataError(f"{model.features} has no feature with a value", where=model.path, fix=fix)
    estimator, notes = train(model, features, training)
    measures = evaluate(holdout.labels, probabilities(estimator, features, holdout.frame), model.threshold)
    baselines = _baselines(model, training, holdout)
    candidate = _Candidate(dataset, parts, features, estimator, training, measures, baselines)
    table = registry.open_versions(project.settings.data_dir, model.id)
    trained, active = registry.versions(project.engine, table), registry.active(project.engine, table)
    made = _version(request, candidate)
    known = next((one for one in trained if (one.sha256, one.threshold) == (made.sha256, made.threshold)), None)
    number = known.version if known else max((one.version for one in trained), default=0) + 1
    return _judged(request, candidate, replace(made, version=number), known, active, notes)


def record(project: Project, model: MlModel, found: Training) -> lake.Snapshot:
    """Keep what a training gave in one commit: a new version, or that a known one was trained again.

    Raises:
        TransientError: another process changed the table in between; nothing was changed.
    """
    engine, data, made = project.engine, project.settings.data_dir, found.version
    if found.known is None:
        return registry.add(engine, data, model.id, made)
    changes = []
    if found.known.status == Status.CANDIDATE:
        changes.append(Change(made.version, Status(made.status), made.why, found.active))
    if found.promoted and found.active is not None:
        changes.append(Change(found.active, Status.RETIRED, f"version {made.version} took its place"))
    return registry.add_again(engine, data, model.id, made, changes)


@dataclass(frozen=True)
class _Candidate:
    """A trained estimator, the rows that it learned from, and how it did on those that were held out."""

    dataset: Dataset
    parts: Split
    features: Sequence[Feature]
    estimator: Any
    training: Examples
    measures: Metrics
    baselines: Mapping[str, Metrics]


def _judged(
    request: Request,
    candidate: _Candidate,
    made: Version,
    known: Version | None,
    active: Version | None,
    notes: Sequence[str],
) -> Training:
    """Return a training with what becomes of its version, which has its number."""
    model, measures, by = request.model, candidate.measures, request.model.compare_by
    rival, uncompared = None, []
    if active is not None and active.version != made.version:
        try:
            rival = _rival(model, active, candidate)
        except BoathouseError as error:
            uncompared.append(f"not compared with version {active.version}: {error.what}")
    lacks = [*shortcomings(model.bounds, measures), *(_incomparable(rival) if rival else ())]
    others = [(f"the {name}", theirs, measures) for name, theirs in candidate.baselines.items()]
    others += [(f"version {rival.version}", rival.measures, rival.new)] if rival else []
    lacks += [
        f"{by} {_pair(by, ours, theirs, 'is no better than')} of {name}{_on(ours, measures)}"
        for name, theirs, ours in others
        if not is_better(by, ours.values()[by], theirs.values()[by])
    ]
    status, why = (Status.CANDIDATE, "; ".join(lacks)) if lacks else (Status.ACTIVE, _beaten(by, measures, others))
    if known and known.status != Status.CANDIDATE:
        status, why = Status(known.status), known.why
    return Training(
        version=replace(made, status=str(status), why=why, compared=_compared(rival)),
        known=known,
        active=active.version if active else None,
        measures=measures,
        baselines=candidate.baselines,
        rival=rival,
        notes=(*notes, *uncompared),
    )


def _beaten(by: str, measures: Metrics, others: Sequence[tuple[str, Metrics, Metrics]]) -> str:
    """Return what a version is better than: names, with their measures and its own on the same rows."""
    same = [f"{figure(theirs.values()[by])} of {name}" for name, theirs, ours in others if ours.rows == measures.rows]
    lines = [f"{by} {figure(measures.values()[by])} is better than {', '.join(same)}"]
    lines += [
        f"{_pair(by, ours, theirs, 'than')} of {name}{_on(ours, measures)}"
        for name, theirs, ours in others
        if ours.rows != measures.rows
    ]
    return ", and ".join(lines)


def _pair(by: str, ours: Metrics, theirs: Metrics, verb: str) -> str:
    return f"{figure(ours.values()[by])} {verb} {figure(theirs.values()[by])}"


def _on(ours: Metrics, measures: Metrics) -> str:
    """Return on which rows a version was compared, where these are not all that were held out."""
    return "" if ours.rows == measures.rows else f" on the {ours.rows} rows new to both"


def _incomparable(rival: Rival) -> Iterator[str]:
    """Yield why two versions cannot be compared on rows that are newer than both trainings."""
    rows, positive = rival.new.rows, rival.new.positive
    if rows < LEAST_HELD_OUT or positive in (0, rows):
        yield (
            f"{rows} held-out rows, {positive} with the outcome, are newer than the training of version "
            f"{rival.version} too: too few to compare"
        )


def _rival(model: MlModel, active: Version, candidate: _Candidate) -> Rival:
    """Return the active version beside the new one, on rows of which neither knew an outcome.

    Raises:
        UsageError: another scikit-learn trained it.
        DataError: its artefact is damaged, or the features table lacks a feature of it.
    """
    dataset, features = candidate.dataset, read_features(active.features)
    kinds = {feature.name: feature.kind for feature in dataset.features}
    if gone := [feature.name for feature in features if kinds.get(feature.name) != feature.kind]:
        raise DataError(f"{model.features} has no longer its features {', '.join(gone)}")
    estimator = open_estimator(active)
    newest = since(active.holdout_from) if active.holdout_from else "true"
    rows = dataset.examples(f"{candidate.parts.holdout} AND {newest}")
    theirs = probabilities(estimator, features, rows.frame)
    ours = probabilities(candidate.estimator, candidate.features, rows.frame)
    measures = evaluate(rows.labels, theirs, active.threshold), evaluate(rows.labels, ours, model.threshold)
    return Rival(active.version, *measures)


def _baselines(model: MlModel, training: Examples, holdout: Examples) -> dict[str, Metrics]:
    """Return the measures of what needs no model, by its name: rates of the rows that were trained on."""
    names: dict[str, list[Any]] = {OVERALL: [None] * len(training.labels)}
    asked: dict[str, list[Any]] = {OVERALL: [None] * len(holdout.labels)}
    if model.baseline is not None:
        name = f"rate by {model.baseline}"
        names[name], asked[name] = (part.frame[model.baseline].to_list() for part in (training, holdout))
    found = {}
    for name, values in names.items():
        known, overall = rates(values, training.labels)
        chances = [known.get(value, overall) for value in asked[name]]
        found[name] = evaluate(holdout.labels, chances, model.threshold)
    return found


def _version(request: Request, candidate: _Candidate) -> Version:
    """Return a version as it was trained, before it has a number and is judged."""
    model, measures, parts, features = request.model, candidate.measures, candidate.parts, candidate.features
    artefact, sha256 = write_artefact(candidate.estimator)
    rows = f"FROM {ROWS} WHERE {parts.training}"
    types = {feature.name: feature.type for feature in features}
    settings = {"algorithm": model.algorithm, "parameters": dict(model.parameters), "seed": model.seed}
    return Version(
        name=f"{model.domain}.{model.name}",
        version=0,
        status=str(Status.CANDIDATE),
        why="",
        status_at=request.moment,
        status_by=request.by,
        replaced=None,
        trained_at=request.moment,
        trained_by=request.by,
        as_of=request.as_of,
        contract_version=model.version,
        data_versions=json.dumps(dict(sorted(candidate.dataset.versions.items()))),
        parameters=json.dumps(settings, sort_keys=True),
        features=write_features(features),
        training_rows=len(candidate.training.labels),
        training_positive=candidate.training.positive,
        holdout_rows=measures.rows,
        holdout_positive=measures.positive,
        holdout_from=parts.holdout_from,
        threshold=float(model.threshold),
        **measures.values(),
        calibration=json.dumps(measures.calibration),
        confusion=json.dumps(vars(measures.confusion)),
        baselines=json.dumps({name: theirs.values() for name, theirs in candidate.baselines.items()}),
        compared="{}",
        distributions=write_distributions(candidate.dataset.engine.rows, types, rows, EVENT),
        sha256=sha256,
        libraries=json.dumps(libraries()),
        artefact=artefact,
    )


def _compared(rival: Rival | None) -> str:
    """Return the comparison with the active version as JSON."""
    if rival is None:
        return "{}"
    figures = {"active": rival.measures.values(), "new": rival.new.values()}
    return json.dumps({"version": rival.version, "rows": rival.new.rows, **figures})
