"""What a monitor asked of a table is not asked again while the table's files are the same.

An answer is known by what was asked, and by the name, size, times and inode of each file that was read: no writer
changes a file of a table under its name, and one that was damaged, touched or replaced all the same is another by the
time of its change (ctime), which nobody can set. Only what the last look asked is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from src import lake, store
from src.engine import DuckEngine

_FILE = "answers.json"
_Rows = list[tuple[Any, ...]]


class Answers:
    """The answers that are kept beside a lake, and what one look asked of them."""

    def __init__(self, data: Path) -> None:
        self._file = lake.known_folder(data) / _FILE
        self._asked: dict[str, str] = {}
        self._marks: dict[tuple[Path, int], str | None] = {}

    @cached_property
    def _kept(self) -> dict[str, str]:
        return lake.read_known(self._file)

    def rows(self, engine: DuckEngine, sql: str, tables: Sequence[lake.Snapshot], ask: Callable[[], _Rows]) -> _Rows:
        """Return the rows of a SELECT that reads one version of each table and nothing else; `ask` runs it."""
        found = self.find(engine, sql, tables)
        return self.take(engine, sql, tables, ask()) if found is None else found

    def find(self, engine: DuckEngine, sql: str, tables: Sequence[lake.Snapshot]) -> _Rows | None:
        """Return the answer to a question of tables, in any words that are its own; None where it is not kept."""
        key = self._key(engine, sql, tables)
        text = (self._asked.get(key) or self._kept.get(key)) if key else None
        if key is None or text is None:
            return None
        self._asked[key] = text
        return _rows(text)

    def take(self, engine: DuckEngine, sql: str, tables: Sequence[lake.Snapshot], rows: _Rows) -> _Rows:
        """Take the answer to a question of tables; returns it as `find` does from now on."""
        key = self._key(engine, sql, tables)
        if key is None:
            return rows
        try:
            text = self._asked[key] = json.dumps(rows, default=_as_json)
        except TypeError:  # a value that JSON has no form for: it is asked each time
            return rows
        return _rows(text)

    def _key(self, engine: DuckEngine, sql: str, tables: Sequence[lake.Snapshot]) -> str | None:
        """Return what a question and the files that it reads are known by; None where one is gone."""
        marks = [self._marks_of(table) for table in tables]
        if None in marks:
            return None
        return hashlib.sha256(f"{engine.version}\n{' '.join(map(str, marks))}\n{sql}".encode()).hexdigest()

    def keep(self) -> None:
        """Keep the answers of this look for the next one, if there are new ones."""
        if self._asked.keys() - self._kept.keys():
            lake.write_known(self._file, self._asked)

    def _marks_of(self, table: lake.Snapshot) -> str | None:
        """Return a hash of what is another once a file of a table is; None where one is gone."""
        key = (table.root, table.version)
        if key not in self._marks:
            try:
                marks = _marks(table)
            except OSError:
                self._marks[key] = None
            else:
                self._marks[key] = hashlib.sha256(repr(marks).encode()).hexdigest()
        return self._marks[key]


def _marks(table: lake.Snapshot) -> list[tuple[object, ...]]:
    """Return the path and mark of each file of a table.

    Raises:
        OSError: one is gone.
    """
    if store.is_remote(table.root):
        there = dict(store.files_below(table.root))
        if {file.path for file in table.files} - there.keys():
            raise FileNotFoundError(table.root)
        return [(f"{table.root}/{file.path}", *there[file.path]) for file in table.files]
    paths = [os.path.join(table.root, file.path) for file in table.files]
    return [(path, *lake.file_mark(os.stat(path))) for path in paths]


def _rows(text: str) -> _Rows:
    return [tuple(row) for row in json.loads(text, object_hook=_from_json)]


_FORMS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {  # a moment is a date too, so it is first
    "~moment": (datetime, datetime.isoformat, datetime.fromisoformat),
    "~day": (date, date.isoformat, date.fromisoformat),
    "~decimal": (Decimal, str, Decimal),
}


def _as_json(value: object) -> dict[str, str]:
    for name, (kind, written, _) in _FORMS.items():
        if isinstance(value, kind):
            return {name: written(value)}
    raise TypeError(type(value).__name__)


def _from_json(found: dict[str, Any]) -> Any:
    name = next(iter(found), "")
    return _FORMS[name][2](found[name]) if name in _FORMS else found
