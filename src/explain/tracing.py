"""From rows of a mart to the rows of its sources that they were computed from, by the model that computed them.

Whatever way they are found, they are proven: over them alone the model gives the same rows. Where it does not, or a
model cannot be rewritten, more are taken: those of the partitions that the rows depend on, in the end all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from src import lake
from src.checks import compare
from src.contract import PROVENANCE, Table
from src.engine import DuckEngine, identifier, literal
from src.explain.numbered import ROW_ID, NumberedRows
from src.explain.rewriting import NotRewritten, Rewriting
from src.gold.cut import Cut
from src.gold.model import Model
from src.proof import Proof

NUMBER = re.compile("TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|FLOAT|DOUBLE|DECIMAL.*")
_FEW = 100  # values that a condition names one by one
_RUNS = 400  # of a model in Python, to find which rows it needs


@dataclass(frozen=True)
class Trace:
    """The rows of a model's sources behind some of its rows, by their numbers, in a relation of the engine.

    `widened`: why they are more than these were computed from; None for none too many that a rule could tell.
    """

    numbers: str
    sources: Mapping[str, NumberedRows]
    widened: str | None

    def picked(self, name: str) -> str:
        """Return a SELECT of the rows of a source."""
        return self.sources[name].picked(self.numbers)

    def count(self, engine: DuckEngine, name: str) -> int:
        """Return how many rows of a source they are."""
        return int(engine.one(f"SELECT count(*) FROM {self.numbers} WHERE {self.sources[name].is_own}")[0])


@dataclass(frozen=True)
class Tracer:
    """Traces rows of a mart's table, `stored` in one version, whose model read these versions of its sources.

    `into`: a name that no other relation of the engine has; those that a trace leaves begin with it.
    """

    engine: DuckEngine
    table: Table
    stored: lake.Snapshot
    sources: Mapping[str, lake.Snapshot]
    proof: Proof
    into: str

    def trace(self, rows: str) -> Trace:
        """Return the rows behind rows of the table; `rows` is a relation of all its columns.

        Raises:
            NotRewritten: nothing less than the model over everything gives them, and not even that.
        """
        why = None
        try:
            found = self._python(rows) if self.table.python else self._rewritten(rows, self.itself)
            if self.gives(found.picked, rows):
                return found
            why = "over the rows that its model names alone, it gives others"
        except NotRewritten as refused:
            why = str(refused)
        whole = self._partitions(rows, why)
        if not self.gives(whole.picked, rows):
            raise NotRewritten(why)
        return whole

    def nth(self, name: str) -> int:
        """Return which of the sources one is."""
        return list(self.sources).index(name)

    def behind(self, rows: str) -> Trace:
        """Return what is behind the rows that have the dimensions of some rows, whatever their numbers are.

        Of a model in Python those behind the rows themselves.

        Raises:
            NotRewritten: as `trace`; the model has a construct without a rule.
        """
        return self.trace(rows) if self.table.python else self._rewritten(rows, self.dimensions)

    @cached_property
    def numbered(self) -> dict[str, NumberedRows]:
        """Return the model's sources with numbers for their rows."""
        return {name: NumberedRows(self.engine, table, nth) for nth, (name, table) in enumerate(self.sources.items())}

    # -- ways

    def _rewritten(self, rows: str, key: Sequence[str]) -> Trace:
        carried, rewritten = self._carrying({name: source.select() for name, source in self.numbered.items()})
        own = f"SELECT unnest({carried}) AS number FROM ({rewritten}) o WHERE {self.among(rows, key)}"
        self.engine.table(self.into, f"SELECT DISTINCT number FROM ({own})")
        return Trace(f"temp.{self.into}", self.numbered, None)

    def _unused(self, name: str, sql: str) -> str:
        """Return a name that neither the model nor a source has."""
        texts = " ".join([sql, *(column for table in self.sources.values() for column in table.columns)]).lower()
        while name in texts:
            name += "_"
        return name

    def _python(self, rows: str) -> Trace:
        """Trace a model that nobody can read, by running it over less and less.

        First over the rows of sources that agree with the wanted ones in the columns of the key; then halving what is
        left as long as the rows stay, at most so many runs.
        """
        numbered, left = self.numbered, _RUNS
        parts = {name: self._like(name, source, rows) for name, source in numbered.items()}
        self.engine.table(self.into, " UNION ALL ".join(f"({part})" for part in parts.values()))
        whole = Trace(f"temp.{self.into}", numbered, None)
        if not self.gives(whole.picked, rows):
            raise NotRewritten("a model in Python that needs rows of other keys")
        numbers = self.engine.values(f"SELECT number FROM {self.into} ORDER BY number")
        size = len(numbers) // 2
        while size and left > 0:
            at = 0
            while at < len(numbers) and left > 0:
                fewer, left = [*numbers[:at], *numbers[at + size :]], left - 1
                self.engine.table(f"{self.into}_fewer", f"SELECT unnest({literal(fewer)}::BIGINT[]) AS number")
                if self.gives(Trace(f"temp.{self.into}_fewer", numbered, None).picked, rows):
                    numbers = fewer
                else:
                    at += size
            size //= 2
        self.engine.table(self.into, f"SELECT unnest({literal(numbers)}::BIGINT[]) AS number")
        stopped = f"a model in Python, of which {_RUNS} runs did not leave fewer" if left <= 0 else None
        return Trace(f"temp.{self.into}", numbered, stopped)

    def _like(self, name: str, source: NumberedRows, rows: str) -> str:
        """Return a SELECT of the numbers of a source's rows that agree with some row in columns of the key."""
        shared = [column for column in self.table.key if source.table.columns.get(column) == self.kinds[column]]
        agree = " AND ".join(f"r.{identifier(c)} IS NOT DISTINCT FROM s.{identifier(c)}" for c in shared) or "true"
        return (
            f"SELECT {ROW_ID} AS number FROM ({source.select()}) s WHERE EXISTS (SELECT 1 FROM {rows} r WHERE {agree})"
        )

    def _partitions(self, rows: str, why: str) -> Trace:
        """Return all rows of the partitions that rows depend on; of a source that is not cut all that there are."""
        numbered = self.numbered
        cut = Cut(self.engine, self.table, self.sources, self.proof.cuts)
        named = ", ".join(map(identifier, self.table.partition_by))
        selects = []
        for name, source in numbered.items():
            if name in cut.by:
                keys, within = cut.keys(name), f"SELECT {named} FROM {rows}"
                typed = f"SELECT {ROW_ID} AS number, {keys} FROM ({source.select()})"
                selects.append(f"SELECT number FROM ({typed}) SEMI JOIN ({within}) USING ({named})")
            else:
                selects.append(f"SELECT {ROW_ID} AS number FROM ({source.select()})")
        self.engine.table(self.into, " UNION ALL ".join(selects))
        return Trace(f"temp.{self.into}", numbered, why)

    def belonging(self, name: str, candidates: str, rows: str) -> str:
        """Return a relation of the numbers of rows that would be behind some rows, were they in a source.

        `candidates`: a SELECT of the source's columns and a number, of rows that are not in it; the other sources are
        as they are.

        Raises:
            NotRewritten: nothing tells.
        """
        names = ", ".join(map(identifier, self.sources[name].columns))
        carried, rewritten = self._carrying_one(name, f"SELECT {names}, {ROW_ID} FROM ({candidates})")
        own = f"SELECT unnest({carried}) AS number FROM ({rewritten}) o WHERE {self.among(rows, self.dimensions)}"
        self.engine.table(f"{self.into}_belonging", f"SELECT DISTINCT number FROM ({own}) WHERE number IS NOT NULL")
        return f"temp.{self.into}_belonging"

    def made_of(self, name: str, rows: str, *, few: bool) -> str:
        """Return a relation of the keys of the model's rows that some rows of a source are behind.

        `few`: the model may read all of the source. Else it is asked what it makes of the rows alone, and these keys
        are looked at: one that they reach only through other rows, as by a window, is not among them.

        Raises:
            NotRewritten: nothing tells.
        """
        key = ", ".join(map(identifier, self.dimensions))
        names = ", ".join(map(identifier, self.sources[name].columns))
        is_one = f"SELECT {names}, 1 AS {ROW_ID} FROM {rows}"
        scan, came_from = self.engine.scan(self.sources[name]), ", ".join(PROVENANCE)
        others = f"SELECT {names}, NULL FROM {scan} ANTI JOIN {rows} USING ({came_from})"
        carried, rewritten = self._carrying_one(name, f"{is_one} UNION ALL {others}")
        among = "true"
        if not few:
            self.engine.publish(name, f"SELECT {names} FROM {rows}")
            given = f"SELECT DISTINCT {key} FROM ({self.engine.inline(str(self.table.sql))})"
            self.engine.table(f"{self.into}_given", given)
            among = self.among(f"temp.{self.into}_given", self.dimensions)
        found = f"SELECT DISTINCT {key} FROM ({rewritten}) o WHERE list_contains({carried}, 1) AND {among}"
        self.engine.table(f"{self.into}_made", found)
        return f"temp.{self.into}_made"

    def _carrying_one(self, name: str, select: str) -> tuple[str, str]:
        """Return what `_carrying` does, of one source alone, which is this SELECT."""
        others = {
            other: f"SELECT *, NULL::BIGINT AS {ROW_ID} FROM {self.engine.scan(table)}"
            for other, table in self.sources.items()
        }
        return self._carrying({**others, name: select})

    def _carrying(self, selects: Mapping[str, str]) -> tuple[str, str]:
        """Return the column of what each row carries, and the model with it; by source a SELECT with numbers."""
        if self.table.python:
            raise NotRewritten("a model in Python")
        sql = self.engine.inline(str(self.table.sql))
        carried = self._unused("_why", sql)
        lowered = {name.lower(): select for name, select in selects.items()}
        rewritten = Rewriting(self.engine, lowered, ROW_ID, carried).rewritten(sql)
        for name, table in self.sources.items():  # subqueries that decide which rows stay are left as they are
            self.engine.publish(name, f"SELECT * FROM {self.engine.scan(table)}")
        return identifier(carried), rewritten

    # -- the law

    def gives(self, picked: Callable[[str], str], rows: str) -> bool:
        """Return whether the model gives some rows over a part of each source; `picked` returns its SELECT, by name."""
        names = ", ".join(map(identifier, self.kinds))
        sides = f"SELECT {names} FROM {self.given(picked, rows, self.itself)}", f"SELECT {names} FROM {rows}"
        surplus = (compare.surplus(self.kinds, *pair) for pair in (sides, sides[::-1]))
        return not any(self.engine.rows(f"FROM ({one}) LIMIT 1") for one in surplus)

    def given(self, picked: Callable[[str], str], rows: str, key: Sequence[str]) -> str:
        """Return a relation of what the model gives over a part of each source, of some rows by these columns."""
        views = {name: picked(name) for name in self.sources}
        whole = f"{self.into}_whole"
        if self.table.python:
            Model(self.engine, self.table, self.sources).over(views, whole)
            model = f"(FROM {whole})"
        else:
            for name, select in views.items():
                self.engine.publish(name, select)
            model = f"({self.engine.inline(str(self.table.sql))})"
        names = ", ".join(map(identifier, self.kinds))
        self.engine.table(f"{self.into}_given", f"SELECT {names} FROM {model} o WHERE {self.among(rows, key)}")
        return f"temp.{self.into}_given"

    def among(self, rows: str, key: Sequence[str]) -> str:
        """Return a condition that is true for a row `o` of the model that has the key of one of some rows.

        The values of one row stand in it, and of several those of columns that have few: the engine takes them down to
        the files that it reads.
        """
        if not key:
            return "true"
        texts = ", ".join(f"{identifier(name)}::VARCHAR" for name in key)
        some = self.engine.rows(f"SELECT DISTINCT {texts} FROM {rows} LIMIT 2")
        if len(some) == 1:
            pairs = zip(key, some[0], strict=True)
            return " AND ".join(
                f"o.{identifier(name)} IS NOT DISTINCT FROM {literal(value)}::{self.kinds[name]}"
                for name, value in pairs
            )
        same = " AND ".join(f"r.{identifier(name)} IS NOT DISTINCT FROM o.{identifier(name)}" for name in key)
        return " AND ".join([*self._few_values(rows, key), f"EXISTS (SELECT 1 FROM {rows} r WHERE {same})"])

    def _few_values(self, rows: str, key: Sequence[str]) -> Iterator[str]:
        """Yield of each column of which some rows have few values the condition that a row `o` has one of these."""
        counted = ", ".join(
            f"CASE WHEN count(DISTINCT {name}) <= {_FEW} AND count({name}) = count(*) "
            f"THEN list(DISTINCT {name}::VARCHAR) END"
            for name in map(identifier, key)
        )
        for name, values in zip(key, self.engine.one(f"SELECT {counted} FROM {rows}"), strict=True):
            if values:
                kind = self.kinds[name]
                yield f"o.{identifier(name)} IN ({', '.join(f'{literal(value)}::{kind}' for value in values)})"

    def numbers(self, relation: str, hidden: Collection[str]) -> dict[str, Any]:
        """Return the numbers of the only row of a relation of the table, without `hidden` ones; else none."""
        aside = {*self.dimensions, *hidden}
        names = [name for name, kind in self.kinds.items() if NUMBER.fullmatch(kind) and name not in aside]
        found = self.engine.rows(f"SELECT {', '.join(map(identifier, names)) or 'NULL'} FROM {relation} LIMIT 2")
        return dict(zip(names, found[0], strict=False)) if len(found) == 1 else {}

    @property
    def itself(self) -> tuple[str, ...]:
        """Return the columns that tell a row: its key, or all of them."""
        return self.table.key or tuple(self.kinds)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return the columns that tell a row whatever its numbers are: its key, or what is no number."""
        return self.table.key or tuple(name for name, kind in self.kinds.items() if not NUMBER.fullmatch(kind))

    @property
    def kinds(self) -> dict[str, str]:
        """Return the columns of the table and their types, as its contract has them."""
        return {column.name: column.type for column in self.table.columns}
