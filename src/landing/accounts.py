"""The accounts that a source is asked for: as the contract lists them, or as a seed beside the contracts has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.errors import ContractError
from src.landing import seeds
from src.landing.connector import Account


def accounts(written: Any, folder: Path) -> tuple[Account, ...]:
    """Return the accounts of the option `accounts`, each once, in its order; `folder` is that of the domain's seeds.

    Raises:
        ContractError: there is no such seed, it is damaged or has not the columns, or no row of it is one of these.
    """
    if not isinstance(written, Mapping):
        return tuple(Account(str(name)) for name in dict.fromkeys(written))
    path = seeds.path_of(folder, written["seed"])
    rows = seeds.rows(path)
    column, where = written["account"], written.get("where", {})
    known = list(rows[0])
    if missing := [name for name in (column, *where) if name not in known]:
        what = f"accounts: no column {', '.join(missing)} in {path.name}"
        raise ContractError(what, where=path, fix=f"it has {', '.join(known)}")
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row[column] and all(row[name] == value for name, value in where.items()):
            found.setdefault(row[column], []).append(row)
    if not found:
        wanted = " and ".join(f"{name} = {value}" for name, value in where.items())
        raise ContractError(f"accounts: no row of {path.name} with {wanted}", where=path, fix="add one, or correct it")
    return tuple(Account(name, tuple(labels)) for name, labels in found.items())
