"""A slice of a table computed again from all of bronze; files that hold none of its rows stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from src import contract, lake
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import ContractError
from src.silver.batch import Batch
from src.silver.clean import Places
from src.silver.incoming import Source, compute, finish
from src.silver.merge import Merge, partitions_of


class Whole(Protocol):
    """A table computed whole by others in place of this process: src/workers/slicing.py."""

    @property
    def relation(self) -> str:
        """Return a relation of its rows."""

    def write(self, part: Slice) -> list[lake.DataFile]:
        """Write the rows of a slice, and those beside it in the files that hold it, into the table's folder."""


# Computes a table from sources, unless these are small; its rows are there for the length of the command.
Computing = Callable[[DuckEngine, Table, Sequence[Source]], Whole | None]


@dataclass(frozen=True)
class Slice:
    """The part of a table that a backfill computes again; its rows as they will be are in `Batch.INCOMING`.

    `where` is its condition; `changed` is a relation of its rows as they are and as they will be, also when the table
    is written; `partitions` are those that hold them; `whole`: who computed it in place of this process, if anyone.
    """

    silver: lake.Snapshot
    where: str
    replaced: tuple[lake.DataFile, ...]
    rows: str
    changed: str
    partitions: tuple[str, ...]
    count: int
    whole: Whole | None


def cut(engine: DuckEngine, table: Table, places: Places, where: str, computing: Computing | None = None) -> Slice:
    """Compute the rows of a table that meet an SQL condition again, from all of bronze; changes nothing.

    `computing`: what computes the table in place of this process, where there is much to read.

    Raises:
        ContractError: the contract changed since the table was built, or the condition does not fit the table.
    """
    merge = Merge(engine, table, places, "")
    silver = merge.current()
    if not contract.is_current(table, silver):
        raise ContractError(
            "the contract changed since the table was built", where=table.path, fix="run `make pipeline`"
        )
    sources = merge.consumed(silver)
    computed = computing(engine, table, sources) if computing else None
    if computed:
        engine.drop(Batch.INCOMING)
        engine.view(Batch.INCOMING, f"SELECT * FROM {computed.relation} WHERE coalesce(({where}), false)")
    else:
        compute(engine, table, sources)
        finish(engine, table)
        engine.execute(f"DELETE FROM {Batch.INCOMING} WHERE NOT coalesce(({where}), false)")
    scan = engine.scan(silver, located=True)
    sliced = f"{scan} WHERE {where}"  # these files stay on disk when they have left the table
    paths = set(engine.values(f"SELECT DISTINCT _at FROM {sliced}"))
    replaced = tuple(file for file in silver.files if str(silver.root / file.path) in paths)
    again = engine.scan(silver, replaced)
    names = ", ".join(map(identifier, table.stored_columns))
    every = ", ".join(map(identifier, silver.columns))  # with what another program added
    rest = f"SELECT {every} FROM {again} WHERE NOT coalesce(({where}), false)"
    rows = f"SELECT {names} FROM {Batch.INCOMING} UNION ALL BY NAME {rest}"
    changed = f"(SELECT {names} FROM {Batch.INCOMING} UNION ALL SELECT {names} FROM {sliced})"
    keys = " || '/' || ".join(f"'{name}=' || {identifier(name)}::VARCHAR" for name in table.partition_by)
    partitions = engine.values(f"SELECT DISTINCT {keys} FROM {changed} ORDER BY 1") if keys else ["the whole table"]
    count = int(engine.one(f"SELECT count(*) FROM {Batch.INCOMING}")[0])
    return Slice(silver, where, replaced, rows, changed, tuple(partitions), count, computed)


def backfill(engine: DuckEngine, table: Table, places: Places, part: Slice, *, batch: str) -> Outcome:
    """Replace a slice in one commit; files that hold none of its rows stay as they are.

    Raises:
        AuditError: the table would break an audit; nothing was committed.
    """
    merge = Merge(engine, table, places, batch)
    untouched = lake.without(part.silver.files, part.replaced)
    whole = engine.scan(part.silver, untouched)
    audits = merge.audit(f"(SELECT * FROM {whole} UNION ALL BY NAME {part.rows})")
    rows, keys = part.count + sum(file.rows for file in part.replaced), table.partition_by
    written = part.whole.write(part) if part.whole else engine.write(part.rows, places.table, keys, rows)
    progress = {feed.id: at for feed in table.feeds if (at := part.silver.progress(feed.id)) is not None}
    silver = lake.commit(part.silver, add=written, remove=part.replaced, progress=progress, info=merge.info)
    partitions = partitions_of([*written, *part.replaced])
    return Outcome(
        read=part.count,
        updated=part.count,
        written=part.count,
        partitions=partitions,
        version=silver.version,
        audits=audits,
    )
