"""What a run that goes on has done so far, for whoever watches: a line for each step that begins or is over.

The records are written when a run is over, and this file goes then. It is no record: nothing waits for the disk, no
run fails for it, and what a dead run has left is of a run id that nobody reads again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from src import store
from src.run.runs import Record, Run

_FILE = ".progress.jsonl"


@dataclass(frozen=True)
class Progress:
    """The steps of a run that are over, and the one that it is at longest, since a moment (UTC)."""

    steps: tuple[Record, ...] = ()
    planned: int | None = None  # steps of the run; None: not known
    at: str | None = None
    since: datetime | None = None


@contextmanager
def shown(data: Path, run: Run) -> Iterator[None]:
    """Let a run show its steps to whoever watches within a with-block; what it showed is removed then."""
    path = store.beside(data) / _FILE
    try:
        file = path.open("w", encoding="utf-8", buffering=1)
    except OSError:  # nobody can watch
        yield
        return
    run.watch = _Lines(run, file)
    try:
        yield
    finally:
        file.close()
        path.unlink(missing_ok=True)


def read(data: Path, run_id: str) -> Progress | None:
    """Return how far a run has come; None where it is over, or told nothing yet."""
    try:
        text = (store.beside(data) / _FILE).read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    except (OSError, ValueError):
        return None
    if not lines or lines[0]["run_id"] != run_id:
        return None
    steps = tuple(_record(line["step"]) for line in lines if "step" in line)
    over = {step.table_id for step in steps}
    begun = ((line["at"], datetime.fromisoformat(line["since"])) for line in lines if "at" in line)
    at, since = next(((name, moment) for name, moment in begun if name not in over), (None, None))
    return Progress(steps, lines[-1]["planned"], at, since)


class _Lines:
    """The lines that a run writes. Each is one write, and whoever reads leaves out one that is not whole."""

    def __init__(self, run: Run, file: IO[str]) -> None:
        self._run, self._file = run, file

    def begun(self, step: str, moment: datetime) -> None:
        """Write that a step begins."""
        self._write({"at": step, "since": moment.isoformat()})

    def over(self, record: Record) -> None:
        """Write what a step did."""
        self._write({"step": vars(record)})

    def _write(self, line: dict[str, Any]) -> None:
        try:
            head = {"run_id": self._run.run_id, "planned": self._run.planned}
            self._file.write(json.dumps(head | line, default=str) + "\n")
        except (OSError, ValueError):  # no room: then nobody can watch; the run itself tells what it has no room for
            self._run.watch = None


def _record(values: dict[str, Any]) -> Record:
    for name, kind in ((field.name, str(field.type)) for field in fields(Record)):
        if values.get(name) is not None and kind.startswith("date"):
            read = datetime.fromisoformat if kind.startswith("datetime") else date.fromisoformat
            values[name] = read(values[name])
    return Record(**values)
