"""A statement that takes most of a table away is a failure: an export that broke off reads like a company that closed.

What a batch would remove in all is judged before anything of it is written; refused, it is read again by the next run,
together with what is new. A first load removes nothing; a slice may become empty unless the contract bounds it.
"""

from __future__ import annotations

from src.contract import Share, Table
from src.engine import DuckEngine, identifier
from src.errors import DataError
from src.lake import Snapshot
from src.silver.batch import Batch

_MOST = Share(50, "percent")  # of a table that is stated whole, of at least so many rows:
_LARGE = 20  # a smaller one may well be another list tomorrow


class RemovalsError(DataError):
    """A statement would remove more rows than it may; nothing was committed."""


def beyond(table: Table, removed: int, rows: int) -> str | None:
    """Return in words how removing so many of a table's rows breaks its budget; None where it does not."""
    budget = table.max_removed
    if budget is None:
        budget = _MOST if table.replaces == () and rows >= _LARGE else None
    if budget is None:
        return None
    share = 100 * removed if budget.unit == "percent" else removed
    return f"more than {budget}" if share > budget.value * (rows if budget.unit == "percent" else 1) else None


def error(table: Table, removed: int, rows: int, files: str) -> RemovalsError:
    """Return the failure of a batch that would remove too much; `files` say so."""
    what = f"{removed:,} of {rows:,} rows would be removed, {beyond(table, removed, rows)}: {files} lack them"
    accept = f"`main.py run --accept-removals {table.id}` lets it through"
    fix = (
        f"land a newer statement that has them, then `make pipeline`; if they are gone, {accept}, or raise `maxRemoved`"
    )
    return RemovalsError(what, where=table.path, fix=fix)


def current_rows(engine: DuckEngine, silver: Snapshot) -> int:
    """Return the rows of a table that the last statements say: with history, those that hold still."""
    if "_is_current" not in silver.columns:
        return silver.rows
    return int(engine.one(f"SELECT count(*) FROM {engine.scan(silver)} WHERE _is_current")[0])


def count(engine: DuckEngine, table: Table, silver: Snapshot | None) -> int:
    """Return how many rows of a table that statements made are not in `incoming`, by their keys.

    None are where there is no such table, or its key or history is another than the contract's.
    """
    names = table.key or tuple(column.name for column in table.columns)
    names_read = (*names, "_is_current") if table.history == "scd2" else names
    kinds = table.stored_columns
    if table.replaces is None or silver is None or any(silver.columns.get(n) != kinds[n] for n in names_read):
        return 0
    holds = "_is_current" if table.history == "scd2" else "true"
    same = " AND ".join(f"s.{identifier(name)} IS NOT DISTINCT FROM i.{identifier(name)}" for name in names)
    there = f"(SELECT * FROM {engine.scan(silver)} WHERE {holds}) s"
    now = f"(SELECT * FROM {Batch.INCOMING} WHERE {holds}) i"
    return int(engine.one(f"SELECT count(*) FROM {there} ANTI JOIN {now} ON {same}")[0])
