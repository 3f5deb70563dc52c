"""A load that is mostly rejected is a failure, not a success with a large quarantine.

A load is what a table reads at once: the rows of bronze it has not consumed yet, or all of them where it is built
from scratch. It is judged before anything of the table is written. What is beyond the budget is kept in quarantine
all the same, where it can be looked at, and waits: the next run judges it together with what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from src.contract import Table
from src.engine import DuckEngine
from src.errors import DataError
from src.silver.batch import Batch

_MOST = 50  # percent of a load of at least so many rows:
_LARGE = 20  # a few bad rows of a smaller one say little
_NAMED = 3  # reasons, or files, by name
_SHOWN = 300  # characters of a raw row


class RejectedError(DataError):
    """More rows of a load were rejected than may be; they are in quarantine, and the table is as it was."""


@dataclass(frozen=True)
class Load:
    """A load to judge: rows read and rejected; `first`: the table never had a row; `full_refresh`: all of bronze."""

    read: int
    rejected: int
    first: bool
    full_refresh: bool

    @property
    def mostly_rejected(self) -> bool:
        """Return whether more rows were rejected than a load may have of them."""
        return 100 * self.rejected > _MOST * self.read

    def __str__(self) -> str:
        return f"{self.rejected:,} of {self.read:,} rows were rejected"


@dataclass(frozen=True)
class Reason:
    """One kind of reason: its code, how many rows have it, and one of them."""

    code: str
    text: str
    rows: int
    file: str
    row: int
    values: str

    @property
    def column(self) -> str:
        """Return the column it is about; a reason of a whole line names none."""
        return self.code.partition(":")[2]

    def __str__(self) -> str:
        shown = " ".join(self.values.split())
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + " ..."
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"  {rows}: {self.text}\n    such as {self.file}, row {self.row}: {shown}"


def beyond(table: Table, load: Load) -> str | None:
    """Return in words how a load breaks its table's budget; None for one that does not."""
    budget = table.max_rejected
    if budget is None:
        if load.first and load.rejected == load.read > 0:
            return "and the table never had one"
        return f"more than {_MOST} %" if load.read >= _LARGE and load.mostly_rejected else None
    share = 100 * load.rejected if budget.unit == "percent" else load.rejected
    return f"more than {budget}" if share > budget.value * (load.read if budget.unit == "percent" else 1) else None


def small(table: Table, load: Load) -> bool:
    """Return whether a load within the budget is mostly rejected, and is only too small to be a failure by itself."""
    return table.max_rejected is None and load.read < _LARGE and load.mostly_rejected


def error(
    engine: DuckEngine, table: Table, load: Load, read: str, engine_words: Callable[[Reason], str | None]
) -> RejectedError:
    """Return the failure of a load beyond its budget, its rows in `rejected`: the commonest reasons, and what is wrong.

    `read` is a relation of the rows that were read, with _file; `engine_words` tells what the engine says of a row.
    """
    reasons = commonest(engine, _NAMED)
    wrong, fix = _verdict(engine, table, load, read, reasons, engine_words)
    what = "\n".join([f"{load}, {beyond(table, load)}", *map(str, reasons), f"  {wrong}"])
    accept = f"`main.py run --accept-rejects {table.id}` lets them through"
    look = f"`main.py quarantine show --table {table.id}` shows them"
    return RejectedError(what, where=table.path, fix=f"{fix}, then `make pipeline`; {look}, {accept}")


def commonest(engine: DuckEngine, most: int | None) -> list[Reason]:
    """Return the kinds of reasons of the rows in `rejected`, the commonest first: at most so many, or all."""
    reasons = "unnest(_codes) AS code, unnest(_reasons) AS reason, _file, _row, _values"
    first = "min_by({'reason': reason, 'file': _file, 'row': _row, 'shown': _values}, {'file': _file, 'row': _row})"
    kinds = f"SELECT code, count(*) AS rows, {first} AS one FROM (SELECT {reasons} FROM {Batch.REJECTED}) GROUP BY code"
    rows = engine.rows(
        f"SELECT code, one.reason, rows, one.file, one.row, one.shown FROM ({kinds}) "
        f"ORDER BY rows DESC, one.reason{f' LIMIT {most}' if most else ''}"
    )
    return [Reason(code, text, rows, file, row, values or "") for code, text, rows, file, row, values in rows]


def _verdict(
    engine: DuckEngine,
    table: Table,
    load: Load,
    read: str,
    reasons: Sequence[Reason],
    engine_words: Callable[[Reason], str | None],
) -> tuple[str, str]:
    """Return what looks wrong (the contract, whole files or single rows) and how to fix it."""
    from_scratch = load.first or load.full_refresh
    if from_scratch and reasons[0].rows == load.read:
        engine_says = engine_words(reasons[0])
        hint = f"; the engine says: {engine_says}" if engine_says else ""
        return f"the contract looks wrong: every row of every file is rejected for this{hint}", f"correct {table.path}"
    if from_scratch and load.rejected == load.read:
        return "the contract or the files look wrong: no row passed, for several reasons", "correct either"
    rejected = f"SELECT _file, count(*) AS rejected FROM {Batch.REJECTED} GROUP BY 1"
    counted = f"SELECT _file, count(*) AS rows FROM {read} GROUP BY 1"
    wrong = engine.values(
        f"SELECT _file FROM ({counted}) JOIN ({rejected}) USING (_file) WHERE rejected >= rows ORDER BY rows DESC, 1"
    )
    if not wrong:
        return "the files look wrong in some rows, and right in others", "land the rows corrected"
    named = ", ".join(wrong[:_NAMED]) + (", ..." if len(wrong) > _NAMED else "")
    files = "file looks" if len(wrong) == 1 else f"{len(wrong)} files look"
    passed = "earlier rows passed" if load.rejected == load.read else "others passed"
    return f"the {files} wrong: every row of {named} is rejected, and {passed}", "land it corrected"
