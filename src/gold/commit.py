"""A gold table is replaced whole or by partitions, in one commit, once what it will hold has been audited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from src import contract, lake
from src.checks import audits
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.gold import laws
from src.gold.slabs import Slabbing
from src.gold.written import Part, Written, written


def _nothing_more(*relations: str) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True)
class Commit:
    """One run's commit to one table, of the rows of parts: each is written before the next is asked for.

    `sources`: in the versions that will have been consumed; `refers`: the tables its foreign keys name; `state`: what
    else is recorded with every commit; `others` count rows for its audits, where they are many.
    """

    engine: DuckEngine
    table: Table
    root: Path
    sources: Mapping[str, lake.Snapshot]
    refers: Mapping[str, lake.Snapshot]
    batch: str
    state: Mapping[str, int] = field(default_factory=dict)
    others: Slabbing | None = None

    def whole(self, rows: Iterable[Part], check: Callable[[str], Mapping[str, int]] = _nothing_more) -> Outcome:
        """Replace everything; `check`: looks at the new rows, a relation, and returns more progress to record.

        Raises:
            DataError: the rows break the contract, or an audit; nothing was committed.
        """
        with written(self.engine, self.table, self.root, rows) as new:
            progress = {**self.progress, **check(new.relation)}
            self._check(new)
            audits = self._audit(new.relation, new.files)
        gold = self._prepared()
        if not contract.is_current(self.table, gold):  # else the columns are the same: readers compare rows with rows
            progress[lake.BUILT_FROM] = contract.fingerprint(self.table)
        gold = lake.commit(gold, add=new.files, progress=progress, info=self.info, overwrite=self._columns)
        gold = lake.set_properties(gold, contract.tags(self.table, gold))
        partitions = {tuple(file.partition.items()) for file in new.files} if self.table.partition_by else set()
        return _outcome(new.rows, len(partitions), gold.version, audits)

    def partitions(
        self,
        gold: lake.Snapshot,
        outputs: str,
        rows: Iterable[Part],
        check: Callable[[str, str], object] = _nothing_more,
    ) -> Outcome:
        """Replace the partitions of a relation; one that has no row any more is emptied.

        `check`: looks at the new rows and those that are kept, both relations.

        Raises:
            DataError: as `whole`.
        """
        with written(self.engine, self.table, self.root, rows) as new:
            within = self._partitions(outputs)
            replaced = [file for file in gold.files if gold.partition_of(file) in within]
            kept = lake.without(gold.files, replaced)
            beside = self.engine.scan(gold, kept)
            check(new.relation, beside)
            self._check(new)
            laws.check_key_beside(self.engine, self.table, new.relation, beside)
            every = f"(SELECT * FROM {beside} UNION ALL BY NAME SELECT * FROM {new.relation})"
            audits = self._audit(every, [*kept, *new.files])
        gold = lake.commit(gold, add=new.files, remove=replaced, progress=self.progress, info=self.info)
        return _outcome(new.rows, len(within), gold.version, audits)

    def _partitions(self, outputs: str) -> set[tuple[str, ...]]:
        """Return the partitions in a relation as their values' text."""
        texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in self.table.partition_by)
        return set(self.engine.rows(f"SELECT {texts} FROM {outputs}"))

    def seen(self, gold: lake.Snapshot) -> Outcome:
        """Record that the sources moved without changing a row."""
        return Outcome(version=lake.commit(gold, progress=self.progress, info=self.info).version)

    def note(self, progress: Mapping[str, int]) -> None:
        """Record something of the table's state without consuming anything."""
        lake.commit(self._prepared(), progress=progress, info=self.info)

    def _check(self, new: Written) -> None:
        by_partitions = self.table.partition_by and laws.is_key_within_partition(self.table)
        laws.check(self.engine, self.table, new.relation, list(new.by_partitions) if by_partitions else ())

    def _audit(self, relation: str, files: Sequence[lake.DataFile]) -> tuple[audits.AuditResult, ...]:
        """Audit the rows of a relation, which are those of the files."""
        refers = {name: self.engine.scan(other) for name, other in self.refers.items()} | {
            self.table.id: audits.AUDITED
        }
        counting = None
        if self.others and self.others.deals(sum(file.size for file in files)):
            counting = partial(self.others.count, self.table, self.root, files)
        rows = sum(file.rows for file in files)
        # a file of another writer need not say how many
        counted = all(file.rows for file in files)
        return audits.run(self.engine, self.table, relation, refers, rows, counting, are_counted=counted)

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
