"""The models of machine learning, printed: versions beside their baselines, drift, and how right they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from src import console
from src.errors import UsageError, nearest
from src.facts.models import ModelFacts, VersionFacts, read_models, state
from src.facts.wording import pluralized
from src.monitors import Findings, models
from src.monitors.model_features import TOO_FEW
from src.monitors.reading import Reading
from src.project import Project

_METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "brier")
_VERSIONS, _DAYS = 10, 7  # that are shown


def read_report(project: Project, now: datetime, name: str | None = None) -> tuple[ModelFacts, ...]:
    """Return every model, or one, with what its monitors find at a moment (UTC); changes nothing.

    Raises:
        UsageError: there is no model of that name.
    """
    known = [model.full_name for model in project.contracts.models.values()]
    if name is not None and name not in known:
        meant = f"did you mean {near}? " if (near := nearest(name, known)) else ""
        raise UsageError(f"no model {name}", fix=f"{meant}there are {', '.join(known) or 'none: see docs/ml.md'}")
    reading = Reading(project, now)
    figures, _ = models.measure(reading)
    reading.answers.keep()
    found = Findings(
        model_features=tuple(figures.features),
        model_predictions=tuple(figures.predictions),
        model_performance=tuple(figures.performance),
    )
    return tuple(model for model in read_models(project, found) if name in (None, model.name))


@dataclass(frozen=True)
class Section:
    """A table of what is so about a model, as the terminal and the page show it."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Return of each column whether it has numbers alone, which are set to the right."""
        return tuple(
            all(isinstance(row[at], int | float | None) for row in self.rows) for at in range(len(self.headers))
        )


def print_models(found: Sequence[ModelFacts], now: datetime) -> None:
    """Print each model: its state, its versions, the drift of its features, its predictions and how right they were."""
    if not found:
        print("No contract declares a model; docs/ml.md says how one does.")
    for at, model in enumerate(found):
        print(*([""] if at else []), f"{model.name}: {state(model, now)}", sep="\n")
        print(
            f"{model.features} -> {', '.join(model.scored) or 'no table is scored by it'}; {model.owner} answers for it"
        )
        for section in sections(model):
            print(f"\n{section.title}")
            console.table(section.headers, section.rows)


def sections(model: ModelFacts) -> tuple[Section, ...]:
    """Return the tables of a model that have rows."""
    shown = (_versions(model), _drift(model), _performance(model), _predictions(model))
    return tuple(section for section in shown if section.rows)


def _versions(model: ModelFacts) -> Section:
    """Return the newest versions, and below them the baselines on the held-out rows of the newest."""
    headers = ("version", "status", "trained (UTC)", "rows", "held out", *_METRICS, "why")
    rows = [_version(version) for version in model.versions[:_VERSIONS]]
    for newest in model.versions[:1]:
        rows += [
            (
                None,
                f"baseline: {name}",
                None,
                None,
                newest.holdout_rows,
                *_metrics(metrics),
                f"on the rows of {newest.version}",
            )
            for name, metrics in newest.baselines.items()
        ]
    return Section("Versions, judged on rows held out from training", headers, tuple(rows))


def _version(version: VersionFacts) -> tuple[object, ...]:
    trained = f"{version.trained_at:%Y-%m-%d %H:%M}"
    counts = (version.training_rows, version.holdout_rows)
    return (version.version, version.status, trained, *counts, *_metrics(version.metrics), version.why)


def _metrics(metrics: Mapping[str, float | None]) -> list[float | None]:
    return [_rounded(metrics.get(name)) for name in _METRICS]


def _drift(model: ModelFacts) -> Section:
    headers = ("feature", "psi", "from", "verdict", "rows", "since", "most moved")
    few = [one for one in model.drift if one.verdict == TOO_FEW]
    rows: list[tuple[object, ...]] = [
        (o.feature, _rounded(o.psi), _rounded(o.threshold), o.verdict, o.rows, f"{o.since}", o.most_moved)
        for o in model.drift
        if o not in few
    ]
    if few:  # in one line: nothing is said of any of them
        most = max(few, key=lambda one: one.rows)
        rows.append((pluralized(len(few), "feature"), None, None, TOO_FEW, most.rows, f"{most.since}", None))
    return Section("Features, against the rows it was trained on", headers, tuple(rows))


def _performance(model: ModelFacts) -> Section:
    rows = (
        (
            f"{row.weeks} from {row.week}" if row.together else f"{row.week}",
            row.version,
            row.outcomes,
            row.open,
            row.afterwards,
            *(_rounded(getattr(row, name)) for name in _METRICS),
            f"{row.verdict}: {row.broken}" if row.broken else row.verdict,
        )
        for row in (*([model.recent] if model.recent else []), *model.performance)
    )
    headers = ("week", "version", "outcomes", "open", "afterwards", *_METRICS, "verdict")
    return Section("How right it was, by the week of the events", headers, tuple(rows))


def _predictions(model: ModelFacts) -> Section:
    headers = ("scored on", "version", "predictions", "afterwards", "confidence", "unsure", "positive")
    rows = (
        (f"{o.day}", o.version, o.predictions, o.afterwards, *map(_rounded, (o.mean_confidence, o.unsure, o.positive)))
        for o in model.predictions[:_DAYS]
    )
    return Section("What it predicts, by the day of scoring", headers, tuple(rows))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
