"""What is asked of one table is asked of many by one statement, where it reads columns of the same names and types.

To bind and start a statement takes longer than to read some days of a small table, and to bind one of as many parts
takes longer still. So one scan reads the files of all of them, and each row has the number of its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from src import contract
from src.engine import DuckEngine, identifier, literal
from src.errors import DataError
from src.lake import DataFile, Snapshot

ROWS, NUMBER = '"~rows"', '"~number"'
Rows = list[tuple[Any, ...]]
_Own = datetime | int | str
_FILE = "~file"
_FILES = 1_000  # that one statement reads of several tables: the engine keeps something of each until it ends
_TYPES = {datetime: "TIMESTAMPTZ", int: "BIGINT", str: "VARCHAR"}


@dataclass(frozen=True)
class Question:
    """A SELECT from ROWS of one version of a table, which groups by NUMBER, that of the table, and returns it first.

    ROWS has the columns that `reads` names, under names of the question's, and `own` values, which differ by table.
    These names begin with ~: a column of a file under such a name is never met, as none is read by its own.
    """

    table: Snapshot
    sql: str
    reads: Mapping[str, str]
    where: str = "true"  # a condition that leaves rows out of ROWS
    own: Mapping[str, _Own] = field(default_factory=dict)
    evolved: bool = False  # files may lack newer columns

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Return the columns of the table that are read, with their types."""
        return {name: self.table.columns[name] for name in dict.fromkeys(self.reads.values())}

    @cached_property
    def partition_by(self) -> tuple[str, ...]:
        """Return the partition columns among them."""
        return tuple(name for name in self.table.partition_by if name in self.kinds)

    @cached_property
    def may_lack(self) -> bool:
        """Return whether files of the table may lack one of them."""
        return self.evolved or contract.has_foreign_columns(self.table.columns, self.table.properties)

    @cached_property
    def shape(self) -> tuple[object, ...]:
        """Return what questions have in common that one statement can ask."""
        named = (tuple(self.reads.items()), tuple(self.kinds.items()), tuple(self.own))
        return self.sql, self.where, *named, self.partition_by, self.may_lack

    @property
    def text(self) -> str:
        """Return all that is asked, but for the table's files."""
        return repr((self.shape, *self.own.values()))


def together(questions: Iterable[Question]) -> Iterator[list[Question]]:
    """Yield the questions that one statement can ask, several at a time."""
    alike: dict[tuple[object, ...], list[Question]] = {}
    for question in questions:
        alike.setdefault(question.shape, []).append(question)
    for found in alike.values():
        part: list[Question] = []
        for question in found:
            if part and sum(len(one.table.files) for one in (*part, question)) > _FILES:
                yield part
                part = []
            part.append(question)
        yield part


def ask(engine: DuckEngine, data: Path, questions: Sequence[Question]) -> list[Rows]:
    """Return the answer to each of some questions that `together` put together; tables lie below `data`.

    Raises:
        BoathouseError: a table cannot be read.
    """
    sql = (_of_one(engine, questions[0]) if len(questions) == 1 else _of_many(engine, data, questions)) + " "
    answers: list[Rows] = [[] for _ in questions]
    for nth, *row in engine.rows(sql + questions[0].sql):
        if nth is None:
            raise DataError("the engine names a file otherwise than it was named", where=data, fix="report this")
        answers[nth].append(tuple(row))
    return answers


def _of_one(engine: DuckEngine, question: Question) -> str:
    """Return SQL that begins a statement with the rows of one table."""
    table = question.table
    scan = engine.scan_files(table.root, table.files, question.kinds, question.partition_by, evolved=question.may_lack)
    own = [
        f"{literal(_plain(value))}::{_TYPES[type(value)]} AS {identifier(name)}" for name, value in question.own.items()
    ]
    return _rows(question, f"0 AS {NUMBER}", own, f"{scan} AS f")


def _of_many(engine: DuckEngine, data: Path, questions: Sequence[Question]) -> str:
    """Return SQL that begins a statement with the rows of tables, each with the number of its table."""
    first = questions[0]
    files: list[DataFile] = []
    numbers: list[int] = []
    paths: list[str] = []
    for nth, question in enumerate(questions):
        below = question.table.root.relative_to(data).as_posix()
        for file in question.table.files:
            files.append(replace(file, path=f"{below}/{file.path}"))
            numbers.append(nth)
            paths.append(f"{data}/{below}/{file.path}")
    scan = engine.scan_files(data, files, first.kinds, first.partition_by, evolved=first.may_lack, file_name=_FILE)
    name = identifier(_FILE)
    listed = [f"unnest({_listed(paths)}) AS {name}", f"unnest({_listed(numbers)}) AS {NUMBER}"]
    for own in first.own:
        values = [questions[nth].own[own] for nth in numbers]
        listed.append(f"unnest({_listed(values)}) AS {identifier(own)}")
    # a file that is none of those would be left out by another join, and nobody would know
    relation = f"{scan} AS f LEFT JOIN (SELECT {', '.join(listed)}) AS t ON f.{name} = t.{name}"
    return _rows(first, f"t.{NUMBER}", [f"t.{identifier(own)}" for own in first.own], relation)


def _rows(question: Question, number: str, own: Sequence[str], relation: str) -> str:
    columns = [f"f.{identifier(name)} AS {identifier(new)}" for new, name in question.reads.items()]
    rows = f"SELECT {', '.join([number, *columns, *own])} FROM {relation}"
    return f"WITH {ROWS} AS (SELECT * FROM ({rows}) WHERE {question.where})"


def _listed(values: Sequence[_Own]) -> str:
    """Return values of one type as an SQL list."""
    return f"{literal([*map(_plain, values)])}::{_TYPES[type(values[0])]}[]"


def _plain(value: _Own) -> int | str:
    return value.isoformat() if isinstance(value, datetime) else value
