"""A load that is mostly rejected is a failure, not a success with a large quarantine.

A load is what a table reads at once: the rows of bronze it has not consumed yet, or all of them where it is built
from scratch. It is judged before anything of the table is written. What is beyond the budget is kept in quarantine
all the same, where it can be looked at, and waits: the next run judges it together with what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from src.checks.outcome import Outcome
from src.contract import Table
from src.engine import DuckEngine
from src.errors import DataError
from src.silver import causes, reasons
from src.silver.batch import Batch
from src.silver.causes import Cause
from src.silver.reasons import Reason

_MOST = 50  # percent of a load of at least so many rows:
_LARGE = 20  # a few bad rows of a smaller one say little
_NAMED = 3  # reasons, or files, by name
_LOOKED_AT = 20  # reasons, for what they have in common
_SHOWN = 300  # characters of a raw row


class RejectedError(DataError):
    """More rows of a load were rejected than may be; they are in quarantine, and the table is as it was.

    `bare`: what is wrong and the fix, without a value of a row.
    """

    bare = ("", "")


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
class _Group:
    """Reasons of one cause, told in one line; of reasons without a cause, one alone."""

    reasons: tuple[Reason, ...]
    causes: tuple[Cause, ...]  # one for each reason, alike but for the column; none where none was found
    rows: int
    engine_says: str

    @property
    def fix(self) -> str:
        """Return what to write for each of the columns; empty where no cause was found."""
        return ", ".join(dict.fromkeys(cause.fix for cause in self.causes))

    def __str__(self) -> str:
        first = self.reasons[0]
        columns = ", ".join(reason.column for reason in self.reasons)
        text = first.text.replace(f"{first.column}: ", f"{columns}: ", 1) if len(self.reasons) > 1 else first.text
        shown = " ".join(first.values.split())
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + " ..."
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        lines = [f"  {rows}: {text}", f"    such as {first.file}, row {first.row}: {shown}"]
        lines += [f"    {cause.what}" for cause in self.causes[:1]]
        lines += [f"    the engine says: {self.engine_says}"] if self.engine_says else []
        return "\n".join(lines)


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


def note(engine: DuckEngine, table: Table, load: Load) -> str:
    """Return the note of a small load, its rows in `rejected`: the commonest reason, and its cause if known."""
    [first] = reasons.commonest(engine, 1)
    cause = causes.find(engine, table, first)
    return f"{load}: {first.text}" + (f"; {cause.what}: {cause.fix}" if cause else "")


def mostly_lost(outcome: Outcome) -> bool:
    """Return whether most rows of a load of some size contradict another row of their key."""
    return outcome.read >= _LARGE and 100 * outcome.conflicts > _MOST * outcome.read


def error(
    engine: DuckEngine, table: Table, load: Load, read: str, engine_words: Callable[[Reason], str | None]
) -> RejectedError:
    """Return the failure of a load beyond its budget, its rows in `rejected`: the commonest reasons, and what is wrong.

    `read` is a relation of the rows that were read, with _file; `engine_words` tells what the engine says of a row.
    """
    groups = _grouped(engine, table, engine_words)
    wrong, fix = _verdict(engine, table, load, read, groups)
    more = [f"  and {len(groups) - _NAMED} more reasons"] if len(groups) > _NAMED else []
    head = f"{load}, {beyond(table, load)}"
    what = "\n".join([head, *map(str, groups[:_NAMED]), *more, f"  {wrong}"])
    accept = f"`main.py run --accept-rejects {table.id}` lets them through"
    look = f"`main.py quarantine show --table {table.id}` shows them"
    found = RejectedError(what, where=table.path, fix=f"{fix}, then `make pipeline`; {look}, {accept}")
    codes = [
        f"  {group.rows:,} rows: {', '.join(reason.code for reason in group.reasons)}" for group in groups[:_NAMED]
    ]
    bare_fix = f"correct the rows at their source, or {table.path}, then `make pipeline`; {look}, {accept}"
    found.bare = ("\n".join([head, *codes, *more, f"  {wrong}"]), bare_fix)
    return found


def _grouped(engine: DuckEngine, table: Table, engine_words: Callable[[Reason], str | None]) -> list[_Group]:
    """Return the reasons, those of one cause together, the commonest first."""
    by_cause: dict[str, list[tuple[Reason, Cause | None]]] = {}
    for reason in reasons.commonest(engine, _LOOKED_AT):
        cause = causes.find(engine, table, reason)
        by_cause.setdefault(cause.kind if cause else reason.code, []).append((reason, cause))
    groups = []
    for alike in by_cause.values():
        members, found = tuple(reason for reason, _ in alike), tuple(cause for _, cause in alike if cause)
        rows = members[0].rows if len(alike) == 1 else reasons.count(engine, [reason.code for reason in members])
        groups.append(_Group(members, found, rows, "" if found else engine_words(members[0]) or ""))
    return sorted(groups, key=lambda group: -group.rows)


def _verdict(engine: DuckEngine, table: Table, load: Load, read: str, groups: Sequence[_Group]) -> tuple[str, str]:
    """Return what looks wrong (the contract, whole files or single rows) and how to fix it."""
    from_scratch = load.first or load.full_refresh
    fixes = ", and ".join(group.fix for group in groups[:_NAMED] if group.fix)
    if from_scratch and groups[0].rows == load.read:
        fix = ", and ".join(group.fix for group in groups if group.fix and group.rows == load.read)
        return "the contract looks wrong: every row of every file is rejected for this", fix or f"correct {table.path}"
    if from_scratch and load.rejected == load.read:
        return "the contract or the files look wrong: no row passed, for several reasons", fixes or "correct either"
    rejected = f"SELECT _file, count(*) AS rejected FROM {Batch.REJECTED} GROUP BY 1"
    counted = f"SELECT _file, count(*) AS rows FROM {read} GROUP BY 1"
    wrong = engine.values(
        f"SELECT _file FROM ({counted}) JOIN ({rejected}) USING (_file) WHERE rejected >= rows ORDER BY rows DESC, 1"
    )
    if not wrong:
        what = "the files look wrong in some rows, and right in others"
        return what, f"land the rows corrected, or {fixes}" if fixes else "land the rows corrected"
    named = ", ".join(wrong[:_NAMED]) + (", ..." if len(wrong) > _NAMED else "")
    files = "file looks" if len(wrong) == 1 else f"{len(wrong)} files look"
    passed = "earlier rows passed" if load.rejected == load.read else "others passed"
    what = f"the {files} wrong: every row of {named} is rejected, and {passed}"
    return what, f"land it corrected, or {fixes}" if fixes else "land it corrected"
