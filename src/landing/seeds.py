"""Seeds: small tables that lie beside the contracts, in git."""

from __future__ import annotations

import csv
from pathlib import Path

from src.errors import ContractError, from_os_error

ENDINGS = (".csv", ".yaml")


def folder_of(source: Path, domain: str) -> Path:
    """Return where the seeds of a domain lie; `source` is the project's src/."""
    return source / "silver" / domain / "seeds"


def path_of(folder: Path, name: str) -> Path:
    """Return the file of a seed.

    Raises:
        ContractError: there is none of that name.
    """
    found = [path for ending in ENDINGS if (path := folder / f"{name}{ending}").is_file()]
    if not found:
        there = sorted(path.stem for path in folder.glob("*") if path.suffix in ENDINGS)
        fix = f"the seeds are {', '.join(there)}" if there else f"write {name}.csv there"
        raise ContractError(f"no seed {name}", where=folder, fix=fix)
    return found[0]


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a seed as text, by column.

    Raises:
        ContractError: it is not what its ending says.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, strict=True))
    except OSError as error:
        raise from_os_error(error, path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ContractError(f"no CSV: {error}", where=path, fix="correct it") from error
