"""New rows of a table contend with its stored ones: what leaves `incoming`, and which stored rows leave the table.

Nothing is committed here, and nothing is refused: what came of it is counted.
"""

from __future__ import annotations

from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine
from src.silver import history, statements, winners
from src.silver.batch import Batch


def against_stored(engine: DuckEngine, table: Table, stored: str, gone: str | None) -> tuple[Outcome, int]:
    """Let the rows of `incoming` contend with the stored rows of their keys.

    `stored` is a relation of the table's rows with _at and _nth, `gone` one of its recorded deletions, None for none.
    The rows to write are left in `incoming`, the stored rows to leave out in `superseded`; returns what became of the
    rows of `incoming`, and how many stored ones leave.
    """
    contest = _in_place_of_slices if table.replaces is not None else _by_key
    return contest(engine, table, stored, gone)


def _by_key(engine: DuckEngine, table: Table, stored: str, gone: str | None) -> tuple[Outcome, int]:
    against = f"(SELECT * FROM {stored} UNION ALL BY NAME SELECT * FROM {gone})" if gone else stored
    row = table.row_columns
    new = rows(engine)
    superseded, unchanged, tied = winners.contest(engine, table, row, against, new)
    deleted = winners.set_deletions_aside(engine, table)
    updated = superseded - winners.removed_by_deletions(engine, table) if deleted else superseded
    kept = new - unchanged - tied.conflicts - deleted
    outcome = Outcome(
        inserted=kept - updated,
        updated=updated,
        unchanged=unchanged,
        deleted=deleted,
        written=kept,
        conflicts=tied.conflicts,
        conflict_notes=tied.conflict_notes,
    )
    return outcome, superseded + history.lay_out(engine, table, row, stored, gone)


def _in_place_of_slices(engine: DuckEngine, table: Table, stored: str, gone: str | None) -> tuple[Outcome, int]:
    beside = statements.added_to(engine, table, stored)
    updated, unchanged, tied = winners.contest(engine, table, table.row_columns, beside, rows(engine))
    if table.history == "scd2":
        before = rows(engine)
        done = history.lay_out_statements(engine, table, stored)
        kept = before - done.unchanged
    else:
        done = statements.replace_rows(engine, table, stored)
        kept = rows(engine)
    updated += done.updated
    outcome = Outcome(
        inserted=kept - updated,
        updated=updated,
        unchanged=unchanged + done.unchanged,
        removed=done.removed,
        written=kept,
        conflicts=tied.conflicts,
        conflict_notes=tied.conflict_notes,
    )
    return outcome, int(engine.one(f"SELECT count(*) FROM {Batch.SUPERSEDED}")[0])


def rows(engine: DuckEngine) -> int:
    """Return how many rows are in `incoming`."""
    return int(engine.one(f"SELECT count(*) FROM {Batch.INCOMING}")[0])
