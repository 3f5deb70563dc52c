"""A model is a SELECT over sources seen by their names, whose shape the contract says.

Of some partitions it is right as long as the sources are published as they were when it was asked for: run it before
the next is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from src import lake
from src.contract import Table
from src.engine import DuckEngine, identifier, literal
from src.errors import ContractError
from src.gold.computation import Computation
from src.gold.cut import Cut
from src.logger import load as load_logger


@dataclass(frozen=True)
class Model:
    """One table's model over these versions of its sources; it knows of no commit."""

    engine: DuckEngine
    table: Table
    sources: Mapping[str, lake.Snapshot]

    @property
    def columns(self) -> dict[str, str]:
        """Return the columns of the contract and their types."""
        return {column.name: column.type for column in self.table.columns}

    def rows(self) -> str:
        """Return a SELECT of every row.

        Raises:
            ContractError: the model does not parse, or does not return what the contract says.
        """
        self._publish_whole()
        return self._select("")

    def rows_in(self, outputs: str) -> str:
        """Return a SELECT of the partitions in a relation from all rows of all sources: right whatever they depend on.

        The partitions stand in the statement as literals, which the engine takes down to the files it reads.

        Raises:
            ContractError: as `rows`.
        """
        self._publish_whole()
        return self._select(f"WHERE {self._among(outputs)}")

    def rows_beside(self, outputs: str) -> str:
        """Return a SELECT of the rows in no partition of a relation, those in none at all too, as `rows_in` does.

        Raises:
            ContractError: as `rows`.
        """
        self._publish_whole()
        return self._select(f"WHERE ({self._among(outputs)}) IS NOT TRUE")

    def own_rows(self, cut: Cut, reads: str, outputs: str) -> tuple[str, list[lake.DataFile]]:
        """Return a SELECT of the partitions `outputs` from those rows of the cut sources that belong to `reads`.

        And the files of the sources that it reads.

        Raises:
            ContractError: as `rows`.
        """
        read: list[lake.DataFile] = []
        for name in self.sources:
            files = cut.files_within(name, f"temp.{reads}")
            self.engine.publish(name, cut.rows_within(name, f"temp.{reads}", files))
            read += files
        return self._select(f"SEMI JOIN temp.{outputs} USING ({cut.names})"), read

    def whole(self, into: str) -> int:
        """Compute every row into a temporary table; returns how many.

        Raises:
            ContractError: as `rows`.
        """
        return self._keep(self.rows(), self._all_files, into)

    def from_own_rows(self, cut: Cut, reads: str, outputs: str, into: str) -> int:
        """Compute what `own_rows` says into a temporary table; returns how many.

        Raises:
            ContractError: as `rows`.
        """
        select, read = self.own_rows(cut, reads, outputs)
        return self._keep(select, read, into)

    def over(self, views: Mapping[str, str], into: str) -> int:
        """Compute every row from SELECTs that stand for the sources, by their names; returns how many.

        Raises:
            ContractError: as `rows`.
        """
        for name, select in views.items():
            self.engine.publish(name, select)
        return self._keep(self._select(""), self._all_files, into)

    def bind(self) -> None:
        """Bind the SQL to the columns of its sources and compare what it gives with the contract; reads no row.

        Of a Python model nothing is known before it runs.

        Raises:
            ContractError: as `rows`.
        """
        if not self.table.python:
            self._publish_whole()
            self._check_shape(self.engine.inline(str(self.table.sql)))

    def _publish_whole(self) -> None:
        for name, source in self.sources.items():
            scan = self.engine.scan(source)
            self.engine.publish(name, f"SELECT * FROM {scan}")

    @property
    def _all_files(self) -> list[lake.DataFile]:
        return [file for source in self.sources.values() for file in source.files]

    def _among(self, outputs: str) -> str:
        """Return a condition that the rows of a relation of partitions meet, and no other."""
        kinds = self.columns
        names = [identifier(name) for name in self.table.partition_by]
        texts = ", ".join(f"{name}::VARCHAR" for name in names)
        rows = [
            [f"{literal(value)}::{kinds[name]}" for value, name in zip(row, self.table.partition_by, strict=True)]
            for row in self.engine.rows(f"SELECT {texts} FROM {outputs}")
        ]
        if not rows:
            return "false"
        # each column for itself, which the engine can take to the files; and where there are several, together
        tests = [
            f"{name} IN ({', '.join(set(column))})" for name, column in zip(names, zip(*rows, strict=True), strict=True)
        ]
        if len(names) > 1:
            together = ", ".join(f"({', '.join(row)})" for row in rows)
            tests.append(f"({', '.join(names)}) IN ({together})")
        return " AND ".join(tests)

    def _select(self, only: str) -> str:
        """Return a SELECT of the model over the published sources."""
        model = self._python() if self.table.python else self.engine.inline(str(self.table.sql))
        self._check_shape(model)
        names = ", ".join(map(identifier, self.columns))
        return f"SELECT {names} FROM ({model}) {only}"

    def _keep(self, select: str, read: Sequence[lake.DataFile], into: str) -> int:
        """Keep rows in a temporary table; of the files that are `read` they may be as many as these have."""
        return self.engine.table(into, select, large=not self.engine.has_room_for(sum(file.size for file in read)))

    def _check_shape(self, model: str) -> None:
        file, wanted = self.table.model, self.columns
        found = self.engine.columns(model) if self.table.python else self.engine.columns_in(model, file)
        differences = [f"no column {name}" for name in wanted if name not in found]
        differences += [f"column {name} is not in the contract" for name in found if name not in wanted]
        differences += [
            f"column {name} is {found[name]}, the contract says {kind}"
            for name, kind in wanted.items()
            if name in found and found[name] != kind
        ]
        if differences:
            fix = "end the model with a cast of every column to the contract's type, or change the contract"
            wrong = (name for name, kind in found.items() if wanted.get(name) != kind)
            line = (
                None if self.table.python else next(filter(None, (self.engine.line_of(model, n) for n in wrong)), None)
            )
            where = f"{file}:{line}" if line else file
            raise ContractError(f"{self.table.id}: {'; '.join(differences)}", where=where, fix=fix)

    def _python(self) -> str:
        """Run a Python model: `model(tables)` takes and returns polars LazyFrames; returns SQL over its rows."""
        import polars

        module = load_module(self.table.model)
        if not callable(getattr(module, "model", None)):
            fix = "define model(tables: dict[str, pl.LazyFrame]) -> pl.LazyFrame"
            raise ContractError("no function model", where=self.table.model, fix=fix)
        tables = {
            name: polars.DataFrame(self.engine.arrow(f"SELECT * FROM {name}").read_all()).lazy()
            for name in self.sources
        }
        result: Any = module.model(tables)
        self.engine.stream(Computation.MODEL, result.collect().to_arrow())
        kinds = self.engine.columns(f"FROM {Computation.MODEL}")
        views = (
            f"{identifier(n)}::VARCHAR AS {identifier(n)}" if k == "VARCHAR" else identifier(n)
            for n, k in kinds.items()
        )
        return f"SELECT {', '.join(views)} FROM {Computation.MODEL}"


def load_module(path: Path) -> ModuleType:
    """Import a project's .py by its path.

    Raises:
        ContractError: it is none.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ContractError("cannot be imported", where=path)
    load_logger()  # for its code may log by loguru itself
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
