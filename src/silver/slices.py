"""A slice of a table computed again from all of bronze; files that hold none of its rows stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

from src import contract, lake
from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.errors import ContractError
from src.silver.batch import Batch
from src.silver.clean import Merge, Places, partitions_of
from src.silver.incoming import compute, finish


@dataclass(frozen=True)
class Slice:
    """The part of a table that a backfill computes again; its rows as they will be are in `Batch.INCOMING`.

    `changed` is a relation of its rows as they are and as they will be, also when the table is written;
    `partitions` are those that hold them.
    """

    silver: lake.Snapshot
    replaced: tuple[lake.DataFile, ...]
    rows: str
    changed: str
    partitions: tuple[str, ...]
    count: int


def cut(engine: DuckEngine, table: Table, places: Places, where: str) -> Slice:
    """Compute the rows of a table that meet an SQL condition again, from all of bronze; changes nothing.

    Raises:
        ContractError: the contract changed since the table was built, or the condition does not fit the table.
    """
    merge = Merge(engine, table, places, "")
    silver = merge.current()
    if not contract.is_current(table, silver):
        raise ContractError(
            "the contract changed since the table was built", where=table.path, fix="run `make pipeline`"
        )
    compute(engine, table, merge.consumed(silver))
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
    return Slice(silver, replaced, rows, changed, tuple(partitions), count)


def backfill(engine: DuckEngine, table: Table, places: Places, part: Slice, *, batch: str) -> Outcome:
    """Replace a slice in one commit; files that hold none of its rows stay as they are.

    Raises:
        AuditError: the table would break an audit; nothing was committed.
    """
    merge = Merge(engine, table, places, batch)
    untouched = [file for file in part.silver.files if file not in part.replaced]
    whole = engine.scan(part.silver, untouched)
    audits = merge.audit(f"(SELECT * FROM {whole} UNION ALL BY NAME {part.rows})")
    rows = part.count + sum(file.rows for file in part.replaced)
    written = engine.write(part.rows, places.table, table.partition_by, rows)
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
