"""A version of a model as a test wants it: what the test does not say is of no matter to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from src.ml.versions import Status, Version

MONDAY, TUESDAY, WEDNESDAY = (datetime(2026, 11, day, 6, tzinfo=UTC) for day in (2, 3, 4))


def version(number: int, status: Status = Status.CANDIDATE, **others: Any) -> Version:
    values: dict[str, Any] = {
        "name": "shop.late",
        "version": number,
        "status": str(status),
        "why": "trained",
        "status_at": MONDAY,
        "status_by": "ann",
        "replaced": None,
        "trained_at": MONDAY,
        "trained_by": "ann",
        "as_of": MONDAY,
        "contract_version": "1.0.0",
        "data_versions": "{}",
        "parameters": "{}",
        "features": "{}",
        "training_rows": 80,
        "training_positive": 20,
        "holdout_rows": 20,
        "holdout_positive": 5,
        "holdout_from": MONDAY,
        "threshold": 0.5,
        "accuracy": 0.75,
        "precision": None,
        "recall": 0.0,
        "f1": None,
        "roc_auc": 0.5,
        "pr_auc": 0.25,
        "brier": 0.19,
        "log_loss": 0.56,
        "calibration_error": 0.05,
        "calibration": "[]",
        "confusion": "{}",
        "baselines": "{}",
        "compared": "{}",
        "distributions": "{}",
        "sha256": f"{number:064d}",
        "libraries": "{}",
        "artefact": f"text of {number}",
    }
    return Version(**values | others)
