"""A model of machine learning is a contract too: src/ml/<domain>/<name>.yaml, where wanted with <name>.py beside it.

It says which features predict which label, how the two are split by time, and what a trained version must keep to be
used. The standard has no words for it, so the file has a form of its own; the folder is the registry, as elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.contract import documents
from src.contract.custom import CustomProperties, is_number, is_text, is_whole
from src.contract.errors import ContractFile, hint, listed, shown
from src.contract.model import UNITS, Table
from src.contract.versions import SEMVER
from src.errors import BoathouseError

LAYER = "models"  # of the tables that hold the trained versions: models.<domain>.<name>
ALGORITHMS = ("logistic_regression", "random_forest", "gradient_boosting", "pipeline")  # the last is that of the .py
HIGHER_IS_BETTER = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc")
LOWER_IS_BETTER = ("brier", "log_loss", "calibration_error")
METRICS = (*HIGHER_IS_BETTER, *LOWER_IS_BETTER)
# What a table that is `scoredBy` a model has beside columns of its features table, and of which type.
SCORE_COLUMNS = {
    "probability": "DOUBLE",
    "predicted": "BOOLEAN",
    "reasons": "VARCHAR",
    "model_version": "INTEGER",
    "scored_at": "TIMESTAMP WITH TIME ZONE",
    "outcome_known": "BOOLEAN",  # whether the label was known already when the row was scored: no prediction then
    "features_hash": "VARCHAR",
}


@dataclass(frozen=True)
class Label:
    """The outcome to be predicted: SQL over the rows of a table that has the key of the features table."""

    table: str  # id
    value: str  # SQL: true or false
    known_at: str  # SQL: the date or timestamp from which on it is known; NULL as long as it is not


@dataclass(frozen=True)
class MlModel:
    """One model of machine learning, as its contract declares it."""

    domain: str
    name: str
    version: str  # of the contract; trained versions are numbered by themselves
    owner: str
    description: str
    features: str  # id of the gold table with `eventTime` and its feature columns
    label: Label
    algorithm: str  # one of ALGORITHMS
    path: Path
    where: str | None = None  # SQL: which rows of the features table it is about; None: all
    python: Path | None = None  # the sibling .py of the algorithm `pipeline`
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seed: int = 7
    holdout: float = 0.2  # the share of the labelled events, the newest, that a version is evaluated on
    threshold: float = 0.5  # from which probability on the outcome is predicted
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict, hash=False)  # least, most
    baseline: str | None = None  # a feature: its values' rates of the outcome are to be beaten, beside the overall rate
    compare_by: str = "brier"  # one of METRICS: by which it must beat the baselines and the active version
    drift: float = 0.25  # the PSI of a feature from which on it has drifted
    seasonal: tuple[str, ...] = ()  # features that follow the calendar: their drift says nothing
    retrain_hours: float = 168.0

    @property
    def id(self) -> str:
        """Return the id of the table that holds its trained versions: models.<domain>.<name>."""
        return f"{LAYER}.{self.full_name}"

    @property
    def full_name(self) -> str:
        """Return what people call it by: <domain>.<name>."""
        return f"{self.domain}.{self.name}"


def discover(root: Path, errors: list[BoathouseError]) -> dict[str, MlModel]:
    """Return the models below root/ml by their ids; add an error for each thing that is wrong with one."""
    layer = root / "ml"
    if not layer.is_dir():
        return {}
    found = (model for folder in documents.entries(layer) if folder.is_dir() for model in _in(folder, root, errors))
    return {model.id: model for model in found}


def left_out(models: Mapping[str, MlModel], tables: Collection[str]) -> dict[str, str]:
    """Return the models, by id, of whose mart no table is declared, each with a note.

    Who takes a mart away, or never had it, as after a merge of the sample company's models, is kept from no run.
    """
    marts = {_mart(name) for name in tables}
    return {
        name: f"{_shown(model.path)} is left out: no table of {_mart(model.features)} is declared"
        for name, model in models.items()
        if _mart(model.features) not in marts
    }


def _mart(table: str) -> str:
    return table.rpartition(".")[0]


def check_tables(models: Mapping[str, MlModel], tables: Mapping[str, Table], errors: list[BoathouseError]) -> None:
    """Add an error where a model names a table or column that is not declared, or that is no feature."""
    for model in models.values():
        file = ContractFile(model.path, "ml", model.domain, _shown(model.path), errors)
        for key, name in (("features", model.features), ("label.table", model.label.table)):
            if name not in tables:
                file.error(f"no table {name}", key, hint(name, tables))
        if model.features not in tables:
            continue
        features = tables[model.features]
        if features.event_time is None or not features.features:
            fix = "give it the custom property `eventTime`, and columns with the custom property `feature: true`"
            file.error(f"{features.id} is no table of features", "features", fix)
        elif model.baseline is not None and model.baseline not in features.features:
            file.error(f"no feature {model.baseline}", "baseline", hint(model.baseline, features.features))
        for name in set(model.seasonal) - set(features.features) if features.features else ():
            file.error(f"no feature {name}", "seasonal", hint(name, features.features))
        labelled = tables.get(model.label.table)
        missing = set(features.key) - {column.name for column in labelled.columns} if labelled else set()
        if missing:
            fix = f"name a table with the key of {features.id}: {listed(features.key)}"
            file.error(f"{model.label.table} has no column {listed(sorted(missing))}", "label.table", fix)


# -- one file


def _is_label(value: object) -> bool:
    known = {"table", "value", "knownAt"}
    return isinstance(value, dict) and value.keys() == known and all(map(is_text, value.values()))


def _is_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def _is_share(value: object) -> bool:
    return is_number(value) and 0 < value < 1  # type: ignore[operator]  # it is a number


def _is_bounds(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(name in METRICS and _is_span(value[name]) for name in value)


def _is_span(value: object) -> bool:
    ends = ("min", "max")
    return isinstance(value, dict) and bool(value) and all(end in ends and is_number(value[end]) for end in value)


def _is_rate(value: object) -> bool:
    named = isinstance(value, dict) and value.keys() == {"value", "unit"} and value["unit"] in UNITS
    return named and is_number(value["value"]) and value["value"] > 0  # type: ignore[index]  # it has keys


_KEYS: CustomProperties = {
    "version": ("MAJOR.MINOR.PATCH, for example 1.0.0", lambda value: bool(SEMVER.fullmatch(str(value)))),
    "owner": ("who answers for it", is_text),
    "description": ("what it predicts, in business words", is_text),
    "features": ("the id of a gold table, such as gold.delivery.late_features", is_text),
    "where": ("an SQL condition over the features table", is_text),
    "label": ("{table: an id, value: SQL that is true or false, knownAt: SQL that is a date or timestamp}", _is_label),
    "algorithm": (f"one of {', '.join(ALGORITHMS)}", lambda value: value in ALGORITHMS),
    "parameters": ("keys and values, those of the algorithm", lambda value: isinstance(value, dict)),
    "seed": ("a whole number from 0 to 4294967295", lambda value: is_whole(value) and 0 <= value < 2**32),
    "holdout": ("a share of the events between 0 and 1, such as 0.2", _is_share),
    "threshold": ("a probability between 0 and 1", _is_share),
    "bounds": (f"{{metric: {{min: number, max: number}}}}; the metrics are {', '.join(METRICS)}", _is_bounds),
    "baseline": ("the name of a feature, such as carrier", is_text),
    "compareBy": (f"one of {', '.join(METRICS)}", lambda value: value in METRICS),
    "drift": ("a PSI above 0, such as 0.25", lambda value: is_number(value) and value > 0),
    "seasonal": ("a list of features, such as [weekday]", _is_names),
    "retrain": (f"{{value: number, unit: {'|'.join(UNITS)}}}", _is_rate),
}
_REQUIRED = ("version", "owner", "description", "features", "label", "algorithm")


def _in(folder: Path, root: Path, errors: list[BoathouseError]) -> Iterator[MlModel]:
    names = {path.stem for path in folder.glob("*.yaml")}
    for path in documents.entries(folder):
        file = ContractFile(path, "ml", folder.name, str(path.relative_to(root.parent)), errors)
        file.check_name("folder", folder.name, reserved=documents.RESERVED)
        if path.suffix == ".yaml":
            file.check_name("model", path.stem)
            yield from _model(file)
        elif path.is_dir() or path.suffix != ".py" or path.stem not in names:
            fix = "a model is <name>.yaml, where wanted with <name>.py beside it; rename or remove it"
            file.error(f"{path.name} belongs to no model; the folder has {listed(sorted(names)) or 'none'}", fix=fix)


def _model(file: ContractFile) -> Iterator[MlModel]:
    """Yield the one model of a file; none, with errors added, where it is not sound."""
    text = file.text(file.path)
    document = documents.parse(text, file) if text else None
    if document is None:
        return
    before = len(file.errors)
    _check_keys(document, file)
    beside = file.path.with_suffix(".py")
    python = beside if beside.is_file() else None
    if (document.get("algorithm") == "pipeline") != (python is not None):
        fix = "write `algorithm: pipeline` with the .py beside it, or another one without"
        file.error(
            f"algorithm {document.get('algorithm')} with {beside.name if python else 'no .py'}", "algorithm", fix
        )
    if len(file.errors) > before:
        return
    label, bounds = document["label"], document.get("bounds", {})
    retrain = document.get("retrain", {"value": 1, "unit": "w"})
    optional = {"where": "where", "seed": "seed", "holdout": "holdout", "threshold": "threshold", "drift": "drift"}
    optional |= {"parameters": "parameters", "baseline": "baseline", "compareBy": "compare_by"}
    yield MlModel(
        domain=file.domain,
        name=file.path.stem,
        version=document["version"],
        owner=document["owner"],
        description=document["description"].strip(),
        features=document["features"],
        label=Label(label["table"], label["value"], label["knownAt"]),
        algorithm=document["algorithm"],
        path=file.path,
        python=python,
        bounds={name: (span.get("min"), span.get("max")) for name, span in bounds.items()},
        seasonal=tuple(document.get("seasonal", ())),
        retrain_hours=float(retrain["value"]) * UNITS[retrain["unit"]].hours,
        **{field: document[key] for key, field in optional.items() if key in document},
    )


def _check_keys(document: Mapping[str, Any], file: ContractFile) -> None:
    for key in document:
        if key not in _KEYS:
            file.error(f"unknown key {key}", key, hint(key, _KEYS))
        elif not _KEYS[key][1](document[key]):
            file.error(f"{key} {shown(document[key])}", key, f"write {_KEYS[key][0]}")
    for key in _REQUIRED:
        if key not in document:
            file.error(f"no {key}", fix=f"write `{key}`: {_KEYS[key][0]}")


def _shown(path: Path) -> str:
    return "/".join(path.parts[-4:])
