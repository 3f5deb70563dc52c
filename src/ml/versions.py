"""The versions of a model: one row each in its table `models.<domain>.<name>`, with the artefact that was trained.

The view `ops.ml_models` has those of all models, without what only a machine reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    CANDIDATE = "CANDIDATE"  # trained, and not in use: `why` says what it lacks
    ACTIVE = "ACTIVE"  # the one that scores; at most one of a model
    RETIRED = "RETIRED"  # was active


@dataclass(frozen=True)
class Version:
    """One trained version; times in UTC, metrics on the held-out rows that `holdout_from` begins."""

    name: str  # <domain>.<name> of the model
    version: int  # from 1
    status: str  # one of Status
    why: str  # why it has the status
    status_at: datetime  # since when it has it
    status_by: str  # who gave it
    replaced: int | None  # the version that was active before this one became it; None: none was, or it never did
    trained_at: datetime  # last: the same data and seed give the same version again
    trained_by: str
    as_of: datetime  # nothing known later was used
    contract_version: str
    data_versions: str  # JSON: table id to the version that was read
    parameters: str  # JSON: algorithm, parameters, seed
    features: str  # JSON: the columns, in order, each with its kind
    training_rows: int
    training_positive: int
    holdout_rows: int
    holdout_positive: int
    holdout_from: datetime | None
    threshold: float
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    pr_auc: float | None
    brier: float | None
    log_loss: float | None
    calibration_error: float | None
    calibration: str  # JSON: bins of [mean probability, rate of the outcome, rows]
    confusion: str  # JSON: {true_positive, false_positive, true_negative, false_negative} at the threshold
    baselines: str  # JSON: name to its metrics on the same rows
    compared: str  # JSON: the version that was active, and the metrics of both on rows that neither had seen
    distributions: str  # JSON: feature to the bounds and shares of its values in training, for drift
    sha256: str  # of the artefact: the same data and seed give the same
    libraries: str  # JSON: package to the version it was trained with; an artefact is opened by the same alone
    artefact: str  # base64 of what skops wrote; runs no code when it is opened
