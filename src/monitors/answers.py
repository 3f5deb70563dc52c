"""What a monitor asked of a table is not asked again while the table's files are the same.

An answer is known by the text of its SQL, which names every file that it reads, and by the size, times and inode of
each of these files: no writer changes a file of a table under its name, and one that was damaged, touched or replaced
all the same is another by the time of its change (ctime), which nobody can set. Only what the last look asked is kept.
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

from src import lake
from src.engine import DuckEngine

_FILE = "answers.json"
_Rows = list[tuple[Any, ...]]


class Answers:
    """The answers that are kept beside a lake, and what one look asked of them."""

    def __init__(self, data: Path) -> None:
        self._file = data / lake.KNOWN / _FILE
        self._asked: dict[str, str] = {}
        self._marks: dict[tuple[Path, int], str | None] = {}

    @cached_property
    def _kept(self) -> dict[str, str]:
        return lake.read_known(self._file)

    def rows(self, engine: DuckEngine, sql: str, tables: Sequence[lake.Snapshot], ask: Callable[[], _Rows]) -> _Rows:
        """Return the rows of a SELECT that reads one version of each table and nothing else; `ask` runs it."""
        found = [self._marks_of(table) for table in tables]
        if None in found:
            return ask()
        marks = " ".join(map(str, found))
        key = hashlib.sha256(f"{engine.version}\n{marks}\n{sql}".encode()).hexdigest()
        text = self._asked.get(key) or self._kept.get(key)
        if text is None:
            rows = ask()
            try:
                text = json.dumps(rows, default=_as_json)
            except TypeError:  # a value that JSON has no form for: it is asked each time
                return rows
        self._asked[key] = text
        return [tuple(row) for row in json.loads(text, object_hook=_from_json)]

    def keep(self) -> None:
        """Keep the answers of this look for the next one, if there are new ones."""
        if self._asked.keys() - self._kept.keys():
            lake.write_known(self._file, self._asked)

    def _marks_of(self, table: lake.Snapshot) -> str | None:
        """Return a hash of what is another once a file of a table is; None where one is gone."""
        key = (table.root, table.version)
        if key not in self._marks:
            try:
                marks = [lake.file_mark(os.stat(os.path.join(table.root, file.path))) for file in table.files]
            except OSError:
                self._marks[key] = None
            else:
                self._marks[key] = hashlib.sha256(repr(marks).encode()).hexdigest()
        return self._marks[key]


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
