"""A gold table is replaced whole or by partitions, in one commit, once what it will hold has been audited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from src import contract, lake
from src.checks import audits
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.gold import laws
from src.gold.computation import Computation


@dataclass(frozen=True)
class Commit:
    """One run's commit to one table, from the temporary table `result`.

    `sources`: in the versions that will have been consumed; `refers`: the tables its foreign keys name; `state`: what
    else is recorded with every commit.
    """

    engine: DuckEngine
    table: Table
    root: Path
    sources: Mapping[str, lake.Snapshot]
    refers: Mapping[str, lake.Snapshot]
    batch: str
    state: Mapping[str, int] = field(default_factory=dict)

    def whole(self, rows: int, also: Mapping[str, int]) -> Outcome:
        """Replace everything; `also`: more progress to record.

        Raises:
            DataError: the rows break the contract, or an audit; nothing was committed.
        """
        laws.check(self.engine, self.table)
        audits = self._audit(f"(FROM {Computation.RESULT})")
        gold = self._prepared()
        written = self.engine.write(f"FROM {Computation.RESULT}", self.root, self.table.partition_by, rows)
        progress = {**self.progress, **also}
        if not contract.is_current(self.table, gold):  # else the columns are the same: readers compare rows with rows
            progress[lake.BUILT_FROM] = contract.fingerprint(self.table)
        gold = lake.commit(gold, add=written, progress=progress, info=self.info, overwrite=self._columns)
        gold = lake.set_properties(gold, contract.tags(self.table, gold))
        return _outcome(rows, len(written) if self.table.partition_by else 0, gold.version, audits)

    def partitions(self, gold: lake.Snapshot, outputs: str, rows: int) -> Outcome:
        """Replace the partitions of a relation; one that has no row any more is emptied.

        Raises:
            DataError: as `whole`.
        """
        laws.check(self.engine, self.table)
        kept, replaced = self.split(gold, outputs)
        beside = self.engine.scan(gold, kept)
        laws.check_key_beside(self.engine, self.table, beside)
        audits = self._audit(f"(SELECT * FROM {beside} UNION ALL BY NAME FROM {Computation.RESULT})")
        written = self.engine.write(f"FROM {Computation.RESULT}", self.root, self.table.partition_by, rows)
        gold = lake.commit(gold, add=written, remove=replaced, progress=self.progress, info=self.info)
        return _outcome(rows, self.engine.one(f"SELECT count(*) FROM {outputs}")[0], gold.version, audits)

    def split(self, gold: lake.Snapshot, outputs: str) -> tuple[list[lake.DataFile], list[lake.DataFile]]:
        """Return the files of the stored table outside of some partitions, and those in them."""
        texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in self.table.partition_by)
        within = set(self.engine.rows(f"SELECT {texts} FROM {outputs}"))
        replaced = [file for file in gold.files if gold.partition_of(file) in within]
        return [file for file in gold.files if file not in replaced], replaced

    def seen(self, gold: lake.Snapshot) -> Outcome:
        """Record that the sources moved without changing a row."""
        return Outcome(version=lake.commit(gold, progress=self.progress, info=self.info).version)

    def note(self, progress: Mapping[str, int]) -> None:
        """Record something of the table's state without consuming anything."""
        lake.commit(self._prepared(), progress=progress, info=self.info)

    def stored(self, gold: lake.Snapshot, outputs: str) -> str:
        """Return a relation of the stored rows outside of some partitions."""
        return self.engine.scan(gold, self.split(gold, outputs)[0])

    def _audit(self, relation: str) -> tuple[audits.AuditResult, ...]:
        others = {name: self.engine.scan(other) for name, other in self.refers.items()}
        return audits.run(self.engine, self.table, relation, others | {self.table.id: audits.AUDITED})

    def _prepared(self) -> lake.Snapshot:
        gold = lake.open_table(self.root)
        if gold and gold.partition_by == self.table.partition_by:
            return gold
        tags = contract.tags(self.table) if gold is None else contract.draft_tags(self.table, gold)
        return lake.create(self.root, self._columns, self.table.partition_by, tags, replace=gold is not None)

    @property
    def progress(self) -> dict[str, int]:
        """Return the versions and identities of the sources that will have been consumed, and the state."""
        identities = {lake.identity_of(name): source.identity for name, source in self.sources.items()}
        return {**lake.consumed(self.sources), **identities, **self.state}

    @property
    def info(self) -> dict[str, str]:
        """Return what the commit says of itself: run and contract version."""
        return {"run_id": self.batch, "userMetadata": json.dumps({"version": self.table.version})}

    @property
    def _columns(self) -> dict[str, str]:
        return {column.name: column.type for column in self.table.columns}


def _outcome(rows: int, partitions: int, version: int, audits: tuple[audits.AuditResult, ...]) -> Outcome:
    return Outcome(read=rows, inserted=rows, written=rows, partitions=partitions, version=version, audits=audits)
