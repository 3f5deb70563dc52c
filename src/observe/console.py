"""What a person sees: a progress bar on a terminal, plain lines elsewhere, a table of what changed, the heartbeat."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from src.errors import BoathouseError

if TYPE_CHECKING:
    from src.observe.runs import Record

_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"


@contextmanager
def progress(steps: int) -> Iterator[ProgressBar | None]:
    """A bar over the steps of a run where stdout is a terminal; None elsewhere, where the log lines serve."""
    if not sys.stdout.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(), transient=True) as bar:
        yield ProgressBar(bar, steps)


class ProgressBar:
    """The bar of one run: `start` names the step that begins, `done` counts it."""

    def __init__(self, bar: object, steps: int) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=steps)  # type: ignore[attr-defined]

    def start(self, table_id: str) -> None:
        self._bar.update(self._task, description=table_id)  # type: ignore[attr-defined]

    def done(self) -> None:
        self._bar.advance(self._task)  # type: ignore[attr-defined]


def table(
    headers: Sequence[str], rows: Sequence[Sequence[object]], *, grouped: bool = True, out: TextIO | None = None
) -> None:
    """Print rows under headers, numbers to the right; `grouped` parts thousands, which spoils a number that names."""
    cells = [[_shown(value, grouped) for value in row] for row in rows]
    numeric = [all(isinstance(row[at], int | float | Decimal | None) for row in rows) for at in range(len(headers))]
    widths = [max(len(headers[at]), *(len(row[at]) for row in cells), 0) for at in range(len(headers))]
    lines = [list(headers), ["-" * width for width in widths], *cells]
    for line in lines:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip(), file=out or sys.stdout)


def changes(records: Sequence[Record]) -> None:
    """The table at the end of a run: what changed per layer and table, and how long it took."""
    headers = ("table", "status", "read", "written", "same", "quarantined", "partitions", "seconds")
    rows = [
        (
            f"{record.layer}.{record.domain}.{record.table}",
            _status(record),
            record.records_read,
            record.records_written,
            record.unchanged + record.duplicates,
            record.quarantined,
            record.partitions,
            Decimal(f"{record.latency:.2f}"),
        )
        for record in records
        if record.layer != "run"
    ]
    table(headers, rows)
    for record in records:
        for note in (record.notes or "").splitlines() if record.layer != "run" else ():
            print(f"note: {record.layer}.{record.domain}.{record.table}: {note}")


def unclaimed(files: Sequence[str], most: int = 5) -> None:
    """Name the landed files that no feed takes, so that none is overlooked in silence."""
    if files:
        shown = ", ".join(files[:most]) + (", ..." if len(files) > most else "")
        print(f"note: {len(files)} landed files belong to no feed: {shown}")


def finished(run: Record, steps: Sequence[Record]) -> None:
    """The heartbeat of a run that succeeded, on stdout."""
    changed = sum(_changed(step) for step in steps)
    told = f"{changed} of {len(steps)} tables changed" if changed else "0 changed"
    line = f"✓ Pipeline Finished: Processed {run.records_read:,} records"
    print(f"{_coloured(line, _GREEN, sys.stdout)} ({told}, {run.latency:.1f} s)")


def said(error: BaseException) -> str:
    """A failure in words: what, where and what to do, or that it is a bug."""
    return str(error) if isinstance(error, BoathouseError) else f"a bug: {type(error).__name__}: {error}"


def failed(message: str) -> None:
    """The heartbeat of a run that failed, on stderr."""
    first, *rest = message.splitlines() or [""]
    print(_coloured(f"✗ Pipeline Failed: {first}", _RED, sys.stderr), file=sys.stderr)
    for line in rest:
        print(line, file=sys.stderr)


def complain(message: str) -> None:
    """A refused command, on stderr."""
    print(f"{_coloured('error:', _RED, sys.stderr)} {message}", file=sys.stderr)


def _changed(step: Record) -> bool:
    return bool(step.records_written or step.partitions or step.quarantined or step.files)


def _status(record: Record) -> str:
    if record.status != "success":
        return record.status
    return "changed" if _changed(record) else "no change"


def _shown(value: object, grouped: bool) -> str:
    if value is None:
        return ""
    if grouped and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _coloured(text: str, colour: str, stream: TextIO) -> str:
    if stream.isatty() and not os.environ.get("NO_COLOR"):
        return f"{colour}{text}{_PLAIN}"
    return text
