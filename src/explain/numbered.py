"""The rows of one version of a table, each under a number that says in which file it lies, and where in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from src import lake
from src.engine import DuckEngine, identifier, literal
from src.explain.rewriting import NotRewritten
from src.project import Unbuilt

ROW_ID = "_row_id"
_PLACE_BITS, _FILE_BITS = 30, 26  # of a BIGINT: a billion rows a file; the bits above say which source it is
_FILES = 1 << _FILE_BITS
_TAKEN = {ROW_ID, "_at", "_nth", "file_row_number"}  # names of columns that a table of another program may have


@dataclass(frozen=True)
class NumberedRows:
    """A source of a model in one version; `nth`: which of its sources it is.

    A file's part of the number is a hash of its path: the engine counts only the files that a condition leaves
    (`file_index`), so that its own numbers would name others.
    """

    engine: DuckEngine
    table: lake.Snapshot
    nth: int

    def select(self) -> str:
        """Return a SELECT of all columns and the number.

        Raises:
            NotRewritten: it has a column of a name that is needed.
        """
        if taken := sorted({name.lower() for name in self.table.columns} & _TAKEN):
            raise NotRewritten(f"a table with a column {taken[0]}, which is needed to number its rows")
        names = ", ".join(map(identifier, self.table.columns))
        if isinstance(self.table, Unbuilt) or not self.table.files:
            return f"SELECT {names}, NULL::BIGINT AS {ROW_ID} FROM {self.engine.scan(self.table)} WHERE false"
        return f"SELECT {names}, {self._number} AS {ROW_ID} FROM {self.engine.scan(self.table, located=True)}"

    def picked(self, numbers: str) -> str:
        """Return a SELECT of the rows with these numbers, a relation of `number`, which reads their files alone."""
        return f"SELECT * EXCLUDE ({ROW_ID}) FROM ({self.numbered_picked(numbers)})"

    def numbered_picked(self, numbers: str) -> str:
        """Return what `picked` does, with the number."""
        names = ", ".join(map(identifier, self.table.columns))
        files = self.files_of(numbers)
        if not files:
            return f"SELECT {names}, NULL::BIGINT AS {ROW_ID} FROM {self.engine.scan(self.table, [])}"
        scan = self.engine.scan(self.table, files, located=True)
        own = f"(SELECT number FROM {numbers} WHERE {self.is_own})"
        return f"SELECT {names}, {self._number} AS {ROW_ID} FROM {scan} SEMI JOIN {own} ON number = {self._number}"

    def files_of(self, numbers: str) -> list[lake.DataFile]:
        """Return the files in which the rows with these numbers lie."""
        hashed = f"(number >> {_PLACE_BITS}) & {_FILES - 1}"
        wanted = set(self.engine.values(f"SELECT DISTINCT {hashed} FROM {numbers} WHERE {self.is_own}"))
        return [file for file, number in zip(self.table.files, self._file_numbers, strict=True) if number in wanted]

    @property
    def is_own(self) -> str:
        """Return SQL that is true for a `number` of this source."""
        return f"number >> {_PLACE_BITS + _FILE_BITS} = {self.nth}"

    @property
    def _number(self) -> str:
        first = self.nth << (_PLACE_BITS + _FILE_BITS)
        return f"{first} + ({self._hashed('_at')} << {_PLACE_BITS}) + _nth"

    def _hashed(self, path: str, salt: int | None = None) -> str:
        return f"(hash({path}, {self._salt if salt is None else salt}) % {_FILES})::BIGINT"

    @cached_property
    def _file_numbers(self) -> list[int]:
        return self._numbers(self._salt)

    @cached_property
    def _salt(self) -> int:
        """Return a number beside which the hashes of all paths differ."""
        return next(salt for salt in range(1 << 20) if len(set(self._numbers(salt))) == len(self.table.files))

    def _numbers(self, salt: int) -> list[int]:
        paths: Sequence[str] = [str(self.table.root / file.path) for file in self.table.files]
        hashed = f"list_transform({literal(paths)}::VARCHAR[], lambda path: {self._hashed('path', salt)})"
        return list(self.engine.one(f"SELECT {hashed}")[0])
