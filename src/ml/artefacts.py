"""A trained model as text: what skops writes, which runs no code when it is opened, made the same for the same model.

skops names what it writes by addresses in memory and dates it; both are replaced, so that the same data and seed give
the same bytes, and the SHA-256 of these is the artefact's name.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.errors import DataError, UsageError
from src.ml.versions import Version

_SCHEMA = "schema.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can hold
_OWN = ("numpy.", "sklearn.")  # the packages whose types an artefact may hold
_HARMLESS = {"functools.partial"}  # gradient boosting holds one; the function in it is looked at like any other
_LIBRARY = "scikit-learn"


def require_extra() -> None:
    """Refuse to train or score where scikit-learn and skops are not installed.

    Raises:
        UsageError: they are not.
    """
    if missing := [name for name in ("sklearn", "skops") if find_spec(name) is None]:
        fix = "./setup.sh --ml; in a project of your own write boathouse[ml] in requirements.txt, then make setup"
        raise UsageError(f"models of machine learning need {', '.join(missing)}, not installed", fix=fix)


def libraries() -> dict[str, str]:
    """Return the libraries that an artefact depends on, with their installed versions."""
    return {_LIBRARY: version(_LIBRARY)}


def open_estimator(trained: Version) -> Any:
    """Return the estimator of a version, which must have its artefact.

    scikit-learn promises for no other version of itself that what it reads still predicts the same, so none is asked.

    Raises:
        UsageError: it was trained with another version of scikit-learn, or none is installed.
        DataError: the artefact is damaged.
    """
    require_extra()
    if (before := json.loads(trained.libraries or "{}")) != (now := libraries()):
        fix = f"train it again: main.py train --model {trained.name}"
        found, installed = before.get(_LIBRARY, "no known version"), now[_LIBRARY]
        what = f"version {trained.version} of {trained.name} was trained with {_LIBRARY} {found}, here is {installed}"
        raise UsageError(what, fix=fix)
    return read_artefact(trained.artefact, trained.sha256)


def is_readable(trained: Version) -> bool:
    """Return whether a version was trained with the libraries that are installed."""
    require_extra()
    return bool(json.loads(trained.libraries or "{}") == libraries())


def write_artefact(estimator: Any) -> tuple[str, str]:
    """Return a trained estimator as base64 text, and the SHA-256 of its bytes.

    Raises:
        UsageError: it holds types that are not scikit-learn's or NumPy's.
    """
    from skops import io as skops

    written = _canonical(skops.dumps(estimator))
    if foreign := _foreign(written):
        fix = "build the pipeline of scikit-learn's own classes: others would run code of their own when opened"
        raise UsageError(f"the pipeline holds {', '.join(foreign)}", fix=fix)
    return base64.b64encode(written).decode(), hashlib.sha256(written).hexdigest()


def read_artefact(artefact: str, sha256: str) -> Any:
    """Return the estimator of an artefact.

    Raises:
        DataError: the bytes are not those of its name, or hold types that are not scikit-learn's or NumPy's.
    """
    from skops import io as skops

    written = base64.b64decode(artefact)
    if hashlib.sha256(written).hexdigest() != sha256:
        fix = "train the model again, or bring its table back from a backup"
        raise DataError(f"the artefact {sha256[:12]} is damaged: its bytes are not those of its name", fix=fix)
    if foreign := _foreign(written):
        raise DataError(
            f"the artefact {sha256[:12]} holds {', '.join(foreign)}", fix="nothing else is opened: retire it"
        )
    return skops.loads(written, trusted=skops.get_untrusted_types(data=written))


def _foreign(written: bytes) -> list[str]:
    """Return the types of an artefact that skops does not trust and that are of no package of ours."""
    from skops import io as skops

    names = skops.get_untrusted_types(data=written)
    return [name for name in names if not name.startswith(_OWN) and name not in _HARMLESS]


def _canonical(written: bytes) -> bytes:
    """Return the same zip file without addresses and dates, uncompressed: the table compresses it."""
    with zipfile.ZipFile(io.BytesIO(written)) as found:
        schema = json.loads(found.read(_SCHEMA))
        names: dict[str, str] = {}
        _renumber(schema, {}, names)
        parts = {name: found.read(old) for old, name in names.items()}
    parts[_SCHEMA] = json.dumps(schema, separators=(",", ":")).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        for name, content in parts.items():
            made.writestr(zipfile.ZipInfo(name, _LONG_AGO), content)
    return out.getvalue()


def _renumber(node: Any, ids: dict[int, int], names: dict[str, str]) -> None:
    """Number the objects and the files of a schema in the order in which they stand there."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, ids, names)
    if not isinstance(node, dict):
        return
    if "__id__" in node:
        node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
    if isinstance(node.get("file"), str):
        node["file"] = names.setdefault(node["file"], f"{len(names) + 1}{Path(node['file']).suffix}")
    for value in node.values():
        _renumber(value, ids, names)
