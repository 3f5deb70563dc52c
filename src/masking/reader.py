"""Who reads: the user of the system, whom nobody can make up, and what this user is shown of a lake.

Masks are told by the contracts. Where these cannot be read, those hold that were told last; where none were, all of
the lake is masked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from src import store
from src.engine import DuckEngine
from src.errors import BoathouseError
from src.masking.key import read_key
from src.masking.masks import NONE, Masks
from src.masking.resolving import resolve
from src.project import Project, on_engine, read_contracts
from src.settings import Settings

_LAST = Path(".masking") / "last.json"
_PRIVATE = 0o600


def system_user() -> str:
    """Return the user that the system runs this process as; "" if it has no name.

    Not what the environment says: anybody can write that.
    """
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return ""


def recorded_as(who: str) -> str:
    """Return a reader as it is recorded: the user of the system, and whom the environment names where it is another."""
    user = system_user()
    return who if user in ("", who) else f"{user} for {who}" if who else user


def is_unmasked(settings: Settings) -> bool:
    """Return whether the user who runs this process reads classified columns as they are."""
    user = system_user()
    return not settings.masked_classes or (bool(user) and user in (settings.unmasked_users or "").split())


def masks_of(project: Project) -> Masks:
    """Return the masks for the user who runs this process."""
    return NONE if is_unmasked(project.settings) else masks_of_everybody(project)


def masks_of_page(project: Project) -> Masks:
    """Return the masks for whoever looks at the page: behind a proxy that is not the user who runs it."""
    return masks_of_everybody(project) if project.settings.page_host else masks_of(project)


def masks_of_everybody(project: Project) -> Masks:
    """Return the masks for people who are not known: readers of what is sent or handed round."""
    data = project.settings.data_dir
    masks = resolve(project, partial(read_key, data))
    _keep(data, masks)
    return masks


def masks_of_records(project: Project) -> Masks:
    """Return the masks by which records and logs are kept free of values; of all tables where they cannot be told."""
    try:
        return resolve(project, lambda: None)
    except BoathouseError:
        return Masks()


def masks_of_lake(settings: Settings, engine: DuckEngine) -> Masks:
    """Return the masks for the user who runs this process, of a lake whose contracts may be wrong."""
    if is_unmasked(settings):
        return NONE
    try:
        contracts, found = read_contracts(settings)
        return masks_of_everybody(on_engine(settings, contracts, engine, found=found))
    except BoathouseError:
        return _last(settings.data_dir)


def _last(data: Path) -> Masks:
    """Return the masks that were told last; of tables that these do not know everything is masked."""
    key = read_key(data)
    try:
        kept: Mapping[str, Any] = json.loads((store.beside(data) / _LAST).read_text(encoding="utf-8"))
        return Masks.from_json({**kept, "key": key, "off": False})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Masks(key=key)


def _keep(data: Path, masks: Masks) -> None:
    """Keep the masks for when contracts cannot be read; where there is no writing that is no failure."""
    path = store.beside(data) / _LAST
    text = json.dumps({**masks.as_json(), "key": None}, indent=1, sort_keys=True)
    try:
        if store.is_remote(data):
            path.parent.mkdir(exist_ok=True)
        if path.parent.is_dir() and (not path.exists() or path.read_text(encoding="utf-8") != text):
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE), "w", encoding="utf-8"
            ) as out:
                out.write(text)
            os.replace(part, path)
    except OSError:
        return
