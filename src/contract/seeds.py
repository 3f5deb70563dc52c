"""Seeds: small tables that lie beside the contracts, in git: src/silver/<domain>/seeds/<name>.csv or .yaml.

The folder is their registry, as it is of the contracts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from src.contract.documents import SEEDS, entries
from src.contract.errors import ContractFile
from src.contract.model import Seed
from src.errors import BoathouseError


def discover(root: Path, errors: list[BoathouseError]) -> tuple[Seed, ...]:
    """Return the seeds below root/silver; add an error for each of a name that is none."""
    found = [Seed(path.parent.parent.name, path.stem, path) for path in _files(root) if path.suffix in Seed.ENDINGS]
    for seed in found:
        shown = seed.path.relative_to(root.parent)
        ContractFile(seed.path, "silver", seed.domain, str(shown), errors).check_name("seed", seed.name)
    return tuple(found)


def notes(root: Path) -> list[str]:
    """Return a line for each file in a folder of seeds that is none."""
    others = [path.relative_to(root.parent) for path in _files(root) if path.suffix not in Seed.ENDINGS]
    return [f"{path} is no seed: these are {' and '.join(Seed.ENDINGS)} files" for path in others]


def _files(root: Path) -> Iterator[Path]:
    for folder in sorted((root / "silver").glob(f"*/{SEEDS}")):
        yield from entries(folder) if folder.is_dir() else ()
