"""SCD2: every version of a key is kept, valid from its own moment until the next, whatever order they came in.

A version is a key at one value of the sequence. The rows of a key change each other's validity, so
all stored versions of a key that got a new one are laid out again beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

from src.contract import Table
from src.engine import DuckEngine, identifier
from src.silver import winners
from src.silver.batch import Batch


def lay_out(
    engine: DuckEngine, table: Table, columns: Mapping[str, str], stored: str | None, deletions: str | None
) -> int:
    """Give the versions in `incoming` their validity, together with the stored versions of their keys.

    `columns` are those without validity; `stored` is a relation of the table with _at and _nth,
    `deletions` one of its recorded deletions. Stored versions that move in are added to
    `superseded`; returns how many. A deletion ends the version before it and has none of its own.
    """
    if table.history != "scd2":
        return 0
    key = ", ".join(map(identifier, table.key))
    names = ", ".join(map(identifier, columns))
    gone = f"SELECT {names} FROM {Batch.DELETED if table.delete_when else f'{Batch.INCOMING} WHERE false'}"
    affected = f"(SELECT DISTINCT {key} FROM (SELECT {key} FROM {Batch.INCOMING} UNION ALL SELECT {key} FROM ({gone})))"
    moved = 0
    if stored:
        there = f"SELECT * FROM {stored} s SEMI JOIN {affected} a USING ({key})"
        moved = engine.table(
            Batch.NEIGHBOURS, f"SELECT * FROM ({there}) n ANTI JOIN {Batch.SUPERSEDED} USING (_at, _nth)"
        )
        engine.execute(f"INSERT INTO {Batch.SUPERSEDED} SELECT _at, _nth FROM {Batch.NEIGHBOURS}")
    if deletions:
        gone += f" UNION ALL SELECT {names} FROM {deletions} d SEMI JOIN {affected} a USING ({key})"
    versions = f"SELECT {names}, false AS _gone FROM {Batch.INCOMING} UNION ALL SELECT {names}, true FROM ({gone})"
    if stored:
        versions += f" UNION ALL SELECT {names}, false FROM {Batch.NEIGHBOURS}"
    moment = identifier(table.sequence_by[0])
    one = f"QUALIFY row_number() OVER (PARTITION BY {key}, {moment} ORDER BY {winners.order(table, '_gone')}) = 1"
    following = f"lead({moment}) OVER (PARTITION BY {key} ORDER BY {moment})"
    laid = f"SELECT *, {moment} AS _valid_from, {following} AS _valid_to FROM (SELECT * FROM ({versions}) {one})"
    engine.table(
        Batch.INCOMING, f"SELECT * EXCLUDE (_gone), _valid_to IS NULL AS _is_current FROM ({laid}) WHERE NOT _gone"
    )
    return moved
