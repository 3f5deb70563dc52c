"""Who takes part with many tables: Boathouse, and dbt-duckdb with a model for each of the same tables.

The dbt models run two at a time. Bronze adds the files whose name it has not seen, silver merges the rows of this
invocation, gold computes the touched days again or the whole table. Audits that the contracts ask for, quarantine and
the record of the run are Boathouse's alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks import shops
from benchmarks.contenders import TODAY, Boathouse, Place, zone
from benchmarks.measure import Command
from benchmarks.peers import QUIET, Peer

ROWS = 200  # of a file
LAYERS = ("bronze", "silver", "gold")


@dataclass
class ManyTables:
    """So many domains, half of their tables by day, and two days of their files."""

    folder: Path
    domains: list[str]
    dated: int = shops.TABLES // 2

    @property
    def days(self) -> list[Path]:
        """The folders of the first day and of the day after."""
        return [self.folder / str(day) for day in (date.fromisoformat(TODAY) - timedelta(days=1), TODAY)]

    def make(self) -> None:
        """Write the contracts, the dbt project and the files anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shops.contracts(self.folder / "contracts", self.domains, self.dated)
        shops.models(self.folder / "dbt", self.domains, self.dated)
        for day in self.days:
            shops.deliver(day, self.domains, date.fromisoformat(day.name), ROWS)

    def tables(self) -> Iterator[tuple[str, int]]:
        """Yield the domain and number of each feed."""
        return ((domain, nth) for domain in self.domains for nth in range(shops.TABLES))

    def boathouse(self, folder: Path) -> ManyBoathouse:
        """Boathouse with these contracts, ready; `folder` is where its code is copied to."""
        made = ManyBoathouse(contracts=self.folder / "contracts", code=folder, many=self)
        made.copy()
        return made

    def dbt(self, peer: Peer) -> ManyDbt:
        """dbt-duckdb with these models, in the venv of a peer that is ready."""
        return ManyDbt("dbt-duckdb, threads: 2", "dbt", peer.bin, self)


@dataclass
class ManyBoathouse(Boathouse):
    """The product with a contract for each table."""

    many: ManyTables | None = None

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        for day in files:
            shutil.copytree(day, zone(state), dirs_exist_ok=True)
        return self.command(state, "main.py")

    def tables(self, state: Path) -> Mapping[str, Place]:
        assert self.many
        names = {"bronze": "t", "silver": "t", "gold": "g"}
        return {
            f"{layer} of shops": {
                f"{domain}.{nth}": f"delta:{state}/data/{layer}/{domain}/{names[layer]}{nth}"
                for domain, nth in self.many.tables()
            }
            for layer in LAYERS
        }


@dataclass
class ManyDbt:
    """dbt-duckdb with three models for each feed."""

    name: str
    slug: str
    bin: Path
    many: ManyTables

    def prepare(self, bench: Path) -> None:
        """Nothing: its venv is that of the peer."""

    def load(self, state: Path, files: Sequence[Path]) -> Command:
        if not (state / "dbt_project.yml").exists():
            shutil.copytree(self.many.folder / "dbt", state, dirs_exist_ok=True)
        for day in files:
            shutil.copytree(day, state / "landing", dirs_exist_ok=True)
        return Command([str(self.bin / "dbt"), "--quiet", "run", "--profiles-dir", "."], state, QUIET)

    def tables(self, state: Path) -> Mapping[str, Place]:
        return {
            f"{layer} of shops": {
                f"{domain}.{nth}": f"duckdb:{state}/lake.duckdb:main.{layer}_{domain}_t{nth}"
                for domain, nth in self.many.tables()
            }
            for layer in LAYERS
        }
