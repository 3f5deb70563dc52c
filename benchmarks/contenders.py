"""Who takes part: what each must do to load files into its tables, and where these then are.

Every contender keeps the rows as they came, puts the dirty ones aside, keeps the newest row of each key whatever
the order of arrival, and has the revenue of each day, country and product. `benchmarks/check.py` compares what
they ended with before a time counts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from benchmarks.measure import Command

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
TABLES = ("bronze", "rejected", "silver", "gold")
FEED = "orders/order_lines"  # where files land
TODAY = "2026-01-01"  # the day of an increment, in its file's name


Place = str | Mapping[str, str]  # of a table; of many tables of one kind, by name


class Missing(Exception):
    """A contender cannot take part; the message says why."""


class Contender(Protocol):
    """One way to do the work. A state is a folder of its own: copied, it is a second lake."""

    name: str
    slug: str  # its name as a folder

    def prepare(self, bench: Path) -> None:
        """Make ready what every run needs (a venv, the code), outside of any measurement.

        Raises:
            Missing: it cannot be installed.
        """

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        """The command that brings these files, new to it, through all its tables."""

    def tables(self, state: Path) -> Mapping[str, Place]:
        """Where its tables lie, as benchmarks/check.py reads them."""


@dataclass
class Boathouse:
    """The product itself, with the contracts of `benchmarks/contracts` in place of those that are shipped."""

    name: str = "Boathouse"
    slug: str = "boathouse"
    contracts: Path = HERE / "contracts"
    environ: Mapping[str, str] = field(default_factory=dict)
    code: Path = Path()

    def limited(self, memory: str) -> Boathouse:
        """Return the same with another MEMORY_LIMIT than the default, for after `prepare`."""
        name, slug = f"{self.name}, MEMORY_LIMIT={memory}", f"{self.slug}-{memory}"
        return replace(self, name=name, slug=slug, environ={"MEMORY_LIMIT": memory})

    def prepare(self, bench: Path) -> None:
        self.code = bench / "boathouse"
        self.copy()

    def copy(self) -> None:
        """Copy the product to `code`, with these contracts as its own."""
        shutil.rmtree(self.code, ignore_errors=True)
        self.code.mkdir(parents=True)
        shutil.copy(ROOT / "main.py", self.code)
        shutil.copytree(ROOT / "src", self.code / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for domain in [path for layer in ("silver", "gold", "ml") for path in (self.code / "src" / layer).iterdir()]:
            if domain.is_dir():
                shutil.rmtree(domain)
        shutil.copytree(self.contracts, self.code / "src", dirs_exist_ok=True)
        subprocess.run([sys.executable, "-m", "compileall", "-q", "main.py", "src"], cwd=self.code, check=True)

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        land(state, files)
        return self.command(state, "main.py")

    def command(self, state: Path, *words: str) -> Command:
        environ = {
            "DATA_DIR": str(state / "data"),
            "LOG_DIR": str(state / "logs"),
            "SAMPLE_FEED": "false",
            "SETTLE_SECONDS": "0",
            **self.environ,
        }
        return Command([sys.executable, *words], self.code, environ)

    def bronze(self, state: Path, files: Sequence[Path], form: str) -> Command:
        """The command that brings files into bronze and no further."""
        land(state, files)
        command = self.command(state, str(HERE / "bronze.py"), form)
        return Command(command.argv, command.cwd, {**command.environ, "PYTHONPATH": str(self.code)})

    def committing(self, state: Path, count: int, work: str) -> Command:
        """The command that does a work of `commit.py` with so many files."""
        command = self.command(state, str(HERE / "commit.py"), str(state / "table"), str(count), work)
        return Command(command.argv, command.cwd, {**command.environ, "PYTHONPATH": str(self.code)})

    def tables(self, state: Path) -> Mapping[str, Place]:
        data = state / "data"
        return {
            "bronze": f"delta:{data}/bronze/{FEED}",
            "rejected": f"delta:{data}/quarantine/{FEED}",
            "silver": f"delta:{data}/silver/{FEED}",
            "gold": f"delta:{data}/gold/orders/daily_revenue",
        }


def land(state: Path, files: Sequence[Path]) -> None:
    """Put files into the landing zone of a state, in the folder of the one feed."""
    landing = zone(state)
    (landing / FEED).mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, landing / FEED)


def zone(state: Path) -> Path:
    """The landing zone of a state, without what the round before delivered.

    A landed file is known by its inode and times, which a copy of the state would change. So the zone lies
    beside the state, a copy links to it, and the history in it stays untouched: only what the round before
    delivered is taken out.
    """
    landing = state / "data/landing"
    if not landing.exists():
        beside = state.with_name(f"{state.name}.landing")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        landing.parent.mkdir(parents=True, exist_ok=True)
        landing.symlink_to(beside.resolve(), target_is_directory=True)
    for delivered in landing.resolve().rglob(f"*{TODAY}*"):
        delivered.unlink()
    return landing


@dataclass
class Floor:
    """DuckDB alone: `benchmarks/floor.py`."""

    name: str = "floor: DuckDB alone"
    slug: str = "floor"

    def prepare(self, bench: Path) -> None:
        """Nothing: it runs on the project's own Python."""

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        return Command([sys.executable, "-m", "benchmarks.floor", str(state), *map(str, files)], ROOT)

    def bronze(self, state: Path, files: Sequence[Path], form: str) -> Command:
        """The command that copies files to Parquet and does nothing more."""
        return Command([sys.executable, "-m", "benchmarks.floor", str(state), "--bronze", form, *map(str, files)], ROOT)

    def tables(self, state: Path) -> Mapping[str, Place]:
        return {name: f"parquet:{state}/{name}/**/*.parquet" for name in TABLES}
