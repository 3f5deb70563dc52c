"""What a gold table stores, against what its model gives over the versions that it read: computed whole, whatever is
proven of it, so that a partition which a run did not compute, and should have, shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from src import lake
from src.checks import compare
from src.contract import Table
from src.engine import DuckEngine, identifier
from src.gold import laws
from src.gold.computation import Computation
from src.gold.model import Model
from src.gold.written import in_chunks


def differences(
    engine: DuckEngine, table: Table, stored: lake.Snapshot, sources: Mapping[str, lake.Snapshot]
) -> Iterator[str]:
    """Yield the rows that a stored table has too many or lacks, with an example; none if it is what the model gives.

    As long as it is, by number and hashes, no row is kept: both sides are read through once. Sums of floats differ by
    the order of their rows, and so by their hashes: these are compared row by row.

    Raises:
        ContractError: the model does not parse, or does not return what the contract says.
        DataError: the rows break a key or a required column.
    """
    columns = {column.name: column.type for column in table.columns}
    names = ", ".join(map(identifier, columns))
    model, scan = Model(engine, table, sources), engine.scan(stored)
    sides = (f"SELECT {names} FROM {scan}", model.rows())
    sums = [engine.one(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM ({side}) t") for side in sides]
    if sums[0] == sums[1]:
        chunks = in_chunks(stored.files, table.partition_by) if laws.is_key_within_partition(table) else ()
        laws.check(engine, table, scan, [engine.scan(stored, files) for files in chunks])
        return
    model.whole(Computation.RESULT)
    laws.check(engine, table, f"(FROM {Computation.RESULT})")
    yield from compare.differences(engine, columns, scan, Computation.RESULT)
