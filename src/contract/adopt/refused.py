"""What the loader refuses of a contract is taken out, one part after the other, in the loader's own words."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.contract import documents, tables
from src.contract.adopt.changes import Changes
from src.contract.errors import ContractFile
from src.contract.model import Table
from src.errors import BoathouseError

_MOST = 500  # parts of one contract
_NEEDED = ("id", "version", "kind", "apiVersion", "servers")  # a contract is none without them
_WHOLE = ("slaProperties", "quality", "relationships")  # of these an item is right, or gone
_OF_TABLE = 2  # steps that lead to the one table


def without_refused(
    document: Mapping[str, Any], path: Path, changes: Changes
) -> tuple[dict[str, Any], list[BoathouseError]]:
    """Return a contract without what the loader refuses, and the errors that are left: none where it loads."""
    found = copy.deepcopy(dict(document))
    for _ in range(_MOST):
        _, errors = loaded(found, path)
        removed = next((at for error in errors if (at := _removed(found, error, path))), None)
        if removed is None:
            return found, errors
        changes.add(*removed)
    return found, errors


def loaded(document: Mapping[str, Any], path: Path) -> tuple[list[Table], list[BoathouseError]]:
    """Return the tables that a contract at a path gives, and the errors of it."""
    errors: list[BoathouseError] = []
    file = ContractFile(path, "silver", path.parent.name, path.name, errors)
    file.document = documents.conforming(copy.deepcopy(dict(document)), file) or {}
    return (tables.silver(file) if file.document and not errors else []), errors


def _removed(document: dict[str, Any], error: BoathouseError, path: Path) -> tuple[str, str] | None:
    """Take out the part that an error is about; return where it was and why, None where that is not possible."""
    key = str(error.where).partition(", ")[2]
    steps = [name or at for name, at in re.findall(r"([A-Za-z_]\w*)|\[([^\]]+)\]", key)]
    if unknown := re.fullmatch(r"unknown key (.+)", error.what):
        steps = [*steps, unknown[1]] if not steps or steps[-1] != unknown[1] else steps
    parts: list[tuple[Any, Any]] = []
    here: Any = document
    for step in steps:
        at = _place(here, step)
        if at is None:  # what is missing cannot be taken out, but what it is missing in
            break
        parts.append((here, at))
        here = here[at]
    within = next((at for at, (_, step) in enumerate(parts) if step in _WHOLE), len(parts))
    parts = parts[: within + 2]
    if not parts or parts[0][1] in _NEEDED or (parts[0][1] == "schema" and len(parts) <= _OF_TABLE):
        return None
    holder, at = parts[-1]
    del holder[at]
    return key, f"{error.what}: left out"


def _place(here: Any, step: str) -> Any:
    if isinstance(here, dict):
        return step if step in here else None
    if isinstance(here, list) and step.isdigit():
        return int(step) if int(step) < len(here) else None
    if isinstance(here, list):
        return next(
            (at for at, item in enumerate(here) if isinstance(item, dict) and item.get("property") == step), None
        )
    return None
