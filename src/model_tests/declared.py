"""What a test of a model declares: the rows it is given, and the rows that must come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from src.contract import Table

REASONS = "_reasons"  # of an expected row of quarantine
FILE = "_file"  # of a row that lands: the file that brings it, where its name matters
LINE = "_values"  # of an expected row of quarantine: what stands in the file, where no reader could split it


class Nested(str):
    """A list, or keys and values, as JSON text: only a file of JSON objects can hold one."""


@dataclass(frozen=True)
class Row:
    """One row as it is written: the text of each value it names, None for null; and where it stands."""

    values: Mapping[str, str | None]
    where: str  # file, line
    reasons: tuple[str, ...] = ()  # of an expected row of quarantine: texts that its reasons contain


Given = Sequence[Row] | Path  # rows, or a landed file


@dataclass(frozen=True)
class ModelTest:
    """One test of one table.

    `loads`: what is given, by table (gold: one load) or by feed (silver: one load after the other). `expect` and
    `quarantine` are None where the test says nothing of them.
    """

    table: Table
    name: str
    description: str
    where: str  # file, line
    loads: tuple[Mapping[str, Given], ...]
    expect: tuple[Row, ...] | None
    quarantine: tuple[Row, ...] | None = None
    run_date: date | None = None

    @property
    def id(self) -> str:
        """Return the test's id: `<table id>.<test name>`."""
        return f"{self.table.id}.{self.name}"
