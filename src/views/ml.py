"""The view of trained models: the versions of all of them, without what only a machine reads."""

from __future__ import annotations

from collections.abc import Collection

from src.views.view import View

MODELS = "ops.ml_models"
_HIDDEN = "('artefact', 'distributions')"  # the estimators themselves, and what drift is told against


def _versions(there: Collection[str]) -> str | None:
    """Return the SQL of all versions of all models that were trained."""
    tables = sorted(name for name in there if name.startswith("models."))
    parts = (f"SELECT COLUMNS(lambda name: name NOT IN {_HIDDEN}) FROM {table}" for table in tables)
    return " UNION ALL BY NAME ".join(parts) or None


VIEWS = (View(MODELS, "A trained version of a model: its figures, status and why it has it.", _versions),)
