"""What is measured: a start, a task, and who does it. Contenders take turns, so that a busy machine slows them alike.

Each round starts from the same state: nothing, or a copy of what a contender made of a history, copied outside
of the measurement. Everyone who did the same task must have ended with the same rows, or no time counts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import ROOT, TABLES, Contender
from benchmarks.measure import Command, Failed, Figures, run


class Unequal(Exception):
    """Contenders that did the same work ended with different tables."""


@dataclass(frozen=True)
class Entrant:
    """One contender with one task. `command` is handed the folder of the state it starts from."""

    contender: Contender
    task: str  # those who share it must end with the same tables
    command: Callable[[Path], Command]
    base: Callable[[], Path] | None = None  # makes the state to start from, or finds it made; None: from nothing
    state: Path | None = None  # where to work; a folder that is thrown away, where none is given
    compared: Collection[str] = TABLES  # the tables that must be the same
    label: str = ""  # its name, where one contender takes part twice
    goes_on: bool = False  # in `state` as it was left, by the entrants before it; nothing is copied or thrown away
    before: Callable[[Path], Command] | None = None  # run once the state is there, outside of the measurement
    run: Callable[[Command], Figures] = run  # who runs it and says what it took

    @property
    def name(self) -> str:
        return self.label or self.contender.name


@dataclass
class Entry:
    """What an entrant's rounds took, and what its tables held after the first."""

    contender: str
    task: str
    rounds: list[Figures] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)  # bytes of folders, by round; where they are told
    parts: dict[str, dict[str, float]] = field(default_factory=dict)  # of the last round: of driver and workers
    stages: dict[str, dict[str, float]] = field(default_factory=dict)  # of the last round: what was dealt out

    def record(self) -> dict[str, Any]:
        rounds = [{name: round(value, 4) for name, value in one._asdict().items()} for one in self.rounds]
        return {**vars(self), "rounds": rounds}


def measured(entrants: Sequence[Entrant], rounds: int, work: Path, said: Callable[[str], None]) -> list[Entry]:
    """Run every entrant once per round, in turn.

    Raises:
        Unequal: two that share a task ended with different tables.
    """
    entries = [Entry(entrant.name, entrant.task) for entrant in entrants]
    for nth in range(rounds):
        for entrant, entry in zip(entrants, entries, strict=True):
            if entry.failed:
                continue
            try:
                state = started(entrant, work)
                if entrant.before:
                    run(entrant.before(state))
                entry.rounds.append(entrant.run(entrant.command(state)))
            except Failed as failure:
                entry.failed = failure.how
                said(f"{entrant.name}, {entrant.task}: {failure}")
                continue
            said(f"  round {nth + 1}: {entrant.name}, {entrant.task}: {entry.rounds[-1].seconds:.2f} s")
            if not nth and entrant.compared:
                entry.result = checked(entrant.contender, state, entrant.compared)
        check_equal(entries)
    return entries


def started(entrant: Entrant, work: Path) -> Path:
    """The folder to start from, as it has to be.

    Raises:
        Failed: the state to start from could not be made.
    """
    base = entrant.base() if entrant.base else None
    state = entrant.state or work / entrant.contender.slug
    if entrant.goes_on:
        return state
    shutil.rmtree(state, ignore_errors=True)
    if base:
        state.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", "--reflink=auto", str(base), str(state)], check=True)
    else:
        state.mkdir(parents=True)
    return state


def checked(contender: Contender, state: Path, compared: Collection[str] = TABLES) -> dict[str, Any]:
    """What a contender's tables hold; looked at in a process of its own, so that this one stays small."""
    tables = {name: place for name, place in contender.tables(state).items() if name in compared}
    command = [sys.executable, "-m", "benchmarks.check"]
    told = subprocess.run(command, cwd=ROOT, input=json.dumps(tables), capture_output=True, text=True, check=False)
    if told.returncode:
        raise Unequal(f"the tables of {contender.name} cannot be read:\n{told.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def check_equal(entries: Iterable[Entry]) -> None:
    """Insist that those who share a task ended with the same tables."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if not entry.result:
            continue
        other = first.setdefault(entry.task, entry)
        differ = list(_differences(other, entry))
        if differ:
            raise Unequal(f"{entry.task}: {'; '.join(differ)}")


def _differences(one: Entry, other: Entry) -> Iterator[str]:
    for table, figures in one.result.items():
        for name, value in figures.items():
            found = other.result[table][name]
            if found != value:
                yield f"{table} {name}: {other.contender} has {found}, {one.contender} has {value}"
